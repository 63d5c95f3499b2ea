"""Dataset `clips:PATH`: animations, videos and folders of frames as clips of one shape."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ganzoo.api import (
    DataError,
    Field,
    ImageFrame,
    ItemSource,
    in_parts,
    keep_cached,
    read_cached,
    read_image_header,
    report_progress,
    silence_pillow,
)
from ganzoo_clips.config import CLIP_AXES, ClipsConfig
from ganzoo_clips.files import ANIMATED, FOLDER_FPS, STILLS, VIDEOS, Reel, measure, read_clip
from ganzoo_datasets.paths import given_path

Row = tuple[str, str, str]

EXPECTS = (
    "a folder with animations (.gif, .webp, .png), videos (.mp4 ...) or folders of frames, or one such file"
)
VERSION = 1
"""Raised with each change after which a file is decoded to other pixels."""

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "test", "valid": "test", "validation": "test",
}  # fmt: skip
_SHOWN = 5


@dataclass(frozen=True)
class _Source:
    """A file or a folder of frames: its path below the root, what is known of it, and what changes with it.

    `reel` is None if it cannot be read; decoding it then says why.
    """

    name: str
    reel: Reel | None
    state: str


@dataclass
class _Found:
    """The sources of one part, and what the user should know.

    `depth`: which folder of a path is its class; `classes` are empty without labels.
    """

    root: Path
    sources: list[_Source]
    depth: int = 0
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Reader:
    """`ItemSource.read`: clip i and its label."""

    root: Path
    places: list[tuple[str, int]]
    frame: ImageFrame
    config: ClipsConfig
    labels: list[int] | None

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
        name, start = self.places[index]
        frames = read_clip(self.root / name, self.frame, start, self.config.frames, self.config.every)
        sample: dict[str, NDArray[Any]] = {"clip": frames.transpose(1, 0, 2, 3)}
        if self.labels is not None:
            sample["label"] = np.asarray(self.labels[index])
        return sample


def open_clips(argument: str, config: ClipsConfig | None = None) -> ItemSource:
    """`clip` (channels, frames, height, width) in -1..1 and, from sub-folders, `label`.

    DataError if there is no clip of that length.
    """
    config = config or ClipsConfig()
    found = _parts(argument, config)
    return _items(found["train"], argument, config, _rate(found["train"], config))


def open_held_out(argument: str, config: ClipsConfig | None = None) -> ItemSource | None:
    """The clips of a folder `test` (or `val`) beside `train`, or None."""
    config = config or ClipsConfig()
    found = _parts(argument, config)
    if not found["test"].sources:
        return None
    classes = found["test"].classes = found["train"].classes
    if classes:
        found["test"].sources = [
            source for source in found["test"].sources if _label(source, found["test"].depth) in classes
        ]
    return _items(found["test"], argument, config, _rate(found["train"], config))


def _parts(argument: str, config: ClipsConfig) -> dict[str, _Found]:
    """The sources to train on, and those that are held out."""
    root = given_path("clips", argument, EXPECTS)
    names = [""] if root.is_file() else list(_names(root))
    if not names:
        raise DataError(
            "The folder has no animations, videos or folders of frames.",
            where=str(root),
            fix=f"PATH is {EXPECTS}",
        )
    sources = _measured(root, names)
    inner = [source.name.split("/") for source in sources]
    part_of = [_PARTS.get(path[0].lower()) if len(path) > 1 else None for path in inner]
    if None in part_of or "train" not in part_of:
        found = {"train": _Found(root, sources), "test": _Found(root, [])}
    else:
        found = {
            part: _Found(
                root, [source for source, own in zip(sources, part_of, strict=True) if own == part], 1
            )
            for part in ("train", "test")
        }
        if found["test"].sources:
            said = f"{len(found['train'].sources):,} of train, {len(found['test'].sources):,} held out"
            found["train"].rows.append(("parts", said, "by the folders train and test"))
    if config.labels:
        _find_classes(found["train"])
    return found


def _find_classes(found: _Found) -> None:
    counts = Counter(_label(source, found.depth) for source in found.sources)
    if "" not in counts and len(counts) > 1:
        found.classes = tuple(sorted(counts))
        said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_SHOWN))
        found.rows.append(("classes", f"{len(counts):,} sub-folders: {said}", ""))


def _label(source: _Source, depth: int) -> str:
    path = source.name.split("/")
    return path[depth] if len(path) > depth + 1 else ""


def _names(root: Path) -> Iterator[str]:
    """Files and folders of frames below the root, in a stable order; the root itself is an empty name."""
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        inner = Path(folder).relative_to(root)
        stills = 0
        for name in sorted(name for name in files if not name.startswith(".")):
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
            if suffix in VIDEOS or (suffix in ANIMATED and _moves(Path(folder) / name)):
                yield (inner / name).as_posix()
            else:
                stills += suffix in STILLS
        if stills > 1:
            yield "" if inner == Path() else inner.as_posix()


def _moves(path: Path) -> bool:
    """Whether a file is an animation; a GIF always is one, of a single frame perhaps."""
    if path.suffix.lower() == ".gif":
        return True
    header = read_image_header(path)
    return header is not None and header.pages > 1


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed is an error; else its clips would be missing silently."""
    raise error


