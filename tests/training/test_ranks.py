"""Several processes train one run: the same as one process would, resumable, stopped together.

The ranks are real processes that talk through gloo. They are slow to start, so each launch trains
several cases.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganzoo.api import ArraySource, Field
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import open_source
from ganzoo.errors import UsageError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.distributed.launch import launch
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import prepare

Install = Callable[..., Path]
WORKER = Path(__file__).parents[1] / "outside" / "train_in_ranks.py"

# Networks without batch statistics, whose steps the wrappers of torch get wrong: a penalty's double
# backward, a penalty that is alone in its backward pass, a head that one phase does not use, and a term
# that asks for features.
PLUGIN = """
import torch
from torch import nn

from ganzoo.api import ArchitectureSpec, Field, LossSpec, Net, Networks, RecipeSpec, TermSpec, hookimpl

class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    def forward(self, z):
        return self.net(z)

class Judge(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Dropout(dropout))
        self.score, self.unused = nn.Linear(32, 1), nn.Linear(32, 3)
    def forward(self, point):
        body = self.body(point)
        return self.score(body), body

def nets(dropout):
    return Networks(
        generators={"g": Net(module=Generator(), reads=("z",), writes=("point",))},
        discriminators={"d": Net(module=Judge(dropout), reads=("point",), writes=("score", "features"))},
        games=(__import__("ganzoo.api").api.Game(generator="g", discriminator="d"),),
        fields=(Field(name="z", shape=(8,), source="normal"),),
    )

def plain(config, data):
    return nets(0.0)
def dropping(config, data):
    return nets(0.3)

def r1(config):
    def term(view):
        real = view.real["point"].detach().requires_grad_()
        score = view.discriminate({**view.real, "point": real})["score"]
        gradient, = torch.autograd.grad(score.sum(), real, create_graph=True)
        return gradient.square().sum(1).mean()
    return term

class Nothing:
    def discriminator(self, real, fake):
        return real.new_zeros(())
    def generator(self, fake, real):
        return -fake.mean()

def nothing(config):
    return Nothing()

def features(config):
    def term(view):
        noise = 0.1 * view.normal(*view.fake["point"].shape)
        near = view.discriminate({**view.fake, "point": view.fake["point"] + noise})["features"]
        return (near - view.fake_outputs["features"]).square().mean()
    return term

@hookimpl
def ganzoo_architectures():
    return [
        ArchitectureSpec(name=name, summary="For tests.", factory=f"{__name__}:{name}")
        for name in ("plain", "dropping")
    ]

@hookimpl
def ganzoo_losses():
    return [LossSpec(name="nothing", summary="For tests.", factory=__name__ + ":nothing")]

@hookimpl
def ganzoo_terms():
    return [
        TermSpec(name="test-r1", summary="For tests.", factory=__name__ + ":r1", second_order=True),
        TermSpec(name="features", summary="For tests.", factory=__name__ + ":features"),
    ]
"""

BASE = {
    "data.source": "toy:ring",
    "train.device": "cpu",
    "train.precision": "fp32",
    "train.threads": 1,
    "train.batch_size": 8,
    "train.images": 320,
    "train.log_every": 80,
    "ema.half_life": 100,
}
BATCH_NORM = {
    "architecture.generator_width": 4,
    "architecture.discriminator_width": 4,
    "train.device": "cpu",
    "train.precision": "fp32",
    "train.threads": 1,
    "train.batch_size": 8,
    "train.images": 800,
}
KINDS = ("plain+non-saturating", "plain+wgan-gp", "plain+nothing+test-r1", "plain+non-saturating+features")


def case(name: str, recipe: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "recipe": recipe, "settings": settings, **more}


def in_ranks(count: int, folder: Path, cases: list[dict[str, Any]]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    done = subprocess.run(
        [*command, str(WORKER), str(folder), json.dumps(cases)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]


def weights(folder: Path, name: str, rank: int) -> dict[str, Tensor]:
    return load_file(folder / f"{name}-{rank}.safetensors")


def alone(plan: Plan, folder: Path) -> dict[str, Tensor]:
    """The same networks' weights, trained by one process."""
    run, _ = start(plan, folder, NullReporter())
    tensors, _ = read_newest(run.checkpoints)
    found: dict[str, Tensor] = {}
    for role in ("generator", "discriminator"):
        start_of = f"networks.{role}."
        found |= {key.removeprefix(start_of): v for key, v in tensors.items() if key.startswith(start_of)}
    return found


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(
        float((one[key] - other[key]).abs().max() / other[key].abs().max().clamp(min=1e-3)) for key in one
    )


