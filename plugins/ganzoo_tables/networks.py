"""Architecture `tabular`: the networks of Xu et al. 2019 (CTGAN, arXiv:1907.00503, section 4.4) for tables.

Categories and modes are drawn by a softmax with Gumbel noise (Jang et al. 2017). The noise is computed from
the input field `chance`, so the exported graph is deterministic and draws as the trained network does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Column, DataError, DataInfo, Field, Net, Networks, places
from ganzoo_tables.config import TabularConfig

NEVER = -1e4  # the logit of padding
LEAST = 1e-6  # keeps Gumbel noise finite: between -2.6 and 13.8


class Wider(nn.Module):
    """Linear, BatchNorm, ReLU; the output is concatenated with the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs + inputs)."""
        return torch.cat([self.layers(hidden), hidden], dim=1)


class Choices(nn.Module):
    """A softmax for each column over its indicators, computed for all columns at once."""

    def __init__(self, columns: Sequence[Column], temperature: float) -> None:
        super().__init__()
        spans = sorted(place[:2] for place in places(columns))
        self.size, self.temperature = spans[-1][1], temperature
        widest = max(stop - start for start, stop in spans)
        # `grid` gathers a row of logits for each column, padded with the extra last logit; `back` reverses
        # it.
        grid = torch.full((len(spans), widest), self.size)
        back = torch.empty(self.size, dtype=torch.int64)
        for at, (start, stop) in enumerate(spans):
            grid[at, : stop - start] = torch.arange(start, stop)
            back[start:stop] = at * widest + torch.arange(stop - start)
        self.shape = tuple(grid.shape)
        self.register_buffer("grid", grid.flatten(), persistent=False)
        self.register_buffer("back", back, persistent=False)
        self.grid: Tensor
        self.back: Tensor

    def forward(self, logits: Tensor, chance: Tensor) -> Tensor:
        """Logits (N, size) and U(-1, 1) of that shape -> indicators (N, size), with sum 1 for each column."""
        uniform = ((chance + 1) / 2).clamp(LEAST, 1 - LEAST)
        noisy = (logits - (-uniform.log()).log()) / self.temperature
        padded = functional.pad(noisy, (0, 1), value=NEVER)
        chosen = padded.index_select(1, self.grid).reshape(-1, *self.shape).softmax(2)
        return chosen.flatten(1).index_select(1, self.back)


class Generator(nn.Module):
    """z (N, latent) and chance (N, indicators) -> row (N, d)."""

    def __init__(self, config: TabularConfig, row: Field, classes: int = 0) -> None:
        super().__init__()
        size = config.latent + classes
        layers: list[nn.Module] = []
        for hidden in config.generator_hidden:
            layers.append(Wider(size, hidden))
            size += hidden
        self.choices = Choices(row.columns, config.temperature)
        numbers = sum(bool(column.centres) for column in row.columns)
        self.layers = nn.Sequential(*layers, nn.Linear(size, self.choices.size + numbers))

    def row(self, hidden: Tensor, chance: Tensor) -> Tensor:
        """The input of the first layer -> row: all indicators, then all numbers."""
        # Exponentials of logits need the precision of float32.
        written: Tensor = self.layers(hidden).float()
        chosen = self.choices(written[:, : self.choices.size], chance.float())
        return torch.cat([chosen, written[:, self.choices.size :].tanh()], dim=1)

    def forward(self, z: Tensor, chance: Tensor) -> Tensor:
        """(N, latent), (N, indicators) -> (N, d)."""
        return self.row(z, chance)


class ConditionalGenerator(Generator):
    """The same with the input condition (N,) int64, which every layer reads."""

    def __init__(self, config: TabularConfig, row: Field, classes: int) -> None:
        super().__init__(config, row, classes)
        self.indicators = Indicators(classes)

    def forward(self, z: Tensor, chance: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]
        """(N, latent), (N, indicators), (N,) -> (N, d)."""
        return self.row(torch.cat([z, self.indicators(condition)], dim=1), chance)


class Indicators(nn.Module):
    """Class numbers as one-hot vectors."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("classes", torch.arange(classes), persistent=False)
        self.classes: Tensor

    def forward(self, label: Tensor) -> Tensor:
        """(N,) or (N, k) int64 -> (N, classes) or (N, k * classes)."""
        return (label.unsqueeze(-1) == self.classes).float().flatten(1)


class Discriminator(nn.Module):
    """row (N, d) -> score (N,)."""

    def __init__(self, config: TabularConfig, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for hidden in config.discriminator_hidden:
            layers += [nn.Linear(size, hidden), nn.LeakyReLU(config.slope), nn.Dropout(config.dropout)]
            size = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, row: Tensor) -> Tensor:
        """(N, d) -> (N,)."""
        score: Tensor = self.layers(row)
        return score.flatten()


class ConditionalDiscriminator(Discriminator):
    """row (N, d) and condition (N,), or for packs of k rows (N, k d) and (N, k) -> score (N,)."""

    def __init__(self, config: TabularConfig, size: int, labels: int, classes: int) -> None:
        super().__init__(config, size + labels * classes)
        self.indicators = Indicators(classes)

    def forward(self, row: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]
        """(N, d), (N,) or (N, k) -> (N,)."""
        score: Tensor = self.layers(torch.cat([row, self.indicators(condition)], dim=1))
        return score.flatten()


def build(config: TabularConfig, data: DataInfo) -> Networks:
    """Factory of `tabular`; DataError unless the data has rows of a table.

    If the data has the field `condition`, both networks read it.
    """
    row = data.field("row")
    if not row.columns or len(row.shape) != 1:
        raise DataError(
            "The architecture 'tabular' needs rows of a table with known columns.",
            where=f"the field 'row' is {row.dtype} of the shape {row.shape}, without columns",
            fix="--data csv:PATH; for other rows of numbers the architecture 'mlp'",
        )
    chance = Field(name="chance", shape=(sum(column.indicators for column in row.columns),), source="uniform")
    latent = Field(name="z", shape=(config.latent,), source="normal")
    generator: nn.Module
    discriminator: nn.Module
    conditions: tuple[str, ...] = ()
    if "condition" in data:
        condition = data.field("condition")
        classes, labels = len(condition.classes), sum(condition.shape) or 1
        generator = ConditionalGenerator(config, row, classes)
        discriminator = ConditionalDiscriminator(config, row.shape[0], labels, classes)
        conditions = ("condition",)
    else:
        generator, discriminator = Generator(config, row), Discriminator(config, row.shape[0])
    return Networks(
        generators={"generator": Net(module=generator, reads=("z", "chance", *conditions), writes=("row",))},
        discriminators={"discriminator": Net(module=discriminator, reads=("row", *conditions))},
        fields=(latent, chance),
        tags=("packs-labels",),
    )
