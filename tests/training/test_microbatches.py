"""MicroBatching that runs out: a batch is computed in parts, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo.config.plan import Plan
from ganzoo.errors import FailedError
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training import setup as preparing
from ganzoo.training.microbatches import is_out_of_memory
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start

Tiny = Callable[..., Plan]
Install = Callable[..., Path]


class Hungry(nn.Module):
    """A network on a device with room for so many samples."""

    def __init__(self, module: nn.Module, room: int, bad: int) -> None:
        super().__init__()
        self.module = module
        self.room, self.bad, self.calls = room, bad, 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += self.training and torch.is_grad_enabled()
        high_cardinality = len(image) > self.room or self.calls == self.bad
        if self.training and torch.is_grad_enabled() and high_cardinality:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        result: torch.Tensor = self.module(image)
        return result


def small_room(monkeypatch: pytest.MonkeyPatch, room: int, bad: int = 0) -> None:
    """Discriminators refuse more than `room` samples, and their `bad`-th call."""
    build = preparing.build_networks

    def built(*arguments: Any) -> Any:
        networks = build(*arguments)
        import dataclasses

        judges = {
            name: dataclasses.replace(net, module=Hungry(net.module, room, bad))
            for name, net in networks.discriminators.items()
        }
        return dataclasses.replace(networks, discriminators=judges)

    monkeypatch.setattr(preparing, "build_networks", built)


# Without batch statistics, parts of a batch give the whole one's gradients.
ALONE = {
    "architecture.generator_norm": "none",
    "architecture.discriminator_norm": "none",
    "train.precision": "fp32",
    "generator.optimizer": "sgd",  # Adam makes much of rounding
    "discriminator.optimizer": "sgd",
}


def alike(run: Run, whole: Run) -> None:
    assert len(run.log()) == len(whole.log()) > 10
    for ours, theirs in zip(run.log(), whole.log(), strict=True):
        assert ours["values"] == pytest.approx(theirs["values"], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("recipe", ["wgan-gp", "dcgan"])
def test_out_of_memory_halves_what_is_computed_at_once(
    recipe: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny(recipe, **ALONE)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    small_room(monkeypatch, 6)  # real and generated samples of 3 each
    reporter = NullReporter()
    run, outcome = start(plan, tmp_path / "run", reporter)
    assert outcome == "done"
    assert [note for note in reporter.notes if "memory ran out" in note]
    assert Run.open(run.path).record["micro_batch"] in (2, 4)
    alike(run, whole)


@pytest.mark.parametrize("bad", range(6, 16))
def test_running_out_in_the_middle_of_a_batch_changes_nothing(
    bad: int, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second part of a batch fails, in either phase: what the first one left must not count twice."""
    settings = {**ALONE, "train.reuse_fakes": True, "train.micro_batch": 4, "train.images": 48}
    settings |= {"train.log_every": 8, "terms.drift": True}
    whole, _ = start(tiny("wgan-gp", **settings), tmp_path / "whole", NullReporter())
    small_room(monkeypatch, 100, bad)
    reporter = NullReporter()
    run, _ = start(tiny("wgan-gp", **settings), tmp_path / "run", reporter)
    assert any("micro-batches of 2 samples" in note for note in reporter.notes)
    assert weights(run) == pytest.approx(weights(whole), rel=1e-4, abs=1e-6)


def weights(run: Run) -> list[float]:
    tensors, _ = read_newest(run.checkpoints)
    return [
        v for name, t in sorted(tensors.items()) if name.startswith("networks") for v in t.flatten().tolist()
    ]


def test_a_resumed_run_keeps_its_micro_batch(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny("wgan-gp")
    small_room(monkeypatch, 6)
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=80)
    reporter = NullReporter()
    resume(Run.open(run.path), plan, reporter)
    assert not [note for note in reporter.notes if "memory ran out" in note]


def test_one_sample_too_many_ends_the_run(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_room(monkeypatch, 0)
    with pytest.raises(FailedError, match="out of memory") as caught:
        start(tiny("wgan-gp", **ALONE), tmp_path / "run", NullReporter())
    assert "--batch-size" in caught.value.fix


@pytest.mark.parametrize("micro_batch", [1, 3, 100])
def test_micro_batches_compute_the_whole_batch(micro_batch: int, tiny: Tiny, tmp_path: Path) -> None:
    settings = {**ALONE, "train.log_every": 8}
    whole, _ = start(tiny("wgan-gp", **settings), tmp_path / "whole", NullReporter())
    run, _ = start(
        tiny("wgan-gp", **settings, **{"train.micro_batch": micro_batch}), tmp_path / "run", NullReporter()
    )
    alike(run, whole)


def test_reused_fakes_go_with_micro_batches(tiny: Tiny, tmp_path: Path) -> None:
    settings = {**ALONE, "train.reuse_fakes": True}
    whole, _ = start(tiny("dcgan", **settings), tmp_path / "whole", NullReporter())
    run, _ = start(tiny("dcgan", **settings, **{"train.micro_batch": 3}), tmp_path / "run", NullReporter())
    alike(run, whole)


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 2x2)"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: BaseException, out: bool) -> None:
    """cuBLAS and cuDNN ask the driver for memory of their own, past torch's allocator."""
    assert is_out_of_memory(error) is out
