"""Previews of samples as values of a program's own kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def previews(files: Sequence[Path], kinds: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Values by the names of files, without the number of images. Files of other kinds are left out."""
    return {
        f"samples{file.stem[12:]}": kinds[file.suffix](str(file)) for file in files if file.suffix in kinds
    }
