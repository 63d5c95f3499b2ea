"""SNGAN's residual networks and successors: the papers' tables, spectral norm, attention, class labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ganzoo.api import DataError, DataInfo, Field, Networks, SettingsError, put_spectral_norm
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry, factory_of
from ganzoo_resnet.blocks import Attention, ConditionalNorm, Down, GainAndShift, Up
from ganzoo_resnet.config import ConditionalResnetConfig, ResnetConfig
from ganzoo_resnet.networks import attended
from tests.plugins.test_architectures import build, images, inputs, run
from tests.plugins.test_paper_networks import maps, paper, sides

SMALL: dict[str, Any] = {"generator_width": 8, "discriminator_width": 8}
LAYERS = (nn.Linear, nn.Conv2d)


def conditional(shape: tuple[int, ...] = (1, 16, 16), **options: Any) -> Networks:
    return build("sn-resnet-conditional", images(*shape), **{**SMALL, **options})


def modules(networks: Networks) -> tuple[nn.Module, nn.Module]:
    return networks.generators["generator"].module, networks.discriminators["discriminator"].module


def weights(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def on_paper(registry: Registry, recipe: str, *shape: int) -> Networks:
    """The networks of a recipe on the meta device: their layers can be counted, not computed."""
    plan = resolve(recipe, registry)
    with torch.device("meta"):
        networks = factory_of(plan.architecture.item)(plan.architecture.options, images(*shape))
    assert isinstance(networks, Networks)
    return networks


def shapes(networks: Networks, shape: tuple[int, ...], kind: type[nn.Module]) -> list[list[tuple[int, ...]]]:
    """The output channels of the layers of that kind, in G and in D."""
    made = []
    for net, batch in sides(networks, shape):
        device = next(net.module.parameters()).device
        made.append(maps(net, {name: value.to(device) for name, value in batch.items()}, (kind,)))
    return made


# --- the tables of the papers -------------------------------------------------------------------


def test_sngan_paper_is_table_4(registry: Registry) -> None:
    networks = paper(registry, "sngan-paper", images(3, 32, 32))
    assert networks.fields == (Field(name="z", shape=(128,), source="normal"),)
    assert shapes(networks, (3, 32, 32), Up)[0] == [(256, 8, 8), (256, 16, 16), (256, 32, 32)]
    assert shapes(networks, (3, 32, 32), Down)[1] == [(128, 16, 16), *[(128, 8, 8)] * 3]
    generator, discriminator = modules(networks)
    block = 2 * (9 * 256 * 256 + 256) + 2 * 2 * 256 + 256 * 256 + 256
    assert weights(generator) == 129 * 4096 + 3 * block + 2 * 256 + 9 * 256 * 3 + 3
    conv, first = 9 * 128 * 128 + 128, 9 * 3 * 128 + 128 + 3 * 128 + 128
    assert weights(discriminator) == first + 7 * conv + 128 * 128 + 128 + 128  # no bias in the last layer


def test_other_images_are_tables_5_and_6() -> None:
    options = {"generator_width": 4, "discriminator_width": 4, "widening": 16, "discriminator_tail": 1}
    stl = build("sn-resnet", images(3, 48, 48), **options, discriminator_base=3)
    up, down = shapes(stl, (3, 48, 48), Up)[0], shapes(stl, (3, 48, 48), Down)[1]
    assert up == [(16, 12, 12), (8, 24, 24), (4, 48, 48)]
    assert down == [(4, 24, 24), (8, 12, 12), (16, 6, 6), (32, 3, 3), (64, 3, 3)]
    assert stl.generators["generator"].module.upward.base == (32, 6, 6)


@pytest.mark.parametrize("recipe", ["projection-paper", "sagan-paper"])
def test_nets_for_imagenet_are_table_6(registry: Registry, recipe: str) -> None:
    shape, widths = (3, 128, 128), (64, 128, 256, 512, 1024)
    networks = on_paper(registry, recipe, *shape)
    up, down = shapes(networks, shape, Up)[0], shapes(networks, shape, Down)[1]
    assert up == [(width, 128 >> k, 128 >> k) for k, width in enumerate(widths)][::-1]
    assert down == [*((width, 64 >> k, 64 >> k) for k, width in enumerate(widths)), (1024, 4, 4)]
    hidden = [block.conv1.out_channels for block in modules(networks)[1].downward.blocks]
    narrow = [64, 64, 128, 256, 512, 1024]
    assert hidden == (narrow if recipe == "projection-paper" else [*widths, 1024])
    attention = shapes(networks, shape, Attention)
    assert attention == ([[], []] if recipe == "projection-paper" else [[(256, 32, 32)], [(128, 32, 32)]])


def test_biggan_paper_has_a_part_of_z_for_each_block(registry: Registry) -> None:
    networks = on_paper(registry, "biggan-paper", 3, 32, 32)
    generator, discriminator = modules(networks)
    assert generator.parts == [20, 20, 20, 20]
    assert generator.embed.embedding_dim == 128
    assert generator.upward.project.in_features == 20
    tables = [part.table for part in generator.modules() if isinstance(part, ConditionalNorm)]
    assert [type(table) for table in tables] == [GainAndShift] * 6
    layers = [layer for table in tables for layer in (table.gain, table.shift)]
    assert [(t.in_features, t.out_features, t.bias) for t in layers] == [(148, 384, None)] * 12
    assert [block.conv2.out_channels for block in discriminator.downward.blocks] == [384] * 4


@pytest.mark.parametrize(
    ("recipe", "eps"), [("sngan-paper", 2e-5), ("projection-paper", 2e-5), ("biggan-paper", 1e-5)]
)
def test_batch_norm_has_the_authors_eps(registry: Registry, recipe: str, eps: float) -> None:
    generator, _ = modules(on_paper(registry, recipe, 3, 32, 32))
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) > 6
    assert {norm.eps for norm in norms} == {eps}


# --- spectral norm and initial weights ----------------------------------------------------------


def largest(layer: nn.Module) -> float:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), ord=2))


@pytest.mark.parametrize("spectral", [False, True])
def test_spectral_norm_is_on_every_layer_and_at_one(spectral: bool) -> None:
    networks = conditional(spectral_generator=spectral, attention=8, shared_embedding=4, split_latent=True)
    generator, discriminator = modules(networks)
    batch = {**inputs(networks, 4), "image": torch.randn(4, 1, 16, 16)}
    for _ in range(30):  # each forward pass in training is one power iteration
        for net in (*networks.generators.values(), *networks.discriminators.values()):
            run(net, batch)
    layers = [layer for layer in discriminator.modules() if isinstance(layer, (*LAYERS, nn.Embedding))]
    assert len(layers) == 3 * 2 + 1 + 4 + 2  # three blocks, one halves: a shortcut; attention; score, embed
    own = [layer for layer in generator.modules() if isinstance(layer, LAYERS)]
    for layer in [*layers, *(own if spectral else [])]:
        assert is_parametrized(layer, "weight")
        assert largest(layer) == pytest.approx(1, abs=0.02)
    assert not is_parametrized(generator.embed)
    assert spectral == is_parametrized(generator.upward.to_image)


def test_spectral_norm_treats_gain_and_shift_separately(registry: Registry) -> None:
    """As in BigGAN's code. Normalised as one layer, each had a norm of 0.707 at the start."""
    plan = resolve("biggan-paper", registry, overrides={"architecture.generator_width": 8})
    networks = factory_of(plan.architecture.item)(plan.architecture.options, images(1, 32, 32))
    generator, _ = modules(networks)
    tables = [part.table for part in generator.modules() if isinstance(part, ConditionalNorm)]
    generator.eval()
    for layer in (layer for table in tables for layer in (table.gain, table.shift)):
        assert largest(layer) == pytest.approx(1, abs=0.02)


