"""Peers on pictures: scores are those of `ganzoo evaluate`, rows replace rows, the table is in the page."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.quality import picture_loops, picture_peers
from ganzoo.api import Field
from ganzoo.config.resolve import resolve
from ganzoo.data.open_data import open_dataset
from ganzoo.evaluation import evaluate as evaluation
from ganzoo.evaluation.generators import EvaluatedGenerator
from ganzoo.registry.registry import load_registry


def row(who: str = "someone/gan", seed: int = 0, fed: float = 300.0) -> dict[str, object]:
    return {
        "set": "flags", "side": 64, "cpu_budget": 300.0, "seed": seed, "n": 1000, "who": who, "images": 1200,
        "weights": "EMA", "peer_commit": "abc", "changed": ["no VGG"],
        "scores": {"fed_lite2": fed, "fed": fed / 2, "coverage": 0.125, "kid": 3.0},
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "page.md"
    path.write_text("Before\n<!-- peers -->\nold\n<!-- end peers -->\nAfter\n", encoding="utf-8")
    monkeypatch.setattr(picture_peers, "PAGE", path)
    monkeypatch.setattr(picture_peers, "RESULTS", tmp_path / "rows.json")
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of another size, half transparent."""
    folder = tmp_path_factory.mktemp("pictures")
    values = np.random.default_rng(0).integers(0, 256, (12, 20, 30, 4), np.uint8)
    for number, value in enumerate(values):
        Image.fromarray(value).save(folder / f"{number}.png")
    return folder


def test_a_row_of_the_same_cell_is_replaced_and_the_best_is_first(page: Path) -> None:
    picture_peers.keep(row(fed=900.0))
    picture_peers.keep(row(fed=300.0))
    picture_peers.keep(row(seed=1, fed=500.0))
    rows = picture_peers.keep({**row("ganzoo auto", fed=200.0), "changed": []})
    assert len(rows) == len(json.loads(picture_peers.RESULTS.read_text())) == 3
    picture_peers.write_table(rows)
    text = page.read_text(encoding="utf-8")
    own = "| flags | 64 | 300 | ganzoo auto | 1 | 1,200 | EMA | 200 | 100 | 0.125 | 3.00 |"
    other = "| flags | 64 | 300 | someone/gan | 2 | 1,200 | EMA | 400 | 200 | 0.125 | 3.00 |"
    assert f"{own}\n{other}\n" in text
    assert "* someone/gan at abc: no VGG." in text
    assert text.startswith("Before\n<!-- peers -->\n| set")
    assert text.endswith("<!-- end peers -->\nAfter\n")


def test_a_page_without_marks_says_so(page: Path) -> None:
    page.write_text("Nothing\n", encoding="utf-8")
    with pytest.raises(click.ClickException, match="needs <!-- peers -->"):
        picture_peers.write_table([row()])


def test_pictures_are_those_that_ganzoo_reads(pictures: Path, tmp_path: Path) -> None:
    made = picture_peers.prepared(pictures, 16, tmp_path / "made")
    read = [np.array(Image.open(path)) for path in sorted(made.iterdir())]
    for folder in (pictures, made):
        plan = resolve(
            "dcgan", load_registry(), overrides={"data.source": f"folder:{folder}", "data.height": 16}
        )
        images = open_dataset(plan.dataset, plan.data.source, plan.kinds).arrays["image"]
        assert np.array_equal(np.stack(read).transpose(0, 3, 1, 2), images)


def test_scores_are_those_of_evaluate(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (12, 3, 32, 32)).astype(np.float32)
    axes = ("channel", "height", "width")
    field = Field(name="image", shape=(3, 32, 32), range=(-1.0, 1.0), kind="image", axes=axes)
    generator = EvaluatedGenerator(
        name="any", data=f"folder:{pictures}", data_options={"height": 32}, fingerprint="", about={},
        classes=((), ()), reads=(), field=field, make=lambda inputs: samples,
    )  # fmt: skip
    monkeypatch.setattr(evaluation, "_evaluated", lambda *args: generator)
    request = evaluation.Request(source=pictures, n=12, references=False)
    expected = evaluation.evaluate(request, load_registry()).scores
    assert "coverage" in expected
    assert picture_peers.scores_of(samples, pictures, "efficientnet-lite0") == pytest.approx(expected)


def test_a_peer_is_stopped_and_its_samples_are_kept(tmp_path: Path) -> None:
    peer = picture_loops.PEERS["dcgan"]
    clock = picture_loops.Clock(peer, 0.0, 70, 64, tmp_path)

    def loop() -> None:
        netG = torch.nn.Sequential(torch.nn.ConvTranspose2d(100, 3, 64))  # noqa: N806, F841 - as the script has it
        for _ in clock.batches(iter([1, 2, 3]), 64):
            sum(range(10**5))

    with pytest.raises(SystemExit):
        loop()
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["images"] == 64
    with np.load(tmp_path / "samples.npz") as file:
        assert file["raw"].shape == (70, 3, 64, 64)
        assert abs(file["raw"]).max() <= 1


def test_a_checkout_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("use_cuda = args.cuda\n", encoding="utf-8")
    with pytest.raises(click.ClickException, match="check out the measured commit"):
        picture_loops.edit(tmp_path, picture_loops.PEERS["fastgan"].edits)
