"""The pool of earlier samples: what the discriminators see of it, what travels together, what resumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganzoo.api import Batch, Field
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError, UsageError
from ganzoo.registry.registry import Registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.compute.device import Engine
from ganzoo.training.cost import count_cycle, estimate
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.replay_buffer import ReplayBuffer
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import check_share, prepare
from ganzoo.training.shards import Shard, shards

SIZE, COUNT = 8, 4
FIELDS = [Field(name="image", shape=(1, 2, 2)), Field(name="my.label", dtype="int64", classes=("a", "b"))]


def engine() -> Engine:
    return Engine.create("cpu", "fp32", 0)


def samples(step: int) -> Batch:
    """Four samples that say when they were made, in both fields."""
    numbers = torch.arange(COUNT) + COUNT * step
    return {"image": numbers.float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2), "my.label": numbers}


def steps(replay: ReplayBuffer, count: int, at_once: int | None = None) -> list[Tensor]:
    """The numbers of the samples that are seen in so many steps, which come in parts."""
    run, seen = engine(), []
    for step in range(count):
        replay.begin(run, COUNT)
        new, shown = samples(step), []
        for shard in shards(range(COUNT), COUNT, at_once):
            replay.restart() if shard.start == 0 else None
            mixed = replay.mixed(0, shard.rows(new), shard)
            assert torch.equal(mixed["image"][:, 0, 0, 0].long(), mixed["my.label"])  # they travel together
            shown.append(mixed["my.label"])
        replay.end(COUNT)
        seen.append(torch.cat(shown))
    return seen


def test_half_of_what_is_seen_is_older() -> None:
    seen = steps(ReplayBuffer(SIZE, [FIELDS]), 400)
    for step in range(SIZE // COUNT):  # the pool fills with what is seen
        assert torch.equal(seen[step], samples(step)["my.label"])
    older = [values < COUNT * step for step, values in enumerate(seen)][2:]
    assert torch.cat(older).float().mean().item() == pytest.approx(0.5, abs=0.04)
    # Once it is full nothing is shown twice: what leaves the pool is gone. Some has waited for many steps.
    shown = torch.cat(seen[2:])
    assert len(shown.unique()) == len(shown)
    waits = torch.cat([step - values // COUNT for step, values in enumerate(seen)])
    assert waits.max() >= 8


def test_micro_batches_see_the_same() -> None:
    whole, pool = steps(ReplayBuffer(SIZE, [FIELDS]), 20), ReplayBuffer(SIZE, [FIELDS])
    assert all(torch.equal(a, b) for a, b in zip(whole, steps(pool, 20, at_once=1), strict=True))
    assert int(pool.filled) == SIZE


def test_a_part_that_is_computed_again_leaves_no_trace() -> None:
    """When memory runs out the step begins again: the pool takes what the last attempt made."""
    first, second = ReplayBuffer(SIZE, [FIELDS]), ReplayBuffer(SIZE, [FIELDS])
    for replay, attempts in ((first, 1), (second, 2)):
        run = engine()
        for step in range(6):
            replay.begin(run, COUNT)
            for attempt in range(attempts):
                replay.restart()
                spoiled = -1 if attempt + 1 < attempts else 1
                new = {name: spoiled * value for name, value in samples(step).items()}
                replay.mixed(0, new, Shard(0, COUNT, COUNT))
            replay.end(COUNT)
    assert all(torch.equal(a, second.get_buffer(name)) for name, a in first.named_buffers())


def test_games_have_pools_of_their_own() -> None:
    replay = ReplayBuffer(SIZE, [FIELDS[:1], FIELDS[:1]])
    run = engine()
    found = []
    for step in range(10):
        replay.begin(run, COUNT)
        image = samples(step)["image"]
        both = [
            replay.mixed(game, {"image": image + 1000 * game}, Shard(0, 4, 4))["image"] for game in (0, 1)
        ]
        replay.end(COUNT)
        assert (both[0] < 1000).all()
        assert (both[1] >= 1000).all()
        found.append(not torch.equal(both[0], both[1] - 1000))
    assert any(found)  # and choose by themselves


# --- in a run -------------------------------------------------------------------------------------


def tensors(run: Run) -> dict[str, Tensor]:
    return dict(read_newest(run.checkpoints)[0])


def test_a_resumed_run_goes_on_with_the_pool(tiny: Callable[..., Plan], tmp_path: Path) -> None:
    """cGAN's labels, and InfoGAN's codes below, are in the pool with their images."""
    plan = tiny("cgan", **{"train.replay": 16, "train.images": 64})
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    half, _ = start(plan, tmp_path / "half", NullReporter(), pause_at=32)
    again, _ = resume(Run.open(half.path), plan, NullReporter())
    first, second = tensors(whole), tensors(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    pool = {name: value for name, value in first.items() if name.startswith("parts.replay.")}
    assert int(pool["parts.replay.filled"]) == 16
    assert sorted(value.shape for value in pool.values() if value.ndim) == [(16,), (16, 1, 28, 28), (16, 32)]
    plain, _ = start(tiny("cgan", **{"train.images": 64}), tmp_path / "plain", NullReporter())
    without = tensors(plain)
    assert not any(name.startswith("parts.") for name in without)
    assert any(not torch.equal(value, first[name]) for name, value in without.items())


def test_codes_stay_with_the_samples_that_were_made_of_them(registry: Registry) -> None:
    """In InfoGAN, D guesses the code of a sample: of an older one, its own code and not the step's."""
    options: dict[str, Any] = {
        "architecture.generator_width": 4,
        "architecture.discriminator_width": 4,
        "train.device": "cpu",
        "train.batch_size": 8,
        "train.replay": 8,
    }
    setup = prepare(resolve("infogan", registry, overrides=options))
    phases, views = setup.phases, []
    penalty = phases.objective.penalties["discriminator"][0]

    def seen(view: Any) -> Tensor:
        views.append(view)
        return torch.zeros(())

    phases.objective.penalties["discriminator"] = [
        penalty.__class__(penalty.name, penalty.role, seen, 1, False)
    ]
    made: dict[bytes, int] = {}
    older = 0
    for step in range(8):
        real = setup.batches.take("discriminator", 8 * step, 8)
        phases.discriminator(real, 8, step, last=False)
        view = views[-1]
        for image, code in zip(view.fake["image"], view.noise["code"], strict=True):
            key = image.numpy().tobytes()
            older += key in made
            assert made.setdefault(key, int(code)) == int(code)
        assert view.fake.keys() == real.keys()
        # What the pool holds now will be seen later.
        replay = phases.replay
        assert replay is not None
        names = replay._kept[0]
        pool = zip(replay.get_buffer(names["image"]), replay.get_buffer(names["code"]), strict=True)
        made |= {image.numpy().tobytes(): int(code) for image, code in pool}
    assert older > 8


