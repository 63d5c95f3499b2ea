"""The augmentations `diffaugment` and `ada`: what they do to images, how p adapts, and both in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError
from ganzoo.registry.registry import Registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo_augment.ada import COLOURS, MOVES, Ada
from ganzoo_augment.config import AdaConfig, DiffAugmentConfig
from ganzoo_augment.diffaugment import DiffAugment

Tiny = Callable[..., Plan]

SIZES = [(1, 28, 28), (3, 16, 16), (4, 9, 6), (1, 1, 1), (3, 2, 7), (2, 5, 5)]
FIXED: dict[str, Any] = {
    "diffaugment": DiffAugment(DiffAugmentConfig()),
    "ada": Ada(AdaConfig(p=0.7)),
}
# The columns of each of ada's transformations: those of its amount, and the one that says whether.
COLUMNS = {
    "flip": ([0], 1), "quarter": ([2], 3), "shift": ([4, 5], 6), "scale": ([7], 8), "turn": ([9], 10),
    "stretch": ([11], 12), "turn again": ([13], 14), "fraction": ([15, 16], 17), "brightness": ([18], 19),
    "contrast": ([20], 21), "luma": ([22], 23), "hue": ([24], 25), "saturation": ([26], 27),
}  # fmt: skip


def given(numbers: Tensor) -> Callable[..., Tensor]:
    """A `uniform` that returns these numbers (N, K)."""

    def uniform(*shape: int) -> Tensor:
        assert shape == tuple(numbers.shape)
        return numbers

    return uniform


def some(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def diff(policy: str, images: Tensor, numbers: Tensor) -> Tensor:
    augment = DiffAugment(DiffAugmentConfig(policy=(policy,)))  # type: ignore[arg-type]
    return augment({"image": images}, given(numbers))["image"]


def ada(images: Tensor, **amounts: float | list[float]) -> Tensor:
    """Only these transforms of ada, each with the U(0, 1) number for its amount."""
    numbers = torch.full((len(images), MOVES + COLOURS), 0.9)
    for name, amount in amounts.items():
        columns, applies = COLUMNS[name.replace("_", " ")]
        numbers[:, columns] = torch.tensor(amount)
        numbers[:, applies] = 0.1
    return Ada(AdaConfig(p=0.5))({"image": images}, given(numbers))["image"]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_happens_without_a_policy_and_with_p_0(size: tuple[int, int, int]) -> None:
    images = some(5, *size)
    for augment in (DiffAugment(DiffAugmentConfig(policy=())), Ada(AdaConfig(p=0.0)), Ada(AdaConfig())):
        assert torch.equal(augment({"image": images}, torch.rand)["image"], images)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("size", SIZES)
def test_each_sample_has_its_own_numbers(size: tuple[int, int, int], name: str) -> None:
    images, numbers = some(6, *size), (some(6, 28 if name == "ada" else 7, seed=1) + 1) / 2
    together = FIXED[name]({"image": images}, given(numbers))["image"]
    assert together.shape == images.shape
    assert torch.isfinite(together).all()
    for at in range(6):
        alone = FIXED[name]({"image": images[at : at + 1]}, given(numbers[at : at + 1]))["image"]
        assert torch.allclose(alone, together[at : at + 1], atol=1e-6)
    if size[1] * size[2] > 1:
        same = FIXED[name]({"image": images[:1].expand(6, -1, -1, -1)}, given(numbers))["image"]
        assert len({tuple(image.flatten().tolist()) for image in same}) > 1


@pytest.mark.parametrize("name", FIXED)
def test_fields_of_one_size_are_changed_alike(name: str) -> None:
    images = some(6, 3, 8, 8)
    fields = {"a": images, "mask": images[:, :1], "b": images.clone(), "small": some(6, 3, 4, 6)}
    found = FIXED[name](fields, torch.rand)
    assert {key: value.shape for key, value in found.items()} == {k: v.shape for k, v in fields.items()}
    assert torch.equal(found["a"], found["b"])


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("size", [(1, 3, 3), (4, 2, 3)])
def test_gradients_and_their_gradients_are_right(name: str, size: tuple[int, int, int]) -> None:
    images = some(2, *size).double().requires_grad_()
    numbers = (some(2, 28 if name == "ada" else 7, seed=2) + 1) / 2

    def changed(images: Tensor) -> Tensor:
        return FIXED[name]({"image": images}, given(numbers))["image"]

    def bent(images: Tensor) -> Tensor:  # or second derivatives would be 0
        return changed(images) ** 3

    assert torch.autograd.gradcheck(changed, (images,))
    assert torch.autograd.gradgradcheck(bent, (images,))


# --- diffaugment ----------------------------------------------------------------------------------


def test_colours_change_by_the_papers_amounts() -> None:
    images = some(3, 4, 5, 6)
    numbers = torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
    numbers = torch.cat([numbers, torch.zeros(3, 4)], 1)
    darker, gray, flatter = diff("color", images, numbers)
    rgb = images[:, :3]
    assert torch.allclose(darker[:3], rgb[0] - 0.5, atol=1e-6)
    assert torch.allclose(gray[:3], rgb[1].mean(0).expand(3, -1, -1), atol=1e-6)
    assert torch.allclose(flatter[:3], (rgb[2] + rgb[2].mean()) / 2, atol=1e-6)
    assert torch.equal(diff("color", images, numbers)[:, 3], images[:, 3])  # alpha
    mean = rgb.mean(1, keepdim=True)
    ones = torch.tensor([0.5, 1.0, 0.5, 0, 0, 0, 0]).expand(3, -1)
    assert torch.allclose(diff("color", images, ones)[:, :3], mean + 2 * (rgb - mean), atol=1e-6)
    one = images[:, :1]  # in one channel saturation is nothing
    assert torch.allclose(diff("color", one, ones), one, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 24), (28, 28), (5, 3)])
def test_translation_moves_by_whole_pixels_up_to_an_eighth(size: tuple[int, int]) -> None:
    reach = [int(side / 8 + 0.5) for side in size]
    images = some(1, 2, *size) + 3
    padded = torch.nn.functional.pad(images, [reach[1], reach[1], reach[0], reach[0]])
    windows = {
        (down, right): padded[:, :, reach[0] - down :, reach[1] - right :][:, :, : size[0], : size[1]]
        for down in range(-reach[0], reach[0] + 1)
        for right in range(-reach[1], reach[1] + 1)
    }
    for down, right in windows:
        place = [(down + reach[0] + 0.5) / (2 * reach[0] + 1), (right + reach[1] + 0.5) / (2 * reach[1] + 1)]
        numbers = torch.tensor([[0, 0, 0, *place, 0, 0]])
        assert torch.equal(diff("translation", images, numbers), windows[down, right])


@pytest.mark.parametrize("size", [(16, 16), (8, 12), (7, 5), (3, 2)])
def test_cutout_sets_a_rectangle_of_half_the_sides_to_0(size: tuple[int, int]) -> None:
    length = [int(side / 2 + 0.5) for side in size]
    images = some(400, 3, *size) + 3
    numbers = (some(400, 7, seed=3) + 1) / 2
    numbers[0, 5:], numbers[1, 5:], numbers[2, 5:] = 0.5, 0.0, 0.9999
    found = diff("cutout", images, numbers)
    assert torch.equal(found[found != 0], images[found != 0])
    holes = (found == 0).all(1)
    assert torch.equal(holes.any(2).sum(1) * holes.any(1).sum(1), holes.sum((1, 2)))
    assert holes[0].sum() == length[0] * length[1]
    assert holes.sum((1, 2)).max() == length[0] * length[1]
    for corner in (holes[1], holes[2].flip(0, 1)):
        sides = (side // 2 if side % 2 == 0 else side // 2 + 1 for side in length)
        assert corner[0, 0]
        assert int(corner.sum()) == next(sides) * next(sides)


# --- ada ------------------------------------------------------------------------------------------


def test_flips_quarter_turns_and_whole_shifts_are_exact() -> None:
    square, wide = some(2, 3, 8, 8), some(2, 3, 5, 8)
    for images in (square, wide):
        assert torch.equal(ada(images, flip=0.7), images.flip(3))
        assert torch.equal(ada(images, flip=0.3), images)
    turns = [ada(square, quarter=turn / 4) for turn in range(4)]
    assert all(torch.equal(turned, square.rot90(k, (2, 3))) for k, turned in enumerate(turns))
    assert torch.equal(ada(wide, quarter=0.9), wide.flip(2, 3))
    assert torch.equal(ada(wide, quarter=0.4), wide)
    # Up to an eighth, here 1 pixel: the image's own column is reflected in.
    moved = ada(square, shift=[1.0, 0.5])
    assert torch.equal(moved, torch.cat([square[..., 1:], square[..., -2:-1]], 3))
    both = ada(square, flip=0.7, quarter=0.25)
    assert torch.equal(both, square.flip(3).rot90(1, (2, 3)))


def normal(value: float) -> float:
    """The U(0, 1) number that gives this value of N(0, 1)."""
    return float(torch.special.ndtr(torch.tensor(value, dtype=torch.float64)))


def test_geometry_follows_its_formulas() -> None:
    y, x = torch.meshgrid(torch.arange(17.0) - 8, torch.arange(17.0) - 8, indexing="ij")
    ramps = torch.stack([x, y])[None]  # interpolated exactly, so each pixel says where it came from
    inner = (..., slice(6, 11), slice(6, 11))

    def came_from(**amounts: float | list[float]) -> Tensor:
        return ada(torch.cat([ramps, ramps[:, :1]], 1) / 8, **amounts, hue=0.5)[:, :2][inner] * 8

    assert torch.allclose(came_from(scale=normal(1)), 2**0.2 * ramps[inner], atol=1e-4)
    stretched = came_from(stretch=normal(-1))
    assert torch.allclose(stretched[:, 0], 2**-0.2 * x[inner], atol=1e-4)
    assert torch.allclose(stretched[:, 1], 2**0.2 * y[inner], atol=1e-4)
    shifted = came_from(fraction=[normal(0.1), normal(-0.3)])
    assert torch.allclose(shifted[:, 0], x[inner] + 0.1 * 17 / 8, atol=1e-4)
    assert torch.allclose(shifted[:, 1], y[inner] - 0.3 * 17 / 8, atol=1e-4)
    for name in ("turn", "turn_again"):
        turned = came_from(**{name: 0.5 + 1 / 12})
        angle = torch.tensor(torch.pi / 6)
        assert torch.allclose(turned[:, 0], angle.cos() * x[inner] - angle.sin() * y[inner], atol=1e-4)
        assert torch.allclose(turned[:, 1], angle.sin() * x[inner] + angle.cos() * y[inner], atol=1e-4)
    # Flip, then scale: the place before both is flipped.
    flipped = came_from(flip=0.7, scale=normal(1), fraction=[normal(0.1), 0.5])
    assert torch.allclose(flipped[:, 0], -(2**0.2) * (x[inner] + 0.1 * 17 / 8), atol=1e-4)


def test_borders_reflect_however_far_away() -> None:
    image = torch.arange(4.0).expand(1, 1, 1, 4)
    far = ada(image, scale=normal(4), stretch=normal(4.5))  # 2**1.7 times as small
    places = 2**1.7 * (torch.arange(4.0) - 1.5) + 1.5
    assert float(places.max()) > 4
    for _ in range(2):
        places = 3 - (3 - places.abs()).abs()
    assert torch.allclose(far.flatten(), places.abs(), atol=1e-3)


def test_colours_follow_their_formulas() -> None:
    images = some(2, 4, 3, 3)
    rgb, mean = images[:, :3], images[:, :3].mean(1, keepdim=True)
    for amounts, expected in (
        ({"brightness": normal(1)}, rgb + 0.2),
        ({"contrast": normal(-2)}, rgb / 2),
        ({"luma": 0.7}, rgb - 2 * mean),
        ({"luma": 0.3}, rgb),
        ({"hue": 5 / 6}, rgb.roll(1, 1)),  # a third of the circle
        ({"hue": 0.0}, 2 * mean - rgb),
        ({"saturation": normal(1)}, mean + 2 * (rgb - mean)),
        ({"brightness": normal(1), "contrast": normal(2)}, 2 * (rgb + 0.2)),
    ):
        found = ada(images, **amounts)  # type: ignore[arg-type]
        assert torch.allclose(found[:, :3], expected, atol=1e-5), amounts
        assert torch.equal(found[:, 3], images[:, 3])
        gray = ada(mean, **amounts)  # type: ignore[arg-type]
        assert torch.allclose(gray, ada(mean.expand(-1, 3, -1, -1), **amounts)[:, :1], atol=1e-5)  # type: ignore[arg-type]


def test_groups_of_transforms_can_be_switched_off() -> None:
    images = some(64, 1, 8, 8)
    still = Ada(AdaConfig(p=1.0, blit=False, geometry=False, color=False))
    assert torch.equal(still({"image": images}, torch.rand)["image"], images)
    ordered = [
        Ada(AdaConfig(p=1.0, geometry=False, color=False, x_flip=flip))({"image": images}, torch.rand)
        for flip in (True, False)
    ]
    seen = [found["image"].flatten(1).sort(1).values for found in ordered]
    assert all((values[:, :, None] == images.flatten(1)[:, None]).any(2).all() for values in seen)
    flat = {"image": torch.zeros(64, 1, 4, 4)}
    recoloured = Ada(AdaConfig(p=1.0, blit=False, geometry=False))(flat, torch.rand)
    assert (recoloured["image"].flatten(1).std(1) == 0).all()


def test_p_rises_and_falls_by_the_formula() -> None:
    augment = Ada(AdaConfig(interval=2, kimg=0.1))
    sure, unsure = torch.ones(8, 1), torch.tensor([1.0, 1.0, -1.0, 1.0])
    levels = []
    for scores in (sure, sure, sure, sure, sure, unsure, unsure, unsure, unsure):
        augment.observe(scores)
        levels.append(float(augment.p))
    # 16 of 100 images each time; then a mean of signs of (8 + 2) / 12, and of 1 / 2.
    assert levels == pytest.approx([0, 0, 0.16, 0.16, 0.32, 0.32, 0.44, 0.44, 0.36])
    for _ in range(40):
        augment.observe(sure)
    assert float(augment.p) == 1
    for _ in range(40):
        augment.observe(-torch.ones(8, 1, 3, 3))
    assert float(augment.p) == 0
    fixed = Ada(AdaConfig(p=0.25, interval=1, kimg=0.1))
    for _ in range(4):
        fixed.observe(sure)
    assert float(fixed.p) == 0.25


def test_the_state_survives() -> None:
    ours, theirs = (Ada(AdaConfig(interval=2, kimg=0.1)) for _ in range(2))
    for count in range(5):
        ours.observe(some(8, seed=count) + 0.9)
    theirs.load_state_dict(ours.state_dict())
    for augment in (ours, theirs):
        augment.observe(torch.ones(8))
        augment.observe(torch.ones(8))
    assert float(ours.p) > 0
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), theirs.buffers(), strict=True))


def test_several_processes_decide_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    options = AdaConfig(interval=2, kimg=0.2, target=0.3)
    whole, shares = Ada(options), [Ada(options), Ada(options)]
    seen = []
    for cycle in range(12):
        scores = some(8, seed=cycle) + (1 if cycle < 7 else -0.5)
        whole.observe(scores)
        with monkeypatch.context() as patch:
            patch.setattr(distributed, "is_initialized", lambda: True)
            patch.setattr(distributed, "get_world_size", lambda: 2)
            for augment, half in zip(shares, scores.chunk(2), strict=True):
                augment.observe(half)
        assert float(shares[0].p) == float(shares[1].p) == pytest.approx(float(whole.p))
        for ours, others in zip(*(list(augment.buffers()) for augment in shares), strict=True):
            mean = (ours + others) / 2
            ours.copy_(mean)
            others.copy_(mean)
        seen.append(float(whole.p))
    assert seen[-1] < max(seen)


# --- in training ----------------------------------------------------------------------------------

ADAPTS = {"augment.name": "ada", "augment.interval": 1, "augment.kimg": 0.05, "augment.target": -0.5}
SMOOTH = {"architecture.discriminator_norm": "none", "terms.r1": True}


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("dcgan", {**ADAPTS, **SMOOTH}),
        ("dcgan", {"augment.name": "diffaugment", **SMOOTH}),
        ("wgan-gp", {"augment.name": "ada", "augment.p": 0.5}),
        ("wgan-gp", {"augment.name": "diffaugment", "augment.policy": ["translation", "cutout"]}),
    ],
)
def test_training_with_it_resumes_exactly(
    recipe: str, settings: dict[str, Any], tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    settings = {**settings, "train.images": 32}
    plan = tiny(recipe, **settings)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=16)
    parts, outcome = resume(
        Run.open(parts.path), resolve(str(parts.path / "settings.toml"), registry), NullReporter()
    )
    assert outcome == "done"
    states = [(max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes() for run in (whole, parts)]
    assert states[0] == states[1]
    if recipe == "dcgan" and settings["augment.name"] == "ada":
        assert float(read_newest(whole.checkpoints, print)[0]["parts.augmentation.p"]) > 0
    plan = tiny(recipe, **{**settings, "augment.name": "none"})
    plain, _ = start(plan, tmp_path / "plain", NullReporter())
    assert plain.log()[-1]["values"] != whole.log()[-1]["values"]


NO_SIGN = [
    ("wgan", {}),
    ("wgan-gp", {}),
    ("dcgan", {"loss.name": "relativistic"}),
    ("dcgan", {"loss.name": "relativistic-average"}),
    ("dcgan", {"loss.name": "lsgan"}),  # its targets are 0 and 1
]


@pytest.mark.parametrize(("recipe", "settings"), NO_SIGN)
def test_ada_refuses_losses_without_a_meaningful_sign(
    recipe: str, settings: dict[str, Any], tiny: Tiny, tmp_path: Path
) -> None:
    """Such a run is refused before it starts; with a fixed p it trains."""
    settings = {**settings, "augment.name": "ada", "train.images": 8}
    with pytest.raises(SettingsError, match=r"'ada' cannot work with the loss .*: no-sign") as caught:
        start(tiny(recipe, **settings), tmp_path / "run", NullReporter())
    assert "augment.p=0.2" in caught.value.fix
    assert not (tmp_path / "run").exists()
    _, outcome = start(tiny(recipe, **settings, **{"augment.p": 0.2}), tmp_path / "run", NullReporter())
    assert outcome == "done"


def test_ada_accepts_lsgan_where_0_is_half_way(tiny: Tiny, tmp_path: Path) -> None:
    settings = {"loss.name": "lsgan", "loss.a": -1.0, "loss.c": 1.0, "augment.name": "ada", "train.images": 8}
    _, outcome = start(tiny("dcgan", **settings), tmp_path / "run", NullReporter())
    assert outcome == "done"


def test_a_run_of_an_older_version_resumes(
    tiny: Tiny, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny("wgan", **{"augment.name": "ada", "train.images": 32})
    with monkeypatch.context() as patch:
        patch.setattr(AdaConfig, "rejects", {})  # which did not refuse it
        run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=16)
    settings = resolve(str(run.settings_file), registry)
    assert resume(Run.open(run.path), settings, NullReporter())[1] == "done"


@pytest.mark.parametrize("name", FIXED)
def test_micro_batches_are_augmented_like_the_whole_batch(name: str, tiny: Tiny, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "augment.name": name,
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "train.precision": "fp32",
        "train.images": 48,
        "train.log_every": 8,
        "generator.optimizer": "sgd",
        "discriminator.optimizer": "sgd",
        **({"augment.p": 0.7} if name == "ada" else {}),
    }
    whole, _ = start(tiny("dcgan", **settings), tmp_path / "whole", NullReporter())
    parts, _ = start(
        tiny("dcgan", **settings, **{"train.micro_batch": 3}), tmp_path / "parts", NullReporter()
    )
    assert len(whole.log()) == len(parts.log()) > 4
    for ours, theirs in zip(parts.log(), whole.log(), strict=True):
        assert ours["values"] == pytest.approx(theirs["values"], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    "bad",
    [
        {"augment.name": "diffaugment", "augment.policy": ["colour"]},
        {"augment.name": "ada", "augment.p": 1.5},
        {"augment.name": "ada", "augment.interval": 0},
        {"augment.name": "ada", "augment.kimg": 0},
        {"augment.name": "ada", "augment.target": 2},
    ],
)
def test_invalid_options_are_refused(tiny: Tiny, bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"augment|policy|p must|interval|kimg|target"):
        tiny("dcgan", **bad)


@pytest.mark.parametrize("name", FIXED)
def test_no_device_sync_and_no_mixed_devices(name: str) -> None:
    """Tensors without values: reading one, or mixing devices, is an error."""
    augment = Ada(AdaConfig(interval=1)).to("meta") if name == "ada" else FIXED[name]
    images = {"a": torch.empty(4, 3, 8, 8, device="meta"), "b": torch.empty(4, 1, 5, 8, device="meta")}
    images["a"].requires_grad_()
    found = augment(images, lambda *shape: torch.empty(shape, device="meta"))
    augment.observe(torch.empty(4, 1, device="meta"))
    (slope,) = torch.autograd.grad(found["a"].square().sum(), images["a"], create_graph=True)
    slope.square().sum().backward()  # type: ignore[no-untyped-call]
    assert found["b"].device.type == "meta"
