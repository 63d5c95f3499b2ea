"""Options of `r3gan`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class R3Config:
    """Options of `r3gan`.

    Channels of both networks double at each halving, from their width up to `widest`. Each stage has
    `blocks` residual blocks. Inside a block there are `expansion` times as many channels, convolved in groups
    of `group`. `conditional`: both networks read the class of a sample; G joins a vector of `class_width`
    numbers for it to z, D's score is a product with one. `output`: unbounded in training and clipped in
    evaluation (the paper's), tanh, or a leaky tanh, for pictures with much black or white.
    """

    latent: int = 64
    generator_width: int = 32
    discriminator_width: int = 32
    widest: int = 768
    blocks: int = 2
    expansion: int = 2
    group: int = 16
    conditional: bool = False
    class_width: int = 64
    output: Literal["clip", "tanh", "leaky-tanh"] = "clip"

    def __post_init__(self) -> None:
        if min(self.latent, self.blocks, self.expansion, self.group, self.class_width) < 1:
            raise ValueError("latent, blocks, expansion, group and class_width must be 1 or more")
        widths = (self.generator_width, self.discriminator_width)
        if min(widths) < 1 or max(widths) > self.widest:
            raise ValueError("the widths must be 1 or more, and widest not below them")
        if any(width * self.expansion % self.group for width in (*widths, self.widest)):
            raise ValueError("a width times expansion must be a multiple of group")
