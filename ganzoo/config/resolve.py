"""Recipe + overrides -> a plan: looks up every name, checks every setting and notes its origin.

Opens no data, builds no networks and does not import torch. Layers, from lowest to highest priority:
core, dataset, architecture, loss, terms, recipe, what the recipe has for data of this shape (as soon as the
data is open: `Plan.fitted`), settings file, command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ganzoo.api.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    LossSpec,
    RecipeSpec,
    TermSpec,
    TrackerSpec,
)
from ganzoo.config.advice import as_options, sources_for, unpack
from ganzoo.config.plan import Choice, Plan, TermChoice
from ganzoo.config.schedule import Schedule, scheduled
from ganzoo.config.settings import (
    ABOUT_MINUTES,
    CORE_TABLES,
    IMAGES,
    LENGTHS,
    Key,
    Layer,
    TermSettings,
    build,
    layer,
    option_names,
    read_toml,
    unknown_option,
    wrong_default,
)
from ganzoo.errors import PluginError, SettingsError, UsageError
from ganzoo.fields import DataInfo
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry, calling, factory_of

NOTHING = "none"  # the name that switches off what is chosen in one of these tables
OPTIONAL: Mapping[str, type[AugmentationSpec | TrackerSpec]] = {
    "augment": AugmentationSpec,
    "track": TrackerSpec,
}


def resolve(target: str, registry: Registry, *, overrides: Mapping[str, Any] | Layer | None = None) -> Plan:
    """The plan for a recipe name, `architecture+loss[+term...]`, or a settings file.

    `overrides` is the top layer, or a mapping from dotted paths. UsageError and SettingsError say what is
    wrong.
    """
    top = overrides if isinstance(overrides, Layer) else layer("overrides", overrides or {})
    wanted = _requested(target, registry)
    wanted = replace(wanted, upper=[*wanted.upper, top])
    plan = _resolve(wanted, registry)
    if wanted.recipe is None or not wanted.recipe.spec.fit:
        return plan
    return replace(plan, fit=partial(_fitted, plan, wanted.recipe, wanted, registry))


@dataclass(frozen=True)
class _Requested:
    """What a target asks for. `name`: what the run is called after.

    `lower`: the layers of the recipe or combination, `upper`: what is stronger than the recipe's `fit`.
    """

    name: str
    recipe: Item[RecipeSpec] | None
    lower: Sequence[Layer]
    upper: Sequence[Layer] = ()


def _fitted(
    plan: Plan, recipe: Item[RecipeSpec], wanted: _Requested, registry: Registry, info: DataInfo
) -> Plan:
    """The plan with one layer more, above the recipe's own; unchanged for networks that are not the recipe's.

    PluginError when the recipe's function returns no settings.
    """
    own = registry.find(ArchitectureSpec, recipe.spec.architecture, recipe.plugin.dist)
    if plan.architecture.item.qualified != own.qualified:
        return replace(plan, fit=None)
    settings = {".".join(path): value for path, value in layer("", plan.settings()).values.items()}
    fit = factory_of(recipe, "fit")
    with calling(recipe):
        changes = fit(info, settings)
    if not isinstance(changes, Mapping):
        raise PluginError(f"'fit' of the recipe '{recipe.name}' returned no settings.", where=recipe.spec.fit)
    fitted = replace(wanted, lower=[*wanted.lower, layer(f"for {info}", changes)])
    return _resolve(fitted, registry)


def _resolve(wanted: _Requested, registry: Registry) -> Plan:
    requested = [_canonical_terms(entry, registry) for entry in (*wanted.lower, *wanted.upper)]
    requested, optional = _optional(requested, registry)
    owners: dict[str, Item[Any]] = {
        "data": _dataset(_last(requested, "data", "source"), registry),
        "architecture": registry.find(ArchitectureSpec, _last(requested, "architecture", "name")),
        "loss": registry.find(LossSpec, _last(requested, "loss", "name")),
        **optional,
    }
    requested = _drop_replaced_options(requested, registry, owners)
    defaults = [
        _canonical_terms(_defaults(item, owners), registry, item.plugin.dist) for item in owners.values()
    ]
    terms, dropped = _terms([*defaults, *requested], registry)
    defaults += [_defaults(item, owners) for item in terms.values()]
    values, origins = _merge([*defaults, *requested])
    other_data = _is_other_data(requested, registry)
    of_recipe = len(defaults) + len(wanted.lower)
    _choose_length([*defaults, *requested], of_recipe if other_data else 0, values, origins)
    _check_paths(values, origins, owners, terms)

    def table(name: str) -> dict[str, Any]:
        return {key[1]: value for key, value in values.items() if key[0] == name and len(key) == 2}

    def core(name: str) -> Any:
        return build(CORE_TABLES[name], _only(table(name), CORE_TABLES[name]), name, origins)

    def choice(item: Item[Any], name: str, values: Mapping[str, Any]) -> Any:
        config = item.spec.config
        if config is None:
            return None
        with calling(item):
            if wrong := wrong_default(config):
                plugin = item.plugin
                raise PluginError(
                    f"The {item.kind} '{item.name}' has a default of the wrong type: {wrong}.",
                    where=f"{config.__module__}.{config.__qualname__} of {plugin.dist} {plugin.version}",
                    fix="correct the default; if the plugin is not yours, report it to its author",
                )
            return build(config, _only(values, config), name, origins)

    def chosen(name: str) -> Choice:
        return Choice(owners[name], choice(owners[name], name, table(name)))

    chosen_terms = {}
    for name, item in terms.items():
        own = {key[2]: value for key, value in values.items() if key[:2] == ("terms", name) and len(key) == 3}
        own.setdefault("every", item.spec.every)
        every = build(TermSettings, _only(own, TermSettings), f"terms.{name}", origins).every
        chosen_terms[name] = TermChoice(item, choice(item, f"terms.{name}", own), every)
    data = core("data")
    plan = Plan(
        name=wanted.name,
        train=core("train"),
        generator=core("generator"),
        discriminator=core("discriminator"),
        ema=core("ema"),
        data=data,
        dataset=replace(chosen("data"), only=data.only, without=data.without),
        architecture=chosen("architecture"),
        loss=chosen("loss"),
        augment=chosen("augment") if "augment" in optional else None,
        track=chosen("track") if "track" in optional else None,
        terms=chosen_terms,
        dropped_terms=dropped,
        origins=origins,
        other_data=other_data,
        kinds=Kinds(registry),
    )
    _check_schedules(plan)
    return plan


def _check_schedules(plan: Plan) -> None:
    """SettingsError for a schedule where nothing changes over a run, or beside `decay`."""
    for table, options in (("train", plan.train), ("data", plan.data), ("data", plan.dataset.options)):
        for name in scheduled(options):
            raise SettingsError(
                f"'{table}.{name}' cannot be a schedule: it is used once, before training.",
                where=f"{table}.{name} = {getattr(options, name)} (from {plan.origin((table, name))})",
                fix="give it a number",
            )
    for role, optimizer in (("generator", plan.generator), ("discriminator", plan.discriminator)):
        if isinstance(optimizer.lr, Schedule) and optimizer.decay != "none":
            raise SettingsError(
                f"The learning rate of the {role} has a schedule and a decay.",
                where=f"{role}.lr = {optimizer.lr}; {role}.decay = {optimizer.decay}",
                fix=f"{role}.decay=none",
            )


def _optional(layers: list[Layer], registry: Registry) -> tuple[list[Layer], dict[str, Item[Any]]]:
    """The layers, and what is chosen in the tables `OPTIONAL`. Without a choice, its options go."""
    chosen: dict[str, Item[Any]] = {}
    for table, record in OPTIONAL.items():
        name = _last(layers, table, "name", otherwise=NOTHING)
        if name != NOTHING:
            chosen[table] = registry.find(record, name)
        elif any(entry.get(table, "name") for entry in layers):
            layers = [entry.without(table, keep=("name",)) for entry in layers]
    return layers, chosen


def _requested(target: str, registry: Registry) -> _Requested:
    """UsageError and SettingsError for a target that is no settings file, combination or recipe."""
    path = Path(target)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"There is no settings file '{target}'.")
        tables = read_toml(path)
        base = tables.pop("recipe", None)
        if not isinstance(base, str):
            raise SettingsError(
                "A settings file must name the recipe that it starts from.",
                where=target,
                fix='begin it with: recipe = "dcgan"',
            )
        complete = tables.pop("complete", False) is True
        file = layer(f"file {target}", tables)
        if complete:
            return _Requested(base, None, [Layer(f"recipe {base}", {})], [file])
        return replace(_named(base, registry), upper=[file])
    return _named(target, registry)


def _named(target: str, registry: Registry) -> _Requested:
    if "+" in target:
        return _Requested(target, None, [_combination(target, registry)])
    item = registry.find(RecipeSpec, target)
    spec = item.spec
    dist = item.plugin.dist
    scheme, colon, argument = spec.data.partition(":")
    names = {
        "architecture.name": registry.canonical(ArchitectureSpec, spec.architecture, dist),
        "loss.name": registry.canonical(LossSpec, spec.loss, dist),
        "data.source": registry.canonical(DatasetSpec, scheme, dist) + colon + argument,
    }
    augment = spec.settings.get("augment.name", NOTHING)
    if augment != NOTHING:
        names["augment.name"] = registry.canonical(AugmentationSpec, augment, dist)
    own = layer(f"recipe {item.name}", {**spec.settings, **names})
    return _Requested(item.name, item, [_canonical_terms(own, registry, dist)])


def _combination(target: str, registry: Registry) -> Layer:
    """`dcgan+wgan-gp+drift`: an architecture, a loss, and any number of terms."""
    architecture, loss, *terms = target.split("+")
    registry.find(ArchitectureSpec, architecture)
    if registry.matches(TermSpec, loss) and not registry.matches(LossSpec, loss):
        raise UsageError(
            f"'{loss}' is a term: name a loss before it.",
            where=target,
            fix="+".join([architecture, "LOSS", loss, *terms]) + "; ganzoo list --kind loss shows the losses",
        )
    registry.find(LossSpec, loss)
    values: dict[Key, Any] = {
        ("architecture", "name"): architecture,
        ("loss", "name"): loss,
        ("data", "source"): "fashion-5k",
    }
    for term in terms:
        values["terms", registry.canonical(TermSpec, term)] = True
    return Layer(f"combination {target}", values)


def _dataset(source: str, registry: Registry) -> Item[DatasetSpec]:
    """The dataset of a source. A path without a kind, a common mistake, gets its own error message."""
    name, _, argument = source.partition(":")
    if not argument and not registry.matches(DatasetSpec, name) and Path(name).exists():
        found: list[str] = []
        with suppress(OSError):
            found = sources_for(Path(name), registry)
        raise UsageError(
            "A path does not say what kind of data it is.",
            where=f"--data {source}",
            fix=as_options(found)
            or unpack(Path(name))
            or "--data KIND:PATH; ganzoo list --kind dataset shows the kinds",
        )
    return registry.find(DatasetSpec, name)


def _last(layers: Sequence[Layer], *key: str, otherwise: str | None = None) -> Any:
    found = [entry.get(*key) for entry in layers if entry.get(*key) is not None]
    if not found and otherwise is not None:
        return otherwise
    if not found or not isinstance(found[-1], str):
        raise SettingsError(f"'{'.'.join(key)}' must be a name.", where=layers[-1].origin)
    return found[-1]


def _drop_replaced_options(
    layers: Sequence[Layer], registry: Registry, owners: Mapping[str, Item[Any]]
) -> list[Layer]:
    """Drop options that a layer set for a dataset, architecture or loss that a higher layer replaces.

    When `--data folder:...` replaces a recipe's data, the recipe's options for its own data must not
    apply to the folder. Terms belong to the loss that they were chosen with.
    """
    result = list(layers)
    for table, final in owners.items():
        key = "source" if table == "data" else "name"
        current: Any = None
        for position, entry in enumerate(layers):
            current = entry.get(table, key) or current
            name = str(current).partition(":")[0]
            if (
                current not in (None, NOTHING)
                and registry.find(type(final.spec), name).qualified != final.qualified
            ):
                result[position] = result[position].without(table, keep=(key, "flip"))
                if table == "loss":
                    result[position] = result[position].without("terms")
    return result


def _defaults(item: Item[Any], owners: Mapping[str, Item[Any]]) -> Layer:
    """The default settings of a record, without options that the chosen records do not have."""
    kept: dict[Key, Any] = {}
    for path, value in layer("", item.spec.defaults).values.items():
        owner = owners.get(path[0])
        if owner is None or path[-1] in option_names(owner.spec.config, CORE_TABLES[path[0]]):
            kept[path] = value
    return Layer(f"{item.kind} {item.name}", kept)


def _canonical_terms(entry: Layer, registry: Registry, near: str = "") -> Layer:
    """The layer with canonical names of terms, whether they were written bare or qualified."""
    values: dict[Key, Any] = {}
    for key, value in entry.values.items():
        if key[0] == "terms" and len(key) > 1:
            key = (key[0], registry.canonical(TermSpec, key[1], near), *key[2:])
        values[key] = value
    return Layer(entry.origin, values)


def _terms(layers: Sequence[Layer], registry: Registry) -> tuple[dict[str, Item[TermSpec]], tuple[str, ...]]:
    """The terms of the run, and the names of those that a layer switched off with `terms.NAME=false`."""
    wanted: dict[str, bool] = {}
    for entry in layers:
        for key, value in entry.values.items():
            if key[0] == "terms" and len(key) >= 2:
                wanted[key[1]] = wanted.get(key[1], True) if len(key) > 2 else bool(value)
    items = {name: registry.find(TermSpec, name) for name in wanted}
    used = {name: items[name] for name in sorted(items) if wanted[name]}
    return used, tuple(sorted(item.qualified for name, item in items.items() if not wanted[name]))


def _merge(layers: Sequence[Layer]) -> tuple[dict[Key, Any], dict[Key, str]]:
    values: dict[Key, Any] = {}
    origins: dict[Key, str] = {}
    for entry in layers:
        for key, value in entry.values.items():
            values[key] = value
            origins[key] = entry.origin
    return values, origins


def _is_other_data(requested: Sequence[Layer], registry: Registry) -> bool:
    """Whether a stronger layer replaces the data of the recipe, combination or complete settings file."""
    sources = [entry.get("data", "source") for entry in requested]
    named = [str(source).partition(":") for source in sources if source]
    first, last = (
        (registry.find(DatasetSpec, name).qualified, argument) for name, _, argument in (named[0], named[-1])
    )
    return first != last


def _choose_length(
    layers: Sequence[Layer], ignored: int, values: dict[Key, Any], origins: dict[Key, str]
) -> None:
    """Keep only the length that was set last: `--minutes` replaces a recipe's images, and vice versa.

    The lengths of the first `ignored` layers were chosen for other data: a time takes their place.
    """
    keys = [("train", name) for name in LENGTHS]
    last = max(
        (at for at, entry in enumerate(layers) if any(key in entry.values for key in keys)), default=-1
    )
    kept = [key for key in keys if last >= ignored and key in layers[last].values]
    for key in keys:
        if key not in kept:
            values.pop(key, None)
    if not kept and ignored:
        values["train", "about_minutes"] = ABOUT_MINUTES
        origins["train", "about_minutes"] = "core, for data that is not the recipe's own"
    elif not kept:
        values["train", "images"], origins["train", "images"] = IMAGES, "core"


def _check_paths(
    values: Mapping[Key, Any],
    origins: Mapping[Key, str],
    owners: Mapping[str, Item[Any]],
    terms: Mapping[str, Item[TermSpec]],
) -> None:
    for path in values:
        origin = origins[path]
        if path[0] == "terms" and len(path) == 3:
            if path[1] in terms:
                known = option_names(terms[path[1]].spec.config, TermSettings)
                if path[2] not in known:
                    raise unknown_option(path, known, origin)
        elif len(path) == 1 and path[0] in (*CORE_TABLES, "terms"):
            raise SettingsError(f"'{path[0]}' is a table of settings, not a value.", where=origin)
        elif path[0] in CORE_TABLES:
            owner = owners.get(path[0])
            known = option_names(CORE_TABLES[path[0]], owner.spec.config if owner else None)
            if len(path) > 2 or path[1] not in known:
                raise unknown_option(path, known, origin)
        elif path[0] != "terms" or len(path) != 2:
            raise unknown_option(path[:1], [*CORE_TABLES, "terms"], origin)


def _only(values: Mapping[str, Any], cls: type[Any]) -> dict[str, Any]:
    names = option_names(cls)
    return {key: value for key, value in values.items() if key in names}
