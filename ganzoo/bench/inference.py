"""Speed of an exported generator in onnxruntime and in torch, timed in turns.

Owns the timing and the rows. Without torch it times onnxruntime only; what cannot be measured becomes a
note. torch_generator.py builds the torch network, cli/bench.py prints the result.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import runtime, sampling
from ganzoo._version import __version__
from ganzoo.errors import FailedError, GanzooError, UsageError
from ganzoo.runtime import onnx_file
from ganzoo.runtime.ort_session import cpu_session
from ganzoo.util import system
from ganzoo.util.text import counted, typed

if TYPE_CHECKING:
    from ganzoo.registry.registry import Registry

__all__ = ["BATCHES", "Report", "Row", "core_count", "measure"]

BATCHES = (1, 8, 64)

_TURNS = 5  # turns over which the time of a row is spread
_SETTLING = 0.25  # share of a turn that is not timed: the other engine's threads spin for about 50 ms
_SHORT, _SHORT_CALLS, _CALLS = 0.1, 20, 3  # calls under 0.1 s are made at least 20 times, others 3 times

Arrays = dict[str, NDArray[Any]]


@dataclass
class Row:
    """One engine on one device at one batch size. `seconds` holds the time of every timed call."""

    engine: str
    provider: str
    batch: int
    call: Callable[[], Arrays]
    seconds: list[float] = field(default_factory=list)
    expected: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The results: milliseconds per call, and images per second of the median call."""
        p50, p99 = np.percentile(self.seconds, [50, 99]).tolist()
        return {
            "engine": self.engine,
            "provider": self.provider,
            "batch": self.batch,
            "p50_ms": round(p50 * 1e3, 4),
            "p99_ms": round(p99 * 1e3, 4),
            "images_per_second": round(self.batch / p50, 2),
        }

    def warm_up(self) -> None:
        """Make the first calls, which choose kernels and allocate memory; the last one gives `expected`."""
        for _ in range(3):
            self.expected = _timed(self.call)

    def turn(self, seconds: float) -> None:
        """Call for that many seconds, at least once."""
        settled = time.perf_counter() + _SETTLING * seconds
        while self.expected < seconds and time.perf_counter() < settled:
            self.call()
        stop = time.perf_counter() + seconds
        while True:
            self.seconds.append(_timed(self.call))
            if time.perf_counter() >= stop:
                return

    def is_done(self, seconds: float) -> bool:
        """Whether the time is used up and there are enough calls for a median."""
        fewest = _SHORT_CALLS if self.expected < _SHORT else _CALLS
        return len(self.seconds) >= fewest and sum(self.seconds) >= seconds


@dataclass(frozen=True, kw_only=True)
class Report:
    """All rows, sorted by batch size; `notes` says why a row is missing."""

    source: str
    generator: runtime.Generator
    threads: int
    seconds: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `calls` is the number of timed calls of each of the `rows`."""
        return {
            "bundle": self.source,
            "generator": self.generator.name,
            "recipe": self.generator.about.get("recipe"),
            "threads": self.threads,
            "seconds": self.seconds,
            "versions": dict(self.versions),
            "rows": [row.to_json() for row in self.rows],
            "calls": [len(row.seconds) for row in self.rows],
            "notes": list(self.notes),
        }


def measure(
    source: Path,
    registry: Registry,
    *,
    batches: Sequence[int] = BATCHES,
    threads: int | None = None,
    seconds: float = 2.0,
    generator: str = "generator",
    begin: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Time the generator of a bundle folder or .onnx file at each batch size.

    A call starts with arrays in host memory, drawn before, and ends with its outputs there. `threads` is the
    number of CPU threads of each engine, by default `default_threads()`; `seconds` is the time for each row.
    `begin` is called with the number of rows after all checks have passed.
    UsageError for a wrong argument or file, FailedError when no row can be measured.
    """
    batches, threads = sorted(set(batches)), default_threads() if threads is None else threads
    _check(batches, threads, seconds)
    file = _find(source, generator)
    data = onnx_file.read(file)
    best = runtime.from_bytes(data, provider="auto", where=str(file))
    inputs = {batch: _inputs(best, batch) for batch in batches}
    on_cpu = _with_threads(data, threads)
    engines = [on_cpu] if best.provider == on_cpu.provider else [on_cpu, best]
    rows = [_onnxruntime_row(engine, values) for values in inputs.values() for engine in engines]
    notes = [best.provider_note] if best.provider_note else []
    versions = {"ganzoo": __version__, "python": platform.python_version()}
    versions["onnxruntime"] = best.engine.partition(" ")[2]
    with contextlib.ExitStack() as stack:
        try:
            versions["torch"] = _torch_version()
            from ganzoo.bench.torch_generator import full_precision

            stack.enter_context(full_precision(threads))
            rows += _torch_rows(on_cpu, data, inputs, registry, notes)
        except GanzooError as error:
            notes.append("No rows for torch: " + error.what + (f" ({error.where})" if error.where else ""))
        begin(len(rows))
        system.watch_cores()
        rows = _take_turns(rows, seconds, notes)
    busy, cores = system.busy_cores(), system.cores()
    if busy + threads > cores + system.BUSY_CORES:
        used = f"other processes used {busy:.1f} of {counted(cores, 'core')}: on a quiet machine it is faster"
        notes.insert(0, used)
    rows.sort(key=lambda row: (row.batch, row.engine))
    return Report(
        source=str(source),
        generator=best,
        threads=threads,
        seconds=seconds,
        rows=tuple(rows),
        notes=tuple(notes),
        versions=versions,
    )


