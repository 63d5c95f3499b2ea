"""The lock of a run directory: only one process at a time works on it. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ganzoo.errors import GanzooError, UsageError
from ganzoo.util.files import storage, write_json

_LOCK = ".lock"

_TIMEOUT = 0.3  # seconds: `ganzoo runs` holds a lock for a moment to see whether it is free


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Hold the lock of a run directory, which is created if it is missing.

    UsageError when another process holds it. The system releases the lock of a dead process. On a file
    system without locks, a file replaces the lock; that of a dead process on the same host is taken over.
    """
    with storage(path):
        path.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(path / _LOCK, timeout=_TIMEOUT), path / ".owner.json"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # filelock warns if it uses a file as the lock
            lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"Another process is training this run{_described(owner)}.",
            where=str(path),
            fix="wait for it, or stop it: it saves a checkpoint before it ends",
        ) from error
    except OSError as error:
        raise UsageError(f"The run directory cannot be locked: {error}", where=str(path)) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(GanzooError):  # a full disk; the lock works without this file
            write_json(owner, {"pid": os.getpid(), "host": platform.node(), "since": since})
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _described(owner: Path) -> str:
    try:
        known = json.loads(owner.read_text(encoding="utf-8"))
        return f": process {known['pid']} on {known['host']}, since {known['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def is_held(path: Path) -> bool:
    """Whether a process works on the run directory now; also True if that cannot be found out."""
    if not (path / _LOCK).exists():
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with FileLock(path / _LOCK, timeout=0):
                return False
    except (Timeout, OSError):  # another process holds it; or the folder is read-only
        return True
