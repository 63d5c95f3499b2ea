"""The forms of exported files: operator sets, a fixed batch, smaller weights, what viewers show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

import ganzoo
from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.cli import main
from ganzoo.errors import DivergedError, ExitCode, ExportError, PluginError, UsageError
from ganzoo.evaluation.small_weights import frechet_of
from ganzoo.exporting.distances import Distance, Frechet, compared
from ganzoo.exporting.export import Bundle, export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.weights import store_weights
from ganzoo.registry.registry import load_registry

Z = Field(name="z", shape=(16,), source="normal")
IMAGE = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image", axes=PIXELS)
LABEL = Field(name="label", dtype="int64", classes=("cat", "dog"))
DATA = DataInfo(fields=(IMAGE, LABEL), count=10)


class Painter(nn.Module):
    """Convolutions of both ways, a linear layer, and large values before tanh."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.classes = nn.Embedding(2, 16)
        self.start = nn.Linear(32, 16 * 4 * 4)
        self.up = nn.ConvTranspose2d(16, 12, 4, 2, 1)
        self.last = nn.Conv2d(12, 1, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        hidden = torch.relu(self.start(torch.cat([z, self.classes(label)], 1)).view(-1, 16, 4, 4))
        return torch.tanh(3.0 * self.last(torch.relu(self.up(hidden))))


def exported(
    folder: Path,
    module: nn.Module | None = None,
    form: Form = Form(),  # noqa: B008
    frechet: Frechet | None = None,
) -> Bundle:
    net = Net(module=module or Painter(), reads=("z", "label"), writes=("image",))
    networks = Networks(generators={"generator": net}, discriminators={}, fields=(Z,))
    about = {"recipe": "painter"}
    return export_generators(networks, DATA, folder, about=about, form=form, frechet=frechet)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("plain") / "bundle")


def graph_of(bundle: Bundle) -> onnx.ModelProto:
    return onnx.load(bundle.path / "generator.onnx")


def test_old_runtimes_can_read_it(plain: Bundle) -> None:
    model = graph_of(plain)
    assert [item.version for item in model.opset_import] == [18]
    assert model.ir_version == 8  # onnxruntime 1.14 and later
    assert not model.graph.value_info


def test_viewers_show_what_it_is(plain: Bundle) -> None:
    model = graph_of(plain)
    assert model.graph.name == "painter: generator"
    assert model.doc_string == (plain.path / "README.md").read_text()
    texts = {value.name: value.doc_string for value in (*model.graph.input, *model.graph.output)}
    assert texts == {
        "z": "noise from N(0, 1)",
        "label": "a class, 0 to 1: cat, dog",
        "image": "image, -1 to 1",
    }


def test_tanh_gets_values_that_every_runtime_can_compute() -> None:
    """Beyond 10 tanh is 1 in float32: the limit changes no bit."""
    values = np.concatenate([np.linspace(-60, 60, 100_001), [1e30, -1e30]]).astype(np.float32)
    assert np.array_equal(np.tanh(values), np.tanh(values.clip(-10, 10)))


def test_the_graph_limits_what_tanh_reads(plain: Bundle) -> None:
    model = graph_of(plain)
    makers = {name: node for node in model.graph.node for name in node.output}
    tanh = next(node for node in model.graph.node if node.op_type == "Tanh")
    assert makers[tanh.input[0]].op_type == "Clip"


def test_an_embedding_is_the_gather_that_pnnx_knows(plain: Bundle) -> None:
    (gather,) = (node for node in graph_of(plain).graph.node if node.op_type == "Gather")
    assert not gather.attribute


@pytest.mark.parametrize("opset", [18, 20])
def test_operator_sets(tmp_path: Path, opset: int, plain: Bundle) -> None:
    bundle = exported(tmp_path / "bundle", form=Form(opset=opset))
    assert graph_of(bundle).opset_import[0].version == opset
    assert np.allclose(ganzoo.load(bundle).generate(5), ganzoo.load(plain).generate(5), atol=1e-6)


