"""Sound files: read, resampled and written.

.wav files are written without other packages. All reading, .flac and .ogg need soundfile.
"""

from __future__ import annotations

import io
import math
import re
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ganzoo.api import Field, as_floats, optional_package

SUFFIXES = (".wav", ".flac", ".ogg")
ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".aifc", ".w64", ".rf64", ".opus")
GAP = 0.1  # seconds of silence between the sounds of one file
RATES = 100, 10_000_000  # Hz: with less, nothing that can be heard is left; with more, a header is damaged
LARGEST = 2**31  # samples of one file: 8 GiB as floats
_ENDLESS = 2**31 - 2**16  # bytes: programs that write into a pipe claim so many, because they do not know
_SIZES = re.compile(r"^\s*(?:data|SSND) *: (\d+) \(should be (\d+)\)", re.MULTILINE)  # libsndfile's log

Array = NDArray[Any]
Floats = NDArray[np.float32]


def soundfile() -> Any:
    """The package soundfile. DataError where it is missing."""
    return optional_package("soundfile", "sound", "Reading sound files")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file of soundfile. ValueError for a file that is no sound, or is cut off."""
    package = soundfile()
    try:
        with package.SoundFile(path) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise ValueError(f"its sampling rate is {file.samplerate:,} Hz, no rate of a sound")
            for claimed, there in re.findall(_SIZES, file.extra_info):
                if int(there) < int(claimed) < _ENDLESS:
                    raise ValueError(f"it is cut off: {int(there):,} of {int(claimed):,} bytes are there")
            yield file
    except (package.LibsndfileError, TypeError) as error:
        said = getattr(error, "error_string", str(error))
        if "SF_INFO" in said:  # libsndfile's words for a header with zeros
            said = "its header has a sampling rate or a number of channels of 0"
        raise ValueError(said) from error


def read_sound(path: Path) -> tuple[Floats, int]:
    """Samples (C, T) in -1..1 and the sampling rate. ValueError for a file that is no sound, or has none."""
    with opened(path) as file:
        if file.frames * file.channels > LARGEST:
            raise ValueError(f"{file.frames:,} samples are too many")
        rate, values = file.samplerate, file.read(dtype="float32", always_2d=True)
        if len(values) < file.frames:
            raise ValueError(f"it is cut off: {len(values):,} of {file.frames:,} samples can be read")
    if not len(values):
        raise ValueError("it has no samples")
    if not np.isfinite(values).all():
        raise ValueError("it has samples that are no numbers (NaN or infinite)")
    return np.ascontiguousarray(values.T), int(rate)


def resampled(values: Floats, rate: int, wanted: int) -> Floats:
    """Samples (C, T) at the rate `wanted`, by a polyphase filter; as they are if the rate is right."""
    if rate == wanted:
        return values
    common = math.gcd(rate, wanted)
    made: Array = resample_poly(values, wanted // common, rate // common, axis=1)
    return made.astype(np.float32)


def mixed(values: Floats, channels: int) -> Floats:
    """Samples (C, T) with so many channels: the mean of all for one, copies of a single one for several.

    ValueError for other numbers of channels.
    """
    found = len(values)
    if found == channels:
        return values
    if channels == 1:
        mean: Floats = values.mean(0, keepdims=True)
        return mean
    if found == 1:
        return values.repeat(channels, axis=0)
    raise ValueError(f"it has {found} channels, not {channels}")


def encoded(field: Field, samples: Array, suffix: str) -> bytes:
    """Sounds (N, C, T) as one file of 16 bits, one after the other, with a short silence between them."""
    rate, values = int(field.facts["rate"]), as_floats(field, samples)
    if len(values) > 1:
        gap = np.zeros((*values.shape[:2], round(GAP * rate)), np.float32)
        values = np.concatenate([values, gap], axis=2)
    frames = levels_of(np.nan_to_num(values)).transpose(0, 2, 1).reshape(-1, values.shape[1]).astype("<i2")
    content = io.BytesIO()
    if suffix == ".wav":
        with wave.open(content, "wb") as file:
            file.setnchannels(frames.shape[1])
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(frames.tobytes())
    else:
        soundfile().write(content, frames, rate, format=suffix[1:].upper())
    return _with_serial_number(content.getvalue()) if suffix == ".ogg" else content.getvalue()


def _with_serial_number(data: bytes) -> bytes:
    """An Ogg file whose stream has the number 0, not a random one: equal sounds give equal files.

    RFC 3533, section 6: the number of the stream is in bytes 14 to 17 of each page, the checksum in bytes
    22 to 25, the lengths of the parts from byte 27 on.
    """
    pages, at = bytearray(data), 0
    while at < len(pages):
        count = pages[at + 26]
        end = at + 27 + count + sum(pages[at + 27 : at + 27 + count])
        pages[at + 14 : at + 18] = pages[at + 22 : at + 26] = bytes(4)
        checksum = 0
        for byte in pages[at:end]:
            checksum = (checksum << 8 & 0xFFFFFFFF) ^ _CHECKSUMS[checksum >> 24 ^ byte]
        pages[at + 22 : at + 26] = checksum.to_bytes(4, "little")
        at = end
    return bytes(pages)


def _checksum(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
    return value


_CHECKSUMS = [_checksum(byte) for byte in range(256)]


def levels_of(values: Floats) -> NDArray[np.int16]:
    """Samples in -1..1 as 16-bit levels, -32768..32767; what is outside is clipped."""
    levels: NDArray[np.int16] = (
        np.rint((values + 1) * 32_767.5 - 32_768).clip(-32_768, 32_767).astype(np.int16)
    )
    return levels
