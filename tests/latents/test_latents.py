"""Directions against a singular value decomposition, latents of samples that are known, the commands."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import ganzoo
import ganzoo_extractors
from ganzoo.api import DataInfo, Field, Net
from ganzoo.cli import directions as directions_command
from ganzoo.cli import generate
from ganzoo.cli import project as project_command
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.latents.directions import directions_of, factorised
from ganzoo.latents.projection import Distance, Search, project
from ganzoo.networks.apply import declared
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start

Tiny = Callable[..., Plan]
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image")
Z = Field(name="z", shape=(5,), source="normal")
LABEL = Field(name="label", dtype="int64", classes=("a", "b", "c"))


def test_eigenvectors_are_the_singular_vectors() -> None:
    matrix = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    values, vectors = factorised(matrix, 4)
    _, lengths, wanted = np.linalg.svd(matrix.astype(np.float64))
    assert np.allclose(values, lengths[:4] ** 2)
    for value, found, one in zip(values, vectors, wanted, strict=False):
        assert abs(found @ one) == pytest.approx(1)
        assert found[np.abs(found).argmax()] > 0
        assert np.linalg.norm(matrix @ found) ** 2 == pytest.approx(value)


class Draw(nn.Module):
    """The first layer reads numbers of the label, then z."""

    def __init__(self) -> None:
        super().__init__()
        self.names = nn.Embedding(3, 2)
        self.first, self.last = nn.Linear(7, 12), nn.Linear(12, 64)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        hidden = self.first(torch.cat([self.names(label), z], 1)).tanh()
        made: Tensor = self.last(hidden).tanh()
        return made.unflatten(1, (1, 8, 8))


class Grow(nn.Module):
    """z becomes maps of one pixel, and a transposed convolution makes more of them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ConvTranspose2d(5, 1, 8)

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.net(z[:, :, None, None])
        return made.tanh()


class Apart(nn.Module):
    """No layer reads z as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(5, 64)

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.net(z.square())
        return made.unflatten(1, (1, 8, 8))


FIELDS = {field.name: field for field in (IMAGE, Z, LABEL)}


def test_the_first_layer_that_reads_noise_is_found() -> None:
    module = Draw()
    found = directions_of(Net(module=module, reads=("z", "label"), writes=("image",)), FIELDS, 5)
    columns = module.first.weight.detach()[:, 2:]
    assert (found.field, found.layers, found.vectors.shape) == ("z", ("first",), (5, 5))
    assert found.values == pytest.approx(np.linalg.svd(columns.numpy())[1] ** 2, rel=1e-4)
    grow = Grow()
    found = directions_of(Net(module=grow, reads=("z",), writes=("image",)), FIELDS, 2)
    jacobian = grow.net.weight.detach().reshape(5, 64).T.numpy()
    assert found.values == pytest.approx(np.linalg.svd(jacobian)[1][:2] ** 2, rel=1e-4)


def test_a_generator_without_such_a_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="No layer of this generator reads a noise vector"):
        directions_of(Net(module=Apart(), reads=("z",), writes=("image",)), FIELDS, 2)


def test_styles_of_all_layers_move_together(registry: Registry) -> None:
    """StyleGAN2: all modulations, as one matrix; a step in style changes them by the eigenvalue."""
    info = DataInfo(
        fields=(Field(name="image", shape=(1, 16, 16), range=(-1.0, 1.0), kind="image"),), count=8
    )
    small = {"architecture.generator_width": 4, "architecture.latent": 6, "architecture.style": 6}
    networks = build_networks(resolve("stylegan2", registry, overrides=small), info)
    net, fields = networks.generators["generator"], declared(networks, info)
    found = directions_of(net, fields, 3)
    assert (found.field, found.vectors.shape) == ("shift", (3, *fields["shift"].shape))
    assert all(np.array_equal(rows[0], row) for rows in found.vectors for row in rows)
    scales = [part for name, part in net.module.named_modules() if name.endswith("to_scale")]
    assert len(scales) == len(found.layers)
    step = torch.from_numpy(found.vectors[0, 0])
    changes = torch.cat([scale.weight @ step for scale in scales])
    assert changes.square().sum().item() == pytest.approx(found.values[0], rel=1e-4)


# --- projection ---------------------------------------------------------------------------------


class Halves(nn.Module):
    """Maps: the image itself, and its halves."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [torch.cat([image, 1 - image], 1), functional.avg_pool2d(torch.cat([image, image + 1], 1), 2)]


def test_the_distance_by_hand() -> None:
    one, two = torch.rand(2, 3, 1, 8, 8).mul(2).sub(1).unbind()
    values, maps = Distance(IMAGE, Halves())(one, two)
    assert values.tolist() == pytest.approx(((one - two).abs() / 2).flatten(1).mean(1).tolist())
    for sample in range(3):
        scales = []
        for a, b in zip(Halves()((one + 1) / 2), Halves()((two + 1) / 2), strict=True):
            first, second = a[sample].numpy(), b[sample].numpy()
            units = [m / np.sqrt((m**2).sum(0)) for m in (first, second)]
            scales.append(((units[0] - units[1]) ** 2).sum(0).mean())
        assert maps[sample].item() == pytest.approx(np.mean(scales), rel=1e-4)
    assert Distance(IMAGE)(one, one)[1].tolist() == [0, 0, 0]


