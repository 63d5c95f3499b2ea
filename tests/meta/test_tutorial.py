"""The second half of the tutorial: what it changes in a new package works from data to scores."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from ganzoo.scaffold import Names, write_plugin

PAGE = Path(__file__).parents[2] / "docs" / "plugins" / "tutorial.md"
BLOCK = re.compile(r"`ganzoo_beats/(\w+)\.py`:\n\n```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def changed(source: str, block: str) -> str:
    """A module with the functions of a block in place of its own of these names."""
    for new in ast.parse(block).body:
        assert isinstance(new, ast.FunctionDef)
        lines = source.splitlines(keepends=True)
        (old,) = [
            node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef) and node.name == new.name
        ]
        first = min([old.lineno, *(item.lineno for item in old.decorator_list)]) - 1
        begin = min([new.lineno, *(item.lineno for item in new.decorator_list)]) - 1
        text = "".join(block.splitlines(keepends=True)[begin : new.end_lineno])
        indent = " " * old.col_offset
        shifted = "".join(indent + line if line.strip() else line for line in text.splitlines(keepends=True))
        source = "".join(lines[:first]) + shifted + "".join(lines[old.end_lineno :])
    return source


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package after all changes of the page, installed."""
    folder = tmp_path_factory.mktemp("beats")
    write_plugin(Names.of("beats"), ("series", "metric"), folder / "new", licence="MIT", author="x")
    package = (folder / "new" / "ganzoo_beats").rename(folder / "ganzoo_beats")
    blocks = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    assert set(blocks) == {"data", "media", "metrics", "__init__"}
    for name in ("data", "metrics"):
        (package / f"{name}.py").write_text(blocks[name], encoding="utf-8")
    file = package / "__init__.py"
    file.write_text(changed(file.read_text(encoding="utf-8"), blocks["__init__"]), encoding="utf-8")
    file = package / "media.py"
    lines, _, method = blocks["media"].partition("\n\n\n")
    source = file.read_text(encoding="utf-8")
    lines = textwrap.indent(lines, "    ")
    source, count = re.subn(r"^    noun, nouns = .*$", lines, source, flags=re.MULTILINE)
    assert count == 1
    file.write_text(changed(source, method), encoding="utf-8")
    info = folder / "ganzoo_beats-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ganzoo-beats\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganzoo]\nbeats = ganzoo_beats\n")
    return folder


def ganzoo(site: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "ganzoo", *words], env=environment, cwd=site, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_the_new_kind_goes_from_data_to_files_and_scores(site: Path) -> None:
    ganzoo(site, "train", "beats", "--images", "640", "--run-dir", "run")
    ganzoo(site, "export", "run", "-o", "bundle")
    assert "0.64 s of voltage (mV)" in ganzoo(site, "info", "beats", "--networks").stdout
    ganzoo(site, "generate", "bundle", "-n", "3", "-o", "beats.csv")
    with (site / "beats.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["series", "step", "voltage (mV)"]
    assert len(rows) == 3 * 80
    assert all(-1 <= float(row[2]) <= 2 for row in rows)
    found = json.loads(ganzoo(site, "evaluate", "run", "--metric", "beats", "--json").stdout)
    assert found["better"] == {"r_time": "lower", "r_height": "lower"}
    floor = found["reference"]["real"]
    assert 0 < floor["r_time"] < found["scores"]["r_time"]
    assert 0 < floor["r_height"] < found["scores"]["r_height"]


def test_its_own_files_are_read_or_refused(site: Path) -> None:
    np.save(site / "mine.npy", np.zeros((200, 80)))
    shown = ganzoo(site, "train", "beats", "--data", "beats:mine.npy", "--dry-run", "--images", "64").stdout
    assert "180 beats: series (80, 1)" in shown
    np.save(site / "long.npy", np.zeros((200, 90)))
    message = ganzoo(site, "train", "beats", "--data", "beats:long.npy", "--dry-run", code=3).stderr
    assert "(200, 90)" in message
