"""Whether the files are ready for a release: `python tools/check_release.py v0.2.0`.

The tag, ganzoo/_version.py, CITATION.cff and the newest section of CHANGELOG.md must name the same version,
and that section a date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What is still to be done before this tag, a line each."""
    version = tag.removeprefix("v")
    found = {
        name: re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name, pattern in (
            ("ganzoo/_version.py", r'^__version__ = "(.+)"$'),
            ("CITATION.cff", r"^version: (.+)$"),
            ("CHANGELOG.md", r"^## \[(\d[^\]]*)\]"),
        )
    }
    lines = [
        f"{name} is about {match[1] if match else 'no version'}, not about {version}"
        for name, match in found.items()
        if not match or match[1] != version
    ]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        lines.append(f"CHANGELOG.md has no heading '## [{version}] - YYYY-MM-DD'")
    return lines if tag.startswith("v") else [f"{tag} is no tag of a release: v{version}", *lines]


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found) or f"ready for {sys.argv[1]}")
    sys.exit(bool(found))
