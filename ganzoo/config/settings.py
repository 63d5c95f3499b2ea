"""Settings: the core's own tables, layers of values with their origin, and validation.

A value has a path (`train.batch_size`) and an origin (the layer that set it last). `resolve.py`
defines the layers and looks up names.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import Field as Bound

from ganzoo.config.schedule import Schedule, is_schedule, parse_schedule, scheduled
from ganzoo.errors import SettingsError
from ganzoo.util.suggest import suggest
from ganzoo.util.text import Unit, spoken

ConfigT = TypeVar("ConfigT")
Key = tuple[str, ...]

# tomllib raises further errors for numbers of thousands of digits and for deep nesting.
NOT_TOML = (ValueError, RecursionError)

IMAGES = 200_000  # the default length of a run
ABOUT_MINUTES = 10.0  # the default on other data than the recipe's own: its images may cost anything
LENGTHS = ("images", "minutes", "about_minutes")

STOPS = ("plateau", "indistinguishable")  # what a run can end at before its end; neither is a fault

_RATE = re.compile(r"[\w.-]+=\d+\.?\d*(e[-+]?\d+)?")
_BEST = re.compile(r"(min|max):[\w.-]+")

Count = Annotated[int, Bound(ge=1)]
Share = Annotated[float, Bound(ge=0, le=1)]
NonNegative = Annotated[float, Bound(ge=0)]


def _minutes(count: float) -> str:
    return f"{count:g} minute{'s' * (count != 1)}"


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The run. Lengths are counted in real samples shown to the discriminator, images or others.

    If layers set `images` and `minutes`, the last one applies; if one layer sets both, both apply.
    `about_minutes`: a length in time that becomes a number of images before the first step, once the speed
    is measured. The run's settings have that number, so schedules follow it, and the run can be repeated.
    `reuse_fakes`: the generators learn from the samples of the discriminators' last step, which saves a
    forward pass of the generator; otherwise they draw new samples. `replay`: the size of a buffer of earlier
    samples; half of the samples that the discriminators see then come from it. `graphs`: on CUDA, capture a
    cycle once as a graph and replay it, if its code allows that. `micro_batch`: the number of samples
    computed at once, with accumulated gradients; it is halved when memory runs out. `keep_best`: in addition
    to the newest checkpoints, keep the one with the lowest `min:NAME` or highest `max:NAME` of the log.
    `eval_every`: the number of images after which quick scores of `eval_samples` samples are computed.
    `stop`: end earlier, when the score of `keep_best` was not better for a third of the run ("plateau"), or
    when the discriminator can no longer tell real from generated samples ("indistinguishable").
    `on_nan`: when gradients are not finite, stop; skip the step; or roll back to the last checkpoint with
    half the learning rates, at most three times. `pack`: the number of samples that discriminators score
    together, as one (Lin et al. 2018, PacGAN). `conditions`: where the conditions of generated samples come
    from: "real", those of the real batch; "shares", those of other samples of the data, so classes keep their
    shares; "uniform", each class equally likely, and other conditions as with "shares"; "table:FILE", rows
    of a .csv or .npz file. `warm_start`: a run directory, a bundle or a file of weights; the networks begin
    with its weights, where they fit. `freeze`: names or globs of parameters that stay as they are.
    """

    images: Count | None = None
    minutes: Annotated[float, Bound(gt=0)] | None = None
    about_minutes: Annotated[float, Bound(gt=0)] | None = None
    batch_size: Count = 64
    generator_batch_size: Count | None = None
    micro_batch: Count | None = None
    n_critic: Count = 1
    pack: Count = 1
    reuse_fakes: bool = False
    replay: Annotated[int, Bound(ge=0, le=100_000)] = 0
    conditions: str = "real"
    warm_start: str = ""
    freeze: tuple[str, ...] = ()
    seed: Annotated[int, Bound(ge=0, lt=2**63)] = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Count | None = None
    graphs: bool = True
    samples: Annotated[int, Bound(ge=1, le=1024)] = 64
    log_every: Count | None = None
    sample_every: Count | None = None
    checkpoint_every: Count | None = None
    keep_checkpoints: Count = 3
    keep_best: str = ""
    eval_every: Count | None = None
    eval_samples: Annotated[int, Bound(ge=10)] = 1000
    stop: Literal["end", "plateau", "indistinguishable"] = "end"
    on_nan: Literal["stop", "skip", "rollback"] = "stop"

    def __post_init__(self) -> None:
        if self.keep_best and not _BEST.fullmatch(self.keep_best):
            raise ValueError(f"keep_best is min:NAME or max:NAME of a logged value, not '{self.keep_best}'")
        if self.stop == "plateau" and not self.keep_best:
            raise ValueError("stop=plateau follows a score: add --eval-every IMAGES --keep-best min:NAME")
        if self.conditions not in ("real", "shares", "uniform") and not self.condition_table:
            raise ValueError(f"conditions is real, shares, uniform or table:FILE, not '{self.conditions}'")
        if self.reuse_fakes and self.generator_batch_size not in (None, self.batch_size):
            raise ValueError("with reuse_fakes, generator_batch_size must equal batch_size: do not set it")
        if 0 < self.replay < self.batch_size:
            raise ValueError(f"replay must be 0 or at least batch_size, which is {self.batch_size}")
        if self.about_minutes is not None and (self.images, self.minutes) != (None, None):
            raise ValueError(
                "about_minutes becomes a number of images: set neither images nor minutes with it"
            )

    def score(self, values: Mapping[str, float]) -> tuple[str, float] | None:
        """Name and value that `keep_best` compares; lower is better. None if there is no such value."""
        value = values.get(self.best_name)
        highest = self.keep_best.startswith("max:")
        return None if value is None else (self.keep_best, -value if highest else value)

    def share(self, images: int, seconds: float) -> float:
        """How much of the run is done, in 0..1: by images or by minutes, whichever is more."""
        share = images / self.images if self.images is not None else 0.0
        if self.minutes is not None:
            share = max(share, seconds / (60.0 * self.minutes))
        return min(1.0, share)

    @property
    def condition_table(self) -> Path | None:
        """The file of `conditions`, if they come from one."""
        kind, _, file = self.conditions.partition(":")
        return Path(file).expanduser().absolute() if kind == "table" and file else None

    @property
    def best_name(self) -> str:
        """The name of the value that `keep_best` compares."""
        return self.keep_best.partition(":")[2]

    @property
    def cycle(self) -> int:
        """The real images of one cycle, the least that a run can train."""
        return self.n_critic * self.batch_size

    def length(self, unit: Unit) -> str:
        """The length of the run as text; `unit` names the samples."""
        parts = [unit.count(self.images)] if self.images is not None else []
        parts += [_minutes(self.minutes)] if self.minutes is not None else []
        parts += [f"about {_minutes(self.about_minutes)}"] if self.about_minutes is not None else []
        return " or ".join(parts)

    def images_at(self, rate: float) -> int:
        """`about_minutes` at `rate` images a second, to three digits; at least one cycle."""
        return max(self.cycle, int(float(f"{60 * (self.about_minutes or 0) * rate:.3g}")))

    def seconds_at(self, rate: float, images: int = 0, seconds: float = 0.0) -> float:
        """How long the run still takes at `rate` images a second, after `images` and `seconds` of it."""
        total = self.images if self.about_minutes is None else self.images_at(rate)
        left = [] if total is None else [(max(total, self.cycle) - images) / rate]
        left += [] if self.minutes is None else [60 * self.minutes - seconds]
        return max(0.0, min(left))

    def forecast(self, rate: float, unit: Unit, images: int = 0, seconds: float = 0.0) -> str:
        """`seconds_at` as a line for the user; `unit` names the samples."""
        left = self.seconds_at(rate, images, seconds)
        count = left * rate if self.minutes is None else float(f"{left * rate:.3g}")
        more, another = (" more", "another ") if images else ("", "")
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        return (
            f"about {spoken(left)}{more}: {another}{count:,.0f} {unit.nouns} at {speed}/s; "
            "--minutes or --images changes it"
        )


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The optimiser of the generator or the discriminator, and its learning rate schedule.

    `linear` and `cosine` keep `lr` until the fraction `decay_from` of the run and reach `lr_final` at its
    end; `exponential` divides by `decay_rate` after each step, not below `lr_final`. Momentum rises
    linearly to `momentum_final` over `momentum_images`. During the first `warmup` images the rate rises from
    0. `adamw` subtracts its weight decay from the weights (Loshchilov and Hutter 2019), `adam` adds it to the
    gradient. Before a step, each value of the gradient is limited to +-`clip_value`, then the norm of the
    whole gradient to `clip_norm`; 0 is no limit. `rates` gives parts of the networks rates of their own:
    `mapping=0.01` multiplies the rate of all parameters whose name begins with `mapping`.
    """

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: NonNegative = 2e-4
    betas: tuple[Annotated[float, Bound(ge=0, lt=1)], Annotated[float, Bound(ge=0, lt=1)]] = (0.5, 0.999)
    eps: Annotated[float, Bound(gt=0)] = 1e-8
    weight_decay: NonNegative = 0.0
    momentum: Annotated[float, Bound(ge=0, lt=1)] = 0.0
    momentum_final: Annotated[float, Bound(ge=0, lt=1)] | None = None
    momentum_images: Count = 1
    decay: Literal["none", "linear", "cosine", "exponential"] = "none"
    decay_from: Share = 0.0
    decay_rate: Annotated[float, Bound(ge=1)] = 1.0
    lr_final: NonNegative = 0.0
    warmup: Annotated[int, Bound(ge=0)] = 0
    clip_norm: NonNegative = 0.0
    clip_value: NonNegative = 0.0
    rates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.rates:
            if not _RATE.fullmatch(text):
                raise ValueError(f"rates are PREFIX=FACTOR, like mapping=0.01, not '{text}'")

    @property
    def factors(self) -> dict[str, float]:
        """The factor on the learning rate for each prefix of parameter names."""
        return {prefix: float(factor) for prefix, _, factor in (text.partition("=") for text in self.rates)}

    @property
    def host_schedules(self) -> list[str]:
        """Scheduled options that kernels take as numbers of the host: a captured graph would keep them."""
        names = {"betas", "eps", "weight_decay", "momentum", "clip_value"}
        return [
            *names.intersection(scheduled(self)),
            *(["momentum"] if self.momentum_final is not None else []),
        ]


@dataclass(frozen=True, kw_only=True)
class EmaSettings:
    """Exponential moving average of the generators. `half_life` is in images; 0 switches it off.

    At the start, the half-life is at most `ramp` times the images seen so far.
    """

    half_life: NonNegative = 0.0
    ramp: NonNegative = 0.05

    @property
    def active(self) -> bool:
        """Whether the run keeps an average."""
        return isinstance(self.half_life, Schedule) or self.half_life > 0


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data: `source` is `NAME` or `NAME:ARGUMENT`; `flip` mirrors half of the samples left to right.

    `only` and `without` are names of classes: samples of other classes, or of these, are left out.
    """

    source: str = ""
    flip: bool = False
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NameSettings:
    """The core's option in the tables `architecture`, `loss`, `augment` and `track`."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class TermSettings:
    """The core's option in the tables of `terms`: compute the term in each `every`-th step, times `every`."""

    every: Count = 1


