"""Plots of series: quantile bands and some lines, real ones beside generated ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 420, 220  # px of one panel
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 22, 20
MOST_COLUMNS, LINES = 4, 3
INK, FRAME = (60, 60, 60), (200, 200, 200)
REAL = ((214, 214, 214), (176, 176, 176), (70, 70, 70))  # 5-95 %, 25-75 %, lines
GENERATED = ((199, 224, 240), (133, 187, 221), (0, 90, 145))
BANDS = ((0.05, 0.95), (0.25, 0.75))


def bands(names: Sequence[str], samples: Floats, real: Floats | None) -> Image.Image:
    """A panel for each of the first columns of samples (N, T, C), beside one of real samples; NaN: no value.

    Bands hold 90 % and 50 % of the values at each step; lines are the first samples. The panels of a column
    have the same scale, that of the real samples where there are any.
    """
    parts = [("generated", samples, GENERATED)]
    if real is not None:
        parts.insert(0, ("real", real, REAL))
    shown = min(len(names), MOST_COLUMNS)
    plot = Image.new("RGB", (WIDTH * len(parts), HEIGHT * shown), "white")
    pen = ImageDraw.Draw(plot)
    for column in range(shown):
        limits = _limits((samples if real is None else real)[..., column])
        for at, (title, values, colours) in enumerate(parts):
            caption = f"{names[column]}, {title}"
            _panel(pen, (at * WIDTH, column * HEIGHT), values[..., column], limits, colours, caption)
    return plot


def _limits(values: Floats) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, [0.005, 0.995]) if len(finite) else (0.0, 1.0)
    slack = 0.1 * (high - low) or max(abs(high), 1.0) * 0.1
    return float(low - slack), float(high + slack)


def _panel(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    values: Floats,
    limits: tuple[float, float],
    colours: Sequence[tuple[int, int, int]],
    caption: str,
) -> None:
    """One column of samples (N, T) into the panel at this corner."""
    left, top = corner[0] + LEFT, corner[1] + TOP
    right, bottom = corner[0] + WIDTH - RIGHT, corner[1] + HEIGHT - BOTTOM
    low, high = limits
    # A column of pixels shows one step; long series would draw several into one.
    steps = np.unique(np.linspace(0, values.shape[1] - 1, min(values.shape[1], right - left)).astype(int))
    values = values[:, steps]
    x = left + (right - left) * (np.arange(len(steps)) / max(len(steps) - 1, 1))

    def y(heights: Floats) -> Floats:
        return np.clip(bottom - (bottom - top) * (heights - low) / (high - low), top, bottom)

    there = np.isfinite(values).any(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # steps at which no sample has a value
        for colour, quantiles in zip(colours, BANDS, strict=False):
            lower, upper = np.nanquantile(values, quantiles, axis=0)
            edge = [*zip(x[there], y(upper[there]), strict=True)]
            edge += [*zip(x[there][::-1], y(lower[there])[::-1], strict=True)]
            if len(edge) > 2:
                pen.polygon([(float(a), float(b)) for a, b in edge], fill=colour)
    for line in values[:LINES]:
        alive = np.isfinite(line)
        points = [(float(a), float(b)) for a, b in zip(x[alive], y(line[alive]), strict=True)]
        if len(points) > 1:
            pen.line(points, fill=colours[2], width=1)
    pen.rectangle((left, top, right, bottom), outline=FRAME)
    pen.text((left, corner[1] + 6), caption, fill=INK)
    for text, height in ((f"{high:.4g}", top), (f"{low:.4g}", bottom - 10)):
        pen.text((left - 4, height), text, fill=INK, anchor="ra")
    pen.text((right, bottom + 4), f"{steps[-1] + 1} steps", fill=INK, anchor="ra")
