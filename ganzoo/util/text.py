"""Text for users: names of files, texts of plugins and messages of libraries made safe to show; durations."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


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


def typed(path: object) -> str:
    """A path as it is typed in a shell: quoted if it has spaces or other special characters."""
    return shlex.quote(str(path))


def counted(count: int, noun: str, nouns: str = "") -> str:
    """A number and what is counted: "1 image", "2,000 images"; `nouns` where the plural is not noun + s."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


@dataclass(frozen=True)
class Unit:
    """What samples of some data are called: one, and several."""

    noun: str = "sample"
    nouns: str = "samples"

    def count(self, number: int) -> str:
        """So many of them: "1 image", "2,000 rows"."""
        return counted(number, self.noun, self.nouns)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names in a list for a message: "a, b, c, d, e and 300 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + f" and {more:,} more" * (more > 0)


def spoken(seconds: float) -> str:
    """A duration in its natural unit: "40 seconds", "9 minutes", "4.5 hours", "3 days"."""
    unit, size = next((unit, size) for unit, size, until in _UNITS if seconds < until)
    count = round(seconds / size, 1 if unit == "hour" and seconds < 10 * size else None)
    return f"{count:,g} {unit}" + ("" if count == 1 else "s")


def megabytes(size: int) -> str:
    """The size of a file: "1.96 MB", and below a megabyte "3.2 kB"."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


# Name, seconds, and the first duration in seconds that has a larger unit.
_UNITS = (("second", 1, 90), ("minute", 60, 5400), ("hour", 3600, 172_800), ("day", 86_400, float("inf")))


def ending_of(name: str) -> str:
    """The ending of a file name in lower case, with the one before it if it is compressed: `.nii.gz`."""
    match = _ENDING.search(name)
    return match[0].lower() if match else ""


_ENDING = re.compile(r"(?<=[^/])(\.[A-Za-z]\w{0,4})?\.(gz|bz2|xz|zst)$|(?<=[^/])\.[^./\s]+$", re.IGNORECASE)
