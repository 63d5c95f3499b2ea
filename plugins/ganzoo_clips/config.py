"""Options of the data and the networks. Importing this must import neither numpy nor torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CLIP_AXES = ("channel", "time", "height", "width")
"""The axes of a clip."""


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """How files become clips of one shape.

    `frames` in a clip, each `every`-th of the file's; a longer file gives several clips, whose first frames
    are `stride` frames of the file apart (0: no frame is in two clips). `height`, `width`: pixels of a frame.
    `channels`: 1 (gray), 3 or 4 (with alpha). `fit`: crop the centre of a frame, pad with white, or stretch.
    `range`: the values of frames in folders that become black and white, as for `folder`.
    `labels`: sub-folders become a `label` field if every clip is in one.
    """

    frames: int = 16
    every: int = 1
    stride: int = 0
    height: int = 32
    width: int = 32
    channels: Literal[1, 3, 4] = 3
    fit: Literal["crop", "pad", "stretch"] = "crop"
    range: str = "auto"
    labels: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= 1024 or not 1 <= self.every <= 1000:
            raise ValueError("frames must be between 2 and 1024, every between 1 and 1000")
        if not 0 <= self.stride <= 100_000:
            raise ValueError("stride must be 0 (no overlap) or more")
        if not (8 <= self.height <= 1024 and 8 <= self.width <= 1024):
            raise ValueError("height and width must be between 8 and 1024")


@dataclass(frozen=True, kw_only=True)
class MovingConfig:
    """`count` clips of `objects` pictures of `side` pixels that bounce in a frame of `size` pixels.

    Each has a constant speed between `slowest` and `fastest`, in pixels a frame, and a direction of its own.
    """

    count: int = 4_000
    objects: int = 2
    side: Literal[7, 14, 28] = 14
    size: int = 32
    frames: int = 16
    slowest: float = 1.0
    fastest: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 1 <= self.objects <= 8:
            raise ValueError("count must be 1 or more, objects between 1 and 8")
        if not self.side < self.size <= 256:
            raise ValueError("size must be larger than side, and at most 256")
        if not 2 <= self.frames <= 1024:
            raise ValueError("frames must be between 2 and 1024")
        if not 0 <= self.slowest <= self.fastest <= self.size - self.side:
            raise ValueError("slowest and fastest are pixels a frame, from 0 to size - side")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class TganConfig:
    """Options of `tgan`: sizes of the noise, widths of the largest maps of the frames and of D's first layer.

    `critic_norm`: `spectral`, or `batch` as published, with the term `singular-values`.
    """

    latent: int = 100
    generator_width: int = 32
    discriminator_width: int = 64
    critic_norm: Literal["batch", "spectral", "none"] = "spectral"

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent, generator_width and discriminator_width must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class VganConfig(TganConfig):
    """Options of `vgan`: one 3-D network each."""

    generator_width: int = 64


@dataclass(frozen=True, kw_only=True)
class MocoganConfig:
    """Options of `mocogan`: sizes of content and motion, widths of the last maps of G and the first of the
    Ds.

    `labels`: G and the video D read the label of the data. `norm` is that of both Ds.
    """

    content: int = 50
    motion: int = 10
    generator_width: int = 64
    discriminator_width: int = 64
    norm: Literal["batch", "spectral"] = "batch"
    labels: bool = False

    def __post_init__(self) -> None:
        if min(self.content, self.motion, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("content, motion and the widths must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class StyleVConfig:
    """Options of `stylegan-v`.

    `latent`, `style`: sizes of z and w. `motion`: size of a motion code, drawn every `spacing` frames; two
    convolutions of `kernel` codes join neighbours. `waves` frequencies have periods from `shortest` to
    `longest` frames. `shown`: frames that D sees of a clip. `joined`: size of the maps of single frames that
    D joins.
    """

    latent: int = 64
    style: int = 64
    mapping_layers: int = 2
    mapping_rate: float = 0.01
    motion: int = 32
    spacing: int = 8
    kernel: int = 3
    motion_rate: float = 1.0
    waves: int = 16
    shortest: float = 8.0
    longest: float = 64.0
    generator_width: int = 8
    discriminator_width: int = 12
    widest: int = 48
    shown: int = 3
    joined: int = 16

    def __post_init__(self) -> None:
        sizes = (self.latent, self.style, self.mapping_layers, self.motion, self.spacing, self.waves)
        if min(*sizes, self.generator_width, self.discriminator_width, self.widest, self.joined) < 1:
            raise ValueError("all sizes must be 1 or more")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError("kernel must be odd")
        if self.shown < 2:
            raise ValueError("shown must be 2 or more")
        if not 0 < self.shortest <= self.longest:
            raise ValueError("shortest must be more than 0, and at most longest")


@dataclass(frozen=True, kw_only=True)
class LayeredConfig:
    """Options of `layered-motion`.

    `objects` layers of `side` pixels (0: half the frame; at most the frame) move over a background.
    `latent`, `motion`: sizes of the content and motion codes of a layer. `hidden`: units of the network of
    paths. `poses`: pictures that
    a layer mixes over time; 1: it keeps its form. `zoom`: layers also change their size. `path_rate`: the
    learning rate of the paths, as a share of G's. `shown`: neighbouring frames that D sees. The widths,
    `widest`, `blocks` and `group` are those of R3GAN's networks.
    """

    objects: int = 2
    side: int = 0
    poses: int = 2
    zoom: bool = False
    path_rate: float = 0.2
    latent: int = 32
    motion: int = 8
    hidden: int = 32
    shown: int = 3
    generator_width: int = 16
    background_width: int = 8
    discriminator_width: int = 16
    widest: int = 768
    blocks: int = 1
    group: int = 8

    def __post_init__(self) -> None:
        sizes = (self.objects, self.poses, self.latent, self.motion, self.hidden)
        if min(sizes) < 1:
            raise ValueError("objects, poses, latent, motion and hidden must be 1 or more")
        if self.shown < 2:
            raise ValueError("shown must be 2 or more")
        if self.side and self.side < 8:
            raise ValueError("side must be 0 (half the frame), or 8 or more")
        if not self.path_rate > 0:
            raise ValueError("path_rate must be more than 0: the paths learn at that share of G's rate")
        widths = (self.generator_width, self.background_width, self.discriminator_width, self.widest)
        if min(*widths, self.blocks, self.group) < 1 or max(widths) > self.widest:
            raise ValueError("widths, blocks and group must be 1 or more, and widest not below the widths")
        if any(2 * width % self.group for width in widths):
            raise ValueError("two times a width must be a multiple of group")


@dataclass(frozen=True, kw_only=True)
class SingularConfig:
    """`limit`: the largest singular value of a layer of D."""

    limit: float = 1.0

    def __post_init__(self) -> None:
        if self.limit <= 0:
            raise ValueError("limit must be more than 0")
