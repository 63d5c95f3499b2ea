"""Architecture `wgan-mlp`: the 4-layer MLPs with 512 ReLU units of Arjovsky et al. 2017 (section 4.3)."""

from __future__ import annotations

from inspect import Parameter, Signature
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from ganzoo.api import DataInfo, Field, Networks
from ganzoo_wgan_gp.common import Bounded, networks
from ganzoo_wgan_gp.config import MlpConfig


def stack(sizes: tuple[int, ...], activation: str, norm: str) -> list[nn.Module]:
    """Linear layers between those sizes, the last one without norm and activation."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs))
        if norm != "none":
            layers.append(nn.BatchNorm1d(outputs) if norm == "batch" else nn.LayerNorm(outputs))
        layers.append(nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.2))
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    return layers


class Generator(nn.Module):
    """z (N, latent) -> one sample of the field (N, *shape)."""

    def __init__(self, config: MlpConfig, field: Field) -> None:
        super().__init__()
        self.shape = field.shape
        sizes = (config.latent, *config.generator_hidden, prod(field.shape))
        layers = stack(sizes, config.activation, config.generator_norm)
        if field.range is not None:
            layers.append(Bounded(field.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, *shape)."""
        sample: Tensor = self.layers(z)
        return sample.reshape(-1, *self.shape)


class Critic(nn.Module):
    """One sample of the field (N, *shape) -> score (N,). `reading` gives its input the field's name."""

    def __init__(self, config: MlpConfig, field: Field) -> None:
        super().__init__()
        self.size = prod(field.shape)
        sizes = (self.size, *config.discriminator_hidden, 1)
        self.layers = nn.Sequential(*stack(sizes, config.activation, config.discriminator_norm))

    def score(self, sample: Tensor) -> Tensor:
        """(N, *shape) -> (N,)."""
        score: Tensor = self.layers(sample.reshape(-1, self.size))
        return score.flatten()


def reading(name: str) -> type[Critic]:
    """A `Critic` class whose `forward` takes one argument of that name, known only from the data."""

    def forward(self: Critic, *values: Tensor, **fields: Tensor) -> Tensor:
        return self.score(fields[name] if fields else values[0])

    kind = Parameter.POSITIONAL_OR_KEYWORD
    forward.__dict__["__signature__"] = Signature([Parameter("self", kind), Parameter(name, kind)])
    return type("Critic", (Critic,), {"forward": forward})


def build(config: MlpConfig, data: DataInfo) -> Networks:
    """Factory of `wgan-mlp`; DataError unless the data has exactly one float field."""
    field = data.signal
    latent = Field(name="z", shape=(config.latent,), source=config.latent_distribution)
    return networks(Generator(config, field), reading(field.name)(config, field), field, latent)
