"""Packages that only some files or scores need: they come with an extra of ganzoo."""

from __future__ import annotations

import importlib
from typing import Any

from ganzoo.errors import DataError, GanzooError


def optional_package(
    name: str,
    extra: str,
    use: str,
    *,
    where: str = "",
    otherwise: str = "",
    raises: type[GanzooError] = DataError,
) -> Any:
    """Import a package of an extra; where it is missing, the error `raises` says how to install it.

    `use`: what needs it, `An .mp4`. `otherwise`: another way, `or name a .gif`.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: it lacks a library of the system, as soundfile may
        package = name.partition(".")[0].replace("_", "-")
        checkout = f"pip install -c constraints.txt '.[{extra}]'"
        fix = f"in a checkout of ganzoo, {checkout}; elsewhere, pip install {package}"
        raise raises(
            f"{use} needs the package {package}: {error}",
            where=where,
            fix=f"{fix}; {otherwise}" if otherwise else fix,
        ) from error
