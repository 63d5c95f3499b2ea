"""Checks of a plugin and its records that need no network."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tomllib

import tomli_w

from ganzoo.config.settings import build, plain
from ganzoo.registry.registry import factory_of
from ganzoo.testing.check import NotApplicable, check, demand
from ganzoo.testing.targets import PluginTarget, RecordTarget

MILLISECONDS = 300
LONGEST = 300  # characters of a summary's first sentence

# Loads the entry point in a fresh process, beside an interpreter that has the plugin API already.
_LOAD = """
import sys, time
import numpy, ganzoo.api, ganzoo.api.hookspecs
from importlib.metadata import EntryPoint
known = set(sys.modules)
begun = time.perf_counter()
module = EntryPoint(name="plugin", value=sys.argv[1], group="ganzoo").load()
for name in dir(module):
    if name.startswith("ganzoo_"):
        hook = getattr(module, name)
        if callable(hook):
            hook()
print((time.perf_counter() - begun) * 1000, "torch" in sys.modules)
"""


def _loaded(target: PluginTarget) -> tuple[float, bool]:
    command = [sys.executable, "-c", _LOAD, target.entry_point.value]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    demand(done.returncode == 0, f"It cannot be loaded alone: {lines[-1] if lines else 'no message'}")
    milliseconds, with_torch = done.stdout.split()[-2:]
    return float(milliseconds), with_torch == "True"


def demand_summary(summary: str) -> None:
    """Failed unless the summary is one line that fits into a table."""
    first = summary.split(". ")[0]
    demand(bool(first.strip()), "It has no summary.", "say in one line what it is")
    demand(
        "\n" not in summary and len(first) <= LONGEST,
        "Its summary does not fit into a table.",
        f"use one line, with a first sentence of at most {LONGEST} characters",
    )


@check("plugin")
def imports_no_torch(target: PluginTarget) -> None:
    """Loading the plugin and calling its hooks does not import torch."""
    demand(
        not _loaded(target)[1],
        "Its hook module imports torch, so `ganzoo list` must wait for torch.",
        "put networks and losses into other modules, which the records name",
    )


@check("plugin", "imports-no-torch")
def loads_quickly(target: PluginTarget) -> None:
    """Loading it takes less than 300 ms (the fastest of three attempts)."""
    fastest = min(_loaded(target)[0] for _ in range(3))
    demand(
        fastest < MILLISECONDS,
        f"Loading it took {fastest:.0f} ms, {MILLISECONDS} are allowed.",
        "let hooks only return records; do the work in factories",
    )


@check("plugin")
def names_are_free(target: PluginTarget) -> None:
    """No other installed distribution has the same names, so that they can be used without a prefix."""
    mine = {(spec.record, spec.name) for spec in target.plugin.specs}
    for item in target.registry.items:
        if item.plugin.dist != target.plugin.dist:
            demand(
                (item.kind, item.name) not in mine,
                f"{item.plugin.dist} also has a {item.kind} '{item.name}': the name needs a prefix.",
                "choose another name",
            )


@check("record")
def summary_is_one_line(target: RecordTarget) -> None:
    """The summary says what it is in one line."""
    demand_summary(target.item.spec.summary)


@check("record")
def factory_resolves(target: RecordTarget) -> None:
    """The functions that the record names can be imported and called."""
    for name in ("factory", "held_out", "recognise", "example"):
        if named := getattr(target.item.spec, name, ""):
            demand(callable(factory_of(target.item, name)), f"{named} is not callable.")


@check("record")
def options_survive_a_settings_file(target: RecordTarget) -> None:
    """Its default options are equal after writing and reading TOML, so that settings.toml repeats a run."""
    config = getattr(target.item.spec, "config", None)
    if config is None:
        raise NotApplicable("it has no options")
    demand(
        config.__dataclass_params__.frozen,
        f"{config.__name__} can be changed after its values were checked.",
        "use @dataclass(frozen=True, kw_only=True)",
    )
    required = [
        item.name
        for item in dataclasses.fields(config)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    demand(not required, f"No default: {', '.join(required)}.", "give every option a default")
    options = config()
    read = tomllib.loads(tomli_w.dumps(plain(options)))
    again = build(config, read, "options", {})
    demand(again == options, f"After writing and reading, {options} becomes {again}.")
