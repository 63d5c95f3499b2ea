"""`ganzoo cache`: what it shows and removes; and what commands say while they open data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganzoo.cli import cli
from ganzoo.util import progress
from ganzoo.util.cache import keep_cached


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANZOO_CACHE", str(folder))
    for number in range(30):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / "p" / f"{number}.png")
    return folder


def test_it_is_shown_and_removed(tmp_path: Path, cache: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    run("train", "dcgan", "--data", f"folder:{tmp_path / 'p'}", "--dry-run")
    kept = f"{'0f' * 32}.features"
    keep_cached("features", kept, b"12345")
    (cache / "mine").mkdir()
    others = [cache / "mine" / "thesis.txt", cache / "features" / "height.csv"]
    for path in others:
        path.write_text("not a part of the cache")
    rows = {row["kind"]: row for row in json.loads(run("cache", "--json"))["entries"]}
    assert rows.keys() == {"decoded", "headers", "features"}
    assert rows["decoded"]["name"].startswith("folder p: 30 files")
    assert rows["decoded"]["bytes"] > 30 * 64
    shown = run("cache")
    assert "folder p: 30 files" in shown
    assert "1 file" in shown
    os.utime(cache / "features" / kept, (0, 0))
    assert "removed 1 entries" in run("cache", "clear", "--unused", "7")
    assert "removed 1 entries" in run("cache", "clear", "decoded")
    assert "removed 1 entries" in run("cache", "clear")
    assert json.loads(run("cache", "--json"))["entries"] == []
    assert all(path.exists() for path in others)
    wrong = CliRunner().invoke(cli, ["cache", "clear", "decoded"])
    assert "it has: nothing" in str(wrong.exception)


@pytest.mark.usefixtures("cache")
def test_a_dry_run_counts_what_lasts_and_shows_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_FIRST", -1.0)  # every moment is one second later
    shutil.copy(tmp_path / "p" / "3.png", tmp_path / "p" / "copy.png")
    words = ["train", "dcgan", "--data", f"folder:{tmp_path / 'p'}", "--dry-run"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "31 of 31 image headers read" in result.stderr
    assert "31 of 31 items decoded" in result.stderr
    assert "8x8 (height x width) (kept)" in result.stdout
    assert "1 exact copy of others" in result.stdout
