"""One CSV file of series: its header, its cells, and where faults of it are collected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ganzoo.api import DataError, counted, some
from ganzoo_series.config import CsvSeriesConfig
from ganzoo_series.faults import Faults
from ganzoo_tables.read_csv import NUMBER, Lines, read_cells


@dataclass(frozen=True, kw_only=True)
class SeriesFile:
    """The cells of one file as text. What is wrong with single cells goes to `faults`."""

    path: Path
    header: list[str]
    lines: Lines
    config: CsvSeriesConfig
    faults: Faults

    @classmethod
    def read(cls, path: Path, config: CsvSeriesConfig, faults: Faults) -> SeriesFile:
        """DataError for a file without a header, without the columns that are needed, or without rows."""
        header, lines = read_cells(path, config.separator, "series")
        file = cls(path=path, header=header, lines=lines, config=config, faults=faults)
        file._check()
        return file

    def _check(self) -> None:
        header, config = self.header, self.config
        if len(set(header)) < len(header) or not all(header) or any(map(NUMBER.fullmatch, header)):
            twice = next((name for name in header if header.count(name) > 1), "")
            self.refuse(
                f"Two columns have the name '{twice}'." if twice else "The first line is not a header.",
                "write a name for each column into the first line",
                line=1,
            )
        named = (config.time, config.entity, *config.columns, *config.leave_out, *config.about)
        if unknown := [f"'{name}'" for name in dict.fromkeys(named) if name and name not in header]:
            what = f"There is no column {', and no column '.join(unknown)}."
            self.refuse(what, f"one of {some(header)}", line=1)
        if len(self.lines) < 2:
            self.refuse(
                f"{counted(len(self.lines), 'row')} under the header: a series needs more.",
                "provide some hundred rows",
            )

    def refuse(self, what: str, fix: str, line: int = 0) -> NoReturn:
        """DataError with the path, and the line of the file, if it is about one."""
        raise DataError(what, where=f"{self.path}" + f", line {line}" * bool(line), fix=fix)

    def cells(self, name: str) -> list[str]:
        """The text of a column, row by row; ValueError for a name that is not in the header."""
        at = self.header.index(name)
        return [row[at] for _, row in self.lines]
