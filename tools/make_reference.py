"""Writes docs/plugins/reference.md: hooks, records and checks, from their own signatures and docstrings.

`python tools/make_reference.py`. tests/meta/test_docs.py compares the page with what this makes.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

import ganzoo.testing.checks  # noqa: F401  its modules add their checks to CHECKS
from ganzoo.api import specs
from ganzoo.api.hookspecs import HOOKS
from ganzoo.testing.check import CHECKS, STAGES

PAGE = Path(__file__).parent.parent / "docs" / "plugins" / "reference.md"

_STAGES = {
    "plugin": "The plugin as a whole",
    "record": "Each record except recipes",
    "architecture": "Each architecture, with its default options",
    "loss": "Each loss",
    "term": "Each term",
    "dataset": "Each dataset, with its default options",
    "media": "Each media, on samples of its datasets and on synthetic ones",
    "extractor": "Each extractor, with its default options, on synthetic samples",
    "metric": "Each metric, with its default options, on synthetic samples",
    "augmentation": "Each augmentation, with its default options, on synthetic images",
    "importer": "Each importer, with the example of its family as a file",
    "tracker": "Each tracker without a server, if its package is installed",
    "recipe": "Each recipe, at a batch of 4 on the smallest synthetic data that its networks take",
}


def text_of(thing: object) -> str:
    """A docstring with its paragraphs as lines."""
    paragraphs = (inspect.getdoc(thing) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def hooks() -> Iterator[str]:
    """A section for each hook."""
    for name, record in HOOKS.items():
        yield f"### `{name}`\n\n`{name}() -> list[{record.__name__}]`\n"
        yield f"`{record.__name__}`: {text_of(record)}\n"
        yield "| field | type | default |\n|---|---|---|"
        for item in dataclasses.fields(record):
            default = "" if item.default is dataclasses.MISSING else f"`{item.default!r}`"
            if item.default_factory is not dataclasses.MISSING:
                default = f"`{item.default_factory()!r}`"
            kind = str(item.type).replace("|", "\\|")
            yield f"| `{item.name}` | `{kind}` | {default} |"
        yield ""


def checks() -> Iterator[str]:
    """A table for each stage of the conformance kit."""
    for stage in STAGES:
        yield f"### {_STAGES[stage]}\n\n| check | what it tests | needs |\n|---|---|---|"
        for check in CHECKS.values():
            if check.stage == stage:
                needs = ", ".join(f"`{name}`" for name in check.needs)
                yield f"| `{check.name}` | {check.about} | {needs} |"
        yield ""


def page() -> str:
    """The whole page."""
    lines = [
        "# Hooks, records, checks",
        "",
        "`python tools/make_reference.py` writes this page from signatures and docstrings; do not edit it.",
        "The pages of [the guide](index.md) explain the records, with examples.",
        "",
        "## Hooks and their records",
        "",
        "A hook takes no arguments and returns a list of records, which are frozen and take keyword",
        f"arguments only. {text_of(specs._Buildable)}",
        "",
        *hooks(),
        "## Checks of the conformance kit",
        "",
        "`ganzoo plugin check NAME` and `ganzoo.testing.PluginSuite` run these checks in this order. A",
        "check is not run if a check that it needs has failed, or a check of a record that its subject uses.",
        "",
        *checks(),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
