"""What the operating system tells about this process. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


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
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return time.time()
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
