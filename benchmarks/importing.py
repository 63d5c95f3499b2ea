"""ONNX files of all importers beside torch, at batches and sizes that were not traced.

    python -m benchmarks.importing [NAME ...]

Each importer's own example, a small file with made-up weights, is imported and exported. A row has the
largest difference of all outputs from torch for each batch, at another height and width if those are free,
and how far torch itself is from the same network with 64 bits: made-up weights may magnify rounding.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from ganzoo.api import Field, ImporterSpec
from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.importing.networks import build_imported
from ganzoo.importing.recognise import chosen, open_file
from ganzoo.networks.exports import exported
from ganzoo.registry.registry import Registry, factory_of, load_registry

BATCHES = (1, 2, 5, 7)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    wanted = parser.parse_args().names
    registry = load_registry()
    titles = [*(f"n = {n}" for n in BATCHES), "other size", "torch's rounding"]
    print(f"| importer | output | {' | '.join(titles)} |\n|{'---|' * (len(titles) + 2)}")
    for item in registry.of_kind(ImporterSpec):
        if not wanted or item.name in wanted:
            for row in rows(item, registry):
                print(f"| {' | '.join(row)} |", flush=True)


def rows(item: Any, registry: Registry) -> list[list[str]]:
    """A row for each exported graph of an importer's example."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        torch.save(_tensors(factory_of(item, "example")()), file)
        imported = chosen(open_file(file, registry)).imported
        _, info, networks, _ = build_imported(imported, registry)
    found: list[list[str]] = []
    for name, part in exported(networks, info).items():
        graph = export_graph(part.net, part.inputs, part.outputs).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        exact = copy.deepcopy(part.net.module).double()
        differences, own = [], 0.0
        for n in BATCHES:
            difference, rounding = compared(session, part, exact, part.inputs, n)
            differences.append(f"{difference:.1e}")
            own = max(own, rounding)
        larger = _larger(part.inputs)
        differences.append(f"{compared(session, part, exact, larger, 2)[0]:.1e}" if larger else "one size")
        label = item.name if not found and name == "generator" else f"{item.name}: {name}"
        shape = "x".join(map(str, part.outputs[0].shape))
        found.append([label, shape, *differences, f"{own:.1e}"])
    return found


def compared(session: Any, part: Any, exact: Any, inputs: Any, n: int) -> tuple[float, float]:
    """The largest difference of ONNX from torch, and of torch from 64 bits, for a batch of `n`."""
    random = np.random.default_rng(n)
    batch = {field.name: _values(field, n, random) for field in inputs}
    given = [torch.from_numpy(batch[name]) for name in part.net.reads]
    with torch.no_grad():
        expected = _tuple(part.net.module(*given))
        precise = _tuple(exact(*(value.double() if value.is_floating_point() else value for value in given)))
    made = session.run(None, batch)
    return (
        max(float(np.abs(one - other.numpy()).max()) for one, other in zip(made, expected, strict=False)),
        max(float((one - other).abs().max()) for one, other in zip(expected, precise, strict=True)),
    )


def _values(field: Field, n: int, random: np.random.Generator) -> Any:
    if field.dtype == "int64":
        return random.integers(0, len(field.classes), (n, *field.shape))
    if field.source == "data":
        low, high = field.range or (-1.0, 1.0)
        return random.uniform(low, high, (n, *field.shape)).astype(np.float32)
    spread = 0.2 if field.source == "constant" else 1.0
    return random.normal(field.default, spread, (n, *field.shape)).astype(np.float32)


def _larger(inputs: Any) -> list[Field] | None:
    """The inputs with 3 steps more along their free axes; None if they have none."""
    if not any(field.free for field in inputs):
        return None
    return [
        replace(
            field,
            shape=tuple(
                size + 3 * field.free.get(axis, 0) for axis, size in zip(field.axes, field.shape, strict=True)
            ),
        )
        if field.free
        else field
        for field in inputs
    ]


def _tuple(made: Any) -> tuple[torch.Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)


def _tensors(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(_tensors, tree))
    return torch.from_numpy(np.array(tree)) if isinstance(tree, np.ndarray | np.generic) else tree


if __name__ == "__main__":
    main()
