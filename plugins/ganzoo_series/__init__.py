"""Series: CSV files and arrays as data, plots and tables, RCGAN, QuantGAN, DoppelGANger, and scores."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, DatasetSpec, MediaSpec, MetricSpec, RecipeSpec, hookimpl
from ganzoo_series.config import (
    CsvSeriesConfig,
    DoppelgangerConfig,
    QuantganConfig,
    RcganConfig,
    SinesConfig,
    ToyChargingConfig,
    ToyReturnsConfig,
    TrainedScoreConfig,
)
from ganzoo_series.recipes import DOPPELGANGER, QUANTGAN, RCGAN, RECIPES

GANZOO_API_VERSION = 2

TIMEGAN = "Yoon, Jarrett and van der Schaar 2019, Time-series Generative Adversarial Networks"


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`series`."""
    return [
        MediaSpec(
            name="series",
            summary="Series: tables in the data's units (.csv), plots of lines and quantile bands (.png).",
            factory="ganzoo_series.media:SeriesMedia",
        )
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`series`, `sines`, `toy-returns`, `toy-charging`."""
    return [
        DatasetSpec(
            name="series",
            summary="windows of time series: a CSV file, a folder of them, or an .npy array (N, T, C)",
            factory="ganzoo_series.datasets:open_series",
            held_out="ganzoo_series.datasets:open_series_held_out",
            config=CsvSeriesConfig,
            argument="PATH",
            reads=(".csv", ".csv.gz"),
        ),
        DatasetSpec(
            name="sines",
            summary="sines of random frequency, amplitude and phase; nothing to download",
            paper=f"{RCGAN}, section 4.1",
            factory="ganzoo_series.datasets:open_sines",
            held_out="ganzoo_series.datasets:open_sines_held_out",
            config=SinesConfig,
        ),
        DatasetSpec(
            name="toy-returns",
            summary="log returns of a simulated index: heavy tails, clusters, leverage; nothing to download",
            factory="ganzoo_series.datasets:open_toy_returns",
            held_out="ganzoo_series.datasets:open_toy_returns_held_out",
            config=ToyReturnsConfig,
        ),
        DatasetSpec(
            name="toy-charging",
            summary="simulated charges of electric cars, of different lengths, with two attributes",
            factory="ganzoo_series.datasets:open_toy_charging",
            held_out="ganzoo_series.datasets:open_toy_charging_held_out",
            config=ToyChargingConfig,
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`rcgan`, `quantgan`, `doppelganger`."""
    return [
        ArchitectureSpec(
            name="rcgan",
            summary="An LSTM against an LSTM that scores every time step; any length.",
            paper=RCGAN,
            factory="ganzoo_series.rcgan:build",
            config=RcganConfig,
            needs=("series",),
        ),
        ArchitectureSpec(
            name="quantgan",
            summary="Temporal convolutions with a receptive field of 127 time steps; any length.",
            paper=QUANTGAN,
            factory="ganzoo_series.quantgan:build",
            config=QuantganConfig,
            needs=("series",),
        ),
        ArchitectureSpec(
            name="doppelganger",
            summary="Attributes, a range for each sample, an LSTM that ends series; two discriminators.",
            paper=DOPPELGANGER,
            factory="ganzoo_series.doppelganger:build",
            config=DoppelgangerConfig,
            needs=("series",),
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`correlations`, `distributions`, `discriminative-score`, `predictive-score`."""
    return [
        MetricSpec(
            name="correlations",
            summary="Distances of autocorrelations and leverage effects, error of correlations of columns.",
            paper=QUANTGAN,
            factory="ganzoo_series.metrics:correlations",
            needs=("series",),
            better=dict.fromkeys(
                (
                    "acf_distance",
                    "acf_abs_distance",
                    "acf_square_distance",
                    "leverage_distance",
                    "cross_correlation_error",
                ),
                "lower",
            ),
            quick=True,
        ),
        MetricSpec(
            name="distributions",
            summary="Earth mover's distances of values, summed returns and lengths; skewness, kurtosis.",
            paper=QUANTGAN,
            factory="ganzoo_series.metrics:distributions",
            needs=("series",),
            better=dict.fromkeys(
                ("emd_1", "emd_5", "emd_20", "skew_error", "kurtosis_error", "length_distance"), "lower"
            ),
            quick=True,
        ),
        MetricSpec(
            name="discriminative-score",
            summary="|accuracy - 0.5| of a small GRU that tells generated from real series.",
            paper=TIMEGAN,
            factory="ganzoo_series.trained_scores:discriminative",
            config=TrainedScoreConfig,
            needs=("series",),
            better={"discriminative_score": "lower"},
        ),
        MetricSpec(
            name="predictive-score",
            summary="Error on real series of a small GRU that learned to predict generated ones.",
            paper=TIMEGAN,
            factory="ganzoo_series.trained_scores:predictive",
            config=TrainedScoreConfig,
            needs=("series",),
            better={"predictive_score": "lower"},
        ),
    ]
