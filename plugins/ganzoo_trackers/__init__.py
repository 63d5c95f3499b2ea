"""Trackers: TensorBoard, Weights & Biases, MLflow, Trackio."""

from __future__ import annotations

from ganzoo.api import TrackerSpec, hookimpl
from ganzoo_trackers.config import MlflowConfig, TensorBoardConfig, TrackioConfig, WandbConfig

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_trackers() -> list[TrackerSpec]:
    """`tensorboard`, `wandb`, `mlflow` and `trackio`."""
    return [
        TrackerSpec(
            name="tensorboard",
            summary="TensorBoard: event files in the run directory; tensorboard --logdir runs shows them.",
            factory="ganzoo_trackers.tensorboard:TensorBoard",
            config=TensorBoardConfig,
        ),
        TrackerSpec(
            name="wandb",
            summary="Weights & Biases, online or offline.",
            factory="ganzoo_trackers.wandb:Wandb",
            config=WandbConfig,
            offline={"mode": "offline"},
        ),
        TrackerSpec(
            name="mlflow",
            summary="MLflow: a tracking server or a local database.",
            factory="ganzoo_trackers.mlflow:Mlflow",
            config=MlflowConfig,
            offline={"uri": "sqlite:///{folder}/mlflow.db"},
        ),
        TrackerSpec(
            name="trackio",
            summary="Trackio: a local database, or a Space of the Hugging Face hub.",
            factory="ganzoo_trackers.trackio:Trackio",
            config=TrackioConfig,
            offline={"folder": "{folder}/trackio"},
        ),
    ]
