"""f-AnoGAN: its term, what it exports, its thresholds, and the AUC of its scores."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import nn

import ganzoo
from ganzoo import runtime
from ganzoo.api import PIXELS, DataInfo, Field
from ganzoo.cli.export import command as export_command
from ganzoo.cli.generate import command
from ganzoo.config.resolve import resolve
from ganzoo.errors import DataError, SettingsError, UsageError
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.registry.registry import load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo_anomaly.config import FanoganConfig, IziConfig
from ganzoo_anomaly.metrics import area, auc
from ganzoo_anomaly.nearest import Nearest
from ganzoo_anomaly.networks import Anomaly, anomaly_score, build
from ganzoo_anomaly.terms import izi
from ganzoo_datasets.fashion import open_held_out

TINY = {
    "train.device": "cpu", "train.precision": "fp32", "train.images": 64, "train.batch_size": 16,
    "architecture.generator_width": 4, "architecture.discriminator_width": 4, "architecture.latent": 4,
    "data.without": ["Bag"],
}  # fmt: skip
IMAGE = Field(name="image", shape=(1, 28, 28), kind="image", axes=PIXELS, range=(-1.0, 1.0))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ganzoo.train("f-anogan", settings=TINY, run_dir=tmp_path_factory.mktemp("anomaly") / "run")


@pytest.fixture(scope="module")
def bundle(run: Run) -> Path:
    return ganzoo.export(run, run.path.parent / "bundle").path


# --- the term -------------------------------------------------------------------------------------


class _View:
    """What `izi` reads of a view: linear networks whose gradients are known."""

    def __init__(self, images: torch.Tensor) -> None:
        torch.manual_seed(0)
        self.encoder, self.generator, self.critic = nn.Linear(6, 2), nn.Linear(2, 6), nn.Linear(6, 3)
        self.real = {"image": images}

    def generate(self, batch: dict[str, Any], name: str) -> dict[str, Any]:
        if name == "encoder":
            return {**batch, "z": self.encoder(batch["image"])}
        return {**batch, "image": self.generator(batch["z"])}

    def apply(self, name: str, batch: dict[str, Any]) -> dict[str, Any]:
        return {"features": self.critic(batch["image"])}


def test_izi_is_the_formula_and_only_the_encoder_learns_from_it() -> None:
    images = torch.randn(5, 6)
    view = _View(images)
    value = izi(IziConfig(weight=2.0, kappa=0.5))(view)
    again = view.generator(view.encoder(images))
    wanted = (images - again).square().mean()
    wanted = 2 * (wanted + 0.5 * (view.critic(images) - view.critic(again)).square().mean())
    torch.testing.assert_close(value, wanted)
    value.backward()
    torch.testing.assert_close(view.encoder.weight.grad, torch.autograd.grad(wanted, view.encoder.weight)[0])
    assert view.generator.weight.grad is None
    assert view.critic.weight.grad is None


def test_the_score_is_the_same_sum_for_each_image() -> None:
    x, y, f, g = (torch.randn(3, *shape) for shape in ((1, 4, 4), (1, 4, 4), (7,), (7,)))
    found = anomaly_score(x, y, f, g, 0.25)
    for at in range(3):
        wanted = ((x[at] - y[at]) ** 2).mean() + 0.25 * ((f[at] - g[at]) ** 2).mean()
        torch.testing.assert_close(found[at], wanted)


# --- the nearest normal image ---------------------------------------------------------------------


def test_distances_to_the_nearest_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    normal, others = (random.normal(size=(count, 20)).astype(np.float32) for count in (90, 7))
    nearest = Nearest(20)
    among = nearest.fit(torch.from_numpy(normal))
    tree = NearestNeighbors(n_neighbors=2).fit(normal)
    np.testing.assert_allclose(among, tree.kneighbors(normal)[0][:, 1] ** 2 / 20, rtol=1e-4)
    found = nearest(torch.from_numpy(others))
    np.testing.assert_allclose(found, tree.kneighbors(others)[0][:, 0] ** 2 / 20, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_normal_images_tell_what_is_unlike_them(count: int) -> None:
    torch.manual_seed(0)
    normal = 1 + 0.1 * torch.randn(count, 30)
    nearest = Nearest(30)
    among = nearest.fit(normal)
    assert among.isfinite().all()
    near, far = nearest(1 + 0.1 * torch.randn(20, 30)), nearest(torch.randn(20, 30))
    assert near.max() < far.min()
    if count == 1:
        torch.testing.assert_close(nearest(normal + 1), torch.ones(1))
        torch.testing.assert_close(nearest(normal), torch.zeros(1))


def test_of_many_normal_images_evenly_spaced_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganzoo_anomaly.nearest.BANK", 5)
    normal = torch.arange(9.0)[:, None]
    nearest = Nearest(1)
    torch.testing.assert_close(nearest.fit(normal), torch.tensor([4.0, 1, 4, 1, 4, 1, 4, 1, 4]))
    torch.testing.assert_close(nearest(normal), torch.tensor([0.0, 1, 0, 1, 0, 1, 0, 1, 0]))


def test_the_score_is_the_geometric_mean_and_thresholds_are_those_of_unseen_images() -> None:
    torch.manual_seed(0)
    data = DataInfo(fields=(IMAGE,), count=8)
    config = FanoganConfig(latent=3, generator_width=4, discriminator_width=4, nearest=0.5)
    networks = build(config, data)
    mixed = torch.randn(600, 2) @ torch.randn(2, 28 * 28)
    images, others = mixed.tanh().reshape(-1, 1, 28, 28).split(300)
    assert networks.calibrate is not None
    nets = {name: net.module for name, net in {**networks.generators, **networks.discriminators}.items()}
    with torch.no_grad():
        facts = networks.calibrate([{"image": part} for part in images.split(70)])["anomaly"]
        found = []
        for part in (images, others):
            again = nets["generator"](nets["encoder"](part))
            features = [nets["discriminator"](each)[1] for each in (part, again)]
            found.append(nets["anomaly"](part, again, *features)[0])
            if part is others:
                residual = anomaly_score(part, again, features[0], features[1], 1.0)
                nearest = nets["anomaly"].nearest(features[0])
                torch.testing.assert_close(found[1], (residual * nearest).sqrt())
    known, unseen = found
    assert known.max() < 0.5 * unseen.median()  # a kept image is near itself, whatever is off the axes
    assert 0 < (unseen > facts["threshold_95"]).float().mean() < 0.15


# --- thresholds -----------------------------------------------------------------------------------


def test_calibration_keeps_the_quantiles_of_normal_scores() -> None:
    torch.manual_seed(0)
    networks = build(FanoganConfig(latent=3, generator_width=4, discriminator_width=4, level=0.9),
                     DataInfo(fields=(IMAGE,), count=8))  # fmt: skip
    images = torch.rand(50, 1, 28, 28) * 2 - 1
    assert networks.calibrate is not None
    with torch.no_grad():
        facts = networks.calibrate([{"image": part} for part in images.split(20)])["anomaly"]
        nets = {**networks.generators, **networks.discriminators}
        again = nets["generator"].module(nets["encoder"].module(images))
        features = [nets["discriminator"].module(part)[1] for part in (images, again)]
        score, share, verdict, residual = nets["anomaly"].module(images, again, *features)
    assert facts["normal_samples"] == 50
    for level in (0.95, 0.99):
        assert facts[f"threshold_{100 * level:g}"] == pytest.approx(
            np.quantile(score.numpy(), level), rel=1e-6
        )
    assert verdict.mean() == pytest.approx(0.1)  # a tenth of the normal images is above the 90 % quantile
    ranks = np.argsort(np.argsort(score.numpy())) / 49
    np.testing.assert_allclose(share.numpy(), ranks, atol=2e-3)
    torch.testing.assert_close(residual, (images - again).abs())


def test_residuals_of_deep_images_are_in_their_units() -> None:
    deep = replace(IMAGE, original=(-1000.0, 3000.0), facts={"values": "int16", "window": [-160, 240]})
    networks = build(
        FanoganConfig(generator_width=4, discriminator_width=4), DataInfo(fields=(deep,), count=8)
    )
    fields = {field.name: field for field in networks.fields}
    assert fields["reconstruction"].original == (-1000, 3000)
    assert (fields["residual"].range, fields["residual"].original) == ((0, 2), (0, 4000))
    assert fields["residual"].facts == {"values": "uint16"}


@pytest.mark.parametrize(
    "wrong",
    [{"level": 1.0}, {"level": 0.0}, {"kappa": -1.0}, {"latent": 0}, {"kernel": 1}, {"nearest": 1.5}],
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="invalid value"):
        resolve("f-anogan", load_registry(), overrides={f"architecture.{key}": v for key, v in wrong.items()})


# --- a run, its bundle ----------------------------------------------------------------------------


def test_it_resumes_exactly(tmp_path: Path) -> None:
    plan = resolve("f-anogan", load_registry(), overrides=TINY)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=32)
    resume(parts, resolve(str(parts.settings_file), load_registry()), NullReporter())
    ours, others = (read_newest(run.checkpoints)[0] for run in (whole, parts))
    assert all(torch.equal(ours[name], others[name]) for name in ours)


def test_a_bundle_scores_images_as_torch_does(bundle: Path) -> None:
    detector = ganzoo.load(bundle, generator="anomaly")
    images = open_held_out().arrays["image"][:7].astype(np.float32) / 127.5 - 1
    found = detector.run({"image": images})
    assert set(found) == {"anomaly", "quantile", "is_anomaly", "reconstruction", "residual"}
    np.testing.assert_allclose(found["residual"], np.abs(images - found["reconstruction"]), atol=1e-6)
    facts = next(field for field in detector.outputs if field.name == "anomaly").facts
    assert facts["normal_samples"] == 2_250  # every second held-out image of the nine classes
    np.testing.assert_array_equal(found["is_anomaly"], found["anomaly"] > facts["threshold_95"])
    assert 0 < facts["threshold_95"] < facts["threshold_99"]


def test_the_share_of_normal_images_above_a_threshold_is_what_it_says(bundle: Path) -> None:
    held_out = open_held_out()
    normal = held_out.arrays["image"][held_out.arrays["label"] != 8].astype(np.float32) / 127.5 - 1
    verdicts = ganzoo.load(bundle, generator="anomaly").run({"image": normal[1::2]})["is_anomaly"]
    assert verdicts.mean() == pytest.approx(0.05, abs=0.015)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for at, image in enumerate(open_held_out().arrays["image"][:3]):
        Image.fromarray(image[0]).save(folder / f"{at}.png")
    return folder


def test_a_table_of_scores_without_torch(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    program = (
        "import sys; from ganzoo.cli import main; sys.argv[1:] = "
        f"['generate', {str(bundle)!r}, '--input', {str(pictures)!r}, '-o', {str(table)!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"name", "anomaly", "quantile", "is_anomaly"}
    assert all(float(row["anomaly"]) > 0 and row["is_anomaly"] in ("0", "1") for row in rows)


def test_a_sheet_shows_input_reconstruction_residual(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, [str(bundle), "--input", str(pictures), "-o", str(tmp_path / "sheet.png")]
    )
    assert result.exit_code == 0, result.output
    one = CliRunner().invoke(
        command, [str(bundle), "--input", str(pictures / "0.png"), "-o", str(tmp_path / "one.png")]
    )
    assert one.exit_code == 0, one.output
    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 2.5 * image.height  # three squares side by side


def test_scores_of_all_classes_are_evaluated(bundle: Path, run: Run) -> None:
    report = evaluate(Request(source=bundle, generator="anomaly"), load_registry())
    held_out = open_held_out()
    labels = held_out.arrays["label"]
    scores = ganzoo.load(bundle, generator="anomaly").run(
        {"image": held_out.arrays["image"].astype(np.float32) / 127.5 - 1}
    )["anomaly"]
    rows = np.concatenate([np.flatnonzero(labels != 8)[1::2], np.flatnonzero(labels == 8)])
    assert report.scores["auc"] == pytest.approx(roc_auc_score(labels[rows] == 8, scores[rows]), abs=1e-6)
    assert (report.protocol["normal"], report.protocol["abnormal"]) == (2_250, 500)
    assert "Bag" not in report.protocol["trained_on"]
    assert 0.02 < report.scores["false_alarms_95"] < 0.09
    assert set(report.scores) >= {"detected_95", "detected_99", "false_alarms_99"}


def test_without_abnormal_classes_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    run = ganzoo.train("f-anogan", settings={**TINY, "data.without": []}, run_dir=tmp_path / "run")
    bundle = ganzoo.export(run, tmp_path / "bundle")
    with pytest.raises(UsageError, match="trained on all classes") as caught:
        evaluate(Request(source=bundle.path, generator="anomaly"), load_registry())
    assert "data.without" in str(caught.value.fix)


def test_data_without_the_left_out_class_is_not_what_a_bundle_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle knows the folder's name only; the one here has other classes."""
    images = iter(open_held_out().arrays["image"][:, 0])
    for folder, classes in (("there", ("shoe", "bag")), ("here", ("shoe", "coat"))):
        for name in classes:
            (tmp_path / folder / "few things" / name).mkdir(parents=True)
            for at in range(30):
                Image.fromarray(next(images)).save(tmp_path / folder / "few things" / name / f"{at}.png")
    settings = {**TINY, "data.without": ["bag"]}
    data = f"folder:{tmp_path / 'there' / 'few things'}"
    run = ganzoo.train("f-anogan", data=data, settings=settings, run_dir=tmp_path / "run")
    with pytest.warns(UserWarning, match="calibrated with training samples"):
        made = ganzoo.export(run, tmp_path / "bundle")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="not the data that the bundle was trained on") as caught:
        evaluate(Request(source=made.path, generator="anomaly"), load_registry())
    assert "it has no class 'bag', its classes are: coat, shoe." in str(caught.value)
    command = f"ganzoo evaluate {made.path} --generator anomaly --data 'ganzoo/folder:/PATH/TO/few things'"
    assert (caught.value.fix or "").startswith(command)


