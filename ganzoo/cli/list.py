"""`ganzoo list`: the recipes, or all records of the plugins; and the plugins that did not load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from ganzoo.api.specs import SPECS, ArchitectureSpec, RecipeSpec
from ganzoo.cli.common import echo_json, json_option, registry_of, table
from ganzoo.errors import GanzooError
from ganzoo.registry.discovery import Plugin
from ganzoo.registry.registry import Item, Registry
from ganzoo.util.text import counted, printable

PLURALS = {"loss": "losses", "media": "media (kinds of data)"}
KINDS = tuple(kind.record for kind in SPECS)


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Show only records of this kind.")
@click.option("--plugin", help="Show only this plugin: NAME, DISTRIBUTION/NAME or DISTRIBUTION.")
@click.option("--all", "everything", is_flag=True, help="Show all records of all plugins, several screens.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, kind: str | None, plugin: str | None, everything: bool, as_json: bool
) -> None:
    """List the recipes, by the fields that their data must have.

    With --kind, --plugin or --all, list the records of plugins with a line about each: recipes,
    architectures, losses, terms, augmentations, datasets, media (kinds of data: image, ...), extractors,
    metrics, importers and trackers. Plugins that did not load are listed with the reason. --json has all
    records.
    """
    registry = registry_of(ctx)
    chosen = registry.plugins if plugin is None else registry.plugins_named(plugin)
    items = [item for item in registry.items if kind in (None, item.kind) and item.plugin in chosen]
    not_loaded = [entry for entry in registry.not_loaded if entry in chosen]
    if as_json:
        echo_json({"items": [_item(item) for item in items], "not_loaded": _not_loaded(not_loaded)})
        return
    short = (kind, plugin) == (None, None) and not everything
    if short:
        _recipes(registry)
    else:
        _records(items)
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
    if short:
        click.echo(f"Also: {_others(items)}. A line about each: ganzoo list --kind KIND, or --all")
    click.echo("Train a recipe: ganzoo train NAME     More about a name: ganzoo info NAME")


def _recipes(registry: Registry) -> None:
    """The names of the recipes, those that need the same fields together, the largest group first."""
    recipes = registry.of_kind(RecipeSpec)
    groups: dict[str, list[str]] = {}
    for item in recipes:
        groups.setdefault(_needed(item, registry), []).append(_shown(item, recipes))
    rows = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    if rows:
        names = [(needed, ", ".join(found)) for needed, found in rows]
        table("recipes", ("the data needs", "names"), names)


def _needed(recipe: Item[RecipeSpec], registry: Registry) -> str:
    """The fields that the data of a recipe must have, in words."""
    try:
        architecture = registry.find(ArchitectureSpec, recipe.spec.architecture, recipe.plugin.dist)
    except GanzooError as error:
        return f"({printable(error.what.removesuffix('.'), 300)})"
    return ", ".join(architecture.spec.needs) or "any field"


def _others(items: Sequence[Item[Any]]) -> str:
    """How many records of each other kind there are: `30 losses, 2 trackers`."""
    counts = Counter(item.kind for item in items if item.kind != RecipeSpec.record)
    return ", ".join(counted(counts[kind], kind, PLURALS.get(kind, "")) for kind in KINDS if counts[kind])


def _records(items: list[Item[Any]]) -> None:
    """A table of the records of each kind."""
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