def test_the_latent_of_a_sample_is_found_again() -> None:
    torch.manual_seed(0)
    net = Net(module=Draw(), reads=("z", "label"), writes=("image",))
    z = torch.randn(1, 5)
    with torch.no_grad():
        wanted = net.module(z, torch.tensor([1]))[0]
    progress: list[int] = []
    search = Search(steps=250, starts=6, candidates=64, prior=0.0)
    found = project(
        net, FIELDS, wanted, Distance(IMAGE), search, progress=lambda _, at, __: progress.append(at)
    )
    assert found.pixels < 0.01
    assert found.inputs["label"].tolist() == [1]
    assert found.found == ("z",)
    with torch.no_grad():
        again = net.module(*(torch.from_numpy(found.inputs[name]) for name in net.reads))[0]
    assert np.allclose(again, found.made)
    assert progress[-1] == 250
    fixed = project(net, FIELDS, wanted, Distance(IMAGE), search, {"label": np.array([2])})
    assert fixed.inputs["label"].tolist() == [2]
    assert fixed.pixels > found.pixels


def test_generators_without_latents_are_refused() -> None:
    a = Field(name="a", shape=(1, 8, 8), range=(-1.0, 1.0))
    net = Net(module=nn.Identity(), reads=("a",), writes=("image",))
    with pytest.raises(UsageError, match="no latents"):
        project(net, {**FIELDS, "a": a}, torch.zeros(1, 8, 8), Distance(IMAGE), Search(steps=1))


def test_the_maps_of_the_extractor() -> None:
    spec = next(spec for spec in ganzoo_extractors.ganzoo_extractors() if spec.maps)
    maps = pkgutil.resolve_name(spec.maps)()
    gray = torch.rand(2, 1, 28, 28, requires_grad=True)
    found = maps(gray)
    assert [one.shape[1] for one in found] == [24, 40, 112, 320]
    assert all(
        torch.allclose(one, two, atol=1e-5)
        for one, two in zip(found, maps(gray.expand(-1, 3, -1, -1)), strict=True)
    )
    sum(one.square().mean() for one in found).backward()  # type: ignore[union-attr]
    assert gray.grad is not None
    assert gray.grad.abs().sum() > 0


# --- the commands -------------------------------------------------------------------------------


@pytest.fixture
def run(tiny: Tiny, tmp_path: Path) -> Run:
    return start(tiny("vanilla"), tmp_path / "run", NullReporter())[0]


def invoke(command: Any, *words: Any) -> Any:
    result = CliRunner().invoke(command, [str(word) for word in words], obj=())
    return (
        result if result.exception is None or isinstance(result.exception, SystemExit) else result.exception
    )


def test_the_way_from_a_picture_to_its_sample_and_beyond(run: Run, tmp_path: Path) -> None:
    bundle = ganzoo.export(run, tmp_path / "bundle").path
    picture = tmp_path / "picture.png"
    Image.fromarray(np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1))).save(picture)
    words = ("--steps", 5, "--starts", 2, "--json", "-o", tmp_path / "found")
    result = invoke(project_command.command, run.path, picture, *words)
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout.splitlines()[-1])["found"][0]
    assert row["name"] == "picture"
    assert 0 < row["pixels"] < 1
    with Image.open(tmp_path / "found" / "sheet.png") as sheet:
        assert sheet.width > 2 * sheet.height  # picture, projection, difference
    latent = tmp_path / "found" / "picture.npz"
    result = invoke(generate.command, bundle, "--latent", latent, "-o", tmp_path / "again.npz")
    assert result.exit_code == 0, result.output
    again = np.load(tmp_path / "again.npz")["image"]
    z = np.load(latent)["z"]
    assert np.allclose(again, ganzoo.load(bundle, provider="cpu").generate(1, z=z), atol=1e-6)

    result = invoke(directions_command.command, run.path, "-o", tmp_path / "directions.npz", "--count", 3)
    assert result.exit_code == 0, result.output
    steps = np.load(tmp_path / "directions.npz")["z"]
    assert steps.shape == (3, *z.shape[1:])
    words = ("--latent", latent, "--directions", tmp_path / "directions.npz", "--direction", 2)
    result = invoke(generate.command, bundle, *words, "--strength", 1.5, "-o", tmp_path / "along.npz")
    assert result.exit_code == 0, result.output
    along = np.load(tmp_path / "along.npz")["image"]
    moved = z + np.linspace(-1.5, 1.5, 7, dtype=np.float32)[:, None] * steps[1]
    assert np.allclose(along, ganzoo.load(bundle, provider="cpu").generate(7, z=moved), atol=1e-5)
    walk = tmp_path / "walk.gif"
    result = invoke(generate.command, bundle, *words[2:], "--walk", 6, "-n", 2, "-o", walk)
    assert result.exit_code == 0, result.output
    with Image.open(walk) as animation:
        assert animation.n_frames == 6  # type: ignore[attr-defined]


def test_what_cannot_be_used_is_refused(run: Run, tmp_path: Path) -> None:
    bundle = ganzoo.export(run, tmp_path / "bundle").path
    np.savez(tmp_path / "other.npz", x=np.zeros((2, 3)))
    np.savez(tmp_path / "one.npz", z=np.zeros((1, 9999), np.float32))
    (tmp_path / "text.npz").write_text("no archive")
    invoke(directions_command.command, run.path, "-o", tmp_path / "directions.npz", "--count", 2)
    for words, message in (
        (("--latent", tmp_path / "other.npz"), "no values of this generator's inputs"),
        (("--latent", tmp_path / "one.npz"), "shape"),
        (("--latent", tmp_path / "text.npz"), "cannot be read"),
        (("--directions", tmp_path / "other.npz"), "no directions for an input"),
        (("--directions", tmp_path / "directions.npz", "--direction", 3), "no direction 3"),
        (("--latent", tmp_path / "one.npz", "-n", 3), "no -n"),
        (("--latent", tmp_path / "one.npz", "--classes"), "cannot be used with"),
    ):
        found = invoke(generate.command, bundle, *words, "-o", tmp_path / "x.npz")
        assert isinstance(found, UsageError), (words, found)
        assert message in str(found)
