"""Networks of ncnn: a list of layers and their values; imitated files give the published formulas."""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganzoo.errors import UsageError
from ganzoo.exporting.from_file import describe
from ganzoo.importing.recognise import Match, chosen, open_file
from ganzoo.registry.registry import load_registry
from tests.helpers.enlarging import plain_rrdb, plain_srvgg
from tests.helpers.importing import imported, largest_difference, outputs
from tests.importing.test_enlarge import rrdb, signed, srvgg

Layer = tuple[str, list[int], str]
HALF = 0x01306B47


def convolution(state: dict[str, Tensor], name: str, source: int, more: str = "") -> Layer:
    out, inputs, _, _ = state[f"{name}.weight"].shape
    return "Convolution", [source], f"0={out} 1=3 4=1 5=1 6={out * inputs * 9}{more}"


def written(folder: Path, layers: list[Layer], values: bytes) -> Path:
    """Such a pair of files. A layer has the numbers of the layers that it reads, which Split copies."""
    lines = []
    copies = [sum(inputs.count(at) for _, inputs, _ in layers) for at in range(len(layers))]
    copied = [0] * len(layers)
    for at, (kind, inputs, rest) in enumerate(layers):
        names = []
        for source in inputs:
            names.append(f"b{source}_{copied[source]}")
            copied[source] += 1
        lines.append(f"{kind:<16} l{at} {len(inputs)} 1 {' '.join(names)} b{at} {rest}")
        made = " ".join(f"b{at}_{copy}" for copy in range(copies[at]))
        if made:
            lines.append(f"Split            s{at} 1 {copies[at]} b{at} {made}")
    file = folder / "net.param"
    file.write_text("\n".join(["7767517", f"{len(layers)} {len(layers) + 1}", *lines]) + "\n")
    file.with_suffix(".bin").write_bytes(values)
    return file


def packed(state: dict[str, Tensor], names: list[str], *, half: bool) -> bytes:
    """The values in ncnn's format: a type before weights, and 4 bytes as the smallest unit."""
    found = b""
    for name in names:
        weight, bias = state[f"{name}.weight"].numpy(), state.get(f"{name}.bias")
        if bias is None:  # slopes of PReLU
            found += weight.astype("<f4").tobytes()
            continue
        data = weight.astype("<f2" if half else "<f4").tobytes()
        found += struct.pack("<I", HALF if half else 0) + data + bytes(-len(data) % 4)
        found += bias.numpy().astype("<f4").tobytes()
    return found


def compact(folder: Path, state: dict[str, Tensor], *, half: bool = False) -> Path:
    layers: list[Layer] = [("Input", [], "")]
    names = [f"body.{at}" for at in range(9)]
    for at, name in enumerate(names):
        layers.append(("PReLU", [at], "0=5") if at % 2 else convolution(state, name, at))
    layers += [("PixelShuffle", [9], "0=4"), ("Interp", [0], "0=1 1=4.0 2=4.0"), ("BinaryOp", [10, 11], "")]
    return written(folder, layers, packed(state, names, half=half))


def read(file: Path) -> Match:
    return chosen(open_file(file, load_registry()))


@pytest.mark.parametrize("half", [False, True])
def test_srvgg(tmp_path: Path, half: bool) -> None:
    state = srvgg(3, 5, 4)
    if half:
        for name, value in state.items():
            state[name] = value.half().float() if value.ndim == 4 else value
    match = read(compact(tmp_path, state, half=half))
    assert match.imported.options == {"layers": 3, "width": 5, "activation": "prelu"}
    image = torch.rand(2, 3, 6, 10)
    expected = signed(plain_srvgg(state, image, 3, 4))
    assert largest_difference(outputs(match, {"a": 2 * image - 1})["b"], expected) < 1e-5


