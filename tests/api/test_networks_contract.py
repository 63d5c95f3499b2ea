"""The contract carries kinds of GANs that are not in the zoo: no branch on the kind is needed.

Each test brings its networks as a plugin of its own: two games over unpaired fields with a cycle
term, a discriminator with a second output and a term on both roles, and a paired loss.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo.config.resolve import resolve
from ganzoo.errors import PluginError, SettingsError, UsageError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import prepare
from tests.helpers.kinds import PLUGIN

Install = Callable[..., Path]


@pytest.mark.parametrize("recipe", ["test-cycle", "test-ac", "test-paired", "test-codes", "test-images"])
def test_other_kinds_train_and_resume_exactly(install: Install, tmp_path: Path, recipe: str) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    registry = load_registry()
    settings = {
        "train.device": "cpu",  # where equal runs are equal to the byte
        "train.images": 160,
        "train.batch_size": 8,
        "ema.half_life": 20,
        "generator.lr": 0.01,
    }
    plan = resolve(recipe, registry, overrides=settings)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=80)
    parts = Run.open(parts.path)
    parts, outcome = resume(parts, resolve(str(parts.settings_file), registry), NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    assert "kinds-dist" in {p["dist"] for p in whole.record["plugins"]}


def test_two_games_learn_and_export_two_generators(install: Install, tmp_path: Path) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    rates = {"generator.lr": 0.01, "discriminator.lr": 0.01}
    settings = {"train.device": "cpu", "train.images": 20_000, **rates}
    run, _ = start(
        resolve("test-cycle", load_registry(), overrides=settings), tmp_path / "run", NullReporter()
    )
    log = run.log()
    assert log[-1]["values"]["there-and-back"] < 0.3 * log[0]["values"]["there-and-back"]
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert {path.name for path in bundle.files} >= {"a2b.onnx", "b2a.onnx"}

    there = ganzoo.load(bundle, generator="a2b", provider="cpu")
    back = ganzoo.load(bundle, generator="b2a", provider="cpu")
    points = torch.randn(16, 3).numpy()
    again = back.generate(16, b=there.generate(16, a=points))
    assert abs(again - points).mean() < 0.5


def test_latent_codes_are_learned_and_exported(install: Install, tmp_path: Path) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    rates = {"generator.lr": 0.01, "discriminator.lr": 0.01}
    settings = {"train.device": "cpu", "train.images": 20_000, **rates}
    run, _ = start(
        resolve("test-codes", load_registry(), overrides=settings), tmp_path / "run", NullReporter()
    )
    log = run.log()
    assert log[-1]["values"]["tell-code"] < 0.3 * log[0]["values"]["tell-code"]
    generator = ganzoo.load(ganzoo.export(run, tmp_path / "bundle"), provider="cpu")
    assert [field.name for field in generator.inputs] == ["z", "code"]
    both = [generator.generate(64, seed=0, code=np.full(64, code)).mean(0) for code in (0, 1)]
    assert abs(both[0] - both[1]).max() > 0.5


def test_an_augmentation_sees_what_the_discriminator_reads_and_keeps_its_state(
    install: Install, tmp_path: Path
) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    registry = load_registry()
    settings = {"train.device": "cpu", "train.images": 80, "train.batch_size": 8}
    plan = resolve("test-images", registry, overrides=settings)
    assert plan.settings()["augment"] == {"name": "kinds-dist/dimmer"}
    setup = prepare(plan)
    dimmer = setup.phases.objective.augmentation
    assert isinstance(dimmer, torch.nn.Module)
    real = {name: torch.ones(8, 1, 8, 8) for name in ("a_image", "b_image")}
    before = float(dimmer.strength)
    setup.phases.discriminator(real, 8, 0, last=True)
    setup.phases.generator(real, 8, 0)
    assert set(dimmer.seen) == {("a_image", "b_image")}
    assert float(dimmer.strength) > before
    run, _ = start(plan, tmp_path / "run", NullReporter())
    assert "kinds-dist" in {p["dist"] for p in run.record["plugins"]}
    assert float(read_newest(run.checkpoints, print)[0]["parts.augmentation.strength"]) > 0


def test_an_augmentation_can_be_chosen_and_switched_off(install: Install) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    registry = load_registry()
    off = resolve("test-images", registry, overrides={"augment.name": "none"})
    assert off.augment is None
    assert "augment" not in off.settings()
    on = resolve("test-cycle", registry, overrides={"augment.name": "dimmer"})
    assert on.augment is not None
    assert on.augment.item.name == "dimmer"
    with pytest.raises(UsageError, match="There is no augmentation 'dimer'"):
        resolve("test-cycle", registry, overrides={"augment.name": "dimer"})
    with pytest.raises(SettingsError, match=r"no setting 'augment\.strength'"):
        resolve("test-images", registry, overrides={"augment.strength": 1})
    with pytest.raises(SettingsError, match=r"no setting 'augment\.p'"):
        resolve("test-cycle", registry, overrides={"augment.p": 1})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def forward(self, z, label):", "def forward(self, label, z):", "its reads are"),
        ("def forward(self, z, label):", "def forward(self, *, z, label):", "its reads are"),
        ("def forward(self, a):", "def forward(self, a, b):", "its reads are"),
        ("def forward(self, a):", "def forward(self, *a):", "its reads are"),
        ('("z", "label"), writes=("a",)', '("z", "label"), writes=("z",)', "reads and writes 'z'"),
        ('writes=("score", "label_logits")', 'writes=("points", "label_logits")', "does not write 'score'"),
        ('fields=(Field(name="z", shape=(4,), source="uniform"),),', "", "which nothing declares"),
        ('shape=(4,), source="uniform"', "shape=(4,)", "declared as a field of the data"),
        (
            'fields=(Field(name="z", shape=(4,), source="uniform"),),',
            'fields=(Field(name="z", shape=(4,), source="uniform"), Field(name="b", source="normal")),',
            "has the same name as a field of the data",
        ),
        (
            'fields=(Field(name="z", shape=(4,), source="uniform"),),',
            'fields=(Field(name="z", dtype="int64", source="uniform"),),',
            "cannot be drawn",
        ),
        ('reads=("z", "label")', 'reads="z"', "must be tuples"),
        (
            'Net(module=TwoHeads(), reads=("a",)',
            'Net(module=TwoHeads(), reads=("z",)',
            "reads z: nothing that differs",
        ),
        ("return self.score(a).squeeze(1), self.classes(a)", "return self.score(a)", "returns 1 tensors"),
        ("return self.score(a).squeeze(1), self.classes(a)", "return a.no_such_thing", "no_such_thing"),
        ("def ac_nets(config, data):", "def ac_nets(config, data):\n    data['image']", "not subscriptable"),
        ("self.net = nn.Linear(4 + 2, 3)", "self.net = nn.Linear(4 + 2, 5)", "declared shape is"),
    ],
)
def test_networks_that_break_the_contract_are_refused_before_training(
    install: Install, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in PLUGIN
    install("kinds-dist", "kinds", PLUGIN.replace(old, new))
    with pytest.raises(PluginError, match=message) as caught:
        prepare(resolve("test-ac", load_registry(), overrides={"train.device": "cpu"}))
    assert "two-heads" in str(caught.value)


def test_forward_may_have_options_of_its_own(install: Install) -> None:
    changed = PLUGIN.replace("def forward(self, z, label):", "def forward(self, z, label, psi=1.0):")
    install(
        "kinds-dist", "kinds", changed.replace("def forward(self, a):", "def forward(self, a, deep=False):")
    )
    prepare(resolve("test-ac", load_registry(), overrides={"train.device": "cpu"}))


MASKED = {'fields=(Field(name="z"': 'fields=(Field(name="mask", shape=(3,)), Field(name="z"'}
OTHER = 'generators={"other": Net(module=Affine(3), reads=("a",), writes=("mask",)), "generator": Net'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                'reads=("z", "label"), writes=("a",)': 'reads=("z", "label"), writes=("a", "mask")',
                'reads=("a",), writes=("score"': 'reads=("mask",), writes=("score"',
            },
            "'discriminator' reads the field 'mask', which real samples do not have",
        ),
        (
            {
                "def forward(self, z, label):": "def forward(self, z, mask):",
                'generators={"generator": Net': OTHER,
                'reads=("z", "label")': 'reads=("z", "mask")',
            },
            "'generator' reads 'mask': neither noise nor a field of the data",
        ),
    ],
)
def test_what_a_real_batch_lacks_cannot_be_read(
    install: Install, changes: dict[str, str], message: str
) -> None:
    source = PLUGIN
    for old, new in {**MASKED, **changes}.items():
        assert old in source
        source = source.replace(old, new)
    install("kinds-dist", "kinds", source)
    with pytest.raises(PluginError, match=message):
        prepare(resolve("test-ac", load_registry(), overrides={"train.device": "cpu"}))


def test_a_run_whose_plugin_is_gone_says_what_to_install(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    settings = {"train.device": "cpu", "train.images": 16, "train.batch_size": 8}
    run, _ = start(resolve("test-ac", load_registry(), overrides=settings), tmp_path / "run", NullReporter())
    monkeypatch.setenv("GANZOO_DISABLE", "kinds-dist")
    with pytest.raises(UsageError) as caught:
        ganzoo.export(run, tmp_path / "bundle")
    assert "kinds-dist 1.0" in caught.value.fix
