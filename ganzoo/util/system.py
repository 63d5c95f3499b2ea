"""What the operating system tells about this process and its neighbours. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Other processes' cores from which a machine counts as busy.
BUSY_CORES = 0.25


def peak_megabytes() -> float:
    """Peak resident memory so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows has no resource module
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy_cores() -> float:
    """How many cores other processes kept busy in the last seconds; 0 where nothing tells.

    The last seconds are those since this module was imported or since the last call, at least 0.2 of
    them: a call may wait for that.
    """
    global _before
    if _before is None:
        return 0.0
    time.sleep(max(0.0, _before[0] + _SHORTEST - time.monotonic()))
    now = _used()
    if now is None:
        return 0.0
    wall, all_cores, own = (new - old for new, old in zip(now, _before, strict=True))
    _before = now
    return max(0.0, (all_cores - own) / wall)


def fair_share(threads: int, busy: Callable[[], float] = busy_cores) -> int:
    """All of so many threads on a quiet machine, half of them beside other processes.

    Threads of short kernels wait for each other: one that has to share its core holds up all of them.
    """
    return threads if threads == 1 or busy() < BUSY_CORES else threads // 2


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """The block's kernels take so many threads, those of libraries that it imports, too; None: their own."""
    if count is None:
        yield
        return
    torch, before = sys.modules.get("torch"), os.environ.get(_VARIABLE)
    of_torch = 0 if torch is None else torch.get_num_threads()
    os.environ[_VARIABLE] = str(count)
    if torch is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before
        if torch is not None:
            torch.set_num_threads(of_torch)


def watch_cores() -> None:
    """Let the seconds that `busy_cores` looks at begin now."""
    global _before
    _before = _used()


def _used() -> tuple[float, float, float] | None:
    """The clock, and seconds of work so far: of all cores together, of this process and its children."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, interrupt, soft = (int(field) for field in fields[:7])
    busy = (user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), busy, sum(os.times()[:4])


_SHORTEST = 0.2
_VARIABLE = "OMP_NUM_THREADS"
_before = _used()
