"""torch -> ONNX: what passes, what is refused, what is left on the disk."""

from __future__ import annotations

import copy
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.errors import ExportError, PluginError, StorageError, UsageError
from ganzoo.exporting.bundle import check_destination, sealed_bytes, write_bundle
from ganzoo.exporting.export import Bundle, export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.onnx_graph import example_inputs, export_graph, frozen_copy
from ganzoo.exporting.verify import check, check_signature, check_structure
from ganzoo.images import to_uint8
from ganzoo.networks.apply import declared
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import load_registry
from ganzoo.runtime.bundle_folder import usual_folder
from ganzoo.sampling import draw
from ganzoo.util.files import sync_folder
from tests.plugins.test_architectures import SMALL, SPECS, build, images

M = TypeVar("M", bound=nn.Module)

Z = Field(name="z", shape=(8,), source="normal")
POINT = Field(name="point", shape=(2,), kind="points")
IMAGE = Field(name="image", shape=(3, 8, 8), range=(-1.0, 1.0), kind="image", axes=PIXELS)
LABEL = Field(name="label", dtype="int64", classes=("cat", "dog", "emu"))
ABOUT = {"recipe": "toy", "plugins": {"toy": "toy 1.0"}, "images": 64000, "ema": True, "license": "mit"}


class Mlp(nn.Module):
    """BatchNorm in train mode, an in-place activation on a view."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 2)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :])


class Conditional(nn.Module):
    """Spectral norm and labels."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Embedding(3, 8)
        self.project = spectral_norm(nn.Linear(16, 8 * 4 * 4))
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.up = spectral_norm(nn.ConvTranspose2d(8, 3, 4, 2, 1))

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        hidden = self.project(torch.cat([z, self.classes(label)], 1)).view(-1, 8, 4, 4)
        return torch.tanh(self.up(self.act(self.norm(hidden))))


