"""Damaged and arbitrary bytes as images, arrays and settings: a documented error, or a right result."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.dataset import open_source
from ganzoo.errors import DataError, GanzooError
from ganzoo.image_files import ImageFrame, decode_image, read_image_header
from ganzoo.registry.registry import Registry
from ganzoo_datasets.arrays import open_npy, open_npz
from ganzoo_datasets.idx import open_idx

fuzzed = settings(deadline=None, derandomize=True, database=None)

# Where in the data (as a share of its length), what, and a byte or a length for it.
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(("set", "flip", "cut", "drop", "repeat", "largest")),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def edited(data: bytes, edits: list[tuple[float, str, int]]) -> bytes:
    result = bytearray(data)
    for share, what, value in edits:
        at = int(share * len(result))
        if what == "set":
            result[at : at + 1] = bytes([value])
        elif what == "flip" and result:
            result[at] ^= 1 << value % 8
        elif what == "cut":
            del result[at:]
        elif what == "drop":
            del result[at : at + value]
        elif what == "repeat":
            result[at:at] = result[at : at + value]
        elif what == "largest":
            result[at : at + 4] = b"\xff" * 4
    return bytes(result)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


# --- images -------------------------------------------------------------------------------------


def valid_images() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8))
    frames = [Image.new("RGB", (12, 9), colour) for colour in ("red", "blue")]
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(108, dtype=np.uint16).reshape(12, 9) * 600)
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (noise, "PNG", {}),
        (noise.convert("RGBA"), "PNG", {"exif": exif}),
        (noise.convert("P"), "PNG", {"transparency": 1}),
        (deep, "PNG", {}),
        (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        (noise, "JPEG", {"exif": exif}),
        (noise, "JPEG", {"progressive": True}),
        (noise.convert("CMYK"), "JPEG", {}),
        (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        (noise, "WEBP", {}),
        (noise.convert("RGBA"), "WEBP", {"lossless": True, "exif": exif}),
        (frames[0], "WEBP", {"save_all": True, "append_images": frames[1:]}),
        (noise, "BMP", {}),
        (noise.convert("P"), "BMP", {}),
    ]
    result = []
    for image, kind, options in made:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        result.append(stream.getvalue())
    return result


def decoded(path: Path, frame: ImageFrame) -> bool:
    """Whether there were pixels; their shape and type are checked."""
    header = read_image_header(path)
    try:
        pixels = decode_image(path, frame)
    except (ValueError, OSError):
        return False
    assert pixels.shape == (frame.channels, frame.height, frame.width)
    assert pixels.dtype == np.uint8
    assert header is not None
    return True


FRAMES = st.builds(
    ImageFrame,
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from((1, 3, 4)),
    st.sampled_from(("crop", "pad", "stretch")),
)


def test_the_images_to_damage_are_good(folder: Path) -> None:
    for number, data in enumerate(valid_images()):
        path = folder / f"good-{number}"
        path.write_bytes(data)
        assert decoded(path, ImageFrame(8, 8, 3, "crop"))


@settings(fuzzed, max_examples=700)
@given(data=st.sampled_from(valid_images()), edits=EDITS, frame=FRAMES)
def test_damaged_images(
    folder: Path, data: bytes, edits: list[tuple[float, str, int]], frame: ImageFrame
) -> None:
    path = folder / "image"
    path.write_bytes(edited(data, edits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 1 << 20)  # to write over a larger one takes its time
        decoded(path, frame)


@settings(fuzzed, max_examples=300)
@given(
    start=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"RIFF0000WEBPVP8 "]
    ),
    rest=st.binary(max_size=400),
)
def test_arbitrary_bytes_as_an_image(folder: Path, start: bytes, rest: bytes) -> None:
    path = folder / "bytes"
    path.write_bytes(start + rest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 1 << 20)
        decoded(path, ImageFrame(4, 4, 3, "crop"))


# --- arrays ---------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def saved(save: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


def valid_arrays() -> list[tuple[str, bytes]]:
    images = np.arange(80, dtype=np.uint8).reshape(5, 4, 4)
    rows, labels = np.linspace(0, 1, 12).reshape(6, 2), np.array([0, 1, 2, 1, 0])
    return [
        ("idx", idx(images)),
        ("idx", gzip.compress(idx(images))),
        ("npy", saved(np.save, images)),
        ("npy", saved(np.save, rows)),
        ("npy", saved(np.save, np.asfortranarray(rows.astype(">f4")))),
        ("npz", saved(np.savez, images=images, labels=labels)),
        ("npz", saved(np.savez_compressed, x=rows)),
        ("npz", saved(np.savez, images)),
    ]


OPENERS: dict[str, Callable[[str], Any]] = {"idx": open_idx, "npy": open_npy, "npz": open_npz}


def opened(kind: str, path: Path) -> int:
    """The number of samples; 0 if the data was refused with a DataError."""
    try:
        dataset = open_source(OPENERS[kind](str(path)))
    except DataError:
        return 0
    for field in dataset.fields:
        assert dataset.arrays[field.name].shape == (dataset.count, *field.shape)
    return dataset.count


def test_the_arrays_to_damage_are_good(folder: Path) -> None:
    for kind, data in valid_arrays():
        path = folder / f"good.{kind}"
        path.write_bytes(data)
        assert opened(kind, path) >= 5


@settings(fuzzed, max_examples=400)
@given(which=st.sampled_from(valid_arrays()), edits=EDITS)
def test_damaged_arrays(folder: Path, which: tuple[str, bytes], edits: list[tuple[float, str, int]]) -> None:
    kind, data = which
    path = folder / f"array.{kind}"
    path.unlink(missing_ok=True)  # an array of the example before may be mapped still
    path.write_bytes(edited(data, edits))
    tracemalloc.start()
    try:
        opened(kind, path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


HEADERS = st.fixed_dictionaries(
    {
        "descr": st.sampled_from(
            ("|u1", "<f4", "|O", "<f8", "<i8", "|S0", "<U3", "<M8[s]", "|V7", "<c8", 7, "")
        ),
        "fortran_order": st.sampled_from((False, True, None)),
        "shape": st.one_of(
            st.lists(st.sampled_from((0, 1, 3, 4, -1, 10**6, 10**12, 2**63, 10**30)), max_size=5).map(tuple),
            st.sampled_from((None, 5, "ab", (1.5,), (True,))),
        ),
    }
)


@settings(fuzzed, max_examples=500)
@given(
    header=HEADERS,
    kind=st.sampled_from(("npy", "npz", "deflated")),
    text=st.sampled_from(("", "((" * 99, "\0")),
)
def test_headers_that_claim_anything(folder: Path, header: dict[str, Any], kind: str, text: str) -> None:
    claimed = (repr(header) + text).encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(claimed)) + claimed + b"\x07" * 48
    path = folder / f"claims.{kind}"
    path.unlink(missing_ok=True)
    if kind == "npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(
            path, "w", zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        ) as file:
            file.writestr("images.npy", data)
    opened("npy" if kind == "npy" else "npz", path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(10**6, 1000, 1000), (2**32 - 1,) * 4, (3, 1, 1, 1, 1), (1,) * 200])
def test_idx_headers_that_claim_more_than_there_is(
    folder: Path, shape: tuple[int, ...], packed: bool
) -> None:
    data = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + b"\1\2\3"
    path = folder / "claims-idx"
    path.write_bytes(gzip.compress(data) if packed else data)
    tracemalloc.start()
    with pytest.raises(DataError):
        open_idx(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_gzipped_file_is_read_no_further_than_its_header_says(folder: Path) -> None:
    small = struct.pack(">HBB3I", 0, 8, 3, 2, 2, 2)
    path = folder / "bomb.gz"
    path.write_bytes(gzip.compress(small + bytes(64 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="but its header says 8"):
        open_idx(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    # A header of two parts of the reader, whose content is all there, is read whole.
    array = np.random.default_rng(0).integers(0, 256, (3, 1000, 1000), np.uint8)
    path.write_bytes(gzip.compress(idx(array), 1))
    np.testing.assert_array_equal(open_idx(str(path)).arrays["image"][:, 0], array)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_claims_more_than_it_can_hold(folder: Path, method: int) -> None:
    path = folder / "bomb.npz"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("images.npy", saved(np.save, np.zeros((64, 512, 512), np.uint8)))
    if method == zipfile.ZIP_DEFLATED:  # the claim is in the directory, which comes last
        data = bytearray(path.read_bytes())
        at = data.rindex(b"PK\x01\x02") + 24
        data[at : at + 4] = struct.pack("<I", 3 << 30)
        path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"claims|does not write"):
        open_npz(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_archives_without_arrays_and_too_large_numbers(folder: Path) -> None:
    path = folder / "text.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images", b"some text")
    with pytest.raises(DataError, match="plain arrays"):
        open_npz(str(path))
    path = folder / "large.npy"
    np.save(path, np.full((3, 2), 1e300))
    with pytest.raises(DataError, match="too large for float32"):
        open_source(open_npy(str(path)))


# --- settings files -------------------------------------------------------------------------------


def resolved(path: Path, registry: Registry, text: bytes) -> Plan | None:
    path.write_bytes(text)
    try:
        return resolve(str(path), registry)
    except GanzooError:
        return None


@settings(fuzzed, max_examples=200)
@given(text=st.text(max_size=300), recipe=st.booleans())
def test_arbitrary_text_as_settings(folder: Path, registry: Registry, text: str, recipe: bool) -> None:
    start = 'recipe = "dcgan"\n' if recipe else ""
    resolved(folder / "a.toml", registry, (start + text).encode("utf-8", "surrogatepass"))


@pytest.fixture(scope="module")
def complete(registry: Registry) -> list[bytes]:
    return [
        tomli_w.dumps(resolve(name, registry).settings()).encode() for name in ("dcgan", "wgan-gp", "cgan")
    ]


@settings(fuzzed, max_examples=150)
@given(which=st.integers(0, 2), edits=EDITS)
def test_damaged_settings(
    folder: Path, registry: Registry, complete: list[bytes], which: int, edits: list[tuple[float, str, int]]
) -> None:
    resolved(folder / "b.toml", registry, edited(complete[which], edits))


NAMES = st.one_of(
    st.sampled_from(
        (
            *("recipe", "complete", "train", "generator", "discriminator", "ema", "data", "architecture"),
            *("loss", "terms", "name", "source", "batch_size", "images", "minutes", "lr", "betas", "seed"),
            *("gradient-penalty", "drift", "every", "weight", "fashion-5k", "dcgan", "half_life", "flip"),
        )
    ),
    st.text(max_size=5),
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    NAMES,
    st.datetimes(),
    st.lists(st.integers(0, 9), max_size=3),
)
TABLES = st.dictionaries(
    NAMES, st.one_of(VALUES, st.dictionaries(NAMES, st.one_of(VALUES, st.dictionaries(NAMES, VALUES))))
)


@settings(fuzzed, max_examples=200)
@given(
    tables=TABLES, base=st.sampled_from(("dcgan", "wgan-gp", "vanilla+wgan-gp+drift")), finished=st.booleans()
)
def test_tables_of_anything(
    folder: Path, registry: Registry, tables: dict[str, Any], base: str, finished: bool
) -> None:
    text = tomli_w.dumps({**tables, "recipe": base, "complete": finished})
    resolved(folder / "c.toml", registry, text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 3000,
        "a" + ".a" * 3000 + " = 1",
        "a = " + "9" * 5000,
        "\ufeffrecipe = 'dcgan'",
        "recipe = 'dcgan'\ntrain.seed = 1e400",
        "recipe = 'dcgan'\n[train]\nbatch_size = " + "{a=" * 500 + "1" + "}" * 500,
        "recipe = '" + "+".join(["dcgan"] * 2000) + "'",
        "recipe = 'a.toml'",
    ],
)
def test_settings_made_to_hurt(folder: Path, registry: Registry, text: str) -> None:
    assert resolved(folder / "d.toml", registry, text.encode()) is None
