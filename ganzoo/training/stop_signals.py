"""Ctrl-C and termination signals: they end the process before training, and set a flag later."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Literal

from ganzoo.errors import PreemptedError

StopReason = Literal["", "interrupted", "preempted"]

# A launcher passes on a signal that the terminal has sent already: within these seconds it is the same one.
_SAME_SIGNAL = 0.5


class Interrupts:
    """In the block, SIGINT, SIGTERM, SIGUSR1 and SIGHUP end it; after `hold` they only set `reason`.

    SIGHUP says that the terminal was closed. Where it is ignored, as under `nohup`, it stays so.

    After `hold`, a second SIGINT ends the block at once. Outside the main thread this does nothing, because
    Python does not allow handlers there.
    """

    def __init__(self) -> None:
        self.reason: StopReason = ""
        self._holding = False
        self._first = 0.0
        self._previous: dict[int, object] = {}
        self._terminals: list[int] = []

    def hold(self) -> None:
        """From now on the loop reads `reason` and saves. A signal that came before ends the block now."""
        self._holding = True
        if self.reason:
            self._end()

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._terminals = [number for number in (0, 1, 2) if os.isatty(number)]
            for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):  # Windows has only the first two
                number = getattr(signal, name, None)
                ignored = name == "SIGHUP" and number and signal.getsignal(number) == signal.SIG_IGN
                if number is not None and not ignored:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._leave_closed()
        again = number == signal.SIGINT and self.reason == "interrupted"
        if again and time.monotonic() - self._first < _SAME_SIGNAL:
            return
        if not again:
            self._first = time.monotonic()
            self.reason = "interrupted" if number == signal.SIGINT else "preempted"
        if again or not self._holding:
            self._end()

    def _leave_closed(self) -> None:
        """Drop what would go to a terminal that was closed: writing to it fails, and saving must not."""
        for number in self._terminals:
            if not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, number)
                os.close(nowhere)

    def _end(self) -> None:
        if self.reason == "interrupted":
            raise KeyboardInterrupt
        raise PreemptedError(
            "The process was asked to stop before training started: nothing is lost.",
            fix="start the same command again",
        )
