"""Files made to do harm: nothing that they name is imported or run, and they are answered quickly."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import time
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save as safetensors_bytes

from ganzoo.errors import GanzooError, UsageError
from ganzoo.foreign.arrays import LazyArray
from ganzoo.foreign.read import read_file
from ganzoo.foreign.tree import parts_of
from ganzoo.importing.recognise import chosen, open_file
from ganzoo.registry.registry import Registry, load_registry
from ganzoo_dcgan.importer import example
from tests.helpers.importing import tensors

SECONDS = 2.0
MEGABYTES = 200
PROTOCOLS = range(6)


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path) -> Iterator[None]:
    """No attack leaves its marker."""
    yield
    assert not (tmp_path / "marker").exists()


def timed_answer(path: Path, registry: Registry) -> str:
    """What the reader says about a file: "taken", or why not. It may take two seconds."""
    started = time.process_time()
    try:
        opened = open_file(path, registry)
        chosen(opened)
        for part in opened.parts:
            for array in part.arrays.values():
                array.read()
        answer = "taken"
    except GanzooError as error:
        answer = f"{error.what} {error.where}"
    assert time.process_time() - started < SECONDS
    return answer


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    return path


def torch_zip(pickled: bytes, **files: bytes) -> bytes:
    """An archive as torch writes it, around any pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in files.items():
            archive.writestr(f"archive/data/{name.removeprefix('_')}", data)
    return made.getvalue()


def storage_pickle(count: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """A dict with two tensors of the storage "0", with these claims."""

    class Reference:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return (
                ("storage", torch.FloatStorage, "0", "cpu", count) if isinstance(value, Reference) else None
            )

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Reference(), offset, size, stride, False, {})

    made = io.BytesIO()
    Pickler(made, 2).dump({"a": Tensor(), "b": Tensor()})
    return made.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_runs_a_command_runs_nothing(tmp_path: Path, registry: Registry, protocol: int) -> None:
    attack = pickle.dumps({"state_dict": Attack(tmp_path / "marker"), "x": [1, 2.5, "text"]}, protocol)
    assert "has no arrays" in timed_answer(written(tmp_path, attack), registry)
    assert "has no arrays" in timed_answer(written(tmp_path, torch_zip(attack)), registry)
    header = b"".join(
        pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    assert "has no arrays" in timed_answer(written(tmp_path, header + attack + pickle.dumps([], 2)), registry)
    weights = {key: {name: np.array(value) for name, value in net.items()} for key, net in example().items()}
    both = pickle.dumps({**weights, "attack": Attack(tmp_path / "marker")}, protocol)
    assert timed_answer(written(tmp_path, both), registry) == "taken"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_module_that_a_pickle_names_is_not_imported(
    tmp_path: Path, registry: Registry, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("attack_module")
    made = type("Net", (), {"__module__": "attack_module"})
    vars(module)["Net"] = made
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "attack_module", module)
        data = pickle.dumps(made(), protocol)
    (tmp_path / "attack_module.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "has no arrays" in timed_answer(written(tmp_path, data), registry)
    assert "attack_module" not in sys.modules


def nested_lists(depth: int) -> bytes:
    """x0 = [], x1 = [x0, x0], x2 = [x1, x1] ...: a few bytes for 2^depth visits."""
    return (
        b"\x80\x02]q\x00"
        + b"".join(b"](h%bh%beq%b" % (bytes([at]), bytes([at]), bytes([at + 1])) for at in range(depth))
        + b"."
    )


def test_a_few_bytes_of_shared_lists(tmp_path: Path, registry: Registry) -> None:
    data = nested_lists(24)
    assert len(data) < 300
    assert "no arrays" in timed_answer(written(tmp_path, data), registry)
    assert "refused" in timed_answer(written(tmp_path, nested_lists(60)), registry)


def test_a_few_bytes_of_shared_arrays(tmp_path: Path, registry: Registry) -> None:
    own: Any = {"w": np.zeros(4, np.float32)}
    for _ in range(24):
        own = {"a": own, "b": own}
    assert "refused" in timed_answer(written(tmp_path, pickle.dumps(own, 4)), registry)


def test_keys_that_take_forever_to_hash(tmp_path: Path, registry: Registry) -> None:
    tuples = b"".join(b"2\x86" for _ in range(60))  # DUP, TUPLE2
    data = b"\x80\x02}K\x01" + tuples + b"K\x01s."
    assert "has no arrays" in timed_answer(written(tmp_path, data), registry)


def test_a_list_that_contains_itself(tmp_path: Path, registry: Registry) -> None:
    own: list[Any] = []
    own.append(own)
    assert "refused" in timed_answer(written(tmp_path, pickle.dumps({"a": own, "b": own})), registry)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x02X\xff\xff\xff\x7f", "many megabytes"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".", "claims more bytes"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b".", "claims more|megabytes"),
        (b"\x80\x02\x8b" + struct.pack("<i", 100_000) + b"\1" * 100_000 + b".", "many digits"),
        (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "damaged"),
        (b"\x80\x02" + b"N" * 700_000 + b".", "more operations"),
        (b"\x80\x02(" * 10, "ends too early"),
        (b"hello, I am no weights at all", "none of these"),
        (b"", "empty"),
        (b"\x80\x02cos\nsystem\n.", "no arrays"),
        (b"\x80\x02\x82\x01.", "not for files"),
        (
            b"\x80\x02(" + (b"X" + struct.pack("<I", 1 << 22) + b"a" * (1 << 22)) * 5 + b"l.",
            "megabytes of text",
        ),
    ],
)
def test_claims_of_pickles(tmp_path: Path, registry: Registry, data: bytes, reason: str) -> None:
    answer = timed_answer(written(tmp_path, data), registry)
    assert any(part in answer for part in reason.split("|")), answer


