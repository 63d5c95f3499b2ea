"""Checkpoints: one safetensors file and a manifest, written so that a crash leaves the old one.

    checkpoints/000000064000/ state.safetensors  manifest.json

The manifest is written last and holds the size and sha256 of the state, so a folder whose manifest
holds true is a checkpoint, whatever its name: where a rename is not one step, or was never reached,
nothing is lost. The newest such folder is used.
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

FORMAT = 2
STATE = "state.safetensors"

# The format allows a header of 100 MB; ours have some 150 bytes a tensor.
_LARGEST_HEADER = 16 << 20
_NAME = re.compile(r"(?:\.(?:tmp|old)-)?(\d+)")

Kinds = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type ("F32") and shape of each tensor of a file, known before any of them takes memory."""

_UNSOUND = (OSError, ValueError, KeyError, TypeError, OverflowError, SafetensorError)


def on_host(tensors: Mapping[str, Tensor], images: int) -> dict[str, Tensor]:
    """The tensors in the host's memory, in the order of their names. DivergedError for one not finite."""
    host = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    for name, value in host.items():
        if value.is_floating_point() and value.numel() and not _is_finite(value):
            raise DivergedError(
                f"Training diverged: '{name}' is not finite after {images} images; it was not saved."
            )
    return host


def _is_finite(value: Tensor) -> bool:
    """By the extremes, which a NaN takes over: a tenth of the time of asking each number."""
    return all(bool(torch.isfinite(extreme)) for extreme in value.aminmax())


def write_checkpoint(
    folder: Path,
    images: int,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any],
    keep: int,
    score: tuple[str, float] | None = None,
) -> Path:
    """Write one checkpoint, then prune to the newest `keep` and the one with the lowest `score`.

    A score comes with the name of what was measured; only those of the newest name are compared.
    The state's bytes depend on the tensors alone. DivergedError when one is not finite, StorageError
    when the disk does not take it; in both cases older checkpoints are as they were.
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
    """Tensors and manifest of the newest sound checkpoint; damaged ones are passed over aloud.

    `check` sees names, types and shapes before any tensor is read, and raises what is to be said of
    them. UsageError when there is no sound checkpoint.
    """
    for path in reversed(_candidates(folder)):
        try:
            manifest = _verified(path)
        except _UNSOUND as error:
            if path.name.isdigit():  # the others are what a killed process leaves behind
                warn(f"checkpoint {path.name} is damaged and was passed over: {error}")
            continue
        return _tensors(path / STATE, check), manifest
    raise UsageError(
        "There is no sound checkpoint in this run.",
        where=str(folder),
        fix="train again from the run's settings.toml",
    )


def read_one(folder: Path, images: int | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and manifest of the checkpoint after so many images, or of the best when None.

    UsageError when there is none, or when it is damaged.
    """
    there = [path for path in _candidates(folder) if path.name.isdigit()]
    if images is None:
        path = _best(there)
        missing = "No checkpoint of this run has a score."
        fix = "train with --set train.keep_best=min:NAME (or max:NAME), a value of the log"
    else:
        path = next((path for path in there if int(path.name) == images), None)
        missing = f"The run has no checkpoint after {images:,} images."
        fix = f"there are: {', '.join(str(int(path.name)) for path in there) or 'none'}"
    if path is None:
        raise UsageError(missing, where=str(folder), fix=fix)
    try:
        manifest = _verified(path)
    except _UNSOUND as error:
        raise UsageError(f"The checkpoint is damaged: {error}", where=str(path)) from error
    return _tensors(path / STATE, lambda _: None), manifest


def has_sound(folder: Path) -> bool:
    """Whether there is anything to go on from."""
    return any(_is_sound(path) for path in reversed(_candidates(folder)))


def settle(folder: Path, images: int) -> None:
    """Clear up before training goes on after `images`: what a killed process left, and what is damaged.

    A whole checkpoint gets its name. Newer ones were passed over as damaged and would push the sound ones
    out: they are put aside under another name. Only the process that holds the run's lock may do this.
    """
    for path in reversed(_candidates(folder)):
        plain = folder / path.name.rpartition("-")[2]
        with suppress(OSError):
            if path == plain:
                if int(plain.name) > images:
                    aside = folder / f".damaged-{plain.name}"
                    files.disk.remove(aside)
                    files.disk.rename(path, aside)
            elif _is_sound(path) and not _is_sound(plain):
                files.disk.remove(plain)
                files.disk.rename(path, plain)
            else:
                files.disk.remove(path)


def has_any(folder: Path) -> bool:
    """Whether there are checkpoints, sound or not."""
    return any(path.name.isdigit() for path in _candidates(folder))


def _write(target: Path, content: bytes, manifest: bytes) -> None:
    """The folder in full under another name, then under its own. OSError leaves what was there before."""
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
    there = [path for path in _candidates(folder) if path.name.isdigit()]
    stay = {*there[-keep:], _best(there)}
    # What was put aside is of no use once the run has come as far again.
    aside = [path for path in folder.glob(".damaged-*") if path.name[9:] <= there[-1].name]
    for path in (*there, *aside):
        if path not in stay:
            with suppress(OSError):
                files.disk.remove(path)


def _best(paths: list[Path]) -> Path | None:
    scored = [(score, path) for path in paths if (score := read_manifest(path).get("score"))]
    alike = [(value, path) for (name, value), path in scored if name == scored[-1][0][0]]
    return min(alike, default=(0, None))[1]


def _candidates(folder: Path) -> list[Path]:
    """Folders that may be checkpoints, oldest first; of equal ones, that with the plain name last."""
    if not folder.is_dir():
        return []
    matched = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    found = [(int(match[1]), path.name.isdigit(), path.name, path) for match, path in matched if match]
    return [path for *_, path in sorted(found)]


def _is_sound(path: Path) -> bool:
    try:
        _verified(path)
    except _UNSOUND:
        return False
    return True


def _verified(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose state is what the manifest says; ValueError otherwise."""
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
        raise ValueError(f"it holds the state after {manifest['images']} images")
    with safe_open(state, framework="pt") as opened:  # a header that does not fit the file is found here
        opened.keys()
    return {**manifest, "images": int(manifest["images"]), "seconds": float(manifest["seconds"])}


def _tensors(state: Path, check: Callable[[Kinds], None]) -> dict[str, Tensor]:
    with safe_open(state, framework="pt") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
        check({name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()})
        return {name: opened.get_tensor(name).clone() for name in slices}  # not the mapped file itself
