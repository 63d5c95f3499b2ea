"""Puts a bundle into a repository of the Hugging Face Hub, as one commit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ganzoo._version import __version__
from ganzoo.errors import UsageError
from ganzoo.hub.client import check_repository, client, hub_errors
from ganzoo.hub.listing import check_graphs, read_listing
from ganzoo.runtime.bundle_folder import BUNDLE_FILE
from ganzoo.runtime.onnx_file import read

_NO_LICENSE = ("", "unknown", "none")
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]*")


def push(bundle: Path, repository: str, *, license_id: str | None = None, private: bool = False) -> str:
    """Put the files of a bundle into `user/name`, which is made if it is missing; returns the commit's hash.

    The license is that of the bundle, or `license_id` for one without. UsageError without a license or a
    token, for files that are not as bundle.json says, and for a card that the Hub refuses.
    """
    check_repository(repository)
    contents = _contents(bundle)
    listing = read_listing(contents[BUNDLE_FILE], str(bundle))
    contents["README.md"], contents[BUNDLE_FILE] = _licensed(listing, contents, str(bundle), license_id)
    hub = client()
    token = hub.get_token()
    if not token:
        raise UsageError("There is no token for the Hub.", fix="set HF_TOKEN, or run `hf auth login`")
    api = hub.HfApi(library_name="ganzoo", library_version=__version__)
    with hub_errors(repository, "push again: what has arrived is not sent twice"):
        _check_card(hub, contents["README.md"].decode(), str(bundle))
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(
            repository,
            [hub.CommitOperationAdd(name, data) for name, data in contents.items()],
            commit_message=f"Bundle of ganzoo {__version__}",
        )
    return str(commit.oid)


def _contents(bundle: Path) -> dict[str, bytes]:
    """The files of a bundle, checked."""
    if not (bundle / BUNDLE_FILE).is_file():
        raise UsageError("This is not a bundle.", where=str(bundle), fix="`ganzoo export RUN` makes one")
    listing = read_listing(read(bundle / BUNDLE_FILE), str(bundle))
    for name in listing["files"]:
        if (bundle / name).is_symlink():
            raise UsageError(f"{name} is a link, not a file.", where=str(bundle), fix="copy the file there")
    contents = {name: read(bundle / name) for name in listing["files"]}
    check_graphs(listing, contents, str(bundle))
    if "README.md" not in contents:
        raise UsageError("The bundle has no card, README.md.", where=str(bundle), fix="export again")
    return contents


def _licensed(
    listing: dict[str, Any], contents: dict[str, bytes], where: str, license_id: str | None
) -> tuple[bytes, bytes]:
    """The card and bundle.json with the license; the header of the card is read as YAML."""
    hub = client()
    try:
        card = hub.ModelCard(contents["README.md"].decode())
        about = dict(listing["about"])
    except (ValueError, TypeError, KeyError, hub.errors.StrictDataclassError) as error:
        raise UsageError(f"The card's header is not valid: {error}", where=where) from error
    said = str(card.data.license or "")
    said = "" if said in _NO_LICENSE else said
    chosen = (license_id or said).lower()  # the Hub's identifiers are in lower case
    if said and chosen != said.lower():
        raise UsageError(
            f"The bundle's license is {said}, not {license_id}.",
            where=where,
            fix="export or import again with --license",
        )
    if chosen in _NO_LICENSE:
        raise UsageError(
            "The bundle has no license.",
            where=where,
            fix="--license NAME, such as cc-by-4.0; it is never guessed",
        )
    if not _IDENTIFIER.fullmatch(chosen):
        raise UsageError(
            f"'{chosen}' is not an identifier of a license.", where=where, fix="such as cc-by-4.0"
        )
    if chosen == said:
        return contents["README.md"], contents[BUNDLE_FILE]
    card.data.license = chosen
    text = json.dumps(listing | {"about": about | {"license": chosen}}, indent=2, ensure_ascii=False) + "\n"
    return str(card).encode(), text.encode()


def _check_card(hub: Any, text: str, where: str) -> None:
    try:
        hub.ModelCard(text).validate()
    except ValueError as error:
        raise UsageError(f"The Hub does not accept the card: {error}", where=where) from error
