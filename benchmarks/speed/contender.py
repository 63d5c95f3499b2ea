"""One contender, in a process of its own: `python -m benchmarks.speed.contender CASE NAME`.

CASE is a case, or a recipe of ganzoo's own; NAME is a peer, `plain`, `ganzoo-fp32` or `ganzoo-bf16`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.step_gate import StepGate

METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: ganzoo-benchmarks\nVersion: 0\n",
    "entry_points.txt": "[ganzoo]\nbenchmarks = benchmarks.plugin\n",
}


def main(case_name: str, name: str) -> None:
    """Train until the gate ends the process, in a temporary folder."""
    gate = StepGate()
    with tempfile.TemporaryDirectory() as folder:
        # Two levels down: some scripts make their data folder in ../../data.
        place = Path(folder) / "here" / "here"
        place.mkdir(parents=True)
        os.chdir(place)
        try:
            train(case_name, name, gate)
        finally:
            os.chdir("/")


def train(case_name: str, name: str, gate: StepGate) -> None:
    """The loop of that name."""
    from benchmarks.speed.cases import CASES
    from benchmarks.speed.places import Places

    places = Places.from_environment()
    kind, _, precision = name.partition("-")
    if kind not in ("ganzoo", "plain"):
        from benchmarks.speed.peers.loops import train as train_peer

        train_peer(name, CASES[case_name], places, gate)
        return
    from benchmarks.speed.loops import ganzoo_loop, plain_loop
    from ganzoo.config.resolve import resolve
    from ganzoo.registry.registry import load_registry

    plugged_in(Path.cwd() / "metadata")
    settings = {
        "train.device": places.device,
        "train.threads": places.threads,
        "train.precision": precision or "fp32",
    }
    plan = resolve(case_name, load_registry(), overrides=settings)
    (ganzoo_loop if kind == "ganzoo" else plain_loop)(plan, gate)


def plugged_in(folder: Path) -> None:
    """Let this process find the benchmarks' plugin, as if it were installed."""
    info = folder / "ganzoo_benchmarks-0.dist-info"
    info.mkdir(parents=True)
    for file, text in METADATA.items():
        (info / file).write_text(text, encoding="utf-8")
    sys.path.append(str(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
