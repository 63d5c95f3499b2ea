"""`ganzoo export --html`: the page of a bundle, beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.cli import main
from ganzoo.config.plan import Plan
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start


def test_the_page_is_beside_the_bundle(
    tiny: Callable[..., Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter())
    bundle = tmp_path / "faces"
    for words in ([], ["--html"]):
        with pytest.raises(SystemExit, match="0"):
            main(["export", str(run.path), "-o", str(bundle), "--json", *words])
        said = json.loads(capsys.readouterr().out)
        page = tmp_path / "faces.html"
        assert page.exists() == bool(words)
        assert ("html" in said) == bool(words)
    assert Path(said["html"]) == page
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "https://" not in text.partition("<script")[0]
    assert not list(bundle.glob("*.html"))
