"""Fields of a batch, the facts about the data that an architecture may use, and sizes of feature maps.

Plugins import these names from `ganzoo.api`. Nothing here imports torch or numpy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from ganzoo.errors import DataError

WRITTEN = re.compile(r"(\D*)1(\D?)234(\D)5(\D*)", re.ASCII)
"""How a column writes 1234.5: before it, between thousands, the decimal sign, after it."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table, and how the values of a row (a float field) encode it.

    A category has the names of its `values`, each with an indicator in the row; the largest indicator is the
    chosen value. A number has an indicator for each of its modes, with means `centres`, and a value v in
    -1..1. The number is centre + 4 * width * v of its mode (Xu et al. 2019, CTGAN, section 4.2), clipped to
    `bounds` and rounded to `decimals`. With `blanks` a number may be missing: one more indicator, the last,
    says so. `written` is 1234.5 as the column has it in a file, such as `1.234,5 €`; empty means `1234.5`.
    ValueError for a column that is neither or both, and for a category with `blanks`.
    """

    name: str
    values: tuple[str, ...] = ()
    centres: tuple[float, ...] = ()
    widths: tuple[float, ...] = ()
    bounds: tuple[float, float] = (0.0, 0.0)
    decimals: int = 0
    blanks: bool = False
    written: str = ""

    def __post_init__(self) -> None:
        numbers = (*self.centres, *self.widths, *self.bounds)
        valid = len(self.centres) == len(self.widths) and len(self.bounds) == 2 and self.decimals in range(21)
        valid = valid and isinstance(self.decimals, int) and isinstance(self.blanks, bool)
        valid = valid and bool(self.centres) >= self.blanks and isinstance(self.written, str)
        valid = valid and (not self.written or bool(WRITTEN.fullmatch(self.written)))
        if bool(self.values) == bool(self.centres) or not valid or not all(map(math.isfinite, numbers)):
            raise ValueError(f"the column '{self.name}' is neither a category nor a number")
        named = isinstance(self.values, tuple)
        if not (named and all(isinstance(text, str) for text in (self.name, *self.values))):
            raise ValueError("the names of columns and of their values must be text")

    @property
    def indicators(self) -> int:
        """The number of values of a row that indicate the category, the mode, or a blank."""
        return len(self.values or self.centres) + self.blanks


class Place(NamedTuple):
    """Where a column is in a row: indicators `start:stop`; the index `value` of a number's value, else -1."""

    start: int
    stop: int
    value: int


def places(columns: Sequence[Column]) -> list[Place]:
    """The place of each column in a row.

    A row has the indicators of all categories, then the indicators of all numbers, then the numbers' values.
    So the k-th value of a row indicates the k-th of all categories.
    """
    order = sorted(range(len(columns)), key=lambda at: not columns[at].values)
    value = sum(column.indicators for column in columns)
    found, start = {}, 0
    for at in order:
        stop = start + columns[at].indicators
        found[at] = Place(start, stop, -1 if columns[at].values else value)
        value += not columns[at].values
        start = stop
    return [found[at] for at in range(len(columns))]


