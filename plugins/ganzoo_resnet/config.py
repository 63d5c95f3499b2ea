"""Options of the residual networks. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """Options of `sn-resnet`.

    The widths are the channels of the largest maps; they double at each halving, up to `widening` times.
    G has a block for each doubling from a map whose shorter side is 4 to 7 pixels. D halves as often as that
    side stays at `discriminator_base` or more, and ends in `discriminator_tail` blocks that do not halve.
    The first convolution of a block of D has as many channels as its `discriminator_hidden`.
    `attention` is a side in pixels: both nets have self-attention after the block with the largest map of no
    more than `attention` squared pixels; 0 for none. `spectral_generator`: spectral norm in G as well. It
    holds what comes of z at one size while the bias of that layer grows; `first_bias=False` leaves it out.
    `score_bias=False` leaves it out of the last layer of D. `norm_eps` is added to the variance by BatchNorm,
    `spectral_eps` is the least length of a vector in spectral norm. `block_gain` is for `init="glorot"`: the
    gain of the 3x3 convolutions of blocks; sqrt 2 in the code of SNGAN, 1 in that of SAGAN.
    """

    latent: int = 128
    latent_distribution: Literal["normal", "uniform"] = "normal"
    generator_width: int = 256
    discriminator_width: int = 128
    widening: int = 1
    discriminator_base: int = 6
    discriminator_tail: int = 2
    discriminator_hidden: Literal["outputs", "inputs"] = "outputs"
    discriminator_norm: Literal["spectral", "none"] = "spectral"
    spectral_generator: bool = False
    first_bias: bool = True
    attention: int = 0
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["glorot", "orthogonal", "normal"] = "glorot"
    block_gain: float = 2**0.5
    score_bias: bool = True
    norm_eps: float = 1e-5
    spectral_eps: float = 1e-12

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_width, self.discriminator_width, self.widening) < 1:
            raise ValueError("latent, the widths and widening must be 1 or more")
        if self.discriminator_base < 2:
            raise ValueError("discriminator_base must be 2 or more")
        if min(self.discriminator_tail, self.attention) < 0:
            raise ValueError("discriminator_tail and attention must be 0 or more")
        if min(self.block_gain, self.norm_eps, self.spectral_eps) <= 0:
            raise ValueError("block_gain, norm_eps and spectral_eps must be more than 0")


@dataclass(frozen=True, kw_only=True)
class ConditionalResnetConfig(ResnetConfig):
    """Options of `sn-resnet-conditional`; the others are those of `sn-resnet`.

    Without `shared_embedding` each norm of G has a gain and a shift for each class. With it, one vector of
    so many values for each class is shared, and each norm makes its gain and shift from that by a linear
    layer. `split_latent` cuts z into equal parts: the first enters at the bottom, one more at each block.
    `separate_tables` makes that two layers, for the gain and for the shift, as in the authors' code: spectral
    norm in G then norms each by itself. One layer for both is normed as a whole, which leaves each half about
    0.7 of that at the start. It is the default because version 0.1 knew nothing else: its runs do not have
    the setting, and their weights have one layer.
    """

    shared_embedding: int = 0
    split_latent: bool = False
    separate_tables: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_embedding < 0:
            raise ValueError("shared_embedding must be 0 (a table in each norm) or more")
        if self.split_latent and not self.shared_embedding:
            raise ValueError("split_latent needs a shared_embedding, beside which a block gets its part of z")
        if self.separate_tables and not self.shared_embedding:
            raise ValueError("separate_tables needs a shared_embedding, of which they make gain and shift")
