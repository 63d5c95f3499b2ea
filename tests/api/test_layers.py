"""The layers of ganzoo.api, its helpers for geometry and images, and when torch is imported."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from ganzoo import api
from ganzoo.api import Bounded, Crop, DataError, DataInfo, Field, Fir, Maxout, Networks

LAYERS = (
    "Bounded",
    "Crop",
    "Fir",
    "Maxout",
    "SpectralNorm",
    "as_maps",
    "doubling",
    "initialise",
    "put_spectral_norm",
)


def test_only_the_layers_import_torch() -> None:
    code = (
        "import sys, ganzoo.api as api\n"
        "assert not {'torch', 'numpy', 'ganzoo.api.layers'} & set(sys.modules)\n"
        "assert not hasattr(api, 'Nothing') and 'torch' not in sys.modules\n"
        "from ganzoo.api import Bounded\n"
        "assert 'torch' in sys.modules and Bounded.__module__ == 'ganzoo.api.layers'\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_all_names_of_the_api_are_there() -> None:
    from ganzoo.api import layers

    assert set(layers.__all__) == set(LAYERS) <= set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
    with pytest.raises(AttributeError, match="'Nothing'"):
        _ = api.Nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("curve", ["tanh", "sigmoid"])
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 5.0)])
def test_bounded_reaches_both_ends(bounds: tuple[float, float], curve: Literal["tanh", "sigmoid"]) -> None:
    values = Bounded(bounds, curve)(torch.tensor([-100.0, 0.0, 100.0]))
    assert values.tolist() == pytest.approx([bounds[0], sum(bounds) / 2, bounds[1]])


def test_bounded_is_plain_tanh_where_that_is_the_range() -> None:
    hidden = torch.randn(50, requires_grad=True)
    made = Bounded((-1.0, 1.0))(hidden)
    assert torch.equal(made, torch.tanh(hidden))
    assert made.grad_fn is not None
    assert made.grad_fn.name() == "TanhBackward0"


def test_leaky_tanh_keeps_a_gradient_in_training_and_its_bounds_in_evaluation() -> None:
    hidden = torch.tensor([-60.0, -0.5, 0.0, 60.0], requires_grad=True)
    layer = Bounded((0.0, 1.0), "leaky-tanh")
    made = layer(hidden)
    expected = [0.5 + (math.tanh(x) + 0.02 * x) / 2 for x in hidden.tolist()]
    assert made.tolist() == pytest.approx(expected)
    made.sum().backward()
    slopes = [(1 - math.tanh(x) ** 2 + 0.02) / 2 for x in hidden.tolist()]
    assert hidden.grad is not None
    assert hidden.grad.tolist() == pytest.approx(slopes)
    assert layer.eval()(hidden).tolist() == pytest.approx([0, expected[1], 0.5, 1])


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, values = Maxout(6, 4, 3), torch.randn(5, 6)
    pieces = layer.linear(values).reshape(5, 4, 3)
    assert torch.equal(layer(values), pieces.max(2).values)


@pytest.mark.parametrize("kernel", range(2, 8))
@pytest.mark.parametrize("image", [(28, 28), (30, 50), (9, 21)])
def test_doubling_reaches_every_size_of_map(kernel: int, image: tuple[int, int]) -> None:
    *sizes, base = api.map_sizes(*image, api.halvings(*image))
    maps, before = torch.randn(2, 3, *base), base
    for after in reversed(sizes):
        layers = api.doubling(3, 3, kernel, before, after, bias=False)
        assert [type(layer) for layer in layers[1:]] == (
            [] if after == (2 * before[0], 2 * before[1]) else [Crop]
        )
        maps, before = nn.Sequential(*layers)(maps), after
        assert maps.shape == (2, 3, *after)
    assert before == image


def test_map_sizes_round_up() -> None:
    assert api.map_sizes(30, 50, 3) == [(30, 50), (15, 25), (8, 13), (4, 7)]


def test_initialise() -> None:
    def module() -> nn.Sequential:
        torch.manual_seed(1)
        norms = nn.BatchNorm1d(500), nn.GroupNorm(1, 500), nn.LayerNorm(500)
        return nn.Sequential(nn.Linear(100, 500), nn.Embedding(100, 500), nn.Conv2d(50, 50, 3), *norms)

    untouched, default, normal = module(), module(), module()
    api.initialise(default, "default")
    api.initialise(normal, "normal")
    assert all(map(torch.equal, untouched.state_dict().values(), default.state_dict().values()))
    for layer in normal:
        norm = isinstance(layer, nn.BatchNorm1d | nn.GroupNorm | nn.LayerNorm)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert layer.weight.mean().item() == pytest.approx(1 if norm else 0, abs=0.01)
        assert isinstance(layer, nn.Embedding) or not layer.bias.any()
    api.initialise(nn.BatchNorm1d(3, affine=False), "normal")


def test_a_pair_reads_and_writes_what_it_says() -> None:
    one, two, z = nn.Identity(), nn.Identity(), Field(name="noise", shape=(4,), source="normal")
    networks = Networks.pair(one, two, latent=z, writes="point", conditions=("label", "size"))
    generator, discriminator = networks.generators["generator"], networks.discriminators["discriminator"]
    assert (generator.module, discriminator.module) == (one, two)
    assert (generator.reads, generator.writes) == (("noise", "label", "size"), ("point",))
    assert (discriminator.reads, discriminator.writes) == (("point", "label", "size"), ("score",))
    assert networks.fields == (z,)
    assert Networks.pair(one, two, latent=z, writes="point").discriminators["discriminator"].reads == (
        "point",
    )


@pytest.mark.parametrize(
    ("field", "what", "where"),
    [
        (Field(name="image", shape=(64,)), "needs images: channels", r"\(64,\)"),
        (Field(name="image", shape=(1, 28, 28), dtype="int64"), "needs images: channels", "int64"),
        (Field(name="image", shape=(3, 7, 64)), "at least 8x8", "7x64"),
        (Field(name="photo", shape=(3, 64, 64)), "no field 'image'", "photo"),
    ],
)
def test_what_is_no_image_is_refused(field: Field, what: str, where: str) -> None:
    data = DataInfo(fields=(field,), count=1)
    with pytest.raises(DataError, match=what) as caught:
        data.image(smallest=8, otherwise="mlp")
    assert caught.value.where
    assert field.name == "photo" or "'mlp'" in caught.value.fix
    with pytest.raises(DataError, match=where):
        data.image(smallest=8)


def test_a_image_is_found() -> None:
    image = Field(name="image", shape=(2, 8, 9))
    data = DataInfo(fields=(Field(name="label", dtype="int64"), image), count=1)
    assert data.image(smallest=8) is image
    assert DataInfo(fields=(Field(name="image", shape=(1, 1, 1)),), count=1).image().shape == (1, 1, 1)


def test_as_maps_keeps_the_values_and_lies_channels_last() -> None:
    hidden = torch.randn(5, 3 * 4 * 2)
    maps = api.as_maps(hidden, (3, 4, 2))
    assert torch.equal(maps, hidden.reshape(5, 3, 4, 2))
    assert maps.is_contiguous(memory_format=torch.channels_last)


# --- the filter ---------------------------------------------------------------------------------

FILTERS = ({"up": True}, {"stride": 2}, {"padding": 2}, {"up": True, "padding": 0, "gain": 2.0})


def by_torch(layer: Fir, maps: Tensor) -> Tensor:
    """The filter as torch's own convolution."""
    channels = maps.shape[1]
    kernel = layer.kernel.to(maps.dtype).repeat(channels, 1, 1, 1)
    if layer.up:
        return functional.conv_transpose2d(maps, kernel, stride=2, padding=layer.padding, groups=channels)
    return functional.conv2d(maps, kernel, stride=layer.stride, padding=layer.padding, groups=channels)


