"""Where ganzoo keeps what it can make again: decoded pictures, features, judges."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """$GANZOO_CACHE, or ganzoo's place in the user's cache folder. It need not exist yet."""
    named = os.environ.get("GANZOO_CACHE", "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("ganzoo"))
