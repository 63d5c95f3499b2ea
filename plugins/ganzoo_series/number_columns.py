"""The columns of one file that are learned: how their numbers are written, and their values."""

from __future__ import annotations

import shlex

import numpy as np

from ganzoo.api import some
from ganzoo_series.dates import looks_like_a_date
from ganzoo_series.series_file import SeriesFile
from ganzoo_tables.number_forms import PLAIN, NumberForm, forms_of
from ganzoo_tables.read_csv import MISSING, NUMBER, other_separator

LARGEST = 1e30


class NumberColumns:
    """The columns of values of one file; `time` is the column of times. `notes` are for the user.

    DataError where no column is left; other faults go to `file.faults`.
    """

    def __init__(self, file: SeriesFile, time: str) -> None:
        self.file = file
        self.notes: list[str] = []
        self.text_seen = False
        config = file.config
        used = {time, config.entity, *config.leave_out, *config.about}
        self.names = tuple(config.columns or (name for name in file.header if name not in used))
        if not self.names:
            file.refuse("No column is left to learn.", "leave out fewer columns")
        self.forms = self._forms()

    def numbers(self, name: str) -> list[float]:
        """The numbers of a column; NaN for missing ones, whose rows are left out, and for faults."""
        cells, form = self.file.cells(name), self.forms[name]
        plain = [cell if form == PLAIN else form.plain(cell) or "" for cell in cells]
        numbers = [_number(cell) for cell in plain]
        bad = [at for at, number in enumerate(numbers) if np.isnan(number)]
        gaps = {at for at in bad if cells[at].lower() in MISSING}
        others = [at for at in bad if at not in gaps]
        large = {at for at in others if NUMBER.fullmatch(plain[at])}
        commas = {at for at in others if _has_comma(cells[at])}
        words = [at for at in others if at not in large and at not in commas]
        if words and 2 * len(words) >= len(cells) - len(gaps):
            self._note_text(name, self.file.lines[words[0]][0])
            return numbers
        for at in others if self.file.config.missing == "skip" else bad:
            cell, where = cells[at], (self.file.path, self.file.lines[at][0], name)
            if at in gaps:
                what = f"'{cell}' is not a number." if cell else "A cell is empty."
                fix = "fill it in; or leave such rows out: --set data.missing=skip"
                self.file.faults.add("gaps", what, fix, *where, leave=True)
            elif at in large:
                self.file.faults.add("large", f"'{cell:.40}' is too large.", "correct it", *where, leave=True)
            elif at in commas:
                what = f"'{cell}' has a decimal comma."
                fix = "write all numbers with a decimal point, or all with a comma"
                self.file.faults.add("commas", what, fix, *where)
            else:
                what = f"'{cell:.40}' is not a number, but most of the column is."
                self.file.faults.add("numbers", what, "correct it", *where, leave=True)
        return numbers

    def _forms(self) -> dict[str, NumberForm]:
        """How the numbers of each column are written; where that is not clear, there is a fault."""
        decimal = self.file.config.decimal
        found = {name: [PLAIN] for name in self.names}
        for name in self.names:
            cells = [cell for cell in self.file.cells(name) if cell.lower() not in MISSING]
            if decimal == "," or not all(map(NUMBER.fullmatch, cells)):
                found[name] = forms_of(cells, (".", ",") if decimal == "auto" else (decimal,)) or [PLAIN]
        signs = {forms[0].decimal for forms in found.values() if len(forms) == 1 and _has_commas(forms[0])}
        for name, forms in found.items():
            if len(forms) > 1 and len(signs) == 1:
                found[name] = forms = [form for form in forms if form.decimal in signs]
            if len(forms) > 1:
                cell = next(cell for cell in self.file.cells(name) if "," in cell)
                what = "The numbers are ambiguous: " + " or ".join(
                    f"'{cell}' can be {form.plain(cell)}" for form in forms
                )
                fix = "write the decimal sign: --set data.decimal=, or --set data.decimal=."
                self.file.faults.add("commas", f"{what}.", fix, self.file.path, column=name)
        for form in sorted({forms[0] for forms in found.values()} - {PLAIN}, key=lambda form: form.written):
            names = some([f"'{name}'" for name, forms in found.items() if forms[0] == form])
            self.notes.append(f"numbers of {names} are read as {form.written}; generated ones are as 1234.5")
        return {name: forms[0] for name, forms in found.items()}

    def _note_text(self, name: str, line: int) -> None:
        fix = f"if it names the series of each row: --set {shlex.quote(f'data.entity={name}')}"
        if looks_like_a_date(self.file.cells(name)[0]):
            time = f"--set {shlex.quote(f'data.time={name}')}"
            fix = (
                "if it is the time, write it as 2024-12-31, or say how it is written: "
                f"{time} --set 'data.time_format=%d.%m.%y'"
            )
        separator = other_separator([name])
        fix = separator or fix * (not self.text_seen)  # a file has one column of names, and one of times
        self.text_seen = True
        where = (self.file.path, line, name)
        self.file.faults.add("text", "This column is text.", fix, *where, leave=not separator)


def _has_commas(form: NumberForm) -> bool:
    return "," in (form.decimal, form.thousands)


def _has_comma(cell: str) -> bool:
    return "," in cell and NUMBER.fullmatch(cell.replace(",", ".", 1)) is not None


def _number(cell: str) -> float:
    """NaN for what is no number, or too large."""
    number = float(cell) if NUMBER.fullmatch(cell) else np.nan
    return number if abs(number) < LARGEST else np.nan
