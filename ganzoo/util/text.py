"""Text from outside, made safe to show: names of files, words of plugins, messages of libraries."""

from __future__ import annotations


def printable(text: str, limit: int = 0) -> str:
    r"""The text on one line, without anything that a terminal or a text file would act on.

    Control characters, terminal escapes, direction marks and what is not Unicode (bytes of a file
    name, say) are written as `\x1b`, `\u202e`, `\udcff`. Cut after `limit` characters unless that is 0.
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
