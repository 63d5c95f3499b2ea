"""Settings of small convolutional recipes for larger images: unchanged on the embedded data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganzoo.api import PIXELS, DataInfo, Field
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.open_data import open_data
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare
from ganzoo_dcgan.sizes import for_larger_images


def pictures(*shape: int) -> DataInfo:
    """Images in two classes, so that recipes with labels accept them."""
    image = Field(name="image", shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0))
    label = Field(name="label", shape=(), dtype="int64", classes=("0", "1"))
    return DataInfo(fields=(image, label), count=3391)


@pytest.mark.parametrize(
    "recipe", ["dcgan", "hinge", "dragan", "wgan", "wgan-gp", "acgan", "cgan", "sagan", "rpgan"]
)
def test_the_embedded_data_changes_nothing(registry: Registry, recipe: str) -> None:
    plan = resolve(recipe, registry)
    fitted = plan.fitted(open_data(plan).info)
    assert fitted.settings() == plan.settings()
    assert fitted.origins == plan.origins


def test_rates_batches_and_widths_of_larger_images() -> None:
    given = {
        "train.batch_size": 64,
        "generator.lr": 0.008,
        "discriminator.lr": "piecewise 0: 1e-3, 1: 0",
        "architecture.generator_width": 48,
        "architecture.discriminator_width": 10,
    }
    rates = {"generator": 0.5, "discriminator": 0.25}

    def changes(height: int, width: int, **more: int) -> dict[str, object]:
        return for_larger_images(pictures(1, height, width), given, rates=rates, **more)

    assert changes(28, 28, batch_size=16) == {}
    assert changes(28, 29, batch_size=16) == {"train.batch_size": 16, "generator.lr": 0.004}
    widths = ("architecture.generator_width", "architecture.discriminator_width")
    assert changes(64, 90) == {"generator.lr": 0.004, **dict(zip(widths, (24, 5), strict=True))}
    assert changes(512, 512, unit=8) == {"generator.lr": 0.004, **dict(zip(widths, (16, 8), strict=True))}


def test_dcgan_on_pictures(registry: Registry) -> None:
    plan = resolve("dcgan", registry).fitted(pictures(3, 64, 64))
    assert (plan.generator.lr, plan.discriminator.lr, plan.train.batch_size) == (1e-3, 1e-3, 16)
    options = plan.architecture.options
    assert (options.discriminator_norm, options.generator_width, options.discriminator_width) == (
        "batch",
        24,
        20,
    )
    assert plan.origin(("discriminator", "lr")) == "for 64x64x3, 3,391 samples"
    assert plan.origin(("discriminator", "betas")) == "recipe dcgan"
    assert plan.augment is not None
    assert (plan.augment.item.name, plan.augment.options.kimg) == ("ada", 100)


def test_who_names_an_augmentation_or_a_loss_gets_that(registry: Registry) -> None:
    def fitted(**overrides: str) -> Plan:
        given = {key.replace("__", "."): value for key, value in overrides.items()}
        return resolve("dcgan", registry, overrides=given).fitted(pictures(3, 64, 64))

    assert fitted(augment__name="none").augment is None
    chosen = fitted(augment__name="diffaugment").augment
    assert chosen is not None
    assert chosen.item.name == "diffaugment"
    assert fitted(loss__name="relativistic").augment is None, "only differences of its scores mean something"


@pytest.mark.parametrize(("side", "width"), [(29, 48), (32, 48), (48, 32), (64, 24), (128, 12), (512, 12)])
def test_networks_shrink_with_the_side(registry: Registry, side: int, width: int) -> None:
    plan = resolve("wgan-gp", registry).fitted(pictures(1, side, side + 10))
    assert plan.architecture.options.generator_width == width


def test_penalties_keep_their_discriminator(registry: Registry) -> None:
    """BatchNorm makes a score depend on the batch: with terms G is slowed down in its place."""
    plan = resolve("dcgan", registry, overrides={"terms.r1.gamma": 0.1}).fitted(pictures(3, 32, 32))
    assert plan.architecture.options.discriminator_norm == "spectral"
    assert plan.generator.lr == 5e-4
    for recipe in ("dragan", "wgan-gp"):
        own = resolve(recipe, registry)
        fitted = own.fitted(pictures(3, 32, 32))
        before, after = own.architecture.options, fitted.architecture.options
        assert after.discriminator_norm == before.discriminator_norm
        assert fitted.generator.lr <= fitted.discriminator.lr


@pytest.mark.parametrize("recipe", ["acgan", "infogan", "sngan", "biggan", "lsgan", "bcr", "ragan"])
def test_the_same_rule_for_recipes_with_such_rates(registry: Registry, recipe: str) -> None:
    own = resolve(recipe, registry)
    plan = own.fitted(pictures(3, 64, 64))
    assert plan.generator.lr == own.generator.lr / 16
    assert plan.discriminator.lr == own.discriminator.lr / 4
    assert plan.architecture.options.generator_width == own.architecture.options.generator_width / 2


def test_rpgan_keeps_the_rate_of_its_discriminator(registry: Registry) -> None:
    plan = resolve("rpgan", registry).fitted(pictures(3, 64, 64))
    assert (plan.generator.lr, plan.discriminator.lr, plan.train.batch_size) == (1e-3, 2e-3, 16)
    assert plan.architecture.options.discriminator_norm == "none"
    assert plan.augment is None


def test_a_clipped_critic_learns_five_times_as_often(registry: Registry) -> None:
    own = resolve("wgan", registry)
    plan = own.fitted(pictures(3, 64, 64))
    assert (plan.generator.lr, plan.discriminator.lr) == (5e-4, 5e-4)
    assert (own.train.n_critic, plan.train.n_critic, plan.train.batch_size) == (1, 5, 16)
    mine = resolve("wgan", registry, overrides={"train.n_critic": 2})
    assert mine.fitted(pictures(3, 64, 64)).train.n_critic == 2


def test_a_critic_with_a_penalty_learns_twice_as_often(registry: Registry) -> None:
    for recipe, steps in (("wgan-gp", 2), ("cgan", 2), ("dragan", 1)):
        assert resolve(recipe, registry).fitted(pictures(3, 64, 64)).train.n_critic == steps
    mine = resolve("wgan-gp", registry, overrides={"train.n_critic": 5})
    assert mine.fitted(pictures(3, 64, 64)).train.n_critic == 5


def test_the_user_is_stronger_and_may_use_schedules(registry: Registry) -> None:
    mine = {"generator.lr": "linear 8e-3 -> 0", "generator.decay": "none", "architecture.generator_width": 5}
    plan = resolve("dcgan", registry, overrides=mine)
    fitted = plan.fitted(pictures(3, 64, 64))
    assert fitted.generator.lr == plan.generator.lr
    assert fitted.architecture.options.generator_width == 5
    assert fitted.discriminator.lr == 1e-3


def test_a_run_on_pictures_is_trained_with_them(registry: Registry, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (40, 30, 30, 3), np.uint8))
    small = {"architecture.generator_width": 2, "architecture.discriminator_width": 2, "train.device": "cpu"}
    overrides = {"data.source": f"npy:{tmp_path / 'a.npy'}", "train.images": 32, **small}
    plan = resolve("dcgan", registry, overrides=overrides)
    assert prepare(plan).plan.train.batch_size == 16
    run, _ = start(plan, tmp_path / "run", NullReporter())
    assert run.settings()["train"]["batch_size"] == 16
    assert run.settings()["discriminator"]["lr"] == 1e-3
