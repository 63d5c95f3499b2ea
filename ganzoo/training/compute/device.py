"""The device, the precision and the random stream of a run.

This file knows nothing of losses, data or files.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ganzoo.api.training import Batch
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.util import system

Precision = Literal["fp32", "bf16"]

# Device types with kernels and a random stream in torch; `meta`, for example, computes nothing.
DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")

# Networks are small if one forward pass of all of them over a batch takes fewer operations than this. Their
# kernels are so short that threads wait for each other as soon as another process runs. Images/s of the
# sized recipes in bf16 on two Zen 5 cores, with one thread and with two: on a quiet machine, DCGAN 1530 and
# 2300, WGAN-GP 1140 and 1880, MLP 8700 and 10000; with one other busy process, 1570 and 760, 1170 and 600,
# 8000 and 3200.
SMALL_FLOPS = 4e9

# The largest number of threads for small networks: more than two were not measured.
SMALL_THREADS = 8

# Parameters of mallopt(3), from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

# Read once: a run sets torch's number for the whole process, and the next run must not use that.
_ALL_THREADS = torch.get_num_threads()

# Limits of oneDNN with which it emulates bf16: on a Zen 5 core a product of 256x256 took 10.6 ms with AVX2,
# 1.0 ms with AVX512_CORE, 0.17 ms without a limit, and 0.4 ms in fp32.
_WITHOUT_BF16 = frozenset(
    ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
)


@dataclass
class Engine:
    """Device, precision and the random generator for noise and penalties.

    `create` changes the whole process: on CUDA it sets TF32, how cuDNN chooses kernels, and the current
    device. On the CPU it lets the C library keep freed memory if possible (`keeps_memory`).
    """

    device: torch.device
    precision: Precision
    random: torch.Generator
    keeps_memory: bool = False
    ranks: Ranks = field(default_factory=Ranks)

    @classmethod
    def create(cls, device: str, precision: str, seed: int, ranks: Ranks | None = None) -> Engine:
        """Resolve `auto` and connect to the other ranks, if there are any.

        UsageError when the device cannot be used.
        """
        ranks = ranks or Ranks()
        place = choose_device(device, ranks)
        ranks.connect(place)
        if place.type == "cuda":
            torch.backends.cudnn.benchmark = True  # every step has the same shapes
        if has_tf32(place):
            torch.backends.cuda.matmul.fp32_precision = "tf32"
            torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]  # torch sets it late
        random = torch.Generator(place).manual_seed(seed)
        keeps_memory = place.type == "cpu" and keep_freed_memory()
        return cls(place, choose_precision(precision, place), random, keeps_memory, ranks)

    @property
    def arithmetic(self) -> str:
        """The arithmetic of the run, for run.json: see `arithmetic_of`."""
        return arithmetic_of(self.precision, self.device)

    def autocast(self, enabled: bool = True) -> AbstractContextManager[object]:
        """Forward passes in the block run in bf16 if the run does and `enabled` is true."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=enabled and self.precision == "bf16"
        )

    def wait(self) -> None:
        """Wait until the device has finished all its work."""
        if self.device.type in ("cuda", "mps", "xpu"):
            torch.accelerator.synchronize()

    def peak_megabytes(self) -> float:
        """Peak memory so far: of the device on CUDA, of the process elsewhere."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return system.peak_megabytes()

    def free_memory(self) -> int:
        """Bytes that training may use: of the device on CUDA; elsewhere of the machine or its container."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return system.free_memory()

    def stream(self) -> AbstractContextManager[object]:
        """The block uses its own CUDA stream, because the default stream cannot be captured."""
        if self.device.type != "cuda":
            return nullcontext()
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(stream)

    def noise(self, fields: Iterable[Field], n: int) -> Batch:
        """`n` new samples of each noise field: N(0, 1), U(-1, 1), equally likely classes, or a constant."""
        return {field.name: self._draw(field, n) for field in fields}

    def _draw(self, field: Field, n: int) -> Tensor:
        if field.dtype == "int64":
            shape = (n, *field.shape)
            return torch.randint(len(field.classes), shape, generator=self.random, device=self.device)
        if field.source == "constant":
            return torch.full((n, *field.shape), field.default, device=self.device)
        if field.source == "normal":
            return self.normal(n, *field.shape)
        return self.uniform(n, *field.shape).mul_(2).sub_(1)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) on the device."""
        return torch.randn(shape, generator=self.random, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """U(0, 1) on the device."""
        return torch.rand(shape, generator=self.random, device=self.device)

    def random_state(self) -> Batch:
        """The states of the run's stream and of torch's default ones (dropout), as uint8."""
        state = {"run": self.random.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def set_random_state(self, state: Batch) -> None:
        """Restore the streams from `random_state`."""
        self.random.set_state(state["run"])
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def every_random_state(self) -> Batch:
        """`random_state` of all ranks: the run's stream is shared, torch's own are `cpu`, `cpu-1`, ..."""
        state = self.random_state()
        for name in [name for name in state if name != "run"]:
            for rank, value in enumerate(self.ranks.gathered(state[name])):
                state[name if rank == 0 else f"{name}-{rank}"] = value
        return state

    def set_own_random_state(self, state: Batch) -> None:
        """Restore this rank's streams from `every_random_state`; a rank without an entry keeps its own."""
        suffix = f"-{self.ranks.rank}" if self.ranks.rank else ""
        own = {name: state[key] for name in ("cpu", "cuda") if (key := f"{name}{suffix}") in state}
        self.set_random_state({**self.random_state(), **own, "run": state["run"]})

    def renew_random(self, state: Batch) -> None:
        """Restore the streams from `random_state` with new generators, after a failed capture.

        Before torch 2.13, a generator that was part of a failed capture may stay marked as captured.
        """
        self.random = torch.Generator(self.device)
        if self.device.type == "cuda":
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            fresh = torch.Generator(self.device)
            torch.cuda.default_generators[index].graphsafe_set_state(fresh.graphsafe_get_state())
        self.set_random_state(state)


