"""Compares the speed of two versions of ganzoo: `python -m benchmarks.speed.versions OLD [RECIPE ...]`.

OLD is a checkout of the other version; `--python` is a Python that has it installed. Both versions train in
processes of their own and are measured in turns. The table has the median of the ratios of rounds, new to
old, in images per CPU second, and their range: a change of less than the range is noise.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.speed.places import Places
from benchmarks.speed.rounds import ROOT, Process, begin, environment, play_round

RECIPES = ("vanilla", "dcgan", "cgan", "wgan-gp", "fastgan", "stylegan2", "r3gan")
HERE = "benchmarks.speed.contender"


def ratios(old: Path, python: str, case: str, places: Places, rounds: int, seconds: float) -> list[float]:
    """New to old in each round, in batches per CPU second. FailedError when one of them ends early."""
    # Version 0.1 has the benchmark one folder higher. -P: the folder of this call is not on the path.
    module = HERE if (old / "benchmarks/speed").is_dir() else "benchmarks.contender"
    with ExitStack() as stack:
        both = []
        for tree, executable, name in ((ROOT, sys.executable, HERE), (old, python, module)):
            command = [executable, "-P", "-m", name, case, "ganzoo-fp32"]
            process = Process(str(tree), command, {**environment(places), "PYTHONPATH": str(tree)})
            both.append((stack.enter_context(process), *begin(process, 1, seconds)))
        for turn in range(rounds):
            for process, result, batches in both[:: 1 if turn % 2 else -1]:
                play_round(process, result, batches)
        new, other = (result.rates("cpu") for _, result, _ in both)
        return [one / two for one, two in zip(new, other, strict=True)]


@click.command()
@click.argument("old", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("cases", nargs=-1)
@click.option("--python", default=sys.executable, help="A Python with the other version.")
@click.option("--rounds", type=click.IntRange(min=2), default=7, show_default=True)
@click.option("--seconds-per-round", type=float, default=4.0, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def main(
    old: Path, cases: Sequence[str], python: str, rounds: int, seconds_per_round: float, threads: int
) -> None:
    """Print a table: each case, new to old."""
    click.echo("| case | new to old, median | lowest..highest |\n| --- | ---: | ---: |")
    for case in cases or RECIPES:
        every = ratios(old.resolve(), python, case, Places(threads=threads), rounds, seconds_per_round)
        click.echo(f"| {case} | {statistics.median(every):.3f} | {min(every):.3f}..{max(every):.3f} |")


if __name__ == "__main__":
    main()
