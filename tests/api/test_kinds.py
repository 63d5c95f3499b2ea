"""The toys of tests/helpers/toys.py: each trains, resumes, exports, writes its files and passes the kit.

Those of the kinds of data are what `ganzoo plugin new --kind` writes, so its templates are the examples.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganzoo
from ganzoo.api import as_floats
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.batches import Picked
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.scaffold import DATA_KINDS
from ganzoo.testing.runner import fields_of, session_of
from ganzoo.training import session
from ganzoo.training.compute import cuda_graphs
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from tests.helpers.toys import FILES, OTHERS, PLUGINS, SMALL, arguments, write_site
from tests.training.test_speed_paths import StandInGraphs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the installed packages of all toys."""
    folder = tmp_path_factory.mktemp("kinds")
    write_site(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture(scope="module")
def kinds(site: Path) -> Registry:
    return load_registry()


@pytest.fixture(scope="module", params=DATA_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def toy(kind: str, kinds: Registry, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of the package's recipe and its bundle."""
    folder = tmp_path_factory.mktemp(kind)
    plan, run, bundle = trained(f"toy-{kind}", kinds, folder)
    (field,) = ganzoo.load(bundle, provider="cpu").outputs
    return SimpleNamespace(plan=plan, run=run, bundle=bundle.path, media=Kinds(kinds).of(field.kind))


@pytest.fixture(scope="module", params=OTHERS, ids=lambda toy: toy.name)
def other(request: pytest.FixtureRequest, kinds: Registry, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A toy that is no kind of data, its run and its bundle."""
    folder = tmp_path_factory.mktemp("other")
    plan, run, bundle = trained(request.param.recipe, kinds, folder)
    return SimpleNamespace(toy=request.param, folder=folder, plan=plan, run=run, bundle=bundle.path)


def trained(recipe: str, registry: Registry, folder: Path) -> tuple[Plan, Run, Any]:
    """The plan of a short run, the run and its bundle."""
    plan = resolve(recipe, registry, overrides=SMALL)
    run, _ = start(plan, folder / "run", NullReporter())
    return plan, run, ganzoo.export(run, folder / "bundle")


def resumed(plan: Plan, registry: Registry, path: Path) -> Run:
    """The run of the plan, paused once."""
    run, outcome = start(plan, path, NullReporter(), pause_at=24)
    assert outcome == "paused"
    run, outcome = resume(Run.open(run.path), resolve(str(run.settings_file), registry), NullReporter())
    assert outcome == "done"
    return run


def final(run: Run) -> bytes:
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


def python(site: Path, *arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def generate_without_torch(site: Path, *words: object) -> None:
    without = "import sys; sys.modules['torch'] = None; from ganzoo.cli import main; main()"
    python(site, "-c", without, "generate", *words)


def test_each_has_a_native_file() -> None:
    assert FILES.keys() == set(DATA_KINDS)


def test_it_resumes_exactly_and_leaves_previews(toy: Any, kind: str, kinds: Registry, tmp_path: Path) -> None:
    assert final(resumed(toy.plan, kinds, tmp_path / "parts")) == final(toy.run)
    suffix = ".png" if kind == "series" else FILES[kind]
    assert (toy.run.path / "samples" / f"000000000064{suffix}").is_file()
    assert (toy.bundle / f"samples{suffix}").is_file()


def test_it_is_sampled_into_its_native_file_without_torch(
    toy: Any, kind: str, site: Path, tmp_path: Path
) -> None:
    generator = ganzoo.load(toy.bundle, provider="cpu")
    (field,) = generator.outputs
    made = generator.generate(1, seed=7)
    file = tmp_path / f"made{FILES[kind]}"
    generate_without_torch(site, toy.bundle, "-n", 1, "--seed", 7, "-o", file)
    assert bool(generator.multiples) == (kind in ("series", "sound"))
    for axis, multiple in generator.multiples.items():
        longer = generator.generate(1, size={axis: 70 * multiple})
        assert longer.shape[field.axes.index(axis) + 1] == 70 * multiple
    if kind == "image":
        with Image.open(file) as image:
            assert image.width > 16
        return
    read = as_floats(field, toy.media.read(field, file, {}))
    if kind == "tokens":
        made = (made == made.max(-1, keepdims=True)).astype(np.float32)
    low, high = field.range or (0.0, 1.0)
    levels = {"clips": 255, "sound": 65_535}.get(kind, 100_000)
    np.testing.assert_allclose(read, made, atol=0.51 * (high - low) / levels + 1e-6)


def test_files_that_are_none_are_refused(toy: Any, kind: str, tmp_path: Path) -> None:
    (field,) = ganzoo.load(toy.bundle, provider="cpu").outputs
    for content in (b"", b"\xff\xfenot a file"):
        file = tmp_path / f"bad{FILES[kind]}"
        file.write_bytes(content)
        if toy.media.reads:
            with pytest.raises((ValueError, OSError)):
                toy.media.read(field, file, {})


def test_another_toy_resumes_exactly(other: Any, kinds: Registry, tmp_path: Path) -> None:
    assert final(resumed(other.plan, kinds, tmp_path / "parts")) == final(other.run)


def test_another_toy_is_sampled_into_its_native_file_without_torch(
    other: Any, site: Path, tmp_path: Path
) -> None:
    file, words = tmp_path / f"made{other.toy.suffix}", arguments(other.toy, tmp_path)
    generate_without_torch(site, other.bundle, *words, "-o", file)
    generator = ganzoo.load(other.bundle, generator=other.toy.generator, provider="cpu")
    assert generator.parity["batches"] == [1, 2, 7, 64]
    if file.suffix == ".npz":
        with np.load(file) as found, Image.open(tmp_path / "input-8.png") as image:
            given = np.asarray(image, np.float32)[None, None] / 127.5 - 1
            made = generator.generate_all(1, image=given)
            np.testing.assert_allclose(found["anomaly"], made["anomaly"], rtol=1e-4)
    elif other.toy.name == "super-resolver":
        assert len(generator.parity["sizes"]) == 3
        with Image.open(tmp_path / "input-13.png") as image, Image.open(file) as found:
            low = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
            (made,) = generator.images(1, low=low)
            assert made.shape == (52, 52, 3)
            assert np.abs(np.asarray(found, np.int16) - made).max() <= 1
    else:
        with Image.open(file) as found:
            assert len(np.unique(np.asarray(found).reshape(-1, 3), axis=0)) > 1


@pytest.mark.parametrize("name", PLUGINS)
def test_the_kit_has_nothing_against_it(name: str, kinds: Registry) -> None:
    """All checks but those of recipes, which train and export again; see the next test."""
    checks = session_of(name, kinds, [fields_of(source, kinds) for source in PLUGINS[name]])
    cases = [case for case in checks.cases if case.target.stage != "recipe"]
    found = {str(case): checks.result(case) for case in cases}
    assert len(found) > 15
    bad = {name: result.text for name, result in found.items() if result.status in ("failed", "blocked")}
    assert not bad


@pytest.mark.slow
def test_the_tests_of_the_package_pass(kind: str, site: Path) -> None:
    """The whole kit, and a short run that becomes a file."""
    python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", site / f"tests-{kind}")


def test_sound_of_another_length(kinds: Registry, site: Path, tmp_path: Path) -> None:
    _, _, bundle = trained("toy-sound", kinds, tmp_path)
    generator = ganzoo.load(bundle, provider="cpu")
    assert [sizes["time"] for sizes in generator.parity["sizes"]] == [960, 1088, 2048]
    file = tmp_path / "long.wav"
    python(site, "-m", "ganzoo", "generate", bundle.path, "-n", 1, "--length", 4096, "-o", file)
    (field,) = generator.outputs
    assert Kinds(kinds).of(field.kind).read(field, file, {}).shape == (1, 1, 4096)


def test_a_temperature_follows_its_schedule_in_repeated_cycles(
    kinds: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(name: str, temperature: Any) -> bytes:
        changes = {**SMALL, "train.images": 160, "architecture.temperature": temperature}
        plan = resolve("toy-tokens", kinds, overrides=changes)
        return final(start(plan, tmp_path / name, NullReporter())[0])

    scheduled, constant = "exponential 2 -> 0.5", 2.0
    eager = state("eager", scheduled)
    assert eager != state("constant", constant)
    told: list[str] = []

    def watched(cycle: Callable[..., None], picked: Sequence[Picked]) -> list[str]:
        cycle(picked)
        return []

    monkeypatch.setattr(cuda_graphs, "_watched", watched)
    monkeypatch.setattr(
        session,
        "repeater_for",
        lambda setup, run, reporter: StandInGraphs(setup.training.engine, told.append, setup.phases.parts()),
    )
    assert state("repeated", scheduled) == eager
    assert told == ["captured"]
