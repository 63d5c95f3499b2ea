"""How many samples a step computes at once: all of its share, until memory runs out.

Then the micro-batch is halved, and gradients are accumulated. Losses are means over samples, so this
changes nothing but rounding, except for layers that look at a whole batch (BatchNorm).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

# Plain RuntimeErrors: of torch's CPU allocator, of the CUDA runtime and of MPS, of cuBLAS and cuDNN.
_OUT_OF_MEMORY = ("allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


class MicroBatching:
    """The size of micro-batches, a multiple of `pack`; `told` hears of each change. None is a whole share."""

    def __init__(self, at_once: int | None = None, pack: int = 1) -> None:
        self.at_once = at_once
        self.pack = pack
        self.told: Callable[[int], None] = lambda _: None

    def halve(self, error: BaseException, count: int) -> None:
        """Compute less at once after this error, of a share of `count` samples.

        Raises the error again where it is not about memory, or where one sample (or pack) is too much.
        """
        current = min(self.at_once or count, count)
        if not is_out_of_memory(error) or current <= self.pack or _is_capturing():
            raise error
        self.at_once = -(-current // (2 * self.pack)) * self.pack
        self.told(self.at_once)

    def release(self) -> None:
        """Give back what the failed attempt held."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a device or on the host."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(text in str(error) for text in _OUT_OF_MEMORY)


def _is_capturing() -> bool:
    """A CUDA graph that is being captured cannot be mended: its repeater goes on without it."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
