"""What a page needs of the generators of a bundle: checked files, fields, graphs, directions.

The same guard as for `ganzoo.load` checks each file.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from ganzoo.errors import ExportError, UsageError
from ganzoo.exporting.weights import store_weights
from ganzoo.fields import Field, with_pixels
from ganzoo.page.directions import directions_of
from ganzoo.page.graph import encode_graph
from ganzoo.registry.kinds import Kinds
from ganzoo.runtime import onnx_file
from ganzoo.runtime.generator import Generator, from_bytes
from ganzoo.runtime.guard.check import check
from ganzoo.runtime.guard.shape_inference import steps

__all__ = ["SPEED", "Entry", "Options", "entry"]

SPEED = 5e8
"""Multiplications that the interpreter does in a second in a browser, in convolutions; measured 3e8 to 1e9."""

_LARGE_SECONDS, _MOST_SECONDS = 2.0, 60.0  # for a sample, by the interpreter
_FACTS = ("recipe", "architecture", "loss", "data", "images", "licence", "license", "author")
_CARD_SIDE = 256  # pixels of the picture of a bundle in a gallery
_LARGEST_CARD = 64_000_000  # pixels of a file that is opened for it


@dataclass(frozen=True, kw_only=True)
class Options:
    """`engine` is `mini`, `ort` or `auto`; `ort` says whether onnxruntime-web is there to be embedded.

    `float32` keeps weights as they are; else they are float16 where samples hardly change. `trust` also takes
    files of other programs. `note` gets what the user should know.
    """

    kinds: Kinds
    note: Callable[[str], None]
    engine: str = "auto"
    ort: bool = False
    float32: bool = False
    trust: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A bundle in a page: JSON of its generators, and the values of their weights or whole graphs, as bytes."""

    title: str
    generators: list[dict[str, Any]]
    weights: list[bytes] = field(repr=False)
    picture: bytes | None = None


def entry(bundle: Path, options: Options) -> Entry:
    """All generators of a bundle folder, or the one in an .onnx file."""
    files = sorted(bundle.glob("*.onnx")) if bundle.is_dir() else [bundle]
    if not files:
        raise UsageError(
            "There is no exported generator.", where=str(bundle), fix="ganzoo export RUN makes one"
        )
    made = [_generator(onnx_file.find(file, ""), options) for file in files]
    title = bundle.resolve().stem if bundle.is_file() else bundle.resolve().name
    return Entry(
        title=title,
        generators=[record for record, _ in made],
        weights=[data for _, data in made],
        picture=_picture(bundle),
    )


def _generator(file: Path, options: Options) -> tuple[dict[str, Any], bytes]:
    data = onnx_file.read(file)
    loaded = from_bytes(data, provider="cpu", where=str(file), trust=options.trust)
    seconds = _seconds(data, loaded, str(file))
    engine = _engine(seconds, options, str(file))
    model = onnx.load_from_string(data)
    stored = {item.data_type for item in model.graph.initializer}
    if not options.float32 and onnx.TensorProto.FLOAT16 not in stored and not loaded.about.get("stored"):
        model = _smaller(model, loaded, options)
    record = _record(loaded, options.kinds)
    record |= {"engine": engine, "seconds": seconds}
    if engine == "ort":
        return record, model.SerializeToString()
    graph, values = encode_graph(model, str(file))
    return record | {"graph": graph}, values


def _seconds(data: bytes, loaded: Generator, where: str) -> float:
    """What a sample takes the interpreter, roughly."""
    checked = check(data, where, lambda: loaded.inputs)
    known = {item.name: item for item in loaded.inputs}
    inputs = tuple(
        replace(value, dims=(1, *known[value.name].shape)) if value.name in known else value
        for value in checked.graph.inputs
    )
    work = sum(step.work for step in steps(replace(checked.graph, inputs=inputs)))
    return work / SPEED


def _engine(seconds: float, options: Options, where: str) -> str:
    large = seconds > _LARGE_SECONDS
    if options.engine == "ort" or (options.engine == "auto" and large and options.ort):
        if not options.ort:
            raise UsageError(
                "--engine ort needs the files of onnxruntime-web.",
                fix="npm pack onnxruntime-web, unpack it, and give its folder: --ort DIR",
            )
        return "ort"
    if large:
        said = f"The interpreter of the page takes about {seconds:.0f} s for a sample"
        fix = "--ort DIR embeds onnxruntime-web (npm package), which is about 30 times faster"
        if seconds > _MOST_SECONDS:
            raise UsageError(f"{said}: too long.", where=where, fix=fix)
        options.note(f"{said} of {where}; {fix}")
    return "mini"


def _smaller(model: onnx.ModelProto, loaded: Generator, options: Options) -> onnx.ModelProto:
    """The model with float16 weights, or as it is where its samples would change too much."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    try:
        store_weights(small, "float16", loaded.inputs, loaded.outputs, loaded.batch)
    except ExportError as error:
        options.note(f"weights stay float32: {error.what}")
        return model
    return small


def _record(loaded: Generator, kinds: Kinds) -> dict[str, Any]:
    inputs, outputs = (kinds.assign(map(with_pixels, fields)) for fields in (loaded.inputs, loaded.outputs))
    for text in kinds.unknown((*inputs, *outputs)):
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return {
        "name": loaded.name,
        "about": {key: loaded.about[key] for key in _FACTS if loaded.about.get(key)},
        "batch": loaded.batch,
        "inputs": [_field(item, kinds) | {"stream": _stream(item.name)} for item in inputs],
        "outputs": [_field(item, kinds) | {"layout": loaded.layouts.get(item.name)} for item in outputs],
        "directions": directions_of(loaded),
    }


def _field(item: Field, kinds: Kinds) -> dict[str, Any]:
    viewer = kinds.of(item.kind).viewer(item)
    record = item.to_json() | {"viewer": viewer.name, "options": dict(viewer.options)}
    return {key: value for key, value in record.items() if key not in ("facts", "original")}


def _stream(name: str) -> str:
    """The second half of Philox's key for a field, see `ganzoo.sampling`; JSON has no such large numbers."""
    return str(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def _picture(bundle: Path) -> bytes | None:
    """The samples of a bundle, cut to a small square as WebP, if there is such a picture."""
    from PIL import Image

    file = bundle / "samples.png"
    if not file.is_file():
        return None
    with suppress(OSError, ValueError, SyntaxError), Image.open(file, formats=("PNG",)) as found:
        if found.width * found.height > _LARGEST_CARD:
            return None
        side = min(found.size)
        picture = found.convert("RGB").crop((0, 0, side, side))
        if side > _CARD_SIDE:
            picture = picture.resize((_CARD_SIDE, _CARD_SIDE), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        picture.save(data, "WEBP", quality=80)
        return data.getvalue()
    return None


def unique(titles: Iterable[str]) -> list[str]:
    """The titles, with numbers where several are equal."""
    counts: dict[str, int] = {}
    result = []
    for title in titles:
        counts[title] = counts.get(title, 0) + 1
        result.append(title if counts[title] == 1 else f"{title} ({counts[title]})")
    return result