@pytest.mark.parametrize("form", [{"opset": 17}, {"opset": 99}, {"batch": 0}, {"weights": "int4"}])
def test_forms_that_do_not_exist(form: dict[str, int]) -> None:
    with pytest.raises(UsageError) as error:
        Form(**form)  # type: ignore[arg-type]
    assert error.value.fix


@pytest.mark.parametrize("uint8", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch(tmp_path: Path, plain: Bundle, batch: int, uint8: bool) -> None:
    bundle = exported(tmp_path / "bundle", form=Form(batch=batch, uint8=uint8))
    assert bundle.parity["generator"].batches == (batch,)
    model = graph_of(bundle)
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_value == batch
    loaded, free = ganzoo.load(bundle), ganzoo.load(plain)
    assert (loaded.batch, free.batch) == (batch, None)
    # Any number of samples can be made: the last batch is filled up.
    assert np.abs(loaded.images(7, seed=3).astype(int) - free.images(7, seed=3)).max() <= 1
    assert f"[{batch}, 1, 8, 8]" in (bundle.path / "README.md").read_text() or uint8


class Crowd(Painter):
    """A sample depends on the others of its batch."""

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return super().forward(z - z.mean(0, keepdim=True), label)


def test_samples_of_a_fixed_batch_must_be_independent(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="depends on the others"):
        exported(tmp_path / "bundle", Crowd(), Form(batch=4))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(("weights", "largest", "levels"), [("float16", 0.62, 0.1), ("int8", 0.45, 0.5)])
def test_smaller_weights(tmp_path: Path, plain: Bundle, weights: str, largest: float, levels: float) -> None:
    bundle = exported(tmp_path / "bundle", form=Form(weights=weights))  # type: ignore[arg-type]
    stored = bundle.stored["generator"]
    full, small = ganzoo.load(plain).generate(64), ganzoo.load(bundle).generate(64)
    gap = (full - small).astype(np.float64) / 2.0
    assert 0 < 255 * np.abs(gap).mean() < levels
    # The figures are those of 64 samples: nearly the same as of these.
    assert stored.mean_levels == pytest.approx(255 * np.abs(gap).mean(), rel=0.2)
    assert stored.psnr == pytest.approx(-10 * np.log10(np.square(gap).mean()), abs=1.0)
    assert stored.bytes_ratio < largest
    listing = json.loads((bundle.path / "bundle.json").read_text())
    assert listing["generators"]["generator"]["stored"]["type"] == weights
    assert f"Weights are {weights}" in (bundle.path / "README.md").read_text()
    assert not plain.stored


def test_int8_is_the_nearest_of_255_values_in_each_channel(plain: Bundle, tmp_path: Path) -> None:
    model = graph_of(exported(tmp_path / "bundle", form=Form(weights="int8")))
    tensors = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    before = {item.name: numpy_helper.to_array(item) for item in graph_of(plain).graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len(nodes) >= 2
    for node in nodes:
        whole, scales = tensors[node.input[0]], tensors[node.input[1]]
        axis = node.attribute[0].i
        shape = [-1 if at == axis else 1 for at in range(whole.ndim)]
        again = whole.astype(np.float32) * scales.reshape(shape)
        half_steps = np.broadcast_to(scales.reshape(shape) / 2, whole.shape)
        assert (np.abs(again - before[node.output[0]]) <= half_steps * 1.001).all()


def test_distances_to_kept_samples_are_not_rounded_to_int8(tmp_path: Path) -> None:
    class Nearest(nn.Module):
        """How far samples are from the nearest of those in a buffer: small differences of large sums."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.spread = nn.Linear(16, 64)
            self.register_buffer("kept", 0.5 + torch.randn(64, 50) / 30)

        def forward(self, z: Tensor, label: Tensor) -> Tensor:
            kept: Tensor = self.kept  # type: ignore[assignment]
            places = 0.5 + self.spread(z) / 30
            squares = places.square().sum(1, keepdim=True) - 2 * places @ kept + kept.square().sum(0)
            shade = torch.tanh(5 * squares.amin(1) - 1)
            return (shade[:, None] + 0 * label[:, None]).expand(-1, 64).reshape(-1, 1, 8, 8)

    bundle = exported(tmp_path / "bundle", Nearest(), Form(weights="int8"))
    types = {item.name: item.data_type for item in graph_of(bundle).graph.initializer}
    assert types["kept_float16"] == TensorProto.FLOAT16
    assert types["spread.weight_int8"] == TensorProto.INT8


def test_too_large_a_change_is_refused(tmp_path: Path) -> None:
    class Sums(nn.Module):
        """Differences of large sums, which rounded weights do not keep."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = nn.Linear(16, 64)
            with torch.no_grad():
                self.first.weight += 40.0

        def forward(self, z: Tensor, label: Tensor) -> Tensor:
            made = self.first(z)
            return torch.tanh(made - made.mean(1, keepdim=True)).view(-1, 1, 8, 8) + 0 * label.view(
                -1, 1, 1, 1
            )

    with pytest.raises(ExportError, match="With weights in int8, 'image' is too far") as error:
        exported(tmp_path / "bundle", Sums(), Form(weights="int8"))
    assert "float16" in error.value.fix
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("small", "full", "allowed"),
    [(10.4, 10.0, True), (10.6, 10.0, False), (201.9, 200.0, True), (202.1, 200.0, False), (9.0, 10.0, True)],
)
def test_a_frechet_distance_is_part_of_the_gate(
    small: float, full: float, allowed: bool, tmp_path: Path
) -> None:
    """At most 0.5 or 1 % more than for samples of full weights."""
    seen = []

    def frechet(field: Field, *arrays: NDArray[Any]) -> tuple[str, float, float]:
        seen.append([array.shape for array in arrays])
        assert field.name == "image"
        return "fed", small, full

    if not allowed:
        with pytest.raises(ExportError, match="farther from others: fed"):
            exported(tmp_path / "bundle", form=Form(weights="float16"), frechet=frechet)
        assert not (tmp_path / "bundle").exists()
        return
    bundle = exported(tmp_path / "bundle", form=Form(weights="float16"), frechet=frechet)
    distance = bundle.stored["generator"].distance
    assert seen == [[(distance.samples, 1, 8, 8)] * 3]
    assert distance == Distance(name="fed", small=small, full=full, samples=distance.samples)
    assert distance.samples >= 200
    assert (
        f"{small:.2f}; for samples by float32 weights it is {full:.2f}"
        in (bundle.path / "README.md").read_text()
    )


def test_uint8_pictures_are_compared_with_the_axes_of_the_field(tmp_path: Path) -> None:
    measure = frechet_of(load_registry())
    bundle = exported(tmp_path / "bundle", form=Form(weights="float16", uint8=True), frechet=measure)
    distance = bundle.stored["generator"].distance
    assert not distance.missing
    assert distance.small == pytest.approx(distance.full, rel=0.01)


def test_without_an_extractor_the_rest_of_the_gate_holds(tmp_path: Path) -> None:
    def frechet(*_: Any) -> tuple[str, float, float]:
        raise UsageError("The weights of the feature extractor are not installed.")

    bundle = exported(tmp_path / "bundle", form=Form(weights="int8"), frechet=frechet)
    assert bundle.stored["generator"].psnr > 45
    said = (bundle.path / "README.md").read_text()
    assert "not measured: The weights of the feature extractor are not installed." in said


def test_a_broken_metric_does_not_pass_the_gate(tmp_path: Path) -> None:
    def frechet(*_: Any) -> tuple[str, float, float]:
        raise PluginError("The metric 'frechet' failed.")

    with pytest.raises(PluginError, match="failed"):
        exported(tmp_path / "bundle", form=Form(weights="int8"), frechet=frechet)
    assert not (tmp_path / "bundle").exists()


def test_a_distance_that_is_no_number_is_refused_at_every_output() -> None:
    def frechet(field: Field, *_: Any) -> tuple[str, float, float]:
        return "fed", {"a": 1.0, "b": np.nan}[field.name], 1.0

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["z"], [name]) for name in "ab"],
        "two",
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", 16])],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 16]) for name in "ab"],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    data = model.SerializeToString()
    outputs = [Field(name=name, shape=(16,)) for name in "ab"]
    with pytest.raises(ExportError, match="fed nan"):
        compared(data, data, [Z], outputs, None, frechet)


