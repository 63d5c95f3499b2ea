"""Networks exported as one graph: encoder -> generator -> score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ganzoo
from ganzoo.cli.generate import command
from ganzoo.config.resolve import resolve
from ganzoo.errors import PluginError
from ganzoo.registry.registry import load_registry
from ganzoo.runs.load import load_trained
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare
from tests.helpers.games import PLUGIN

Install = Callable[..., Path]
SMALL = {"train.device": "cpu", "train.images": 160, "train.batch_size": 8}


def test_an_anomaly_score_is_one_graph(install: Install, tmp_path: Path) -> None:
    install("games-dist", "games", PLUGIN)
    registry = load_registry()
    run, _ = start(resolve("test-f-anogan", registry, overrides=SMALL), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert {path.name for path in bundle.files} >= {"generator.onnx", "anomaly.onnx"}
    assert "encoder.onnx" not in {path.name for path in bundle.files}
    assert bundle.parity["anomaly"].max_abs < 1e-4

    loaded = ganzoo.load(bundle, generator="anomaly", provider="cpu")
    assert [field.name for field in loaded.inputs] == ["image"]
    assert [(field.name, field.shape, field.source) for field in loaded.outputs] == [
        ("anomaly", (), "data"), ("z", (2,), "data"),
    ]  # fmt: skip
    image = np.random.default_rng(0).uniform(-1, 1, (3, 1, 8, 8)).astype(np.float32)
    found = loaded.generate_all(3, image=image)

    networks = load_trained(run, registry, "newest", print).networks
    nets = {**networks.generators, **networks.discriminators}
    encoder, generator, judge = (
        nets[name].module.eval() for name in ("encoder", "generator", "discriminator")
    )
    with torch.no_grad():
        real = torch.from_numpy(image)
        z = encoder(real)
        again = generator(z)
        features, features_again = judge(real)[1], judge(again)[1]
        score = (real - again).square().flatten(1).mean(1) + (features - features_again).square().mean(1)
    np.testing.assert_allclose(found["anomaly"], score.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["z"], z.numpy(), rtol=1e-4, atol=1e-5)


def test_the_score_of_an_image_file(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("games-dist", "games", PLUGIN)
    plan = resolve("test-f-anogan", load_registry(), overrides=SMALL)
    run, _ = start(plan, tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle", uint8=True)
    Image.new("L", (8, 8), 128).save(tmp_path / "input.png")
    monkeypatch.chdir(tmp_path)
    words = [str(bundle.path), "--generator", "anomaly", "--input", "input.png"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "generated.npz") as made:
        assert made["anomaly"].shape == (1,)
        assert made["z"].shape == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('Step(net="encoder"),', 'Step(net="coder"),', "no network 'coder'"),
        ('writes={"score": "realness"}', 'writes={"score": "z"}', "writes 'z', which is there already"),
        ('writes={"score": "realness"}', 'writes={"realness": "score"}', "no field 'realness' to rename"),
        ('outputs=("anomaly", "z")', 'outputs=("anomaly", "image")', "outputs that its steps write"),
        ('Export(name="generator"', 'Export(name="anomaly"', "Two exports have one name"),
    ],
)
def test_an_export_that_cannot_work_is_refused_before_training(
    install: Install, old: str, new: str, message: str
) -> None:
    assert old in PLUGIN
    install("games-dist", "games", PLUGIN.replace(old, new, 1))
    with pytest.raises(PluginError, match=message):
        prepare(resolve("test-f-anogan", load_registry(), overrides=SMALL))
