"""`ganzoo list`: what the zoo holds, and what could not be loaded."""

from __future__ import annotations

from typing import Any

import click

from ganzoo.cli.common import echo_json, registry_of, table
from ganzoo.registry import Item, Registry
from ganzoo.text import printable

PLURALS = {"loss": "losses"}
KINDS = ("recipe", "architecture", "loss", "term", "augmentation", "dataset", "extractor", "metric")


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind.")
@click.option("--plugin", help="Only what this plugin or distribution offers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
@click.pass_context
def command(ctx: click.Context, kind: str | None, plugin: str | None, as_json: bool) -> None:
    """Show what the zoo holds: recipes, architectures, losses, terms, augmentations, datasets and so on.

    Plugins that did not load are listed with the reason.
    """
    registry = registry_of(ctx)
    items = [
        item
        for item in registry.items
        if kind in (None, item.kind) and plugin in (None, item.plugin.name, item.plugin.dist)
    ]
    if as_json:
        echo_json({"items": [_item(item) for item in items], "not_loaded": _not_loaded(registry)})
        return
    for wanted in KINDS:
        rows = [
            # The first sentence; `ganzoo info` and --json have the rest.
            (
                _shown(item, items),
                printable(item.spec.summary.split(". ")[0].removesuffix("."), 300),
                f"{item.plugin.dist} {item.plugin.version}",
            )
            for item in items
            if item.kind == wanted
        ]
        if rows:
            table(PLURALS.get(wanted, f"{wanted}s"), ("name", "what it is", "from"), rows)
    if registry.not_loaded:
        table(
            "not loaded",
            ("plugin", "from", "state", "reason"),
            [(e.name, f"{e.dist} {e.version}", e.state, e.reason) for e in registry.not_loaded],
        )
    if not items:
        click.echo("The zoo is empty: no plugin of this environment offers anything.")
        return
    click.echo("Train a recipe: ganzoo train NAME     More about a name: ganzoo info NAME")


def _shown(item: Item[Any], items: list[Item[Any]]) -> str:
    """The bare name, qualified where two plugins offer it."""
    twins = sum((item.kind, item.name) == (other.kind, other.name) for other in items)
    return item.name if twins == 1 else item.qualified


def _item(item: Item[Any]) -> dict[str, str]:
    return {
        "kind": item.kind,
        "name": item.name,
        "qualified": item.qualified,
        "dist": item.plugin.dist,
        "version": item.plugin.version,
        "summary": item.spec.summary,
    }


def _not_loaded(registry: Registry) -> list[dict[str, str]]:
    return [
        {
            "plugin": entry.name,
            "dist": entry.dist,
            "version": entry.version,
            "state": entry.state,
            "reason": entry.reason,
        }
        for entry in registry.not_loaded
    ]
