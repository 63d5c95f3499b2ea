"""Kinds of data from `ganzoo plugin new --kind`: each package trains, resumes, exports, writes its files.

The packages are what the scaffold writes, so its templates are the examples of these kinds.
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
from ganzoo.fields import DataInfo
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.run import Run
from ganzoo.scaffold import DATA_KINDS, Names, package_files
from ganzoo.testing.runner import fields_of, session_of
from ganzoo.training import session
from ganzoo.training.compute import cuda_graphs
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from tests.training.test_speed_paths import StandInGraphs

FILES = {"clips": ".gif", "image": ".png", "series": ".csv", "sound": ".wav", "tokens": ".txt"}
SIDES = ("generator", "discriminator")
SMALL = {
    "train.device": "cpu", "train.precision": "fp32", "train.batch_size": 8, "train.images": 64,
    **{f"{side}.{name}": value for side in SIDES for name, value in
       {"optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 1.0, "warmup": 40}.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the installed packages, as pip leaves them; their tests are in `tests-KIND`."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in DATA_KINDS:
        names = Names(f"toy-{kind}")
        files = package_files(names, {kind}, licence="MIT", author="Ada")
        info = f"{names.package}-0.1.0.dist-info"
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {names.dist}\nVersion: 0.1.0\n"
        files[f"{info}/entry_points.txt"] = f"[ganzoo]\n{names.name} = {names.package}\n"
        for path, text in files.items():
            place = folder / path.replace("tests/", f"tests-{kind}/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
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
    plan = resolve(f"toy-{kind}", kinds, overrides=SMALL)
    run, _ = start(plan, folder / "run", NullReporter())
    bundle = ganzoo.export(run, folder / "bundle")
    (field,) = ganzoo.load(bundle, provider="cpu").outputs
    return SimpleNamespace(plan=plan, run=run, bundle=bundle.path, media=Kinds(kinds).of(field.kind))


def final(run: Run) -> bytes:
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


def python(site: Path, *arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_each_has_a_native_file() -> None:
    assert FILES.keys() == set(DATA_KINDS)


def test_it_resumes_exactly_and_leaves_previews(toy: Any, kind: str, kinds: Registry, tmp_path: Path) -> None:
    parts, outcome = start(toy.plan, tmp_path / "parts", NullReporter(), pause_at=24)
    assert outcome == "paused"
    again = resolve(str(parts.settings_file), kinds)
    parts, outcome = resume(Run.open(parts.path), again, NullReporter())
    assert outcome == "done"
    assert final(parts) == final(toy.run)
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
    without = "import sys; sys.modules['torch'] = None; from ganzoo.cli import main; main()"
    python(site, "-c", without, "generate", toy.bundle, "-n", 1, "--seed", 7, "-o", file)
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


def test_the_kit_has_nothing_against_it(kind: str, kinds: Registry) -> None:
    """All checks but those of the recipe, which train and export again; see the next test."""
    data: Sequence[DataInfo] = [fields_of(f"toy-{kind}", kinds)]
    checks = session_of(f"toy-{kind}", kinds, data)
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
    plan = resolve("toy-sound", kinds, overrides=SMALL)
    run, _ = start(plan, tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle")
    generator = ganzoo.load(bundle, provider="cpu")
    assert [sizes["time"] for sizes in generator.parity["sizes"]] == [960, 1088, 2048]
    file = tmp_path / "long.wav"
    python(site, "-m", "ganzoo", "generate", bundle.path, "-n", 1, "--length", 4096, "-o", file)
    (field,) = generator.outputs
    assert Kinds(kinds).of(field.kind).read(field, file, {}).shape == (1, 1, 4096)


def test_a_temperature_follows_its_schedule_in_repeated_cycles(
    kinds: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(name: str, temperature: Any) -> bytes:
        changes = {**SMALL, "train.images": 160, "architecture.temperature": temperature}
        plan: Plan = resolve("toy-tokens", kinds, overrides=changes)
        return final(start(plan, tmp_path / name, NullReporter())[0])

    scheduled, constant = "exponential 2 -> 0.5", 2.0
    eager, other = trained("eager", scheduled), trained("constant", constant)
    assert eager != other
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
    assert trained("repeated", scheduled) == eager
    assert told == ["captured"]
