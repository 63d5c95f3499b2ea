"""TGAN, MoCoGAN, StyleGAN-V and their parts, against the papers' numbers and formulas; scores of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from ganzoo.api import DataError, DataInfo, Field, Networks, SettingsError
from ganzoo_clips.config import CLIP_AXES, MocoganConfig, SingularConfig, StyleVConfig, TganConfig, VganConfig
from ganzoo_clips.extractor import FramePairs, by_frame, times_of
from ganzoo_clips.layers import random_times
from ganzoo_clips.metrics import changes, frechet, motion, parts_of
from ganzoo_clips.mocogan import build as build_mocogan
from ganzoo_clips.rules import suits_layered, suits_tgan
from ganzoo_clips.stylegan_v import FewFrames, MotionCodes
from ganzoo_clips.stylegan_v import build as build_stylegan_v
from ganzoo_clips.terms import clipped, singular_values
from ganzoo_clips.tgan import build_tgan, build_vgan
from tests.helpers.evaluating import ganzoo


def info(
    channels: int = 3, frames: int = 16, height: int = 64, width: int = 64, *, classes: int = 0
) -> DataInfo:
    shape = (channels, frames, height, width)
    clip = Field(name="clip", shape=shape, kind="clip", axes=CLIP_AXES, range=(-1.0, 1.0), facts={"fps": 10})
    label = Field(name="label", dtype="int64", classes=tuple(map(str, range(classes))))
    return DataInfo(fields=(clip, label) if classes else (clip,), count=100)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def generated(networks: Networks, count: int = 2, **given: Tensor) -> Tensor:
    """What the generator writes for random noise, with the batch's fields where these are given."""
    net = networks.generators["generator"]
    noise = {
        field.name: torch.randn(count, *field.shape)
        for field in networks.fields
        if field.source != "constant"
    }
    noise |= {
        field.name: torch.full((count,), field.default)
        for field in networks.fields
        if field.source == "constant"
    }
    made: Tensor = net.module(*({**noise, **given}[name] for name in net.reads))
    return made


# --- architectures ----------------------------------------------------------------------------------


