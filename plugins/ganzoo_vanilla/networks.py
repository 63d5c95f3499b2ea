"""Multi-layer perceptrons for one float field of any shape: images, vectors, single numbers."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import Bounded, DataInfo, Field, Maxout, Networks, initialise
from ganzoo_vanilla.config import MlpConfig


def activation(kind: str) -> nn.Module:
    """`relu`, or `leaky-relu` with the slope 0.2."""
    return nn.ReLU(inplace=True) if kind == "relu" else nn.LeakyReLU(0.2, inplace=True)


class Generator(nn.Module):
    """z (N, latent) -> one sample of the field (N, *shape)."""

    def __init__(self, config: MlpConfig, field: Field) -> None:
        super().__init__()
        self.shape = field.shape
        low, high = config.latent_range
        self.scale, self.shift = (high - low) / 2, (high + low) / 2
        layers: list[nn.Module] = []
        size = config.latent
        for hidden in config.generator_hidden:
            layers.append(nn.Linear(size, hidden))
            if config.generator_norm == "batch":
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(activation(config.generator_activation))
            size = hidden
        layers.append(nn.Linear(size, prod(field.shape)))
        if field.range is not None:
            layers.append(Bounded(field.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, *shape)."""
        if (self.scale, self.shift) != (1, 0):
            z = z * self.scale + self.shift
        sample: Tensor = self.layers(z)
        return sample.reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """One sample of the field (N, *shape) -> score (N,)."""

    def __init__(self, config: MlpConfig, field: Field) -> None:
        super().__init__()
        self.size = prod(field.shape)
        layers: list[nn.Module] = []
        size, drop = self.size, config.input_dropout
        for hidden in config.discriminator_hidden:
            if drop:
                layers.append(nn.Dropout(drop))
            maxout = config.discriminator_units == "maxout"
            layers.append(
                Maxout(size, hidden, config.discriminator_pieces) if maxout else nn.Linear(size, hidden)
            )
            if config.discriminator_norm == "layer":
                layers.append(nn.LayerNorm(hidden))
            if not maxout:
                layers.append(activation(config.discriminator_units))
            size, drop = hidden, config.dropout
        if drop:
            layers.append(nn.Dropout(drop))
        layers.append(nn.Linear(size, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, sample: Tensor) -> Tensor:
        """(N, *shape) -> (N,)."""
        score: Tensor = self.layers(sample.reshape(-1, self.size))
        return score.flatten()


def draw_uniform(module: nn.Module, spread: float) -> None:
    """Weights from U(-spread, spread), biases 0 (the authors' mnist.yaml)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -spread, spread)
            nn.init.zeros_(layer.bias)


def build(config: MlpConfig, data: DataInfo) -> Networks:
    """Factory of the architecture `mlp`; DataError unless the data has exactly one float field."""
    field = data.signal
    generator, discriminator = Generator(config, field), Discriminator(config, field)
    if config.init == "uniform":
        draw_uniform(generator, config.generator_init_range)
        draw_uniform(discriminator, config.discriminator_init_range)
    else:
        initialise(generator, config.init)
        initialise(discriminator, config.init)
    if config.discriminator_norm == "spectral":
        for layer in [item for item in discriminator.modules() if isinstance(item, nn.Linear)]:
            spectral_norm(layer)
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return Networks.pair(generator, discriminator, latent=latent, writes=field.name)
