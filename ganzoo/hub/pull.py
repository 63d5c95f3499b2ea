"""Fetches a bundle from the Hub, or one .onnx file from an address; checks it, then writes it as a whole."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo._version import __version__
from ganzoo.errors import FailedError, UsageError
from ganzoo.hub.client import TIMEOUT, check_repository, client, fetched, hub_errors
from ganzoo.hub.listing import check_graphs, read_listing
from ganzoo.runtime.bundle_folder import BUNDLE_FILE, check_destination, swap_in
from ganzoo.runtime.onnx_file import examine, read
from ganzoo.util.files import storage, write_bytes
from ganzoo.util.progress import report_progress

LARGEST = 2**31 - 1
"""Bytes of one file: protobuf reads no more."""

_LARGEST_TEXT = 16 * 2**20  # bytes of bundle.json
_BLOCK = 2**20
_AGAIN = "pull again later; nothing was written"


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What was written. `commit` is the one on the Hub, empty for a file or an address."""

    path: Path
    files: dict[str, str]
    commit: str = ""
    license: str = ""


def pull(source: str, output: Path | None, *, sha256: str | None = None) -> Pulled:
    """Fetch `hf://user/name[@revision]` into a folder, or `file:PATH` or `https://URL` into an .onnx file.

    UsageError for a source, a checksum or a graph that is not as it should be; FailedError when the way to
    the source fails. In both cases nothing is written.
    """
    if source.startswith("hf://"):
        if sha256:
            raise UsageError(
                "--sha256 is for files and addresses.", fix="pin the commit: hf://user/name@COMMIT"
            )
        repository, _, revision = source.removeprefix("hf://").partition("@")
        return _pull_bundle(repository, revision or "main", output)
    if not source.startswith(("file:", "https://")):
        raise UsageError(
            f"'{source}' is not a source.", fix="hf://user/name[@revision], file:PATH or https://URL"
        )
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256 or ""):
        raise UsageError(
            "A file or an address needs --sha256 with 64 hexadecimal digits.",
            where=source,
            fix="take it from whoever made the file; they get it with sha256sum FILE",
        )
    return _pull_file(source, output, str(sha256).lower())


def _pull_bundle(repository: str, revision: str, output: Path | None) -> Pulled:
    check_repository(repository)
    destination = (output or Path(repository.partition("/")[2])).resolve()
    check_destination(destination)
    api = client().HfApi(library_name="ganzoo", library_version=__version__)
    with hub_errors(repository, _AGAIN):
        info = api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT)
    commit = str(info.sha)
    if re.fullmatch(r"[0-9a-f]{40}", revision) and commit != revision:
        raise UsageError(f"The Hub answered with commit {commit}, not with {revision}.", where=repository)
    offered = {file.rfilename: file for file in info.siblings or ()}
    where = f"hf://{repository}@{commit}"
    if BUNDLE_FILE not in offered:
        raise UsageError(f"The repository has no {BUNDLE_FILE}, so it is no bundle of ganzoo.", where=where)

    def fetch(name: str, most: int) -> bytes:
        if name not in offered:
            raise UsageError(f"The repository lacks {name}, which {BUNDLE_FILE} names.", where=where)
        size = offered[name].size or 0
        if size > most:
            raise UsageError(f"{name} has {size:,} bytes, more than {most:,}.", where=where)
        with hub_errors(repository, _AGAIN):
            return _as_the_hub_says(fetched(repository, commit, name, size), offered[name], where)

    listing = read_listing(fetch(BUNDLE_FILE, _LARGEST_TEXT), where)
    contents = {name: fetch(name, LARGEST) for name in listing["files"] if name != BUNDLE_FILE}
    check_graphs(listing, contents, where)
    listing["pulled"] = {"from": f"hf://{repository}", "commit": commit}
    contents[BUNDLE_FILE] = (json.dumps(listing, indent=2, ensure_ascii=False) + "\n").encode()
    with storage(destination):
        swap_in(destination, contents)
    about = listing.get("about")
    return Pulled(
        path=destination,
        files={name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
        commit=commit,
        license=str(about.get("license", "")) if isinstance(about, dict) else "",
    )


def _as_the_hub_says(data: bytes, file: Any, where: str) -> bytes:
    """The data; UsageError unless it has the sha256 of a large file, or the git hash of a small one."""
    if file.lfs is not None:
        same = hashlib.sha256(data).hexdigest() == file.lfs.sha256
    else:
        blob = b"blob %d\0" % len(data) + data
        same = hashlib.sha1(blob, usedforsecurity=False).hexdigest() == file.blob_id
    if not same:
        raise UsageError(f"{file.rfilename} does not have the checksum of the Hub.", where=where, fix=_AGAIN)
    return data


def _pull_file(source: str, output: Path | None, sha256: str) -> Pulled:
    local = source.startswith("file:")
    path = urllib.parse.unquote(urllib.parse.urlsplit(source).path)
    path = source.removeprefix("file:") if local and not source.startswith("file://") else path
    if local and Path(path).is_dir():
        raise UsageError("That is a folder.", where=source, fix="use or copy it: a bundle here needs no pull")
    target = output or Path(Path(path).name or "generator.onnx")
    if target.suffix != ".onnx" or target.is_dir():
        raise UsageError("The output must be an .onnx file.", where=str(target), fix="-o NAME.onnx")
    data = read(Path(path)) if local else download(source)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise UsageError(f"The file has the sha256 {found}, not {sha256}.", where=source)
    examine(data, source)
    if output is None and target.exists() and target.read_bytes() != data:
        raise UsageError("Another file has that name.", where=str(target), fix="-o NAME.onnx")
    write_bytes(target, data)
    return Pulled(path=target, files={target.name: found})


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to another scheme."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme != req.type:
            raise UsageError("The address leads to one of another scheme.", where=newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(address: str, most: int = LARGEST) -> bytes:
    """All bytes at an address; FailedError if the connection ends early, UsageError beyond `most` bytes."""
    agent = {"User-Agent": f"ganzoo/{__version__}"}
    request = urllib.request.Request(address, headers=agent)  # noqa: S310 - `pull` has checked the scheme
    parts, size = [], 0
    try:
        with urllib.request.build_opener(_SameScheme).open(request, timeout=TIMEOUT) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while total <= most and size <= most and (part := answer.read(_BLOCK)):
                parts.append(part)
                size += len(part)
                report_progress("bytes downloaded", size, total)
    except urllib.error.HTTPError as error:
        raise FailedError(f"The server answered with error {error.code}.", where=address) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FailedError(f"The download failed: {error}.", where=address, fix=_AGAIN) from error
    if max(total, size) > most:
        raise UsageError(f"The file has more than {most:,} bytes.", where=address)
    if size < total:
        raise FailedError(f"The download ended after {size:,} of {total:,} bytes.", where=address, fix=_AGAIN)
    return b"".join(parts)
