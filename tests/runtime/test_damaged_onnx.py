"""Files that are cut off, changed at random, or whose metadata lies: an error with a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper

from ganzoo import runtime
from ganzoo.errors import DivergedError, UsageError
from ganzoo.exporting.bundle import sealed_bytes
from ganzoo.runtime import onnx_file
from ganzoo.runtime.guard.check import check
from tests.runtime.test_hostile_onnx import (
    LIMIT,
    OUT,
    Change,
    Z,
    attribute,
    ending,
    model,
    node,
    refused,
    weight,
)

EXPORTED = Path(__file__).parents[2] / "exported"
TIMES = 1000


def foreign() -> bytes:
    """A file from elsewhere with several kinds of fields: attributes, weights, a shape."""
    rng = np.random.default_rng(0)
    made = model(
        node("Gemm", ["z", "w", "b"], "flat", transB=1, alpha=0.5),
        node("Reshape", ["flat", "square"], "map"),
        node("Conv", ["map", "kernel"], "seen", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("LeakyRelu", ["seen"], "bent", alpha=0.2),
        node("Flatten", ["bent"], "out"),
        seal=False,
        w=rng.normal(size=(4, 4)).astype(np.float32),
        b=np.zeros(4, np.float32),
        square=np.array([-1, 1, 2, 2]),
        kernel=rng.normal(size=(1, 1, 3, 3)).astype(np.float32),
    )
    return made.SerializeToString()


def mutations(data: bytes, times: int, seed: int) -> Iterator[bytes]:
    """Bytes changed, cut out, put in, doubled, or made to numbers without an end; one to three at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at, size = int(rng.integers(len(changed))), int(rng.integers(1, 12))
            match int(rng.integers(6)):
                case 0:
                    changed[at] ^= 1 << int(rng.integers(8))
                case 1:
                    changed[at] = int(rng.integers(256))
                case 2:
                    del changed[at : at + size]
                case 3:
                    changed[at:at] = rng.bytes(size)
                case 4:
                    changed[at:at] = changed[at : at + size]
                case _:
                    changed[at : at + size] = b"\xff" * size
        if bytes(changed) != data:
            yield bytes(changed)


def structure(data: bytes) -> list[Any]:
    """What onnx itself sees in a file, and that nothing of it is what must be refused."""
    made = onnx.load_model_from_string(data)
    assert not made.functions
    assert not made.training_info
    assert {node.domain for node in made.graph.node} <= {"", "ai.onnx"}
    assert not any(tensor.external_data or tensor.data_location for tensor in made.graph.initializer)
    nodes = [
        (n.op_type, list(n.input), list(n.output), sorted(a.name for a in n.attribute))
        for n in made.graph.node
    ]
    weights = [(w.name, list(w.dims), numpy_helper.to_array(w).size) for w in made.graph.initializer]
    return [nodes, weights, [value.name for value in (*made.graph.input, *made.graph.output)]]


def seen(data: bytes) -> list[Any]:
    """The same, as our reader sees it; UsageError for what is refused."""
    graph = check(data).graph
    nodes = [(n.operator, list(n.inputs), list(n.outputs), sorted(n.attributes)) for n in graph.nodes]
    weights = [(w.name, list(w.dims), w.elements) for w in graph.initializers]
    return [nodes, weights, [value.name for value in (*graph.inputs, *graph.outputs)]]


def twice(made: ModelProto) -> None:
    attribute("alpha", AttributeProto.FLOAT, f=1.0)(made)
    made.graph.node[0].attribute.append(made.graph.node[0].attribute[0])


def same_name(made: ModelProto) -> None:
    for _ in range(2):
        weight(data_type=1, dims=[0])(made)


AMBIGUOUS: dict[str, tuple[Change, str]] = {
    "two data fields": (weight(data_type=7, dims=[1], int64_data=[2**40], raw_data=bytes(8)), "data twice"),
    "another type's field": (weight(data_type=7, dims=[1], float_data=[1.0]), "field for another type"),
    "two minus signs": (
        weight(data_type=1, dims=[-2, -2], raw_data=bytes(16)),
        r"claims the shape \[-2, -2\]",
    ),
    "external by its place alone": (
        weight(data_type=1, dims=[1], raw_data=bytes(4), external_data=[{"key": "location", "value": "x"}]),
        "another file",
    ),
    "attribute twice": (twice, "an attribute twice"),
    "weights of one name": (same_name, "have the same name"),
    "outputs of one name": (lambda m: m.graph.output.append(m.graph.output[0]), "have the same name"),
    "output from nowhere": (lambda m: m.graph.output.add(name="x"), "nothing writes the output 'x'"),
    "17 dimensions": (
        ending(node("Reshape", ["z", "s"], "big"), s=[1] * 16 + [4]),
        "'big' has 17 dimensions",
    ),
    "large beside nothing": (
        ending(node("ConstantOfShape", ["s"], "big"), s=[0, 2**40]),
        "makes a tensor .* 1,099,511,627,776",
    ),
    "no type": (weight(dims=[0]), "type 0"),
}