@pytest.mark.parametrize(
    ("count", "size", "stride", "offset", "reason"),
    [
        (16, (4, 4), (4, 1), 0, ""),
        (1 << 40, (4, 4), (4, 1), 0, "fewer than it claims"),
        (16, (1 << 20, 1 << 20), (1, 1), 0, "larger than its storage"),
        (16, (1 << 40,), (0,), 0, "larger than its storage"),
        (16, (4, 4), (8, 1), 0, "larger than its storage"),
        (16, (4, 4), (4, -1), 0, "not a small whole number"),
        (16, (4, 4), (4, 1), -1, "not a small whole number"),
        (16, (4, 4), (4, 1), 1, "larger than its storage"),
        (16, (1,) * 100, (1,) * 100, 0, "do not fit"),
        (16, (4, 4), (4,), 0, "do not fit"),
        (-4, (4, 4), (4, 1), 0, "not a small whole number"),
    ],
)
def test_claims_of_tensors(
    tmp_path: Path, registry: Registry, count: int, size: Any, stride: Any, offset: int, reason: str
) -> None:
    data = torch_zip(
        storage_pickle(count, size, stride, offset), _0=np.arange(16, dtype=np.float32).tobytes()
    )
    path = written(tmp_path, data)
    if reason:
        assert reason in timed_answer(path, registry)
    else:
        found = read_file(path).tree["a"]
        assert isinstance(found, LazyArray)
        np.testing.assert_array_equal(found.read(), np.arange(16).reshape(4, 4))


def test_many_views_of_one_storage(tmp_path: Path, registry: Registry) -> None:
    values = torch.zeros(100_000)
    data = io.BytesIO()
    torch.save({f"a{at}": values for at in range(3_000)}, data)
    assert "many times more" in timed_answer(written(tmp_path, data.getvalue()), registry)


def test_zip_archives(tmp_path: Path, registry: Registry) -> None:
    good = io.BytesIO()
    torch.save(tensors(example()), good)
    data = good.getvalue()
    assert timed_answer(written(tmp_path, data), registry) == "taken"
    assert "truncated" in timed_answer(written(tmp_path, data[: len(data) // 2]), registry)
    assert "refused" in timed_answer(written(tmp_path, data[: len(data) - 30]), registry)

    def changed(change: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]) -> str:
        made = io.BytesIO()
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(made, "w") as new:
            for entry in old.infolist():
                change(new, entry, old.read(entry))
        return timed_answer(written(tmp_path, made.getvalue()), registry)

    assert changed(lambda new, entry, data: new.writestr(entry.filename, data)) == "taken"
    assert "compressed" in changed(lambda new, e, data: new.writestr(e.filename, data, zipfile.ZIP_DEFLATED))
    for path in ("../../evil", "/etc/passwd", "archive/../../x", "C:\\evil"):

        def beside(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes, path: str = path) -> None:
            new.writestr(entry.filename, data)
            if entry.filename.endswith("data.pkl"):
                new.writestr(path, b"x")

        assert "outside of its folder" in changed(beside), path
    encrypted = bytearray(data)
    for sign, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        at = encrypted.find(sign)
        encrypted[at + offset] |= 1
    assert "encrypted" in timed_answer(written(tmp_path, bytes(encrypted)), registry)


def test_a_bomb_of_compressed_zeros(tmp_path: Path, registry: Registry) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1 << 27, np.uint8), b=np.zeros(2))
    assert "many times more" in timed_answer(tmp_path / "bomb.npz", registry)


