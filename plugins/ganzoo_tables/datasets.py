"""The data sets `csv` and `toy-table`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, counted
from ganzoo_tables.config import CsvConfig, ToyTableConfig
from ganzoo_tables.encoding import Encoding, Table, fit_encoding, source_of, split
from ganzoo_tables.read_csv import advice, read_table

TOY_HELD_OUT = (1,)  # spawn key: NumPy puts it after 128 bits of seed, so no seed gives this stream
REGIONS, SHARES = ("north", "south", "east", "islands"), (0.55, 0.3, 0.13, 0.02)


def open_csv(argument: str, config: CsvConfig | None = None) -> ArraySource:
    """`row` (d,) in -1..1 and, with `conditions`, `condition`: the rows of a CSV file to train on.

    DataError for a file that is not a table, or that has columns that cannot be used.
    """
    config = config or CsvConfig()
    path = _path(argument)
    whole = read_table(path, config)
    training, rest = split(whole, config)
    identity = f"{path.name}: {len(training)} rows"
    source = source_of(training, fit_encoding(training, whole, config), config, identity)
    held_out = counted(len(rest) if rest else 0, "row")
    card = (("rows", f"{len(training):,}", ""), ("held out", held_out, "for evaluation"))
    return replace(_as_in_file(source, config), notes=(*source.notes, *advice(whole, config)), card=card)


def open_csv_held_out(argument: str, config: CsvConfig | None = None) -> ArraySource | None:
    """The held-out rows; None where `held_out` gives none."""
    config = config or CsvConfig()
    path = _path(argument)
    whole = read_table(path, config)
    training, rest = split(whole, config)
    if rest is None:
        return None
    encoding = fit_encoding(training, whole, config)
    identity = f"{path.name}: {len(rest)} held-out rows"
    return _as_in_file(source_of(rest, encoding, config, identity, training=training), config)


def _as_in_file(source: ArraySource, config: CsvConfig) -> ArraySource:
    """The rows with the character between the cells of their file."""
    if config.separator == ",":
        return source
    rows = replace(source.fields[0], facts={"separator": config.separator})
    return replace(source, fields=(rows, *source.fields[1:]))


def open_toy(argument: str = "", config: ToyTableConfig | None = None) -> ArraySource:
    """Rows of an invented table, see `toy_table`."""
    config = config or ToyTableConfig()
    training, encoding = _toy(config)
    return source_of(training, encoding, config, f"toy-table, {config.count} rows, seed {config.seed}")


def open_toy_held_out(argument: str = "", config: ToyTableConfig | None = None) -> ArraySource:
    """As many new rows, in the same encoding."""
    config = config or ToyTableConfig()
    training, encoding = _toy(config)
    fresh = toy_table(config.count, config.seed, TOY_HELD_OUT)
    identity = f"toy-table, {config.count} held-out rows, seed {config.seed}"
    return source_of(fresh, encoding, config, identity, training=training)


@cache
def _toy(config: ToyTableConfig) -> tuple[Table, Encoding]:
    """The training rows and their encoding; cached, because fitting takes a second."""
    training = toy_table(config.count, config.seed, ())
    return training, fit_encoding(training, training, config)


def toy_table(count: int, seed: int, spawn_key: tuple[int, ...]) -> Table:
    """Customers of an invented shop, with the usual difficulties of tables.

    `region` has a rare value. `member` depends on it. `visits` are whole numbers from 1 that depend on
    `member`. `spent` is skewed: about 12 for each visit, more for members. `age` has two modes, by `member`.
    `rating`, from 1 to 5, rises with `spent`.
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=spawn_key)))
    region = random.choice(len(REGIONS), count, p=SHARES)
    member = random.random(count) < np.array([0.2, 0.35, 0.6, 0.8])[region]
    visits = 1 + random.poisson(np.where(member, 14, 5))
    spent = visits * random.lognormal(np.where(member, 2.7, 2.4), 0.4)
    age = np.where(member, random.normal(52, 8, count), random.normal(28, 5, count)).clip(16, 90)
    rating = np.clip(np.rint(1.2 + np.log(spent) / 2 + random.normal(0, 0.7, count)), 1, 5).astype(int)
    columns: dict[str, NDArray[np.generic]] = {
        "region": np.asarray(REGIONS)[region],
        "member": np.where(member, "yes", "no"),
        "visits": visits.astype(np.float64),
        "spent": spent.round(2),
        "age": age.round(),
        "rating": rating.astype(str),
    }
    return Table(columns=columns, decimals={"visits": 0, "spent": 2, "age": 0})


def _path(argument: str) -> Path:
    path = Path(argument).expanduser()
    if not argument or not path.exists():
        raise DataError(
            "The path does not exist." if argument else "The data set 'csv' needs a path.",
            where=f"--data csv:{argument}",
            fix="--data csv:PATH, where PATH is a CSV file with a header",
        )
    return path