def test_an_export_needs_the_data_of_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for at, image in enumerate(open_held_out().arrays["image"][:20]):
        Image.fromarray(image[0]).save(folder / f"{at}.png")
    settings = {key: value for key, value in TINY.items() if key != "data.without"}
    run = ganzoo.train("f-anogan", data=f"folder:{folder}", settings=settings, run_dir=tmp_path / "run")
    with pytest.warns(UserWarning, match="calibrated with training samples"):
        made = ganzoo.export(run, tmp_path / "bundle")
    facts = runtime.load(made.path, generator="anomaly").outputs[0].facts
    assert facts["normal_samples"] == 10
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="calibrates the networks with the run's data"):
        ganzoo.export(run, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_next_command_names_the_input(run: Run, tmp_path: Path) -> None:
    said = CliRunner().invoke(export_command, [str(run.path), "-o", str(tmp_path / "bundle")])
    assert said.exit_code == 0, said.output
    *_, first, second = said.stdout.splitlines()
    assert first == f"next: ganzoo generate {tmp_path / 'bundle'} --generator anomaly --input PATH -o FOLDER"
    assert second == f"or:   ganzoo generate {tmp_path / 'bundle'} -n 64 --seed 0 -o samples.png"
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "ganzoo generate . --generator anomaly --input PATH -o FOLDER" in card


def test_metadata_has_the_thresholds(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    assert "Bag" in json.dumps(record)
    assert "threshold_99" in (bundle / "anomaly.onnx").read_bytes().decode("latin-1")


# --- AUC ------------------------------------------------------------------------------------------


def test_auc_is_that_of_scikit_learn_and_of_mann_whitney() -> None:
    random = np.random.default_rng(0)
    normal, abnormal = random.normal(0, 1, 60).round(1), random.normal(0.8, 1.5, 40).round(1)
    truth = np.repeat([0, 1], (60, 40))
    found = area(normal, abnormal)
    assert found == pytest.approx(roc_auc_score(truth, np.concatenate([normal, abnormal])))
    wins = (abnormal[:, None] > normal).mean() + 0.5 * (abnormal[:, None] == normal).mean()
    assert found == pytest.approx(wins)
    assert area(normal, normal) == 0.5
    assert area(np.zeros(3), np.ones(5)) == 1


def test_the_metric_counts_what_is_above_each_threshold() -> None:
    comparison = SimpleNamespace(
        known=np.array([True, False]),
        fake=SimpleNamespace(values=np.array([0.1, 0.2, 0.6, 0.9]), labels=np.array([[0], [0], [0], [1]])),
        field=Field(name="anomaly", facts={"threshold_95": 0.5, "level": 0.95}),
    )
    found = auc(None)(comparison)
    assert found == {"auc": 1.0, "detected_95": 1.0, "false_alarms_95": pytest.approx(1 / 3)}


def test_anomaly_is_not_part_of_a_checkpoint() -> None:
    assert not Anomaly(FanoganConfig(nearest=0.5), 7).state_dict()
