"""Counting floating-point operations while they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganzoo.api.networks import Networks
from ganzoo.fields import DataInfo
from ganzoo.networks.apply import apply, declared, example

Work = dict[tuple[str, str], float]
"""Floating-point operations by kind ("product" or "convolution") and type ("fp32" or "bf16")."""


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations of matrix products and convolutions, also in backward passes.

    torch's own FlopCounterMode tracks modules and fails inside the `autograd.grad` of a penalty.
    This mode uses only its table of formulas.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: Work = {}

    @property
    def operations(self) -> float:
        """The sum of all operations."""
        return sum(self.work.values())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            kind = "convolution" if "convolution" in func.__name__ else "product"
            inputs = [value for value in args if isinstance(value, torch.Tensor)]
            key = (kind, "bf16" if inputs[0].dtype == torch.bfloat16 else "fp32")
            count = formula(*args, **(kwargs or {}), out_val=output)
            if func is torch.ops.aten.convolution_backward.default:
                count -= _overcounted(args, output)
            self.work[key] = self.work.get(key, 0) + count
        return output


def _overcounted(args: tuple[Any, ...], output: Any) -> float:
    """What torch's table adds to the weight's gradient of a grouped convolution.

    It counts each output channel with all input channels, not with those of its group alone.
    """
    *_, groups, (_, to_weight, _) = args
    if groups == 1 or not to_weight:
        return 0
    formula = flop_registry[torch.ops.aten.convolution_backward]
    return float(formula(*args[:-1], (False, True, False), out_val=output) * (1 - 1 / groups))


def forward_flops(networks: Networks, info: DataInfo) -> float:
    """Floating-point operations of one forward pass of every network, for one sample."""
    count = 2 * max(net.pack for net in networks.discriminators.values())
    batch = example(declared(networks, info).values(), count)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), FlopCounter() as counter:
        for net in (*networks.generators.values(), *networks.discriminators.values()):
            net.module.eval()
            apply(net, batch)
            net.module.train()
    return float(counter.operations) / count
