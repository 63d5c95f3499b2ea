"""Architecture `rcgan`: an LSTM against an LSTM that scores every time step (Esteban et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganzoo.api import Bounded, DataInfo, Field, Net, Networks
from ganzoo_series.config import RcganConfig
from ganzoo_series.fields import TIME, series_of


class Recurrent(nn.Module):
    """An LSTM and a linear layer at every step; inputs and class, if any, are joined at every step."""

    def __init__(self, inputs: int, outputs: int, hidden: int, classes: int, output_std: float) -> None:
        super().__init__()
        self.register_buffer("classes", torch.arange(classes), persistent=False)
        self.classes: Tensor
        self.memory = nn.LSTM(inputs + classes, hidden, batch_first=True)
        self.output = nn.Linear(hidden, outputs)
        for name, value in self.memory.named_parameters():
            if "weight" in name:
                nn.init.xavier_uniform_(value)
            else:
                nn.init.zeros_(value)
        with torch.no_grad():  # the forget gate is open at first
            self.memory.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = 1
        for value in self.output.parameters():
            nn.init.trunc_normal_(value, std=output_std, a=-2 * output_std, b=2 * output_std)

    def steps(self, series: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, T, inputs) and (N,) -> (N, T, outputs)."""
        if label is not None:
            chosen = (label[:, None, None] == self.classes).to(series.dtype)
            series = torch.cat([series, chosen.expand(-1, series.shape[1], -1)], dim=2)
        states, _ = self.memory(series)
        written: Tensor = self.output(states)
        return written


class Generator(Recurrent):
    """noise (N, T, latent) -> series (N, T, C), in its range if it has one."""

    def __init__(self, config: RcganConfig, series: Field, classes: int) -> None:
        sizes = (config.latent, series.shape[1], config.generator_hidden)
        super().__init__(*sizes, classes, config.output_std)
        self.bounded = Bounded(series.range) if series.range else nn.Identity()

    def forward(self, noise: Tensor) -> Tensor:
        """(N, T, latent) -> (N, T, C)."""
        series: Tensor = self.bounded(self.steps(noise))
        return series


class LabelledGenerator(Generator):
    """The same with the class (N,)."""

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """(N, T, latent), (N,) -> (N, T, C)."""
        series: Tensor = self.bounded(self.steps(noise, label))
        return series


class Discriminator(Recurrent):
    """series (N, T, C) -> a score for each step, (N, T)."""

    def forward(self, series: Tensor) -> Tensor:
        """(N, T, C) -> (N, T)."""
        return self.steps(series).squeeze(2)


class LabelledDiscriminator(Recurrent):
    """The same with the class (N,)."""

    def forward(self, series: Tensor, label: Tensor) -> Tensor:
        """(N, T, C), (N,) -> (N, T)."""
        return self.steps(series, label).squeeze(2)


def build(config: RcganConfig, data: DataInfo) -> Networks:
    """Factory of `rcgan`; with the field `label`, both networks read it. DataError unless data has series."""
    series = series_of(data)
    labelled = "label" in data and not data.field("label").shape
    classes = len(data.field("label").classes) if labelled else 0
    generator = (LabelledGenerator if labelled else Generator)(config, series, classes)
    judge = (LabelledDiscriminator if labelled else Discriminator)(
        series.shape[1], 1, config.discriminator_hidden, classes, config.output_std
    )
    noise = Field(
        name="noise",
        shape=(series.shape[0], config.latent),
        source="normal",
        axes=(TIME, "noise"),
        free={TIME: 1},
    )
    conditions = ("label",) if labelled else ()
    return Networks(
        generators={
            "generator": Net(module=generator, reads=("noise", *conditions), writes=("series",)),
        },
        discriminators={"discriminator": Net(module=judge, reads=("series", *conditions))},
        fields=(noise,),
        free={"series": {TIME: 1}},
    )
