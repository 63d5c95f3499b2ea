"""The watermark of pictures: found after usual changes, not found elsewhere, with the stated probability."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganzoo.images import sheet
from ganzoo.watermark import PERIOD, SURE, correlations, detect, detect_unscaled, luminance, pattern, tail
from ganzoo.watermark import _signs as signs_of

KEY = "a secret text"
Pixels = NDArray[np.uint8]


def scene(seed: int, height: int = 64, width: int = 64, channels: int = 3) -> Pixels:
    """Smooth colours, an edge, and some noise: (height, width, channels)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width][..., None] / 32.0
    waves = [random.normal(0, 40, channels) * np.sin(a * x + b * y) for a, b in random.normal(0, 2, (4, 2))]
    edge = 50.0 * (x + y > random.uniform(1, 3))
    noise = random.normal(0, 2, (height, width, channels))
    return np.clip(100.0 + sum(waves) + edge + noise, 0, 255).astype(np.uint8)


def mark(pixels: Pixels, strength: float = 4.0, key: str = KEY) -> Pixels:
    height, width, _ = pixels.shape
    rows, columns = np.arange(height) % PERIOD, np.arange(width) % PERIOD
    added = strength * pattern(key)[rows][:, columns, None]
    return np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)


def as_jpeg(pixels: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=70)
    return np.asarray(Image.open(file))


def resized(pixels: Pixels, factor: float) -> Pixels:
    height, width, _ = pixels.shape
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "none": lambda pixels: pixels,
    "JPEG": as_jpeg,
    "cropped": lambda pixels: pixels[5:62, 3:60],
    "smaller": lambda pixels: resized(pixels, 0.75),
    "larger": lambda pixels: resized(pixels, 1.3),
    "smaller and back": lambda pixels: resized(resized(pixels, 0.75), 64 / 48),
    "mirrored": lambda pixels: pixels[:, ::-1],
    "darker": lambda pixels: (0.8 * pixels).astype(np.uint8),
    "gray": lambda pixels: luminance(pixels).astype(np.uint8)[..., None],
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_survives_usual_changes(change: str) -> None:
    found = [detect(CHANGES[change](mark(scene(seed))), KEY) for seed in range(3)]
    assert all(item.found for item in found)


def test_sizes_are_recognised() -> None:
    assert detect(resized(mark(scene(0)), 1.5), KEY).enlarged == 1.5


def test_other_keys_and_other_pictures_are_not_found() -> None:
    for seed in range(4):
        assert not detect(scene(seed), KEY).found
        assert not detect(mark(scene(seed)), "another text").found
        assert detect_unscaled(mark(scene(seed)), KEY)
        assert not detect_unscaled(scene(seed), KEY)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_pictures_of_one_colour(value: int) -> None:
    flat = np.full((64, 80, 1), value, np.uint8)
    assert detect(flat, KEY).probability == 1.0
    assert detect(mark(flat), KEY).found


def test_a_grid_of_small_pictures_counts_as_a_whole() -> None:
    """Most are too small alone."""
    pictures = np.stack([mark(scene(seed, 16, 18), 1.0) for seed in range(30)])
    assert sum(detect_unscaled(pixels, KEY) for pixels in pictures) < 5
    assert detect(sheet(pictures, columns=7), KEY).found
    unmarked = np.stack([scene(seed, 16, 18) for seed in range(30)])
    assert not detect(sheet(unmarked, columns=7), KEY).found


@pytest.mark.parametrize("side", [1, 2, 8])
def test_tiny_pictures_are_no_error_and_no_find(side: int) -> None:
    tiny = mark(scene(0, side, side))
    assert detect(tiny, KEY).probability > SURE
    assert not detect_unscaled(tiny, KEY)


def test_correlations_are_weighted_sums_of_signs() -> None:
    """At a shift of one square down, by loops; the picture repeats nothing here."""
    picture, signs = luminance(scene(1))[None], signs_of(KEY)
    ones = np.ones_like(signs)
    weights = np.zeros((32, 32))
    for row in range(32):
        for column in range(32):
            one = np.zeros((32, 32))
            one[row, column] = 1.0
            weights[row, column] = correlations(picture, one)[0, 0, 0, 1, 0]
    assert np.square(weights).sum() == pytest.approx(1.0)
    assert correlations(picture, signs)[0, 0, 0, 1, 0] == pytest.approx((weights * signs).sum())
    assert correlations(picture, ones)[0, 0, 0, 0, 0] == pytest.approx(weights.sum())


def test_other_keys_give_a_variance_of_one() -> None:
    """The sum of the squares of weights over |w| is 1, whatever the picture."""
    picture = luminance(mark(scene(2)))[None]
    values = np.stack([correlations(picture, signs_of(f"key {at}")) for at in range(40)])
    assert np.square(values).mean() == pytest.approx(1.0, abs=0.02)
    assert values.mean() == pytest.approx(0.0, abs=0.02)
    # The stated bound on the tail holds, and is not far above it.
    for z in (2.0, 3.0):
        share = float((values > z).mean())
        assert share < tail(z, 1) < 6 * share


def test_the_bound_is_exact_where_it_is_tight() -> None:
    """The mean of two signs reaches sqrt 2 deviations in one of four cases (Bentkus and Dzindzalieta)."""
    assert tail(math.sqrt(2.0), 1) == pytest.approx(0.25)
    assert tail(5.0, 10) == pytest.approx(10 * tail(5.0, 1))
    assert tail(-1.0, 1) == 1.0


def test_a_pattern_is_that_of_its_key() -> None:
    first, again, other = pattern(KEY), pattern(KEY), pattern("another text")
    assert first.shape == (PERIOD, PERIOD)
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert np.array_equal(first, again)
    assert abs(float((first * other).mean())) < 0.15
    assert np.array_equal(first[::2], first[1::2])  # squares of 2 x 2 pixels
