"""An exception in a plugin's code names whose code it was, and what there is in place of a missing key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.config.resolve import resolve
from ganzoo.errors import FailedError
from ganzoo.registry.registry import load_registry
from ganzoo.testing.runner import check_plugin
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.util.error_notes import Blame, blamed

Install = Callable[..., Path]

TERM = '''
"""A term that reads an output which its discriminator does not write."""
from ganzoo.api import RecipeSpec, TermSpec, hookimpl

def build(config):
    def penalty(view):
        {code}
    return penalty

@hookimpl
def ganzoo_terms():
    return [TermSpec(name="shuffle", summary="A test term.", factory=f"{{__name__}}:build")]
'''
RECIPE = """
@hookimpl
def ganzoo_recipes():
    return [RecipeSpec(name="shuffled", summary="A test.", architecture="mlp", loss="non-saturating",
                       settings={"terms.shuffle": True})]
"""
MISSING = 'return view.real_outputs["feature"].mean()'
SMALL = {"train.device": "cpu", "train.images": 16, "train.batch_size": 8, "train.samples": 4}


def trained(path: Path) -> FailedError:
    plan = resolve("mlp+non-saturating+shuffle", load_registry(), overrides=SMALL)
    with pytest.raises(FailedError) as caught:
        start(plan, path / "run", NullReporter())
    return caught.value


def test_a_missing_key_names_the_term_and_what_there_is(install: Install, tmp_path: Path) -> None:
    install("shuffled", "shuffled", TERM.format(code=MISSING))
    error = trained(tmp_path)
    assert error.what == "Training stopped in the term 'shuffle': KeyError: 'feature'"
    assert "the discriminator writes score; samples have image; noise is z" in error.where
    assert error.exit_code == 1


def test_any_other_exception_names_the_term_and_the_network(install: Install, tmp_path: Path) -> None:
    install("shuffled", "shuffled", TERM.format(code='return view.discriminate({"image": view.noise["z"]})'))
    error = trained(tmp_path)
    assert error.what.startswith(
        "Training stopped in the network Discriminator, in the term 'shuffle': RuntimeError"
    )
    assert "writes" not in error.where


@pytest.mark.parametrize(("recipe", "place"), [("", "On synthetic networks"), (RECIPE, "'shuffled'")])
def test_the_kit_says_so_too(install: Install, recipe: str, place: str) -> None:
    install("shuffled", "shuffled", TERM.format(code=MISSING) + recipe)
    (text,) = [result.text for result in check_plugin("shuffled") if result.check == "can-be-computed"]
    assert place in text
    assert "KeyError: 'feature'; the discriminator writes score" in text
    assert ("needs a recipe" in text) == (not recipe)


def test_the_exception_stays_what_it_is() -> None:
    with pytest.raises(MemoryError) as caught, Blame("the loss"), Blame("the network Net", lambda: "a; b"):
        raise MemoryError
    assert blamed(caught.value) == ("the network Net, in the loss", "")
    with pytest.raises(KeyError) as missing, Blame("the network Net", lambda: "a; b"):
        raise KeyError("x")
    assert blamed(missing.value) == ("the network Net", "a; b")
    assert blamed(ValueError()) == ("", "")
