"""The media records that come with ganzoo: files of images, points and tables, and values for metrics."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from ganzoo.api import PIXELS, Column, DataError, Field
from ganzoo_media.image import ImageMedia
from ganzoo_media.plain import Rows
from ganzoo_media.points import PointsMedia
from ganzoo_metrics.distances import frechet_distance, in_their_span


def image(channels: int = 1, side: int = 60, **more: Any) -> Field:
    shape = (channels, side, side)
    return Field(name="x", shape=shape, range=(-1.0, 1.0), kind="image", axes=PIXELS, **more)


def floats(field: Field, n: int = 4) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, (n, *field.shape)).astype(np.float32)


def depth_of(png: bytes) -> tuple[int, int, Any]:
    """Bits and colour type of a PNG, and its samples (height, width, channels)."""
    width, height, bits, colour = struct.unpack(">IIBB", png[16:26])
    at, data = 8, b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    channels = {0: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()  # no filter
    return bits, colour, rows[:, 1:].copy().view(">u2").reshape(height, width, channels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("suffix", ImageMedia.suffixes)
def test_images_are_written_in_every_format(channels: int, suffix: str, tmp_path: Path) -> None:
    field = image(channels)
    assert ImageMedia().write(field, floats(field), tmp_path / f"x{suffix}") == [tmp_path / f"x{suffix}"]
    if suffix.startswith(".tif"):  # a page for each, with all channels; Pillow opens at most four
        with tifffile.TiffFile(tmp_path / f"x{suffix}") as file:
            assert [page.shape for page in file.pages] == [(60, 60, channels)[: 2 + (channels > 1)]] * 4
            return
    with Image.open(tmp_path / f"x{suffix}") as back:
        assert back.size == (2 * 62 + 2, 2 * 62 + 2)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_keep_the_original_values(channels: int, tmp_path: Path) -> None:
    field = image(channels, side=5, original=(0.0, 4095.0))
    values = floats(field, 1)
    values.flat[:2] = -1, 1
    ImageMedia().write(field, values, tmp_path / "x.png", single=True)
    bits, colour, levels = depth_of((tmp_path / "x.png").read_bytes())
    assert (bits, colour) == (16, {1: 0, 3: 2, 4: 6}[channels])
    exact = ((values[0].astype(np.float64) + 1) / 2 * 4095).transpose(1, 2, 0)
    assert np.abs(levels.astype(float) - exact).max() <= 0.5
    with Image.open(tmp_path / "x.png") as back:
        assert back.size == (5, 5)
    ImageMedia().write(field, values, tmp_path / "x.tif", single=True)
    assert np.array_equal(np.squeeze(levels), tifffile.imread(tmp_path / "x.tif"))
    # An original range that eight bits can hold, or that no image file can.
    for original in ((0.0, 255.0), (-1000.0, 3000.0)):
        ImageMedia().write(image(channels, 5, original=original), values, tmp_path / "y.png", single=True)
        assert (tmp_path / "y.png").read_bytes()[24] == 8


def test_metrics_see_pixels() -> None:
    field, media = image(3, 4), ImageMedia()
    stored = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 4), np.uint8)
    assert np.array_equal(media.metric_values(field, stored), stored.transpose(0, 2, 3, 1))
    as_range = stored.astype(np.float32) / 127.5 - 1
    assert np.array_equal(media.metric_values(field, as_range), stored.transpose(0, 2, 3, 1))
    deep = stored.astype(np.uint16) * 257
    assert np.array_equal(media.metric_values(field, deep), stored.transpose(0, 2, 3, 1))
    assert not media.extractable(image(7))
    assert media.metric_values(image(7, 4), floats(image(7, 4))).dtype == np.float32


def test_previews() -> None:
    media, field = ImageMedia(), image()
    assert Image.open(io.BytesIO(media.preview(field, floats(field), columns=4).data)).size == (
        4 * 62 + 2,
        64,
    )
    beside = media.preview(field, floats(field, 1), beside=[(field, floats(field, 1))], real=floats(field, 1))
    assert Image.open(io.BytesIO(beside.data)).size[0] > 3 * 60
    point = Field(name="p", shape=(2,), kind="points")
    plot = PointsMedia().preview(point, np.zeros((5, 2), np.float32), real=np.ones((5, 2), np.float32))
    assert Image.open(io.BytesIO(plot.data)).size == (512, 512)


def test_rows_are_tables(tmp_path: Path) -> None:
    column = Column(name="colour", values=("red", "blue"))
    field = Field(name="row", shape=(2,), kind="row", columns=(column,))
    rows = np.array([[0.1, 0.9], [0.7, 0.2]], np.float32)
    Rows().write(field, rows, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "colour\nblue\nred\n"
    preview = Rows().preview(field, rows.repeat(20, axis=0))
    assert preview.suffix == ".csv"
    assert preview.data.decode().splitlines() == ["colour", *["blue"] * 12]
    assert Rows().metric_values(field, rows).tolist() == [[0, 1], [1, 0]]
    assert Rows().claims(field)
    assert not PointsMedia().claims(field)


def test_frechet_in_many_dimensions_is_that_of_the_span() -> None:
    """Equal to the plain formula, but for its rounding, and quick where that one would need hours."""
    random = np.random.default_rng(0)
    first, second = (random.normal(shift, 1, (60, 300)).astype(np.float32) for shift in (0, 0.5))
    reduced = in_their_span(first, second)
    assert reduced[0].shape == (60, 120)
    plain = frechet_distance(first, second)
    assert frechet_distance(*reduced) == pytest.approx(plain, rel=5e-8)
    large = [random.normal(shift, 1, (50, 20_000)).astype(np.float32) for shift in (0, 1)]
    assert frechet_distance(*in_their_span(*large)) > 20_000
    assert in_their_span(first[:, :80], second[:, :80])[0].shape == (60, 80)


def test_a_tiff_of_four_gibibytes_is_an_error(tmp_path: Path) -> None:
    field = image(3, 1000)
    many = np.broadcast_to(np.zeros((1, 1000, 1000, 3), np.uint8), (1500, 1000, 1000, 3))
    with pytest.raises(DataError, match=r"1,500 images have 4\.2 GiB") as caught:
        ImageMedia().write(field, many, tmp_path / "x.tif")
    assert caught.value.fix == "use at most 1,426 at a time, or .npz"
    assert not (tmp_path / "x.tif").exists()
