"""Small pictures from large ones: an antialiased bicubic filter, or the degradation of Real-ESRGAN.

Wang et al. 2021 (Real-ESRGAN, arXiv:2107.10833), section 3 and appendix A: blur, resize, noise and JPEG,
applied twice, and a sinc filter that rings. Ranges and probabilities are those of the authors' options
(BSD-3). Everything is drawn from the given random stream, so each sample has its own seed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import fftconvolve
from scipy.special import j1

from ganzoo.api import PIXELS, Field

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
Random = np.random.Generator

SIZES = tuple(range(7, 22, 2))  # of kernels, in pixels
KERNELS = ("iso", "aniso", "generalised", "generalised-aniso", "plateau", "plateau-aniso")
SHARES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
SINC = 0.1  # probability of a sinc filter in place of a Gaussian kernel
LAST_SINC = 0.8
GRAY_NOISE = 0.4
GAUSSIAN_NOISE = 0.5
QUALITY = (30, 95)


@dataclass(frozen=True)
class Stage:
    """The ranges of one of the two rounds."""

    blurred: float
    sigma: tuple[float, float]
    shape: tuple[float, float]  # of generalised Gaussians
    plateau: tuple[float, float]
    larger: float
    smaller: float
    sizes: tuple[float, float]
    noise: tuple[float, float]  # of 255
    poisson: tuple[float, float]


FIRST = Stage(1.0, (0.2, 3.0), (0.5, 4.0), (1.0, 2.0), 0.2, 0.7, (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Stage(0.8, (0.2, 1.5), (0.5, 4.0), (1.0, 2.0), 0.3, 0.4, (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))


def degraded(high: Pixels, factor: int, kind: str, random: Random) -> Pixels:
    """The picture (channels, height, width) `factor` times smaller, by "bicubic" or "real"."""
    _, height, width = high.shape
    size = height // factor, width // factor
    if kind == "bicubic":
        return np.stack([bicubic(plane, size) for plane in high])
    values: Values = high.transpose(1, 2, 0).astype(np.float32) / np.float32(255)
    for at, stage in enumerate((FIRST, SECOND)):
        values = round_of(values, stage, (height, width), factor if at else 1, random)
        if at == 0:
            values = jpeg(values, random.uniform(*QUALITY))
    values = _finished(values, size, random)
    pixels: Pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return pixels.transpose(2, 0, 1)


@dataclass(frozen=True)
class Pair:
    """`ItemSource.draw`: a random square `b` of the field `picture`, and the smaller `a` made from it."""

    size: int
    factor: int
    kind: str

    def __call__(self, sample: Mapping[str, Pixels], random: Random) -> dict[str, Pixels]:
        """Both, from `picture` (channels, at least `size`, at least `size`)."""
        picture = sample["picture"]
        top, left = (int(random.integers(side - self.size + 1)) for side in picture.shape[1:])
        high = picture[:, top : top + self.size, left : left + self.size]
        return {"a": degraded(high, self.factor, self.kind, random), "b": np.ascontiguousarray(high)}


def pair_fields(
    channels: int, pair: Pair, side: int, facts: Mapping[str, Any] | None = None
) -> tuple[tuple[Field, Field], tuple[Field]]:
    """`fields` and `drawn_from` of an `ItemSource` whose pictures have `side` pixels.

    `facts` are those of the pictures, such as their ranges.
    """

    def field(name: str, size: int) -> Field:
        shape = (channels, size, size)
        return Field(
            name=name, shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0), facts=dict(facts or {})
        )

    small = pair.size // pair.factor
    return (field("a", small), field("b", pair.size)), (field("picture", side),)


def bicubic(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """A plane (height, width) in another size by Pillow's bicubic filter, antialiased."""
    return np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC))


def round_of(values: Values, stage: Stage, size: tuple[int, int], factor: int, random: Random) -> Values:
    """Blur, resize and noise of one round; (h, w, c) in 0..1. `size` is that of the original picture."""
    if random.random() < stage.blurred:
        values = filtered(values, blur_kernel(stage, random))
    kind = random.random()
    scale = 1.0
    if kind < stage.larger:
        scale = random.uniform(1, stage.sizes[1])
    elif kind < stage.larger + stage.smaller:
        scale = random.uniform(stage.sizes[0], 1)
    wanted = (max(1, round(size[0] / factor * scale)), max(1, round(size[1] / factor * scale)))
    return noisy(resized(values, wanted, random), stage, random)


def _finished(values: Values, size: tuple[int, int], random: Random) -> Values:
    """The last resize with a sinc filter, and JPEG, in either order (section 3.5)."""
    kernel = sinc_kernel(int(random.choice(SIZES)), random.uniform(math.pi / 3, math.pi))
    rings = random.random() < LAST_SINC
    quality = random.uniform(*QUALITY)
    first = random.random() < 0.5
    if not first:
        values = jpeg(values, quality)
    values = resized(values, size, random)
    values = filtered(values, kernel) if rings else values
    return jpeg(values, quality) if first else values


