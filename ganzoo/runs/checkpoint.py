"""Checkpoints: one safetensors file and a manifest. After a crash while writing, the old one remains.

    checkpoints/000000064000/ state.safetensors  manifest.json

The manifest is written last and holds the size and sha256 of the state. A folder whose state fits its
manifest is a valid checkpoint, whatever its name: so nothing is lost if a rename is not atomic or never
happened. The newest such folder is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganzoo.errors import DivergedError, UsageError
from ganzoo.runs.validation import MANIFEST, read_manifest, sealed_manifest
from ganzoo.util import files
from ganzoo.util.files import storage, sync_folder, write_synced
from ganzoo.util.text import counted

FORMAT = 2
STATE = "state.safetensors"

# The format allows a header of 100 MB; ours have about 150 bytes per tensor.
_LARGEST_HEADER = 16 << 20
_NAME = re.compile(r"(?:\.(?:tmp|old)-)?(\d+)")

Kinds = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type ("F32") and shape of each tensor of a file, known before any of them takes memory."""

_INVALID = (OSError, ValueError, KeyError, TypeError, OverflowError, SafetensorError)


def on_host(tensors: Mapping[str, Tensor], images: int) -> dict[str, Tensor]:
    """The tensors in CPU memory, in the order of their names. DivergedError for one that is not finite."""
    host = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    for name, value in host.items():
        if value.is_floating_point() and value.numel() and not _is_finite(value):
            after = counted(images, "sample")
            raise DivergedError(f"Training diverged: '{name}' is not finite after {after}; it was not saved.")
    return host


def _is_finite(value: Tensor) -> bool:
    """Test minimum and maximum, which are NaN if any value is: a tenth of the time of testing each value."""
    return all(bool(torch.isfinite(extreme)) for extreme in value.aminmax())


