"""Options of the trackers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TensorBoardConfig:
    """`folder`: where the event files are, in the run directory."""

    folder: str = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class WandbConfig:
    """`project` of the runs; empty `entity` is the user's own. `offline` keeps all in the run directory for
    `wandb sync`; empty `mode` is what the environment variable WANDB_MODE says, else online.
    """

    project: str = "ganzoo"
    entity: str = ""
    mode: Literal["", "online", "offline"] = ""


@dataclass(frozen=True, kw_only=True)
class MlflowConfig:
    """`project`: the experiment. `uri`: a tracking server or a database such as sqlite:////data/mlflow.db;
    empty is what MLFLOW_TRACKING_URI says, else MLflow's own default, mlflow.db in the working directory.
    """

    project: str = "ganzoo"
    uri: str = ""


@dataclass(frozen=True, kw_only=True)
class TrackioConfig:
    """`project` of the runs. `folder` of its databases; empty is what TRACKIO_DIR says, else Trackio's own
    default. `space`: a Space of the hub (user/name) that gets everything in their place.
    """

    project: str = "ganzoo"
    folder: str = ""
    space: str = ""
