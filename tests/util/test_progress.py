"""Progress of long work: when a line is said, and that the same work by many workers gives the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ganzoo.cli import cli
from ganzoo.errors import UsageError
from ganzoo.exporting.onnx_graph import _quiet
from ganzoo.runs.run import Run
from ganzoo.util import parallel, progress
from ganzoo.util.parallel import in_parts
from ganzoo.util.progress import Counter, lasting, listening, report_progress


def test_a_line_after_two_seconds_then_ever_more_seldom_and_at_the_end() -> None:
    said: list[str] = []
    now = [0.0]
    with listening(Counter(said.append, lambda: now[0])):
        for step in range(301):
            now[0] = step / 10
            report_progress("images decoded", step * 10, 3000)
        report_progress("images decoded", 3000, 3000)
    report_progress("nobody listens", 1)
    assert said == [f"{10 * at:,} of 3,000 images decoded" for at in (20, 60, 140, 300)]


def test_quick_work_says_nothing_whenever_it_begins() -> None:
    said: list[str] = []
    now = [100.0]  # seconds since the program began
    count = Counter(said.append, lambda: now[0])
    for moment, what, done in (
        (100, "files found", 7),
        (120, "files found", 1000),
        (140, "headers read", 3),
        (141.9, "headers read", 300),
        (150, "images decoded", 1),
        (152.5, "images decoded", 200),
        (152.6, "images decoded", 300),
    ):
        now[0] = moment
        count(what, done, 0 if what == "files found" else 300)
    assert said == ["1,000 files found", "200 of 300 images decoded", "300 of 300 images decoded"]


def test_no_line_before_the_first_is_done_or_for_the_last_few() -> None:
    said: list[str] = []
    now = [0.0]
    count = Counter(said.append, lambda: now[0])
    for what, done, total in (
        ("seconds: opening", 1, 0),
        ("columns fitted", 0, 12),
        ("samples made", 1, 1),
        ("image headers read", 1, 6),
        ("files written", 1, 0),
    ):
        now[0] += 10
        count(what, done, total)
        now[0] += 1
    assert said == []
    for done in (0, 3, 9, 12):
        now[0] += 3
        count("columns fitted", done, 12)
    assert said == ["3 of 12 columns fitted", "12 of 12 columns fitted"]


def test_many_short_pieces_of_work_are_long_work() -> None:
    said: list[str] = []
    now = [0.0]
    count = Counter(said.append, lambda: now[0])
    for moment in range(8):
        now[0] = moment
        count(f"seconds: the metric {moment}", 2, 0)
    assert said == ["2 seconds: the metric 2", "2 seconds: the metric 6"]


def test_a_call_that_lasts_is_reported_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_BEAT", 0.01)
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *report: heard.append(report)):
        with lasting("exporting"):
            time.sleep(0.1)
            with lasting("writing the graph"):
                time.sleep(0.2)
            inner = len(heard)
            report_progress("files", 1, 2)
            time.sleep(0.1)
        after = len(heard)
        time.sleep(0.05)
    assert len(heard) == after  # the thread has ended
    names = [what for what, _, _ in heard]
    assert names[0] == names[-1] == "seconds: exporting"
    assert names[inner - 1] == "seconds: writing the graph"
    assert ("files", 1, 2) in heard
    seconds = [done for what, done, _ in heard if what.startswith("seconds")]
    assert seconds == sorted(seconds)  # one clock
    with lasting("work that nobody listens to"):
        pass


def test_commands_that_last_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_BEAT", 0.01)
    monkeypatch.setattr(progress, "_FIRST", 0.05)

    def slow(path: Path, **options: Any) -> None:
        with _quiet():  # what torch's exporter prints is hidden
            print("noise of the exporter", file=sys.stderr)
            time.sleep(0.3)
        raise UsageError("There is no run.")

    monkeypatch.setattr(Run, "open", slow)
    said = CliRunner().invoke(cli, ["export", str(tmp_path)])
    assert isinstance(said.exception, UsageError)
    assert "seconds: exporting" in said.stderr
    assert "noise" not in said.stderr
    assert said.stdout == ""
    assert not any(thread.name == "progress" for thread in threading.enumerate())


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("processes are forked on Linux only")
    monkeypatch.setattr(parallel, "FORKED_FROM", 10)
    monkeypatch.setattr(parallel, "CORES", 2)
    monkeypatch.setattr(parallel, "THREADS", 2)


@pytest.mark.usefixtures("forks")
def test_processes_work_in_order() -> None:
    here = os.getpid()
    parts = list(in_parts(lambda part: (os.getpid(), list(part), np.full(3, part.start)), 500))
    assert [item for _, numbers, _ in parts for item in numbers] == list(range(500))
    assert here not in {worker for worker, _, _ in parts}
    assert all(array.tolist() == [numbers[0]] * 3 for _, numbers, array in parts)


@pytest.mark.usefixtures("forks")
def test_an_error_is_raised_as_it_is() -> None:
    class OddError(Exception):  # cannot be sent between processes
        def __init__(self, *, what: str) -> None:
            self.what = what

    def work(part: range) -> int:
        if 50 in part:
            raise OddError(what="fifty")
        return part.start

    seen: list[int] = []
    with pytest.raises(OddError) as caught:
        seen.extend(in_parts(work, 100))
    assert caught.value.what == "fifty"
    assert not any(thread.name.startswith("QueueManager") for thread in threading.enumerate())


@pytest.mark.usefixtures("forks")
def test_a_killed_worker_costs_only_time() -> None:
    here = os.getpid()

    def work(part: range) -> int:
        if 50 in part and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return part.start

    assert list(in_parts(work, 100)) == list(range(100))


ENDED = """
import sys, time
from pathlib import Path
import numpy as np
from ganzoo.api import Field, ItemSource
from ganzoo.data.dataset import open_source
from ganzoo.training.stop_signals import Interrupts
from ganzoo.errors import PreemptedError
from ganzoo.util import parallel
parallel.FORKED_FROM, parallel.CORES = int(sys.argv[3]), 2
def read(index):
    time.sleep(0.01)
    return {"x": np.zeros((3, 8, 8), np.uint8)}
