"""What saving costs, and whether a long run stays as large as it was: figures for docs/reliability.md.

    python -m benchmarks.reliability overhead            # share of the time that checkpoints take
    python -m benchmarks.reliability soak --minutes 30   # memory, open files and threads of a run

Linux only: the soak reads /proc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPES = ("vanilla", "dcgan", "cgan", "wgan", "wgan-gp")


def overhead(seconds: float) -> None:
    """For each sized recipe: a checkpoint's time, and its share of the run at the default interval."""
    from ganzoo.config.resolve import resolve
    from ganzoo.registry.registry import load_registry
    from ganzoo.training.reporting import recorder
    from ganzoo.training.reporting.reporter import NullReporter
    from ganzoo.training.session import start

    spent: list[float] = []
    checkpoint = recorder.Recorder.checkpoint

    def timed(self: recorder.Recorder) -> None:
        began = time.perf_counter()
        checkpoint(self)
        spent.append(time.perf_counter() - began)

    recorder.Recorder.checkpoint = timed  # type: ignore[method-assign]
    registry = load_registry()
    print("recipe    checkpoint ms (median of n)   state MB   images/s   10 checkpoints of the run's seconds")
    for name in RECIPES:
        spent.clear()
        length = resolve(name, registry).train.images or 1
        # A stretch of the run with ten checkpoints: the rate and the time of each, side by side.
        settings = {"train.device": "cpu", "train.minutes": seconds / 60, "train.sample_every": 10**9}
        plan = resolve(name, registry, overrides=settings)
        with tempfile.TemporaryDirectory() as folder:
            run, _ = start(plan, Path(folder) / "run", NullReporter())
            newest = max(run.checkpoints.iterdir()) / "state.safetensors"
            size = newest.stat().st_size / 1e6
            rate = run.record["images"] / (run.record["seconds"] - sum(spent))
        one = statistics.median(spent)
        whole = length / rate
        print(
            f"{name:10}{1e3 * one:8.1f} ({len(spent)}){size:22.1f}{rate:12,.0f}"
            f"{10 * one:10.2f} of {whole:.0f} s = {100 * 10 * one / whole:.2f} %"
        )


def soak(minutes: float, recipe: str) -> None:
    """Train with a checkpoint about every five seconds; memory, open files and threads over time."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable,
            "-m",
            "ganzoo",
            "train",
            recipe,
            "--minutes",
            str(minutes),
            "--device",
            "cpu",
        ]
        command += ["--run-dir", str(run), "--set", "train.checkpoint_every=2560"]
        command += [
            "--set",
            "train.sample_every=2560",
            "--set",
            "train.log_every=640",
            "--set",
            "train.threads=1",
        ]
        began, rows = time.monotonic(), []
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            place = Path("/proc") / str(process.pid)
            while process.poll() is None:
                time.sleep(10)
                try:
                    status = dict(
                        line.split(":", 1)
                        for line in (place / "status").read_text().splitlines()
                        if ":" in line
                    )
                    files = len(list((place / "fd").iterdir()))
                    megabytes = int(status["VmRSS"].split()[0]) / 1024
                except (OSError, KeyError):  # it has just ended
                    break
                rows.append((time.monotonic() - began, megabytes, files, int(status["Threads"])))
            code = process.wait()
        record = json.loads((run / "run.json").read_text())
        written = len((run / "log.jsonl").read_text().splitlines())
    saved = record["images"] // 2560
    print(f"{recipe}: {record['images']:,} images, {saved} checkpoints and grids, {written} log lines")
    print("minute   memory MB   open files   threads (medians)")
    for start in range(0, int(minutes) + 1, max(1, int(minutes) // 10)):
        part = [row for row in rows if start <= row[0] / 60 < start + 1]
        if part:
            middle = [statistics.median(row[column] for row in part) for column in (1, 2, 3)]
            print(f"{start:6}{middle[0]:12.1f}{middle[1]:13.0f}{middle[2]:10.0f}")
    settled = [row for row in rows if row[0] > 120]
    if settled:
        for column, name in ((1, "memory MB"), (2, "open files"), (3, "threads")):
            values = [row[column] for row in settled]
            print(f"{name}: {min(values):g} to {max(values):g} after the first two minutes")
    print(f"exit code {code}, status {record['status']}")


def main() -> None:
    """Choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["overhead", "soak"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=40, help="of each recipe, for overhead")
    parser.add_argument("--recipe", default="dcgan")
    chosen = parser.parse_args()
    if chosen.what == "overhead":
        overhead(chosen.seconds)
    else:
        soak(chosen.minutes, chosen.recipe)


if __name__ == "__main__":
    main()
