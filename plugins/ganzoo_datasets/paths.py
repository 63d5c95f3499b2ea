"""The argument behind the colon of `--data NAME:PATH`, checked before a loader reads anything."""

from __future__ import annotations

from pathlib import Path

from ganzoo.api import DataError


def given_path(dataset: str, argument: str, expects: str) -> Path:
    """The path a user gave, which exists.

    `expects` says what should be there, for the error message. DataError when nothing was given,
    nothing is there, it is no file or folder (a pipe would be waited for), or its name cannot be written
    down in a run's settings.
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
    if not (path.is_file() or path.is_dir()):
        raise DataError(
            "This is neither a file nor a folder.",
            where=f"--data {dataset}:{argument}",
            fix=f"PATH is {expects}",
        )
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            "The path is not text: it holds bytes that are not UTF-8.",
            where=ascii(str(path.absolute())),
            fix="rename the folders on the way, or make a link with another name",
        ) from error
    return path
