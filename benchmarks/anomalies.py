"""Measures f-AnoGAN on the embedded garments in both usual protocols, and prints a table.

    python -m benchmarks.anomalies --work FOLDER                      # 20 trainings
    python -m benchmarks.anomalies --work FOLDER --protocol only      # one class is normal, nine are abnormal
    python -m benchmarks.anomalies --table                            # from what was measured

`without`: one class is abnormal, nine are normal. Each training is followed by an export and an evaluation:
the thresholds come from half of the held-out normal images, the AUC from the other half and all abnormal
ones. What is in benchmarks/anomalies.json already is not repeated. There, `auc_of_residuals` is that of the
paper's score (`architecture.nearest` 0) for the same networks.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ganzoo
from benchmarks.records import as_lines
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.registry.registry import load_registry
from ganzoo_datasets.fashion import CLASSES

RECORDS = Path(__file__).with_name("anomalies.json")
PROTOCOLS = {"only": "one class normal, nine abnormal", "without": "nine classes normal, one abnormal"}
SHOWN = ("auc", "detected_95", "false_alarms_95")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of runs and bundles")
    parser.add_argument("--protocol", action="append", choices=[*PROTOCOLS], help="only this one")
    parser.add_argument("--images", type=int, help="the length of a training [that of the recipe]")
    parser.add_argument("--table", action="store_true", help="print the table only")
    options = parser.parse_args()
    if not options.table:
        if options.work is None:
            parser.error("--work is needed")
        for protocol in options.protocol or PROTOCOLS:
            for name in CLASSES:
                if f"{protocol} {name}" not in records():
                    keep(f"{protocol} {name}", measured(options.work, protocol, name, options.images))
    print(table(records()))


def records() -> dict[str, Any]:
    """What was measured, by protocol and class."""
    found: dict[str, Any] = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.is_file() else {}
    return found


def keep(name: str, result: Mapping[str, Any]) -> None:
    """Add a result to the records."""
    RECORDS.write_text(as_lines({**records(), name: dict(result)}), encoding="utf-8")


def measured(work: Path, protocol: str, name: str, images: int | None) -> dict[str, Any]:
    """Train, export and evaluate with one class as the only one, or without it."""
    folder = work / f"{protocol}-{CLASSES.index(name)}"
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    settings = {f"data.{protocol}": [name], "train.device": "cpu", "train.seed": 0}
    run = ganzoo.train("f-anogan", images=images, settings=settings, run_dir=folder / "run")
    trained = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun
    bundle = ganzoo.export(run, folder / "bundle")
    report = evaluate(Request(source=bundle.path, generator="anomaly"), load_registry())
    return {
        "images": report.protocol["images"],
        "cpu_seconds": round(trained, 1),
        **{key: round(value, 4) for key, value in report.scores.items()},
        "normal": report.protocol["normal"],
        "abnormal": report.protocol["abnormal"],
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A table in Markdown: a row for each class, and their mean for each complete protocol."""
    lines = [
        "| protocol | class | images | CPU s | AUC | detected at 95 % | false alarms |",
        "|---|---|---|---|---|---|---|",
    ]
    for protocol, title in PROTOCOLS.items():
        rows = [(name, found[f"{protocol} {name}"]) for name in CLASSES if f"{protocol} {name}" in found]
        for name, row in rows:
            scores = " | ".join(f"{row[key]:.3f}" for key in SHOWN)
            seconds = f"{row['cpu_seconds']:.0f}" if "cpu_seconds" in row else ""
            lines.append(f"| {title} | {name} | {row['images']:,} | {seconds} | {scores} |")
        if len(rows) == len(CLASSES):
            means = " | ".join(f"**{sum(row[key] for _, row in rows) / len(rows):.3f}**" for key in SHOWN)
            lines.append(f"| {title} | **mean** | | | {means} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
