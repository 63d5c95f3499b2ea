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

from ganzoo.errors import PluginError, SettingsError, UsageError
from ganzoo.recipes import resolve
from ganzoo.registry import load_registry
from ganzoo.runs import Run
from ganzoo.train.checkpoint import read_newest
from ganzoo.train.prepared import prepare
from ganzoo.train.quiet import Quiet
from ganzoo.train.session import resume, start

Install = Callable[..., Path]

PLUGIN = '''
"""Networks, losses and data for the tests of the contract."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ganzoo.api import (
    ArchitectureSpec, ArraySource, AugmentationSpec, DatasetSpec, Field, Game, LossSpec, Net, Networks,
    RecipeSpec, TermSpec, hookimpl,
)

class Affine(nn.Module):
    """a or b (N, 3) -> (N, outputs): a net that reads one field may call it as it likes."""
    def __init__(self, outputs):
        super().__init__()
        self.net = nn.Linear(3, outputs)
    def forward(self, points):
        return self.net(points)

def cycle_nets(config, data):
    return Networks(
        generators={
            "a2b": Net(module=Affine(3), reads=("a",), writes=("b",)),
            "b2a": Net(module=Affine(3), reads=("b",), writes=("a",)),
        },
        discriminators={
            "judge_a": Net(module=Affine(1), reads=("a",)),
            "judge_b": Net(module=Affine(1), reads=("b",)),
        },
        games=(
            Game(generator="a2b", discriminator="judge_b"), Game(generator="b2a", discriminator="judge_a"),
        ),
    )

def cycle(config):
    def term(view):
        written, = view.written
        back, start = ("b2a", "a") if written == "b" else ("a2b", "b")
        return 10 * (view.generate(view.fake, back)[start] - view.real[start]).abs().mean()
    return term

class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4 + 2, 3)
    def forward(self, z, label):
        return self.net(torch.cat([z, F.one_hot(label, 2).float()], 1))
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.classes = nn.Linear(3, 1), nn.Linear(3, 2)
    def forward(self, a):
        return self.score(a).squeeze(1), self.classes(a)

def ac_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Labelled(), reads=("z", "label"), writes=("a",))},
        discriminators={
            "discriminator": Net(module=TwoHeads(), reads=("a",), writes=("score", "label_logits"))
        },
        fields=(Field(name="z", shape=(4,), source="uniform"),),
    )

class Coded(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4 + 2, 3)
    def forward(self, z, code):
        return self.net(torch.cat([z, F.one_hot(code, 2).float()], 1))

def info_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Coded(), reads=("z", "code"), writes=("a",))},
        discriminators={
            "discriminator": Net(module=TwoHeads(), reads=("a",), writes=("score", "code_logits"))
        },
        fields=(
            Field(name="z", shape=(4,), source="normal"),
            Field(name="code", dtype="int64", source="uniform", classes=("no", "yes")),
        ),
    )

def tell_code(config):
    return lambda view: F.cross_entropy(view.fake_outputs["code_logits"], view.noise["code"])

def spread(config):
    def term(view):
        other = view.normal(*view.noise["z"].shape)
        same = view.generate(view.real)["a"]
        assert torch.equal(same, view.fake["a"])
        moved = view.generate({**view.real, "z": other})["a"]
        return (view.noise["z"] - other).abs().mean() / (moved - same).abs().mean().clamp(min=1e-3)
    return term

def classify_real(config):
    return lambda view: F.cross_entropy(view.real_outputs["label_logits"], view.real["label"])
def classify_fake(config):
    return lambda view: F.cross_entropy(view.fake_outputs["label_logits"], view.fake["label"])

class Relativistic:
    def discriminator(self, real, fake):
        return F.softplus(fake - real).mean()
    def generator(self, fake, real):
        assert real is not None and not real.requires_grad
        return F.softplus(real - fake).mean()

def relativistic(config):
    return Relativistic()

class Dimmer(nn.Module):
    """Darkens pictures, the more the better the discriminator knows real ones."""
    def __init__(self, config):
        super().__init__()
        self.register_buffer("strength", torch.zeros(()))
        self.seen = []
    def forward(self, pictures, uniform):
        names = list(pictures)
        shade = 1 - self.strength * uniform(len(pictures[names[0]]), 1, 1, 1)
        self.seen.append(tuple(names))
        return {name: value * shade for name, value in pictures.items()}
    def observe(self, real_scores):
        self.strength.add_(0.01 * real_scores.sign().mean() + 0.02)

class Halve(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(1, 1, 3, padding=1)
    def forward(self, a_image):
        return self.net(a_image)

class PairJudge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(2, 1, 4)
    def forward(self, a_image, b_image):
        return self.net(torch.cat([a_image, b_image], 1)).flatten(1)

def picture_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Halve(), reads=("a_image",), writes=("b_image",))},
        discriminators={"discriminator": Net(module=PairJudge(), reads=("a_image", "b_image"))},
    )

def pictures(argument, config=None):
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (50, 1, 8, 8), np.uint8) for name in ("a_image", "b_image")}
    fields = tuple(Field(name=name, shape=(1, 8, 8), range=(-1.0, 1.0)) for name in arrays)
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

def data(argument, config=None):
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(50, 3)).astype(np.float32),
        "b": rng.normal(size=(50, 3)).astype(np.float32) + 2,
        "label": rng.integers(0, 2, 50),
    }
    fields = (
        Field(name="a", shape=(3,)), Field(name="b", shape=(3,)),
        Field(name="label", dtype="int64", classes=("no", "yes")),
    )
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

@hookimpl
def ganzoo_architectures():
    here = __name__
    return [
        ArchitectureSpec(name="cycle", summary="Two games.", factory=f"{here}:cycle_nets", needs=("a", "b")),
        ArchitectureSpec(name="two-heads", summary="Two outputs.", factory=f"{here}:ac_nets",
                         needs=("a", "label")),
        ArchitectureSpec(name="pictures", summary="Image to image.", factory=f"{here}:picture_nets",
                         needs=("a_image", "b_image")),
        ArchitectureSpec(name="codes", summary="Latent codes.", factory=f"{here}:info_nets", needs=("a",)),
    ]

@hookimpl
def ganzoo_losses():
    return [LossSpec(name="paired", summary="Relativistic.", factory=f"{__name__}:relativistic", paired=True)]

@hookimpl
def ganzoo_terms():
    here = __name__
    return [
        TermSpec(name="cycle", summary="There and back.", factory=f"{here}:cycle", role="generator"),
        TermSpec(name="classify-real", summary="Cross entropy.", factory=f"{here}:classify_real"),
        TermSpec(name="tell-code", summary="Mutual information.", factory=f"{here}:tell_code"),
        TermSpec(name="tell-code-g", summary="The same.", factory=f"{here}:tell_code", role="generator"),
        TermSpec(name="spread", summary="Mode seeking.", factory=f"{here}:spread", role="generator"),
        TermSpec(name="classify-fake", summary="Cross entropy.", factory=f"{here}:classify_fake",
                 role="generator"),
    ]

@hookimpl
def ganzoo_augmentations():
    return [AugmentationSpec(name="dimmer", summary="Darkens.", factory=f"{__name__}:Dimmer")]

@hookimpl
def ganzoo_datasets():
    pairs = DatasetSpec(name="two-pictures", summary="Pairs.", factory=f"{__name__}:pictures")
    return [pairs, DatasetSpec(name="two-fields", summary="a, b and a label.", factory=f"{__name__}:data")]

@hookimpl
def ganzoo_recipes():
    return [
        RecipeSpec(name="test-cycle", summary="Cycle.", architecture="cycle", loss="non-saturating",
                   data="two-fields", settings={"terms.cycle": True}),
        RecipeSpec(name="test-ac", summary="AC-GAN.", architecture="two-heads", loss="wgan-gp",
                   data="two-fields",
                   settings={"terms.classify-real": True, "terms.classify-fake": True}),
        RecipeSpec(name="test-codes", summary="InfoGAN.", architecture="codes", loss="non-saturating",
                   data="two-fields",
                   settings={"terms.tell-code": True, "terms.tell-code-g": True, "terms.spread": True}),
        RecipeSpec(name="test-pictures", summary="Augmented pairs, with R1.", architecture="pictures",
                   loss="non-saturating", data="two-pictures",
                   settings={"augment.name": "dimmer", "terms.r1": True}),
        RecipeSpec(name="test-paired", summary="Paired.", architecture="two-heads", loss="paired",
                   data="two-fields"),
    ]
'''  # fmt: skip


