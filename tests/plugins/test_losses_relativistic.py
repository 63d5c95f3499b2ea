"""The relativistic pairing loss, R1 and R2 against closed forms; the recipes of their plugin."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganzoo_losses
from ganzoo.api import Batch, LossSpec, SettingsError, TermSpec
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare
from tests.plugins.test_wgan_gp_terms import FakeView

LOSS = next(spec for spec in ganzoo_losses.ganzoo_losses() if spec.name == "relativistic")
TERMS: dict[str, TermSpec] = {
    spec.name: spec for spec in ganzoo_losses.ganzoo_terms() if spec.name in ("r1", "r2")
}
SMALL: dict[str, Any] = {
    "train.device": "cpu",
    "train.batch_size": 8,
    "train.images": 80,
    "train.samples": 4,
    "train.log_every": 8,
    "architecture.generator_width": 4,
    "architecture.discriminator_width": 4,
}


def loss(spec: LossSpec = LOSS) -> Any:
    return pkgutil.resolve_name(spec.factory)(None)


def term(name: str, **options: Any) -> Any:
    spec = TERMS[name]
    assert spec.config is not None
    return pkgutil.resolve_name(spec.factory)(spec.config(**options))


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


# --- the loss -----------------------------------------------------------------------------------


def test_values_worked_out_by_hand() -> None:
    """Real scores are higher by 2 and by -1: sp(-2) and sp(1) for D, sp(2) and sp(-1) for G."""
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    discriminator, generator = loss().discriminator(real, fake), loss().generator(fake, real)
    assert discriminator.item() == pytest.approx((softplus(-2) + softplus(1)) / 2)
    assert generator.item() == pytest.approx((softplus(2) + softplus(-1)) / 2)


def test_it_is_the_log_probability_that_the_real_one_of_a_pair_is_real() -> None:
    real, fake = torch.randn(6), torch.randn(6)
    expected = -(real - fake).sigmoid().log().mean()
    assert loss().discriminator(real, fake).item() == pytest.approx(expected.item(), rel=1e-5)


def test_equal_scores_cost_log_two() -> None:
    score = torch.randn(5)
    assert loss().discriminator(score, score).item() == pytest.approx(math.log(2))
    assert loss().generator(score, score).item() == pytest.approx(math.log(2))


def test_the_players_exchange_real_and_fake() -> None:
    one, other = torch.randn(9), torch.randn(9)
    assert torch.equal(loss().generator(fake=one, real=other), loss().discriminator(real=one, fake=other))


def test_only_differences_matter() -> None:
    real, fake = torch.randn(5), torch.randn(5)
    for player in (loss().discriminator, lambda real, fake: loss().generator(fake, real)):
        assert player(real + 3, fake + 3).item() == pytest.approx(player(real, fake).item(), rel=1e-5)


def test_pairs_are_equal_rows_of_a_batch() -> None:
    """Neither all pairs nor the mean of the other kind (which would be RaGAN)."""
    real, fake = torch.tensor([0.0, 4.0]), torch.tensor([0.0, 4.0])
    straight, crossed = loss().discriminator(real, fake), loss().discriminator(real, fake.flip(0))
    assert straight.item() == pytest.approx(softplus(0))
    assert crossed.item() == pytest.approx((softplus(4) + softplus(-4)) / 2)
    both = loss().discriminator(real.flip(0), fake.flip(0))
    assert both.item() == pytest.approx(straight.item())


def test_gradients_of_both_players() -> None:
    """d/dD(x') of G's sp(D(x) - D(x')) is -sigmoid(D(x) - D(x')) / n; D's loss has both gradients."""
    real, fake = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    share = (fake - real).sigmoid().detach() / 4
    (pull,) = torch.autograd.grad(loss().generator(fake, real.detach()), fake)
    torch.testing.assert_close(pull, -(0.25 - share))
    up, down = torch.autograd.grad(loss().discriminator(real, fake), (real, fake))
    torch.testing.assert_close(up, -share)
    torch.testing.assert_close(down, share)


def test_the_generators_gradient_is_full_where_the_discriminator_is_confident() -> None:
    """Equation 2 of R3GAN as one value for both networks would give exp(-50) / n."""
    real, fake = torch.full((2,), 50.0), torch.zeros(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss().generator(fake, real), fake)
    assert gradient.tolist() == [-0.5, -0.5]


def test_real_scores_weight_the_generators_gradient() -> None:
    """A generated sample with a much higher score than its partner has no gradient."""
    fake = torch.zeros(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss().generator(fake, torch.tensor([-20.0, 20.0])), fake)
    assert gradient[0].item() == pytest.approx(0, abs=1e-8)
    assert gradient[1].item() == pytest.approx(-0.5)


def test_extreme_scores_are_finite_and_linear() -> None:
    high, low = torch.tensor([1e4]), torch.tensor([-1e4])
    assert loss().discriminator(high, low).item() == 0
    assert loss().discriminator(low, high).item() == pytest.approx(2e4)
    assert loss().generator(low, high).item() == pytest.approx(2e4)


@pytest.mark.parametrize("shape", [(8,), (8, 1), (2, 1, 2, 2)])
def test_scores_may_have_any_shape(shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(8), torch.randn(8)
    shaped = real.reshape(shape), fake.reshape(shape)
    assert loss().discriminator(*shaped).shape == ()
    torch.testing.assert_close(loss().discriminator(*shaped), loss().discriminator(real, fake))
    torch.testing.assert_close(loss().generator(shaped[1], shaped[0]), loss().generator(fake, real))


def test_a_generator_without_real_scores_is_a_mistake() -> None:
    assert LOSS.paired
    with pytest.raises(TypeError, match="real samples"):
        loss().generator(torch.zeros(2), None)


# --- R1 and R2 ----------------------------------------------------------------------------------


def view_of(critic: Callable[..., Tensor], n: int = 6, shape: tuple[int, ...] = (2, 3, 4)) -> FakeView:
    torch.manual_seed(n)
    return FakeView(critic, {"image": torch.randn(n, *shape)}, {"image": 3 * torch.randn(n, *shape)})


def samples(name: str, view: FakeView) -> Batch:
    return view.real if name == "r1" else view.fake


@pytest.mark.parametrize("name", ["r1", "r2"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_penalty_of_a_linear_critic_is_half_its_squared_weights(name: str, n: int) -> None:
    """D(x) = w.x has the gradient norm |w| everywhere: gamma / 2 * |w|^2, whatever the samples."""
    weights = torch.randn(2, 3, 4)
    view = view_of(lambda image: (image * weights).flatten(1).sum(1), n)
    expected = 7.0 / 2 * weights.square().sum()
    assert term(name, gamma=7.0)(view).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_the_square_is_per_sample_and_over_all_other_dimensions(name: str) -> None:
    """D(x) = a |x|^2 / 2 has the gradient a x: each variant of the mean gives another number."""
    view = view_of(lambda image: 0.5 * image.flatten(1).square().sum(1) / 2)
    value = term(name, gamma=4.0)(view).item()
    squares = (0.5 * samples(name, view)["image"]).square()
    assert value == pytest.approx(2 * squares.flatten(1).sum(1).mean().item(), rel=1e-5)
    for wrong in (squares.sum(), squares.mean(), squares.sum(1).mean(), squares.flatten(1).max(1)[0].mean()):
        assert value != pytest.approx(2 * wrong.item(), rel=1e-2)


def test_r1_is_at_real_samples_and_r2_at_generated_ones() -> None:
    label = torch.tensor([0, 3, 1, 2])
    view = FakeView(
        lambda image, label: image.flatten(1).square().sum(1) / 2 * (1 + label),
        {"image": torch.randn(4, 1, 2, 2), "label": label},
        {"image": torch.randn(4, 1, 2, 2)},
    )
    for name in ("r1", "r2"):
        value = term(name, gamma=2.0)(view)
        asked, image = view.asked.pop(), samples(name, view)["image"]
        assert not view.asked
        assert torch.equal(asked["image"], image)
        assert asked["label"] is label
        slopes = image.flatten(1).norm(dim=1) * (1 + label)
        assert value.item() == pytest.approx(slopes.square().mean().item(), rel=1e-5)
    assert not view.drawn


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_written_fields_share_one_norm_and_others_are_not_changed(name: str) -> None:
    """Gradients of 3 and 4 give 25; whole numbers that the generator writes have no gradient."""
    batch = {
        "image": torch.randn(5, 1, 1, 1),
        "sound": torch.randn(5),
        "token": torch.arange(5),
        "mask": torch.randn(5, requires_grad=True),
    }
    view = FakeView(
        lambda image, sound, token, mask: 3 * image.flatten() + 4 * sound + 9 * token + 9 * mask,
        batch,
        {name: batch[name] for name in ("image", "sound", "token")},
        written=("image", "sound", "token"),
    )
    assert term(name, gamma=2.0)(view).item() == pytest.approx(25, rel=1e-5)
    (asked,) = view.asked
    assert asked["token"] is batch["token"]
    assert asked["mask"] is batch["mask"]


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_scores_of_a_sample_are_summed(name: str) -> None:
    """12 scores x_i have the squared gradient norm 12."""
    view = view_of(lambda image: image.flatten(2), shape=(1, 3, 4))
    assert term(name, gamma=2.0)(view).item() == pytest.approx(12, rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_only_the_weights_get_a_gradient(name: str) -> None:
    """d/dw of gamma / 2 * |w|^2 is gamma w. The samples' own graph is not touched."""
    weights = torch.tensor([3.0, 4.0], requires_grad=True)
    real, fake = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    view = FakeView(lambda image: image @ weights, {"image": real}, {"image": fake})
    term(name, gamma=10.0)(view).backward()
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad, torch.tensor([30.0, 40.0]))
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_the_penalty_of_a_constant_critic_is_0(name: str) -> None:
    weights = torch.zeros(4, requires_grad=True)
    value = term(name)(view_of(lambda image: image @ weights, shape=(4,)))
    value.backward()
    assert value.item() == 0
    assert weights.grad is not None
    assert (weights.grad == 0).all()


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_a_critic_without_a_gradient_is_refused(name: str) -> None:
    tokens = {"tokens": torch.zeros(3, 5, dtype=torch.int64)}
    view = FakeView(lambda tokens: tokens.float().sum(1), tokens, tokens, written=("tokens",))
    with pytest.raises(SettingsError, match="float field"):
        term(name)(view)
    weights = torch.ones(3, requires_grad=True)
    with pytest.raises(SettingsError, match="reads nothing"):
        term(name)(view_of(lambda image: weights.clone(), n=3))
    with pytest.raises(ValueError, match="must be"):
        term(name, gamma=-1.0)


def dirac_step(theta: Tensor, psi: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """One simultaneous step of both networks at the learning rate 0.1."""
    theta, psi, zero = theta.requires_grad_(), psi.requires_grad_(), torch.zeros(1)
    view = FakeView(lambda image: psi * image, {"image": zero}, {"image": theta.detach()})
    real, fake = view.real_outputs["score"], view.fake_outputs["score"]
    (slope,) = torch.autograd.grad(loss().discriminator(real, fake) + term("r1", gamma=gamma)(view), psi)
    (pull,) = torch.autograd.grad(loss().generator(psi * theta, psi * zero), theta)
    return (theta - 0.1 * pull).detach(), (psi - 0.1 * slope).detach()


@pytest.mark.parametrize(("gamma", "factor"), [(0.0, (1 + 0.05**2) ** 0.5), (1.0, 1 - 0.05)])
def test_the_dirac_gan_of_the_papers_needs_the_penalty(gamma: float, factor: float) -> None:
    """Data at 0, one generated point theta, D(x) = psi x: near (0, 0) it settles only with a penalty.

    The Jacobian is ((0, 1/2), (-1/2, -gamma)): eigenvalues of +-i/2 without, of -1/2 (twice) for gamma 1.
    """
    theta, psi = torch.tensor([1e-3]), torch.tensor([-1e-3])  # an eigenvector for gamma 1
    for _ in range(100):
        theta, psi = dirac_step(theta, psi, gamma)
    assert math.hypot(theta.item(), psi.item()) == pytest.approx(1e-3 * 2**0.5 * factor**100, rel=0.02)


def test_records_declare_how_the_loop_uses_them() -> None:
    for spec in TERMS.values():
        assert spec.second_order
        assert (spec.role, spec.kind, spec.every) == ("discriminator", "penalty", 1)
        assert "discriminator_norm" in spec.rejects["batch-norm-in-discriminator"]
    assert LOSS.defaults["terms.r1.gamma"] == LOSS.defaults["terms.r2.gamma"]
    assert LOSS.defaults["architecture.discriminator_norm"] == "none"
    for side in ("generator", "discriminator"):
        assert LOSS.defaults[f"{side}.betas"] == (0.0, 0.99)


# --- in the zoo ---------------------------------------------------------------------------------


def test_batch_norm_is_refused_by_the_penalties_and_not_by_the_loss(registry: Registry) -> None:
    settings = {**SMALL, "architecture.discriminator_norm": "batch"}
    with pytest.raises(SettingsError, match="batch-norm-in-discriminator") as caught:
        prepare(resolve("dcgan+relativistic", registry, overrides=settings))
    assert "discriminator_norm to none" in str(caught.value.fix)
    settings |= {"terms.r1": False, "terms.r2": False}
    prepare(resolve("dcgan+relativistic", registry, overrides=settings))


@pytest.mark.parametrize("recipe", ["rpgan", "rpgan-paper", "mlp+relativistic", "dcgan+non-saturating+r1"])
def test_runs_are_finite_and_log_their_penalties(recipe: str, registry: Registry, tmp_path: Path) -> None:
    settings = {**SMALL, "architecture.discriminator_norm": "none"}
    if recipe.startswith("mlp"):
        settings = {key: value for key, value in settings.items() if not key.endswith("_width")}
        settings |= {"architecture.generator_hidden": [8], "architecture.discriminator_hidden": [8]}
    plan = resolve(recipe, registry, overrides=settings)
    run, outcome = start(plan, tmp_path / "run", NullReporter())
    assert outcome == "done"
    lines = [line["values"] for line in run.log()]
    assert len(lines) == 10
    assert all(math.isfinite(value) for line in lines for value in line.values())
    for name, choice in plan.terms.items():
        logged = [line[name] for line in lines if name in line]
        assert len(logged) >= len(lines) // choice.every
        assert all(value > 0 for value in logged)
    assert set(plan.terms) == ({"r1"} if recipe.endswith("+r1") else {"r1", "r2"})


def test_numbers_of_r3gan(registry: Registry) -> None:
    """Table 9, CIFAR-10, after the burn-in of 20 million images; no norms, no momentum."""
    plan = resolve("rpgan-paper", registry)
    assert (plan.train.images, plan.train.batch_size, plan.train.n_critic) == (250_000_000, 512, 1)
    for side in (plan.generator, plan.discriminator):
        assert (side.optimizer, side.lr, side.betas, side.decay) == ("adam", 5e-5, (0.0, 0.99), "none")
    assert {name: (choice.options.gamma, choice.every) for name, choice in plan.terms.items()} == {
        "r1": (0.005, 1),
        "r2": (0.005, 1),
    }
    assert (plan.ema.half_life, plan.ema.ramp * 20_000_000) == (5_000_000, 5_000_000)
    assert plan.data.flip
    options = plan.architecture.options
    assert (options.latent, options.generator_norm, options.discriminator_norm) == (64, "none", "none")
