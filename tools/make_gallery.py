"""Writes docs/gallery.html: `ganzoo page` of the reference bundles. `python tools/make_gallery.py`.

Without `vanilla`, whose page alone has 6 MB. tests/page/test_gallery.py compares the file with what
this makes.
"""

from __future__ import annotations

from pathlib import Path

from ganzoo.page.generators import Options, entry
from ganzoo.page.page import page
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import load_registry

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gallery.html"
BUNDLES = ("cgan", "dcgan", "wgan-gp")


def gallery() -> str:
    """The HTML of the page."""
    options = Options(kinds=Kinds(load_registry()), note=print)
    return page([entry(ROOT / "exported" / name, options) for name in BUNDLES])


if __name__ == "__main__":
    PAGE.write_text(gallery(), encoding="utf-8", newline="\n")
