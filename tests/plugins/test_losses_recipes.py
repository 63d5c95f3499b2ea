"""The losses of ganzoo_losses against closed forms, and the plugin in the zoo."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo_losses
from ganzoo.api import LossSpec, SettingsError, TermSpec
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare

LOSSES: dict[str, LossSpec] = {spec.name: spec for spec in ganzoo_losses.ganzoo_losses()}
TERMS: dict[str, TermSpec] = {spec.name: spec for spec in ganzoo_losses.ganzoo_terms()}
SMALL: dict[str, Any] = {
    "train.device": "cpu",
    "train.batch_size": 8,
    "train.images": 80,
    "train.samples": 4,
    "train.log_every": 8,
    "architecture.generator_width": 4,
    "architecture.discriminator_width": 4,
}


def made(spec: LossSpec | TermSpec, options: dict[str, Any]) -> Any:
    return pkgutil.resolve_name(spec.factory)(spec.config(**options) if spec.config else None)


def loss(name: str, **options: Any) -> Any:
    return made(LOSSES[name], options)


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


# --- losses -------------------------------------------------------------------------------------


def test_least_squares_by_hand_with_the_half_of_the_paper() -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0])
    plain = loss("lsgan")
    assert plain.discriminator(real, fake).item() == pytest.approx((4 + 0) / 4 + (4 + 0) / 4)
    assert plain.generator(fake, None).item() == pytest.approx((1 + 1) / 4)
    other = loss("lsgan", a=-1.0, b=1.0, c=0.0)
    assert other.discriminator(real, fake).item() == pytest.approx((4 + 0) / 4 + (9 + 1) / 4)
    assert other.generator(fake, None).item() == pytest.approx((4 + 0) / 4)


def test_hinge_by_hand() -> None:
    """Real scores under 1 and generated ones over -1 cost; the generator's gradient is -1/n everywhere."""
    real, fake = torch.tensor([2.0, 0.5, -1.0, 1.0]), torch.tensor([-3.0, -0.5, 1.0, -1.0])
    assert loss("hinge").discriminator(real, fake).item() == pytest.approx((0.5 + 2) / 4 + (0.5 + 2) / 4)
    score = torch.tensor([-3.0, 5.0], requires_grad=True)
    value = loss("hinge").generator(score, None)
    assert value.item() == pytest.approx(-1)
    assert torch.autograd.grad(value, score)[0].tolist() == [-0.5, -0.5]


FORMS: dict[str, Callable[[float], float]] = {
    "logistic": lambda lead: softplus(-lead),
    "least-squares": lambda lead: (lead - 1) ** 2,
    "hinge": lambda lead: max(0.0, 1 - lead),
}


@pytest.mark.parametrize("form", FORMS)
def test_relativistic_average_by_hand(form: str) -> None:
    """Means are 1 (real) and 0.5 (generated): each score is compared with the mean of the other kind."""
    real, fake, f = torch.tensor([2.0, 0.0]), torch.tensor([-0.5, 1.5]), FORMS[form]
    average = loss("relativistic-average", form=form)
    expected = (f(1.5) + f(-0.5)) / 2 + (f(1.5) + f(-0.5)) / 2
    assert average.discriminator(real, fake).item() == pytest.approx(expected)
    expected = (f(-1.5) + f(0.5)) / 2 + (f(-1.5) + f(0.5)) / 2
    assert average.generator(fake, real).item() == pytest.approx(expected)
    pairs = (f(2.5) + f(-1.5)) / 2
    assert average.discriminator(real, fake).item() != pytest.approx(2 * pairs, rel=1e-3)


def test_relativistic_average_ignores_order_and_constants() -> None:
    real, fake = torch.randn(7), torch.randn(7)
    average = loss("relativistic-average")
    value = average.discriminator(real, fake).item()
    assert average.discriminator(real.flip(0), fake).item() == pytest.approx(value, rel=1e-5)
    assert average.discriminator(real + 3, fake + 3).item() == pytest.approx(value, rel=1e-5)


def test_the_means_of_relativistic_average_have_their_gradients() -> None:
    """Least squares of equal scores s: d/dx_i = 2 (-1) / n for the score, and once more for its mean."""
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    value = loss("relativistic-average", form="least-squares").discriminator(real, fake)
    up, down = torch.autograd.grad(value, (real, fake))
    torch.testing.assert_close(up, torch.full((4,), -4 / 4))
    torch.testing.assert_close(down, torch.full((4,), 4 / 4))


