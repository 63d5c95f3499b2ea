"""How well other detectors do on the garments, in both protocols of `benchmarks.anomalies`; prints a table.

    python -m benchmarks.anomalies_others                     # two CPU minutes
    python -m benchmarks.anomalies_others --features pixels   # seconds

Every second training image is what a detector knows, every second held-out one is scored. `5-NN`: mean
distance to the five nearest normal images. `Mahalanobis`: with the covariance of Ledoit and Wolf 2004 of the
normal images (Rippel et al. 2021); `of the nearest class`: of the means of the nine classes (Lee et al.
2018), for which the labels of normal images are needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from ganzoo_anomaly.metrics import area
from ganzoo_datasets.fashion import CLASSES, open_fashion_5k, open_held_out
from ganzoo_extractors.efficientnet import last_block, middle_block

Array = NDArray[Any]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", action="append", choices=["pixels", "lite0-mid", "lite0"])
    chosen = parser.parse_args().features or ["pixels", "lite0-mid", "lite0"]
    train, test = open_fashion_5k().arrays, open_held_out().arrays
    known, scored = (
        {name: array[start::2] for name, array in part.items()} for part, start in ((train, 0), (test, 1))
    )
    print("| features | detector | protocol | mean AUC | each class |\n|---|---|---|---|---|", flush=True)
    for name in chosen:
        given, asked = features(name, known["image"]), features(name, scored["image"])
        for protocol in ("only", "without"):
            found: dict[str, list[float]] = {}
            for label in range(len(CLASSES)):
                kept, normal = ((part["label"] == label) == (protocol == "only") for part in (known, scored))
                for detector, scores in detectors(given[kept], known["label"][kept], asked):
                    found.setdefault(detector, []).append(area(scores[normal], scores[~normal]))
            for detector, areas in found.items():
                each = " ".join(f"{value:.2f}" for value in areas)
                print(f"| {name} | {detector} | {protocol} | {np.mean(areas):.3f} | {each} |", flush=True)


def features(name: str, images: Array) -> Array:
    """Images (N, 1, 28, 28) -> (N, F)."""
    if name == "pixels":
        return images.reshape(len(images), -1) / 127.5 - 1
    extractor = middle_block() if name == "lite0-mid" else last_block()
    return np.asarray(extractor(np.ascontiguousarray(images.repeat(3, 1).transpose(0, 2, 3, 1))))


def detectors(given: Array, labels: Array, asked: Array) -> Iterator[tuple[str, Array]]:
    """Names and scores: of `asked` (M, F), for detectors that know `given` (N, F) and its `labels` (N,)."""
    nearest = NearestNeighbors(n_neighbors=5).fit(given).kneighbors(asked)[0]
    yield "5-NN", nearest.mean(1)
    yield "Mahalanobis", LedoitWolf().fit(given).mahalanobis(asked)
    means: Mapping[int, Array] = {label: given[labels == label].mean(0) for label in np.unique(labels)}
    if len(means) > 1:
        within = given - np.stack([means[label] for label in labels])
        precision = LedoitWolf(assume_centered=True).fit(within).precision_
        each = [((asked - mean) @ precision * (asked - mean)).sum(1) for mean in means.values()]
        yield "Mahalanobis of the nearest class", np.min(each, axis=0)


if __name__ == "__main__":
    main()
