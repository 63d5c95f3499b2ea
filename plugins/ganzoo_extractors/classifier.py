"""A small classifier, trained on the labelled data in half a minute or less and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import Classifier, ClassifierData, keep_cached, read_cached
from ganzoo_extractors.resize import opaque

SIDE = 32  # pixels; larger images are shrunk
WIDTH, FEATURES = 16, 128
STEPS, BATCH, RATE = 1200, 64, 3e-3
EPOCHS, FEWEST = 40, 200  # fewer samples than 1,920 take 40 epochs, in 200 steps or more
PER_SECOND = 40  # steps of one core
SHIFT = 1  # pixels: the largest random shift of training images
_VERSION = 2  # raised when a change here changes the trained weights

Pixels = NDArray[np.uint8]


def network(channels: int, outputs: int) -> nn.Sequential:
    """Images (channels, h, w) of any size -> 128 features -> `outputs` logits."""

    def layer(inputs: int, width: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]

    features = nn.Sequential(
        *layer(channels, WIDTH),
        nn.MaxPool2d(2, ceil_mode=True),
        *layer(WIDTH, 2 * WIDTH),
        nn.MaxPool2d(2, ceil_mode=True),
        *layer(2 * WIDTH, 4 * WIDTH),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(9 * 4 * WIDTH, FEATURES),
        nn.ReLU(inplace=True),
    )
    return nn.Sequential(features, nn.Linear(FEATURES, outputs))


class SmallClassifier:
    """A trained network: `ganzoo.api.Classifier`.

    Each channel of stacked images (Stacked-MNIST) is classified as an image of its own.
    """

    def __init__(self, classifier_data: ClassifierData) -> None:
        parts, channels = classifier_data.labels.shape[1], opaque(classifier_data.pixels[:1]).shape[3]
        self.stacked = classifier_data.stacked
        self.parts, self.classes = parts, classifier_data.classes
        self.name, self.identity = _fingerprint(classifier_data), ""
        self.steps = _steps(classifier_data)
        self.protocol = f"8-bit images, at most {SIDE}x{SIDE} (bilinear, smoothed)"
        self.accuracy = 0.0
        with _own_random(classifier_data.seed):
            outputs = classifier_data.classes * (1 if self.stacked else parts)
            net = network(1 if self.stacked else channels, outputs)
        # Twice as fast on a CPU as channels first, mostly because of the pooling.
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, classifier_data: ClassifierData) -> None:
        """Train for a number of steps by the number of samples, then measure the accuracy on the test split.

        The same data gives the same classifier, whatever number of threads torch computes with.
        """
        maps, labels = self._maps(classifier_data.pixels), torch.from_numpy(classifier_data.labels)
        if self.stacked:
            labels = labels.reshape(-1, 1)
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=RATE, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=self.steps)
        with _own_random(classifier_data.seed), _one_thread():
            self.net.train()
            for rows, (top, left) in _batches(len(maps), self.steps, classifier_data.seed):
                batch = functional.pad(_floats(maps[rows]), [SHIFT] * 4, mode="replicate")
                batch = batch[:, :, top : top + maps.shape[2], left : left + maps.shape[3]]
                logits = self.net(batch).unflatten(1, (-1, self.classes))
                loss = functional.cross_entropy(logits.flatten(0, 1), labels[rows].flatten())
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
        self.net.eval()
        predicted = self.probabilities(classifier_data.test_pixels).argmax(2)
        self.accuracy = float((predicted == classifier_data.test_labels).mean())
        self._set_identity()

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        """Images (n, h, w, c) -> the 128 values before the last layer, for stacked images 128 per channel."""
        return self._run(self.net[0], pixels).reshape(len(pixels), -1)

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        """Images (n, h, w, c) -> (n, parts, classes)."""
        logits = self._run(self.net, pixels).reshape(len(pixels), self.parts, self.classes)
        return torch.from_numpy(logits).softmax(2).numpy()

    @torch.no_grad()
    def _run(self, net: nn.Module, pixels: Pixels) -> NDArray[np.float32]:
        pieces = [pixels[start : start + 500] for start in range(0, len(pixels), 500)]
        return torch.cat([net(_floats(self._maps(piece))) for piece in pieces]).numpy()

    def _maps(self, pixels: Pixels) -> Tensor:
        """uint8 (n, c, h, w), or (n * c, 1, h, w) for stacked channels, with sides of at most `SIDE`."""
        maps = torch.from_numpy(np.array(opaque(pixels).transpose(0, 3, 1, 2), order="C"))
        if self.stacked:
            maps = maps.flatten(0, 1)[:, None]
        if max(maps.shape[2:]) <= SIDE:
            return maps
        sizes = [min(SIDE, side) for side in maps.shape[2:]]
        return functional.interpolate(maps, sizes, mode="bilinear", antialias=True)

    def save_to_cache(self) -> None:
        """Write accuracy and weights to the cache."""
        accuracy = torch.tensor(self.accuracy, dtype=torch.float64)
        keep_cached("classifiers", f"{self.name}.classifier", save({**self._tensors(), "accuracy": accuracy}))

    def load_from_cache(self) -> bool:
        """Read accuracy and weights; False where the cache does not have them."""
        content = read_cached("classifiers", f"{self.name}.classifier")
        if content is None:
            return False
        tensors: dict[str, Any] = load(content)
        self.accuracy = float(tensors.pop("accuracy"))
        self.net.load_state_dict(tensors)
        self.net.eval()
        self._set_identity()
        return True

    def _set_identity(self) -> None:
        """From the weights: equal data gives other weights on another processor or with another torch."""
        weights = hashlib.sha256(save(self._tensors())).hexdigest()
        self.identity = f"3 convolutions, trained on the data (weights sha256:{weights[:12]})"

    def _tensors(self) -> dict[str, Tensor]:
        return {name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}


def train(config: None, classifier_data: ClassifierData) -> Classifier:
    """Factory of `classifier`: from the cache, or trained now."""
    classifier = SmallClassifier(classifier_data)
    if not classifier.load_from_cache():
        what = (
            "the classifier is trained on the data, once"
            if classifier_data.keep
            else "another classifier is trained on the samples"
        )
        classifier_data.note(f"{what}: about {classifier.steps // PER_SECOND} s of one core")
        classifier.fit(classifier_data)
        if classifier_data.keep:
            classifier.save_to_cache()
    return classifier


@contextmanager
def _own_random(seed: int) -> Iterator[None]:
    """Random numbers of torch's CPU stream from this seed on; afterwards it goes on as before.

    `torch.manual_seed` seeds the streams of all devices, from which a run that is scored may draw just now.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, so that the result does not depend on the number of threads.

    Sums over several threads differ in the last bits, and training makes the difference grow. One thread is
    not slow: on a busy machine 200 steps took 16 s, and 233 s with two threads (two cores, Zen 4).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _steps(classifier_data: ClassifierData) -> int:
    count = len(classifier_data.pixels) * (classifier_data.labels.shape[1] if classifier_data.stacked else 1)
    return min(STEPS, max(FEWEST, EPOCHS * count // BATCH))


def _batches(count: int, steps: int, seed: int) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """For each step the rows of its batch, and a shift. Each epoch uses each sample once."""
    random = np.random.Generator(np.random.PCG64(seed))
    rows = np.empty(0, np.int64)
    for _ in range(steps):
        while len(rows) < BATCH:
            rows = np.concatenate([rows, random.permutation(count)])
        top, left = (int(side) for side in random.integers(0, 2 * SHIFT + 1, 2))
        yield torch.from_numpy(rows[:BATCH]), (top, left)
        rows = rows[BATCH:]


def _floats(maps: Tensor) -> Tensor:
    return maps.float().div_(127.5).sub_(1)


def _fingerprint(classifier_data: ClassifierData) -> str:
    """A hash of everything that decides the weights, and of the test split."""
    facts: tuple[Any, ...] = (_VERSION, _steps(classifier_data), BATCH, RATE, WIDTH, FEATURES, SIDE, SHIFT)
    facts += (
        classifier_data.classes,
        classifier_data.seed,
        *(["stacked"] if classifier_data.stacked else []),
    )
    total = hashlib.sha256(repr(facts).encode())
    for array in (
        classifier_data.pixels,
        classifier_data.labels,
        classifier_data.test_pixels,
        classifier_data.test_labels,
    ):
        total.update(repr((array.shape, array.dtype.str)).encode())
        total.update(np.ascontiguousarray(array).data.cast("B"))
    return total.hexdigest()
