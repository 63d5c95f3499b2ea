"""Each tracker, read back by its own reader: a run that was paused and resumed, without any network.

MLflow and Trackio are tested where they are installed: MLflow is large, and Trackio wants another Pillow.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start

Tiny = Callable[..., Plan]
NAME = "values/loss_generator"


def tracked(tiny: Tiny, registry: Registry, folder: Path, **options: Any) -> Run:
    """A run of 20 cycles with 10 log lines, paused after 9 cycles and resumed."""
    settings = {"train.log_every": 16, "train.sample_every": 40, **options}
    reporter = NullReporter()
    run, _ = start(tiny("vanilla", **settings), folder / "run", reporter, pause_at=72)
    run, _ = resume(run, resolve(str(run.settings_file), registry), reporter)
    assert not [text for text in reporter.notes if "tracker" in text]
    return run


def losses(run: Run) -> dict[int, float]:
    """The generator's loss in log.jsonl, by images."""
    found = {line["images"]: line["values"]["loss_generator"] for line in run.log()}
    assert len(found) == 10
    return found


def samples(run: Run) -> dict[int, bytes]:
    """The previews of the run by images."""
    return {int(path.stem): path.read_bytes() for path in sorted((run.path / "samples").glob("0*.png"))}


def test_tensorboard(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tracked(tiny, registry, tmp_path, **{"track.name": "tensorboard"})
    events = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars(NAME)]
    assert found == [(images, pytest.approx(loss)) for images, loss in losses(run).items()]
    assert {event.step: event.encoded_image_string for event in events.Images("samples")} == samples(run)
    assert (events.Images("samples")[0].width, events.Images("samples")[0].height) > (28, 28)
    (settings,) = events.Tensors("settings")
    assert b"| train.batch_size | 8 |" in settings.tensor_proto.string_val[0]


def test_tensorboard_takes_sounds(tmp_path: Path) -> None:
    import wave

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from ganzoo.api import TrackedRun
    from ganzoo_trackers.config import TensorBoardConfig
    from ganzoo_trackers.tensorboard import TensorBoard

    file = tmp_path / "000000000008-voice.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 400))
    tracker = TensorBoard(TensorBoardConfig())
    tracker.start(TrackedRun(name="run", folder=tmp_path, settings={}))
    tracker.samples(8, [file, tmp_path / "000000000008-table.csv"])
    tracker.end("done")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (event,) = events.Audio("samples-voice")
    assert (event.sample_rate, event.length_frames) == (16_000, 400)
    assert event.encoded_audio_string == file.read_bytes()


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of an offline run. The file is a LevelDB log: blocks of 32 KiB with parts of records."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at < len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def test_wandb_offline(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    options = {"track.name": "wandb", "track.project": "faces", "track.mode": "offline"}
    run = tracked(tiny, registry, tmp_path, **options)
    files = sorted((run.path / "wandb").glob("offline-run-*/*.wandb"))
    assert len({file.name for file in files}) == 1  # one run, in the files of two processes
    assert len(files) == 2
    points: list[tuple[int, float]] = []
    pictures: dict[int, bytes] = {}
    config: dict[str, Any] = {}
    about: set[tuple[str, str]] = set()
    for file in files:
        for record in wandb_records(file):
            if record.HasField("history"):
                row = {
                    ".".join(item.nested_key) or item.key: json.loads(item.value_json)
                    for item in record.history.item
                }
                if NAME in row:
                    points.append((row["_step"], row[NAME]))
                if "samples.path" in row:
                    pictures[row["_step"]] = (file.parent / "files" / row["samples.path"]).read_bytes()
            if record.HasField("run"):
                about.add((record.run.project, record.run.display_name))
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    assert points == list(losses(run).items())
    assert pictures == samples(run)
    assert about == {("faces", "run")}
    assert config["train.batch_size"] == 8


@pytest.mark.filterwarnings("ignore")  # of MLflow's own imports
def test_mlflow(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run = tracked(tiny, registry, tmp_path, **{"track.name": "mlflow", "track.uri": uri})
    client = mlflow.MlflowClient(tracking_uri=uri)
    (found,) = client.search_runs([client.get_experiment_by_name("ganzoo").experiment_id])
    history = client.get_metric_history(found.info.run_id, NAME)
    assert [(point.step, point.value) for point in history] == list(losses(run).items())
    assert found.data.params["train.batch_size"] == "8"
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    artifacts = [Path(entry.path).name for entry in client.list_artifacts(found.info.run_id, "samples")]
    assert artifacts == [path.name for path in sorted((run.path / "samples").glob("0*"))]


@pytest.mark.filterwarnings("ignore")  # of Trackio's own imports
def test_trackio(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    if find_spec("trackio") is None:  # not imported yet: it reads its folder from the environment then
        pytest.skip("trackio is not installed")
    options = {"track.name": "trackio", "track.folder": str(tmp_path / "trackio")}
    run = tracked(tiny, registry, tmp_path, **options)
    from trackio.sqlite_storage import SQLiteStorage

    assert SQLiteStorage.get_runs("ganzoo") == ["run"]
    rows = SQLiteStorage.get_logs("ganzoo", "run")
    assert [(row["step"], row[NAME]) for row in rows if NAME in row] == list(losses(run).items())
    media = sorted((tmp_path / "trackio" / "media").rglob("*.png"))
    assert {int(path.parent.name): path.read_bytes() for path in media}.keys() == samples(run).keys()
