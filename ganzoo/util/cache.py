"""Where ganzoo keeps what it can make again: decoded images, features, classifiers."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from ganzoo.errors import StorageError
from ganzoo.util.files import write_bytes

_SEAL = 32  # bytes in front of what is kept, by which it is known to be whole and of that name


def cache_folder() -> Path:
    """$GANZOO_CACHE, or ganzoo's place in the user's cache folder. It need not exist yet."""
    named = os.environ.get("GANZOO_CACHE", "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("ganzoo"))


def keep_cached(kind: str, name: str, content: bytes) -> None:
    """Keep bytes in the cache as the file `kind`/`name`, whole or not at all.

    A folder that cannot be written is no error: what is kept can be made again.
    """
    with suppress(StorageError):
        write_bytes(cache_folder() / kind / name, _seal(name, content) + content)


def read_cached(kind: str, name: str) -> bytes | None:
    """What `keep_cached` was given; None when it is not there, not whole, or kept under another name."""
    try:
        raw = (cache_folder() / kind / name).read_bytes()
    except OSError:
        return None
    content = raw[_SEAL:]
    return content if raw[:_SEAL] == _seal(name, content) else None


def _seal(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()
