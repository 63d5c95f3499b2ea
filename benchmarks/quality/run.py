"""Trains recipes, scores them, and makes docs/results.md: `python benchmarks/quality/run.py --help`."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.quality import report
from benchmarks.records import as_lines
from ganzoo.util.files import write_bytes

RESULTS = Path(__file__).parents[1] / "quality.json"
ZOO = (
    "vanilla", "dcgan", "cgan", "wgan", "wgan-gp", "rpgan", "lsgan", "hinge", "ragan", "dragan", "lecam",
    "bcr", "sngan", "projection", "sagan", "biggan", "acgan", "infogan", "stylegan2", "r3gan", "fastgan",
)  # fmt: skip
OWN = (
    "pix2pix",
    "super-resolution",
    "colourisation",
    "cyclegan",
    "ctgan",
)  # each on its own data, a suite each
VERSIONS = ("Python", "ganzoo", "torch", "numpy")
LONG = ("dcgan", "cgan", "wgan-gp")
OTHER = {"cyclegan": ("--generator", "to_b")}  # options of `evaluate`
# R3GAN, appendix E: with lazy penalties, runs on Stacked MNIST did not converge.
EACH_STEP = ("terms.r1.every=1", "terms.r2.every=1")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One row of the page: a recipe on some data, `n` samples, with settings beside the recipe's own.

    `long`: trained for 5/3 of the recipe's images. `evaluated`: more options of `ganzoo evaluate`.
    """

    suite: str
    recipe: str
    long: bool = False
    settings: tuple[str, ...] = ()
    n: int = 5000
    evaluated: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of files, and of the row in the results."""
        return "-".join([*dict.fromkeys((self.suite, self.recipe)), *(["long"] if self.long else [])])


def trials(suites: Sequence[str], recipes: Sequence[str], *, longer: bool = True) -> Iterator[Trial]:
    """All rows of those suites, or of those recipes among them; with or without the lengthened ones."""
    rows = [
        *(Trial(suite="fashion-5k", recipe=recipe) for recipe in ZOO),
        *(Trial(suite="fashion-5k", recipe=recipe, long=True) for recipe in LONG),
        *(Trial(suite="fashion", recipe=recipe) for recipe in ("dcgan", "cgan", "wgan-gp", "rpgan")),
        *(Trial(suite="stacked-mnist", recipe=recipe, n=26_000) for recipe in ("dcgan", "wgan-gp")),
        Trial(suite="stacked-mnist", recipe="rpgan", n=26_000, settings=EACH_STEP),
        *(Trial(suite=recipe, recipe=recipe, n=2000, evaluated=OTHER.get(recipe, ())) for recipe in OWN),
    ]  # fmt: skip
    for row in rows:
        if row.suite in suites and (not recipes or row.recipe in recipes) and (longer or not row.long):
            yield row


class Bench:
    """Runs trials where the data lies, one command line after the other, as a user would."""

    def __init__(self, work: Path, sources: dict[str, str], threads: int) -> None:
        self.work, self.sources, self.threads = work, sources, threads

    def run(self, trial: Trial, seed: int) -> None:
        """Train and score one seed; its record replaces an older one of the same name.

        A run that is there already is gone on with, or only scored when it is complete.
        """
        run_dir = self.work / f"{trial.name}-{seed}"
        source = self.sources[trial.suite]
        data = ["--data", source] if source else []
        settings = [word for text in trial.settings for word in ("--set", text)]
        if trial.long or source:  # other data than the recipe's would get a length in time
            images = self._images(trial.recipe)
            settings += ["--images", str(images * 5 // 3 if trial.long else images)]
        where = [*data, "--seed", str(seed), "--run-dir", str(run_dir)]
        before = _record(run_dir)
        self._ganzoo("train", trial.recipe, *where, *settings, "--auto-resume")
        record = _record(run_dir)
        versions = record["versions"]
        training = _circumstances() if before.get("seconds") != record["seconds"] else known(trial, seed)
        words = ["evaluate", str(run_dir), "--n", str(trial.n), *trial.evaluated, "--json"]
        scored = json.loads(without_places(self._ganzoo(*words), source))
        row = {
            "trial": trial.name,
            "suite": trial.suite,
            "recipe": trial.recipe,
            "length": "long: 5/3 of its own" if trial.long else "its own",
            "settings": list(trial.settings),
            "seed": seed,
            "images": record["images"],
            "minutes": round(record["seconds"] / 60, 2),
            "threads": record["threads"],
            "parameters": record["parameters"],
            "versions": ", ".join(f"{name} {versions[name.lower()]}" for name in VERSIONS),
            **training,
            "scored_by": machine.commit(),
            **{key: scored[key] for key in ("n", "scores", "reference", "protocol")},
        }
        keep(row)
        if seed == 0:
            report.keep_grid(run_dir, trial.name)
        click.echo(f"{trial.name} seed {seed}: {row['minutes']:.1f} min, {report.in_short(row)}")

    def _images(self, recipe: str) -> int:
        text = self._ganzoo("train", recipe, "--explain", "--json")
        rows = {row["path"]: row["value"] for row in json.loads(text)["settings"]}
        return int(rows["train.images"])

    def _ganzoo(self, *words: str) -> str:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        command = [sys.executable, "-m", "ganzoo", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{' '.join(command)}\n{done.stderr}")
        return done.stdout


def without_places(text: str, source: str) -> str:
    """Results go where others read them: of the data's path the last name stays."""
    _, _, path = source.partition(":")
    return text.replace(path, Path(path).name) if path else text