@pytest.mark.parametrize(
    ("shape", "batch", "reason"),
    [
        ((3, 1024, 1024), None, "200 samples are more than 256 MiB"),
        ((3, 335, 335), 1, "200 samples are more than 256 MiB"),
        ((1, 8, 8), 1024, "no multiple of the batch size 1,024 is from 200 to 1,000"),
        ((3, 300, 300), 150, "no multiple of the batch size 150 is from 200 to 248"),
    ],
)
def test_samples_that_are_too_many_or_too_large_are_not_made(
    shape: tuple[int, ...], batch: int | None, reason: str
) -> None:
    def frechet(*_: Any) -> tuple[str, float, float]:
        raise AssertionError

    nothing = b""  # no graph: running it would be an error
    distance = compared(nothing, nothing, [Z], [Field(name="image", shape=shape)], batch, frechet)
    assert distance == Distance(missing=reason)


def test_pictures_of_330_pixels_are_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = set()

    class Session:
        def run(self, _: Any, rows: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
            sizes.add(len(rows["z"]))
            return [np.broadcast_to(np.float32(0), (len(rows["z"]), 3, 330, 330))]

    monkeypatch.setattr("ganzoo.exporting.distances.cpu_session", lambda _: Session())
    field = Field(name="image", shape=(3, 330, 330))
    distance = compared(b"", b"", [Z], [field], None, lambda *_: ("fed", 1.0, 1.0))
    assert distance == Distance(name="fed", small=1.0, full=1.0, samples=200)
    assert sizes == {8}


def test_weights_beyond_float16_stay() -> None:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["z", "w"], ["y"])],
        "large",
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", 32])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 32])],
        [numpy_helper.from_array(np.full((32, 32), 1e6, np.float32), "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    z = Field(name="z", shape=(32,), source="normal")
    stored = store_weights(model, "float16", [z], [Field(name="y", shape=(32,))])
    assert stored.bytes_ratio == 1.0
    assert [node.op_type for node in model.graph.node] == ["MatMul"]


class Broken(Painter):
    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return super().forward(z, label) / (self.last.bias * 0.0)


def test_values_that_are_not_finite_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'image' that are not finite"):
        exported(tmp_path / "bundle", Broken())


class Grows(Painter):
    """Finite for the noise of the checks, infinite for large inputs."""

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return super().forward(z, label) + 0.0 * torch.exp(z.square().sum(1)).view(-1, 1, 1, 1)


def test_samples_that_are_not_finite_end_with_4(tmp_path: Path) -> None:
    bundle = exported(tmp_path / "bundle", Grows())
    loaded = ganzoo.load(bundle)
    assert np.isfinite(loaded.generate(4)).all()
    with pytest.raises(DivergedError, match="not finite"):
        loaded.generate(1, z=np.full((1, 16), 100.0, np.float32))
    values = ",".join(["100"] * 16)
    with pytest.raises(SystemExit) as ended:
        main(["generate", str(bundle.path), "-n", "2", "--set", f"z={values}", "-o", str(tmp_path / "x.npz")])
    assert ended.value.code == ExitCode.DIVERGED
    assert not (tmp_path / "x.npz").exists()


def test_a_range_that_is_no_interval_is_refused() -> None:
    for bounds in ((float("nan"), 1.0), (1.0, -1.0), (0.0, float("inf"))):
        with pytest.raises(ValueError, match="range of 'x'"):
            Field(name="x", range=bounds)


def test_threads(plain: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[onnxruntime.SessionOptions] = []
    session = onnxruntime.InferenceSession

    def opened(data: bytes, options: onnxruntime.SessionOptions, **rest: object) -> object:
        seen.append(options)
        return session(data, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    ganzoo.load(plain.path, threads=1)
    ganzoo.load(plain.path)
    assert [options.intra_op_num_threads for options in seen] == [1, 0]
    assert all(item.get_session_config_entry("session.intra_op.allow_spinning") == "0" for item in seen)
    with pytest.raises(UsageError, match="0 threads"):
        ganzoo.load(plain.path, threads=0)
