"""Generators of `dcgan` whose maps have no woven texture."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Crop, doubling
from ganzoo.config.resolve import resolve
from ganzoo.exporting.from_run import export_run
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_dcgan.layers import Skips, double_bilinearly, halve_by_means


def small_kernel(layer: nn.Module) -> Tensor:
    """What the layer's kernel is computed from."""
    return layer.get_parameter("parametrizations.weight.original")


def test_a_filtered_transposed_convolution_is_bilinear_doubling_and_a_convolution() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1)
    double_bilinearly(layer)
    maps = torch.zeros(2, 3, 7, 6)
    maps[:, :, 1:-1, 1:-1] = torch.randn(2, 3, 5, 4)
    doubled = torch.zeros(2, 3, 14, 12)  # values at the even places, and between them their means
    doubled[:, :, ::2, ::2] = maps
    doubled[:, :, 1:-1:2] = (doubled[:, :, :-2:2] + doubled[:, :, 2::2]) / 2
    doubled[:, :, :, 1:-1:2] = (doubled[:, :, :, :-2:2] + doubled[:, :, :, 2::2]) / 2
    kernel = small_kernel(layer).transpose(0, 1).flip(2, 3)
    assert kernel.shape == (4, 3, 2, 2)
    expected = functional.conv2d(functional.pad(doubled, (1, 0, 1, 0)), kernel, layer.bias)
    torch.testing.assert_close(layer(maps), expected)


def test_a_filtered_convolution_is_a_convolution_and_a_mean() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 4, stride=2, padding=1)
    halve_by_means(layer)
    maps = torch.randn(2, 3, 8, 6)
    expected = functional.conv2d(maps, small_kernel(layer), layer.bias, padding=1)
    torch.testing.assert_close(layer(maps), functional.avg_pool2d(expected, 2))


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_even_maps_stay_even(kernel: int) -> None:
    """A free kernel, as of `upsampling="transposed"`, draws a pattern of two pixels on them."""
    torch.manual_seed(0)
    even = torch.ones(1, 8, 6, 6)
    (layer,) = doubling(8, 2, kernel, (6, 6), (12, 12), bias=False)
    assert isinstance(layer, nn.ConvTranspose2d)
    assert layer(even)[..., 2:-2, 2:-2].var((2, 3)).min() > 1e-4
    double_bilinearly(layer)
    assert layer(even)[..., 2:-2, 2:-2].var((2, 3)).max() < 1e-10


def test_pixels_of_all_sizes_are_added() -> None:
    """What only the coarsest maps write reaches the image, enlarged."""
    torch.manual_seed(0)
    grown = [nn.Conv2d(2, 2, 1), nn.Upsample(scale_factor=2), Crop((7, 10))]
    skips = Skips([[], grown], widths=[2, 2], sizes=[(4, 5), (7, 10)], channels=3, bias=False)
    coarse, fine = (cast("nn.Conv2d", write) for write in skips.writers)
    nn.init.zeros_(fine.weight)
    maps = torch.randn(1, 2, 4, 5)
    enlarged = functional.interpolate(coarse(maps), scale_factor=2, mode="bilinear")[:, :, :7]
    torch.testing.assert_close(skips(maps), enlarged)


def test_a_filter_leaves_no_trace_in_a_bundle(registry: Registry, tmp_path: Path) -> None:
    """The graph has one kernel for each layer, computed once."""
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8))
    narrow = {"architecture.generator_width": 2, "architecture.discriminator_width": 2}
    smooth = {"architecture.head": "skips", "architecture.upsampling": "bilinear"}
    source = {"data.source": f"npy:{tmp_path / 'a.npy'}", "train.images": 32, "train.device": "cpu"}
    plan = resolve("dcgan", registry, overrides=narrow | smooth | source)
    run, _ = start(plan, tmp_path / "run", NullReporter())
    export_run(run, tmp_path / "bundle", registry=registry)
    graph = onnx.load(tmp_path / "bundle" / "generator.onnx").graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("ConvTranspose") == operators.count("Resize") == 3
    assert "Pad" not in operators
