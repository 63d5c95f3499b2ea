"""Options of the MLP.

Importing this must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """Options of `mlp`.

    A maxout unit is the maximum of `discriminator_pieces` linear maps. `input_dropout` and `dropout` are
    the probabilities of dropout in the discriminator, at its input and before each later layer.
    `output` is ignored for data without a range: its generator ends in a linear layer.
    `latent_range`: the interval onto which the generator maps uniform z, which is drawn from -1..1.
    `init="uniform"` draws weights from U(-r, r), where r is `*_init_range`; biases are 0.
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    latent_range: tuple[float, float] = (-1.0, 1.0)
    generator_hidden: tuple[int, ...] = (256, 512, 1024)
    generator_activation: Literal["relu", "leaky-relu"] = "relu"
    generator_norm: Literal["batch", "none"] = "batch"
    output: Literal["tanh", "sigmoid"] = "tanh"
    discriminator_hidden: tuple[int, ...] = (512, 256)
    discriminator_units: Literal["relu", "leaky-relu", "maxout"] = "leaky-relu"
    discriminator_pieces: int = 5
    discriminator_norm: Literal["none", "spectral", "layer"] = "none"
    input_dropout: float = 0.0
    dropout: float = 0.0
    init: Literal["default", "normal", "uniform"] = "default"
    generator_init_range: float = 0.05
    discriminator_init_range: float = 0.005

    def __post_init__(self) -> None:
        if (
            min(self.latent, self.discriminator_pieces, *self.generator_hidden, *self.discriminator_hidden)
            < 1
        ):
            raise ValueError("latent, pieces and hidden sizes must be 1 or more")
        if self.latent_range[0] >= self.latent_range[1]:
            raise ValueError("latent_range must be two numbers of which the second is larger")
        if self.latent_distribution == "normal" and self.latent_range != (-1.0, 1.0):
            raise ValueError("latent_range is for latent_distribution=uniform")
        if not (0 <= self.input_dropout < 1 and 0 <= self.dropout < 1):
            raise ValueError("dropout and input_dropout must be at least 0 and less than 1")
