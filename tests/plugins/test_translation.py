"""Image to image: the papers' tables, the terms against closed forms, training, refusals."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganzoo
import ganzoo_translation
from ganzoo.api import ArchitectureSpec, Batch, DataError, DataInfo, Field, Net, Networks, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.networks.free_axes import check_free_axes
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_translation.config import ResnetConfig, UNetConfig
from ganzoo_translation.networks import Resized
from tests.plugins.test_paper_networks import paper

ARCHITECTURES: dict[str, ArchitectureSpec] = {
    spec.name: spec for spec in ganzoo_translation.ganzoo_architectures()
}
TERMS = {spec.name: spec for spec in ganzoo_translation.ganzoo_terms()}
SMALL: dict[str, Any] = {"generator_width": 4, "discriminator_width": 4}
RESNET: dict[str, Any] = {"blocks": 1}


def sides(a: tuple[int, ...], b: tuple[int, ...]) -> DataInfo:
    return DataInfo(
        fields=tuple(Field(name=name, shape=shape, range=(-1, 1)) for name, shape in (("a", a), ("b", b))),
        count=10,
    )


def build(name: str, data: DataInfo, **options: Any) -> Networks:
    spec = ARCHITECTURES[name]
    assert spec.config is not None
    torch.manual_seed(1)
    networks = pkgutil.resolve_name(spec.factory)(spec.config(**{**SMALL, **options}), data)
    assert isinstance(networks, Networks)
    return networks


def outputs(net: Net, given: Batch) -> Batch:
    made = net.module(*(given[name] for name in net.reads))
    return dict(zip(net.writes, (made,), strict=True))


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1, 8, 8), (1, 8, 8)),
        ((3, 28, 28), (1, 28, 28)),
        ((1, 9, 21), (4, 9, 21)),
        ((2, 33, 16), (3, 33, 16)),
        ((3, 16, 16), (3, 64, 64)),
        ((1, 40, 20), (2, 11, 13)),
    ],
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet-patch", {}),
        ("unet-patch", {"norm": "batch", "discriminator_norm": "batch", "dropout": 0.5, "levels": 2}),
        ("unet-patch", {"norm": "none", "discriminator_norm": "none", "output": "sigmoid", "affine": True}),
        ("resnet-patch", RESNET),
        ("resnet-patch", {"halvings": 0, "blocks": 0, "norm": "batch", "init": "default"}),
        ("resnet-cycle", RESNET),
        ("resnet-cycle", {"halvings": 1, "blocks": 2, "dropout": 0.5, "affine": True, "norm": "none"}),
    ],
)
def test_images_of_any_shapes(
    name: str, options: dict[str, Any], a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    networks = build(name, sides(a, b), **options)
    shapes = {"a": a, "b": b}
    given = {key: torch.randn(3, *shape).clamp(-1, 1) for key, shape in shapes.items()}
    for net in networks.generators.values():
        for key, value in outputs(net, given).items():
            assert value.shape == (3, *shapes[key])
            assert value.abs().max() <= 1
            value.square().sum().backward()
    for net in networks.discriminators.values():
        score = outputs(net, given)["score"]
        assert score.shape[:2] == (3, 1)
        score.square().sum().backward()
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for path, parameter in net.module.named_parameters():
            assert parameter.grad is not None, path
            assert parameter.grad.isfinite().all(), path


def test_the_networks_of_each_game() -> None:
    for name in ("unet-patch", "resnet-patch"):
        networks = build(name, sides((1, 8, 8), (1, 8, 8)), **({} if name == "unet-patch" else RESNET))
        generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
        assert (generator.reads, generator.writes) == (("a",), ("b",))
        assert discriminator.reads == ("a", "b")
    networks = build("resnet-cycle", sides((1, 8, 8), (1, 8, 8)), **RESNET)
    assert {(net.reads, net.writes) for net in networks.generators.values()} == {
        (("a",), ("b",)),
        (("b",), ("a",)),
    }
    for game in networks.games:
        written = networks.generators[game.generator].writes
        assert networks.discriminators[game.discriminator].reads == written


def test_sizes_change_by_interpolation() -> None:
    """A linear gradient stays linear between the outer pixels' centres; shrinking keeps the brightness."""
    small = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 1, 4, 5)
    large = Resized((4, 5), (16, 20))(small)
    centres = (torch.arange(20) + 0.5) / 4 - 0.5
    assert torch.allclose(large[0, 0], centres.clamp(0, 4).expand(16, 20), atol=1e-5)
    noise = torch.rand(1, 1, 32, 32)
    assert Resized((32, 32), (8, 8))(noise).std() < 0.5 * noise.std()  # antialiased: means of many


