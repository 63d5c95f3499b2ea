"""Adaptive pooling in exported graphs, and which graphs of the zoo look values up by their place."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from ganzoo.api.networks import Net
from ganzoo.api.specs import ArchitectureSpec
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.exporting.verify import TOLERANCE, check
from ganzoo.fields import DataInfo, Field
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.testing.synthetic import SYNTHETIC, candidates
from ganzoo.testing.targets import ArchitectureTarget

ALLOWED = {
    "stylegan-v": "GatherElements",  # codes at the times that the caller asks for
    "tabular": "Gather",  # places of indicators; a product would need a matrix of indicators x indicators
}
ZOO = sorted(item.name for item in load_registry().of_kind(ArchitectureSpec) if item.plugin.dist == "ganzoo")


@pytest.mark.parametrize(
    ("size", "wanted", "operators"),
    [
        ((7, 14), 4, {"MatMul": 2}),
        ((2, 9), (4, None), {"MatMul": 2}),
        ((3, 10), (2, 5), {"MatMul": 2}),
        ((8, 14), (4, 7), {"AveragePool": 1}),
    ],
)
def test_adaptive_pooling_is_products_with_constants(
    size: tuple[int, int], wanted: int | tuple[int, int | None], operators: dict[str, int]
) -> None:
    pool = nn.AdaptiveAvgPool2d(wanted)
    made = pool(torch.zeros(1, 3, *size)).shape[1:]
    net = Net(module=nn.Sequential(pool), reads=("x",), writes=("y",))
    inputs, outputs = (Field(name="x", shape=(3, *size), source="normal"),), (Field(name="y", shape=made),)
    model = export_graph(net, inputs, outputs)
    assert check(model, net, inputs, outputs).max_abs < TOLERANCE
    assert Counter(node.op_type for node in model.graph.node) == operators
    assert type(pool) is nn.AdaptiveAvgPool2d  # what trains is as it was


class _Free(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) -> (N, 3)."""
        pooled: Tensor = self.pool(x).flatten(1)
        return pooled


def test_a_free_axis_is_left_to_torch() -> None:
    x = Field(
        name="x", shape=(3, 6, 6), source="normal", axes=("channel", "height", "width"), free={"height": 1}
    )
    net, outputs = Net(module=_Free(), reads=("x",), writes=("y",)), (Field(name="y", shape=(3,)),)
    check(export_graph(net, (x,), outputs), net, (x,), outputs)


@pytest.mark.parametrize(
    "name", [name if name == "fastgan" else pytest.param(name, marks=pytest.mark.slow) for name in ZOO]
)
def test_graphs_of_the_zoo_look_up_nothing_but_rows_of_embeddings(name: str, tmp_path: Path) -> None:
    registry = load_registry()
    registry = Registry([*registry.plugins, SYNTHETIC])
    item = registry.find(ArchitectureSpec, name)
    pictures = [resized(info) for info in candidates(item.spec.needs) if len(info.fields[0].shape) == 3]
    target = ArchitectureTarget(item, registry, pictures[:1])
    bundle = export_generators(target.networks(), target.info, tmp_path / "bundle", about={"recipe": name})
    for file in bundle.path.glob("*.onnx"):
        graph = onnx.load(file).graph
        tables = {value.name for value in graph.initializer}
        labels = {
            value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.INT64
        }
        for node in graph.node:
            if node.op_type.startswith("Gather") and node.op_type != ALLOWED.get(name):
                assert (node.op_type, node.input[0] in tables, node.input[1] in labels) == (
                    "Gather",
                    True,
                    True,
                )


def resized(info: DataInfo) -> DataInfo:
    """With pictures of 28x28, whose maps of 7x7 and 14x14 are not easily divided."""
    image = replace(info.fields[0], shape=(info.fields[0].shape[0], 28, 28))
    return replace(info, fields=(image, *info.fields[1:]))
