"""One ONNX file of each family of image generators takes any batch, and equals torch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from ganzoo.exporting.onnx_graph import export_graph
from ganzoo.importing.networks import build_imported
from ganzoo.networks.exports import exported
from ganzoo.registry.registry import load_registry
from ganzoo_fastgan import importer as fastgan
from ganzoo_r3gan import importer as r3gan
from ganzoo_stylegan2 import import_pggan, import_rosinality, import_stylegan2
from tests.helpers.importing import imported
from tests.importing.test_stylegans import Published

BATCHES = (1, 2, 5, 7)

FILES = {
    "stylegan2": import_stylegan2.example,
    "stylegan2-rosinality": import_rosinality.example,
    "stylegan3-t": lambda: {"G_ema": Published(16, 4, rotating=False).g},
    "pggan": import_pggan.example,
    "r3gan": r3gan.example,
    "stylegan3-r": lambda: {"G_ema": Published(16, 4, rotating=True).g},
    "fastgan": fastgan.example,
}
QUICK = ("stylegan2", "stylegan3-t")


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FILES]
)
def test_one_file_takes_any_batch(tmp_path: Path, family: str) -> None:
    tree: Any = FILES[family]()
    _, info, networks, _ = build_imported(imported(tree, tmp_path).imported, load_registry())
    ((_, part),) = exported(networks, info).items()
    graph = export_graph(part.net, part.inputs, part.outputs).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    precise = copy.deepcopy(part.net.module).double()
    random = np.random.default_rng(0)
    for n in BATCHES:
        batch: dict[str, Any] = {}
        for field in part.inputs:
            if field.dtype == "int64":
                batch[field.name] = random.integers(0, len(field.classes), n)
            else:
                spread = 0.2 if field.source == "constant" else 1.0
                drawn = random.normal(field.default, spread, (n, *field.shape))
                batch[field.name] = drawn.astype(np.float32)
        given = [torch.from_numpy(batch[name]) for name in part.net.reads]
        with torch.no_grad():
            expected = part.net.module(*given).numpy()
            exact = precise(*(value.double() if value.is_floating_point() else value for value in given))
        (image,) = session.run(None, batch)
        assert image.shape == (n, *part.outputs[0].shape)
        # Made-up weights may magnify rounding: then torch is as far from the exact values.
        own = np.abs(expected - exact.numpy()).max()
        assert np.abs(image - expected).max() < max(1e-5, 5 * own)
