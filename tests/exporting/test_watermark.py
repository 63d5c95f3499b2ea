"""`ganzoo export --watermark`: the graph adds the pattern, and says how well it is found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

import ganzoo
from ganzoo.api import PIXELS, DataInfo, Field, Net, Networks
from ganzoo.cli import cli, main
from ganzoo.errors import DataError, ExportError, UsageError
from ganzoo.exporting.export import Bundle, export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.watermark import marked as add_mark
from ganzoo.util.provenance import mark as write_note
from ganzoo.util.provenance import read_mark as read_note
from ganzoo.watermark import PERIOD, detect, pattern
from tests.page.test_interpreter import interpret, needs_node

KEY = "a secret text"
Z = Field(name="z", shape=(16,), source="normal")


def picture(channels: int = 3, side: int = 64, **facts: Any) -> Field:
    facts = {"range": (-1.0, 1.0), "kind": "image", "axes": PIXELS, **facts}
    return Field(name="image", shape=(channels, side, side), **facts)


class Painter(nn.Module):
    """Smooth pictures of a noise vector."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.channels, self.side = field.shape[0], field.shape[1]
        self.start = nn.Linear(16, 16 * field.shape[0])

    def forward(self, z: Tensor) -> Tensor:
        small = self.start(z).view(-1, self.channels, 4, 4)
        return torch.tanh(nn.functional.interpolate(small, scale_factor=self.side / 4, mode="bilinear"))


class Enlarger(nn.Module):
    """low (N, 3, h, w) -> image (N, 3, 2h, 2w)."""

    def forward(self, low: Tensor) -> Tensor:
        return nn.functional.interpolate(low, scale_factor=2.0, mode="nearest")


def exported(
    folder: Path, field: Field | None = None, module: nn.Module | None = None, **form: Any
) -> Bundle:
    field = field or picture()
    net = Net(module=module or Painter(field), reads=("z",), writes=(field.name,))
    networks = Networks(generators={"generator": net}, discriminators={}, fields=(Z,))
    data = DataInfo(fields=(field,), count=10)
    return export_generators(networks, data, folder, about={"recipe": "painter"}, form=Form(**form))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("plain") / "bundle")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("marked") / "bundle", watermark=KEY)


def expected(values: NDArray[Any], strength: float) -> NDArray[Any]:
    """Unmarked pictures (n, c, h, w) with the pattern, by numpy."""
    rows, columns = (np.arange(size) % PERIOD for size in values.shape[2:])
    return np.clip(values + strength * 2 / 255 * pattern(KEY)[rows][:, columns], -1, 1)


def test_the_graph_adds_the_pattern_and_nothing_else(plain: Bundle, marked: Bundle) -> None:
    before, after = ganzoo.load(plain).generate(5), ganzoo.load(marked).generate(5)
    np.testing.assert_allclose(after, expected(before, marked.marks["generator"].strength), atol=2e-6)
    added = {node.op_type for node in onnx.load(marked.path / "generator.onnx").graph.node}
    assert added <= {node.op_type for node in onnx.load(plain.path / "generator.onnx").graph.node} | {"Add"}


@needs_node
def test_the_page_adds_it_too(plain: Bundle, marked: Bundle, tmp_path: Path) -> None:
    generator = ganzoo.load(marked)
    inputs = generator.draw_inputs(2)
    made = interpret(tmp_path, onnx.load(marked.path / "generator.onnx"), inputs)
    before = ganzoo.load(plain).generate(2)
    np.testing.assert_allclose(made["image"], expected(before, marked.marks["generator"].strength), atol=1e-4)


def test_samples_are_found_and_others_not(plain: Bundle, marked: Bundle) -> None:
    for pixels in ganzoo.load(marked).images(4, seed=7):
        assert detect(pixels, KEY).found
        assert not detect(pixels, "another text").found
    assert not any(detect(pixels, KEY).found for pixels in ganzoo.load(plain).images(4, seed=7))