def test_gain_and_shift_are_what_the_two_layers_make() -> None:
    table = GainAndShift(3, 2)
    norm, maps, vector = ConditionalNorm(2, table).eval(), torch.randn(4, 2, 5, 5), torch.randn(4, 3)
    gain, shift = (vector @ layer.weight.T for layer in (table.gain, table.shift))
    expected = maps / (1 + 1e-5) ** 0.5 * (1 + gain)[:, :, None, None] + shift[:, :, None, None]
    assert torch.allclose(norm(maps, vector), expected, atol=1e-6)


def test_the_gain_of_blocks_is_an_option() -> None:
    plain, usual = (conditional(block_gain=gain) for gain in (1.0, 2**0.5))
    first, second = (modules(networks)[0].upward.blocks[0].conv1.weight for networks in (plain, usual))
    fans = 9 * (first.shape[0] + first.shape[1])
    assert first.var().item() == pytest.approx(2 / fans, rel=0.15)
    assert second.var().item() == pytest.approx(4 / fans, rel=0.15)


def test_spectral_norm_survives_a_moving_average() -> None:
    """A mean of unit vectors is shorter than 1; in evaluation the weight has the norm 1 all the same."""
    layer = nn.Linear(30, 20)
    put_spectral_norm(layer, (nn.Linear,))
    norm = layer.parametrizations.weight[0]
    norm.u.mul_(0.3).add_(0.1 * nn.functional.normalize(torch.randn(20), dim=0))
    layer.eval()
    assert largest(layer) == pytest.approx(1, abs=0.02)
    before = norm.u.clone()
    layer(torch.randn(2, 30))
    assert torch.equal(norm.u, before)


