"""`ganzoo generate` signs pictures, `ganzoo inspect` reads the note."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganzoo.cli import cli
from ganzoo.errors import DataError

CGAN = Path(__file__).resolve().parents[2] / "exported" / "cgan"


def ganzoo(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


@pytest.mark.parametrize(
    "words",
    [["-o", "x.png"], ["-o", "x.jpg"], ["--walk", "4", "-o", "x.gif"], ["--walk", "4", "-o", "x.webp"]],
)
def test_generated_pictures_say_who_made_them(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ganzoo("generate", CGAN, "-n", 4, "--seed", 9, *words).exit_code == 0
    found = json.loads(ganzoo("inspect", words[-1], "--json").stdout)
    assert found == {
        "generator": "cgan",
        "made": "from noise",
        "seed": 9,
        "sha256": hashlib.sha256((CGAN / "generator.onnx").read_bytes()).hexdigest(),
        "synthetic": True,
    }
    assert "generator: cgan\n" in ganzoo("inspect", words[-1]).stdout


def test_other_files_have_no_note(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match="no note of a generator") as caught:
        ganzoo("inspect", tmp_path / "x.png")
    assert ".jpg" not in str(caught.value)  # another ending would not help


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".mp4"])
def test_files_of_earlier_versions_may_have_no_note(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"x{ending}").write_bytes(b"other")
    with pytest.raises(DataError, match=r"made it before version 0\.2\.0"):
        ganzoo("inspect", tmp_path / f"x{ending}")


def test_a_file_without_an_ending_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"other")
    with pytest.raises(DataError, match="A file without an ending carries no note") as caught:
        ganzoo("inspect", tmp_path / "x")
    assert ".png, .jpg" in str(caught.value)


def test_a_file_that_cannot_carry_a_note_is_no_proof_that_ganzoo_did_not_make_it(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(b"II*\x00")
    with pytest.raises(DataError, match=r"'\.tif' carries no note") as caught:
        ganzoo("inspect", tmp_path / "x.tif")
    assert ".png, .jpg" in str(caught.value)