def test_micro_batches_use_their_own_means() -> None:
    """As the docstring says of micro-batches: the mean of two halves is not that of the whole batch."""
    real, fake = torch.tensor([0.0, 4.0]), torch.tensor([-2.0, 2.0])
    average = loss("relativistic-average", form="least-squares")
    parts = [average.discriminator(real[k : k + 1], fake[k : k + 1]).item() for k in range(2)]
    assert sum(parts) / 2 != pytest.approx(average.discriminator(real, fake).item(), rel=0.1)


def test_a_generator_without_real_scores_is_a_mistake() -> None:
    assert {name for name, spec in LOSSES.items() if spec.paired} == {"relativistic", "relativistic-average"}
    with pytest.raises(TypeError, match="real samples"):
        loss("relativistic-average").generator(torch.zeros(2), None)


@pytest.mark.parametrize("shape", [(8,), (8, 1), (2, 1, 2, 2)])
@pytest.mark.parametrize("name", LOSSES)
def test_scores_may_have_any_shape(name: str, shape: tuple[int, ...]) -> None:
    real, fake, made = torch.randn(8), torch.randn(8), loss(name)
    shaped = real.reshape(shape), fake.reshape(shape)
    torch.testing.assert_close(made.discriminator(*shaped), made.discriminator(real, fake))
    torch.testing.assert_close(made.generator(shaped[1], shaped[0]), made.generator(fake, real))


# --- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lsgan", {"a": 1.0}),
        ("lsgan", {"c": 0.0}),
        ("dragan", {"weight": -1.0}),
        ("dragan", {"spread": -1.0}),
        ("lecam", {"weight": -1.0}),
        ("lecam", {"decay": 1.0}),
        ("consistency", {"lambda_fake": -1.0}),
        ("consistency", {"shift": 0, "flip": False}),
        ("mode-seeking", {"weight": -1.0}),
        ("mode-seeking", {"epsilon": 0.0}),
        ("feature-matching", {"weight": -1.0}),
    ],
)
def test_options_out_of_bounds_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        made((LOSSES | TERMS)[name], options)  # type: ignore[operator]


def test_records_declare_how_the_loop_uses_them() -> None:
    assert {name: (spec.role, spec.second_order) for name, spec in TERMS.items()} == {
        "r1": ("discriminator", True),
        "r2": ("discriminator", True),
        "dragan": ("discriminator", True),
        "lecam": ("discriminator", False),
        "consistency": ("discriminator", False),
        "mode-seeking": ("generator", False),
        "feature-matching": ("generator", False),
    }
    assert {name for name, spec in TERMS.items() if spec.rejects} == {"r1", "r2", "dragan"}


def test_dragan_refuses_batch_norm_and_switches_it_off(registry: Registry) -> None:
    assert resolve("dcgan+non-saturating+dragan", registry).architecture.options.discriminator_norm == "none"
    settings = {**SMALL, "architecture.discriminator_norm": "batch"}
    with pytest.raises(SettingsError, match="batch-norm-in-discriminator"):
        prepare(resolve("dcgan+non-saturating+dragan", registry, overrides=settings))


@pytest.mark.parametrize(
    "target",
    [
        "lsgan",
        "ragan",
        "dragan",
        "bcr",
        "mlp+hinge+lecam",
        "cgan+mode-seeking",
        "wgan-conv+hinge+consistency",
    ],
)
def test_runs_are_finite_and_log_their_terms(target: str, registry: Registry, tmp_path: Path) -> None:
    settings = dict(SMALL)
    if target.startswith("mlp"):
        settings = {key: value for key, value in SMALL.items() if not key.endswith("_width")}
    if target.startswith("cgan"):  # the recipe, with the term added by its setting
        target, settings = "cgan", {**SMALL, "terms.mode-seeking.weight": 1.0}
    plan = resolve(target, registry, overrides=settings)
    run, outcome = start(plan, tmp_path / "run", NullReporter())
    assert outcome == "done"
    lines = [line["values"] for line in run.log()]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    for name in plan.terms:
        assert any(line.get(name, 0) > 0 for line in lines)
