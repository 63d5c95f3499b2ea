"""Runs a plugin's code with a time limit and undoes its changes to the process.

Restored are the working directory, signal handlers, and standard streams that were replaced or closed.
What a plugin prints while it is loaded goes to stderr. This is not a security boundary: use `--no-plugin`
for a plugin that must not run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}


class TookTooLongError(BaseException):
    """The block under `limited` did not end in time. Not an Exception, because plugins often catch those."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TookTooLongError in the block after `seconds`; 0 sets no limit.

    Uses one SIGALRM, so it works only in the main thread of POSIX systems. An alarm of the caller is set
    again afterwards and may come late. Code that catches the error and continues is not stopped; neither is
    C code that never returns to Python.
    """
    if seconds <= 0 or not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return
    timed_out, started = False, time.monotonic()

    def on_alarm(number: int, frame: FrameType | None) -> None:
        nonlocal timed_out
        timed_out = True
        raise TookTooLongError

    before = signal.signal(signal.SIGALRM, on_alarm)
    callers_alarm, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if callers_alarm:
            left = callers_alarm - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), interval)
        if timed_out:  # even if the block caught the error
            raise TookTooLongError from None


@contextlib.contextmanager
def contained() -> Iterator[threading.Event]:
    """Undo what the block does to streams, working directory and signal handlers.

    The event is set by a real Ctrl-C, because a plugin may raise KeyboardInterrupt, too.
    """
    interrupted = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_kept_folder())
        if _in_main_thread():
            stack.enter_context(_kept_handlers(interrupted))
        stack.enter_context(_kept_streams())
        yield interrupted


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _kept_folder() -> Iterator[None]:
    before = None
    with contextlib.suppress(OSError):  # the directory was removed
        before = Path.cwd()
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                os.chdir(before)


@contextlib.contextmanager
def _kept_handlers(interrupted: threading.Event) -> Iterator[None]:
    known = [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]
    before = {number: signal.getsignal(number) for number in known}
    on_interrupt: Any = before[signal.SIGINT]

    def on_ctrl_c(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        on_interrupt(number, frame)

    if callable(on_interrupt):
        signal.signal(signal.SIGINT, on_ctrl_c)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, handler)


@contextlib.contextmanager
def _kept_streams() -> Iterator[None]:
    """Send plugins' stdout and stderr to stderr, also that of C code, and give them an empty stdin."""
    current = {name: getattr(sys, name) for name in _STREAMS}
    original = {name: getattr(sys, f"__{name}__") for name in _STREAMS}
    handles: dict[int, int] = {}
    _flush()
    for number in (1, 2):
        with contextlib.suppress(OSError):
            handles[number] = os.dup(number)
    if len(handles) == 2:
        os.dup2(2, 1)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - closed when they are put back
    stdin = sys.stdin
    shield: Any = None if sys.stderr is None else _Shield(sys.stderr)
    sys.stdout = sys.stderr = shield
    try:
        yield
    finally:
        _flush()
        with contextlib.suppress(Exception):
            stdin.close()
        for number, handle in handles.items():
            os.dup2(handle, number)
            os.close(handle)
        for name, number in _STREAMS.items():
            stream = original[name]
            if stream is not None and stream.closed:
                with contextlib.suppress(OSError):
                    stream = open(number, "w" if number else "r", closefd=False)  # noqa: SIM115
            setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream if current[name] is original[name] else current[name])


class _Shield:
    """Writes to a stream that the holder cannot close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def close(self) -> None:
        """Nothing: it is not the plugin's to close."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            if stream is not None:
                stream.flush()
