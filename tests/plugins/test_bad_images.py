"""A folder of good and bad images: all good ones are used, the bad ones are named, memory stays small."""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.data.dataset import open_source
from ganzoo.errors import DataError
from ganzoo.image_files import ImageFrame, decode_image, pillow_files
from ganzoo.image_files.pillow_files import Budget
from ganzoo.runs.run import Run
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder import open_folder

MEBIBYTE = 1 << 20

# What a program may have done to Pillow before, and more threads than a small machine would have.
OPENED = """
import json, sys
from pathlib import Path
from PIL import Image, ImageFile
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = True
from ganzoo.util import parallel
from ganzoo.data.dataset import open_source
from ganzoo_datasets.folder import open_folder
parallel.THREADS, parallel.FORKED_FROM = 8, 10**9
store = open_source(open_folder(sys.argv[1]), cache_folder=Path(sys.argv[2]))
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps({"count": store.count, "skipped": store.skipped, "notes": store.notes, "peak": peak}))
"""


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(*chunks: bytes) -> bytes:
    """A small image with more chunks before its pixels."""
    plain = written(Image.new("L", (8, 8)), "PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def huge_png(width: int, height: int, kind: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99999))


def huge_jpeg(side: int) -> bytes:
    plain = written(Image.new("RGB", (8, 8)), "JPEG")
    start = plain.index(b"\xff\xc0") + 5
    return plain[:start] + struct.pack(">HH", side, side) + plain[start + 4 :]


def huge_webp() -> bytes:
    """An animated canvas of 16384x16384 with one small frame."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    plain = written(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    return plain[:24] + b"\xff\x3f\x00\xff\x3f\x00" + plain[30:]


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def good_files() -> dict[str, bytes]:
    """One of each kind that is used."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    palette = noise.convert("P")
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    deep = Image.fromarray(np.full((9, 9), 40000, np.uint16))
    damaged_exif = written(noise, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xee" * 200)
    return {
        "cmyk.jpg": written(noise.convert("CMYK"), "JPEG"),
        "deep.png": written(deep, "PNG"),
        "palette.png": written(palette, "PNG", transparency=3),
        "palette.gif": written(palette, "GIF"),
        "alpha.png": written(noise.convert("RGBA"), "PNG"),
        "gray-alpha.png": written(noise.convert("LA"), "PNG"),
        "bits.png": written(noise.convert("1"), "PNG"),
        "moving.gif": written(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "moving.png": written(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "moving.webp": written(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "turned.jpg": written(noise, "JPEG", exif=exif(6)),
        "exif.jpg": damaged_exif,
        "one.png": written(Image.new("RGB", (1, 1)), "PNG"),
        "wide.bmp": written(Image.new("RGB", (5000, 3)), "BMP"),
        "photo.jpg": written(Image.new("RGB", (4000, 3000), "teal"), "JPEG"),
        "photo.webp": written(Image.new("RGBA", (2000, 1500), "teal"), "WEBP"),
        "CAPITAL.JPEG": written(noise, "JPEG"),
        "new\nline\x1b[31m.png": written(noise, "PNG"),
        "folder.png/inside.png": written(noise, "PNG"),
        "text.of.a.kind.png": png_with(chunk(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 10_000))),
    }


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Content and a part of the reason."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    million = zlib.compress(b"a" * (MEBIBYTE - 1))
    gif = bytearray(written(noise, "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    bmp = bytearray(written(noise, "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    wide = zlib.compress(("€" * (MEBIBYTE // 3)).encode())
    return {
        "bad-cut.png": (written(noise, "PNG")[:-3000], "truncated"),
        "bad-cut.jpg": (written(noise, "JPEG")[:-900], "truncated"),
        "bad-cut.webp": (written(noise, "WEBP", lossless=True)[:-2000], ""),
        "bad-empty.png": (b"", "the file is empty"),
        "bad-text.png": (b"This is a text.\n" * 100, "not an image"),
        "bad-tiff.png": (written(noise, "TIFF"), "not an image"),
        "bad-huge.png": (huge_png(60000, 60000), "60000x60000 pixels"),
        "bad-huge-gray.png": (huge_png(60000, 60000, 0), "60000x60000 pixels"),
        "bad-huge.jpg": (huge_jpeg(60000), "60000x60000 pixels"),
        "bad-huge.webp": (huge_webp(), "16384x16384 pixels"),
        "bad-huge.gif": (bytes(gif), "65535x65535 pixels"),
        "bad-huge.bmp": (bytes(bmp), "60000x60000 pixels"),
        "bad-iccp.png": (
            png_with(chunk(b"iCCP", b"p\0\0" + zlib.compress(b"a" * 100 * MEBIBYTE))),
            "too large",
        ),
        "bad-ztxt.png": (png_with(*[chunk(b"zTXt", b"k%d\0\0" % n + million) for n in range(60)]), "memory"),
        "bad-itxt.png": (
            png_with(*[chunk(b"iTXt", b"k%d\0\1\0\0\0" % n + wide) for n in range(60)]),
            "memory",
        ),
    }


def fill(folder: Path, count: int) -> int:
    """`count` tiny images and one of each kind; how many there are."""
    (folder / "folder.png").mkdir(parents=True)
    for number in range(count):
        image = Image.new("RGB", (4, 4), (number % 256, number // 256, 0))
        (folder / f"{number:05}.png").write_bytes(written(image, "PNG", compress_level=1))
    kinds = good_files()
    for name, content in kinds.items():
        (folder / name).write_bytes(content)
    (folder / "link.png").symlink_to("one.png")
    (folder / "readme.txt").write_text("not an image by its name")
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(kinds["alpha.png"])
    return count + len(kinds) + 2


def spoil(folder: Path) -> dict[str, str]:
    """Add all bad files: their names in messages, and a part of the reason for each."""
    reasons = {}
    for name, (content, reason) in bad_files().items():
        (folder / name).write_bytes(content)
        reasons[name] = reason
    os.mkfifo(folder / "bad-pipe.png")
    (folder / "bad-dangling.png").symlink_to("nowhere.png")
    (folder / "bad-circle.png").symlink_to("bad-circle.png")
    (folder / "bad-device.png").symlink_to("/dev/zero")
    (folder / os.fsdecode(b"bad-caf\xe9.png")).write_text("not an image")
    with (folder / "bad-sparse.webp").open("wb") as file:
        file.write(written(Image.new("RGB", (9, 9)), "WEBP"))
        file.truncate(1 << 32)
    return reasons | {
        "bad-pipe.png": "not a regular file",
        "bad-dangling.png": "No such file",
        "bad-circle.png": "symbolic links",
        "bad-device.png": "not a regular file",
        "bad-caf\\udce9.png": "not an image",
        "bad-sparse.webp": "more than the limit of 134,217,728",
    }


def opened(folder: Path, cache: Path) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-c", OPENED, str(folder), str(cache)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # neither Pillow's warnings nor a thread's traceback
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="pipes, names of bytes, and /proc for the memory")
def test_a_folder_with_good_and_bad_images(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    good = fill(folder, 2500)
    before = opened(folder, tmp_path / "cache")
    assert before["skipped"] == []
    assert before["count"] == good

    reasons = spoil(folder)
    assert len(reasons) * 100 < good
    found = opened(folder, tmp_path / "cache")
    skipped = dict(found["skipped"])
    assert set(skipped) == set(reasons)
    for name, reason in reasons.items():
        assert reason in skipped[name], f"{name}: {skipped[name]}"
    assert found["count"] == good
    assert "bad-caf\\udce9.png: not an image" in found["notes"][-1]
    assert found["peak"] - before["peak"] < 300 * MEBIBYTE


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_more_than_one_in_ten_stops_and_lists_them(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(written(Image.new("L", (4, 4)), "PNG"))
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="Too many items cannot be used: 1 of 9") as caught:
        open_source(open_folder(str(tmp_path)), cache_folder=tmp_path / "cache")
    assert "pipe.png: not a regular file" in str(caught.value)
    assert caught.value.exit_code == 3


def test_the_run_lists_unreadable_images(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "any", {}, {})
    run.write_bad_files(())
    assert not (run.path / "bad_files.txt").exists()
    run.write_bad_files([("a.png", "the file is empty"), ("b\n\tc\udce9.png", "odd \x1b[31m")])
    lines = (run.path / "bad_files.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["a.png\tthe file is empty", "b\\n\\tc\\udce9.png\todd \\x1b[31m"]


@pytest.mark.skipif(os.name != "posix", reason="pipes, names of bytes")
def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_folder(str(tmp_path / "pipe"))
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    with pytest.raises(DataError, match="not UTF-8"):
        open_folder(str(odd))
    good = tmp_path / "good"
    (good / os.fsdecode(b"caf\xe9")).mkdir(parents=True)
    for name in (b"caf\xe9/a.png", b"zoo.png/b.png"):
        path = good / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(written(Image.new("L", (4, 4)), "PNG"))
    label = open_folder(str(good)).fields[1]
    assert label.classes == ("caf\\udce9", "zoo.png")
    (good / "linked").symlink_to(tmp_path / "good", target_is_directory=True)
    assert "1 link to folders not followed: linked" in open_folder(str(good)).notes


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "1"])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_images_look_as_if_decoded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, fit: str, channels: int
) -> None:
    across = np.linspace(0, 1, 211)[:, None] * np.linspace(1, 0.5, 163)
    colours = np.stack([across, across[::-1], across[:, ::-1], 0.2 + 0.8 * across], axis=2)
    image = Image.fromarray((colours * 255).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((across * 65535).astype(np.uint16))
    elif mode != "RGBA":
        image = image.convert("RGB").convert(mode) if mode in ("P", "1") else image.convert(mode)
    (tmp_path / "a.png").write_bytes(written(image, "PNG", exif=exif(6)))
    frame = ImageFrame(12, 16, channels, fit)
    whole = decode_image(tmp_path / "a.png", frame)
    monkeypatch.setattr(pillow_files, "_LARGE", 1000)
    strips = decode_image(tmp_path / "a.png", frame)
    assert strips.shape == (channels, 12, 16)
    # Single dots of black and white and of a palette are averaged in another order.
    difference = np.abs(whole.astype(int) - strips)
    assert difference.mean() < (8 if mode in ("P", "1") else 1.5)
    assert whole.std() > 10


def test_damaged_exif_still_turns_the_image(tmp_path: Path) -> None:
    # The orientation, then an entry whose value lies outside of the block: it cannot be written again.
    block = struct.pack("<2sHIH", b"II", 42, 8, 2)
    block += struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x010F, 2, 99, 60000)
    image = Image.new("L", (16, 8))
    image.paste(255, (0, 0, 8, 8))
    (tmp_path / "a.jpg").write_bytes(written(image, "JPEG", exif=b"Exif\0\0" + block + b"\0\0\0\0"))
    pixels = open_folder(str(tmp_path), FolderConfig()).read(0)["image"]
    assert pixels.shape == (1, 16, 8)
    assert pixels[0, 0].mean() > 240
    assert pixels[0, 15].mean() < 15


def test_threads_share_a_budget() -> None:
    budget, held, most, lock = Budget(10), 0, 0, threading.Lock()

    def work(amount: int) -> None:
        nonlocal held, most
        with budget.spend(amount):
            with lock:
                held += min(amount, 10)
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= min(amount, 10)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in (4, 3, 3, 99, 10, 5, 5, 1) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert 4 < most <= 10


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have() -> None:
    budget, held, done = Budget(10), threading.Event(), threading.Event()

    def hold() -> None:
        with budget.spend(10):
            held.set()
            done.wait(20)

    def use() -> None:
        with budget.spend(10):
            pass

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for forks beside threads
        child = multiprocessing.get_context("fork").Process(target=use, daemon=True)
        child.start()
    child.join(20)
    done.set()
    thread.join()
    child.kill()
    assert child.exitcode == 0
