"""Checks of extractors and classifiers, on made-up samples."""

from __future__ import annotations

import math

import numpy as np

from ganzoo.testing.check import NotApplicable, check, demand
from ganzoo.testing.data_targets import ExtractorTarget

COUNT = 5


@check("extractor")
def features_are_vectors(target: ExtractorTarget) -> None:
    """For samples of any size that it takes, it returns finite features (n, d)."""
    extractor = target.extractor
    for name in ("identity", "protocol"):
        text = getattr(extractor, name, "")
        demand(isinstance(text, str) and bool(text), f"It has no `{name}`.", "say it in a line of text")
    for samples in target.samples(COUNT):
        features = np.asarray(extractor(samples))
        demand(
            features.ndim == 2 and len(features) == COUNT and features.dtype == np.float32,
            f"For {COUNT} samples of shape {samples.shape[1:]} it returns {features.dtype} {features.shape}.",
            f"return float32 ({COUNT}, d)",
        )
        finite = bool(np.isfinite(features).all())
        demand(finite, f"Features of samples of shape {samples.shape[1:]} are not finite.")


@check("extractor", "features-are-vectors")
def features_need_no_batch(target: ExtractorTarget) -> None:
    """A sample has the same features alone and in a batch."""
    for samples in target.samples(COUNT):
        together = target.extractor(samples.copy())
        alone = np.concatenate([target.extractor(samples[at : at + 1].copy()) for at in range(COUNT)])
        limit = 1e-3 * max(float(np.abs(together).max()), 1e-6)
        demand(
            bool((np.abs(together - alone) <= limit).all()),
            "The features of a sample depend on the other samples of the batch.",
            "use the network in eval mode, and no statistics of a batch",
        )


@check("extractor", "features-are-vectors")
def same_samples_same_features(target: ExtractorTarget) -> None:
    """The same samples have the same features again, also from a new extractor of the same identity."""
    others = [target.extractor] if target.item.spec.trained else [target.extractor, target.built()]
    for samples in target.samples(COUNT):
        known = target.extractor(samples.copy())
        for other in others:
            same = other.identity != target.extractor.identity or np.array_equal(other(samples.copy()), known)
            demand(
                same,
                "The same samples have other features each time: scores cannot be repeated.",
                "use no random numbers, or put what differs into `identity`",
            )


@check("extractor", "features-are-vectors")
def leaves_pixels_alone(target: ExtractorTarget) -> None:
    """It does not change the samples that it gets."""
    for samples in target.samples(COUNT):
        given = samples.copy()
        target.extractor(given)
        demand(np.array_equal(given, samples), "It changes the samples that it gets.", "work on a copy")


@check("extractor", "features-are-vectors")
def probabilities_sum_to_one(target: ExtractorTarget) -> None:
    """A classifier's probabilities (n, labels, classes) are numbers in 0..1 whose sum is 1."""
    classifier = target.extractor
    if not hasattr(classifier, "probabilities"):
        raise NotApplicable("it is no classifier")
    for samples in target.samples(COUNT):
        found = np.asarray(classifier.probabilities(samples))
        fine = found.ndim == 3 and len(found) == COUNT and bool((found >= 0).all())
        demand(
            fine and bool(np.allclose(found.sum(2), 1, atol=1e-3)),
            f"The probabilities of {COUNT} samples have the shape {found.shape}, and no sum of 1.",
            "return (n, labels, classes) after a softmax",
        )
    accuracy = getattr(classifier, "accuracy", math.nan) if target.item.spec.trained else 1.0
    demand(0 <= accuracy <= 1, f"Its accuracy is {accuracy}.", "measure it on `test_pixels`")