def _record(run_dir: Path) -> dict[str, Any]:
    """What run.json says; nothing where there is none yet."""
    file = run_dir / "run.json"
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return record


def _circumstances() -> dict[str, Any]:
    """Of a training that has just ended, what its record does not say."""
    return {
        "machine": machine.describe(),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "load": round(machine.load(), 2),
    }


def known(trial: Trial, seed: int) -> dict[str, Any]:
    """The circumstances of a training that was complete already, as far as an older row tells them."""
    old = next((row for row in read() if (row["trial"], row["seed"]) == (trial.name, seed)), {})
    return {key: old.get(key, "unknown") for key in ("machine", "commit", "date", "load")}


def keep(row: Mapping[str, Any]) -> None:
    """Put a row among those that are there, whoever else does so now."""
    with FileLock(RESULTS.with_suffix(".lock")):
        rows = {(old["trial"], old["seed"]): old for old in read()}
        rows[row["trial"], row["seed"]] = dict(row)
        write_bytes(RESULTS, as_lines([rows[key] for key in sorted(rows)]).encode())


def read() -> list[dict[str, Any]]:
    """The rows so far."""
    if not RESULTS.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return rows


@click.command()
@click.option(
    "--suite", "suites", multiple=True, type=click.Choice(["fashion-5k", "fashion", "stacked-mnist", *OWN])
)
@click.option("--recipe", "recipes", multiple=True, help="Only this recipe (repeatable).")
@click.option("--long/--no-long", "longer", default=True, help="Lengthened rows, too.  [default: long]")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Seeds 0, 1, ...")
@click.option("--fashion", default="/usr/share/datasets/fashion-mnist", show_default=True, help="IDX files.")
@click.option("--mnist", help="The folder of MNIST's IDX files, for Stacked-MNIST.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Runs at once.")
@click.option("--work", required=True, type=click.Path(path_type=Path), help="A folder for the runs.")
@click.option("--report-only", is_flag=True, help="Train nothing, write the page from quality.json.")
def main(**options: Any) -> None:
    """Train each recipe with each seed, score it, and write docs/results.md.

    Without --suite all of them, as far as their data is there. Rows of other trials stay in quality.json.
    """
    sources = {"fashion-5k": "fashion-5k", **dict.fromkeys(OWN, "")}
    if Path(options["fashion"]).is_dir():
        sources["fashion"] = f"idx:{options['fashion']}"
    if options["mnist"]:
        sources["stacked-mnist"] = f"stacked-mnist:{options['mnist']}"
    suites = options["suites"] or list(sources)
    missing = [suite for suite in suites if suite not in sources]
    if missing and not options["report_only"]:
        raise click.UsageError(f"The data of {', '.join(missing)} is not there: see --fashion and --mnist.")
    bench = Bench(options["work"], sources, options["threads"])
    with ThreadPoolExecutor(options["jobs"]) as pool:
        jobs = [
            pool.submit(bench.run, trial, seed)
            for seed in range(options["seeds"])
            for trial in trials(
                [] if options["report_only"] else suites, options["recipes"], longer=options["longer"]
            )
        ]
        for job in jobs:
            job.result()
    report.write(read())


if __name__ == "__main__":
    main()
