"""Architecture `doppelganger`: attributes, a range for each sample, and series with an end (Lin et al. 2020).

Section 4 of arXiv:1909.13403 and the authors' networks: MLPs for attributes and ranges, an LSTM that writes
`steps` time steps at once, and a second discriminator of attributes and ranges alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import DataError, DataInfo, Field, Game, Net, Networks, SettingsError
from ganzoo_series.config import DoppelgangerConfig
from ganzoo_series.fields import TIME, series_of

ABOUT = 50  # steps of the LSTM (section 4.1.1)
LEAST = 1e-3  # half of the smallest range of a sample


def mlp(inputs: int, hidden: int, layers: int, outputs: int, *, norm: bool) -> nn.Sequential:
    """`layers` linear layers in all; ReLU, and with `norm` BatchNorm, after each but the last."""
    parts: list[nn.Module] = []
    for _ in range(layers - 1):
        parts += [nn.Linear(inputs, hidden), nn.ReLU(), *([nn.BatchNorm1d(hidden)] if norm else [])]
        inputs = hidden
    return nn.Sequential(*parts, nn.Linear(inputs, outputs))


class Attributes(nn.Module):
    """z (N, latent) -> attributes (N, A): a softmax for each column."""

    def __init__(self, config: DoppelgangerConfig, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.layers = mlp(config.latent, config.generator_hidden, 3, sum(sizes), norm=True)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, A)."""
        return torch.cat([part.softmax(1) for part in torch.split(self.layers(z), self.sizes, 1)], dim=1)

    def chosen(self, attributes: Tensor) -> Tensor:
        """The largest of each column as one-hot vectors, without a gradient."""
        parts = [
            (part.argmax(1, keepdim=True) == torch.arange(part.shape[1], device=part.device)).to(part.dtype)
            for part in torch.split(attributes.detach(), self.sizes, 1)
        ]
        return torch.cat(parts, dim=1)


