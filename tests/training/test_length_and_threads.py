"""How long a run is to take: said, measured, turned into images; and the CPU threads while it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.batches import Picked
from ganzoo.errors import FailedError, SettingsError, UsageError
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training import session, speed
from ganzoo.training.compute import device, threads
from ganzoo.training.compute.cuda_graphs import Cycle
from ganzoo.training.reporting import recorder
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.util import system
from ganzoo.util.text import Unit, spoken
from tests.helpers.evaluating import ganzoo

Tiny = Callable[..., Plan]
SECONDS = 0.25


@dataclass
class Clock:
    """A clock that only moves when a cycle is said to have taken time."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter


@dataclass
class Machine:
    """Runs cycles, each of which takes so many seconds of the clock, and the first of all some more."""

    clock: Clock
    seconds: Callable[[Hashable], float] = lambda key: SECONDS
    first: float = 8.0

    def run(self, key: Hashable, cycle: Cycle, picked: Sequence[Picked]) -> None:
        cycle(picked)
        self.clock.now += self.seconds(key) + self.first
        self.first = 0.0


@dataclass
class Timed(NullReporter):
    """Each cycle of the run takes two seconds of the clock. Keeps the threads of each cycle."""

    clock: Clock
    notes: list[str] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        self.clock.now += 2.0
        self.seen.append((images, torch.get_num_threads()))


@pytest.fixture
def on_a_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[TrainingSetup]]:
    """New runs are tried on a machine with cycles of so many seconds; the list has the setups."""

    def make(seconds: float) -> list[TrainingSetup]:
        clock, tried = Clock(), []
        monkeypatch.setattr(speed, "time", clock)

        def measure(setup: TrainingSetup, repeater: object) -> float:
            tried.append(setup)
            return speed.measure(setup, Machine(clock, lambda key: seconds))

        monkeypatch.setattr(session, "measure", measure)
        return tried

    return make


def about(tiny: Tiny, recipe: str, minutes: float, **more: Any) -> Plan:
    """A plan whose length is a time."""
    plan = tiny(recipe, **{"train.about_minutes": minutes, "train.precision": "fp32", **more})
    assert plan.train.images is None
    return plan


@pytest.fixture
def tiny(registry: Registry) -> Tiny:
    from tests.conftest import TINY

    def make(recipe: str, **more: Any) -> Plan:
        settings = {"train.device": "cpu", "train.batch_size": 8, "train.samples": 10, **TINY[recipe], **more}
        if "train.about_minutes" not in more and "train.minutes" not in more:
            settings.setdefault("train.images", 160)
        return resolve(recipe, registry, overrides=settings)

    return make


def state(run: Run) -> bytes:
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


# --- a length in time -----------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["dcgan", "wgan-gp"])
def test_the_time_becomes_images_that_repeat_the_run(
    recipe: str, tiny: Tiny, tmp_path: Path, registry: Registry, on_a_machine: Callable[[float], Any]
) -> None:
    """The trial leaves no trace: a run that is given the number, and the repeated run, are the same bits."""
    plan = about(tiny, recipe, 0.02)
    tried = on_a_machine(SECONDS)
    reporter = NullReporter()
    run, outcome = start(plan, tmp_path / "run", reporter)
    assert outcome == "done"
    rate = plan.train.cycle / SECONDS  # the slow first cycle is no measure of the others
    images = max(plan.train.cycle, round(0.02 * 60 * rate))
    record = Run.open(run.path).record
    assert record["length"] == {"about_minutes": 0.02, "images_per_second": rate, "images": images}
    assert record["images"] >= images
    assert run.settings()["train"]["images"] == images
    assert "about_minutes" not in run.settings()["train"]
    assert any("about 0.02 minutes; --images or --minutes changes it" in note for note in reporter.notes)
    assert len(tried) == 1
    assert tried[0].training.steps > 1  # it has trained, and other networks than those of the run

    again, _ = start(resolve(str(run.settings_file), registry), tmp_path / "again", NullReporter())
    given, _ = start(
        tiny(recipe, **{"train.images": images, "train.precision": "fp32"}),
        tmp_path / "given",
        NullReporter(),
    )
    assert len(tried) == 1  # neither of them measures anything
    assert state(run) == state(again) == state(given)


