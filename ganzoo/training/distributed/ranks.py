"""Several processes that train one run together: the rank of this one, and their communication.

Networks are not wrapped. Each rank computes its share of the global batch; gradients are summed in one
flat all-reduce before each optimiser step, so that penalties, unused heads and losses that call a
discriminator's methods are right (docs/reliability.md). With one process all of this does nothing.

Any launcher works: only RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are read. Messages are
tensors; no objects are sent.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ganzoo.errors import FailedError, UsageError

_NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


def other_rank_ended(error: BaseException) -> FailedError | None:
    """The error to raise when another process has ended, which printed the reason; None for other errors."""
    text = str(error)
    if not any(sign in text for sign in ("onnection closed by peer", "onnection reset by peer", "NCCL")):
        return None
    return FailedError(
        "Another process of this run has ended, so this one ends too.",
        where=f"rank {os.environ.get('RANK', '?')}",
        fix="see the error of the other process",
    )


@dataclass(frozen=True)
class Ranks:
    """Which process of a run this is: `rank` of `world`, and its number `local` on this machine."""

    rank: int = 0
    local: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """Read the launcher's environment variables; one process if there are none."""
        if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
            return cls()
        try:
            rank, local, world = (int(os.environ[name]) for name in _NAMES)
        except (KeyError, ValueError) as error:
            found = ", ".join(f"{name}={os.environ.get(name)}" for name in _NAMES)
            raise UsageError(
                "The environment of a distributed run is not complete.",
                where=found,
                fix="start it with --devices N, or with torchrun",
            ) from error
        return cls(rank, local, world)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints messages."""
        return self.rank == 0

    def connect(self, device: torch.device) -> None:
        """Connect to the other ranks. FailedError when that fails."""
        if self.world == 1 or dist.is_initialized():
            return
        # Import this before the group exists: default arguments in it keep the current group alive, and
        # optimisers import it later. A group that outlives leave() made one exit in ten abort.
        importlib.import_module("torch.distributed.nn.functional")
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, rank=self.rank, world_size=self.world)
        except (RuntimeError, ValueError) as error:
            raise FailedError(
                f"The other processes of the run cannot be reached: {str(error).splitlines()[0]}",
                where=f"rank {self.rank} of {self.world}",
                fix="check MASTER_ADDR and MASTER_PORT, and that every process was started",
            ) from error

    def leave(self) -> None:
        """Disconnect from the other ranks; a process cannot connect a second time."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def share(self, count: int) -> range:
        """The samples of a global batch that this rank computes; shares differ by at most one sample."""
        return range(self.rank * count // self.world, (self.rank + 1) * count // self.world)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, with one message per data type."""
        if self.world == 1:
            return
        for dtype in sorted({value.dtype for value in tensors}, key=str):
            alike = [value for value in tensors if value.dtype == dtype]
            flat = torch.cat([value.reshape(-1) for value in alike])
            dist.all_reduce(flat)
            parts = torch.split(flat, [value.numel() for value in alike])
            torch._foreach_copy_(alike, [p.view_as(v) for p, v in zip(parts, alike, strict=True)])

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks."""
        if self.world > 1 and tensors:
            self.add_up(tensors)
            torch._foreach_div_(list(tensors), self.world)

    def largest(self, *values: float) -> list[float]:
        """The maximum of each value over the ranks. Ranks use it to agree on a value."""
        if self.world == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return numbers.tolist()

    def copy_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Copy the main rank's values into each tensor."""
        if self.world > 1:
            for value in tensors:
                dist.broadcast(value, 0)

    def broadcast(self, content: bytes = b"") -> bytes:
        """The main rank's `content`, on every rank."""
        if self.world == 1:
            return content
        size = torch.tensor(len(content))
        dist.broadcast(size, 0)
        message = torch.empty(int(size), dtype=torch.uint8)
        if self.is_main and content:
            message.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(message, 0)
        return message.numpy().tobytes()

    def gathered(self, value: Tensor) -> list[Tensor]:
        """The tensors of all ranks, in rank order: host tensors of the same shape."""
        if self.world == 1:
            return [value]
        found = [torch.empty_like(value) for _ in range(self.world)]
        dist.all_gather(found, value)
        return found

    def wait(self) -> None:
        """Wait until every rank calls this."""
        if self.world > 1:
            self.largest(0.0)
