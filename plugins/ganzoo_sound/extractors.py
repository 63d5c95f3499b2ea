"""Features of sounds: statistics of log mel spectrograms, and a classifier that is trained on these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Classifier, ClassifierData
from ganzoo_sound.spectra import mel_basis, stft

Array = NDArray[Any]

BANDS, FRAMES = 32, 64
PARTS = 3  # of the time, each with its own statistics
LOW, HIGH = -10.0, 4.0  # logarithms of magnitudes that become 0 and 255
_NOMINAL = 16_000  # Hz: the scale is relative to the rate, which extractors do not know
_BLOCK = 256


def log_mels(sounds: Array) -> NDArray[np.float32]:
    """Sounds (n, C, T) -> (n, 32, at most 64 frames): logarithms of the mean of the channels."""
    waves = sounds.mean(1, dtype=np.float64)
    hop = max(32, -(-waves.shape[1] // FRAMES))
    n_fft = max(256, 2 * hop)
    waves = np.pad(waves, ((0, 0), (0, -waves.shape[1] % hop)))
    basis = mel_basis(_NOMINAL, n_fft, BANDS, 0.0, _NOMINAL / 2, "htk")
    made: NDArray[np.float32] = np.log(basis @ np.abs(stft(waves, n_fft, hop)) + np.exp(LOW)).astype(
        np.float32
    )
    return made


class LogMelStatistics:
    """Mean and standard deviation of each band in each third of the time: 192 features."""

    identity = "mean and standard deviation of 32 log mel bands in thirds of the time, version 1"
    protocol = "sounds, mixed to one channel, at their own rate"

    def __call__(self, pixels: Array) -> NDArray[np.float32]:
        """Sounds (n, C, T) -> (n, 192)."""
        return np.concatenate([self._block(pixels[at : at + _BLOCK]) for at in range(0, len(pixels), _BLOCK)])

    @staticmethod
    def _block(sounds: Array) -> NDArray[np.float32]:
        parts = np.array_split(log_mels(sounds), PARTS, axis=2)
        found = [values for part in parts if part.shape[2] for values in (part.mean(2), part.std(2))]
        return np.concatenate(found, axis=1)


class SoundClassifier:
    """The small classifier of images, on log mel spectrograms as images of 32 rows."""

    def __init__(self, classifier_data: ClassifierData) -> None:
        from ganzoo_extractors.classifier import train

        self._of_images: Classifier = train(
            None,
            replace(
                classifier_data,
                pixels=_images(classifier_data.pixels),
                test_pixels=_images(classifier_data.test_pixels),
            ),
        )
        self.accuracy = self._of_images.accuracy
        self.identity = f"log mel spectrograms: {self._of_images.identity}"
        self.protocol = f"{LogMelStatistics.protocol}; 32 mels x at most 64 frames, as 8-bit images"

    def __call__(self, pixels: Array) -> NDArray[np.float32]:
        """Sounds (n, C, T) -> the features before the last layer."""
        return self._of_images(_images(pixels))

    def probabilities(self, pixels: Array) -> NDArray[np.float32]:
        """Sounds (n, C, T) -> (n, parts, classes)."""
        return self._of_images.probabilities(_images(pixels))


def _images(sounds: Array) -> NDArray[np.uint8]:
    """Sounds (n, C, T) -> log mel spectrograms as (n, 32, frames, 1)."""
    blocks = [log_mels(sounds[at : at + _BLOCK]) for at in range(0, len(sounds), _BLOCK)]
    shares = (np.concatenate(blocks) - LOW) / (HIGH - LOW)
    pixels: NDArray[np.uint8] = np.rint(255 * shares.clip(0, 1)).astype(np.uint8)
    return pixels[..., None]


def statistics(config: None = None) -> LogMelStatistics:
    """Factory of `log-mel`."""
    return LogMelStatistics()


def classifier(config: None, classifier_data: ClassifierData) -> SoundClassifier:
    """Factory of `sound-classifier`: trained on the data, or from the cache."""
    return SoundClassifier(classifier_data)