def test_npz_with_objects(tmp_path: Path, registry: Registry) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([Attack(tmp_path / "marker")], object), b=np.zeros(2))
    assert "not read" in timed_answer(tmp_path / "a.npz", registry)


@pytest.mark.parametrize(
    "change",
    [
        {"data_offsets": [0, 1 << 50]}, {"data_offsets": [-8, 8]}, {"data_offsets": [8, 0]},
        {"shape": [1 << 40]}, {"shape": [2, -2]}, {"dtype": "F7"}, {"shape": "ab"}, {"data_offsets": None},
    ],
)  # fmt: skip
def test_safetensors_headers(tmp_path: Path, registry: Registry, change: dict[str, Any]) -> None:
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    header = json.dumps({"a": {**entry, **change}, "b": entry}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(16)
    assert "refused" in timed_answer(written(tmp_path, data), registry)


def test_a_deep_safetensors_header(tmp_path: Path, registry: Registry) -> None:
    header = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert "refused" in timed_answer(written(tmp_path, struct.pack("<Q", len(header)) + header), registry)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x89HDF\r\n", "HDF5"),
        (b"<!DOCTYPE html>", "page"),
        (b"version https://git-lfs", "git-lfs"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_other_files_are_named(tmp_path: Path, registry: Registry, start: bytes, what: str) -> None:
    assert what in timed_answer(written(tmp_path, start + bytes(64)), registry)


def seeds() -> dict[str, bytes]:
    """Small files of each format, to be damaged."""
    plain = {key: {name: np.array(value) for name, value in net.items()} for key, net in example().items()}
    zipped, legacy, numbers = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(tensors(plain), zipped)
    torch.save(tensors(plain), legacy, _use_new_zipfile_serialization=False)
    np.savez(numbers, **plain["netG"])
    return {
        "zip archive": zipped.getvalue(),
        "legacy stream": legacy.getvalue(),
        "pickle, protocol 4": pickle.dumps(plain, 4),
        "pickle of tensors": pickle.dumps(tensors(plain), 3),
        "safetensors": safetensors_bytes(plain["netG"]),
        ".npz": numbers.getvalue(),
    }


def damaged(data: bytes, source: random.Random) -> bytes:
    """The bytes with one to eight changes; the description of the arrays is hit as often as their values."""
    made = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 8))):
        at = source.randrange(min(len(made), source.choice((64, 2_000, len(made)))))
        kind = source.randrange(5)
        if kind == 0:
            made[at] = source.randrange(256)
        elif kind == 1:
            made[at : at + 4] = source.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)))
        elif kind == 2:
            made[at:at] = source.randbytes(source.randrange(1, 9))
        elif kind == 3:
            del made[at : at + source.randrange(1, 64)]
        else:
            start = source.randrange(len(made))
            made[at : at + 32] = made[start : start + 32]
        if len(made) < 16:
            break
    return bytes(made[: source.randrange(1, len(made))] if source.random() < 0.1 else made)


def damage(tmp_path: Path, registry: Registry, count: int) -> dict[str, dict[str, float]]:
    """Answers to damaged files by format: how many, how many were taken, the longest time, the memory."""
    found = {}
    for name, data in seeds().items():
        source, taken, longest = random.Random(name), 0, 0.0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(count):
            path = written(tmp_path, damaged(data, source))
            started = time.process_time()
            taken += timed_answer(path, registry) == "taken"
            longest = max(longest, time.process_time() - started)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        found[name] = {"files": count, "taken": taken, "longest s": longest, "MB": grown}
        assert grown < MEGABYTES
    return found


def test_damaged_files(tmp_path: Path, registry: Registry) -> None:
    damage(tmp_path, registry, 60)


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path: Path, registry: Registry) -> None:
    for name, row in damage(tmp_path, registry, 1_700).items():
        print(name, row)


def test_the_tree_of_a_large_optimiser_is_quick(tmp_path: Path, registry: Registry) -> None:
    states = {
        at: {"exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2), "step": at} for at in range(3_000)
    }
    file = tmp_path / "a.pth"
    torch.save({"net": tensors(example())["netG"], "optimizer": {"state": states, "param_groups": []}}, file)
    started = time.process_time()
    contents = read_file(file)
    assert [part.path for part in parts_of(contents.tree, contents.budget)] == ["net", "net.main"]
    assert time.process_time() - started < SECONDS
    assert isinstance(open_file(file, registry).matches[0].path, str)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b'{"format": "graph-model", "weightsManifest": []}', "TensorFlow.js"),
        (b'{"modelTopology": {"keras_version": "2.9.0"}}', "TensorFlow.js"),
    ],
)
def test_models_of_other_frameworks_are_named(tmp_path: Path, start: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=f"it is {what}"):
        read_file(written(tmp_path, start))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_file(tmp_path)
