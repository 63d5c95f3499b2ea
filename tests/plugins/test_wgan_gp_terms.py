"""Every term of the WGAN plugin against closed forms that wrong variants do not meet."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganzoo_wgan_gp
from ganzoo.api import Batch, SettingsError, TermSpec

SPECS: dict[str, TermSpec] = {spec.name: spec for spec in ganzoo_wgan_gp.ganzoo_terms()}


def term(name: str, **options: Any) -> Any:
    spec = SPECS[name]
    assert spec.config is not None
    return pkgutil.resolve_name(spec.factory)(spec.config(**options))


class FakeView:
    """One game in one step; records the inputs of the critic and the random numbers."""

    def __init__(
        self, critic: Callable[..., Tensor], real: Batch, fake: Batch, written: tuple[str, ...] = ("image",)
    ) -> None:
        self.critic, self.real, self.fake, self.written = critic, real, {**real, **fake}, written
        self.asked: list[Batch] = []
        self.drawn: list[Tensor] = []
        self.generator = torch.Generator().manual_seed(5)

    @property
    def real_outputs(self) -> Batch:
        return {"score": self.critic(**self.real)}

    @property
    def fake_outputs(self) -> Batch:
        return {"score": self.critic(**self.fake)}

    def discriminate(self, batch: Batch) -> Batch:
        self.asked.append(batch)
        return {"score": self.critic(**batch)}

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        raise AssertionError("no term generates anew")

    def uniform(self, *shape: int, per_sample: bool = False) -> Tensor:
        assert per_sample
        self.drawn.append(torch.rand(*shape, generator=self.generator))
        return self.drawn[-1]

    def normal(self, *shape: int, per_sample: bool = False) -> Tensor:
        return torch.randn(*shape, generator=self.generator)


def view_of(critic: Callable[..., Tensor], n: int = 6, shape: tuple[int, ...] = (2, 3, 4)) -> FakeView:
    torch.manual_seed(n)
    return FakeView(critic, {"image": torch.randn(n, *shape)}, {"image": torch.randn(n, *shape)})


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("scale", [0.01, 0.2, 1.0])
def test_the_penalty_of_a_linear_critic_follows_the_norm_of_its_weights(n: int, scale: float) -> None:
    """D(x) = w.x has the gradient w everywhere: 10 (|w| - 1)^2 for any batch and any interpolate."""
    weights = torch.randn(2, 3, 4) * scale
    view = view_of(lambda image: (image * weights).flatten(1).sum(1), n)
    expected = 10 * (weights.norm() - 1) ** 2
    assert term("gradient-penalty")(view).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_norm_is_per_sample_and_over_all_other_dimensions() -> None:
    """D(x) = |x|^2 / 2 has the gradient x: each variant of the norm gives another number."""
    view = view_of(lambda image: image.flatten(1).square().sum(1) / 2)
    value = term("gradient-penalty")(view).item()
    epsilon = view.drawn[0].reshape(-1, 1, 1, 1)
    point = epsilon * view.real["image"] + (1 - epsilon) * view.fake["image"]
    right = 10 * (point.flatten(1).norm(dim=1) - 1).square().mean().item()
    over_the_batch = 10 * (point.norm() - 1).square().item()
    over_channels = 10 * (point.norm(dim=1) - 1).square().mean().item()
    assert value == pytest.approx(right, rel=1e-5)
    assert value != pytest.approx(over_the_batch, rel=1e-2)
    assert value != pytest.approx(over_channels, rel=1e-2)


def test_epsilon_is_drawn_once_per_sample() -> None:
    """From real = 1 and generated = 0 the interpolates are epsilon itself, for all pixels alike."""
    view = FakeView(
        lambda image: image.flatten(1).sum(1),
        {"image": torch.ones(64, 3, 5, 5)},
        {"image": torch.zeros(64, 3, 5, 5)},
    )
    term("gradient-penalty")(view)
    (asked,) = view.asked
    mixed = asked["image"].detach().flatten(1)
    assert (mixed == mixed[:, :1]).all()
    assert mixed[:, 0].unique().numel() == 64
    assert torch.equal(mixed[:, 0], view.drawn[0].flatten())
    assert 0 <= mixed.min().item() < 0.1 < 0.9 < mixed.max().item() <= 1


def test_one_epsilon_for_the_batch_or_per_pixel_would_give_other_numbers() -> None:
    view = view_of(lambda image: image.flatten(1).square().sum(1) / 2)
    value = term("gradient-penalty")(view).item()
    real, fake = view.real["image"], view.fake["image"]
    for wrong in (torch.tensor(0.3), torch.rand(real.shape)):
        point = wrong * real + (1 - wrong) * fake
        assert value != pytest.approx(
            10 * (point.flatten(1).norm(dim=1) - 1).square().mean().item(), rel=1e-2
        )


def test_conditions_are_not_interpolated() -> None:
    label = torch.tensor([0, 3, 1, 2])
    view = FakeView(
        lambda image, label: image.flatten(1).sum(1) * (1 + label),
        {"image": torch.randn(4, 1, 2, 2), "label": label},
        {"image": torch.randn(4, 1, 2, 2)},
    )
    value = term("gradient-penalty")(view)
    (asked,) = view.asked
    assert asked["label"] is label
    slopes = 2.0 * (1 + label)  # sqrt(4 pixels) times the factor
    assert value.item() == pytest.approx(10 * (slopes - 1).square().mean().item(), rel=1e-5)


def test_two_written_fields_share_epsilon_and_one_norm() -> None:
    view = FakeView(
        lambda image, sound: 3 * image.flatten(1).sum(1) + 4 * sound.sum(1),
        {"image": torch.ones(5, 1, 1, 1), "sound": torch.ones(5, 1)},
        {"image": torch.zeros(5, 1, 1, 1), "sound": torch.zeros(5, 1)},
        written=("image", "sound"),
    )
    value = term("gradient-penalty", weight=1.0)(view)
    (asked,) = view.asked
    assert torch.equal(asked["image"].flatten(), asked["sound"].flatten())
    assert len(view.drawn) == 1
    assert value.item() == pytest.approx((5 - 1) ** 2, rel=1e-5)


def test_patch_scores_are_summed_per_sample() -> None:
    """The gradient is that of a sample's summed scores: for 12 scores x_i its norm is sqrt(12)."""
    view = view_of(lambda image: image.flatten(2), shape=(1, 3, 4))
    assert term("gradient-penalty")(view).item() == pytest.approx(10 * (12**0.5 - 1) ** 2, rel=1e-5)


