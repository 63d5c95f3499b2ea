"""How `ganzoo evaluate` ends with what it cannot use: input, plugins, networks that are the user's."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganzoo import runtime
from tests.helpers.evaluating import few_images, ganzoo
from tests.plugins.test_extractors import Stand, saved

DCGAN = Path(__file__).parents[2] / "exported" / "dcgan"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few_images(tmp_path_factory.mktemp("data") / "few", train=60, test=60)


def ended(arguments: list[str | Path], code: int, *texts: str) -> None:
    said = ganzoo("evaluate", *arguments)
    assert said.code == code, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    for text in texts:
        assert text in said.err


# --- input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--metric", "frechett"], 2, "did you mean frechet"),
        (["--extractor", "inceptoin"], 2, "did you mean inception"),
        (["--metric", "modes"], 2, "'modes' needs points"),
        (["--metric", "fed"], 2, "it is a score of the metric 'frechet'"),
        (["--metric", "fed_mid"], 2, "--metric frechet"),
        (["--metric", "coverage"], 2, "it is a score of the metric 'prdc'"),
        (["--metric", "auk"], 2, "metrics for these samples: classes, frechet, "),
        (["--metric", "paired"], 2, "needs pairs, and a generator that makes one side from the other"),
        (["--metric", "enlarging"], 2, "metrics for these samples: classes, frechet, "),
        (["--metric", "enlarging", "--data", "npy:gone.npy"], 2, "'enlarging' needs"),
        (["--metric", "nope", "--data", "npy:gone.npy"], 2, "There is no metric 'nope'"),
        (["--metric", "jsd_2"], 2, "metrics for these samples: classes, "),
        (["--metric", "distributions"], 2, "metrics for these samples: classes, "),
        (["--data", "toy:ring"], 3, "--data with samples of the same shape"),
        (["--data", "npy:small.npy"], 3, "(1, 28, 28)"),
        (["--data", "npy:gone.npy"], 3, "gone.npy"),
        (["--data", "nothing:x"], 2, "There is no dataset 'nothing'"),
        (["--data", "npy:gray.npy", "--extractor", "classifier"], 2, "needs labels to train"),
        (["--data", "npy:gray.npy", "--metric", "classes"], 2, "None of the metrics applies"),
        (["--n", "9"], 2, "--n"),
        (["--n", "many"], 2, "--n"),
        (["--seed", "-1"], 2, "--seed"),
        (["--seed", str(2**64)], 2, "seed"),
        (["--raw"], 2, "one set of weights"),
        (["--checkpoint", "best"], 2, "no checkpoint can be chosen"),
        (["--checkpoint", "oldest"], 2, "not 'newest', 'best' or a number"),
        (["--generator", "other"], 2, "other"),
        (["--fid-weights", "gone.pt"], 2, "inception-2015-12-05.pt"),
        (["--fid-weights", "gone.pt", "--extractor", "classifier"], 2, "leave one of them out"),
        (["--extractor", "inception"], 2, "--fid-weights"),
        (["--n", "10", "--metric", "frechet", "--no-reference", "-o", "gray.npy"], 1, "gray.npy"),
    ],
)
def test_bad_options(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    for name, side in (("gray", 28), ("small", 8)):
        np.save(tmp_path / f"{name}.npy", np.zeros((20, side, side), np.uint8))
    before = sorted(tmp_path.iterdir())
    ended([DCGAN, *arguments], code, message)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_neither_a_run_nor_a_bundle(tmp_path: Path) -> None:
    ended(["nowhere"], 2, "There is no such run or bundle", "ganzoo runs")
    (tmp_path / "empty").mkdir()
    ended(["empty"], 2, "empty")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    ended(["broken.onnx"], 2, "broken.onnx")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    ended(["run"], 2, "run")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_bundle(tmp_path: Path, damage: str) -> None:
    shutil.copytree(DCGAN, tmp_path / "bundle")
    file = tmp_path / "bundle" / "generator.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage == "flipped" else content[:-100])
    ended(["bundle", "--n", "20"], 2, "generator.onnx")


def test_samples_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    run = runtime.Generator.run

    def spoiled(*arguments: object, **options: object) -> object:
        samples = run(*arguments, **options)  # type: ignore[arg-type]
        samples["image"][7, 0, 3, 3] = np.nan
        return samples

    monkeypatch.setattr(runtime.Generator, "run", spoiled)
    ended([DCGAN, "--n", "20"], 4, "not finite")


# --- plugins ----------------------------------------------------------------------------------------

METRIC = """
    from ganzoo.api import ExtractorSpec, MetricSpec, hookimpl

    def build(config):
        return lambda evidence: {result}

    class Odd:
        identity, protocol = "odd {features}", "none"

        def __call__(self, pixels):
            import numpy as np
            return {features}

    def extract(config):
        return Odd()

    @hookimpl
    def ganzoo_metrics():
        return [MetricSpec(name="odd", summary="x", factory=f"{{__name__}}:build", better={{"odd": "lower"}})]

    @hookimpl
    def ganzoo_extractors():
        return [ExtractorSpec(name="eye", summary="x", factory=f"{{__name__}}:extract", distance="eye")]
