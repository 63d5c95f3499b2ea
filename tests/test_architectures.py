"""Every built-in architecture on pictures of many shapes: sizes, ranges, gradients, widths of the papers."""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganzoo_conditional
import ganzoo_dcgan
import ganzoo_vanilla
import ganzoo_wgan_gp
from ganzoo.api import ArchitectureSpec, DataError, DataInfo, Field, Net, Networks, SettingsError
from ganzoo.recipes import resolve
from ganzoo.registry import Registry, factory_of

PLUGINS = (ganzoo_vanilla, ganzoo_dcgan, ganzoo_conditional, ganzoo_wgan_gp)
SPECS: dict[str, ArchitectureSpec] = {spec.name: spec for p in PLUGINS for spec in p.ganzoo_architectures()}
CONVOLUTIONAL = ("dcgan", "conditional-conv", "wgan-conv", "wgan-resnet")
ANY_FIELD = ("mlp", "wgan-mlp")
SHAPES = [(1, 28, 28), (3, 32, 32), (4, 24, 40), (3, 30, 50), (1, 64, 64)]
CLASSES = ("a", "b", "c")
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"generator_hidden": (8, 8), "discriminator_hidden": (8, 8)},
    "wgan-mlp": {"generator_hidden": (8, 8), "discriminator_hidden": (8, 8)},
    "conditional-mlp": {"generator_label_hidden": 10, "generator_hidden": 12, "discriminator_units": 8},
    **{name: {"generator_width": 4, "discriminator_width": 4} for name in CONVOLUTIONAL},
}
VARIANTS = [
    ("mlp", {"discriminator_units": "maxout", "dropout": 0.5, "input_dropout": 0.2, "init": "uniform"}),
    ("mlp", {"discriminator_norm": "spectral", "generator_activation": "leaky-relu", "output": "sigmoid"}),
    ("mlp", {"discriminator_norm": "layer", "generator_norm": "none", "init": "normal"}),
    ("wgan-mlp", {"discriminator_norm": "layer", "generator_norm": "batch", "activation": "leaky-relu"}),
    ("dcgan", {"kernel": 5, "discriminator_norm": "layer", "output": "sigmoid"}),
    ("dcgan", {"head": "smooth", "discriminator_norm": "spectral", "init": "default", "kernel": 3}),
    ("dcgan", {"stages": 1, "generator_norm": "none", "discriminator_norm": "none", "bias": False}),
    ("conditional-conv", {"conditioning": "concat", "discriminator_norm": "batch", "kernel": 5}),
    ("conditional-conv", {"pooling": "sum", "discriminator_norm": "spectral", "init": "normal"}),
    ("conditional-mlp", {"generator_dropout": 0.5, "discriminator_norm": "spectral", "output": "tanh"}),
    ("wgan-conv", {"head": "smooth", "kernel": 4, "discriminator_norm": "layer"}),
    ("wgan-conv", {"stages": 3, "generator_norm": "none", "output": "sigmoid", "init": "he"}),
    ("wgan-resnet", {"discriminator_norm": "layer", "generator_norm": "none", "init": "normal"}),
]

CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in sorted(SPECS)), *VARIANTS]


def pictures(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0)) -> DataInfo:
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
    result = net.module(**{name: batch[name] for name in net.reads})
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
def test_pictures_of_any_shape(name: str, shape: tuple[int, ...]) -> None:
    data = pictures(*shape)
    check(build(name, data, **SMALL[name]), shape, (-1, 1))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 21)])
def test_options(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    check(build(name, pictures(*shape), **{**SMALL[name], **options}), shape, (-1, 1))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.0, 5.0), None])
@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_output_fills_the_range_of_the_field(
    name: str, output: str, bounds: tuple[float, float] | None
) -> None:
    networks = build(name, pictures(1, 16, 16, bounds=bounds), **{**SMALL[name], "output": output})
    check(networks, (1, 16, 16), bounds)
    generator = networks.generators["generator"].module
    *_, last = (layer for layer in generator.modules() if isinstance(layer, WEIGHTED))
    assert last.bias is not None
    with torch.no_grad():
        last.bias.fill_(50.0)
    made, _ = play(networks)
    assert made.max().item() == pytest.approx(50, abs=25) if bounds is None else bounds[1]


@pytest.mark.parametrize("shape", [(2,), (1,), (5, 7), ()])
@pytest.mark.parametrize("field", ["point", "row"])
@pytest.mark.parametrize("name", ANY_FIELD)
def test_vectors_of_any_shape_and_name(name: str, field: str, shape: tuple[int, ...]) -> None:
    data = DataInfo(fields=(Field(name=field, shape=shape),), count=10)
    networks = build(name, data, **SMALL[name])
    check(networks, shape, None)
    assert networks.generators["generator"].writes == (field,)
    assert networks.discriminators["discriminator"].reads == (field,)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_forward_takes_the_fields_that_are_read(name: str) -> None:
    networks = build(name, pictures(1, 16, 16), **SMALL[name])
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        assert tuple(inspect.signature(net.module.forward).parameters) == net.reads