def test_weight_target_and_one_sidedness() -> None:
    flat, steep = torch.full((4,), 0.25), torch.full((4,), 2.0)  # norms 0.5 and 4

    def value(weights: Tensor, **options: Any) -> float:
        return float(term("gradient-penalty", **options)(view_of(lambda image: image @ weights, shape=(4,))))

    assert value(flat, weight=2.0) == pytest.approx(2 * 0.25, rel=1e-5)
    assert value(flat, weight=2.0, target=0.0) == pytest.approx(2 * 0.25, rel=1e-5)
    assert value(flat, target=0.5) == pytest.approx(0, abs=1e-8)
    assert value(flat, one_sided=True) == 0
    assert value(steep, one_sided=True) == pytest.approx(10 * 9, rel=1e-5)


def test_its_gradient_reaches_the_weights_and_not_the_generator() -> None:
    """d/dw of 10 (|w| - 1)^2 is 20 (|w| - 1) w / |w|."""
    weights = torch.tensor([3.0, 4.0], requires_grad=True)
    fake = torch.randn(3, 2, requires_grad=True)
    view = FakeView(lambda image: image @ weights, {"image": torch.randn(3, 2)}, {"image": fake})
    term("gradient-penalty")(view).backward()
    assert weights.grad is not None
    assert torch.allclose(weights.grad, 20 * 4 * torch.tensor([0.6, 0.8]), rtol=1e-5)
    assert fake.grad is None


def test_it_is_finite_for_a_constant_critic() -> None:
    weights = torch.zeros(4, requires_grad=True)
    value = term("gradient-penalty")(view_of(lambda image: image @ weights, shape=(4,)))
    value.backward()
    assert value.item() == pytest.approx(10, rel=1e-5)
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()


def test_a_generator_without_float_fields_is_refused() -> None:
    tokens = {"tokens": torch.zeros(3, 5, dtype=torch.int64)}
    view = FakeView(lambda tokens: tokens.float().sum(1), tokens, tokens, written=("tokens",))
    with pytest.raises(SettingsError, match="float field"):
        term("gradient-penalty")(view)


def test_a_critic_that_reads_nothing_written_is_refused() -> None:
    weights = torch.ones(3, requires_grad=True)
    view = view_of(lambda image: weights.clone(), n=3)
    with pytest.raises(SettingsError, match="reads nothing"):
        term("gradient-penalty")(view)


def test_weight_clip_clamps_every_parameter_in_place() -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1))
    with torch.no_grad():
        net[0].weight.fill_(3.0)
        net[1].bias.fill_(-3.0)
        net[1].weight.fill_(0.005)
    kept = list(net.parameters())
    assert term("weight-clip")(net) is None
    assert all(a is b for a, b in zip(kept, net.parameters(), strict=True))
    assert (net[0].weight == 0.01).all()
    assert (net[1].bias == -0.01).all()
    assert (net[1].weight == 0.005).all()
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_drift_is_the_mean_square_of_real_scores() -> None:
    view = FakeView(
        lambda image: image.sum(1), {"image": torch.tensor([[1.0], [-3.0]])}, {"image": torch.ones(2, 1)}
    )
    assert term("drift")(view).item() == pytest.approx(1e-3 * 5)
    assert term("drift", weight=2.0)(view).item() == pytest.approx(10)


@pytest.mark.parametrize(
    ("name", "options"),
    [("gradient-penalty", {"weight": -1.0}), ("weight-clip", {"limit": 0.0}), ("drift", {"weight": -1.0})],
)
def test_options_out_of_bounds_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        term(name, **options)


def test_records_declare_how_the_loop_uses_them() -> None:
    penalty = SPECS["gradient-penalty"]
    assert penalty.second_order
    assert penalty.role == "discriminator"
    assert "discriminator_norm" in penalty.rejects["batch-norm-in-discriminator"]
    assert SPECS["weight-clip"].kind == "constraint"
    assert not SPECS["drift"].second_order
