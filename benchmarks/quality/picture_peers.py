"""Authors' own training code beside ganzoo, on the same pictures, in equal CPU time, with equal scores.

    python -m benchmarks.quality.picture_peers CHECKOUTS --work SETS --set flags --seconds 300 --peer dcgan
    python -m benchmarks.quality.picture_peers CHECKOUTS --work SETS --set flags --seconds 300 --own auto

CHECKOUTS holds the repositories under their own names (`picture_loops.py` says which, and what is changed in
them), SETS the folders of `suite.py make`. All train on one thread, on PNG files that are made once. The CPU
seconds are those of the process from its first batch on, and ganzoo's clock is that of its process, too:
imports, reading pictures, and sampling at the end cost nobody anything. Rows go to picture_peers.json, the
table to docs/results/own-pictures.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks import machine
from benchmarks.quality.picture_loops import PEERS
from benchmarks.records import as_lines
from ganzoo.util.files import write_bytes

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "picture_peers.json"
PAGE = ROOT / "docs" / "results" / "own-pictures.md"
EXTRACTORS = ("efficientnet-lite0", "efficientnet-lite2")  # scores of both names are the last one's
KEY = ("who", "set", "side", "cpu_budget", "seed", "n")
# ganzoo's own command, with --minutes in CPU time.
COMMAND = "import time; time.perf_counter = time.process_time; from ganzoo.cli import main; main()"

Scores = dict[str, float]
Row = dict[str, Any]


def prepared(folder: Path, side: int, target: Path) -> Path:
    """The pictures of a folder as ganzoo reads them at that size, as PNG files."""
    from ganzoo.config.resolve import resolve
    from ganzoo.data.open_data import open_dataset
    from ganzoo.registry.registry import load_registry

    if not target.exists():
        given = {"data.source": f"folder:{folder}", "data.height": side}
        plan = resolve("dcgan", load_registry(), overrides=given)
        images = open_dataset(plan.dataset, plan.data.source, plan.kinds).arrays["image"]
        part = target.with_name(f"{target.name}-part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(np.asarray(image).transpose(1, 2, 0)).save(part / f"{number:06}.png")
        part.rename(target)
    return target


def scores_of(samples: np.ndarray[Any, Any], folder: Path, extractor: str) -> Scores:
    """What `ganzoo evaluate` says of samples (n, 3, h, w) in -1..1 of a generator trained on that folder."""
    from ganzoo.api import Field
    from ganzoo.config.resolve import resolve
    from ganzoo.evaluation.comparison import Comparison, feature_space_of, reference_samples
    from ganzoo.evaluation.metrics import Scorer, chosen_metrics
    from ganzoo.evaluation.real_data import RealData
    from ganzoo.evaluation.samples import Sampled, stored
    from ganzoo.registry.registry import load_registry

    registry = load_registry()
    given = {"data.source": f"folder:{folder}", "data.height": samples.shape[2]}
    plan = resolve("dcgan", registry, overrides=given)
    field = Field(name="image", shape=samples.shape[1:], range=(-1.0, 1.0))
    real_data = RealData.open(plan.dataset, plan.data.source, field, plan.kinds)
    feature_space = feature_space_of(registry, real_data, extractor)
    real, training = reference_samples(feature_space, real_data, len(samples))
    fake = Sampled(feature_space, stored(real_data.media, real_data.field, samples), real=real)
    comparison = Comparison(feature_space, fake, real, training, 0, field=real_data.field)
    return Scorer(chosen_metrics(registry, ()), feature_space, real_data).scores(comparison)


def both(samples: np.ndarray[Any, Any], folder: Path) -> Scores:
    """The scores of both extractors, rounded."""
    scores: Scores = {}
    for extractor in EXTRACTORS:
        scores |= scores_of(samples, folder, extractor)
    return {name: round(value, 4) for name, value in scores.items()}


def run(words: list[str], log: Path) -> None:
    """Run a Python command on one thread. ClickException with the end of what it said when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w", encoding="utf-8") as file:
        code = subprocess.call([sys.executable, *words], cwd=ROOT, env=environment, stdout=file, stderr=file)
    if code:
        raise click.ClickException(f"{log}:\n{log.read_text(encoding='utf-8')[-2000:]}")


def draw(samples: np.ndarray[Any, Any], path: Path) -> None:
    """The first 64 samples."""
    from ganzoo.images import grid

    pixels = ((samples[:64] + 1) * 127.5).round().astype(np.uint8)
    grid(pixels.transpose(0, 2, 3, 1), 8).save(path)


