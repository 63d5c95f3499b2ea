"""The pattern of a key as the last step of a generator of pictures, as weak as its own samples allow.

`ganzoo.watermark` has the pattern and finds it. Here a module adds it, so that all checks of an export
compare the graph with it, and every runtime writes marked pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ganzoo import sampling
from ganzoo.api.networks import Net
from ganzoo.errors import ExportError
from ganzoo.exporting.onnx_graph import example_inputs, frozen_copy
from ganzoo.fields import Field
from ganzoo.images import to_uint8
from ganzoo.util.provenance import MARKED
from ganzoo.watermark import PERIOD, detect_unscaled, pattern

__all__ = ["LEAST_FOUND", "Mark", "as_jpeg", "check_pictures", "cropped", "marked", "weakest"]

AS_THEY_ARE = "as they are"

STRENGTHS = (1.0, 2.0, 3.0, 4.0)
"""Levels of 255 that the pattern adds or takes: 48 to 36 dB."""

_UNMEASURED = 3.0  # where the samples depend on what a user gives

LEAST_FOUND = 0.95
"""Share of samples that are found, for the weakest strength with which they are after each change."""

_SAMPLES, _AT_ONCE = 64, 8


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How strong the pattern is, and the share of `samples` in which it is found, by what changed them.

    `strength` in levels of 255. `psnr` in decibels, of the pattern: samples that are clipped at black and
    white change less. Without samples for measuring, `found` is empty and `samples` is 0.
    """

    strength: float
    psnr: float
    found: Mapping[str, float]
    samples: int

    @property
    def lost_by(self) -> str:
        """The changes after which too few samples are found, in words; empty if there are none."""
        return ", ".join(what for what, share in self.found.items() if share < LEAST_FOUND)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)


def check_pictures(outputs: Iterable[Field]) -> None:
    """ExportError unless there are pictures among the outputs, and all of them have a range."""
    pictures = [field for field in outputs if field.has_pixels]
    if not pictures:
        raise ExportError(
            "A watermark was requested, but the generators write no picture of 1, 3 or 4 channels.",
            fix="export without --watermark; `ganzoo generate` still puts a note into "
            f"{', '.join(MARKED[:-1])} and {MARKED[-1]} files",
        )
    for field in pictures:
        if field.range is None:
            raise ExportError(
                f"The picture '{field.name}' has no declared range: it cannot get a watermark.",
                fix="declare the range of the field, or export without --watermark",
            )


def marked(
    net: Net, inputs: Sequence[Field], outputs: Sequence[Field], key: str, strength: float | None = None
) -> tuple[Net, Mark]:
    """The generator with the pattern of `key` in all of its pictures, and how well it is found.

    Without a `strength`, the `weakest` that is good enough.
    The outputs must have passed `check_pictures`. ExportError where the pictures are too small to find it.
    """
    mark = _measured(net.module, inputs, outputs, key, strength)
    return replace(net, module=Marked(net.module, outputs, key, mark.strength)), mark


