"""The .onnx file behind a generator: its seal, and a session on the right device.

Owns what is refused before onnxruntime sees a byte, and the choice of the provider. Knows nothing
of fields and sampling: that is runtime.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import StorageError, UsageError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["METADATA_KEY", "find", "open_session", "read", "seal"]

METADATA_KEY = "ganzoo"
"""The entry of the model's metadata_props that holds our JSON."""

_LARGEST_FILE = 2**31 - 1  # bytes; protobuf reads no more
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LOOPS = ("Loop", "Scan", "SequenceMap")  # the operators with which a small file can run for ever

# A last entry of ModelProto.metadata_props (protobuf field 14): sha256 of all bytes in front of it.
_SEAL = b"r\x51\n\x0dganzoo_sha256\x12\x40"
_SEAL_SIZE = len(_SEAL) + 64


def seal(model: bytes) -> bytes:
    """The serialised model with its own sha256 at the end; still a valid ONNX file."""
    return model + _SEAL + hashlib.sha256(model).hexdigest().encode()


def find(path: Path, generator: str) -> Path:
    """The .onnx file meant by a bundle folder or a path; UsageError when there is none."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise UsageError("There is no such bundle or .onnx file.", where=str(path))
    names = sorted(file.stem for file in path.glob("*.onnx"))
    if not names:
        raise UsageError(
            "The folder holds no exported generator.", where=str(path), fix="ganzoo export RUN makes one"
        )
    if generator not in names:
        if generator != "generator" or len(names) > 1:
            raise UsageError(
                f"The bundle has no generator '{generator}'.", where=str(path), fix=", ".join(names)
            )
        generator = names[0]
    return path / f"{generator}.onnx"


def read(file: Path) -> bytes:
    """All bytes of the file; UsageError when it is larger than any ONNX file, StorageError for the disk."""
    try:
        size = file.stat().st_size
        if size > _LARGEST_FILE:
            raise UsageError(
                f"{file.name} has {size / 2**30:.1f} GiB; an ONNX file has at most 2.", where=str(file)
            )
        return file.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{file.name} could not be read: {error.strerror or error}.", where=str(file)
        ) from error


def open_session(data: bytes, provider: str, where: str) -> tuple[onnxruntime.InferenceSession, str]:
    """A session on CUDA when it is wanted and comes up, else on the CPU; only its own word is believed.

    With it comes a note: why `auto` is on the CPU although there is an NVIDIA driver, else nothing.
    UsageError for bytes that are not a sealed file of ours, and for CUDA that was asked for in vain.
    """
    if provider not in ("auto", "cpu", "cuda"):
        raise UsageError(f"There is no provider '{provider}'.", fix="auto, cpu or cuda")
    _check_seal(data, where)
    _refuse_loops(data, where)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    note = ""
    if provider == "cuda" or (provider == "auto" and _has_driver()):
        session, reason = _try_cuda(data, options)
        if session is not None:
            return session, ""
        if provider == "cuda":
            raise UsageError(f"CUDA cannot be used: {reason}.", fix="--provider cpu, or auto")
        note = f"There is an NVIDIA driver, but CUDA cannot be used: {reason}."
    try:
        return onnxruntime.InferenceSession(data, options, providers=[_CPU]), note
    except Exception as error:  # onnxruntime raises a class of its own for each kind of failure
        raise UsageError("onnxruntime cannot load the file.", where=where, fix=str(error)[:300]) from error


def _try_cuda(
    data: bytes, options: onnxruntime.SessionOptions
) -> tuple[onnxruntime.InferenceSession | None, str]:
    """A session on CUDA, or none and why."""
    import onnxruntime

    if not _has_driver():  # without one, onnxruntime would only complain of a library
        return None, "this machine has no NVIDIA driver"
    if _CUDA not in onnxruntime.get_available_providers():
        return None, "this onnxruntime was built without it (install onnxruntime-gpu in its place)"
    onnxruntime.set_default_logger_severity(4)  # missing libraries are reported by the default logger
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
        # TF32 would keep 10 bits of the mantissa: far outside the parity that the export promised.
        providers: list[Any] = [(_CUDA, {"use_tf32": "0"}), _CPU]
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # as above; on any failure the CPU is tried
        return None, f"onnxruntime says: {' '.join(str(error)[:300].split()).rstrip('.')}"
    finally:
        onnxruntime.set_default_logger_severity(2)
    if _CUDA not in session.get_providers():
        return (
            None,
            "onnxruntime could not load its CUDA libraries (it needs CUDA and cuDNN, see `ganzoo doctor`)",
        )
    return session, ""


def _has_driver() -> bool:
    """Whether CUDA is worth a try: onnxruntime lists the provider on machines without any GPU, too."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _check_seal(data: bytes, where: str) -> None:
    body, mark = data[:-_SEAL_SIZE], data[-_SEAL_SIZE:]
    if mark == _SEAL + hashlib.sha256(body).hexdigest().encode():
        return
    if b"\n\x06" + METADATA_KEY.encode() in data or _SEAL in data:
        raise UsageError(
            "The file is damaged, or was changed after its export.", where=where, fix="export again"
        )
    raise UsageError(
        "The file is not a generator that ganzoo exported, or it is cut off.",
        where=where,
        fix="`ganzoo export RUN` makes one",
    )


def _refuse_loops(data: bytes, where: str) -> None:
    """No loops: ganzoo exports none. onnx is imported for the rare file whose bytes hold such a word."""
    if not any(name.encode() in data for name in _LOOPS):
        return
    import onnx

    try:
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:  # protobuf's DecodeError, which onnx does not re-export
        raise UsageError("The file is not an ONNX model.", where=where) from error
    found = {node.op_type for node in graph.node} & set(_LOOPS)
    if found:
        raise UsageError(
            f"The file holds the operator {min(found)}, which ganzoo never exports.", where=where
        )
