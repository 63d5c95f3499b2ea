"""The files below a folder: one rule of what is hidden, and of links, for data of every kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HIDDEN = (".", "__MACOSX")  # .DS_Store, ._NAME and __MACOSX: what macOS adds to folders and archives


def is_hidden(name: str) -> bool:
    """Whether a file or a folder of that name is no data."""
    return name.startswith(_HIDDEN)


@dataclass(frozen=True)
class FolderFiles:
    """One folder: its path relative to the root, empty for the root itself, and the sorted names in it.

    `links` are links to folders, which are not followed: a link upwards would never end.
    """

    path: str
    files: tuple[str, ...]
    links: tuple[str, ...]

    def inner(self, name: str) -> str:
        """The path of a name in this folder, relative to the root."""
        return f"{self.path}/{name}" if self.path else name


def folders_below(root: Path) -> Iterator[FolderFiles]:
    """The root and all folders below it, in a stable order, without what is hidden.

    OSError for a folder that cannot be listed; else its files would be missing silently.
    """
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        inner = Path(folder).relative_to(root)
        yield FolderFiles(
            "" if inner == Path() else inner.as_posix(),
            tuple(sorted(name for name in files if not is_hidden(name))),
            tuple(name for name in subfolders if os.path.islink(f"{folder}/{name}")),  # noqa: PTH114
        )


def _refuse(error: OSError) -> None:
    raise error
