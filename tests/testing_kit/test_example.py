"""The example plugin as its user meets it: a wheel of its own, installed beside ganzoo, used and removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "ganzoo-example"
DIST = "ganzoo-example"
SMALL = [
    *("--set", "architecture.generator_width=4"),
    *("--set", "architecture.discriminator_width=4"),
    *("--set", "train.samples=9"),
]


class Example(NamedTuple):
    """The wheel, the folder that it is installed in, and one run trained with it."""

    wheel: Path
    site: Path
    run: Path
    done: dict[str, Any]


def python(*arguments: object, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    """This Python in a new process, with the plugin in sight when `site` is given."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GANZOO_")}
    environment |= {key: os.environ[key] for key in ("GANZOO_CACHE",) if key in os.environ}
    environment["GANZOO_STRICT"] = "1"
    if site is not None:
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=300
    )


def answer(*arguments: object, site: Path) -> dict[str, Any]:
    """The last line of what `ganzoo ... --json` prints."""
    result = python("-m", "ganzoo", *arguments, "--json", site=site)
    assert result.returncode == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return value


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Build the wheel from a copy, install it into an empty folder, train the recipe for 640 images."""
    folder = tmp_path_factory.mktemp("example")
    source = folder / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*", "dist", "build"))
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    build = python(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, source)
    assert build.returncode == 0, build.stderr
    (wheel,) = folder.glob("*.whl")
    install = python(*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel)
    assert install.returncode == 0, install.stderr
    site, run = folder / "site", folder / "run"
    done = answer("train", "example", "--images", 640, "--run-dir", run, *SMALL, site=site)
    return Example(wheel, site, run, done)


def test_wheel_holds_one_package(example: Example) -> None:
    names = ZipFile(example.wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"ganzoo_example", "ganzoo_example-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_list_shows_where_things_come_from(example: Example) -> None:
    found = answer("list", site=example.site)
    assert found["not_loaded"] == []
    mine = {(i["kind"], i["name"], i["qualified"]) for i in found["items"] if i["dist"] == DIST}
    assert mine == {
        ("architecture", "example", "ganzoo-example/example"),
        ("loss", "example", "ganzoo-example/example"),
        ("recipe", "example", "ganzoo-example/example"),
    }
    assert {i["dist"] for i in found["items"]} == {DIST, "ganzoo"}


def test_info_shows_the_recipe(example: Example) -> None:
    items = answer("info", "example", site=example.site)["items"]
    (recipe,) = [item for item in items if item["kind"] == "recipe"]
    assert recipe["settings"]["architecture.name"] == "ganzoo-example/example"
    assert recipe["origins"]["loss.real"] == "loss example"
    assert recipe["plugin"] == "example (ganzoo-example 0.1.0)"
    shown = python("-m", "ganzoo", "info", "example", site=example.site)
    assert shown.returncode == 0, shown.stderr
    assert "ganzoo train example" in shown.stdout


def test_train_records_the_plugin(example: Example) -> None:
    assert (example.done["event"], example.done["images"]) == ("done", 640)
    record = json.loads((example.run / "run.json").read_text(encoding="utf-8"))
    assert {"name": "example", "dist": DIST, "version": "0.1.0"} in record["plugins"]


def test_architecture_works_with_a_built_in_loss(example: Example) -> None:
    planned = answer("train", "example+wgan-gp", "--dry-run", site=example.site)
    assert planned["settings"]["architecture"]["name"] == "ganzoo-example/example"
    assert planned["settings"]["loss"]["name"] == "ganzoo/wgan-gp"
    assert "ganzoo/gradient-penalty" in planned["settings"]["terms"]
    assert planned["estimate"]["parameters"]["generators"] > 0


def test_export_and_generate(example: Example, tmp_path: Path) -> None:
    exported = answer("export", example.run, "-o", tmp_path / "bundle", site=example.site)
    assert exported["parity"]["max_abs"] < 1e-4
    # An ONNX file needs the plugin no more.
    image = tmp_path / "grid.png"
    drawn = python("-m", "ganzoo", "generate", exported["bundle"], "-n", 16, "-o", image)
    assert drawn.returncode == 0, drawn.stderr
    assert image.read_bytes().startswith(b"\x89PNG")


def test_without_the_plugin_the_message_names_it(example: Example, tmp_path: Path) -> None:
    if any(found.name == DIST for found in metadata.distributions()):
        pytest.skip(f"{DIST} is installed in this environment, so it cannot be missing")
    result = python("-m", "ganzoo", "export", example.run, "-o", tmp_path / "bundle")
    assert result.returncode == 2
    assert "install the plugins" in result.stderr
    assert "ganzoo-example 0.1.0" in result.stderr
    assert not (tmp_path / "bundle").exists()


def test_its_own_tests_pass(example: Example) -> None:
    folder = example.site.parent / "source" / "tests"
    result = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", folder, site=example.site)
    assert result.returncode == 0, result.stdout
