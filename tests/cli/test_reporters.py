"""The progress line of `ganzoo train` on terminals of any width."""

from __future__ import annotations

import time

import pytest
from rich.console import Console

from ganzoo.cli.reporters import BarReporter

VALUES = {
    "loss_discriminator": -0.663,
    "loss_generator": 1.186,
    "condition": 0.998,
    "gradient-penalty": 0.00578,
    "likelihood": 12.5,
}


@pytest.mark.parametrize("width", [64, 80, 100, 160])
def test_share_and_time_left_are_seen_however_many_values_there_are(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    reporter = BarReporter()
    reporter.tick({"values": VALUES})
    reporter._mark = (time.perf_counter() - 10, 1_120_000)
    reporter.progress(1_154_400, 2_650_000, 0.4, 600.0)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(reporter._bar.get_renderable())
    (line,) = capture.get().splitlines()
    assert line.startswith(" 40% ")
    assert "1,154,400/2,650,000 samples" in line
    assert "15:00 left" in line
    assert "…" not in line
    assert ("gradient-penalty 0.00578" in line) == (width == 160)
    assert ("D -0.663" in line) == (width >= 80)