def derivatives(filtered: Tensor, maps: Tensor) -> list[Tensor]:
    """The maps, and the first two gradients of a curved function of them."""
    weights = torch.linspace(0, 1, filtered.numel(), dtype=filtered.dtype).view(filtered.shape)
    (slope,) = torch.autograd.grad((weights * filtered.square()).sum(), maps, create_graph=True)
    return [filtered, slope, *torch.autograd.grad(slope.sin().sum(), maps)]


@pytest.mark.parametrize("settings", FILTERS)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(7, 6), (6, 7)])
def test_the_filters_gradients_are_those_of_torch(
    settings: dict[str, Any], memory: torch.memory_format, size: tuple[int, int]
) -> None:
    layer = Fir(**settings)
    maps = torch.randn(2, 3, *size).contiguous(memory_format=memory).requires_grad_()
    for ours, torchs in zip(
        derivatives(layer(maps), maps), derivatives(by_torch(layer, maps), maps), strict=True
    ):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)
        assert ours.stride() == torchs.stride()
    layer, exact = layer.double(), torch.randn(2, 2, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, exact)
    assert torch.autograd.gradgradcheck(layer, exact)


class Convolutions(TorchDispatchMode):
    """Counts them, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "convolution" in func.__name__
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", FILTERS)
def test_a_penalty_through_the_filter_is_four_convolutions_for_any_number_of_channels(
    settings: dict[str, Any],
) -> None:
    """torch's double backward of a grouped convolution runs one for each channel."""
    maps = torch.randn(1, 16, 8, 8, requires_grad=True)
    with Convolutions() as counted:
        derivatives(Fir(**settings)(maps), maps)
    assert counted.count == 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_filter_learns_under_autocast(dtype: torch.dtype) -> None:
    maps = torch.randn(2, 3, 6, 6, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = Fir(up=True)(maps)
    made.sum().backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad.float().mean(), torch.tensor(4.0), rtol=0.2, atol=0.0)