def _measured(root: Path, names: Sequence[str]) -> list[_Source]:
    """What is known of each source. Those that have not changed since the last time are not opened."""
    silence_pillow()
    states = [_state(root / name) for name in names]
    table_name = hashlib.sha256(ascii([VERSION, PIL.__version__, str(root.resolve())]).encode()).hexdigest()
    kept = json.loads(read_cached("clips", table_name) or "{}")
    known: dict[str, Reel | None] = {
        name: Reel(**kept[name][1])
        for name, state in zip(names, states, strict=True)
        if name in kept and kept[name][0] == state
    }
    missing = [name for name in names if name not in known]

    def look(part: range) -> list[Reel | None]:
        return [_looked(root / missing[at]) for at in part]

    done = 0
    for found in in_parts(look, len(missing)):
        for reel in found:
            known[missing[done]] = reel
            done += 1
        report_progress("clips measured", done, len(missing))
    sources = [_Source(name, known[name], state) for name, state in zip(names, states, strict=True)]
    if missing:
        table = {source.name: [source.state, asdict(source.reel)] for source in sources if source.reel}
        keep_cached("clips", table_name, json.dumps(table).encode())
    return sources


def _looked(path: Path) -> Reel | None:
    try:
        return measure(path)
    except (OSError, ValueError):
        return None


def _state(path: Path) -> str:
    """A text that changes when the file, or a file of the folder, does."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in paths if each.exists()]
    return hashlib.sha256(ascii(stats).encode()).hexdigest()[:16]


def _rate(found: _Found, config: ClipsConfig) -> float:
    """Frames a second of the clips: the median of the files' rates."""
    rates = [source.reel.fps for source in found.sources if source.reel and source.reel.fps]
    return float(f"{min(100.0, max(0.01, np.median(rates or [FOLDER_FPS]) / config.every)):.4g}")


