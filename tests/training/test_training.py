"""The shared loop: exact resume for each family, who learns when, schedules, averages, faults."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganzoo.api import Batch
from ganzoo.cli.reporters import PlainReporter
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import EmaSettings, OptimizerSettings, layer
from ganzoo.errors import DataError, DivergedError, FailedError, SettingsError, StorageError, UsageError
from ganzoo.registry.registry import Registry
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.lock import only_process
from ganzoo.runs.run import Run, list_runs
from ganzoo.training.ema import Ema
from ganzoo.training.player import learning_rate, momentum
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.shards import Shard, StepRandom
from ganzoo.training.stop_signals import Interrupts
from ganzoo.training.view import Generated
from tests.conftest import FAMILIES, TINY

Tiny = Callable[..., Plan]


def final_state(run: Run) -> bytes:
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


def values(run: Run) -> list[tuple[int, dict[str, float]]]:
    return [(line["images"], line["values"]) for line in run.log()]


def reopened(run: Run, registry: Registry, **overrides: Any) -> tuple[Run, Plan]:
    run = Run.open(run.path)
    return run, resolve(str(run.settings_file), registry, overrides=overrides)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_resuming_is_exact(
    family: str, precision: str, tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    # Ten log lines over the run, so that the stops fall between two of them.
    settings = {"train.precision": precision, "train.log_every": 48, "data.flip": True}
    plan = tiny(family, **settings)
    whole, outcome = start(plan, tmp_path / "whole", NullReporter())
    assert outcome == "done"
    torch.manual_seed(12345)  # a resumed process does not share the first one's random state
    parts, outcome = start(plan, tmp_path / "parts", NullReporter(), pause_at=40)
    assert outcome == "paused"
    for stop_at in (100, None):
        torch.rand(7)
        run, again = reopened(parts, registry)
        parts, outcome = resume(run, again, NullReporter(), pause_at=stop_at)
    assert outcome == "done"
    assert final_state(parts) == final_state(whole)
    assert values(parts) == values(whole)


def test_another_seed_gives_another_run(tiny: Tiny, tmp_path: Path) -> None:
    states = [
        final_state(start(tiny("vanilla", **{"train.seed": seed}), tmp_path / str(run), NullReporter())[0])
        for run, seed in enumerate((0, 0, 1))
    ]
    assert states[0] == states[1] != states[2]


def test_a_run_leaves_what_it_promises(tiny: Tiny, tmp_path: Path) -> None:
    run, _ = start(tiny("cgan"), tmp_path / "run", NullReporter())
    record = json.loads((run.path / "run.json").read_text())
    assert record["status"] == "done"
    assert record["images"] == 160
    assert {"seed", "versions", "device", "precision", "plugins", "data", "parameters"} <= record.keys()
    assert {p["dist"] for p in record["plugins"]} == {"ganzoo"}
    line = run.log()[-1]
    assert {"images", "seconds", "images_per_second", "memory_mb", "values"} <= line.keys()
    assert {"loss_discriminator", "loss_generator", "gradient-penalty"} <= line["values"].keys()
    assert (run.path / "samples" / "000000000160.png").exists()
    assert (run.path / "samples" / "real-image.png").exists()
    assert len(list(run.checkpoints.iterdir())) == 3
    assert [found.path for found in list_runs(tmp_path)] == [run.path]


# --- who learns when ----------------------------------------------------------------------------


def snapshot(modules: dict[str, nn.Module]) -> list[torch.Tensor]:
    return [value.detach().clone() for module in modules.values() for value in module.parameters()]


def drawn_for(setup: TrainingSetup, real: Batch, count: int, learn: bool) -> list[Generated]:
    phases = setup.phases
    return phases.draw(real, phases.engine.noise(phases.noise_fields, count), learn=learn)


def phase(setup: TrainingSetup, role: str) -> None:
    names = set(setup.batches.names)
    real = setup.batches.take(role, 0, 8, setup.phases.reads(role, names))
    if role == "discriminator":
        setup.phases.discriminator(real, 8, 0, True)
    else:
        setup.phases.generator(real, 8, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_phase_moves_its_own_side_only(family: str, tiny: Tiny) -> None:
    setup = prepare(tiny(family))
    sides = {"discriminator": setup.training.discriminator, "generator": setup.training.generator}
    for role, other in (("discriminator", "generator"), ("generator", "discriminator")):
        mine, theirs = snapshot(sides[role].modules), snapshot(sides[other].modules)
        phase(setup, role)
        assert all(map(torch.equal, snapshot(sides[other].modules), theirs))
        moved = [not torch.equal(a, b) for a, b in zip(snapshot(sides[role].modules), mine, strict=True)]
        assert any(moved)


@pytest.mark.parametrize(("learns", "wanted"), [("discriminator", False), ("generator", True)])
def test_generated_samples_are_detached_when_the_discriminator_learns(
    tiny: Tiny, learns: str, wanted: bool
) -> None:
    setup = prepare(tiny("wgan-gp"))
    training = setup.training
    real = setup.batches.take(learns, 0, 4)
    drawn = drawn_for(setup, real, 4, learn=True)
    draws = StepRandom(training.engine)
    draws.begin(Shard(0, 4, 4))
    view = setup.phases.view(0, learns, real, drawn[0], draws)
    assert view.fake["image"].requires_grad is wanted
    assert view.fake_outputs["score"].requires_grad
    assert view.real_outputs["score"].requires_grad is not wanted


def test_n_critic_steps_of_the_discriminator_for_each_of_the_generator(tiny: Tiny, tmp_path: Path) -> None:
    run, _ = start(
        tiny("wgan-gp", **{"train.n_critic": 4, "train.images": 64}), tmp_path / "run", NullReporter()
    )
    tensors, _ = read_newest(run.checkpoints)
    steps = {
        role: {
            int(v) for k, v in tensors.items() if k.startswith(f"optimizers.{role}.") and k.endswith(".step")
        }
        for role in ("generator", "discriminator")
    }
    assert steps == {"generator": {2}, "discriminator": {8}}


def test_weight_clipping_holds_after_each_step(tiny: Tiny) -> None:
    setup = prepare(tiny("wgan", **{"terms.weight-clip.limit": 0.25**4}))
    phase(setup, "discriminator")
    assert max(float(p.detach().abs().max()) for p in setup.training.discriminator.parameters) <= 0.25**4


def test_a_lazy_term_is_multiplied_by_its_interval(tiny: Tiny) -> None:
    always = prepare(tiny("wgan-gp", **{"train.precision": "fp32", "terms.gradient-penalty.every": 1}))
    lazy = prepare(tiny("wgan-gp", **{"train.precision": "fp32", "terms.gradient-penalty.every": 4}))
    totals: list[Any] = []
    for setup in (always, lazy):
        real = setup.batches.take("discriminator", 0, 8)
        drawn = drawn_for(setup, real, 8, learn=False)
        totals.append([])
        for step in (0, 1):
            draws = StepRandom(setup.training.engine)
            draws.begin(Shard(0, 8, 8))
            totals[-1].append(setup.phases.total("discriminator", real, drawn, step, draws).item())
    means = always.training.meter.read()
    penalty = means["gradient-penalty"]
    assert totals[1][0] - totals[0][0] == pytest.approx(3 * penalty, rel=0.2)
    assert "gradient-penalty" in lazy.training.meter.counts
    assert lazy.training.meter.counts["gradient-penalty"] == 1


# --- schedules and averages ---------------------------------------------------------------------


def test_learning_rates() -> None:
    linear = OptimizerSettings(lr=1.0, decay="linear", decay_from=0.6, lr_final=0.1)
    assert learning_rate(linear, 0.6, 0) == 1.0
    assert learning_rate(linear, 0.8, 0) == pytest.approx(0.55)
    assert learning_rate(linear, 1.0, 0) == pytest.approx(0.1)
    cosine = OptimizerSettings(lr=2.0, decay="cosine")
    assert learning_rate(cosine, 0.5, 0) == pytest.approx(1.0)
    assert learning_rate(cosine, 1.0, 0) == pytest.approx(0.0)
    exponential = OptimizerSettings(lr=0.1, decay="exponential", decay_rate=1.000004, lr_final=1e-6)
    assert learning_rate(exponential, 0.0, 250_000) == pytest.approx(0.1 / math.e, rel=1e-5)
    assert learning_rate(exponential, 0.0, 10**8) == 1e-6
    rising = OptimizerSettings(momentum=0.5, momentum_final=0.7, momentum_images=100)
    assert [momentum(rising, images) for images in (0, 50, 100, 500)] == pytest.approx([0.5, 0.6, 0.7, 0.7])


def test_average_has_its_half_life_and_copies_counters() -> None:
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(module[0].weight)  # type: ignore[arg-type]
    ema = Ema({"g": module}, EmaSettings(half_life=100, ramp=0))
    nn.init.ones_(module[0].weight)  # type: ignore[arg-type]
    module[1].running_mean += 8.0  # type: ignore[operator]
    module[1].num_batches_tracked += 5  # type: ignore[operator]
    for step in range(10):
        ema.schedule(0.0, 10, 10 * (step + 1))
        ema.update()
    averaged = ema.modules["g"]
    assert float(averaged[0].weight) == pytest.approx(0.5)  # type: ignore[index]
    assert float(averaged[1].running_mean) == pytest.approx(4.0)  # type: ignore[index]
    assert int(averaged[1].num_batches_tracked) == 5  # type: ignore[index]
    assert not averaged.training


def test_without_average_the_raw_generator_is_sampled(tiny: Tiny, tmp_path: Path) -> None:
    run, _ = start(tiny("vanilla", **{"ema.half_life": 0}), tmp_path / "run", NullReporter())
    tensors, _ = read_newest(run.checkpoints)
    assert not any(name.startswith("ema.") for name in tensors)


def test_minutes_bound_the_run_and_resume_with_the_rest(
    tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    plan = resolve("vanilla", registry, overrides={**TINY["vanilla"], "train.minutes": 0.04})
    assert plan.train.images is None
    began = time.perf_counter()
    run, outcome = start(plan, tmp_path / "run", NullReporter(), pause_at=640)
    assert outcome == "paused"
    run, outcome = resume(*reopened(run, registry), NullReporter())
    assert outcome == "done"
    assert 2.4 <= run.record["seconds"] < time.perf_counter() - began
    assert run.record["images"] > 640
    with pytest.raises(UsageError, match="complete"):
        resume(*reopened(run, registry), NullReporter())


# --- faults -------------------------------------------------------------------------------------


def test_divergence_is_noticed_and_never_saved(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("dcgan", **{"discriminator.optimizer": "sgd", "discriminator.lr": 1e30, "train.images": 4000})
    with pytest.raises(DivergedError, match="not finite"):
        start(plan, tmp_path / "run", NullReporter())
    run = Run.open(tmp_path / "run")
    assert run.record["status"] == "diverged"
    for path in run.checkpoints.iterdir():
        tensors, _ = checkpoint.read_one(run.checkpoints, int(path.name))
        assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


def test_a_damaged_checkpoint_is_passed_over(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    plan = tiny("vanilla")
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=96)
    newest = max(parts.checkpoints.iterdir()) / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    reporter = NullReporter()
    parts, _ = resume(*reopened(parts, registry), reporter)
    assert any("damaged" in note for note in reporter.notes)
    assert final_state(parts) == final_state(whole)
    assert values(parts) == values(whole)


def test_a_full_disk_costs_a_checkpoint_not_the_run(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = checkpoint.write_synced
    calls = {"n": 0}

    def write(path: Path, content: bytes) -> None:
        calls["n"] += 1
        if calls["n"] in (3, 5):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real_write(path, content)

    monkeypatch.setattr(checkpoint, "write_synced", write)
    reporter = NullReporter()
    run, outcome = start(tiny("vanilla"), tmp_path / "run", reporter)
    assert outcome == "done"
    assert sum("No space left" in note for note in reporter.notes) == 2
    read_newest(run.checkpoints)
    assert not [p for p in run.checkpoints.iterdir() if p.name.startswith(".tmp")]

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write_synced", full)
    with pytest.raises(StorageError, match="No space left"):
        start(tiny("vanilla"), tmp_path / "other", NullReporter())


def test_run_directories_are_not_overwritten(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        start(tiny("vanilla"), tmp_path, NullReporter())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_cannot_be_resumed_is_refused(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    images = tmp_path / "images.npy"
    np.save(images, np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8))
    run, _ = start(tiny("vanilla", **{"data.source": f"npy:{images}"}), tmp_path / "run", NullReporter())
    with pytest.raises(UsageError, match="complete"):
        resume(*reopened(run, registry), NullReporter())
    more = {"train.images": 320}
    for path, value in (("generator.optimizer", "sgd"), ("train.seed", 5), ("train.batch_size", 4)):
        with pytest.raises(UsageError, match=f"would change {path}"):
            resume(*reopened(run, registry, **more, **{path: value}), NullReporter())
    np.save(images, np.zeros((40, 28, 28), np.uint8))
    with pytest.raises(DataError, match="not the data that the run was started with"):
        resume(*reopened(run, registry, **more), NullReporter())
    with pytest.raises(UsageError, match="not a run directory"):
        Run.open(tmp_path)
    run.update(format=99)
    with pytest.raises(UsageError, match="format 99"):
        Run.open(run.path)


def test_origins_of_a_resumed_run_are_those_of_its_start_and_of_what_changed(
    tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    """Also where the name of a layer looks like that of a settings file."""
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter(), pause_at=40)
    before = run.record["origins"]
    changed = layer("file that the user named so", {"train": {"images": 200}})
    plan = resolve(str(run.settings_file), registry, overrides=changed)
    run, _ = resume(Run.open(run.path), plan, NullReporter(), pause_at=80)
    after = {**before, "train.images": "file that the user named so"}
    assert run.record["origins"] == after
    run, _ = resume(*reopened(run, registry), NullReporter())
    assert run.record["origins"] == after


def test_a_finished_run_can_be_given_more_and_remembers_it(
    tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter())
    run, outcome = resume(*reopened(run, registry, **{"train.images": 320}), NullReporter(), pause_at=200)
    assert outcome == "paused"
    run, outcome = resume(*reopened(run, registry), NullReporter())
    assert (outcome, run.record["images"]) == ("done", 320)


def test_a_torn_log_line_is_left_out(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter(), pause_at=96)
    with (run.path / "log.jsonl").open("a") as file:
        file.write('{"images": 104, "val')
    lines = len(run.log())
    run, _ = resume(*reopened(run, registry), NullReporter())
    assert len(run.log()) > lines
    assert run.log()[-1]["images"] == 160


def test_one_process_at_a_time(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter(), pause_at=96)
    with only_process(run.path), pytest.raises(UsageError, match="Another process"):
        resume(*reopened(run, registry), NullReporter())
    resume(*reopened(run, registry), NullReporter())


def test_an_exception_in_mid_run_is_named_and_noted(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # BatchNorm in the generator cannot learn from one sample.
    plan = tiny("vanilla", **{"train.batch_size": 1})
    with pytest.raises(FailedError, match="more than 1 value") as caught:
        start(plan, tmp_path / "run", NullReporter())
    assert caught.value.exit_code == 1
    assert "no checkpoint was written yet" in str(caught.value)
    assert Run.open(tmp_path / "run").record["status"] == "failed"

    class Broken(NullReporter):
        def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
            assert images < 40

    with pytest.raises(FailedError, match="the last checkpoint is kept"):
        start(tiny("vanilla", **{"train.checkpoint_every": 8}), tmp_path / "later", Broken())


def test_mirroring_needs_a_width(registry: Registry) -> None:
    plan = resolve("vanilla", registry, overrides={"data.source": "toy:ring", "data.flip": True})
    with pytest.raises(SettingsError, match=r"data\.flip mirrors samples along the axis 'width'"):
        prepare(plan)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_signals_save_and_end_with_their_code(number: int, code: int, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    arguments = ["train", "vanilla", "--images", "10000000", "--run-dir", str(run_dir), "--json"]
    arguments += ["--set", "train.log_every=640", "--set", "architecture.generator_hidden=[8]"]
    with subprocess.Popen(
        [sys.executable, "-m", "ganzoo", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"tick"' in line:
                process.send_signal(number)
                break
        rest = process.stdout.read()
        assert process.wait(60) == code
    event = json.loads(rest.splitlines()[-1])
    run = Run.open(run_dir)
    assert event["images"] == run.record["images"] > 0
    assert read_newest(run.checkpoints)[1]["images"] == event["images"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals and no SIGHUP")
def test_a_closed_terminal_saves_and_ends_as_sigterm_does(tmp_path: Path) -> None:
    import pty

    run_dir = tmp_path / "run"
    arguments = ["train", "vanilla", "--images", "10000000", "--run-dir", str(run_dir)]
    arguments += ["--set", "train.log_every=640", "--set", "architecture.generator_hidden=[8]"]
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
        os.execv(sys.executable, [sys.executable, "-m", "ganzoo", *arguments])  # noqa: S606
    while not (run_dir / "log.jsonl").exists():
        assert os.read(terminal, 4096), "it ended before it trained"
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    run = Run.open(run_dir)
    assert run.record["status"] == "preempted"
    assert read_newest(run.checkpoints)[1]["images"] == run.record["images"] > 0


@pytest.mark.parametrize(("number", "ends"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_lines_that_a_closing_terminal_refuses_end_nothing(
    number: int, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the close and SIGHUP, writes fail with EIO."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("ganzoo.cli.reporters.click.secho", refuse)
    with pytest.raises(OSError, match="space") if ends else nullcontext():
        PlainReporter().note("a line")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP")
def test_a_hangup_that_is_ignored_stays_so() -> None:
    """As `nohup` asks for: the run goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            interrupts.hold()
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.reason == ""
    finally:
        signal.signal(signal.SIGHUP, before)
