"""Several processes on this machine through torchrun's own machinery, and what became of them.

torchrun starts, watches and restarts the processes; here its results become ganzoo's exit codes, which
torchrun's command would lose.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganzoo.errors import CODE_OF_STATUS, ExitCode, FailedError, GanzooError, UsageError
from ganzoo.runs.run import Run
from ganzoo.util import system

_PR_SET_PDEATHSIG = 1  # from sys/prctl.h

_SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"


# Set for the processes: those that were asked to stop then end with 0, which torchrun would take for a
# failure otherwise, and start them again. What became of the run is read from its run.json.
LAUNCHED = "GANZOO_LAUNCHED"


def follow_launcher() -> None:
    """Let this process be asked to stop when its launcher is killed, where the system can do that (Linux)."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def launch(arguments: Sequence[str], run_dir: Path, devices: int, max_restarts: int) -> int:
    """Run `ganzoo ARGUMENTS` in so many processes of one run; returns the exit code of the command.

    A process that fails takes the others with it; all are started again, `max_restarts` times at most, so
    the arguments should let them go on (`--auto-resume`). Signals are passed on. FailedError names the
    process that was killed.
    """
    if "RANK" in os.environ:
        raise UsageError(
            "This process is one of several already.",
            where=f"RANK={os.environ['RANK']}",
            fix="leave --devices out: whoever started the processes has said how many there are",
        )
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    # Its reports of failures repeat at length what the processes say themselves.
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, system.cores() // devices)))
    options = ["--standalone", f"--nproc-per-node={devices}", f"--max-restarts={max_restarts}"]
    options += [f"--signals-to-handle={_SIGNALS}", "--module", "ganzoo"]
    # torch 2.13 shares one store among all starts, and a restarted process finds the dead ones' addresses.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    before = _record(run_dir)
    os.environ[LAUNCHED] = "1"
    try:
        run(get_args_parser().parse_args([*options, *arguments]))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        return _code_of(rank, failure.exitcode)
    except SignalException as error:
        stopped = ExitCode.INTERRUPTED if error.sigval == signal.SIGINT else ExitCode.PREEMPTED
        after = _record(run_dir)
        # Unchanged, it tells of an earlier start: the signal came before training began.
        return stopped if after == before else CODE_OF_STATUS.get(after.get("status", ""), stopped)
    finally:
        del os.environ[LAUNCHED]
    return CODE_OF_STATUS.get(_record(run_dir).get("status", ""), ExitCode.OK)


def _code_of(rank: int, code: int) -> int:
    """The process has said what was wrong, unless it was killed."""
    if code in list(ExitCode):
        return code
    reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    raise FailedError(
        f"Process {rank} of the run {reason}.",
        where=f"rank {rank}",
        fix="start the same command with --auto-resume: it goes on from the last checkpoint",
    )


def _record(run_dir: Path) -> dict[str, Any]:
    """What the run says of itself; empty when there is none."""
    try:
        return Run.open(run_dir).record
    except GanzooError:
        return {}
