"""What a file declares, and the shape and values that its image shall have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Fit = Literal["crop", "pad", "stretch"]
"""`crop` keeps the centre, `pad` adds a white border (transparent with 4 channels; of the lowest value where
values are not stored as pixels of 8 bits), `stretch` changes the aspect ratio."""

FITS: tuple[Fit, ...] = get_args(Fit)

ValueType = Literal["uint8", "uint16", "int16", "int32", "float32"]


@dataclass(frozen=True)
class ValueRange:
    """The type in which values are stored, and the interval to which they are clipped.

    `others`: (type, lowest, highest) of files with values of another type, whose range becomes `low`..`high`.
    Where it has "uint8", these are pixels, of which the range is 0..255.
    """

    dtype: ValueType
    low: float
    high: float
    others: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class ImageFrame:
    """The shape of every sample: pixels, channels, and how an image is fitted into it.

    `values` is None for pixels of 8 bits, with 1, 3 or 4 channels. `stacked`: the pages are the channels.
    """

    height: int
    width: int
    channels: int
    fit: Fit
    values: ValueRange | None = None
    stacked: bool = False


@dataclass(frozen=True)
class ImageHeader:
    """What the header of a file declares; height and width are those after EXIF rotation.

    `dtype` is the type of its values. `pages`: frames of an animation, pages, slices. `alpha`: pixels may
    be transparent. `window`: the lowest and the highest value to look at, if the file says them. `reduced`:
    the colours have more than 8 bits, but only 8 can be read. `profile`: it has a colour profile other than
    sRGB, to which its colours are converted.
    """

    height: int
    width: int
    gray: bool
    channels: int = 3
    dtype: str = "uint8"
    pages: int = 1
    alpha: bool = False
    window: tuple[float, float] | None = None
    reduced: bool = False
    profile: bool = False