def test_a_record_tells_files_apart_that_differ_in_values_only(tmp_path: Path) -> None:
    records = []
    state = srvgg(3, 5, 4)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        file = compact(tmp_path / name, state)
        state["body.0.bias"] += 1
        opened = open_file(file, load_registry())
        records.append(describe(opened, chosen(opened), None, ""))
        digest = hashlib.sha256(file.with_suffix(".bin").read_bytes()).hexdigest()
        assert (records[-1]["values_file"], records[-1]["values_sha256"]) == ("net.bin", digest)
    assert records[0]["file_sha256"] == records[1]["file_sha256"]
    assert records[0]["values_sha256"] != records[1]["values_sha256"]


LEAKY = " 9=2 -23310=1,2.000000e-01"


def dense(folder: Path, state: dict[str, Tensor]) -> Path:
    """RRDBNet of two blocks, with the settings of the published files."""
    layers: list[Layer] = [("Input", [], "0=32 1=32 2=3")]
    names: list[str] = []

    def add(kind: str, inputs: list[int], rest: str = "") -> int:
        layers.append((kind, inputs, rest))
        return len(layers) - 1

    def conv(name: str, source: int, more: str = "") -> int:
        names.append(name)
        layers.append(convolution(state, name, source, more))
        return len(layers) - 1

    half = "0=1 -23301=2,2.000000e-01,1.000000e+00"
    first = maps = conv("conv_first", 0)
    for block in range(2):
        before = maps
        for part in (1, 2, 3):
            found = [maps]
            for at in range(1, 5):
                source = add("Concat", [*found]) if at > 1 else maps
                found.append(conv(f"body.{block}.rdb{part}.conv{at}", source, LEAKY))
            last = conv(f"body.{block}.rdb{part}.conv5", add("Concat", found))
            maps = add("Eltwise", [last, maps], half)
        maps = add("Eltwise", [maps, before], half)
    maps = add("BinaryOp", [first, conv("conv_body", maps)], "0=0")
    for name in ("conv_up1", "conv_up2"):
        maps = conv(name, add("Interp", [maps], "0=1 1=2.000000e+00 2=2.000000e+00"), LEAKY)
    conv("conv_last", conv("conv_hr", maps, LEAKY))
    return written(folder, layers, packed(state, names, half=False))


def test_rrdb(tmp_path: Path) -> None:
    state = rrdb()
    match = read(dense(tmp_path, state))
    assert match.imported.options == {"blocks": 2, "width": 6, "growth": 3, "unshuffle": 1}
    image = torch.rand(2, 3, 9, 7)
    found = outputs(match, {"a": 2 * image - 1})["b"]
    assert largest_difference(found, signed(plain_rrdb(state, image, 2))) < 1e-5


@pytest.mark.parametrize(
    ("make", "old", "new", "text"),
    [
        ("srvgg", "6=135", "6=135 9=1", "Layer 1 of ncnn, Convolution, .*'9': 1"),
        ("srvgg", "1=4.0 2=4.0", "1=2.0 2=2.0", "Interp, .*'1': 2.0"),
        ("srvgg", "0=1 1=4.0", "0=2 1=4.0", "Interp, .*'0': 2"),
        (
            "srvgg",
            "b9_0 b10 0=4",
            "b9_0 b10 0=4 1=1",
            "Pixel",
        ),
        ("srvgg", "b10_0 b11_0 b12 ", "b10_0 b11_0 b12 0=2", "BinaryOp, .*'0': 2"),
        ("rrdb", LEAKY, "", "Convolution, .*settings {} of"),
        ("rrdb", LEAKY, " 9=2 -23310=1,0.1", "Convolution, .*0.1"),
        ("rrdb", "0=1 -23301=2,2.000000e-01", "0=1 -23301=2,1.0", r"Eltwise, .*\[1.0, 1.0\]"),
        ("rrdb", "0=1 -23301=2,2.000000e-01,1.000000e+00", "0=1", "Eltwise"),
        ("rrdb", "b1_1 b2_0 b3", "b2_0 b1_1 b3", r"Concat, .*\[2, 1\], not .*\[1, 2\]"),
    ],
)
def test_a_network_that_computes_something_else_is_refused(
    tmp_path: Path, make: str, old: str, new: str, text: str
) -> None:
    file = compact(tmp_path, srvgg(3, 5, 4)) if make == "srvgg" else dense(tmp_path, rrdb())
    read(file)
    replaced(file, old, new)
    with pytest.raises(UsageError, match=text):
        read(file)


