"""One process works on a run directory; a dead one does not stand in its way."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganzoo.config.plan import Plan
from ganzoo.errors import UsageError
from ganzoo.runs.lock import only_process
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start, start_or_resume
from tests.helpers.faults import ended, forked

Tiny = Callable[..., Plan]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_dead_process_holds_no_lock_and_a_living_one_is_named(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)

    def hold() -> None:
        with only_process(run.path):
            (tmp_path / "held").touch()
            time.sleep(60)

    pid = forked(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(UsageError, match=f"Another process is training this run: process {pid} on .+, since"):
        start_or_resume(plan, run.path, NullReporter())
    run.update(status="training")
    assert run.status == "training"
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    assert run.status == "killed"
    _, outcome = start_or_resume(plan, run.path, NullReporter())
    assert outcome == "done"


def test_a_lock_where_the_system_knows_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network storage: a file is the lock there, and that of a dead process is taken over."""
    fcntl = pytest.importorskip("fcntl")

    def missing(*arguments: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with only_process(tmp_path), pytest.raises(UsageError, match="Another process"), only_process(tmp_path):
        pass

    def abandon() -> None:
        only_process(tmp_path).__enter__()
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(forked(abandon)) == -signal.SIGKILL
    time.sleep(2.1)  # filelock takes a younger one for a lock that is just being made
    with only_process(tmp_path):
        pass
