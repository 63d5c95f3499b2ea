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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from ganzoo.util.parallel import in_parts
from ganzoo.util.progress import report_progress
from ganzoo.util.text import printable

Skipped = list[tuple[str, str]]

_VERSION = 2
_NOT_DATA = ("kind", "facts", "axes", "free")
_MANIFEST = "manifest.json"
_KEYS = "keys.npy"
_CANDIDATES = 16  # earlier entries whose samples may be used again
_BUILDING = ".building-"
_STALE_SECONDS = 24 * 3600
_LOCK_TIMEOUT = 3600.0  # seconds to wait for another process that decodes the same items
_DECODED = "items decoded"
_SHOWN = 10
_NOTED = 3
_FEW = 10  # items of small data that may be unusable, if they are at most a tenth
_REASON = 200  # characters; decoders quote what they read


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Arrays by field name, the skipped items with the reasons, and notes for the user.

    `duplicates` is the number of samples that are exact copies of an earlier one.
    """

    arrays: dict[str, Array]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    duplicates: int = 0


@dataclass
class _Log:
    """What is found out while items are decoded."""

    skipped: Skipped = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    digests: set[bytes] = field(default_factory=set)
    duplicates: int = 0


@dataclass
class _Part:
    """The results for a few items: why some cannot be used; the others, grouped by the types of their fields.

    `groups`: rows, types of the fields, and the samples, lists before `stacked` and arrays after it.
    """

    problems: dict[int, str] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)
    groups: list[tuple[list[int], list[np.dtype[Any]], dict[str, Any]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.digests) + sum(row not in self.digests for row in self.problems)

    def add(self, row: int, sample: Mapping[str, Array], digest: bytes) -> None:
        """Add a sample that can be used."""
        types = [values.dtype for values in sample.values()]
        if not self.groups or self.groups[-1][1] != types:
            self.groups.append(([], types, {name: [] for name in sample}))
        rows, _, samples = self.groups[-1]
        rows.append(row)
        self.digests[row] = digest
        for name, values in sample.items():
            samples[name].append(values)

    def stacked(self) -> _Part:
        """The same with arrays, which are sent between processes at once."""
        self.groups = [
            (rows, types, {name: np.stack(values) for name, values in samples.items()})
            for rows, types, samples in self.groups
        ]
        return self


@dataclass(frozen=True)
class _Earlier:
    """An earlier entry, and the rows of its samples by their keys."""

    arrays: Mapping[str, Array]
    rows: Mapping[bytes, int]


def decoded(source: ItemSource, *, folder: Path | None = None) -> Decoded:
    """The source's samples, from the cache if they are in it.

    If the cache cannot be written, the samples stay in memory, and a note says so. Samples with the keys of
    an earlier entry are copied. Progress is reported every 1 % or more often, in the caller's thread, and at
    the end. DataError when too many items cannot be used (see `check_skipped`), or none can.
    """
    if not source.items:
        raise DataError("The data set has no items.", where=source.identity)
    root, key = folder or cache_folder(), _key(source)
    entry = root / "decoded" / key
    notes: list[str] = []
    found = _load(entry, source.fields)
    if found is None:
        try:
            with _locked(_lock_file(root, key)) as alone:
                # Another process may have built it in the meantime.
                found = _load(entry, source.fields)
                if found is None:
                    damaged = entry.exists()
                    _sweep(root, key if alone else "")
                    _build(source, entry)
                    found = _load(entry, source.fields)
                    if damaged:
                        notes.append("the decoded copy was damaged and was built again")
        except OSError as error:
            notes.append(f"decoded samples stay in memory, the cache cannot be written: {error}")
        if found is None:
            found = _in_memory(source)
    return replace(found, notes=tuple(notes))


def _lock_file(root: Path, key: str) -> Path:
    return root / "locks" / f"{key}.lock"


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock if possible. Without it, two processes may do the same work; that does no harm.

    The system releases the lock of a process that was killed.
    """
    lock, start, alone = FileLock(path), time.monotonic(), False
    with contextlib.ExitStack() as held:
        while not alone and time.monotonic() - start < _LOCK_TIMEOUT:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(lock.acquire(timeout=1))
                alone = True
            except Timeout:
                waited = round(time.monotonic() - start)
                report_progress("seconds of waiting for another process with the same data", waited)
            except (OSError, NotImplementedError):
                break
        yield alone


