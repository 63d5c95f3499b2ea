"""Pictures of spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ganzoo.api import encode_image, grid
from ganzoo_sound.spectra import hann

Array = NDArray[Any]

HEIGHT, WIDTH = 64, 128  # pixels of a spectrogram at most
RANGE_DB = 70.0  # below the loudest point
LEFT = 110  # pixels for captions
COLOURS = ((0, 0, 4), (60, 15, 110), (150, 40, 110), (225, 85, 60), (250, 165, 30), (252, 255, 190))


def spectrogram_of(sounds: Array, rate: int) -> Array:
    """Sounds (n, C, T) -> (n, height, width) in 0..1: dB of the mean of the channels, low frequencies below.

    0 is 70 dB below the loudest point of the sheet.
    """
    waves = sounds.mean(1, dtype=np.float64)
    n_fft = 2 * HEIGHT
    hop = max(n_fft // 2, -(-waves.shape[1] // WIDTH))
    padded = np.pad(waves, ((0, 0), (0, n_fft - hop + -waves.shape[1] % hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    power = np.abs(np.fft.rfft(frames * hann(n_fft)))[..., :-1].swapaxes(1, 2)[:, ::-1]
    loudness = 20 * np.log10(power + 1e-5)
    made: Array = ((loudness - loudness.max()) / RANGE_DB + 1).clip(0, 1)
    return made


def coloured(shares: Array) -> NDArray[np.uint8]:
    """Values 0..1 (..., h, w) as RGB (..., h, w, 3), from black over red to yellow."""
    stops = np.linspace(0, 1, len(COLOURS))
    parts = [np.interp(shares, stops, [colour[at] for colour in COLOURS]) for at in range(3)]
    return np.rint(np.stack(parts, axis=-1)).astype(np.uint8)


def sheet_of(shares: Array, columns: int | None = None) -> bytes:
    """Spectrograms (n, h, w) in 0..1 as a PNG with so many in a row, by default about a square."""
    tiles = _tiles(shares)
    across = columns or max(1, round((len(tiles) * tiles.shape[1] / tiles.shape[2]) ** 0.5))
    return encode_image(grid(tiles, columns=min(across, len(tiles))), ".png")


def neighbours_of(rows: Sequence[Array]) -> bytes:
    """Samples, nearest training sounds, nearest held-out sounds, with captions."""
    drawn = grid(_tiles(np.concatenate(rows)), columns=len(rows[0]))
    sheet = Image.new("RGB", (LEFT + drawn.width, drawn.height), "white")
    sheet.paste(drawn, (LEFT, 0))
    pen = ImageDraw.Draw(sheet)
    for at, text in enumerate(("sample", "nearest\ntraining sound", "nearest\nheld-out sound")):
        pen.text((6, (at + 0.5) * drawn.height / len(rows) - 12), text, fill="black")
    return encode_image(sheet, ".png")


def _tiles(shares: Array) -> NDArray[np.uint8]:
    """Values 0..1 (n, h, w) in colours, with a white border at the right and below."""
    return np.pad(coloured(shares), ((0, 0), (0, 2), (0, 2), (0, 0)), constant_values=255)
