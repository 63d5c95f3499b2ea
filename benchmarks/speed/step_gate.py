"""Lets a training loop run so many steps at a time and tells what they took.

A contender is a process with a training loop of its own that calls `StepGate.step` where each step begins.
Whoever measures it starts it, reads the line of its first step, then writes numbers of batches to its
standard input and reads a line of figures for each; the end of the input ends it. So loops can be
measured in turns, each in a process of its own, without a change to any of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.util import system

if TYPE_CHECKING:
    from ganzoo.training.compute.device import Engine


class StepGate:
    """Stops a loop between two steps until the next command.

    What the loop prints goes to standard error: standard output carries figures alone. Create it before
    anything heavy is imported: the time to the first step counts from the start of the process, where
    the system tells that.
    """

    def __init__(self) -> None:
        self.wait: Callable[[], None] = lambda: None
        self.memory = system.peak_megabytes
        self._output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._wanted = 1
        self._done: int | None = None
        self._begun = (started(), 0.0)

    def on(self, engine: Engine) -> None:
        """The loop works on this device: wait for it before the clock is read, and ask for its memory."""
        self.wait, self.memory = engine.wait, engine.peak_megabytes

    def step(self, batches: int = 1) -> None:
        """A step is about to begin; the one before took so many batches of real samples.

        SystemExit when all is measured.
        """
        if self._done is None:
            self._done = 0
            return
        self._done += batches
        if self._done < self._wanted:
            return
        self.wait()
        wall, cpu = time.time() - self._begun[0], time.process_time() - self._begun[1]
        figures = {"batches": self._done, "wall": wall, "cpu": cpu, "peak_mb": self.memory()}
        self._output.write(json.dumps(figures) + "\n")
        self._output.flush()
        command = sys.stdin.readline().strip()
        if not command:
            raise SystemExit(0)
        self._wanted, self._done = int(command), 0
        self._begun = (time.time(), time.process_time())


def started() -> float:
    """When this process began, in seconds since 1970; where the system does not tell, now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return time.time()
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
