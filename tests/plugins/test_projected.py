"""Projected GAN: the fixed network is the one of the scores, mixing by its formula, nothing fixed learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from ganzoo.api import PIXELS, DataError, DataInfo, Field, Networks
from ganzoo_extractors.efficientnet import MEAN, STD, build_model
from ganzoo_extractors.weights import read_weights
from ganzoo_projected.config import ProjectedConfig
from ganzoo_projected.features import SCALES, Lite0, Projector, random_convolution
from ganzoo_projected.networks import build
from ganzoo_projected.rules import suits
from tests.plugins.test_architectures import images

SMALL: dict[str, Any] = {"latent": 6, "generator_width": 2, "discriminator_width": 4, "mix_width": 4}


def nets(*shape: int, **options: Any) -> Networks:
    torch.manual_seed(1)
    return build(ProjectedConfig(**{**SMALL, **options}), images(*shape))


def both(networks: Networks) -> tuple[Any, Any]:
    return networks.generators["generator"].module, networks.discriminators["discriminator"].module


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 30, 50), (1, 80, 72)])
def test_images_of_any_shape_and_every_weight_learns(shape: tuple[int, ...]) -> None:
    networks = nets(*shape)
    generator, discriminator = both(networks)
    z, noise = (torch.randn(3, *field.shape) for field in networks.fields)
    made = generator(z, noise)
    assert made.shape == (3, *shape)
    score = discriminator(made)
    assert score.ndim == 2
    assert len(score) == 3
    score.square().sum().backward()
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("block", [10, 15])
def test_the_fixed_network_is_that_of_the_scores(block: int) -> None:
    """In torch as in the graph that onnxruntime runs."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    session = onnxruntime.InferenceSession(build_model(read_weights(), block).SerializeToString())
    (expected,) = session.run(None, {"pixels": pixels})
    values = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    normalised = (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    maps = Lite0()(normalised)[list(SCALES).index(block)]
    assert torch.allclose(maps.mean((2, 3)), torch.from_numpy(expected), rtol=1e-3, atol=1e-4)


def test_four_scales() -> None:
    projector = Projector(4, 64, (-1.0, 1.0))
    found = projector(torch.rand(2, 3, 96, 64))
    assert [maps.shape[1:] for maps in found] == [(4, 24, 16), (4, 12, 8), (8, 6, 4), (16, 3, 2)]
    assert [maps.shape[1] for maps in found] == projector.widths


def test_small_images_are_enlarged_and_gray_is_a_colour() -> None:
    projector = Projector(4, 64, (0.0, 1.0))
    gray = torch.rand(2, 1, 16, 20)
    large = functional.interpolate(gray.expand(-1, 3, -1, -1), (64, 80), mode="bilinear")
    for one, other in zip(projector(gray), projector(large), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_mixing_goes_from_coarse_to_fine() -> None:
    """Each result is a convolution of a scale's mixed channels plus the enlarged coarser result."""
    torch.manual_seed(2)
    projector = Projector(2, 64, (-1.0, 1.0))
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    features = projector.net((127.5 * (image + 1) - 127) / 128)
    coarser: Tensor | None = None
    for scale in (3, 2, 1, 0):
        one, three = projector.channels[scale].weight, projector.scales[scale].weight
        mixed = torch.einsum("oi,nihw->nohw", one[:, :, 0, 0], features[scale])
        if coarser is not None:
            mixed = mixed + functional.interpolate(coarser, scale_factor=2, mode="bilinear")
        coarser = functional.conv2d(mixed, three, padding=1)
        assert torch.allclose(projector(image)[scale], coarser, rtol=1e-3, atol=1e-3)


def test_random_weights_keep_the_size_of_a_signal() -> None:
    """Kaiming without an activation: variance 1 / (inputs * kernel^2)."""
    torch.manual_seed(3)
    weight = random_convolution(64, 128, 3).weight
    assert weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.05)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)


def test_only_the_heads_learn_and_checkpoints_are_small() -> None:
    """The ImageNet network is no parameter and in no state; the random mixing is in the state."""
    _, discriminator = both(nets(3, 64, 64))
    assert not [name for name, _ in discriminator.named_parameters() if not name.startswith("heads.")]
    saved = {name for name in discriminator.state_dict() if not name.startswith("heads.")}
    assert saved == {
        f"projector.{kind}.{scale}.weight" for kind in ("channels", "scales") for scale in range(4)
    }
    before = {name: value.clone() for name, value in discriminator.named_buffers() if "projector" in name}
    assert sum(value.numel() for value in before.values()) > 2_900_000
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.1)
    image = torch.rand(4, 3, 64, 64, requires_grad=True)
    discriminator(image).mean().backward()
    optimizer.step()
    assert image.grad is not None
    assert image.grad.abs().min() > 0  # through the fixed network, to every pixel
    for name, value in discriminator.named_buffers():
        assert name not in before or torch.equal(value, before[name]), name


def test_other_random_mixing_for_another_seed_and_the_same_for_the_same() -> None:
    first, again = (both(nets(3, 32, 32))[1].projector.scales[0].weight for _ in range(2))
    assert torch.equal(first, again)
    torch.manual_seed(7)
    other = both(build(ProjectedConfig(**SMALL), images(3, 32, 32)))[1].projector.scales[0].weight
    assert not torch.equal(first, other)


def test_scores_of_four_scales_under_spectral_norm() -> None:
    """4x4 places at strides 4, 8 and 16 of 64 pixels, and the 2x2 that there are at stride 32."""
    _, discriminator = both(nets(3, 64, 64))
    assert discriminator(torch.rand(2, 3, 64, 64)).shape == (2, 3 * 16 + 4)
    layers = [layer for layer in discriminator.heads.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 3 + 2 + 2 + 2
    for layer in layers:
        assert is_parametrized(layer)
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2).item()
        assert largest == pytest.approx(1, abs=0.05)


def test_features_are_the_same_in_a_bf16_run() -> None:
    projector, image = Projector(2, 64, (-1.0, 1.0)), torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = projector(image.bfloat16())
    exact = projector(image.bfloat16().float())
    assert all(torch.equal(one, other) for one, other in zip(found, exact, strict=True))


def test_transparent_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"gray or RGB"):
        nets(4, 32, 32)


def test_it_suits_pictures_but_not_more_than_a_quick_recipe() -> None:
    def picture(*shape: int) -> DataInfo:
        return DataInfo(fields=(Field(name="image", shape=shape, axes=PIXELS),), count=9)

    assert suits(picture(3, 64, 64)) == suits(picture(1, 32, 40)) == 0.4
    assert suits(picture(3, 28, 28)) == suits(picture(4, 64, 64)) == 0
    assert suits(DataInfo(fields=(Field(name="row", shape=(2,)),), count=9)) == 0
