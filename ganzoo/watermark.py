"""An invisible watermark of pictures: the pattern of a key, and a detector that gets a picture and a key.

Spread spectrum, as in Cox, Kilian, Leighton and Shamoon 1997, "Secure spread spectrum watermarking for
multimedia", with the detector of Hartung and Girod 1998, "Watermarking of uncompressed and compressed
video": remove what the picture itself predicts, correlate the rest with the pattern. The pattern repeats
(Kalker et al. 1999, "A video watermarking system for broadcast monitoring"), so one FFT tries all shifts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PERIOD", "SURE", "Detection", "correlations", "detect", "detect_unscaled", "pattern", "tail"]

SURE = 1e-6
"""The largest probability of a false alarm at which a watermark counts as found."""

_CHIP = 2  # pixels: 1 does not survive JPEG, 3 has fewer signs in a small picture (measured)
_SIGNS = 32
PERIOD = _CHIP * _SIGNS
"""Pixels after which the pattern repeats, in both directions."""

_RESULTS = 2 * PERIOD**2  # of `correlations`
_NOISE = 2.0**2  # variance, in levels of 255: less is rounding
_SMALLEST, _LARGEST = 0.45, 4.0  # enlargements of the pictures that are tried
_USUAL = (0.5, 0.75, 1.5, 2.0, 3.0, 4.0)
_LEAST, _MOST = 16, 256  # pixels of a side at the original size: more does not help to find it
_GAP = 2  # white pixels between the pictures of a grid, see `ganzoo.images.sheet`
_DARK = 32.0  # levels below white that a gap may have on average, after JPEG

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """The best match of a pattern in a picture.

    `z` is the correlation in standard deviations of patterns of other keys. `probability` that such a key
    gives as much in this picture, at any of the shifts and sizes that were tried. `enlarged` is the size of
    the picture against the generator's.
    """

    z: float
    probability: float
    enlarged: float

    @property
    def found(self) -> bool:
        """Whether chance is excluded."""
        return self.probability <= SURE


def pattern(key: str) -> NDArray[np.float32]:
    """The pattern of a key, (PERIOD, PERIOD): -1 or 1 for each square of 2 x 2 pixels."""
    return _signs(key).repeat(_CHIP, 0).repeat(_CHIP, 1).astype(np.float32)


def detect(pixels: NDArray[np.uint8], key: str) -> Detection:
    """Look for the pattern of a key in a picture (height, width, channels), whole or a grid of pictures.

    Shifts, mirror images and sizes from 0.45 to 4 times the original are tried.
    """
    light, signs = luminance(pixels), _signs(key)
    best, enlarged, count = 0.0, 1.0, 0
    for pictures in (light[None], *_of_a_grid(light)):
        for scale in _scales(max(pictures.shape[1:])):
            count += 1
            z = float(correlations(_at(pictures, scale), signs).max())
            best, enlarged = max((best, enlarged), (z, scale))
    return Detection(z=best, probability=tail(best, count * _RESULTS), enlarged=enlarged)


def detect_unscaled(pixels: NDArray[np.uint8], key: str) -> bool:
    """Whether `detect` finds the pattern in a picture of the original size; quicker, and as strict."""
    light = luminance(pixels)
    count = sum(1 for _ in _scales(max(light.shape)))
    z = float(correlations(_at(light[None], 1.0), _signs(key)).max())
    return tail(z, count * _RESULTS) <= SURE


def correlations(pictures: Floats, signs: Floats) -> Floats:
    """Correlations of pictures (n, height, width) with the pattern and its mirror image, at all shifts.

    Each is a sum of the signs, weighted by numbers w that depend on the pictures alone, over |w|: of other
    keys it has the mean 0 and the variance 1. (2, 2, 2, 32, 32): mirrored, first y and x, shifts by squares.
    """
    sums = _folded(_residual(pictures))
    # (y, x) at which squares begin, then the squares.
    parts = sums.reshape(_SIGNS, _CHIP, _SIGNS, _CHIP).transpose(1, 3, 0, 2)
    norms = np.sqrt(np.square(parts).sum((2, 3), keepdims=True))
    spectrum = np.fft.rfft2(parts / np.maximum(norms, 1e-12))
    both = np.fft.rfft2(np.stack([signs, signs[:, ::-1]]))[:, None, None]
    found: Floats = np.fft.irfft2(spectrum * np.conj(both), (_SIGNS, _SIGNS))
    return found


def tail(z: float, count: int) -> float:
    """A bound on the probability that one of `count` sums of random signs reaches z.

    P(sum >= z |w|) <= Q(z) / (4 Q(sqrt 2)) for any weights w, with the normal tail Q (Bentkus and
    Dzindzalieta 2015, "A tight Gaussian bound for weighted sums of Rademacher random variables").
    """

    def q(value: float) -> float:
        return math.erfc(value / math.sqrt(2.0)) / 2.0

    return min(1.0, count * q(z) / (4.0 * q(math.sqrt(2.0))))


def luminance(pixels: NDArray[np.uint8]) -> Floats:
    """(height, width, channels) as (height, width), 0 to 255 (ITU-R BT.601, as in JPEG)."""
    if pixels.shape[2] < 3:
        return pixels[..., 0].astype(np.float64)
    weighted: Floats = pixels[..., :3] @ np.array([0.299, 0.587, 0.114])
    return weighted


def _signs(key: str) -> Floats:
    data = hashlib.shake_256(b"ganzoo watermark 1\n" + key.encode()).digest(_SIGNS**2 // 8)
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(_SIGNS, _SIGNS)
    return np.where(bits, 1.0, -1.0)


def _residual(pictures: Floats) -> Floats:
    """What neighbours do not predict, over its variance around: where that is large, it says little."""
    rest = pictures - _mean(pictures, 3)
    result: Floats = rest / (_mean(np.square(rest), 5) + _NOISE)
    return result


def _mean(values: Any, size: int) -> Any:
    """The mean over squares of an odd size; edges are repeated."""
    half = size // 2
    padded = np.pad(values, ((0, 0), (half, half), (half, half)), "edge")
    height, width = values.shape[1:]
    rows = np.add.reduce([padded[:, at : at + height] for at in range(size)])
    return np.add.reduce([rows[:, :, at : at + width] for at in range(size)]) / size**2


def _folded(rest: Floats) -> Floats:
    """Sums over squares that begin at each pixel, added up over the pictures and modulo the period."""
    _, height, width = rest.shape
    tall, wide = (-(-size // PERIOD) for size in (height, width))
    padded = np.pad(rest, ((0, 0), (0, 1), (0, 1)))
    rows = padded[:, :-1] + padded[:, 1:]
    squares = (rows[:, :, :-1] + rows[:, :, 1:]).sum(0)
    whole = np.pad(squares, ((0, tall * PERIOD - height), (0, wide * PERIOD - width)))
    result: Floats = whole.reshape(tall, PERIOD, wide, PERIOD).sum((0, 2))
    return result


def _scales(side: int) -> Iterator[float]:
    """Enlargements so close that squares at the edge are off by half their size at most, and usual ones."""
    yield 1.0  # also for the tiniest picture
    yield from (scale for scale in _USUAL if side / scale >= _LEAST)
    for up in (True, False):
        scale = 1.0
        while True:
            step = 1.0 + 2.0 * _CHIP / min(side / scale, _MOST)
            scale = scale * step if up else scale / step
            if not _SMALLEST <= scale <= _LARGEST or side / scale < _LEAST:
                break
            yield scale


def _at(pictures: Floats, scale: float) -> Floats:
    """The middle of pictures that are enlarged by `scale`, at the original size."""
    tall, wide = pictures.shape[1:]
    height, width = (max(1, min(int(size / scale), _MOST)) for size in (tall, wide))
    top, left = (int((size - count * scale) / 2) for size, count in ((tall, height), (wide, width)))
    if scale == 1.0:
        return pictures[:, top : top + height, left : left + width]
    box = (left, top, left + width * scale, top + height * scale)
    resized = [
        Image.fromarray(one.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC, box)
        for one in pictures
    ]
    return np.stack([np.asarray(one, np.float64) for one in resized])


def _of_a_grid(light: Floats) -> list[Floats]:
    """The pictures of a grid as `ganzoo generate` writes it, (n, height, width); nothing if it is none."""
    rows, columns = _count(light), _count(light.T)
    if rows * columns < 2:
        return []
    height, width = ((size - _GAP) // count for size, count in zip(light.shape, (rows, columns), strict=True))
    return [
        np.stack(
            [
                light[row * height + _GAP : (row + 1) * height, column * width + _GAP : (column + 1) * width]
                for row in range(rows)
                for column in range(columns)
            ]
        )
    ]


def _count(light: Floats) -> int:
    """How many rows of pictures a grid has, 0 if it is none: white lines at equal distances, and the most."""
    dark, total = 255.0 - light.mean(1), len(light) - _GAP
    found = []
    for count in range(1, total // (_LEAST + _GAP) + 1):
        if total % count == 0:
            lines = np.arange(count + 1)[:, None] * (total // count) + np.arange(_GAP)
            found.append((round(float(dark[lines].mean())), -count))
    least, count = min(found, default=(256, 0))
    return -count if least <= _DARK else 0