def test_the_published_networks() -> None:
    """Numbers of parameters of the authors' networks, for 16 frames of 64x64 in colours."""
    tgan = build_tgan(TganConfig(latent=256), info())
    assert size(tgan.generators["generator"].module) == 5_887_011
    vgan = build_vgan(VganConfig(), info())
    assert size(vgan.generators["generator"].module) == 12_653_443
    mocogan = build_mocogan(MocoganConfig(labels=True), info(classes=6))
    assert size(mocogan.generators["generator"].module) == 3_298_836
    widths = [
        layer.out_channels
        for layer in mocogan.discriminators["of-clips"].module.modules()
        if isinstance(layer, nn.Conv3d)
    ]
    assert widths == [64, 128, 256, 512, 1]
    widths = [
        layer.out_channels
        for layer in mocogan.discriminators["of-frames"].module.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert widths == [64, 128, 256, 1]


@pytest.mark.parametrize("shape", [(1, 16, 32, 32), (3, 7, 20, 33), (4, 2, 8, 8), (1, 33, 8, 24)])
def test_clips_of_any_size(shape: tuple[int, int, int, int]) -> None:
    for networks in (
        build_tgan(TganConfig(latent=5, generator_width=2, discriminator_width=2), info(*shape)),
        build_vgan(VganConfig(latent=5, generator_width=2, discriminator_width=2), info(*shape)),
        build_stylegan_v(
            StyleVConfig(
                latent=4, style=4, motion=4, spacing=1, kernel=3, waves=3, generator_width=2,
                discriminator_width=2, widest=4,
            ),
            info(*shape),
        ),
    ):  # fmt: skip
        clip = generated(networks)
        assert clip.shape == (2, *shape)
        assert networks.discriminators["discriminator"].module(clip).shape == (2,)


def test_what_an_architecture_refuses() -> None:
    with pytest.raises(DataError, match="needs clips"):
        build_tgan(
            TganConfig(), DataInfo(fields=(Field(name="clip", shape=(3, 8, 8), range=(-1.0, 1.0)),), count=2)
        )
    with pytest.raises(DataError, match="13 frames or more"):
        build_mocogan(MocoganConfig(), info(1, 12, 32, 32))
    with pytest.raises(DataError, match="no labels"):
        build_mocogan(MocoganConfig(labels=True), info())
    with pytest.raises(SettingsError, match="pieces of 16") as error:
        build_stylegan_v(StyleVConfig(spacing=16), info(1, 20, 32, 32))
    assert "data.frames=16" in str(error.value.fix)


def test_mocogan_makes_frames_from_content_and_a_walk() -> None:
    """h_t = GRUCell(e_t, h_{t-1}); a frame depends on content and h_t only, so clips begin alike."""
    torch.manual_seed(0)
    networks = build_mocogan(MocoganConfig(content=6, motion=4, generator_width=4), info(1, 16, 32, 32))
    net = networks.generators["generator"].module.eval()
    content, steps, first = torch.randn(2, 6), torch.randn(2, 20, 4), torch.randn(2, 4)
    long = net(content, steps, first)
    assert long.shape == (2, 1, 20, 32, 32)
    torch.testing.assert_close(net(content, steps[:, :16], first), long[:, :, :16])
    cell = nn.GRUCell(4, 4)
    for name, parameter in cell.named_parameters():
        parameter.data = getattr(net.recurrent, f"{name}_l0").data
    state = first
    for time in range(20):
        state = cell(steps[:, time], state)
        frame = net.layers(net.first(torch.cat([content, state], 1)[:, :, None, None]))
        torch.testing.assert_close(frame, long[:, :, time])


def test_mocogans_frame_critic_sees_one_frame() -> None:
    networks = build_mocogan(MocoganConfig(discriminator_width=4), info(1, 16, 32, 32))
    critic = networks.discriminators["of-frames"].module.train()
    clip = torch.randn(64, 1, 16, 32, 32, requires_grad=True)
    critic(clip).sum().backward()
    assert clip.grad is not None
    seen = clip.grad.abs().sum((1, 3, 4)) > 0
    assert (seen.sum(1) == 1).all()
    assert len(set(seen.int().argmax(1).tolist())) > 8
    times = random_times(500, 16, 3, torch.device("cpu"))
    assert (times.diff(dim=1) > 0).all()
    assert set(times.flatten().tolist()) == set(range(16))


# --- motion codes -----------------------------------------------------------------------------------

CODES = StyleVConfig(motion=6, waves=5)


def test_a_motion_vector_is_the_aligned_one_at_the_time_of_a_code() -> None:
    torch.manual_seed(0)
    motion = MotionCodes(CODES).double()
    codes = torch.randn(2, 6, 3 + 1 + 4, dtype=torch.float64)
    mixed = motion.layers(codes).transpose(1, 2)
    times = torch.tensor([[0.0, 8.0, 16.0, 24.0]] * 2, dtype=torch.float64)
    torch.testing.assert_close(motion(codes, times), motion.aligned(mixed))
    just = torch.tensor([[8.0, 16.0]] * 2, dtype=torch.float64)
    torch.testing.assert_close(motion(codes, just - 1e-7), motion(codes, just), atol=1e-5, rtol=0)


def test_motion_vectors_by_the_formula() -> None:
    """Equations 1 to 4 of the paper in numpy, for one time after the other."""
    torch.manual_seed(1)
    motion = MotionCodes(CODES).double()
    codes = torch.randn(1, 6, 2 + 1 + 4, dtype=torch.float64)
    mixed = motion.layers(codes)[0].T.detach().numpy()
    weights = {
        name: getattr(motion, name).weight.detach().numpy() for name in ("periods", "phases", "aligned")
    }
    assert all(getattr(motion, name).bias is None for name in weights)
    length = 8.0 * 8.0 ** (np.arange(5) / 4)  # log-spaced from 8 to 64 frames
    times = np.linspace(0, 16, 11)

    def wave(code: np.ndarray, time: float) -> np.ndarray:
        raw = 2 * np.pi / length * (1 + np.tanh(weights["periods"] @ code)) * time
        raw = raw + weights["phases"] @ code * 64 / length
        return np.concatenate([np.sin(raw), np.cos(raw)])

    expected = []
    for time in times:
        left = min(int(time // 8), 1)
        share = time / 8 - left
        start, end = (mixed[left + each] for each in (0, 1))
        ends = (1 - share) * wave(start, 8 * left) + share * wave(start, 8 * left + 8)
        aligned = (1 - share) * weights["aligned"] @ start + share * weights["aligned"] @ end
        expected.append(wave(start, time) - ends + aligned)
    found = motion(codes, torch.tensor(times)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_stylegan_v_has_any_length_and_slow_motion() -> None:
    torch.manual_seed(0)
    config = StyleVConfig(
        latent=8,
        style=8,
        motion=6,
        spacing=8,
        kernel=3,
        waves=4,
        generator_width=4,
        discriminator_width=4,
        widest=8,
    )
    networks = build_stylegan_v(config, info(1, 16, 16, 16))
    net = networks.generators["generator"].module.eval()
    z, codes, ends = torch.randn(1, 8), torch.randn(1, 6, 4), torch.randn(1, 6, 5)
    clip = net(z, codes, ends, torch.ones(1))
    assert clip.shape == (1, 1, 32, 16, 16)
    slow = net(z, codes, ends, torch.full((1,), 0.5))
    torch.testing.assert_close(slow[:, :, ::2], clip[:, :, :16])


def test_the_critic_of_few_frames() -> None:
    torch.manual_seed(0)
    config = StyleVConfig(discriminator_width=4, widest=8, joined=8)
    critic = FewFrames(config, info(1, 16, 32, 32).field("clip"))
    clip = torch.randn(16, 1, 16, 32, 32, requires_grad=True)
    critic.train()(clip).sum().backward()
    assert clip.grad is not None
    assert ((clip.grad.abs().sum((1, 3, 4)) > 0).sum(1) == 3).all()
    critic.eval()
    assert torch.equal(critic(clip), critic(clip))


# --- singular values --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 9), (6, 3, 2, 2, 2), (8, 2)])
def test_singular_values_are_clipped(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape)
    vectors, values, others = np.linalg.svd(weight.flatten(1).numpy(), full_matrices=False)
    for limit in (1.0, 1.5):
        expected = (vectors * values.clip(max=limit)) @ others
        np.testing.assert_allclose(clipped(weight, limit).flatten(1).numpy(), expected, atol=1e-5)
    torch.testing.assert_close(clipped(weight / 100, 1.0), weight / 100)


def test_a_clipped_critic_is_lipschitz() -> None:
    """Saito et al. 2017, section 3.4: also gains of batch norms, between 0.01 and 1 times the deviation."""
    torch.manual_seed(0)
    critic = (
        build_tgan(TganConfig(discriminator_width=4, critic_norm="batch"), info(1, 8, 16, 16))
        .discriminators["discriminator"]
        .module
    )
    norms = [layer for layer in critic.modules() if isinstance(layer, nn.BatchNorm3d)]
    assert norms
    for layer in norms:
        assert layer.running_var is not None
        layer.running_var.uniform_(0.1, 9)
        layer.weight.data.uniform_(-5, 5)
    with torch.no_grad():
        singular_values(SingularConfig())(critic)
    for layer in critic.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) <= 1 + 1e-5
    for layer in norms:
        assert layer.running_var is not None
        deviation = (layer.running_var + layer.eps).sqrt()
        assert ((layer.weight >= 0.01 * deviation) & (layer.weight <= deviation)).all()


# --- scores -----------------------------------------------------------------------------------------


class Side:
    def __init__(self, values: np.ndarray, features: np.ndarray | None = None) -> None:
        self.values, self.features = values, features


class Pair:
    def __init__(self, fake: Side, real: Side) -> None:
        self.fake, self.real = fake, real


def test_frechet_of_frames_pairs_and_differences() -> None:
    """Against the formula with scipy's root of a matrix."""
    random = np.random.default_rng(0)
    fake, real = (random.normal(shift, 1 + shift, (60, 4 * 3)) for shift in (0.0, 0.5))

    def expected(first: np.ndarray, second: np.ndarray) -> float:
        gap = first.mean(0) - second.mean(0)
        one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
        root = np.real(scipy.linalg.sqrtm(one @ two))
        return float(gap @ gap + np.trace(one + two - 2 * root))

    scores = frechet()(Pair(Side(fake, fake), Side(real, real)))  # type: ignore[arg-type]
    pairs = [side.reshape(60, 2, 2, 3) for side in (fake, real)]
    assert scores["fed_frames"] == pytest.approx(expected(*(side.reshape(-1, 3) for side in pairs)), rel=1e-6)
    assert scores["fed_pairs"] == pytest.approx(expected(*(side.reshape(-1, 6) for side in pairs)), rel=1e-6)
    steps = (side[:, :, 1] - side[:, :, 0] for side in pairs)
    assert scores["fed_differences"] == pytest.approx(
        expected(*(step.reshape(-1, 3) for step in steps)), rel=1e-6
    )


def test_features_are_those_of_neighbouring_frames() -> None:
    assert times_of(16).tolist() == [4, 5, 10, 11]
    assert times_of(2).tolist() == [0, 1] * 2

    class Mean:
        identity = protocol = "mean"

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            return pixels.mean((1, 2))

    clips = np.arange(2 * 16, dtype=np.uint8).reshape(2, 16, 1, 1, 1) + np.zeros((2, 16, 4, 4, 1), np.uint8)
    features = FramePairs(Mean())(clips)
    assert features.shape == (2, 4)
    assert by_frame(features)[2:, :, 0].tolist() == [[20, 21], [26, 27]]
    assert (parts_of(features)["differences"] == 1).all()


def test_motion_of_still_moving_and_shuffled_clips() -> None:
    random = np.random.default_rng(0)
    ramp = (np.arange(10) * 6.0)[None, :, None, None, None] + np.zeros((40, 10, 4, 4, 1))
    real = ramp.astype(np.uint8)
    assert changes(real).tolist() == [36.0] * 360
    assert not changes(real, order=2).any()
    same = motion()(Pair(Side(real), Side(real)))  # type: ignore[arg-type]
    assert same == {"motion_distance": 0, "motion_ratio": 1, "roughness": 0}
    fast = motion()(Pair(Side(2 * real), Side(real)))  # type: ignore[arg-type]
    assert fast == {"motion_distance": 6, "motion_ratio": 4, "roughness": 0}
    noise = random.integers(0, 256, (40, 10, 4, 4, 1), np.uint8)
    assert motion()(Pair(Side(noise), Side(real)))["roughness"] == pytest.approx(3, rel=0.05)  # type: ignore[arg-type]
    still = motion()(Pair(Side(real[:, :1].repeat(10, 1)), Side(real)))  # type: ignore[arg-type]
    assert still == {"motion_distance": 6, "motion_ratio": 0}


# --- recipes ----------------------------------------------------------------------------------------


def test_data_without_a_recipe_gets_one_of_clips() -> None:
    pictures = DataInfo(fields=(Field(name="image", shape=(3, 8, 8)),), count=3)
    assert suits_layered(info()) > suits_tgan(info()) > 0
    assert suits_layered(pictures) == suits_tgan(pictures) == 0


SMALL: dict[str, dict[str, Any]] = {
    "mocogan": {"generator_width": 2, "discriminator_width": 2},
    "stylegan-v": {"generator_width": 2, "discriminator_width": 2, "widest": 4},
}


@pytest.mark.parametrize("recipe", SMALL)
def test_longer_clips_after_the_export(recipe: str, tmp_path: Path) -> None:
    """Trained on 16 frames, sampled with 24; slow motion by the constant `rate`."""
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    options = [f"architecture.{name}={value}" for name, value in SMALL[recipe].items()]
    options += ["train.batch_size=4", "train.device=cpu", "data.count=8", "data.size=16", "data.side=7"]
    words = [word for option in options for word in ("--set", option)]
    said = ganzoo("train", recipe, "--images", 8, "--run-dir", run, *words)
    assert said.code == 0, said.err
    said = ganzoo("export", run, "-o", bundle)
    assert said.code == 0, said.err
    rate = ("--set", "rate=0.5") if recipe == "stylegan-v" else ()
    said = ganzoo("generate", bundle, "-n", 1, "--length", 24, *rate, "-o", tmp_path / "long.npz")
    assert said.code == 0, said.err
    with np.load(tmp_path / "long.npz") as arrays:
        assert arrays["clip"].shape == (1, 1, 24, 16, 16)


def test_weights_under_spectral_norm_are_initialised() -> None:
    critic = build_mocogan(MocoganConfig(), info(1, 16, 32, 32)).discriminators["of-clips"].module
    originals = [value for name, value in critic.named_parameters() if name.endswith("weight.original")]
    own = build_mocogan(MocoganConfig(norm="spectral"), info(1, 16, 32, 32)).discriminators["of-clips"].module
    found = [value for name, value in own.named_parameters() if name.endswith("weight.original")]
    assert not originals
    assert found
    for value in found:
        if value.numel() > 5000:
            assert value.std().item() == pytest.approx(0.02, rel=0.1)
