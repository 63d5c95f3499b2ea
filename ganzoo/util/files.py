"""Writing files so that a reader sees the old content or the new one, never a part.

Disk errors become StorageError here, with the path in the message. Every write of a run goes through
`disk`, one small object: a test that wants a full disk or a sudden end puts a faulty one in its place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ganzoo.errors import StorageError


class Disk:
    """The calls of the system with which ganzoo writes; each raises OSError."""

    def create(self, path: Path) -> BinaryIO:
        """An empty file, open for writing."""
        return path.open("wb")

    def append(self, path: Path) -> BinaryIO:
        """The file, open for writing at its end."""
        return path.open("ab")

    def sync(self, handle: int) -> None:
        """Return when what was written has reached the disk."""
        os.fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or a folder another name; a file of that name is replaced."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all that is in it; nothing happens where there is none."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


disk = Disk()


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
            disk.rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write the file and flush it to the disk; OSError, and perhaps a part of it, when that fails."""
    with disk.create(path) as file:
        file.write(content)
        file.flush()
        disk.sync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file, or nothing: a part that a full disk took is cut off again."""
    with storage(path):
        size = path.stat().st_size if path.exists() else 0
        try:
            with disk.append(path) as file:
                file.write(f"{line}\n".encode())
        except OSError:
            with suppress(OSError):
                os.truncate(path, size)
            raise


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
            disk.sync(handle)
        finally:
            os.close(handle)