class Marked(nn.Module):
    """A generator whose pictures get the pattern, in all colours, but not in their opacity."""

    def __init__(self, module: nn.Module, outputs: Sequence[Field], key: str, strength: float) -> None:
        super().__init__()
        self.module, self._outputs = module, tuple(outputs)
        tile = torch.from_numpy(pattern(key))
        for field in outputs:
            if field.has_pixels and field.range is not None:
                channels, height, width = field.shape
                levels = strength * (field.range[1] - field.range[0]) / 255.0
                shown = torch.ones(1 if channels != 4 else 4, 1, 1)
                shown[3:] = 0.0
                added = (levels * shown * tile)[None]
                if not field.free:
                    added = _repeated(added, height, width)
                self.register_buffer(f"pattern_of_{field.name}", added)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, ...) of each input -> (N, ...) of each output."""
        return tuple(
            self.with_pattern(field, part)
            for field, part in zip(self._outputs, _parts(self.module(*inputs)), strict=True)
        )

    def with_pattern(self, field: Field, values: Tensor) -> Tensor:
        """(N, ...) of an output of the generator -> the same with the pattern, if it is a picture."""
        if not field.has_pixels or field.range is None:
            return values
        added = self.get_buffer(f"pattern_of_{field.name}")
        if field.free:
            added = _repeated(added, values.shape[2], values.shape[3])
        return torch.clamp(values + added, *field.range)


def _parts(made: Any) -> Sequence[Tensor]:
    return made if isinstance(made, (tuple, list)) else (made,)


def _repeated(tile: Tensor, height: int, width: int) -> Tensor:
    """(1, C, PERIOD, PERIOD) -> (1, C, height, width)."""
    down, across = ((size + PERIOD - 1) // PERIOD for size in (height, width))
    return tile.repeat(1, 1, down, across)[:, :, :height, :width]


def _measured(
    module: nn.Module, inputs: Sequence[Field], outputs: Sequence[Field], key: str, given: float | None
) -> Mark:
    if not all(sampling.can_draw(field) for field in inputs):
        chosen = given or _UNMEASURED
        return Mark(strength=chosen, psnr=_psnr(chosen), found={}, samples=0)
    rows = [
        torch.split(torch.from_numpy(values), _AT_ONCE)
        for values in example_inputs(inputs, _SAMPLES).values()
    ]
    plain = frozen_copy(module)
    with torch.no_grad():
        made = [_parts(plain(*some)) for some in zip(*rows, strict=True)]

    def make(strength: float) -> list[NDArray[np.uint8]]:
        with_pattern = Marked(plain, outputs, key, strength).with_pattern
        return [
            np.concatenate([to_uint8(with_pattern(field, parts[at]).numpy(), field.range) for parts in made])
            for at, field in enumerate(outputs)
            if field.has_pixels and field.range
        ]

    strength, found = weakest(make, key, (given,) if given else STRENGTHS)
    if found[AS_THEY_ARE] < LEAST_FOUND:
        sizes = ", ".join(f"{field.shape[2]} x {field.shape[1]}" for field in outputs if field.has_pixels)
        raise ExportError(
            f"The watermark would be found in {found[AS_THEY_ARE]:.0%} of the pictures only: "
            f"{sizes} pixels are too few, or they are too busy or too white or black.",
            fix="export without --watermark, or train with larger pictures: from 64 x 64 on most have room",
        )
    return Mark(strength=strength, psnr=_psnr(strength), found=found, samples=_SAMPLES)


def weakest(
    make: Callable[[float], Sequence[NDArray[np.uint8]]], key: str, strengths: Sequence[float] = STRENGTHS
) -> tuple[float, dict[str, float]]:
    """The first strength with which nearly all pictures are found, changed or not, else the last; the shares.

    `make` returns marked pictures of a strength, (n, height, width, channels) of each kind.
    """
    for strength in strengths:
        shares = [_found(pictures, key) for pictures in make(strength)]
        found = {what: min(share[what] for share in shares) for what in CHANGES}
        if min(found.values()) >= LEAST_FOUND:
            break
    return strength, found


def _psnr(strength: float) -> float:
    """Decibels of the unclipped pattern; clipped at black and white it changes less."""
    return float(20.0 * np.log10(255.0 / strength))


def _found(pictures: NDArray[np.uint8], key: str) -> dict[str, float]:
    return {
        what: sum(detect_unscaled(change(pixels), key) for pixels in pictures) / len(pictures)
        for what, change in CHANGES.items()
    }


def as_jpeg(pixels: NDArray[np.uint8], quality: int = 70) -> NDArray[np.uint8]:
    """(height, width, channels) as JPEG gives it back, without opacity."""
    image = Image.fromarray(pixels[..., :3] if pixels.shape[2] > 1 else pixels[..., 0])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.atleast_3d(np.asarray(Image.open(file)))


def cropped(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle, 80 % of the area."""
    height, width = (round(size * 0.8**0.5) for size in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


CHANGES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    AS_THEY_ARE: lambda pixels: pixels,
    "as JPEG 70": as_jpeg,
    "cropped to 80 %": cropped,
}
"""What is tried before a strength is chosen."""
