"""Everything that a run changes while it trains, as one flat dictionary of tensors and back.

What is not in here does not survive a resume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganzoo.api import Batch, Networks
from ganzoo.errors import UsageError
from ganzoo.train.ema import Ema
from ganzoo.train.engine import Engine
from ganzoo.train.optim import Side
from ganzoo.train.phases import Meter


@dataclass
class Training:
    """The moving parts of a run. `images` and `steps` (cycles) say how far it is."""

    networks: Networks
    generator: Side
    discriminator: Side
    ema: Ema
    engine: Engine
    meter: Meter
    stateful: Mapping[str, nn.Module] = field(default_factory=dict)
    images: int = 0
    steps: int = 0
    seconds: float = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """A flat view of the state; `load` is its inverse. Seconds are no part of it."""
        flat: dict[str, Tensor] = {
            "counters.images": torch.tensor(self.images),
            "counters.steps": torch.tensor(self.steps),
        }
        for role, side in (("generator", self.generator), ("discriminator", self.discriminator)):
            flat |= _flat(f"networks.{role}", side.modules)
            flat |= _prefixed(f"optimizers.{role}", side.state())
        if self.ema.active:
            flat |= _flat("ema", self.ema.modules)
        flat |= _flat("parts", self.stateful)
        flat |= _prefixed("random", self.engine.random_state())
        flat |= _prefixed("meter.sums", self.meter.sums)
        flat |= _prefixed("meter.counts", self.meter.counts)
        return flat

    def load(self, flat: Mapping[str, Tensor]) -> list[str]:
        """Continue from a flat state. UsageError when it does not fit these networks.

        Returns what a user should know: random states of another kind of device cannot be continued.
        """
        self.images = int(flat["counters.images"])
        self.steps = int(flat["counters.steps"])
        for role, side in (("generator", self.generator), ("discriminator", self.discriminator)):
            load_modules(side.modules, _under(f"networks.{role}", flat))
            side.load_state(_under(f"optimizers.{role}", flat))
        if self.ema.active:
            load_modules(self.ema.modules, _under("ema", flat))
        load_modules(self.stateful, _under("parts", flat))
        device = self.engine.device
        notes = []
        try:
            self.engine.set_random_state(_under("random", flat))
        except RuntimeError:
            self.engine.random.manual_seed(self.engine.random.initial_seed() + self.images)
            notes.append(
                f"the run was on another kind of device: its random numbers start anew on {device}, "
                "so it is not bit for bit what it would have been"
            )
        self.meter.sums = {name: value.to(device) for name, value in _under("meter.sums", flat).items()}
        self.meter.counts = {name: value.to(device) for name, value in _under("meter.counts", flat).items()}
        return notes


def averaged_generators(flat: Mapping[str, Tensor]) -> Batch:
    """The generators' weights to sample and export from: the average where there is one."""
    return _under("ema", flat) or _under("networks.generator", flat)


def load_modules(modules: Mapping[str, nn.Module], flat: Mapping[str, Tensor]) -> None:
    """Load `<module>.<key>` tensors into modules; names, shapes and dtypes must agree exactly."""
    for name, module in modules.items():
        own = _under(name, flat)
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


def _flat(prefix: str, modules: Mapping[str, nn.Module]) -> Batch:
    return {
        f"{prefix}.{name}.{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _prefixed(prefix: str, values: Mapping[str, Tensor]) -> Batch:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _under(prefix: str, flat: Mapping[str, Tensor]) -> Batch:
    start = f"{prefix}."
    return {key.removeprefix(start): value for key, value in flat.items() if key.startswith(start)}
