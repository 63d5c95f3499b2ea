"""Where the weights of a warm start come from: a run, a bundle or .onnx file, a .safetensors file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from ganzoo.util.text import typed

__all__ = ["Source", "read_source"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights by the names of a checkpoint: `networks.generator.NET.KEY`, `ema.NET.KEY`.

    A weight under a parametrisation (spectral norm) may have its plain name. `classes`: the names of the
    classes of each label, where they are known. `images`: how many images they learned from, if that is
    known. `architecture`: the settings of its networks, where they are known. `remarks` are for the user.
    `shifts`: by how much a number after that prefix is larger here than in the networks that start, see
    `Net.finest_first`.
    """

    kind: str
    tensors: Mapping[str, Tensor]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: int | None = None
    architecture: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    shifts: Mapping[str, int] = field(default_factory=dict)

    def name_of(self, own: str) -> str | None:
        """The name here of what has the name `own` there; without an average, that of the generator."""
        for prefix, shift in self.shifts.items():
            if own.startswith(prefix):
                number, dot, rest = own.removeprefix(prefix).partition(".")
                own = f"{prefix}{int(number) + shift}{dot}{rest}"
        starts = [own]
        if own.startswith("ema."):
            starts.append(f"networks.generator.{own.removeprefix('ema.')}")
        names = (name for start in starts for name in (start, _plain(start)))
        return next((name for name in names if name in self.tensors), None)

    def is_shifted(self, own: str) -> bool:
        """Whether the names differ in a number, so that the layers may have other neighbours."""
        return own.startswith(tuple(self.shifts))

    def of(self, own: str) -> Tensor | None:
        """The tensor of `name_of`."""
        return self.tensors.get(self.name_of(own) or "")


def read_source(path: Path, networks: Networks, note: Callable[[str], None]) -> Source:
    """The weights at `path`, for these networks. UsageError when there are none or they cannot be read.

    A run directory: its newest checkpoint. A bundle or an .onnx file: the generators, whose arrays have the
    names of parameters. A .safetensors file: names of a checkpoint, names with the network in front, or those
    of one network. Any other file that `ganzoo import` reads: what an importer recognises, or else the
    names of one network.
    """
    return _aligned(_read(path, networks, note), networks)


def _read(path: Path, networks: Networks, note: Callable[[str], None]) -> Source:
    if path.is_dir() and not any(path.glob("*.onnx")):
        return _of_run(path, note)
    if path.is_dir() or path.suffix == ".onnx":
        return _of_bundle(path, networks)
    if not path.exists():
        raise UsageError("There is no such path.", where=f"train.warm_start: {path}")
    kept = _of_checkpoint(path) if path.suffix == ".safetensors" else {}
    return Source(kind="file", tensors=kept) if kept else _of_foreign(path, networks)


def _aligned(source: Source, networks: Networks) -> Source:
    """The same, with the last members of lists that are numbered from the finest map for our last ones."""
    shifts: dict[str, int] = {}
    remarks = list(source.remarks)
    for name, net in {**networks.generators, **networks.discriminators}.items():
        for part in net.finest_first:
            places = [f"networks.{_role(networks, name)}.{name}.{part}.", f"ema.{name}.{part}."]
            own = _count(net.module.state_dict(), f"{part}.")
            given = _count(source.tensors, places[0]) or _count(source.tensors, places[1])
            if given and given != own:
                shifts |= dict.fromkeys(places, given - own)
                low, high = max(0, own - given), max(0, given - own)
                remarks.append(
                    f"another size: {name}.{part}.{low} and the following begin as {name}.{part}.{high} "
                    "and the following there"
                )
    return replace(source, shifts=shifts, remarks=tuple(remarks))


def _count(names: Iterable[str], prefix: str) -> int:
    """How many members a list has, by the largest number in the names of their parameters."""
    numbers = (name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix))
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def _of_run(path: Path, note: Callable[[str], None]) -> Source:
    run = Run.open(path, writes=False)
    tensors, manifest = read_newest(run.checkpoints, note)
    kept = {name: value for name, value in tensors.items() if name.startswith(("networks.", "ema."))}
    settings = tomllib.loads(run.settings_file.read_text(encoding="utf-8"))
    return Source(
        kind="run",
        tensors=kept,
        classes=_classes(run.info.fields),
        images=manifest["images"],
        architecture=settings.get("architecture", {}),
    )