PIXELS = ("channel", "height", "width")
"""The axes of pixels."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One named entry of a batch, declared once for data check, sampler, ONNX and runtime.

    `shape` is that of one sample, without the batch: `(3, 64, 64)` for an RGB image
    (channels, height, width), `()` for a label. `source` says where the values come from: the data set, a
    random draw (`normal` is N(0, 1); `uniform` is U(-1, 1), or for int64 each class with equal probability),
    or a constant. A `constant` float field always is `default` in training; for sampling the caller may give
    another value. `range` is the closed interval of the values of a float field; `None` means unbounded.
    `classes` names the values of an int64 label field, in order; `shares` are the relative frequencies of the
    classes when labels are drawn, all equal when empty. `columns` describes the table that the rows of a
    float field encode, see `places`.

    `kind` is what a sample is (image, sound, series ...): the name of a media record, which previews,
    writes, reads and compares such samples. Empty means a plain array. `facts` are the kind's own, as JSON: a
    sampling rate, frames a second, a vocabulary, units. `original` is the interval of the data's own values
    that `range` stands for, (0, 4095) for 12-bit images: generated samples are written back in it.

    `axes` names the dimensions of `shape`. An axis in `free` has any size at inference. `free` maps its name
    to a multiple m: the possible sizes are m, 2m, 3m ... Axes of one name in different fields have the same
    number of steps: with 16 steps an input with ("height": 1) is 16 high, an output with ("height": 4) is 64.
    `shape` holds the sizes in training.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: Literal["float32", "int64"] = "float32"
    source: Literal["data", "normal", "uniform", "constant"] = "data"
    range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    default: float = 0.0
    shares: tuple[float, ...] = ()
    columns: tuple[Column, ...] = ()
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    original: tuple[float, float] | None = None
    axes: tuple[str, ...] = ()
    free: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.default, int | float) and math.isfinite(self.default)):
            raise ValueError(f"the default of '{self.name}' is not a finite number")
        if self.range is not None and not (self.range[0] < self.range[1] and math.isfinite(sum(self.range))):
            raise ValueError(f"the range of '{self.name}' is not an interval of finite numbers")
        if self.shares and (len(self.shares) != len(self.classes) or not 0 < sum(self.shares) < math.inf):
            raise ValueError(f"the shares of '{self.name}' must be one number for each class")
        if any(share < 0 for share in self.shares):
            raise ValueError(f"'{self.name}' has a share below 0")
        if len({column.name for column in self.columns}) < len(self.columns):
            raise ValueError(f"'{self.name}' has two columns of the same name")
        self._check_kind()
        self._check_axes()

    def _check_kind(self) -> None:
        if not isinstance(self.kind, str) or not all(isinstance(key, str) for key in self.facts):
            raise ValueError(f"the kind of '{self.name}' and the names of its facts are text")
        if self.original is not None:
            low, high = self.original
            if self.range is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"the original values of '{self.name}' are an interval, and need a range")

    def _check_axes(self) -> None:
        if self.axes and (len(self.axes) != len(self.shape) or len(set(self.axes)) < len(self.axes)):
            raise ValueError(f"'{self.name}' has the axes {self.axes}, its shape is {self.shape}")
        for axis, multiple in self.free.items():
            if axis not in self.axes or not isinstance(multiple, int) or multiple < 1:
                raise ValueError(f"the free axis '{axis}' of '{self.name}' is no axis, or has no multiple")
            size = self.shape[self.axes.index(axis)]
            if size % multiple:
                raise ValueError(f"the axis '{axis}' of '{self.name}' has size {size}, not {multiple} * n")

    def check_columns(self) -> None:
        """Raise ValueError unless the columns together have as many values as a row."""
        size = sum(column.indicators + bool(column.centres) for column in self.columns)
        if self.columns and self.shape != (size,):
            raise ValueError(f"the columns of '{self.name}' fill {size} values, its shape is {self.shape}")

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The shape with None for each free axis."""
        axes = self.axes or ("",) * len(self.shape)
        return tuple(None if axis in self.free else size for axis, size in zip(axes, self.shape, strict=True))

    @property
    def has_pixels(self) -> bool:
        """Whether a sample is channel x height x width with 1, 3 or 4 channels, and so fits uint8 pixels."""
        return self.axes == PIXELS and self.dtype == "float32" and self.shape[0] in (1, 3, 4)

    @property
    def is_image(self) -> bool:
        """Deprecated, gone in 0.3: whether the shape is that of an image of 1, 3 or 4 channels."""
        return self.dtype == "float32" and len(self.shape) == 3 and self.shape[0] in (1, 3, 4)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_json` is its inverse."""
        raw = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.source != "constant":
            del raw["default"]
        # Files of earlier versions do not have these keys either.
        newer = ("shares", "columns", "kind", "facts", "original", "axes", "free")
        raw["columns"] = [
            {key: value for key, value in column.items() if value or key not in ("blanks", "written")}
            for column in raw["columns"]
        ]
        return {key: value for key, value in raw.items() if value or key not in newer}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Field:
        """The inverse of `to_json`; ValueError or TypeError for anything that it never writes."""
        values, listed = _tuples(raw), raw.get("columns", ())
        if not isinstance(listed, (list, tuple)) or not all(isinstance(item, Mapping) for item in listed):
            raise ValueError("columns must be a list of records")
        columns = tuple(Column(**_tuples(item)) for item in listed)
        made = cls(**{**values, "columns": columns})
        made.check_columns()
        return made


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """The facts about the data that an architecture may use: its fields and the number of samples."""

    fields: tuple[Field, ...]
    count: int

    def __contains__(self, name: str) -> bool:
        return any(item.name == name for item in self.fields)

    def field(self, name: str) -> Field:
        """The field of that name; DataError when the data has none."""
        for item in self.fields:
            if item.name == name:
                return item
        have = ", ".join(item.name for item in self.fields)
        raise DataError(f"The data has no field '{name}'.", where=f"its fields are: {have}")

    def __str__(self) -> str:
        """`64x64x3, 3,391 samples`: the shapes of its float fields, images channels last, and the count."""
        shapes = []
        for item in self.fields:
            if item.dtype == "float32":
                last = item.axes[-2:] == PIXELS[-2:]
                shapes.append("x".join(map(str, (*item.shape[last:], *item.shape[:last]))))
        return ", ".join([*shapes, f"{self.count:,} samples"])

    @property
    def signal(self) -> Field:
        """The only float field, for architectures that generate data of any kind; DataError otherwise."""
        floats = [item for item in self.fields if item.dtype == "float32"]
        if len(floats) != 1:
            names = ", ".join(item.name for item in floats) or "none"
            raise DataError(f"Exactly one float field is needed, the data has: {names}.")
        return floats[0]

    def image(self, *, smallest: int = 1, otherwise: str = "") -> Field:
        """The field `image`, for networks that need images of at least `smallest` pixels per side.

        DataError when the field is smaller or not a float field of channels x height x width. `otherwise`
        names an architecture that accepts any shape, for the error message.
        """
        image = self.field("image")
        instead = f"the architecture '{otherwise}' accepts any" if otherwise else ""
        if image.dtype != "float32" or len(image.shape) != 3:
            raise DataError(
                "This architecture needs images: channels x height x width.",
                where=f"the field 'image' is {image.dtype} of the shape {image.shape}",
                fix=f"{instead} shape" if instead else "choose other data with --data",
            )
        _, height, width = image.shape
        if min(height, width) < smallest:
            raise DataError(
                f"This architecture needs images of at least {smallest}x{smallest} pixels.",
                where=f"the field 'image' has {height}x{width}",
                fix=f"{instead} size; or enlarge the images" if instead else "enlarge the images",
            )
        return image


def halvings(height: int, width: int, *, smallest: int = 4) -> int:
    """How often an image can be halved until its shorter side would be less than `smallest` pixels.

    64 -> 4, 32 -> 3, 28 -> 2 (28, 14, 7). A generator starts from ceil(side / 2**halvings) pixels
    and crops the surplus, so any size works.
    """
    count = 0
    while min(height, width) >> (count + 1) >= smallest:
        count += 1
    return count


def map_sizes(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Sizes of the feature maps, largest first: ceil(side / 2**k) for k = 0..stages."""
    return [(-(-height // 2**k), -(-width // 2**k)) for k in range(stages + 1)]


def with_pixels(item: Field) -> Field:
    """The field with the axes of pixels if it has their shape, for files that say neither kind nor axes."""
    return (
        replace(item, axes=PIXELS)
        if item.source == "data" and item.is_image and not (item.kind or item.axes)
        else item
    )


def steps_of(fields: Iterable[Field]) -> dict[str, int]:
    """How many steps each free axis of these fields has in training; ValueError where two fields differ."""
    found: dict[str, int] = {}
    for item in fields:
        for axis, multiple in item.free.items():
            steps = item.shape[item.axes.index(axis)] // multiple
            if found.setdefault(axis, steps) != steps:
                raise ValueError(f"the axis '{axis}' has {found[axis]} steps, but {steps} in '{item.name}'")
    return found


def multiples_of(fields: Iterable[Field]) -> dict[str, int]:
    """The free axes, each with its multiple in the first of these fields that has it."""
    found: dict[str, int] = {}
    for item in fields:
        for axis in item.axes:
            if axis in item.free:
                found.setdefault(axis, item.free[axis])
    return found


def resized(item: Field, steps: Mapping[str, int]) -> Field:
    """The field with its free axes at so many steps; axes that `steps` does not name keep their size."""
    sizes = {axis: multiple * steps[axis] for axis, multiple in item.free.items() if axis in steps}
    if not sizes:
        return item
    shape = tuple(sizes.get(axis, size) for axis, size in zip(item.axes, item.shape, strict=True))
    return replace(item, shape=shape)
