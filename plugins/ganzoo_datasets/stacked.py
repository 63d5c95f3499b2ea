"""Stacked MNIST: three random digits as the channels of one image, so that modes can be counted.

Introduced by Metz et al. 2017 (Unrolled GAN): ten digits in each channel give 1,000 modes, about equally
likely. Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN, table 2) count them as well. The
published code of PacGAN (github.com/fjxmlzn/PacGAN) trains on 128,000 stacks of digits from both files and
evaluates 26,000 generated ones; here the digits of the test file are held out.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import PIXELS, ArraySource, DataError, Field
from ganzoo_datasets.config import HELD_OUT_KEY, IdxConfig, StackedConfig
from ganzoo_datasets.idx import has_images, open_idx
from ganzoo_datasets.paths import given_path

Bytes = NDArray[np.uint8]

HELD_OUT = 26_000
"""Number of held-out stacks: as many as PacGAN generates for evaluation."""

DIGITS = tuple("0123456789")
_NAME, _SIDE, _CHANNELS = "stacked-mnist", 28, 3
_EXPECTS = "a folder with train-images-idx3-ubyte[.gz] and its companions"


def open_stacked(argument: str, config: StackedConfig | None = None) -> ArraySource:
    """`image` (3, size, size) in -1..1, and `label` (3,): the digit in each channel.

    The same files, count and seed give the same stacks. DataError for files that are missing, are not IDX,
    or are not labelled digits of 28x28 pixels.
    """
    config = config or StackedConfig()
    return _stacks(argument, config, config.split, config.count, ())


def open_held_out(argument: str, config: StackedConfig | None = None) -> ArraySource | None:
    """26,000 stacks of test digits; None if `open_stacked` uses them, or there are none."""
    config = config or StackedConfig()
    if config.split != "train" or not has_images(given_path(_NAME, argument, _EXPECTS), "test"):
        return None
    return _stacks(argument, config, "test", HELD_OUT, HELD_OUT_KEY)


def _stacks(
    argument: str,
    config: StackedConfig,
    split: Literal["train", "test"],
    count: int,
    spawn_key: tuple[int, ...],
) -> ArraySource:
    digits, labels = _digits(argument, split)
    edge = (config.size - _SIDE) // 2
    digits = np.pad(digits, ((0, 0), (edge, edge), (edge, edge)))
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=spawn_key)))
    shape = (_CHANNELS, config.size, config.size)
    try:
        # The largest array is allocated first, so that a count that is far too large fails here.
        image = np.empty((count, *shape), np.uint8)
        picks = rng.integers(0, len(digits), (count, _CHANNELS))
    except (MemoryError, ValueError) as error:
        raise DataError(
            f"There is not enough memory for {count:,} stacks: {count * math.prod(shape) / 1e9:,.1f} GB.",
            where=f"--data {_NAME}:{argument}",
            fix="set data.count to a smaller number",
        ) from error
    # With the mode "raise", NumPy would allocate a second array of that size.
    np.take(digits, picks, axis=0, out=image, mode="clip")
    return ArraySource(
        fields=(
            Field(name="image", shape=shape, kind="image", axes=PIXELS, range=(-1.0, 1.0)),
            Field(name="label", shape=(_CHANNELS,), dtype="int64", classes=DIGITS),
        ),
        arrays={"image": image, "label": labels[picks]},
        identity=f"{_NAME} {split}: {count} stacks of {config.size}x{config.size}, seed {config.seed}",
    )


def _digits(argument: str, split: Literal["train", "test"]) -> tuple[Bytes, Bytes]:
    """Pixels (n, 28, 28) and labels (n,) of one split."""
    path = given_path(_NAME, argument, _EXPECTS)
    if not path.is_dir():
        raise DataError("Stacks need a folder of IDX files.", where=str(path), fix=f"PATH is {_EXPECTS}")
    source = open_idx(argument, IdxConfig(split=split))
    images, labels = source.arrays["image"], source.arrays.get("label")
    if labels is None:
        raise DataError(
            f"The {split} digits have no labels; stacks need them.",
            where=str(path),
            fix="put the labels file beside the images, such as train-labels-idx1-ubyte",
        )
    if images.shape[1:] != (1, _SIDE, _SIDE) or labels.max() >= len(DIGITS):
        raise DataError(
            f"Stacks need gray digits 0 to 9 of {_SIDE}x{_SIDE} pixels; these images are "
            f"{images.shape[1:]}, with labels up to {labels.max()}.",
            where=str(path),
            fix="use the files of MNIST; for other IDX files use --data idx:PATH",
        )
    return images[:, 0], labels
