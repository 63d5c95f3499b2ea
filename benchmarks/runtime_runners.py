"""Runs one case of `benchmarks/runtimes.py` in one runtime, in the environment of that runtime.

    python runtime_runners.py RUNTIME MODEL.onnx INPUTS.npz OUTPUTS.npz

Needs numpy and the runtime only. INPUTS has the samples by input name. OUTPUTS has the wanted names and
shapes, and is replaced by what the runtime computes. fixed.onnx gets the samples one by one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Call = Callable[[Arrays], Arrays]

MOST_MEMORY = 8 * 2**30  # bytes for pnnx, which takes over 11 GB for rrdb


def onnxruntime(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """onnxruntime, any version."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return lambda part: dict(zip(names, session.run(names, part), strict=True))


def openvino(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """OpenVINO on the CPU in float32."""
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda part: {name: np.array(compiled(part)[name]) for name in names}


def opencv(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """OpenCV's dnn module."""
    import cv2

    net = cv2.dnn.readNetFromONNX(str(model))

    def call(part: Arrays) -> Arrays:
        for name, value in part.items():
            net.setInput(value, name)
        return dict(zip(names, net.forward(names), strict=True))

    return call


def tract(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """Tract's Python package."""
    import tract as package

    runnable = package.onnx().load(str(model)).into_model().into_runnable()
    given = package.onnx().load(str(model))
    order = [given.input_name(at) for at in range(given.input_count())]

    def call(part: Arrays) -> Arrays:
        found = runnable.run([part[name] for name in order])  # its outputs have names of nodes
        return {name: value.to_numpy() for name, value in zip(names, found, strict=True)}

    return call


def mnn(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """MNN, after its converter."""
    from MNN import expr, nn

    target = model.with_suffix(".mnn")
    convert(f"{Path(sys.executable).parent / 'mnnconvert'} -f ONNX --modelFile {model} --MNNModel {target}")
    module = nn.load_module_from_file(str(target), list(inputs), names)
    kinds = {"float32": expr.float, "int64": expr.int}

    def call(part: Arrays) -> Arrays:
        given = []
        for value in part.values():
            array = value.astype(np.int32) if value.dtype == np.int64 else value
            given.append(
                expr.const(np.ascontiguousarray(array), list(value.shape), expr.NCHW, kinds[str(value.dtype)])
            )
        found = [expr.convert(item, expr.NCHW).read() for item in module.forward(given)]
        return {name: np.array(value) for name, value in zip(names, found, strict=True)}

    return call


def ncnn(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """ncnn, after pnnx. It has no batch axis: a fixed batch of 1, which is left out."""
    import ncnn as package

    shapes = ",".join(
        f"[{','.join(map(str, (1, *value.shape[1:])))}]{'i64' if value.dtype == np.int64 else 'f32'}"
        for value in inputs.values()
    )
    pnnx = f"prlimit --as={MOST_MEMORY} {Path(sys.executable).parent / 'pnnx'}"
    convert(f"{pnnx} {model} inputshape={shapes} fp16=0")
    net = package.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    stem = model.with_suffix("")
    if net.load_param(f"{stem}.ncnn.param") or net.load_model(f"{stem}.ncnn.bin"):
        raise RuntimeError("ncnn cannot load what pnnx wrote")

    def call(part: Arrays) -> Arrays:
        with net.create_extractor() as extractor:
            for at, value in enumerate(part.values()):
                array = value[0].astype(np.int32) if value.dtype == np.int64 else value[0]
                extractor.input(f"in{at}", package.Mat(np.ascontiguousarray(np.atleast_1d(array))).clone())
            return {name: np.array(extractor.extract(f"out{at}")[1])[None] for at, name in enumerate(names)}

    return call


def tflite(model: Path, inputs: Arrays, names: list[str]) -> Call:
    """TFLite (LiteRT), after onnx2tf, which is told to leave the axes of inputs as they are."""
    from ai_edge_litert.interpreter import Interpreter

    folder = model.with_suffix(".tf")
    keep = " ".join(inputs)
    convert(f"{Path(sys.executable).parent / 'onnx2tf'} -i {model} -o {folder} -kat {keep} -n -coion")
    (target,) = folder.glob("*_float32.tflite")
    interpreter = Interpreter(str(target))
    interpreter.allocate_tensors()
    wanted = {
        detail["name"].split(":")[0].removeprefix("serving_default_"): detail
        for detail in interpreter.get_input_details()
    }
    details = interpreter.get_output_details()

    def call(part: Arrays) -> Arrays:
        for name, value in part.items():
            detail = wanted[name]
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]).reshape(detail["shape"]))
        interpreter.invoke()
        found = [interpreter.get_tensor(detail["index"]) for detail in details]
        return dict(zip(names, found, strict=True))

    return call


RUNNERS: Mapping[str, Callable[[Path, Arrays, list[str]], Call]] = {
    runner.__name__: runner for runner in (onnxruntime, openvino, opencv, tract, mnn, ncnn, tflite)
}


def convert(command: str) -> None:
    """Run a converter in the folder of the case. RuntimeError with its last line when it fails."""
    words = command.split()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RuntimeError(f"the converter failed: {lines[-1] if lines else done.returncode}")


def arranged(value: Any, shape: tuple[int, ...]) -> Any:
    """An output in the shape of the graph; TFLite has channels at the end, and ncnn leaves axes of 1 out."""
    if value.shape != shape and value.ndim > 2 and np.moveaxis(value, -1, 1).shape == shape:
        return np.moveaxis(value, -1, 1)
    return value.reshape(shape)


def main() -> None:
    """Compute the outputs, and write the error as the last line if that fails."""
    runtime, model, given, target = sys.argv[1], *(Path(word).absolute() for word in sys.argv[2:])
    os.chdir(model.parent)
    with np.load(given) as file:
        inputs = {name: file[name] for name in file.files}
    with np.load(target) as file:
        shapes = {name: file[name].shape for name in file.files}
    size = 1 if model.stem == "fixed" else len(next(iter(inputs.values())))
    try:
        call = RUNNERS[runtime](model, inputs, list(shapes))
        count = len(next(iter(inputs.values())))
        parts = [
            call({name: value[start : start + size] for name, value in inputs.items()})
            for start in range(0, count, size)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in shapes}
        found = {name: arranged(value, shapes[name]) for name, value in found.items()}
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
    np.savez(target, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
