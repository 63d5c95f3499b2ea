"""What a judge sees in generated pictures: which classes there are, how sure it is, whether as asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Evidence

Ints = NDArray[np.int64]


def mode_numbers(labels: Ints, classes: int) -> Ints:
    """One number a sample for its labels (n, parts): those of Stacked-MNIST become 0..999."""
    numbers = np.zeros(len(labels), np.int64)
    for part in labels.T:
        numbers = numbers * classes + part
    return numbers


def expected_shares(labels: Ints, classes: int) -> NDArray[np.float64]:
    """The share of each mode in data with these labels (n, parts), the parts taken as independent."""
    shares = np.ones(1)
    for part in labels.T:
        shares = np.outer(shares, np.bincount(part, minlength=classes) / len(part)).ravel()
    return shares


def reverse_kl(numbers: Ints, expected: NDArray[np.float64]) -> float:
    """KL(generated || data) over modes, in nats (PacGAN, Lin et al. 2018, section 4.1).

    Generated shares are relative frequencies. Modes that the data does not have count as if they had
    half a sample's share there.
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


def classes(config: None = None) -> Callable[[Evidence], dict[str, float]]:
    """Factory of `classes`: `modes`, `reverse_kl`, `classifier_score`, `asked_class`.

    A mode is a combination of the parts of a label, seen when the judge takes at least one sample for
    it. `asked_class` is the share of samples that the judge takes for what the generator was asked for.
    """

    def score(evidence: Evidence) -> dict[str, float]:
        probabilities, real = evidence.fake.probabilities, evidence.real.labels
        if real is None:
            return {}
        count = probabilities.shape[2]
        seen = probabilities.argmax(2)
        numbers = mode_numbers(seen, count)
        parts = probabilities.transpose(1, 0, 2)
        scores = {
            "modes": float(len(np.unique(numbers))),
            "reverse_kl": reverse_kl(numbers, expected_shares(real, count)),
            "classifier_score": float(np.mean([classifier_score(part) for part in parts])),
        }
        asked = evidence.fake.labels
        if asked is not None:
            scores["asked_class"] = float((seen == asked).all(1).mean())
        return scores

    return score


def inception_score(config: None = None) -> Callable[[Evidence], dict[str, float]]:
    """Factory of `inception-score`, for the extractor whose distance is FID."""

    def score(evidence: Evidence) -> dict[str, float]:
        return {"inception_score": classifier_score(evidence.fake.guesses)}

    return score


def accuracy_of_classifier(config: None = None) -> Callable[[Evidence], dict[str, float]]:
    """Factory of `cas`: a classifier learns from generated samples and is examined on real ones.

    The classification accuracy score of Ravuri and Vinyals 2019, with the judge's network.
    """

    def score(evidence: Evidence) -> dict[str, float]:
        asked = evidence.fake.labels
        return {} if asked is None else {"cas": evidence.examine(evidence.fake.values, asked)}

    return score
