"""Reads bundle.json of a stranger, and checks the files beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.runtime.bundle_folder import BUNDLE_FILE, MARK
from ganzoo.runtime.onnx_file import examine

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST_FILES = 100


def read_listing(data: bytes, where: str) -> dict[str, Any]:
    """The content of bundle.json; UsageError if it is not one or names files outside its own folder."""
    try:
        listing: dict[str, Any] = json.loads(data)
        files = listing["files"]
        graphs = {str(entry["file"]): str(entry["sha256"]) for entry in listing["generators"].values()}
        whole = (
            listing["kind"] == MARK
            and {BUNDLE_FILE, *graphs} <= set(files)
            and set(graphs) == {name for name in files if name.endswith(".onnx")}
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{BUNDLE_FILE} cannot be read.", where=where) from error
    if not whole or not graphs:
        raise UsageError(f"{BUNDLE_FILE} does not describe a bundle of ganzoo.", where=where)
    if len({name.lower() for name in files}) != len(files) or len(files) > _MOST_FILES:
        raise UsageError(f"{BUNDLE_FILE} names a file twice, or more than {_MOST_FILES} files.", where=where)
    for name in files:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{BUNDLE_FILE} has a file name that is not allowed: {name!a}.", where=where)
    return listing


def check_graphs(listing: Mapping[str, Any], contents: Mapping[str, bytes], where: str) -> None:
    """UsageError unless each graph has its checksum of bundle.json and passes the guard."""
    for entry in listing["generators"].values():
        data = contents[entry["file"]]
        place = f"{where}: {entry['file']}"
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise UsageError(f"The file does not have the sha256 that {BUNDLE_FILE} says.", where=place)
        examine(data, place)
