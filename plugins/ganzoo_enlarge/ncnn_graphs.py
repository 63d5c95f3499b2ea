"""The layers of RRDBNet and SRVGGNetCompact in ncnn: type, layers that it reads, settings by their number.

Numbers of settings: https://github.com/Tencent/ncnn/wiki/operation-param-weight-table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganzoo.api import DataError, Weights

Settings = Mapping[str, Any]
LEAKY: Settings = {"9": 2, "10": [0.2]}  # an activation inside of a convolution: leaky ReLU
RESIDUAL: Settings = {"0": 1, "1": [0.2, 1.0]}  # a weighted sum
COMMUTING = ("BinaryOp",)  # as a sum


@dataclass
class Graph:
    """Layers in the order of the computation; each method adds some and returns the number of the last."""

    layers: list[tuple[str, list[int], Settings]] = field(default_factory=lambda: [("Input", [], {})])

    def add(self, kind: str, inputs: Sequence[int], settings: Settings | None = None) -> int:
        """A layer that reads these layers."""
        self.layers.append((kind, list(inputs), settings or {}))
        return len(self.layers) - 1

    def convolution(self, inputs: Sequence[int], settings: Settings | None = None) -> int:
        """A convolution of all maps of these layers."""
        place = inputs[0] if len(inputs) == 1 else self.add("Concat", inputs)
        return self.add("Convolution", [place], settings)

    def enlarged(self, place: int, scale: int) -> int:
        """Nearest neighbours."""
        return self.add("Interp", [place], {"0": 1, "1": scale, "2": scale})


def rrdb_graph(blocks: int) -> Graph:
    """RRDBNet for x4."""
    graph = Graph()
    first = maps = graph.convolution([0])
    for _ in range(blocks):
        outer = maps
        for _ in range(3):
            dense = [maps]
            for _ in range(4):
                dense.append(graph.convolution(dense, LEAKY))
            maps = graph.add("Eltwise", [graph.convolution(dense), maps], RESIDUAL)
        maps = graph.add("Eltwise", [maps, outer], RESIDUAL)
    maps = graph.add("BinaryOp", [first, graph.convolution([maps])])
    for _ in range(2):
        maps = graph.convolution([graph.enlarged(maps, 2)], LEAKY)
    graph.convolution([graph.convolution([maps], LEAKY)])
    return graph


def srvgg_graph(convolutions: int, scale: int) -> Graph:
    """SRVGGNetCompact with PReLU."""
    graph = Graph()
    maps = 0
    for _ in range(convolutions - 1):
        maps = graph.add("PReLU", [graph.convolution([maps])])
    maps = graph.add("PixelShuffle", [graph.convolution([maps])], {"0": scale})
    graph.add("BinaryOp", [maps, graph.enlarged(0, scale)])
    return graph


def layers_of(found: Weights) -> tuple[Mapping[str, Any], ...] | None:
    """The layers of a file of ncnn; None for others, whose facts have lists but no tuples."""
    layers = found.facts.get("ncnn")
    return layers if isinstance(layers, tuple) else None


def fits(found: Sequence[Mapping[str, Any]], graph: Graph) -> bool:
    """Whether the layers of a file are of these types; DataError if they compute something else."""
    if [layer["type"] for layer in found] != [kind for kind, _, _ in graph.layers]:
        return False
    for at, (layer, (kind, inputs, settings)) in enumerate(zip(found, graph.layers, strict=True)):
        own = {} if kind == "Input" else {key: value for key, value in layer["settings"].items() if value}
        order = sorted if kind in COMMUTING else list
        if own != settings or order(layer["inputs"]) != order(inputs):
            raise DataError(
                f"Layer {at} of ncnn, {kind}, is not that of this network.",
                where=f"settings {own} of layers {layer['inputs']}, not {dict(settings)} of {inputs}",
            )
    return True