def digest(tensors: dict[str, Tensor]) -> str:
    content = b"".join(tensors[key].numpy().tobytes() for key in sorted(tensors))
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("count", "batch"), [(2, 8), (4, 10)])
def test_ranks_compute_what_one_process_does(
    count: int, batch: int, install: Install, tmp_path: Path, registry: Any
) -> None:
    install("rank-dist", "ranks", PLUGIN)
    settings = {**BASE, "train.batch_size": batch, "train.images": 40 * batch}
    kinds = KINDS if count == 2 else KINDS[1:2]
    cases = [case(f"case{number}", recipe, settings) for number, recipe in enumerate(kinds)]
    # Parts of a batch are the same mechanism: here both at once.
    cases.append(case("parts", "plain+wgan-gp", {**settings, "train.micro_batch": 2}))
    in_ranks(count, tmp_path, cases)
    for each in cases:
        plan = resolve(each["recipe"], load_registry(), overrides=settings)
        expected = alone(plan, tmp_path / f"alone-{each['name']}")
        found = [weights(tmp_path, each["name"], rank) for rank in range(count)]
        away = furthest(found[0], expected)
        print(f"{count} ranks, {each['recipe']}, {each['name']}: {away:.1e} from one process")
        assert away < 1e-5, each
        assert len({digest(one) for one in found}) == 1, each
        log, own = Run.open(tmp_path / each["name"]).log(), Run.open(tmp_path / f"alone-{each['name']}").log()
        assert [line["images"] for line in log] == [line["images"] for line in own]
        for ours, theirs in zip(log, own, strict=True):
            assert ours["values"] == pytest.approx(theirs["values"], rel=1e-3, abs=1e-5)


def test_ranks_stay_equal_and_resume(install: Install, tmp_path: Path) -> None:
    """BatchNorm, dropout, the average: equal bits on all ranks after 100 steps, and after a pause."""
    install("rank-dist", "ranks", PLUGIN)
    dropping = {**BASE, "train.batch_size": 10}
    cases = [
        case("norm", "dcgan", BATCH_NORM),
        case("norm-parts", "dcgan", BATCH_NORM, pause_at=400),
        case("norm-again", "", {}, resume="norm-parts"),
        case("drop", "dropping+wgan-gp", dropping),
        case("drop-parts", "dropping+wgan-gp", dropping, pause_at=150),
        case("drop-again", "", {}, resume="drop-parts"),
        case("shrinks", "plain+wgan-gp", BASE, pause_at=160),
        case("timed", "plain+wgan-gp", {**BASE, "train.images": None, "train.about_minutes": 0.002}),
    ]
    in_ranks(2, tmp_path, cases)
    # A length in time: both ranks measure, and take the same number of images, or they would wait for ever.
    timed = Run.open(tmp_path / "timed")
    images = timed.record["length"]["images"]
    assert timed.record["images"] >= images == timed.settings()["train"]["images"] > 0
    assert digest(weights(tmp_path, "timed", 0)) == digest(weights(tmp_path, "timed", 1))
    plan = resolve("plain+wgan-gp", load_registry(), overrides={**BASE, "train.images": images})
    assert furthest(weights(tmp_path, "timed", 0), alone(plan, tmp_path / "timed-alone")) < 1e-5
    for name in ("norm", "norm-again", "drop", "drop-again"):
        assert digest(weights(tmp_path, name, 0)) == digest(weights(tmp_path, name, 1)), name
    for whole, shards in (("norm", "norm-parts"), ("drop", "drop-parts")):
        states = [max((tmp_path / name / "checkpoints").iterdir()) for name in (whole, shards)]
        one, other = ((state / "state.safetensors").read_bytes() for state in states)
        assert one == other, whole
    # Two processes then, one now: the same global batch, and it says so.
    registry, reporter = load_registry(), NullReporter()
    run = Run.open(tmp_path / "shrinks")
    resume(run, resolve(str(run.settings_file), registry), reporter)
    assert any("2 processes then, 1 now" in note for note in reporter.notes)
    expected = alone(resolve("plain+wgan-gp", registry, overrides=BASE), tmp_path / "alone")
    tensors, _ = read_newest(run.checkpoints)
    for key, value in expected.items():
        role = "discriminator" if key.startswith("d.") else "generator"
        torch.testing.assert_close(tensors[f"networks.{role}.{key}"], value, rtol=1e-4, atol=1e-5)


