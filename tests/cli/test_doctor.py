"""`ganzoo doctor` notices what else is installed under the name ganzoo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

OURS = "[console_scripts]\nganzoo = ganzoo.cli:main\n"
FOREIGN = ""
"""The package of 2018 on the index has no entry points."""


def plant(folder: Path, version: str, entry_points: str) -> Path:
    """A distribution called ganzoo, as far as its metadata go."""
    info = folder / f"ganzoo-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.0\nName: ganzoo\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    return folder


def doctor(*path: Path) -> tuple[int, Any]:
    """Exit code and report, with more folders on sys.path."""
    known = filter(None, [os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), *known])}
    done = subprocess.run(
        [sys.executable, "-m", "ganzoo", "doctor", "--json"],
        env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def test_one_ganzoo_is_no_problem() -> None:
    assert not [text for text in doctor()[1]["problems"] if "package" in text]


def test_the_foreign_package_of_the_index_is_a_problem(tmp_path: Path) -> None:
    code, report = doctor(plant(tmp_path / "site", "0.0.1", FOREIGN))
    assert code == 2
    (foreign,) = [text for text in report["problems"] if "is another project with the same name" in text]
    assert f"ganzoo 0.0.1 in {tmp_path / 'site'}" in foreign
    assert "pip uninstall -y ganzoo" in foreign


def test_a_second_installation_is_a_problem(tmp_path: Path) -> None:
    code, report = doctor(plant(tmp_path / "site", "0.1.0", OURS))
    assert code == 2
    (twice,) = [text for text in report["problems"] if "more than one package named ganzoo" in text]
    assert f"0.1.0 in {tmp_path / 'site'}" in twice
    assert not any("is another project with the same name" in text for text in report["problems"])


def test_a_folder_that_stands_twice_on_the_path_is_one_installation(tmp_path: Path) -> None:
    site = plant(tmp_path / "site", "0.1.0", OURS)
    (twice,) = [t for t in doctor(site, site)[1]["problems"] if "more than one package" in t]
    assert twice.count(str(site)) == 1


def test_damaged_metadata_are_a_problem_and_no_crash(tmp_path: Path) -> None:
    site = plant(tmp_path / "site", "0.3.0", OURS)
    (site / "ganzoo-0.3.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[")
    code, report = doctor(site)
    assert code == 2
    assert any("is another project with the same name" in text for text in report["problems"])
