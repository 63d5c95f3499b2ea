"""Writes files so that a reader sees the old content or the new one, never an incomplete file.

Disk errors become StorageError, with the path in the message. All writes of a run use the object
`disk`: tests of a full disk or a sudden end replace it with a faulty one.
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
    """The system calls that ganzoo uses for writing; each may raise OSError."""

    def create(self, path: Path) -> BinaryIO:
        """An empty file, open for writing."""
        return path.open("wb")

    def append(self, path: Path) -> BinaryIO:
        """The file, open for writing at its end."""
        return path.open("ab")

    def sync(self, handle: int) -> None:
        """Return when the written data has reached the disk."""
        os.fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a folder; an existing file with that name is replaced."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all its contents, if it exists."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


disk = Disk()


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a StorageError about this path."""
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
    """Write the file and flush it to the disk. After an OSError the file may be incomplete."""
    with disk.create(path) as file:
        file.write(content)
        file.flush()
        disk.sync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file. On a full disk, an incomplete line is cut off again."""
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
    """Write a JSON document, indented for people."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk, if the system can do that."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some network file systems refuse to flush a folder
        handle = os.open(path, os.O_RDONLY)
        try:
            disk.sync(handle)
        finally:
            os.close(handle)