@pytest.mark.parametrize("kind", list(AMBIGUOUS))
def test_what_two_readers_might_read_in_two_ways(kind: str) -> None:
    change, message = AMBIGUOUS[kind]
    made = model()
    change(made)
    refused(sealed_bytes(made), message)


def test_numbers_that_protobuf_would_cut() -> None:
    """Bytes that no writer makes: a size in two forms; a place whose lower 32 bits say elsewhere."""
    made = model()
    weight(data_type=1, dims=[1], raw_data=bytes(4), doc_string="aaaa")(made)
    data = made.SerializeToString()
    refused(onnx_file.seal(data.replace(b"\x12\x05batch", b"\x08\x04\x12\x03bat", 1)), "its size twice")
    changed = data.replace(b"\x62\x04aaaa", b"\x70\x81\x80\x80\x80\x10")
    assert onnx.load_model_from_string(changed).graph.initializer[0].data_location == TensorProto.EXTERNAL
    refused(onnx_file.seal(changed), "data_location has the value 4294967297")
    assert runtime.from_bytes(onnx_file.seal(data), provider="cpu").generate(2).shape == (2, 4)


def test_mutations_of_a_sealed_file(capfd: pytest.CaptureFixture[str]) -> None:
    data = sealed_bytes(model())
    runtime.from_bytes(data, provider="cpu")
    slowest = max(refused(changed, "file", trust=True) for changed in mutations(data, TIMES, seed=1))
    assert capfd.readouterr() == ("", "")
    with capfd.disabled():
        print(f"sealed: {TIMES} mutations, all refused, the slowest in {slowest:.3f} s")


def test_mutations_of_a_foreign_file() -> None:
    """Each is refused, or seen by our reader as onnx sees it: no part of a file is hidden from the checks."""
    data = foreign()
    assert seen(data) == structure(data)
    count = accepted = 0
    slowest = 0.0
    for changed in mutations(data, TIMES, seed=2):
        count += 1
        start = time.process_time()
        try:
            found = seen(changed)
        except UsageError:
            found = None
        slowest = max(slowest, time.process_time() - start)
        if found is not None:
            accepted += 1
            assert found == structure(changed)
    assert slowest < LIMIT
    assert 0 < accepted < count / 2
    print(f"foreign: {count - accepted} of {count} refused by the checks, the slowest in {slowest:.3f} s")


def test_mutations_all_the_way() -> None:
    """Those that the checks let pass go through a child process, and this process lives on."""
    outcomes = {"refused": 0, "taken": 0}
    slowest = 0.0
    for changed in mutations(foreign(), 4 * TIMES, seed=3):
        try:
            check(changed)
        except UsageError:
            continue
        start = time.perf_counter()
        try:
            generator = runtime.from_bytes(changed, provider="cpu", trust=True)
            assert generator.generate(2).shape[0] == 2
            outcomes["taken"] += 1
        except (UsageError, DivergedError):  # the latter for samples that are not finite
            outcomes["refused"] += 1
        slowest = max(slowest, time.perf_counter() - start)
        if sum(outcomes.values()) == 15:
            break
    assert sum(outcomes.values()) == 15
    print(f"the whole way: {outcomes}, the slowest in {slowest:.2f} s")


def test_cut_off_anywhere() -> None:
    data = sealed_bytes(model())
    for size in range(len(data)):
        refused(data[:size], "file")
    plain = foreign()
    whole = structure(plain)
    for size in range(len(plain)):
        try:
            assert seen(plain[:size]) == whole  # only what comes behind the graph was lost
        except UsageError:
            continue


@pytest.mark.parametrize("file", sorted(EXPORTED.glob("*/*.onnx")), ids=lambda file: file.parent.name)
def test_the_exported_files_pass(file: Path) -> None:
    data = onnx_file.read(file)
    start = time.perf_counter()
    assert seen(data) == structure(data)
    checked = check(data)
    assert time.perf_counter() - start < 1
    generator = runtime.load(file, provider="cpu", trust=True)
    assert (
        generator.generate(2, label=0 if generator.label else None).shape[1:] == checked.shapes["image"][1:]
    )
    assert generator.batch is None


@pytest.mark.parametrize(
    "changes", [{"inputs": []}, {"outputs": [Z.to_json()]}, {"outputs": [{**OUT.to_json(), "shape": [5]}]}]
)
def test_metadata_must_fit_the_graph(changes: dict[str, Any]) -> None:
    made = model()
    made.metadata_props[0].value = json.dumps(json.loads(made.metadata_props[0].value) | changes)
    refused(sealed_bytes(made), "does not fit its graph")


def test_nested_metadata() -> None:
    made = model()
    made.metadata_props[0].value = "[" * 200_000
    refused(sealed_bytes(made), "metadata of the file cannot be read")