class Generator(nn.Module):
    """Noise -> series (N, T, C), with their end where the data has ends."""

    def __init__(self, config: DoppelgangerConfig, series: Field, sizes: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.ends = bool(series.facts.get("ends"))
        self.signals = series.shape[1] - self.ends
        self.bounded = series.range is not None
        self.attributes = Attributes(config, sizes) if sizes else None
        known, hidden = sum(sizes), config.generator_hidden
        self.ranges = mlp(config.latent + known, hidden, 3, 2 * self.signals, norm=True)
        self.memory = nn.LSTM(config.latent + known + 2 * self.signals, hidden, batch_first=True)
        self.output = nn.Linear(hidden, steps * (self.signals + 2 * self.ends))

    def series(self, known: Tensor | None, z_range: Tensor, noise: Tensor, state: Tensor) -> Tensor:
        """Attributes (N, A), noise (N, latent), (N, T / S, latent) and (N, 2, hidden) -> (N, T, C)."""
        about = z_range if known is None else torch.cat([z_range, known], 1)
        middle, half = self.ranges(about).chunk(2, 1)
        if self.bounded:  # all of it within -1..1
            middle = middle.tanh()
            half = half.sigmoid() * (1 - middle.abs())
        else:
            half = functional.softplus(half)
        constant = [middle, half] if known is None else [middle, half, known]
        inputs = [noise, *(item[:, None].expand(-1, noise.shape[1], -1) for item in constant)]
        first = state.transpose(0, 1)
        states, _ = self.memory(torch.cat(inputs, 2), (first[:1].contiguous(), first[1:].contiguous()))
        written = self.output(states).reshape(states.shape[0], -1, self.signals + 2 * self.ends)
        values = middle[:, None] + half[:, None] * written[..., : self.signals].tanh()
        return ended(values, written[..., self.signals :]) if self.ends else values

    def forward(self, z_range: Tensor, noise: Tensor, state: Tensor) -> Tensor:
        """(N, latent), (N, T / S, latent), (N, 2, hidden) -> (N, T, C)."""
        return self.series(None, z_range, noise, state)


class AttributedGenerator(Generator):
    """The same with z (N, latent); writes series and attributes (N, A)."""

    def forward(  # type: ignore[override]
        self, z: Tensor, z_range: Tensor, noise: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(N, latent), (N, latent), (N, T / S, latent), (N, 2, hidden) -> (N, T, C), (N, A)."""
        assert self.attributes is not None  # noqa: S101
        attributes = self.attributes(z)
        return self.series(self.attributes.chosen(attributes), z_range, noise, state), attributes


def ended(values: Tensor, flags: Tensor) -> Tensor:
    """Values (N, T, C) with logits (N, T, 2) of going on and of ending -> (N, T, C + 1).

    After its first end a sample is 0, with -1 in the last channel, as in the data. The step of the end is
    still part of it.
    """
    going = flags.softmax(2)[..., :1]
    inside = to_first_end((going <= 0.5).to(values.dtype))
    return torch.cat([values * inside, (2 * going - 1) * inside - (1 - inside)], dim=2)


def to_first_end(over: Tensor) -> Tensor:
    """Ends (N, T, 1), 0 or 1 -> 1 up to and including the first one of a sample, then 0."""
    return (over.cumsum(1) - over < 0.5).to(over.dtype)


class Judge(nn.Module):
    """Series and attributes -> score (N,), from each sample in its own range, and these ranges.

    A range is (max + min) / 2 and (max - min) / 2 of each column before the end. `whole` is False for the
    auxiliary discriminator, which sees attributes and ranges only.
    """

    def __init__(self, config: DoppelgangerConfig, series: Field, attributes: int, *, whole: bool) -> None:
        super().__init__()
        self.ends, self.whole = bool(series.facts.get("ends")), whole
        self.signals = series.shape[1] - self.ends
        inputs = 2 * self.signals + attributes + whole * series.shape[0] * series.shape[1]
        self.layers = mlp(inputs, config.discriminator_hidden, 5, 1, norm=False)

    def score(self, series: Tensor, attributes: Tensor | None) -> Tensor:
        """(N, T, C), (N, A) -> (N,)."""
        values, flags = series[..., : self.signals], series[..., self.signals :]
        if self.ends:
            inside = to_first_end((flags.detach() <= 0).to(series.dtype))
            far = 1e4 * (1 - inside)
            high, low = (values - far).amax(1), (values + far).amin(1)
        else:
            inside = torch.ones_like(values[..., :1])
            high, low = values.amax(1), values.amin(1)
        middle, half = (high + low) / 2, (high - low) / 2 + LEAST
        inputs = [middle, half]
        if attributes is not None:
            inputs.append(attributes)
        if self.whole:
            own = (values - middle[:, None]) / half[:, None] * inside
            inputs += [own.flatten(1), flags.flatten(1)]
        score: Tensor = self.layers(torch.cat(inputs, 1))
        return score.flatten()

    def forward(self, series: Tensor) -> Tensor:
        """(N, T, C) -> (N,)."""
        return self.score(series, None)


class AttributedJudge(Judge):
    """The same with attributes (N, A)."""

    def forward(self, series: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        """(N, T, C), (N, A) -> (N,)."""
        return self.score(series, attributes)


def steps_for(length: int) -> int:
    """The smallest divisor of the length for which the LSTM has at most 50 steps."""
    return next(size for size in range(1, length + 1) if length % size == 0 and length // size <= ABOUT)


def build(config: DoppelgangerConfig, data: DataInfo) -> Networks:
    """Factory of `doppelganger`; SettingsError for `steps` that do not divide the length.

    DataError for attributes that are numbers.
    """
    series = series_of(data)
    length = series.shape[0]
    steps = config.steps or steps_for(length)
    if length % steps:
        raise SettingsError(
            f"Series of {length} time steps cannot be written {steps} at a time.",
            fix=f"--set architecture.steps={steps_for(length)}, or another data.length",
        )
    attributed = "attributes" in data
    columns = data.field("attributes").columns if attributed else ()
    if not all(column.values for column in columns):
        raise DataError("The attributes of 'doppelganger' are categories; these have a number among them.")
    sizes = tuple(len(column.values) for column in columns)
    latent = config.latent
    fields = [
        Field(name="z_range", shape=(latent,), source="normal"),
        Field(
            name="noise",
            shape=(length // steps, latent),
            source="normal",
            axes=(TIME, "noise"),
            free={TIME: 1},
        ),
        Field(name="state", shape=(2, config.generator_hidden), source="normal"),
    ]
    if attributed:
        fields.insert(0, Field(name="z", shape=(latent,), source="normal"))
    generator = (AttributedGenerator if attributed else Generator)(config, series, sizes, steps)
    writes = ("series", "attributes") if attributed else ("series",)
    judge = AttributedJudge if attributed else Judge
    return Networks(
        generators={
            "generator": Net(module=generator, reads=tuple(field.name for field in fields), writes=writes)
        },
        discriminators={
            name: Net(module=judge(config, series, sum(sizes), whole=whole), reads=writes)
            for name, whole in (("discriminator", True), ("auxiliary", False))
        },
        games=(Game(), Game(discriminator="auxiliary")),
        fields=tuple(fields),
        free={"series": {TIME: steps}},
    )
