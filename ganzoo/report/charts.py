"""Line charts as SVG. page.js shows the values under the pointer; without it the charts are still complete."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganzoo.report.html import Html, interval, joined, number, short, tag

# The plot in the view box; page.js has the same numbers.
WIDTH, HEIGHT = 420, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 410, 10, 206

STYLES = 8  # colours of lines in page.css

FEW = 24  # points of a line that get a dot each

# Values that span more than this factor, and are positive, are drawn on a logarithmic scale.
WIDE = 50.0

# The share of values at each end that does not set the scale: one spike would flatten the whole line.
OUTER = 0.005


@dataclass(frozen=True)
class Line:
    """A named line: points (x, y) in the order of x, and the number of its style."""

    name: str
    points: Sequence[tuple[float, float]]
    style: int


def chart(title: str, about: str, lines: Sequence[Line], most: int = 300) -> Html:
    """A chart of lines over the number of images, each of at most `most` points; `about` explains it."""
    lines = [Line(line.name, thinned(line.points, most), line.style % STYLES) for line in lines]
    x0, x1 = interval((0.0, max(line.points[-1][0] for line in lines)))
    y0, y1, logarithmic = _scale([y for line in lines for _, y in line.points])

    def across(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * (RIGHT - LEFT)

    def down(y: float) -> float:
        if logarithmic:
            share = (math.log(max(y, y0)) - math.log(y0)) / (math.log(y1) - math.log(y0))
        else:
            share = (y - y0) / (y1 - y0)
        return min(max(BOTTOM - share * (BOTTOM - TOP), TOP - 4), BOTTOM + 4)

    marks = []
    for y in _powers(y0, y1) if logarithmic else ticks(y0, y1):
        marks.append(tag("line", x1=LEFT, x2=RIGHT, y1=f"{down(y):.1f}", y2=f"{down(y):.1f}"))
        marks.append(tag("text", short(y), x=LEFT - 5, y=f"{down(y) + 4:.1f}", class_="y"))
    for x in ticks(x0, x1):
        marks.append(tag("text", short(x), x=f"{across(x):.1f}", y=BOTTOM + 17, class_="x"))
    drawn = [
        tag(
            "polyline",
            points=" ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line.points),
            class_=f"line s{line.style}",
        )
        for line in lines
    ]
    drawn += [
        tag("circle", cx=f"{across(x):.1f}", cy=f"{down(y):.1f}", r=2.5, class_=f"dot s{line.style}")
        for line in lines
        if len(line.points) <= FEW
        for x, y in line.points
    ]
    keys = [
        tag(
            "li", tag("i", class_=f"key s{line.style}"), f"{line.name} ", tag("b", number(line.points[-1][1]))
        )
        for line in lines
    ]
    ends = ", ".join(f"{line.name} ends at {number(line.points[-1][1])}" for line in lines)
    plot = tag(
        "svg",
        tag("g", *marks, class_="grid"),
        *drawn,
        tag("line", class_="cursor", y1=TOP, y2=BOTTOM, x1=0, x2=0, visibility="hidden"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        tabindex=0,
        aria_label=f"{title} over images: {ends}",
        data_x=f"{x0!r} {x1!r}",
        data_y=f"{y0!r} {y1!r}",
        data_log=logarithmic,
    )
    last = f"after {number(round(max(line.points[-1][0] for line in lines)))} images"
    scale = "; logarithmic scale" if logarithmic else ""
    return tag(
        "figure",
        tag("figcaption", tag("h3", title), tag("p", about + scale)),
        plot,
        tag("div", tag("span", last, class_="at"), tag("ul", *keys), class_="keys"),
        class_="chart",
    )


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about `most` points: the lowest and the highest of each part, so that spikes stay."""
    if len(points) <= most:
        return list(points)
    parts = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(parts):
        rows = range(part * len(points) // parts, (part + 1) * len(points) // parts)
        kept |= {min(rows, key=lambda row: points[row][1]), max(rows, key=lambda row: points[row][1])}
    return [points[row] for row in sorted(kept)]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between the limits, about that many."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        marks = [factor * 10.0**power for power in range(first - 1, last + 2) for factor in (1, 2, 5)]
        return [mark for mark in marks if low <= mark <= high]
    return [10.0**power for power in range(first, last + 1, max(1, (last - first) // 5))]


def _scale(values: Sequence[float]) -> tuple[float, float, bool]:
    """The limits of the y axis, and whether it is logarithmic."""
    ordered = sorted(values)
    skip = int(len(ordered) * OUTER)
    low, high = ordered[skip], ordered[len(ordered) - 1 - skip]
    if low > 0 and high > WIDE * low:
        return low / 1.2, high * 1.2, True
    low, high = interval((low, high))
    return low - 0.04 * (high - low), high + 0.04 * (high - low), False


def charts(found: Sequence[Html]) -> Html:
    """Charts beside each other."""
    return tag("div", joined(found), class_="charts")
