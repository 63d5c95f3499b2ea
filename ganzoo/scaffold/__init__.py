"""`ganzoo plugin new`: writes a working package from the templates beside this file.

Owns the files and their contents. The caller checks that the name is free.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from ganzoo.api import API_VERSION
from ganzoo.errors import UsageError
from ganzoo.util.files import storage

KINDS = ("architecture", "loss", "term", "dataset", "metric", "recipe")
DEFAULT_KINDS = ("architecture", "loss", "recipe")
PAGES = {"augmentation": "augmentations", "extractor": "extractors"}
"""Kinds without a template, and the page of docs/plugins about each."""
LICENSES = ("MIT", "BSD-3-Clause", "none")

# The module of a kind's code, and the record that its hook returns.
_MODULES = {
    "architecture": "networks",
    "loss": "losses",
    "term": "terms",
    "dataset": "data",
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


def write_plugin(names: Names, kinds: Collection[str], folder: Path, *, licence: str, author: str) -> None:
    """Write the package into a folder. UsageError when the folder exists.

    There is always a recipe, so that the package can be trained and tested. The recipe uses ganzoo's own
    records for what the package does not have.
    """
    if folder.exists():
        raise UsageError(f"'{folder}' exists already.", fix="choose another folder with --output")
    files = package_files(names, {*kinds, "recipe"}, licence=licence, author=author)
    with storage(folder):
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def package_files(names: Names, kinds: Collection[str], *, licence: str, author: str) -> dict[str, str]:
    """The contents of all files by path, for records of these kinds."""
    chosen = [kind for kind in KINDS if kind in kinds]
    package = names.package
    values = _values(names, chosen, licence, author)

    def filled(template: str) -> str:
        return Template(_template(template)).substitute(values).strip() + "\n"

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


def _values(names: Names, kinds: list[str], licence: str, author: str) -> Mapping[str, str]:
    """The values of the names in the templates."""
    configs = [_CONFIGS[kind] for kind in kinds if kind in _CONFIGS]
    records = [f"{kind.capitalize()}Spec" for kind in kinds]
    imports = [*sorted(records), "both_sides", "hookimpl"]
    chosen = {kind: names.name if kind in kinds else instead for kind, instead in _FALLBACKS.items()}
    values = {
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
    values["hooks"] = "".join(Template(_template(f"hook_{kind}.py.txt")).substitute(values) for kind in kinds)
    values["configs"] = "".join(_template(f"config_{kind}.py.txt") for kind in kinds if kind in _CONFIGS)
    parts = ["recipe", *(["loss"] if "loss" in kinds else [])]
    values["tests"] = "".join(Template(_template(f"test_{part}.py.txt")).substitute(values) for part in parts)
    values["test_imports"] = _test_imports(names.package, "loss" in kinds)
    return values


def _test_imports(package: str, with_loss: bool) -> str:
    if not with_loss:
        return "from pathlib import Path\n\nimport ganzoo\nfrom ganzoo.testing import PluginSuite"
    return (
        "from pathlib import Path\n\nimport ganzoo\nimport pytest\nimport torch\n"
        "from ganzoo.testing import PluginSuite\n\n"
        f"from {package}.config import LossConfig\nfrom {package}.losses import build as build_loss"
    )


def _template(name: str) -> str:
    return (resources.files(__name__) / "templates" / name).read_text(encoding="utf-8")
