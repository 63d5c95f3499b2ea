"""Ctrl-C and termination signals: at once while nothing can be lost, later a flag for the loop."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Literal

from ganzoo.errors import PreemptedError

StopReason = Literal["", "interrupted", "preempted"]

# A launcher passes on what the terminal has sent already: within these seconds it is the same Ctrl-C.
_ECHO = 0.5


class Interrupts:
    """While it is open, SIGINT, SIGTERM and SIGUSR1 end the block, or after `hold` only set `reason`.

    Then a second SIGINT ends at once. Outside the main thread Python does not allow handlers; there it
    does nothing.
    """

    def __init__(self) -> None:
        self.reason: StopReason = ""
        self._holding = False
        self._first = 0.0
        self._previous: dict[int, object] = {}

    def hold(self) -> None:
        """From now on the loop asks for `reason` and saves; what came before ends the block now."""
        self._holding = True
        if self.reason:
            self._end()

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
                number = getattr(signal, name, None)
                if number is not None:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGINT and self.reason == "interrupted"
        if again and time.monotonic() - self._first < _ECHO:
            return
        if not again:
            self._first = time.monotonic()
            self.reason = "interrupted" if number == signal.SIGINT else "preempted"
        if again or not self._holding:
            self._end()

    def _end(self) -> None:
        if self.reason == "interrupted":
            raise KeyboardInterrupt
        raise PreemptedError(
            "Asked to stop before training began: nothing was lost.", fix="start the same command again"
        )
