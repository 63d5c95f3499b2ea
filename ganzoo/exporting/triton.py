"""A bundle as a model repository of NVIDIA Triton, which KServe reads as well.

Reads a bundle, and writes `<model>/config.pbtxt` and `<model>/1/model.onnx` for each of its generators.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.exporting.bundle import BUNDLE_FILE
from ganzoo.fields import Field
from ganzoo.runtime.onnx_file import fields_in
from ganzoo.util.files import storage

__all__ = ["write_repository"]

_LARGEST_BATCH = 64
_QUEUE_MICROSECONDS = 2000  # how long a request waits for others; a cgan image takes about 500 on a CPU core
_TYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64"}


def write_repository(bundle: Path, folder: Path) -> list[Path]:
    """Write each generator of `bundle` as a model into `folder`; returns the models' folders.

    A model is called after the bundle, and after the generator too where there are several. UsageError for a
    model that is there already: a running server would load half of the new one.
    """
    listing = json.loads((bundle / BUNDLE_FILE).read_text(encoding="utf-8"))
    made = []
    for name, record in listing["generators"].items():
        several = len(listing["generators"]) > 1
        model = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{bundle.name}-{name}" if several else bundle.name)
        target = folder / model
        if target.exists():
            raise UsageError(
                f"The repository has a model '{model}'.",
                where=str(target),
                fix="remove it, or choose another folder",
            )
        pixels = [raw["name"] for raw in record["outputs"] if "layout" in raw]
        config = _config(model, record, fields_in(record, "inputs"), fields_in(record, "outputs"), pixels)
        with storage(target):
            (target / "1").mkdir(parents=True)
            shutil.copyfile(bundle / record["file"], target / "1" / "model.onnx")
            (target / "config.pbtxt").write_text(config, encoding="utf-8")
        made.append(target)
    return made


def _config(
    model: str, record: Any, inputs: Sequence[Field], outputs: Sequence[Field], pixels: Sequence[str]
) -> str:
    batch = record.get("batch")
    lines = [f'name: "{model}"', 'platform: "onnxruntime_onnx"']
    lines.append(f"max_batch_size: {0 if batch else _LARGEST_BATCH}")
    lines += [f"input [ {_tensor(field, batch)} ]" for field in inputs]
    lines += [f"output [ {_tensor(field, batch, field.name in pixels)} ]" for field in outputs]
    if not batch:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_MICROSECONDS} }}")
    warm = " ".join(_warm_input(field, batch) for field in inputs)
    lines.append(f'model_warmup [ {{ name: "first" batch_size: {0 if batch else 1} {warm} }} ]')
    return "\n".join(lines) + "\n"


def _sizes(field: Field, pixels: bool) -> list[int | None]:
    sizes = list(field.sizes)
    return [*sizes[1:], sizes[0]] if pixels else sizes


def _tensor(field: Field, batch: int | None, pixels: bool = False) -> str:
    kind = "TYPE_UINT8" if pixels else _TYPES[field.dtype]
    sizes = [-1 if size is None else size for size in _sizes(field, pixels)]
    if batch:
        shape = f"dims: {_list([batch, *sizes])}"
    else:  # Triton knows no sample without dimensions: it is told to drop the one
        shape = f"dims: {_list(sizes)}" if sizes else "dims: [ 1 ] reshape: { shape: [ ] }"
    return f'{{ name: "{field.name}" data_type: {kind} {shape} }}'


def _warm_input(field: Field, batch: int | None) -> str:
    values = "random_data" if field.dtype == "float32" and field.source != "constant" else "zero_data"
    shape = [*([batch] if batch else []), *(field.shape or ([] if batch else [1]))]
    return (
        f'inputs {{ key: "{field.name}" value {{ data_type: {_TYPES[field.dtype]} dims: {_list(shape)} '
        f"{values}: true }} }}"
    )


def _list(numbers: Iterable[int]) -> str:
    return f"[ {', '.join(map(str, numbers))} ]"
