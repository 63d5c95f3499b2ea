"""The random numbers of terms: one draw for a step, or numbers of each sample's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.shards import Shard, StepRandom

Tiny = Callable[..., Plan]

PLUGIN = """
from ganzoo.api import TermSpec, hookimpl

GANZOO_API_VERSION = {version}
DRAWN = []

def four(config):
    def term(view):
        DRAWN.append(view.uniform(4{said}))
        return 0 * view.fake_outputs["score"].mean()
    return term

@hookimpl
def ganzoo_terms():
    return [TermSpec(name="four", summary="Draws four numbers.", factory=__name__ + ":four")]
"""


def drawn(install: Any, version: int, said: str, micro_batch: int | None) -> list[Tensor]:
    """What a term gets that asks for four numbers in a step of eight samples."""
    dist = f"four-{version}-{micro_batch}-{len(said)}"
    install(dist, "four", PLUGIN.format(version=version, said=said))
    settings: dict[str, Any] = {
        "train.device": "cpu", "train.batch_size": 8, f"terms.{dist}/four": True,
        "architecture.generator_hidden": [8], "architecture.discriminator_hidden": [8],
    }  # fmt: skip
    if micro_batch:
        settings["train.micro_batch"] = micro_batch
    setup: TrainingSetup = prepare(resolve("vanilla", load_registry(), overrides=settings))
    setup.phases.discriminator(setup.batches.take("discriminator", 0, 8), 8, 0, last=True)
    term = next(
        penalty.function
        for penalty in setup.phases.objective.penalties["discriminator"]
        if penalty.name.endswith("four")
    )
    cells = [cell.cell_contents for cell in (term.__closure__ or ())]
    inner = next((cell for cell in cells if callable(cell)), term)
    numbers: list[Tensor] = inner.__globals__["DRAWN"]
    return numbers


@pytest.mark.parametrize("micro_batch", [4, 2])
def test_one_draw_serves_the_step_in_whatever_micro_batches(install: Any, micro_batch: int) -> None:
    whole = drawn(install, 2, "", None)
    parts = drawn(install, 2, "", micro_batch)
    assert len(parts) == 8 // micro_batch
    assert all(torch.equal(part, whole[0]) for part in parts)


def test_a_term_of_version_1_still_gets_numbers_by_their_shape(install: Any) -> None:
    first, second = drawn(install, 1, "", 4)
    assert not torch.equal(first, second)
    first, second = drawn(install, 1, ", per_sample=False", 4)
    assert torch.equal(first, second)


def test_each_sample_keeps_its_numbers_in_any_shard(tiny: Tiny) -> None:
    engine = prepare(tiny("vanilla")).training.engine
    engine.random.manual_seed(3)
    whole = StepRandom(engine)
    whole.begin(Shard(0, 8, 8))
    pairs = whole.normal(16, 2, per_sample=True)
    engine.random.manual_seed(3)
    parts, found = StepRandom(engine), []
    for start in (0, 4):
        parts.begin(Shard(start, start + 4, 8))
        found.append(parts.normal(8, 2, per_sample=True).chunk(2))
    joined = torch.cat([torch.cat([half[side] for half in found]) for side in (0, 1)])
    assert torch.equal(joined, pairs)
    with pytest.raises(ValueError, match="must be the number of samples, 4, or twice that"):
        parts.normal(5, per_sample=True)