def test_card_and_listing_say_so(plain: Bundle, marked: Bundle) -> None:
    mark = marked.marks["generator"]
    assert mark.samples == 64
    assert min(mark.found.values()) >= 0.95
    listing = json.loads((marked.path / "bundle.json").read_text())
    assert listing["generators"]["generator"]["watermark"] == mark.to_json()
    card = (marked.path / "README.md").read_text()
    assert "carry an invisible watermark" in card
    assert f"{mark.strength:g} of 255 levels" in card
    assert "watermark" not in (plain.path / "README.md").read_text()
    assert not plain.marks
    for file in marked.files:
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize("form", [{"uint8": True}, {"weights": "float16"}, {"weights": "int8"}, {"batch": 2}])
def test_it_is_there_in_every_form(form: dict[str, Any], marked: Bundle, tmp_path: Path) -> None:
    bundle = exported(tmp_path / "bundle", watermark=KEY, **form)
    made = ganzoo.load(bundle).images(2, seed=3)
    assert all(detect(pixels, KEY).found for pixels in made)
    assert np.abs(made.astype(int) - ganzoo.load(marked).images(2, seed=3)).max() <= 2


def test_gray_and_opacity(tmp_path: Path) -> None:
    gray = exported(tmp_path / "gray", picture(1), watermark=KEY)
    assert detect(ganzoo.load(gray).images(1)[0], KEY).found
    plain = exported(tmp_path / "plain", picture(4))
    clear = exported(tmp_path / "clear", picture(4), watermark=KEY)
    before, after = (ganzoo.load(bundle).images(2) for bundle in (plain, clear))
    assert np.array_equal(before[..., 3], after[..., 3])
    assert detect(after[0], KEY).found


def test_a_range_of_its_own_scales_the_pattern(tmp_path: Path) -> None:
    """16-bit pictures: levels are shares of the range."""
    field = picture(range=(0.0, 10.0), original=(0.0, 65535.0))
    module = nn.Sequential(Painter(field), Shift())
    bundle = exported(tmp_path / "bundle", field, module, watermark=KEY)
    assert detect(ganzoo.load(bundle).images(1)[0], KEY).found


class Shift(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return 5.0 * values + 5.0


def test_pictures_of_any_size(tmp_path: Path) -> None:
    low = picture(3, 32, free={"height": 1, "width": 1})
    high = picture(3, 64, free={"height": 2, "width": 2})
    low, high = (Field(**{**vars(field), "name": name}) for field, name in ((low, "low"), (high, "high")))
    net = Net(module=Enlarger(), reads=("low",), writes=("high",))
    networks = Networks(generators={"generator": net}, discriminators={})
    data = DataInfo(fields=(low, high), count=10)
    bundle = export_generators(networks, data, tmp_path / "b", about={}, form=Form(watermark=KEY))
    mark = bundle.marks["generator"]
    assert mark.samples == 0
    assert "was not measured" in (bundle.path / "README.md").read_text()
    rows = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 3, 45, 80)).astype(np.float32)
    made = ganzoo.load(bundle).generate(1, low=rows)
    np.testing.assert_allclose(made, expected(rows.repeat(2, 2).repeat(2, 3), mark.strength), atol=2e-6)


def test_samples_are_made_once_for_all_strengths_a_few_at_a_time() -> None:
    field, sizes = picture(), []

    class Grainy(Painter):
        """Noise that hides weak patterns."""

        def forward(self, z: Tensor) -> Tensor:
            sizes.append(len(z))
            made = 0.7 * super().forward(z)
            return made + 0.2 * torch.sin(1e4 * made)

    _, mark = add_mark(Net(module=Grainy(field), reads=("z",), writes=("image",)), (Z,), (field,), KEY)
    assert mark.strength > 1
    assert sum(sizes) == mark.samples == 64
    assert max(sizes) <= 8


