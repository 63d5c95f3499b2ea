"""Scores from a classifier's predictions for generated images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Comparison

Ints = NDArray[np.int64]


def expected_shares(modes: Ints, labels: Ints, *, independent: bool) -> NDArray[np.float64]:
    """The share of each of these modes (m, parts) in data with these labels (n, parts).

    It is the frequency among the labels. With `independent` parts it is the product of the frequencies of the
    parts, which is not 0 for a mode that n labels happen not to contain.
    """
    if independent:
        shares = np.ones(len(modes))
        for mode, part in zip(modes.T, labels.T, strict=True):
            shares *= np.bincount(part, minlength=mode.max() + 1)[mode] / len(part)
        return shares
    _, numbers = np.unique(np.concatenate([modes, labels]), axis=0, return_inverse=True)
    own, others = np.split(numbers.reshape(-1), [len(modes)])
    found: NDArray[np.float64] = np.bincount(others, minlength=numbers.max() + 1)[own] / len(labels)
    return found


def reverse_kl(numbers: Ints, expected: NDArray[np.float64]) -> float:
    """KL(generated || data) over modes, in nats (PacGAN, Lin et al. 2018, section 4.1).

    Generated shares are relative frequencies. A mode that the data does not have gets the share of half a
    sample there.
    """
    counts = np.bincount(numbers, minlength=len(expected))
    there = counts > 0
    shares = counts[there] / counts.sum()
    known = np.where(expected > 0, expected, 0.5 / max(len(numbers), 1))
    return float((shares * np.log(shares / known[there])).sum())


def classifier_score(probabilities: NDArray[np.float32]) -> float:
    """The formula of the Inception Score, exp E KL(p(y|x) || p(y)), of (n, classes) (Salimans 2016)."""
    p = probabilities.astype(np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def split_score(probabilities: NDArray[np.float32], splits: int = 10) -> float:
    """The mean of `classifier_score` over `splits` parts of (n, classes), as for the Inception Score.

    Salimans 2016, section 4, and the authors' code: 10 parts of 50,000 samples. Fewer samples in a part
    give a lower score, because each sample then has more weight in the mean p(y).
    """
    return float(np.mean([classifier_score(part) for part in np.array_split(probabilities, splits)]))


def classes(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `classes`: `modes`, `reverse_kl`, `classifier_score`, `label_accuracy`.

    A mode is a combination of the parts of a label; it is found when the classifier predicts it for at least
    one sample. `label_accuracy` is the share of samples for which it predicts the generator's condition.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        probabilities, real = comparison.fake.probabilities, comparison.real.labels
        if real is None:
            return {}
        predicted = probabilities.argmax(2)
        modes, numbers = np.unique(predicted, axis=0, return_inverse=True)
        expected = expected_shares(modes, real, independent=comparison.stacked)
        parts = probabilities.transpose(1, 0, 2)
        scores = {
            "modes": float(len(modes)),
            "reverse_kl": reverse_kl(numbers.reshape(-1), expected),
            "classifier_score": float(np.mean([classifier_score(part) for part in parts])),
        }
        conditions = comparison.fake.labels
        if conditions is not None:
            scores["label_accuracy"] = float((predicted == conditions).all(1).mean())
        return scores

    return score


def inception_score(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `inception-score`, for the extractor whose distance is FID: the mean of ten parts."""

    def score(comparison: Comparison) -> dict[str, float]:
        return {"inception_score": split_score(comparison.fake.extractor_probabilities)}

    return score


def accuracy_of_classifier(config: None = None) -> Callable[[Comparison], dict[str, float]]:
    """Factory of `cas`: a classifier is trained on generated samples and tested on real ones.

    The classification accuracy score of Ravuri and Vinyals 2019, with the network of our classifier.
    """

    def score(comparison: Comparison) -> dict[str, float]:
        values, conditions = comparison.fake.values, comparison.fake.labels
        return {} if conditions is None else {"cas": comparison.classifier_accuracy(values, conditions)}

    return score
