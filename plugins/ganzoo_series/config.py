"""Options of the data sets, networks and metrics. Importing this must not import torch or numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganzoo_series.clock import place_of


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How long series become samples.

    `length`: time steps of a sample. `stride`: steps from one window to the next; 0 is 1, and with
    `variable` the length. `held_out`: the share of the time, at the end, that is held out.
    `scale`: `minmax` maps each column onto -1..1, `standard` gives it mean 0 and deviation 1, `gauss` also
    removes heavy tails by Lambert's W. `returns`: networks see log returns ln(p_t / p_(t-1)) in place of
    values above 0. `variable`: pieces shorter than `length` are kept, and the last channel says where a
    sample ends.
    """

    length: int = 24
    stride: int = 0
    held_out: float = 0.2
    scale: Literal["minmax", "standard", "gauss"] = "minmax"
    returns: bool = False
    variable: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.length <= 100_000:
            raise ValueError("length must be between 2 and 100,000 time steps")
        if self.stride < 0:
            raise ValueError("stride must be 1 or more, or 0 for the usual one")
        if not 0 <= self.held_out <= 0.9:
            raise ValueError("held_out must be between 0 and 0.9")


@dataclass(frozen=True, kw_only=True)
class CsvSeriesConfig(WindowConfig):
    """How CSV files are read, beside the options of windows.

    `separator` separates the cells. `time` is the column of times, by default the first that holds dates;
    `time_format` as for Python's `strptime`, where the dates are no ISO 8601, or `s`, `ms`, `us`, `ns` for
    Unix time; `zone` is the place whose clock the times follow, such as `Europe/Berlin`. `decimal` is the
    decimal sign of numbers, the other one of `.` and `,` may separate thousands; `auto` finds it, and numbers
    that can be read in two ways are an error. `entity` is a column of names: the rows
    of each name are a series of their own. `columns` are the columns to learn (by default all that
    remain), `leave_out` those to ignore. `attributes` are columns with one value for each entity; they become
    the field `attributes`; `label` is such a column, too, often that of `entity`, whose values are classes.
    `gap`: windows do not cross more than so many time steps; 0 is 1.5, and 6 where all days are weekdays.
    `missing`: rows with an empty cell are an error, or are left out.
    """

    separator: str = ","
    time: str = ""
    time_format: str = ""
    zone: str = ""
    decimal: Literal["auto", ".", ","] = "auto"
    entity: str = ""
    columns: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    label: str = ""
    gap: float = 0.0
    missing: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1 or self.separator in '"\r\n':
            raise ValueError("separator must be one character, and no quote or line end")
        if self.label in self.attributes:
            raise ValueError(f"'{self.label}' is both the label and an attribute")
        if self.gap < 0:
            raise ValueError("gap must be above 0 time steps, or 0 for the usual one")
        if self.zone:
            place_of(self.zone)
        if both := set(self.columns) & set(self.leave_out):
            raise ValueError(f"'{min(both)}' is among both columns and leave_out")

    @property
    def about(self) -> tuple[str, ...]:
        """The columns with one value for each entity; the label is the last."""
        return (*self.attributes, *([self.label] if self.label else []))


@dataclass(frozen=True, kw_only=True)
class SinesConfig:
    """`count` sines of `length` time steps."""

    count: int = 10_000
    length: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        _check_count(self.count, self.seed)
        if not 4 <= self.length <= 10_000:
            raise ValueError("length must be between 4 and 10,000 time steps")


@dataclass(frozen=True, kw_only=True)
class ToyReturnsConfig(WindowConfig):
    """`count` days of the simulated index, beside the options of windows."""

    count: int = 5_000
    seed: int = 0
    length: int = 127
    scale: Literal["minmax", "standard", "gauss"] = "gauss"
    returns: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count(self.count, self.seed)


@dataclass(frozen=True, kw_only=True)
class ToyChargingConfig:
    """`count` simulated charges of electric cars, of up to 48 quarter hours."""

    count: int = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        _check_count(self.count, self.seed)


def _check_count(count: int, seed: int) -> None:
    if not 100 <= count <= 1_000_000:
        raise ValueError("count must be between 100 and 1,000,000")
    if not 0 <= seed < 2**64:
        raise ValueError("seed must be in 0..2**64-1")


@dataclass(frozen=True, kw_only=True)
class RcganConfig:
    """Options of `rcgan`.

    `latent`: noise values of each time step. `output_std`: standard deviation of the first weights of the
    output layers.
    """

    latent: int = 5
    generator_hidden: int = 100
    discriminator_hidden: int = 100
    output_std: float = 0.1

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_hidden, self.discriminator_hidden) < 1:
            raise ValueError("latent and hidden sizes must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class QuantganConfig:
    """Options of `quantgan`.

    `latent`: noise values of each time step. `levels`: temporal blocks; the receptive field is 2**levels - 1.
    `generator_spectral_norm`, `discriminator_spectral_norm`: spectral norm in one and the other.
    """

    latent: int = 3
    generator_hidden: int = 80
    discriminator_hidden: int = 80
    levels: int = 7
    generator_spectral_norm: bool = True
    discriminator_spectral_norm: bool = True

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_hidden, self.discriminator_hidden) < 1:
            raise ValueError("latent and hidden sizes must be 1 or more")
        if not 2 <= self.levels <= 12:
            raise ValueError("levels must be between 2 and 12")


@dataclass(frozen=True, kw_only=True)
class DoppelgangerConfig:
    """Options of `doppelganger`.

    `steps`: time steps that the LSTM writes at once; 0 is the divisor of the length for which the LSTM has
    50 steps or fewer.
    """

    latent: int = 5
    generator_hidden: int = 100
    discriminator_hidden: int = 200
    steps: int = 0

    def __post_init__(self) -> None:
        if min(self.latent, self.generator_hidden, self.discriminator_hidden) < 1 or self.steps < 0:
            raise ValueError("latent and hidden sizes must be 1 or more, steps 0 or more")


@dataclass(frozen=True, kw_only=True)
class TrainedScoreConfig:
    """A GRU that scores samples: `hidden` units, or 0 for half the columns and at least 8.

    It is trained for `steps`, but for at most `epochs` of the samples.
    """

    hidden: int = 0
    steps: int = 2_000
    epochs: int = 50
    batch_size: int = 128
    lr: float = 1e-3
