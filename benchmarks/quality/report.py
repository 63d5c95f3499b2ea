"""Writes docs/results.md from benchmarks/quality.json. It measures nothing and leaves no poor row out."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ganzoo.cli.evaluate import ARROWS
from ganzoo_metrics import METRICS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results.md"
GRIDS = ROOT / "docs" / "results"
SEEN = ROOT / "benchmarks" / "quality_seen.toml"  # what a person saw in the grids

Row = Mapping[str, Any]

HEADER = """# What the recipes reach

`python benchmarks/quality/run.py` writes this page from `benchmarks/quality.json`; do not edit it.
[evaluation.md](evaluation.md) explains the scores. **FED is not FID**: do not compare it with figures from
outside this project. Other kinds of data are measured on their pages:
[series](kinds/series.md#what-the-recipes-reach), [sound](kinds/sound.md#what-was-measured),
[texts](kinds/text.md#measured), [clips](kinds/clips.md#measured), [volumes](kinds/volumes.md#measured),
[anomalies](kinds/anomalies.md#measured); [their smallest networks](results/kinds.md) on one page.

Each row is a recipe with its installed settings, trained and evaluated through the command line, once for
each seed. A figure is the median over the seeds (lowest to highest). *Minutes* are the training time on the
given number of threads; other work may have run on the machine. The grids are the last ones of the first
seed; they were not selected.
"""
TITLES = {
    "fashion-5k": "The embedded 5,000 images of Fashion-MNIST, against the 5,000 held out",
    "fashion": "All 60,000 training images of Fashion-MNIST, against its test images",
    "stacked-mnist": "Stacked MNIST: three digits in three channels, 1,000 modes",
    "pix2pix": "Images of clothes from their edges",
    "super-resolution": "Images of clothes four times larger",
    "colourisation": "Colours for gray shapes",
    "cyclegan": "T-shirts to dresses and back, without pairs",
    "ctgan": "Rows of a made-up table",
}
SCORES = {
    "fashion-5k": (
        "fed", "kid", "precision", "recall", "density", "coverage", "modes", "reverse_kl", "label_accuracy",
        "cas", "memorisation", "copied",
    ),
    **dict.fromkeys(
        ("pix2pix", "super-resolution", "colourisation", "cyclegan"),
        ("l1", "psnr", "ssim", "fed", "kid", "precision", "recall", "density", "coverage"),
    ),
    "ctgan": ("column_distance", "column_ks", "pair_correlation"),
    "stacked-mnist": ("modes", "reverse_kl", "fed", "precision", "recall", "density", "coverage"),
}  # fmt: skip
PEER = ROOT / "benchmarks" / "quality_peer.json"
FIRST = 6  # scores in the first table of a section
BETTER = {score.format(distance="fed"): way for spec in METRICS for score, way in spec.better.items()}


def write(rows: Sequence[Row]) -> None:
    """The whole page."""
    parts = [HEADER]
    for suite, title in TITLES.items():
        own = [row for row in rows if row["suite"] == suite]
        if own:
            parts += [f"## {title}", *_section(suite, own)]
    if PEER.exists():
        parts += ["## Beside a script of PyTorch-GAN", *_beside(json.loads(PEER.read_text(encoding="utf-8")))]
    PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def keep_grid(run_dir: Path, trial: str) -> None:
    """Keep the last grid of a run. A run on tables draws none."""
    GRIDS.mkdir(exist_ok=True)
    for newest in sorted((run_dir / "samples").glob("0*.png"))[-1:]:
        shutil.copyfile(newest, GRIDS / f"{trial}.png")


def in_short(row: Row) -> str:
    """One row for the terminal."""
    return ", ".join(f"{name} {_digits(value)}" for name, value in row["scores"].items())


def _section(suite: str, rows: Sequence[Row]) -> Iterator[str]:
    names = [
        name for name in SCORES.get(suite, SCORES["fashion-5k"]) if any(name in row["scores"] for row in rows)
    ]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["trial"], []).append(row)
    yield from _protocol(rows)
    yield _reference(
        rows[0], [name for name in names if any(name in r for r in rows[0]["reference"].values())]
    )
    titles = [_recipe(group[0]) for group in groups.values()]
    about = [
        [
            f"{group[0]['images']:,}",
            _spread([row["minutes"] for row in group]),
            str(group[0]["threads"]),
            str(len(group)),
        ]
        for group in groups.values()
    ]
    first, rest = names[:FIRST], names[FIRST:]
    columns = ["images", "minutes", "threads", "seeds", *map(_title, first)]
    scores = [_scores(group, first) for group in groups.values()]
    yield _table(["recipe", *columns], [[t, *x, *y] for t, x, y in zip(titles, about, scores, strict=True)])
    if rest:
        others = [_scores(group, rest) for group in groups.values()]
        yield _table(["recipe", *map(_title, rest)], [[t, *y] for t, y in zip(titles, others, strict=True)])
    seen = tomllib.loads(SEEN.read_text(encoding="utf-8")) if SEEN.exists() else {}
    for trial in groups:
        if (GRIDS / f"{trial}.png").exists():
            yield f"### {trial}\n\n![samples of {trial}](results/{trial}.png)\n\n{seen.get(trial, '')}"


def _beside(found: Mapping[str, Any]) -> Iterator[str]:
    names = ("fed", "precision", "recall", "density", "coverage")
    yield (
        "Both train on the embedded images with one thread and one seed; CPU seconds are those of the whole "
        f"process. Measured by `python -m benchmarks.quality.peer`. {found['machine']}; {found['versions']}; "
        f"commit {found['commit']}; {found['date']}."
    )
    rows = [
        [row["who"], _digits(row["cpu_seconds"]), *[_digits(row[name]) for name in names]]
        for row in found["rows"]
    ]
    yield _table(["", "CPU seconds", *map(_title, names)], rows)


def _protocol(rows: Sequence[Row]) -> Iterator[str]:
    protocol = rows[0]["protocol"]
    yield (
        f"{rows[0]['n']:,} generated samples against {protocol['n_real']:,} of the {protocol['split']}; "
        f"{protocol['weights']} weights; sampling seed {protocol['seed']}. "
        f"Extractor: {protocol['extractor']}; {protocol['preprocessing']}. "
        f"Classifier's accuracy on real samples: {protocol.get('classifier_accuracy', 'no classifier')}."
    )
    places: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        # Older rows have one commit for training and scoring.
        scored = row.get("scored_by", row["commit"])
        commit = row["commit"] if scored == row["commit"] else f"{row['commit']} (scored by {scored})"
        places.setdefault((row["machine"], row["versions"], row["date"]), set()).add(commit)
    yield "\n".join(
        f"- Measured on {place}; {versions}; {date}; commits {', '.join(sorted(commits))}."
        for (place, versions, date), commits in places.items()
    )


def _reference(row: Row, names: Sequence[str]) -> str:
    rows = [
        [title.replace("_", " "), *[_digits(values.get(name)) for name in names]]
        for title, values in row["reference"].items()
    ]
    return _table(["real samples", *map(_title, names)], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    return "\n".join([*head, *map(_line, rows)])


def _scores(group: Sequence[Row], names: Sequence[str]) -> list[str]:
    values = [[row["scores"][name] for row in group if row["scores"].get(name) is not None] for name in names]
    return [_spread(value) if value else "" for value in values]


def _recipe(row: Row) -> str:
    more = [*(["long"] if "long" in row["length"] else []), *row.get("settings", [])]
    return f"{row['recipe']} ({', '.join(more)})" if more else str(row["recipe"])


def _title(name: str) -> str:
    return f"{name.replace('_', ' ')} {ARROWS[BETTER[name]]}"


def _spread(values: Sequence[float]) -> str:
    middle = _digits(median(values))
    low, high = _digits(min(values)), _digits(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _digits(value: float | None) -> str:
    if value is None:
        return ""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
