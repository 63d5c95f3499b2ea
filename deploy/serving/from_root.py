"""Takes version, entry points and packages of `ganzoo-serving` from the project at the root."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.core import ProjectMetadata
from hatchling.metadata.plugin.interface import MetadataHookInterface
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).resolve().parents[2]


class SameMetadata(MetadataHookInterface):
    """The root's metadata, but for names and dependencies."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what `dynamic` lists."""
        root = ProjectMetadata(str(ROOT), PluginManager())
        project = root.config["project"]
        metadata["version"] = root.version
        metadata["description"] = "Exported GANs of ganzoo with onnxruntime, without torch"
        for key in ("license", "authors", "classifiers", "entry-points", "optional-dependencies", "scripts"):
            metadata[key] = project[key]


class SamePackages(BuildHookInterface):  # type: ignore[type-arg]
    """The root's packages: they come with the wheel, from beside this folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the root's packages to the wheel."""
        root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        packages = root["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        build_data["force_include"] |= {str(ROOT / item): Path(item).name for item in packages}
