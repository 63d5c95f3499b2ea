"""Makes text from outside safe to show: names of files, texts of plugins, messages of libraries."""

from __future__ import annotations


def printable(text: str, limit: int = 0) -> str:
    r"""The text on one line, without control characters.

    Control characters, terminal escapes, direction marks and invalid Unicode (for example bytes of a file
    name) are written as `\x1b`, `\u202e`, `\udcff`. Cut after `limit` characters unless that is 0.
    """
    cut = bool(limit) and len(text) > limit
    if cut:
        text = text[: limit - 1]
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode()
            for character in text
        )
    return f"{text}…" if cut else text
