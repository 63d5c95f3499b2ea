"""Enlarging: networks against plain formulas, the degradation, crops, terms, scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter
from torch import Tensor
from torch.nn import functional

import ganzoo_enlarge
from ganzoo.api import PIXELS, DataError, DataInfo, Field, Networks, SettingsError
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import open_source
from ganzoo.networks.free_axes import check_free_axes
from ganzoo_enlarge import degrade, metrics, terms
from ganzoo_enlarge.config import CompactConfig, CropsConfig, PerceptualConfig, PixelsConfig, RRDBConfig
from ganzoo_enlarge.crops import crop, open_crops, open_held_out_crops
from ganzoo_enlarge.networks import Compact, RRDBNet, UNetJudge, build_compact, build_rrdb
from tests.helpers.enlarging import plain_rrdb, plain_srvgg

Pixels = np.ndarray[Any, Any]


def info(scale: int, side: int = 8) -> DataInfo:
    fields = [
        Field(name=name, shape=(3, size, size), range=(-1.0, 1.0), kind="image", axes=PIXELS)
        for name, size in (("a", side), ("b", scale * side))
    ]
    return DataInfo(fields=tuple(fields), count=8)


# --- networks -------------------------------------------------------------------------------------


def test_published_sizes() -> None:
    """Parameters of the published x4 networks: RRDBNet with 23 and 6 blocks, SRVGGNetCompact with 16."""

    def count(net: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in net.parameters())

    with torch.device("meta"):
        assert count(RRDBNet(RRDBConfig(), 3, 3, 4)) == 16_697_987
        assert count(RRDBNet(RRDBConfig(blocks=6), 3, 3, 4)) == 4_467_779
        assert count(Compact(CompactConfig(), 3, 3, 4)) == 621_424
        assert count(UNetJudge(64, 3)) == 4_376_897


def test_rrdb_is_the_published_formula() -> None:
    net = RRDBNet(RRDBConfig(blocks=2, width=8, growth=4), 3, 3, 4)
    image = torch.rand(2, 3, 7, 9)
    assert torch.allclose(net(image), plain_rrdb(net.state_dict(), image, 2), atol=1e-5)


def test_srvgg_is_the_published_formula() -> None:
    net = Compact(CompactConfig(layers=2, width=6), 3, 3, 3)
    image = torch.rand(2, 3, 5, 7)
    assert torch.allclose(net(image), plain_srvgg(net.state_dict(), image, 2, 3), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "build",
    [
        lambda data: build_rrdb(RRDBConfig(blocks=1, width=4, growth=2, discriminator_width=4), data),
        lambda data: build_compact(CompactConfig(layers=1, width=4, discriminator="patch"), data),
    ],
)
def test_images_of_any_size(scale: int, build: Callable[[DataInfo], Networks]) -> None:
    networks = build(info(scale, 16))
    check_free_axes(networks, info(scale, 16), "here")
    module = networks.generators["generator"].module.eval()
    made = module(torch.rand(1, 3, 5, 11) * 2 - 1)
    assert made.shape == (1, 3, 5 * scale, 11 * scale)
    assert made.abs().max() <= 1  # clipped, as the field says


def test_real_esrgans_network_for_x2_reads_squares_of_pixels() -> None:
    networks = build_rrdb(
        RRDBConfig(blocks=1, width=4, growth=2, unshuffle=2, discriminator_width=4), info(2)
    )
    assert networks.free == {"a": {"height": 2, "width": 2}, "b": {"height": 4, "width": 4}}
    check_free_axes(networks, info(2), "here")
    assert networks.generators["generator"].module.net.conv_first.weight.shape == (4, 12, 3, 3)


def test_other_sizes_are_refused() -> None:
    wrong = DataInfo(fields=(info(4).fields[0], info(2, 5).fields[1]), count=8)
    with pytest.raises(DataError, match="not that much larger"):
        build_compact(CompactConfig(), wrong)
    with pytest.raises(DataError, match="multiples of 8"):
        build_compact(CompactConfig(layers=0), info(3, 9))


# --- the degradation ------------------------------------------------------------------------------


def test_kernels_have_their_formulas() -> None:
    gaussian = degrade.gaussian_kernel(21, (2.0, 2.0))
    point = np.zeros((21, 21))
    point[10, 10] = 1
    expected = gaussian_filter(point, 2.0, truncate=5)
    assert np.allclose(gaussian, expected, atol=1e-6)
    turned = degrade.gaussian_kernel(9, (3.0, 1.0), math.pi / 2)
    assert np.allclose(turned, degrade.gaussian_kernel(9, (1.0, 3.0)))
    plateau = degrade.gaussian_kernel(7, (1.5, 1.5), beta=2.0, plateau=True)
    assert plateau[3, 3] / plateau[3, 4] == pytest.approx(1 + (1 / 1.5**2) ** 2)
    # The filter keeps what is below its cutoff and removes what is above.
    sinc = degrade.sinc_kernel(21, math.pi / 2)
    response = np.abs(np.fft.fft2(sinc, (64, 64)))
    assert response[0, 0] == pytest.approx(1)
    assert response[0, 8] == pytest.approx(1, abs=0.15)  # pi / 4
    assert response[0, 28] < 0.15  # 7 pi / 8
    for kernel in (gaussian, turned, plateau, sinc):
        assert kernel.sum() == pytest.approx(1)


def test_bicubic_is_that_of_pillow() -> None:
    high = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    low = degrade.degraded(high, 4, "bicubic", np.random.default_rng(0))
    whole = Image.fromarray(high.transpose(1, 2, 0)).resize((8, 8), Image.Resampling.BICUBIC)
    assert (low == np.asarray(whole).transpose(2, 0, 1)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_degraded_pictures_depend_on_the_seed_alone(channels: int) -> None:
    y, x = np.mgrid[:64, :64]
    high = np.stack([(x + y) * 2] * channels).clip(0, 255).astype(np.uint8)
    made = [degrade.degraded(high, 4, "real", np.random.default_rng([0, seed])) for seed in range(12)]
    again = degrade.degraded(high, 4, "real", np.random.default_rng([0, 7]))
    assert (made[7] == again).all()
    assert all(low.shape == (channels, 16, 16) and low.dtype == np.uint8 for low in made)
    assert len({low.tobytes() for low in made}) == 12
    clean = degrade.degraded(high, 4, "bicubic", np.random.default_rng(0)).astype(float)
    worst = [np.abs(low - clean).mean() for low in made]
    assert 1 < np.mean(worst) < 40  # the picture is still there


def test_noise_has_its_strength() -> None:
    gray = np.full((128, 128, 3), 0.5, np.float32)
    stage = degrade.Stage(1, (1, 1), (1, 1), (1, 1), 0, 0, (1, 1), (20.0, 20.0), (1.0, 1.0))
    made = [255 * degrade.noisy(gray, stage, np.random.default_rng(at)) for at in range(12)]
    strengths = {round(float(noise.std()) / 10) for noise in made}
    assert strengths == {2, 10}  # Gaussian; Poisson noise of two levels is stronger


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for at in range(12):
        height, width = 60 + 4 * at, 100 - 3 * at
        smooth = gaussian_filter(random.uniform(0, 255, (height, width, 3)), (2, 2, 0))
        Image.fromarray(smooth.clip(0, 255).astype(np.uint8)).save(tmp_path / f"p{at:02d}.png")
    Image.new("RGB", (20, 90)).save(tmp_path / "small.png")
    return tmp_path


def test_crops_are_parts_at_full_size(pictures: Path) -> None:
    source = open_crops(str(pictures), CropsConfig(count=40, size=32, shrink=1.0))
    data = open_source(source)
    assert {field.name: field.shape for field in data.fields} == {"a": (3, 8, 8), "b": (3, 32, 32)}
    assert any("1 picture with sides below 32" in note for note in data.notes)
    names = sorted(path for path in pictures.iterdir() if path.name.startswith("p"))
    del names[5]  # held out
    for index in (0, 17, 39):
        with Image.open(names[index * 11 // 40]) as image:
            whole = np.asarray(image)
        windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32), (0, 1))
        wanted = data.arrays["b"][index]
        found = (windows[..., :4, :4] == wanted[:, :4, :4]).all((2, 3, 4))
        assert any((windows[y, x] == wanted).all() for y, x in np.argwhere(found))


def test_crops_repeat_and_leave_pictures_for_evaluation(pictures: Path) -> None:
    config = CropsConfig(count=30, size=32, shrink=2.0)
    first, again = (open_crops(str(pictures), config) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert (first.read(9)["picture"] == again.read(9)["picture"]).all()
    other = open_crops(str(pictures), CropsConfig(count=30, size=32, shrink=2.0, seed=1))
    assert other.fingerprint != first.fingerprint
    assert (other.read(9)["picture"] != first.read(9)["picture"]).any()
    held_out = open_held_out_crops(str(pictures), config)
    assert held_out is not None
    used, kept = ({item.split(" ")[0] for item in source.items} for source in (first, held_out))
    assert kept == {"p05.png"}
    assert not used & kept


@pytest.mark.parametrize("kind", ["bicubic", "real"])
def test_each_epoch_has_other_squares_and_degradations(pictures: Path, kind: str) -> None:
    options = {"count": 6, "size": 24, "shrink": 1.0, "degradation": kind}
    data = open_source(open_crops(str(pictures), CropsConfig(**options)))  # type: ignore[arg-type]

    def epochs(start: int, seed: int = 0) -> list[dict[str, Pixels]]:
        batches = Batches(data, seed=seed, device=torch.device("cpu"))
        taken = [batches.take("d", at, 3) for at in range(start, 12, 3)]
        return [{name: values.numpy() for name, values in batch.items()} for batch in taken]

    whole = epochs(0)
    for resumed, before in zip(epochs(6), whole[2:], strict=True):
        assert all((resumed[name] == before[name]).all() for name in "ab")
    seen = {image.tobytes() for batch in whole for image in batch["b"]}
    assert len(seen) == 12  # two epochs of six
    assert seen.isdisjoint(image.tobytes() for batch in epochs(0, seed=1) for image in batch["b"])
    kept = {image.tobytes() for image in data.arrays["b"]}
    again = open_source(open_crops(str(pictures), CropsConfig(**options)))  # type: ignore[arg-type]
    assert kept == {image.tobytes() for image in again.arrays["b"]}


def test_filters_reflect_edges() -> None:
    image = np.random.default_rng(0).random((20, 31, 3)).astype(np.float32)
    kernel = np.random.default_rng(1).random((11, 11))
    expected = convolve(image, kernel[..., None], mode="mirror")
    assert np.allclose(degrade.filtered(image, kernel), expected, rtol=1e-5)


def test_a_folder_test_is_held_out(pictures: Path) -> None:
    (pictures / "test").mkdir()
    (pictures / "p03.png").rename(pictures / "test" / "p03.png")
    held_out = open_held_out_crops(str(pictures), CropsConfig(count=4, size=32))
    assert held_out is not None
    assert {item.split(" ")[0] for item in held_out.items} == {"test/p03.png"}


def test_soft_photographs_are_shrunk() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 90, 90), np.uint8)
    plain = crop(picture, 30, 1.0, np.random.default_rng(0))
    shrunk = crop(picture, 30, 3.0, np.random.default_rng(0))
    assert plain.shape == shrunk.shape == (3, 30, 30)
    assert shrunk.std() < 0.8 * plain.std()


def test_folders_without_large_pictures_are_refused(pictures: Path) -> None:
    with pytest.raises(DataError, match="No picture has 512 pixels"):
        open_crops(str(pictures), CropsConfig(size=512))


# --- terms and scores -----------------------------------------------------------------------------


class Seen:
    """A view with these images."""

    written = ("b",)

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        self.real, self.fake = {"b": real}, {"b": fake}


def test_pixels_are_l1() -> None:
    real, fake = torch.rand(2, 2, 3, 16, 16)
    term = terms.pixels(PixelsConfig(weight=3.0))
    assert float(term(Seen(real, fake))) == pytest.approx(float(3 * (real - fake).abs().mean()))  # type: ignore[arg-type]


def test_the_unsharp_mask_is_its_formula() -> None:
    image = torch.rand(1, 3, 70, 70, dtype=torch.float32)
    pixels = image[0].permute(1, 2, 0).numpy().astype(np.float64)

    def blurred(values: Pixels) -> Pixels:
        made: Pixels = gaussian_filter(
            values, (terms.MASK_SIGMA, terms.MASK_SIGMA, 0), radius=(25, 25, 0), mode="nearest"
        )
        return made

    difference = pixels - blurred(pixels)
    mask = blurred((np.abs(difference) > 10 / 255).astype(np.float64))
    expected = pixels + mask * (np.clip(pixels + 0.5 * difference, 0, 1) - pixels)
    found = terms.Sharpened()(image)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 1e-5


def test_perceptual_distances_know_blur_from_brightness() -> None:
    """The same mean error: a blurred texture is farther away than one that is slightly brighter."""
    random = np.random.default_rng(0)
    texture = gaussian_filter(random.standard_normal((1, 3, 96, 96)), (0, 0, 1, 1))
    real = torch.tensor(texture / np.abs(texture).max() * 0.8, dtype=torch.float32)
    blurred = torch.tensor(gaussian_filter(real.numpy(), (0, 0, 2, 2)))
    brighter = real + (real - blurred).abs().mean()
    term = terms.perceptual(PerceptualConfig())
    assert not list(term.parameters())
    same, worse, lighter = (float(term(Seen(real, fake))) for fake in (real, blurred, brighter))  # type: ignore[arg-type]
    assert same == 0
    assert worse > 2 * lighter
    image = real.clone().requires_grad_()
    term(Seen(blurred, image)).backward()  # type: ignore[arg-type]
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_vgg_comes_from_a_file_of_the_user(tmp_path: Path) -> None:
    state, at, inputs = {}, 0, 3
    torch.manual_seed(0)
    for width in terms.VGG_PLAN:
        if width:
            state[f"features.{at}.weight"] = torch.randn(width, inputs, 3, 3) / (3 * inputs**0.5)
            state[f"features.{at}.bias"] = torch.randn(width) * 0.1
            inputs = width
        at += 2 if width else 1
    torch.save(state, tmp_path / "vgg19.pth")
    real, fake = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    term = terms.perceptual(PerceptualConfig(vgg=str(tmp_path / "vgg19.pth")))

    def features(image: Tensor) -> list[Tensor]:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (terms.VGG_MEAN, terms.VGG_STD))
        maps, found = ((image + 1) / 2 - mean) / std, []
        for place in range(36):
            if f"features.{place}.weight" in state:
                maps = functional.conv2d(
                    maps, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1
                )
                found.append(maps)
                maps = maps.relu()
            elif place in (4, 9, 18, 27):
                maps = functional.max_pool2d(maps, 2)
        return [found[layer] for layer in (1, 3, 7, 11, 15)]

    weights = (0.1, 0.1, 1.0, 1.0, 1.0)
    pairs = zip(weights, features(fake), features(real), strict=True)
    expected = sum(float(weight * (a - b).abs().mean()) for weight, a, b in pairs)
    assert float(term(Seen(real, fake))) == pytest.approx(expected, rel=1e-4)  # type: ignore[arg-type]
    del state["features.34.bias"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(SettingsError, match="VGG19"):
        terms.perceptual(PerceptualConfig(vgg=str(tmp_path / "other.pth")))


def test_brightness_and_its_psnr() -> None:
    """White is 235, black 16 (BT.601); a constant error of 1 level is 48.1 dB, without the edges."""
    ends = np.array([[[[0, 0, 0]], [[255, 255, 255]]]], np.uint8)
    assert metrics.luma(ends)[0, :, 0] == pytest.approx([16, 235])
    gray = np.full((1, 20, 20, 1), 100, np.uint8)
    other = gray + 1
    other[:, :2] = 0
    step = 219 / 255
    assert metrics.psnr_y(gray, other) == pytest.approx(20 * math.log10(255 / step))


def test_scores_stand_beside_bicubic() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 256, (10, 64, 64, 3), np.uint8)
    small = np.stack([np.asarray(Image.fromarray(item).resize((16, 16), 3)) for item in target])

    class Compared:
        targets = np.arange(10)
        inputs = {"a": small}  # noqa: RUF012
        fake = real = type("Samples", (), {"values": target})

    scores = metrics.enlarging()(Compared())  # type: ignore[arg-type]
    assert scores["psnr_y"] == pytest.approx(20 * math.log10(255) + 100, abs=0.01)
    assert scores["perceptual"] == 0
    assert 8 < scores["bicubic_psnr_y"] < 20
    assert scores["bicubic_perceptual"] > 1
    Compared.inputs = {"a": target}
    assert metrics.enlarging()(Compared()) == {}  # type: ignore[arg-type]


def test_records_are_complete() -> None:
    recipes = {spec.name for spec in ganzoo_enlarge.ganzoo_recipes()}
    assert recipes == {"enlarge", "esrgan", "real-esrgan-paper"}
