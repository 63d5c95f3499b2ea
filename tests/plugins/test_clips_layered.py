"""`layered-motion`: reading pixels between pixels, paths, layers over each other, a D of neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganzoo.api import DataError, DataInfo, Field
from ganzoo_clips.config import CLIP_AXES, LayeredConfig
from ganzoo_clips.layered import LayeredGenerator, NeighbouringFrames, Paths, build, cubic, reading
from ganzoo_clips.recipes import RECIPES
from ganzoo_clips.rules import suits_layered, suits_tgan
from tests.helpers.evaluating import ganzoo

TINY: dict[str, Any] = {
    "latent": 4, "motion": 3, "hidden": 5, "generator_width": 4, "background_width": 4,
    "discriminator_width": 4, "group": 4,
}  # fmt: skip


def info(channels: int = 1, frames: int = 6, height: int = 16, width: int = 16, **options: Any) -> DataInfo:
    shape = (channels, frames, height, width)
    range_ = options.get("range", (-1.0, 1.0))
    return DataInfo(
        fields=(Field(name="clip", shape=shape, kind="clip", axes=CLIP_AXES, range=range_),), count=9
    )


def inputs(config: LayeredConfig, count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    layers = 1 + config.objects
    motion = torch.rand(count, layers, config.motion) * 2 - 1
    return torch.randn(count, layers, config.latent), motion, torch.ones(count)


# --- reading between pixels -------------------------------------------------------------------------


def test_the_kernel_is_that_of_keys() -> None:
    """Keys 1981, equation 15: (3 d^3 - 5 d^2 + 2) / 2, then (-d^3 + 5 d^2 - 8 d + 4) / 2, then 0."""
    distances = np.linspace(-3, 3, 241)
    far = np.abs(distances)
    expected = np.where(
        far < 1, (3 * far**3 - 5 * far**2 + 2) / 2, (-(far**3) + 5 * far**2 - 8 * far + 4) / 2
    )
    expected[far >= 2] = 0
    np.testing.assert_allclose(cubic(torch.tensor(distances)).numpy(), expected, atol=1e-12)


def test_whole_pixels_move_a_row_and_zeros_follow() -> None:
    row = torch.arange(1.0, 6)
    for place in range(-7, 8):
        moved = reading(torch.tensor(float(place)), torch.tensor(1.0), 9, 5) @ row
        expected = torch.zeros(9 + 40)
        expected[20 + 2 + place : 20 + 7 + place] = row
        torch.testing.assert_close(moved, expected[20:29])


def test_parts_of_a_pixel_and_enlarging() -> None:
    """A parabola is read exactly (Keys 1981, section 3), where four pixels are there to read from."""
    places = torch.tensor([0.25, -0.4, 0.0])
    scales = torch.tensor([1.0, 1.0, 2.0])
    own = torch.arange(12.0) - 5.5
    moved = reading(places, scales, 9, 12) @ own.square()
    read = (torch.arange(9.0) - 4 - places[:, None]) / scales[:, None]
    torch.testing.assert_close(moved, read.square(), atol=1e-4, rtol=1e-4)


# --- paths ------------------------------------------------------------------------------------------


def test_paths_begin_as_straight_lines_and_learn_to_turn() -> None:
    torch.manual_seed(0)
    paths = Paths(4000, 6, 3, torch.tensor([0.4, 0.4, 0.0]), torch.tensor([0.6, 0.6, 0.0])).double()
    codes = torch.rand(300, 1, 4000).double() * 2 - 1
    times = torch.linspace(-1, 1, 41, dtype=torch.float64)[None]
    values = paths(codes, times)
    assert values.shape == (300, 1, 41, 3)
    torch.testing.assert_close(values.diff(2, dim=2), torch.zeros(300, 1, 39, 3).double())
    assert not values[..., 2].any()
    torch.testing.assert_close(
        values[:, 0, 20, :2].std(0), torch.tensor([0.4, 0.4]).double(), rtol=0.2, atol=0
    )
    speed = values[:, 0, 1, :2] - values[:, 0, 0, :2]
    torch.testing.assert_close(speed.std(0), torch.tensor([0.03, 0.03]).double(), rtol=0.2, atol=0)
    nn.init.normal_(paths.last.weight)
    times = torch.linspace(-1, 1, 4001, dtype=torch.float64)[None]
    turns = paths(codes, times).diff(2, dim=2).abs().amax(3)[:, 0]
    assert (turns > 1e-6).any(1).float().mean() > 0.9
    assert (turns < 1e-9).double().mean() > 0.99, "a path is made of straight lines"


# --- layers -----------------------------------------------------------------------------------------


class Picture(nn.Module):
    """Writes the same maps for each latent."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.make = make

    def forward(self, z: Tensor) -> Tensor:
        return self.make(z)


