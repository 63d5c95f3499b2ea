"""Every built-in architecture on images of many shapes: sizes, ranges, gradients, refusals."""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganzoo_conditional
import ganzoo_dcgan
import ganzoo_resnet
import ganzoo_vanilla
import ganzoo_wgan_gp
from ganzoo.api import ArchitectureSpec, DataError, DataInfo, Field, Net, Networks, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry

PLUGINS = (ganzoo_vanilla, ganzoo_dcgan, ganzoo_conditional, ganzoo_wgan_gp, ganzoo_resnet)
SPECS: dict[str, ArchitectureSpec] = {spec.name: spec for p in PLUGINS for spec in p.ganzoo_architectures()}
CONVOLUTIONAL = (
    *("dcgan", "conditional-conv", "wgan-conv", "wgan-resnet"),
    *("sn-resnet", "sn-resnet-conditional"),
)
SHAPES = [(1, 28, 28), (3, 32, 32), (4, 24, 40), (3, 30, 50), (1, 64, 64)]
CLASSES = ("a", "b", "c")
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"generator_hidden": (8, 8), "discriminator_hidden": (8, 8)},
    "conditional-mlp": {"generator_label_hidden": 10, "generator_hidden": 12, "discriminator_units": 8},
    **{name: {"generator_width": 4, "discriminator_width": 4} for name in CONVOLUTIONAL},
}
VARIANTS = [
    ("mlp", {"discriminator_units": "maxout", "dropout": 0.5, "input_dropout": 0.2, "init": "uniform"}),
    ("mlp", {"discriminator_norm": "spectral", "generator_activation": "leaky-relu", "output": "sigmoid"}),
    ("mlp", {"discriminator_norm": "layer", "generator_norm": "none", "init": "normal"}),
    ("mlp", {"discriminator_units": "relu", "generator_norm": "none", "input_dropout": 0.2}),
    ("dcgan", {"kernel": 5, "discriminator_norm": "layer", "output": "sigmoid"}),
    ("dcgan", {"head": "smooth", "discriminator_norm": "spectral", "init": "default", "kernel": 3}),
    ("dcgan", {"stages": 1, "generator_norm": "none", "discriminator_norm": "none", "bias": False}),
    ("dcgan", {"discriminator_extra": 2, "discriminator_norm": "spectral"}),
    ("dcgan", {"head": "skips", "upsampling": "bilinear", "downsampling": "mean", "init": "default"}),
    ("dcgan", {"head": "skips", "generator_norm": "none", "bottom_activation": False, "bias": False}),
    ("dcgan", {"upsampling": "bilinear", "downsampling": "mean", "discriminator_norm": "spectral"}),
    ("dcgan", {"downsampling": "mean", "kernel": 5}),
    ("dcgan", {"bottom_activation": False, "head": "smooth", "discriminator_norm": "spectral", "slope": 0.1}),
    ("dcgan", {"bottom_activation": False, "generator_norm": "none", "spectral_score": False}),
    ("mlp", {"latent_distribution": "uniform", "latent_range": (0.0, 1.0)}),
    ("conditional-mlp", {"latent_range": (-2.0, 1.0)}),
    ("conditional-conv", {"conditioning": "concat", "discriminator_norm": "batch", "kernel": 5}),
    ("conditional-conv", {"pooling": "sum", "discriminator_norm": "spectral", "init": "normal"}),
    ("conditional-mlp", {"generator_dropout": 0.5, "discriminator_norm": "spectral", "output": "tanh"}),
    ("wgan-conv", {"head": "smooth", "kernel": 4, "discriminator_norm": "layer"}),
    ("wgan-conv", {"stages": 3, "generator_norm": "none", "output": "sigmoid", "init": "he"}),
    ("wgan-conv", {"discriminator_extra": 1, "kernel": 4}),
    ("wgan-resnet", {"discriminator_norm": "layer", "generator_norm": "none", "init": "normal"}),
    ("sn-resnet", {"widening": 4, "attention": 16, "discriminator_norm": "none", "init": "orthogonal"}),
    ("sn-resnet", {"discriminator_base": 3, "discriminator_tail": 0, "spectral_generator": True}),
    ("sn-resnet-conditional", {"shared_embedding": 4, "spectral_generator": True, "widening": 2}),
    (
        "sn-resnet-conditional",
        {"shared_embedding": 4, "split_latent": True, "discriminator_hidden": "inputs"},
    ),
    (
        "sn-resnet-conditional",
        {"shared_embedding": 4, "spectral_generator": True, "separate_tables": True, "score_bias": False},
    ),
]

CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in sorted(SPECS)), *VARIANTS]


def images(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0)) -> DataInfo:
    image = Field(name="image", shape=shape, range=bounds)
    return DataInfo(fields=(image, Field(name="label", dtype="int64", classes=CLASSES)), count=100)


def build(name: str, data: DataInfo, **options: Any) -> Networks:
    spec = SPECS[name]
    assert spec.config is not None
    torch.manual_seed(1)
    networks = pkgutil.resolve_name(spec.factory)(spec.config(**options), data)
    assert isinstance(networks, Networks)
    return networks


def inputs(networks: Networks, n: int) -> dict[str, Tensor]:
    drawn = {item.name: torch.randn(n, *item.shape) for item in networks.fields}
    return {**drawn, "label": torch.arange(n) % len(CLASSES)}


def run(net: Net, batch: dict[str, Tensor]) -> Tensor:
    result = net.module(*(batch[name] for name in net.reads))
    assert isinstance(result, Tensor)
    return result


def play(networks: Networks, n: int = 3) -> tuple[Tensor, Tensor]:
    """One generated batch and its scores, with their graph."""
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    batch = inputs(networks, n)
    made = run(generator, batch)
    return made, run(discriminator, {**batch, generator.writes[0]: made})


