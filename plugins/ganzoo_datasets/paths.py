"""The argument behind the colon of `--data NAME:PATH`, checked before a loader reads anything."""

from __future__ import annotations

from pathlib import Path

from ganzoo.api import DataError


def given_path(dataset: str, argument: str, expects: str) -> Path:
    """The path that the user gave; it exists.

    `expects` describes the expected file or folder for the error message. DataError for an empty argument, a
    path that does not exist or is neither file nor folder (reading a pipe could block), or a name that cannot
    be written into a run's settings.
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
            "The path does not exist.",
            where=f"--data {dataset}:{argument}",
            fix=f"check the spelling; PATH is {expects}",
        )
    if not (path.is_file() or path.is_dir()):
        raise DataError(
            "The path is neither a file nor a folder.",
            where=f"--data {dataset}:{argument}",
            fix=f"PATH is {expects}",
        )
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            "The path is not text: it contains bytes that are not UTF-8.",
            where=ascii(str(path.absolute())),
            fix="rename the folders of the path, or make a link with another name",
        ) from error
    return path
