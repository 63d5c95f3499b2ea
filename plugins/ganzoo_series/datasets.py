"""The data sets `series`, `sines`, `toy-returns` and `toy-charging`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, Column, DataError
from ganzoo_datasets.paths import given_path
from ganzoo_series.clock import DAY, Clock
from ganzoo_series.config import (
    CsvSeriesConfig,
    SinesConfig,
    ToyChargingConfig,
    ToyReturnsConfig,
)
from ganzoo_series.fields import Layout
from ganzoo_series.pieces import Piece, SeriesTable
from ganzoo_series.read_series import read_series
from ganzoo_series.transform import Scale, fit_scale, forward
from ganzoo_series.windows import FEWEST, attributes_field, sources

HELD_OUT = (1,)  # spawn key of held-out samples: no seed gives this stream
CARS, PLACES = ("small", "van", "truck"), ("home", "street")
QUARTER = 0.25  # hours


def open_series(argument: str, config: CsvSeriesConfig | None = None) -> ArraySource:
    """`series` (T, C) and, if there are any, `attributes` (A,): windows of the rows before the held-out time.

    Of an .npy file its first samples. DataError for files that are no series.
    """
    return _series(argument, config or CsvSeriesConfig())[0]


def open_series_held_out(argument: str, config: CsvSeriesConfig | None = None) -> ArraySource | None:
    """Windows from the held-out time on; None if there are fewer than 10."""
    return _series(argument, config or CsvSeriesConfig())[1]


def _series(argument: str, config: CsvSeriesConfig) -> tuple[ArraySource, ArraySource | None]:
    path = given_path("series", argument, "a CSV file, a folder of them, or an .npy file")
    if path.suffix.lower() == ".npy":
        return _array(path, config)
    return sources(read_series(path, config), config, path.name, str(path))


def _array(path: Path, config: CsvSeriesConfig) -> tuple[ArraySource, ArraySource | None]:
    """The samples of an array (N, T, C) or (N, T); the last ones are held out."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The file is no array of numbers: {error}", where=str(path)) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or values.ndim not in (2, 3):
        raise DataError(
            "An array of numbers with the axes samples, time and channels is needed.",
            where=f"{path} has {getattr(values, 'dtype', 'several arrays')} {getattr(values, 'shape', '')}",
        )
    values = np.asarray(values if values.ndim == 3 else values[..., None], np.float64)
    if min(values.shape[1:]) < 1 or values.shape[1] < 2 or len(values) < FEWEST:
        raise DataError(
            f"At least {FEWEST} samples of 2 time steps are needed.", where=f"{path}: {values.shape}"
        )
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0].tolist()
        raise DataError("A value is not a finite number.", where=f"{path}, sample, time and channel {at}")
    count = len(values) - round(config.held_out * len(values))
    columns = tuple(f"channel {at}" for at in range(values.shape[2]))
    for at, name in enumerate(columns):
        if np.ptp(values[:count, ..., at]) == 0:
            raise DataError(
                f"All values of {name} are the same.", where=str(path), fix="leave the channel out"
            )
    rows = values if config.scale == "minmax" else values[:count]
    scales = tuple(fit_scale(rows[..., at].ravel(), config.scale) for at in range(len(columns)))
    field = Layout(columns=columns, scales=scales, clock=Clock()).field(
        values.shape[1], bounded=config.scale == "minmax"
    )
    training, rest = (
        ArraySource(
            fields=(field,),
            arrays={"series": forward(part, scales)},
            identity=f"{path.name}: {len(part)} {what}series",
        )
        for part, what in ((values[:count], ""), (values[count:], "held-out "))
    )
    return training, rest if len(values) - count >= FEWEST else None


def _random(seed: int, spawn_key: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=spawn_key)))


def open_sines(argument: str = "", config: SinesConfig | None = None) -> ArraySource:
    """Sines of random frequency, amplitude and phase (Esteban, Hyland and Ratsch 2017, section 4.1)."""
    return _sines(config or SinesConfig(), ())


def open_sines_held_out(argument: str = "", config: SinesConfig | None = None) -> ArraySource:
    """As many others."""
    return _sines(config or SinesConfig(), HELD_OUT)


def _sines(config: SinesConfig, spawn_key: tuple[int, ...]) -> ArraySource:
    random = _random(config.seed, spawn_key)
    turns, phase = random.uniform(1, 5, (config.count, 1)), random.uniform(0, 2 * np.pi, (config.count, 1))
    size = random.uniform(0.1, 0.9, (config.count, 1))
    waves = size * np.sin(2 * np.pi * turns * np.arange(config.length) / config.length + phase)
    layout = Layout(columns=("sine",), scales=(Scale(),), clock=Clock())
    return ArraySource(
        fields=(layout.field(config.length, bounded=True),),
        arrays={"series": waves[..., None].astype(np.float32)},
        identity=f"sines, {config.count} of {config.length} steps, seed {config.seed}, stream {spawn_key}",
    )


def open_toy_returns(argument: str = "", config: ToyReturnsConfig | None = None) -> ArraySource:
    """Windows of a simulated index of shares, see `toy_index`."""
    return _toy_returns(config or ToyReturnsConfig())[0]


