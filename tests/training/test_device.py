"""Devices, precision and random streams, as far as a machine without CUDA can tell."""

from __future__ import annotations

import warnings
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganzoo.api import Net
from ganzoo.config.settings import OptimizerSettings
from ganzoo.errors import UsageError
from ganzoo.training.compute import device
from ganzoo.training.compute.device import Engine, arithmetic_of, choose_device, has_tf32
from ganzoo.training.player import Player

CUDA = torch.device("cuda:1")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine that looks as if it had two CUDA devices; what was asked for is kept."""
    seen = SimpleNamespace(current=[], capability=(9, 0))
    monkeypatch.setattr(torch.cuda, "set_device", seen.current.append)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: seen.capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)
    monkeypatch.setattr(torch, "Generator", lambda device: torch.default_generator)
    return seen


@pytest.mark.parametrize("name", ["meta", "hpu", "vulkan", "cuda:99", "no-such-thing", ""])
def test_devices_that_cannot_be_used_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be used here") as caught:
        Engine.create(name, "auto", 0)
    assert "doctor" in caught.value.fix


def test_a_device_that_only_lacks_a_random_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(device: torch.device) -> torch.Generator:
        raise RuntimeError("Backend does not support it")

    monkeypatch.setattr(torch, "Generator", none)
    with pytest.raises(UsageError, match="Backend does not support it"):
        choose_device("cpu")


def test_a_numbered_cuda_device_becomes_the_current_one(cuda: SimpleNamespace) -> None:
    assert choose_device("cuda:1") == CUDA
    assert cuda.current == [CUDA]
    choose_device("cuda")
    choose_device("cpu")
    assert cuda.current == [CUDA]


def test_tf32_is_set_and_named(cuda: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    matmul, conv = SimpleNamespace(), SimpleNamespace()
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    monkeypatch.setattr(torch.backends.cudnn, "conv", conv)
    assert Engine.create("cpu", "fp32", 0).arithmetic == "fp32"
    assert not vars(matmul)
    assert Engine.create("cuda:1", "fp32", 0).arithmetic == "fp32 with TF32"
    assert matmul.fp32_precision == conv.fp32_precision == "tf32"
    assert Engine.create("cuda:1", "auto", 0).precision == "bf16"
    assert arithmetic_of("bf16", CUDA) == "bf16 with TF32"
    cuda.capability = (7, 5)
    assert arithmetic_of("fp32", CUDA) == "fp32"
    assert not has_tf32(torch.device("cpu"))


def test_torch_takes_the_tf32_settings_without_a_warning() -> None:
    before = (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.backends.cuda.matmul.fp32_precision = "tf32"
            torch.backends.cudnn.conv.fp32_precision = "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_cpu_computes_in_what_it_says(precision: str) -> None:
    made = Engine.create("cpu", precision, 0)
    assert made.arithmetic == made.precision == precision
    with made.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)


def test_the_stream_depends_on_the_seed_and_can_be_continued() -> None:
    first, same, other = (Engine.create("cpu", "fp32", seed) for seed in (1, 1, 2))
    assert torch.equal(first.normal(5), same.normal(5))
    assert not torch.equal(first.normal(5), other.normal(5))
    state = first.random_state()
    wanted = first.uniform(5)
    same.set_random_state(state)
    assert torch.equal(same.uniform(5), wanted)


def test_small_networks_get_the_cores_that_others_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_ALL_THREADS", 8)
    monkeypatch.setattr(device.system, "cores", lambda: 8)
    small, large = device.SMALL_FLOPS / 2, device.SMALL_FLOPS * 2
    assert device.choose_threads(None, small, lambda: 0.0) == 8
    assert [device.choose_threads(None, small, partial(float, n)) for n in (0.2, 0.3, 1.0, 7.5, 20.0)] == [
        8, 7, 7, 1, 1
    ]  # fmt: skip
    assert device.choose_threads(None, large, lambda: 1.0) == 8
    assert device.choose_threads(3, small, lambda: 1.0) == 3
    assert [device.kept_threads(recorded) for recorded in (None, 3, 16)] == [None, 3, 8]
    monkeypatch.setattr(device, "_ALL_THREADS", 64)
    assert device.choose_threads(None, small, lambda: 0.0) == 8
    assert device.choose_threads(None, large, lambda: 0.0) == 64
    monkeypatch.setattr(device.system, "cores", lambda: 64)
    assert device.choose_threads(None, small, lambda: 20.0) == 8  # the others leave enough


def test_a_step_without_gradients_is_measured_on_the_device() -> None:
    """The meter puts all it has into one tensor."""
    net = Net(module=nn.Linear(2, 2, device="meta"), reads=("x",))
    norm = Player({"net": net}, OptimizerSettings(optimizer="rmsprop")).step()
    assert norm.device.type == "meta"
    assert norm.shape == ()


@pytest.mark.parametrize(
    ("variables", "precision"),
    [
        ({}, "bf16"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "fp32"),
        ({"DNNL_MAX_CPU_ISA": "avx512_core"}, "fp32"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "bf16"),
        ({"ONEDNN_MAX_CPU_ISA": "ALL", "DNNL_MAX_CPU_ISA": "AVX2"}, "bf16"),  # the older name comes second
        ({"ATEN_CPU_CAPABILITY": "avx2"}, "bf16"),  # not the kernels of products
    ],
)
def test_auto_is_no_bf16_that_a_limit_of_onednn_emulates(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Engine.create("cpu", "auto", 0).precision == precision
    assert Engine.create("cpu", "bf16", 0).precision == "bf16"  # the user's word


def test_auto_is_no_bf16_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert Engine.create("cpu", "auto", 0).precision == "fp32"
