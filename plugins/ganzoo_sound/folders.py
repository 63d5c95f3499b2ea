"""A folder of sound files -> clips of one rate and length: read, resampled, cut, split, and described."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, counted, report_progress
from ganzoo_datasets.folder_files import files_with, no_files
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import listing_of
from ganzoo_datasets.picture_folders import folders_of
from ganzoo_sound.config import SoundConfig
from ganzoo_sound.files import ENDINGS, Floats, levels_of, mixed, opened, read_sound, resampled
from ganzoo_sound.toys import KINDS, RATE, toy_sounds

Array = NDArray[Any]
Row = tuple[str, str, str]

SHORTEST = 0.005  # seconds: a shorter file is no sound
FEW = 5  # files, of fewer the last windows are held out
TOY, TOYS = "toy", 400  # the name and the number of made-up sounds
SILENT = "it is silent"


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips (n, C, T) as 16-bit levels, their classes, and what was found."""

    levels: NDArray[np.int16]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    rate: int
    identity: str
    notes: tuple[str, ...] = ()
    card: tuple[Row, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    files: int = 0


class UnfitError(ValueError):
    """A sound file that is not damaged, but has nothing to learn from."""


@dataclass(frozen=True)
class Split:
    """The clips to train on, and the held-out ones."""

    training: Clips
    held_out: Clips | None


@dataclass
class Found:
    """What was found while files were read; times in seconds, `rates` those of the files that are used."""

    rates: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    used: float = 0.0
    windows: int = 0
    silent: int = 0
    padded: int = 0
    short: int = 0
    clipped: int = 0


def clips_of(name: str, argument: str, config: SoundConfig) -> Split:
    """The clips of a folder or a file. DataError for a path without sound, and if no clip remains."""
    path = Path(argument).expanduser()
    if path.name == TOY and not path.exists():
        return _made_up(config)
    path = given_path(name, argument, f"a folder of sound files, or {TOY} for made-up sounds")
    listed = files_with(path, ENDINGS)
    files = tuple(path / file if file else path for file in listed.names)
    if not files:
        fix = f"known file endings: {', '.join(ENDINGS)}"
        raise no_files(path, "sound files", listed.others, listed.links, fix)
    stamps = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _read_all(name, path, files, stamps, tuple(listed.notes("sounds")), config)


def _made_up(config: SoundConfig) -> Split:
    rate = config.rate or RATE

    def part(count: int, seed: int, what: str) -> Clips:
        sounds, labels = toy_sounds(count, config.length, rate, seed)
        levels = levels_of(sounds.astype(np.float32).repeat(config.channels, axis=1))
        return Clips(
            levels=levels,
            labels=labels,
            classes=KINDS if config.labels else (),
            rate=rate,
            identity=f"{count} made-up {what}, {config.length:,} samples at {rate:,} Hz, seed {config.seed}",
        )

    return Split(
        part(TOYS, 2 * config.seed, "sounds"), part(TOYS // 4, 2 * config.seed + 1, "held-out sounds")
    )


@lru_cache(maxsize=1)  # the held-out part comes from the same files
def _read_all(
    dataset: str,
    path: Path,
    files: tuple[Path, ...],
    stamps: object,
    listed: tuple[str, ...],
    config: SoundConfig,
) -> Split:
    rates, damaged = _rates(files)
    rate = config.rate or (Counter(rates.values()).most_common(1)[0][0] if rates else 0)
    folder = path if path.is_dir() else path.parent
    unfit: dict[Path, str] = {}
    found, clips, owners = Found(), [], []
    for at, file in enumerate(files):
        report_progress("sound files read", at, len(files))
        if file in damaged:
            continue
        try:
            parts = _windows(file, rate, config, found)
        except ValueError as error:
            (unfit if isinstance(error, UnfitError) else damaged)[file] = str(error)
            continue
        found.rates[rates[file]] += bool(parts)
        clips += parts
        owners += [at] * len(parts)
    if not clips:
        raise _nothing(path, files, damaged | unfit, config)
    levels = np.stack(clips)
    used, owner = np.unique(owners, return_inverse=True)  # the files that have clips, and that of each clip
    names = [files[at].relative_to(folder).as_posix() for at in used]
    folders = folders_of(listing_of(folder, names), labels=config.labels, dataset=dataset, nouns="sounds")
    number = {name: value for value, name in enumerate(folders.classes)}
    labels = np.array([number.get(folders.labels.get(at, ""), 0) for at in range(len(used))])[owner]
    trained = np.isin(owner, folders.training)
    held_out = np.isin(owner, folders.held_out) if folders.held_out else trained & _held_out(owner, config)
    notes = (*_notes(found, config), *folders.notes, *listed)
    card = (
        *_card(found, rate, len(levels), config),
        ("held out", counted(int(held_out.sum()), "sound"), "for evaluation"),
        *folders.rows,
    )

    def part(rows: Array, what: str) -> Clips:
        return Clips(
            levels=levels[rows],
            labels=labels[rows],
            classes=folders.classes,
            rate=rate,
            identity=f"{path.name}: {rows.sum():,} {what}of {config.length:,} samples at {rate:,} Hz",
            notes=notes,
            card=card,
            damaged=_named(damaged, folder),
            unfit=_named(unfit, folder),
            files=len(files),
        )

    kept = part(held_out, "held-out sounds ") if held_out.any() else None
    return Split(part(trained & ~held_out, "sounds "), kept)


def _rates(files: tuple[Path, ...]) -> tuple[dict[Path, int], dict[Path, str]]:
    """The rates of the files, and the reasons for files that cannot be opened."""
    rates, damaged = {}, {}
    for at, file in enumerate(files):
        report_progress("sound files found", at, len(files))
        try:
            with opened(file) as sound:
                rates[file] = int(sound.samplerate)
        except ValueError as error:
            damaged[file] = str(error)
    return rates, damaged


def _windows(file: Path, rate: int, config: SoundConfig, found: Found) -> list[NDArray[np.int16]]:
    """The clips of a file, (C, length) each. ValueError for a file that has none."""
    values, own = read_sound(file)
    if values.shape[1] < max(2, SHORTEST * own):
        raise UnfitError("it is shorter than 5 milliseconds")
    values = resampled(mixed(values, config.channels), own, rate)
    top = float(np.abs(values).max())
    if top < config.quietest:
        raise UnfitError(SILENT)
    if config.peak and top > 0:
        values = values * np.float32(config.peak / top)
    elif top > 1:
        found.clipped += 1
    found.seconds += values.shape[1] / rate
    kept = []
    for window in _cut(values, config):
        found.windows += 1
        if np.abs(window).max() < config.quietest:
            found.silent += 1
            continue
        missing = config.length - window.shape[1]
        found.padded += missing > 0
        found.short += 2 * missing > config.length
        found.used += window.shape[1] / rate
        kept.append(levels_of(np.pad(window, ((0, 0), (0, missing)))))
    return kept


def _cut(values: Floats, config: SoundConfig) -> list[Floats]:
    """Windows of a file (C, T); the last may be shorter than the others, and is there if it is half full."""
    length, step = config.length, config.step or config.length
    if config.clips == "whole" or values.shape[1] <= length:
        return [values[:, :length]]
    parts = [values[:, at : at + length] for at in range(0, values.shape[1], step)]
    return [part for part in parts if 2 * part.shape[1] >= length]


def _held_out(owner: Array, config: SoundConfig) -> NDArray[np.bool_]:
    """Which clips are held out: those of some files; of fewer than five files the last ones of each."""
    files, kept = np.unique(owner), np.zeros(len(owner), bool)
    if config.held_out == 0:
        return kept
    if len(files) >= FEW:
        random = np.random.Generator(np.random.PCG64(config.seed))
        chosen = random.permutation(files)[: max(1, round(config.held_out * len(files)))]
        return np.isin(owner, chosen)
    for file in files:
        rows = np.flatnonzero(owner == file)
        kept[rows[len(rows) - int(config.held_out * len(rows)) :]] = True
    return kept


def _nothing(path: Path, files: tuple[Path, ...], skipped: dict[Path, str], config: SoundConfig) -> DataError:
    reasons = Counter(skipped.values())
    silent = config.quietest > 0 and (not reasons or SILENT in reasons)
    said = "; ".join(f"{count:,} of {len(files):,} files: {text}" for text, count in reasons.most_common(3))
    keep = f"--set data.quietest=0 keeps silence (now below {config.quietest:g})"
    return DataError(
        "No sound can be used.",
        where=f"{path}: {said or 'all windows are silent'}",
        fix=keep if silent else "other files",
    )


def _named(reasons: dict[Path, str], folder: Path) -> tuple[tuple[str, str], ...]:
    return tuple((str(file.relative_to(folder)), why) for file, why in reasons.items())


def _notes(found: Found, config: SoundConfig) -> tuple[str, ...]:
    notes = []
    if found.clipped:
        notes.append(
            f"{counted(found.clipped, 'file')} beyond -1..1, clipped; --set data.peak=0.95 scales instead"
        )
    if found.short > (found.windows - found.silent) / 2:
        notes.append(
            f"{found.short:,} of {found.windows - found.silent:,} sounds fill less than half of "
            f"{config.length:,} samples, and silence was added: a smaller data.length may fit better"
        )
    return tuple(notes)


def _card(found: Found, rate: int, count: int, config: SoundConfig) -> tuple[Row, ...]:
    listed = ", ".join(f"{own:,} Hz ({many:,})" for own, many in found.rates.most_common(4))
    listed += f" and {len(found.rates) - 4:,} others" if len(found.rates) > 4 else ""
    away = max(0.0, 1 - found.used / found.seconds) if not config.step else 0.0
    return (
        ("sound files", f"{found.rates.total():,}", f"{found.seconds / 60:.1f} minutes"),
        ("rates", listed, f"used: {rate:,} Hz" + ", the others resampled" * (set(found.rates) != {rate})),
        ("sounds", f"{count:,} of {config.length:,} samples", f"{config.length / rate:.2f} s each"),
        ("silent windows", f"{found.silent / found.windows:.1%}", "left out"),
        ("padded", f"{found.padded / count:.1%}", "with silence at the end"),
        ("cut away", f"{away:.1%}", "of the time: silence, and ends of files"),
    )
