"""Discriminators that judge several samples together (Lin et al. 2018, PacGAN): `train.pack`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganzoo.api import DataInfo, Field, Net
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import SettingsError
from ganzoo.networks.apply import apply, independent_of_batch
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.cost import estimate
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.microbatches import MicroBatching
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import check_share, prepare
from ganzoo.training.shards import shards
from ganzoo_losses.config import ZeroCentredConfig
from ganzoo_losses.terms import r1
from ganzoo_wgan_gp.config import GradientPenaltyConfig
from ganzoo_wgan_gp.terms import gradient_penalty
from tests.plugins.test_wgan_gp_terms import FakeView

Tiny = Callable[..., Plan]
IMAGES = DataInfo(fields=(Field(name="image", shape=(1, 28, 28), range=(-1.0, 1.0)),), count=32)


@pytest.mark.parametrize("recipe", ["vanilla", "dcgan", "wgan", "wgan-gp"])
def test_a_packed_discriminator_sees_the_channels_of_all_members(recipe: str, tiny: Tiny) -> None:
    single = build_networks(tiny(recipe), IMAGES)
    packed = build_networks(tiny(recipe, **{"train.pack": 4}), IMAGES)
    modules = [n.discriminators["discriminator"].module for n in (single, packed)]
    first = [next(value for value in module.parameters() if value.ndim > 1) for module in modules]
    assert first[1].shape[1] == 4 * first[0].shape[1]
    score = apply(packed.discriminators["discriminator"], {"image": torch.randn(8, 1, 28, 28)})["score"]
    assert score.shape[0] == 2
    before, after = (n.generators["generator"].module.state_dict() for n in (single, packed))
    assert all(torch.equal(before[key], after[key]) for key in before)  # packing is no business of G's


def test_members_stand_side_by_side() -> None:
    seen = []

    class Watching(nn.Module):
        def forward(self, image: Tensor, label: Tensor) -> Tensor:
            seen.extend([image, label])
            return image.sum((1, 2, 3))

    image, label = torch.randn(6, 3, 2, 2), torch.arange(6)
    net = Net(module=Watching(), reads=("image", "label"), pack=2)
    score = apply(net, {"image": image, "label": label})["score"]
    assert torch.equal(seen[0], torch.stack([torch.cat([image[2 * k], image[2 * k + 1]]) for k in range(3)]))
    assert seen[1].tolist() == [[0, 1], [2, 3], [4, 5]]
    torch.testing.assert_close(score, image.sum((1, 2, 3)).reshape(3, 2).sum(1))


def test_a_pack_is_the_sample_of_a_gradient_penalty() -> None:
    """A linear critic of the whole pack has one slope: sqrt(m) times that of a member, whatever x^ is."""
    weight = torch.randn(5)

    def critic(image: Tensor) -> Tensor:
        return (image @ weight).reshape(-1, 3).sum(1)  # N / 3 scores

    view = FakeView(critic, {"image": torch.randn(12, 5)}, {"image": torch.randn(12, 5)})
    penalty = gradient_penalty(GradientPenaltyConfig(weight=10.0))(view)  # type: ignore[arg-type]
    torch.testing.assert_close(penalty, 10 * (3**0.5 * weight.norm() - 1).square())
    penalty = r1(ZeroCentredConfig(gamma=2.0))(view)  # type: ignore[arg-type]
    torch.testing.assert_close(penalty, 3 * weight.square().sum())


def test_members_of_a_pack_share_their_point_between_real_and_generated() -> None:
    ones = {"image": torch.ones(12, 1)}
    view = FakeView(lambda image: image.reshape(4, 3).sum(1), ones, {"image": torch.zeros(12, 1)})
    gradient_penalty(GradientPenaltyConfig())(view)  # type: ignore[arg-type]
    points = view.asked[-1]["image"].reshape(4, 3)
    assert torch.equal(points, points[:, :1].expand(4, 3))
    assert len(points[:, 0].unique()) == 4


def test_a_packed_run_resumes_and_may_be_computed_in_parts(tiny: Tiny, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train.pack": 2, "train.images": 32, "train.n_critic": 1}
    settings["architecture.generator_norm"] = "none"  # the one layer that sees how a batch is divided
    whole, _ = start(tiny("wgan-gp", **settings), tmp_path / "whole", NullReporter())
    run, _ = start(tiny("wgan-gp", **settings), tmp_path / "run", NullReporter(), pause_at=16)
    run, _ = resume(Run.open(run.path), tiny("wgan-gp", **settings), NullReporter())
    small, _ = start(
        tiny("wgan-gp", **settings, **{"train.micro_batch": 2}), tmp_path / "small", NullReporter()
    )

    def tensors(run: Run) -> dict[str, Tensor]:
        return dict(read_newest(run.checkpoints, lambda note: None)[0])

    expected, resumed, shared = tensors(whole), tensors(run), tensors(small)
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    names = [key for key in expected if key.startswith("networks.discriminator")]
    for key in names:
        torch.testing.assert_close(shared[key], expected[key], rtol=1e-3, atol=1e-4)


def test_discriminators_that_judge_alone_are_still_found(tiny: Tiny) -> None:
    packed = build_networks(tiny("vanilla", **{"train.pack": 3}), IMAGES)
    assert independent_of_batch(packed, IMAGES) == {"discriminator"}


def test_what_it_will_cost_is_counted_in_packs(tiny: Tiny) -> None:
    counts = [
        estimate(prepare(tiny("vanilla", **{"train.pack": pack})))["flops_per_image"] for pack in (1, 4)
    ]
    assert 0.5 * counts[0] < counts[1] < 1.5 * counts[0]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"train.batch_size": 9}, "train.batch_size=8"),
        ({"train.generator_batch_size": 2}, "train.generator_batch_size=4"),
        ({"train.micro_batch": 6}, "train.micro_batch=4"),
    ],
)
def test_batches_of_broken_packs_are_refused(settings: dict[str, Any], path: str, tiny: Tiny) -> None:
    plan = tiny("vanilla", **settings, **{"train.pack": 4})
    with pytest.raises(SettingsError) as caught:
        prepare(plan)
    assert path in caught.value.fix


def test_each_process_has_whole_packs(tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="whole packs of 4 in each of 3"):
        check_share(tiny("vanilla", **{"train.pack": 4}), Ranks(rank=0, world=3))
    check_share(tiny("vanilla", **{"train.pack": 4}), Ranks(rank=0, world=2))


@pytest.mark.parametrize("recipe", ["cgan", "projection", "biggan"])
def test_labels_are_not_packed(recipe: str, registry: Registry) -> None:
    plan = resolve(recipe, registry, overrides={"train.pack": 2, "train.batch_size": 8})
    label = Field(name="label", dtype="int64", classes=("a", "b"))
    with pytest.raises(SettingsError, match="cannot score 2 samples together"):
        build_networks(plan, DataInfo(fields=(*IMAGES.fields, label), count=32))


def test_guesses_of_each_sample_are_not_packed(registry: Registry) -> None:
    plan = resolve("infogan", registry, overrides={"train.pack": 2, "train.batch_size": 8})
    with pytest.raises(SettingsError, match="packed"):
        build_networks(plan, IMAGES)


def test_parts_never_divide_a_pack() -> None:
    for at_once in (3, 6, 9, 12):
        shared = shards(range(12, 36), 48, at_once, 3)
        assert shared[0].start == 12
        assert shared[-1].stop == 36
        assert all(len(part) % 3 == 0 and 0 < len(part) <= at_once for part in shared)


def test_memory_is_not_halved_below_a_pack() -> None:
    memory = MicroBatching(None, pack=4)
    for expected in (8, 4):
        memory.halve(MemoryError(), 16)
        assert memory.at_once == expected
    with pytest.raises(MemoryError):
        memory.halve(MemoryError(), 16)
