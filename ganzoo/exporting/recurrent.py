"""Recurrent layers of torch as the ONNX operators GRU, LSTM and RNN, which take any number of steps.

Owns the forward pass that the exporter traces in place of torch's. Torch's own translation (2.13) fixes the
number of steps of a GRU or LSTM, and unrolls an RNN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx.ops import symbolic_multi_out

__all__ = ["use_operators"]

_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2), "RNN": (0,)}
"""For each gate in the order of ONNX (zrh, iofc), its place in torch's weights (rzn, ifgo)."""


def use_operators(part: nn.Module) -> None:
    """If `part` is a recurrent layer, let it trace as ONNX operators; it then computes nothing itself.

    Subclasses with code of their own, and an LSTM with projections, which ONNX does not have, stay.
    """
    traced = _TRACED.get(type(part))
    if traced is None or not isinstance(part, nn.RNNBase) or part.proj_size:
        return
    many = 2 if part.bidirectional else 1
    for layer in range(part.num_layers):
        ways = [_operands(traced.operator, part.all_weights[layer * many + way]) for way in range(many)]
        for name, values in zip(("W", "R", "B"), zip(*ways, strict=True), strict=False):
            part.register_buffer(f"{name}{layer}", torch.stack(values))
    part.__class__ = traced


def _operands(operator: str, weights: Sequence[Tensor]) -> list[Tensor]:
    """W and R, and B if there are biases, of one layer in one direction."""
    gates = _GATES[operator]
    w, r, *b = (torch.cat([value.chunk(len(gates))[gate] for gate in gates]) for value in weights)
    return [w, r, *([torch.cat(b)] if b else [])]


class _Traced(nn.RNNBase):
    """A recurrent layer as one ONNX operator for each of its layers."""

    operator: str

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002 - torch's name
        if not isinstance(input, Tensor) or input.ndim != 3:  # a packed sequence, or no batch
            return super().forward(input, hx)
        x = input.transpose(0, 1) if self.batch_first else input
        many = 2 if self.bidirectional else 1
        initial = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        attributes: dict[str, Any] = {
            "hidden_size": self.hidden_size,
            "direction": "bidirectional" if self.bidirectional else "forward",
        }
        if self.operator == "GRU":
            attributes["linear_before_reset"] = 1  # as torch: the reset gate comes after the product
        if self.mode == "RNN_RELU":
            attributes["activations"] = ["Relu"] * many
        state = (many, x.shape[1], self.hidden_size)
        shapes = [(x.shape[0], *state), *[state] * (2 if self.operator == "LSTM" else 1)]
        states = []
        for layer in range(self.num_layers):
            weights = [getattr(self, f"{name}{layer}", None) for name in ("W", "R", "B")]
            result, *last = symbolic_multi_out(
                self.operator,
                # the None: all sequences of a batch have the same length
                [x, *weights, None, *(value[layer * many : (layer + 1) * many] for value in initial)],
                attributes,
                dtypes=[torch.float32] * len(shapes),
                shapes=shapes,
            )
            x = torch.cat(result.unbind(1), 2)
            states.append(last)
        done = tuple(torch.cat(values) for values in zip(*states, strict=True))
        return x.transpose(0, 1) if self.batch_first else x, done if len(done) > 1 else done[0]


_TRACED: dict[type[nn.Module], type[_Traced]] = {
    kind: type(kind.__name__, (_Traced, kind), {"operator": kind.__name__})
    for kind in (nn.GRU, nn.LSTM, nn.RNN)
}