class Branches(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z[:, :2] * 2 + 1 if z.shape[0] > 4 else z[:, :2] * 3 - 1


class Random(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z[:, :2] + torch.randn(z.shape[0], 2)


class Mixes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2, track_running_stats=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.norm(torch.cat([z, z])[:, :2])[: z.shape[0]]


def trained(module: M) -> M:
    torch.manual_seed(0)
    for _ in range(3):  # running statistics that are not those of the start
        module(**{k: torch.from_numpy(v) for k, v in example_inputs(reads_of(module), 16).items()})
    return module


def reads_of(module: nn.Module) -> tuple[Field, ...]:
    return (Z, LABEL) if isinstance(module, Conditional) else (Z,)


def networks_of(
    module: nn.Module,
    writes: tuple[str, ...] = ("point",),
    name: str = "generator",
    fields: tuple[Field, ...] = (Z,),
) -> Networks:
    net = Net(module=module, reads=tuple(field.name for field in reads_of(module)), writes=writes)
    return Networks(generators={name: net}, discriminators={}, fields=fields)


DATA = DataInfo(fields=(IMAGE, LABEL, POINT), count=100)
KINDS = Kinds(load_registry())


@pytest.fixture(scope="module")
def conditional() -> Conditional:
    torch.manual_seed(1)
    return trained(Conditional())


@pytest.fixture(scope="module")
def bundle(conditional: Conditional, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    networks = networks_of(conditional, ("image",))
    return export_generators(networks, DATA, tmp_path_factory.mktemp("out") / "toy", about=ABOUT, kinds=KINDS)


@pytest.fixture(scope="module")
def pixels(conditional: Conditional, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    networks = networks_of(conditional, ("image",))
    return export_generators(
        networks, DATA, tmp_path_factory.mktemp("out") / "u8", about=ABOUT, form=Form(uint8=True), kinds=KINDS
    )


@pytest.fixture(scope="module")
def mlp() -> tuple[Mlp, onnx.ModelProto]:
    """A module in train mode and its graph."""
    torch.manual_seed(2)
    module = trained(Mlp()).train()
    return module, export_graph(Net(module=module, reads=("z",), writes=("point",)), (Z,), (POINT,))


def test_files(bundle: Bundle) -> None:
    names = ["README.md", "bundle.json", "generator.onnx", "samples.png"]
    assert [file.name for file in bundle.files] == names
    assert sorted(file.name for file in bundle.path.iterdir()) == names
    assert [file.name for file in bundle.path.parent.iterdir()] == ["toy"]
    listing = json.loads((bundle.path / "bundle.json").read_text())
    assert listing["files"] == names
    assert listing["generators"]["generator"]["bytes"] == (bundle.path / "generator.onnx").stat().st_size
    assert bundle.parity["generator"].max_abs < 1e-5
    assert bundle.parity["generator"].batches == (1, 2, 7, 64)


def test_graph_is_clean(bundle: Bundle) -> None:
    model = onnx.load(bundle.path / "generator.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not {node.op_type for node in model.graph.node} & {"ScatterND", "ReduceL2", "Div"}
    assert [value.name for value in model.graph.input] == ["z", "label"]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_metadata(bundle: Bundle) -> None:
    model = onnx.load(bundle.path / "generator.onnx")
    record = json.loads({entry.key: entry.value for entry in model.metadata_props}["ganzoo"])
    assert record["format"] == 1
    assert record["about"] == ABOUT
    assert [Field.from_json(raw) for raw in record["inputs"]] == [Z, LABEL]
    assert [Field.from_json(raw) for raw in record["outputs"]] == [IMAGE]
    assert record["parity"]["batches"] == [1, 2, 7, 64]


def test_no_local_path_in_any_file(bundle: Bundle) -> None:
    here = Path(__file__).parent
    folders = {Path(torch.__file__).parent, here, Path.home(), Path.cwd(), bundle.path.parent}
    for file in bundle.files:
        data = file.read_bytes()
        assert b"site-packages" not in data
        assert not [folder for folder in folders if len(str(folder)) > 1 and str(folder).encode() in data]


def test_the_network_in_training_keeps_its_spectral_norm(conditional: Conditional, bundle: Bundle) -> None:
    assert parametrize.is_parametrized(conditional.project, "weight")
    again = copy.deepcopy(conditional).train()
    trained(again)
    before, after = (net.project.parametrizations.weight[0]._u for net in (conditional, again))
    assert not torch.equal(before, after)


def test_same_bytes_twice(conditional: Conditional) -> None:
    net = Net(module=conditional, reads=("z", "label"), writes=("image",))
    first, second = (sealed_bytes(export_graph(net, (Z, LABEL), (IMAGE,))) for _ in range(2))
    assert first == second


def test_uint8_output(bundle: Bundle, pixels: Bundle) -> None:
    rows = draw((Z, LABEL), 33, 5)
    float_session, session = (
        onnxruntime.InferenceSession(
            (item.path / "generator.onnx").read_bytes(), providers=["CPUExecutionProvider"]
        )
        for item in (bundle, pixels)
    )
    assert session.get_outputs()[0].type == "tensor(uint8)"
    found = session.run(["image"], rows)[0]
    assert found.shape == (33, 8, 8, 3)
    steps = np.abs(found - to_uint8(float_session.run(["image"], rows)[0]).astype(int))
    assert steps.max() <= 1
    assert np.count_nonzero(steps) <= 1e-3 * steps.size
    assert pixels.parity["generator"].off_by_one <= 1e-3
    assert 0 < pixels.parity["generator"].max_abs == bundle.parity["generator"].max_abs
    listing = json.loads((pixels.path / "bundle.json").read_text())
    assert listing["generators"]["generator"]["parity"] == pixels.parity["generator"].to_json()
    assert (
        f"{pixels.parity['generator'].max_abs:.2g} of the output" in (pixels.path / "README.md").read_text()
    )
    assert "uint8-nhwc" in (pixels.path / "bundle.json").read_text()


@pytest.mark.parametrize("which", ["bundle", "pixels"])
def test_card_and_its_snippet(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(request.getfixturevalue(which).path, folder)
    card = (folder / "README.md").read_text()
    head = card.split("---\n")[1]
    assert 'license: "mit"' in head
    assert 'pipeline_tag: "unconditional-image-generation"' in head
    assert "0 cat, 1 dog, 2 emu" in card
    assert "64,000" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    subprocess.run([sys.executable, "-W", "error", "-c", code[1]], cwd=folder, check=True, timeout=60)
    assert (folder / "sample.png").exists()


def test_mlp_module_is_left_as_it_was(mlp: tuple[Mlp, onnx.ModelProto]) -> None:
    module, model = mlp
    assert module.training
    assert module.layers[2].inplace
    parity = check(model, Net(module=module, reads=("z",), writes=("point",)), (Z,), (POINT,))
    assert 0 <= parity.max_abs < 1e-5


def test_frozen_copy_takes_old_norms() -> None:
    with pytest.warns(FutureWarning):
        old = nn.utils.weight_norm(nn.Linear(8, 2))
    old(torch.zeros(1, 8))  # leaves a computed weight behind
    copied = frozen_copy(old)
    assert not copied.training
    assert old.training
    assert torch.equal(copied(torch.ones(1, 8)), old(torch.ones(1, 8)))


@pytest.mark.parametrize("name", sorted(SPECS))
def test_built_in_architectures(name: str) -> None:
    """Images that are neither square, even, nor of three colours: maps are cropped and resized."""
    check_generator(build(name, images(4, 30, 50), **SMALL[name]), images(4, 30, 50))


def test_built_in_mlp_on_points() -> None:
    data = DataInfo(fields=(POINT, LABEL), count=100)
    check_generator(build("mlp", data, **SMALL["mlp"]), data)


def check_generator(networks: Networks, data: DataInfo) -> None:
    net, fields = networks.generators["generator"], declared(networks, data)
    inputs, outputs = (tuple(fields[name] for name in names) for names in (net.reads, net.writes))
    parity = check(export_graph(net, inputs, outputs), net, inputs, outputs)
    assert 0 <= parity.max_abs < 1e-4


def test_examples_follow_the_declared_range() -> None:
    fields = (Field(name="a", shape=(50,), range=(2.0, 4.0)), Field(name="b", shape=(50,)))
    rows = example_inputs(fields, 20)
    assert rows["a"].min() >= 2
    assert 2.9 < rows["a"].mean() < 3.1
    assert rows["b"].min() < -2
    with pytest.raises(ExportError, match="int64 without named classes"):
        example_inputs([Field(name="c", dtype="int64")], 2)


@pytest.mark.parametrize(
    ("module", "message"),
    [(Branches(), "at batch 7"), (Random(), "draws random numbers"), (Mixes(), "depends on the others")],
    ids=["branches", "random", "mixes"],
)
def test_refused_modules_leave_nothing_and_the_old_bundle(
    module: nn.Module, message: str, bundle: Bundle, tmp_path: Path
) -> None:
    old = tmp_path / "toy"
    shutil.copytree(bundle.path, old)
    before = {file.name: file.read_bytes() for file in old.iterdir()}
    with pytest.raises(ExportError, match=message) as caught:
        export_generators(networks_of(module), DATA, old, about=ABOUT)
    assert "generator 'generator'" in caught.value.where
    assert caught.value.fix
    assert {file.name: file.read_bytes() for file in old.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


def test_what_cannot_be_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="reads and writes 'z'"):
        export_graph(Net(module=nn.Identity(), reads=("z",), writes=("z",)), (Z,), (Z,))
    with pytest.raises(ExportError, match="could not export"):
        export_graph(Net(module=nn.Linear(5, 5), reads=("z",), writes=("point",)), (Z,), (POINT,))
    with pytest.raises(ExportError, match="writes no image"):
        export_generators(networks_of(Mlp()), DATA, tmp_path / "x", about={}, form=Form(uint8=True))
    assert list(tmp_path.iterdir()) == []


def test_signature_is_compared(mlp: tuple[Mlp, onnx.ModelProto]) -> None:
    _, model = mlp
    check_signature(model, (Z,), (POINT,))
    wrong = [
        ((Field(name="noise", shape=(8,), source="normal"),), (POINT,)),
        ((Field(name="z", shape=(9,), source="normal"),), (POINT,)),
        ((Z,), (Field(name="point", shape=(2, 1)),)),
        ((Z,), (Field(name="point", shape=(2,), dtype="int64"),)),
    ]
    for inputs, outputs in wrong:
        with pytest.raises(ExportError):
            check_signature(model, inputs, outputs)
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ExportError, match="shape"):
        check_signature(fixed, (Z,), (POINT,))


def tiny(
    *nodes: onnx.NodeProto, domain: str = "", initializers: Sequence[TensorProto] = ()
) -> onnx.ModelProto:
    """A graph z -> point of the nodes given, with our metadata."""
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 2])
    point = helper.make_tensor_value_info("point", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(
        nodes or [helper.make_node("Neg", ["z"], ["point"])], "g", [z], [point], initializers
    )
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    model.metadata_props.add(key="ganzoo", value=json.dumps({"inputs": [], "outputs": [], "parity": {}}))
    return model


def test_structure_refuses_foreign_operators_and_outside_data() -> None:
    check_structure(tiny())
    refused = [
        tiny(helper.make_node("RandomNormalLike", ["z"], ["point"])),
        tiny(helper.make_node("ScatterND", ["z", "i", "u"], ["point"])),
        tiny(helper.make_node("If", ["z"], ["point"])),
        tiny(helper.make_node("Neg", ["z"], ["point"], domain="com.example"), domain="com.example"),
        tiny(helper.make_node("Neg", ["nowhere"], ["point"])),
    ]
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../secret")
    refused.append(tiny(helper.make_node("Add", ["z", "w"], ["point"]), initializers=[outside]))
    for model in refused:
        with pytest.raises(ExportError):
            check_structure(model)


def test_destination(tmp_path: Path) -> None:
    check_destination(tmp_path / "absent")
    check_destination(tmp_path)
    (tmp_path / "thesis.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UsageError):
            write_bundle(path, {"generator": tiny()}, {}, samples=None, card="")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    out = tmp_path / "out"
    write_bundle(out, {"generator": tiny()}, {}, samples=None, card="one")
    write_bundle(out, {"other": tiny()}, {}, samples=None, card="two")
    assert sorted(file.name for file in out.iterdir()) == ["README.md", "bundle.json", "other.onnx"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        write_bundle(out, {"generator": tiny()}, {}, samples=None, card="three")
    with pytest.raises(PluginError):
        write_bundle(tmp_path / "new", {"../evil": tiny()}, {}, samples=None, card="")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "thesis.txt"]


@pytest.mark.parametrize(
    "damage", [{"files": 5}, {"files": None}, {"files": [{}]}, {"about": "x"}, {"about": None}, {"kind": []}]
)
def test_a_damaged_list_of_files_is_no_bundle(tmp_path: Path, damage: dict[str, Any]) -> None:
    write_bundle(tmp_path / "out", {"generator": tiny()}, {}, samples=None, card="")
    file = tmp_path / "out" / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))
    with pytest.raises(UsageError, match="not a bundle"):
        check_destination(tmp_path / "out")


def test_the_usual_folder_is_free_or_of_the_same_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for origin in ("a", "b", "a"):
        folder = usual_folder("dcgan", "file_sha256", origin)
        write_bundle(folder, {"generator": tiny()}, {"file_sha256": origin}, samples=None, card="")
    assert sorted(path.name for path in Path("exported").iterdir()) == ["dcgan", "dcgan-2"]
    assert usual_folder("dcgan", "run", "a") == Path("exported/dcgan-3")


@pytest.mark.parametrize("broken", ["fsync", "rename"])
def test_disk_errors_leave_the_old_bundle(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_bundle(out, {"generator": tiny()}, {}, samples=None, card="one")
    calls, rename = [], Path.rename

    def full(*arguments: Any) -> Any:
        calls.append(arguments)
        if broken == "rename" and len(calls) != 2:  # the second rename would put the new bundle in place
            return rename(*arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "rename": (Path, "rename")}[broken], full)
    with pytest.raises(StorageError, match="No space left"):
        write_bundle(out, {"generator": tiny()}, {}, samples=None, card="two")
    monkeypatch.undo()
    assert (out / "README.md").read_text() == "one"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_folders_that_cannot_be_flushed_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EINVAL, "not here")))
        sync_folder(tmp_path)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = Net(module=Mlp(), reads=("z",), writes=("point",))
    export_graph(net, (Z,), (POINT,))
    assert capfd.readouterr() == ("", "")
