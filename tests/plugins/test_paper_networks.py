"""The networks of the papers: widths, maps and initial weights as published."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ganzoo.api import DataInfo, Field, Net, Networks
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry, factory_of
from tests.plugins.test_architectures import NORMS, WEIGHTED, build, images, inputs, run


@pytest.mark.parametrize("name", ["dcgan", "wgan-conv", "conditional-conv"])
def test_normal_init_has_the_spread_of_dcgan(name: str) -> None:
    networks = build(name, images(1, 32, 32), init="normal")
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        for layer in net.module.modules():
            if isinstance(layer, WEIGHTED) and layer.weight.numel() > 4000:
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert layer.bias is None or (layer.bias == 0).all()
            elif isinstance(layer, nn.BatchNorm2d) and layer.weight.numel() >= 128:
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_uniform_init_is_that_of_the_paper() -> None:
    networks = build("mlp", images(1, 28, 28), init="uniform", discriminator_units="maxout")
    for nets, limit in ((networks.generators, 0.05), (networks.discriminators, 0.005)):
        for net in nets.values():
            weights = [layer.weight for layer in net.module.modules() if isinstance(layer, nn.Linear)]
            assert 0.95 * limit < max(weight.abs().max().item() for weight in weights) <= limit


def test_he_init_has_the_variance_of_the_authors() -> None:
    """4 / (fan in + fan out) in convolutions, 2 / (fan in + fan out) in linear layers and shortcuts."""
    generator = build("wgan-resnet", images(3, 32, 32)).generators["generator"].module
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
    networks = paper(registry, "dcgan-paper", images(3, 64, 64))
    generator, discriminator = sides(networks, (3, 64, 64))
    assert networks.fields == (Field(name="z", shape=(100,), source="uniform"),)
    assert maps(*generator, (nn.Linear,)) == [(1024 * 4 * 4,)]
    assert maps(*generator, (nn.ConvTranspose2d,)) == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert maps(*generator, (nn.BatchNorm2d,)) == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32)]
    assert maps(*discriminator, (nn.Conv2d,)) == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    assert maps(*discriminator, (nn.BatchNorm2d,)) == [(256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    for net, _ in (generator, discriminator):
        assert {m.kernel_size for m in net.module.modules() if isinstance(m, WEIGHTED[1:])} == {(5, 5)}


@pytest.mark.parametrize("recipe", ["dcgan", "wgan-gp", "rpgan"])
def test_small_networks_have_the_maps_that_were_measured(registry: Registry, recipe: str) -> None:
    generator, discriminator = sides(paper(registry, recipe, images(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.BatchNorm2d,)) == [(96, 7, 7), (48, 14, 14)]
    assert maps(*generator, (nn.ConvTranspose2d,)) == [(48, 14, 14), (1, 28, 28)]
    assert maps(*discriminator, (nn.Conv2d,)) == [(40, 14, 14), (80, 7, 7), (160, 4, 4)]


@pytest.mark.parametrize("recipe", ["wgan", "cgan"])
def test_small_networks_with_a_smooth_head_have_the_maps_that_were_measured(
    registry: Registry, recipe: str
) -> None:
    generator, discriminator = sides(paper(registry, recipe, images(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.BatchNorm2d,)) == [(96, 7, 7), (48, 14, 14), (24, 28, 28)]
    assert maps(*generator, (nn.Conv2d,)) == [(1, 28, 28)]
    assert maps(*discriminator, (nn.Conv2d,)) == [(24, 14, 14), (48, 7, 7), (96, 4, 4)]


def test_wgan_gp_paper_has_the_maps_of_gan_mnist(registry: Registry) -> None:
    networks = paper(registry, "wgan-gp-paper", images(1, 28, 28))
    generator, critic = sides(networks, (1, 28, 28))
    assert maps(*generator, (nn.Linear,)) == [(4 * 4 * 4 * 64,)]
    assert maps(*generator, (nn.ConvTranspose2d,)) == [(128, 8, 8), (64, 14, 14), (1, 28, 28)]
    assert maps(*generator, NORMS) == maps(*critic, NORMS) == []
    assert maps(*critic, (nn.Conv2d,)) == [(64, 14, 14), (128, 7, 7), (256, 4, 4)]


def test_wgan_gp_resnet_paper_has_the_blocks_of_gan_cifar_resnet(registry: Registry) -> None:
    generator, critic = sides(paper(registry, "wgan-gp-resnet-paper", images(3, 32, 32)), (3, 32, 32))
    assert [shape[1] for shape in maps(*generator, (nn.BatchNorm2d,))] == [4, 8, 8, 16, 16, 32, 32]
    blocks = maps(*critic, (type(critic[0].module.blocks[0]),))
    assert blocks == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]
    assert maps(*critic, (nn.Linear,)) == [(1,)]


def test_f_anogan_paper_has_the_blocks_of_the_authors(registry: Registry) -> None:
    networks = paper(registry, "f-anogan-paper", images(1, 64, 64))
    generator, (critic, batch) = sides(networks, (1, 64, 64))
    blocks = (type(generator[0].module.upward.blocks[0]),)
    assert maps(*generator, (nn.Linear,)) == [(8 * 64 * 4 * 4,)]
    assert maps(*generator, blocks) == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64)]
    encoder = networks.generators["encoder"]
    assert encoder.rates == {"layers": 0.5}
    for net, outputs, norm in ((critic, 1, nn.GroupNorm), (encoder, 128, nn.BatchNorm2d)):
        layers = Net(module=net.module.layers, reads=("image",), writes=("z",))
        blocks = (type(layers.module[1]),)
        assert maps(layers, batch, blocks) == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 4, 4)]
        assert maps(layers, batch, (nn.Linear,)) == [(outputs,)]
        assert len(maps(layers, batch, (norm,))) == len(maps(layers, batch, NORMS)) == 8


def test_maxout_papers_have_their_widths(registry: Registry) -> None:
    generator, discriminator = sides(paper(registry, "vanilla-paper", images(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.Linear,)) == [(1200,), (1200,), (784,)]
    assert maps(*discriminator, (nn.Linear,)) == [(1200,), (1200,), (1,)]
    assert [m.p for m in discriminator[0].module.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.5, 0.5]

    generator, discriminator = sides(paper(registry, "cgan-paper", images(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.Linear, nn.Embedding)) == [(200,), (1000,), (1200,), (784,)]
    assert maps(*discriminator, (nn.Linear, nn.Embedding)) == [(250,), (1200,), (960,), (1,)]


@pytest.mark.parametrize(
    ("recipe", "bounds"), [("vanilla-paper", (-(3**0.5), 3**0.5)), ("cgan-paper", (0.0, 1.0))]
)
def test_the_range_of_z_in_the_first_layer(
    registry: Registry, recipe: str, bounds: tuple[float, float]
) -> None:
    """Goodfellow's uniform noise has a variance of 1, Mirza's fills the unit hypercube; drawn is U(-1, 1)."""
    net = paper(registry, recipe, images(1, 28, 28)).generators["generator"]
    first = next(layer for layer in net.module.modules() if isinstance(layer, nn.Linear))
    seen: list[Tensor] = []
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    z = torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, 100)
    run(net, {"z": z, "label": torch.zeros(3, dtype=torch.int64)})
    expected = torch.tensor([bounds[0], sum(bounds) / 2, bounds[1]])[:, None].expand(3, 100)
    assert torch.allclose(seen[0], expected)


def test_invalid_latent_ranges_are_refused() -> None:
    for name in ("mlp", "conditional-mlp"):
        with pytest.raises(ValueError, match="the second is larger"):
            build(name, images(1, 16, 16), latent_distribution="uniform", latent_range=(1.0, 1.0))
        with pytest.raises(ValueError, match="latent_distribution=uniform"):
            build(name, images(1, 16, 16), latent_distribution="normal", latent_range=(0.0, 1.0))


def test_ragan_paper_has_the_first_and_last_layers_of_the_author(registry: Registry) -> None:
    """GAN_losses_iter.py, --arch 1 --spectral: a bare linear layer in G, leaks of 0.1, a bare score in D."""
    networks = paper(registry, "ragan-paper", images(3, 32, 32))
    generator, discriminator = sides(networks, (3, 32, 32))
    assert isinstance(generator[0].module.layers[0], nn.ConvTranspose2d)
    assert generator[0].module.project.bias is not None
    assert maps(*generator, (nn.BatchNorm2d,)) == [(256, 8, 8), (128, 16, 16), (64, 32, 32)]
    layers = list(discriminator[0].module.modules())
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.1}
    normed = {type(layer): is_parametrized(layer) for layer in layers if hasattr(layer, "in_features")}
    assert normed == {nn.Linear: False}
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert convolutions
    assert all(is_parametrized(layer) for layer in convolutions)


def test_dcgan_paper_has_the_epsilon_of_the_authors(registry: Registry) -> None:
    networks = paper(registry, "dcgan-paper", images(3, 64, 64))
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        norms = [layer for layer in net.module.modules() if isinstance(layer, nn.BatchNorm2d)]
        assert norms
        assert {norm.eps for norm in norms} == {1e-8}


def test_scalar_recipe_is_the_net_of_the_tutorials(registry: Registry) -> None:
    data = DataInfo(fields=(Field(name="point", shape=(1,)),), count=10)
    generator = paper(registry, "vanilla-scalar", data).generators["generator"]
    layers = [m for m in generator.module.modules() if isinstance(m, nn.Linear)]
    assert [layers[0].in_features, *(m.out_features for m in layers)] == [100, 256, 128, 64, 32, 1]


def test_wgan_gp_mlp_has_the_widths_of_the_wgan_paper(registry: Registry) -> None:
    generator, critic = sides(paper(registry, "wgan-gp-mlp", images(1, 28, 28)), (1, 28, 28))
    assert maps(*generator, (nn.Linear,)) == [(512,), (512,), (512,), (784,)]
    assert maps(*critic, (nn.Linear,)) == [(512,), (512,), (512,), (1,)]
    assert len(maps(*generator, NORMS)) == 3
    assert maps(*critic, NORMS) == []
    for net, _ in (generator, critic):
        assert sum(isinstance(layer, nn.LeakyReLU) for layer in net.module.modules()) == 3
