"""Measure ganzoo's training loop beside other projects' loops: `python benchmarks/speed/run.py --help`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.records import as_lines
from benchmarks.speed import report, rounds
from benchmarks.speed.cases import CASES
from benchmarks.speed.places import Checkout, Places

PEERS = {
    "pytorch-gan": "PyTorch-GAN",
    "examples": "pytorch/examples",
    "collections": "pytorch-gan-collections",
    "torchgan": "torchgan",
    "mimicry": "torch-mimicry",
    "vegans": "vegans",
    "lightning": "Lightning's GAN example",
}
OWN = {"plain": "plain loop", "ganzoo-fp32": "ganzoo fp32", "ganzoo-bf16": "ganzoo bf16"}
OFFLINE = ("vanilla", "cgan", "dcgan", "wgan-gp-mlp", "wgan-gp")


@dataclass(frozen=True)
class Job:
    """A case, or a recipe of ganzoo's own, with the peers that train it."""

    name: str
    summary: str
    batch: int
    n_critic: int
    peers: dict[str, str]
    nets: str = ""


@click.command()
@click.option("--peer", "peers", multiple=True, metavar="NAME=PATH[@VERSION]", help="Where a peer lies.")
@click.option(
    "--packages", multiple=True, type=click.Path(exists=True), help="Folder with packages of peers."
)
@click.option("--case", "cases", multiple=True, type=click.Choice(list(CASES)), help="Only this case.")
@click.option("--recipe", "recipes", multiple=True, help="A recipe of ganzoo's own, beside the plain loop.")
@click.option("--rounds", "count", default=5, type=click.IntRange(1))
@click.option("--seconds-per-round", "seconds", default=6.0)
@click.option("--threads", default=1, type=click.IntRange(1))
@click.option("--device", default="cpu")
@click.option("--out", default=str(Path(__file__).parents[1]), type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Compare networks and first losses instead of measuring.")
def main(
    peers: tuple[str, ...],
    packages: tuple[str, ...],
    cases: tuple[str, ...],
    recipes: tuple[str, ...],
    count: int,
    seconds: float,
    threads: int,
    device: str,
    out: Path,
    check: bool,
) -> None:
    """Measure cases with the peers that are given; without any, ganzoo's own recipes and the plain loop."""
    places = Places(
        peers=dict(map(_checkout, peers)),
        packages=tuple(str(Path(folder).absolute()) for folder in packages),
        device=device,
        threads=threads,
    )
    if check:
        _check(places, cases)
        return
    clock = "CPU second" if device == "cpu" else "second"
    protocol = {"rounds": count, "seconds": seconds, "threads": threads, "device": device, "clock": clock}
    for job in _jobs(places, cases, recipes):
        measured = _measure(job, places, protocol)
        _save(out, job.name, measured)
        click.echo(report.render({job.name: measured}).partition("## In short")[2])


def _checkout(text: str) -> tuple[str, Checkout]:
    name, _, place = text.partition("=")
    path, _, version = (place, "", "") if Path(place).is_dir() else place.rpartition("@")
    if name not in PEERS or not Path(path).is_dir():
        raise click.BadParameter(f"'{text}': give NAME=PATH, with a folder, and one of {', '.join(PEERS)}")
    return name, Checkout(str(Path(path).absolute()), version)


def _jobs(places: Places, cases: tuple[str, ...], recipes: tuple[str, ...]) -> list[Job]:
    wanted = list(cases) or ([] if recipes or not places.peers else list(CASES))
    jobs = [
        Job(name, case.summary, case.batch, case.n_critic, dict(case.peers), case.nets)
        for name, case in CASES.items()
        if name in wanted
    ]
    return jobs + [_recipe(name) for name in recipes or (() if wanted else OFFLINE)]


def _recipe(name: str) -> Job:
    from ganzoo.config.resolve import resolve
    from ganzoo.registry.registry import load_registry

    plan = resolve(name, load_registry())
    summary = f"ganzoo's own recipe `{name}` on {plan.data.source}"
    return Job(name, summary, plan.train.batch_size, plan.train.n_critic, {})


def _measure(job: Job, places: Places, protocol: dict[str, Any]) -> dict[str, Any]:
    """The record of one job for results.json."""
    missing = job.nets and job.nets not in places.peers
    names = [] if missing else [*(peer for peer in job.peers if peer in places.peers), *OWN]
    before = machine.load()
    found = rounds.measure(
        job.name,
        names,
        places,
        n_critic=job.n_critic,
        rounds=protocol["rounds"],
        seconds=protocol["seconds"],
        tell=lambda text: click.echo(text, err=True),
    )
    measured = {one.name: one for one in found}
    return {
        "summary": job.summary,
        "batch": job.batch,
        "n_critic": job.n_critic,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "load": [before, machine.load()],
        "protocol": protocol,
        **({} if missing else limits(job, places)),
        "rows": [_row(name, job, places, measured.get(name)) for name in (*job.peers, *OWN)],
    }


def limits(job: Job, places: Places) -> dict[str, Any]:
    """Images a second at the machine's measured peaks, by precision, and those peaks."""
    command = [sys.executable, "-m", "benchmarks.speed.floors", job.name]
    environment = {**os.environ, **rounds.environment(places)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _row(name: str, job: Job, places: Places, one: rounds.Measured | None) -> dict[str, Any]:
    title = PEERS.get(name) or OWN[name]
    if name in places.peers and places.peers[name].version:
        title += f" {places.peers[name].version}"
    needed = name if name in PEERS and name not in places.peers else job.nets
    result = one.result if one else None
    return {
        "name": name,
        "title": title,
        "note": job.peers.get(name, ""),
        "is_ganzoo": name.startswith("ganzoo"),
        "precision": "bf16" if name.endswith("bf16") else "fp32",
        "skipped": one is None,
        "failure": _without_paths(one.failure, places)
        if one
        else f"not run: no files of {PEERS[needed]} given",
        "first": asdict(result.first) if result else None,
        "rounds": [asdict(item) for item in result.rounds] if result else [],
    }


def _without_paths(text: str, places: Places) -> str:
    """The same for readers elsewhere, who have other folders."""
    for name, checkout in places.peers.items():
        text = text.replace(checkout.path, name)
    return text.replace(str(Path(__file__).parents[2]), ".")


def _save(out: Path, name: str, measured: dict[str, Any]) -> None:
    """Put the job into results.json, beside those measured before, and make the page anew."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.json"
    cases = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    cases[name] = measured
    known = [*CASES, *OFFLINE]
    cases = dict(sorted(cases.items(), key=lambda item: known.index(item[0]) if item[0] in known else 99))
    file.write_text(as_lines(cases), encoding="utf-8")
    (out / "RESULTS.md").write_text(report.render(cases), encoding="utf-8")


def _check(places: Places, cases: tuple[str, ...]) -> None:
    """Run the checks of each case in a process of its own; exit with 1 when one fails."""
    failed = False
    for name in cases or CASES:
        if CASES[name].nets in places.peers:
            command = [sys.executable, "-m", "benchmarks.speed.check", name]
            done = subprocess.run(command, env={**os.environ, **rounds.environment(places)}, check=False)
            failed |= done.returncode != 0
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
