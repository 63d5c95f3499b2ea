"""Hooks of mkdocs: pages are written for the repository, and hold on the site as well.

They link as the repository needs it (`../benchmarks/RESULTS.md`, `../deploy/`). A file outside docs/ that a
page links to becomes part of the site under `repository/`, and the links are rewritten; a folder stands for
its README.md. In the code of a table's cell GitHub needs `\\|`, and mkdocs a plain `|`.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PREFIX = "repository"

_CODE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\(<?)([^)\s>]+)")
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_SPAN = re.compile(r"`[^`\n]+`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what the pages added so link to."""
    from mkdocs.structure.files import File

    docs = Path(config.docs_dir)
    pages = [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    while pages:
        page = pages.pop()
        for found in _LINK.finditer(_CODE.sub("", page.read_text(encoding="utf-8"))):
            target = target_of(page, found[2], docs.parent)
            if target is None or target.is_relative_to(docs) or site_path(target, docs) in files.src_uris:
                continue
            files.append(File.generated(config, site_path(target, docs), abs_src_path=str(target)))
            if target.suffix == ".md":
                pages.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links that cross the border of docs/, and the code in tables."""
    docs, source = Path(config.docs_dir), Path(str(page.file.abs_src_path))
    return plain_pipes(site_links(markdown, source, page.file.src_uri, docs))


def site_links(markdown: str, source: Path, uri: str, docs: Path) -> str:
    """The text of a page (its file, its path on the site) with links that hold on the site."""

    def replace(found: re.Match[str]) -> str:
        target = target_of(source, found[2], docs.parent)
        if target is None or (target.is_relative_to(docs) and source.is_relative_to(docs)):
            return found[0]
        _, mark, anchor = found[2].partition("#")
        return found[1] + posixpath.relpath(site_path(target, docs), posixpath.dirname(uri)) + mark + anchor

    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_LINK.sub(replace, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(replace, markdown[end:])])


def plain_pipes(markdown: str) -> str:
    """The text with `|` for `\\|` in the code of table cells."""
    return _ROW.sub(lambda row: _SPAN.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown)


def site_path(target: Path, docs: Path) -> str:
    """Where a file of the repository stands among the site's sources."""
    if target.is_relative_to(docs):
        return target.relative_to(docs).as_posix()
    return f"{PREFIX}/{target.relative_to(docs.parent).as_posix()}"


def target_of(page: Path, link: str, root: Path) -> Path | None:
    """The file of the repository that a link means; None for addresses, anchors and what is missing."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z]+:", link):
        return None
    target = Path(posixpath.normpath((page.parent / path).as_posix()))
    if target.is_dir():
        target /= "README.md"
    return target if target.is_file() and target.is_relative_to(root) else None
