"""Architecture `text-lstm`: the LSTM and the convolutional discriminator of RelGAN (Nie et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ganzoo.api import DataInfo, Export, Field, Net, Networks, Step
from ganzoo_text.common import OneHot, texts_of
from ganzoo_text.config import TextLstmConfig

TINY = 1e-10  # inside each logarithm of the Gumbel noise, as in the authors' code


class Generator(nn.Module):
    """Writes one symbol after the other: noise and given text (N, length, V) -> text, logits (the same).

    The next symbol is argmax(o + g) with logits o and Gumbel noise g = -ln(-ln u), which is a draw from
    softmax(o) (Nie et al. 2019, equation 6). The discriminator sees softmax(beta (o + g)), equation 8. In
    eval mode the text is what was drawn. At a place where `given` has a symbol, that is the next symbol
    instead. The first input is the end symbol.
    """

    def __init__(self, config: TextLstmConfig, text: Field) -> None:
        super().__init__()
        symbols = text.shape[1]
        self.inverse_temperature = config.inverse_temperature
        self.embedding = nn.Embedding(symbols, config.embedding)
        self.memory = nn.LSTMCell(config.embedding, config.hidden)
        self.to_symbols = nn.Linear(config.hidden, symbols)
        self.one_hot = OneHot(symbols)

    def forward(self, noise: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """(N, length, V) each; `noise` is in -1..1 -> two of (N, length, V)."""
        gumbel = -torch.log(TINY - torch.log((noise.float() + 1) / 2 + TINY))
        given = given.to(gumbel.dtype)
        unknown = 1 - given.sum(2, keepdim=True)
        shape = (noise.shape[0], self.memory.hidden_size)
        state = gumbel.new_zeros(shape), gumbel.new_zeros(shape)
        before = self.embedding.weight[:1].expand(noise.shape[0], -1)
        drawn, logits = [], []
        # Parts of one split: `[:, place]` would be a Gather for each place in an exported graph.
        places = zip(*(values.unbind(1) for values in (gumbel, given, unknown)), strict=True)
        for chance, fixed, free in places:
            state = self.memory(before, state)
            logits.append(self.to_symbols(state[0]).float())
            symbol = self.one_hot(logits[-1] + chance).detach()
            drawn.append(fixed + free * symbol)
            before = linear(drawn[-1], self.embedding.weight.T)
        values = torch.stack(logits, 1)
        if not self.training:
            return torch.stack(drawn, 1), values
        return torch.softmax(self.inverse_temperature * (values + gumbel), dim=-1), values


class Discriminator(nn.Module):
    """text (N, length, V) -> score (N, representations): the same network reads each embedding.

    A place is embedded as one number per representation. Convolutions of several widths, ReLU and the largest
    value over time, then a highway layer (Srivastava et al. 2015), dropout and two linear layers.
    """

    def __init__(self, config: TextLstmConfig, text: Field) -> None:
        super().__init__()
        kernels = [min(kernel, text.shape[0]) for kernel in config.kernels]
        width = config.filters * len(kernels)
        self.embedding = nn.Linear(text.shape[1], config.representations, bias=False)
        self.filters = nn.ModuleList(nn.Conv1d(1, config.filters, kernel) for kernel in kernels)
        self.highway, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.features, self.score = nn.Linear(width, config.features), nn.Linear(config.features, 1)

    def forward(self, text: Tensor) -> Tensor:
        """(N, length, V) -> (N, representations)."""
        embedded = self.embedding(text).transpose(1, 2)
        rows = embedded.flatten(0, 1)[:, None]
        found = torch.cat([layer(rows).max(2).values for layer in self.filters], 1).relu()
        share = torch.sigmoid(self.gate(found))
        mixed = share * self.highway(found).relu() + (1 - share) * found
        score: Tensor = self.score(self.features(self.dropout(mixed)))
        return score.reshape(embedded.shape[:2])


def build(config: TextLstmConfig, data: DataInfo) -> Networks:
    """Factory of `text-lstm`; DataError unless the data holds texts."""
    text = texts_of(data)
    generator = Net(module=Generator(config, text), reads=("noise", "given"), writes=(text.name, "logits"))
    return Networks(
        generators={"generator": generator},
        discriminators={"discriminator": Net(module=Discriminator(config, text), reads=(text.name,))},
        fields=(
            Field(name="noise", shape=text.shape, source="uniform"),
            Field(name="given", shape=text.shape, source="constant"),
            Field(name="logits", shape=text.shape),
        ),
        exports=(Export(name="generator", steps=(Step(net="generator"),), outputs=(text.name,)),),
    )
