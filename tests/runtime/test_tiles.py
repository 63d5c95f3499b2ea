"""Generators with free axes in tiles: the same results as for the whole, within what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganzoo import runtime
from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.errors import UsageError
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.form import USUAL, Form
from ganzoo.runtime import tiles
from ganzoo.runtime.generator import Generator
from ganzoo.runtime.inputs import steps_for


class Judge(nn.Module):
    def forward(self, high: Tensor) -> Tensor:
        return high.mean((1, 2, 3))


class Double(nn.Module):
    """low (N, 3, h, w) -> high (N, 3, 2h, 2w): `layers` convolutions see as many pixels on each side."""

    def __init__(self, layers: int, *, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        parts: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()]
        for _ in range(layers - 2):
            parts += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
        if norm:
            parts.append(nn.InstanceNorm2d(8))
        self.net = nn.Sequential(*parts, nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2), nn.Tanh())
        for part in self.net:
            if isinstance(part, nn.Conv2d):
                part.weight.data.mul_(2)

    def forward(self, low: Tensor) -> Tensor:
        result: Tensor = self.net(low)
        return result


def exported(folder: Path, module: nn.Module, multiple: int = 1, form: Form = USUAL) -> Generator:
    low = Field(name="low", shape=(3, 16, 16), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    high = Field(name="high", shape=(3, 32, 32), range=(-1.0, 1.0), kind="image", axes=PIXELS)
    networks = Networks(
        generators={"generator": Net(module=module, reads=("low",), writes=("high",))},
        discriminators={"discriminator": Net(module=Judge(), reads=("high",))},
        free={
            "low": {"height": multiple, "width": multiple},
            "high": {"height": 2 * multiple, "width": 2 * multiple},
        },
    )
    data = DataInfo(fields=(low, high), count=8)
    bundle = export_generators(networks, data, folder / "bundle", about={"recipe": "test"}, form=form)
    return runtime.load(Path(bundle.path), provider="cpu")


def sized(generator: Generator, low: np.ndarray[Any, Any]) -> Generator:
    return generator.resized(steps_for(generator.multiples, {}, generator.inputs, {"low": low}))


def noise(height: int, width: int, count: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(-1, 1, (count, 3, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return exported(tmp_path_factory.mktemp("local"), Double(6))


@pytest.mark.parametrize("size", [(70, 110), (33, 200)])
def test_tiles_give_what_the_whole_gives(local: Generator, size: tuple[int, int]) -> None:
    low = noise(*size, count=2)
    whole = local.run({"low": low})["high"]
    tiled, overlap = tiles.run_in_tiles(sized(local, low), {"low": low}, 32)
    assert overlap.enough
    assert overlap.steps == 8  # six layers see six pixels
    assert np.abs(tiled["high"] - whole).max() < 1e-5


def test_the_overlap_follows_what_the_network_sees(tmp_path: Path) -> None:
    """24 layers see 24 pixels, but far ones hardly matter: the overlap is what makes a difference."""
    deep = exported(tmp_path, Double(24))
    low = noise(96, 96)
    whole = deep.run({"low": low})["high"]
    tiled, overlap = tiles.run_in_tiles(sized(deep, low), {"low": low}, 48)
    assert overlap.enough
    assert np.abs(tiled["high"] - whole).max() <= 2 / 255


def test_a_norm_over_the_whole_is_noticed(tmp_path: Path) -> None:
    """Each tile has other statistics. Seams are blended: no step is larger than inside a tile."""
    generator = exported(tmp_path, Double(3, norm=True))
    low = noise(96, 64)
    low[:, :, 48:] *= 0.1
    _, overlap = tiles.run_in_tiles(sized(generator, low), {"low": low}, 32)
    assert not overlap.enough
    assert overlap.difference > tiles.TOLERANCE


def test_pixels_of_8_bits_and_multiples(tmp_path: Path) -> None:
    generator = exported(tmp_path, Double(4), 4, Form(uint8=True))
    low = noise(64, 96)
    whole = generator.run({"low": low})["high"]
    assert whole.dtype == np.uint8
    tiled, _ = tiles.run_in_tiles(sized(generator, low), {"low": low}, 32)
    assert tiled["high"].dtype == np.uint8
    assert np.abs(tiled["high"].astype(int) - whole).max() <= 1


def test_weights_of_neighbours_sum_to_one() -> None:
    for count, most, feather in ((10, 4, 1.0), (97, 16, 3.5), (5, 2, 0.5), (7, 7, 0.0)):
        total = np.zeros(2 * count)
        for core in tiles._cores(count, most):
            kept = tiles._widened({"x": core}, int(np.ceil(feather)), {"x": count})["x"]
            total[2 * kept[0] : 2 * kept[1]] += tiles._weights(kept, core, count, 2, feather)
        assert np.allclose(total, 1)


def test_tiles_are_chosen_by_the_memory(local: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    low = noise(200, 300)
    monkeypatch.setattr(tiles, "free_memory", lambda: 2**30)
    assert tiles.auto_tile(sized(local, low)) == 0
    monkeypatch.setattr(tiles, "free_memory", lambda: 2**24)
    side = tiles.auto_tile(sized(local, low))
    assert 0 < side < 200
    monkeypatch.setattr(tiles, "free_memory", lambda: 2**10)
    with pytest.raises(UsageError, match="too little free memory"):
        tiles.auto_tile(sized(local, low))


def test_a_sample_too_large_for_the_guard_goes_in_tiles(local: Generator) -> None:
    """7,000 x 7,000 pixels are more than an input may have at once."""
    steps = {"height": 7_000, "width": 7_000}
    with pytest.raises(UsageError, match="is the limit"):
        local.at({"height": 14_000, "width": 14_000})
    assert tiles.auto_tile(local.resized(steps)) in tiles.SIDES


def test_a_number_for_the_whole_cannot_be_tiled(local: Generator) -> None:
    low = noise(64, 64)
    generator = sized(local, low)
    generator.outputs = (*generator.outputs, Field(name="score", shape=()))
    with pytest.raises(UsageError, match="'score' has no free axis"):
        tiles.run_in_tiles(generator, {"low": low}, 32)
