"""Options of the conditional networks. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """Options of `conditional-mlp`; the defaults are the layers of Mirza and Osindero 2014, section 4.1.

    `generator_dropout` is applied before the joint layer and the output of G, `dropout` before the joint
    layer and the score of D; both in training only. `latent_range`: the interval onto which the generator
    maps uniform z, which is drawn from -1..1.
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "uniform"
    latent_range: tuple[float, float] = (-1.0, 1.0)
    generator_latent_hidden: int = 200
    generator_label_hidden: int = 1000
    generator_hidden: int = 1200
    generator_dropout: float = 0.0
    output: Literal["tanh", "sigmoid"] = "sigmoid"
    discriminator_image_units: int = 240
    discriminator_image_pieces: int = 5
    discriminator_label_units: int = 50
    discriminator_label_pieces: int = 5
    discriminator_units: int = 240
    discriminator_pieces: int = 4
    discriminator_norm: Literal["none", "spectral"] = "none"
    dropout: float = 0.5
    init: Literal["default", "normal"] = "default"

    def __post_init__(self) -> None:
        if not (0 <= self.generator_dropout < 1 and 0 <= self.dropout < 1):
            raise ValueError("dropout and generator_dropout must be at least 0 and less than 1")
        if self.latent_range[0] >= self.latent_range[1]:
            raise ValueError("latent_range must be two numbers of which the second is larger")
        if self.latent_distribution == "normal" and self.latent_range != (-1.0, 1.0):
            raise ValueError("latent_range is for latent_distribution=uniform")


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """Options of `conditional-conv`.

    Channels double at each halving of the image, up to 8 times the `*_width` of the largest maps.
    The image is halved as often as its shorter side stays at 4 pixels or more. The generator reads the
    label as a vector of `label_width` beside z. `conditioning="projection"` adds <emb(label), features>
    to the score; `"concat"` gives the discriminator the label as one more channel of the image.
    `pooling`: the features are all values of the last map ("none"), or each channel's sum over it ("sum").
    """

    latent: int = 100
    latent_distribution: Literal["normal", "uniform"] = "normal"
    label_width: int = 32
    generator_width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    generator_norm: Literal["batch", "none"] = "batch"
    conditioning: Literal["projection", "concat"] = "projection"
    pooling: Literal["none", "sum"] = "none"
    discriminator_norm: Literal["none", "spectral", "batch", "layer"] = "none"
    output: Literal["tanh", "sigmoid"] = "tanh"
    init: Literal["default", "normal"] = "default"

    def __post_init__(self) -> None:
        if min(self.latent, self.label_width, self.generator_width, self.discriminator_width) < 1:
            raise ValueError("latent and the widths must be 1 or more")
        if not 2 <= self.kernel <= 11:
            raise ValueError("kernel must be between 2 and 11")