def test_ranks_agree_on_samples_that_are_not_finite(install: Install, tmp_path: Path) -> None:
    """Which the main rank alone looks at. All of them go back to the last checkpoint, and on from there."""
    install("rank-dist", "ranks", PLUGIN)
    settings = {**BASE, "train.eval_every": 80, "train.checkpoint_every": 80, "train.on_nan": "rollback"}
    in_ranks(2, tmp_path, [case("back", "plain+wgan-gp", settings, diverges=3)])
    tensors, manifest = read_newest(tmp_path / "back" / "checkpoints")
    assert (int(tensors["counters.rollbacks"]), manifest["images"]) == (1, 320)
    assert digest(weights(tmp_path, "back", 0)) == digest(weights(tmp_path, "back", 1))
    log = Run.open(tmp_path / "back").log()
    assert [line["images"] for line in log if "scores" in line] == [80, 160, 240, 320]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_each_epoch_visits_each_sample_once_whatever_the_number_of_ranks(world: int) -> None:
    count, batch = 60, 7
    source = ArraySource(fields=(Field(name="index", dtype="int64"),), arrays={"index": np.arange(count)})
    batches = Batches(open_source(source), seed=3, device=torch.device("cpu"))
    seen = []
    for position in range(0, batch * count, batch):
        for rank in range(world):
            share = Ranks(rank, rank, world).share(batch)
            taken = batches.take("discriminator", position + share.start, len(share))
            seen += taken["index"].tolist()
    for epoch in range(batch):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_more_ranks_than_samples_are_refused(tiny: Callable[..., Plan]) -> None:
    with pytest.raises(UsageError, match="batch of 8 cannot be shared by 9"):
        prepare(tiny("vanilla"), ranks=Ranks(0, 0, 9))


def test_an_incomplete_environment_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match="not complete"):
        Ranks.from_environment()
    with pytest.raises(UsageError, match="already one of several"):
        launch(["train", "vanilla"], tmp_path, 2, 0)


# --- through the command line ---------------------------------------------------------------------

LAUNCHED = ["train", "vanilla", "--images", "19200", "--seed", "3", "--device", "cpu", "--devices", "2"]
LAUNCHED += ["--set", "architecture.generator_hidden=[8]", "--set", "architecture.discriminator_hidden=[8]"]
LAUNCHED += ["--set", "train.checkpoint_every=640", "--set", "train.sample_every=9600", "--json"]


def launched(run_dir: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ganzoo", *LAUNCHED, "--run-dir", str(run_dir), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ranks_of(process: subprocess.Popen[str], run_dir: Path, images: int) -> dict[int, int]:
    """Process ids by rank, once the run has come so far."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        checkpoints = run_dir / "checkpoints"
        if checkpoints.is_dir() and any(
            p.name.isdigit() and int(p.name) >= images for p in checkpoints.iterdir()
        ):
            break
        time.sleep(0.1)
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = dict(
                    shard.split("=", 1)
                    for shard in (entry / "environ").read_text().split("\0")
                    if "=" in shard
                )
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == process.pid and "RANK" in variables:
                found[int(variables["RANK"])] = int(entry.name)
    assert sorted(found) == [0, 1]
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks in /proc")
def test_signals_and_deaths_of_ranks(tmp_path: Path) -> None:
    """A rank is told to stop, then the launcher is, then a rank is killed: the run ends as if nothing was."""
    with launched(tmp_path / "run") as process:
        os.kill(ranks_of(process, tmp_path / "run", 640)[1], signal.SIGTERM)
        _, said = process.communicate(timeout=90)
        assert process.returncode == 75, said
    record = Run.open(tmp_path / "run").record
    assert record["status"] == "preempted"
    assert read_newest(tmp_path / "run" / "checkpoints")[1]["images"] == record["images"]

    with launched(tmp_path / "run", "--auto-resume") as process:
        ranks_of(process, tmp_path / "run", record["images"] + 640)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=90)
        assert process.returncode == 75, said
    record = Run.open(tmp_path / "run").record
    assert record["status"] == "preempted"

    with launched(tmp_path / "run", "--auto-resume", "--max-restarts", "1") as process:
        os.kill(ranks_of(process, tmp_path / "run", record["images"] + 640)[1], signal.SIGKILL)
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said
    assert Run.open(tmp_path / "run").record["status"] == "done"
    with launched(tmp_path / "whole") as process:
        process.communicate(timeout=180)
        assert process.returncode == 0
    one, other = (tmp_path / name / "checkpoints/000000019200/state.safetensors" for name in ("run", "whole"))
    assert one.read_bytes() == other.read_bytes()
