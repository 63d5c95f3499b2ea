"""StyleGAN3 and progressive GANs as architectures: their layers by formulas, images of any size, training."""

from __future__ import annotations

from math import pi
from typing import Any

import pytest
import torch
from torch import Tensor

from ganzoo.api import DataError, Networks
from ganzoo_stylegan2.aliasfree import build, lowpass, signals
from ganzoo_stylegan2.config import AliasFreeConfig, ProgressiveConfig, StyleConfig
from ganzoo_stylegan2.networks import build as build_stylegan2
from ganzoo_stylegan2.progressive import build as build_pggan
from tests.plugins.test_architectures import images

SMALL: dict[str, Any] = {
    "latent": 6, "style": 5, "generator_width": 4, "discriminator_width": 4, "widest": 8, "layers": 5,
}  # fmt: skip
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 9, 21), (1, 8, 8)]


def nets(*shape: int, **options: Any) -> Networks:
    torch.manual_seed(1)
    return build(AliasFreeConfig(**{**SMALL, **options}), images(*shape))


def inputs(networks: Networks, n: int, **given: Tensor) -> list[Tensor]:
    torch.manual_seed(2)
    values = {"z": torch.randn(n, 6), "label": torch.arange(n) % 3, "psi": torch.ones(n), **given}
    shapes = {field.name: field.shape for field in networks.fields}
    reads = networks.generators["generator"].reads
    return [values.get(name, torch.zeros(n, *shapes.get(name, ()))) for name in reads]


def learns(networks: Networks, batch: list[Tensor], shape: tuple[int, ...]) -> None:
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    made = generator.module(*batch)
    assert made.shape == (len(batch[0]), *shape)
    labels = [batch[-1]] if "label" in discriminator.reads else []
    score = discriminator.module(made, *labels)
    assert score.shape == (len(made),)
    score.square().sum().backward()
    for net in (generator, discriminator):
        for name, parameter in net.module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"kernel": 1, "radial": True, "conditional": True}])
