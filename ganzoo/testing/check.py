"""What a check is, and how checks find each other: one record a function, in the order of their stages.

A check takes a subject and returns when it is content. It fails by `Failed`, by an error of ganzoo's, or
by whatever the plugin's own code raises.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

Stage = Literal["plugin", "record", "architecture", "loss", "term", "augmentation", "recipe"]
"""What a check looks at: the plugin as a whole, one of its records, or what a kind of record makes."""

STAGES: tuple[Stage, ...] = get_args(Stage)


class Failed(AssertionError):  # noqa: N818 - pytest shows assertion errors as failures, others as errors
    """What is wrong, and what to do about it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what}\n  try:   {fix}" if fix else what)


class NotApplicable(Exception):  # noqa: N818 - no error
    """The check has nothing to look at here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check function with its stage, and the checks of the same subject that must pass first."""

    name: str
    stage: Stage
    needs: tuple[str, ...]
    function: Callable[[Any], None]

    @property
    def about(self) -> str:
        """The first sentence of its docstring."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(stage: Stage, *needs: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a function a check of that stage, named after the function."""

    def record(function: Callable[[Any], None]) -> Callable[[Any], None]:
        name = function.__name__.replace("_", "-")
        CHECKS[name] = Check(name=name, stage=stage, needs=needs, function=function)
        return function

    return record


def demand(condition: bool, what: str, fix: str = "") -> None:
    """Failed with that text unless the condition holds."""
    if not condition:
        raise Failed(what, fix)
