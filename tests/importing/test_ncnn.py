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
from tests.helpers.importing import largest_difference, outputs
from tests.importing.test_enlarge import rrdb, signed, srvgg

Layer = tuple[str, str]
HALF = 0x01306B47


def convolution(state: dict[str, Tensor], name: str) -> Layer:
    out, inputs, _, _ = state[f"{name}.weight"].shape
    return "Convolution", f"0={out} 1=3 4=1 5=1 6={out * inputs * 9}"


def written(folder: Path, layers: list[Layer], values: bytes) -> Path:
    """Such a pair of files; the names of blobs do not matter."""
    lines = [f"{kind:<16} l{at} 1 1 b{at} b{at + 1} {rest}" for at, (kind, rest) in enumerate(layers)]
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
    layers: list[Layer] = [("Input", ""), ("Split", "")]
    names = [f"body.{at}" for at in range(9)]
    for at, name in enumerate(names):
        layers.append(("PReLU", "0=5") if at % 2 else convolution(state, name))
    layers += [("PixelShuffle", "0=4"), ("Interp", "0=1 1=4.0 2=4.0"), ("BinaryOp", "")]
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


def test_rrdb(tmp_path: Path) -> None:
    state = rrdb()
    blocks = [f"body.{k}.rdb{d}.conv{c}" for k in range(2) for d in (1, 2, 3) for c in range(1, 6)]
    names = ["conv_first", *blocks, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    layers: list[Layer] = [("Input", "")]
    layers += [
        (kind, "") for kind, count in (("Split", 24), ("Concat", 24), ("Eltwise", 8)) for _ in range(count)
    ]
    layers += [("BinaryOp", ""), ("Interp", ""), ("Interp", "")]
    layers += [convolution(state, name) for name in names]
    match = read(written(tmp_path, layers, packed(state, names, half=False)))
    assert match.imported.options == {"blocks": 2, "width": 6, "growth": 3, "unshuffle": 1}
    image = torch.rand(2, 3, 9, 7)
    found = outputs(match, {"a": 2 * image - 1})["b"]
    assert largest_difference(found, signed(plain_rrdb(state, image, 2))) < 1e-5


def test_a_network_that_shrinks_its_result_is_refused(tmp_path: Path) -> None:
    file = compact(tmp_path, srvgg(3, 5, 4))
    file.write_text(file.read_text() + "Interp end 1 1 b9 out 0=3 1=0.5 2=0.5\n")
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
