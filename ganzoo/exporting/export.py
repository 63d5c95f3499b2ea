"""Trained generators -> a bundle of checked ONNX files.

Calls the export of the graph, the checks, the model card and the bundle. Knows nothing of run directories:
the caller gives the networks, the fields of the data, and facts about the run. Imports torch and onnx.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ganzoo import runtime, sampling
from ganzoo.api.media import Preview
from ganzoo.api.networks import Networks
from ganzoo.errors import ExportError, PluginError
from ganzoo.exporting.bundle import check_destination, sealed_bytes, write_bundle
from ganzoo.exporting.distances import Frechet
from ganzoo.exporting.form import USUAL, Form
from ganzoo.exporting.model_card import Signature, model_card, usage
from ganzoo.exporting.onnx_graph import append_uint8, export_graph
from ganzoo.exporting.portable import describe
from ganzoo.exporting.verify import Parity, check
from ganzoo.exporting.watermark import Mark, check_pictures, marked
from ganzoo.exporting.weights import Stored, store_weights
from ganzoo.fields import DataInfo, Field
from ganzoo.networks.exports import exported
from ganzoo.registry.kinds import Kinds
from ganzoo.runtime.onnx_file import METADATA_KEY
from ganzoo.util.progress import lasting

__all__ = ["Bundle", "Parity", "export_generators"]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A finished export: its folder, its files, and how close each generator is to torch.

    `stored` has the generators whose weights are stored smaller, and what that changed, `marks` those with a
    watermark. `usage` has options of `ganzoo generate` that work with it, the best first.
    """

    path: Path
    files: tuple[Path, ...]
    parity: Mapping[str, Parity]
    stored: Mapping[str, Stored]
    marks: Mapping[str, Mark]
    usage: tuple[str, ...]


def export_generators(
    networks: Networks,
    data: DataInfo,
    destination: Path,
    *,
    about: Mapping[str, Any],
    form: Form = USUAL,
    kinds: Kinds | None = None,
    frechet: Frechet | None = None,
) -> Bundle:
    """Export what `exported` names, compare it with torch and write the bundle, or nothing if a check fails.

    `about` (recipe, data, plugins, images, ema, seed, versions ...) goes unchanged into the metadata of the
    files, into bundle.json, and into the model card, one row per entry. It must be JSON-ready and without
    local paths. A `license` in it is the license of the card. With `form.uint8`, `max_abs` is measured on the
    floats before the conversion. The networks must have passed
    `build_networks`. `kinds` draw samples for the bundle; without them it has none. `frechet` is for smaller
    weights, see `store_weights`.

    ExportError for a graph that fails a check, UsageError for a destination that must not be replaced,
    StorageError when the disk cannot be written.
    """
    check_destination(destination)
    graphs: dict[str, onnx.ModelProto] = {}
    parity: dict[str, Parity] = {}
    stored: dict[str, Stored] = {}
    marks: dict[str, Mark] = {}
    signatures: dict[str, Signature] = {}
    parts = exported(networks, data)
    if form.watermark is not None:
        check_pictures(field for part in parts.values() for field in part.outputs)
    for name, part in parts.items():
        net, inputs, outputs = part.net, part.inputs, part.outputs
        try:
            if form.watermark is not None and any(field.has_pixels for field in outputs):
                with lasting(f"measuring the watermark of '{name}'"):
                    net, marks[name] = marked(net, inputs, outputs, form.watermark, form.watermark_strength)
            with lasting(f"writing the graph of '{name}'"):
                graph = export_graph(net, inputs, outputs, opset=form.opset, batch=form.batch)
            with lasting(f"comparing '{name}' with torch"):
                parity[name] = check(graph, net, inputs, outputs, form.batch)
                if form.uint8 and (not networks.exports or any(field.has_pixels for field in outputs)):
                    append_uint8(graph, outputs)
                    pixels = check(graph, net, inputs, outputs, form.batch)
                    parity[name] = replace(parity[name], off_by_one=pixels.off_by_one)
                if form.weights != "float32":
                    buffers = [key for key, _ in net.module.named_buffers()]
                    stored[name] = store_weights(
                        graph, form.weights, inputs, outputs, form.batch, frechet, buffers
                    )
        except ExportError as error:
            where = ", ".join(part for part in (f"generator '{name}'", error.where) if part)
            raise ExportError(error.what, where=where, fix=error.fix) from error
        extra = {"stored": stored.get(name), "watermark": marks.get(name)}
        _add_metadata(graph, name, inputs, outputs, about, parity[name], extra, form)
        graphs[name], signatures[name] = graph, (inputs, outputs)
    samples = _samples(graphs, kinds) if kinds else None
    title = str(about.get("recipe", destination.name))
    card = model_card(
        title,
        signatures,
        parity,
        about,
        form=form,
        stored=stored,
        marks=marks,
        samples=samples.suffix if samples else "",
        kinds=kinds,
    )
    for name, graph in graphs.items():
        describe(graph, f"{title}: {name}", card, *signatures[name])
    files = write_bundle(destination, graphs, about, samples=samples, card=card)
    return Bundle(
        path=destination.resolve(),
        files=tuple(files),
        parity=parity,
        stored=stored,
        marks=marks,
        usage=usage(signatures, kinds),
    )


def _add_metadata(
    graph: onnx.ModelProto,
    name: str,
    inputs: tuple[Field, ...],
    outputs: tuple[Field, ...],
    about: Mapping[str, Any],
    parity: Parity,
    extra: Mapping[str, Stored | Mark | None],
    form: Form,
) -> None:
    record = {
        "format": runtime.FORMAT,
        "generator": name,
        "inputs": [field.to_json() for field in inputs],
        "outputs": [
            field.to_json() | ({"layout": "uint8-nhwc"} if form.uint8 and field.has_pixels else {})
            for field in outputs
        ],
        "about": dict(about),
        "parity": parity.to_json(),
        **({"batch": form.batch} if form.batch else {}),
        **{key: item.to_json() for key, item in extra.items() if item},
    }
    graph.metadata_props.add(key=METADATA_KEY, value=json.dumps(record, ensure_ascii=False))


def _samples(graphs: Mapping[str, onnx.ModelProto], kinds: Kinds) -> Preview | None:
    """A preview of samples from the first generator whose samples can be drawn, through the runtime.

    With up to 16 classes, one row of 8 per class; otherwise 64 random samples, or twice as many as a preview
    needs at least. A media record that fails leaves the bundle without samples.
    """
    for graph in graphs.values():
        generator = runtime.from_bytes(sealed_bytes(graph), provider="cpu", where="the new export")
        if not all(sampling.can_draw(item) for item in generator.inputs):
            continue
        for field in generator.outputs:
            needed = kinds.of(field.kind).count
            classes = 0 if needed else len(generator.classes)
            if 0 < classes <= 16:
                values = generator.generate_all(8 * classes, label=np.repeat(np.arange(classes), 8).tolist())
            else:
                values = generator.generate_all(2 * needed or 64)
            with suppress(PluginError):
                if preview := kinds.of(field.kind).preview(field, values[field.name], columns=8):
                    return preview
    return None
