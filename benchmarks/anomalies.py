"""Measures f-AnoGAN on the embedded garments in both usual protocols, and prints the tables of its page.

    python -m benchmarks.anomalies --work FOLDER                      # 20 trainings
    python -m benchmarks.anomalies --work FOLDER --protocol only      # one class is normal, nine are abnormal
    python -m benchmarks.anomalies --work FOLDER --images 512         # the rows of short trainings
    python -m benchmarks.anomalies --table                            # from what was measured

`without`: one class is abnormal, nine are normal. Each training is followed by an export and an evaluation:
the thresholds come from half of the held-out normal images, the AUC from the other half and all abnormal
ones. What is in benchmarks/anomalies.json already is not repeated. There, `auc_by_nearest` has the AUC of the
same networks at each `architecture.nearest` of SHARES, and `auc_of_residuals` is the first of these: the
paper's score r.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ganzoo
from benchmarks.records import as_lines
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.evaluation.report import Report
from ganzoo.registry.registry import load_registry
from ganzoo.runs.run import Run
from ganzoo_datasets.fashion import CLASSES

RECORDS = Path(__file__).with_name("anomalies.json")
PROTOCOLS = ("only", "without")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the nearest normal image in the score
CHOSEN = {"without": ("Dress", "Coat", "Sandal", "Sneaker"), "only": ("T-shirt/top", "Coat", "Sandal")}
"""The classes that `nearest` was chosen with, and those that were looked at then."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of runs and bundles")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="only this one")
    parser.add_argument("--images", type=int, help="the length of a training [that of the recipe]")
    parser.add_argument("--table", action="store_true", help="print the table only")
    options = parser.parse_args()
    if not options.table:
        if options.work is None:
            parser.error("--work is needed")
        for protocol in options.protocol or PROTOCOLS:
            for name in CLASSES:
                key = " ".join([protocol, name, *([f"{options.images}"] if options.images else [])])
                if key not in records():
                    keep(key, measured(options.work, protocol, name, options.images))
    print(table(records()), by_nearest(records(), options.images), sep="\n\n")


def records() -> dict[str, Any]:
    """What was measured, by protocol and class."""
    found: dict[str, Any] = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.is_file() else {}
    return found


def keep(name: str, result: Mapping[str, Any]) -> None:
    """Add a result to the records."""
    RECORDS.write_text(as_lines({**records(), name: dict(result)}), encoding="utf-8")


def measured(work: Path, protocol: str, name: str, images: int | None) -> dict[str, Any]:
    """Train, export and evaluate with one class as the only one, or without it."""
    folder = work / f"{protocol}-{CLASSES.index(name)}-{images or 'usual'}"
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    settings = {f"data.{protocol}": [name], "train.device": "cpu", "train.seed": 0}
    run = ganzoo.train("f-anogan", images=images, settings=settings, run_dir=folder / "run")
    trained = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun
    report = scored(run, folder / "bundle")
    areas = [round(area_at(run, share, folder / f"nearest-{share:g}"), 4) for share in SHARES]
    return {
        "images": report.protocol["images"],
        "cpu_seconds": round(trained, 1),
        **{key: round(value, 4) for key, value in report.scores.items()},
        "normal": report.protocol["normal"],
        "abnormal": report.protocol["abnormal"],
        "auc_of_residuals": areas[0],
        "auc_by_nearest": areas,
    }


def scored(run: Run, destination: Path) -> Report:
    """Export and evaluate the detector of a run."""
    bundle = ganzoo.export(run, destination)
    return evaluate(Request(source=bundle.path, generator="anomaly"), load_registry())


def area_at(run: Run, share: float, folder: Path) -> float:
    """The AUC of the same networks with another `architecture.nearest`, which only the export reads."""
    shutil.copytree(run.path, folder / "run")
    copy = Run.open(folder / "run")
    settings = tomllib.loads(copy.settings_file.read_text(encoding="utf-8"))
    settings["architecture"]["nearest"] = share
    copy.write_settings(settings)
    return scored(copy, folder / "bundle").scores["auc"]


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A table in Markdown: a row for each class, and their means if all are there."""
    head = ["class"]
    for side in ("normal", "abnormal"):
        head += [f"AUC, only this one is {side}", "r", "detected at 95 %", "false alarms"]
    rows = [[found.get(f"{protocol} {name}") for protocol in PROTOCOLS] for name in CLASSES]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, both in zip(CLASSES, rows, strict=True):
        lines.append(f"| {name} | {' | '.join(' | '.join(_cells(one)) for one in both)} |")
    means = [" | ".join(_means([row[at] for row in rows])) for at in range(len(PROTOCOLS))]
    return "\n".join([*lines, f"| **mean** | {' | '.join(means)} |"])


def _cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return [""] * 4
    shares = [f"{100 * row['detected_95']:.0f} %", f"{100 * row['false_alarms_95']:.1f} %"]
    return [f"{row['auc']:.3f}", f"{row['auc_of_residuals']:.3f}", *shares]


def _means(rows: Sequence[Mapping[str, Any] | None]) -> list[str]:
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return [""] * 4
    keys = ("auc", "auc_of_residuals", "detected_95", "false_alarms_95")
    first, residuals, *others = _cells({key: statistics.fmean(row[key] for row in known) for key in keys})
    return [f"**{first}**", residuals, *(f"**{cell}**" for cell in others)]


def by_nearest(found: Mapping[str, Mapping[str, Any]], images: int | None = None) -> str:
    """Mean AUC at each share of the nearest normal image, as far as it was measured; after so many images."""
    shares = [f"{share:g}" + ", as in the paper" * (share == 0) for share in SHARES]
    lines = [f"| mean AUC | {' | '.join(shares)} |", "|" + "---|" * (len(SHARES) + 1)]
    groups = [
        ("four garments, each left out", "without", CHOSEN["without"]),
        ("three garments, each alone", "only", CHOSEN["only"]),
        ("all ten garments, each left out", "without", CLASSES),
        ("all ten garments, each alone", "only", CLASSES),
    ]
    for title, protocol, names in groups:
        keys = [" ".join([protocol, name, *([f"{images}"] if images else [])]) for name in names]
        if all("auc_by_nearest" in found.get(key, {}) for key in keys):
            areas = np.mean([found[key]["auc_by_nearest"] for key in keys], axis=0)
            lines.append(f"| {title} | {' | '.join(f'{area:.3f}' for area in areas)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
