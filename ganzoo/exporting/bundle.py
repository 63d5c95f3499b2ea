"""The folder that an export writes: first beside its destination, then moved there as a whole.

Owns the file names, bundle.json, and which folders may be replaced. Does not make or check the graphs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from ganzoo.api.media import Preview
from ganzoo.errors import ExportError, PluginError, UsageError
from ganzoo.runtime.onnx_file import METADATA_KEY, seal
from ganzoo.util.files import storage, sync_folder, write_synced

__all__ = ["BUNDLE_FILE", "MARK", "check_destination", "sealed_bytes", "write_bundle"]

BUNDLE_FILE = "bundle.json"
MARK = "ganzoo-bundle"
_COPIED = ("inputs", "outputs", "parity", "batch", "stored")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write_bundle(
    destination: Path,
    graphs: Mapping[str, onnx.ModelProto],
    about: Mapping[str, Any],
    *,
    samples: Preview | None,
    card: str,
) -> list[Path]:
    """Write `<generator>.onnx` for each graph, bundle.json, README.md and the samples; returns their paths.

    The graphs must have ganzoo's metadata. An older bundle at the destination is replaced; if anything fails,
    it is restored. Between two renames, for microseconds, there is no bundle. UsageError as in
    `check_destination`, StorageError when the disk cannot be written.
    """
    contents: dict[str, bytes] = {}
    generators: dict[str, Any] = {}
    for name, model in graphs.items():
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"The generator name '{name}' cannot be a file name.",
                fix="use letters, digits, dots and hyphens",
            )
        data = contents[f"{name}.onnx"] = sealed_bytes(model)
        record = json.loads(_metadata(model))
        generators[name] = {
            "file": f"{name}.onnx",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **{key: record[key] for key in _COPIED if key in record},
        }
    contents["README.md"] = card.encode()
    if samples is not None:
        contents |= {f"samples{suffix}": data for suffix, data in samples.files.items()}
    files = sorted([*contents, BUNDLE_FILE])
    listing = {"kind": MARK, "format": 1, "generators": generators, "about": dict(about), "files": files}
    contents[BUNDLE_FILE] = (json.dumps(listing, indent=2, ensure_ascii=False) + "\n").encode()
    destination = destination.resolve()
    check_destination(destination)
    with storage(destination):
        _swap_in(destination, contents)
    return [destination / name for name in files]


def check_destination(destination: Path) -> None:
    """UsageError unless the destination is missing, an empty folder, or a bundle without other files."""
    if not os.path.lexists(destination):
        return
    if not destination.is_dir():
        raise UsageError("The destination is a file.", where=str(destination), fix="choose a folder")
    with storage(destination):
        present = {entry.name for entry in destination.iterdir()}
    if not present:
        return
    try:
        listing = json.loads((destination / BUNDLE_FILE).read_text(encoding="utf-8"))
        ours = set(listing["files"]) if listing["kind"] == MARK else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if not ours:
        raise UsageError(
            "The destination is a folder with other files, not a bundle.",
            where=str(destination),
            fix="choose another folder",
        )
    if present - ours:
        raise UsageError(
            f"The old bundle contains a file that is not part of it: {min(present - ours)}.",
            where=str(destination),
            fix="move it away, or choose another folder",
        )


def sealed_bytes(model: onnx.ModelProto) -> bytes:
    """The bytes of the .onnx file: the model with its metadata, sealed with a sha256."""
    try:
        return seal(model.SerializeToString())
    except Exception as error:  # protobuf's EncodeError beyond 2 GB has no public name in onnx
        raise ExportError(f"The graph could not be serialised: {error}") from error


def _metadata(model: onnx.ModelProto) -> str:
    return next((str(entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY), "{}")


def _swap_in(destination: Path, contents: Mapping[str, bytes]) -> None:
    token = f"{os.getpid()}-{secrets.token_hex(4)}"
    fresh = destination.with_name(f".{destination.name}.{token}.new")
    old = destination.with_name(f".{destination.name}.{token}.old")
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        fresh.mkdir()
        for name, data in contents.items():
            write_synced(fresh / name, data)
        sync_folder(fresh)
        replaces = destination.exists()
        if replaces:
            destination.rename(old)
        try:
            fresh.rename(destination)
        except BaseException:
            if replaces:
                old.rename(destination)
            raise
        sync_folder(destination.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
