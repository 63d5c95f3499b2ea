"""Multi-layer perceptrons for one float field of any shape: pictures, vectors, single numbers."""

from __future__ import annotations

from inspect import Parameter, Signature
from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import DataInfo, Field, Net, Networks
from ganzoo_vanilla.config import MlpConfig


class Maxout(nn.Module):
    """The largest of `pieces` linear maps, unit by unit (Goodfellow et al. 2013, equation 1)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, inputs) -> (N, units)."""
        pieces: Tensor = self.linear(hidden).unflatten(1, (self.units, self.pieces))
        return pieces.amax(2)


class Bounded(nn.Module):
    """Squashes into the closed interval `bounds`, by tanh or by the logistic function."""

    def __init__(self, bounds: tuple[float, float], curve: str) -> None:
        super().__init__()
        low, high = bounds
        self.curve: nn.Module = nn.Tanh() if curve == "tanh" else nn.Sigmoid()
        self.scale = (high - low) / 2 if curve == "tanh" else high - low
        self.shift = (high + low) / 2 if curve == "tanh" else low

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same shape."""
        squashed: Tensor = self.curve(hidden)
        return squashed * self.scale + self.shift


class Generator(nn.Module):
    """z (N, latent) -> one sample of the field (N, *shape)."""

    def __init__(self, config: MlpConfig, field: Field) -> None:
        super().__init__()
        self.shape = field.shape
        layers: list[nn.Module] = []
        size = config.latent
        for hidden in config.generator_hidden:
            layers.append(nn.Linear(size, hidden))
            if config.generator_norm == "batch":
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(nn.ReLU() if config.generator_activation == "relu" else nn.LeakyReLU(0.2))
            size = hidden
        layers.append(nn.Linear(size, prod(field.shape)))
        if field.range is not None:
            layers.append(Bounded(field.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, *shape)."""
        sample: Tensor = self.layers(z)
        return sample.reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """One sample of the field (N, *shape) -> score (N,). `reading` gives its input the field's name."""

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
                layers.append(nn.LeakyReLU(0.2))
            size, drop = hidden, config.dropout
        if drop:
            layers.append(nn.Dropout(drop))
        layers.append(nn.Linear(size, 1))
        self.layers = nn.Sequential(*layers)

    def score(self, sample: Tensor) -> Tensor:
        """(N, *shape) -> (N,)."""
        score: Tensor = self.layers(sample.reshape(-1, self.size))
        return score.flatten()


def reading(name: str) -> type[Discriminator]:
    """A `Discriminator` class whose `forward` takes one argument of that name.

    The field is the data's, so its name is known only now; `inspect.signature` shows it.
    """

    def forward(self: Discriminator, *values: Tensor, **fields: Tensor) -> Tensor:
        return self.score(fields[name] if fields else values[0])

    kind = Parameter.POSITIONAL_OR_KEYWORD
    forward.__dict__["__signature__"] = Signature([Parameter("self", kind), Parameter(name, kind)])
    return type("Discriminator", (Discriminator,), {"forward": forward})


def initialise(module: nn.Module, init: str, spread: float) -> None:
    """`normal`: N(0, 0.02) and norm gains N(1, 0.02); `uniform`: U(-spread, spread); biases 0."""
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            if init == "normal":
                nn.init.normal_(layer.weight, 0, 0.02)
            else:
                nn.init.uniform_(layer.weight, -spread, spread)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d) and init == "normal":
            nn.init.normal_(layer.weight, 1, 0.02)


def build(config: MlpConfig, data: DataInfo) -> Networks:
    """Factory of the architecture `mlp`; DataError unless the data has exactly one float field."""
    field = data.signal
    generator = Generator(config, field)
    discriminator = reading(field.name)(config, field)
    initialise(generator, config.init, config.generator_init_range)
    initialise(discriminator, config.init, config.discriminator_init_range)
    if config.discriminator_norm == "spectral":
        for layer in [item for item in discriminator.modules() if isinstance(item, nn.Linear)]:
            spectral_norm(layer)
    return Networks(
        generators={"generator": Net(module=generator, reads=("z",), writes=(field.name,))},
        discriminators={"discriminator": Net(module=discriminator, reads=(field.name,))},
        fields=(Field(name="z", shape=(config.latent,), source=config.latent_distribution),),
    )
