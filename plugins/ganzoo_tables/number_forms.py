"""The ways to write numbers in cells: decimal commas, thousands, signs of currency and percent.

The `written` of a form is 1234.5 in it, such as `1.234,5 €`, as `Column.written` has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

CURRENCY = r"(?:[$€£¥₹₩₽₺₴₪฿]|EUR|USD|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL)"
_SPACES = " \u00a0\u202f"  # also a no-break one, and the narrow one of the SI
_THOUSANDS = (",", ".", "'", "\u2019", *_SPACES)
_PARTS = re.compile(
    rf"(?P<sign>[+-]?)(?P<before>{CURRENCY}[{_SPACES}]?)?(?P<minus>-?)"
    rf"(?P<body>[.,]?\d(?:[\d.,'\u2019{_SPACES}]*[\d.,])?(?:[eE][+-]?\d+)?)"
    rf"(?P<after>[{_SPACES}]?(?:%|{CURRENCY}))?"
)
_CODE = re.compile(r"0\d+|\+\d{8,}", re.ASCII)
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}.*)?", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class NumberForm:
    """How numbers are written: the decimal sign, that between thousands, and signs around all of them."""

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    @property
    def written(self) -> str:
        """1234.5 in this form."""
        return f"{self.before}1{self.thousands}234{self.decimal}5{self.after}"

    def plain(self, cell: str) -> str | None:
        """The number with a decimal point and nothing else; None for a cell that is not of this form."""
        parts = _PARTS.fullmatch(cell)
        if parts is None or (parts["before"] or "", parts["after"] or "") != (self.before, self.after):
            return None
        if not _body(self.decimal, self.thousands).fullmatch(parts["body"]):
            return None
        body = parts["body"].replace(self.thousands, "") if self.thousands else parts["body"]
        return (parts["minus"] or parts["sign"]) + body.replace(self.decimal, ".")


PLAIN = NumberForm()


def forms_of(cells: Collection[str], decimals: Iterable[str]) -> list[NumberForm]:
    """The forms with one of the `decimals` that most cells have: none, one, or two that cannot be told apart.

    Two are decimal commas and thousands, if all numbers are like 1,234.
    """
    matched = [parts for cell in set(cells) if (parts := _PARTS.fullmatch(cell))]
    around = {(parts["before"] or "", parts["after"] or "") for parts in matched}
    if 2 * len(matched) < len(set(cells)) or len(around) != 1:
        return []
    ((before, after),) = around
    bodies = [parts["body"] for parts in matched]
    counts: dict[NumberForm, int] = {}
    for decimal in decimals:
        for thousands in ("", *_THOUSANDS):
            if thousands != decimal and (not thousands or any(thousands in body for body in bodies)):
                pattern = _body(decimal, thousands)
                form = NumberForm(decimal=decimal, thousands=thousands, before=before, after=after)
                counts[form] = sum(pattern.fullmatch(body) is not None for body in bodies)
    most = max(counts.values(), default=0)
    best = [form for form, count in counts.items() if count == most and 2 * most >= len(bodies)]
    simple = [form for form in best if form.decimal == "." and not form.thousands]
    commas = [form for form in best if "," in (form.decimal, form.thousands) and "." not in form.thousands]
    unclear = len(commas) == 2 and {form.thousands for form in commas} == {"", ","}
    return simple or (commas if unclear else best[:1])


def are_codes(cells: Collection[str]) -> bool:
    """Whether digits are names: one has a leading zero, or all are telephone numbers (+41...)."""
    return any(cell[0] == "0" and _CODE.fullmatch(cell) for cell in cells) or all(
        _CODE.fullmatch(cell) for cell in cells
    )


def are_dates(cells: Collection[str]) -> bool:
    """Whether most cells look like dates or times."""
    return 2 * sum(_DATE.fullmatch(cell) is not None for cell in cells) > len(cells)


@cache
def _body(decimal: str, thousands: str) -> re.Pattern[str]:
    point, group = re.escape(decimal), re.escape(thousands)
    if not thousands:
        return re.compile(rf"(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d+)?", re.ASCII)
    return re.compile(rf"(0|[1-9]\d{{0,2}}({group}\d{{3}})*)({point}\d*)?", re.ASCII)