def test_each_step_in_training_is_one_power_iteration() -> None:
    layer, weight = nn.Linear(4, 3), torch.randn(3, 4)
    with torch.no_grad():
        layer.weight.copy_(weight)
    put_spectral_norm(layer, (nn.Linear,))
    u = layer.parametrizations.weight[0].u.fill_(3**-0.5).clone()
    right = nn.functional.normalize(weight.T @ u, dim=0)
    left = nn.functional.normalize(weight @ right, dim=0)
    assert torch.allclose(layer.weight, weight / (left @ weight @ right), atol=1e-6)
    assert torch.allclose(layer.parametrizations.weight[0].u, left, atol=1e-6)


def test_without_spectral_norm_there_is_none() -> None:
    networks = conditional(discriminator_norm="none")
    assert not any(is_parametrized(part) for module in modules(networks) for part in module.modules())


def test_initial_weights() -> None:
    """Glorot's variance is 2 / (fan in + fan out), twice that in the 3x3 convolutions of blocks."""
    generator, _ = modules(build("sn-resnet", images(3, 32, 32), generator_width=128))
    upward = generator.upward
    assert upward.blocks[0].conv1.weight.var().item() == pytest.approx(4 / (2 * 128 * 9), rel=0.05)
    assert upward.blocks[0].shortcut.weight.var().item() == pytest.approx(2 / (2 * 128), rel=0.05)
    assert upward.project.weight.var().item() == pytest.approx(2 / (128 + 2048), rel=0.05)
    assert (upward.norm.weight == 1).all()
    assert not any(layer.bias.any() for layer in generator.modules() if isinstance(layer, LAYERS))
    rows = modules(conditional(init="orthogonal", shared_embedding=4))[0].upward.blocks[0].conv1.weight
    assert torch.allclose(rows.flatten(1) @ rows.flatten(1).T, torch.eye(8), atol=1e-5)
    normal = modules(build("sn-resnet", images(1, 16, 16), init="normal"))[0].upward.blocks[0].conv1
    assert normal.weight.std().item() == pytest.approx(0.02, rel=0.05)


# --- attention ----------------------------------------------------------------------------------


def test_attention_starts_as_identity() -> None:
    layer, values = Attention(16), torch.randn(2, 16, 3, 5)
    assert torch.equal(layer(values), values)


def test_attention_is_the_formula_of_the_paper() -> None:
    """Equations 1 to 3, pixel by pixel: beta_ji = exp(f(x_i) g(x_j)) / sum over i, o_j = v(sum beta h)."""
    layer, values = Attention(16), torch.randn(2, 16, 2, 3)
    nn.init.constant_(layer.gamma, 0.7)
    pixels = values.flatten(2)
    f, g, h, v = (part.weight.flatten(1) for part in (layer.key, layer.query, layer.value, layer.out))
    assert f.shape == g.shape == h.shape == (2, 16)
    expected = torch.zeros_like(pixels)
    for n in range(2):
        for j in range(6):
            scores = torch.stack([(f @ pixels[n, :, i]) @ (g @ pixels[n, :, j]) for i in range(6)]).exp()
            mixed = sum((s / scores.sum()) * (h @ pixels[n, :, i]) for i, s in enumerate(scores))
            assert isinstance(mixed, Tensor)
            expected[n, :, j] = 0.7 * (v @ mixed) + pixels[n, :, j]
    assert torch.allclose(layer(values).flatten(2), expected, atol=1e-5)


def test_attention_is_at_the_largest_map_that_is_small_enough() -> None:
    sizes = [(28, 30), (14, 15), (7, 8)]
    assert [attended(sizes, side) for side in (0, 8, 14, 15, 28, 64)] == [-1, 2, 2, 1, 1, 0]
    with pytest.raises(SettingsError, match="7x7 pixels or less") as caught:
        attended(sizes, 7)
    assert caught.value.fix == "architecture.attention=8"


def test_a_discriminator_with_attention_can_be_differentiated_twice() -> None:
    _, discriminator = modules(build("sn-resnet", images(1, 16, 16), **SMALL, attention=8))
    for part in discriminator.modules():
        if isinstance(part, Attention):
            nn.init.ones_(part.gamma)
    image = torch.randn(2, 1, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in discriminator.parameters())


