"""Builds HTML in which all text is escaped: only what `tag` returns is taken as markup."""

from __future__ import annotations

import html
import math
from typing import Any

from ganzoo.util.text import printable

LARGEST = 1e300  # larger numbers of a damaged log are left out


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. Names of attributes end in `_` where Python needs it, and have `_` for `-`."""
    words = [
        html.escape(key.strip("_").replace("_", "-")) + ("" if value is True else f'="{escaped(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    ]
    inside = "".join(child if isinstance(child, Html) else escaped(child) for child in children)
    close = "" if name in ("img", "input") else f"</{name}>"
    return Html(f"<{' '.join((name, *words))}>{inside}{close}")


def escaped(text: object) -> str:
    """Text as HTML, without control characters; its lines stay lines."""
    return html.escape("\n".join(printable(line) for line in str(text).split("\n")))


def joined(parts: Any) -> Html:
    """Elements one after the other."""
    return Html("".join(parts))


def number(value: Any) -> str:
    """A number with three significant digits or more: 0.0123, 1,234,567, 1.2e-05."""
    if not is_number(value):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("-", "−")


def short(value: float) -> str:
    """A number for an axis: 0.5, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / size:g}{letter}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def is_number(value: Any) -> bool:
    """Whether it is a finite number that a chart can show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: 38 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def interval(limits: tuple[float, float]) -> tuple[float, float]:
    """The limits, moved apart if they are equal."""
    low, high = limits
    slack = max(abs(low) * 0.05, 1e-9) if math.isclose(low, high, abs_tol=1e-200) else 0.0
    return low - slack, high + slack
