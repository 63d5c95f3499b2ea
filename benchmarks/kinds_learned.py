"""How much the toys of `ganzoo plugin new --kind` learned: a few numbers for samples, and for real ones.

Each function takes samples (n, *shape) in the range of the field. The formulas know how the data of the
templates is made, so they are of no use for other data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]


def image(samples: Samples, facts: Mapping[str, Any]) -> dict[str, float]:
    """Waves: the share of an image's variance that the best single wave explains, and directions in use."""
    side = samples.shape[-1]
    y, x = (axis.ravel() for axis in np.mgrid[0:side, 0:side])
    waves = [
        2 * np.pi * (x * np.cos(turn * np.pi / 4) + y * np.sin(turn * np.pi / 4)) / length
        for turn in range(4)
        for length in np.linspace(4, 12, 41)
    ]
    shares = _explained(samples.reshape(len(samples), -1), waves)
    best = shares.argmax(1) // 41
    return {
        "explained": float(np.median(shares.max(1))),
        "rarest direction": float(np.bincount(best, minlength=4).min() / len(best)),
    }


def series(samples: Samples, facts: Mapping[str, Any]) -> dict[str, float]:
    """Waves: the share of the first channel that the best wave explains, and the spread of its length."""
    lengths = np.linspace(6, 28, 111)
    waves = [2 * np.pi * np.arange(samples.shape[1]) / length for length in lengths]
    shares = _explained(samples[:, :, 0], waves)
    found = lengths[shares.argmax(1)]
    low, high = np.quantile(found, [0.1, 0.9])
    return {
        "explained": float(np.median(shares.max(1))),
        "10 % below": float(low),
        "90 % below": float(high),
    }


def sound(samples: Samples, facts: Mapping[str, Any]) -> dict[str, float]:
    """Chimes: the share of the energy within 40 Hz of a note (random noise has 0.08), and of each note."""
    spectrum = np.abs(np.fft.rfft(samples[:, 0])) ** 2
    pitch = np.fft.rfftfreq(samples.shape[-1], 1 / facts["rate"])
    notes = (523.25, 659.26, 783.99, 1046.5)
    shares = [float(spectrum[:, np.abs(pitch - note) < 40].sum() / spectrum.sum()) for note in notes]
    return {"at the notes": sum(shares), "weakest note": min(shares)}


def tokens(samples: Samples, facts: Mapping[str, Any]) -> dict[str, float]:
    """Sentences: the share that is one of the 48 sentences of the data, and how many of these occur."""
    subjects = [f"{article} {animal}" for article in ("the", "a", "one") for animal in _ANIMALS]
    known = {f"{subject} {verb}" for subject in subjects for verb in ("eats", "runs", "sleeps", "sits")}
    texts = ["".join(facts["vocabulary"][i] for i in row).rstrip() for row in samples.argmax(-1)]
    right = [text for text in texts if text in known]
    return {"right": len(right) / len(texts), "different": float(len(set(right)))}


_ANIMALS = ("cat", "dog", "bird", "fish")


def clips(samples: Samples, facts: Mapping[str, Any]) -> dict[str, float]:
    """Dots: the brightest pixel of a frame, the light in 3 px around it, and how far it moves in px."""
    light = (samples[:, 0] + 1) / 2
    side = light.shape[-1]
    flat = light.reshape(*light.shape[:2], -1)
    top = flat.argmax(-1)
    y, x = top // side, top % side
    down, across = np.mgrid[0:side, 0:side]
    near = (down - y[..., None, None]) ** 2 + (across - x[..., None, None]) ** 2 <= 9
    moved = np.hypot(y[:, -1] - y[:, 0], x[:, -1] - x[:, 0])
    return {
        "brightest": float(flat.max(-1).mean()),
        "in one place": float((light * near).sum() / light.sum()),
        "moves": float(moved.mean()),
    }


MEASURES: dict[str, Callable[[Samples, Mapping[str, Any]], dict[str, float]]] = {
    "clips": clips,
    "image": image,
    "series": series,
    "sound": sound,
    "tokens": tokens,
}


def _explained(samples: Samples, waves: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """(n, len(waves)): the share of each sample's energy in the best sine of that wave, of any phase."""
    columns = []
    for wave in waves:
        basis, _ = np.linalg.qr(np.stack([np.sin(wave), np.cos(wave)], axis=1))
        columns.append(((samples @ basis) ** 2).sum(1) / (samples**2).sum(1))
    return np.stack(columns, axis=1)
