"""Faults of CSV files of series, collected: one error names the first few lines of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganzoo.api import DataError, some
from ganzoo_tables.config import setting

LINES = 4  # lines that are named for each kind
KINDS = 15  # kinds that are shown


@dataclass
class _Kind:
    """Faults of one kind in one column of one file."""

    what: str
    fix: str
    path: str
    column: str
    leave: bool
    places: list[str] = field(default_factory=list)
    """The line of each, or its lines: `5`, `5 and 42`."""

    @property
    def where(self) -> str:
        """`line 5, column 'x'`, without the file; empty for a whole file."""
        first = self.places[0] if self.places else ""
        line = [f"line{'s' * (not first.isdigit())} {first}"] if first else []
        where = ", ".join([*line, *([f"column '{self.column}'"] if self.column else [])])
        if len(self.places) == 1 or not first:
            return where
        others = "; ".join(self.places[1:LINES]) if " " in first else ", ".join(self.places[1:LINES])
        more = ", ..." * (len(self.places) > LINES)
        return f"{where} ({len(self.places):,} of these: also {others}{more})"


class Faults:
    """What is wrong with the files. `left_out` are the columns that the user leaves out already."""

    def __init__(self, left_out: Sequence[str] = ()) -> None:
        self._left_out = tuple(left_out)
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def add(
        self,
        kind: str,
        what: str,
        fix: str,
        path: Path,
        line: object = "",
        column: str = "",
        *,
        leave: bool = False,
    ) -> None:
        """One fault. Those of the same kind, file and column are told together, with the text of the first.

        `line` is a number, or a text with several; `leave`: leaving the column out helps, too.
        """
        key = (str(path), column, kind)
        found = self._kinds.setdefault(key, _Kind(what, fix, str(path), column, leave))
        if line:
            found.places.append(str(line))

    def add_error(self, error: DataError, path: Path) -> None:
        """A file that cannot be read at all."""
        found = _Kind(error.what, error.fix, error.where or str(path), "", leave=False)
        self._kinds.setdefault((str(path), "", error.what), found)

    def check(self) -> None:
        """DataError if there is any fault."""
        kinds = list(self._kinds.values())
        if not kinds:
            return
        if len(kinds) == 1:
            (one,) = kinds
            raise DataError(
                one.what, where=", ".join(filter(None, (one.path, one.where))), fix=self._fix(kinds)
            )
        total = sum(max(len(kind.places), 1) for kind in kinds)
        files = dict.fromkeys(kind.path for kind in kinds)
        lines = []
        for kind in kinds[:KINDS]:
            place = [kind.where] if len(files) == 1 else [kind.path, kind.where]
            lines.append(f"{', '.join(filter(None, place))}: {kind.what}")
        lines += [f"... and {len(kinds) - KINDS:,} more"] * (len(kinds) > KINDS)
        raise DataError(
            f"The data cannot be used as it is: {total:,} faults.",
            where="\n    ".join([*files, *lines] if len(files) == 1 else lines),
            fix=self._fix(kinds),
        )

    def _fix(self, kinds: Sequence[_Kind]) -> str:
        """What helps, each once; where several are needed, each has a line that names its columns.

        Columns that may be left out are in one option.
        """
        fixes: dict[str, list[str]] = {}
        for kind in kinds:
            if kind.fix:
                fixes.setdefault(kind.fix, []).append(f"'{kind.column}'" * bool(kind.column))
        out = ""
        if leave := [*dict.fromkeys(kind.column for kind in kinds if kind.leave)]:
            which = "the column" if len(leave) == 1 else "these columns"
            out = f"leave {which} out: {setting('leave_out', *self._left_out, *leave)}"
        if len(fixes) < 2:
            return "; or ".join(filter(None, [*fixes, out]))
        lines = ["all of these:"]
        for fix, where in fixes.items():
            columns = some([*dict.fromkeys(filter(None, where))])
            lines.append(f"{columns}: {fix}" if columns else fix)
        lines += [f"or, instead of the lines about {'it' if len(leave) == 1 else 'them'}, {out}"] * bool(out)
        return "\n    ".join(lines)