def peer_row(name: str, checkouts: Path, pictures: Path, cell: Row, out: Path) -> Row:
    """Train a peer, and score what it makes with each of its weights; the better ones are the row's."""
    peer = PEERS[name]
    source = checkouts / peer.folder
    git = ["git", "-C", str(source), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copytree(source, out / "checkout", ignore=shutil.ignore_patterns(".git"))
    options = [f"--seconds={cell['cpu_budget']}", f"--seed={cell['seed']}", f"--n={cell['n']}"]
    module = ["-m", "benchmarks.quality.picture_loops", name, str(out / "checkout"), str(pictures), str(out)]
    run([*module, *options], out / "log.txt")
    shutil.rmtree(out / "checkout")
    with np.load(out / "samples.npz") as file:
        found = {weights: both(file[weights], pictures) for weights in file.files}
        best = min(found, key=lambda weights: found[weights]["fed_lite2"])
        draw(file[best], out / "grid.png")
    return {
        "who": peer.repository,
        **json.loads((out / "run.json").read_text(encoding="utf-8")),
        "weights": best,
        "scores": found.pop(best),
        "other_weights": found,
        "peer_commit": commit,
        "changed": [*peer.changed_at.get(cell["side"], ()), *peer.changed],
    }


def own_row(recipe: str, pictures: Path, cell: Row, out: Path) -> Row:
    """Train a recipe for so many CPU seconds, and score it through the command line."""
    words = [
        "--data",
        f"folder:{pictures}",
        "--set",
        f"data.height={cell['side']}",
        "--seed",
        str(cell["seed"]),
    ]
    words += ["--minutes", str(cell["cpu_budget"] / 60), "--device", "cpu", "--set", "train.threads=1"]
    run(["-c", COMMAND, "train", recipe, *words, "--run-dir", str(out / "run")], out / "log.txt")
    scores: Scores = {}
    for extractor in EXTRACTORS:
        words = [
            "--n",
            str(cell["n"]),
            "--extractor",
            extractor,
            "--no-reference",
            "-o",
            str(out / extractor),
        ]
        run(["-m", "ganzoo", "evaluate", str(out / "run"), *words], out / f"{extractor}.txt")
        report = json.loads((out / extractor / "evaluation.json").read_text(encoding="utf-8"))
        scores |= report["scores"]
    shutil.copyfile(max((out / "run" / "samples").glob("[0-9]*.png")), out / "grid.png")
    record = json.loads((out / "run" / "run.json").read_text(encoding="utf-8"))
    return {
        "who": f"ganzoo {recipe}",
        "images": record["images"],
        "cpu_seconds": round(record["seconds"], 1),
        "weights": report["protocol"]["weights"],
        "scores": {name: round(value, 4) for name, value in scores.items()},
        "recipe": record["recipe"],
        "changed": [],
    }


def keep(row: Row) -> list[Row]:
    """Add a row, which replaces that of the same cell; returns all."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    rows = [*(old for old in rows if any(old[name] != row[name] for name in KEY)), row]
    write_bytes(RESULTS, as_lines(rows).encode())
    return rows


def table(rows: list[Row]) -> str:
    """One line for each set and code, the best distance first; medians over seeds, and what was changed."""
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row["set"], row["side"], row["cpu_budget"], row["who"]].append(row)
    lines = [
        "| set | pixels | CPU s | code | seeds | images | weights | FED Lite2 | FED | coverage | KID |",
        "|---|---:|---:|---|---:|---:|---|---:|---:|---:|---:|",
    ]

    def middle(found: list[Row], name: str) -> float:
        return float(median(row["scores"][name] for row in found))

    for cell in sorted(cells, key=lambda cell: (*cell[:3], middle(cells[cell], "fed_lite2"))):
        found = cells[cell]
        scores = [f"{middle(found, name):{form}}" for name, form in FORMS.items()]
        images = f"{median(row['images'] for row in found):,.0f}"
        weights = ", ".join(sorted({row["weights"] for row in found}))
        first = (cell[0], str(cell[1]), f"{cell[2]:g}", cell[3], str(len(found)), images, weights)
        lines.append(f"| {' | '.join((*first, *scores))} |")
    changed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["changed"]:
            said = changed[row["who"], row["peer_commit"]]
            said += (text for text in row["changed"] if text not in said)
    notes = [f"* {who} at {commit}: {'; '.join(said)}." for (who, commit), said in sorted(changed.items())]
    return "\n".join([*lines, "", *notes]) if notes else "\n".join(lines)


FORMS = {"fed_lite2": ".0f", "fed": ".0f", "coverage": ".3f", "kid": ".2f"}


def write_table(rows: list[Row]) -> None:
    """Put the table between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    made = f"<!-- peers -->\n{table(rows)}\n<!-- end peers -->"
    done, count = re.subn(r"<!-- peers -->.*?<!-- end peers -->", lambda _: made, text, flags=re.DOTALL)
    if count != 1:
        raise click.ClickException(f"{PAGE} needs <!-- peers --> and <!-- end peers --> once")
    write_bytes(PAGE, done.encode())


@click.command()
@click.argument("checkouts", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--set", "name", required=True, help="A folder in WORK.")
@click.option("--side", default=64, show_default=True, help="Pixels; peers take 64, most of them 128, too.")
@click.option("--seconds", default=300.0, show_default=True, help="CPU seconds of training.")
@click.option("--seed", default=0, show_default=True)
@click.option("--n", default=1000, show_default=True, help="Samples to score.")
@click.option("--peer", type=click.Choice(list(PEERS)))
@click.option("--own", help="A recipe of ganzoo's, or auto, in place of a peer.")
def main(checkouts: Path, work: Path, name: str, peer: str | None, own: str | None, **options: Any) -> None:
    """Train and score one cell."""
    if (peer is None) == (own is None):
        raise click.UsageError("give either --peer or --own")
    side, seconds, seed = (options[key] for key in ("side", "seconds", "seed"))
    if peer and side not in PEERS[peer].sides:
        raise click.UsageError(f"{peer} makes pictures of {PEERS[peer].sides} pixels")
    pictures = prepared(work / name, side, work / "prepared" / f"{name}-{side}")
    out = work / "peers" / f"{own or peer}-{name}-{side}-{seconds:g}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    cell = {"set": name, "side": side, "cpu_budget": seconds, "seed": seed, "n": options["n"]}
    if peer:
        found = peer_row(peer, checkouts.resolve(), pictures, cell, out)
    else:
        found = own_row(str(own), pictures, cell, out)
    place = {"commit": machine.commit(), "versions": machine.versions(), "machine": machine.describe()}
    row = {**cell, **found, **place}
    write_table(keep(row))
    click.echo(json.dumps(row))


if __name__ == "__main__":
    main()
