"""Disks that fail and processes that die, for the tests of what survives them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ganzoo.util import files

BLOCK = 1 << 16


class FaultyFile:
    """Writes in blocks of 64 kB, and asks its disk before each of them."""

    def __init__(self, file: BinaryIO, disk: FaultyDisk) -> None:
        self.file = file
        self.disk = disk

    def write(self, content: bytes) -> int:
        for start in range(0, len(content), BLOCK):
            block = content[start : start + BLOCK]
            self.disk.before("write", partial(self._half, block))
            self.file.write(block)
        return len(content)

    def _half(self, block: bytes) -> None:
        """What a death in the middle of a write leaves."""
        self.file.write(block[: len(block) // 2])
        self.file.flush()

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()

    def __enter__(self) -> FaultyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class FaultyDisk(files.Disk):
    """Counts what is asked of the disk; at the `at`-th time `fault` happens in its place.

    With `atomic=False` a rename is a copy, file after file, the manifest first: as on an object store.
    """

    def __init__(self, at: int, fault: Callable[[], None], *, atomic: bool = True) -> None:
        self.at = at
        self.fault = fault
        self.atomic = atomic
        self.asked: list[str] = []

    def before(self, what: str, partly: Callable[[], None] = lambda: None) -> None:
        self.asked.append(what)
        if len(self.asked) == self.at:
            partly()
            self.fault()

    def create(self, path: Path) -> BinaryIO:
        self.before("create")
        return FaultyFile(super().create(path), self)  # type: ignore[return-value]

    def append(self, path: Path) -> BinaryIO:
        self.before("append")
        return FaultyFile(super().append(path), self)  # type: ignore[return-value]

    def sync(self, handle: int) -> None:
        self.before("sync")  # nothing reaches the disk in these tests: they kill processes, not machines

    def rename(self, source: Path, target: Path) -> None:
        self.before("rename")
        if self.atomic:
            super().rename(source, target)
            return
        if source.is_dir():
            target.mkdir(exist_ok=True)
            for file in sorted(source.iterdir()):  # manifest.json comes first
                self._copy(file, target / file.name)
        else:
            self._copy(source, target)
        self.before("remove")
        super().remove(source)

    def _copy(self, source: Path, target: Path) -> None:
        content = source.read_bytes()
        self.before("copy", lambda: target.write_bytes(content[: len(content) // 2]) and None)
        shutil.copyfile(source, target)

    def remove(self, path: Path) -> None:
        if path.exists():
            self.before("remove")
        super().remove(path)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def forked(work: Callable[[], Any], said: Path | None = None) -> int:
    """Do the work in a fork of this process, in which torch is imported already; returns its id.

    What it prints goes to `said`. It ends with the code of a SystemExit, 0 without one.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        target = os.open(said or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        work()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code of a fork, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
