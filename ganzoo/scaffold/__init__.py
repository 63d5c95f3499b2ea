"""`ganzoo plugin new`: writes a working package from the templates beside this file.

Owns the files and their contents. The caller checks that the name is free.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from ganzoo.api import API_VERSION
from ganzoo.errors import UsageError
from ganzoo.util.files import storage

KINDS = ("architecture", "loss", "term", "dataset", "metric", "recipe")
DEFAULT_KINDS = ("architecture", "loss", "recipe")
PAGES = {"augmentation": "augmentations", "extractor": "extractors", "media": "media"}
"""Kinds of records without a template, and the page of docs/plugins about each."""
LICENSES = ("MIT", "BSD-3-Clause", "none")

_TEMPLATES = resources.files(__name__) / "templates"
DATA_KINDS = tuple(sorted(item.name for item in (_TEMPLATES / "kinds").iterdir() if item.is_dir()))
"""Kinds of data with templates of their own: each a folder in templates/kinds."""

# The module of a kind's code, and the record that its hook returns.
_MODULES = {
    "architecture": "networks",
    "loss": "losses",
    "term": "terms",
    "dataset": "data",
    "media": "media",
    "metric": "metrics",
}
_CONFIGS = {"architecture": "NetworksConfig", "loss": "LossConfig", "term": "TermConfig"}
# What a recipe uses if the package does not have its own.
_FALLBACKS = {"architecture": "mlp", "loss": "non-saturating", "dataset": "fashion-5k"}


@dataclass(frozen=True)
class Names:
    """The name of a plugin, and the names of its distribution and import package."""

    name: str

    @classmethod
    def of(cls, text: str) -> Names:
        """UsageError when it is not a valid name. A prefix `ganzoo-` is removed, because `dist` adds it."""
        name = text.removeprefix("ganzoo-")
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
            raise UsageError(
                f"'{text}' is not a valid name of a plugin.",
                fix="use lower-case letters and digits, joined by -, a letter first: my-gan",
            )
        return cls(name)

    @property
    def dist(self) -> str:
        """The distribution, `ganzoo-my-gan`."""
        return f"ganzoo-{self.name}"

    @property
    def package(self) -> str:
        """The import package, `ganzoo_my_gan`."""
        return self.dist.replace("-", "_")


def records_of(kinds: Collection[str]) -> list[str]:
    """The kinds of records of a package: a kind of data stands for all records that it needs.

    UsageError for two kinds of data.
    """
    named = [kind for kind in kinds if kind in DATA_KINDS]
    if len(named) > 1:
        raise UsageError(f"A package is written for one kind of data, not for {' and '.join(named)}.")
    wanted = {*kinds, *(_about(named[0])["records"] if named else ()), "recipe"}
    return [kind for kind in (*KINDS, "media") if kind in wanted]


def write_plugin(names: Names, kinds: Collection[str], folder: Path, *, licence: str, author: str) -> None:
    """Write the package into a folder. UsageError when the folder exists, or as in `records_of`.

    There is always a recipe, so that the package can be trained and tested. The recipe uses ganzoo's own
    records for what the package does not have.
    """
    if folder.exists():
        raise UsageError(f"'{folder}' exists already.", fix="choose another folder with --output")
    files = package_files(names, kinds, licence=licence, author=author)
    with storage(folder):
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def package_files(names: Names, kinds: Collection[str], *, licence: str, author: str) -> dict[str, str]:
    """The contents of all files by path, for records of these kinds or for one kind of data."""
    chosen = records_of(kinds)
    data_kind = next((kind for kind in kinds if kind in DATA_KINDS), "")
    package = names.package
    values = _values(names, chosen, data_kind, licence, author)

    def filled(template: str) -> str:
        return Template(_template(template, data_kind)).substitute(values).strip() + "\n"

    files = {
        "pyproject.toml": filled("pyproject.toml.txt"),
        "README.md": filled("README.md"),
        ".github/workflows/test.yml": _template("ci.yml"),
        f"{package}/__init__.py": filled("init.py.txt"),
        f"{package}/py.typed": "",
        "tests/test_plugin.py": filled("test_plugin.py.txt"),
    }
    if licence != "none":
        files["LICENSE"] = filled(f"{licence}.txt")
    if set(chosen) & set(_CONFIGS):
        files[f"{package}/config.py"] = filled("config.py.txt")
    for kind in chosen:
        if kind in _MODULES:
            files[f"{package}/{_MODULES[kind]}.py"] = filled(f"{_MODULES[kind]}.py.txt")
    return files


def _values(names: Names, kinds: list[str], data_kind: str, licence: str, author: str) -> Mapping[str, str]:
    """The values of the names in the templates."""
    about = _about(data_kind)
    configs = [_CONFIGS[kind] for kind in kinds if kind in _CONFIGS]
    records = [f"{kind.capitalize()}Spec" for kind in kinds]
    imports = [*sorted(records), "both_sides", "hookimpl"]
    chosen = {kind: names.name if kind in kinds else instead for kind, instead in _FALLBACKS.items()}
    values = {
        **{key: value for key, value in about.items() if isinstance(value, str)},
        "generate": f"ganzoo generate exported/{names.name} {about['generate_options']}"
        f"-o samples{about['suffix']}\n" * bool(data_kind),
        "name": names.name,
        "identifier": names.name.replace("-", "_"),
        "dist": names.dist,
        "package": names.package,
        "kinds": ", ".join(kinds),
        "license_line": "" if licence == "none" else f'license = "{licence}"\n',
        "author": author,
        "api_version": str(API_VERSION),
        "imports": "".join(f"    {name},\n" for name in imports),
        "config_import": f"\nfrom .config import {', '.join(sorted(configs))}\n" if configs else "",
        "architecture": chosen["architecture"],
        "loss": chosen["loss"],
        "data": chosen["dataset"],
        "term_setting": f'\n                "terms.{names.name}-penalty": True,' if "term" in kinds else "",
    }
    configs = [f"config_{kind}.py.txt" for kind in kinds if kind in _CONFIGS]
    values["hooks"] = "".join(Template(_template(f"hook_{kind}.py.txt")).substitute(values) for kind in kinds)
    values["configs"] = "".join(_template(name, data_kind) for name in configs)
    parts = ["media" if "media" in kinds else "recipe", *(["loss"] if "loss" in kinds else [])]
    values["tests"] = "".join(Template(_template(f"test_{part}.py.txt")).substitute(values) for part in parts)
    values["test_imports"] = _test_imports(names.package, parts)
    return values


def _test_imports(package: str, parts: list[str]) -> str:
    """The imports of the package's tests: of Python, of others, and of the package."""
    with_loss, with_media = "loss" in parts, "media" in parts
    groups = [
        ["import subprocess", "import sys"] * with_media + ["from pathlib import Path"],
        ["import ganzoo"] + ["import pytest", "import torch"] * with_loss,
        [f"from {package}.config import LossConfig", f"from {package}.losses import build as build_loss"]
        * with_loss
        + [f"from {package}.media import build as build_media"] * with_media,
    ]
    groups[1].append("from ganzoo.testing import PluginSuite")
    return "\n\n".join("\n".join(group) for group in groups if group)


def _about(data_kind: str) -> dict[str, Any]:
    """What a kind of data says of itself, and the usual values for the rest."""
    usual = tomllib.loads(_template("kinds/default.toml"))
    return usual | (tomllib.loads(_template("about.toml", data_kind)) if data_kind else {})


def _template(name: str, data_kind: str = "") -> str:
    """A template, that of the kind of data if there is one."""
    own = _TEMPLATES / "kinds" / data_kind / name
    return (own if data_kind and own.is_file() else _TEMPLATES / name).read_text(encoding="utf-8")
