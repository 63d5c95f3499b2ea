"""Writing files so that a reader sees the old content or the new one, never a part.

Disk errors become StorageError here, with the path in the message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ganzoo.errors import StorageError


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError about this path."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Writing failed: {error.strerror or error}.",
            where=str(error.filename or path),
            fix="free some space or choose a folder that you may write to",
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write through a temporary file beside the target, flushed to the disk, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(temporary, content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write the file and flush it to the disk; OSError, and perhaps a part of it, when that fails."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document that a person can read, too."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk, where the system can do that."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some network file systems refuse to flush a folder
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
