"""`ganzoo cache`: shows the cache of what can be computed again, and removes it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ganzoo.cli.common import echo_json, json_option, table
from ganzoo.util.text import counted

KINDS = ("decoded", "headers", "features", "references", "classifiers")
"""Folders in the cache, see `keep_cached`; locks stay."""

_OWN = re.compile(r"\.?(building-)?[0-9a-f]{32,64}([-.].*)?")  # hashes, also of what a kill left

_MEBIBYTE = 1 << 20


@click.group("cache", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what is kept to open data and to score faster: decoded images, headers, features.

    All of it can be computed again. The folder is $GANZOO_CACHE, or in the user's cache folder.
    """
    from ganzoo.util.cache import cache_folder

    if ctx.invoked_subcommand is not None:
        return
    root = cache_folder()
    rows = _rows(_entries(root))
    if as_json:
        echo_json({"folder": str(root), "entries": rows})
        return
    shown = [(row["kind"], row["name"], f"{row['bytes'] / _MEBIBYTE:,.1f} MB", row["used"]) for row in rows]
    total = sum(row["bytes"] for row in rows) / _MEBIBYTE
    table(f"{root}: {total:,.1f} MB", ("kind", "content", "size", "last used"), shown)
    if rows:
        click.echo("remove: ganzoo cache clear, ganzoo cache clear KIND, ganzoo cache clear --unused DAYS")


@command.command("clear")
@click.argument("kind", required=False)
@click.option(
    "--unused", type=click.IntRange(min=0), metavar="DAYS", help="Only what was not used for so long."
)
def clear(kind: str | None, unused: int | None) -> None:
    """Remove everything, or all entries of one KIND, such as decoded."""
    from ganzoo.errors import UsageError
    from ganzoo.util.cache import cache_folder
    from ganzoo.util.files import disk, storage

    entries = _entries(cache_folder())
    kinds = sorted({path.parent.name for path in entries})
    if kind is not None and kind not in kinds:
        raise UsageError(f"The cache has no '{kind}'.", fix=f"it has: {', '.join(kinds) or 'nothing'}")
    now, removed, size = datetime.now().timestamp(), 0, 0
    for path in entries:
        old = unused is None or now - _time(path) >= 86_400 * unused
        if old and kind in (None, path.parent.name):
            size += _bytes(path)
            with storage(path):
                disk.remove(path)
            removed += 1
    click.echo(f"removed {removed:,} entries, {size / _MEBIBYTE:,.1f} MB")


def _entries(root: Path) -> list[Path]:
    """Files and folders of the kinds, newest first.

    No others: $GANZOO_CACHE may be any folder, and the user may have `features` there, too.
    """
    kinds = [root / kind for kind in KINDS if (root / kind).is_dir()]
    own = (path for kind in kinds for path in kind.iterdir() if _OWN.fullmatch(path.name))
    return sorted(own, key=_time, reverse=True)


def _time(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _rows(entries: list[Path]) -> list[dict[str, Any]]:
    """A row for each set of decoded items, and one for all files of another kind."""
    rows: dict[Path, list[Path]] = {}
    for path in entries:
        rows.setdefault(path if path.is_dir() else path.parent, []).append(path)
    return [_about(key, paths) for key, paths in rows.items()]


def _about(key: Path, paths: list[Path]) -> dict[str, Any]:
    single = key == paths[0]
    kind, name = (key.parent.name, key.name) if single else (key.name, counted(len(paths), "file"))
    with suppress(OSError, ValueError, TypeError, KeyError):
        name = str(json.loads((key / "manifest.json").read_text(encoding="utf-8"))["identity"])
    used = datetime.fromtimestamp(_time(paths[0])).astimezone().isoformat(" ", "minutes")
    return {"kind": kind, "name": name, "bytes": sum(map(_bytes, paths)), "used": used}
