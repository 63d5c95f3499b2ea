"""The terms of ganzoo_losses against closed forms that wrong variants do not meet."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganzoo_losses
from ganzoo.api import Batch, SettingsError, TermSpec
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo_losses.terms import shift_and_flip
from tests.plugins.test_losses_recipes import SMALL
from tests.plugins.test_wgan_gp_terms import FakeView

TERMS: dict[str, TermSpec] = {spec.name: spec for spec in ganzoo_losses.ganzoo_terms()}


def term(name: str, **options: Any) -> Any:
    spec = TERMS[name]
    assert spec.config is not None
    return pkgutil.resolve_name(spec.factory)(spec.config(**options))


class GameView(FakeView):
    """A view with a generator of z, and a discriminator that may write features."""

    def __init__(
        self,
        critic: Callable[..., Tensor],
        real: Batch,
        fake: Batch,
        written: tuple[str, ...] = ("image",),
        *,
        generator: Callable[..., Tensor] | None = None,
        features: Callable[..., Tensor] | None = None,
        **noise: Tensor,
    ) -> None:
        super().__init__(critic, real, fake, written)
        self.maker, self.features, self.noise = generator, features, noise

    def outputs(self, batch: Batch) -> Batch:
        more = {"features": self.features(**batch)} if self.features else {}
        return {"score": self.critic(**batch), **more}

    @property
    def real_outputs(self) -> Batch:
        return self.outputs(self.real)

    @property
    def fake_outputs(self) -> Batch:
        return self.outputs(self.fake)

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        assert self.maker is not None
        self.asked.append(batch)
        return {**batch, self.written[0]: self.maker(**batch)}


def view_of(critic: Callable[..., Tensor], n: int = 6, shape: tuple[int, ...] = (2, 3, 4)) -> GameView:
    torch.manual_seed(n)
    return GameView(critic, {"image": torch.randn(n, *shape)}, {"image": 3 * torch.randn(n, *shape)})


# --- dragan -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7])
def test_dragan_of_a_linear_critic_is_about_the_length_of_its_weights(n: int) -> None:
    weights = torch.randn(2, 3, 4)
    view = view_of(lambda image: (image * weights).flatten(1).sum(1), n)
    expected = 10 * (weights.norm() - 1) ** 2
    assert term("dragan")(view).item() == pytest.approx(expected.item(), rel=1e-5)


def test_dragan_adds_positive_noise_of_at_most_half_a_standard_deviation() -> None:
    """D(x) = |x|^2 / 2 has the gradient x; the norm is per sample, and the noise uniform from 0."""
    view = view_of(lambda image: image.flatten(1).square().sum(1) / 2)
    value = term("dragan", weight=3.0, target=2.0)(view).item()
    share, noise = view.drawn
    assert share.shape == (6,)
    assert noise.shape == view.real["image"].shape
    real = view.real["image"]
    deviation = (real - real.mean()).square().mean().sqrt()
    point = real + 0.5 * deviation * share.reshape(-1, 1, 1, 1) * noise
    (asked,) = view.asked
    torch.testing.assert_close(asked["image"].detach(), point)
    right = 3 * (point.flatten(1).norm(dim=1) - 2).square().mean().item()
    assert value == pytest.approx(right, rel=1e-5)
    for wrong in (point.norm(), point.norm(dim=1), real.flatten(1).norm(dim=1)):
        assert value != pytest.approx(3 * (wrong - 2).square().mean().item(), rel=1e-3)


def test_dragan_does_not_change_conditions_and_generated_samples() -> None:
    label, weights = torch.tensor([0, 3, 1, 2]), torch.tensor(1.0, requires_grad=True)
    fake = torch.randn(4, 1, 2, 2, requires_grad=True)
    view = GameView(
        lambda image, label: weights * image.flatten(1).sum(1) * (1 + label),
        {"image": torch.randn(4, 1, 2, 2), "label": label},
        {"image": fake},
    )
    value = term("dragan")(view)
    slopes = 2.0 * (1 + label)
    assert value.item() == pytest.approx(10 * (slopes - 1).square().mean().item(), rel=1e-5)
    assert view.asked[0]["label"] is label
    value.backward()
    assert weights.grad is not None
    assert weights.grad.item() == pytest.approx(20 * ((slopes - 1) * slopes).mean().item(), rel=1e-5)
    assert fake.grad is None


def test_dragan_sums_scores_of_a_sample_and_is_finite_on_a_flat_critic() -> None:
    view = view_of(lambda image: image.flatten(2), shape=(1, 3, 4))
    assert term("dragan")(view).item() == pytest.approx(10 * (12**0.5 - 1) ** 2, rel=1e-5)
    weights = torch.zeros(4, requires_grad=True)
    value = term("dragan")(view_of(lambda image: image @ weights, shape=(4,)))
    value.backward()
    assert value.item() == pytest.approx(10, rel=1e-5)
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()
    with pytest.raises(SettingsError, match="reads nothing"):
        term("dragan")(view_of(lambda image: weights.clone(), n=4))


# --- lecam --------------------------------------------------------------------------------------


def scored(real: list[float], fake: list[float]) -> GameView:
    """A game in which scores are the samples themselves, with gradients."""
    batches = [{"image": torch.tensor(values, requires_grad=True)} for values in (real, fake)]
    return GameView(lambda image: image, *batches)


def test_lecam_uses_its_own_means_in_the_first_step() -> None:
    """Real 3 and 1 against the mean 1 of generated ones, generated 2 and 0 against the real 2."""
    value = term("lecam", weight=0.5)(scored([3.0, 1.0], [2.0, 0.0]))
    assert value.item() == pytest.approx(0.5 * ((4 + 0) / 2 + (0 + 4) / 2))


def test_lecam_does_not_penalise_scores_on_the_other_side() -> None:
    """Real scores below the generated mean, and generated ones above the real mean, cost nothing."""
    assert term("lecam")(scored([-1.0, -2.0], [1.0, 2.0])).item() == 0


def test_lecam_averages_follow_scores_without_bias_to_0() -> None:
    penalty = term("lecam", weight=1.0, decay=0.75)
    penalty(scored([4.0], [-4.0]))
    value = penalty(scored([8.0], [0.0])).item()
    real, fake = (0.75 * 4 + 8) / 1.75, (0.75 * -4 + 0) / 1.75
    assert value == pytest.approx((8 - fake) ** 2 + (real - 0) ** 2, rel=1e-5)
    for _ in range(200):
        penalty(scored([1.0], [-1.0]))
    assert (penalty.real / penalty.collected).item() == pytest.approx(1, rel=1e-5)
    assert (penalty.fake / penalty.collected).item() == pytest.approx(-1, rel=1e-5)


def test_lecam_averages_have_no_gradient() -> None:
    """d/dD(x) is 2 w (D(x) - F) / n only; through F, generated scores would get another gradient."""
    view = scored([3.0, 1.0], [2.0, 0.0])
    term("lecam", weight=1.0)(view).backward()
    real, fake = view.real["image"].grad, view.fake["image"].grad
    assert real is not None
    assert fake is not None
    assert real.tolist() == pytest.approx([2.0, 0.0])
    assert fake.tolist() == pytest.approx([0.0, -2.0])


def test_the_state_of_lecam_is_saved_and_restored() -> None:
    penalty, other = term("lecam"), term("lecam")
    assert isinstance(penalty, nn.Module)
    assert set(penalty.state_dict()) == {"real", "fake", "collected"}
    assert not list(penalty.parameters())
    penalty(scored([3.0], [1.0]))
    other.load_state_dict(penalty.state_dict())
    assert torch.equal(penalty(scored([2.0], [0.5])), other(scored([2.0], [0.5])))
    assert torch.equal(penalty.real, other.real)


def test_a_run_with_lecam_resumes_with_its_averages(registry: Registry, tmp_path: Path) -> None:
    plan = resolve("lecam", registry, overrides={**SMALL, "train.precision": "fp32", "train.threads": 1})
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    start(plan, tmp_path / "parts", NullReporter(), pause_at=40)
    run = Run.open(tmp_path / "parts")
    resume(run, resolve(str(run.settings_file), registry), NullReporter())
    one, two = (dict(read_newest(r.checkpoints, lambda note: None)[0]) for r in (whole, run))
    assert "parts.term.lecam.collected" in one
    assert one["parts.term.lecam.collected"].item() == pytest.approx(1 - 0.99**10, rel=1e-5)
    assert all(torch.equal(one[key], two[key]) for key in one)


# --- consistency --------------------------------------------------------------------------------


def draws_of(down: int, across: int, mirrored: bool, shift: int) -> Tensor:
    """The random numbers that give a shift."""
    size = 2 * shift + 1
    return torch.tensor(
        [[(down + shift + 0.5) / size, (across + shift + 0.5) / size, 0.0 if mirrored else 0.9]]
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("down", "across"), [(0, 0), (1, 0), (0, -2), (-2, 2)])
def test_images_are_shifted_by_whole_pixels_with_repeated_edges(
    down: int, across: int, mirrored: bool
) -> None:
    image = torch.arange(2 * 4 * 5.0).reshape(1, 2, 4, 5)
    result = shift_and_flip(image, draws_of(down, across, mirrored, 2), 2, True)
    for y in range(4):
        for x in range(5):
            row = min(max(y + down, 0), 3)
            column = min(max(x + across, 0), 4)
            column = 4 - column if mirrored else column
            assert torch.equal(result[0, :, y, x], image[0, :, row, column])


def test_each_sample_has_its_own_shift_and_all_are_equally_likely() -> None:
    image = torch.arange(49.0).reshape(1, 1, 7, 7).expand(6000, -1, -1, -1)
    result = shift_and_flip(image, torch.rand(6000, 3, generator=torch.Generator().manual_seed(0)), 1, True)
    _, counts = result[:, 0, 3, 3].unique(return_counts=True)
    assert len(counts) == 9
    assert counts.min() > 6000 / 9 * 0.85
    mirrored = (result[:, 0, 3, 4] < result[:, 0, 3, 3]).float().mean()
    assert 0.47 < mirrored < 0.53
    never = shift_and_flip(image, torch.rand(6000, 3), 1, False)
    assert (never[:, 0, 3, 4] > never[:, 0, 3, 3]).all()


def test_shifts_keep_gradients() -> None:
    """The gradient of a pixel is the number of its copies."""
    image = torch.randn(1, 1, 3, 3, requires_grad=True)
    shift_and_flip(image, draws_of(1, 0, False, 1), 1, True).sum().backward()
    assert image.grad is not None
    assert image.grad[0, 0].tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]


def test_consistency_by_hand() -> None:
    """D = 2 * the first pixel; real and generated samples each with their own draws and weight."""
    view = view_of(lambda image: 2 * image[:, 0, 0, 0], shape=(1, 6, 6))
    value = term("consistency", lambda_real=3.0, lambda_fake=5.0, shift=2)(view).item()
    (drawn,) = view.drawn
    assert drawn.shape == (12, 3)
    expected = 0.0
    for weight, batch, numbers in ((3, view.real, drawn[:6]), (5, view.fake, drawn[6:])):
        image = batch["image"]
        other = shift_and_flip(image, numbers, 2, True)
        expected += weight * (2 * image[:, 0, 0, 0] - 2 * other[:, 0, 0, 0]).square().mean().item()
    assert value == pytest.approx(expected, rel=1e-5)
    blind = view_of(lambda image: image.sum((1, 2, 3)), shape=(1, 6, 6))
    assert term("consistency", lambda_real=0.0, lambda_fake=0.0)(blind).item() == 0


def test_consistency_is_0_for_an_invariant_discriminator() -> None:
    view = view_of(lambda image: image.flatten(2).amax(2).sum(1), shape=(3, 9, 9))
    view.real["image"][:, :, 4, 4] = 9.0
    view.fake["image"][:, :, 4, 4] = 99.0
    assert term("consistency")(view).item() == 0


def test_both_scores_of_consistency_have_a_gradient_and_images_of_a_sample_move_together() -> None:
    weight = torch.ones((), requires_grad=True)
    images = {"image": torch.randn(4, 1, 6, 6), "label": torch.arange(4)}
    images["sketch"] = images["image"].clone()
    view = GameView(
        lambda image, sketch, label: weight * ((image - sketch).flatten(1).sum(1) + image[:, 0, 0, 0]),
        images,
        {"image": images["image"] + 1},
    )
    value = term("consistency", lambda_fake=0.0, shift=1)(view)
    (gradient,) = torch.autograd.grad(value, weight)
    assert gradient.item() == pytest.approx(2 * value.item(), rel=1e-5)  # w^2: half of it with one detached
    asked = view.asked[0]
    assert torch.equal(asked["image"], asked["sketch"])
    assert asked["label"] is images["label"]


def test_consistency_needs_images() -> None:
    with pytest.raises(SettingsError, match="writes images"):
        term("consistency")(view_of(lambda image: image.sum(1), shape=(4,)))


# --- the generator's terms ----------------------------------------------------------------------


def seeking(scale: float, n: int = 4, noise: str = "z", **more: Tensor) -> GameView:
    """G(z) = scale * (z, z) with a label that must stay."""
    z = torch.arange(n * 3.0).reshape(n, 3).square()
    factor = torch.tensor(scale, requires_grad=True)

    def make(label: Tensor, image: Tensor, **noises: Tensor) -> Tensor:
        return factor * torch.stack([noises[noise], noises[noise]], 1)

    real = {"image": torch.randn(n, 2, 3), "label": torch.arange(n)}
    view = GameView(
        lambda **batch: batch["image"].flatten(1).sum(1),
        real,
        {"image": make(**real, **{noise: z})},
        generator=make,
        **{noise: z, **more},
    )
    view.asked.clear()
    view.factor = factor  # type: ignore[attr-defined]
    return view


@pytest.mark.parametrize("noise", ["z", "latent"])
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_mode_seeking_of_a_linear_generator_is_one_over_its_scale(noise: str, scale: float) -> None:
    """d(G(z1), G(z2)) = scale * d(z1, z2): not the ratio upside down, not its square, mean of equal ones."""
    view = seeking(scale, noise=noise)
    value = term("mode-seeking", weight=3.0)(view)
    assert value.item() == pytest.approx(3 / scale, rel=1e-4)
    (gradient,) = torch.autograd.grad(value, view.factor)  # type: ignore[attr-defined]
    assert gradient.item() == pytest.approx(-3 / scale**2, rel=1e-4)  # half of it with one side detached


def test_mode_seeking_makes_other_samples_under_the_same_conditions() -> None:
    view = seeking(1.0)
    term("mode-seeking")(view)
    (asked,) = view.asked
    assert asked["label"] is view.real["label"]
    assert sorted(asked["z"].tolist()) == sorted(view.noise["z"].tolist())
    assert (asked["z"] != view.noise["z"]).any(1).all()


def test_mode_seeking_of_a_collapsed_generator_is_one_over_epsilon() -> None:
    value = term("mode-seeking", epsilon=1e-3)(seeking(0.0))
    assert value.item() == pytest.approx(1000, rel=1e-5)


def test_mode_seeking_needs_one_float_noise_and_two_samples() -> None:
    with pytest.raises(SettingsError, match="one float noise"):
        term("mode-seeking")(seeking(1.0, other=torch.randn(4, 2)))
    assert term("mode-seeking")(seeking(1.0, code=torch.arange(4))).item() == pytest.approx(1, rel=1e-4)
    with pytest.raises(SettingsError, match="two samples"):
        term("mode-seeking")(seeking(1.0, n=1))


def test_feature_matching_is_the_squared_distance_of_means() -> None:
    """Means (1, 2) and (0, 4): 1 + 4; not the mean of squared distances, nor divided by the width."""
    real = torch.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    fake = torch.tensor([[-1.0, 5.0], [1.0, 3.0]], requires_grad=True)
    view = GameView(
        lambda image: image.sum(1), {"image": real}, {"image": fake}, features=lambda image: 1 * image
    )
    value = term("feature-matching", weight=2.0)(view)
    assert value.item() == pytest.approx(10)
    value.backward()
    assert real.grad is None  # real features are a target
    assert fake.grad is not None
    assert fake.grad.tolist() == [[-2.0, 4.0], [-2.0, 4.0]]


def test_feature_matching_names_what_it_needs(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="writes `features`") as caught:
        start(
            resolve("dcgan+non-saturating+feature-matching", registry, overrides=SMALL),
            tmp_path,
            NullReporter(),
        )
    assert "score" in str(caught.value.where)


def test_terms_without_a_float_field_are_refused() -> None:
    tokens = {"tokens": torch.zeros(3, 5, dtype=torch.int64)}
    view = GameView(lambda tokens: tokens.float().sum(1), tokens, tokens, written=("tokens",))
    for name in ("dragan", "consistency", "mode-seeking"):
        with pytest.raises(SettingsError, match="float field"):
            term(name)(view)
