"""CSV files as series: one or several entities, sorted in time, cut at gaps; errors name line and column."""

from __future__ import annotations

from pathlib import Path

from ganzoo.api import DataError, is_hidden, some
from ganzoo_datasets.picture_folders import has_parts
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.faults import Faults
from ganzoo_series.number_columns import NumberColumns
from ganzoo_series.pieces import SeriesTable, cut_at_gaps
from ganzoo_series.rows import Rows, in_order, on_one_clock, rows_of
from ganzoo_series.series_file import SeriesFile
from ganzoo_series.time_column import TimeColumn
from ganzoo_tables.config import setting


class _Columns:
    """What the columns of one file are: one of times, those of values."""

    def __init__(self, file: SeriesFile) -> None:
        self.file = file
        self.time = TimeColumn(file)
        self.values = NumberColumns(file, self.time.name)
        self.notes = [*self.time.notes, *self.values.notes]

    def fits(self, first: _Columns) -> bool:
        """Whether its columns and times are as those of the first file; if not, that is a fault."""
        file, time, other = self.file, self.time, first.time
        names, expected, before = self.values.names, first.values.names, first.file.path.name
        if names != expected:
            what = f"Its columns are {some(names)}, those of {before} {some(expected)}."
            fix = f"name the common ones: {setting('columns', *expected)}"
            file.faults.add("columns", what, fix, file.path)
        elif None not in (time.times_are, other.times_are) and time.times_are != other.times_are:
            what = f"Its times are {time.times_are}, those of {before} are {other.times_are}."
            fix = "write dates in all files, or in none; or if that is not the time: --set data.time=COLUMN"
            file.faults.add("kinds of times", what, fix, file.path, column=time.name)
        elif time.dates and other.dates and time.zoned != other.zoned:
            what = f"Of this file and {before} only one has times with a zone."
            fix = "write the zone in all files, or in none"
            file.faults.add("zones", what, fix, file.path, column=time.name)
        else:
            return True
        return False


def read_series(path: Path, config: CsvSeriesConfig) -> SeriesTable:
    """One CSV file, or each file of a folder as an entity. DataError for what is no series of numbers."""
    files = [path]
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if _is_csv(item.name))
        if not files:
            raise DataError("The folder has no .csv or .csv.gz files.", where=str(path))
        if config.entity:
            raise DataError(
                "In a folder each file is an entity.",
                where=f"data.entity={config.entity}",
                fix="leave it out",
            )
    faults = Faults(config.leave_out)
    entities: list[Rows] = []
    first: _Columns | None = None
    for file in files:
        try:
            found = _Columns(SeriesFile.read(file, config, faults))
        except DataError as error:
            faults.add_error(error, file)
            continue
        first = first or found
        if found.fits(first):
            entities += rows_of(found.file, found.time, found.values)
    notes = list(first.notes) if first else []
    if has_parts([file.name for file in files], files=True):
        notes.append(
            "files of train and of other parts are entities of the same data, of each the last rows are held "
            "out; give one file to train on it alone"
        )
    back = first is not None and first.time.dates is not None and not first.time.zoned and not config.zone
    ordered = [in_order(rows, notes, faults, back=back) for rows in entities]
    faults.check()
    assert first is not None  # noqa: S101 (a file, or a fault)
    ordered, clock = on_one_clock(ordered, first.time, notes)
    return cut_at_gaps(ordered, first.values.names, clock, config, notes)


def _is_csv(name: str) -> bool:
    return name.lower().endswith((".csv", ".csv.gz")) and not is_hidden(name)
