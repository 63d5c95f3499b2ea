"""Model repositories of Triton. Its own parser is not a dependency: `tools/check_triton.py` calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from torch import Tensor, nn

from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.errors import UsageError
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.triton import write_repository

WARM = (
    'inputs { key: "z" value { data_type: TYPE_FP32 dims: [ 32 ] random_data: true } }',
    'inputs { key: "label" value { data_type: TYPE_INT64 dims: [ 1 ] zero_data: true } }',
)
ROOT = Path(__file__).resolve().parents[2]


def test_a_bundle_with_a_label(tmp_path: Path) -> None:
    (model,) = write_repository(ROOT / "exported" / "cgan", tmp_path / "models")
    assert sorted(str(path.relative_to(tmp_path)) for path in model.rglob("*") if path.is_file()) == [
        "models/cgan/1/model.onnx",
        "models/cgan/config.pbtxt",
    ]
    onnx.checker.check_model(onnx.load(model / "1" / "model.onnx"))
    assert (model / "config.pbtxt").read_text().splitlines() == [
        'name: "cgan"',
        'platform: "onnxruntime_onnx"',
        "max_batch_size: 64",
        'input [ { name: "z" data_type: TYPE_FP32 dims: [ 32 ] } ]',
        'input [ { name: "label" data_type: TYPE_INT64 dims: [ 1 ] reshape: { shape: [ ] } } ]',
        'output [ { name: "image" data_type: TYPE_FP32 dims: [ 1, 28, 28 ] } ]',
        "dynamic_batching { max_queue_delay_microseconds: 2000 }",
        'model_warmup [ { name: "first" batch_size: 1 ' + " ".join(WARM) + " } ]",
    ]
    with pytest.raises(UsageError, match="has a model 'cgan'"):
        write_repository(ROOT / "exported" / "cgan", tmp_path / "models")


class Larger(nn.Module):
    def forward(self, small: Tensor) -> Tensor:
        return nn.functional.interpolate(small, scale_factor=2.0)


def test_pixels_free_sizes_and_one_batch_size(tmp_path: Path) -> None:
    image = Field(name="small", shape=(3, 4, 4), range=(-1, 1), axes=PIXELS, kind="image")
    small = replace(image, free={"height": 1, "width": 1})
    large = replace(image, name="large", shape=(3, 8, 8), free={"height": 2, "width": 2})
    net = Net(module=Larger(), reads=("small",), writes=("large",))
    networks = Networks(generators={"generator": net}, discriminators={})
    data = DataInfo(fields=(small, large), count=2)
    for form in (Form(uint8=True), Form(batch=2)):
        name = f"b{form.batch}"
        export_generators(networks, data, tmp_path / name, about={}, form=form)
        write_repository(tmp_path / name, tmp_path / "models")
    free, fixed = ((tmp_path / "models" / name / "config.pbtxt").read_text() for name in ("bNone", "b2"))
    assert 'name: "small" data_type: TYPE_FP32 dims: [ 3, -1, -1 ]' in free
    assert 'name: "large" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ]' in free
    assert "max_batch_size: 0" in fixed
    assert "dynamic_batching" not in fixed
    assert 'name: "small" data_type: TYPE_FP32 dims: [ 2, 3, -1, -1 ]' in fixed
    assert 'key: "small" value { data_type: TYPE_FP32 dims: [ 2, 3, 4, 4 ] random_data: true }' in fixed