def _items(found: _Found, argument: str, config: ClipsConfig, fps: float) -> ItemSource:
    needed = (config.frames - 1) * config.every + 1
    stride = config.stride or config.frames * config.every
    places, labels, keys = [], [], []
    frame = ImageFrame(config.height, config.width, config.channels, config.fit)
    head = hashlib.sha256(json.dumps([VERSION, PIL.__version__, *astuple(frame)]).encode()).hexdigest()[:16]
    for source in found.sources:
        length = needed if source.reel is None else source.reel.frames
        for start in range(0, length - needed + 1, stride):
            places.append((source.name, start))
            labels.append(found.classes.index(_label(source, found.depth)) if found.classes else 0)
            keys.append(
                f"{head} {source.name!a} {source.state} {start} {config.frames} {config.every} {labels[-1]}"
            )
    if not places:
        raise _too_short(found, config, needed)
    _say(found, config, len(places), needed, fps)
    shape = (config.channels, config.frames, config.height, config.width)
    fields = [
        Field(name="clip", shape=shape, kind="clip", axes=CLIP_AXES, range=(-1.0, 1.0), facts={"fps": fps})
    ]
    if found.classes:
        fields.append(Field(name="label", dtype="int64", classes=found.classes))
    return ItemSource(
        fields=tuple(fields),
        items=[f"{name or PurePosixPath(argument).name} [{start}]" for name, start in places],
        read=_Reader(found.root, places, frame, config, labels if found.classes else None),
        fingerprint=hashlib.sha256("\n".join([*keys, str(fields)]).encode()).hexdigest(),
        keys=keys,
        identity=f"clips:{argument}: {len(places):,} clips of {len(found.sources):,} files",
        notes=tuple(found.notes),
        card=tuple(found.rows),
        unfit=tuple(
            (source.name, f"{source.reel.frames} readable frames, but data.frames needs {needed}")
            for source in found.sources
            if source.reel and source.reel.frames < needed
        ),
        files=len(found.sources),
    )


def _too_short(found: _Found, config: ClipsConfig, needed: int) -> DataError:
    longest = max(source.reel.frames for source in found.sources if source.reel)
    what = f"a clip takes {needed} frames" + (
        f" ({config.frames}, one in {config.every})" * (config.every > 1)
    )
    if longest == 1:
        return DataError(
            f"All {len(found.sources):,} files are still images; {what}.",
            where=str(found.root),
            fix="--data folder:PATH trains on images",
        )
    return DataError(
        f"All {len(found.sources):,} files are too short: {what}, the longest has {longest}.",
        where=str(found.root),
        fix=f"--set data.frames={max(2, (longest - 1) // config.every + 1)}"
        + (", or a smaller data.every" if config.every > 1 else ""),
    )


def _say(found: _Found, config: ClipsConfig, clips: int, needed: int, fps: float) -> None:
    """Rows of the data card, and notes of what needs attention."""
    reels = [source.reel for source in found.sources if source.reel is not None]
    endings = [PurePosixPath(source.name or found.root.name).suffix.lower() for source in found.sources]
    kinds = Counter(ending if ending in (*ANIMATED, *VIDEOS) else "folders of frames" for ending in endings)
    said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(_SHOWN))
    lengths = sorted(reel.frames for reel in reels)
    sizes = sorted({(reel.height, reel.width) for reel in reels}, key=lambda size: size[0] * size[1])
    rates = sorted({round(reel.fps, 1) for reel in reels if reel.fps})
    rows: list[Row] = [("files", said, "")]
    if reels:
        spread = f"{lengths[0]:,} to {lengths[-1]:,} frames -> {clips:,} clips of {config.frames}"
        rows.append(("length", spread, f"one frame in {config.every}" if config.every > 1 else ""))
        size = " to ".join(f"{height}x{width}" for height, width in dict.fromkeys((sizes[0], sizes[-1])))
        rows.append(("size", f"{size} -> {config.height}x{config.width} (height x width)", config.fit))
        own = (
            " to ".join(f"{rate:g}" for rate in dict.fromkeys((rates[0], rates[-1]))) if rates else "unknown"
        )
        rows.append(("frames a second", f"{own} -> {fps:g}", "" if rates else "folders do not say"))
    found.rows[:0] = rows
    if rates and rates[-1] > 1.5 * rates[0]:
        found.notes.append(
            f"the rates of the files differ, {rates[0]:g} to {rates[-1]:g} frames a second: all are taken as "
            f"{fps * config.every:g}, so motion is faster in some"
        )
    if uneven := sum(reel.uneven for reel in reels):
        found.notes.append(f"{uneven:,} files have frames that last longer than others: these are repeated")
    if mixed := sum(reel.mixed for reel in reels):
        found.notes.append(
            f"{mixed:,} folders have frames of different sizes: each frame is fitted by itself"
        )