# --- class labels -------------------------------------------------------------------------------


def test_conditional_norm_is_a_gain_and_a_shift_for_each_class() -> None:
    layer, values = ConditionalNorm(4, nn.Embedding(3, 8)), torch.randn(6, 4, 5, 5)
    label = torch.tensor([0, 1, 2, 2, 1, 0])
    normed = nn.functional.batch_norm(values, None, None, training=True)
    table = layer.table.weight[label]
    gain, shift = 1 + table[:, :4, None, None], table[:, 4:, None, None]
    assert torch.allclose(layer(values, label), gain * normed + shift, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"shared_embedding": 4}, {"shared_embedding": 4, "split_latent": True}]
)
def test_both_networks_use_the_label(options: dict[str, Any]) -> None:
    networks = conditional(**options)
    for module in modules(networks):
        module.eval()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, ConditionalNorm) and isinstance(part.table, nn.Embedding):
                    assert not part.table.weight.any()  # every class starts alike
                    part.table.weight.normal_()
    batch = {**inputs(networks, 1), "image": torch.randn(1, 1, 16, 16)}
    for net in (networks.generators["generator"], networks.discriminators["discriminator"]):
        values = [run(net, {**batch, "label": torch.tensor([label])}) for label in range(3)]
        assert not torch.allclose(values[0], values[1])
        assert not torch.allclose(values[1], values[2])


def test_the_label_adds_the_product_of_its_vector_with_the_features() -> None:
    networks = conditional(discriminator_norm="none")
    _, discriminator = modules(networks)
    image, label = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 1])
    features = torch.relu(discriminator.downward.blocks(image)).sum((2, 3))
    expected = discriminator.score(features).flatten() + (discriminator.embed.weight[label] * features).sum(1)
    assert torch.allclose(discriminator(image, label), expected, rtol=1e-4)
    plain = build("sn-resnet", images(1, 16, 16), **SMALL)
    assert plain.discriminators["discriminator"].reads == ("image",)


def test_each_part_of_a_split_latent_enters_at_its_block() -> None:
    networks = conditional((1, 32, 32), latent=14, shared_embedding=4, split_latent=True)
    generator = modules(networks)[0].eval()
    assert generator.parts == [4, 4, 3, 3]
    z, label = torch.randn(1, 14), torch.tensor([1])
    told: list[list[Tensor]] = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: told[-1].append(out.detach()))
        for block in generator.upward.blocks
    ]
    for place in (None, 0, 4, 8, 11):  # in no part, in the first, the second ...
        told.append([])
        moved = z.clone()
        if place is not None:
            moved[0, place] += 1
        generator(moved, label)
    for hook in hooks:
        hook.remove()
    same = [[torch.equal(a, b) for a, b in zip(told[0], other, strict=True)] for other in told[1:]]
    assert same == [[False] * 3, [False] * 3, [True, False, False], [True, True, False]]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (ResnetConfig, {"latent": 0}, "1 or more"),
        (ResnetConfig, {"widening": 0}, "1 or more"),
        (ResnetConfig, {"attention": -1}, "0 or more"),
        (ResnetConfig, {"discriminator_base": 1}, "2 or more"),
        (ConditionalResnetConfig, {"shared_embedding": -1}, "shared_embedding"),
        (ConditionalResnetConfig, {"split_latent": True}, "split_latent needs"),
        (ConditionalResnetConfig, {"generator_width": 0}, "1 or more"),
    ],
)
def test_invalid_options_are_refused(config: type[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**options)


def test_unsuitable_data_and_options_are_refused() -> None:
    with pytest.raises(SettingsError, match="2 latents cannot be split into 3 parts"):
        conditional(latent=2, shared_embedding=4, split_latent=True)
    with pytest.raises(SettingsError, match="4x4 pixels or less"):
        build("sn-resnet", images(1, 16, 16), **SMALL, attention=4)
    for label in (Field(name="label", dtype="int64"), Field(name="label")):
        data = DataInfo(fields=(Field(name="image", shape=(1, 16, 16)), label), count=10)
        with pytest.raises(DataError, match="one class label"):
            build("sn-resnet-conditional", data)


def test_the_ema_decay_of_biggan_is_that_of_the_paper(registry: Registry) -> None:
    plan = resolve("biggan-paper", registry)
    images = plan.train.batch_size * plan.train.n_critic
    assert math.isclose(0.5 ** (images / plan.ema.half_life), 0.9999, rel_tol=1e-9)