def check(networks: Networks, shape: tuple[int, ...], bounds: tuple[float, float] | None) -> None:
    made, score = play(networks)
    assert made.shape == (3, *shape)
    assert score.shape == (3,)
    assert torch.isfinite(made).all()
    assert torch.isfinite(score).all()
    if bounds is not None:
        assert bounds[0] <= made.min().item()
        assert made.max().item() <= bounds[1]
        assert made.max().item() > made.min().item()
    score.square().sum().backward()
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for name, parameter in net.module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(SPECS))
def test_images_of_any_shape(name: str, shape: tuple[int, ...]) -> None:
    data = images(*shape)
    check(build(name, data, **SMALL[name]), shape, (-1, 1))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 21)])
def test_options(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    check(build(name, images(*shape), **{**SMALL[name], **options}), shape, (-1, 1))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.0, 5.0), None])
@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_output_fills_the_range_of_the_field(
    name: str, output: str, bounds: tuple[float, float] | None
) -> None:
    networks = build(name, images(1, 16, 16, bounds=bounds), **{**SMALL[name], "output": output})
    check(networks, (1, 16, 16), bounds)
    generator = networks.generators["generator"].module
    *_, last = (layer for layer in generator.modules() if isinstance(layer, WEIGHTED))
    assert last.bias is not None
    with torch.no_grad():
        last.bias.fill_(50.0)
    made, _ = play(networks)
    assert made.max().item() == (pytest.approx(50, abs=25) if bounds is None else pytest.approx(bounds[1]))


@pytest.mark.parametrize("shape", [(2,), (1,), (5, 7), ()])
@pytest.mark.parametrize("field", ["point", "row"])
def test_the_mlp_takes_vectors_of_any_shape_and_name(field: str, shape: tuple[int, ...]) -> None:
    data = DataInfo(fields=(Field(name=field, shape=shape),), count=10)
    networks = build("mlp", data, **SMALL["mlp"])
    check(networks, shape, None)
    assert networks.generators["generator"].writes == (field,)
    assert networks.discriminators["discriminator"].reads == (field,)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_forward_takes_the_fields_that_are_read(name: str) -> None:
    networks = build(name, images(1, 16, 16), **SMALL[name])
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        parameters = tuple(inspect.signature(net.module.forward).parameters)
        assert len(parameters) == 1 if len(net.reads) == 1 else parameters == net.reads


@pytest.mark.parametrize("name", sorted(SPECS))
def test_generators_are_deterministic_and_treat_samples_separately(name: str) -> None:
    """In evaluation: the same inputs give the same images, whatever else is in the batch."""
    networks = build(name, images(1, 20, 12), **SMALL[name])
    generator = networks.generators["generator"]
    generator.module.eval()
    batch = inputs(networks, 7)
    with torch.no_grad():
        whole = run(generator, batch)
        single = run(generator, {key: value[4:5] for key, value in batch.items()})
    assert torch.allclose(whole[4:5], single, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_norms_have_the_usual_epsilon(name: str, options: dict[str, Any]) -> None:
    networks = build(name, images(1, 16, 16), **{**SMALL[name], **options})
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for layer in net.module.modules():
            if isinstance(layer, NORMS):
                assert layer.eps == 1e-5


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0].startswith("wgan")])
def test_no_wgan_critic_has_batch_norm(name: str, options: dict[str, Any]) -> None:
    networks = build(name, images(1, 16, 16), **{**SMALL[name], **options})
    critic = networks.discriminators["discriminator"].module
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in critic.modules())


@pytest.mark.parametrize("name", [*CONVOLUTIONAL, "mlp", "conditional-mlp"])
def test_small_images(name: str) -> None:
    """Convolutional networks accept 8x8 and suggest another for smaller images; MLPs accept any size."""
    check(build(name, images(1, 8, 8), **SMALL[name]), (1, 8, 8), (-1, 1))
    tiny = images(3, 7, 64)
    if name in CONVOLUTIONAL:
        with pytest.raises(DataError, match="at least 8x8") as caught:
            build(name, tiny)
        assert "mlp" in caught.value.fix
    else:
        check(build(name, tiny, **SMALL[name]), (3, 7, 64), (-1, 1))


@pytest.mark.parametrize("name", ["dcgan", "wgan-conv"])
def test_more_stages_than_pixels_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="halved 5 times"):
        build(name, images(1, 28, 28), stages=5)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_data_without_images_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="needs images") as caught:
        build(name, DataInfo(fields=(Field(name="image", shape=(64,)),), count=10))
    assert "mlp" in caught.value.fix


@pytest.mark.parametrize("name", ["conditional-mlp", "conditional-conv"])
def test_labels_without_classes_are_refused(name: str) -> None:
    fields = (Field(name="image", shape=(1, 16, 16)), Field(name="label", dtype="int64"))
    with pytest.raises(DataError, match="class label"):
        build(name, DataInfo(fields=fields, count=10))


@pytest.mark.parametrize("name", ["conditional-mlp", "conditional-conv"])
def test_both_networks_use_the_label(name: str) -> None:
    networks = build(name, images(1, 16, 16), **SMALL[name])
    batch = {**inputs(networks, 1), "image": torch.randn(1, 1, 16, 16)}
    for net in (networks.generators["generator"], networks.discriminators["discriminator"]):
        net.module.eval()
        values = [run(net, {**batch, "label": torch.tensor([label])}) for label in range(3)]
        assert not torch.allclose(values[0], values[1])
        assert not torch.allclose(values[1], values[2])


def test_every_recipe_resolves(registry: Registry) -> None:
    for plugin in PLUGINS:
        for recipe in plugin.ganzoo_recipes():
            assert resolve(recipe.name, registry).architecture.item.name == recipe.architecture
