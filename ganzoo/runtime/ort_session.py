"""Sessions of onnxruntime: options, the choice of the provider, and messages for its errors."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError

if TYPE_CHECKING:
    import onnxruntime


_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def cpu_session(data: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A CPU session that prints nothing; by default a thread for each core. Raises onnxruntime's errors."""
    import onnxruntime

    options = _options()
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(data, options, providers=[_CPU])


def _options() -> onnxruntime.SessionOptions:
    """Options for a session that prints nothing and reads its bytes only as ONNX, not as other formats."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that spin between calls cost seven times the processor time of a small image.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_on_provider(
    data: bytes, provider: str, where: str, threads: int | None = None
) -> tuple[onnxruntime.InferenceSession, str]:
    """A session, and a note if `auto` uses the CPU although there is an NVIDIA driver."""
    note = ""
    if provider == "cuda" or (provider == "auto" and _has_driver()):
        session, reason = _try_cuda(data)
        if session is not None:
            return session, ""
        if provider == "cuda":
            raise UsageError(f"CUDA cannot be used: {reason}.", fix="--provider cpu, or auto")
        note = f"There is an NVIDIA driver, but CUDA cannot be used: {reason}."
    try:
        return cpu_session(data, threads), note
    except Exception as error:  # onnxruntime has an exception class for each kind of failure
        message = ascii(" ".join(str(error)[:300].split()))[1:-1]  # may quote any text of the file
        raise UsageError(f"onnxruntime cannot load the file: {message}", where=where) from error


def _try_cuda(data: bytes) -> tuple[onnxruntime.InferenceSession | None, str]:
    """A session on CUDA, or None and the reason."""
    import onnxruntime

    if not _has_driver():  # without one, onnxruntime would only report a missing library
        return None, "this machine has no NVIDIA driver"
    if _CUDA not in onnxruntime.get_available_providers():
        return None, "this onnxruntime was built without it (install onnxruntime-gpu in its place)"
    onnxruntime.set_default_logger_severity(4)  # missing libraries are reported by the default logger
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
        # TF32 keeps only 10 bits of the mantissa: far outside the parity that the export measured.
        providers: list[Any] = [(_CUDA, {"use_tf32": "0"}), _CPU]
        session = onnxruntime.InferenceSession(data, _options(), providers=providers)
    except Exception as error:  # as above; after any failure, `auto` uses the CPU
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
    """Whether there is an NVIDIA driver: onnxruntime lists its provider even on machines without a GPU."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
