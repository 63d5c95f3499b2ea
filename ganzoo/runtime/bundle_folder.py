"""The folder of a bundle: its list of files, which folders may be replaced, and how."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.util.files import storage, sync_folder, write_synced

BUNDLE_FILE = "bundle.json"
MARK = "ganzoo-bundle"


def check_destination(destination: Path) -> None:
    """UsageError unless the destination is missing, an empty folder, or a bundle without other files."""
    if not os.path.lexists(destination):
        return
    if not destination.is_dir():
        raise UsageError("The destination is a file.", where=str(destination), fix="choose a folder")
    with storage(destination):
        present = {entry.name for entry in destination.iterdir()}
    if not present:
        return
    ours = _listing(destination).get("files", set())
    if not ours:
        raise UsageError(
            "The destination is a folder with other files, not a bundle.",
            where=str(destination),
            fix="choose another folder",
        )
    if present - ours:
        raise UsageError(
            f"The old bundle contains a file that is not part of it: {min(present - ours)}.",
            where=str(destination),
            fix="move it away, or choose another folder",
        )


def usual_folder(name: str, fact: str, value: str) -> Path:
    """The first of exported/NAME, exported/NAME-2, ... that is missing, or a bundle with this fact."""
    first = Path("exported") / name
    numbered = (first.with_name(f"{name}-{number}") for number in itertools.count(2))
    return next(
        folder
        for folder in itertools.chain([first], numbered)
        if not os.path.lexists(folder) or _listing(folder).get("about", {}).get(fact) == value
    )


def _listing(folder: Path) -> dict[str, Any]:
    """The content of a bundle's bundle.json; nothing if the folder is not a bundle."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        listing = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
        if listing["kind"] == MARK:
            return {**listing, "files": {*listing["files"]}, "about": {**listing.get("about", {})}}
    return {}


def swap_in(destination: Path, contents: Mapping[str, bytes]) -> None:
    """Make `destination` a folder with these files, as a whole: a failure leaves the old folder."""
    token = f"{os.getpid()}-{secrets.token_hex(4)}"
    fresh = destination.with_name(f".{destination.name}.{token}.new")
    old = destination.with_name(f".{destination.name}.{token}.old")
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        fresh.mkdir()
        for name, data in contents.items():
            write_synced(fresh / name, data)
        sync_folder(fresh)
        replaces = destination.exists()
        if replaces:
            destination.rename(old)
        try:
            fresh.rename(destination)
        except BaseException:
            if replaces:
                old.rename(destination)
            raise
        sync_folder(destination.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
