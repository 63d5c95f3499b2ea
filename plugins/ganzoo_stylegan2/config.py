"""Options of `stylegan2` and `path-length`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """Options of `stylegan2`.

    `latent` and `style` are the sizes of z and w. `mapping_rate` is the learning rate of the mapping
    network's layers, relative to the others. Channels of both networks double at each halving, from their
    width up to `widest`. `style_mixing` is the probability that an image in training has two styles.
    `average` is the decay of the moving average of w, towards which `psi` truncates. `group` is the group
    size of D's minibatch standard deviation. `noise` is the learning rate of the noise strength, relative to
    the others. `output`: unbounded in training and clipped in evaluation (the paper's), or tanh.
    """

    latent: int = 64
    style: int = 64
    mapping_layers: int = 2
    mapping_rate: float = 0.01
    generator_width: int = 16
    discriminator_width: int = 16
    widest: int = 512
    style_mixing: float = 0.9
    average: float = 0.995
    group: int = 4
    noise: float = 1.0
    output: Literal["clip", "tanh"] = "clip"

    def __post_init__(self) -> None:
        if min(self.latent, self.style, self.mapping_layers, self.group) < 1:
            raise ValueError("latent, style, mapping_layers and group must be 1 or more")
        widths = (self.generator_width, self.discriminator_width)
        if min(widths) < 1 or max(widths) > self.widest:
            raise ValueError("the widths must be 1 or more, and widest not below them")
        if self.mapping_rate <= 0 or self.noise < 0:
            raise ValueError("mapping_rate must be more than 0, noise not less")
        if not (0 <= self.style_mixing <= 1 and 0 <= self.average < 1):
            raise ValueError("style_mixing must be from 0 to 1, average from 0 to less than 1")


@dataclass(frozen=True, kw_only=True)
class PathLengthConfig:
    """Options of `path-length`: those of the authors' code.

    `decay` is the weight of a step's length in the moving average. One in `shrink` samples is used. `field`
    is the name of the input that the generator adds to each layer's style.
    """

    weight: float = 2.0
    decay: float = 0.01
    shrink: int = 2
    field: str = "shift"

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 < self.decay <= 1 or self.shrink < 1:
            raise ValueError("weight must be 0 or more, decay in 0..1 and not 0, shrink 1 or more")
