"""The records that a plugin returns: names, options, and where the code is.

Data only, part of `ganzoo.api`. Importing this imports neither torch nor numpy. A kind of record is its
class here and its place in `SPECS`: the class names its hook and its word in messages, and holds its checks.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ganzoo.errors import PluginError

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

NO_BATCH_NORM: Mapping[str, str] = {
    "batch-norm-in-discriminator": (
        "set architecture.discriminator_norm to none or layer: the penalty is about each sample's own "
        "gradient, and BatchNorm makes a score depend on the whole batch"
    )
}
"""For the `rejects` of a penalty on the discriminator's gradient at single samples. The core detects this
tag; an architecture need not name it."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The fields that all records have.

    `name` matches `[a-z0-9]+([._-][a-z0-9]+)*`. `summary` is one line. `paper` cites the source. A record
    with a value of the wrong type is a PluginError when it is made.
    """

    record: ClassVar[str]
    """What this kind of record is called in commands and messages."""
    hook: ClassVar[str]
    """The hook that returns such records."""
    reserved: ClassVar[frozenset[str]] = frozenset()
    """Options of the core that share a table of settings with the record's own."""

    name: str
    summary: str
    paper: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise PluginError(
                f"{self.name!r} is not a name: lower-case letters and digits, joined by . _ or -"
            )
        for item in dataclasses.fields(self):
            if problem := _problem(item.name, str(item.type), getattr(self, item.name)):
                raise PluginError(f"'{item.name}' of '{self.name}' must be {problem}")


@dataclass(frozen=True, kw_only=True)
class _Buildable(Spec):
    """A record with a factory, named by an import string and loaded on first use.

    `config` is a frozen dataclass of options with defaults. The factory of a record without `config`
    gets None in its place: `factory(None)`, for architectures `factory(None, data)`, for datasets
    `factory(argument, None)`. `defaults` are settings by dotted path that apply when this record is chosen
    (`{"train.batch_size": 128, "generator.lr": 1e-4}`). A path to an option that the chosen records do not
    have (for example `architecture.discriminator_norm`) is ignored.
    """

    factory: str
    config: type[Any] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.config is None:
            return
        if not (isinstance(self.config, type) and dataclasses.is_dataclass(self.config)):
            raise PluginError(f"the config of '{self.name}' must be a dataclass, not {self.config!r}")
        if clash := self.reserved & {item.name for item in dataclasses.fields(self.config)}:
            raise PluginError(
                f"the option '{min(clash)}' of '{self.name}' is an option of the core, too: rename it"
            )


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(_Buildable):
    """Networks. `factory(config, data: DataInfo) -> Networks`; `needs` names data fields."""

    record = "architecture"
    hook = "ganzoo_architectures"
    reserved = frozenset({"name"})

    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LossSpec(_Buildable):
    """An adversarial loss. `factory(config) -> Loss`.

    `paired`: the generator's loss needs the scores of real samples too. `rejects` maps a tag of
    `Networks`, or `unpaired` of the data, to the reason why this loss cannot work with it, and what to do
    instead. `tags` name properties of the loss for other parts. So far only `no-sign` has a meaning: the
    sign of a score does not separate real from generated samples, because only differences of scores count,
    or because 0 is not half way between the targets. If tags depend on options, give `config` a property
    `tags` with the additional ones.
    """

    record = "loss"
    hook = "ganzoo_losses"
    reserved = frozenset({"name"})

    paired: bool = False
    rejects: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TermSpec(_Buildable):
    """A regulariser in addition to the loss.

    `kind="penalty"`: `factory(config) -> fn(view: View) -> Tensor`, a scalar added to the loss of
    `role`. `kind="constraint"`: `factory(config) -> fn(module) -> None`, applied in place to each
    network of `role` after its optimiser step. A penalty may be lazy: with `every=k` the loop adds
    it in each k-th step, times k. `second_order` says that it differentiates through a gradient:
    it then runs in float32. A penalty (or loss) that keeps state is an nn.Module with buffers: it is
    moved to the device and saved with the run. With several processes, each one calls it with its shard of
    the batch; after each cycle, floating-point buffers are averaged over the processes.
    """

    record = "term"
    hook = "ganzoo_terms"
    reserved = frozenset({"every"})

    role: Literal["discriminator", "generator"] = "discriminator"
    kind: Literal["penalty", "constraint"] = "penalty"
    every: int = 1
    second_order: bool = False
    rejects: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(_Buildable):
    """Changes real and generated samples in the same way before any discriminator sees them.

    `factory(config) -> Augmentation`. Chosen by `--augment NAME`. `kinds`: the kinds of the fields that it
    changes. An augmentation that keeps state (its
    strength, for example) is an nn.Module with buffers: it is moved to the device and saved with the run.
    `config` may have a property `rejects`: a mapping as in `LossSpec` that depends on the options and may
    also reject tags of the loss.
    """

    record = "augmentation"
    hook = "ganzoo_augmentations"
    reserved = frozenset({"name"})

    kinds: tuple[str, ...] = ("image",)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(_Buildable):
    """A kind of data, chosen by `--data NAME` or `--data NAME:ARGUMENT`.

    `factory(argument: str, config) -> ArraySource | ItemSource`. The record's `argument` describes the text
    after the colon; empty if there is none. An argument described as `PATH` is stored as an absolute path in
    a run's settings. `held_out` names a factory with the same parameters for held-out samples of the same
    fields, which evaluation compares with; it may return None if this data has none. `stacked`: each channel
    of an image is an image of its own, drawn independently of the others, and label k belongs to channel k.
    `unpaired`: the fields of a sample are unrelated, so evaluation does not compare what a generator makes
    from one field with another field. `reads`: the usual endings of its files, in lower case (`.wav`), if
    `argument` is a PATH: where files of another kind are given, the error names the dataset that reads them.
    """

    record = "dataset"
    hook = "ganzoo_datasets"
    reserved = frozenset({"source", "flip", "only", "without"})

    argument: str = ""
    held_out: str = ""
    stacked: bool = False
    unpaired: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MediaSpec(_Buildable):
    """A kind of samples (images, sound, tables): how they are previewed, written, read and compared.

    `factory(config) -> Media`; the config has its defaults. The record's `name` is the kind: a field with
    `kind="NAME"` is of it.
    """

    record = "media"
    hook = "ganzoo_media"


