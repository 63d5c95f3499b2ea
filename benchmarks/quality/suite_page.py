"""Writes docs/results/suite.md from benchmarks/suite.json. It measures nothing and leaves no poor cell out.

python -m benchmarks.quality.suite_page                  # the tables
python -m benchmarks.quality.suite_page --work DIR       # and the sheets of samples, from the runs in DIR
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
from PIL import Image

from benchmarks.quality.suite import NATIVE, NATIVE_SIDE, RESULTS, RISING, SETS, run_folder
from ganzoo.api import ArchitectureSpec, RecipeSpec
from ganzoo.registry.registry import load_registry
from ganzoo.training.reporting.diagnostics import ALIKE, BLIND, FADED, LAGS, TOLD
from ganzoo.util.files import write_bytes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "suite.md"
TILES = 3  # samples of a cell on the sheet, beside and below each other
COLUMNS = 8  # of a preview

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Sequence[Row]]  # by recipe and set

HEADER = f"""# Every recipe on every set

`python -m benchmarks.quality.suite_page` writes this page from `benchmarks/suite.json`; do not edit it. It
shows short runs of `benchmarks/quality/suite.py`, all by the recipes and [their
rules](../which-recipe.md#settings-that-follow-from-the-size), on one thread. They answer one question:
**does a recipe survive on pictures that nobody chose it for?** What longer runs reach is on [own
pictures](own-pictures.md).

*Alive* is said of a run that is none of these, in the last quarter of its log (the [AUC](../watching.md) is
the share of pairs in which D prefers the real picture): *dead*, D's or G's gradients are below
{FADED * 100:g} % of their largest, while D tells nothing (AUC within {BLIND:g} of 0.5) or everything;
*inverted*, an AUC of at most {LAGS:g} that was {TOLD:g} before; *collapsed*, the spread of the last preview
is below {ALIKE:g} (1 for real pictures); *young*, the same, but {RISING * 100:g} % more than a quarter of the
previews before: it may need more time. One that is alive may still be poor: see the scores and the
pictures.

Distances, coverage and KID compare 1,000 samples with at most 1,000 real pictures by EfficientNet-Lite2, but
for *FED* (Lite0); medians over the seeds that were scored. `fashion-5k` and `mnist` are trained
at {NATIVE_SIDE}x{NATIVE_SIDE} pixels. `projected` was trained with the features of Lite0, so its figures are
flattered ([why](own-pictures.md)).
"""


def living(rows: Sequence[Row]) -> str:
    """How many runs of a cell live, and what became of the others."""
    others = Counter(row.get("state", "not alive") for row in rows if not row["alive"])
    said = [f"{count} {name}" for name, count in sorted(others.items())]
    return ", ".join([f"{sum(row['alive'] for row in rows)}/{len(rows)}", *said])


MEASURES: tuple[tuple[str, str, Callable[[Sequence[Row]], str]], ...] = (
    ("Alive, of so many seeds", "", living),
    ("FED by Lite2, lower is better", "fed_lite2", lambda rows: f"{score(rows, 'fed_lite2'):.0f}"),
    ("FED, lower is better", "fed", lambda rows: f"{score(rows, 'fed'):.0f}"),
    ("Coverage, higher is better", "coverage", lambda rows: f"{score(rows, 'coverage'):.3f}"),
    ("KID, lower is better", "kid", lambda rows: f"{score(rows, 'kid'):.1f}"),
)


def score(rows: Sequence[Row], name: str) -> float:
    """The median of a score over the seeds that have it."""
    return float(median(row["scores"][name] for row in rows))


def cells(rows: Sequence[Row], side: int, labelled: Collection[str] = (), *, labels: bool = False) -> Cells:
    """The runs by the recipes' own settings at a size, the longest of each seed.

    `labels`: only of the recipes in `labelled`, or only of the others.
    """
    longest: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        if row["settings"] or (row["side"] != side and not (side == 32 and row["set"] in NATIVE)):
            continue
        if (row["recipe"] in labelled) != labels:
            continue
        key = (row["recipe"], row["set"], row["seed"])
        longest[key] = max(longest.get(key, row), row, key=lambda found: int(found["images"]))
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (recipe, name, _), row in sorted(longest.items()):
        found[recipe, name].append(row)
    return found


def recipes_with_labels() -> set[str]:
    """The names of the recipes whose architecture needs labels."""
    registry = load_registry()
    return {
        item.name
        for item in registry.of_kind(RecipeSpec)
        if "label" in registry.find(ArchitectureSpec, item.spec.architecture, item.plugin.dist).spec.needs
    }


def recipes_of(found: Cells) -> list[str]:
    """The recipes of the lines, by name."""
    return sorted({recipe for recipe, _ in found})


def sets_of(found: Cells) -> list[str]:
    """The sets of the columns, in the order of the suite."""
    known = {name for _, name in found}
    return [name for name in (*NATIVE, *(entry.name for entry in SETS)) if name in known]


def tables(found: Cells) -> list[str]:
    """One table for each measure: a line for each recipe, a column for each set."""
    recipes, names = recipes_of(found), sets_of(found)
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
    """Why a run is not alive; rows of an older rule have only numbers."""
    numbers = f"scores differ by {row.get('gap')}, spread {row.get('spread')}"
    return f"{row['state']}: {row['reason']}" if "state" in row else numbers


def sheet(found: Cells, side: int, work: Path, target: Path) -> None:
    """Samples of the first seed: a row for each recipe, a column for each set; no file without runs."""
    recipes, names = recipes_of(found), sets_of(found)
    tile = TILES * side
    drawn = Image.new("RGB", (len(names) * (tile + 4), len(recipes) * (tile + 4)), "white")
    drawn_any = False
    for line, recipe in enumerate(recipes):
        for column, name in enumerate(names):
            folder = run_folder(work, recipe, name, NATIVE_SIDE if name in NATIVE else side, 0) / "samples"
            for path in sorted(folder.glob("[0-9]*.png"))[-1:]:
                with Image.open(path) as grid:
                    wide = TILES * grid.width // COLUMNS  # previews are enlarged: whole samples of them
                    part = grid.convert("RGB").crop((0, 0, wide, wide)).resize((tile, tile))
                drawn.paste(part, (column * (tile + 4), line * (tile + 4)))
                drawn_any = True
    if drawn_any:
        drawn.save(target, quality=80)


def write(rows: Sequence[Row], work: Path | None) -> None:
    """The whole page; sheets are drawn again when the runs are at hand."""
    parts = [HEADER]
    labelled = recipes_with_labels()
    for side, labels in itertools.product((32, 64, 128), (False, True)):
        found = cells(rows, side, labelled, labels=labels)
        if not found:
            continue
        title = f"At {side}x{side} pixels{', recipes with labels' if labels else ''}"
        parts += [f"## {title}", summary(found)]
        target = PAGE.with_name(f"suite-{side}{'-labels' if labels else ''}.jpg")
        if work:
            sheet(found, side, work, target)
        if target.exists():
            recipes = ", ".join(f"`{recipe}`" for recipe in recipes_of(found))
            parts.append(f"![samples at {side} pixels]({target.name})")
            parts.append(
                f"*The last preview of seed 0. Rows from above: {recipes}; columns as in the tables. "
                "Empty places have no run at hand.*"
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
