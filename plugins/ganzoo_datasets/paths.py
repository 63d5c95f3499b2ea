"""The argument behind the colon of `--data NAME:PATH`, checked before a loader reads anything."""

from __future__ import annotations

from pathlib import Path

from ganzoo.api import DataError


def given_path(dataset: str, argument: str, expects: str) -> Path:
    """The path a user gave, which exists.

    `expects` says what should be there, for the error message. DataError when nothing was given or
    nothing is there.
    """
    if not argument:
        raise DataError(
            f"The data set '{dataset}' needs a path.",
            where=f"--data {dataset}",
            fix=f"--data {dataset}:PATH, where PATH is {expects}",
        )
    path = Path(argument).expanduser()
    if not path.exists():
        raise DataError(
            "There is nothing at that path.",
            where=f"--data {dataset}:{argument}",
            fix=f"check the spelling; PATH is {expects}",
        )
    return path