@dataclass(frozen=True, kw_only=True)
class RecipeSpec(Spec):
    """A named combination of architecture, loss, data and `settings` (by dotted path).

    `fit`: `(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]`, in a module that does not
    import torch. It gets the settings of a run by dotted path and returns those that must be others for data
    of this shape and count; what a user sets is stronger. `suits`: `(data: DataInfo) -> float`, how well the
    recipe suits the data, 0 for not at all: `ganzoo train --data SOURCE` without a recipe takes the best.
    """

    record = "recipe"
    hook = "ganzoo_recipes"

    architecture: str
    loss: str
    data: str = "fashion-5k"
    settings: Mapping[str, Any] = field(default_factory=dict)
    fit: str = ""
    suits: str = ""


def both_sides(**options: Any) -> dict[str, Any]:
    """Settings of a recipe: the same options for the generator's and the discriminator's optimiser."""
    return {
        f"{side}.{key}": value for side in ("generator", "discriminator") for key, value in options.items()
    }


# --- evaluation ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec(_Buildable):
    """A network whose features are compared, in place of the values of samples.

    `factory(config) -> Extractor`; with `trained`, `factory(config, data: ClassifierData) -> Classifier`, a
    network that is first trained on labelled data. `distance` is the name of its Frechet distance in
    results; `fid` is reserved for the Inception network of the FID paper. With `scaled`, each dimension of
    the features is divided by its standard deviation over the real samples. `kinds`: the kinds of fields that
    it takes. `maps`: a function without parameters that returns the network as a torch module, from samples
    (N, *shape) in 0..1 to a list of maps (N, C, ...); `ganzoo project` compares samples by them.
    """

    record = "extractor"
    hook = "ganzoo_extractors"

    kinds: tuple[str, ...] = ("image",)

    distance: str
    scaled: bool = True
    maps: str = ""
    trained: bool = False


