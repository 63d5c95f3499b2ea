"""What this machine can do at most: products, convolutions and Adam, measured with torch's own kernels.

The floor of a training step is the time that its arithmetic would take at these rates. The shapes are
large and favourable, so a floor is a bound and not a promise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ganzoo.training.flops import Work

SECONDS = 0.15
REPEATS = 5


@dataclass(frozen=True)
class Peaks:
    """Floating-point operations a second by kind ("product", "convolution") and type ("fp32", "bf16").

    `adam` is in parameters a second.
    """

    rates: dict[tuple[str, str], float]
    adam: float

    def floor(self, work: Work, parameters: int) -> float:
        """Seconds for so much arithmetic and Adam steps of so many parameters."""
        return sum(amount / self.rates[key] for key, amount in work.items()) + parameters / self.adam


def measure_peaks(device: torch.device) -> Peaks:
    """Measure for some seconds, on the threads that torch uses now."""
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rates["product", name] = _product(device, dtype)
        rates["convolution", name] = _convolution(device, dtype)
    return Peaks(rates, _adam(device))


def _product(device: torch.device, dtype: torch.dtype) -> float:
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _fastest(lambda: a @ b, device)


def _convolution(device: torch.device, dtype: torch.dtype) -> float:
    n, channels, side = (256, 256, 32) if device.type == "cuda" else (32, 128, 16)
    maps = torch.randn(n, channels, side, side, device=device, dtype=dtype)
    maps = maps.to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device, dtype=dtype)
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        taken = _fastest(lambda: layer(maps), device)
    return 2 * n * side**2 * channels**2 * 9 / taken


def _adam(device: torch.device) -> float:
    parameter = torch.nn.Parameter(torch.zeros(1 << 24 if device.type == "cuda" else 1 << 21, device=device))
    parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.Adam([parameter], fused=True)
    return parameter.numel() / _fastest(optimizer.step, device)


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds a call, of the fastest of some stretches: a limit is what nothing disturbed."""

    def stretch(calls: int) -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begun

    stretch(2)
    calls = max(1, round(SECONDS / max(stretch(1), 1e-6)))
    return min(stretch(calls) for _ in range(REPEATS)) / calls
