"""The data of a case, in memory: made-up images of its shape, the same for all contenders.

ganzoo reads them as uint8 through its dataset plugin. Peers get them ready as floats in -1..1, which
spares their loaders the decoding and the transforms.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.cases import CASES, Case
from ganzoo.api import ArraySource, Field

MEMORY = 12_000_000  # bytes of uint8 images: past any cache, and small beside what torch takes
EPOCH = 61_440  # samples that a peer's loader believes to have: epochs as long as with MNIST or CIFAR-10


def images(case: Case) -> NDArray[np.uint8]:
    """(count, channels, height, width), smooth with some noise."""
    random = np.random.Generator(np.random.PCG64(0))
    channels, height, width = case.shape
    count = MEMORY // (channels * height * width) // 512 * 512
    coarse = random.integers(32, 224, (count, channels, 4, 4))
    smooth = coarse.repeat(-(-height // 4), axis=2).repeat(-(-width // 4), axis=3)[:, :, :height, :width]
    return (smooth + random.integers(-32, 32, smooth.shape)).astype(np.uint8)


def labels(case: Case) -> NDArray[np.int64]:
    """(count,), the class of each image; 0 throughout when the case has no classes."""
    return np.arange(len(images(case)), dtype=np.int64) % max(case.classes, 1)


def open_case(argument: str, config: None) -> ArraySource:
    """Factory of the dataset `case`; the argument is the case's name."""
    case = CASES[argument]
    fields = [Field(name="image", shape=case.shape, range=(-1.0, 1.0))]
    arrays: dict[str, Any] = {"image": images(case)}
    if case.classes:
        classes = tuple(str(number) for number in range(case.classes))
        fields.append(Field(name="label", dtype="int64", classes=classes))
        arrays["label"] = labels(case)
    return ArraySource(fields=tuple(fields), arrays=arrays, identity=f"made-up images of {argument}")


@cache
def samples(case_name: str) -> Samples:
    """The case's data as peers read it."""
    return Samples(CASES[case_name])


class Samples:
    """A map-style torch dataset of (image, label), image float32 in -1..1, label int.

    It repeats its images until an epoch is as long as the data sets that the peers were made for.
    """

    def __init__(self, case: Case) -> None:
        import torch

        self.images = torch.from_numpy(images(case)).float().sub_(127.5).div_(127.5)
        self.labels = labels(case).tolist()

    def __len__(self) -> int:
        return EPOCH

    def __getitem__(self, index: int) -> tuple[Any, int]:
        place = index % len(self.labels)
        return self.images[place], self.labels[place]


class Images:
    """The same without labels; slices give a batch."""

    def __init__(self, of: Samples) -> None:
        self.images = of.images

    def __len__(self) -> int:
        return EPOCH

    def __getitem__(self, index: int | slice) -> Any:
        return self.images[index if isinstance(index, slice) else index % len(self.images)]
