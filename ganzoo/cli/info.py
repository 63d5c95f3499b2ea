"""`ganzoo info NAME`: everything about one record; torch is imported only for `--networks`."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import click

from ganzoo.api.specs import (
    ArchitectureSpec,
    DatasetSpec,
    ImporterSpec,
    LossSpec,
    MediaSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    TrackerSpec,
)
from ganzoo.cli.common import LONGEST, complete_names, echo_json, json_option, registry_of, table
from ganzoo.cli.list import KINDS
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import DataSettings, layer, meanings
from ganzoo.errors import GanzooError, UsageError
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry, calling
from ganzoo.util.suggest import suggest
from ganzoo.util.text import counted, printable

if TYPE_CHECKING:
    from ganzoo.config.plan import Plan

# Entries shown as one line each, and entries shown as tables: title, columns.
_LINES = (
    "paper",
    "plugin",
    "needs",
    "second_order",
    "role",
    "rejects",
    "used by",
    "writes",
    "reads",
    "run it with",
)
_TABLES = {
    "options": ("name", "default", ""),
    "brings along": ("setting", "value"),
    "settings": ("setting", "value", "comes from"),
    "fields": ("name", "shape", "type", "filled by", "kind", "values"),
    "networks": ("name", "reads", "writes", "parameters"),
    "does not go with": ("what", "why"),
}


@click.command("info")
@click.argument("name", shell_complete=complete_names("any"))
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind, if several kinds have the name.")
@click.option(
    "--networks",
    is_flag=True,
    help="For a recipe or architecture, also show its fields and networks (needs torch and the data).",
)
@json_option
@click.pass_context
def command(ctx: click.Context, name: str, kind: str | None, networks: bool, as_json: bool) -> None:
    """Show what NAME is: plugin, paper, options with defaults, what it needs and what uses it."""
    registry = registry_of(ctx)
    found = [
        item for item in registry.items if name in (item.name, item.qualified) and kind in (None, item.kind)
    ]
    if not found:
        fix = suggest(name, {item.name for item in registry.items}) or "list all names: ganzoo list --all"
        raise UsageError(f"There is nothing called '{name}' in the zoo.", fix=fix)
    found.sort(key=lambda item: KINDS.index(item.kind))
    plans = _plans(registry)
    described = [_describe(item, plans, registry) for item in found]
    if networks:
        for entry, item in zip(described, found, strict=True):
            entry |= _built(item, plans, registry)
    if as_json:
        echo_json({"items": described})
        return
    for entry in described:
        _show(entry)


def _show(entry: dict[str, Any]) -> None:
    click.secho(f"{entry['kind']} {entry['qualified']}", bold=True)
    click.echo(f"  {printable(entry['summary'], LONGEST)}")
    for key in _LINES:
        if entry.get(key):
            value = ", ".join(entry[key]) if isinstance(entry[key], list) else str(entry[key])
            click.echo(f"  {key.replace('_', ' ')}: {printable(value, LONGEST)}")
    for title, columns in _TABLES.items():
        found = entry.get(title) or {}
        rows = (
            [list(row.values()) for row in found]
            if isinstance(found, list)
            else [[key, value, entry.get("origins", {}).get(key, "")] for key, value in found.items()]
        )
        if rows:
            table(f"  {title}", columns, [[str(cell) for cell in row[: len(columns)]] for row in rows])
        for text in entry.get("about options", []) if title == "options" else []:
            words = printable(text, LONGEST)
            click.echo(click.wrap_text(words, 100, initial_indent="   ", subsequent_indent="   ") + "\n")
    click.echo()


def _plans(registry: Registry) -> dict[str, Plan]:
    """The plans of all recipes that resolve, by qualified name."""
    plans = {}
    for item in registry.of_kind(RecipeSpec):
        try:
            with calling(item):
                plan = resolve(item.qualified, registry)
                plan.settings()
        except GanzooError:  # it may name what is not installed, or options that are no settings
            continue
        plans[item.qualified] = plan
    return plans


def _describe(item: Item[Any], plans: dict[str, Plan], registry: Registry) -> dict[str, Any]:
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
        entry["run it with"] = f"ganzoo train {registry.canonical(RecipeSpec, item.qualified)}"
        return entry | _settings(plans.get(item.qualified), item)
    if isinstance(spec, ImporterSpec):
        entry["run it with"] = "ganzoo import FILE"
        return entry
    with calling(item):  # a default may be made by the plugin's code
        entry["options"] = {} if spec.config is None else _defaults(spec.config)
        entry["origins"] = meanings(spec.config)
        entry["about options"] = [] if spec.config is None else _explained(spec.config)
    entry["brings along"] = dict(spec.defaults)
    entry["used by"] = [
        registry.canonical(RecipeSpec, name)
        for name, plan in plans.items()
        if item.qualified in [used.qualified for used in plan.items]
    ]
    if isinstance(spec, (ArchitectureSpec, MetricSpec)):
        entry["needs"] = ", ".join(spec.needs)
    if isinstance(spec, (LossSpec, TermSpec)):
        entry["rejects"] = "; ".join(f"{tag}: {reason}" for tag, reason in spec.rejects.items())
    if isinstance(spec, MediaSpec):
        media = Kinds(registry).of(item.qualified)
        entry["writes"], entry["reads"] = ([*files] for files in (media.suffixes, media.reads))
    if isinstance(spec, TermSpec):
        entry["role"] = f"{spec.kind} of the {spec.role}"
        entry["second_order"] = spec.second_order
    if isinstance(spec, DatasetSpec):
        entry["run it with"] = f"--data {spec.name}" + (f":{spec.argument}" if spec.argument else "")
        entry["options"] |= {k: v for k, v in _defaults(DataSettings).items() if k != "source"}
        entry["about options"] += _explained(DataSettings)
    if isinstance(spec, TrackerSpec):
        entry["run it with"] = f"ganzoo train RECIPE --track {spec.name}"
    return entry


def _settings(plan: Plan | None, item: Item[RecipeSpec]) -> dict[str, dict[str, Any]]:
    """The settings of a recipe and their origins, without the defaults of ganzoo's core."""
    if plan is None:  # it does not resolve here: show its own settings
        settings = dict(item.spec.settings)
        return {"settings": settings, "origins": dict.fromkeys(settings, f"recipe {item.name}")}
    values = {path: value for path, value in layer("", plan.settings()).values.items() if len(path) > 1}
    origins = {path: plan.origin(path) for path in values}
    kept = [path for path in values if origins[path] != "core"]
    return {
        "settings": {".".join(path): values[path] for path in kept},
        "origins": {".".join(path): origins[path] for path in kept},
    }