def test_a_fast_machine_gets_more_images_than_a_slow_one(
    tiny: Tiny, tmp_path: Path, on_a_machine: Callable[[float], Any]
) -> None:
    found = []
    for seconds in (0.03, 0.3, 3.0, 300.0):
        on_a_machine(seconds)
        run, _ = start(about(tiny, "vanilla", 0.03), tmp_path / f"{seconds}", NullReporter())
        found.append(run.settings()["train"]["images"])
    assert found == [480, 48, 8, 8]  # 1.8 s of 8 images each; a cycle is the least


def test_a_resumed_run_keeps_the_number(
    tiny: Tiny, tmp_path: Path, registry: Registry, on_a_machine: Callable[[float], Any]
) -> None:
    """The same command on a machine that has become ten times as fast, as after a restart elsewhere."""
    plan = about(tiny, "vanilla", 0.1)
    on_a_machine(SECONDS)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    start_or_resume(plan, tmp_path / "parts", NullReporter(), pause_at=80)
    tried = on_a_machine(SECONDS / 10)
    run, outcome = start_or_resume(plan, tmp_path / "parts", NullReporter())
    assert (outcome, tried) == ("done", [])
    assert run.settings() == whole.settings()
    assert state(run) == state(whole)
    reporter = NullReporter()
    assert start_or_resume(plan, tmp_path / "parts", reporter)[1] == "done"
    assert any("complete already" in note for note in reporter.notes)
    longer = resolve(str(run.settings_file), registry, overrides={"train.about_minutes": 3})
    with pytest.raises(UsageError, match="not measured again"):
        resume(Run.open(run.path), longer, NullReporter())


def test_lazy_terms_count_by_how_often_they_are_due(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"terms.gradient-penalty.every": 4, "terms.drift": False, "train.n_critic": 1}
    plan = tiny("wgan-gp", **more)
    clock = Clock()
    monkeypatch.setattr(speed, "time", clock)
    cost = {(("gradient-penalty",), ()): 0.5, ((), ()): 0.1}
    rate = speed.measure(prepare(plan), Machine(clock, lambda key: cost[key]))
    assert rate == pytest.approx(8 / ((0.5 + 3 * 0.1) / 4))
    # A cycle that takes longer than the trial is the only one: all its work is taken to be due always.
    assert speed.measure(prepare(plan), Machine(clock, lambda key: 60.0, first=0)) == pytest.approx(8 / 60)


def test_a_failing_trial_names_what_failed_and_leaves_nothing(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(setup: TrainingSetup, repeater: object) -> float:
        raise ZeroDivisionError("in a plugin")

    monkeypatch.setattr(session, "measure", fail)
    with pytest.raises(FailedError, match="ZeroDivisionError: in a plugin"):
        start(about(tiny, "vanilla", 1), tmp_path / "run", NullReporter())
    assert not (tmp_path / "run").exists()


def test_data_of_ones_own_gets_a_time(registry: Registry, tmp_path: Path) -> None:
    """The recipe's number of images was chosen for its own data."""

    def length(target: str, **more: Any) -> tuple[int | None, float | None, float | None]:
        train = resolve(
            target, registry, overrides={name.replace("__", "."): v for name, v in more.items()}
        ).train
        return train.images, train.minutes, train.about_minutes

    np.save(tmp_path / "own.npy", np.zeros((20, 16, 16), "uint8"))
    own = f"npy:{tmp_path / 'own.npy'}"
    assert length("wgan-gp") == length("wgan-gp", data__source="ganzoo/fashion-5k") == (230_000, None, None)
    assert length("wgan-gp", data__source=own) == (None, None, 10)
    assert length("dcgan+wgan-gp") == (200_000, None, None)
    assert length("dcgan+wgan-gp", data__source=own) == (None, None, 10)
    assert length("vanilla-ring", data__source="toy:grid") == (None, None, 10)
    assert length("vanilla-ring", data__source="toy:ring")[2] is None
    assert length("wgan-gp", data__source=own, train__images=5) == (5, None, None)
    assert length("wgan-gp", data__source=own, train__minutes=2) == (None, 2, None)
    assert length("wgan-gp", train__about_minutes=2) == (None, None, 2)
    file = tmp_path / "own.toml"
    file.write_text(f'recipe = "wgan-gp"\n[data]\nsource = "{own}"\n')
    assert length(str(file)) == (None, None, 10)
    file.write_text(f'recipe = "wgan-gp"\n[data]\nsource = "{own}"\n[train]\nimages = 7\n')
    assert length(str(file)) == (7, None, None)
    with pytest.raises(SettingsError, match="about_minutes becomes a number of images"):
        length("wgan-gp", train__about_minutes=2, train__images=5)

    plan = resolve("wgan-gp", registry, overrides={"data.source": own})
    assert plan.origin(("train", "about_minutes")) == "core, for data that is not the recipe's own"
    decided = plan.lasting(plan.train.images_at(123.4567))
    assert decided.train.images == 74_100
    assert decided.origin(("train", "images")) == "about 10 minutes on this data"


# --- what is counted ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "unit"),
    [
        ("vanilla", Unit("image", "images")),
        ("ctgan", Unit("row", "rows")),
        ("vanilla-ring", Unit("point", "points")),
        ("wavegan", Unit("sound", "sounds")),
        ("vocos", Unit("sound", "sounds")),  # it reads spectrograms
        ("quantgan", Unit("series", "series")),
        ("wgan-gp-text", Unit("text", "texts")),
    ],
)
def test_lengths_count_what_the_generator_makes(recipe: str, unit: Unit, registry: Registry) -> None:
    overrides = {"train.device": "cpu"}
    assert prepare(resolve(recipe, registry, overrides=overrides)).unit == unit


