"""Weights in a checkpoint's flat mapping of tensors: selecting those of a network, loading them strictly."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganzoo.api.training import Batch
from ganzoo.errors import UsageError


def averaged_generators(flat: Mapping[str, Tensor]) -> Batch:
    """The generators' weights for sampling and export: the EMA if there is one."""
    return under("ema", flat) or raw_generators(flat)


def raw_generators(flat: Mapping[str, Tensor]) -> Batch:
    """The generators' weights after the last step, without EMA."""
    return under("networks.generator", flat)


def load_modules(modules: Mapping[str, nn.Module], flat: Mapping[str, Tensor]) -> None:
    """Load `<module>.<key>` tensors into modules; names, shapes and dtypes must agree exactly."""
    for name, module in modules.items():
        own = under(name, flat)
        target = module.state_dict()
        different = sorted(own.keys() ^ target.keys())
        different += [
            key
            for key in own.keys() & target.keys()
            if own[key].shape != target[key].shape or own[key].dtype != target[key].dtype
        ]
        if different:
            raise UsageError(
                f"The checkpoint does not fit the network '{name}': {different[0]} differs.",
                fix="use the plugin version that run.json names",
            )
        module.load_state_dict(own)


def under(prefix: str, flat: Mapping[str, Tensor]) -> Batch:
    """The tensors named `<prefix>.<key>`, by key."""
    start = f"{prefix}."
    return {key.removeprefix(start): value for key, value in flat.items() if key.startswith(start)}
