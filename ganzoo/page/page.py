"""One HTML file that shows generators and computes their samples in the browser, without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganzoo._version import __version__
from ganzoo.errors import StorageError, UsageError
from ganzoo.page.generators import Entry, Options, entry, unique
from ganzoo.page.graph import script
from ganzoo.util.files import write_bytes

__all__ = ["LARGEST", "page", "write_page"]

LARGEST = 64_000_000
"""Bytes of a page: browsers take seconds to open more."""

_WORKER = ("tensors.js", "windows.js", "operators.js", "graph.js", "random.js", "samples.js", "worker.js")
_PAGE = ("tensors.js", "random.js", "samples.js", "files.js", "viewers.js", "page.js")
_ORT = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def write_page(
    bundles: Sequence[Path], output: Path, options: Options, ort: Path | None = None
) -> dict[str, Any]:
    """Write the page of these bundles; returns its size in `bytes` and the `engines` in use.

    `ort` is the folder of the npm package onnxruntime-web. UsageError for a page that is too large.
    """
    made = [entry(bundle, options) for bundle in _shown(bundles)]
    text = page(made, ort).encode()
    if len(text) > LARGEST:
        raise UsageError(
            f"The page would have {len(text) / 1e6:.0f} MB; {LARGEST / 1e6:.0f} are the most that "
            "browsers open well.",
            fix="fewer bundles, or smaller networks; `ganzoo export --triton` is for a server",
        )
    write_bytes(output, text)
    return {"bytes": len(text), "engines": sorted(_engines(made))}


def page(entries: Sequence[Entry], ort: Path | None = None) -> str:
    """The HTML of the page. Its policy lets a browser neither fetch anything nor run any other script."""
    titles = unique(item.title for item in entries)
    title = titles[0] if len(titles) == 1 else f"{len(titles)} generators"
    blocks, listing = [], []
    for name, item in zip(titles, entries, strict=True):
        generators = []
        for record, weights in zip(item.generators, item.weights, strict=True):
            generators.append(record | {"weights": f"data-{len(blocks)}"})
            blocks.append(_block(f"data-{len(blocks)}", weights))
        card = {"title": name, "generators": generators}
        if len(entries) > 1 and item.picture:
            card["picture"] = f"data:image/webp;base64,{base64.b64encode(item.picture).decode()}"
        listing.append(card)
    uses_ort = "ort" in _engines(entries)
    if uses_ort:
        if ort is None:
            raise UsageError("The engine ort needs the files of onnxruntime-web.", fix="--ort DIR")
        blocks += [_block(f"ort-{at}", _ort_file(ort, name)) for at, name in enumerate(_ORT)]
    css = script("page.css")
    code = _joined(_PAGE)
    inner = "blob: 'wasm-unsafe-eval'" if uses_ort else ""
    policy = (
        f"default-src 'none'; img-src data: blob:; media-src blob:; worker-src blob:; "
        f"style-src '{_digest(css)}'; script-src '{_digest(code)}' {inner}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)}</title><style>{css}</style></head>\n'
        f"<body>{script('page.html').replace('GANZOO_VERSION', __version__)}\n"
        f'<script type="application/json" id="bundles">{_json(listing)}</script>\n'
        + "\n".join([_block("worker", _joined(_WORKER).encode()), *blocks])
        + f"\n<script>{code}</script></body></html>\n"
    )


def _shown(bundles: Sequence[Path]) -> list[Path]:
    """The bundles, without files of other types that `exported/*` also names."""
    found = [path for path in bundles if not path.is_file() or path.suffix.lower() == ".onnx"]
    return found or list(bundles)


def _engines(entries: Sequence[Entry]) -> set[str]:
    return {record["engine"] for item in entries for record in item.generators}


def _joined(names: Sequence[str]) -> str:
    return '"use strict";\n' + "\n".join(map(script, names))


def _json(value: Any) -> str:
    """JSON that ends no element of HTML, whatever the names in it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _block(name: str, data: bytes) -> str:
    packed = base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>'


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _ort_file(folder: Path, name: str) -> bytes:
    found = next((path for path in (folder / name, folder / "dist" / name) if path.is_file()), None)
    if found is None:
        raise UsageError(
            f"The folder of onnxruntime-web has no {name}.",
            where=str(folder),
            fix="give the folder of the unpacked npm package onnxruntime-web",
        )
    try:
        return found.read_bytes()
    except OSError as error:
        raise StorageError(f"{name} could not be read: {error.strerror}.", where=str(found)) from error
