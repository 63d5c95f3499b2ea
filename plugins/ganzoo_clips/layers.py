"""What architectures of clips share: frames made one by one, 3-D discriminators, checks of the data."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from ganzoo.api import Bounded, DataError, DataInfo, Field, doubling, halvings, map_sizes
from ganzoo_clips.config import CLIP_AXES

Norm = Literal["batch", "spectral", "none"]

SMALLEST = 8  # pixels of a side


def clip_of(data: DataInfo, *, frames: int = 2) -> Field:
    """The field `clip`; DataError unless it is channel x time x height x width and large enough."""
    clip = data.field("clip")
    fix = "--data clips:PATH or moving-fashion; data.frames, data.height and data.width set the shape"
    if (
        clip.dtype != "float32"
        or len(clip.shape) != 4
        or clip.range is None
        or (clip.axes or CLIP_AXES) != CLIP_AXES
    ):
        raise DataError(
            "This architecture needs clips: channel x time x height x width, with a range.",
            where=f"the field 'clip' has the shape {clip.shape} and the axes {clip.axes}",
            fix=fix,
        )
    _, own, height, width = clip.shape
    if own < frames or min(height, width) < SMALLEST:
        raise DataError(
            f"This architecture needs clips of {frames} frames or more, from {SMALLEST}x{SMALLEST} pixels.",
            where=f"the clips have {own} frames of {height}x{width}",
            fix=fix,
        )
    return clip


def as_clip(frames: Tensor, count: int) -> Tensor:
    """Frames (N * count, C, h, w) of N clips -> (N, C, count, h, w)."""
    clips: Tensor = frames.reshape(-1, count, *frames.shape[1:])
    return clips.transpose(1, 2)


def normed(layer: nn.Module, width: int, norm: Norm, kind: type[nn.Module]) -> list[nn.Module]:
    """A layer of a discriminator, its norm, leaky ReLU of slope 0.2. `kind`: the batch norm for its maps."""
    after: list[nn.Module] = [kind(width)] if norm == "batch" else []
    return [spectral_norm(layer) if norm == "spectral" else layer, *after, nn.LeakyReLU(0.2)]


class VideoCritic(nn.Module):
    """clip (N, C, T, H, W) -> score (N,): 3-D convolutions of kernel 4 that halve time and space, then one
    score.

    Widths double from layer to layer (Saito et al. 2017, table 1; VGAN, Vondrick et al. 2016). Once a clip is
    one frame long, only space is halved.
    """

    def __init__(self, clip: Field, width: int, norm: Norm) -> None:
        super().__init__()
        inputs, frames, height, width_of_frame = clip.shape
        stages = halvings(height, width_of_frame)
        layers: list[nn.Module] = []
        for k in range(stages):
            outputs = width * 2**k
            steps = 2 if frames > 1 else 1
            kernel, stride, padding = (2 * steps, 4, 4), (steps, 2, 2), (steps - 1, 1, 1)
            layer = nn.Conv3d(inputs, outputs, kernel if steps == 2 else (1, 4, 4), stride, padding)
            layers += normed(layer, outputs, norm if k or norm == "spectral" else "none", nn.BatchNorm3d)
            inputs, frames = outputs, frames // steps
            height, width_of_frame = height // 2, width_of_frame // 2
        score = nn.Linear(inputs * frames * height * width_of_frame, 1)
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), spectral_norm(score) if norm == "spectral" else score
        )

    def forward(self, clip: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N,)."""
        score: Tensor = self.layers(clip)
        return score.flatten()


class FrameLayers(nn.Module):
    """Maps (N, channels, h, w) -> frames (N, C, H, W): transposed convolutions of kernel 4, batch norm, ReLU.

    `widths` are those of the maps, smallest maps first; the first are the input. `smooth`: a 3x3 convolution
    at full size makes the frame, otherwise the last transposed one.
    """

    def __init__(self, clip: Field, widths: list[int], *, smooth: bool) -> None:
        super().__init__()
        channels, _, height, width = clip.shape
        stages = len(widths) - smooth
        sizes = map_sizes(height, width, stages)[::-1]
        layers: list[nn.Module] = []
        for k in range(stages):
            last = k == len(widths) - 1
            outputs = channels if last else widths[k + 1]
            layers += doubling(widths[k], outputs, 4, sizes[k], sizes[k + 1], bias=False)
            layers += [] if last else [nn.BatchNorm2d(outputs), nn.ReLU()]
        if smooth:
            layers.append(nn.Conv2d(widths[-1], channels, 3, padding=1))
        self.layers = nn.Sequential(*layers, Bounded(clip.range or (-1.0, 1.0)))
        self.start = sizes[0]

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, C, H, W)."""
        frames: Tensor = self.layers(maps)
        return frames


def initialise_3d(module: nn.Module) -> None:
    """Weights N(0, 0.02), gains N(1, 0.02), biases 0, as in DCGAN, for layers of one to three dimensions."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.weight, 1, 0.02)
        elif isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            nn.init.normal_(_own_weight(layer), 0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _own_weight(layer: nn.Module) -> nn.Parameter:
    """The parameter of a layer; with spectral norm `layer.weight` is computed from it."""
    own = dict(layer.named_parameters())
    return own["parametrizations.weight.original" if is_parametrized(layer, "weight") else "weight"]


def random_times(count: int, frames: int, shown: int, device: torch.device) -> Tensor:
    """For each of `count` clips `shown` different times in 0..frames-1, ascending: (count, shown), int64."""
    order = torch.rand(count, frames, device=device).argsort(1)
    return order[:, :shown].sort(1).values
