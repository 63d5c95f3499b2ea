"""Networks that extract features of images: EfficientNet-Lite0, Inception, and a classifier of the data.

Only the distance of Inception features is called FID.
"""

from __future__ import annotations

from ganzoo.api import ExtractorSpec, hookimpl
from ganzoo_extractors.config import InceptionConfig

GANZOO_API_VERSION = 2

LITE0 = "Tan and Le 2019, EfficientNet, arXiv:1905.11946"


@hookimpl
def ganzoo_extractors() -> list[ExtractorSpec]:
    """`efficientnet-lite0`, `efficientnet-lite0-mid`, `efficientnet-lite2`, `inception`, `classifier`."""
    return [
        ExtractorSpec(
            name="efficientnet-lite0",
            summary="320 features of an ImageNet network, run by onnxruntime. The distance is FED, not FID.",
            paper=LITE0,
            factory="ganzoo_extractors.efficientnet:last_block",
            distance="fed",
            maps="ganzoo_extractors.lite0:maps",
        ),
        ExtractorSpec(
            name="efficientnet-lite0-mid",
            summary="112 features from the middle of that network, for texture. The distance is FED-mid.",
            paper=LITE0,
            factory="ganzoo_extractors.efficientnet:middle_block",
            distance="fed_mid",
        ),
        ExtractorSpec(
            name="efficientnet-lite2",
            summary="352 features of a larger network of that family, for GANs that were trained with Lite0. "
            "Its weights are a package of their own.",
            paper=LITE0,
            factory="ganzoo_extractors.efficientnet:last_block_of_lite2",
            distance="fed_lite2",
        ),
        ExtractorSpec(
            name="inception",
            summary="2048 features of FID's Inception network, from the TorchScript file of --fid-weights.",
            paper="Heusel et al. 2017, arXiv:1706.08500",
            factory="ganzoo_extractors.inception:build",
            config=InceptionConfig,
            distance="fid",
            scaled=False,
        ),
        ExtractorSpec(
            name="classifier",
            summary="A small classifier trained on the labelled data itself, and cached.",
            factory="ganzoo_extractors.classifier:train",
            distance="frechet_classifier",
            trained=True,
        ),
    ]
