"""Running a plugin's code so that what it does to the process is undone, and that it ends.

Undone are: another working directory, other signal handlers, standard streams that were replaced,
closed or written to. What a plugin prints while it is loaded goes to stderr. A time limit works by
SIGALRM, see `TimeLimit`.

Not survivable: `os._exit` and crashes of C code, a thread that never ends (the process then does not
end either), changes to other modules. A plugin that must not run is switched off by `--no-plugin`.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

_AGAIN = 1e-3
"""Seconds between alarms after the limit."""

_SOON = 1e-6
"""After an error was raised the next alarm comes within 1 to 20 of these. Code that catches everything in
a loop is outside of its `try` for about a microsecond in each turn, and some alarm meets that."""

_ANYWHERE = 1000
"""Each so many alarms one is raised in the import system, too, where it could break its clean-up."""

_IMPORTLIB = "<frozen importlib"


class TookTooLongError(BaseException):
    """The block under `TimeLimit` did not end in time. No Exception, which plugins like to catch."""


class TimeLimit:
    """Raise TookTooLongError in the block when it has taken longer than `seconds`; 0 sets no limit.

    It works in the main thread of POSIX systems; elsewhere the block has no limit. An alarm of the
    caller's is put back, and comes late rather than never. Code that catches the error is interrupted
    again and again, until it ends. What cannot be stopped: C code that never returns to Python, and
    a block that takes SIGALRM for itself. A limit that strikes while a large library is imported can
    leave that library unusable in this process, so limits are generous.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._alarms = 0
        self._active = False
        self._before: Callable[[int, FrameType | None], Any] | int | None = None
        self._others = (0.0, 0.0)
        self._started = 0.0

    def __enter__(self) -> None:
        if self._seconds <= 0 or not hasattr(signal, "setitimer") or not _in_main_thread():
            return
        self._before = signal.getsignal(signal.SIGALRM)
        if self._before is None:  # set by C code: it could not be put back
            return
        self._started = time.monotonic()
        self._others = signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._ring)
        self._active = True
        signal.setitimer(signal.ITIMER_REAL, self._seconds, _AGAIN)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        # In this order: an alarm between two lines finds `_active` or a frame of this file.
        if not self._active:
            return
        self._active = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        remaining, interval = self._others
        if remaining:
            left = remaining - (time.monotonic() - self._started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), interval)
        if self._alarms and kind is not TookTooLongError:
            raise TookTooLongError

    def _ring(self, number: int, frame: FrameType | None) -> None:
        place = "" if frame is None else frame.f_code.co_filename
        if not self._active or place == __file__:
            return
        self._alarms += 1
        if not place.startswith(_IMPORTLIB) or self._alarms % _ANYWHERE == 1:
            signal.setitimer(signal.ITIMER_REAL, _SOON * (1 + self._alarms * 7 % 20), _AGAIN)
            raise TookTooLongError


class Contained:
    """What happened in a block under `contained`: `interrupted` tells a real Ctrl-C from a raised one."""

    interrupted = False


@contextlib.contextmanager
def contained() -> Iterator[Contained]:
    """StepSnapshot what the block does to streams, working directory and signal handlers."""
    result = Contained()
    with contextlib.ExitStack() as stack:
        stack.callback(_put_back_folder, _folder())
        if _in_main_thread():
            stack.callback(_put_back_handlers, _handlers())
            _watch_for_interrupt(result)
        stack.callback(_put_back_streams, _take_streams())
        yield result


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


# --- working directory and signals ----------------------------------------------------------------


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def _put_back_folder(folder: str) -> None:
    if folder and _folder() != folder:
        with contextlib.suppress(OSError):
            os.chdir(folder)


def _handlers() -> dict[signal.Signals, Any]:
    known = (number for number in signal.valid_signals() if isinstance(number, signal.Signals))
    return {number: signal.getsignal(number) for number in known}


def _put_back_handlers(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)


def _watch_for_interrupt(result: Contained) -> None:
    """Note a real Ctrl-C, which must end the command; a plugin may raise KeyboardInterrupt as well."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        return

    def pressed(number: int, frame: FrameType | None) -> None:
        result.interrupted = True
        before(number, frame)

    signal.signal(signal.SIGINT, pressed)


# --- standard streams -----------------------------------------------------------------------------


class _Shield:
    """Writes to a stream that the holder cannot close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def close(self) -> None:
        """Nothing: it is not the plugin's to close."""

    def detach(self) -> None:
        raise io.UnsupportedOperation("this stream is not the plugin's")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)


class _Streams:
    """The standard streams as they were: objects by name, and copies of what 1 and 2 stand for."""

    def __init__(self) -> None:
        self.objects = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
        self.originals = {name: getattr(sys, f"__{name}__") for name in ("stdin", "stdout", "stderr")}
        self.handles: dict[int, int] = {}
        for number in (1, 2):
            with contextlib.suppress(OSError):
                self.handles[number] = os.dup(number)


def _take_streams() -> _Streams:
    """Give plugins stderr for both of their streams, also below Python, and nothing to read."""
    streams = _Streams()
    _flush()
    if len(streams.handles) == 2:
        os.dup2(2, 1)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - closed when they are put back
    shield: Any = _Shield(streams.objects["stderr"])
    sys.stdout = sys.stderr = shield
    return streams


def _put_back_streams(streams: _Streams) -> None:
    _flush()
    with contextlib.suppress(Exception):
        sys.stdin.close()
    for number, handle in streams.handles.items():
        with contextlib.suppress(OSError):
            os.dup2(handle, number)
            os.close(handle)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        setattr(sys, f"__{name}__", _open_again(streams.originals[name], number))
        same = streams.objects[name] is streams.originals[name]
        setattr(sys, name, getattr(sys, f"__{name}__") if same else streams.objects[name])


def _open_again(stream: TextIO | None, number: int) -> TextIO | None:
    """The stream, or another one for the same file where a plugin has closed it."""
    if stream is None or not stream.closed:
        return stream
    try:
        return open(number, "r" if number == 0 else "w", errors="backslashreplace", closefd=False)
    except OSError:
        return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            if stream is not None:
                stream.flush()