def open_toy_returns_held_out(
    argument: str = "", config: ToyReturnsConfig | None = None
) -> ArraySource | None:
    """Windows of its later days."""
    return _toy_returns(config or ToyReturnsConfig())[1]


@cache
def _toy_returns(config: ToyReturnsConfig) -> tuple[ArraySource, ArraySource | None]:
    clock = Clock(column="date", unit="weekday", start=10_959 * DAY)  # 2000-01-03
    days = np.busday_offset(np.array(["2000-01-03"], "datetime64[D]"), np.arange(config.count))
    piece = Piece(
        entity="index",
        attributes=(),
        times=days.astype("datetime64[s]").astype(np.float64),
        values=toy_index(config.count, config.seed)[:, None],
    )
    table = SeriesTable(columns=("index",), attributes=(), pieces=(piece,), clock=clock)
    return sources(table, config, f"toy-returns, seed {config.seed}", "toy-returns")


def toy_index(count: int, seed: int) -> NDArray[np.float64]:
    """Daily levels, from 100: a GJR-GARCH process (Glosten, Jagannathan and Runkle 1993) with t noise.

    s_t^2 = 1.5e-6 + (0.03 + 0.12 [r < 0]) r_(t-1)^2 + 0.89 s_(t-1)^2, r_t = 3e-4 + s_t e_t, where e has a t
    distribution of 5 degrees of freedom and variance 1: heavy tails, clusters, leverage.
    """
    noise = _random(seed, ()).standard_t(5, count) * np.sqrt(3 / 5)
    returns = np.zeros(count)
    variance = 1.5e-6 / (1 - 0.03 - 0.06 - 0.89)
    for day in range(1, count):
        last = returns[day - 1]
        variance = 1.5e-6 + (0.03 + 0.12 * (last < 0)) * last**2 + 0.89 * variance
        returns[day] = np.sqrt(variance) * noise[day]
    levels: NDArray[np.float64] = 100 * np.exp(np.cumsum(returns + 3e-4))
    return levels


def open_toy_charging(argument: str = "", config: ToyChargingConfig | None = None) -> ArraySource:
    """`series` (48, 3) with ends, and `attributes`, see `toy_charges`."""
    return _toy_charging(config or ToyChargingConfig(), ())


def open_toy_charging_held_out(argument: str = "", config: ToyChargingConfig | None = None) -> ArraySource:
    """As many others."""
    return _toy_charging(config or ToyChargingConfig(), HELD_OUT)


def _toy_charging(config: ToyChargingConfig, spawn_key: tuple[int, ...]) -> ArraySource:
    car, place, values, lengths = toy_charges(config.count, config.seed, spawn_key)
    scales = (Scale(c=25.0, d=25.0), Scale(c=50.0, d=50.0))
    inside = np.arange(values.shape[1]) < lengths[:, None]
    going = np.arange(values.shape[1]) < lengths[:, None] - (lengths[:, None] < values.shape[1])
    samples = np.concatenate(
        [forward(values, scales) * inside[..., None], np.where(going, 1, -1)[..., None]], axis=2
    ).astype(np.float32)
    clock = Clock(column="time", unit="second", start=20_454 * DAY, step=QUARTER * 3600)  # 2026-01-01
    columns = (Column(name="car", values=CARS), Column(name="place", values=PLACES))
    layout = Layout(columns=("power (kW)", "charge (%)"), scales=scales, clock=clock, ends=True)
    one_hot = np.concatenate([np.eye(3)[car], np.eye(2)[place]], axis=1).astype(np.float32)
    return ArraySource(
        fields=(layout.field(values.shape[1], bounded=True), attributes_field(columns)),
        arrays={"series": samples, "attributes": one_hot},
        identity=f"toy-charging, {config.count} charges, seed {config.seed}, stream {spawn_key}",
    )


def toy_charges(
    count: int, seed: int, spawn_key: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Cars (N,), places (N,), power in kW and charge in % (N, 48, 2) in quarter hours, and lengths (N,).

    Trucks mostly charge in the street, small cars at home. A car takes what it and the place allow, less
    above 80 %, and ends at 99 % or after 12 hours.
    """
    random = _random(seed, spawn_key)
    car = random.choice(3, count, p=[0.5, 0.3, 0.2])
    place = (random.random(count) < np.array([0.3, 0.5, 0.9])[car]).astype(np.intp)
    battery = np.array([40.0, 75.0, 300.0])[car]
    most = np.minimum(np.array([7.4, 11.0, 50.0])[car], np.array([11.0, 50.0])[place])
    most *= random.uniform(0.8, 1, count)
    charge = random.uniform(10, 70, count)
    values = np.zeros((count, 48, 2))
    lengths = np.full(count, 48, np.intp)
    for step in range(48):
        power = most * np.clip((101 - charge) / 21, 0, 1) * random.uniform(0.97, 1, count)
        values[:, step] = np.stack([power, charge], axis=1)
        done = (charge >= 99) & (lengths == 48)
        lengths[done] = step + 1
        charge = np.minimum(charge + 100 * power * QUARTER / battery, 100)
    return car, place, values, lengths