def convolutions(module: nn.Module) -> list[tuple[int, ...]]:
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]


def norms(module: nn.Module) -> list[int]:
    return [layer.num_features for layer in module.modules() if isinstance(layer, nn.InstanceNorm2d)]


def test_pix2pix_paper_is_appendix_6_1(registry: Registry) -> None:
    """C64-C128-C256-C512 x 5, CD512 x 3-C512-C256-C128-C64; a D of 70x70 patches: C64-C128-C256-C512."""
    networks = paper(registry, "pix2pix-paper", sides((3, 256, 256), (3, 256, 256)))
    generator = networks.generators["generator"].module
    down = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    up = [(512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3)]
    assert convolutions(generator) == [
        *((down[k], down[k + 1], 4, 2) for k in range(8)),
        *((i, o, 4, 2) for i, o in up),
    ]
    # No norm on the first and (erratum: it would leave nothing) on the innermost maps.
    assert norms(generator) == [*down[2:-1], *(o for _, o in up[:-1])]
    drops = [k for k, part in enumerate(generator.up) for layer in part if isinstance(layer, nn.Dropout)]
    assert drops == [0, 1, 2]
    assert {layer.p for layer in generator.modules() if isinstance(layer, nn.Dropout)} == {0.5}
    discriminator = networks.discriminators["discriminator"].module
    widths = [6, 64, 128, 256, 512, 1]
    assert convolutions(discriminator) == [(widths[k], widths[k + 1], 4, 2 if k < 3 else 1) for k in range(5)]
    assert norms(discriminator) == [128, 256, 512]
    assert all(layer.affine for layer in discriminator.modules() if isinstance(layer, nn.InstanceNorm2d))
    with torch.no_grad():
        batch = {side: torch.zeros(1, 3, 256, 256) for side in "ab"}
        assert outputs(networks.discriminators["discriminator"], batch)["score"].shape == (1, 1, 30, 30)
    assert field_of_view(discriminator) == 70


def field_of_view(module: nn.Module) -> int:
    """Pixels of a side that one score depends on."""
    seen, step = 1, 1
    for _, _, kernel, stride in convolutions(module):
        seen += (kernel - 1) * step
        step *= stride
    return seen


def test_cyclegan_paper_is_appendix_7_2(registry: Registry) -> None:
    """c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3; D C64-C128-C256-C512, InstanceNorm without gains."""
    networks = paper(registry, "cyclegan-paper", sides((3, 256, 256), (3, 256, 256)))
    for net in networks.generators.values():
        assert convolutions(net.module) == [
            (3, 64, 7, 1),
            (64, 128, 3, 2),
            (128, 256, 3, 2),
            *[(256, 256, 3, 1)] * 18,
            (256, 128, 3, 2),
            (128, 64, 3, 2),
            (64, 3, 7, 1),
        ]
        assert norms(net.module) == [64, 128, *[256] * 19, 128, 64]
        padding = [
            layer.padding[0] for layer in net.module.modules() if isinstance(layer, nn.ReflectionPad2d)
        ]
        assert padding == [3, *[1] * 18, 3]
    for net in networks.discriminators.values():
        widths = [3, 64, 128, 256, 512, 1]
        assert convolutions(net.module) == [
            (widths[k], widths[k + 1], 4, 2 if k < 3 else 1) for k in range(5)
        ]
        assert field_of_view(net.module) == 70
    everything = [layer for net in networks.generators.values() for layer in net.module.modules()]
    assert not any(layer.affine for layer in everything if isinstance(layer, nn.InstanceNorm2d))
    weights = [layer.weight for layer in everything if isinstance(layer, nn.Conv2d)]
    assert all(weight.std().item() == pytest.approx(0.02, rel=0.05) for weight in weights)


