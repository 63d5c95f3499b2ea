"""The folder that an export writes: first beside its destination, then moved there as a whole.

Owns the file names and bundle.json. Does not make or check the graphs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from ganzoo.api.media import Preview
from ganzoo.errors import ExportError, PluginError
from ganzoo.runtime.bundle_folder import BUNDLE_FILE, MARK, check_destination, swap_in
from ganzoo.runtime.onnx_file import METADATA_KEY, seal
from ganzoo.util.files import storage

__all__ = ["BUNDLE_FILE", "MARK", "check_destination", "sealed_bytes", "write_bundle"]

_COPIED = ("inputs", "outputs", "parity", "batch", "stored", "watermark")
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
        swap_in(destination, contents)
    return [destination / name for name in files]


def sealed_bytes(model: onnx.ModelProto) -> bytes:
    """The bytes of the .onnx file: the model with its metadata, sealed with a sha256."""
    try:
        return seal(model.SerializeToString())
    except Exception as error:  # protobuf's EncodeError beyond 2 GB has no public name in onnx
        raise ExportError(f"The graph could not be serialised: {error}") from error


def _metadata(model: onnx.ModelProto) -> str:
    return next((str(entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY), "{}")
