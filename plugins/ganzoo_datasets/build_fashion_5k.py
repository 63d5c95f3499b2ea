"""Makes `fashion_5k.xz` from the four original Fashion-MNIST files. Run once, by a maintainer.

    python -m ganzoo_datasets.build_fashion_5k FOLDER_WITH_IDX_GZ [OUTPUT]

The choice is the first 500 training images of each class, kept in file order, so the result is the
same wherever it is made. Prints the sha256 that `fashion.py` checks.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo_datasets.fashion import CLASSES, COUNT, FILE
from ganzoo_datasets.idx import read_idx


def first_of_each_class(labels: NDArray[np.uint8], each: int) -> NDArray[np.intp]:
    """Indices of the first `each` samples of every class, ascending."""
    firsts = [np.flatnonzero(labels == value)[:each] for value in np.unique(labels)]
    return np.sort(np.concatenate(firsts))


def build(folder: Path) -> bytes:
    """The bytes to compress: chosen pixels (count, 28, 28), then their labels (count,)."""
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    chosen = first_of_each_class(labels, COUNT // len(CLASSES))
    return images[chosen].tobytes() + labels[chosen].tobytes()


def main(arguments: list[str]) -> int:
    """Write the file, print its sha256 and size; returns the exit code."""
    if len(arguments) not in (1, 2):
        print(
            "usage: python -m ganzoo_datasets.build_fashion_5k FOLDER_WITH_IDX_GZ [OUTPUT]", file=sys.stderr
        )
        return 2
    output = Path(arguments[1]) if len(arguments) == 2 else FILE
    raw = build(Path(arguments[0]))
    packed = lzma.compress(raw, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    output.write_bytes(packed)
    print(f"sha256 {hashlib.sha256(raw).hexdigest()} of {len(raw):,} bytes, {len(packed):,} packed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
