"""The embedded data set: a balanced subset of the Fashion-MNIST training images.

The bytes lie beside this module as `fashion_5k.xz`; `build_fashion_5k` made them. Fashion-MNIST is
(c) 2017 Zalando SE under the MIT licence, see LICENSES/fashion-mnist.txt.
"""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import numpy as np

from ganzoo.api import ArraySource, DataError, Field

COUNT, SIDE = 5_000, 28
SHA256 = "3e4733ae8450a2837c1f62ea9946542fde2197204feb158e5b790257ac34143a"
"""Of the decompressed bytes: 5,000 x 28 x 28 pixels, then 5,000 labels, all uint8."""

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


def open_fashion_5k(argument: str = "", config: object = None) -> ArraySource:
    """`image` (1, 28, 28) in -1..1 and `label` with ten names, 500 pictures of each.

    The order is that of the original training file. DataError when the embedded file is damaged.
    """
    if argument:
        raise DataError(
            "The data set 'fashion-5k' takes no argument.",
            where=f"--data fashion-5k:{argument}",
            fix="--data fashion-5k, or --data idx:PATH for Fashion-MNIST files of your own",
        )
    raw = _read(FILE)
    pixels = COUNT * SIDE * SIDE
    return ArraySource(
        fields=(
            Field(name="image", shape=(1, SIDE, SIDE), range=(-1.0, 1.0)),
            Field(name="label", dtype="int64", classes=CLASSES),
        ),
        arrays={
            "image": np.frombuffer(raw, np.uint8, pixels).reshape(COUNT, 1, SIDE, SIDE),
            "label": np.frombuffer(raw, np.uint8, COUNT, offset=pixels),
        },
        identity=f"fashion-5k sha256:{SHA256}",
    )


def _read(path: Path) -> bytes:
    try:
        raw = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise DataError(
            "The embedded Fashion-MNIST subset cannot be read.",
            where=f"{path.name}: {error}",
            fix="install ganzoo again",
        ) from error
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA256:
        raise DataError(
            "The embedded Fashion-MNIST subset is not the one this version was released with.",
            where=f"{path.name}: sha256 {found}, expected {SHA256}",
            fix="install ganzoo again",
        )
    return raw
