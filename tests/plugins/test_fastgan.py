"""FastGAN's networks: gates, excitation and halvings by their formulas, the authors' widths, the mismatch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from ganzoo.api import DataError, Networks, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo_fastgan.config import FastConfig, ReconstructConfig
from ganzoo_fastgan.networks import Decoder, Discriminator, Excite, Generator, Grow, Halve, build
from ganzoo_fastgan.terms import reconstruct
from tests.plugins.test_architectures import images

SHAPES = [(1, 28, 28), (3, 32, 32), (4, 24, 40), (3, 30, 50), (2, 17, 21), (1, 16, 16), (1, 64, 64)]
SMALL: dict[str, Any] = {"latent": 6, "generator_width": 2, "discriminator_width": 2, "decoder_width": 2}


def nets(*shape: int, bounds: tuple[float, float] | None = (-1.0, 1.0)) -> Networks:
    torch.manual_seed(1)
    return build(FastConfig(**SMALL), images(*shape, bounds=bounds))


def both(networks: Networks) -> tuple[Any, Any]:
    return networks.generators["generator"].module, networks.discriminators["discriminator"].module


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape_and_every_weight_learns(shape: tuple[int, ...]) -> None:
    networks = nets(*shape)
    generator, discriminator = both(networks)
    z, noise = (torch.randn(3, *field.shape) for field in networks.fields)
    made = generator(z, noise)
    assert made.shape == (3, *shape)
    assert made.abs().max() <= 1
    score, mismatch = discriminator(made)
    assert score.ndim == 2
    assert len(score) == 3
    assert mismatch.shape == (3,)
    (score.square().sum() + mismatch.sum()).backward()
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_excitation_is_equation_2() -> None:
    layer = Excite(3, 5)
    small, large = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 9, 7)
    hidden = torch.einsum("ocij,ncij->no", layer.squeeze.weight, small)
    hidden = hidden * hidden.sigmoid()
    gates = (hidden @ layer.gate.weight[:, :, 0, 0].T).sigmoid()
    assert torch.allclose(layer(small, large), large * gates[:, :, None, None], atol=1e-5)


@pytest.mark.parametrize("spectral", [False, True])
def test_spectral_norm_in_g(spectral: bool) -> None:
    """On its convolutions, as in the authors' code: where no norm follows, an image depends on it."""
    torch.manual_seed(1)
    generator, _ = both(build(FastConfig(**SMALL, spectral_generator=spectral), images(3, 32, 32)))
    generator.eval()
    layers = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)]
    assert {generator.to_image, generator.excite[0].gate, generator.blocks[0].convolutions[0]} <= set(layers)
    for layer in layers:
        assert is_parametrized(layer) == spectral
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2).item()
        assert (largest == pytest.approx(1, abs=0.02)) == spectral


@pytest.mark.parametrize("heavy", [False, True])
def test_a_block_of_g(heavy: bool) -> None:
    block = Grow(3, 4, (6, 5), heavy=heavy).eval()
    maps, noise = torch.randn(2, 3, 3, 3), torch.randn(2, 60)
    if heavy:
        with torch.no_grad():
            block.strength.copy_(torch.tensor([0.5, 2.0]))
    expected = maps.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :, :5]
    for k, convolution in enumerate(block.convolutions):
        expected = functional.conv2d(expected, convolution.weight, padding=1)
        if heavy:
            expected = expected + noise.reshape(2, 2, 1, 6, 5)[:, k] * (0.5, 2.0)[k]
        expected = expected / (1 + 1e-5) ** 0.5  # a fresh norm in evaluation
        expected = expected[:, :4] * expected[:, 4:].sigmoid()
    assert len(block.convolutions) == 1 + heavy
    assert torch.allclose(block(maps, noise if heavy else None), expected, atol=1e-5)


def test_halving_is_the_mean_of_two_branches() -> None:
    block = Halve(3, 4).eval()
    maps = torch.randn(2, 3, 5, 6)
    padded = torch.cat([maps, maps[:, :, -1:]], 2)
    expected = (block.main(padded) + block.direct(padded)) / 2
    assert expected.shape == (2, 4, 3, 3)
    assert torch.allclose(block(maps), expected)


def widths(module: nn.Module, kind: type[nn.Module], attribute: str) -> list[tuple[int, int]]:
    """Inputs and outputs of the first convolution of each of these blocks."""
    found = []
    for part in module.modules():
        if isinstance(part, kind):
            layer = getattr(part, attribute)[0]
            found.append((layer.in_channels, layer.out_channels))
    return found


def on_paper(registry: Registry, kind: type[nn.Module], side: int) -> Any:
    """A network of the recipe on the meta device: its layers can be counted, not computed."""
    options = resolve("fastgan-paper", registry).architecture.options
    with torch.device("meta"):
        return kind(options, images(3, side, side).image())


def test_the_paper_recipe_has_the_authors_generator(registry: Registry) -> None:
    """nfc of models.py for ngf 64: 1024 channels at 4x4 down to 8 at 1024x1024; a gate doubles them."""
    generator = on_paper(registry, Generator, 1024)
    ngf = [1024, 512, 256, 128, 128, 64, 32, 16, 8]
    assert generator.base == (2048, 4, 4)
    assert generator.project.in_features == 256
    grown = [(ngf[k], 2 * ngf[k + 1]) for k in range(8)]
    assert widths(generator, Grow, "convolutions") == grown
    assert [len(block.convolutions) for block in generator.blocks] == [2, 1] * 4
    excited = [(layer.squeeze.in_channels, layer.squeeze.out_channels) for layer in generator.excite]
    assert excited == [
        (1024, 128),
        (512, 64),
        (256, 32),
        (128, 16),
    ]  # 4 -> 64, 8 -> 128, 16 -> 256, 32 -> 512
    assert generator.to_image.in_channels == 8