@dataclass(frozen=True, kw_only=True)
class MetricSpec(_Buildable):
    """Scores of generated samples. `factory(config) -> fn(comparison: Comparison) -> dict[str, float]`.

    `needs` names what the comparison must have; without it the metric is skipped: a kind of data (`image`,
    `points`), `field:NAME` (the field of that name), `rows` (vectors), `labels` (samples of the data have a
    class), `classifier` (labels, and samples that a classifier takes), `conditioned` (the generator reads a
    class), `targets` (it makes one field of a pair from the other), `scores` (it gives samples a score),
    `training` (training samples besides the real samples compared with), or the name of the extractor's
    distance (`fid`). `better` says for each score whether lower or higher is better; a score's name may
    contain `{distance}`. `reference`: also computed for the baselines, real and corrupted samples. `quick`:
    also computed in training, see `train.eval_every`. `slow`: computed only when it is chosen by name.
    """

    record = "metric"
    hook = "ganzoo_metrics"

    needs: tuple[str, ...] = ()
    better: Mapping[str, Literal["lower", "higher"]] = field(default_factory=dict)
    reference: bool = True
    quick: bool = False
    slow: bool = False


# --- weights of others ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ImporterSpec(Spec):
    """Recognises the published weights of one family of networks, for `ganzoo import`.

    `recognise`: `(found: Weights) -> Imported | None`. It is called for each network in a file and answers
    None quickly, by names and shapes alone, when the weights are not of its family. `example`:
    `() -> Mapping`, a small file of the family as nested dicts of arrays with made-up values, in the
    published names and shapes; the conformance kit imports it.
    """

    record = "importer"
    hook = "ganzoo_importers"

    recognise: str
    example: str


# --- programs that show runs ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TrackerSpec(_Buildable):
    """Passes the log of a run on to a program that shows and compares runs, chosen by `--track NAME`.

    `factory(config) -> Tracker`; it imports the package that it needs, so that a missing one is an error
    before training. `offline`: options with which it needs no server; `{folder}` in a text is replaced by a
    temporary folder. The conformance kit uses them.
    """

    record = "tracker"
    hook = "ganzoo_trackers"
    reserved = frozenset({"name"})

    offline: Mapping[str, Any] = field(default_factory=dict)


SPECS: tuple[type[Spec], ...] = (
    RecipeSpec,
    ArchitectureSpec,
    LossSpec,
    TermSpec,
    AugmentationSpec,
    DatasetSpec,
    MediaSpec,
    ExtractorSpec,
    MetricSpec,
    ImporterSpec,
    TrackerSpec,
)
"""All kinds of records, in the order in which they are listed."""

_CHOICES = {"role": ("discriminator", "generator"), "kind": ("penalty", "constraint")}


def _problem(name: str, kind: str, value: object) -> str:
    """What the field `name` of the type `kind` has to hold, when it does not; empty when it does."""
    if name in _CHOICES:
        return "" if value in _CHOICES[name] else " or ".join(map(repr, _CHOICES[name]))
    if name in ("factory", "recognise", "example") or (name in ("held_out", "fit", "suits") and value != ""):
        named = isinstance(value, str) and IMPORT_STRING.fullmatch(value) is not None
        return "" if named else f"'package.module:function', not {value!r}"
    if kind == "str":
        return "" if isinstance(value, str) else "text"
    if kind == "bool":
        return "" if isinstance(value, bool) else "True or False"
    if kind == "int":
        return "" if isinstance(value, int) and value >= 1 else "a whole number from 1"
    if kind == "tuple[str, ...]":
        good = isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value)
        return "" if good else "a tuple of names"
    if kind.startswith("Mapping"):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            return "a mapping from text"
        if name == "rejects" and not all(isinstance(text, str) for text in value.values()):
            return "a mapping from tags to reasons"
    return ""
