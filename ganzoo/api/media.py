"""What ganzoo can do with samples of one kind: preview, write, read and compare them.

Part of `ganzoo.api`. Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.fields import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARRAY = "array"
"""The kind of samples that no other media record knows."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A file that shows samples: its ending (`.png`) and its content.

    `also`: more files that show them in another way, such as a sound beside its spectrogram. All have
    different endings.
    """

    suffix: str
    data: bytes
    also: tuple[Preview, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """The content of all files by ending."""
        return {self.suffix: self.data, **{more.suffix: more.data for more in self.also}}


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """How a page of `ganzoo page` shows samples: the `name` of one of its viewers, and its options, as JSON.

    `values` shows numbers of any shape. `pixels` shows (channel, height, width) or (height, width), with the
    values `range` as black and white if that is not the field's; `upwards` turns them over. `frames` shows
    (channel, time, height, width), `rate` a second, `slices` (channel, depth, height, width). `sound` plays
    (channel, time) at `rate` Hz. `lines` draws (time, channel): `names` of channels, and for each the
    `offsets` and `factors` from the field's values to those that are shown. `table` shows the field's
    `columns`. `points` draws one or two numbers. `symbols` writes (place, symbol): texts of the `symbols`,
    with `join` between two.
    """

    name: str = "values"
    options: Mapping[str, Any] = field(default_factory=dict)


class Media:
    """What can be done with samples of a kind. This class knows arrays only; a subclass replaces what it can.

    `suffixes`: the files that `ganzoo generate -o` may write, the usual one first; `.npz` always works.
    `reads`: the files that `--input` may read, besides `.npy`. `noun` and `nouns` name samples in messages.
    `count`: how many samples a preview needs; 0 means as many as `train.samples`. `most`: how many samples
    one file may hold; None means any number. `same_facts`: the facts that two fields must have in common for
    their samples to be compared, such as a vocabulary. `others`: `write` takes the argument `others`, the
    other fields that the generator wrote, sample by sample. `walks`: whether a preview shows each sample in a
    still picture, so that `ganzoo generate --walk` may animate previews. `few`: a note names fewer training
    samples than this.

    Samples are (n, *field.shape), as floats in the range of the field, as integers (see `as_floats`), or as
    uint8 (n, height, width, channels) from a file exported with `--uint8`.
    """

    suffixes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    noun: str = "sample"
    nouns: str = "samples"
    count: int = 0
    most: int | None = None
    same_facts: tuple[str, ...] = ()
    others: bool = False
    walks: bool = True
    few: int = 50  # FastGAN (Liu 2021) begins at 60, with a network made for it

    def axes(self, ndim: int) -> tuple[str, ...]:
        """The names of the axes of a sample with so many dimensions; () if they have no usual names."""
        return ()

    def claims(self, field: Field) -> bool:
        """Whether a field of a version-1 plugin, or of a file that says no kind, is of this kind."""
        return False

    def check(self, field: Field) -> None:
        """ValueError when the field cannot be of this kind."""

    def describe(self, field: Field) -> str:
        """A sample in a few words: `3 x 64 x 64`."""
        return " x ".join(map(str, field.shape)) or "one number"

    def preview(
        self,
        field: Field,
        samples: NDArray[Any],
        *,
        real: NDArray[Any] | None = None,
        beside: Sequence[tuple[Field, NDArray[Any]]] = (),
        columns: int | None = None,
    ) -> Preview | None:
        """A small file that shows the samples; None if there is no good way.

        `beside`: fields of this kind that the generator made the samples from, sample by sample; `real` then
        are the targets. Without `beside`, `real` are any real samples. `columns`: the number of classes, if
        sample i has the class i modulo `columns`.
        """
        return None

    def viewer(self, field: Field) -> Viewer:
        """How a page shows samples."""
        return Viewer()

    def neighbours(
        self, field: Field, sample: NDArray[Any], training: NDArray[Any], real: NDArray[Any]
    ) -> Preview | None:
        """Samples with the nearest training sample and the nearest held-out sample of each.

        All are as `metric_values` returns them. The first half are the first samples; the second half are the
        samples that are nearest to a training sample.
        """
        return None

    def write(
        self,
        field: Field,
        samples: NDArray[Any],
        path: Path,
        *,
        columns: int | None = None,
        beside: Sequence[tuple[Field, NDArray[Any]]] = (),
        single: bool = False,
    ) -> list[Path]:
        """Write the samples to a file with one of the `suffixes`; returns the files that it wrote.

        One file, or files with numbers at the ends of their names. `columns`: samples in a row, where samples
        are laid out. `beside`: see `preview`. `single`: one sample, as it is.
        """
        raise NotImplementedError

    def accepts(self, path: Path) -> bool:
        """Whether a file of a folder is an input: by its ending."""
        return path.name.lower().endswith(tuple(self.reads))

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> NDArray[Any]:
        """The samples of one file, (n, *shape). ValueError or OSError if it cannot be read.

        `options` are those of the training data, as far as the bundle has them.
        """
        raise NotImplementedError

    def changes(self, field: Field, path: Path, options: Mapping[str, Any]) -> str:
        """What `read` changes of a file, in a few words for the user; empty if nothing that matters."""
        return ""

    def kept(self, field: Field, path: Path, options: Mapping[str, Any]) -> Any:
        """What a file has beyond the values of `read`, for `write` to put into a result of the same kind.

        Such as transparency, a colour profile, a depth. `write` then gets it as `kept=`. None if there is
        nothing.
        """
        return None

    def extractable(self, field: Field) -> bool:
        """Whether extractors can take samples of this field. Otherwise values are compared."""
        return True

    def metric_values(
        self, field: Field, samples: NDArray[Any], excluded: Collection[str] = ()
    ) -> NDArray[Any]:
        """Samples in the form that extractors and metrics take: float32 (n, *shape) in the field's range.

        `excluded` names columns of a table that are not compared.
        """
        return as_floats(field, samples)

    def corruptions(
        self, field: Field, values: NDArray[Any], random: np.random.Generator
    ) -> Mapping[str, Callable[[], NDArray[Any]]]:
        """Ways to make samples worse, by name, for rows that scores are compared with.

        `values` are as from `metric_values`, and so are the results.
        """
        import numpy as np

        def noisy() -> NDArray[Any]:
            noise = 0.5 * values.std(0) * random.standard_normal(values.shape)
            changed: NDArray[Any] = values + noise.astype(np.float32)
            return changed

        return {"noisy": noisy}


def stored_span(field: Field, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The integers of that type that stand for the ends of the field's range."""
    import numpy as np

    return field.original or (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))