def test_a_pool_works_with_micro_batches_and_reuse(tiny: Callable[..., Plan], tmp_path: Path) -> None:
    more = {"train.replay": 8, "train.images": 48, "train.reuse_fakes": True}
    runs = [
        start(tiny("dcgan", **more, **given), tmp_path / name, NullReporter())[0]
        for name, given in (("whole", {}), ("parts", {"train.micro_batch": 4}))
    ]
    for run in runs:
        assert all(value.isfinite().all() for value in tensors(run).values() if value.is_floating_point())
        assert int(tensors(run)["parts.replay.filled"]) == 8


def test_a_pool_smaller_than_the_probe_can_be_estimated(tiny: Callable[..., Plan]) -> None:
    plan = tiny("dcgan", **{"train.batch_size": 1, "train.replay": 1})
    assert count_cycle(prepare(plan)).work


def test_an_estimate_counts_the_pool(tiny: Callable[..., Plan]) -> None:
    counted = []
    for size in (8, 4_008):
        setup = prepare(tiny("dcgan", **{"train.replay": size}))
        assert setup.phases.replay is not None
        pool = sum(value.nbytes for value in setup.phases.replay.buffers())
        counted.append((estimate(setup)["memory_mb"], pool / 2**20))
    (small, of_small), (large, of_large) = counted
    assert large - small == pytest.approx(of_large - of_small, abs=0.11)
    assert large - small > 1


def test_what_a_pool_cannot_do_is_refused(tiny: Callable[..., Plan]) -> None:
    with pytest.raises(SettingsError, match="replay must be 0 or at least batch_size, which is 8"):
        tiny("dcgan", **{"train.replay": 4})
    plan = tiny("dcgan", **{"train.replay": 8})
    with pytest.raises(UsageError, match="works with one process only, not with 2") as caught:
        check_share(plan, Ranks(rank=0, world=2))
    assert "train.replay=0" in caught.value.fix
    check_share(plan, Ranks())
