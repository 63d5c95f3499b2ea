"""The run directory: what passes between training, export and evaluation.

    run.json  settings.toml  log.jsonl  samples/  checkpoints/

Checkpoint files themselves are read and written by `train/checkpoint.py`.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from ganzoo.api import DataInfo, Field
from ganzoo.errors import StorageError, UsageError
from ganzoo.files import storage, write_bytes, write_json
from ganzoo.text import printable

if TYPE_CHECKING:
    from ganzoo.export import Bundle

FORMAT = 1


class Run:
    """One training run on disk. `record` is the content of run.json."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

    @classmethod
    def create(
        cls, path: Path | None, recipe: str, record: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> Run:
        """Make a run directory, named by time and recipe unless a path is given.

        UsageError when the directory holds files already, StorageError when it cannot be written.
        """
        path = path or Path("runs") / _fresh_name(recipe)
        with storage(path):
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise UsageError(
                    "The run directory exists and is not empty.",
                    where=str(path),
                    fix=f"choose another --run-dir, or go on with: ganzoo train --resume {path}",
                )
            for part in ("samples", "checkpoints"):
                (path / part).mkdir(parents=True, exist_ok=True)
        run = cls(path, {"format": FORMAT, "recipe": recipe, "status": "starting", **record})
        run.write_settings(settings)
        run.update(created=datetime.now(UTC).isoformat(timespec="seconds"))
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read an existing run directory. UsageError when it is not one that this version reads."""
        path = Path(path)
        try:
            record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                "This is not a run directory: it has no readable run.json.",
                where=str(path),
                fix="ganzoo runs lists the runs there are",
            ) from error
        except ValueError as error:
            raise UsageError(f"run.json is damaged: {error}", where=str(path)) from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            found = record.get("format") if isinstance(record, dict) else None
            raise UsageError(
                f"The run directory has format {found}, this ganzoo reads format {FORMAT}.",
                where=str(path),
                fix=f"use the ganzoo that made it (run.json names its version), or train again from "
                f"{path / 'settings.toml'}",
            )
        return cls(path, record)

    def update(self, **values: Any) -> None:
        """Change entries of run.json."""
        self.record.update(values)
        write_json(self.path / "run.json", self.record)

    @property
    def settings_file(self) -> Path:
        """The resolved settings; training from this file repeats the run."""
        return self.path / "settings.toml"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, each named by the images seen."""
        return self.path / "checkpoints"

    @property
    def info(self) -> DataInfo:
        """The fields and size of the data that the run was trained on."""
        data = self.record["data"]
        return DataInfo(fields=tuple(Field.from_json(raw) for raw in data["fields"]), count=data["count"])

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace settings.toml."""
        write_bytes(self.settings_file, tomli_w.dumps(dict(settings)).encode())

    def write_bad_files(self, skipped: Iterable[tuple[str, str]]) -> None:
        """List what the data held and could not be used in bad_files.txt: item, tab, reason.

        No file is written when there is nothing to list.
        """
        lines = [f"{printable(item)}\t{printable(reason)}\n" for item, reason in skipped]
        if lines:
            write_bytes(self.path / "bad_files.txt", "".join(lines).encode())

    def settings(self) -> dict[str, Any]:
        """The resolved settings as nested tables."""
        return tomllib.loads(self.settings_file.read_text(encoding="utf-8"))

    def log(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl, a record for each tick. A line that a crash tore is left out."""
        file = self.path / "log.jsonl"
        if not file.exists():
            return []
        records = []
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return [record for record in records if isinstance(record, dict)]

    def export(self, output: str | Path | None = None, *, uint8: bool = False) -> Bundle:
        """Export the trained generators to ONNX; the same as `ganzoo export`."""
        from ganzoo.export.run import export_run

        return export_run(self, Path(output) if output else None, uint8=uint8)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.record.get('status')})"


def list_runs(folder: Path) -> list[Run]:
    """The readable run directories in a folder, oldest first."""
    if not folder.is_dir():
        return []
    runs = []
    for path in sorted(folder.iterdir()):
        if (path / "run.json").is_file():
            try:
                runs.append(Run.open(path))
            except (UsageError, StorageError):
                continue
    return sorted(runs, key=lambda run: str(run.record.get("created", "")))


def _fresh_name(recipe: str) -> str:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    safe = re.sub(r"[^a-z0-9.+_-]+", "-", recipe.lower()).strip("-")
    return f"{stamp}-{safe}-{secrets.token_hex(2)}"