def blur_kernel(stage: Stage, random: Random) -> NDArray[np.float64]:
    """A random kernel of that round: a sinc filter, or one of six kinds of Gaussians (appendix A)."""
    size = int(random.choice(SIZES))
    if random.random() < SINC:
        lowest = math.pi / 3 if size < 13 else math.pi / 5
        return sinc_kernel(size, random.uniform(lowest, math.pi))
    kind = str(random.choice(KERNELS, p=SHARES))
    across = random.uniform(*stage.sigma)
    down, angle = across, 0.0
    if "aniso" in kind:
        down, angle = random.uniform(*stage.sigma), random.uniform(-math.pi, math.pi)
    beta = 1.0
    if kind.startswith(("generalised", "plateau")):
        low, high = stage.shape if kind.startswith("generalised") else stage.plateau
        # Half of the draws on either side of 1, as in the authors' code.
        beta = random.uniform(low, 1) if random.random() < 0.5 else random.uniform(1, high)
    return gaussian_kernel(size, (across, down), angle, beta, plateau=kind.startswith("plateau"))


def gaussian_kernel(
    size: int, sigma: tuple[float, float], angle: float = 0.0, beta: float = 1.0, *, plateau: bool = False
) -> NDArray[np.float64]:
    """A kernel (size, size) with the sum 1: exp(-q^beta / 2), or 1 / (1 + q^beta) with a plateau.

    q = x' S^-1 x with the covariance S of `sigma`, turned by `angle` (Real-ESRGAN, equations 2 to 4; Liu et
    al. 2020 for the last two). beta 1 is the Gaussian.
    """
    axis = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(axis, axis)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    q = ((u / sigma[0]) ** 2 + (v / sigma[1]) ** 2) ** beta
    return _normed(1 / (1 + q) if plateau else np.exp(-q / 2))


def sinc_kernel(size: int, cutoff: float) -> NDArray[np.float64]:
    """A low-pass filter (size, size) with the sum 1: w / (2 pi r) J1(w r), at 0 w^2 / (4 pi) (equation 6)."""
    axis = np.arange(size) - (size - 1) / 2
    r = np.hypot(*np.meshgrid(axis, axis))
    away = np.where(r == 0, 1, r)
    kernel = np.where(r == 0, cutoff**2 / (4 * math.pi), cutoff * j1(cutoff * away) / (2 * math.pi * away))
    return _normed(kernel)


def _normed(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = kernel / kernel.sum()
    return made


def filtered(values: Values, kernel: NDArray[np.float64]) -> Values:
    """Each channel of (h, w, c) convolved with the kernel; edges are reflected."""
    edge = len(kernel) // 2
    padded = np.pad(values, ((edge, edge), (edge, edge), (0, 0)), mode="reflect")
    made: Values = fftconvolve(padded, kernel[..., None].astype(np.float32), mode="valid", axes=(0, 1))
    return made


def resized(values: Values, size: tuple[int, int], random: Random) -> Values:
    """(h, w, c) in another size by a random filter: area, bilinear or bicubic.

    Bilinear and bicubic take single points, so that a smaller picture has aliasing, as in the authors' code.
    """
    kind = int(random.integers(3))
    if values.shape[:2] == size:
        return values
    planes = [Image.fromarray(np.ascontiguousarray(values[..., at])) for at in range(values.shape[2])]
    across, down = values.shape[1] / size[1], values.shape[0] / size[0]
    if kind == 0:
        made = [plane.resize(size[::-1], Image.Resampling.BOX) for plane in planes]
    else:
        method = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[kind - 1]
        affine = (across, 0.0, 0.0, 0.0, down, 0.0)
        # Pillow's transform leaves black what lies beyond the edge.
        padded = [_bordered(plane) for plane in planes]
        moved = (affine[0], 0.0, float(_BORDER), 0.0, affine[4], float(_BORDER))
        made = [plane.transform(size[::-1], Image.Transform.AFFINE, moved, method) for plane in padded]
    return np.stack([np.asarray(plane, np.float32) for plane in made], axis=-1)


_BORDER = 4


def _bordered(plane: Image.Image) -> Image.Image:
    return Image.fromarray(np.pad(np.asarray(plane), _BORDER, mode="edge"))


def noisy(values: Values, stage: Stage, random: Random) -> Values:
    """Gaussian or Poisson noise, of all channels together with the probability `GRAY_NOISE`."""
    gray = random.random() < GRAY_NOISE
    if random.random() < GAUSSIAN_NOISE:
        sigma = random.uniform(*stage.noise) / 255
        shape = (*values.shape[:2], 1) if gray else values.shape
        added = sigma * random.standard_normal(shape)
    else:
        source = np.rint(_luma(values) * 255).clip(0, 255) / 255 if gray else values.clip(0, 1)
        levels = 2 ** math.ceil(math.log2(max(2, len(np.unique(np.rint(source * 255))))))
        added = (random.poisson(source * levels) / levels - source) * random.uniform(*stage.poisson)
    return (values + added).clip(0, 1).astype(np.float32)


def _luma(values: Values) -> Values:
    if values.shape[2] == 1:
        return values
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return (values @ weights)[..., None]


def jpeg(values: Values, quality: float) -> Values:
    """The picture (h, w, 1 or 3) in 0..1 after JPEG of that quality."""
    pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=int(quality)
    )
    read: Values = np.asarray(Image.open(file), np.float32) / np.float32(255)
    return read[..., None] if read.ndim == 2 else read
