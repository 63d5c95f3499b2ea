"""Warm starts from images of another size: layers at the same resolution begin with each other's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import ganzoo
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.exporting.from_file import export_file
from ganzoo.importing.recognise import chosen, open_file
from ganzoo.registry.registry import load_registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.warm_start import warm_start
from ganzoo_stylegan2.import_stylegan2 import example

WIDTHS = ("architecture.generator_width", "architecture.discriminator_width")
SMALLER, LARGER = 16, 32


def plan_for(recipe: str, folder: Path, side: int, width: int = 0, **settings: Any) -> Plan:
    """A recipe on images of that side. `width`: channels of the largest maps."""
    source = folder / str(side)
    for at in range(8):
        (source / str(at % 2)).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (30 * at, 0, 90)).save(source / str(at % 2) / f"{at}.png")
    small = {
        "data.source": f"folder:{source}",
        "train.device": "cpu",
        "train.images": 8,
        "train.batch_size": 8,
        "train.samples": 4,
        "ema.half_life": 50,
        **(dict.fromkeys(WIDTHS, width) if width else {}),
        **settings,
    }
    return resolve(recipe, load_registry(), overrides=small)


def begun(plan: Plan, source: Path) -> tuple[TrainingSetup, dict[str, Any], list[str]]:
    setup = prepare(plan)
    notes: list[str] = []
    return setup, warm_start(setup.training, source, notes.append, setup.dataset.fields), notes


def state_of(plan: Plan, path: Path) -> dict[str, torch.Tensor]:
    """The weights with which such a run begins, in a file with the names of a checkpoint."""
    tensors = prepare(plan).training.tensors()
    kept = {
        name: value.contiguous() for name, value in tensors.items() if name.startswith(("networks.", "ema."))
    }
    save_file(kept, path)
    return kept


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("smaller")
    return start(plan_for("stylegan2", folder, SMALLER, 8), folder / "run", NullReporter())[0]


def test_stylegan2_of_twice_the_size_begins_with_all_layers_of_shared_resolutions(
    smaller: Run, tmp_path: Path
) -> None:
    """With half the channels at the image, the maps of 16x16 and below have the same channels in both."""
    setup, table, notes = begun(plan_for("stylegan2", tmp_path, LARGER, 4, **{"train.seed": 3}), smaller.path)
    finest = {
        "generator": ("layers.5.", "layers.6.", "to_image.3."),
        "discriminator": ("from_image.", "blocks.0."),
    }
    for side, starts in finest.items():
        prefix = f"networks.{side}.{side}."
        own = {name for name in setup.training.tensors() if name.startswith(prefix)}
        new = {name for name in own if name.removeprefix(prefix).startswith(starts)}
        # The biases of all layers to pixels are one array, of which the file has the first ones.
        partly = {f"{prefix}biases"} & own
        assert own - new - partly <= set(table["matched"])
        assert partly <= set(table["resized"])
    assert "discriminator.blocks.1 and the following begin as discriminator.blocks.0" in notes[0]
    assert not [name for name in table["left_out"] if "from_image" not in name]
    same, _, _ = begun(plan_for("stylegan2", tmp_path, SMALLER, 8, **{"train.seed": 9}), smaller.path)
    now, old = (
        item.training.networks.discriminators["discriminator"].module.get_submodule("blocks")
        for item in (setup, same)
    )
    maps = torch.randn(4, 8, SMALLER, SMALLER)
    with torch.no_grad():
        assert torch.equal(nn.Sequential(*list(now.children())[1:])(maps), old(maps))


def test_stylegan2_of_half_the_size_begins_with_the_coarse_layers(tmp_path: Path) -> None:
    given = state_of(plan_for("stylegan2", tmp_path, LARGER, 4), tmp_path / "large.safetensors")
    plan = plan_for("stylegan2", tmp_path, SMALLER, 8, **{"train.seed": 3})
    setup, table, notes = begun(plan, tmp_path / "large.safetensors")
    now, prefix = setup.training.tensors(), "networks.discriminator.discriminator.blocks."
    for name, value in now.items():
        if name.startswith(prefix):
            number, _, rest = name.removeprefix(prefix).partition(".")
            assert torch.equal(value, given[f"{prefix}{int(number) + 1}.{rest}"])
    assert {name for name in table["left_out"] if name.startswith(prefix)} == {
        name for name in given if name.startswith(f"{prefix}0.")
    }
    assert "discriminator.blocks.0 and the following begin as discriminator.blocks.1" in notes[0]


CASES = [
    ("dcgan-paper", "layers"),
    ("sngan", "downward.blocks"),
    ("projection", "downward.blocks"),
    ("r3gan", "layers"),
    ("pggan+wgan-gp", "blocks"),
    ("wgan-gp", "layers"),
    ("wgan-gp-resnet-paper", "blocks"),
    ("cgan", "layers"),
    ("acgan", "body"),
    ("fastgan", "blocks"),
]


@pytest.mark.parametrize(("recipe", "part"), CASES)
def test_discriminators_that_halve_images_are_matched_from_the_smallest_maps(
    recipe: str, part: str, tmp_path: Path
) -> None:
    # Channels of residual critics do not double, fastgan's double from the smallest maps.
    narrow = 8 if recipe in ("wgan-gp-resnet-paper", "fastgan") else 4
    side = 32 if recipe == "fastgan" else SMALLER
    given = state_of(plan_for(recipe, tmp_path, side, 8), tmp_path / "small.safetensors")
    plan = plan_for(recipe, tmp_path, 2 * side, narrow, **{"train.seed": 3})
    setup, table, _ = begun(plan, tmp_path / "small.safetensors")
    own = setup.training.networks.discriminators["discriminator"].module.get_submodule(part)
    prefix = f"networks.discriminator.discriminator.{part}."
    there = {int(name.removeprefix(prefix).partition(".")[0]) for name in given if name.startswith(prefix)}
    shift = max(int(name.partition(".")[0]) for name, _ in own.named_parameters()) - max(there)
    assert shift > 0
    checked = 0
    # The first layer there reads colours; all others have the same neighbours in both.
    for at in sorted(there)[1:]:
        for name in [name for name in given if name.startswith(f"{prefix}{at}.")]:
            ours = f"{prefix}{at + shift}.{name.removeprefix(prefix).partition('.')[2]}"
            assert ours in table["matched"], ours
            assert torch.equal(setup.training.tensors()[ours], given[name])
            checked += 1
    assert checked


def test_a_bundle_of_another_size_gives_the_layers_that_both_have(tmp_path: Path) -> None:
    settings = {"architecture.generator_norm": "none"}
    source, _ = start(plan_for("wgan-gp", tmp_path, SMALLER, 8, **settings), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(source, tmp_path / "bundle")
    plan = plan_for("wgan-gp", tmp_path, LARGER, 4, **settings, **{"train.seed": 3})
    _, table, _ = begun(plan, bundle.path)
    assert "networks.generator.generator.project.weight" in table["matched"]
    assert [name for name in table["matched"] if "generator.layers." in name]
    assert [name for name in table["fresh"] if "generator.layers." in name]


def official(path: Path) -> dict[str, Any]:
    """A file in NVIDIA's layout for 8x8 pixels with two classes; the options of its networks as settings."""
    made = {
        net: {key: torch.from_numpy(value) for key, value in arrays.items()}
        for net, arrays in example().items()
    }
    torch.save(made, path)
    options = chosen(open_file(path, load_registry())).imported.options
    return {f"architecture.{name}": value for name, value in options.items()}


