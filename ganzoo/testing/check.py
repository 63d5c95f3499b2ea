"""What a check is, and the register of all checks.

A check is a function of a target. It passes if it returns, and fails if it raises: `Failed`, an error of
ganzoo, or any error of the plugin's code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

Stage = Literal[
    "plugin", "record", "dataset", "media", "extractor", "metric",
    "architecture", "loss", "term", "augmentation", "importer", "tracker", "recipe",
]  # fmt: skip
"""What a check tests: the plugin as a whole, one of its records, or what a record of that kind builds."""

STAGES: tuple[Stage, ...] = get_args(Stage)


class Failed(AssertionError):  # noqa: N818 - pytest shows assertion errors as failures, others as errors
    """A failed check: what is wrong, and how to fix it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what}\n  try:   {fix}" if fix else what)


class NotApplicable(Exception):  # noqa: N818 - no error
    """The check does not apply here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check function with its stage, and the checks of the same target that must pass first."""

    name: str
    stage: Stage
    needs: tuple[str, ...]
    function: Callable[[Any], None]

    @property
    def about(self) -> str:
        """The first paragraph of its docstring."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(stage: Stage, *needs: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Decorator: register a function as a check of that stage, with the function's name."""

    def record(function: Callable[[Any], None]) -> Callable[[Any], None]:
        name = function.__name__.replace("_", "-")
        CHECKS[name] = Check(name=name, stage=stage, needs=needs, function=function)
        return function

    return record


def demand(condition: bool, what: str, fix: str = "") -> None:
    """Raise Failed with that text unless the condition is true."""
    if not condition:
        raise Failed(what, fix)
