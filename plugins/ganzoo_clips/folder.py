"""Dataset `clips:PATH`: animations, videos and folders of frames as clips of one shape."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
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
    counted,
    ending_of,
    folders_below,
    read_image_header,
    silence_pillow,
)
from ganzoo_clips.config import CLIP_AXES, ClipsConfig
from ganzoo_clips.files import (
    ANIMATED,
    FOLDER_FPS,
    STILLS,
    VIDEOS,
    Reel,
    measure,
    read_clip,
    still_files,
)
from ganzoo_datasets.config import FolderConfig
from ganzoo_datasets.folder_files import Files, no_files
from ganzoo_datasets.measured import measured
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import Listing, facts_of, listing_of, stat_of
from ganzoo_datasets.picture_folders import Folders, folders_of
from ganzoo_datasets.picture_ranges import Ranged, chosen_range, range_of

Row = tuple[str, str, str]

EXPECTS = (
    "a folder with animations (.gif, .webp, .png), videos (.mp4 ...) or folders of frames, or one such file"
)
VERSION = 1
"""Raised with each change after which a file is decoded to other pixels."""

_SHOWN = 5


@dataclass(frozen=True)
class _Source:
    """A file or a folder of frames: its path below the root, what is known of it, and what changes with it.

    `reel` is None if it cannot be read; decoding it then says why.
    """

    name: str
    reel: Reel | None
    state: str


@dataclass(frozen=True)
class _Found:
    """All sources below a path, and what its folders mean."""

    root: Path
    sources: list[_Source]
    folders: Folders
    ranged: Ranged


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
    found = _opened(argument, config)
    source = _items(found, found.folders.training, argument, config)
    return replace(source, notes=(*source.notes, *found.ranged.notes))


def open_held_out(argument: str, config: ClipsConfig | None = None) -> ItemSource | None:
    """The clips of a folder `test` or `val` beside `train`, or None."""
    config = config or ClipsConfig()
    found = _opened(argument, config)
    return _items(found, found.folders.held_out, argument, config) if found.folders.held_out else None


def _opened(argument: str, config: ClipsConfig) -> _Found:
    chosen_range(config.range)
    root = given_path("clips", argument, EXPECTS)
    files = Files(("",), Counter()) if root.is_file() else _files(root)
    names = files.names
    if not names:
        kinds = "animations, videos or folders of frames"
        raise no_files(root, kinds, files.others, files.links, f"PATH is {EXPECTS}")
    folders = folders_of(
        listing_of(root, names, files.links), labels=config.labels, dataset="clips", nouns="clips"
    )
    training = [names[row] for row in folders.training]
    return _Found(root, _measured(root, names), folders, _ranged(root, training, config))


def _ranged(root: Path, names: Sequence[str], config: ClipsConfig) -> Ranged:
    """Which values of the frames in folders become black and white, as in `folder`.

    Animations and videos have 8 bits.
    """
    stills = [
        (PurePosixPath(name) / still).as_posix()
        for name in names
        if (root / name).is_dir()
        for still in still_files(root / name)
    ]
    if not stills:
        return Ranged()
    listing = Listing(root, tuple(stills), tuple(stat_of(root / name) for name in stills), Counter(), ())
    facts = facts_of(listing, all_pages=False, pixels="%" in config.range)
    wanted = FolderConfig(channels=config.channels, range=config.range)
    return range_of(listing, facts, config.channels, wanted, as_pixels=True)


def _files(root: Path) -> Files:
    """Files and folders of frames below the root, in a stable order; the root itself is an empty name."""
    names: list[str] = []
    links: list[str] = []
    others: Counter[str] = Counter()
    for folder in folders_below(root):
        links += map(folder.inner, folder.links)
        stills = 0
        for name in folder.files:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
            if suffix in VIDEOS or (suffix in ANIMATED and _moves(root / folder.inner(name))):
                names.append(folder.inner(name))
            elif suffix in STILLS:
                stills += 1
            else:
                others[ending_of(name)] += 1
        if stills > 1:
            names.append(folder.path)
    return Files(tuple(names), others, tuple(links))


def _moves(path: Path) -> bool:
    """Whether a file is an animation; a GIF always is one, of a single frame perhaps."""
    if path.suffix.lower() == ".gif":
        return True
    header = read_image_header(path)
    return header is not None and header.pages > 1


def _measured(root: Path, names: Sequence[str]) -> list[_Source]:
    """What is known of each source."""
    silence_pillow()
    states = {name: _state(root / name) for name in names}
    depends = ["clips", VERSION, PIL.__version__, str(root.resolve())]
    found = measured(depends, states, lambda name: _looked(root / name), "clips measured")
    return [_Source(name, Reel(**found[name]) if found[name] else None, states[name]) for name in names]


def _looked(path: Path) -> dict[str, Any] | None:
    try:
        return asdict(measure(path))
    except (OSError, ValueError):
        return None


def _state(path: Path) -> str:
    """A text that changes when the file, or a file of the folder, does."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in paths if each.exists()]
    return hashlib.sha256(ascii(stats).encode()).hexdigest()[:16]


