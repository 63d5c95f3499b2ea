"""HTML in which all text is escaped, and line charts as SVG, complete without a script."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ganzoo.util.text import Unit, printable

# The plot in its view box; page.js has the same numbers.
LEFT, RIGHT, TOP, BOTTOM = 46, 410, 10, 206

STYLES = 8  # of lines in page.css
FEW = 24  # points of a line that get a dot each
LARGEST = 1e300  # larger numbers, of a damaged log, are not shown
WIDE = 50.0  # positive values that span more than this factor get a logarithmic scale
OUTER = 0.005  # the share of values at each end that does not set the scale: a spike would flatten the line


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class Line(NamedTuple):
    """A named line: points (x, y) in the order of x, and the number of its style."""

    name: str
    points: Sequence[tuple[float, float]]
    style: int


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element `name`, or `name.class`. Attributes have `_` for `-`; those that are False are left out."""
    name, _, kind = name.partition(".")
    words = {"class": kind or False, **attributes}
    texts = [
        f" {key.replace('_', '-')}" + ("" if value is True else f'="{_escaped(value)}"')
        for key, value in words.items()
        if value is not False
    ]
    close = "" if name in ("img", "input") else f"</{name}>"
    return Html(f"<{name}{''.join(texts)}>{''.join(map(_escaped, children))}{close}")


def joined(parts: Iterable[str]) -> Html:
    """Elements one after the other."""
    return Html("".join(parts))


def _escaped(text: object) -> str:
    if isinstance(text, Html):
        return text
    return html.escape("\n".join(map(printable, str(text).split("\n"))))


def is_number(value: Any) -> bool:
    """Whether it is a finite number that a chart can show."""
    return isinstance(value, int | float) and abs(value) < LARGEST


def number(value: float) -> str:
    """With thousands separated, or with three significant digits: 1,234,567, 0.0123."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"


def chart(title: str, about: str, lines: Sequence[Line], most: int, unit: Unit) -> Html:
    """A chart of lines over the number of samples, each of about `most` points at most."""
    lines = [line._replace(points=thinned(line.points, most)) for line in lines]
    values = sorted(y for line in lines for _, y in line.points)
    skip = int(len(values) * OUTER)
    low, high = values[skip], values[-1 - skip]
    log = low > 0 and high > WIDE * low
    if not log:
        margin = 0.04 * (high - low) or 0.05 * abs(low) or 1e-9
        low, high = low - margin, high + margin
    last = max(line.points[-1][0] for line in lines) or 1.0
    bottom, top = (math.log(low), math.log(high)) if log else (low, high)

    def across(x: float) -> str:
        return f"{LEFT + x / last * (RIGHT - LEFT):.1f}"

    def down(y: float) -> str:
        share = ((math.log(max(y, low)) if log else y) - bottom) / (top - bottom)
        return f"{min(max(BOTTOM - share * (BOTTOM - TOP), TOP - 4), BOTTOM + 4):.1f}"

    grid, drawn, keys = [], [], []
    for y in _powers(low, high) if log else _ticks(low, high):
        grid += [tag("line", x1=LEFT, x2=RIGHT, y1=down(y), y2=down(y))]
        grid += [tag("text.y", _short(y), x=LEFT - 5, y=down(y), dy=4)]
    grid += [tag("text.x", _short(x), x=across(x), y=BOTTOM + 17) for x in _ticks(0.0, last)]
    for line in lines:
        style = f"s{line.style % STYLES}"
        places = [(across(x), down(y)) for x, y in line.points]
        drawn.append(tag(f"polyline.{style}", points=" ".join(map(",".join, places))))
        if len(places) <= FEW:
            drawn += [tag(f"circle.{style}", cx=x, cy=y, r=2.5) for x, y in places]
        keys.append(tag("li", tag(f"i.{style}"), f"{line.name} ", tag("b", number(line.points[-1][1]))))
    plot = tag(
        "svg",
        *(tag("g.grid", *grid), *drawn, tag("line.cursor", y1=TOP, y2=BOTTOM, visibility="hidden")),
        **{
            "viewBox": "0 0 420 232",
            "role": "img",
            "tabindex": 0,
            "aria-label": f"{title} over {unit.nouns}",
        },
        **{"data-x": last, "data-y": f"{low!r} {high!r}", "data-log": log},
    )
    texts = [text for text in (about, "logarithmic scale" if log else "") if text]
    return tag(
        "figure.chart",
        *(tag("h3", title), tag("p", "; ".join(texts)), plot),
        tag("ul", tag("li", f"after {unit.count(int(last))}"), *keys),
    )


def thinned(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """At most about `most` points: the lowest and the highest of each part, so that spikes stay."""
    if len(points) <= most:
        return points
    kept, parts = {0, len(points) - 1}, most // 2
    for part in range(parts):
        rows = range(part * len(points) // parts, (part + 1) * len(points) // parts)
        kept |= {pick(rows, key=lambda row: points[row][1]) for pick in (min, max)}
    return [points[row] for row in sorted(kept)]


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between the limits."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """About five powers of ten between the limits; both limits if there are fewer than two."""
    found = [10.0**n for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    return found[:: len(found) // 5 or 1] if len(found) > 1 else [low, high]


def _short(value: float) -> str:
    """A number for an axis: 0.5, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