def test_facts_of_that_name_in_another_file_are_no_layers(tmp_path: Path) -> None:
    match = imported({"params": srvgg(3, 5, 4), "ncnn": [{"type": "Input"}, "x"]}, tmp_path)
    assert match.imported.architecture == "srvgg"


def test_a_padding_in_one_direction_is_refused(tmp_path: Path) -> None:
    file = compact(tmp_path, srvgg(3, 5, 4))
    replaced(file, "4=1", "4=1 11=3 12=1 13=1 14=1 15=1 16=1 18=0.0")
    read(file)
    replaced(file, "14=1", "14=0")
    with pytest.raises(UsageError, match="another padding"):
        read(file)


def test_a_network_that_shrinks_its_result_is_refused(tmp_path: Path) -> None:
    file = compact(tmp_path, srvgg(3, 5, 4))
    file.write_text(file.read_text() + "Interp end 1 1 b12 out 0=3 1=0.5 2=0.5\n")
    with pytest.raises(UsageError, match="resizes what it has made: take the one for x4"):
        read(file)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda file: file.with_suffix(".bin").unlink(), r"net\.bin with the values is not there"),
        (lambda file: shortened(file, 9), "truncated, or belongs to another list"),
        (lambda file: shortened(file, -9), "9 bytes more than its layers"),
        (lambda file: replaced(file, "6=135", "6=99999999999999"), "truncated, or belongs"),
        (lambda file: replaced(file, "6=135", "6=-5"), "truncated, or belongs|not a small whole"),
        (lambda file: replaced(file, "0=5 1=3", "0=0 1=0"), "another padding"),
        (lambda file: without_inputs(file), "No importer recognises"),
        (lambda file: replaced(file, "4=1", "4=1 3=2"), "stride or another padding"),
        (lambda file: replaced(file, "PixelShuffle", "InnerProduct"), "layers of the type 'InnerProduct'"),
        (lambda file: file.write_text("7767517\n"), "damaged|bytes more"),
        (lambda file: file.write_bytes(b"7767517\n1 1\n" + b"\xff" * 99), "damaged"),
        (lambda file: file.write_text("7767517\n1 1\n" + "Split a 1 1 b c\n" * 300_000), "larger than any"),
        (lambda file: eight_bits(file), "8 bits"),
    ],
)
def test_bad_files_are_refused_quickly(tmp_path: Path, change, text: str) -> None:  # type: ignore[no-untyped-def]
    file = compact(tmp_path, srvgg(3, 5, 4))
    change(file)
    began = time.process_time()
    with pytest.raises(UsageError, match=text):
        read(file)
    assert time.process_time() - began < 2


def shortened(file: Path, size: int) -> None:
    values = file.with_suffix(".bin").read_bytes()
    file.with_suffix(".bin").write_bytes(values[:-size] if size > 0 else values + bytes(-size))


def replaced(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def without_inputs(file: Path) -> None:
    """The first convolution reads no channel, and has no values but its bias."""
    replaced(file, "6=135", "6=0")
    values = file.with_suffix(".bin").read_bytes()
    file.with_suffix(".bin").write_bytes(values[:4] + values[4 + 4 * 135 :])


def eight_bits(file: Path) -> None:
    values = file.with_suffix(".bin").read_bytes()
    file.with_suffix(".bin").write_bytes(struct.pack("<I", 0x000D4B38) + values[4:])


def test_changed_bytes_are_read_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    file = compact(tmp_path, srvgg(3, 5, 4))
    whole = [file.read_bytes(), file.with_suffix(".bin").read_bytes()]
    taken = 0
    for at in range(100):
        parts = [bytearray(part) for part in whole]
        for _ in range(random.integers(1, 5)):
            part = parts[at % 2]
            part[random.integers(len(part))] = random.integers(256)
        file.write_bytes(parts[0])
        file.with_suffix(".bin").write_bytes(parts[1])
        try:
            read(file)
            taken += 1
        except UsageError:
            pass
    assert 0 < taken < 100
