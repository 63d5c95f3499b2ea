"""Whose code an exception came through: notes on it, which leave its type and its traceback alone.

So what looks at types on the way, memory that ran out for one, still finds what it looks for.
"""

from __future__ import annotations

from collections.abc import Callable

from ganzoo.util.text import printable

_MARK = "ganzoo: in "


class Blame:
    """The block runs `whose` code. `contents` tells what a key that is missing there could have been."""

    __slots__ = ("contents", "whose")

    def __init__(self, whose: str, contents: Callable[[], str] | None = None) -> None:
        self.whose = whose
        self.contents = contents

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            told = f"; {self.contents()}" if self.contents and isinstance(error, KeyError) else ""
            error.add_note(f"{_MARK}{self.whose}{told}")


def blamed(error: BaseException) -> tuple[str, str]:
    """Whose code it came through, from the innermost on, and what there was in place of a missing key."""
    notes = [note.removeprefix(_MARK) for note in getattr(error, "__notes__", ()) if note.startswith(_MARK)]
    parts = [printable(note, 1000).partition("; ") for note in notes]
    return ", in ".join(part[0] for part in parts), "; ".join(part[2] for part in parts if part[2])
