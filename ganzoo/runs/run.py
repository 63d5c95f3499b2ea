"""The run directory, which training writes and export and evaluation read.

    run.json  settings.toml  log.jsonl  notes.jsonl  samples/  checkpoints/

`checkpoint.py` reads and writes the checkpoints.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from ganzoo.errors import StorageError, UsageError
from ganzoo.fields import DataInfo, Field
from ganzoo.runs.lock import is_held
from ganzoo.runs.validation import check_record, is_complete, is_json, is_log_line, read_manifest
from ganzoo.util.files import append_line, storage, write_bytes, write_json
from ganzoo.util.text import Unit, printable, typed

FORMAT = 1

# Files that a directory may contain before its run has started.
_BEFORE_START = (".lock", ".owner.json", "settings.toml")
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")


class Run:
    """One training run on disk. `record` is the content of run.json.

    With several ranks, only the main one `writes`.
    """

    def __init__(self, path: Path, record: dict[str, Any], *, writes: bool = True) -> None:
        self.path = path
        self.record = record
        self.writes = writes

    @classmethod
    def create(
        cls,
        path: Path | None,
        recipe: str,
        record: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        writes: bool = True,
    ) -> Run:
        """Create a run directory, named by time and recipe unless a path is given.

        Does not check whether something exists at the path, see `check_free`. StorageError when it cannot
        be written.
        """
        path = path or fresh_path(recipe)
        run = cls(path, {"format": FORMAT, "recipe": recipe, "status": "starting", **record}, writes=writes)
        if writes:
            with storage(path):
                for folder in ("samples", "checkpoints"):
                    (path / folder).mkdir(parents=True, exist_ok=True)
        run.write_settings(settings)
        run.update(created=datetime.now(UTC).isoformat(timespec="seconds"))
        return run

    @classmethod
    def open(cls, path: str | Path, *, writes: bool = True) -> Run:
        """Read an existing run directory. UsageError when this version cannot read it.

        If run.json or settings.toml is damaged, the copy in the newest checkpoint replaces it.
        """
        path = Path(path)
        try:
            record = json.loads((path / "run.json").read_text(encoding="utf-8"))
            fix = ""
        except OSError:
            record, fix = None, "ganzoo runs lists the existing runs"
        except (ValueError, RecursionError):
            record, fix = None, "restore it, or train again"
        if record is None or not is_complete(path / "settings.toml"):
            recovered = _recovered(path)
            record = recovered if record is None else record
        if record is None:
            raise UsageError(
                "This is not a run directory: it has no readable run.json.", where=str(path), fix=fix
            )
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            found = record.get("format") if isinstance(record, dict) else None
            raise UsageError(
                f"The run directory has format {found}, this ganzoo reads format {FORMAT}.",
                where=str(path),
                fix=f"use the ganzoo that made it (run.json names its version), or train again from "
                f"{path / 'settings.toml'}",
            )
        check_record(record, path)
        return cls(path, record, writes=writes)

    def update(self, **values: Any) -> None:
        """Change entries of run.json."""
        self.record.update(values)
        if self.writes:
            write_json(self.path / "run.json", self.record)

    @property
    def settings_file(self) -> Path:
        """The resolved settings; training from this file repeats the run."""
        return self.path / "settings.toml"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, which are named by the number of images seen."""
        return self.path / "checkpoints"

    @property
    def info(self) -> DataInfo:
        """The fields and size of the data that the run was trained on."""
        data = self.record["data"]
        return DataInfo(fields=tuple(Field.from_json(raw) for raw in data["fields"]), count=data["count"])

    @property
    def unit(self) -> Unit:
        """What its lengths count; samples, where its version of ganzoo did not say."""
        match self.record.get("unit"):
            case [str(noun), str(nouns)]:
                return Unit(printable(noun, 40), printable(nouns, 40))
        return Unit()

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write settings.toml unless it has these settings already."""
        content = tomli_w.dumps(dict(settings)).encode()
        with storage(self.settings_file):
            same = self.settings_file.is_file() and self.settings_file.read_bytes() == content
        if self.writes and not same:
            write_bytes(self.settings_file, content)

    def sweep(self) -> None:
        """Remove temporary files of processes that were killed. Only for the holder of the run's lock."""
        for folder in (self.path, self.path / "samples"):
            for file in folder.glob(".*.tmp"):
                if _TEMPORARY.fullmatch(file.name):
                    with contextlib.suppress(OSError):
                        file.unlink()

    def write_bad_files(self, skipped: Iterable[tuple[str, str]]) -> None:
        """List the items of the data that could not be used in bad_files.txt: item, tab, reason.

        No file is written if there are none.
        """
        lines = [f"{printable(item)}\t{printable(reason)}\n" for item, reason in skipped]
        if lines:
            write_bytes(self.path / "bad_files.txt", "".join(lines).encode())

    def settings(self) -> dict[str, Any]:
        """The resolved settings as nested tables. UsageError when the file cannot be read."""
        try:
            return tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The run's settings cannot be read: {error}", where=str(self.settings_file)
            ) from error

    def trained_settings(self) -> dict[str, Any]:
        """The settings in the newest checkpoint's manifest; without a checkpoint, those of settings.toml."""
        folder = self.path / "checkpoints"
        for checkpoint in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []:
            settings = read_manifest(checkpoint).get("settings")
            if isinstance(settings, dict):
                return settings
        return self.settings()

    def log(self) -> list[dict[str, Any]]:
        """The records of log.jsonl, one for each tick. A line that a crash cut off is skipped."""
        return [record for record in _json_lines(self.path / "log.jsonl") if is_log_line(record)]

    def evaluation(self) -> dict[str, Any]:
        """The report that `ganzoo evaluate` has left in the run, with `protocol` and `scores`; else empty."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            found = json.loads((self.path / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
            if isinstance(found["protocol"], dict) and isinstance(found["scores"], dict):
                return dict(found)
        return {}

    def add_note(self, text: str, images: int) -> None:
        """Keep a message that the user got after so many images in notes.jsonl."""
        if self.writes:
            append_line(self.path / "notes.jsonl", json.dumps({"images": images, "text": text}))

    def notes(self) -> list[dict[str, Any]]:
        """The records of notes.jsonl, `images` and `text`; damaged lines are skipped."""
        lines = _json_lines(self.path / "notes.jsonl")
        return [line for line in lines if isinstance(line, dict) and isinstance(line.get("text"), str)]

    @property
    def status(self) -> str:
        """That of run.json; "killed" if this says that the run is active but no process holds its lock."""
        status: str = self.record["status"]
        alive = status not in ("starting", "training") or is_held(self.path)
        return status if alive else "killed"

    def export(self, output: str | Path | None = None, *, uint8: bool = False) -> Any:
        """Deprecated, gone in 0.3: use `ganzoo.export(run)`. Tests in plugins scaffolded by 0.1 call this."""
        return importlib.import_module("ganzoo").export(self, output, uint8=uint8)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.record.get('status')})"


def _json_lines(file: Path) -> list[Any]:
    """The lines of a file that are JSON; a crash may have cut one off. Empty if there is no such file."""
    found: list[Any] = []
    if file.exists():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                found.append(json.loads(line))
    return found


def list_runs(folder: Path) -> list[Run]:
    """The run directories in a folder that can be read, oldest first."""
    if not folder.is_dir():
        return []
    runs = []
    for path in sorted(folder.iterdir()):
        try:
            if (path / "run.json").is_file():
                runs.append(Run.open(path))
        except (UsageError, StorageError, OSError):
            continue
    return sorted(runs, key=lambda run: str(run.record.get("created", "")))


def fresh_path(recipe: str) -> Path:
    """A new path under `runs`, named by time and recipe."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{stamp}-{safe_name(recipe)}-{secrets.token_hex(2)}"


