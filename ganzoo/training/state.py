"""Everything that a run changes while it trains, as one flat dictionary of tensors and back.

State that is not in here is lost when a run is resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganzoo.api.networks import Net, Networks
from ganzoo.api.training import Batch
from ganzoo.errors import UsageError
from ganzoo.runs.checkpoint import Kinds
from ganzoo.runs.weights import load_modules, under
from ganzoo.training.compute.device import Engine
from ganzoo.training.ema import Ema
from ganzoo.training.phases import Meter
from ganzoo.training.player import Player

_LARGEST_RANDOM = 1 << 16  # bytes; torch's CPU stream has 5,056

# The names of data types in safetensors files.
_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


@dataclass
class Training:
    """The state of a run. `images` and `steps` (cycles) say how far it is."""

    networks: Networks
    generator: Player
    discriminator: Player
    ema: Ema
    engine: Engine
    meter: Meter
    stateful: Mapping[str, nn.Module] = field(default_factory=dict)
    images: int = 0
    steps: int = 0
    rollbacks: int = 0
    seconds: float = 0.0

    def average_statistics(self) -> None:
        """Set running statistics (of BatchNorm, losses and terms) to their mean over the ranks."""
        self.engine.ranks.average(
            [value for module in self._modules() for value in module.buffers() if value.is_floating_point()]
        )

    def agree(self) -> None:
        """Copy the parameters and statistics of the main rank to every rank, before the first step."""
        for module in (*self._modules(), *self.ema.modules.values()):
            self.engine.ranks.copy_from_main(list(module.state_dict().values()))

    def _modules(self) -> list[nn.Module]:
        return [
            *self.generator.modules.values(),
            *self.discriminator.modules.values(),
            *self.stateful.values(),
        ]

    def tensors(self) -> dict[str, Tensor]:
        """The state as flat names and tensors, without `seconds`; `load` is the inverse.

        All ranks must call it together: it includes the measurements and random states of each rank.
        """
        flat: dict[str, Tensor] = {
            "counters.images": torch.tensor(self.images),
            "counters.steps": torch.tensor(self.steps),
            "counters.rollbacks": torch.tensor(self.rollbacks),
        }
        for role, player in (("generator", self.generator), ("discriminator", self.discriminator)):
            flat |= _flat(f"networks.{role}", player.modules)
            flat |= _prefixed(f"optimizers.{role}", player.state())
        if self.ema.active:
            flat |= _flat("ema", self.ema.modules)
        flat |= _flat("parts", self.stateful)
        flat |= _prefixed("random", self.engine.every_random_state())
        sums, counts = self.meter.totals()
        flat |= _prefixed("meter.sums", sums)
        flat |= _prefixed("meter.counts", counts)
        return flat

    def check(self, kinds: Kinds) -> None:
        """UsageError when tensors with these names, types and shapes are not a state of these networks.

        Random states and measurements have no fixed names; their types and sizes are checked.
        """
        expected = {
            **{f"counters.{name}": ("I64", ()) for name in ("images", "steps", "rollbacks")},
            **_kinds(_flat("networks.generator", self.generator.modules)),
            **_kinds(_flat("networks.discriminator", self.discriminator.modules)),
            **_kinds(_flat("ema", self.ema.modules) if self.ema.active else {}),
            **_kinds(_flat("parts", self.stateful)),
        }
        found = dict(kinds)
        for role, player in (("generator", self.generator), ("discriminator", self.discriminator)):
            kinds_of = _kinds(dict(zip(player.names, player.parameters, strict=True)))
            for key in [key for key in found if key.startswith(f"optimizers.{role}.")]:
                name = key.removeprefix(f"optimizers.{role}.").rpartition(".")[0]
                if name in kinds_of and found[key] in (kinds_of[name], ("F32", ())):
                    del found[key]
        for key in [key for key in found if key.startswith(("random.", "meter."))]:
            kind, shape = found[key]
            if (kind == "U8" and len(shape) == 1 and shape[0] <= _LARGEST_RANDOM) or (kind, shape) == (
                "F32",
                (),
            ):
                del found[key]
        different = sorted(key for key in {**found, **expected} if found.get(key) != expected.get(key))
        if different:
            raise UsageError(
                f"The checkpoint does not fit these networks: '{different[0]}' differs.",
                fix="use the plugin version that run.json names",
            )

    def load(self, flat: Mapping[str, Tensor]) -> list[str]:
        """Load a flat state. UsageError when it does not fit these networks.

        Returns notes for the user: random states of another kind of device cannot be continued.
        """
        self.images = int(flat["counters.images"])
        self.steps = int(flat["counters.steps"])
        self.slow_down(int(flat["counters.rollbacks"]))
        for role, player in (("generator", self.generator), ("discriminator", self.discriminator)):
            load_modules(player.modules, under(f"networks.{role}", flat))
            player.load_state(under(f"optimizers.{role}", flat))
        if self.ema.active:
            load_modules(self.ema.modules, under("ema", flat))
        load_modules(self.stateful, under("parts", flat))
        device = self.engine.device
        notes = []
        try:
            self.engine.set_own_random_state(under("random", flat))
        except RuntimeError:
            self.engine.random.manual_seed(self.engine.random.initial_seed() + self.images)
            notes.append(
                f"the run was on another kind of device: it gets new random numbers on {device}, "
                "so it is not exactly the run that it would have been"
            )
        for measured, key in ((self.meter.sums, "meter.sums"), (self.meter.counts, "meter.counts")):
            # The file has the sums over all ranks: only the main rank takes them.
            taken = float(self.engine.ranks.is_main)
            measured.clear()
            measured |= {name: value.to(device) * taken for name, value in under(key, flat).items()}
        return notes

    def slow_down(self, rollbacks: int) -> None:
        """Halve both learning rates once for each rollback of the run."""
        self.rollbacks = rollbacks
        self.generator.slowed = self.discriminator.slowed = 0.5**rollbacks


def _kinds(flat: Batch) -> Kinds:
    """Types and shapes, as in the header of a safetensors file."""
    return {name: (_TYPES[value.dtype], tuple(value.shape)) for name, value in flat.items()}


def _flat(prefix: str, modules: Mapping[str, nn.Module]) -> Batch:
    return {
        f"{prefix}.{name}.{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _prefixed(prefix: str, values: Mapping[str, Tensor]) -> Batch:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def averaged(training: Training) -> Iterator[Net]:
    """The generators with averaged weights, or with raw ones if the run keeps no average."""
    for name, net in training.networks.generators.items():
        yield Net(module=training.ema.modules[name], reads=net.reads, writes=net.writes)


@contextmanager
def evaluating(training: Training) -> Iterator[None]:
    """In the block, the averaged generators are in eval mode; raw modules return to train mode afterwards."""
    modules = training.ema.modules.values()
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        if not training.ema.active:
            for module in modules:
                module.train()
