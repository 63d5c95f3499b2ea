"""Checks the records of a plugin, without importing or calling any of its code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ganzoo.errors import PluginError

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

# Options of the core in the tables of settings that also have a plugin's options.
RESERVED: Mapping[str, frozenset[str]] = {
    "ganzoo_architectures": frozenset({"name"}),
    "ganzoo_losses": frozenset({"name"}),
    "ganzoo_terms": frozenset({"every"}),
    "ganzoo_augmentations": frozenset({"name"}),
    "ganzoo_datasets": frozenset({"source", "flip"}),
}

_TEXTS = ("summary", "paper", "argument", "architecture", "loss", "data", "distance")
_FLAGS = ("paired", "second_order", "scaled", "trained", "reference", "quick", "slow")
_CHOICES = {"role": ("discriminator", "generator"), "kind": ("penalty", "constraint")}


def check_spec(hook: str, spec: object, record: type[Any]) -> None:
    """PluginError when a hook returned something else than a record, or a record with an invalid value."""
    if not isinstance(spec, record):
        raise PluginError(f"{hook} must return {record.__name__} records, it returned {type(spec).__name__}")
    name = getattr(spec, "name", "")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{name!r} is not a name: lower-case letters and digits, joined by . _ or -")
    for item in dataclasses.fields(record):
        problem = _problem(item.name, getattr(spec, item.name))
        if problem:
            raise PluginError(f"'{item.name}' of '{name}' must be {problem}")
    for part, optional in (("factory", False), ("held_out", True)):
        value = getattr(spec, part, None)
        if value is None or (optional and value == ""):
            continue
        if not (isinstance(value, str) and IMPORT_STRING.fullmatch(value)):
            raise PluginError(f"the {part} of '{name}' must be 'package.module:function', not {value!r}")
    config = getattr(spec, "config", None)
    if config is not None:
        if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
            raise PluginError(f"the config of '{name}' must be a dataclass, not {config!r}")
        clash = RESERVED.get(hook, frozenset()) & {item.name for item in dataclasses.fields(config)}
        if clash:
            raise PluginError(
                f"the option '{min(clash)}' of '{name}' is an option of the core, too: rename it"
            )


def _problem(field: str, value: object) -> str:
    """What the field of a record must contain; empty when `value` is valid."""
    if field in _TEXTS:
        return "" if isinstance(value, str) else "text"
    if field in _FLAGS:
        return "" if isinstance(value, bool) else "True or False"
    if field in _CHOICES:
        return "" if value in _CHOICES[field] else " or ".join(map(repr, _CHOICES[field]))
    if field == "every":
        return "" if isinstance(value, int) and value >= 1 else "a whole number from 1"
    if field in ("needs", "tags"):
        good = isinstance(value, (tuple, list)) and all(isinstance(name, str) for name in value)
        return "" if good else "a tuple of names"
    if field in ("defaults", "settings", "rejects", "better"):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            return "a mapping from text"
        if field == "rejects" and not all(isinstance(text, str) for text in value.values()):
            return "a mapping from tags to reasons"
    return ""
