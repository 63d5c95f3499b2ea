"""Conditions: labels, several labels at once, numbers and vectors of the data, real or drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from click.testing import CliRunner

import ganzoo
from ganzoo.cli.generate import command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.condition_table import open_table
from ganzoo.errors import DataError, SettingsError, UsageError
from ganzoo.fields import Field
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import TrainingSetup, prepare, unread_classes

Install = Callable[..., Path]

PLUGIN = """
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from ganzoo.api import (
    ArchitectureSpec, ArraySource, DatasetSpec, Field, Net, Networks, RecipeSpec, hookimpl,
)

GANZOO_API_VERSION = 2

class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4 + 3 + 4 + 1, 16), nn.ReLU(), nn.Linear(16, 2))
    def forward(self, z, label, marks, angle):
        return self.net(torch.cat([z, F.one_hot(label, 3).float(), marks, angle], 1))

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 + 3 + 4 + 1, 16), nn.ReLU(), nn.Linear(16, 1))
    def forward(self, point, label, marks, angle):
        return self.net(torch.cat([point, F.one_hot(label, 3).float(), marks, angle], 1)).squeeze(1)

def nets(config, data):
    return Networks.pair(
        Generator(), Discriminator(), latent=Field(name="z", shape=(4,), source="normal"), writes="point",
        conditions=("label", "marks", "angle"),
    )

def data(argument, config=None):
    rng = np.random.default_rng(0)
    angle = rng.uniform(-1, 1, (200, 1)).astype(np.float32)
    marks = (rng.random((200, 4)) < 0.3).astype(np.float32)
    point = np.concatenate([np.sin(3 * angle), np.cos(3 * angle)], 1) + 2 * marks[:, :1]
    arrays = {
        "point": point.astype(np.float32), "marks": marks, "angle": angle,
        "label": np.repeat([0, 1, 2], [150, 40, 10]),
    }
    fields = (
        Field(name="point", shape=(2,), kind="points"), Field(name="marks", shape=(4,), range=(0.0, 1.0)),
        Field(name="angle", shape=(1,), range=(-1.0, 1.0)),
        Field(name="label", dtype="int64", classes=("common", "rare", "rarest")),
    )
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="conditioned", summary="Conditions.", factory=__name__ + ":nets")]

@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="marked-points", summary="Points.", factory=__name__ + ":data")]

@hookimpl
def ganzoo_recipes():
    return [RecipeSpec(name="conditioned", summary="Conditions.", architecture="conditioned",
                       loss="non-saturating", data="marked-points")]
