"""Every loss of the built-in plugins against closed forms, through its record's import string."""

from __future__ import annotations

import math
import pkgutil
from typing import Any

import pytest
import torch

import ganzoo_losses
import ganzoo_wgan_gp
from ganzoo.api import LossSpec

NAMES = ("minimax", "non-saturating", "wgan", "wgan-gp")
SPECS: dict[str, LossSpec] = {
    spec.name: spec
    for plugin in (ganzoo_losses, ganzoo_wgan_gp)
    for spec in plugin.ganzoo_losses()
    if spec.name in NAMES
}


def loss(name: str, **options: Any) -> Any:
    spec = SPECS[name]
    return pkgutil.resolve_name(spec.factory)(spec.config(**options) if spec.config else None)


def test_the_records_are_the_four_losses() -> None:
    assert sorted(SPECS) == sorted(NAMES)
    assert not any(spec.paired for spec in SPECS.values())


@pytest.mark.parametrize("name", ["non-saturating", "minimax"])
def test_scores_of_0_cost_two_log_two(name: str) -> None:
    value = loss(name).discriminator(torch.zeros(5), torch.zeros(5))
    assert value.item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("name", ["non-saturating", "minimax"])
def test_logistic_discriminator_is_the_cross_entropy_of_probabilities(name: str) -> None:
    """With D = logit(p): -log p of real samples, -log(1 - p) of generated ones."""
    real, fake = torch.tensor([0.9, 0.6]), torch.tensor([0.2, 0.3])
    expected = -(math.log(0.9) + math.log(0.6)) / 2 - (math.log(0.8) + math.log(0.7)) / 2
    assert loss(name).discriminator(real.logit(), fake.logit()).item() == pytest.approx(expected, rel=1e-5)


def test_gradients_of_the_two_forms_have_the_same_sign_and_different_size() -> None:
    """d/dD of -log p is p - 1; d/dD of log(1 - p) is -p, which vanishes where p is small."""
    p = torch.tensor([0.01])
    for name, value, slope in (
        ("non-saturating", -math.log(0.01), 0.01 - 1),
        ("minimax", math.log(0.99), -0.01),
    ):
        score = p.logit().requires_grad_()
        result = loss(name).generator(score, None)
        (gradient,) = torch.autograd.grad(result, score)
        assert result.item() == pytest.approx(value, rel=1e-4)
        assert gradient.item() == pytest.approx(slope, rel=1e-4)


def test_minimax_is_one_value_function_for_both_players() -> None:
    real, fake = torch.randn(7), torch.randn(7)
    minimax = loss("minimax")
    value = -torch.nn.functional.softplus(-real).mean() - torch.nn.functional.softplus(fake).mean()
    assert minimax.discriminator(real, fake).item() == pytest.approx(-value.item(), rel=1e-5)
    constant = -torch.nn.functional.softplus(-real).mean()
    assert (constant + minimax.generator(fake, None)).item() == pytest.approx(value.item(), rel=1e-5)


def test_logistic_losses_stay_finite_and_linear_at_extreme_scores() -> None:
    sure, wrong = torch.tensor([1e4]), torch.tensor([-1e4])
    logistic = loss("non-saturating")
    assert logistic.discriminator(sure, wrong).item() == 0
    assert logistic.discriminator(wrong, sure).item() == pytest.approx(2e4)
    assert logistic.generator(wrong, None).item() == pytest.approx(1e4)


def test_smoothing_is_cross_entropy_with_a_soft_target_on_real_samples_only() -> None:
    real, fake = torch.tensor([1.5, -0.5]), torch.tensor([0.25, 0.75])
    smooth = loss("non-saturating", smoothing=0.1)
    p, q = real.sigmoid(), fake.sigmoid()
    expected = -(0.9 * p.log() + 0.1 * (1 - p).log()).mean() - (1 - q).log().mean()
    assert smooth.discriminator(real, fake).item() == pytest.approx(expected.item(), rel=1e-5)
    assert smooth.generator(fake, None).item() == pytest.approx(-q.log().mean().item(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_out_of_bounds_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="smoothing"):
        loss("non-saturating", smoothing=smoothing)


@pytest.mark.parametrize("name", ["wgan", "wgan-gp"])
def test_wasserstein_is_the_difference_of_mean_scores(name: str) -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    assert loss(name).discriminator(real, fake).item() == -2.5
    assert loss(name).generator(fake, None).item() == 0.5
    assert loss(name).generator(fake, real).item() == 0.5


@pytest.mark.parametrize("name", sorted(SPECS))
def test_scores_may_have_any_shape(name: str) -> None:
    real, fake = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    flat, patches = (
        loss(name).discriminator(real.flatten(), fake.flatten()),
        loss(name).discriminator(real, fake),
    )
    assert patches.shape == ()
    assert patches.item() == pytest.approx(flat.item(), rel=1e-5)
    assert loss(name).generator(fake, None).shape == ()


@pytest.mark.parametrize("name", sorted(SPECS))
def test_descending_a_generator_loss_raises_generated_scores(name: str) -> None:
    score = torch.randn(6, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(name).generator(score, None), score)
    assert (gradient < 0).all()


def test_wasserstein_losses_bring_the_constraint_of_their_paper() -> None:
    """WGAN: c = 0.01, RMSprop 5e-5; WGAN-GP: lambda = 10, Adam 1e-4, (0, 0.9); both five critic steps."""
    wgan, penalised = SPECS["wgan"].defaults, SPECS["wgan-gp"].defaults
    assert wgan["terms.weight-clip.limit"] == 0.01
    assert penalised["terms.gradient-penalty.weight"] == 10
    assert penalised["architecture.discriminator_norm"] == "none"
    for side in ("generator", "discriminator"):
        assert (wgan[f"{side}.optimizer"], wgan[f"{side}.lr"]) == ("rmsprop", 5e-5)
        assert (penalised[f"{side}.optimizer"], penalised[f"{side}.lr"]) == ("adam", 1e-4)
        assert penalised[f"{side}.betas"] == (0.0, 0.9)
    assert wgan["train.n_critic"] == penalised["train.n_critic"] == 5
    assert "batch-norm-in-discriminator" in SPECS["wgan-gp"].rejects
    assert "batch-norm-in-discriminator" not in SPECS["wgan"].rejects
