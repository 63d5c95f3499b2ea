"""The size of micro-batches: a rank's whole share of the batch, until memory runs out.

Then the micro-batch is halved, and gradients are accumulated. Losses are means over samples, so only
rounding changes, except for layers that use the whole batch (BatchNorm).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

# Plain RuntimeErrors: of torch's CPU allocator, of the CUDA runtime and of MPS, of cuBLAS and cuDNN.
_OUT_OF_MEMORY = ("allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


class MicroBatching:
    """The micro-batch size `at_once`, a multiple of `pack`; None: no limit. `on_change` gets new sizes."""

    def __init__(self, at_once: int | None = None, pack: int = 1) -> None:
        self.at_once = at_once
        self.pack = pack
        self.on_change: Callable[[int], None] = lambda _: None

    def halve(self, error: BaseException, count: int) -> None:
        """Halve the micro-batch after this error, for a share of `count` samples.

        Raises the error again if it is not about memory, or if one sample (or pack) is too much.
        """
        current = min(self.at_once or count, count)
        if not is_out_of_memory(error) or current <= self.pack or _is_capturing():
            raise error
        self.at_once = -(-current // (2 * self.pack)) * self.pack
        self.on_change(self.at_once)

    def release(self) -> None:
        """Free the cached memory of the failed attempt."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out, on a device or on the host."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(text in str(error) for text in _OUT_OF_MEMORY)


def _is_capturing() -> bool:
    """Whether a CUDA graph is being captured. Its repeater then handles the error: it runs eagerly."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