"""


def plan_of(install: Install, conditions: str, **more: Any) -> Plan:
    install("conditions-dist", "conditions", PLUGIN)
    settings = {
        "train.device": "cpu", "train.precision": "fp32", "train.batch_size": 8, "train.images": 160,
        "train.conditions": conditions, **more,
    }  # fmt: skip
    return resolve("conditioned", load_registry(), overrides=settings)


def seen(setup: TrainingSetup, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    """(role, real batch, generated batch) of each view that the phases make from now on."""
    views: list[tuple[str, Any, Any]] = []
    known = setup.phases.view

    def view(game: int, role: str, *arguments: Any) -> Any:
        made = known(game, role, *arguments)
        views.append((role, made.real, made.fake))
        return made

    monkeypatch.setattr(setup.phases, "view", view)
    return views


def cycle(setup: TrainingSetup, start: int = 0) -> None:
    names, batches, phases = setup.batches.names, setup.batches, setup.phases
    others = phases.conditions.others
    for role in ("discriminator", "generator"):
        real = batches.take(role, start, 8, names)
        given = batches.take(f"conditions {role}", start, 8, others) if others else {}
        if role == "discriminator":
            phases.discriminator(real, 8, 0, True, given)
        else:
            phases.generator(real, 8, 0, given)


@pytest.mark.parametrize("conditions", ["real", "shares", "uniform"])
def test_where_conditions_of_generated_samples_come_from(
    install: Install, conditions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepare(plan_of(install, conditions))
    views = seen(setup, monkeypatch)
    for turn in range(40):
        cycle(setup, 8 * turn)
    assert {role for role, _, _ in views} == {"discriminator", "generator"}
    for _, real, fake in views:
        same = {name: torch.equal(real[name], fake[name]) for name in ("label", "marks", "angle")}
        assert same["angle"] == same["marks"] == (conditions == "real")
        rows = {tuple(row) for row in fake["marks"].tolist()}
        assert rows <= {tuple(row) for row in setup.dataset.arrays["marks"].tolist()}
    labels = torch.cat([fake["label"] for _, _, fake in views])
    shares = torch.bincount(labels, minlength=3) / len(labels)
    wanted = [1 / 3] * 3 if conditions == "uniform" else [0.75, 0.2, 0.05]
    assert shares.tolist() == pytest.approx(wanted, abs=0.08)


@pytest.mark.parametrize("conditions", ["real", "shares", "uniform", "table"])
def test_it_trains_resumes_exports_and_is_sampled(install: Install, tmp_path: Path, conditions: str) -> None:
    if conditions == "table":
        conditions = f"table:{written(tmp_path / 'table.csv', HEAD, *ROWS)}"
    plan = plan_of(install, conditions, **{"train.n_critic": 2})
    registry = load_registry()
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=64)
    parts = Run.open(parts.path)
    parts, outcome = resume(parts, resolve(str(parts.settings_file), registry), NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    bundle = ganzoo.export(whole, tmp_path / "bundle")
    out = tmp_path / "made.npz"
    words = [str(bundle.path), "--set", "marks=1,0,0,1", "-n", "5", "-o", str(out)]
    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, UsageError)
    assert result.exception.fix.startswith("--set angle=0,")
    result = CliRunner().invoke(command, [*words, "--set", "angle=0.5"])
    assert result.exit_code == 0, result.output
    generator = ganzoo.load(bundle, provider="cpu")
    given = {"marks": (1, 0, 0, 1), "angle": (0.5,)}
    np.testing.assert_allclose(np.load(out)["point"], generator.generate(5, **given), rtol=1e-5)
    words = [str(bundle.path), "--set", "marks=1,0,0,1", "--set", "angle=0.5", "-o", str(out)]
    for more, count in ((["--classes", "-n", "2"], 6), (["--interpolate", "4", "-n", "2"], 8)):
        result = CliRunner().invoke(command, [*words, *more])
        assert result.exit_code == 0, result.output
        assert np.load(out)["point"].shape == (count, 2)


@pytest.mark.parametrize("conditions", ["shares", "uniform", "table"])
def test_drawn_conditions_do_not_depend_on_micro_batches(
    install: Install, tmp_path: Path, conditions: str
) -> None:
    if conditions == "table":
        conditions = f"table:{written(tmp_path / 'table.csv', HEAD, *ROWS)}"
    plans = [plan_of(install, conditions), plan_of(install, conditions, **{"train.micro_batch": 4})]
    states = []
    for number, plan in enumerate(plans):
        run, _ = start(plan, tmp_path / str(number), NullReporter())
        states.append(read_newest(run.checkpoints)[0])
    for name, value in states[0].items():
        if name.startswith("networks."):
            torch.testing.assert_close(states[1][name], value, rtol=1e-4, atol=1e-5)


# --- from a table ---

FIELDS = (
    Field(name="label", dtype="int64", classes=("common", "rare", "rarest")),
    Field(name="marks", shape=(4,), range=(0.0, 1.0)),
    Field(name="angle", shape=(1,), range=(-1.0, 1.0)),
)
HEAD = "angle,label,marks.0,marks.1,marks.2,marks.3,weight"
ROWS = ("-0.5,common,1,0,0,0,6", "0.25,rarest,0,1,0,0.5,3", "1,1,0,0,1,0,0.9", "0,rare,0,0,0,0,0")
WEIGHTS = np.array([6, 3, 0.9, 0])


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_each_row_of_a_table_comes_as_often_as_its_weight_says(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = written(tmp_path / "table.csv", HEAD, *ROWS)
    table = open_table(file, FIELDS)
    assert table.count >= 4096
    setup = prepare(plan_of(install, f"table:{file}"))
    drawn = setup.phases.conditions.table
    assert drawn is not None
    for epoch in range(3):
        made = drawn.take("conditions", epoch * table.count, table.count)
        counts = [int((made["angle"] == angle).sum()) for angle in (-0.5, 0.25, 1, 0)]
        np.testing.assert_allclose(counts, table.count * WEIGHTS / WEIGHTS.sum(), atol=1)
    views = seen(setup, monkeypatch)
    for turn in range(20):
        names, real = setup.phases.conditions.others, setup.batches.take("discriminator", 8 * turn, 8)
        setup.phases.discriminator(real, 8, 0, True, drawn.take("conditions", 8 * turn, 8, names))
    rows = {
        (float(a), int(k), *map(float, m))
        for _, _, fake in views
        for a, k, m in zip(fake["angle"], fake["label"], fake["marks"], strict=True)
    }
    assert rows == {(-0.5, 0, 1, 0, 0, 0), (0.25, 2, 0, 1, 0, 0.5), (1, 1, 0, 0, 1, 0)}


def test_an_archive_is_the_same_table_and_weights_may_be_left_out(tmp_path: Path) -> None:
    one = open_table(written(tmp_path / "a.csv", HEAD, *ROWS), FIELDS)
    arrays = {
        "label": np.array([0, 2, 1, 1]),
        "angle": np.array([[-0.5], [0.25], [1], [0]]),
        "marks": np.array([[1, 0, 0, 0], [0, 1, 0, 0.5], [0, 0, 1, 0], [0, 0, 0, 0]]),
    }
    np.savez(tmp_path / "b.npz", **arrays, weight=WEIGHTS)
    assert open_table(tmp_path / "b.npz", FIELDS).fingerprint == one.fingerprint
    np.savez(tmp_path / "c.npz", **arrays)
    other = open_table(tmp_path / "c.npz", FIELDS)
    assert other.weights is None
    assert np.bincount(other.arrays["label"]).tolist() == [1024, 2048, 1024]
    many = written(tmp_path / "many.csv", "angle", *(f"{value}" for value in np.linspace(-1, 1, 5000)))
    assert open_table(many, FIELDS[2:]).count == 5000


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "its columns are none; the conditions are label, marks.0, .*, angle"),
        ((HEAD,), "at least one"),
        ((HEAD.replace("angle", "angel"), *ROWS), "its columns are angel, label"),
        ((f"{HEAD},more", *(f"{row},1" for row in ROWS)), "its columns are .*, more;"),
        ((HEAD.replace(",marks.3", ""), *(row.replace(",0,", ",", 1) for row in ROWS)), "its columns are"),
        ((HEAD.replace("marks.3", "marks.2"), *ROWS), "its columns are"),
        ((HEAD, ROWS[0], "0,common,1"), "row 2 has 3 values for 7 columns"),
        ((HEAD, ROWS[0].replace("common", "odd")), "no class 'odd'.*the classes are: 0 common"),
        ((HEAD, ROWS[0].replace("common", "3")), "values 3..3 for 3 classes.*'label'"),
        ((HEAD, ROWS[0].replace("-0.5", "nan")), "not finite.*'angle'"),
        ((HEAD, ROWS[0].replace("-0.5", "-1.5")), "outside the range -1..1.*'angle'"),
        ((HEAD, ROWS[0].replace("-0.5", "left")), "could not convert string to float: 'left'"),
        ((HEAD, ROWS[0][:-1] + "-1"), "one finite number of 0 or more"),
        ((HEAD, ROWS[3]), "one finite number of 0 or more"),
    ],
)
def test_tables_that_are_refused(
    install: Install, tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    file = written(tmp_path / "bad.csv", *lines)
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        start(plan_of(install, f"table:{file}"), tmp_path / "run", NullReporter())
    assert "bad.csv" in caught.value.where
    assert not (tmp_path / "run").exists()


def test_files_and_names_that_are_refused(install: Install, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut off")
    np.savez(tmp_path / "shape.npz", label=np.zeros(2, int), marks=np.zeros((2, 3)), angle=np.zeros((2, 1)))
    needs = "try: .*file needs label, marks, angle"
    for name, message in (
        ("none.csv", f"No such file.*{needs}"),
        ("bad.npz", needs),
        ("shape.npz", r"shape \(3,\).*shape.npz"),
    ):
        with pytest.raises(DataError, match=f"(?s){message}"):
            prepare(plan_of(install, f"table:{tmp_path / name}"))
    for value in ("table", "table:", "tables:x.csv", "median"):
        with pytest.raises(SettingsError, match="real, shares, uniform or table:FILE"):
            plan_of(install, value)


def test_a_run_goes_on_with_its_table_only(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "table.csv", HEAD, *ROWS)
    monkeypatch.chdir(tmp_path)
    run, _ = start(plan_of(install, "table:table.csv"), tmp_path / "run", NullReporter(), pause_at=64)
    assert run.record["conditions"]["source"] == "table:table.csv"
    monkeypatch.chdir("/")
    plan = resolve(str(run.settings_file), load_registry())
    written(file, HEAD, *ROWS[:2])
    with pytest.raises(DataError, match="not the one that the run was started with"):
        resume(Run.open(run.path), plan, NullReporter())
    written(file, HEAD, *ROWS)
    assert resume(Run.open(run.path), plan, NullReporter())[1] == "done"


def test_samples_that_are_reused_keep_their_conditions(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = prepare(plan_of(install, "uniform", **{"train.reuse_fakes": True}))
    views = seen(setup, monkeypatch)
    cycle(setup)
    (_, _, first), (_, _, second) = views
    for name in first:
        assert torch.equal(first[name], second[name].detach())


def test_networks_without_conditions_are_refused(tiny: Callable[..., Plan]) -> None:
    with pytest.raises(SettingsError, match="reads a condition"):
        prepare(tiny("vanilla", **{"train.conditions": "uniform"}))


def test_an_image_that_is_read_stays_the_real_one(install: Install) -> None:
    from tests.helpers.kinds import PLUGIN as KINDS

    install("kinds-dist", "kinds", KINDS)
    settings = {"train.device": "cpu", "train.conditions": "shares"}
    with pytest.raises(SettingsError, match="reads a condition"):
        prepare(resolve("test-images", load_registry(), overrides=settings))


@pytest.mark.parametrize(
    ("recipe", "data", "noted"),
    [
        ("dcgan", "squares", 1),
        ("dcgan+hinge", "squares", 1),
        ("cgan", "squares", 0),
        ("dcgan", "", 0),
        ("dcgan", "fashion-5k", 0),
        ("dcgan+hinge", "", 0),
    ],
)
def test_classes_of_own_data_that_no_network_reads_are_said(
    tmp_path: Path, recipe: str, data: str, noted: int
) -> None:
    given = {"data.source": data, "train.device": "cpu"} if data else {}
    if data == "squares":
        images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
        np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 4)
        given["data.source"] = f"npz:{tmp_path / 'a.npz'}"
    plan = resolve(recipe, load_registry(), overrides=given)
    notes = unread_classes(prepare(plan))
    assert [("the 4 classes" in note) for note in notes] == [True] * noted

    again = tmp_path / "settings.toml"
    again.write_text(tomli_w.dumps(plan.settings()))
    assert unread_classes(prepare(resolve(str(again), load_registry()))) == []
