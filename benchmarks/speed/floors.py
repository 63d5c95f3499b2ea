"""Images a second at this machine's limit for one case, as JSON: `python -m benchmarks.speed.floors CASE`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.speed.contender import plugged_in
from benchmarks.speed.places import Places
from benchmarks.speed.roofline import Peaks, measure_peaks
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry
from ganzoo.training.cost import count_cycle
from ganzoo.training.setup import TrainingSetup, prepare


def main(case: str) -> None:
    """By precision, and the peaks that they follow from, in GFLOP/s."""
    places = Places.from_environment()
    torch.set_num_threads(places.threads)
    peaks = measure_peaks(torch.device(places.device))
    floors = {}
    with tempfile.TemporaryDirectory() as folder:
        plugged_in(Path(folder))
        for precision in ("fp32", "bf16"):
            settings = {
                "train.device": places.device,
                "train.threads": places.threads,
                "train.precision": precision,
            }
            plan = resolve(case, load_registry(), overrides=settings)
            floors[precision] = 1 / floor_seconds(prepare(plan), peaks)
    print(json.dumps({"floors": floors, "peaks": {" ".join(k): v / 1e9 for k, v in peaks.rates.items()}}))


def floor_seconds(setup: TrainingSetup, peaks: Peaks) -> float:
    """Seconds for one real image at the machine's limit. The prepared run is used up."""
    training, settings = setup.training, setup.plan.train
    adam = sum(value.numel() for value in training.generator.parameters)
    adam += settings.n_critic * sum(value.numel() for value in training.discriminator.parameters)
    cycle = peaks.floor(count_cycle(setup).work, adam)
    return cycle / (settings.n_critic * settings.batch_size)


if __name__ == "__main__":
    main(sys.argv[1])
