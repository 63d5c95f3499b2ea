"""Where the weights of a warm start come from: a run, a bundle or .onnx file, a .safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganzoo.api.networks import Networks
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.importing.recognise import chosen, open_file
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.runtime import onnx_file

__all__ = ["Source", "read_source"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights by the names of a checkpoint: `networks.generator.NET.KEY`, `ema.NET.KEY`.

    `classes`: the names of the classes of each label, where they are known. `images`: how many images they
    learned from, if that is known. `remarks` are for the user.
    """

    kind: str
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: int | None = None
    remarks: tuple[str, ...] = ()

    def of(self, name: str) -> Tensor | None:
        """The tensor of that name; of a generator, if no average is known."""
        if name in self.tensors or not name.startswith("ema."):
            return self.tensors.get(name)
        return self.tensors.get(f"networks.generator.{name.removeprefix('ema.')}")


def read_source(path: Path, networks: Networks, note: Callable[[str], None]) -> Source:
    """The weights at `path`, for these networks. UsageError when there are none or they cannot be read.

    A run directory: its newest checkpoint. A bundle or an .onnx file: the generators, whose arrays have the
    names of parameters. A .safetensors file: names of a checkpoint, names with the network in front, or those
    of one network. Any other file that `ganzoo import` reads: what an importer recognises, or else the
    names of one network.
    """
    if path.is_dir() and not any(path.glob("*.onnx")):
        return _of_run(path, note)
    if path.is_dir() or path.suffix == ".onnx":
        return _of_bundle(path, networks)
    if not path.exists():
        raise UsageError("There is no such path.", where=f"train.warm_start: {path}")
    kept = _of_checkpoint(path) if path.suffix == ".safetensors" else {}
    return Source(kind="file", tensors=kept) if kept else _of_foreign(path, networks)


def _of_run(path: Path, note: Callable[[str], None]) -> Source:
    run = Run.open(path, writes=False)
    tensors, manifest = read_newest(run.checkpoints, note)
    kept = {name: value for name, value in tensors.items() if name.startswith(("networks.", "ema."))}
    return Source(kind="run", tensors=kept, classes=_classes(run.info.fields), images=manifest["images"])


def _of_bundle(path: Path, networks: Networks) -> Source:
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    tensors: dict[str, Tensor] = {}
    fields: list[Field] = []
    images = None
    for file in files:
        arrays, record = _graph(file)
        if record:
            with onnx_file.readable(str(file)):
                fields += onnx_file.fields_in(record, "inputs")
                images = record["about"].get("images", images)
        parts = _parts(file.stem, networks)
        for name, array in arrays.items():
            part = next((start for start in parts if name.startswith(start)), None)
            net = parts[part] if part is not None else ""
            key = name.removeprefix(part or "")
            known = net and key in _own(networks, net)
            if known:
                tensors[f"networks.{_role(networks, net)}.{net}.{_own(networks, net)[key]}"] = array
    _check_whole(tensors, networks, path)
    remark = "a bundle has averaged weights of generators only: discriminators begin anew"
    return Source(kind="bundle", tensors=tensors, classes=_classes(fields), images=images, remarks=(remark,))


def _check_whole(tensors: Mapping[str, Tensor], networks: Networks, path: Path) -> None:
    """UsageError for a graph that has some weights of a generator, but not all.

    The export puts BatchNorm into the layer before it and computes with constant factors beforehand: such
    arrays are no parameters any more.
    """
    for name, net in networks.generators.items():
        wanted = {
            key for key, value in net.module.state_dict().items() if value.is_floating_point() and value.ndim
        }
        lost = sorted(key for key in wanted if f"networks.generator.{name}.{key}" not in tensors)
        if lost and len(lost) < len(wanted):
            raise UsageError(
                f"The graph has {len(wanted) - len(lost)} of the {len(wanted)} weights of '{name}' by name; "
                f"the export has changed others, such as '{lost[0]}'.",
                where=f"train.warm_start: {path}",
                fix="the run that was exported has all: --from RUN; so has a checkpoint's state.safetensors",
            )


def _parts(stem: str, networks: Networks) -> dict[str, str]:
    """The networks of an exported graph, by what the names of their weights begin with."""
    chains = [export for export in networks.exports if export.name == stem]
    if chains:
        return {f"parts.{at}.": step.net for at, step in enumerate(chains[0].steps)}
    names = [*networks.generators]
    return {"": stem if stem in names else names[0]}


