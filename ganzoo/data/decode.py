"""Decodes the items of a source once, into a cache of plain .npy files.

An entry is a folder with one .npy file for each field and a `manifest.json`; its name is a hash of
everything that its content depends on. It is built under another name and renamed when it is complete. So
a visible entry is complete, and processes that build the same entry do not disturb each other. If the file
system has locks, only one of them does the work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy

from ganzoo.api.sources import ItemSource
from ganzoo.data.validation import Array, stored_dtype, value_problem
from ganzoo.errors import DataError
from ganzoo.fields import Field
from ganzoo.util.cache import cache_folder
from ganzoo.util.text import printable

Progress = Callable[[int, int], None]
Skipped = list[tuple[str, str]]

_VERSION = 1
_NOT_DATA = ("kind", "facts", "axes", "free")
_MANIFEST = "manifest.json"
_BUILDING = ".building-"
_STALE_SECONDS = 24 * 3600
_LOCK_TIMEOUT = 3600.0  # seconds to wait for another process that decodes the same items
_THREADS = min(8, os.cpu_count() or 1)
_CHUNK = 32 * _THREADS
_SHOWN = 10
_NOTED = 3
_REASON = 200  # characters; decoders quote what they read


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Arrays by field name, the skipped items with the reasons, and notes for the user."""

    arrays: dict[str, Array]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


def decoded(source: ItemSource, *, folder: Path | None = None, progress: Progress | None = None) -> Decoded:
    """The source's samples, from the cache if they are in it.

    If the cache cannot be written, the samples stay in memory, and a note says so.
    `progress(done, total)` is called every 1 % or more often, in the caller's thread, and at the
    end. DataError when more than 1 % of the items cannot be used, or none can.
    """
    if not source.items:
        raise DataError("The data set has no items.", where=source.identity)
    root, key = folder or cache_folder(), _key(source)
    entry = root / "decoded" / key
    notes: list[str] = []
    found = _load(entry, source.fields)
    if found is None:
        try:
            with _locked(root / "locks" / f"{key}.lock"):
                # Another process may have built it in the meantime.
                found = _load(entry, source.fields)
                if found is None:
                    damaged = entry.exists()
                    _build(source, entry, progress)
                    found = _load(entry, source.fields)
                    if damaged:
                        notes.append("the decoded copy was damaged and was built again")
        except OSError as error:
            notes.append(f"decoded samples stay in memory, the cache cannot be written: {error}")
        if found is None:
            found = _in_memory(source, progress)
    if found.skipped:
        first = "; ".join(f"{item}: {reason}" for item, reason in found.skipped[:_NOTED])
        more = len(found.skipped) - _NOTED
        notes.append(
            f"{len(found.skipped):,} of {len(source.items):,} items cannot be used and were skipped: {first}"
            + (f"; and {more:,} more" if more > 0 else "")
        )
    return Decoded(arrays=found.arrays, skipped=found.skipped, notes=tuple(notes))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock if possible. Without it, two processes may do the same work; that does no harm.

    The system releases the lock of a process that was killed.
    """
    lock = FileLock(path)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.acquire(timeout=_LOCK_TIMEOUT))
        yield


def _key(source: ItemSource) -> str:
    fields = [facts_of(field) for field in source.fields]
    text = json.dumps([_VERSION, source.fingerprint, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def facts_of(field: Field) -> dict[str, Any]:
    """What is declared of a field's values, without names and uses that do not change them."""
    return {key: value for key, value in field.to_json().items() if key not in _NOT_DATA}


# --- reading items --------------------------------------------------------------------------------


def _sample(source: ItemSource, index: int) -> dict[str, Array] | str:
    """One item as arrays in their stored types, or the reason why it cannot be used."""
    try:
        raw = source.read(index)
    except (OSError, ValueError) as error:
        # The system's message without the path, because the item's name is reported anyway.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return printable(str(reason), _REASON)
    sample: dict[str, Array] = {}
    for field in source.fields:
        if field.name not in raw:
            return f"it has no '{field.name}'"
        values = np.asarray(raw[field.name])
        if values.shape != field.shape:
            return f"'{field.name}' has the shape {values.shape} instead of {field.shape}"
        dtype = stored_dtype(field, values.dtype)
        problem = dtype if isinstance(dtype, str) else value_problem(field, values)
        if isinstance(dtype, str) or problem:
            return f"'{field.name}' has {problem}"
        sample[field.name] = values.astype(dtype, copy=False)
    return sample


