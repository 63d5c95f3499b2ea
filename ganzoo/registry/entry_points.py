"""Reads the metadata of installed distributions; a damaged one does not affect the others."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

from ganzoo.util.text import printable

UNKNOWN = "unknown"


def named(dist: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution; `unknown` where its metadata lacks them."""
    found = {"Name": "", "Version": ""}
    try:
        if dist is not None:
            metadata = dist.metadata
            found.update({key: str(metadata[key]) for key in found if key in metadata})
    except Exception:  # METADATA is missing or is not text
        found = dict.fromkeys(found, "")
    return printable(found["Name"], 80) or UNKNOWN, printable(found["Version"], 80) or UNKNOWN


def entry_points_one_by_one(group: str) -> tuple[list[EntryPoint], list[tuple[str, str, str]]]:
    """The entry points of a group, and the distributions whose entry points cannot be read.

    The latter are (name, version, reason). If several distributions have the same name, the first one on
    sys.path is used, as in `importlib.metadata.entry_points`.
    """
    points: list[EntryPoint] = []
    problems: list[tuple[str, str, str]] = []
    for dist in _unique():
        try:
            points += dist.entry_points.select(group=group)
        except Exception as error:
            reason = f"its entry_points.txt cannot be read: {type(error).__name__}: {error}"
            problems.append((*named(dist), printable(reason, 400)))
    return points, problems


def _unique() -> Iterator[Distribution]:
    seen: set[str] = set()
    for dist in distributions():
        name = named(dist)[0].lower().replace("_", "-").replace(".", "-")
        if name == UNKNOWN or name not in seen:
            seen.add(name)
            yield dist