def test_the_sixteen_and_thirty_four_pixel_patches() -> None:
    """Appendix 6.1.2 names PatchGANs of 16x16 (C64-C128) and 70x70; one layer between sees 34."""
    for layers, pixels in ((1, 16), (2, 34), (3, 70)):
        networks = build("unet-patch", sides((3, 64, 64), (3, 64, 64)), patch_layers=layers)
        assert field_of_view(networks.discriminators["discriminator"].module) == pixels


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (UNetConfig, {"generator_width": 0}, "1 or more"),
        (UNetConfig, {"patch_layers": 0}, "1 or more"),
        (UNetConfig, {"dropout": 1.0}, "dropout"),
        (UNetConfig, {"levels": 1}, "levels"),
        (ResnetConfig, {"halvings": 3}, "halvings"),
        (ResnetConfig, {"blocks": -1}, "blocks"),
    ],
)
def test_invalid_options_are_refused(config: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_unsuitable_data_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="'b' have 7x9 pixels"):
        build(name, sides((1, 8, 8), (1, 7, 9)))
    with pytest.raises(DataError, match="'b' is not an image"):
        build(name, sides((1, 8, 8), (12,)))
    with pytest.raises(DataError, match="no field 'a'"):
        build(name, DataInfo(fields=(Field(name="b", shape=(1, 8, 8)),), count=3))
    if name == "resnet-cycle":
        with pytest.raises(DataError, match="'a' have 4x4 pixels"):
            build(name, sides((1, 4, 4), (1, 8, 8)))


def test_recipes_refuse_data_without_two_images(registry: Registry, tmp_path: Path) -> None:
    plan = resolve("pix2pix", registry, overrides={"data.source": "fashion-5k", "train.device": "cpu"})
    with pytest.raises(DataError, match="needs the field 'a'"):
        start(plan, tmp_path / "run", NullReporter())
    assert not (tmp_path / "run").exists()


# --- terms --------------------------------------------------------------------------------------


FACTORS = {"to_b": 3.0, "to_a": 0.5}


class View:
    """One game in one step. A generator multiplies the other field by its own factor."""

    def __init__(self, written: str, a: Tensor, b: Tensor) -> None:
        self.real = {"a": a, "b": b}
        self.written = (written,)
        self.fake = self.generate(self.real)

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        generator = generator or f"to_{self.written[0]}"
        target = generator.removeprefix("to_")
        return {**batch, target: batch["a" if target == "b" else "b"] * FACTORS[generator]}


def term(name: str, **options: Any) -> Any:
    spec = TERMS[name]
    assert spec.config is not None
    return pkgutil.resolve_name(spec.factory)(spec.config(**options))


A, B = torch.tensor([[1.0, -2.0]]), torch.tensor([[4.0, 0.0]])


def test_l1_is_the_mean_distance_from_the_target() -> None:
    view = View("b", A, B)  # 3 and -6 in place of 4 and 0
    assert term("l1")(view).item() == pytest.approx(100 * (1 + 6) / 2)
    assert term("l1", weight=2.0)(view).item() == pytest.approx(7)


def test_cycle_is_the_way_there_and_back() -> None:
    # 1.5 times as large after both ways, whichever comes first.
    assert term("cycle")(View("b", A, B)).item() == pytest.approx(10 * (0.5 + 1) / 2)
    assert term("cycle", weight=4.0)(View("a", A, B)).item() == pytest.approx(4 * (2 + 0) / 2)


def test_identity_is_the_change_of_target_images() -> None:
    assert term("identity")(View("b", A, B)).item() == pytest.approx(5 * (8 + 0) / 2)  # 12 of 4
    assert term("identity", weight=1.0)(View("a", A, B)).item() == pytest.approx((0.5 + 1) / 2)


@pytest.mark.parametrize("name", ["cycle", "identity"])
def test_cycle_terms_need_the_fields_a_and_b(name: str) -> None:
    view = View("b", A, B)
    view.written = ("image",)
    with pytest.raises(SettingsError, match=f"'{name}' needs generators from the field a") as caught:
        term(name)(view)
    assert f"terms.{name}=false" in caught.value.fix


