"""StyleGAN2: modulation, filters, truncation, mixing and path lengths by their formulas; config F."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Batch, Bounded, DataError, Fir, Networks, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry, factory_of
from ganzoo_stylegan2.config import PathLengthConfig, StyleConfig
from ganzoo_stylegan2.layers import (
    Modulated,
    Scaled,
    ScaledConv,
    Styled,
    activated,
    with_minibatch_deviation,
)
from ganzoo_stylegan2.networks import build
from ganzoo_stylegan2.terms import path_length
from tests.plugins.test_architectures import images

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 24, 40), (3, 30, 50), (2, 9, 21), (1, 8, 8)]


def nets(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0), **options: Any) -> Networks:
    torch.manual_seed(1)
    small = {"latent": 6, "style": 5, "generator_width": 4, "discriminator_width": 4}
    return build(StyleConfig(**{**small, **options}), images(*shape, bounds=bounds))


def generator_of(networks: Networks) -> Any:
    return networks.generators["generator"].module


def inputs(networks: Networks, n: int, psi: float = 1.0) -> dict[str, Tensor]:
    drawn = {field.name: torch.randn(n, *field.shape) for field in networks.fields}
    return {**drawn, "shift": torch.zeros_like(drawn["shift"]), "psi": torch.full((n,), psi)}


# --- layers -------------------------------------------------------------------------------------


def upsampled(maps: Tensor, padding: int) -> Tensor:
    """Zeros between the pixels, then the filter with twice its sum in each direction."""
    n, c, h, w = maps.shape
    spaced = torch.zeros(n, c, 2 * h, 2 * w)
    spaced[:, :, ::2, ::2] = maps
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    spaced = functional.pad(spaced, (2, padding, 2, padding))
    kernel = torch.outer(row, row).expand(c, 1, 4, 4)
    return functional.conv2d(spaced, kernel, groups=c)


def test_the_filter_doubles_and_halves() -> None:
    maps = torch.randn(2, 3, 5, 4)
    assert torch.allclose(Fir(up=True)(maps), upsampled(maps, 1), atol=1e-6)
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(row, row).expand(3, 1, 4, 4)
    halved = functional.conv2d(functional.pad(maps, (1, 1, 1, 1)), kernel, stride=2, groups=3)
    assert torch.allclose(Fir(stride=2)(maps), halved, atol=1e-6)
    ones = torch.ones(1, 1, 8, 8)
    for layer in (Fir(up=True), Fir(stride=2), Fir(padding=2)):
        assert torch.allclose(layer(ones)[:, :, 2, 2], torch.tensor(1.0))  # away from the edges


def test_in_bf16_the_filter_computes_in_float32() -> None:
    maps = torch.randn(2, 3, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = Fir(up=True)(maps.bfloat16())
    assert made.dtype == torch.bfloat16
    assert torch.equal(made, Fir(up=True)(maps.bfloat16().float()).bfloat16())


@pytest.mark.parametrize("up", [False, True])
def test_modulation_is_that_of_the_weights(up: bool) -> None:
    """Equations 1 and 3: weights times styles over their norm, for each sample by itself."""
    layer = Modulated(3, 4, 3, 5, up=up)
    maps, style = torch.randn(2, 3, 6, 7), torch.randn(2, 5)
    made = layer(maps, style)
    for n in range(2):
        scale = layer.to_scale.weight @ style[n] / sqrt(5) + 1
        weight = layer.weight * scale[None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        if up:
            raw = functional.conv_transpose2d(maps[n : n + 1], weight.transpose(0, 1), stride=2)
            row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
            kernel = torch.outer(row, row).expand(4, 1, 4, 4)
            expected = functional.conv2d(raw, kernel, padding=1, groups=4)
        else:
            expected = functional.conv2d(maps[n : n + 1], weight, padding=1)
        assert made.shape[2:] == ((12, 14) if up else (6, 7))
        assert torch.allclose(made[n : n + 1], expected, atol=1e-5)


def test_without_demodulation_the_size_of_a_style_counts() -> None:
    layer = Modulated(3, 2, 1, 5, demodulate=False)
    maps, style = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    scale = style @ layer.to_scale.weight.T / sqrt(5) + 1
    expected = torch.einsum("oi,ni,nihw->nohw", layer.weight[:, :, 0, 0] / sqrt(3), scale, maps)
    assert torch.allclose(layer(maps, style), expected, atol=1e-5)


def test_scaled_weights_have_the_rate_of_their_layer() -> None:
    """The same function at any rate; a step of Adam changes each weight by rate * lr / sqrt(inputs)."""
    for rate in (1.0, 0.01):
        layer = Scaled(400, 300, rate=rate)
        used = (layer.weight * layer.gain).detach().clone()
        assert used.std().item() == pytest.approx(1 / 20, rel=0.02)
        vector = torch.randn(2, 400)
        assert torch.allclose(layer(vector), vector @ used.T, atol=1e-4)
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
        layer(vector).sum().backward()
        optimiser.step()
        moved = (layer.weight * layer.gain - used).abs()
        assert moved.median().item() == pytest.approx(0.1 * rate / 20, rel=0.01)
        assert (layer.bias * rate).abs().median().item() == pytest.approx(0.1 * rate, rel=0.01)


def test_convolutions_of_d_halve_after_the_filter() -> None:
    maps = torch.randn(2, 3, 8, 6)
    for kernel in (1, 3):
        layer = ScaledConv(3, 5, kernel, down=True)
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        blurred = functional.conv2d(
            functional.pad(maps, (kernel // 2 + 1,) * 4), torch.outer(row, row).expand(3, 1, 4, 4), groups=3
        )
        weight = layer.weight / sqrt(3 * kernel**2)
        expected = functional.conv2d(blurred, weight, stride=2)
        assert layer(maps).shape == (2, 5, 4, 3)
        assert torch.allclose(layer(maps), expected, atol=1e-5)


def test_the_activation_keeps_the_size() -> None:
    assert torch.allclose(activated(torch.tensor([2.0, -1.0])), torch.tensor([2 * sqrt(2), -0.2 * sqrt(2)]))


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (7, 1), (8, 4)])
def test_the_minibatch_deviation_is_that_of_a_group(count: int, size: int) -> None:
    maps = torch.randn(count, 2, 3, 3)
    made = with_minibatch_deviation(maps, 4)
    assert torch.equal(made[:, :2], maps)
    for n in range(count):
        together = maps[n % (count // size) :: count // size]
        assert len(together) == size
        expected = together.std(0, correction=0).mean() if size > 1 else torch.tensor(1e-4)
        assert torch.allclose(made[n, 2], expected.expand(3, 3), atol=1e-5)


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape_and_every_weight_learns(shape: tuple[int, ...]) -> None:
    networks = nets(*shape)
    batch = inputs(networks, 3)
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    made = generator.module(*(batch[name] for name in generator.reads))
    assert made.shape == (3, *shape)
    score = discriminator.module(made)
    assert score.shape == (3,)
    score.square().sum().backward()
    for net in (generator, discriminator):
        for name, parameter in net.module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("output", ["clip", "tanh"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.0, 5.0), None])
def test_images_stay_in_the_range_of_the_field(output: str, bounds: tuple[float, float] | None) -> None:
    networks = nets(1, 8, 8, bounds=bounds, output=output)
    module = generator_of(networks).eval()
    nn.init.constant_(module.biases, 50.0)
    made = module(*inputs(networks, 2).values())
    assert made.max().item() == (pytest.approx(100, abs=20) if bounds is None else pytest.approx(bounds[1]))


def test_clipping_is_for_evaluation_only() -> None:
    layer, values = Bounded((-3.0, 5.0), "clip"), torch.tensor([-2.0, -1.0, 0.0, 0.5, 2.0])
    assert layer(values).tolist() == [-7, -3, 1, 3, 9]
    assert layer.eval()(values).tolist() == [-3, -3, 1, 3, 5]


def test_psi_goes_from_the_mean_style_to_the_samples_own() -> None:
    networks = nets(1, 16, 16)
    module = generator_of(networks)
    nn.init.normal_(module.average)
    z = torch.randn(3, 6)
    training = generator_of(nets(1, 16, 16, style_mixing=0.0)).train()
    assert torch.equal(training.styles(z, torch.zeros(3)), training.styles(z, torch.ones(3)))
    module.eval()
    own = module.mapping(z)
    for psi in (0.0, 0.7, 1.0, 1.5):
        expected = module.average + psi * (own - module.average)
        styles = module.styles(z, torch.full((3,), psi))
        assert torch.allclose(styles, expected[:, None].expand(-1, module.count, -1), atol=1e-6)
    batch = inputs(networks, 3, psi=0.0)
    batch["noise"] = batch["noise"][:1].expand(3, -1)
    made = module(*batch.values())
    assert torch.allclose(made[0], made[1], atol=1e-6)  # psi = 0: one image for all z


def test_the_mean_style_follows_in_training_only() -> None:
    module = generator_of(nets(1, 8, 8, average=0.9))
    z = torch.randn(4, 6)
    mean = module.mapping(z).detach().mean(0)
    module.styles(z, torch.ones(4))
    assert torch.allclose(module.average, 0.1 * mean, atol=1e-6)
    module.styles(z, torch.ones(4))
    assert torch.allclose(module.average, 0.19 * mean, atol=1e-6)
    module.eval()
    module.styles(z, torch.ones(4))
    assert torch.allclose(module.average, 0.19 * mean, atol=1e-6)


def test_mixing_crosses_once_from_a_samples_style_to_another() -> None:
    module = generator_of(nets(1, 32, 32, style_mixing=1.0))
    z = torch.randn(400, 6)
    own = module.mapping(z)
    styles = module.styles(z, torch.ones(400))
    first = (styles == own[:, None]).all(2)
    assert first[:, 0].all()
    assert not first[:, -1].any()
    crossings = first.sum(1)  # 1..layers - 1, each equally likely
    for k, layers in enumerate(first):
        assert layers[: crossings[k]].all()
        rest = styles[k, crossings[k] :]
        assert torch.equal(rest, rest[:1].expand_as(rest))
    counts = torch.bincount(crossings, minlength=module.count)[1:]
    assert len(counts) == module.count - 1
    assert counts.min() > 400 / len(counts) / 2


@pytest.mark.parametrize(("chance", "low", "high"), [(0.0, 0, 0), (0.5, 0.35, 0.65)])
def test_style_mixing_has_the_given_probability(chance: float, low: float, high: float) -> None:
    module = generator_of(nets(1, 16, 16, style_mixing=chance))
    z = torch.randn(200, 6)
    styles = module.styles(z, torch.ones(200))
    mixed = (styles[:, 0] != styles[:, -1]).any(1).float().mean().item()
    assert low <= mixed <= high


def test_each_layer_has_its_own_part_of_the_noise_and_its_own_shift() -> None:
    networks = nets(1, 12, 20)
    module = generator_of(networks).eval()
    for layer in module.layers:
        nn.init.ones_(layer.strength)
    batch = inputs(networks, 1)
    assert [layer.size for layer in module.layers] == [(6, 10), (12, 20), (12, 20)]
    assert networks.fields[1].shape == (60 + 240 + 240,)
    assert networks.fields[2].shape == (4, 5)
    made = module(*batch.values())
    for start in (0, 60, 300):
        other = {**batch, "noise": batch["noise"].clone()}
        other["noise"][:, start : start + 60] += 1
        assert not torch.allclose(module(*other.values()), made)
    for place in range(4):
        shift = torch.zeros(1, 4, 5)
        shift[:, place] = 1
        assert not torch.allclose(module(*{**batch, "shift": shift}.values()), made)


def test_noise_starts_without_strength_and_learns_at_its_rate() -> None:
    networks = nets(1, 16, 16)
    module = generator_of(networks).eval()
    layer = Styled(3, 4, 5, (6, 6), up=False, noise=0.1)
    maps, style, noise = torch.randn(2, 3, 6, 6), torch.randn(2, 5), torch.randn(2, 36)
    nn.init.constant_(layer.strength, 2.0)
    expected = activated(layer.conv(maps, style) + 0.2 * noise.reshape(2, 1, 6, 6))
    assert torch.allclose(layer(maps, style, noise), expected, atol=1e-6)
    batch = inputs(networks, 2)
    other = {**batch, "noise": torch.randn_like(batch["noise"])}
    assert torch.equal(module(*batch.values()), module(*other.values()))


def test_the_paper_recipe_is_config_f(registry: Registry) -> None:
    """Widths and weights as in the authors' code: min(32768 / resolution, 512) channels, w and z of 512."""
    plan = resolve("stylegan2-paper", registry)
    with torch.device("meta"):
        networks = factory_of(plan.architecture.item)(plan.architecture.options, images(3, 1024, 1024))
    generator = generator_of(networks)
    widths = {2**k: min(32768 // 2**k, 512) for k in range(2, 11)}
    layers = [
        (layer.conv.weight.shape[0], layer.size[0])
        for layer in generator.modules()
        if isinstance(layer, Styled)
    ]
    assert layers == [(512, 4), *((widths[side], side) for side in list(widths)[1:] for _ in range(2))]
    mapping, affine = 8 * 513 * 512, 513
    total = mapping + 512 * 16

    def conv(inputs: int, outputs: int) -> int:
        return affine * inputs + 9 * inputs * outputs + outputs + 1  # bias, strength of the noise

    total += conv(512, 512)
    for side in list(widths)[1:]:
        total += conv(widths[side // 2], widths[side]) + conv(widths[side], widths[side])
    total += sum(affine * width + 3 * width + 3 for width in widths.values())
    assert sum(value.numel() for value in generator.parameters()) == total
    assert networks.fields[2].shape == (18, 512)

    discriminator = networks.discriminators["discriminator"].module
    total = 3 * 32 + 32
    for side in list(widths)[:0:-1]:
        inner, outer = widths[side], widths[side // 2]
        total += 9 * inner * inner + inner + 9 * inner * outer + outer + inner * outer
    total += 9 * 513 * 512 + 512 + 512 * 16 * 512 + 512 + 513
    assert sum(value.numel() for value in discriminator.parameters()) == total


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": 0}, "1 or more"),
        ({"group": 0}, "1 or more"),
        ({"generator_width": 0}, "widths"),
        ({"discriminator_width": 600}, "widest"),
        ({"mapping_rate": 0.0}, "mapping_rate"),
        ({"noise": -1.0}, "noise"),
        ({"style_mixing": 1.5}, "style_mixing"),
        ({"average": 1.0}, "average"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StyleConfig(**options)


def test_small_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 8x8"):
        nets(1, 7, 16)


# --- path lengths -------------------------------------------------------------------------------


class View:
    """A game with a linear generator: the image is the sum of each layer's style times a matrix."""

    written = ("image",)

    def __init__(self, n: int = 4, layers: int = 3) -> None:
        self.matrices = torch.randn(layers, 5, 2 * 3 * 3)
        self.noise: Batch = {"z": torch.randn(n, 7), "shift": torch.zeros(n, layers, 5)}
        self.real: Batch = {"image": torch.zeros(n, 2, 3, 3)}
        self.fake = self.real
        self.direction = torch.randn(n, 2, 3, 3)
        self.rows: list[int] = []

    def generate(self, batch: Batch) -> Batch:
        self.rows.append(len(batch["z"]))
        assert {len(value) for value in batch.values()} == {len(batch["z"])}
        image = torch.einsum("nls,lsp->np", batch["shift"], self.matrices)
        return {"image": image.unflatten(1, (2, 3, 3))}

    def normal(self, *shape: int, per_sample: bool = False) -> Tensor:
        assert shape == self.direction.shape
        assert per_sample
        return self.direction

    def lengths(self, count: int) -> Tensor:
        slopes = torch.einsum("np,lsp->nls", self.direction[:count].flatten(1) / 3, self.matrices)
        return slopes.square().sum(2).mean(1).sqrt()


def test_path_length_is_equation_4() -> None:
    view, term = View(), path_length(PathLengthConfig(weight=3.0, decay=0.1))
    lengths, mean = view.lengths(2), torch.tensor(0.0)
    for _ in range(3):
        mean = mean + 0.1 * (lengths.mean() - mean)
        assert term(view).item() == pytest.approx(3 * (lengths - mean).square().mean().item(), rel=1e-4)
        assert term.mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert view.rows == [2, 2, 2]


def test_path_length_can_use_every_sample() -> None:
    view, term = View(), path_length(PathLengthConfig(shrink=1, decay=1.0))
    lengths = view.lengths(4)
    assert term(view).item() == pytest.approx(2 * lengths.var(correction=0).item(), rel=1e-4)
    one = path_length(PathLengthConfig(shrink=9))
    one(view)
    assert view.rows == [4, 1]


def test_path_length_names_what_it_needs() -> None:
    view = View()
    view.noise = {"z": torch.zeros(4, 7)}
    with pytest.raises(SettingsError, match="reads 'shift'"):
        path_length(PathLengthConfig())(view)


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"decay": 0.0}, {"shrink": 0}])
def test_invalid_options_of_the_penalty_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="weight must be 0 or more"):
        PathLengthConfig(**options)


def test_the_embedded_data_changes_nothing(registry: Registry) -> None:
    plan = resolve("stylegan2", registry)
    assert plan.fitted(images(1, 28, 28)).settings() == plan.settings()


@pytest.mark.parametrize(("side", "width"), [(32, 16), (64, 8), (128, 4), (1024, 4)])
def test_larger_images_get_narrower_networks_and_lower_rates(
    registry: Registry, side: int, width: int
) -> None:
    plan = resolve("stylegan2", registry).fitted(images(3, side, side + 4))
    options = plan.architecture.options
    assert (options.generator_width, options.discriminator_width, options.output) == (width, width, "clip")
    assert (plan.generator.lr, plan.discriminator.lr, plan.train.batch_size) == (5e-3, 5e-3, 16)
    mine = {"generator.lr": "linear 1e-2 -> 0", "generator.decay": "none", "train.batch_size": 8}
    own = resolve("stylegan2", registry, overrides=mine)
    assert own.fitted(images(3, side, side)).generator.lr == own.generator.lr
    assert own.fitted(images(3, side, side)).train.batch_size == 8
