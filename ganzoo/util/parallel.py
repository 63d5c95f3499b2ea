"""The same work on many items, by all cores, in order and in bounded memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ganzoo.util.system import cores

Result = TypeVar("Result")

CORES = cores()
THREADS = min(8, CORES)
LARGEST_PART = 64
FORKED_FROM = 2_000
"""From this many items on, processes do the work: small files keep the interpreter busy, not the decoders."""

_function: Callable[[range], Any] | None = None  # what forked workers do: it need not be picklable
_starting = threading.Lock()


def in_parts(function: Callable[[range], Result], count: int) -> Iterator[Result]:
    """`function(part)` for consecutive ranges of 0..count-1, in order.

    On Linux, many items are shared among forked processes, elsewhere among threads. Only a few results are
    ahead of the caller. An exception of the function is raised here.
    """
    size = max(1, min(LARGEST_PART, count // 100))
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    if sys.platform == "linux" and CORES > 1 and count >= FORKED_FROM:
        yield from _by_processes(function, parts)
    elif len(parts) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            yield from _ahead(pool, function, parts)
    else:
        yield from map(function, parts)


def _ahead(pool: Executor, function: Callable[[range], Result], parts: list[range]) -> Iterator[Result]:
    waiting: deque[Any] = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(function, part))
            if len(waiting) > 3 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _by_processes(function: Callable[[range], Result], parts: list[range]) -> Iterator[Result]:
    """What fails in a worker is done again here: errors are then raised as they are."""
    global _function
    done = 0
    with _starting, warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads. Workers use no lock that another thread could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        _function = function
        pool = ProcessPoolExecutor(
            THREADS,
            mp_context=multiprocessing.get_context("fork"),
            initializer=_as_worker,
            initargs=(os.getpid(),),
        )
        pool.submit(_ready)  # starts all workers
        _function = None
    try:
        with contextlib.suppress(BrokenProcessPool):  # a worker was killed, perhaps for its memory
            for good, result in _ahead(pool, _tried, parts):
                yield result if good else function(parts[done])
                done += 1
    finally:
        pool.shutdown(cancel_futures=True)
    yield from map(function, parts[done:])


def _ready() -> None:
    """Do nothing."""


def _tried(part: range) -> tuple[bool, Any]:
    try:
        return True, None if _function is None else _function(part)
    except Exception:
        return False, None


def _as_worker(parent: int) -> None:
    """The parent alone reacts to signals; a worker ends when the parent has been killed."""
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends these to its whole group
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
