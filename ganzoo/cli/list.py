"""`ganzoo list`: all records of the plugins, and the plugins that did not load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ganzoo.api.specs import SPECS
from ganzoo.cli.common import echo_json, json_option, registry_of, table
from ganzoo.registry.discovery import Plugin
from ganzoo.registry.registry import Item
from ganzoo.util.text import printable

PLURALS = {"loss": "losses", "media": "media (kinds of data)"}
KINDS = tuple(kind.record for kind in SPECS)


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Show only records of this kind.")
@click.option("--plugin", help="Show only this plugin: NAME, DISTRIBUTION/NAME or DISTRIBUTION.")
@json_option
@click.pass_context
def command(ctx: click.Context, kind: str | None, plugin: str | None, as_json: bool) -> None:
    """List the records of all plugins: recipes, architectures, losses, terms, augmentations, datasets, media
    (kinds of data: image, ...), extractors, metrics, importers and trackers.

    Plugins that did not load are listed with the reason.
    """
    registry = registry_of(ctx)
    chosen = registry.plugins if plugin is None else registry.plugins_named(plugin)
    items = [item for item in registry.items if kind in (None, item.kind) and item.plugin in chosen]
    not_loaded = [entry for entry in registry.not_loaded if entry in chosen]
    if as_json:
        echo_json({"items": [_item(item) for item in items], "not_loaded": _not_loaded(not_loaded)})
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
    if not_loaded:
        table(
            "not loaded",
            ("plugin", "from", "state", "reason"),
            [(e.name, f"{e.dist} {e.version}", e.state, e.reason) for e in not_loaded],
        )
    if not items:
        click.echo(
            "The zoo is empty: no plugin of this environment offers anything."
            if (kind, plugin) == (None, None)
            else f"{f'{plugin} offers' if plugin else 'The plugins of this environment offer'} "
            f"no {kind or 'record'}."
        )
        return
    click.echo("Train a recipe: ganzoo train NAME     More about a name: ganzoo info NAME")


def _shown(item: Item[Any], items: list[Item[Any]]) -> str:
    """The name; with its distribution if two plugins have it."""
    twins = sum((item.kind, item.name) == (other.kind, other.name) for other in items)
    return item.name if twins == 1 else item.qualified


def _item(item: Item[Any]) -> dict[str, str]:
    return {
        "kind": item.kind,
        "name": item.name,
        "qualified": item.qualified,
        "plugin": item.plugin.name,
        "dist": item.plugin.dist,
        "version": item.plugin.version,
        "summary": item.spec.summary,
    }


def _not_loaded(plugins: Sequence[Plugin]) -> list[dict[str, str]]:
    return [
        {
            "plugin": entry.name,
            "dist": entry.dist,
            "version": entry.version,
            "state": entry.state,
            "reason": entry.reason,
        }
        for entry in plugins
    ]