def _rate(found: _Found, config: ClipsConfig) -> float:
    """Frames a second of the clips: the median of the training files' rates."""
    reels = [found.sources[row].reel for row in found.folders.training]
    rates = [reel.fps for reel in reels if reel and reel.fps]
    return float(f"{min(100.0, max(0.01, np.median(rates or [FOLDER_FPS]) / config.every)):.4g}")


def _items(found: _Found, rows: list[int], argument: str, config: ClipsConfig) -> ItemSource:
    needed, fps = (config.frames - 1) * config.every + 1, _rate(found, config)
    sources, classes = [found.sources[row] for row in rows], found.folders.classes
    stride = config.stride or config.frames * config.every
    places, labels, keys = [], [], []
    frame = ImageFrame(config.height, config.width, config.channels, config.fit, found.ranged.values)
    head = hashlib.sha256(json.dumps([VERSION, PIL.__version__, *astuple(frame)]).encode()).hexdigest()[:16]
    for row, source in zip(rows, sources, strict=True):
        length = needed if source.reel is None else source.reel.frames
        for start in range(0, length - needed + 1, stride):
            places.append((source.name, start))
            labels.append(classes.index(found.folders.labels[row]) if classes else 0)
            keys.append(
                f"{head} {source.name!a} {source.state} {start} {config.frames} {config.every} {labels[-1]}"
            )
    if not places:
        raise _too_short(found.root, sources, config, needed)
    notes, card = _about(found.root, sources, config, len(places), fps)
    shape = (config.channels, config.frames, config.height, config.width)
    facts = {"fps": fps, **found.ranged.facts}
    fields = [Field(name="clip", shape=shape, kind="clip", axes=CLIP_AXES, range=(-1.0, 1.0), facts=facts)]
    if classes:
        fields.append(Field(name="label", dtype="int64", classes=classes))
    return ItemSource(
        fields=tuple(fields),
        items=[f"{name or PurePosixPath(argument).name} [{start}]" for name, start in places],
        read=_Reader(found.root, places, frame, config, labels if classes else None),
        fingerprint=hashlib.sha256("\n".join([*keys, str(fields)]).encode()).hexdigest(),
        keys=keys,
        identity=f"clips:{argument}: {len(places):,} clips of {len(sources):,} files",
        notes=(*notes, *found.folders.notes),
        card=(
            *card,
            *(found.ranged.rows if found.ranged.facts else ()),
            *(row for row in found.folders.rows if row[0] != "files"),
        ),
        unfit=tuple(
            (source.name, f"{source.reel.frames} readable frames, but data.frames needs {needed}")
            for source in sources
            if source.reel and source.reel.frames < needed
        ),
    )


def _too_short(root: Path, sources: list[_Source], config: ClipsConfig, needed: int) -> DataError:
    longest = max(source.reel.frames for source in sources if source.reel)
    what = f"a clip takes {needed} frames" + (
        f" ({config.frames}, one in {config.every})" * (config.every > 1)
    )
    if longest == 1:
        return DataError(
            f"All {len(sources):,} files are still images; {what}.",
            where=str(root),
            fix="--data folder:PATH trains on images",
        )
    return DataError(
        f"All {len(sources):,} files are too short: {what}, the longest has {longest}.",
        where=str(root),
        fix=f"--set data.frames={max(2, (longest - 1) // config.every + 1)}"
        + (", or a smaller data.every" if config.every > 1 else ""),
    )


def _about(
    root: Path, sources: list[_Source], config: ClipsConfig, clips: int, fps: float
) -> tuple[list[str], list[Row]]:
    """Notes of what needs attention, and rows of the data card."""
    notes: list[str] = []
    reels = [source.reel for source in sources if source.reel is not None]
    endings = [PurePosixPath(source.name or root.name).suffix.lower() for source in sources]
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
    if rates and rates[-1] > 1.5 * rates[0]:
        notes.append(
            f"the rates of the files differ, {rates[0]:g} to {rates[-1]:g} frames a second: all are taken as "
            f"{fps * config.every:g}, so motion is faster in some"
        )
    if uneven := sum(reel.uneven for reel in reels):
        notes.append(
            f"{counted(uneven, 'file')} with frames that last longer than others: these are repeated"
        )
    if mixed := sum(reel.mixed for reel in reels):
        notes.append(
            f"{counted(mixed, 'folder')} with frames of different sizes: each frame is fitted by itself"
        )
    return notes, rows