@pytest.mark.parametrize("recipe", ["test-cycle", "test-ac", "test-paired", "test-codes", "test-pictures"])
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
    whole, _ = start(plan, tmp_path / "whole", Quiet())
    parts, _ = start(plan, tmp_path / "parts", Quiet(), pause_at=80)
    parts = Run.open(parts.path)
    parts, outcome = resume(parts, resolve(str(parts.settings_file), registry), Quiet())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    assert "kinds-dist" in {p["dist"] for p in whole.record["plugins"]}


def test_two_games_learn_and_export_two_generators(install: Install, tmp_path: Path) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    rates = {"generator.lr": 0.01, "discriminator.lr": 0.01}
    settings = {"train.device": "cpu", "train.images": 20_000, **rates}
    run, _ = start(resolve("test-cycle", load_registry(), overrides=settings), tmp_path / "run", Quiet())
    log = run.log()
    assert log[-1]["values"]["cycle"] < 0.3 * log[0]["values"]["cycle"]
    bundle = run.export(tmp_path / "bundle")
    assert {path.name for path in bundle.files} >= {"a2b.onnx", "b2a.onnx"}

    import ganzoo

    there = ganzoo.load(bundle, generator="a2b", provider="cpu")
    back = ganzoo.load(bundle, generator="b2a", provider="cpu")
    points = torch.randn(16, 3).numpy()
    again = back.generate(16, b=there.generate(16, a=points))
    assert abs(again - points).mean() < 0.5