def test_all_that_a_run_says_is_in_the_words_of_its_data(tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ("--batch-size", "8", "--set", "train.device=cpu", "--set", "train.eval_samples=20")
    asked = ("train", "vanilla-ring", *small, "--images", "128", "--run-dir", run, "--eval-every", "64")
    said = [ganzoo(*asked, "--pause-at", "64"), ganzoo("train", "--resume", run)]
    assert [one.code for one in said] == [0, 0], said
    text = "".join(one.err + one.out for one in said)
    assert "toy:ring: 128 points, batch 8" in text
    assert "paused after 64 points, saved" in text
    assert "continuing after 64 points" in text
    assert re.search(r"^128 points in \d+ s", text, re.MULTILINE)
    assert re.search(r"^ 50% +64 points +", text, re.MULTILINE)
    assert "images" not in text.replace("--images", "")
    assert json.loads((run / "run.json").read_text())["unit"] == ["point", "points"]
    assert {"images", "images_per_second"} <= set(Run.open(run).log()[0])  # the names for scripts stay
    assert ganzoo("report", run).code == 0
    page = (run / "report.html").read_text()
    assert "after 128 points" in page
    assert 'data-unit="points"' in page
    again = ganzoo("train", "--resume", run, "--images", "64")
    assert "complete" in again.err


def test_a_run_of_an_older_version_counts_samples(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=16)
    for known in (None, "images", ["image"], [1, 2], {"a": 1}):
        run.update(unit=known)
        assert Run.open(run.path).unit == Unit("sample", "samples")
    resume(run, plan, NullReporter())
    assert Run.open(run.path).unit == Unit("image", "images"), "a resumed run uses the same words everywhere"


# --- what the user is told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ({}, ["about 40 seconds: 160 images at 4/s", "about 24 seconds more: another 96 images at 4/s"]),
        ({"train.minutes": 1.0}, ["about 60 seconds: 240 images at 4/s"]),
        ({"train.minutes": 1.0, "train.images": 32_000}, ["about 60 seconds: 240 images at 4/s"]),
    ],
)
def test_a_line_says_how_long_the_run_takes(
    length: dict[str, Any],
    said: list[str],
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry,
) -> None:
    """Each cycle of 8 images takes 2 seconds; a run that is resumed says how much is left."""
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    reporter = Timed(clock)
    run, _ = start(tiny("vanilla", **length), tmp_path / "run", reporter, pause_at=64)
    if len(said) > 1:
        resume(Run.open(run.path), resolve(str(run.settings_file), registry), reporter)
    told = [note for note in reporter.notes if note.startswith("about ")]
    assert told == [f"{text}; --minutes or --images changes it" for text in said]