def _built(item: Item[Any], plans: dict[str, Plan], registry: Registry) -> dict[str, Any]:
    """Fields, networks, and losses and terms they cannot be combined with; empty for other kinds."""
    plan = plans.get(item.qualified) if item.kind == "recipe" else None
    if isinstance(item.spec, ArchitectureSpec):
        plan = next((p for p in plans.values() if p.architecture.item.qualified == item.qualified), None)
    if plan is None:
        return {}
    from ganzoo.data.open_data import open_data
    from ganzoo.networks.apply import declared, parameter_count
    from ganzoo.networks.build import build_networks, tags_of

    info = open_data(plan).info
    networks = build_networks(plan, info)
    nets = {**networks.generators, **networks.discriminators}
    tags = tags_of(networks)
    parts: list[Item[Any]] = [*registry.of_kind(LossSpec), *registry.of_kind(TermSpec)]
    return {
        "fields": [
            {
                "name": field.name,
                "shape": list(field.shape),
                "dtype": field.dtype,
                "source": field.source,
                "kind": f"{field.kind}: {plan.kinds.of(field.kind).describe(field)}" if field.kind else "",
                "values": _values(field),
            }
            for field in declared(networks, info).values()
        ],
        "networks": [
            {
                "name": name,
                "reads": ", ".join(net.reads),
                "writes": ", ".join(net.writes),
                "parameters": f"{parameter_count([net]):,}",
            }
            for name, net in nets.items()
        ],
        "tags": sorted(tags),
        "does not go with": [
            {"what": f"{part.kind} {part.name}", "why": reason}
            for part in parts
            for tag, reason in part.spec.rejects.items()
            if tag in tags
        ],
    }


def _values(field: Any) -> str:
    free = [f"any {axis} in multiples of {many}" for axis, many in field.free.items()]
    return "; ".join(part for part in (_range(field), *free) if part)


def _range(field: Any) -> str:
    if field.classes:
        return counted(len(field.classes), "class", "classes")
    if field.source == "constant":
        return f"{field.default:g} by default"
    return "" if field.range is None else f"{field.range[0]:g} to {field.range[1]:g}"


def _defaults(config: type[Any]) -> dict[str, Any]:
    return {item.name: _default(item) for item in dataclasses.fields(config)}


def _explained(config: type[Any]) -> list[str]:
    """The docstring paragraphs of the options class; those of base classes come last."""
    written = [
        inspect.cleandoc(cls.__doc__)
        for cls in config.__mro__
        if dataclasses.is_dataclass(cls) and cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")
    ]
    return [" ".join(part.split()) for text in written for part in text.split("\n\n")]


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default is not dataclasses.MISSING:
        return item.default
    return "required" if item.default_factory is dataclasses.MISSING else item.default_factory()