def test_an_official_file_of_another_size_gives_the_layers_that_both_have(tmp_path: Path) -> None:
    settings = {**official(tmp_path / "nvidia.pth"), "train.seed": 3}
    width = settings["architecture.generator_width"] // 2
    settings |= dict.fromkeys(WIDTHS, width)
    setup, table, notes = begun(plan_for("stylegan2", tmp_path, 16, **settings), tmp_path / "nvidia.pth")
    assert "recognised as stylegan2" in notes[0]
    wanted = torch.from_numpy(example()["D"]["b8.conv0.weight"])
    now = setup.training.tensors()
    assert torch.equal(now["networks.discriminator.discriminator.blocks.1.conv1.weight"], wanted)
    generator = "networks.generator.generator."
    wanted = torch.from_numpy(example()["G_ema"]["synthesis.b8.conv1.weight"])
    assert torch.equal(now[f"{generator}layers.2.conv.weight"], wanted)
    assert {f"{generator}layers.{k}.conv.weight" for k in range(3)} <= set(table["matched"])


def test_a_bundle_of_imported_weights_that_the_export_has_changed_names_its_file(tmp_path: Path) -> None:
    settings = official(tmp_path / "my nvidia.pth")
    opened = open_file(tmp_path / "my nvidia.pth", load_registry())
    bundle = export_file(opened, chosen(opened), load_registry(), tmp_path / "bundle")
    with pytest.raises(UsageError, match="the export has changed others") as caught:
        begun(plan_for("stylegan2", tmp_path, 8, **settings), bundle.path)
    assert "--from 'my nvidia.pth'; or import it with --as run" in caught.value.fix
