"""The cache of results that can be computed again: decoded images, features, classifiers."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from ganzoo.errors import StorageError
from ganzoo.util.files import write_bytes

_SEAL = 32  # bytes before the content: a hash of name and content


def cache_folder() -> Path:
    """$GANZOO_CACHE, or ganzoo's folder in the user's cache folder. It need not exist yet."""
    named = os.environ.get("GANZOO_CACHE", "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("ganzoo"))


def keep_cached(kind: str, name: str, content: bytes) -> None:
    """Write bytes into the cache as the file `kind`/`name`, completely or not at all.

    A folder that cannot be written is not an error, because the content can be computed again.
    """
    with suppress(StorageError):
        write_bytes(cache_folder() / kind / name, _seal(name, content) + content)


def read_cached(kind: str, name: str) -> bytes | None:
    """The bytes that `keep_cached` wrote; None if they are missing, damaged, or of another name."""
    try:
        raw = (cache_folder() / kind / name).read_bytes()
    except OSError:
        return None
    content = raw[_SEAL:]
    return content if raw[:_SEAL] == _seal(name, content) else None


def _seal(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()