@pytest.mark.parametrize("name", sorted(SPECS))
def test_generators_draw_nothing_and_treat_samples_alone(name: str) -> None:
    """In evaluation: the same inputs give the same pictures, whatever else is in the batch."""
    networks = build(name, pictures(1, 20, 12), **SMALL[name])
    generator = networks.generators["generator"]
    generator.module.eval()
    batch = inputs(networks, 7)
    with torch.no_grad():
        whole = run(generator, batch)
        single = run(generator, {key: value[4:5] for key, value in batch.items()})
    assert torch.allclose(whole[4:5], single, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_norms_have_the_usual_epsilon_and_activations_copy(name: str, options: dict[str, Any]) -> None:
    networks = build(name, pictures(1, 16, 16), **{**SMALL[name], **options})
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for layer in net.module.modules():
            if isinstance(layer, NORMS):
                assert layer.eps == 1e-5
            assert not getattr(layer, "inplace", False)


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0].startswith("wgan")])
def test_no_wgan_critic_has_batch_norm(name: str, options: dict[str, Any]) -> None:
    networks = build(name, pictures(1, 16, 16), **{**SMALL[name], **options})
    critic = networks.discriminators["discriminator"].module
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in critic.modules())


@pytest.mark.parametrize("name", [*CONVOLUTIONAL, "mlp", "wgan-mlp", "conditional-mlp"])
def test_small_pictures(name: str) -> None:
    """Convolutional nets take 8x8 and say what else to use below; MLPs take any size."""
    check(build(name, pictures(1, 8, 8), **SMALL[name]), (1, 8, 8), (-1, 1))
    tiny = pictures(3, 7, 64)
    if name in CONVOLUTIONAL:
        with pytest.raises(DataError, match="at least 8x8") as caught:
            build(name, tiny)
        assert "mlp" in caught.value.fix
    else:
        check(build(name, tiny, **SMALL[name]), (3, 7, 64), (-1, 1))


@pytest.mark.parametrize("name", ["dcgan", "wgan-conv"])
def test_more_stages_than_pixels_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="halved 5 times"):
        build(name, pictures(1, 28, 28), stages=5)


@pytest.mark.parametrize("name", ["dcgan", "wgan-conv", "wgan-resnet"])
def test_what_is_no_picture_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="needs pictures"):
        build(name, DataInfo(fields=(Field(name="image", shape=(64,)),), count=10))


@pytest.mark.parametrize("name", ["conditional-mlp", "conditional-conv"])
def test_labels_without_classes_are_refused(name: str) -> None:
    fields = (Field(name="image", shape=(1, 16, 16)), Field(name="label", dtype="int64"))
    with pytest.raises(DataError, match="class label"):
        build(name, DataInfo(fields=fields, count=10))


@pytest.mark.parametrize("name", ["conditional-mlp", "conditional-conv"])
def test_both_nets_hear_the_label(name: str) -> None:
    networks = build(name, pictures(1, 16, 16), **SMALL[name])
    batch = {**inputs(networks, 1), "image": torch.randn(1, 1, 16, 16)}
    for net in (networks.generators["generator"], networks.discriminators["discriminator"]):
        net.module.eval()
        values = [run(net, {**batch, "label": torch.tensor([label])}) for label in range(3)]
        assert not torch.allclose(values[0], values[1])
        assert not torch.allclose(values[1], values[2])


@pytest.mark.parametrize("name", ["dcgan", "wgan-conv", "conditional-conv"])
def test_normal_init_has_the_spread_of_dcgan(name: str) -> None:
    networks = build(name, pictures(1, 32, 32), init="normal")
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for layer in net.module.modules():
            if isinstance(layer, WEIGHTED) and layer.weight.numel() > 4000:
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert layer.bias is None or (layer.bias == 0).all()
            elif isinstance(layer, nn.BatchNorm2d) and layer.weight.numel() >= 128:
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_uniform_init_is_that_of_the_paper() -> None:
    networks = build("mlp", pictures(1, 28, 28), init="uniform", discriminator_units="maxout")
    for nets, limit in ((networks.generators, 0.05), (networks.discriminators, 0.005)):
        for net in nets.values():
            weights = [layer.weight for layer in net.module.modules() if isinstance(layer, nn.Linear)]
            assert 0.95 * limit < max(weight.abs().max().item() for weight in weights) <= limit


def test_he_init_has_the_variance_of_the_authors() -> None:
    """4 / (fan in + fan out) in convolutions, 2 / (fan in + fan out) in linear layers and shortcuts."""
    generator = build("wgan-resnet", pictures(3, 32, 32)).generators["generator"].module
    convolution, shortcut = generator.blocks[0].conv1, generator.blocks[0].shortcut
    assert convolution.weight.var().item() == pytest.approx(4 / (2 * 128 * 9), rel=0.05)
    assert shortcut.weight.var().item() == pytest.approx(2 / (2 * 128), rel=0.05)
    assert generator.project.weight.var().item() == pytest.approx(2 / (128 + 2048), rel=0.05)
    assert generator.to_image.weight.var().item() == pytest.approx(2 / (9 * (128 + 3)), rel=0.1)