class Scalar:
    """A number that changes between steps: a float, or on CUDA a tensor, for captured graphs."""

    def __init__(self, device: torch.device) -> None:
        self.value: float | Tensor = torch.zeros((), device=device) if device.type == "cuda" else 0.0
        self._known = 0.0

    def set(self, number: float) -> None:
        """Set the number; on CUDA in place, and only if it is different."""
        if not isinstance(self.value, Tensor):
            self.value = number
        elif number != self._known:
            self.value.fill_(number)
        self._known = number


def choose_threads(wanted: int | None, forward_flops: float, busy_cores: Callable[[], float]) -> int:
    """The CPU threads for kernels: `wanted`, or torch's own number; at most 8 for small networks.

    When other processes are busy, small networks take only as many as they leave cores.
    """
    if wanted is not None:
        return wanted
    if forward_flops >= SMALL_FLOPS:
        return _ALL_THREADS
    return min(SMALL_THREADS, system.fair_share(_ALL_THREADS, busy_cores))


def kept_threads(recorded: int | None) -> int | None:
    """The threads in the record of a run, but no more than this machine has."""
    return None if recorded is None else min(recorded, _ALL_THREADS)


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next step, in the whole process; returns whether it does.

    By default glibc returns large blocks to the system, which must then clear their pages again for every
    activation of every step. On a Zen 5 core, keeping them made the sized DCGAN 1.16 times as fast and the
    sized WGAN-GP 1.22 times (fp32, one thread). With another C library this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))


def choose_device(name: str, ranks: Ranks | None = None) -> torch.device:
    """The device of that name; for `auto`, CUDA if available, otherwise the CPU.

    Several ranks on one machine take one CUDA device each. A CUDA device with a number becomes torch's
    current device, which pinned memory and hardware queries use. UsageError when the device cannot be used.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and ranks is not None and ranks.world > 1:
        name = f"cuda:{ranks.local}"
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise NotImplementedError(f"ganzoo computes on {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
        torch.Generator(device)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"The device '{name}' cannot be used here: {reason}",
            fix="leave --device out, or run ganzoo doctor",
        ) from error
    return device


def has_tf32(device: torch.device) -> bool:
    """Whether the device multiplies fp32 in TF32: NVIDIA GPUs since Ampere."""
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def arithmetic_of(precision: Precision, device: torch.device) -> str:
    """`fp32` or `bf16`, and ` with TF32` if fp32 products (also those of a bf16 run) use TF32."""
    return f"{precision} with TF32" if has_tf32(device) else precision


def choose_precision(name: str, device: torch.device) -> Precision:
    """`auto` is bf16 if the hardware computes in bf16, otherwise fp32.

    On CUDA, fp32 means TF32 if the hardware has it: factors are rounded to 10 bits of mantissa and summed in
    fp32. This holds for matrix products, convolutions and second-order penalties, also in a bf16 run. On
    other devices fp32 is not rounded.

    On a Zen 4 core (avx512_bf16) bf16 trained the sized DCGAN 1.5 times as fast as fp32 and the
    MLPs 1.8 times; emulated bf16 is slower than fp32.
    """
    if name == "auto":
        return "bf16" if _computes_in_bf16(device) else "fp32"
    return "bf16" if name == "bf16" else "fp32"


def _computes_in_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # torch 2.9 does not have this function yet.
        found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        has = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
        return has and _has_onednn() and _onednn_limit() not in _WITHOUT_BF16
    return False


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _onednn_limit() -> str:
    """The instructions to which the user limits oneDNN, which computes products and convolutions; "" for all.

    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html: the older name counts where
    the newer is not set, and case does not matter. `ATEN_CPU_CAPABILITY` limits only torch's own kernels:
    with it bf16 stays faster (sized DCGAN, avx2, one thread: 224 and 150 images/s).
    """
    found = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return found.upper()
