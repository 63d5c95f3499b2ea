"""What a file of unknown origin may cost: how it is opened, how large it may be, how much memory it takes."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

IMAGE_BYTES = 1 << 27
"""The largest image file. A few formats are read whole, and a sparse file costs nobody anything."""

PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Pillow's own limit for the pixels of an image, kept even where a program has switched it off."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. OSError when it cannot be opened, ValueError when it is not a plain file.

    A pipe without a writer would be waited for, and a device may never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    # Between the question and the opening, the file may have become a pipe.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        yield file, status.st_size


class Budget:
    """An amount that the threads of a process share; who wants more than is free waits.

    A wish for more than there is gets all of it, alone.
    """

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def spend(self, amount: int) -> Iterator[None]:
        """Hold that much while the block runs."""
        amount = min(amount, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
