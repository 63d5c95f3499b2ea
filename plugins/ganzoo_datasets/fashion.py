"""The embedded data set: balanced subsets of the Fashion-MNIST training and test images.

The data is in two files beside this module, made by tools/build_fashion_5k.py. Fashion-MNIST is
(c) 2017 Zalando SE under the MIT licence, see LICENSES/fashion-mnist.txt.
"""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import numpy as np

from ganzoo.api import PIXELS, ArraySource, DataError, Field

COUNT, SIDE = 5_000, 28
SHA256 = "3e4733ae8450a2837c1f62ea9946542fde2197204feb158e5b790257ac34143a"
TEST_SHA256 = "0a62ba09413158889c7f1e8ba43492db67098c41be02e570099f54959cc26a6f"
"""Hashes of the decompressed bytes: 5,000 x 28 x 28 pixels, then 5,000 labels, all uint8."""

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILE = Path(__file__).with_name("fashion_5k.xz")
TEST_FILE = Path(__file__).with_name("fashion_5k_test.xz")


def open_fashion_5k(argument: str = "", config: object = None) -> ArraySource:
    """`image` (1, 28, 28) in -1..1 and `label` with ten names, 500 images of each.

    The order is that of the original training file. DataError when the embedded file is damaged.
    """
    return _source(argument, FILE, SHA256, "fashion-5k")


def open_held_out(argument: str = "", config: object = None) -> ArraySource:
    """5,000 images of the original test file, with the fields, balance and errors of `open_fashion_5k`."""
    return _source(argument, TEST_FILE, TEST_SHA256, "fashion-5k test")


def _source(argument: str, file: Path, sha256: str, name: str) -> ArraySource:
    if argument:
        raise DataError(
            "The data set 'fashion-5k' takes no argument.",
            where=f"--data fashion-5k:{argument}",
            fix="--data fashion-5k, or --data idx:PATH for Fashion-MNIST files of your own",
        )
    raw = _read(file, sha256)
    pixels = COUNT * SIDE * SIDE
    return ArraySource(
        fields=(
            Field(name="image", shape=(1, SIDE, SIDE), kind="image", axes=PIXELS, range=(-1.0, 1.0)),
            Field(name="label", dtype="int64", classes=CLASSES),
        ),
        arrays={
            "image": np.frombuffer(raw, np.uint8, pixels).reshape(COUNT, 1, SIDE, SIDE),
            "label": np.frombuffer(raw, np.uint8, COUNT, offset=pixels),
        },
        identity=f"{name} sha256:{sha256}",
    )


def _read(path: Path, sha256: str) -> bytes:
    try:
        raw = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise DataError(
            "The embedded Fashion-MNIST subset cannot be read.",
            where=f"{path.name}: {error}",
            fix="install ganzoo again",
        ) from error
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise DataError(
            "The embedded Fashion-MNIST subset is damaged: its sha256 is wrong.",
            where=f"{path.name}: sha256 {found}, expected {sha256}",
            fix="install ganzoo again",
        )
    return raw