def write_checkpoint(
    folder: Path,
    images: int,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any],
    keep: int,
    score: tuple[str, float] | None = None,
) -> Path:
    """Write one checkpoint, then remove all but the newest `keep` and the one with the lowest `score`.

    A score has a name; only scores with the newest name are compared. The bytes of the state depend on the
    tensors alone. DivergedError when a tensor is not finite, StorageError when writing fails; in both cases
    older checkpoints are unchanged.
    """
    target, content = folder / f"{images:012d}", save(on_host(tensors, images))
    manifest = {
        "format": FORMAT,
        "images": images,
        "score": score,
        **about,
        "files": {STATE: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }
    with storage(target):
        _write(target, content, sealed_manifest(manifest))
        _prune(folder, keep)
    return target


def read_newest(
    folder: Path,
    warn: Callable[[str], None] = lambda _: None,
    check: Callable[[Kinds], None] = lambda _: None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and manifest of the newest valid checkpoint; damaged ones are skipped with a warning.

    `check` gets names, types and shapes before any tensor is read, and raises an error if they are wrong.
    UsageError when there is no valid checkpoint.
    """
    for path in reversed(_candidates(folder)):
        try:
            manifest = _verified(path)
        except _INVALID as error:
            if path.name.isdigit():  # a killed process leaves folders with other names
                warn(f"checkpoint {path.name} is damaged and was skipped: {error}")
            continue
        return _tensors(path / STATE, check), manifest
    raise UsageError(
        "This run has no valid checkpoint.",
        where=str(folder),
        fix="train again from the run's settings.toml",
    )


def read_one(folder: Path, images: int | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and manifest of the checkpoint after `images` images, or of the best one if None.

    UsageError when there is none, or when it is damaged.
    """
    found = [path for path in _candidates(folder) if path.name.isdigit()]
    if images is None:
        path = _best(found)
        missing = "No checkpoint of this run has a score."
        fix = "train with --set train.keep_best=min:NAME (or max:NAME), where NAME is a value of the log"
    else:
        path = next((path for path in found if int(path.name) == images), None)
        missing = f"The run has no checkpoint after {counted(images, 'sample')}."
        fix = f"its checkpoints are: {', '.join(str(int(path.name)) for path in found) or 'none'}"
    if path is None:
        raise UsageError(missing, where=str(folder), fix=fix)
    try:
        manifest = _verified(path)
    except _INVALID as error:
        raise UsageError(f"The checkpoint is damaged: {error}", where=str(path)) from error
    return _tensors(path / STATE, lambda _: None), manifest


def has_valid(folder: Path) -> bool:
    """Whether there is a valid checkpoint to resume from."""
    return any(_is_valid(path) for path in reversed(_candidates(folder)))


def settle(folder: Path, images: int) -> None:
    """Clean up before training resumes after `images`: leftovers of a killed process, damaged checkpoints.

    A complete checkpoint under a temporary name gets its final name. Newer ones were skipped as damaged
    and would count among the newest that are kept: they are renamed to `.damaged-...`. Only the process that
    holds the run's lock may call this.
    """
    for path in reversed(_candidates(folder)):
        final = folder / path.name.rpartition("-")[2]
        with suppress(OSError):
            if path == final:
                if int(final.name) > images:
                    damaged = folder / f".damaged-{final.name}"
                    files.disk.remove(damaged)
                    files.disk.rename(path, damaged)
            elif _is_valid(path) and not _is_valid(final):
                files.disk.remove(final)
                files.disk.rename(path, final)
            else:
                files.disk.remove(path)


def has_any(folder: Path) -> bool:
    """Whether there are checkpoints, valid or damaged."""
    return any(path.name.isdigit() for path in _candidates(folder))


def _write(target: Path, content: bytes, manifest: bytes) -> None:
    """Write the folder under a temporary name, then rename it. OSError leaves the old one in place."""
    temporary, replaced = (target.with_name(f".{kind}-{target.name}") for kind in ("tmp", "old"))
    try:
        files.disk.remove(temporary)
        temporary.mkdir(parents=True)
        write_synced(temporary / STATE, content)
        write_synced(temporary / MANIFEST, manifest)
        sync_folder(temporary)
        if target.exists():
            files.disk.remove(replaced)
            files.disk.rename(target, replaced)
        files.disk.rename(temporary, target)
        sync_folder(target.parent)
    except OSError:
        with suppress(OSError):
            if replaced.exists() and not target.exists():
                files.disk.rename(replaced, target)
            files.disk.remove(temporary)
        raise
    with suppress(OSError):
        files.disk.remove(replaced)


def _prune(folder: Path, keep: int) -> None:
    """Remove all but the newest and the best. A folder that cannot be removed does no harm."""
    found = [path for path in _candidates(folder) if path.name.isdigit()]
    kept = {*found[-keep:], _best(found)}
    # Damaged checkpoints are useless once the run has again reached the same number of images.
    damaged = [path for path in folder.glob(".damaged-*") if path.name[9:] <= found[-1].name]
    for path in (*found, *damaged):
        if path not in kept:
            with suppress(OSError):
                files.disk.remove(path)


def _best(paths: list[Path]) -> Path | None:
    scored = [(score, path) for path in paths if (score := read_manifest(path).get("score"))]
    comparable = [(value, path) for (name, value), path in scored if name == scored[-1][0][0]]
    return min(comparable, default=(0, None))[1]


def _candidates(folder: Path) -> list[Path]:
    """Folders that may be checkpoints, oldest first; of equal ones, the one with the final name last."""
    if not folder.is_dir():
        return []
    matched = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    found = [(int(match[1]), path.name.isdigit(), path.name, path) for match, path in matched if match]
    return [path for *_, path in sorted(found)]


def _is_valid(path: Path) -> bool:
    try:
        _verified(path)
    except _INVALID:
        return False
    return True


def _verified(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, if the state fits it; ValueError otherwise."""
    manifest = read_manifest(path)
    if not manifest:
        raise ValueError(f"{MANIFEST} is missing or was changed")
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this ganzoo reads {FORMAT}")
    expected, state = manifest["files"][STATE], path / STATE
    size = state.stat().st_size
    if size != expected["bytes"]:
        raise ValueError("the size differs from the manifest")
    with state.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if header > min(size - 8, _LARGEST_HEADER):
            raise ValueError(f"it has a header of {header:,} bytes")
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
            raise ValueError("the checksum differs from the manifest")
    if int(path.name.rpartition("-")[2]) != manifest["images"]:
        raise ValueError(f"it holds the state after {counted(manifest['images'], 'sample')}")
    with safe_open(state, framework="pt") as opened:  # raises for a header that does not fit the file
        opened.keys()
    return {**manifest, "images": int(manifest["images"]), "seconds": float(manifest["seconds"])}


def _tensors(state: Path, check: Callable[[Kinds], None]) -> dict[str, Tensor]:
    with safe_open(state, framework="pt") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
        check({name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()})
        return {name: opened.get_tensor(name).clone() for name in slices}  # not the mapped file itself