def test_a_strength_of_the_user(plain: Bundle, tmp_path: Path) -> None:
    bundle = exported(tmp_path / "bundle", watermark=KEY, watermark_strength=6.0)
    assert bundle.marks["generator"].strength == 6.0
    before, after = ganzoo.load(plain).generate(3), ganzoo.load(bundle).generate(3)
    np.testing.assert_allclose(after, expected(before, 6.0), atol=2e-6)
    for wrong in ({"watermark_strength": 3.0}, {"watermark": KEY, "watermark_strength": 0.0}):
        with pytest.raises(UsageError, match="strength"):
            Form(**wrong)  # type: ignore[arg-type]


def test_pictures_that_are_too_small_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="16 x 16 pixels are too few"):
        exported(tmp_path / "bundle", picture(3, 16), watermark=KEY)
    assert not (tmp_path / "bundle").exists()


def test_what_cannot_carry_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no declared range"):
        exported(tmp_path / "bundle", picture(range=None), watermark=KEY)
    rows = Field(name="row", shape=(3, 64, 64), range=(-1.0, 1.0))
    with pytest.raises(ExportError, match="write no picture") as error:
        exported(tmp_path / "bundle", rows, watermark=KEY)
    assert "still puts a note into .png, .jpg" in error.value.fix  # also for what is no sound
    assert ".wav files" in error.value.fix
    with pytest.raises(UsageError, match="8 characters"):
        Form(watermark="short")


def test_inspect(marked: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sample.png"

    def run(*words: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return int(ended.value.code or 0)

    assert run("generate", marked.path, "-n", 9, "-o", file) == 0
    capsys.readouterr()
    assert run("inspect", file, "--watermark", KEY, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["watermark"] is True
    assert said["false_alarm"] < 1e-6
    assert said["synthetic"] is True
    assert run("inspect", file, "--watermark", "another text") == DataError.exit_code
    ended = capsys.readouterr()
    assert "watermark: False" in ended.out
    assert "was not found" in ended.err
    assert run("inspect", marked.path / "bundle.json", "--watermark", KEY) == DataError.exit_code
    assert "No picture can be read" in capsys.readouterr().err


def test_generate_says_that_pictures_are_marked(plain: Bundle, marked: Bundle, tmp_path: Path) -> None:
    """On the screen, in --json, and in the note inside the file."""
    for bundle, said in ((marked, True), (plain, False)):
        file = tmp_path / "sample.png"
        words = ["generate", str(bundle.path), "-n", "4", "-o", str(file)]
        shown = CliRunner().invoke(cli, words)
        assert ("ganzoo inspect FILE --watermark KEY" in shown.stderr) is said
        assert shown.stdout == f"wrote {file}\n"
        result = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
        assert result.get("watermarked", False) is said
        assert (read_note(file) or {}).get("watermarked", False) is said
    words = ["generate", str(marked.path), "-n", "4", "-o", str(tmp_path / "sample.npz")]
    shown = CliRunner().invoke(cli, words)
    assert "invisible watermark" in shown.stderr
    assert "ganzoo inspect" not in shown.stderr, "it reads no arrays"


def test_inspect_looks_for_the_pattern_in_spite_of_a_damaged_note(marked: Bundle, tmp_path: Path) -> None:
    file, image = tmp_path / "sample.png", Image.fromarray(ganzoo.load(marked).images(1)[0])
    image.save(file)
    write_note(file, "ganzoo", {"generator": "painter", "strength": 0.123456})
    words = ["inspect", str(file), "--watermark", KEY]
    shown = CliRunner().invoke(cli, words)
    assert "strength: 0.123456\n" in shown.stdout
    assert re.search(r"^false_alarm: \de-\d+$", shown.stdout, re.MULTILINE)
    damaged = PngInfo()
    damaged.add_itxt("XML:com.adobe.xmp", 'ganzoo:facts="{1"')
    image.save(file, pnginfo=damaged)
    said = CliRunner().invoke(cli, [*words, "--json"])
    assert json.loads(said.stdout)["watermark"] is True
    assert said.exit_code == 0
    assert "note in the file is damaged, and is ignored" in said.stderr
    with pytest.raises(DataError, match="damaged"):
        CliRunner().invoke(cli, words[:2], catch_exceptions=False)
