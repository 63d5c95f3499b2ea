"""MoCoGAN (Tulyakov et al. 2018, arXiv:1707.04993): content and motion, a D for frames and one for clips.

Written from the formulas of the paper. All that is random is an input of G: content z_C, the GRU's first
state h_0 and its inputs e_t. A GRU over the whole sequence takes any number of frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import DataError, DataInfo, Field, Game, Net, Networks, halvings
from ganzoo_clips.config import MocoganConfig
from ganzoo_clips.layers import (
    FrameLayers,
    Norm,
    as_clip,
    clip_of,
    initialise_3d,
    normed,
    random_times,
)


class MotionContent(nn.Module):
    """content, steps and first (and label) -> clip (N, C, T, H, W), for any T (section 3.1 of the paper).

    Frame t is made from [z_C, label, h_t], h_t = GRU(e_t, h_{t-1}).
    """

    def __init__(self, config: MocoganConfig, clip: Field, classes: int) -> None:
        super().__init__()
        stages = halvings(*clip.shape[2:])
        widths = [config.generator_width * 2**k for k in reversed(range(stages))]
        self.recurrent = nn.GRU(config.motion, config.motion, batch_first=True)
        self.layers = FrameLayers(clip, widths, smooth=False)
        inputs = config.content + classes + config.motion
        self.first = nn.Sequential(
            nn.ConvTranspose2d(inputs, widths[0], self.layers.start, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.classes = classes

    def frames(self, content: Tensor, steps: Tensor, first: Tensor) -> Tensor:
        """(N, content), (N, T, motion), (N, motion) -> (N, C, T, H, W)."""
        motion = self.recurrent(steps, first[None])[0]
        count = motion.shape[1]
        vectors = torch.cat([content[:, None].expand(-1, count, -1), motion], 2).flatten(0, 1)
        return as_clip(self.layers(self.first(vectors[:, :, None, None])), count)

    def forward(self, content: Tensor, steps: Tensor, first: Tensor) -> Tensor:
        """(N, content), (N, T, motion), (N, motion) -> (N, C, T, H, W)."""
        return self.frames(content, steps, first)


class LabelledMotionContent(MotionContent):
    """The same with a label (N,), one of `classes`, beside the content (section 3.2 of the paper)."""

    def forward(  # type: ignore[override]
        self, content: Tensor, steps: Tensor, first: Tensor, label: Tensor
    ) -> Tensor:
        """(N, content), (N, T, motion), (N, motion), (N,) -> (N, C, T, H, W)."""
        indicators = functional.one_hot(label, self.classes).to(content.dtype)
        return self.frames(torch.cat([content, indicators], 1), steps, first)


class FrameCritic(nn.Module):
    """clip (N, C, T, H, W) -> scores (N, h, w) of patches of a frame, another random one in each step.

    Convolutions of kernel 4 and stride 2: widths w, 2w, 4w, then one score for each patch. In evaluation the
    middle frame is scored.
    """

    def __init__(self, clip: Field, width: int, norm: Norm) -> None:
        super().__init__()
        inputs, _, *sides = clip.shape
        layers: list[nn.Module] = []
        for k in range(min(3, halvings(*sides, smallest=2) - 1)):
            layer = nn.Conv2d(inputs, width * 2**k, 4, 2, 1, bias=k == 0 or norm == "spectral")
            layers += normed(layer, width * 2**k, norm if k or norm == "spectral" else "none", nn.BatchNorm2d)
            inputs = width * 2**k
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 2, 1, bias=False))

    def forward(self, clip: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, h, w)."""
        count, _, frames, _, _ = clip.shape
        if self.training:
            times = random_times(count, frames, 1, clip.device)[:, 0]
        else:
            times = torch.full((count,), frames // 2, device=clip.device)
        chosen = clip[torch.arange(count, device=clip.device), :, times]
        scores: Tensor = self.layers(chosen)
        return scores[:, 0]


class ClipCritic(nn.Module):
    """clip (N, C, T, H, W) -> scores (N, t, h, w) of parts of a clip.

    3-D convolutions of kernel 4: space is halved, time gets 3 frames shorter in each layer.
    """

    def __init__(self, clip: Field, width: int, norm: Norm, classes: int) -> None:
        super().__init__()
        inputs, _, *sides = clip.shape
        layers: list[nn.Module] = []
        for k in range(halvings(*sides)):
            layer = nn.Conv3d(
                inputs, width * 2**k, 4, (1, 2, 2), (0, 1, 1), bias=k == 0 or norm == "spectral"
            )
            layers += normed(layer, width * 2**k, norm if k or norm == "spectral" else "none", nn.BatchNorm3d)
            inputs = width * 2**k
        self.layers = nn.Sequential(*layers)
        self.score = nn.Conv3d(inputs, 1, 4, bias=False)
        self.classes = nn.Embedding(classes, inputs) if classes else None

    def forward(self, clip: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, t, h, w)."""
        scores: Tensor = self.score(self.layers(clip))
        return scores[:, 0]


class LabelledClipCritic(ClipCritic):
    """The same plus the product of the maps' means and a vector of the label (Miyato and Koyama 2018)."""

    def forward(self, clip: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """(N, C, T, H, W), (N,) -> (N, t, h, w)."""
        maps = self.layers(clip)
        assert self.classes is not None  # noqa: S101
        matched = (maps.mean((2, 3, 4)) * self.classes(label)).sum(1)
        scores: Tensor = self.score(maps)[:, 0]
        labelled: Tensor = scores + matched[:, None, None, None]
        return labelled


def build(config: MocoganConfig, data: DataInfo) -> Networks:
    """Factory of `mocogan`; DataError unless the data are clips that are long enough, with labels if these
    are used.
    """
    clip = clip_of(data)
    frames = 3 * halvings(*clip.shape[2:]) + 4
    clip = clip_of(data, frames=frames)
    classes = 0
    if config.labels:
        if "label" not in data:
            raise DataError(
                "The data has no labels.",
                fix="architecture.labels=false, or data with sub-folders for classes",
            )
        classes = len(data.field("label").classes)
    width = config.discriminator_width
    generator = (LabelledMotionContent if classes else MotionContent)(config, clip, classes)
    critic = (LabelledClipCritic if classes else ClipCritic)(clip, width, config.norm, classes)
    labels = ("label",) if classes else ()
    nets = (generator, FrameCritic(clip, width, config.norm), critic)
    for net in nets:
        initialise_3d(net)
    steps = Field(
        name="steps",
        shape=(clip.shape[1], config.motion),
        source="normal",
        axes=("time", "value"),
        free={"time": 1},
    )
    return Networks(
        generators={
            "generator": Net(module=nets[0], reads=("content", "steps", "first", *labels), writes=("clip",))
        },
        discriminators={
            "of-frames": Net(module=nets[1], reads=("clip",)),
            "of-clips": Net(module=nets[2], reads=("clip", *labels)),
        },
        games=(Game(discriminator="of-frames"), Game(discriminator="of-clips")),
        fields=(
            Field(name="content", shape=(config.content,), source="normal"),
            steps,
            Field(name="first", shape=(config.motion,), source="normal"),
        ),
        free={"clip": {"time": 1}} if clip.axes else {},
    )
