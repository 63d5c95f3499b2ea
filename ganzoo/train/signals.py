"""Ctrl-C and termination signals as a flag that the loop reads between two cycles."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Literal

StopReason = Literal["", "interrupted", "preempted"]


class Interrupts:
    """While it is open, the first SIGINT, SIGTERM or SIGUSR1 sets `reason`; a second SIGINT ends at once.

    Outside the main thread Python does not allow handlers; there it does nothing.
    """

    def __init__(self) -> None:
        self.reason: StopReason = ""
        self._previous: dict[int, object] = {}

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
        if number == signal.SIGINT:
            if self.reason == "interrupted":
                raise KeyboardInterrupt
            self.reason = "interrupted"
        else:
            self.reason = "preempted"
