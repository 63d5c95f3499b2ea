"""The harness in benchmarks/ as anyone can run it: ganzoo's recipes beside the plain loop, without peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )


def test_offline_comparison_writes_page_and_figures(tmp_path: Path) -> None:
    run(
        "benchmarks/speed/run.py", "--recipe", "vanilla-scalar", "--rounds", "2",
        "--seconds-per-round", "0.3", "--out", str(tmp_path),
    )  # fmt: skip
    case = json.loads((tmp_path / "results.json").read_text())["vanilla-scalar"]
    assert [row["name"] for row in case["rows"]] == ["plain", "ganzoo-fp32", "ganzoo-bf16"]
    assert all(len(row["rounds"]) == 2 and not row["failure"] for row in case["rows"])
    assert case["floors"]["fp32"] > 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| ganzoo fp32 |" in page
    assert case["commit"][:7] in page


def test_peers_that_are_not_given_are_rows_that_say_so(tmp_path: Path) -> None:
    run("benchmarks/speed/run.py", "--case", "dcgan-64", "--rounds", "1", "--out", str(tmp_path))
    assert "not run: no files of pytorch/examples given" in (tmp_path / "RESULTS.md").read_text()


def test_routing_is_compared_with_a_step_by_hand() -> None:
    said = run("-m", "benchmarks.speed.routing", "vanilla-scalar", "--rounds", "3").stdout
    assert said.startswith("vanilla-scalar fp32")
    assert 0.5 < float(said.rpartition("x ")[2]) < 2