def default_threads() -> int:
    """$OMP_NUM_THREADS, which libraries follow, else one for each core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else core_count()


def core_count() -> int:
    """Cores that this process may use. Hyper-threads do not count."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    usable = os.sched_getaffinity(0)
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(number)).read_text(encoding="ascii") for number in usable})
    except OSError:
        return len(usable)


def _check(batches: Sequence[int], threads: int, seconds: float) -> None:
    if not batches or min(batches) < 1:
        raise UsageError(f"A batch of {min(batches, default=0)} is empty.", fix="--batch 1 or more")
    if not 1 <= threads <= 1024:
        raise UsageError(f"{threads} threads cannot be used.", fix="--threads 1 to 1024")
    if not 0 < seconds <= 3600:
        raise UsageError(f"A row cannot be measured for {seconds:g} seconds.", fix="--seconds 2")


def _find(source: Path, generator: str) -> Path:
    if (source / "run.json").is_file() and not any(source.glob("*.onnx")):
        raise UsageError(
            "This is a run, but only bundles can be measured.",
            where=str(source),
            fix=f"ganzoo export {typed(source)}",
        )
    return onnx_file.find(source, generator)


def _timed(call: Callable[[], Arrays]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _take_turns(rows: Sequence[Row], seconds: float, notes: list[str]) -> list[Row]:
    """Time the rows in turns, several times: then other load on the machine affects all rows alike."""
    able = []
    for row in rows:
        try:
            row.warm_up()
            able.append(row)
        except Exception as error:  # out of memory has many exception classes; other rows may still fit
            notes.append(
                f"No row for {row.engine} on {row.provider} at batch {row.batch}: {_first_line(error)}"
            )
    if not able:
        raise FailedError("Nothing could be measured.", where="; ".join(notes), fix="a smaller --batch")
    waiting = able
    while waiting:
        for row in waiting:
            row.turn(seconds / _TURNS)
        waiting = [row for row in waiting if not row.is_done(seconds)]
    return able


def _inputs(generator: runtime.Generator, batch: int) -> Arrays:
    """Values for all inputs; inputs that cannot be drawn are zeros, which take as long as other values."""
    fixed: dict[str, Any] = {
        item.name: np.zeros((batch, *item.shape), item.dtype)
        for item in generator.inputs
        if not sampling.can_draw(item)
    }
    return generator.draw_inputs(batch, **fixed)


def _with_threads(data: bytes, threads: int) -> runtime.Generator:
    """The generator on the CPU with that many threads; `data` must have passed `runtime.from_bytes`."""
    session = cpu_session(data, threads)
    record = session.get_modelmeta().custom_metadata_map[onnx_file.METADATA_KEY]
    return runtime.Generator(session, json.loads(record))


def _onnxruntime_row(generator: runtime.Generator, inputs: Arrays) -> Row:
    batch = len(next(iter(inputs.values())))
    return Row("onnxruntime", generator.provider, batch, lambda: generator.run(inputs, batch_size=batch))


def _torch_version() -> str:
    try:
        import torch
    except Exception as error:  # a broken torch fails in many ways, and torch may be missing
        raise UsageError(f"torch cannot be imported: {error}.") from error
    return str(torch.__version__)


def _torch_rows(
    generator: runtime.Generator,
    data: bytes,
    inputs: Mapping[int, Arrays],
    registry: Registry,
    notes: list[str],
) -> list[Row]:
    """Rows for each device that torch has; UsageError when the network cannot be rebuilt."""
    import torch

    from ganzoo.bench.torch_generator import caller, rebuilt

    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        module = rebuilt(generator, data, _inputs(generator, 2), registry)
        try:
            module.to(device)
        except RuntimeError as error:
            notes.append(f"No rows for torch on {device}: {_first_line(error)}")
            continue
        for batch, values in inputs.items():
            rows.append(Row("torch", device, batch, caller(module, generator, values, device)))
    return rows


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