@pytest.mark.parametrize(("seconds", "told"), [(2.0, []), (1.8, []), (1.0, ["about 2 minutes: 480 images"])])
def test_an_announced_speed_is_said_again_only_if_it_is_wrong(
    seconds: float,
    told: list[str],
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cycles took `seconds` in the trial, and take two seconds in the run. The line is no note of the run."""
    monkeypatch.setattr(session, "measure", lambda setup, repeater: 8 / seconds)
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    reporter = Timed(clock)
    run, _ = start(about(tiny, "vanilla", 1.0), tmp_path / "run", reporter, pause_at=64)
    said = [note for note in reporter.notes if note.startswith("about ")]
    assert said == [f"{text} at 4/s; --minutes or --images changes it" for text in told]
    assert not any(note["text"].startswith("about ") for note in run.notes())


def test_a_total_that_is_over_already_is_refused(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    """A run of 16 seconds that is to take 12; its own minutes may be over, because a cycle lasts."""
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    run, _ = start(tiny("vanilla", **{"train.minutes": 1.0}), tmp_path / "run", Timed(clock), pause_at=64)
    before = run.settings_file.read_text()
    shorter = resolve(str(run.settings_file), registry, overrides={"train.minutes": 0.2})
    with pytest.raises(UsageError, match=r"has trained 0\.27 minutes already, more than 0\.2\."):
        resume(Run.open(run.path), shorter, NullReporter())
    assert run.settings_file.read_text() == before
    run.update(seconds=61.0)  # the process was killed after its last step
    _, outcome = resume(Run.open(run.path), resolve(str(run.settings_file), registry), Timed(clock))
    assert outcome == "done"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 seconds"), (1.2, "1 second"), (89, "89 seconds"), (95, "2 minutes"), (540, "9 minutes"),
        (5400, "1.5 hours"), (3600 * 30, "30 hours"), (86_400 * 2.4, "2 days"), (86_400 * 5000, "5,000 days"),
    ],
)  # fmt: skip
def test_durations_have_their_natural_unit(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A machine of two cores. The list has what other processes use, reading after reading."""
    load: list[float] = []
    number = [1]  # not torch's own: two threads are slow beside the other tests
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda wanted: number.__setitem__(0, wanted))
    monkeypatch.setattr(device, "_ALL_THREADS", 2)
    monkeypatch.setattr(system, "cores", lambda: 2)
    monkeypatch.setattr(system, "busy_cores", lambda: load.pop(0))
    return load


def test_threads_follow_the_load(
    cores: list[float], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(threads, "time", clock)
    # A neighbour that is busy while the data is opened, then quiet, then busy again.
    cores += [0.9, 0.0, 0.0, 0.9, 0.9]
    reporter = Timed(clock)
    plan = tiny("vanilla", **{"train.images": 800})
    run, _ = start(plan, tmp_path / "run", reporter)
    assert cores == []
    record = Run.open(run.path).record
    # 10 s are 5 cycles of 8 images, 60 s are 30.
    assert record["thread_changes"] == [[0, 1], [40, 2], [520, 1]]
    assert record["threads"] == 1
    expected = [(images, 2 if 40 < images <= 520 else 1) for images in range(8, 801, 8)]
    assert reporter.seen == expected
    told = [note for note in reporter.notes if "CPU thread" in note]
    assert told[0].startswith("other processes need fewer cores: 2 instead of 1 CPU thread after 40 images")
    assert told[1].startswith("other processes are busy: 1 instead of 2")
    assert all("no longer repeat this run bit for bit; --set train.threads=" in note for note in told)


def test_a_resumed_run_uses_the_threads_of_its_record(
    cores: list[float], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    """As after a crash: the checkpoint is older than the last change of threads."""
    clock = Clock()
    monkeypatch.setattr(threads, "time", clock)
    cores += [0.9, 0.0]
    run, _ = start(tiny("vanilla"), tmp_path / "run", Timed(clock), pause_at=24)
    assert Run.open(run.path).record["threads"] == 1
    run.update(threads=1, thread_changes=[[0, 1], [16, 2], [120, 1]])
    reporter = Timed(clock)
    resume(Run.open(run.path), resolve(str(run.settings_file), registry), reporter)
    # The load was read again 10 s after the last change of the record had been repeated, not before.
    assert reporter.seen == [(images, 2) for images in range(32, 121, 8)] + [(128, 2)] + [
        (images, 2) for images in range(136, 161, 8)
    ]
    assert Run.open(run.path).record["thread_changes"] == [[0, 1], [16, 2], [120, 1], [120, 2]]


def test_threads_that_are_set_stay(
    cores: list[float], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    clock = Clock()
    monkeypatch.setattr(threads, "time", clock)
    run, _ = start(tiny("vanilla", **{"train.threads": 2}), tmp_path / "run", Timed(clock), pause_at=80)
    run.update(thread_changes=[[0, 1], [16, 2], [120, 1]])  # the settings say more than the record
    reporter = Timed(clock)
    resume(Run.open(run.path), resolve(str(run.settings_file), registry), reporter)
    assert {number for _, number in reporter.seen} == {2}
    assert not any("CPU threads" in note for note in reporter.notes)
