"""What is kept in the cache comes back whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganzoo.api import cache_folder, keep_cached, read_cached

CONTENT = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))


def test_what_is_kept_comes_back() -> None:
    assert read_cached("things", "one.thing") is None
    for content in (CONTENT, b""):
        keep_cached("things", "one.thing", content)
        assert read_cached("things", "one.thing") == content
    assert [file.name for file in (cache_folder() / "things").iterdir()] == ["one.thing"]


@pytest.mark.parametrize("damage", [b"", CONTENT, b"short", bytes(2000)])
def test_what_is_not_whole_does_not(damage: bytes) -> None:
    keep_cached("things", "one.thing", CONTENT)
    file = cache_folder() / "things" / "one.thing"
    whole = file.read_bytes()
    for content in (damage, whole[:-1], whole + b"\0", whole[:100] + b"?" + whole[101:]):
        file.write_bytes(content)
        assert read_cached("things", "one.thing") is None
    (file.parent / "another.thing").write_bytes(whole)  # whole, and something else than its name says
    assert read_cached("things", "another.thing") is None


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache_folder() / "things" / "one.thing").mkdir(parents=True)
    keep_cached("things", "one.thing", CONTENT)
    assert read_cached("things", "one.thing") is None
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file"))
    keep_cached("things", "one.thing", CONTENT)
    assert read_cached("things", "one.thing") is None
