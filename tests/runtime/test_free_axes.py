"""Bundles with free axes: checked at other sizes, sampled at them, and refused where a file lies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import ganzoo
from ganzoo import runtime
from ganzoo.cli.generate import command
from ganzoo.errors import ExportError, UsageError
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.verify import check_signature
from ganzoo.runtime.generator import Generator
from tests.networks.test_free_axes import built


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(0)
    networks, info = built("voice", "sounds")
    path = tmp_path_factory.mktemp("voice") / "bundle"
    return export_generators(networks, info, path, about={}).path, networks


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(0)
    networks, info = built("enlarging", "pictures")
    path = tmp_path_factory.mktemp("enlarger") / "bundle"
    return export_generators(networks, info, path, about={}, form=Form(uint8=True)).path, networks


def loaded(bundle: tuple[Path, Any]) -> Generator:
    return ganzoo.load(bundle[0], provider="cpu")


def ganzoo_generate(*arguments: Any) -> Result:
    done = CliRunner().invoke(command, [*map(str, arguments), "--provider", "cpu"])
    if done.exit_code == 0:
        assert done.exception is None
    return done


def test_any_number_of_steps_is_what_torch_computes(voice: tuple[Path, Any]) -> None:
    generator = loaded(voice)
    module = voice[1].generators["generator"].module.eval()
    for time in (4, 20, 132):
        made = generator.generate(3, size={"time": time})
        assert made.shape == (3, 1, time)
        z = generator.draw_inputs(3, size={"time": time})["z"]
        assert z.shape == (3, 4, time // 4)
        with torch.no_grad():
            np.testing.assert_allclose(made, module(torch.from_numpy(z)).numpy(), atol=1e-5)
    assert (generator.generate(2) == generator.generate(2, size={"time": 32})).all()
    assert (generator.generate(5, size={"time": 20})[:3] == generator.generate(3, size={"time": 20})).all()
    assert generator.interpolate(2, 3, size={"time": 20}).shape == (6, 1, 20)
    assert generator.multiples == {"time": 4}


def test_a_given_array_decides_the_size(enlarger: tuple[Path, Any]) -> None:
    generator = loaded(enlarger)
    low = np.zeros((2, 3, 5, 9), np.float32)
    assert generator.generate(2, low=low).shape == (2, 20, 36, 3)
    assert generator.images(2, low=low, size={"height": 20, "width": 36}).shape == (2, 20, 36, 3)
    assert generator.run({"low": low})["high"].shape == (2, 20, 36, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.generate(1, size={"time": 22}), "time=22.*multiple of 4.*time=20 or time=24"),
        (lambda g: g.generate(1, size={"time": 2}), "time=4 or time=8"),
        (lambda g: g.generate(1, size={"time": -4}), "time=4 or time=8"),
        (lambda g: g.generate(1, size={"time": 20.5}), "multiple"),
        (lambda g: g.generate(1, size={"length": 20}), "no free axis 'length'.*time"),
        (lambda g: g.generate(2, size={"time": 20}, z=np.zeros((2, 4, 3), np.float32)), "do not agree"),
        (lambda g: g.generate(2, z=np.zeros((2, 5, 3), np.float32)), r"shape \(2, 4, 3\)"),
        (lambda g: g.generate(1, size={"time": 4 * 10**8}), "elements.*ask for a smaller size"),
        (lambda g: g.generate(1, size={"time": 4 * 10**30}), "elements.*ask for a smaller size"),
        (lambda g: g.generate(2000, size={"time": 4 * 10**6}), "GiB of memory"),
    ],
)
def test_sizes_that_are_refused(
    voice: tuple[Path, Any], call: Callable[[Generator], Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = loaded(voice)
    monkeypatch.setattr(generator, "_session", None)  # nothing may run
    with pytest.raises(UsageError) as caught:
        call(generator)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_the_card_and_the_metadata_say_what_is_free(voice: tuple[Path, Any]) -> None:
    card = (voice[0] / "README.md").read_text()
    assert "| output | `sound` | float32 | [batch, 1, 4 * time]" in card
    assert "time in multiples of 4. Training had time 32" in card
    assert "at time 28, at time 36, at time 64" in card
    listing = json.loads((voice[0] / "bundle.json").read_text())["generators"]["generator"]
    assert listing["outputs"][0]["free"] == {"time": 4}
    assert listing["parity"]["sizes"] == [{"time": 28}, {"time": 36}, {"time": 64}]


def test_generate_takes_a_size_or_a_length(voice: tuple[Path, Any], tmp_path: Path) -> None:
    for number, options in enumerate((("--length", "20"), ("--size", "time=20"), ("--size", "20"))):
        output = tmp_path / f"{number}.npz"
        done = ganzoo_generate(voice[0], "-n", 2, "-o", output, *options)
        assert done.exit_code == 0, done.output
        with np.load(output) as arrays:
            assert arrays["sound"].shape == (2, 1, 20)
    for option in ("20x20", "time=a", "time=", "time=22"):
        done = ganzoo_generate(voice[0], "-n", 2, "-o", tmp_path / "x.npz", "--size", option)
        assert done.exit_code == 2 or isinstance(done.exception, UsageError)
        assert not (tmp_path / "x.npz").exists()


def test_images_of_other_sizes_keep_them(enlarger: tuple[Path, Any], tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name, size in (("a", (9, 5)), ("b", (8, 6)), ("c", (9, 5))):
        Image.new("RGB", size, "red").save(source / f"{name}.png")
    done = ganzoo_generate(enlarger[0], "--input", source, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for name, wanted in (("a", (36, 20)), ("b", (32, 24)), ("c", (36, 20))):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert image.size == wanted
    done = ganzoo_generate(enlarger[0], "--input", source, "-o", tmp_path / "out.npz")
    assert "different sizes" in str(done.exception)
    (source / "b.png").unlink()
    done = ganzoo_generate(enlarger[0], "--input", source, "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["high"].shape == (2, 20, 36, 3)
    np.save(tmp_path / "low.npy", np.zeros((2, 7, 5, 3), np.uint8))
    assert (
        ganzoo_generate(enlarger[0], "--input", tmp_path / "low.npy", "-o", tmp_path / "n.npz").exit_code == 0
    )
    with np.load(tmp_path / "n.npz") as arrays:
        assert arrays["high"].shape == (2, 28, 20, 3)
    ganzoo_generate(enlarger[0], "--input", source, "--size", "40x32", "-o", tmp_path / "sized")
    with Image.open(tmp_path / "sized" / "a.png") as image:
        assert image.size == (32, 40)


def test_inputs_are_padded_to_multiples_and_the_results_cropped(tmp_path: Path) -> None:
    networks, info = built(
        "enlarging",
        "pictures",
        ('SIDES = {"height": 1, "width": 1}', 'SIDES = {"height": 2, "width": 2}'),
        ("axis: 4", "axis: 8"),
    )
    bundle = export_generators(networks, info, tmp_path / "bundle", about={}).path
    Image.effect_noise((7, 5), 60).convert("RGB").save(tmp_path / "x.png")
    done = ganzoo_generate(bundle, "--input", tmp_path / "x.png", "-o", tmp_path / "y.png")
    assert done.exit_code == 0, done.output
    assert "padded to multiples (height 2, width 2)" in done.output
    with Image.open(tmp_path / "y.png") as image:
        assert image.size == (28, 20)


# --- files that lie ---


def changed(bundle: tuple[Path, Any], change: Callable[[onnx.ModelProto, dict[str, Any]], None]) -> bytes:
    """The file with a change of its graph or metadata, sealed again."""
    model = onnx.load(bundle[0] / "generator.onnx")
    entries = {entry.key: entry.value for entry in model.metadata_props}
    record = json.loads(entries["ganzoo"])
    change(model, record)
    del model.metadata_props[:]
    model.metadata_props.add(key="ganzoo", value=json.dumps(record))
    return sealed_bytes(model)


def undeclared(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    for field in (*record["inputs"], *record["outputs"]):
        field.pop("free")


def other_axis(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"


def fixed_in_the_graph(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8


def fixed_output(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 32


def huge(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    record["inputs"][0]["shape"], record["outputs"][0]["shape"] = [4, 10**9], [1, 4 * 10**9]


def negative(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    record["inputs"][0]["shape"], record["outputs"][0]["shape"] = [4, -8], [1, -32]


def text_size(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    record["inputs"][0]["shape"] = [4, "8"]


def broken_size(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    record["inputs"][0]["shape"], record["outputs"][0]["shape"] = [4, 8.0], [1, 32.0]


def contradicting(model: onnx.ModelProto, record: dict[str, Any]) -> None:
    record["outputs"][0]["shape"] = [1, 36]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (undeclared, "more than the batch is open"),
        (other_axis, "more than the batch is open"),
        (fixed_in_the_graph, "does not fit its graph"),
        (fixed_output, "does not fit its graph"),
        (huge, "is the limit"),
        (negative, "has the shape|cannot be read"),
        (text_size, "cannot be read"),
        (broken_size, "more than the batch is open"),
        (contradicting, "cannot be read"),
    ],
)
def test_hostile_variants(voice: tuple[Path, Any], change: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        runtime.from_bytes(changed(voice, change), provider="cpu")


def test_the_unchanged_file_and_a_key_that_is_there_twice(voice: tuple[Path, Any]) -> None:
    assert runtime.from_bytes(changed(voice, lambda *_: None), provider="cpu").multiples == {"time": 4}
    model = onnx.load(voice[0] / "generator.onnx")
    model.metadata_props.add(key="ganzoo", value="{}")
    with pytest.raises(UsageError, match="twice"):
        runtime.from_bytes(sealed_bytes(model), provider="cpu")


def test_a_multiple_that_is_not_true_is_found_when_it_is_used(voice: tuple[Path, Any]) -> None:
    def lies(model: onnx.ModelProto, record: dict[str, Any]) -> None:
        record["outputs"][0]["shape"], record["outputs"][0]["free"] = [1, 64], {"time": 8}

    generator = runtime.from_bytes(changed(voice, lies), provider="cpu")
    with pytest.raises(UsageError, match="returned an array of shape"):
        generator.generate(1, size={"time": 80})


def test_a_graph_with_a_fixed_axis_is_no_export_of_a_free_one(voice: tuple[Path, Any]) -> None:
    model = onnx.load(voice[0] / "generator.onnx")
    generator = loaded(voice)
    check_signature(model, generator.inputs, generator.outputs)
    fixed_output(model, {})
    with pytest.raises(ExportError, match=r"declared is .*'free'"):
        check_signature(model, generator.inputs, generator.outputs)
