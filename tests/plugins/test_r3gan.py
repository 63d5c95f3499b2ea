"""R3GAN's networks: the authors' layers, initial weights that replace norms, images of any size."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import DataError, Fir, Networks
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry, factory_of
from ganzoo_r3gan.config import R3Config
from ganzoo_r3gan.networks import Basis, Residual, build
from tests.plugins.test_architectures import images

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 24, 40), (3, 30, 50), (2, 9, 21), (1, 8, 8)]
SMALL: dict[str, Any] = {
    "generator_width": 8,
    "discriminator_width": 8,
    "widest": 16,
    "group": 4,
    "latent": 6,
}


def nets(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0), **options: Any) -> Networks:
    torch.manual_seed(1)
    return build(R3Config(**{**SMALL, **options}), images(*shape, bounds=bounds))


def both(networks: Networks) -> tuple[Any, Any]:
    return networks.generators["generator"].module, networks.discriminators["discriminator"].module


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape_and_every_weight_learns(shape: tuple[int, ...]) -> None:
    generator, discriminator = both(nets(*shape))
    with torch.no_grad():  # the zeros at the start let no gradient through to the layers before them
        for module in (generator, discriminator):
            for value in module.parameters():
                value.add_(torch.randn_like(value), alpha=0.1)
    made = generator(torch.randn(3, 6))
    assert made.shape == (3, *shape)
    score = discriminator(made)
    assert score.shape == (3,)
    score.square().sum().backward()
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
            assert torch.isfinite(parameter.grad).all(), name


def test_a_block_is_a_grouped_bottleneck() -> None:
    block = Residual(R3Config(**SMALL), 8, 5)
    nn.init.normal_(block.layers[4].weight)
    maps = torch.randn(2, 8, 4, 5)
    first, second, last = (block.layers[k] for k in (0, 2, 4))
    nn.init.normal_(first.bias)
    nn.init.normal_(second.bias)
    hidden = torch.einsum("oi,nihw->nohw", first.weight[:, :, 0, 0], maps) + first.bias[:, None, None]
    hidden = functional.leaky_relu(hidden, 0.2)
    parts = [
        functional.conv2d(hidden[:, 4 * k : 4 * k + 4], second.weight[4 * k : 4 * k + 4], padding=1)
        for k in range(4)
    ]
    hidden = functional.leaky_relu(torch.cat(parts, 1) + second.bias[:, None, None], 0.2)
    expected = maps + torch.einsum("oi,nihw->nohw", last.weight[:, :, 0, 0], hidden)
    assert torch.allclose(block(maps), expected, atol=1e-5)


def test_blocks_are_identities_at_first_and_their_gains_shrink_with_depth() -> None:
    torch.manual_seed(0)
    config, maps = R3Config(), torch.randn(2, 512, 3, 3)
    for total in (1, 16):
        block = Residual(config, 512, total)
        assert torch.equal(block(maps), maps)
        gain = sqrt(2 / 1.04) * total**-0.25
        for layer, fan in ((block.layers[0], 512), (block.layers[2], 16 * 9)):
            assert layer.weight.std().item() == pytest.approx(gain / sqrt(fan), rel=0.02)
            assert not layer.bias.any()


def test_at_first_both_nets_are_linear_and_keep_the_size() -> None:
    """Only resampling and mixing are left: the score of a sum of images is the sum of their scores."""
    generator, discriminator = both(nets(3, 16, 16, bounds=None))
    one, two = torch.randn(2, 1, 3, 16, 16)
    assert torch.allclose(discriminator(one + two), discriminator(one) + discriminator(two), atol=1e-5)
    z = torch.randn(2, 1, 6)
    assert torch.allclose(generator(z[0] + z[1]), generator(z[0]) + generator(z[1]), atol=1e-5)


def test_the_basis_is_one_map_for_each_channel() -> None:
    basis, z = Basis(6, 5, (3, 4)), torch.randn(2, 6)
    expected = torch.einsum("chw,cl,nl->nchw", basis.maps, basis.linear.weight, z)
    assert torch.allclose(basis(z), expected, atol=1e-5)


def kinds(module: nn.Module) -> list[tuple[Any, ...]]:
    """Layers in order: blocks by their channels and groups, filters, convolutions that mix channels."""
    found: list[tuple[Any, ...]] = []
    for layer in module.layers:  # type: ignore[union-attr]
        if isinstance(layer, Residual):
            found.append(("block", layer.layers[0].in_channels, layer.layers[2].groups))
        elif isinstance(layer, Fir):
            found.append(("up" if layer.up else "down",))
        elif isinstance(layer, nn.Conv2d):
            found.append(("conv", layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.groups))
        elif isinstance(layer, Basis):
            found.append(("basis", tuple(layer.maps.shape)))
        elif isinstance(layer, nn.Linear):
            found.append(("linear", layer.in_features, layer.out_features))
    return found


def test_the_paper_recipe_is_the_preset_for_cifar10(registry: Registry) -> None:
    plan = resolve("r3gan-paper", registry)
    with torch.device("meta"):
        networks = factory_of(plan.architecture.item)(plan.architecture.options, images(3, 32, 32))
    generator, discriminator = both(networks)
    assert networks.fields[0].shape == (64,)
    stage = [("block", 768, 96)] * 2
    assert kinds(generator) == [
        ("basis", (768, 4, 4)),
        *(*stage, ("up",)) * 3,
        *stage,
        ("conv", 768, 3, 1, 1),
    ]
    assert kinds(discriminator) == [
        ("conv", 3, 768, 1, 1),
        *(*stage, ("down",)) * 3,
        *stage,
        ("conv", 768, 768, 4, 768),
        ("linear", 768, 1),
    ]
    block = 2 * 768 * 1536 + 1536 * 16 * 9 + 2 * 1536
    ends = {"generator": 768 * 16 + 64 * 768 + 768 * 3, "discriminator": 3 * 768 + 768 * 16 + 768}
    for module, end in zip((generator, discriminator), ends.values(), strict=True):
        assert sum(value.numel() for value in module.parameters()) == 8 * block + end


def test_channels_change_before_doubling_and_after_halving() -> None:
    generator, discriminator = both(nets(3, 16, 16, blocks=1))
    assert kinds(generator) == [
        ("basis", (16, 4, 4)),
        ("block", 16, 8),
        ("up",),
        ("block", 16, 8),
        ("conv", 16, 8, 1, 1),
        ("up",),
        ("block", 8, 4),
        ("conv", 8, 3, 1, 1),
    ]
    assert kinds(discriminator)[:4] == [
        ("conv", 3, 8, 1, 1),
        ("block", 8, 4),
        ("down",),
        ("conv", 8, 16, 1, 1),
    ]


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_images_stay_in_the_range_of_the_field(bounds: tuple[float, float] | None) -> None:
    generator, _ = both(nets(1, 8, 8, bounds=bounds))
    made = generator.eval()(torch.full((2, 6), 1e3))
    assert made.abs().max() > 10 if bounds is None else (made.min() >= 0 and made.max() <= 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": 0}, "1 or more"),
        ({"blocks": 0}, "1 or more"),
        ({"class_width": 0}, "1 or more"),
        ({"discriminator_width": 0}, "widths"),
        ({"generator_width": 800}, "widest"),
        ({"generator_width": 12}, "multiple of group"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        R3Config(**options)


def test_small_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 8x8"):
        nets(1, 7, 16)


def test_nothing_is_normalised() -> None:
    """A score does not depend on the other samples of the batch, in training too."""
    _, discriminator = both(nets(1, 12, 12))
    images: Tensor = torch.randn(4, 1, 12, 12)
    assert torch.allclose(discriminator.train()(images)[:1], discriminator(images[:1]), atol=1e-5)


def test_the_embedded_data_changes_nothing(registry: Registry) -> None:
    plan = resolve("r3gan", registry)
    assert plan.fitted(images(1, 28, 28)).settings() == plan.settings()


@pytest.mark.parametrize(("side", "width"), [(32, 16), (64, 8), (128, 4), (256, 4)])
def test_larger_images_get_narrower_networks_and_a_warm_up(registry: Registry, side: int, width: int) -> None:
    plan = resolve("r3gan", registry).fitted(images(3, side, side + 4))
    options = plan.architecture.options
    assert (options.generator_width, options.discriminator_width) == (width, width)
    assert (plan.generator.lr, plan.discriminator.lr) == (pytest.approx(2e-3), pytest.approx(2e-3))
    assert (plan.generator.warmup, plan.discriminator.warmup) == (800, 800)
    assert options.output == ("leaky-tanh" if side == 32 else "clip")
    assert {term.options.gamma for term in plan.terms.values()} == {1.0}
    factory_of(plan.architecture.item)(options, images(3, side, side + 4))


def test_the_user_is_stronger_than_the_rule(registry: Registry) -> None:
    mine = {"generator.lr": "linear 3e-3 -> 0", "generator.decay": "none", "terms.r1.gamma": 5.0}
    plan = resolve("r3gan", registry, overrides={**mine, "terms.r2": False}).fitted(images(3, 64, 64))
    assert (plan.generator.warmup, plan.discriminator.warmup) == (0, 800)
    assert [term.options.gamma for term in plan.terms.values()] == [5.0]
