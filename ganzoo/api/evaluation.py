"""What extractors, classifiers and metrics are given, and what they have to be; re-exported by `ganzoo.api`.

Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Extractor(Protocol):
    """Features of images. `identity` names network and weights, with the sha256 of the weights.

    `protocol` says what is done to images before: size, filter, range.
    """

    identity: str
    protocol: str

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, height, width, channels) of 1, 3 or 4 channels -> features (n, d)."""
        ...


class Classifier(Extractor, Protocol):
    """A network trained to classify labelled data. `accuracy` is that on held-out samples."""

    accuracy: float

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (n, height, width, channels) -> (n, parts, classes), a part for each label."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierData:
    """What a classifier is trained and tested on: images (n, height, width, channels), labels (n, parts).

    `stacked`: label k is that of channel k, see `DatasetSpec`. `keep`: the same data may come again, so the
    trained classifier goes into the cache; False where the images are generated ones. `note` takes a line
    for the user, before anything that takes long.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    seed: int = 0
    stacked: bool = False
    keep: bool = True
    note: Callable[[str], None] = lambda _: None

    @property
    def exam_pixels(self) -> NDArray[np.uint8]:
        """Deprecated, gone in 0.3: `test_pixels`."""
        return self.test_pixels

    @property
    def exam_labels(self) -> NDArray[np.int64]:
        """Deprecated, gone in 0.3: `test_labels`."""
        return self.test_labels


class Samples(Protocol):
    """Samples of one field, in the order in which they were made; told apart by identity."""

    def __hash__(self) -> int: ...

    @property
    def values(self) -> NDArray[Any]:
        """Images as uint8 (n, height, width, channels); other fields as float32 (n, *shape)."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The classes of real samples, or those that a generator was conditioned on: (n, parts)."""
        ...

    @property
    def features(self) -> NDArray[np.float32]:
        """(n, d), scaled as the extractor's record says; of what is no image, the scaled values."""
        ...

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """What the classifier takes them for: (n, parts, classes)."""
        ...

    @property
    def extractor_probabilities(self) -> NDArray[np.float32]:
        """What the extractor takes them for, where it is a classifier: (n, classes)."""
        ...


class Comparison(Protocol):
    """What a metric sees: generated samples, and the real ones that they are compared with."""

    @property
    def fake(self) -> Samples:
        """The generated samples."""
        ...

    @property
    def real(self) -> Samples:
        """The samples that they are compared with, held out from training where the data allows."""
        ...

    @property
    def training(self) -> Samples | None:
        """Samples that the generator learned from, as many as `real` has if there are so many.

        None when `real` are such, or it learned from other data.
        """
        ...

    @property
    def targets(self) -> NDArray[np.intp] | None:
        """For each generated sample the index in `real` of its target, the sample that it should equal, (n,).

        None unless the generator makes one field of a sample from the others, from paired data.
        """
        ...

    @property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]] | None:
        """Of each generated sample: its nearest training sample, the nearest real one, a ratio; (n,) each.

        Both are looked for among equally many and given by their places in `training` and `real`. The ratio
        is the distance to the first over that to the second, 1 where they are equal. None without `training`.
        """
        ...

    @property
    def distance(self) -> str:
        """The name of the Frechet distance between these features."""
        ...

    @property
    def stacked(self) -> bool:
        """Whether the data's record says that its images are stacks, see `DatasetSpec`."""
        ...

    @property
    def random(self) -> np.random.Generator:
        """For metrics that draw subsets; the same for the same seed."""
        ...

    def classifier_accuracy(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """Train a new classifier on these; its accuracy on the whole held-out part of the data.

        On the training data where nothing is held out.
        """
        ...