def holds_indices(field: Field, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether an array holds, of each one-hot vector along the field's last axis, the index of its 1.

    `shape` is that of a sample in the array. So a text of 32 of 5,000 symbols takes 64 bytes, not 160,000.
    """
    return field.range is not None and dtype.kind in "iu" and shape == field.shape[:-1] != field.shape


def as_floats(field: Field, values: NDArray[Any]) -> NDArray[np.float32]:
    """Values of a field as float32 in its range.

    Integers of a float field with a range are mapped: its `original` values, or all values of the integer
    type, become the range. Indices (see `ArraySource`) become one-hot vectors: the end of the range at the
    index, its beginning elsewhere. Other values do not change.
    """
    import numpy as np

    if field.range is not None and holds_indices(field, values.shape[1:], values.dtype):
        low, high = field.range
        chosen = values[..., None] == np.arange(field.shape[-1])
        return np.where(chosen, np.float32(high), np.float32(low))
    if field.dtype != "float32" or field.range is None or values.dtype.kind not in "iu":
        return values.astype(np.float32)
    (low, high), (first, last) = field.range, stored_span(field, values.dtype)
    scaled = (values.astype(np.float32) - np.float32((first + last) / 2)) * np.float32(
        (high - low) / (last - first)
    )
    result: NDArray[np.float32] = scaled + np.float32((low + high) / 2)
    return result
