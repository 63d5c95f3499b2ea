"""Scores in the model card: a table for readers, and the header's `model-index` for the Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["index", "section"]

_ARROWS = {"lower": " ↓", "higher": " ↑"}


def index(title: str, task: str, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The value of `model-index`: all scores of one task on one data set, each with its protocol."""
    scores = about["scores"]
    metrics = [
        {"type": name, "name": name, "value": value, "args": scores["protocol"]}
        for name, value in scores["values"].items()
    ]
    data = str(scores["protocol"]["data"])
    dataset = {"name": data, "type": re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-") or "data"}
    return [{"name": title, "results": [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}]}]


def section(about: Mapping[str, Any]) -> str:
    """A table of the scores, and what one must know to compare them."""
    scores = about["scores"]
    rows = [
        f"| {name}{_ARROWS.get(scores['better'].get(name, ''), '')} | {value:.4g} |"
        for name, value in scores["values"].items()
    ]
    protocol = [f"{key.replace('_', ' ')} {value}" for key, value in scores["protocol"].items()]
    lines = [
        "## Scores",
        "",
        "| score | value |",
        "|---|---|",
        *rows,
        "",
        f"Protocol: {'; '.join(protocol)}.",
    ]
    return "\n".join(lines) + "\n"
