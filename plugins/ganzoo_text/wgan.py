"""Architecture `text-conv`: residual 1-D convolutions of Gulrajani et al. 2017, section 5.4, for texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ganzoo.api import DataInfo, Field, Networks
from ganzoo_text.common import OneHot, texts_of
from ganzoo_text.config import TextConvConfig

SHARE = 0.3  # of a block's convolutions in its output, gan_language.py


class Block(nn.Module):
    """x + 0.3 conv(relu(conv(relu(x)))), (N, width, length) -> the same."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(width, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, length) -> (N, width, length)."""
        changed: Tensor = self.second(relu(self.first(relu(x))))
        return x + SHARE * changed


class Generator(nn.Module):
    """z (N, latent) -> text (N, length, V): a softmax at each place; in eval mode its largest symbol.

    With `straight_through` it is the largest symbol in training, too, with the gradients of the softmax
    (Bengio et al. 2013, arXiv:1308.3432): the critic sees the texts that the generator is used for.
    """

    def __init__(self, config: TextConvConfig, text: Field, classes: int) -> None:
        super().__init__()
        (self.length, symbols), width = text.shape, config.generator_width
        self.label = nn.Embedding(classes, config.latent) if classes else None
        self.project = nn.Linear(config.latent, self.length * width)
        self.blocks = nn.Sequential(*(Block(width, config.kernel) for _ in range(config.blocks)))
        self.to_symbols = nn.Conv1d(width, symbols, 1)
        self.one_hot = OneHot(symbols)
        self.straight_through = config.straight_through

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent), (N,) -> (N, length, V)."""
        if self.label is not None and label is not None:
            z = z + self.label(label)
        maps = self.project(z).unflatten(1, (-1, self.length))
        logits = self.to_symbols(self.blocks(maps)).transpose(1, 2)
        if not self.training:
            symbols: Tensor = self.one_hot(logits)
            return symbols
        shares = torch.softmax(logits, dim=-1)
        return shares + (self.one_hot(shares) - shares).detach() if self.straight_through else shares


class Critic(nn.Module):
    """text (N, length, V) -> score (N,)."""

    def __init__(self, config: TextConvConfig, text: Field, classes: int) -> None:
        super().__init__()
        (length, symbols), width = text.shape, config.discriminator_width
        self.from_symbols = nn.Conv1d(symbols, width, 1)
        self.blocks = nn.Sequential(*(Block(width, config.kernel) for _ in range(config.blocks)))
        self.score = nn.Linear(width * length, 1)
        self.label = nn.Embedding(classes, width) if classes else None

    def forward(self, text: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, length, V), (N,) -> (N,)."""
        maps = self.blocks(self.from_symbols(text.transpose(1, 2)))
        score: Tensor = self.score(maps.flatten(1)).flatten()
        if self.label is not None and label is not None:
            score = score + (self.label(label) * maps.mean(2)).sum(1)
        return score


def build(config: TextConvConfig, data: DataInfo) -> Networks:
    """Factory of `text-conv`; DataError unless the data holds texts. Conditional where they have a class.

    The generator then adds an embedding of the class to z; the critic adds the product of another one with
    its mean map (Miyato and Koyama 2018, arXiv:1802.05637). The paper has no classes.
    """
    text = texts_of(data)
    classes = len(data.field("label").classes) if "label" in data else 0
    return Networks.pair(
        Generator(config, text, classes),
        Critic(config, text, classes),
        latent=Field(name="z", shape=(config.latent,), source="normal"),
        writes=text.name,
        conditions=("label",) if classes else (),
    )
