"""Fine-tuning: weights of bundles and files, other classes and channels, frozen parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import ganzoo
from ganzoo.cli.train import command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError, UsageError
from ganzoo.foreign.arrays import LazyArray
from ganzoo.importing.recognise import chosen, open_file
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.warm_start import _Classes, _copied, warm_start
from tests.importing.test_dcgan import named, published

Tiny = Callable[..., Plan]
FIVE = ["ant", "bee", "crab", "dove", "eel"]
THREE = ["dove", "bee", "fox"]


def cgan(folder: Path, names: list[str], **settings: Any) -> Plan:
    """A small conditional GAN on images in folders with the names of the classes."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for at in range(4):
            Image.new("L", (28, 28), 40 * at).save(folder / name / f"{at}.png")
    small = {
        "data.source": f"folder:{folder}",
        "train.device": "cpu",
        "train.images": 16,
        "train.batch_size": 8,
        "train.samples": 5,
        "ema.half_life": 50,
        **settings,
    }
    return resolve("cgan", load_registry(), overrides=small)


@pytest.fixture
def first(tiny: Tiny, tmp_path: Path) -> Run:
    return start(tiny("vanilla", **{"ema.half_life": 50}), tmp_path / "first", NullReporter())[0]


def samples(setup: TrainingSetup, z: torch.Tensor) -> torch.Tensor:
    module = setup.training.ema.modules["generator"].eval()
    with torch.no_grad():
        made: torch.Tensor = module(z)
    return made


@pytest.mark.parametrize("kind", ["run", "state", "one network", "torch file"])
def test_fine_tuning_begins_with_the_samples_of_its_source(
    tiny: Tiny, first: Run, tmp_path: Path, kind: str
) -> None:
    bundle = ganzoo.export(first, tmp_path / "bundle")
    averages = {
        name.removeprefix("ema.generator."): value
        for name, value in read_newest(first.checkpoints)[0].items()
        if name.startswith("ema.generator.")
    }
    save_file(averages, tmp_path / "one.safetensors")
    torch.save({"epoch": 3, "g_ema": averages}, tmp_path / "one.pth")
    source = {
        "run": first.path,
        "state": max(first.checkpoints.iterdir()) / "state.safetensors",
        "one network": tmp_path / "one.safetensors",
        "torch file": tmp_path / "one.pth",
    }[kind]
    setup = prepare(tiny("vanilla", **{"ema.half_life": 50, "train.seed": 5}))
    notes: list[str] = []
    table = warm_start(setup.training, source, notes.append)
    generator = ganzoo.load(bundle.path, provider="cpu")
    z = generator.draw_inputs(4, seed=3)["z"]
    assert np.allclose(samples(setup, torch.from_numpy(z)), generator.generate(4, z=z), atol=1e-5)
    assert not [name for name in table["fresh"] if name.startswith("networks.generator")]
    with pytest.raises(UsageError, match="the export has changed others") as caught:  # its BatchNorm
        warm_start(setup.training, bundle.path, notes.append)
    assert "--from RUN" in caught.value.fix


