"""Start several processes on this machine with torchrun's own code, and turn its results into exit codes.

torchrun starts, monitors and restarts the processes. The `torchrun` command would lose ganzoo's exit codes.
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


# Set for the processes. A process that is asked to stop then ends with 0: torchrun would treat another code
# as a failure and start it again. The outcome of the run is read from its run.json.
LAUNCHED = "GANZOO_LAUNCHED"


def follow_launcher() -> None:
    """Send this process SIGTERM when its launcher is killed, if the system can do that (Linux)."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def launch(arguments: Sequence[str], run_dir: Path, devices: int, max_restarts: int) -> int:
    """Run `ganzoo ARGUMENTS` in `devices` processes of one run; returns the exit code of the command.

    When a process fails, all others end too, and all start again, at most `max_restarts` times. So the
    arguments should let them resume (`--auto-resume`). Signals are passed on. FailedError names the process
    that was killed.
    """
    if "RANK" in os.environ:
        raise UsageError(
            "This process is already one of several.",
            where=f"RANK={os.environ['RANK']}",
            fix="leave --devices out: the launcher has set the number of processes",
        )
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    # torchrun's failure reports repeat at length what the processes print themselves.
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, system.cores() // devices)))
    options = ["--standalone", f"--nproc-per-node={devices}", f"--max-restarts={max_restarts}"]
    options += [f"--signals-to-handle={_SIGNALS}", "--module", "ganzoo"]
    # torch 2.13 shares one store among all starts: a restarted process would find addresses of dead ones.
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
        # If unchanged, the record is of an earlier start: the signal came before training began.
        return stopped if after == before else CODE_OF_STATUS.get(after.get("status", ""), stopped)
    finally:
        del os.environ[LAUNCHED]
    return CODE_OF_STATUS.get(_record(run_dir).get("status", ""), ExitCode.OK)


def _code_of(rank: int, code: int) -> int:
    """The exit code of a process that printed its own error; FailedError for a process that was killed."""
    if code in list(ExitCode):
        return code
    reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    raise FailedError(
        f"Process {rank} of the run {reason}.",
        where=f"rank {rank}",
        fix="start the same command with --auto-resume: it continues from the last checkpoint",
    )


def _record(run_dir: Path) -> dict[str, Any]:
    """The run's run.json; empty when there is no run."""
    try:
        return Run.open(run_dir).record
    except GanzooError:
        return {}
