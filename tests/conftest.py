"""Fixtures that several test files share: tiny runs, and plugins made on the spot."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported: equal runs are equal to the byte only on equal numbers of threads, which
# depend on what else a machine does.
os.environ["OMP_NUM_THREADS"] = "1"

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry, load_registry

# Small enough that a cycle takes milliseconds; each family keeps its own kind of network.
TINY: dict[str, dict[str, Any]] = {
    "vanilla": {"architecture.generator_hidden": [16, 16], "architecture.discriminator_hidden": [16, 16]},
    "dcgan": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
    "cgan": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
    "wgan": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
    "wgan-gp": {"architecture.generator_width": 4, "architecture.discriminator_width": 4},
}
FAMILIES = tuple(TINY)
_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this session in place of the user's, shared by all workers: features are computed once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANZOO_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="session")
def tiny(registry: Registry) -> Callable[..., Plan]:
    """Plans of the built-in recipes, shrunk; further settings by dotted path."""

    def make(recipe: str, **more: Any) -> Plan:
        # On the CPU: equal runs are equal to the byte there, which CUDA's kernels do not promise.
        settings = {
            "train.device": "cpu",
            "train.batch_size": 8,
            "train.images": 160,
            "train.samples": 10,
            **TINY[recipe],
            **more,
        }
        return resolve(recipe, registry, overrides=settings)

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a distribution with one plugin module onto sys.path, with real metadata."""

    def make(dist: str, plugin: str, source: str, version: str = "1.0") -> Path:
        site = tmp_path / f"site-{dist}"
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        module = f"plugin_{next(_numbers)}"  # a fresh name: sys.modules keeps what was imported
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        points = info / "entry_points.txt"
        known = points.read_text() if points.exists() else "[ganzoo]\n"
        points.write_text(f"{known}{plugin} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    return make
