"""Several processes on this machine through torchrun's own machinery, and what became of them.

torchrun starts, watches and restarts the processes; here its results become ganzoo's exit codes, which
torchrun's command would lose.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ganzoo import process
from ganzoo.errors import ExitCode, FailedError, GanzooError, UsageError
from ganzoo.runs import Run

_SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"

_CODES = {
    "done": ExitCode.OK,
    "paused": ExitCode.OK,
    "diverged": ExitCode.DIVERGED,
    "preempted": ExitCode.PREEMPTED,
    "interrupted": ExitCode.INTERRUPTED,
}


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
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, process.cores() // devices)))
    options = ["--standalone", f"--nproc-per-node={devices}", f"--max-restarts={max_restarts}"]
    options += [f"--signals-to-handle={_SIGNALS}", "--module", "ganzoo"]
    try:
        run(get_args_parser().parse_args([*options, *arguments]))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        return _code_of(rank, failure.exitcode)
    except SignalException as error:
        stopped = ExitCode.INTERRUPTED if error.sigval == signal.SIGINT else ExitCode.PREEMPTED
        return _code_in(run_dir, stopped)
    finally:
        sys.stdout.flush()
    return ExitCode.OK


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


def _code_in(run_dir: Path, otherwise: ExitCode) -> ExitCode:
    """What the run says of how it ended."""
    try:
        return _CODES.get(Run.open(run_dir).record["status"], otherwise)
    except GanzooError:
        return otherwise