def _chunks(source: ItemSource, skipped: Skipped, progress: Progress | None) -> Iterator[dict[str, Array]]:
    """Stacks of usable samples in order; other items go into `skipped`. DataError if there are too many."""
    total = len(source.items)
    step = max(1, min(total // 100, _CHUNK))
    dtypes: dict[str, np.dtype[Any]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, total, _CHUNK):
            rows = range(start, min(start + _CHUNK, total))
            good: list[dict[str, Array]] = []
            for row, sample in zip(rows, pool.map(partial(_sample, source), rows), strict=True):
                if not isinstance(sample, str):
                    found = {name: values.dtype for name, values in sample.items()}
                    dtypes = dtypes or found
                    if found != dtypes:
                        sample = "its types differ from those of earlier items"
                if isinstance(sample, str):
                    skipped.append((printable(source.items[row]), sample))
                else:
                    good.append(sample)
                if progress is not None and (row + 1) % step == 0 and row + 1 < total:
                    progress(row + 1, total)
            if good:
                yield {name: np.stack([sample[name] for sample in good]) for name in dtypes}
    if len(skipped) * 100 > total:
        raise _too_many(source, skipped)
    if progress is not None:
        progress(total, total)


def _too_many(source: ItemSource, skipped: Skipped) -> DataError:
    total = len(source.items)
    listed = [f"{item}: {reason}" for item, reason in skipped[:_SHOWN]]
    if len(skipped) > _SHOWN:
        listed.append(f"and {len(skipped) - _SHOWN:,} more")
    share = (
        "None of the items can be used"
        if len(skipped) == total
        else "More than 1 % of the items cannot be used"
    )
    return DataError(
        f"{share}: {len(skipped):,} of {total:,}.",
        where="\n         ".join([printable(source.identity), *listed]),
        fix="repair these items, or move them out of the data, and run the command again",
    )


def _in_memory(source: ItemSource, progress: Progress | None) -> Decoded:
    skipped: Skipped = []
    chunks = list(_chunks(source, skipped, progress))
    arrays = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Decoded(arrays=arrays, skipped=tuple(skipped))


# --- the cache ------------------------------------------------------------------------------------


def _build(source: ItemSource, entry: Path, progress: Progress | None) -> None:
    """Decode into a temporary folder, then rename it to `entry`. OSError when that cannot be written."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    _sweep(entry.parent)
    work = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=entry.parent))
    try:
        skipped: Skipped = []
        files = _write_fields(source, work, skipped, progress)
        manifest = {
            "version": _VERSION,
            "identity": source.identity,
            "fields": [field.to_json() for field in source.fields],
            "files": files,
            "skipped": skipped,
        }
        (work / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if _load(entry, source.fields) is None:
            shutil.rmtree(entry, ignore_errors=True)
            # Another process may create the same entry first; its copy is equally good.
            with contextlib.suppress(OSError):
                work.replace(entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_fields(
    source: ItemSource, work: Path, skipped: Skipped, progress: Progress | None
) -> dict[str, int]:
    """Append all chunks to one .npy file for each field; returns the sizes of the files.

    The files are not memory-mapped for writing: a full disk then raises an error instead of killing the
    process.
    """
    count, shapes, names = 0, {}, {field.name: f"{number}.npy" for number, field in enumerate(source.fields)}
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for chunk in _chunks(source, skipped, progress):
            for name, values in chunk.items():
                if name not in files:
                    files[name] = stack.enter_context((work / names[name]).open("w+b"))
                    shapes[name] = (values.dtype, values.shape[1:])
                    _write_header(files[name], len(source.items), *shapes[name])
                files[name].write(values.tobytes())
            count += len(next(iter(chunk.values())))
        for name, file in files.items():
            # The header has padding for a count of any length, so it can be overwritten.
            file.seek(0)
            _write_header(file, count, *shapes[name])
            file.flush()
            os.fsync(file.fileno())
    return {name: (work / name).stat().st_size for name in sorted(names.values())}


def _write_header(file: BinaryIO, count: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    head = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (count, *shape)}
    npy.write_array_header_1_0(file, head)


def _load(entry: Path, fields: tuple[Field, ...]) -> Decoded | None:
    """The entry, memory-mapped; None if it does not exist or is incomplete."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        for name, size in manifest["files"].items():
            if (entry / name).stat().st_size != size:
                return None
        arrays: dict[str, Array] = {
            field.name: np.load(entry / f"{number}.npy", mmap_mode="r", allow_pickle=False)
            for number, field in enumerate(fields)
        }
        skipped = tuple((str(item), str(reason)) for item, reason in manifest["skipped"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    complete = all(arrays[field.name].shape[1:] == field.shape for field in fields)
    return Decoded(arrays=arrays, skipped=skipped) if complete else None


def _sweep(folder: Path) -> None:
    """Remove what a killed process left at least a day ago."""
    for path in folder.glob(f"{_BUILDING}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
