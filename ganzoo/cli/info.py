"""`ganzoo info NAME`: everything about one record, without importing torch."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ganzoo.api import ArchitectureSpec, DatasetSpec, LossSpec, RecipeSpec, TermSpec
from ganzoo.cli.common import LONGEST, complete_names, echo_json, registry_of, table
from ganzoo.cli.list import KINDS
from ganzoo.errors import UsageError
from ganzoo.registry import Item, Registry, calling, suggest
from ganzoo.text import printable


@click.command("info")
@click.argument("name", shell_complete=complete_names("any"))
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind, when a name has several.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
@click.pass_context
def command(ctx: click.Context, name: str, kind: str | None, as_json: bool) -> None:
    """Show what NAME is: source, paper, options with defaults, what it needs."""
    registry = registry_of(ctx)
    found = [
        item for item in registry.items if name in (item.name, item.qualified) and kind in (None, item.kind)
    ]
    if not found:
        fix = suggest(name, {item.name for item in registry.items}) or "ganzoo list shows all names"
        raise UsageError(f"There is nothing called '{name}' in the zoo.", fix=fix)
    found.sort(key=lambda item: KINDS.index(item.kind))
    described = [_describe(item, registry) for item in found]
    if as_json:
        echo_json({"items": described})
        return
    for entry in described:
        click.secho(f"{entry['kind']} {entry['qualified']}", bold=True)
        click.echo(f"  {printable(entry['summary'], LONGEST)}")
        for key in ("paper", "plugin", "needs", "second_order", "role", "rejects", "run it with"):
            if entry.get(key):
                click.echo(f"  {key}: {printable(str(entry[key]), LONGEST)}")
        for title in ("options", "brings along", "settings"):
            rows = [(key, str(value)) for key, value in (entry.get(title) or {}).items()]
            if rows:
                table(f"  {title}", ("name", "value"), rows)
        click.echo()


def _describe(item: Item[Any], registry: Registry) -> dict[str, Any]:
    spec = item.spec
    entry: dict[str, Any] = {
        "kind": item.kind,
        "name": item.name,
        "qualified": item.qualified,
        "summary": spec.summary,
        "paper": spec.paper,
        "plugin": f"{item.plugin.name} ({item.plugin.dist} {item.plugin.version})",
    }
    if isinstance(spec, RecipeSpec):
        return {
            **entry,
            "run it with": f"ganzoo train {registry.canonical(RecipeSpec, item.qualified)}",
            "settings": {
                "architecture.name": spec.architecture,
                "loss.name": spec.loss,
                "data.source": spec.data,
                **spec.settings,
            },
        }
    with calling(item):  # a default may be made by the plugin's code
        entry["options"] = {} if spec.config is None else _defaults(spec.config)
    entry["brings along"] = dict(spec.defaults)
    if isinstance(spec, ArchitectureSpec):
        entry["needs"] = ", ".join(spec.needs)
    if isinstance(spec, (LossSpec, TermSpec)):
        entry["rejects"] = "; ".join(f"{tag}: {reason}" for tag, reason in spec.rejects.items())
    if isinstance(spec, TermSpec):
        entry["role"] = f"{spec.kind} of the {spec.role}"
        entry["second_order"] = spec.second_order
    if isinstance(spec, DatasetSpec):
        entry["run it with"] = f"--data {spec.name}" + (f":{spec.argument}" if spec.argument else "")
    return entry


def _defaults(config: type[Any]) -> dict[str, Any]:
    return {item.name: _default(item) for item in dataclasses.fields(config)}


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default is not dataclasses.MISSING:
        return item.default
    return "required" if item.default_factory is dataclasses.MISSING else item.default_factory()
