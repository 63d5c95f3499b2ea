"""Memory, cores and threads of this process, and the load of other processes. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# If other processes use at least this many cores, the machine counts as busy.
BUSY_CORES = 0.25


def peak_megabytes() -> float:
    """Peak resident memory so far; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows has no resource module
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def free_memory() -> int:
    """Bytes that new work may use; on systems that do not say, half of the memory, else 2 GiB."""
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024
        with suppress(OSError, ValueError):  # the limit of a container
            group = Path("/sys/fs/cgroup")
            limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
            free = min(free, max(0, limit - used))
        return free
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 2 << 30


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy_cores() -> float:
    """How many of `cores()` other processes used recently; 0 if the system does not report it.

    The period starts at the import of this module or at the last call. If it is shorter than 0.2 s, the
    call waits.
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
    """The number of threads to use: `threads`, but no more than the cores that other processes leave.

    Threads of short kernels wait for each other: one that shares its core with another process delays all.
    """
    used = 0.0 if threads == 1 else busy()
    return threads if used < BUSY_CORES else max(1, min(threads, int(cores() - used + BUSY_CORES)))


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Limit torch and libraries that the block imports to `count` threads; None sets no limit."""
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
    """Start the period that `busy_cores` measures now."""
    global _before
    _before = _used()


def _used() -> tuple[float, float, float] | None:
    """The clock, and the CPU seconds so far of `cores()`, and of this process with its children."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    usable = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    ticks = 0
    for line in lines:
        name, *fields = line.split()[:8] or [""]
        if name in usable:
            user, nice, system, _, _, interrupt, soft = map(int, fields)
            ticks += user + nice + system + interrupt + soft
    return time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


_SHORTEST = 0.2
_VARIABLE = "OMP_NUM_THREADS"
_before = _used()