def paper(registry: Registry, recipe: str, data: DataInfo) -> Networks:
    plan = resolve(recipe, registry)
    torch.manual_seed(1)
    networks = factory_of(plan.architecture.item)(plan.architecture.options, data)
    assert isinstance(networks, Networks)
    return networks


def maps(net: Net, batch: dict[str, Tensor], kind: tuple[type[nn.Module], ...]) -> list[tuple[int, ...]]:
    """The output shapes, without the batch, of all layers of those kinds, in order."""
    seen: list[tuple[int, ...]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
        for layer in net.module.modules()
        if isinstance(layer, kind)
    ]
    with torch.no_grad():
        run(net, batch)
    for hook in hooks:
        hook.remove()
    return seen


def sides(networks: Networks, image: tuple[int, ...]) -> tuple[tuple[Net, dict[str, Tensor]], ...]:
    batch = {**inputs(networks, 2), "image": torch.randn(2, *image)}
    return (networks.generators["generator"], batch), (networks.discriminators["discriminator"], batch)


def test_dcgan_paper_has_the_maps_of_figure_1(registry: Registry) -> None:
    networks = paper(registry, "dcgan-paper", pictures(3, 64, 64))
    generator, discriminator = sides(networks, (3, 64, 64))
    assert networks.fields == (Field(name="z", shape=(100,), source="uniform"),)
    assert maps(*generator, (nn.Linear,)) == [(1024 * 4 * 4,)]
    assert maps(*generator, (nn.ConvTranspose2d,)) == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert maps(*generator, (nn.BatchNorm2d,)) == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32)]
    assert maps(*discriminator, (nn.Conv2d,)) == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    assert maps(*discriminator, (nn.BatchNorm2d,)) == [(256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    for net, _ in (generator, discriminator):
        assert {m.kernel_size for m in net.module.modules() if isinstance(m, WEIGHTED[1:])} == {(5, 5)}


@pytest.mark.parametrize("recipe", ["dcgan", "wgan-gp", "cgan"])
def test_sized_nets_have_the_maps_that_were_measured(registry: Registry, recipe: str) -> None:
    generator, discriminator = sides(paper(registry, recipe, pictures(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.BatchNorm2d,)) == [(96, 7, 7), (48, 14, 14), (24, 28, 28)]
    assert maps(*generator, (nn.Conv2d,)) == [(1, 28, 28)]
    assert maps(*discriminator, (nn.Conv2d,)) == [(24, 14, 14), (48, 7, 7), (96, 4, 4)]


def test_wgan_gp_paper_has_the_maps_of_gan_mnist(registry: Registry) -> None:
    networks = paper(registry, "wgan-gp-paper", pictures(1, 28, 28))
    generator, critic = sides(networks, (1, 28, 28))
    assert maps(*generator, (nn.Linear,)) == [(4 * 4 * 4 * 64,)]
    assert maps(*generator, (nn.ConvTranspose2d,)) == [(128, 8, 8), (64, 14, 14), (1, 28, 28)]
    assert maps(*generator, NORMS) == maps(*critic, NORMS) == []
    assert maps(*critic, (nn.Conv2d,)) == [(64, 14, 14), (128, 7, 7), (256, 4, 4)]


def test_wgan_gp_resnet_paper_has_the_blocks_of_gan_cifar_resnet(registry: Registry) -> None:
    generator, critic = sides(paper(registry, "wgan-gp-resnet-paper", pictures(3, 32, 32)), (3, 32, 32))
    assert [shape[1] for shape in maps(*generator, (nn.BatchNorm2d,))] == [4, 8, 8, 16, 16, 32, 32]
    blocks = maps(*critic, (type(critic[0].module.blocks[0]),))
    assert blocks == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]
    assert maps(*critic, (nn.Linear,)) == [(1,)]


def test_maxout_papers_have_their_widths(registry: Registry) -> None:
    generator, discriminator = sides(paper(registry, "vanilla-paper", pictures(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.Linear,)) == [(1200,), (1200,), (784,)]
    assert maps(*discriminator, (nn.Linear,)) == [(1200,), (1200,), (1,)]
    assert [m.p for m in discriminator[0].module.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]

    generator, discriminator = sides(paper(registry, "cgan-paper", pictures(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.Linear, nn.Embedding)) == [(200,), (1000,), (1200,), (784,)]
    assert maps(*discriminator, (nn.Linear, nn.Embedding)) == [(250,), (1200,), (960,), (1,)]


def test_scalar_recipe_is_the_net_of_the_tutorials(registry: Registry) -> None:
    data = DataInfo(fields=(Field(name="point", shape=(1,)),), count=10)
    generator = paper(registry, "vanilla-scalar", data).generators["generator"]
    layers = [m for m in generator.module.modules() if isinstance(m, nn.Linear)]
    assert [layers[0].in_features, *(m.out_features for m in layers)] == [100, 256, 128, 64, 32, 1]


def test_every_recipe_resolves(registry: Registry) -> None:
    for plugin in PLUGINS:
        for recipe in plugin.ganzoo_recipes():
            assert resolve(recipe.name, registry).architecture.item.name == recipe.architecture