def _of_bundle(path: Path, networks: Networks) -> Source:
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    tensors: dict[str, Tensor] = {}
    fields: list[Field] = []
    images, imported = None, ""
    patterns = {net: {_pattern(_plain(key)) for key in _state(networks, net)} for net in networks.generators}
    for file in files:
        arrays, record = _graph(file)
        if record:
            with onnx_file.readable(str(file)):
                fields += onnx_file.fields_in(record, "inputs")
                images = record["about"].get("images", images)
                imported = record["about"].get("file", imported)
        parts = _parts(file.stem, networks)
        for name, array in arrays.items():
            part = next((start for start in parts if name.startswith(start)), None)
            net = parts[part] if part is not None else ""
            key = name.removeprefix(part or "")
            if net and _pattern(_plain(key)) in patterns[net]:
                tensors[f"networks.generator.{net}.{key}"] = array
    _check_whole(tensors, networks, path, imported)
    remark = "a bundle has averaged weights of generators only: discriminators begin anew"
    return Source(kind="bundle", tensors=tensors, classes=_classes(fields), images=images, remarks=(remark,))


def _check_whole(tensors: Mapping[str, Tensor], networks: Networks, path: Path, imported: str) -> None:
    """UsageError for a graph that has some weights of a generator, but not all that one of its size has.

    The export puts BatchNorm into the layer before it and computes with constant factors beforehand: such
    arrays are no parameters any more. `imported`: the name of the file that the graph was imported from.
    """
    source = Source(kind="bundle", tensors=tensors)
    for name in networks.generators:
        wanted = [
            key
            for key, value in _state(networks, name).items()
            if value.is_floating_point() and value.ndim and not _beyond(key, name, tensors)
        ]
        lost = sorted(key for key in wanted if source.of(f"networks.generator.{name}.{key}") is None)
        if lost and len(lost) < len(wanted):
            fix = "the run that was exported has all: --from RUN; so has a checkpoint's state.safetensors"
            if imported:
                source_file = typed(imported)
                fix = f"the file that was imported has all: --from {source_file}; or import it with --as run"
            raise UsageError(
                f"The graph has {len(wanted) - len(lost)} of the {len(wanted)} weights of '{name}' by name; "
                f"the export has changed others, such as '{lost[0]}'.",
                where=f"train.warm_start: {path}",
                fix=fix,
            )


def _beyond(key: str, name: str, tensors: Iterable[str]) -> bool:
    """Whether a number in the key is larger than all such numbers there: of a larger network."""
    for found in re.finditer(r"(?<=\.)\d+(?=\.)", key):
        count = _count(tensors, f"networks.generator.{name}.{key[: found.start()]}")
        if 0 < count <= int(found.group()):
            return True
    return False


def _pattern(key: str) -> str:
    """The key with any number in place of each number."""
    return re.sub(r"\d+", "0", key)


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
    names = [*networks.generators, *networks.discriminators]

    def known(tensors: Mapping[str, Tensor]) -> int:
        return sum(
            _shared(networks, net, tensors, f"networks.{_role(networks, net)}.{net}.") for net in names
        )

    return Source(kind="file", tensors=max(parts, key=known))


def _named(flat: Mapping[str, Tensor], networks: Networks) -> dict[str, Tensor]:
    """The tensors with the names of a checkpoint, where their names are `NET.KEY`, or keys of one network."""
    names = [*networks.generators, *networks.discriminators]
    starts = {net: f"{net}." for net in names if _shared(networks, net, flat, f"{net}.")}
    if not starts:  # the names of one network: that of which it has most
        net = max(names, key=lambda name: _shared(networks, name, flat))
        starts = {net: ""} if _shared(networks, net, flat) else {}
    named = {
        name: f"networks.{_role(networks, net)}.{net}.{name.removeprefix(start)}"
        for net, start in starts.items()
        for name in flat
        if name.startswith(start)
    }
    return {named.get(name, name): value for name, value in flat.items()}


def _shared(networks: Networks, net: str, given: Container[str], start: str = "") -> int:
    """How many names of a network's state are there, behind `start`."""
    own = _state(networks, net)
    return sum(f"{start}{key}" in given or f"{start}{_plain(key)}" in given for key in own)


def _plain(key: str) -> str:
    """The name that a weight under a parametrisation has without it."""
    return key.replace("parametrizations.", "").removesuffix(".original")


def _state(networks: Networks, net: str) -> dict[str, Tensor]:
    return {**networks.generators, **networks.discriminators}[net].module.state_dict()


def _role(networks: Networks, net: str) -> str:
    return "generator" if net in networks.generators else "discriminator"


def _classes(fields: tuple[Field, ...] | list[Field]) -> dict[str, tuple[str, ...]]:
    return {item.name: item.classes for item in fields if item.classes}
