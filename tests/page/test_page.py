"""Pages of bundles: one safe file, and what a browser makes of it."""

from __future__ import annotations

import base64
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganzoo
from ganzoo.cli import main
from ganzoo.errors import UsageError
from ganzoo.page import page as pages
from ganzoo.page.generators import Entry, Options, entry
from ganzoo.page.page import page, write_page
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry
from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.firefox import FIREFOX, firefox
from tests.helpers.pages import PIXELS, READY

ROOT = Path(__file__).resolve().parents[2]
CGAN = ROOT / "exported" / "cgan"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def options(registry_of_all: Registry) -> Options:
    return Options(kinds=Kinds(registry_of_all), note=lambda text: None)


@pytest.fixture(scope="module")
def registry_of_all() -> Registry:
    from ganzoo.registry.registry import load_registry

    return load_registry()


@pytest.fixture(scope="module")
def cgan(options: Options) -> Entry:
    return entry(CGAN, options)


@pytest.fixture(scope="module")
def cgan_file(cgan: Entry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "cgan.html"
    file.write_text(page([cgan]))
    return file


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def listing(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="bundles">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_one_small_file_that_may_fetch_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cgan.html"
    assert run("page", str(CGAN), "-o", str(output), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"output": str(output), "bytes": output.stat().st_size, "engines": ["mini"]}
    assert said["bytes"] < 800_000
    text = output.read_text()
    assert "default-src 'none'" in text
    assert "connect-src" not in text  # so default-src holds
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    (bundle,) = listing(text)
    (generator,) = bundle["generators"]
    assert [field["name"] for field in generator["inputs"]] == ["z", "label"]
    assert generator["outputs"][0]["viewer"] == "pixels"
    vectors = np.array(generator["directions"]["vectors"])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-3)


def test_names_cannot_become_html(cgan: Entry) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    generator = cgan.generators[0] | {"about": {"recipe": evil}}
    text = page([replace(cgan, title=evil, generators=[generator])])
    assert evil not in text
    assert listing(text)[0]["title"] == evil
    assert text.count("<script") == text.count("</script>")


def test_a_gallery_has_a_picture_of_each(cgan: Entry) -> None:
    found = listing(page([cgan, cgan]))
    assert [item["title"] for item in found] == ["cgan", "cgan (2)"]
    assert found[0]["picture"].startswith("data:image/webp;base64,")


def test_files_beside_bundles_are_left_out(tmp_path: Path, options: Options) -> None:
    write_page([ROOT / "exported" / "README.md", CGAN], tmp_path / "p.html", options)
    assert [item["title"] for item in listing((tmp_path / "p.html").read_text())] == ["cgan"]


def test_a_changed_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(CGAN, tmp_path / "cgan")
    data = bytearray((copy / "generator.onnx").read_bytes())
    data[5000] ^= 1
    (copy / "generator.onnx").write_bytes(data)
    assert run("page", str(copy), "-o", str(tmp_path / "p.html")) == 2
    assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()


def test_a_page_that_is_too_large(tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGEST", 500_000)
    with pytest.raises(UsageError, match="The page would have 1 MB"):
        write_page([CGAN], tmp_path / "p.html", options)
    assert not (tmp_path / "p.html").exists()


def test_large_networks_need_onnxruntime_web(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr("ganzoo.page.generators.SPEED", 2e6)
    entry(CGAN, replace(options, note=notes.append))
    assert "s for a sample" in notes[0]
    monkeypatch.setattr("ganzoo.page.generators.SPEED", 1e3)
    with pytest.raises(UsageError, match="too long"):
        entry(CGAN, options)
    made = entry(CGAN, replace(options, ort=True))
    assert made.generators[0]["engine"] == "ort"
    assert "graph" not in made.generators[0]
    with pytest.raises(UsageError, match="--engine ort needs"):
        entry(CGAN, replace(options, engine="ort"))
    with pytest.raises(UsageError, match=r"has no ort\.wasm\.min\.js"):
        page([made], ROOT)


@pytest.fixture(scope="module")
def served(cgan_file: Path) -> Iterator[str]:
    """The address of the page at a server."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(cgan_file.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/{cgan_file.name}"
        server.shutdown()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def any_tab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A tab of each browser."""
    if request.param == "chromium" and CHROMIUM is not None:
        yield request.getfixturevalue("tab")
    elif request.param == "firefox" and FIREFOX is not None:
        with firefox(tmp_path_factory.mktemp("profile")) as found:
            yield found
    else:
        pytest.skip(f"{request.param} is not installed")


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_browser_draws_the_pixels_of_generate(
    any_tab: Any, cgan_file: Path, served: str, scheme: str
) -> None:
    tab = any_tab
    tab.open(cgan_file.as_uri() if scheme == "file" else served)
    ready = tab.until(READY)
    wanted = ganzoo.load(CGAN).images(2, seed=0)
    made = np.array(tab.value(PIXELS)).reshape(28, 28)
    assert np.abs(made - wanted[0, ..., 0].astype(int)).max() <= 1
    assert tab.value("document.querySelectorAll('#grid canvas').length") == 16
    assert "16 samples, and the large one, in " in tab.value("document.body.textContent")
    tab.value("document.getElementById('seed').value = 5")
    tab.value("document.getElementById('seed').dispatchEvent(new Event('input'))")
    tab.until(f"{READY} !== '{ready}' && {READY}")
    other = np.array(tab.value(PIXELS)).reshape(28, 28)
    wanted = ganzoo.load(CGAN).images(1, seed=5)
    assert np.abs(other - wanted[0, ..., 0].astype(int)).max() <= 1
    assert not tab.errors
    allowed = ("file:", "blob:", "data:")
    assert not [found for found in tab.requests if found != served and not found.startswith(allowed)]


@needs_browser
def test_a_tile_without_a_picture_names_the_columns(tab: Browser, cgan: Entry, tmp_path: Path) -> None:
    (image,) = cgan.generators[0]["outputs"]
    made = image | {"columns": [{"name": "region"}, {"name": "spent"}]}
    table = replace(cgan, picture=None, generators=[cgan.generators[0] | {"outputs": [made]}])
    file = tmp_path / "two.html"
    file.write_text(page([cgan, table]))
    tab.open(file.as_uri())
    tab.until(READY)
    assert tab.value("document.querySelector('#gallery .blank').textContent") == "a table: region, spent"


def test_nothing_can_be_fetched_from_the_page(any_tab: Any, cgan_file: Path) -> None:
    any_tab.open(cgan_file.as_uri())
    any_tab.until(READY)
    assert any_tab.value("fetch('https://example.org/').then(() => 'sent', () => 'refused')") == "refused"
    assert any("Content" in said and "Security" in said for said in any_tab.errors)


@needs_browser
def test_a_phone_shows_the_whole_width_and_every_control_has_a_name(tab: Browser, cgan_file: Path) -> None:
    tab.open(cgan_file.as_uri(), 390, 844, dark=True)
    tab.until(READY)
    assert tab.value("document.documentElement.scrollWidth") == 390
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "spinbutton", "combobox", "img", "image"}
    controls = [node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]]
    assert len(controls) > 20
    assert [node for node in controls if not node["name"]["value"]] == []


@needs_browser
def test_a_walk_is_saved_as_an_animation_that_pillow_reads(
    tab: Browser, cgan_file: Path, tmp_path: Path
) -> None:
    import io

    from PIL import Image

    tab.open(cgan_file.as_uri())
    tab.until(READY)
    tab.value("""
        save = (blob) => {
          const reader = new FileReader();
          reader.onload = () => (window.kept = reader.result);
          reader.readAsDataURL(blob);
        };
        saveWalk();
    """)
    data = base64.b64decode(tab.until("window.kept").partition(",")[2])
    with Image.open(io.BytesIO(data)) as found:
        assert (found.format, found.n_frames, found.size) == ("PNG", 40, (28, 28))
        found.seek(0)
        first = np.asarray(found.convert("L")).astype(int)
    assert np.abs(first - ganzoo.load(CGAN).images(1, seed=0)[0, ..., 0].astype(int)).max() <= 1
