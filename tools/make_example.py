"""Writes examples/ganzoo-example and the files that docs/plugins/tutorial.md quotes, from the templates.

`python tools/make_example.py`. Both are what `ganzoo plugin new example` writes; tests/meta/test_project.py
compares them with what this makes.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ganzoo.scaffold import DEFAULT_KINDS, Names, package_files, write_plugin

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "ganzoo-example"
TUTORIAL = ROOT / "docs" / "plugins" / "tutorial.md"
AUTHOR = "the authors of ganzoo-example"

_QUOTED = re.compile(r"^(`(?P<file>[\w./-]+)`:\n\n```\w+\n).*?^```$", re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """The files of the example by path, as `ganzoo plugin new example` writes them."""
    return package_files(Names.of("example"), DEFAULT_KINDS, licence="MIT", author=AUTHOR)


def tutorial(text: str) -> str:
    """The tutorial with each block below the name of a file replaced by that file."""
    written = files()
    return _QUOTED.sub(lambda found: f"{found[1]}{written[found['file']]}```", text)


def main() -> None:
    """Write both."""
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    write_plugin(Names.of("example"), DEFAULT_KINDS, EXAMPLE, licence="MIT", author=AUTHOR)
    TUTORIAL.write_text(tutorial(TUTORIAL.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