CORE_TABLES: Mapping[str, type[Any]] = {
    "train": TrainSettings,
    "generator": OptimizerSettings,
    "discriminator": OptimizerSettings,
    "ema": EmaSettings,
    "data": DataSettings,
    "architecture": NameSettings,
    "loss": NameSettings,
    "augment": NameSettings,
    "track": NameSettings,
}


@dataclass(frozen=True)
class Layer:
    """Values by path, and the place that they come from."""

    origin: str
    values: Mapping[Key, Any]

    def get(self, *key: str) -> Any:
        """The value at that path, None when this layer does not set it."""
        return self.values.get(key)

    def without(self, table: str, keep: Iterable[str] = ()) -> Layer:
        """The same layer without the options of one table."""
        kept = {k: v for k, v in self.values.items() if k[0] != table or (len(k) > 1 and k[1] in keep)}
        return Layer(self.origin, kept)


def layer(origin: str, nested: Mapping[str, Any]) -> Layer:
    """A layer from nested tables, or from dotted paths, or from both."""
    values: dict[Key, Any] = {}

    def walk(prefix: Key, value: Any) -> None:
        if isinstance(value, Mapping):
            if not value and prefix[:1] == ("terms",) and len(prefix) == 2:
                values[prefix] = True
            for key, inner in value.items():
                # Only top-level keys are dotted paths: deeper keys are names, which may contain dots.
                walk((*prefix, key) if prefix else split(key), inner)
        else:
            values[prefix] = value

    walk((), nested)
    return Layer(origin, values)


