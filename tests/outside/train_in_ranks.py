"""One of several ranks: trains the cases that it is given, one after the other, and leaves its weights.

Started by tests/training/test_ranks.py through torchrun; the plugin of the cases is on the path.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ganzoo.config.resolve import resolve
from ganzoo.errors import DivergedError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.run import Run
from ganzoo.training import session
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.scores import Make, ScoringFactory


def diverging(time: int) -> ScoringFactory:
    """Judges samples, of which those of that time are not finite numbers."""
    times = itertools.count(1)

    def score(make: Make) -> dict[str, float]:
        if next(times) == time:
            raise DivergedError("Generated samples are not finite numbers.")
        return {"n": 1.0, "fed": 1.0}

    return lambda reads, field, dataset: score


def main() -> None:
    """Each case: recipe, settings, run directory, where to pause, what to resume, which scores diverge."""
    registry, folder = load_registry(), Path(sys.argv[1])
    seen: dict[str, torch.Tensor] = {}
    wait = Ranks.wait

    def kept(ranks: Ranks) -> None:
        """At the end of a run, before the ranks part: what this one has in its hands."""
        wait(ranks)
        training = trained[-1].training
        modules = {**training.generator.modules, **training.discriminator.modules}
        seen.update(
            {
                f"{name}.{key}": value.contiguous().clone()
                for name, m in modules.items()
                for key, value in m.state_dict().items()
            }
        )
        save_file(seen, folder / f"{case['name']}-{ranks.rank}.safetensors")

    trained = []
    prepare = session.prepare

    def setup(*arguments: Any, **named: Any) -> Any:
        trained.append(prepare(*arguments, **named))
        return trained[-1]

    session.prepare = setup
    Ranks.wait = kept
    for case in json.loads(sys.argv[2]):
        seen.clear()
        path = folder / case["name"]
        if case.get("resume"):
            path = folder / case["resume"]
            plan = resolve(str(path / "settings.toml"), registry, overrides=case["settings"])
            session.resume(Run.open(path), plan, NullReporter(), case.get("pause_at"))
        else:
            plan = resolve(case["recipe"], registry, overrides=case["settings"])
            scoring = diverging(case["diverges"]) if case.get("diverges") else None
            session.start(plan, path, NullReporter(), case.get("pause_at"), scoring)
    Ranks.from_environment().leave()
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    left = [name for name in threads if "gloo" in name]
    assert not left, f"{left} go on after the end: they abort the process if they hold a tensor when it exits"


main()
