"""Checks the files of a run before other code uses them: run.json, manifests, log lines.

Files may be incomplete, edited or malicious; any problem becomes a clear error message.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError

MANIFEST = "manifest.json"  # of a checkpoint

_LARGEST_MANIFEST = 4 << 20  # bytes


def sealed_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The text of a checkpoint's manifest, with a checksum of its content."""
    return json.dumps({**manifest, "seal": _seal(manifest)}, indent=2).encode()


def read_manifest(checkpoint: Path) -> dict[str, Any]:
    """The manifest of a checkpoint folder; empty if it is missing, cannot be read, or was changed."""
    file = checkpoint / MANIFEST
    try:
        if file.stat().st_size <= _LARGEST_MANIFEST:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(manifest, dict) and manifest.pop("seal", "") == _seal(manifest):
                return manifest
    except (OSError, ValueError, RecursionError):
        pass
    return {}


def _seal(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def is_json(file: Path) -> bool:
    """Whether the file is valid JSON."""
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True


def is_complete(settings: Path) -> bool:
    """Whether the file is valid TOML with the mark of a run's resolved settings, `complete = true`."""
    try:
        return tomllib.loads(settings.read_text(encoding="utf-8")).get("complete") is True
    except (OSError, ValueError):
        return False


def check_record(record: dict[str, Any], path: Path) -> None:
    """UsageError when entries of run.json are missing or have another type than this version writes."""
    import pydantic

    try:
        pydantic.TypeAdapter(_Record).validate_python(record)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"run.json is damaged: '{where}': {first['msg']}.",
            where=str(path),
            fix="restore it, or train again",
        ) from error


@dataclass
class _Data:
    count: int
    fingerprint: str
    fields: list[dict[str, Any]]


@dataclass
class _Record:
    """The entries of run.json that other commands read; it has more."""

    recipe: str
    status: str
    command: list[str]
    seed: int
    device: str
    precision: str
    threads: int
    versions: dict[str, str]
    plugins: list[dict[str, str]]
    data: _Data
    parameters: dict[str, int]
    world: int = 1
    thread_changes: tuple[tuple[int, int], ...] = ()
    micro_batch: int | None = None
    images: int = 0
    seconds: float = 0.0
    created: str = ""
    stopped: str = ""
    findings: list[_Finding] = field(default_factory=list)


@dataclass
class _Finding:
    images: int
    kind: str
    seen: str
    change: str


def is_log_line(record: Any) -> bool:
    """Whether a line of log.jsonl has the form that ganzoo writes."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("images"), int)
        and isinstance(record.get("values"), dict)
        and all(isinstance(value, (int, float)) for value in record["values"].values())
    )
