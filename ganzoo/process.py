"""What the operating system tells about this process. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
import time


def peak_megabytes() -> float:
    """Peak resident memory so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows has no resource module
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def started() -> float:
    """When this process began, in seconds since 1970; where the system does not tell, now."""
    try:
        with open("/proc/self/stat", encoding="ascii") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime", encoding="ascii") as file:
            up = float(file.read().split()[0])
    except OSError:
        return time.time()
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