def test_weights_of_8_bits_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    run, _ = start(tiny("dcgan"), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle", weights="int8")
    setup = prepare(tiny("dcgan"))
    with pytest.raises(UsageError, match="weights of 8 bits") as caught:
        warm_start(setup.training, bundle.path, lambda _: None)
    assert "--from RUN" in caught.value.fix


def test_a_larger_network_beside_it_with_a_name_in_common_is_not_taken(
    tiny: Tiny, first: Run, tmp_path: Path
) -> None:
    state = {
        name.removeprefix("ema.generator."): value
        for name, value in read_newest(first.checkpoints)[0].items()
        if name.startswith("ema.generator.")
    }
    other = {next(iter(state)): torch.zeros(3), **{f"x.{at}": torch.zeros(2) for at in range(99)}}
    torch.save({"a": other, "b": state}, tmp_path / "two.pth")
    table = warm_start(prepare(tiny("vanilla")).training, tmp_path / "two.pth", lambda _: None)
    assert len(table["matched"]) == len(state)


def test_arrays_of_parts_within_parts_are_read_once(
    tiny: Tiny, first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {
        f"net.{name.removeprefix('ema.generator.')}": value
        for name, value in read_newest(first.checkpoints)[0].items()
        if name.startswith("ema.generator.")
    }
    torch.save({"net": state, "other": {"a": {"weight": torch.zeros(3)}}}, tmp_path / "one.pth")
    opened = open_file(tmp_path / "one.pth", load_registry())
    reads: list[LazyArray] = []

    def counted(array: LazyArray) -> LazyArray:
        return replace(array, read=lambda: (reads.append(array), array.read())[1])

    once = {id(array): counted(array) for part in opened.parts for array in part.arrays.values()}
    parts = [
        replace(part, arrays={name: once[id(array)] for name, array in part.arrays.items()})
        for part in opened.parts
    ]
    assert sum(len(part.arrays) for part in parts) > len(once)
    monkeypatch.setattr("ganzoo.training.weight_sources.open_file", lambda *_: replace(opened, parts=parts))
    warm_start(prepare(tiny("vanilla")).training, tmp_path / "one.pth", lambda _: None)
    assert len(reads) == len(once)


@pytest.mark.parametrize("recipe", ["pix2pix", "cut"])
def test_a_bundle_begins_with_its_generators(tmp_path: Path, recipe: str) -> None:
    settings = {
        "train.device": "cpu", "train.images": 8, "train.batch_size": 8, "train.samples": 4,
        "architecture.generator_width": 2, "architecture.discriminator_width": 2,
    }  # fmt: skip
    registry = load_registry()
    source, _ = start(resolve(recipe, registry, overrides=settings), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(source, tmp_path / "bundle")
    for path in (bundle.path, bundle.path / "generator.onnx"):
        setup = prepare(resolve(recipe, registry, overrides={**settings, "train.seed": 7}))
        notes: list[str] = []
        table = warm_start(setup.training, path, notes.append)
        assert "discriminators begin anew" in notes[0]
        assert not [name for name in table["fresh"] if name.startswith("networks.generator.generator.")]
        a = np.random.default_rng(0).uniform(-1, 1, (3, 1, 28, 28)).astype(np.float32)
        module = setup.training.ema.modules["generator"].eval()
        with torch.no_grad():
            made = module(torch.from_numpy(a))
        made = made[0] if isinstance(made, tuple) else made
        wanted = ganzoo.load(bundle.path, provider="cpu").generate(3, a=a)
        assert np.allclose(made, wanted, atol=1e-5)


def test_weights_of_another_project_are_recognised(tmp_path: Path) -> None:
    """A file in the layout of pytorch/examples: the run begins with the samples of its layers."""
    torch.manual_seed(0)
    net, _ = published(16, [32, 16], 3)
    torch.save(named(net), tmp_path / "netG.pth")
    registry = load_registry()
    options = chosen(open_file(tmp_path / "netG.pth", registry)).imported.options
    for at in range(8):
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (30 * at, 0, 0)).save(tmp_path / "data" / f"{at}.png")
    settings = {
        "data.source": f"folder:{tmp_path / 'data'}",
        "train.device": "cpu",
        "ema.half_life": 50,
        **{f"architecture.{name}": value for name, value in options.items()},
    }
    setup = prepare(resolve("dcgan", registry, overrides=settings))
    notes: list[str] = []
    warm_start(setup.training, tmp_path / "netG.pth", notes.append)
    z = torch.randn(3, 16)
    with torch.no_grad():
        wanted = net(z[:, :, None, None])
    assert torch.allclose(samples(setup, z), wanted, atol=1e-5)
    assert "recognised as" in notes[0]


def test_classes_are_taken_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From five classes to three, of which two are known: their rows move, the third keeps its own."""
    source, _ = start(cgan(tmp_path / "a", FIVE), tmp_path / "five", NullReporter())
    setup = prepare(cgan(tmp_path / "b", THREE, **{"train.seed": 4}))
    before = {name: value.clone() for name, value in setup.training.tensors().items()}
    notes: list[str] = []
    monkeypatch.setattr("ganzoo.training.warm_start.FEW", 1)
    table = warm_start(setup.training, source.path, notes.append, setup.dataset.fields)
    given, now = read_newest(source.checkpoints)[0], setup.training.tensors()
    own = setup.dataset.info.field("label").classes
    theirs = source.info.field("label").classes
    assert (set(own), set(theirs)) == (set(THREE), set(FIVE))
    assert table["resized"]
    sizes = {
        kind: sum(now[name].numel() for name in table[kind]) for kind in ("matched", "resized", "other_shape")
    }
    share = (sizes["matched"] + sizes["resized"] * 2 / 3) / sum(sizes.values())  # 2 of 3 classes are known
    assert notes[1].startswith(f"only {share:.1%} of the weights")
    for name in table["resized"]:
        axis = next(
            at
            for at, sizes in enumerate(zip(now[name].shape, given[name].shape, strict=True))
            if len(set(sizes)) > 1
        )
        assert (now[name].shape[axis], given[name].shape[axis]) == (3, 5)
        for at, known in enumerate(own):
            wanted = (
                given[name].select(axis, theirs.index(known))
                if known in theirs
                else before[name].select(axis, at)
            )
            assert torch.equal(now[name].select(axis, at), wanted), (name, known)
    for name, value in now.items():
        if name.startswith("ema."):  # the average begins with the same rows
            raw = now[f"networks.generator.{name.removeprefix('ema.')}"]
            assert value.shape == raw.shape
    plan = cgan(tmp_path / "b", THREE, **{"train.warm_start": str(source.path)})
    run, outcome = start(plan, tmp_path / "three", NullReporter())
    assert outcome == "done"
    assert run.record["warm_start"]["resized"] == table["resized"]


def test_an_embedding_of_the_same_classes_in_another_order_is_reordered() -> None:
    own, given = nn.Embedding(3, 2), torch.arange(6.0).reshape(3, 2)
    known = [_Classes(("a", "b", "c"), ("c", "a", "b"))]
    with torch.no_grad():
        assert _copied(nn.Sequential(own), "0.weight", own.weight, given, None, known) == ("resized", 6)
        assert own.weight.tolist() == given[[1, 2, 0]].tolist()
        same = [_Classes(("a", "b", "c"), ("a", "b", "c"))]
        assert _copied(nn.Sequential(own), "0.weight", own.weight, given, None, same) == ("matched", 6)
        others = [_Classes(("d", "e", "f"), ("a", "b", "c"))]
        nothing = _copied(nn.Sequential(own), "0.weight", own.weight, given + 9, None, others)
        assert nothing == ("other_shape", 0)
        assert own.weight.max() < 9
        one = [_Classes(("d", "b", "f"), ("a", "b", "c"))]
        assert _copied(nn.Sequential(own), "0.weight", own.weight, given + 9, None, one) == ("resized", 2)


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (nn.Conv2d(3, 8, 3), (8, 1, 3, 3), "resized"),
        (nn.Conv2d(3, 8, 3), (16, 3, 3, 3), "resized"),
        (nn.Conv2d(3, 8, 3), (16, 1, 3, 3), "other_shape"),  # two axes differ
        (nn.Conv2d(3, 8, 3), (8, 3, 5, 3), "other_shape"),  # the kernel differs
        (nn.Conv2d(3, 8, 3), (8, 3), "other_shape"),
        (nn.Linear(3, 8), (8, 4), "other_shape"),  # the order of its inputs is unknown
    ],
)
def test_the_rule_for_other_shapes(layer: nn.Module, shape: tuple[int, ...], kind: str) -> None:
    own: Any = layer.weight
    given, before = torch.randn(shape), own.detach().clone()
    with torch.no_grad():
        found, copied = _copied(nn.Sequential(layer), "0.weight", own, given, None, [])
    assert (found, copied) == (kind, int((own != before).sum()))
    if kind == "resized":
        common = tuple(slice(min(sizes)) for sizes in zip(before.shape, shape, strict=True))
        before[common] = given[common]
    assert torch.equal(own.detach(), before)


def test_the_note_is_a_table(tiny: Tiny, first: Run) -> None:
    setup = prepare(tiny("vanilla", **{"architecture.generator_hidden": [16, 8]}))
    notes: list[str] = []
    warm_start(setup.training, first.path, notes.append)
    lines = notes[0].splitlines()
    assert "matched" in lines[0]
    assert any("other shape" in line and "(16, 16) -> (8, 16)" in line for line in lines)


def test_weights_that_cannot_be_used_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    training = prepare(tiny("vanilla")).training
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    (tmp_path / "table.csv").write_text("1,2")
    others = {f"other.{at}.{key}": torch.ones(3, 3) for at in range(3) for key in ("weight", "bias")}
    save_file(others, tmp_path / "other.safetensors")
    for name, message in (
        ("broken.safetensors", "cannot be read"),
        ("broken.onnx", "cannot be read"),
        ("table.csv", "file"),
        ("missing.safetensors", "no such path|cannot be read"),
        ("other.safetensors", "Nothing in that file has the names and shapes"),
    ):
        with pytest.raises(UsageError, match=message):
            warm_start(training, tmp_path / name, print)


# --- frozen parameters --------------------------------------------------------------------------


def test_frozen_parameters_stay_bit_equal_and_the_others_learn(tiny: Tiny, tmp_path: Path) -> None:
    module = prepare(tiny("vanilla")).training.networks.generators["generator"].module
    part = next(name for name, _ in module.named_parameters()).rpartition(".")[0]
    settings = {"train.freeze": [f"generator.{part}", "discriminator.*0.weight"], "ema.half_life": 50}
    begun = prepare(tiny("vanilla", **settings))
    frozen = set(begun.frozen)
    assert {f"generator.{part}.weight", f"generator.{part}.bias"} <= frozen
    before = begun.training.tensors()
    run, _ = start(tiny("vanilla", **settings), tmp_path / "run", NullReporter())
    after = read_newest(run.checkpoints)[0]
    assert set(run.record["frozen"]) == frozen
    for place in ("networks.generator", "networks.discriminator", "ema"):
        for name, value in before.items():
            key = name.removeprefix(f"{place}.")
            if name.startswith(f"{place}.") and value.is_floating_point():
                assert torch.equal(value, after[name]) == (key in frozen), name
    trained = [key.split(".", 2)[2] for key in after if key.startswith("optimizers.")]
    assert trained
    assert not any(key.startswith(f"{name}.") for key in trained for name in frozen)


def test_constraints_leave_frozen_parameters_alone(tiny: Tiny) -> None:
    plan = tiny("vanilla", **{"train.freeze": ["discriminator.*0.weight"]})
    setup = prepare(plan)
    player = setup.training.discriminator

    def zeros(module: nn.Module) -> None:
        for value in module.parameters():
            value.zero_()

    player.constraints = (zeros,)
    before = {name: value.clone() for name, value in player.modules["discriminator"].named_parameters()}
    player.clear()
    player.step()
    for name, value in player.modules["discriminator"].named_parameters():
        frozen = f"discriminator.{name}" in setup.frozen
        assert torch.equal(value, before[name] if frozen else torch.zeros_like(value)), name


def test_a_frozen_run_resumes_bit_for_bit(tiny: Tiny, first: Run, tmp_path: Path) -> None:
    plan = tiny(
        "vanilla", **{"train.warm_start": str(first.path), "train.freeze": ["discriminator.*0.weight"]}
    )
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=80)
    resume(Run.open(parts.path), resolve(str(parts.settings_file), load_registry()), NullReporter())
    states = [(max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes() for run in (whole, parts)]
    assert states[0] == states[1]


def test_patterns_that_fit_nothing_or_all_are_refused(tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="No parameter's name matches 'discriminator") as caught:
        prepare(tiny("vanilla", **{"train.freeze": ["discriminator.mapping"]}))
    assert "generator." in caught.value.fix
    with pytest.raises(SettingsError, match="All parameters of the discriminators"):
        prepare(tiny("vanilla", **{"train.freeze": ["discriminator"]}))


def test_the_command(first: Run, tmp_path: Path) -> None:
    words = ["vanilla", "--from", str(first.path), "--images", "8", "--batch-size", "8", "--device", "cpu"]
    words += ["--freeze", "discriminator.*0.weight", "--freeze", "generator.*0.bias"]
    for option in ("generator_hidden", "discriminator_hidden"):
        words += ["--set", f"architecture.{option}={json.dumps([16, 16])}"]
    result = CliRunner().invoke(command, [*words, "--run-dir", str(tmp_path / "second")], obj=())
    assert result.exit_code == 0, result.output
    record = Run.open(tmp_path / "second").record
    assert record["warm_start"]["matched"]
    assert len(record["frozen"]) >= 2
