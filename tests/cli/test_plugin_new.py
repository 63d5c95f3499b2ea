"""`ganzoo plugin new` and `check`: what is written is built, installed, tested, trained and exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from ganzoo.scaffold import DATA_KINDS, KINDS, LICENSES, Names, package_files, records_of


def python(*arguments: object, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """This Python in a new process, with the plugin in sight when `site` is given."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GANZOO_")}
    environment |= {key: os.environ[key] for key in ("GANZOO_CACHE",) if key in os.environ}
    if site is not None:
        environment |= {"PYTHONPATH": str(site), "GANZOO_STRICT": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=300
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with every kind of record."""
    folder = tmp_path_factory.mktemp("new") / "mine"
    kinds = ",".join(KINDS)
    done = python("-m", "ganzoo", "plugin", "new", "wavy-net", "--kind", kinds, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert f"cd {folder}" in done.stdout
    assert "ganzoo train wavy-net" in done.stdout
    return folder


@pytest.fixture(scope="module")
def site(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which its wheel is installed."""
    folder = tmp_path_factory.mktemp("site")
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    build = python(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, written)
    assert build.returncode == 0, build.stderr
    (wheel,) = folder.glob("*.whl")
    names = ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "ganzoo_wavy_net/py.typed" in names
    install = python(*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel)
    assert install.returncode == 0, install.stderr
    return folder / "site"


def test_its_tests_are_green_as_written(written: Path, site: Path) -> None:
    tests = written / "tests"
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, site=site)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "failed" not in done.stdout


def test_it_trains_evaluates_and_exports(site: Path, tmp_path: Path) -> None:
    def ganzoo(*words: object) -> str:
        done = python("-m", "ganzoo", *words, site=site)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = json.loads(ganzoo("list", "--plugin", "wavy-net", "--json"))
    assert {item["kind"] for item in listed["items"]} == set(KINDS)
    named = {item["kind"]: item["name"] for item in listed["items"]}
    assert named.pop("term") == "wavy-net-penalty"  # `mlp+wavy-net` means the loss
    assert set(named.values()) == {"wavy-net"}
    ganzoo("train", "wavy-net", "--images", 1280, "--run-dir", tmp_path / "run")
    scores = json.loads(
        ganzoo("evaluate", tmp_path / "run", "--n", 100, "--metric", "wavy-net", "--no-reference", "--json")
    )["scores"]
    assert scores["wavy_net"] > 0
    ganzoo("export", tmp_path / "run", "-o", tmp_path / "bundle")
    # The bundle needs the plugin no more.
    drawn = python("-m", "ganzoo", "generate", tmp_path / "bundle", "-n", 4, "-o", tmp_path / "grid.png")
    assert drawn.returncode == 0, drawn.stderr


def test_the_check_command_tells_what_failed(site: Path, tmp_path: Path) -> None:
    done = python("-m", "ganzoo", "plugin", "check", "wavy-net", "--json", site=site)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["ok"]
    assert len(report["results"]) > 40
    assert {result["status"] for result in report["results"]} <= {"passed", "skipped"}

    spoiled = tmp_path / "site"
    subprocess.run(["cp", "-r", site, spoiled], check=True)
    losses = spoiled / "ganzoo_wavy_net" / "losses.py"
    losses.write_text(losses.read_text().replace("(fake - self.real)", "(fake - self.generated)"))
    done = python("-m", "ganzoo", "plugin", "check", "wavy-net", site=spoiled)
    assert done.returncode == 2
    assert "better-scores-cost-less" in done.stdout
    assert "1 failed" in done.stdout
    assert "not run because of that" in done.stdout


@pytest.mark.parametrize("licence", LICENSES)
@pytest.mark.parametrize("kind", [*KINDS, *DATA_KINDS])
def test_every_kind_and_licence_can_be_had_alone(kind: str, licence: str) -> None:
    files = package_files(Names("mine"), {kind, "recipe"}, licence=licence, author="Ada")
    for path, text in files.items():
        assert path.startswith(".github") or "$" not in text, path
        if path.endswith(".py"):
            compile(text, path, "exec")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    # Without one pytest would take the settings of whatever project the folder lies in.
    assert tomllib.loads(files["pyproject.toml"])["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]
    assert project["entry-points"]["ganzoo"] == {"mine": "ganzoo_mine"}
    assert project.get("license") == (None if licence == "none" else licence)
    assert ("LICENSE" in files) == (licence != "none")
    if licence != "none":
        assert "Ada" in files["LICENSE"]


def test_a_kind_of_data_goes_with_other_records() -> None:
    assert records_of(["sound"]) == ["architecture", "dataset", "recipe", "media"]
    kinds = ["tokens", "loss", "term", "metric"]
    assert set(records_of(kinds)) == {*KINDS, "media"}
    files = package_files(Names("mine"), kinds, licence="MIT", author="Ada")
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    assert "temperature: float" in files["ganzoo_mine/config.py"]
    assert "class TermConfig" in files["ganzoo_mine/config.py"]
    assert "build_loss" in files["tests/test_plugin.py"]
    assert "build_media" in files["tests/test_plugin.py"]
    assert 'kind="mine"' in files["ganzoo_mine/data.py"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dcgan"], "The name 'dcgan' is taken"),
        (["wgan", "--kind", "loss"], "The name 'wgan' is taken"),
        (["datasets"], "the plugin ganzoo/datasets"),
        (["My_Gan"], "is not a valid name of a plugin"),
        (["3d"], "is not a valid name of a plugin"),
        (["mine", "--kind", "model"], "'model' is not a kind of record"),
        (["mine", "--kind", "model,augmentation"], "'model' is not a kind of record"),
        (["mine", "--kind", "augmentation"], "no template for the kind 'augmentation'"),
        (["mine", "--kind", "loss,extractor"], "docs/plugins/extractors.md"),
        (["mine", "--kind", ","], "not a kind of record"),
        (["mine", "--kind", "media"], "docs/plugins/media.md"),
        (["mine", "--kind", "sound,clips"], "written for one kind of data, not for sound and clips"),
        (["mine", "-o", "."], "exists already"),
    ],
)
def test_what_cannot_be_written_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ganzoo", "plugin", "new", *words],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_is_not_there_cannot_be_checked() -> None:
    done = python("-m", "ganzoo", "plugin", "check", "dcgam")
    assert done.returncode == 2
    assert "did you mean dcgan?" in done.stderr
