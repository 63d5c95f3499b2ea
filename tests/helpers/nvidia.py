"""Pickles as NVIDIA's training code writes them: networks as records of their source and their state."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

META, MODULE = "torch_utils.persistence", "class Network: ..."


class EasyDict(dict[str, Any]):
    """The class that their settings are of."""


class Persistent:
    """A network: pickled as a call of their function with its class, source and state."""

    def __init__(
        self, name: str, arrays: Mapping[str, Any], options: Mapping[str, Any] | None = None
    ) -> None:
        own: dict[str, Any] = {}
        parts: dict[str, dict[str, Any]] = {}
        for key, value in arrays.items():
            head, _, rest = key.partition(".")
            if rest:
                parts.setdefault(head, {})[rest] = value
            else:
                own[key] = torch.as_tensor(value)
        self.state = {
            "training": False,
            "_parameters": {key: value for key, value in own.items() if key in ("weight", "bias", "const")},
            "_buffers": {key: value for key, value in own.items() if key not in ("weight", "bias", "const")},
            "_modules": {key: Persistent(key, part) for key, part in parts.items()},
            "_init_args": (),
            "_init_kwargs": EasyDict(options or {}),
        }
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        meta = EasyDict(type="class", version=6, module_src=MODULE, class_name=self.name, state=self.state)
        return sys.modules[META]._reconstruct_persistent_obj, (meta,)


def save(file: Path, **entries: Any) -> Path:
    """Write such a pickle; the modules that it names exist only meanwhile."""

    def reconstruct(meta: Any) -> Any:
        raise AssertionError("code of the file was run")

    modules = {name: ModuleType(name) for name in ("torch_utils", META, "dnnlib", "dnnlib.util")}
    reconstruct.__module__, reconstruct.__qualname__ = META, "_reconstruct_persistent_obj"
    EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"
    modules[META]._reconstruct_persistent_obj = reconstruct  # type: ignore[attr-defined]
    modules["dnnlib.util"].EasyDict = EasyDict  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        file.write_bytes(pickle.dumps(EasyDict(entries)))
    finally:
        for name in modules:
            del sys.modules[name]
    return file
