"""The files of a data set below a folder, by their endings, and what to say of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganzoo.api import DataError, counted, ending_of, folders_below

_SHOWN = 5
_LINKS = 3
_MANY = 0.05  # a share of other files that is named


@dataclass(frozen=True)
class Files:
    """Files as paths relative to the root; `others` counts those of other endings by ending.

    `links` are links to folders, which are not followed.
    """

    names: tuple[str, ...]
    others: Counter[str]
    links: tuple[str, ...] = ()

    def notes(self, nouns: str) -> list[str]:
        """What the user should know of links and of other files; `nouns` says what the files are."""
        total = self.others.total()
        notes = [links_note(self.links)] if self.links else []
        if total > _MANY * (total + len(self.names)):
            notes.append(
                f"{total:,} of {total + len(self.names):,} files are ignored, because their endings are not "
                f"those of {nouns}: {endings(self.others)}"
            )
        return notes


def files_with(root: Path, suffixes: Sequence[str]) -> Files:
    """The files at any depth that have one of the endings, which "" adds those without to; what is hidden
    is not counted. `root` may be one file.
    """
    if root.is_file():
        return Files(("",), Counter())
    names: list[str] = []
    links: list[str] = []
    others: Counter[str] = Counter()
    for folder in folders_below(root):
        links += map(folder.inner, folder.links)
        for name in folder.files:
            found = folder.inner(name)
            if not (root / found).is_file():
                continue  # a pipe, or a broken link
            if Path(name).suffix.lower() in suffixes:
                names.append(found)
            else:
                others[ending_of(name)] += 1
    return Files(tuple(sorted(names)), others, tuple(links))


def endings(others: Counter[str]) -> str:
    """`12 .txt, 3 .svg`: files by their endings."""
    parts = [f"{count:,} {ending or 'without ending'}" for ending, count in others.most_common(_SHOWN)]
    return ", ".join([*parts, *(["..."] if len(others) > _SHOWN else [])])


def links_note(links: Sequence[str]) -> str:
    """That links are not followed, with the names of some."""
    shown = f"{', '.join(links[:_LINKS])}{', ...' if len(links) > _LINKS else ''}"
    return f"{counted(len(links), 'link')} to folders not followed: {shown}"


def no_files(root: Path, nouns: str, others: Counter[str], links: Sequence[str], fix: str) -> DataError:
    """The error for a folder without files of a kind: what is there instead."""
    if not others and links:
        return DataError(
            f"The folder has no {nouns}, but {links_note(links)}.",
            where=str(root),
            fix="give the folder that a link names as PATH, or copy its files here: cp -rL FOLDER COPY",
        )
    if not others:
        return DataError(f"The folder is empty: there are no {nouns}.", where=str(root), fix=fix)
    linked = f"; {links_note(links)}" if links else ""
    found = counted(others.total(), "file")
    return DataError(
        f"The folder has no {nouns} among {found}: {endings(others)}{linked}.", where=str(root), fix=fix
    )
