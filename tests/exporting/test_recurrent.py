"""Recurrent layers are exported as operators of ONNX, for any number of steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from ganzoo.api.networks import Net
from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.exporting.verify import TOLERANCE, check
from ganzoo.fields import Field
from ganzoo.runtime.ort_session import cpu_session


class Recurrent(nn.Module):
    """z (N, t, 4), start (N, 5) -> series (N, t, 3): all results of a layer depend on a given first state."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        many = 2 if layer.bidirectional else 1
        self.states = nn.Linear(5, layer.num_layers * many * layer.hidden_size)
        self.last = nn.Linear(many * layer.hidden_size, 3)

    def forward(self, z: Tensor, start: Tensor) -> Tensor:
        first = self.layer.batch_first
        state = self.states(start).reshape(start.shape[0], -1, self.layer.hidden_size).transpose(0, 1)
        two = isinstance(self.layer, nn.LSTM)
        made, ends = self.layer(z if first else z.transpose(0, 1), (state, state.tanh()) if two else state)
        end = ends[0] - ends[1] if two else ends
        series: Tensor = self.last(made if first else made.transpose(0, 1))
        return series + end.mean((0, 2))[:, None, None]


def fields(free: dict[str, int]) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    axes = ("time", "column")
    z = Field(name="z", shape=(6, 4), source="normal", axes=axes, free=free)
    start = Field(name="start", shape=(5,), source="normal")
    return (z, start), (Field(name="series", shape=(6, 3), axes=axes, free=free),)


def exported(module: nn.Module, free: dict[str, int]) -> tuple[onnx.ModelProto, Counter[str]]:
    net = Net(module=module, reads=("z", "start"), writes=("series",))
    inputs, outputs = fields(free)
    model = export_graph(net, inputs, outputs)
    check(model, net, inputs, outputs)
    return model, Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize(
    "layer",
    [
        nn.GRU(4, 40, num_layers=2, bidirectional=True, batch_first=True),
        nn.LSTM(4, 40, num_layers=2, bias=False, dropout=0.5),
        nn.RNN(4, 7, nonlinearity="relu", bidirectional=True),
    ],
)
def test_any_length_is_what_torch_computes(layer: Any) -> None:
    torch.manual_seed(0)
    module = Recurrent(layer).eval()
    model, operators = exported(module, {"time": 1})
    assert operators[type(layer).__name__] == layer.num_layers
    assert type(module.layer) is type(layer)
    session = cpu_session(model.SerializeToString())
    for steps in (1, 50):
        z, start = torch.randn(3, steps, 4), torch.randn(3, 5)
        with torch.no_grad():
            expected = module(z, start).numpy()
        (found,) = session.run(None, {"z": z.numpy(), "start": start.numpy()})
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_a_layer_with_code_of_its_own_is_exported_by_torch() -> None:
    class Doubled(nn.RNN):
        def forward(self, *given: Any) -> Any:
            made, last = super().forward(*given)
            return 2 * made, last

    _, operators = exported(Recurrent(Doubled(4, 7, batch_first=True)), {})
    assert not operators["RNN"]