def _key(source: ItemSource) -> str:
    fields = [facts_of(item) for item in source.fields]
    text = json.dumps([_VERSION, source.fingerprint, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def facts_of(item: Field) -> dict[str, Any]:
    """What is declared of a field's values, without names and uses that do not change them."""
    return {key: value for key, value in item.to_json().items() if key not in _NOT_DATA}


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
    for item in source.fields:
        if item.name not in raw:
            return f"it has no '{item.name}'"
        values = np.asarray(raw[item.name])
        if values.shape != item.shape:
            return f"'{item.name}' has the shape {values.shape} instead of {item.shape}"
        dtype = stored_dtype(item, values.dtype)
        problem = dtype if isinstance(dtype, str) else value_problem(item, values)
        if isinstance(dtype, str) or problem:
            return f"'{item.name}' has {problem}"
        sample[item.name] = values.astype(dtype, copy=False)
    return sample


def _digest(source: ItemSource, sample: Mapping[str, Array]) -> bytes:
    """A hash of what is not a label."""
    digest = hashlib.sha256()  # the quickest where processors have instructions for it
    for item in source.fields:
        if item.dtype == "float32":
            digest.update(np.ascontiguousarray(sample[item.name]).data)
    return digest.digest()[:8]


def _keys_of(source: ItemSource) -> list[bytes]:
    return [hashlib.blake2b(key.encode(), digest_size=16).digest() for key in source.keys or ()]


def _chunks(source: ItemSource, log: _Log, earlier: _Earlier | None = None) -> Iterator[dict[str, Array]]:
    """Stacks of usable samples in order; what else is found goes into the log.

    DataError if too many items cannot be used.
    """
    total, keys = len(source.items), _keys_of(source)

    def done(part: range) -> _Part:
        found = _Part()
        for index in part:
            row = earlier.rows.get(keys[index]) if earlier is not None else None
            if earlier is None or row is None:
                sample = _sample(source, index)
            else:
                sample = {name: np.asarray(array[row]) for name, array in earlier.arrays.items()}
            if isinstance(sample, str):
                found.problems[index] = sample
            else:
                found.add(index, sample, _digest(source, sample))
        return found.stacked()

    dtypes: list[np.dtype[Any]] = []
    done_items = 0
    for part in in_parts(done, total):
        for rows, types, samples in part.groups:
            dtypes = dtypes or types
            if types != dtypes:
                part.problems |= dict.fromkeys(rows, "its types differ from those of earlier items")
                continue
            for row in rows:
                log.keys += keys[row : row + 1]
                log.duplicates += part.digests[row] in log.digests
                log.digests.add(part.digests[row])
            yield samples
        log.skipped += [(printable(source.items[row]), part.problems[row]) for row in sorted(part.problems)]
        done_items += part.count
        if done_items < total:
            report_progress(_DECODED, done_items, total)
    check_skipped(log.skipped, total, source.identity)
    report_progress(_DECODED, total, total)


def check_skipped(skipped: Sequence[tuple[str, str]], total: int, identity: str) -> None:
    """DataError when so many of the items or files cannot be used that samples are missing unnoticed.

    1 % may be; of small data a tenth, but ten at most.
    """
    allowed = max(total // 100, min(_FEW, total // 10))
    if len(skipped) <= allowed:
        return
    listed = [printable(f"{item}: {reason}") for item, reason in skipped[:_SHOWN]]
    if len(skipped) > _SHOWN:
        listed.append(f"and {len(skipped) - _SHOWN:,} more")
    what = "None of the items can" if len(skipped) == total else "Too many items cannot"
    raise DataError(
        f"{what} be used: {len(skipped):,} of {total:,}; at most {allowed:,} may be skipped.",
        where="\n         ".join([printable(identity), *listed]),
        fix="repair these items, or move them out of the data, and run the command again",
    )


def skipped_note(skipped: Sequence[tuple[str, str]], total: int) -> str:
    """A note about items or files that were skipped."""
    first = "; ".join(f"{item}: {reason}" for item, reason in skipped[:_NOTED])
    more = len(skipped) - _NOTED
    return f"{len(skipped):,} of {total:,} items cannot be used and were skipped: {first}" + (
        f"; and {more:,} more, all in the run's bad_files.txt" if more > 0 else ""
    )


def _in_memory(source: ItemSource) -> Decoded:
    log = _Log()
    chunks = list(_chunks(source, log))
    arrays = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Decoded(arrays=arrays, skipped=tuple(log.skipped), duplicates=log.duplicates)


# --- the cache ------------------------------------------------------------------------------------


def _build(source: ItemSource, entry: Path) -> None:
    """Decode into a temporary folder, then rename it to `entry`. OSError when that cannot be written."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{entry.name}-", dir=entry.parent))
    try:
        log = _Log()
        files = _write_fields(source, work, log)
        if source.keys is not None:
            np.save(work / _KEYS, np.frombuffer(b"".join(log.keys), np.uint8).reshape(-1, 16))
        manifest = {
            "version": _VERSION,
            "identity": source.identity,
            "fields": [item.to_json() for item in source.fields],
            "files": files,
            "skipped": log.skipped,
            "duplicates": log.duplicates,
        }
        (work / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if _load(entry, source.fields) is None:
            shutil.rmtree(entry, ignore_errors=True)
            # Another process may create the same entry first; its copy is equally good.
            with contextlib.suppress(OSError):
                work.replace(entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_fields(source: ItemSource, work: Path, log: _Log) -> dict[str, int]:
    """Append all chunks to one .npy file for each field; returns the sizes of the files.

    The files are not memory-mapped for writing: a full disk then raises an error instead of killing the
    process.
    """
    count, shapes, names = 0, {}, {item.name: f"{at}.npy" for at, item in enumerate(source.fields)}
    earlier = _earlier(source, work.parent)
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for chunk in _chunks(source, log, earlier):
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
    """The entry, memory-mapped; None if it does not exist or is incomplete. Its time is set: it is used."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        for name, size in manifest["files"].items():
            if (entry / name).stat().st_size != size:
                return None
        arrays: dict[str, Array] = {
            item.name: np.load(entry / f"{number}.npy", mmap_mode="r", allow_pickle=False)
            for number, item in enumerate(fields)
        }
        skipped = tuple((str(item), str(reason)) for item, reason in manifest["skipped"])
        duplicates = int(manifest["duplicates"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    if not all(arrays[item.name].shape[1:] == item.shape for item in fields):
        return None
    with contextlib.suppress(OSError):
        os.utime(entry)
    return Decoded(arrays=arrays, skipped=skipped, duplicates=duplicates)


def _earlier(source: ItemSource, folder: Path) -> _Earlier | None:
    """The earlier entry that has the most samples of this source, if any has one."""
    if source.keys is None:
        return None
    wanted, best = set(_keys_of(source)), _Earlier({}, {})
    declared = json.loads(json.dumps([facts_of(item) for item in source.fields]))
    files = sorted(folder.glob(f"*/{_KEYS}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for file in files[:_CANDIDATES]:
        try:
            manifest = json.loads((file.parent / _MANIFEST).read_text(encoding="utf-8"))
            same = [facts_of(Field.from_json(raw)) for raw in manifest["fields"]]
            if manifest["version"] != _VERSION or json.loads(json.dumps(same)) != declared:
                continue
            keys = np.load(file, allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
            continue
        found = _load(file.parent, source.fields)
        rows = {key.tobytes(): row for row, key in enumerate(keys) if key.tobytes() in wanted}
        if found is not None and len(rows) > len(best.rows):
            best = _Earlier(found.arrays, rows)
    return best if best.rows else None


def _sweep(root: Path, own: str) -> None:
    """Remove what killed processes left. `own` is the key whose lock this process holds.

    A folder whose lock is free has no owner. Without locks, only folders of a day ago are removed.
    """
    for path in (root / "decoded").glob(f"{_BUILDING}*"):
        key = path.name.removeprefix(_BUILDING).partition("-")[0]
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            if key == own:
                shutil.rmtree(path, ignore_errors=True)
            elif len(key) == 32:
                with FileLock(_lock_file(root, key)).acquire(timeout=0):
                    shutil.rmtree(path, ignore_errors=True)
            if path.exists() and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
