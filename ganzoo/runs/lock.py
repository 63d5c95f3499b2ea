"""Only one process works on a run directory. Imports nothing heavy."""

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

_PATIENCE = 0.3  # seconds: `ganzoo runs` takes a lock for a moment to see whether it is held


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Hold the lock of a run directory, which is made where it is missing.

    UsageError when another process has it. The system frees a dead process's lock; where it knows no
    locks, a file takes their place, and that of a dead process on the same host is taken over.
    """
    with storage(path):
        path.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(path / _LOCK, timeout=_PATIENCE), path / ".owner.json"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # filelock's word on a file in the place of a lock
            lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"Another process is training this run{_described(owner)}.",
            where=str(path),
            fix="wait for it, or stop it: it saves before it ends",
        ) from error
    except OSError as error:
        raise UsageError(f"The run directory cannot be locked: {error}", where=str(path)) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(GanzooError):  # a full disk: the lock holds all the same
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
    """Whether a process works on the run directory now, or nobody can tell."""
    if not (path / _LOCK).exists():
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with FileLock(path / _LOCK, timeout=0):
                return False
    except (Timeout, OSError):  # somebody has it; or the folder may only be read
        return True
