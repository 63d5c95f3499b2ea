"""Notes on an exception that name the code that it came from. Its type and traceback do not change.

So code that looks at the type, for example to find out-of-memory errors, still works.
"""

from __future__ import annotations

from collections.abc import Callable

from ganzoo.util.text import printable

_MARK = "ganzoo: in "


class Blame:
    """The block runs the code of `whose`. `contents` describes the existing keys, for a KeyError."""

    __slots__ = ("contents", "whose")

    def __init__(self, whose: str, contents: Callable[[], str] | None = None) -> None:
        self.whose = whose
        self.contents = contents

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            contents = f"; {self.contents()}" if self.contents and isinstance(error, KeyError) else ""
            error.add_note(f"{_MARK}{self.whose}{contents}")


def blamed(error: BaseException) -> tuple[str, str]:
    """The names of the code that the error came from, innermost first, and the keys that existed."""
    notes = [note.removeprefix(_MARK) for note in getattr(error, "__notes__", ()) if note.startswith(_MARK)]
    parts = [printable(note, 1000).partition("; ") for note in notes]
    return ", in ".join(part[0] for part in parts), "; ".join(part[2] for part in parts if part[2])
