"""Settings that a recipe has for data of a shape and count, and the recipe that suits some data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo.api import RecipeSpec
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import layer
from ganzoo.data.suited import suited
from ganzoo.errors import PluginError, UsageError
from ganzoo.fields import PIXELS, Column, DataInfo, Field
from ganzoo.registry.registry import Registry, factory_of, load_registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start, start_or_resume

RULES = """
def fit(data, settings):
    channels, height, width = data.field("image").shape
    if channels == 1:
        return {}
    return {"generator.lr": settings["generator.lr"] / 2, "ema.half_life": settings["train.images"] / 10,
            "architecture.latent": 5, "terms.drift.weight": data.count / 1000}

def timed(data, settings):
    return {"generator.lr": 1e-3}

def broken(data, settings):
    return None

def wide(data):
    return data.field("image").shape[2] / 10

def colour(data):
    return 0.9 if data.field("image").shape[0] == 3 else 0
"""

PLUGIN = """
from ganzoo.api import RecipeSpec, hookimpl

def recipe(name, **more):
    return RecipeSpec(name=name, summary="A test.", architecture="dcgan", loss="non-saturating", **more,
        settings={"train.images": 200, "train.batch_size": 4, "architecture.generator_width": 2,
                  "architecture.discriminator_width": 2, "generator.lr": 4e-3})

@hookimpl
def ganzoo_recipes():
    return [recipe("test-fit", fit="fit_rules:fit", suits="fit_rules:wide"),
            recipe("test-timed", fit="fit_rules:timed"),
            recipe("test-colour", suits="fit_rules:colour"), recipe("test-broken", fit="fit_rules:broken")]
"""


@pytest.fixture
def fitting(install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "fit_rules.py").write_text(RULES)
    monkeypatch.syspath_prepend(tmp_path)
    install("fit-dist", "fit", PLUGIN)
    return load_registry()


def about(*shape: int, count: int = 3391) -> DataInfo:
    image = Field(name="image", shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0))
    return DataInfo(fields=(image, Field(name="label", dtype="int64", classes=("a", "b"))), count=count)


def npy(folder: Path, *shape: int) -> str:
    path = folder / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return f"npy:{path}"


def test_the_data_decides_and_the_origin_says_so(fitting: Registry) -> None:
    plan = resolve("test-fit", fitting)
    assert plan.generator.lr == 4e-3
    fitted = plan.fitted(about(3, 64, 48))
    assert fitted.generator.lr == 2e-3
    assert fitted.ema.half_life == 20
    assert fitted.architecture.options.latent == 5
    assert fitted.terms["drift"].options.weight == pytest.approx(3.391)
    assert fitted.origin(("generator", "lr")) == "for 64x48x3, 3,391 samples"
    assert fitted.origin(("train", "batch_size")) == "recipe test-fit"
    again = fitted.fitted(about(3, 64, 48))  # once is enough
    assert again.settings() == fitted.settings()
    unchanged = plan.fitted(about(1, 28, 28))
    assert unchanged.settings() == plan.settings()


def test_what_the_user_sets_is_stronger_and_seen(fitting: Registry) -> None:
    plan = resolve("test-fit", fitting, overrides={"generator.lr": 1e-2, "train.images": 1000})
    fitted = plan.fitted(about(3, 32, 32))
    assert fitted.generator.lr == 1e-2
    assert fitted.origin(("generator", "lr")) == "overrides"
    assert fitted.ema.half_life == 100


def test_other_networks_and_other_recipes_are_left_alone(fitting: Registry) -> None:
    other = resolve("test-fit", fitting, overrides={"architecture.name": "mlp"})
    assert other.fitted(about(3, 32, 32)).generator.lr == 4e-3
    plain = resolve("test-colour", fitting)
    assert plain.fitted(about(3, 32, 32)) is plain


def test_a_rule_that_returns_nothing_is_named(fitting: Registry) -> None:
    with pytest.raises(PluginError, match=r"'fit' of the recipe 'test-broken'"):
        resolve("test-broken", fitting).fitted(about(3, 32, 32))


def test_a_run_keeps_what_was_fitted_and_the_same_call_continues_it(
    fitting: Registry, tmp_path: Path
) -> None:
    overrides = {"data.source": npy(tmp_path, 12, 8, 8, 3), "train.images": 16, "train.device": "cpu"}
    plan = resolve("test-fit", fitting, overrides=overrides)
    run, outcome = start(plan, tmp_path / "run", NullReporter(), pause_at=8)
    assert outcome == "paused"
    assert run.settings()["generator"]["lr"] == 2e-3
    assert run.settings()["architecture"]["latent"] == 5
    stored = resolve(str(run.settings_file), fitting)
    assert stored.fitted(run.info) is stored  # complete settings are never fitted again
    _, outcome = start_or_resume(plan, tmp_path / "run", NullReporter())
    assert outcome == "done"


@pytest.mark.parametrize(("shape", "name"), [((12, 8, 8, 3), "test-colour"), ((12, 16, 32, 3), "test-fit")])
def test_the_recipe_that_suits_best(
    fitting: Registry, tmp_path: Path, shape: tuple[int, ...], name: str
) -> None:
    own = Registry(
        [plugin for plugin in fitting.plugins if plugin.name in ("fit", "dcgan", "losses", "datasets")]
    )
    given = layer("command line", {"data.source": npy(tmp_path, *shape), "architecture.unknown": 3})
    item, info = suited(own, given)
    assert item.name == name
    assert info.field("image").shape == (3, *shape[1:3])


def test_no_recipe_suits(fitting: Registry, tmp_path: Path) -> None:
    bare = Registry([plugin for plugin in fitting.plugins if plugin.name == "datasets"])
    with pytest.raises(UsageError, match=r"No recipe says that it suits"):
        suited(bare, layer("command line", {"data.source": npy(tmp_path, 4, 8, 8)}))


@pytest.mark.parametrize(
    ("data", "recipe"),
    [
        (about(3, 64, 48), "dcgan"),
        (about(1, 28, 28), "dcgan"),
        (about(4, 64, 64), "dcgan"),
        (DataInfo(fields=(Field(name="points", shape=(2,)),), count=9), "wgan-gp-mlp"),
        (
            DataInfo(
                fields=(Field(name="row", shape=(2,), columns=(Column(name="a", values=("x", "y")),)),),
                count=9,
            ),
            "ctgan",
        ),
    ],
)
def test_what_the_built_in_recipes_say_of_data(registry: Registry, data: DataInfo, recipe: str) -> None:
    """The table of docs/which-recipe.md."""
    said = {
        item.name: factory_of(item, "suits")(data) for item in registry.of_kind(RecipeSpec) if item.spec.suits
    }
    assert max(said, key=lambda name: said[name]) == recipe


def test_a_length_in_time_keeps_what_was_fitted(fitting: Registry, tmp_path: Path) -> None:
    overrides = {
        "data.source": npy(tmp_path, 12, 8, 8, 3),
        "train.about_minutes": 1e-4,
        "train.device": "cpu",
    }
    plan = resolve("test-timed", fitting, overrides=overrides)
    run, outcome = start_or_resume(plan, tmp_path / "run", NullReporter())
    assert outcome == "done"
    assert run.settings()["generator"]["lr"] == 1e-3
    # Fewer images than a cycle has, if the machine is slow: a whole cycle is trained all the same.
    assert run.settings()["train"]["images"] == run.record["length"]["images"] <= run.record["images"]
    again, outcome = start_or_resume(plan, tmp_path / "run", NullReporter())
    assert (outcome, again.record["images"]) == ("done", run.record["images"])
