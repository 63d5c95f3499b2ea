"""Numbers as people write them: decimal points or commas, separators of thousands, percent signs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from ganzoo_tables.read_csv import NUMBER

Point = Literal[".", ","]

_POINT = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|\d+)(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?", re.ASCII)
_LIKE = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?", re.ASCII)


class AmbiguousNumbersError(ValueError):
    """All numbers can be read with a decimal point, and with a decimal comma."""

    def __init__(self, cell: str) -> None:
        super().__init__(f"'{cell}' can be read as {plain(cell, '.')} or {plain(cell, ',')}")


def without_percent(cells: list[str]) -> tuple[list[str], bool]:
    """The cells without `%`, and True, if all that are not empty end with it."""
    filled = [cell for cell in cells if cell]
    if not filled or not all(cell.endswith("%") for cell in filled):
        return cells, False
    return [cell.removesuffix("%").rstrip() for cell in cells], True


def point_of(cells: Iterable[str]) -> Point | None:
    """The decimal point with which all numbers among the cells can be read; None if there is none.

    `.` where no cell has a comma. `AmbiguousNumbersError` for cells such as 1,234 without any that decides.
    """
    numbers = [cell for cell in cells if _LIKE.fullmatch(cell)]
    commas = [cell for cell in numbers if "," in cell]
    if not commas:
        return "."
    point = all(_POINT.fullmatch(cell) or NUMBER.fullmatch(cell) for cell in numbers)
    comma = all(_COMMA.fullmatch(cell) for cell in numbers)
    if point and comma:
        raise AmbiguousNumbersError(commas[0])
    return "." if point else "," if comma else None


def plain(cell: str, point: Point) -> str:
    """A number with a decimal point and without separators of thousands; other text as it is."""
    if point == ",":
        return cell.replace(".", "").replace(",", ".") if _COMMA.fullmatch(cell) else cell
    return cell.replace(",", "") if _POINT.fullmatch(cell) else cell
