"""Writes docs/results/suite.md from benchmarks/suite.json. It measures nothing and leaves no poor cell out.

python -m benchmarks.quality.suite_page                  # the tables
python -m benchmarks.quality.suite_page --work DIR       # and the sheets of samples, from the runs in DIR
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
from PIL import Image

from benchmarks.quality.suite import NATIVE, RESULTS, SETS, run_folder
from ganzoo.util.files import write_bytes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "suite.md"
TILES = 3  # samples of a cell on the sheet, beside and below each other

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Sequence[Row]]  # by recipe and set

HEADER = """# Every recipe on every set

`python -m benchmarks.quality.suite_page` writes this page from `benchmarks/suite.json`; do not edit it. It
shows short runs of `benchmarks/quality/suite.py`, all by the recipes and [their
rules](../which-recipe.md#settings-that-follow-from-the-size), on one thread. They answer one question:
**does a recipe survive on pictures that nobody chose it for?** What longer runs reach is on [own
pictures](own-pictures.md).

*Alive*: neither dead nor collapsed. Dead: in the last quarter of the log D's mean scores of real and
generated samples differ by 0.02 at most. Collapsed: the [spread](../watching.md) of the last preview is
below 0.4 (1 for real pictures). Distances, coverage and KID compare 1,000 samples with at most 1,000 real
pictures by EfficientNet-Lite2, but for *FED* (Lite0); medians over the seeds that were scored. `fashion-5k`
and `mnist` are trained at 28x28 pixels. `projected` was trained with the features of Lite0, so its figures
are flattered ([why](own-pictures.md)).
"""
MEASURES: tuple[tuple[str, str, Callable[[Sequence[Row]], str]], ...] = (
    ("Alive, of so many seeds", "", lambda rows: f"{sum(row['alive'] for row in rows)}/{len(rows)}"),
    ("FED by Lite2, lower is better", "fed_lite2", lambda rows: f"{score(rows, 'fed_lite2'):.0f}"),
    ("FED, lower is better", "fed", lambda rows: f"{score(rows, 'fed'):.0f}"),
    ("Coverage, higher is better", "coverage", lambda rows: f"{score(rows, 'coverage'):.3f}"),
    ("KID, lower is better", "kid", lambda rows: f"{score(rows, 'kid'):.1f}"),
)


def score(rows: Sequence[Row], name: str) -> float:
    """The median of a score over the seeds that have it."""
    return float(median(row["scores"][name] for row in rows))


def cells(rows: Sequence[Row], side: int) -> Cells:
    """The runs by the recipes' own settings at a size, the longest of each seed."""
    longest: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        if row["settings"] or (row["side"] != side and not (side == 32 and row["set"] in NATIVE)):
            continue
        key = (row["recipe"], row["set"], row["seed"])
        longest[key] = max(longest.get(key, row), row, key=lambda found: int(found["images"]))
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (recipe, name, _), row in sorted(longest.items()):
        found[recipe, name].append(row)
    return found


def tables(found: Cells) -> list[str]:
    """One table for each measure: a line for each recipe, a column for each set."""
    recipes = sorted({recipe for recipe, _ in found})
    names = [
        name for name in (*NATIVE, *(entry.name for entry in SETS)) if any(name == at for _, at in found)
    ]
    parts = []
    for title, wanted, shown in MEASURES:
        lines = [f"| recipe | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
        for recipe in recipes:
            scored = [
                [row for row in found.get((recipe, name), ()) if not wanted or wanted in row["scores"]]
                for name in names
            ]
            lines.append(f"| `{recipe}` | {' | '.join(shown(rows) if rows else '' for rows in scored)} |")
        parts += [f"### {title}", "\n".join(lines)]
    return parts


def summary(found: Cells) -> str:
    """How many runs live, how long they were, and where and when they were made."""
    rows = [row for cell in found.values() for row in cell]
    lengths: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        lengths[row["images"]].add(f"`{row['recipe']}`")
    most = max(lengths, key=lambda images: len(lengths[images]))
    others = [
        f"{images:,} ({', '.join(sorted(names))})"
        for images, names in sorted(lengths.items())
        if images != most
    ]
    seconds = sorted(row["cpu_seconds"] for row in rows)
    count = len({row["recipe"] for row in rows})
    failed = sorted(
        f"`{row['recipe']}` on {row['set']} with seed {row['seed']} ({fault(row)})"
        for row in rows
        if not row["alive"]
    )
    said = [
        f"{len(rows)} runs of {count} recipes, {seconds[0]:.0f} to {seconds[-1]:.0f} CPU seconds each",
        f"(median {median(seconds):.0f}, with the start of the program), {most:,} images",
        f"unless said: {'; '.join(others)}." if others else "each.",
        f"Not alive: {'; '.join(failed)}." if failed else "**All are alive.**",
        f"Machines: {'; '.join(sorted({row['machine'] for row in rows}))}.",
        f"Commits: {', '.join(sorted({row['commit'] for row in rows}))}.",
    ]
    return "\n".join(said)


def fault(row: Row) -> str:
    """Why a run is not alive."""
    if row["gap"] <= 0.02:
        return f"dead, scores differ by {row['gap']}"
    return f"collapsed, spread {row['spread']}"


def sheet(found: Cells, side: int, work: Path, target: Path) -> bool:
    """Samples of the first seed: a row for each recipe, a column for each set. False when no run is there."""
    recipes = sorted({recipe for recipe, _ in found})
    names = [
        name for name in (*NATIVE, *(entry.name for entry in SETS)) if any(name == at for _, at in found)
    ]
    tile = TILES * side
    drawn = Image.new("RGB", (len(names) * (tile + 4), len(recipes) * (tile + 4)), "white")
    count = 0
    for line, recipe in enumerate(recipes):
        for column, name in enumerate(names):
            folder = run_folder(work, recipe, name, 28 if name in NATIVE else side, 0) / "samples"
            for path in sorted(folder.glob("[0-9]*.png"))[-1:]:
                with Image.open(path) as grid:
                    part = grid.convert("RGB").crop((0, 0, tile, tile))
                drawn.paste(part, (column * (tile + 4), line * (tile + 4)))
                count += 1
    if count:
        drawn.save(target, quality=80)
    return bool(count)


def write(rows: Sequence[Row], work: Path | None) -> None:
    """The whole page; sheets are drawn again when the runs are at hand."""
    parts = [HEADER]
    for side, title in ((32, "At 32x32 pixels"), (64, "At 64x64 pixels"), (128, "At 128x128 pixels")):
        found = cells(rows, side)
        if not found:
            continue
        parts += [f"## {title}", summary(found)]
        target = PAGE.with_name(f"suite-{side}.jpg")
        if work:
            sheet(found, side, work, target)
        if target.exists():
            recipes = ", ".join(f"`{recipe}`" for recipe in sorted({recipe for recipe, _ in found}))
            parts.append(f"![samples at {side} pixels]({target.name})")
            parts.append(
                f"*The last preview of seed 0. Rows from above: {recipes}; columns as in the tables.*"
            )
        parts += tables(found)
    write_bytes(PAGE, ("\n\n".join(part.strip() for part in parts) + "\n").encode())


@click.command()
@click.option(
    "--work", type=click.Path(path_type=Path, exists=True), help="As for `suite.py`, for the sheets."
)
def main(work: Path | None) -> None:
    """Write docs/results/suite.md."""
    write(json.loads(RESULTS.read_text(encoding="utf-8")), work)


if __name__ == "__main__":
    main()
