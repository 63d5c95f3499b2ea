"""The documentation as a contract: its code is the example's code, and nothing of the API is left out."""

from __future__ import annotations

import dataclasses
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ganzoo import api, hookspecs
from ganzoo.api import (
    ArchitectureSpec,
    ArraySource,
    DatasetSpec,
    Field,
    Game,
    ItemSource,
    LossSpec,
    Net,
    Networks,
    RecipeSpec,
    TermSpec,
    View,
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "plugins.md"
EXAMPLE = ROOT / "examples" / "ganzoo-example"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]
RECORDS = [ArchitectureSpec, LossSpec, TermSpec, RecipeSpec, DatasetSpec, Field, Net, Game, Networks]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_LINE = re.compile(r"^`([\w./-]+)`:\s*\Z", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file that the line before it names, if any."""

    language: str
    text: str
    file: str


def test_every_test_that_the_page_of_promises_names_exists() -> None:
    named = re.findall(r"test_\w+\.py", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(set(named)) > 8
    assert all((ROOT / "tests" / name).is_file() for name in named)


def blocks(page: Path = PAGE) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = FILE_LINE.search(text, 0, found.start())
        yield Block(found[1], found[2], line[1] if line else "")


def section(title: str) -> str:
    """The text under the heading of that title, up to the next heading."""
    text = FENCE.sub("", PAGE.read_text(encoding="utf-8"))
    found = re.search(rf"^#+ `?{re.escape(title)}`?$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE.name} has no section '{title}'"
    return found[1]


def rows(text: str) -> set[str]:
    """The names in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_code_blocks_are_the_example_s_files() -> None:
    named = [block for block in blocks() if block.file]
    for block in named:
        assert (EXAMPLE / block.file).is_file(), f"there is no {block.file}"
        source = (EXAMPLE / block.file).read_text(encoding="utf-8")
        assert block.text in source, f"{PAGE.name} shows a {block.file} that is not the example's"
    shown = {block.file: "".join(b.text for b in named if b.file == block.file) for block in named}
    modules = [path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.glob("ganzoo_example/*.py")]
    for file in ["pyproject.toml", *modules]:
        whole = (EXAMPLE / file).read_text(encoding="utf-8")
        assert shown.get(file) == whole, f"who copies {PAGE.name} does not get all of {file}"


@pytest.mark.parametrize("block", [b for b in blocks() if not b.file and b.language == "python"])
def test_other_python_blocks_run(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block.text, encoding="utf-8")
    runpy.run_path(str(script))


def test_blocks_of_settings_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "toml":
                tomllib.loads(block.text)


def test_every_hook_is_explained() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("ganzoo_")}
    assert rows(section("Reference")) == hooks


def test_every_public_name_is_mentioned() -> None:
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", PAGE.read_text(encoding="utf-8")))
    code = "\n".join([*spans, *(block.text for block in blocks())])
    missing = [name for name in api.__all__ if not re.search(rf"\b{name}\b", code)]
    assert not missing


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_of_a_record_is_explained(record: type) -> None:
    fields = {item.name for item in dataclasses.fields(record)}
    explained = rows(section(record.__name__))
    if issubclass(record, api._Spec):
        explained |= {"name", "summary", "paper"}
    if issubclass(record, api._Buildable):
        explained |= {"factory", "config", "defaults"}
    assert explained == fields


def test_the_fields_of_all_records_are_explained() -> None:
    assert rows(section("All records")) == {item.name for item in dataclasses.fields(api._Buildable)}


def test_every_field_of_a_source_is_explained() -> None:
    names = {item.name for source in (ArraySource, ItemSource) for item in dataclasses.fields(source)}
    assert names <= rows(section("Datasets"))


def test_every_member_of_the_view_is_explained() -> None:
    members = {name for name in vars(View) if not name.startswith("_")}
    assert rows(section("Terms and the View")) == members


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that headings get: lower case, hyphens for spaces, other marks left out."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
