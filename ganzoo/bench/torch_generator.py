"""The torch network of an exported generator, rebuilt from the metadata of its file.

Owns the rebuilding, the check that it is the same network, and the calls to time. Imports torch:
inference.py imports this file only if torch is installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from ganzoo.api.networks import Networks
from ganzoo.api.specs import ArchitectureSpec
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import build
from ganzoo.errors import UsageError
from ganzoo.fields import DataInfo, Field
from ganzoo.registry.registry import Item, Registry, calling, factory_of
from ganzoo.runtime.generator import Generator

__all__ = ["caller", "full_precision", "rebuilt"]

_CLOSE = 1e-3  # allowed difference between torch and the file, relative to the largest value

Arrays = dict[str, NDArray[Any]]


@contextlib.contextmanager
def full_precision(threads: int) -> Iterator[None]:
    """In the block, torch uses that many CPU threads, and no TF32 on CUDA, like onnxruntime here."""
    convolution: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # torch sets it late
    backends = (convolution, torch.backends.cuda.matmul)
    before = torch.get_num_threads(), [backend.fp32_precision for backend in backends]
    torch.set_num_threads(threads)
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        for backend, precision in zip(backends, before[1], strict=True):
            backend.fp32_precision = precision


def rebuilt(generator: Generator, data: bytes, inputs: Arrays, registry: Registry) -> nn.Module:
    """The generator as a module on the CPU in eval mode; `data` are the bytes of its file.

    Weights are loaded from the file by name. Weights that the exporter folded into others keep their initial
    values, which changes the outputs but not the work. GanzooError when the architecture is not installed,
    or builds a different network; `inputs` are used to test it.
    """
    item = registry.find(ArchitectureSpec, str(generator.about.get("architecture", "")))
    options, is_guess = _options(generator.about, item, registry)
    with torch.random.fork_rng(devices=[]), calling(item):
        networks = factory_of(item)(options, _data_of(generator))
    net = networks.generators.get(generator.name) if isinstance(networks, Networks) else None
    fields = [field.name for field in generator.inputs], [field.name for field in generator.outputs]
    if net is None or ([*net.reads], [*net.writes]) != fields:
        raise UsageError(f"'{item.name}' builds no generator with the inputs and outputs of the file.")
    net.module.eval().requires_grad_(False)
    wanted, loaded = _load(net.module, data)
    if is_guess and not loaded:
        raise UsageError("The file has no options of its architecture, and its weights have other names.")
    with calling(item):
        found = caller(net.module, generator, inputs, "cpu")()
    _compare(found, generator.run(inputs), same_weights=loaded == wanted)
    return net.module


def caller(module: nn.Module, generator: Generator, inputs: Arrays, device: str) -> Callable[[], Arrays]:
    """A function that does the same as `generator.run(inputs)` with torch: from host to host memory."""
    rows = [torch.from_numpy(inputs[field.name]) for field in generator.inputs]

    def call() -> Arrays:
        with torch.inference_mode():
            result = module(*(row.to(device) for row in rows))
            tensors = result if isinstance(result, tuple) else (result,)
            finished = {
                field.name: _pixels(field, tensor) if field.name in generator.layouts else tensor
                for field, tensor in zip(generator.outputs, tensors, strict=True)
            }
            # Copying to the host waits for the device.
            return {name: tensor.cpu().numpy() for name, tensor in finished.items()}

    return call


def _options(about: Mapping[str, Any], item: Item[Any], registry: Registry) -> tuple[Any, bool]:
    """The options of the architecture, and whether they are a guess from the recipe as it is today."""
    given = about.get("options")
    if isinstance(given, Mapping):
        config = item.spec.config
        return None if config is None else build(config, given, "architecture", {}), False
    chosen = resolve(str(about.get("recipe", "")), registry).architecture
    if chosen.item.qualified != item.qualified:
        raise UsageError(f"The recipe '{about.get('recipe')}' has another architecture today.")
    return chosen.options, True


def _data_of(generator: Generator) -> DataInfo:
    """The data that the network was built for, from the metadata of the file."""
    given = [field for field in generator.inputs if field.source == "data"]
    return DataInfo(fields=(*generator.outputs, *given), count=generator.about.get("samples", 1))


def _load(module: nn.Module, data: bytes) -> tuple[set[str], set[str]]:
    """Copy the file's weights into the module; returns the module's names, and those found in the file.

    UsageError when a weight has another shape in the file.
    """
    tensors = {tensor.name: tensor for tensor in onnx.load_model_from_string(data).graph.initializer}
    state = {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
    for name in state.keys() & tensors.keys():
        if tuple(tensors[name].dims) != tuple(state[name].shape):
            raise UsageError(
                f"'{name}' has shape {tuple(state[name].shape)} in the network built here, "
                f"but {tuple(tensors[name].dims)} in the file."
            )
        state[name].copy_(torch.from_numpy(numpy_helper.to_array(tensors[name]).copy()))
    return set(state), state.keys() & tensors.keys()


def _compare(found: Arrays, expected: Arrays, *, same_weights: bool) -> None:
    for name, values in expected.items():
        if found[name].shape != values.shape:
            raise UsageError(
                f"The network built here writes '{name}' of shape {found[name].shape}, not {values.shape}."
            )
        gap = np.abs(found[name].astype(np.float64) - values).max()
        allowed = 1 if values.dtype == np.uint8 else _CLOSE * max(1.0, float(np.abs(values).max()))
        if same_weights and not gap <= allowed:
            raise UsageError(f"The network built here writes other values of '{name}' with the same weights.")


def _pixels(field: Field, values: Tensor) -> Tensor:
    """Floats (N, C, H, W) -> uint8 (N, H, W, C), like the end of the exported graph."""
    low, high = field.range or (-1.0, 1.0)
    scaled = ((values - low) * (255.0 / (high - low))).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8)
