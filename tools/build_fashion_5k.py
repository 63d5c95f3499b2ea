"""Makes the embedded files from the four original Fashion-MNIST files. Run once, by a maintainer.

    python -m tools.build_fashion_5k FOLDER_WITH_IDX_GZ [OUTPUT_FOLDER]

`fashion_5k.xz` has the first 500 training images of each class, kept in file order,
`fashion_5k_test.xz` the same of the test images, so the result is the same wherever it is made.
Prints the sha256 values that `fashion.py` checks.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo_datasets.fashion import CLASSES, COUNT, FILE, TEST_FILE
from ganzoo_datasets.idx import read_idx


def first_of_each_class(labels: NDArray[np.uint8], each: int) -> NDArray[np.intp]:
    """Indices of the first `each` samples of every class, ascending."""
    firsts = [np.flatnonzero(labels == value)[:each] for value in np.unique(labels)]
    return np.sort(np.concatenate(firsts))


def build(folder: Path, split: str) -> bytes:
    """The bytes to compress: chosen pixels (count, 28, 28), then their labels (count,).

    `split` is that of the file names: `train` or `t10k`.
    """
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
    chosen = first_of_each_class(labels, COUNT // len(CLASSES))
    return images[chosen].tobytes() + labels[chosen].tobytes()


def main(arguments: list[str]) -> int:
    """Write both files, print their sha256 and sizes; returns the exit code."""
    if len(arguments) not in (1, 2):
        usage = "python -m tools.build_fashion_5k FOLDER_WITH_IDX_GZ [OUTPUT_FOLDER]"
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    output = Path(arguments[-1]) if len(arguments) == 2 else FILE.parent
    for split, file in (("train", FILE), ("t10k", TEST_FILE)):
        raw = build(Path(arguments[0]), split)
        packed = lzma.compress(raw, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
        (output / file.name).write_bytes(packed)
        sha256 = hashlib.sha256(raw).hexdigest()
        print(f"{file.name}: sha256 {sha256} of {len(raw):,} bytes, {len(packed):,} packed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
