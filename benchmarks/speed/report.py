"""Writes RESULTS.md from results.json. It measures nothing and leaves no lost row out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Row = Mapping[str, Any]

HEADER = """# Training speed beside other projects' own loops

`python benchmarks/speed/run.py` writes this page; do not edit it. [README](README.md) says how the loops are
measured, and what is not identical.

Each loop runs in a process of its own with {threads} CPU thread(s). All loops of a case take turns
in each of {rounds} rounds of about {seconds:g} s, in rotated order. Figures are medians over the rounds
(lowest..highest).

- *x others*: the factor over the fastest loop that is not ganzoo's: the median of ratios within a round, in
  images per {clock}. *x peers*: the same without the plain loop, a loop of this project that shows what a
  careful person would write by hand.
- *won*: the strict rule: the slowest round of ganzoo is faster than the fastest round of any other loop.
- A step is one batch of real images with its share of generator steps. *First step* counts from the
  start of the process; ganzoo's first step is a whole cycle of critic steps and a generator step.

Measured on {machine}; {versions}.
"""
COLUMNS = (
    "loop",
    "images per CPU s",
    "images per s",
    "CPU ms a step",
    "x others",
    "won",
    "% of floor",
    "first step, s (CPU)",
    "peak MB",
)


def render(cases: Mapping[str, Any]) -> str:
    """The whole page."""
    last = max(cases.values(), key=lambda case: case["date"])
    parts = [HEADER.format(**last["protocol"], machine=last["machine"], versions=last["versions"])]
    parts += ["## In short", "", _summary(cases), ""]
    for name, case in cases.items():
        parts += [f"## {name}", "", case["summary"], "", _table(case), "", *_notes(case)]
    return "\n".join(parts)


def _summary(cases: Mapping[str, Any]) -> str:
    columns = ["case", "fastest peer", "fastest other loop"]
    for precision in ("fp32", "bf16"):
        columns += [f"ganzoo {precision}: x peers", "x others", "won"]
    lines = [_line(columns), _line(["---"] * 3 + ["---:"] * 6)]
    for name, case in cases.items():
        peer, other = _fastest(case, peers_only=True), _fastest(case)
        cells = [name, *(row["title"] if row else "-" for row in (peer, other))]
        for contender in ("ganzoo-fp32", "ganzoo-bf16"):
            row = next((row for row in _measured(case) if row["name"] == contender), None)
            found = (_factor(case, row, peer), _factor(case, row, other), _won(case, row)) if row else "---"
            cells += found
        lines.append(_line(cells))
    return "\n".join(lines)


def _table(case: Mapping[str, Any]) -> str:
    lines = [_line(COLUMNS), _line(["---", *["---:"] * (len(COLUMNS) - 1)])]
    for row in case["rows"]:
        if row["failure"]:
            reason = row["failure"] if row["skipped"] else "not measured: it failed (see below)"
            lines.append(_line([row["title"], reason, *["-"] * (len(COLUMNS) - 2)]))
            continue
        first = row["first"]
        lines.append(
            _line(
                [
                    row["title"],
                    _spread(rates(case, row, "cpu")),
                    _spread(rates(case, row, "wall")),
                    _short(1e3 * median(item["cpu"] / item["batches"] for item in row["rounds"])),
                    _factor(case, row, _fastest(case)),
                    _won(case, row) if row["is_ganzoo"] else "",
                    _share_of_floor(case, row),
                    f"{first['wall']:.1f} ({first['cpu']:.1f})",
                    f"{max(item['peak_mb'] for item in (first, *row['rounds'])):.0f}",
                ]
            )
        )
    return "\n".join(lines)


def _notes(case: Mapping[str, Any]) -> list[str]:
    notes = [f"- {row['title']}: {row['note']}" for row in case["rows"] if row["note"]]
    notes += [
        f"- {row['title']} failed: {row['failure']}"
        for row in case["rows"]
        if row["failure"] and not row["skipped"]
    ]
    if "peaks" in case:
        peaks = ", ".join(f"{name} {rate:.0f}" for name, rate in case["peaks"].items())
        notes.append(f"- floor: the arithmetic alone at the peaks of this machine, in GFLOP/s: {peaks}")
    before, after = case["load"]
    notes.append(
        f"- batch {case['batch']}, {case['n_critic']} discriminator step(s) a generator step; "
        f"commit {case['commit']}, {case['date']}; load average {before:.1f} before, {after:.1f} after"
    )
    return [*notes, ""]


def rates(case: Mapping[str, Any], row: Row, clock: str) -> list[float]:
    """Images a second in each round, by the clock `wall` or `cpu`."""
    return [case["batch"] * item["batches"] / item[clock] for item in row["rounds"]]


def _deciding(case: Mapping[str, Any]) -> str:
    return "cpu" if case["protocol"]["clock"] == "CPU second" else "wall"


def _measured(case: Mapping[str, Any]) -> list[Row]:
    return [row for row in case["rows"] if row["rounds"] and not row["failure"]]


def _others(case: Mapping[str, Any]) -> list[Row]:
    return [row for row in _measured(case) if not row["is_ganzoo"]]


def _fastest(case: Mapping[str, Any], *, peers_only: bool = False) -> Row | None:
    """The fastest loop that is not ganzoo's; the plain loop is no peer."""
    rows = [row for row in _others(case) if not (peers_only and row["name"] == "plain")]
    clock = _deciding(case)
    return max(rows, key=lambda row: median(rates(case, row, clock)), default=None)


def _factor(case: Mapping[str, Any], row: Row, other: Row | None) -> str:
    if other is None:
        return "-"
    clock = _deciding(case)
    pairs = zip(rates(case, row, clock), rates(case, other, clock), strict=True)
    return f"{median(own / theirs for own, theirs in pairs):.2f}"


def _won(case: Mapping[str, Any], row: Row) -> str:
    others, clock = _others(case), _deciding(case)
    if not others:
        return "-"
    best = max(max(rates(case, other, clock)) for other in others)
    return "yes" if min(rates(case, row, clock)) > best else "no"


def _share_of_floor(case: Mapping[str, Any], row: Row) -> str:
    floor = case.get("floors", {}).get(row["precision"])
    return f"{100 * median(rates(case, row, _deciding(case))) / floor:.0f} %" if floor else "-"


def _spread(values: Sequence[float]) -> str:
    return f"{_short(median(values))} ({_short(min(values))}..{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
