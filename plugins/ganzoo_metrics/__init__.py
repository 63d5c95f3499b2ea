"""The metrics that come with ganzoo: distances, neighbours, classes, modes, marginals.

Records only; each factory is loaded when a metric is computed.
"""

from __future__ import annotations

from ganzoo.api import MetricSpec, hookimpl
from ganzoo_metrics.config import ModesConfig, NeighboursConfig

GANZOO_API_VERSION = 2

METRICS = [
    MetricSpec(
        name="frechet",
        summary="Frechet distance of features, both taken as Gaussian. The name depends on the extractor.",
        paper="Heusel et al. 2017, arXiv:1706.08500",
        factory="ganzoo_metrics.distances:frechet",
        better={"{distance}": "lower"},
        quick=True,
    ),
    MetricSpec(
        name="kid",
        summary="Kernel distance of features, unbiased: 0 on average for equal distributions.",
        paper="Binkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401",
        factory="ganzoo_metrics.distances:kid",
        better={"kid": "lower"},
    ),
    MetricSpec(
        name="prdc",
        summary="Precision, recall (k = 3), density and coverage (k = 5), from nearest neighbours.",
        paper="Kynkaanniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797",
        factory="ganzoo_metrics.neighbours:prdc",
        config=NeighboursConfig,
        better=dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
        quick=True,
    ),
    MetricSpec(
        name="memorisation",
        summary="Distance to the nearest training sample over that to the nearest held-out one.",
        paper="after Meehan et al. 2020, arXiv:2004.05675",
        factory="ganzoo_metrics.neighbours:memorisation",
        needs=("training",),
        better={"memorisation": "higher", "copied": "lower"},
        reference=False,  # real samples here would be training samples
    ),
    MetricSpec(
        name="classes",
        summary="What a classifier predicts: modes, reverse KL, classifier score, label accuracy.",
        paper="Lin et al. 2018, PacGAN, arXiv:1712.04086; Salimans et al. 2016, arXiv:1606.03498",
        factory="ganzoo_metrics.classes:classes",
        needs=("classifier",),
        better={
            "modes": "higher",
            "reverse_kl": "lower",
            "classifier_score": "higher",
            "label_accuracy": "higher",
        },
    ),
    MetricSpec(
        name="inception-score",
        summary="Inception Score: clear class predictions for each image, and many different classes.",
        paper="Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498",
        factory="ganzoo_metrics.classes:inception_score",
        needs=("fid",),
        better={"inception_score": "higher"},
    ),
    MetricSpec(
        name="cas",
        summary="Accuracy on real samples of a classifier that was trained on generated samples.",
        paper="Ravuri and Vinyals 2019, arXiv:1905.10887",
        factory="ganzoo_metrics.classes:accuracy_of_classifier",
        needs=("classifier", "conditioned"),
        better={"cas": "higher"},
        reference=False,
    ),
    MetricSpec(
        name="paired",
        summary="Generated images against the target images of their pairs: mean distance, PSNR, SSIM.",
        paper="Wang et al. 2004, Image quality assessment, IEEE TIP 13(4), for SSIM",
        factory="ganzoo_metrics.paired:paired",
        needs=("image", "targets"),
        better={"l1": "lower", "psnr": "higher", "ssim": "higher"},
        reference=False,  # real samples are the targets
        quick=True,
    ),
    MetricSpec(
        name="modes",
        summary="Share of points near a mode of a known mixture, and the number of modes found.",
        paper="Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1",
        factory="ganzoo_metrics.tabular:modes",
        config=ModesConfig,
        needs=("points", "labels"),
        better={"quality": "higher", "modes": "higher", "reverse_kl": "lower"},
        quick=True,
    ),
    MetricSpec(
        name="marginals",
        summary="Distances of each column (earth mover's, Kolmogorov-Smirnov), correlations of pairs.",
        factory="ganzoo_metrics.tabular:marginals",
        needs=("rows",),
        better=dict.fromkeys(("column_distance", "column_ks", "pair_correlation"), "lower"),
        quick=True,
    ),
]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`frechet`, `kid`, `prdc`, `memorisation`, `classes`,
    `inception-score`, `cas`, `paired`, `modes`, `marginals`.
    """
    return METRICS