def test_latent_codes_are_learned_and_exported(install: Install, tmp_path: Path) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    rates = {"generator.lr": 0.01, "discriminator.lr": 0.01}
    settings = {"train.device": "cpu", "train.images": 20_000, **rates}
    run, _ = start(resolve("test-codes", load_registry(), overrides=settings), tmp_path / "run", Quiet())
    log = run.log()
    assert log[-1]["values"]["tell-code"] < 0.3 * log[0]["values"]["tell-code"]
    import ganzoo

    generator = ganzoo.load(run.export(tmp_path / "bundle"), provider="cpu")
    assert [field.name for field in generator.inputs] == ["z", "code"]
    both = [generator.generate(64, seed=0, code=np.full(64, code)).mean(0) for code in (0, 1)]
    assert abs(both[0] - both[1]).max() > 0.5


def test_an_augmentation_sees_what_the_discriminator_reads_and_keeps_its_state(
    install: Install, tmp_path: Path
) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    registry = load_registry()
    settings = {"train.device": "cpu", "train.images": 80, "train.batch_size": 8}
    plan = resolve("test-pictures", registry, overrides=settings)
    assert plan.settings()["augment"] == {"name": "kinds-dist/dimmer"}
    prepared = prepare(plan)
    dimmer = prepared.phases.augmentation
    assert isinstance(dimmer, torch.nn.Module)
    real = {name: torch.ones(8, 1, 8, 8) for name in ("a_image", "b_image")}
    before = float(dimmer.strength)
    prepared.phases.discriminator(real, 8, 0, last=True)
    prepared.phases.generator(real, 8, 0)
    assert set(dimmer.seen) == {("a_image", "b_image")}
    assert float(dimmer.strength) > before
    run, _ = start(plan, tmp_path / "run", Quiet())
    assert "kinds-dist" in {p["dist"] for p in run.record["plugins"]}
    assert float(read_newest(run.checkpoints, print)[0]["parts.augmentation.strength"]) > 0


def test_an_augmentation_can_be_chosen_and_switched_off(install: Install) -> None:
    install("kinds-dist", "kinds", PLUGIN)
    registry = load_registry()
    off = resolve("test-pictures", registry, overrides={"augment.name": "none"})
    assert off.augment is None
    assert "augment" not in off.settings()
    on = resolve("test-cycle", registry, overrides={"augment.name": "dimmer"})
    assert on.augment is not None
    assert on.augment.item.name == "dimmer"
    with pytest.raises(UsageError, match="There is no augmentation 'dimer'"):
        resolve("test-cycle", registry, overrides={"augment.name": "dimer"})
    with pytest.raises(SettingsError, match=r"no setting 'augment\.strength'"):
        resolve("test-pictures", registry, overrides={"augment.strength": 1})
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
        ('shape=(4,), source="uniform"', "shape=(4,)", "declared as one of the data"),
        (
            'fields=(Field(name="z", shape=(4,), source="uniform"),),',
            'fields=(Field(name="z", shape=(4,), source="uniform"), Field(name="b", source="normal")),',
            "has the name of a field of the data",
        ),
        (
            'fields=(Field(name="z", shape=(4,), source="uniform"),),',
            'fields=(Field(name="z", dtype="int64", source="uniform"),),',
            "cannot be drawn",
        ),
        ('reads=("z", "label")', 'reads="z"', "must be tuples"),
        ('Net(module=TwoHeads(), reads=("a",)', 'Net(module=TwoHeads(), reads=("z",)', "the noise field 'z'"),
        ("return self.score(a).squeeze(1), self.classes(a)", "return self.score(a)", "returns 1 tensors"),
        ("return self.score(a).squeeze(1), self.classes(a)", "return a.no_such_thing", "no_such_thing"),
        ("def ac_nets(config, data):", "def ac_nets(config, data):\n    data['image']", "not subscriptable"),
        ("self.net = nn.Linear(4 + 2, 3)", "self.net = nn.Linear(4 + 2, 5)", "declared is"),
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
    run, _ = start(resolve("test-ac", load_registry(), overrides=settings), tmp_path / "run", Quiet())
    monkeypatch.setenv("GANZOO_DISABLE", "kinds-dist")
    with pytest.raises(UsageError) as caught:
        run.export(tmp_path / "bundle")
    assert "kinds-dist 1.0" in caught.value.fix
