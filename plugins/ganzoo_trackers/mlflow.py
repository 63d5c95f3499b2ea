"""MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganzoo.api import SettingsError, TrackedRun, optional_package
from ganzoo_trackers.config import MlflowConfig

MOST = 100  # parameters in one call
LONGEST = 500  # characters of a parameter, in the oldest databases
STATUS = {"done": "FINISHED", "failed": "FAILED", "diverged": "FAILED"}  # else it can be continued: KILLED


class Mlflow:
    """A run of MLflow. Its steps are images, its parameters the settings, its artifacts the samples."""

    def __init__(self, config: MlflowConfig) -> None:
        use = "The tracker 'mlflow'"
        self._mlflow = optional_package("mlflow", "mlflow", use, raises=SettingsError)
        self._entities = optional_package("mlflow.entities", "mlflow", use, raises=SettingsError)
        self._config = config

    def start(self, run: TrackedRun) -> str:
        """Open the run in the experiment, which is made if there is none."""
        self._client = self._mlflow.MlflowClient(tracking_uri=self._config.uri or None)
        self._id = run.known_as or self._new(run)
        if run.known_as:
            self._client.update_run(self._id, status="RUNNING")
        return self._id

    def _new(self, run: TrackedRun) -> str:
        project = self._config.project
        found = self._client.get_experiment_by_name(project)
        experiment = (
            found.experiment_id
            if found
            else self._client.create_experiment(project, artifact_location=_beside(self._config.uri))
        )
        made: str = self._client.create_run(experiment, run_name=run.name).info.run_id
        parameters = [
            self._entities.Param(name, str(value)[:LONGEST]) for name, value in run.settings.items()
        ]
        for start in range(0, len(parameters), MOST):
            self._client.log_batch(made, params=parameters[start : start + MOST])
        return made

    def log(self, images: int, values: Mapping[str, float]) -> None:
        """Metrics at the step of so many images."""
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now, images) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def samples(self, images: int, files: Sequence[Path]) -> None:
        """The files as artifacts, under their own names, which begin with the number of images."""
        for file in files:
            self._client.log_artifact(self._id, str(file), "samples")

    def end(self, status: str) -> None:
        """Set the status of the run."""
        self._client.set_terminated(self._id, STATUS.get(status, "KILLED"))


def _beside(uri: str) -> str | None:
    """Where artifacts go for a database file: beside it. None for a server, which knows by itself."""
    kind, _, path = uri.partition(":///")
    return (Path(path).absolute().parent / "mlruns").as_uri() if kind == "sqlite" else None
