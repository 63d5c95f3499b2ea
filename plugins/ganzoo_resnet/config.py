"""Options of the residual networks. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """Options of `sn-resnet`.

    The widths are the channels of the largest maps; they double at each halving, up to `widening` times.
    G has a block for each doubling, from a map whose shorter side is 4 to 7 pixels. D halves as often as that
    side stays at `discriminator_base` or more, and ends in `discriminator_tail` blocks that do not halve.
    Between its two convolutions a block of D has the channels of its `discriminator_hidden`.
    `attention` is a side in pixels: both networks have self-attention after the block with the largest map of
    at most `attention` squared pixels; 0 for none. `spectral_generator`: spectral norm in G as well. It
    limits the effect of z in the first layer while the bias of that layer can grow; `first_bias=False`
    removes this bias. `score_bias=False` removes the bias of the last layer of D. `norm_eps` is what
    BatchNorm adds to the variance, `spectral_eps` the smallest length of a vector in spectral norm.
    `block_gain` is for `init="glorot"`: the gain of the 3x3 convolutions of blocks; sqrt 2 in the code of
    SNGAN, 1 in that of SAGAN. `widths`: the channels of all maps of G, from the smallest to the largest map,
    in place of `generator_width` and `widening`. `upsampling`: how G doubles its maps. `attention_pooling`:
    keys and values are the maxima of 2x2 pixels, values have half of the channels, as in the code of SAGAN.
    `discriminator_widths`: the channels after each block of D, from the largest to the smallest map, in place
    of `discriminator_width`. `activated_shortcut`: shortcuts of D begin after its ReLU, as in projects whose
    ReLU works in place.
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
    widths: tuple[int, ...] = ()
    upsampling: Literal["nearest", "bilinear"] = "nearest"
    attention_pooling: bool = False
    discriminator_widths: tuple[int, ...] = ()
    activated_shortcut: bool = False

    def __post_init__(self) -> None:
        if min((*self.widths, *self.discriminator_widths), default=1) < 1:
            raise ValueError("widths must be 1 or more")
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

    `shared_embedding=0`: each norm of G has a gain and a shift for each class. Otherwise it is the size of
    one vector for each class, and each norm computes its gain and shift from this vector by a linear layer.
    `split_latent` cuts z into equal parts: the first is the input of the first layer, the others those of the
    blocks. `separate_tables`: two linear layers, one for the gain and one for the shift, as in the authors'
    code; spectral norm in G then normalises each by itself. One layer for both is normalised as a whole,
    which makes each half about 0.7 times as large at the start. It is the default because runs of version 0.1
    have weights of one layer, and do not have this setting.
    """

    shared_embedding: int = 0
    split_latent: bool = False
    separate_tables: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_embedding < 0:
            raise ValueError("shared_embedding must be 0 (a table in each norm) or more")
        if self.split_latent and not self.shared_embedding:
            raise ValueError("split_latent needs shared_embedding: a block reads its part of z beside it")
        if self.separate_tables and not self.shared_embedding:
            raise ValueError("separate_tables needs shared_embedding: gain and shift are computed from it")