def split(path: str) -> Key:
    """`a.b` -> ("a", "b"); a part with a dot in it is quoted as in TOML."""
    if '"' not in path:
        return tuple(path.split("."))
    try:
        node: Any = tomllib.loads(f"{path} = 0")
    except NOT_TOML as error:
        raise SettingsError(f"'{path}' is not the path of a setting.") from error
    parts: list[str] = []
    while isinstance(node, dict) and node:
        (part, node), *_ = node.items()
        parts.append(part)
    if not parts:
        raise SettingsError(f"'{path}' is not the path of a setting.")
    return tuple(parts)


def parse_assignment(text: str) -> tuple[Key, Any]:
    """`path=value` as given to `--set`; the value is TOML if it parses, else a string."""
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        raise SettingsError(f"--set takes path=value, not '{text}'.", fix="--set train.batch_size=128")
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except NOT_TOML:
        value = raw.strip()
    return split(path.strip()), value


def read_toml(path: Path) -> dict[str, Any]:
    """Read a settings file. SettingsError when it cannot be read as TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (*NOT_TOML, OSError) as error:
        raise SettingsError(f"The settings file cannot be read: {error}", where=str(path)) from error


def option_names(*classes: type[Any] | None) -> list[str]:
    """The names of the options of config classes."""
    return [item.name for cls in classes if cls is not None for item in dataclasses.fields(cls)]


def build(cls: type[ConfigT], values: Mapping[str, Any], where: str, origins: Mapping[Key, str]) -> ConfigT:
    """An instance of a config dataclass from checked values.

    SettingsError names the path of each wrong value and the layer that set it. `where` is the table's path.
    For an option of type `tuple[str, ...]`, a single text means a list of one text. A number may be a
    schedule (`config/schedule.py`): all its values are checked, and the option holds the `Schedule`.
    """
    given = {
        name: (value,) if isinstance(value, str) and name in _texts(cls) else value
        for name, value in values.items()
    }
    schedules = _schedules(cls, given, where, origins)
    for end in (min, max, lambda values: values[0]):
        numbers = {name: _numbers(value, end) for name, value in schedules.items()}
        result = _validated(cls, {**given, **numbers}, where, origins)
    for name, value in schedules.items():
        object.__setattr__(result, name, value)  # config dataclasses are frozen
    return result


def meanings(cls: type[Any] | None) -> dict[str, str]:
    """What defaults mean that are no values themselves: the metadata `description` of fields."""
    fields = () if cls is None else dataclasses.fields(cls)
    return {item.name: item.metadata["description"] for item in fields if "description" in item.metadata}


@functools.cache
def wrong_default(cls: type[Any]) -> str:
    """The first option of a config dataclass whose default is not of its type, in words; empty for none."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for item in dataclasses.fields(cls):
        if item.default is not dataclasses.MISSING:
            try:
                pydantic.TypeAdapter(hints[item.name]).validate_python(item.default)
            except pydantic.ValidationError as error:
                return f"'{item.name}': {error.errors()[0]['msg']}, not {item.default!r}"
    return ""


