"""Interfaces of extractors, classifiers and metrics, and of the data that they receive.

Part of `ganzoo.api`. Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ganzoo.fields import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Extractor(Protocol):
    """Computes features of samples. `identity` names network and weights, with their sha256.

    `protocol` describes the preprocessing: for images size, filter, range.
    """

    identity: str
    protocol: str

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Samples -> features (n, d). Images are (n, height, width, 1, 3 or 4 channels); samples
        of other kinds are as in `Samples.values`.
        """
        ...


class Classifier(Extractor, Protocol):
    """A network trained to classify labelled data. `accuracy` is measured on held-out samples."""

    accuracy: float

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Samples, as for features -> class probabilities (n, labels, classes)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierData:
    """Training and test data of a classifier: samples as in `Samples.values`, labels (n, labels).

    `stacked`: label k belongs to channel k, see `DatasetSpec`. `keep`: the same data may come again, so the
    trained classifier goes into the cache; False for generated samples. `note` shows the user a line of
    text, for example before a step that takes long.
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
    """Samples of one field, in the order in which they were made; hashed by identity."""

    def __hash__(self) -> int: ...

    @property
    def values(self) -> NDArray[Any]:
        """Images as uint8 (n, height, width, channels), other kinds as float32: see `Media.metric_values`."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The classes of real samples, or those that a generator was conditioned on: (n, labels)."""
        ...

    @property
    def features(self) -> NDArray[np.float32]:
        """Features (n, d), scaled as the extractor's record says; without images, the scaled values."""
        ...

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The classifier's class probabilities: (n, labels, classes)."""
        ...

    @property
    def extractor_probabilities(self) -> NDArray[np.float32]:
        """The extractor's class probabilities, if it is a classifier: (n, classes)."""
        ...


class Comparison(Protocol):
    """The input of a metric: generated samples, and the real samples that they are compared with."""

    @property
    def fake(self) -> Samples:
        """The generated samples."""
        ...

    @property
    def real(self) -> Samples:
        """The real samples that they are compared with, held out from training if the data allows it."""
        ...

    @property
    def training(self) -> Samples | None:
        """Samples of the training set, as many as `real` has if there are enough.

        None when `real` itself is training data, or when the generator was trained on other data.
        """
        ...

    @property
    def targets(self) -> NDArray[np.intp] | None:
        """For each generated sample the index in `real` of its target, the sample that it should equal, (n,).

        None unless the generator makes one field of a sample from other fields of paired data.
        """
        ...

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """The samples of the data that the generator read, by field, in the form of `Samples.values`.

        Empty for other generators, in training, and for reference rows.
        """
        ...

    @property
    def known(self) -> NDArray[np.bool_] | None:
        """For a network that gives samples a score: which classes it was trained on, (classes,).

        Then `fake.values` are the scores (n,), `fake.labels` the classes of these samples (n, 1), and `field`
        is that of the score, with its facts. None for all others.
        """
        ...

    @property
    def neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]] | None:
        """For each generated sample: its nearest training sample, its nearest real one, a ratio; (n,) each.

        Both are searched among equally many samples and given as indices into `training` and `real`. The
        ratio is the first distance over the second, 1 where they are equal. None without `training`.
        """
        ...

    @property
    def field(self) -> Field:
        """The field that is compared: its kind, shape, range and facts."""
        ...

    @property
    def distance(self) -> str:
        """The name of the Frechet distance between these features."""
        ...

    @property
    def stacked(self) -> bool:
        """Whether each channel of an image is an image of its own, see `DatasetSpec`."""
        ...

    @property
    def random(self) -> np.random.Generator:
        """A random generator for metrics that draw subsets; the same for the same seed."""
        ...

    def classifier_accuracy(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """Train a new classifier on these samples; returns its accuracy on all held-out data.

        Without held-out data, the accuracy is measured on the training data. Pixels are (n, height, width,
        channels), labels (n,) are numbers of the classes of the data; the result is a share, 0..1.
        """
        ...
