"""Images a second at this machine's limit for one case, as JSON: `python -m benchmarks.speed.floors CASE`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.contender import plugged_in
from benchmarks.speed.places import Places


def main(case: str) -> None:
    """By precision, and the peaks that they follow from, in GFLOP/s."""
    import torch

    from ganzoo.bench.roofline import measure_peaks
    from ganzoo.bench.training import floor_seconds
    from ganzoo.config.resolve import resolve
    from ganzoo.registry.registry import load_registry
    from ganzoo.training.setup import prepare

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


if __name__ == "__main__":
    main(sys.argv[1])