def _validated(
    cls: type[ConfigT], values: Mapping[str, Any], where: str, origins: Mapping[Key, str]
) -> ConfigT:
    try:
        return pydantic.TypeAdapter(cls).validate_python(values)
    except pydantic.ValidationError as error:
        problems = []
        for item in error.errors():
            parts = tuple(str(part) for part in item["loc"] if part in option_names(cls))
            path = (*where.split("."), *parts)
            origin = origins.get(path, "")
            found = f", not {item['input']!r}" if parts else ""
            message = item["msg"].removeprefix("Value error, ")
            problems.append(f"{'.'.join(path)}: {message}{found}" + (f" (from {origin})" if origin else ""))
        raise SettingsError("A setting has an invalid value.", where="; ".join(problems)) from error


def _schedules(
    cls: type[Any], given: Mapping[str, Any], where: str, origins: Mapping[Key, str]
) -> dict[str, Any]:
    """The options whose values are schedules, read: a `Schedule`, or a tuple with some among its numbers.

    SettingsError for a text that is meant as one and cannot be read, and for an option that is no number.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        listed = value if isinstance(value, (list, tuple)) else (value,)
        if not any(map(is_schedule, listed)) or not _is_float(cls, name):
            continue  # a text like any other, or what validation refuses
        try:
            read = tuple(parse_schedule(item) if is_schedule(item) else item for item in listed)
        except ValueError as error:
            path = (*where.split("."), name)
            origin = f" (from {origins[path]})" if path in origins else ""
            raise SettingsError(
                "A setting has a schedule that cannot be read.", where=f"{'.'.join(path)}: {error}{origin}"
            ) from error
        found[name] = read if isinstance(value, (list, tuple)) else read[0]
    return found


def _is_float(cls: type[Any], name: str) -> bool:
    """Whether an option is a floating-point number, optional or not, or a tuple of such."""
    kind = typing.get_type_hints(cls).get(name)
    return float in (kind, *typing.get_args(kind))


def _numbers(value: Any, end: Callable[[tuple[float, ...]], float]) -> Any:
    """A value with one of its numbers in place of each schedule."""
    if isinstance(value, tuple):
        return tuple(_numbers(item, end) for item in value)
    return end(value.values) if isinstance(value, Schedule) else value


def _texts(cls: type[Any]) -> set[str]:
    """The options that are lists of texts; their types may be strings or evaluated."""
    return {
        item.name for item in dataclasses.fields(cls) if item.type in ("tuple[str, ...]", tuple[str, ...])
    }


def unknown_option(path: Key, known: Iterable[str], origin: str) -> SettingsError:
    """The error for a path that no table has."""
    known = list(known)
    here = ".".join(path[:-1]) or "the settings"
    hint = suggest(path[-1], known) or f"{here} has: {', '.join(known)}"
    return SettingsError(f"There is no setting '{'.'.join(path)}'.", where=origin, fix=hint)


def plain(value: Any) -> Any:
    """A config value converted for TOML and JSON; tables lose their None entries."""
    if isinstance(value, Schedule):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({item.name: getattr(value, item.name) for item in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
