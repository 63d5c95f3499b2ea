"""A first run of an .onnx file from another program, in a child process with limits.

The child gets the bytes through its stdin, never a path. It may use `SECONDS` of processor time and `MEMORY`
plus four times the file's size, and cannot write files. It is not a sandbox: a flaw in onnxruntime that lets
a file run code would work in the child, too.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from typing import Any

from ganzoo.errors import FailedError, UsageError
from ganzoo.runtime.guard.check import check
from ganzoo.runtime.guard.signature import Contract, derive

__all__ = ["MEMORY", "SECONDS", "run_trial"]

SECONDS = 8
"""Processor time of the child; it runs on one core."""

MEMORY = 4 * 2**30
"""Bytes of address space of the child, in addition to four times the file's size."""

_WAIT = 2.5  # times SECONDS of wall time, because other programs use the processor, too
_LONGEST = 2**20  # bytes of the child's output


def run_trial(data: bytes, where: str = "") -> None:
    """Open the file and compute one or two batches in a child process; UsageError if that fails.

    `data` must have passed `check` and `derive`. FailedError if no process can be started.
    """
    command = [sys.executable, "-P", "-m", "ganzoo.runtime.guard.trial", str(SECONDS), str(MEMORY)]
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS * _WAIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refused(f"it was not done after {SECONDS * _WAIT:.0f} seconds", where) from None
    except OSError as error:
        raise FailedError(f"The trial of the file could not start: {error}.", where=where) from error
    if done.returncode:
        raise _refused(_ending(done.returncode), where)
    try:
        problem = json.loads(done.stdout[:_LONGEST])["problem"]
    except (ValueError, TypeError, KeyError, RecursionError):
        problem = "it returned no result"
    if problem:
        raise _refused(str(problem), where)


def _refused(reason: str, where: str) -> UsageError:
    return UsageError(
        f"The file failed its trial: {reason}.", where=where, fix="use a file from someone you trust"
    )


def _ending(code: int) -> str:
    name = ""
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
    if name == "SIGXCPU":
        return f"it took more than {SECONDS} seconds of processor time"
    return f"the process ended with {name or f'the code {code}'}"


def _limit(seconds: int, size: int) -> None:
    """Limit this process, as far as the system supports it."""
    try:
        import resource
    except ImportError:  # Windows: only the parent's timeout applies
        return
    limits = [
        # The hard limit is a second later, because its signal, SIGKILL, does not tell the reason.
        (resource.RLIMIT_CPU, (seconds, seconds + 1)),
        (resource.RLIMIT_AS, (size, size)),
        (resource.RLIMIT_FSIZE, (0, 0)),
        (resource.RLIMIT_CORE, (0, 0)),
    ]
    for kind, wanted in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS has RLIMIT_AS but refuses to set it
            resource.setrlimit(kind, wanted)


def _try(data: bytes, contract: Contract) -> str:
    """The problem with the file; empty if its batches have the declared shapes and types."""
    with contextlib.suppress(ImportError):
        import onnx

        onnx.checker.check_model(data)
    import numpy as np

    from ganzoo import sampling
    from ganzoo.runtime.ort_session import cpu_session

    noise = [field for field in contract.inputs if field.dtype == "float32"]
    labels = [field.name for field in contract.inputs if field.dtype == "int64"]
    session = cpu_session(data, threads=1)
    names = [field.name for field in contract.outputs]
    # For a free batch, 2 rows detect sizes that were fixed to 1.
    for rows in [contract.batch] if contract.batch else [1, 2]:
        drawn = sampling.draw(noise, rows, seed=0)
        values: list[Any] = session.run(names, drawn | {name: np.zeros(rows, np.int64) for name in labels})
        for field, value in zip(contract.outputs, values, strict=True):
            wanted = (rows, *field.shape)
            if value.shape != wanted or value.dtype != field.dtype:
                found = f"{value.dtype} of the shape {value.shape}"
                return f"the output {field.name!a} is {found}, not {field.dtype} of {wanted}"
    return ""


def _main() -> None:
    seconds, memory = (int(argument) for argument in sys.argv[1:])
    data = sys.stdin.buffer.read()
    _limit(seconds, memory + 4 * len(data))
    try:
        checked = check(data)
        problem = _try(data, derive(checked.graph, checked.shapes))
    except MemoryError:
        problem = "it needs more memory than the limit"
    except Exception as error:  # onnx's and onnxruntime's errors have no common base
        problem = f"{type(error).__name__}: {ascii(' '.join(str(error)[:300].split()).rstrip('.'))[1:-1]}"
    print(json.dumps({"problem": problem}))


if __name__ == "__main__":
    _main()