@pytest.mark.parametrize(("side", "stem"), [(256, [(3, 16)]), (512, [(3, 16)]), (1024, [(3, 8), (8, 16)])])
def test_the_paper_recipe_has_the_authors_discriminator(
    registry: Registry, side: int, stem: list[tuple[int, int]]
) -> None:
    discriminator = on_paper(registry, Discriminator, side)

    def plain(module: nn.Module) -> list[tuple[int, int]]:
        return [(x.in_channels, x.out_channels) for x in module.modules() if isinstance(x, nn.Conv2d)]

    assert plain(discriminator.stem) == stem
    ndf = [16, 32, 64, 128, 256, 512]
    assert widths(discriminator, Halve, "main") == [(ndf[k], ndf[k + 1]) for k in range(5)]
    excited = [(layer.squeeze.in_channels, layer.squeeze.out_channels) for layer in discriminator.excite]
    assert excited == [(16, 128), (32, 256), (64, 512)]
    assert plain(discriminator.patches) == [(512, 1024), (1024, 1)]
    assert plain(discriminator.small) == [(3, 32), (32, 64), (64, 128), (128, 256)]
    assert plain(discriminator.small_patches) == [(256, 1)]
    with torch.device("meta"):
        score, _ = discriminator(torch.zeros(2, 3, side, side))
    assert score.shape == (2, 25 + 25)
    decoded = [widths(decoder, Grow, "convolutions") for decoder in discriminator.decoders]
    rest = [(128, 128), (64, 128), (64, 64)]
    assert decoded == [[(512, 256), *rest], [(256, 256), *rest], [(256, 256), *rest]]


def test_small_maps_reach_large_ones_in_small_images_too() -> None:
    generator, discriminator = both(nets(1, 28, 28))
    assert [block.size for block in generator.blocks] == [(14, 14), (28, 28)]
    assert (len(generator.excite), generator.reach) == (1, 2)
    assert (len(discriminator.excite), discriminator.reach) == (1, 2)


def test_noise_strength_starts_at_0_and_each_block_reads_its_own_noise() -> None:
    networks = nets(1, 64, 64)
    generator, _ = both(networks)
    generator.eval()
    assert networks.fields[1].shape == (2 * 8 * 8 + 2 * 32 * 32,)
    z, noise = torch.randn(1, 6), torch.randn(1, *networks.fields[1].shape)
    before = generator(z, noise)
    assert torch.equal(generator(z, torch.zeros_like(noise)), before)
    for block in generator.blocks:
        if block.strength is not None:
            nn.init.ones_(block.strength)
    made = generator(z, noise)
    for start in (0, 64, 128, 1152):
        other = noise.clone()
        other[:, start : start + 32] += 1
        assert not torch.equal(generator(z, other), made)


def test_spectral_norm_is_on_every_convolution_of_d() -> None:
    _, discriminator = both(nets(1, 28, 28))
    assert all(
        is_parametrized(layer)
        for layer in discriminator.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    )


class Fixed(nn.Module):
    """A decoder that always returns the same image."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, features: Tensor) -> Tensor:
        return self.image.expand(len(features), -1, -1, -1)


def test_the_mismatch_is_the_reconstruction_error_of_the_decoders() -> None:
    """Summed over decoders, each against the decoded in its size, in units of -1..1."""
    networks = nets(1, 28, 28, bounds=(0.0, 255.0))
    _, discriminator = both(networks)
    assert [isinstance(part, Decoder) for part in discriminator.decoders] == [True] * 3
    image = torch.rand(2, 1, 28, 28) * 255
    drawn = [torch.rand(1, 1, side, side) * 2 - 1 for side in (14, 28, 14)]
    with torch.no_grad():
        shapes = [
            tuple(d(torch.zeros(1, c, 7 * k, 7 * k)).shape[1:])
            for d, c, k in zip(discriminator.decoders, (16, 8, 8), (1, 2, 1), strict=True)
        ]
    assert shapes == [(1, 14, 14), (1, 28, 28), (1, 14, 14)]
    discriminator.decoders = nn.ModuleList(Fixed(decoded) for decoded in drawn)
    _, mismatch = discriminator(image)
    unit = image / 127.5 - 1
    halved = functional.avg_pool2d(unit, 2)
    expected = sum(
        (decoded - (unit if decoded.shape[2] == 28 else halved)).abs().mean((1, 2, 3)) for decoded in drawn
    )
    assert isinstance(expected, Tensor)
    assert torch.allclose(mismatch, expected, atol=1e-5)


class View:
    """One step of D that wrote these outputs for real samples."""

    def __init__(self, **outputs: Tensor) -> None:
        self.real_outputs = outputs


def test_reconstruct_is_the_mean_mismatch_of_real_samples() -> None:
    view: Any = View(score=torch.zeros(3), mismatch=torch.tensor([1.0, 2.0, 6.0]))
    assert reconstruct(ReconstructConfig(weight=0.5))(view).item() == pytest.approx(1.5)


def test_reconstruct_names_what_it_needs() -> None:
    view: Any = View(score=torch.zeros(3))
    with pytest.raises(SettingsError, match="writes `mismatch`"):
        reconstruct(ReconstructConfig())(view)


def test_invalid_options_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        FastConfig(decoder_width=0)
    with pytest.raises(ValueError, match="0 or more"):
        ReconstructConfig(weight=-1.0)


def test_small_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 16x16"):
        nets(1, 15, 16)
