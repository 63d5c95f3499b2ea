"""The folder of a bundle: its list of files, which folders may be replaced, and how."""

from __future__ import annotations

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
    ours = set(_listing(destination).get("files", ()))
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


def facts_of(folder: Path) -> dict[str, Any]:
    """What bundle.json says about the origin of a bundle; nothing if the folder is not a bundle."""
    return dict(_listing(folder).get("about", {}))


def _listing(folder: Path) -> dict[str, Any]:
    """The content of a bundle's bundle.json; nothing if the folder is not a bundle."""
    with suppress(OSError, ValueError):
        listing = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
        if isinstance(listing, dict) and listing.get("kind") == MARK:
            return listing
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