def safe_name(recipe: str) -> str:
    """A recipe's name as part of a path."""
    return re.sub(r"[^a-z0-9.+_-]+", "-", recipe.lower()).strip("-")


def check_free(path: Path) -> None:
    """UsageError when the path has files that a new run would mix with."""
    with storage(path):
        if is_unused(path):
            return
    raise UsageError(
        "The run directory exists and is not empty.",
        where=str(path),
        fix=f"choose another --run-dir, or resume the run: ganzoo train --resume {typed(path)}",
    )


def is_unused(path: Path) -> bool:
    """Whether the path is empty, or has only files of a process that ended before its run started.

    Such a process had locked the folder; files without a lock belong to the user.
    """
    if not path.exists():
        return True
    if not path.is_dir():
        return False
    entries = [entry for entry in path.iterdir() if entry.name != "lost+found"]  # of a fresh file system
    if entries and not (path / ".lock").exists():
        return False
    for entry in entries:
        if entry.name in ("samples", "checkpoints") and entry.is_dir() and not any(entry.iterdir()):
            continue
        incomplete = entry.name == "run.json" and not is_json(entry)
        if entry.name not in _BEFORE_START and not incomplete and not _TEMPORARY.fullmatch(entry.name):
            return False
    return True


def _recovered(path: Path) -> dict[str, Any] | None:
    """The record in the newest checkpoint's manifest; also restores settings.toml."""
    folder = path / "checkpoints"
    for checkpoint in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []:
        manifest = read_manifest(checkpoint)
        record, settings = manifest.get("record"), manifest.get("settings")
        if not isinstance(record, dict) or not isinstance(settings, dict):
            continue
        run = Run(path, {**record, "status": "training", "images": manifest.get("images", 0)})
        run.write_settings(settings)
        return run.record
    return None
