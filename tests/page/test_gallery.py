"""The gallery of the documentation: what the tool makes, and what a browser shows of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganzoo
from tests.helpers.browser import CHROMIUM, browser
from tests.helpers.pages import PIXELS, READY

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "make_gallery.py"))
CARDS = "[...document.querySelectorAll('#gallery button')]"
BLOCK = re.compile(r'(<script type="text/plain" id="[\w-]+">)([^<]*)')
LISTING = re.compile(r'(<script type="application/json" id="bundles">)(.*?)(?=</script>)', re.DOTALL)


def parts(text: str) -> tuple[str, list[bytes], Any]:
    """The page without its data, the data unpacked, and the listing without what depends on the machine.

    Compressed bytes and pictures depend on versions of libraries, directions on the last digits of sums.
    """
    blocks = [gzip.decompress(base64.b64decode(found[2])) for found in BLOCK.finditer(text)]
    found = LISTING.search(text)
    assert found
    listing = json.loads(found[2])
    for bundle in listing:
        del bundle["picture"]
        for generator in bundle["generators"]:
            generator["directions"] = np.shape(generator["directions"]["vectors"])
    return LISTING.sub(r"\1", BLOCK.sub(r"\1", text)), blocks, listing


def test_the_gallery_is_what_the_tool_makes() -> None:
    kept = TOOL["PAGE"].read_text(encoding="utf-8")
    assert len(kept) < 2_500_000
    assert parts(kept) == parts(TOOL["gallery"]()), "python tools/make_gallery.py"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_card_opens_its_generator_on_a_phone(tmp_path: Path) -> None:
    with browser(tmp_path) as tab:
        tab.open(TOOL["PAGE"].as_uri(), 360, 740)
        ready = tab.until(READY)
        assert tab.value("document.documentElement.scrollWidth") == 360
        for name in ("dcgan", "wgan-gp"):
            tab.value(f"{CARDS}.find((card) => card.innerText === '{name}').click()")
            ready = tab.until(f"{READY} !== '{ready}' && {READY}")
            wanted = ganzoo.load(ROOT / "exported" / name).images(1, seed=0)[0, ..., 0].astype(int)
            made = np.array(tab.value(PIXELS)).reshape(28, 28)
            assert np.abs(made - wanted).max() <= 1
        assert not tab.errors