class Way(nn.Module):
    """All objects go the same way, whatever their code."""

    def __init__(self, places: Tensor) -> None:
        """Places (T, 2) in halves of the frame."""
        super().__init__()
        self.values = torch.cat([places.atanh(), torch.zeros(len(places), 1)], 1)

    def forward(self, codes: Tensor, times: Tensor) -> Tensor:
        return self.values.expand(*codes.shape[:2], -1, -1)


def test_an_opaque_square_moves_over_the_background() -> None:
    """A square of 8 pixels goes 1 pixel down and 2 to the left in each frame, white on gray; later ones lie
    above earlier ones.
    """
    config = LayeredConfig(**TINY, objects=2, poses=1, side=8)
    net = LayeredGenerator(config, info(1, 5, 16, 24, range=(0.0, 1.0)).field("clip")).eval()
    net.background = Picture(lambda z: torch.zeros(len(z), 1, 24, 32))
    shades = torch.tensor([-30.0, 30.0])  # tanh: black and white

    def square(z: Tensor) -> Tensor:
        shade = shades.repeat(len(z) // 2)[:, None, None, None].expand(-1, 1, 8, 8)
        return torch.cat([torch.full_like(shade, 30.0), shade], 1)

    net.objects = Picture(square)
    steps = torch.arange(5.0)
    net.paths = Way(torch.stack([(steps - 2) / 8, -2 * (steps - 2) / 12], 1))
    clip = net(*inputs(config))
    assert clip.shape == (2, 1, 5, 16, 24)
    for time in range(5):
        expected = torch.full((16, 24), 0.5)
        top, left = 4 + time - 2, 8 - 2 * (time - 2)
        expected[top : top + 8, left : left + 8] = 1.0
        torch.testing.assert_close(clip[0, 0, time], expected, atol=1e-5, rtol=0)
    shades.neg_()
    assert net(*inputs(config)).min() == 0, "the last object is black now, and above the white one"


def test_a_transparent_object_shows_what_is_behind() -> None:
    config = LayeredConfig(**TINY, objects=1, poses=1)
    net = LayeredGenerator(config, info().field("clip")).eval()
    noise = inputs(config)
    net.objects = Picture(
        lambda z: torch.cat([torch.full((len(z), 1, 8, 8), -40.0), torch.rand(len(z), 1, 8, 8)], 1)
    )
    clip = net(*noise)
    assert clip.std() > 0
    torch.testing.assert_close(clip, clip[:, :, :1].expand_as(clip))  # the background begins without a pan
    torch.testing.assert_close(clip[:, :, 0], net.background(noise[0][:, 0]).tanh()[:, :, 4:-4, 4:-4])


def test_a_layer_never_leaves_the_frame() -> None:
    """Its middle stays inside, so that some of it is seen, and a gradient can bring it back."""
    config = LayeredConfig(**TINY, objects=1, poses=1)
    net = LayeredGenerator(config, info().field("clip"))
    values = torch.tensor([[50.0, -50.0, 0.0]]).expand(1, 1, 6, 3)
    seen = net.moved(torch.ones(1, 1, 1, 2, 8, 8), values, (8, 8))
    assert seen.shape == (1, 1, 6, 2, 16, 16)
    assert seen[..., 12:, :4].mean() == pytest.approx(1, abs=0.2)
    assert not seen[..., :10, :].any()


def test_zoom() -> None:
    """A layer of 4 pixels at twice its size covers 8."""
    net = LayeredGenerator(LayeredConfig(**TINY, zoom=True), info().field("clip"))
    values = torch.tensor([[0.0, 0.0, np.log(2)]]).expand(1, 1, 6, 3)
    seen = net.moved(torch.ones(1, 1, 1, 2, 8, 4), values, (8, 8))[0, 0, 0, 0]
    assert (seen[8] > 0.5).nonzero().flatten().tolist() == list(range(4, 12))
    assert seen[8].sum().item() == pytest.approx(8, rel=0.02)


def test_poses_change_a_layer_over_time() -> None:
    """values[3:] are the weights of the changes of the first picture."""
    config = LayeredConfig(**TINY, poses=3)
    net = LayeredGenerator(config, info(2).field("clip"))
    maps, values = torch.randn(2, 1, 3 * 4, 5, 5), torch.randn(2, 1, 7, 5)
    found = net.posed(maps, values)
    assert found.shape == (2, 1, 7, 4, 5, 5)
    first, second, third = maps.split(4, 2)
    expected = first[:, :, None] + sum(
        values[..., k, None, None, None] * change[:, :, None] for k, change in ((3, second), (4, third))
    )
    torch.testing.assert_close(found, expected)


def test_slow_motion_begins_alike() -> None:
    torch.manual_seed(0)
    config = LayeredConfig(**TINY)
    net = build(config, info(frames=9)).generators["generator"].module.eval()
    nn.init.normal_(net.paths.last.weight)
    z, motion, rate = inputs(config)
    clip = net(z, motion, rate)
    torch.testing.assert_close(net(z, motion, rate / 2)[:, :, ::2], clip[:, :, :5])
    assert not torch.allclose(clip[:, :, 0], clip[:, :, 4])


@pytest.mark.parametrize("shape", [(1, 16, 32, 32), (3, 7, 20, 33), (4, 2, 8, 8), (1, 33, 8, 24)])
def test_clips_of_any_size(shape: tuple[int, int, int, int]) -> None:
    config = LayeredConfig(**TINY, objects=3)
    networks = build(config, info(*shape))
    clip = networks.generators["generator"].module(*inputs(config))
    assert clip.shape == (2, *shape)
    assert networks.discriminators["discriminator"].module(clip).shape == (2,)


# --- the discriminator ------------------------------------------------------------------------------


def test_the_critic_sees_neighbouring_frames() -> None:
    torch.manual_seed(0)
    config = LayeredConfig(**TINY, shown=3)
    critic = NeighbouringFrames(config, info(1, 12).field("clip"))
    nn.init.normal_(
        next(layer for layer in critic.network.layers.modules() if isinstance(layer, nn.Linear)).weight
    )
    clip = torch.randn(64, 1, 12, 16, 16, requires_grad=True)
    critic.train()(clip).sum().backward()
    assert clip.grad is not None
    seen = clip.grad.abs().sum((1, 3, 4)) > 0
    firsts = seen.int().argmax(1)
    assert all(
        row.nonzero().flatten().tolist() == [k, k + 1, k + 2]
        for row, k in zip(seen, firsts.tolist(), strict=True)
    )
    assert set(firsts.tolist()) == set(range(10))
    critic.eval()
    assert torch.equal(critic(clip), critic(clip))


def test_options_that_do_not_fit() -> None:
    wrong = [{"path_rate": rate} for rate in (0.0, -1.0, float("nan"))]
    for options in (*wrong, {"objects": 0}, {"poses": 0}, {"shown": 1}, {"side": 5}, {"group": 7}):
        with pytest.raises(ValueError, match=r"must|multiple"):
            LayeredConfig(**options)


def test_layers_are_no_larger_than_the_frame() -> None:
    build(LayeredConfig(**TINY, side=16), info(1, 5, 16, 24))
    with pytest.raises(DataError, match="side 17 is larger than a frame of 16 x 24 pixels") as caught:
        build(LayeredConfig(**TINY, side=17), info(1, 5, 16, 24))
    assert "architecture.side=16" in str(caught.value.fix)


@pytest.mark.parametrize("shape", [(1, 16, 32, 32), (3, 7, 20, 33), (4, 2, 8, 8)])
def test_clips_without_a_recipe_get_layered_motion(shape: tuple[int, int, int, int]) -> None:
    data, rows = info(*shape), DataInfo(fields=(Field(name="x", shape=(2,)),), count=8)
    assert suits_layered(data) > suits_tgan(data) > 0
    assert suits_layered(rows) == suits_tgan(rows) == 0
    recipes = {spec.name: spec.suits for spec in RECIPES}
    assert recipes["layered-motion"] == "ganzoo_clips.rules:suits_layered"
    assert recipes["tgan"] == "ganzoo_clips.rules:suits_tgan"


# --- recipe -----------------------------------------------------------------------------------------


def test_slow_motion_after_the_export(tmp_path: Path) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    options = [f"architecture.{name}={value}" for name, value in TINY.items()]
    options += ["train.batch_size=4", "train.device=cpu", "data.count=8", "data.size=16", "data.side=7"]
    words = [word for option in options for word in ("--set", option)]
    said = ganzoo("train", "layered-motion", "--images", 8, "--run-dir", run, *words)
    assert said.code == 0, said.err
    said = ganzoo("export", run, "-o", bundle)
    assert said.code == 0, said.err
    clips = []
    for rate in (1.0, 0.5):
        file = tmp_path / f"{rate}.npz"
        said = ganzoo("generate", bundle, "-n", 1, "--set", f"rate={rate}", "-o", file)
        assert said.code == 0, said.err
        with np.load(file) as arrays:
            clips.append(arrays["clip"])
    assert clips[0].shape == (1, 1, 16, 16, 16)
    np.testing.assert_allclose(clips[1][:, :, ::2], clips[0][:, :, :8], atol=1e-4)