def _graph(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights inside an ONNX file by name (those in other files are not read), and ganzoo's metadata."""
    import onnx
    from onnx import numpy_helper

    data = onnx_file.read(file)
    try:
        model = onnx.load_model_from_string(data)
        texts = {entry.key: entry.value for entry in model.metadata_props}
        bytes_only = any(
            item.data_type == onnx.TensorProto.INT8 and len(item.dims) > 1 for item in model.graph.initializer
        )
        arrays = {
            item.name: torch.from_numpy(np.array(numpy_helper.to_array(item)))
            for item in model.graph.initializer
            if item.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
            and item.data_location != onnx.TensorProto.EXTERNAL
        }
        record = json.loads(texts.get(onnx_file.METADATA_KEY, "{}"))
    except Exception as error:  # protobuf's DecodeError has no public name in onnx
        raise UsageError(f"The ONNX file cannot be read: {error}", where=str(file)) from error
    if bytes_only:
        raise UsageError(
            "The graph has weights of 8 bits, which are too coarse to train on.",
            where=f"train.warm_start: {file}",
            fix="--from RUN, the run that was exported, or export it again without --weights int8",
        )
    return arrays, record


def _of_checkpoint(path: Path) -> dict[str, Tensor]:
    """The networks in the state of a checkpoint; empty for any other file."""
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(("networks.", "ema."))]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"The file of weights cannot be read: {error}", where=str(path)) from error


def _of_foreign(path: Path, networks: Networks) -> Source:
    """Weights of another project, under the names that its importer gives them; the averaged ones first."""
    opened = open_file(path, load_registry())
    if opened.matches:
        match = chosen(opened)
        flat = {
            f"{net}.{key}": torch.from_numpy(np.array(values[key], np.float32))
            for net, values in match.imported.weights.items()
            for key in values
        }
        remark = f"recognised as {match}"
        classes = _classes(match.imported.data.fields)
        return Source(kind="file", tensors=_named(flat, networks), classes=classes, remarks=(remark,))
    # Parts lie in each other: each array is read once.
    arrays = {id(value): value for part in opened.parts for value in part.arrays.values()}
    read = {key: torch.from_numpy(np.array(value.read())) for key, value in arrays.items()}
    parts = [
        _named({key: read[id(value)] for key, value in part.arrays.items()}, networks)
        for part in opened.parts
    ]
    return Source(kind="file", tensors=max(parts, key=_known))


def _known(tensors: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("networks.") for name in tensors)


def _named(flat: Mapping[str, Tensor], networks: Networks) -> dict[str, Tensor]:
    """The tensors with the names of a checkpoint, where their names are `NET.KEY`, or keys of one network."""
    names = [*networks.generators, *networks.discriminators]
    tensors = {
        f"networks.{_role(networks, net)}.{net}.{key}": flat[f"{net}.{known}"]
        for net in names
        for known, key in _own(networks, net).items()
        if f"{net}.{known}" in flat
    }
    if not tensors:  # the names of one network: that of which it has most
        shared = {net: [known for known in _own(networks, net) if known in flat] for net in names}
        net = max(shared, key=lambda name: len(shared[name]))
        own = _own(networks, net)
        tensors = {
            f"networks.{_role(networks, net)}.{net}.{own[known]}": flat[known] for known in shared[net]
        }
    taken = {id(value) for value in tensors.values()}
    return {**{name: value for name, value in flat.items() if id(value) not in taken}, **tensors}


def _own(networks: Networks, net: str) -> dict[str, str]:
    """The keys of a network's state, also by the plain names that weights under a parametrisation have."""
    keys = [*{**networks.generators, **networks.discriminators}[net].module.state_dict()]
    plain = {
        key.replace("parametrizations.", "").removesuffix(".original"): key
        for key in keys
        if key.endswith(".original") and "parametrizations." in key
    }
    return {**plain, **{key: key for key in keys}}


def _role(networks: Networks, net: str) -> str:
    return "generator" if net in networks.generators else "discriminator"


def _classes(fields: tuple[Field, ...] | list[Field]) -> dict[str, tuple[str, ...]]:
    return {item.name: item.classes for item in fields if item.classes}
