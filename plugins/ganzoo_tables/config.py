"""Options of the data sets, the networks and the term. Importing this must not import torch or numpy."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Literal


def setting(option: str, *names: str) -> str:
    """The command line option, quoted for a shell, that sets an option of the data to a list."""
    return f"--set {shlex.quote(f'data.{option}={json.dumps(names, ensure_ascii=False)}')}"


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """How a table becomes rows of numbers.

    `conditions`: each row is repeated for each category column, with the field `condition` that holds its
    value there, and training samples rare values more often (by the logarithm of their frequency). Otherwise
    each row occurs once. `held_out`: the share of the rows that are held out, drawn with `seed`. `seed` also
    draws the mode of each number. `modes`: the most modes of a number column.
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

    `separator` separates the cells. A column is a number column if all its cells are numbers, except when it
    has at most `few` different whole numbers. All other columns are categories. `numbers` and `categories`
    are the names of columns for which this rule is wrong, `leave_out` those of columns to ignore. `missing`:
    an empty cell is an error; or rows with one are left out; or it is learned and generated like a value, in
    a category as `(missing)`, in a number as a blank. `decimal`: the decimal sign of numbers; `auto` finds it
    in each column.
    """

    separator: str = ","
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    few: int = 10
    missing: Literal["error", "skip", "value"] = "error"
    decimal: Literal["auto", ".", ","] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1 or self.separator in '"\r\n':
            raise ValueError("separator must be one character, and no quote or line end")
        if both := set(self.numbers) & set(self.categories):
            raise ValueError(f"'{min(both)}' is among both numbers and categories")


@dataclass(frozen=True, kw_only=True)
class ToyTableConfig(TableConfig):
    """`count` rows of the invented table."""

    count: int = 5_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 100 <= self.count <= 1_000_000:
            raise ValueError("count must be between 100 and 1,000,000")


@dataclass(frozen=True, kw_only=True)
class TabularConfig:
    """Options of `tabular`.

    `temperature`: of the softmax for categories and modes; 0.2 in the paper. `dropout`: in the discriminator,
    after each hidden layer.
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
    """Options of `condition`. If the weight is the temperature, the mean gradient is that of the paper."""

    weight: float = 0.2

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