field = Field(name="x", shape=(3, 8, 8), range=(-1.0, 1.0))
source = ItemSource(fields=(field,), items=["a"] * int(sys.argv[2]), read=read, fingerprint=sys.argv[2])
try:
    with Interrupts():
        open_source(source, cache_folder=Path(sys.argv[1]))
except PreemptedError:
    sys.exit(75)
"""


def running(cache: Path, count: int, forked_from: int) -> subprocess.Popen[bytes]:
    """A process that decodes, from the moment when its folder exists."""
    words = [sys.executable, "-c", ENDED, str(cache), str(count), str(forked_from)]
    before = set(cache.glob("decoded/.building-*/0.npy"))
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not set(cache.glob("decoded/.building-*/0.npy")) - before:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    return process


def children(of: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(of)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc")
@pytest.mark.parametrize("forked_from", [10, 10**9], ids=["processes", "threads"])
def test_sigterm_leaves_nothing(tmp_path: Path, forked_from: int) -> None:
    process = running(tmp_path, 5000, forked_from)
    workers = children(process.pid)
    assert bool(workers) == (forked_from == 10)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (75, b"")
    assert list((tmp_path / "decoded").iterdir()) == []
    assert not any(alive(pid) for pid in workers)


@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc")
def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    process = running(tmp_path, 5000, 10)
    workers = children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    left = list((tmp_path / "decoded").iterdir())
    assert len(left) == 1
    end = time.monotonic() + 10
    while any(alive(pid) for pid in workers):  # they notice it themselves
        assert time.monotonic() < end
        time.sleep(0.1)
    other = running(tmp_path, 4000, 10**9)  # other data; and its own folder is in use now
    assert len(list((tmp_path / "decoded").iterdir())) == 1
    assert not left[0].exists()
    words = [sys.executable, "-c", ENDED, str(tmp_path), "3", "10"]
    assert subprocess.run(words, check=False).returncode == 0
    assert len(list((tmp_path / "decoded").glob(".building-*"))) == 1
    other.terminate()
    other.communicate(timeout=30)
