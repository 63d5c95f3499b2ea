"""The .onnx file of a generator: its seal, and a session on the right device.

Owns the order of the checks before onnxruntime reads the file, and the choice of the provider. The
package `guard` checks the graph; `generator.py` has fields and sampling.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import StorageError, UsageError
from ganzoo.fields import Field, with_pixels
from ganzoo.runtime.guard import check
from ganzoo.runtime.guard.model import read_metadata
from ganzoo.runtime.guard.signature import Contract, derive
from ganzoo.runtime.guard.trial import run_trial
from ganzoo.runtime.ort_session import open_on_provider
from ganzoo.util.text import typed

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["FORMAT", "METADATA_KEY", "Opened", "examine", "find", "open_session", "read", "seal"]

METADATA_KEY = "ganzoo"
"""The entry of the model's metadata_props that holds our JSON."""

FORMAT = 1
"""Version of the JSON in the file's metadata; it increases when older runtimes cannot read it."""

_LARGEST_FILE = 2**31 - 1  # bytes; protobuf reads no more

# The last entry of ModelProto.metadata_props (protobuf field 14): sha256 of all bytes before it.
_SEAL = b"r\x51\n\x0dganzoo_sha256\x12\x40"
_SEAL_SIZE = len(_SEAL) + 64


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A session and the results of the checks of its file.

    `note` says why `auto` uses the CPU although there is an NVIDIA driver. `contract` has the fields of
    a file from another program. It is None for a file of ganzoo, whose metadata, `record`, has the fields.
    """

    session: onnxruntime.InferenceSession
    checked: check.Checked
    contract: Contract | None
    record: dict[str, Any]
    note: str = ""


def seal(model: bytes) -> bytes:
    """The serialised model with its own sha256 at the end; still a valid ONNX file."""
    return model + _SEAL + hashlib.sha256(model).hexdigest().encode()


def find(path: Path, generator: str) -> Path:
    """The .onnx file of a bundle folder or a path; UsageError if there is none."""
    if path.exists() and not path.is_dir():
        return path
    if not path.is_dir():
        raise UsageError(
            "There is no such bundle or .onnx file.",
            where=str(path),
            fix="check the spelling; ganzoo export RUN makes a bundle of a run",
        )
    names = sorted(file.stem for file in path.glob("*.onnx"))
    if not names:
        run = f"{typed(path)} -o BUNDLE" if (path / "run.json").is_file() else "RUN"
        raise UsageError(
            "The folder has no exported generator.", where=str(path), fix=f"ganzoo export {run} makes one"
        )
    if generator not in names:
        if generator != "generator" or len(names) > 1:
            unnamed = generator == "generator"
            raise UsageError(
                "The bundle has several generators."
                if unnamed
                else f"The bundle has no generator '{generator}'.",
                where=str(path),
                fix=f"choose {' or '.join(names)}: --generator NAME, generator=NAME in Python",
            )
        generator = names[0]
    return path / f"{generator}.onnx"


def read(file: Path) -> bytes:
    """All bytes of the file; StorageError if reading fails.

    UsageError if it is not a regular file (a pipe would block, a device may never end) or is larger than
    any ONNX file.
    """
    try:
        # Opening a device can have side effects, so check before; it may become a pipe, so check again.
        if not stat.S_ISREG(file.stat().st_mode):
            raise UsageError(f"{file.name} is not a regular file.", where=str(file))
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{file.name} is not a regular file.", where=str(file))
            data = b"" if status.st_size > _LARGEST_FILE else stream.read(_LARGEST_FILE + 1)
            size = max(status.st_size, len(data))
    except OSError as error:
        raise StorageError(
            f"{file.name} could not be read: {error.strerror or error}.", where=str(file)
        ) from error
    if size > _LARGEST_FILE:
        raise UsageError(
            f"{file.name} has {size / 2**30:.1f} GiB; an ONNX file has at most 2.", where=str(file)
        )
    return data


def open_session(
    data: bytes, provider: str, where: str, *, trust: bool = False, threads: int | None = None
) -> Opened:
    """A session on CUDA if it is wanted and works, else on the CPU.

    UsageError for bytes that are not a sealed file of ganzoo, for a graph that `guard.check` refuses,
    and if `cuda` was requested but does not work. `trust` also accepts a file without a seal if its fields
    can be derived and a child process can run it.
    """
    if provider not in ("auto", "cpu", "cuda"):
        raise UsageError(f"There is no provider '{provider}'.", fix="auto, cpu or cuda")
    ours, checked, record = examine(data, where, trust=trust)
    contract = None
    if not ours:
        contract = derive(checked.graph, checked.shapes, where)
        run_trial(data, where)
    session, note = open_on_provider(data, provider, where, threads)
    return Opened(session=session, checked=checked, contract=contract, record=record, note=note)


def examine(data: bytes, where: str, *, trust: bool = False) -> tuple[bool, check.Checked, dict[str, Any]]:
    """Whether the seal is valid, the checked graph, and ganzoo's metadata; onnxruntime sees nothing of it.

    Errors as in `open_session`.
    """
    ours = _is_ours(data, where, trust)
    record: dict[str, Any] = {}

    def declared() -> tuple[Field, ...]:
        record.update(_record(data, where))
        with readable(where):
            return fields_in(record, "inputs")

    checked = check.check(data, where, declared if ours else tuple)
    return ours, checked, record


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn errors of the block, which reads metadata, into a UsageError."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            "The metadata of the file cannot be read.", where=where, fix="export again"
        ) from error


def fields_in(record: Mapping[str, Any], kind: str) -> tuple[Field, ...]:
    """The `inputs` or `outputs` in the metadata of a file."""
    return tuple(
        with_pixels(Field.from_json({key: value for key, value in raw.items() if key != "layout"}))
        for raw in record[kind]
    )


def _record(data: bytes, where: str) -> dict[str, Any]:
    """The metadata of a file of ganzoo, read before onnxruntime opens it."""
    with readable(where):
        record: dict[str, Any] = json.loads(read_metadata(data, where).get(METADATA_KEY, "null"))
        if record["format"] > FORMAT:
            raise UsageError(
                f"The file has metadata of format {record['format']}, this ganzoo reads {FORMAT}.",
                where=where,
                fix="install a newer ganzoo",
            )
    return record


def _is_ours(data: bytes, where: str, trust: bool) -> bool:
    """Whether the seal is valid. UsageError for an invalid seal, and without `trust` for a missing one."""
    body, mark = data[:-_SEAL_SIZE], data[-_SEAL_SIZE:]
    if mark == _SEAL + hashlib.sha256(body).hexdigest().encode():
        return True
    if b"\n\x06" + METADATA_KEY.encode() in data or _SEAL in data:
        raise UsageError(
            "The file is damaged, or was changed after its export.", where=where, fix="export again"
        )
    if not trust:
        raise UsageError(
            "The file is not a generator that ganzoo exported, or it is cut off.",
            where=where,
            fix="`ganzoo export RUN` makes one; --trust (in Python trust=True) tries files of other programs",
        )
    return False
