"""What ganzoo can do with series: tables as .csv, plots of lines and bands as .png."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, as_floats, encode_image, some, to_csv, write_bytes
from ganzoo_series.fields import CHANNEL, TIME, Layout
from ganzoo_series.plots import bands
from ganzoo_series.transform import forward, inverse, log_returns

SHOWN = 256  # samples of which a preview shows the bands
DIGITS = ".8g"


class SeriesMedia(Media):
    """Series (T, C) with the facts of `Layout`."""

    suffixes = (".csv", ".png")
    reads = (".csv",)
    noun, nouns = "series", "series"
    count = SHOWN
    others = True
    walks = False  # a preview shows what series have in common

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Time steps of channels."""
        return (TIME, CHANNEL) if ndim == 2 else ()

    def check(self, field: Field) -> None:
        """ValueError unless the facts say what the channels are."""
        Layout.of(field)

    def describe(self, field: Field) -> str:
        """Its length and columns."""
        layout = Layout.of(field)
        returns = "log returns of " if layout.start else ""
        return f"{'up to ' * layout.ends}{field.shape[0]} time steps of {returns}{some(layout.columns)}"

    def viewer(self, field: Field) -> Viewer:
        """Lines in the values of the data where those are a linear function of what networks see."""
        layout = Layout.of(field)
        plain = not layout.start and all(scale.delta == 0 for scale in layout.scales)
        scales = [(one.c + one.d * one.a, one.d * one.b) if plain else (0, 1) for one in layout.scales]
        offsets, factors = zip(*scales, strict=True)
        return Viewer(name="lines", options={"names": layout.columns, "offsets": offsets, "factors": factors})

    def preview(
        self, field: Field, samples: NDArray[Any], *, real: NDArray[Any] | None = None, **layout: Any
    ) -> Preview:
        """Quantile bands and some lines, of real samples at the left where there are any."""
        plot = bands(
            Layout.of(field).columns,
            _paths(field, samples[:SHOWN]),
            None if real is None else _paths(field, real[:SHOWN]),
        )
        return Preview(suffix=".png", data=encode_image(plot, ".png"))

    def write(
        self,
        field: Field,
        samples: NDArray[Any],
        path: Path,
        *,
        others: Sequence[tuple[Field, NDArray[Any]]] = (),
        **layout: Any,
    ) -> list[Path]:
        """A row for each time step of each series, in the data's own values; or the plot."""
        if path.suffix.lower() == ".png":
            write_bytes(path, self.preview(field, samples).data)
            return [path]
        facts = Layout.of(field)
        about, rows = _attributes(others, len(samples))
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["series", *about, facts.clock.column, *facts.columns])
        times = facts.clock.texts(samples.shape[1] + bool(facts.start))
        decimals = facts.decimals or (-1,) * len(facts.columns)
        for number, (sample, row) in enumerate(zip(_values(field, samples), rows, strict=True)):
            for time, values in zip(times, sample, strict=False):
                table.writerow([number, *row, time, *map(_written, values, decimals)])
        write_bytes(path, text.getvalue().encode())
        return [path]

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> NDArray[Any]:
        """The series of a file that `write` made; shorter ones are filled up if the data has ends.

        Values are (n, time, channels). ValueError for a table with other columns, ragged rows, or returns of
        values that are not above 0.
        """
        layout = Layout.of(field)
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = list(csv.reader(file)) or [[]]
        if not rows or head[:1] != ["series"] or not set(layout.columns) <= set(head):
            wanted = some(["series", layout.clock.column, *layout.columns])
            raise ValueError(f"a table of series has the columns {wanted}")
        places = [head.index(name) for name in layout.columns]
        found: dict[str, list[list[float]]] = {}
        for row in rows:
            if len(row) != len(head):
                raise ValueError(f"a row has {len(row)} cells, the header has {len(head)}")
            found.setdefault(row[0], []).append([float(row[at]) for at in places])
        series = [np.asarray(values) for values in found.values()]
        if layout.start:
            if min(map(len, series)) < 2 or min(values.min() for values in series) <= 0:
                raise ValueError("a series of returns needs two rows or more, with values above 0")
            series = [log_returns(values) for values in series]
        return _filled([forward(values, layout.scales) for values in series], layout, field.shape[0])

    def metric_values(
        self, field: Field, samples: NDArray[Any], excluded: Collection[str] = ()
    ) -> NDArray[Any]:
        """Values of the data, or its log returns; after the end of a sample 0, and its last channel as it is.

        The scale is undone because a heavy tail, which it takes away, is what metrics should see.
        """
        layout = Layout.of(field)
        floats = as_floats(field, samples)
        values = inverse(floats[..., : len(layout.columns)], layout.scales)
        if not layout.ends:
            return values.astype(np.float32)
        inside = np.arange(floats.shape[1]) < layout.lengths(floats)[:, None]
        flags = np.where(floats[..., -1:] > 0, 1.0, -1.0)
        return np.concatenate([values * inside[..., None], flags], axis=2).astype(np.float32)


def _written(value: float, decimals: int) -> str:
    """The number with as many decimals as its column has in the data, and never -0.0."""
    return format(value, DIGITS) if decimals < 0 else f"{round(float(value), decimals) + 0.0:.{decimals}f}"


def _values(field: Field, samples: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Each sample (n, C) in the data's own values; with returns one row more, the start."""
    layout = Layout.of(field)
    floats = as_floats(field, samples)
    lengths = layout.lengths(floats)
    values = inverse(floats[..., : len(layout.columns)], layout.scales)
    if layout.start:
        begin = np.zeros_like(values[:, :1])
        paths = np.exp(np.cumsum(np.concatenate([begin, values], axis=1), axis=1))
        values, lengths = np.asarray(layout.start) * paths, lengths + 1
    return [sample[:length] for sample, length in zip(values, lengths, strict=True)]


def _paths(field: Field, samples: NDArray[Any]) -> NDArray[np.float64]:
    """(N, T, C) in the data's own values, NaN after the end."""
    made = _values(field, samples)
    paths = np.full((len(made), max(map(len, made)), made[0].shape[1]), np.nan)
    for row, sample in enumerate(made):
        paths[row, : len(sample)] = sample
    return paths


def _filled(series: list[NDArray[np.float32]], layout: Layout, length: int) -> NDArray[np.float32]:
    """Series of one length, or with ends of up to `length`, as one array."""
    if not layout.ends:
        if len({len(values) for values in series}) > 1:
            raise ValueError("the series of the file have different lengths")
        return np.stack(series)
    if max(map(len, series)) > length:
        raise ValueError(f"a series has more than {length} time steps")
    filled = np.zeros((len(series), length, len(layout.columns) + 1), np.float32)
    filled[..., -1] = -1
    for row, values in enumerate(series):
        filled[row, : len(values), :-1] = values
        filled[row, : len(values) - (len(values) < length), -1] = 1
    return filled


def _attributes(
    others: Sequence[tuple[Field, NDArray[Any]]], count: int
) -> tuple[list[str], list[list[str]]]:
    """Names and values of the tables that the generator wrote beside the series, row by row."""
    names: list[str] = []
    rows: list[list[str]] = [[] for _ in range(count)]
    for field, values in others:
        if field.columns:
            head, *cells = csv.reader(io.StringIO(to_csv(field, values).decode()))
            names += head
            rows = [[*row, *more] for row, more in zip(rows, cells, strict=True)]
    return names, rows