def test_terms_that_cannot_be_computed(registry: Registry, tmp_path: Path) -> None:
    view = View("b", A, B)
    view.written = ("image",)
    with pytest.raises(SettingsError, match="'l1' needs"):
        term("l1")(view)
    with pytest.raises(SettingsError, match="same shape"):
        term("identity")(View("b", A, torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="weight"):
        term("l1", weight=-1.0)
    more = {**TRAINED, "terms.cycle": True, "train.images": 16}
    with pytest.raises(SettingsError, match="needs a generator 'to_a'"):
        start(resolve("pix2pix", registry, overrides=more), tmp_path / "run", NullReporter())


# --- training -----------------------------------------------------------------------------------

TRAINED: dict[str, Any] = {
    "train.device": "cpu",
    "train.batch_size": 8,
    "train.samples": 6,
    "architecture.generator_width": 8,
    "architecture.discriminator_width": 4,
}


@pytest.mark.parametrize("recipe", ["pix2pix", "super-resolution", "colourisation"])
def test_targets_are_learned(registry: Registry, tmp_path: Path, recipe: str) -> None:
    """The distance from the targets falls, and the exported bundle generates images without torch."""
    settings = {**TRAINED, "train.images": 1_000, "train.log_every": 200}
    if recipe == "super-resolution":
        settings |= {"architecture.blocks": 1, "architecture.generator_width": 4}
    run, _ = start(resolve(recipe, registry, overrides=settings), tmp_path / "run", NullReporter())
    values = [line["values"]["l1"] for line in run.log()]
    assert values[-1] < 0.75 * values[0]
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert bundle.parity["generator"].max_abs < 1e-5
    generator = ganzoo.load(bundle.path, provider="cpu")
    (field,) = generator.inputs
    assert (field.name, generator.outputs[0].name) == ("a", "b")
    given = np.random.default_rng(0).uniform(-1, 1, (3, *field.shape)).astype(np.float32)
    assert generator.generate(3, a=given).shape == (3, *generator.outputs[0].shape)
    with Image.open(run.path / "samples" / "000000001000.png") as grid:
        # Three strips in a row, each of source, result and answer (32 pixels are enlarged to 64, 28 to 56).
        side = 64 if recipe == "colourisation" else 56
        assert grid.width == 3 * (3 * side + 2 + 2) + 2


def test_both_directions_are_learned(registry: Registry, tmp_path: Path) -> None:
    settings = {
        **TRAINED,
        "train.images": 480,
        "train.log_every": 96,
        "train.replay": 16,
        "architecture.blocks": 1,
        "terms.identity": True,
    }
    run, _ = start(resolve("cyclegan", registry, overrides=settings), tmp_path / "run", NullReporter())
    first, last = run.log()[0]["values"], run.log()[-1]["values"]
    assert last["cycle"] < 0.75 * first["cycle"]
    assert last["identity"] < 0.9 * first["identity"]
    for name in ("000000000480.png", "000000000480-a.png"):  # what stands beside an image is no answer
        with Image.open(run.path / "samples" / name) as grid:
            assert grid.width == 3 * (2 * 56 + 1 + 2) + 2
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert {path.name for path in bundle.path.glob("*.onnx")} == {"to_a.onnx", "to_b.onnx"}
    ways = {name: ganzoo.load(bundle.path, generator=name, provider="cpu") for name in ("to_a", "to_b")}
    zeros = np.zeros((2, 1, 28, 28), np.float32)
    there = ways["to_b"].generate(2, a=zeros)
    assert ways["to_a"].generate(2, b=there).shape == zeros.shape


def test_residual_generators_between_images_of_one_size_have_free_sides() -> None:
    axes = ("channel", "height", "width")
    a = Field(name="a", shape=(3, 16, 24), range=(-1.0, 1.0), axes=axes)
    info = DataInfo(fields=(a, replace(a, name="b")), count=8)
    for networks in (build("resnet-cycle", info, **RESNET), build("resnet-patch", info, **RESNET)):
        assert networks.free == {name: {"height": 4, "width": 4} for name in ("a", "b")}
        check_free_axes(networks, info, "here")
    double = DataInfo(fields=(a, replace(a, name="b", shape=(3, 32, 48))), count=8)
    networks = build("resnet-patch", double, **RESNET)
    assert networks.free == {"a": {"height": 2, "width": 2}, "b": {"height": 4, "width": 4}}
    check_free_axes(networks, double, "here")
    assert build("resnet-cycle", double, **RESNET).free == {}  # one way back would have to shrink
    for b in (
        replace(a, name="b", axes=()),
        replace(a, name="b", shape=(3, 16, 22)),
    ):
        other = DataInfo(fields=(a, b), count=8)
        assert build("resnet-patch", other, **RESNET).free == {}


def test_u_nets_have_free_sides_in_multiples_of_their_halvings() -> None:
    axes = ("channel", "height", "width")
    a = Field(name="a", shape=(1, 16, 32), range=(-1.0, 1.0), axes=axes)
    info = DataInfo(fields=(a, replace(a, name="b", shape=(3, 16, 32))), count=8)
    networks = build("unet-patch", info, levels=3, generator_width=4, discriminator_width=4)
    assert networks.free == {name: {"height": 8, "width": 8} for name in ("a", "b")}
    check_free_axes(networks, info, "here")