def test_images_of_any_shape_and_every_weight_learns(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    networks = nets(*shape, **options)
    learns(networks, inputs(networks, 3), shape)


@pytest.mark.parametrize("shape", [*SHAPES, (4, 24, 40)])
def test_pggan_makes_images_of_any_shape(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    config = ProgressiveConfig(latent=6, generator_width=4, discriminator_width=4)
    networks = build_pggan(config, images(*shape))
    learns(networks, [torch.randn(3, 6)], shape)


def test_pggan_normalises_every_pixel() -> None:
    """z, and what follows it, counts by its direction only."""
    torch.manual_seed(1)
    networks = build_pggan(ProgressiveConfig(latent=6, generator_width=4), images(1, 16, 16))
    generator, z = networks.generators["generator"].module.eval(), torch.randn(2, 6)
    assert torch.allclose(generator(z), generator(3 * z), atol=1e-5)


def test_the_layers_are_those_of_the_paper() -> None:
    """Configuration T at 1024 pixels: the names of NVIDIA's layers are L<index>_<size>_<channels>."""
    config = AliasFreeConfig(generator_width=32, discriminator_width=32, widest=512)
    plan = signals(config, 1024, 3)
    sizes = [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024]
    channels = [512, 512, 512, 512, 512, 512, 512, 323, 203, 128, 81, 51, 32, 32, 3]
    assert [signal.size for signal in plan] == sizes
    assert [signal.channels for signal in plan] == channels
    assert plan[0].cutoff == 2
    assert plan[-1].cutoff == 512


def test_filters_keep_low_frequencies_and_remove_high_ones() -> None:
    signal = signals(AliasFreeConfig(), 64, 3)[7]
    rate = 2 * signal.rate
    places = torch.arange(12) - 5.5
    for kernel in (lowpass(12, signal, rate), lowpass(12, signal, rate, radial=True).sum(0)):
        assert kernel.sum().item() == pytest.approx(1, abs=1e-5)

        def gain(frequency: float, row: Tensor = kernel) -> float:
            return float((row * (2 * pi * frequency / rate * places).cos()).sum())

        assert gain(signal.cutoff / 8) > 0.98
        assert abs(gain(signal.cutoff + 2 * signal.half_width)) < 0.02


def picture(networks: Networks, **given: Tensor) -> Tensor:
    with torch.no_grad():
        made: Tensor = networks.generators["generator"].module.eval()(*inputs(networks, 1, **given))
    return made


def test_translating_moves_the_image() -> None:
    """By four pixels of 32: the same as cutting out another part. Filters are not ideal, so not exactly."""
    networks = nets(3, 32, 32, output="clip")
    first = picture(networks)
    moved = picture(networks, translate=torch.tensor([[4 / 32, 0.0]]))
    inner, spread = slice(6, 26), first.std()
    assert (moved[..., 10:28] - first[..., 6:24]).abs()[:, :, inner].mean() < 0.05 * spread
    assert (moved[..., 10:28] - first[..., 10:28]).abs()[:, :, inner].mean() > 0.3 * spread


def test_rotating_turns_the_image() -> None:
    """Configuration R turns by 90 degrees as the finished image does."""
    networks = nets(3, 32, 32, kernel=1, radial=True)
    first = picture(networks)
    turned = picture(networks, rotate=torch.tensor([90.0]))
    errors = [(turned - first.rot90(times, (2, 3)))[..., 4:28, 4:28].abs().mean() for times in (0, 1, 3)]
    assert min(errors[1:]) < 0.1 * first.std()
    assert errors[0] > 0.3 * first.std()


def test_magnitudes_follow_the_inputs_of_each_layer_in_training_only() -> None:
    networks = nets(1, 16, 16, magnitude=0.9)
    generator: Any = networks.generators["generator"].module
    batch = inputs(networks, 4)
    maps = generator.input(generator.mapping(batch[0]), torch.zeros(4), torch.zeros(4, 2))
    before = generator.layers[0].magnitude.item()
    generator.eval()(*batch)
    assert generator.layers[0].magnitude.item() == before
    generator.train()(*batch)
    expected = 0.9 * before + 0.1 * maps.square().mean().item()
    assert generator.layers[0].magnitude.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("make", [build, build_stylegan2])
def test_classes_change_image_and_score(make: Any) -> None:
    config = AliasFreeConfig(**SMALL, conditional=True)
    if make is build_stylegan2:
        options = {key: value for key, value in SMALL.items() if key != "layers"}
        config = StyleConfig(**options, conditional=True, noise_input=False)
    torch.manual_seed(1)
    networks = make(config, images(1, 16, 16))
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    z = torch.randn(1, 6).expand(2, -1)
    same = [torch.tensor([1, 1]), torch.tensor([0, 2])]
    generator.module.eval()
    made = [generator.module(*inputs(networks, 2, z=z, label=label)) for label in same]
    assert torch.allclose(made[0][0], made[0][1], atol=1e-5)
    assert not torch.allclose(made[1][0], made[1][1], atol=1e-3)
    image = torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    scores = [discriminator.module(image, label) for label in same]
    assert torch.allclose(scores[0][0], scores[0][1], atol=1e-5)
    assert not torch.allclose(scores[1][0], scores[1][1], atol=1e-4)


def test_classes_need_labels() -> None:
    data = images(1, 16, 16)
    with pytest.raises(DataError, match="one class label"):
        build(AliasFreeConfig(**SMALL, conditional=True), type(data)(fields=data.fields[:1], count=1))


def test_constant_noise_is_stored_with_the_weights() -> None:
    config = StyleConfig(latent=6, style=5, generator_width=4, discriminator_width=4, noise_input=False)
    torch.manual_seed(1)
    networks = build_stylegan2(config, images(1, 16, 16))
    module = networks.generators["generator"].module.eval()
    assert [field.name for field in networks.fields] == ["z", "shift", "psi"]
    batch = inputs(networks, 2)
    first = module(*batch)
    with torch.no_grad():
        for layer in module.layers:
            layer.strength.fill_(1.0)
    second = module(*batch)
    assert not torch.allclose(first, second, atol=1e-3)
    module.noise.zero_()
    assert torch.allclose(module(*batch), first, atol=1e-6)
    assert "noise" in module.state_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"critical": 5}, "critical"),
        ({"critical": 0}, "critical"),
        ({"first_cutoff": 0.0}, "cutoff"),
        ({"taps": 1}, "taps"),
        ({"margin": -1}, "margin"),
        ({"magnitude": 1.0}, "magnitude"),
        ({"discriminator_widest": 2}, "widest"),
        ({"clamp": -1.0}, "clamp"),
        ({"label_layers": 0}, "1 or more"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AliasFreeConfig(**{**SMALL, **options})


@pytest.mark.parametrize("options", [{"latent": 0}, {"group": 0}, {"generator_width": 600}])
def test_invalid_options_of_pggan_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ProgressiveConfig(**options)