"""


def plugin(
    install: Callable[..., Path], result: str = "{'odd': 1}", features: str = "pixels[:, 0, :, 0]"
) -> None:
    install("odd-dist", "odd", METRIC.format(result=result, features=features))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("evidence.fake.nothing", "AttributeError"),
        ("exit(0)", "SystemExit"),
        ("[1.0]", "returned list"),
        ("None", "returned NoneType"),
        ("{'odd': float('nan')}", "no finite number as 'odd': nan"),
        ("{'odd': float('-inf')}", "no finite number as 'odd': -inf"),
        ("{'odd': 'much'}", "no finite number as 'odd': 'much'"),
        ("{'odd': [1, 2]}", "no finite number as 'odd'"),
    ],
)
def test_a_broken_metric_is_named(install: Callable[..., Path], data: str, result: str, message: str) -> None:
    plugin(install, result)
    ended([DCGAN, "--data", data, "--n", "20", "--metric", "odd"], 2, "The metric 'odd'", "odd-dist", message)


ODD = ["--n", "20", "--no-reference", "--metric", "frechet", "--metric", "odd"]


def test_no_metric_replaces_another_one_s_score(install: Callable[..., Path], data: str) -> None:
    plugin(install, "{'fed': 1.0}")
    message = "The metrics 'frechet' and 'odd' both return a score 'fed'"
    ended([DCGAN, "--data", data, *ODD], 2, message, "odd-dist/odd", "--metric")
    only = ["--data", data, *ODD[:-4], "--metric", "ganzoo/frechet", "--json"]
    assert ganzoo("evaluate", DCGAN, *only).code == 0


def test_no_metric_gives_a_score_called_n(install: Callable[..., Path], data: str) -> None:
    plugin(install, "{'n': 1.0}")
    ended([DCGAN, "--data", data, *ODD], 2, "'odd' returns a score 'n'", "odd-dist")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("pixels", "returned features of shape"),
        ("pixels[:3, 0, :, 0]", "return (20, d)"),
        ("np.full((len(pixels), 4), np.nan)", "not finite"),
        ("['text']", "ValueError"),
    ],
)
def test_a_broken_extractor_is_named(
    install: Callable[..., Path], data: str, features: str, message: str
) -> None:
    plugin(install, features=features)
    arguments = ["--data", data, "--n", "20", "--extractor", "eye", "--metric", "frechet"]
    ended([DCGAN, *arguments], 2, "The extractor 'eye'", "odd-dist", message)


def test_a_metric_and_an_extractor_of_somebody_else(install: Callable[..., Path], data: str) -> None:
    plugin(install, "{'odd': evidence.fake.features.shape[1], evidence.distance: len(evidence.real.values)}")
    arguments = ["--data", data, "--n", "20", "--extractor", "eye", "--metric", "odd", "--json"]
    document = ganzoo("evaluate", DCGAN, *arguments).document
    assert document["scores"] == {"odd": 28, "eye": 20}
    assert document["better"] == {"odd": "lower"}
    assert document["protocol"]["extractor"].startswith("odd")


# --- the Inception network, a file of the user's ----------------------------------------------------


def test_fid_is_what_the_inception_network_says(data: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    file = saved(Stand(), tmp_path)
    quick = ["--data", data, "--n", "20", "--no-reference", "--json"]
    only = ["--metric", "frechet", "--metric", "inception-score"]
    document = ganzoo("evaluate", DCGAN, *quick, *only, "--fid-weights", file).document
    assert document["scores"].keys() == {"fid", "inception_score"}
    assert 1 <= document["scores"]["inception_score"] <= 20
    protocol = document["protocol"]
    assert protocol["extractor"].startswith("Inception")
    assert protocol["extractor"].endswith(f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}")
    assert protocol["scale"] == "as they are"
    assert "299x299" in protocol["preprocessing"]
    # Without that network nothing has its names.
    assert ganzoo("evaluate", DCGAN, *quick, *only[:2]).document["scores"].keys() == {"fed"}
    ended([DCGAN, *quick[:-1], *only[2:]], 2, "None of the metrics applies")
