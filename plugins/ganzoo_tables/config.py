"""Options of the data sets, the networks and the term. Importing this must not import torch or numpy."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass


def setting(option: str, *names: str) -> str:
    """The words that set an option of the data to a list, as a shell takes them."""
    return f"--set {shlex.quote(f'data.{option}={json.dumps(names, ensure_ascii=False)}')}"


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """How a table becomes rows of numbers.

    `conditions`: each row comes once for each category column, with the field `condition` that names its
    value there, and training sees rare values more often (their frequency counts by its logarithm). Without,
    each row comes once. `held_out`: the share of the rows that training does not see, chosen by `seed`, which
    also decides between modes. `modes`: of a number, at most.
    """

    conditions: bool = False
    held_out: float = 0.2
    modes: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 0.9:
            raise ValueError("held_out must be between 0 and 0.9")
        if not 1 <= self.modes <= 100:
            raise ValueError("modes must be between 1 and 100")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class CsvConfig(TableConfig):
    """How a CSV file is read, beside the options of its table.

    `separator` divides the cells. A column is a number where all its cells are, unless they are at most `few`
    different whole numbers: these, and text, are categories. `numbers` and `categories` name columns that are
    to be what they do not look like, `leave_out` those that are not wanted.
    """

    separator: str = ","
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    few: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1 or self.separator in '"\r\n':
            raise ValueError("separator must be one character, and no quote or line end")
        if both := set(self.numbers) & set(self.categories):
            raise ValueError(f"'{min(both)}' is among both numbers and categories")


@dataclass(frozen=True, kw_only=True)
class ToyTableConfig(TableConfig):
    """`count` rows of the made-up table."""

    count: int = 5_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 100 <= self.count <= 1_000_000:
            raise ValueError("count must be between 100 and 1,000,000")


@dataclass(frozen=True, kw_only=True)
class TabularConfig:
    """Options of `tabular`.

    `temperature`: of the softmax by which categories and modes are chosen; the paper's is 0.2. `dropout`: in
    the discriminator, after each hidden layer.
    """

    latent: int = 128
    generator_hidden: tuple[int, ...] = (256, 256)
    discriminator_hidden: tuple[int, ...] = (256, 256)
    temperature: float = 0.2
    dropout: float = 0.5
    slope: float = 0.2

    def __post_init__(self) -> None:
        if min(self.latent, *self.generator_hidden, *self.discriminator_hidden) < 1:
            raise ValueError("latent and hidden sizes must be 1 or more")
        if self.temperature <= 0:
            raise ValueError("temperature must be more than 0")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class ConditionConfig:
    """Options of `condition`. At the temperature of the softmax, its gradient is on average the paper's."""

    weight: float = 0.2

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
