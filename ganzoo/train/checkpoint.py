"""Checkpoints: one safetensors file and a manifest, written so that a crash leaves the old one.

    checkpoints/000000064000/ state.safetensors  manifest.json

The manifest is written last and holds the size and sha256 of the state; the folder appears under
its name by a rename. The newest checkpoint whose manifest holds true is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ganzoo.errors import DivergedError, UsageError
from ganzoo.files import storage, sync_folder, write_synced

FORMAT = 1
STATE = "state.safetensors"
MANIFEST = "manifest.json"


def write_checkpoint(
    folder: Path, images: int, tensors: Mapping[str, Tensor], about: Mapping[str, Any], keep: int
) -> Path:
    """Write one checkpoint, then prune to the newest `keep`.

    The state's bytes depend on the tensors alone. DivergedError when one is not finite, StorageError
    when the disk does not take it; in both cases older checkpoints are as they were.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DivergedError(f"'{name}' is not finite after {images} images; it was not saved.")
    target = folder / f"{images:012d}"
    temporary = folder / f".tmp-{images:012d}"
    content = save({name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)})
    manifest = {
        "format": FORMAT,
        "images": images,
        **about,
        "files": {STATE: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }
    replaced = folder / f".old-{images:012d}"
    with storage(target):
        _sweep(folder)
        try:
            temporary.mkdir(parents=True)
            write_synced(temporary / STATE, content)
            write_synced(temporary / MANIFEST, json.dumps(manifest, indent=2).encode())
            sync_folder(temporary)
            if target.exists():
                target.rename(replaced)
            temporary.rename(target)
            sync_folder(folder)
        finally:
            _sweep(folder)
    for old in _folders(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def read_newest(
    folder: Path, warn: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and manifest of the newest sound checkpoint; damaged ones are passed over aloud.

    UsageError when there is none.
    """
    for path in reversed(_folders(folder)):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            warn(f"checkpoint {path.name} is damaged and was passed over: {error}")
    raise UsageError(
        "There is no sound checkpoint in this run.",
        where=str(folder),
        fix="train again from the run's settings.toml",
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this ganzoo reads {FORMAT}")
    expected = manifest["files"][STATE]
    if (path / STATE).stat().st_size != expected["bytes"]:
        raise ValueError("the size differs from the manifest")
    content = (path / STATE).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise ValueError("the checksum differs from the manifest")
    return load(content), manifest


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit() and path.is_dir())


def _sweep(folder: Path) -> None:
    """Remove what a killed process or a failed write left unfinished."""
    for pattern in (".tmp-*", ".old-*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)
