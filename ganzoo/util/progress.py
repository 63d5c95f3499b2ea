"""Progress of work that may last. Whoever does the work reports it; whoever shows it listens.

Plugins report what they do while a data set is opened, and the commands print it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_begun: ContextVar[float] = ContextVar("begun", default=0.0)  # of the outermost `lasting`

_FIRST = 2.0  # seconds until the first line; the next ones come after twice, four times ... as long
_LONGEST = 30.0
_HANDFUL = 5  # when no more are left, the end is near: no line
_BEAT = 0.5  # seconds between two reports of `lasting`


def report_progress(what: str, done: int, total: int = 0) -> None:
    """Say how far the work is: `images decoded`, 300 of 20,000; a total of 0 is unknown. Cheap to call."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Progress that is reported in the block goes to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def lasting(what: str) -> Iterator[None]:
    """Report the seconds of a block, such as one call of a library, that cannot say how far it is.

    A thread reports; it is silent while the block itself reports, or another `lasting` in it, whose seconds
    count from the start of the outer one.
    """
    listener = _listener.get()
    if listener is None:
        yield
        return
    heard, ended = time.monotonic(), threading.Event()
    begun = _begun.get() or heard
    token = _begun.set(begun)

    def passed_on(inner: str, done: int, total: int) -> None:
        nonlocal heard
        heard = time.monotonic()
        listener(inner, done, total)

    def beat() -> None:
        while not ended.wait(_BEAT):
            if (now := time.monotonic()) - heard > 4 * _BEAT:
                listener(f"seconds: {what}", round(now - begun), 0)

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        with listening(passed_on):
            yield
    finally:
        _begun.reset(token)
        ended.set()
        thread.join()


class Counter:
    """A listener that says a line when work lasts: after two seconds, ever more seldom, and at its end.

    There is none before the first is done, or when only a handful is left.
    Work that follows other work within two seconds continues it.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._what, self._said = "", -1  # the newest count that was said of this work; -1 before the first
        self._next = self._pause = 0.0
        self._heard = -_FIRST

    def __call__(self, what: str, done: int, total: int) -> None:
        """Print a line if it is time."""
        now = self._clock()
        if what != self._what:
            self._what, self._said = what, -1
            if now - self._heard >= _FIRST:
                self._next, self._pause = now + _FIRST, _FIRST
        self._heard = now
        ends = 0 <= self._said < done == total
        few = (done == 0 or total - done <= _HANDFUL) if total else done == 1
        if (now < self._next or few) and not ends:
            return
        self._pause = min(2 * self._pause, _LONGEST)
        self._next, self._said = now + self._pause, done
        count = f"{done:,} of {total:,} " if total else f"{done:,} " if done else ""
        self._say(f"{count}{what}")
