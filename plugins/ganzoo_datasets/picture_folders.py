"""What the folders of a set of images mean: training and held-out parts, classes, and what is odd."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganzoo.api import counted, ending_of
from ganzoo_datasets.picture_files import Listing, endings
from ganzoo_datasets.picture_ranges import Row

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip
_SIZE = re.compile(r"\d+x\d+(@\d+x?)?|\d+px")
_STRAY = 0.1  # images beside class folders that are left out, as a share of all; more of them forbid labels
_FEW = 10  # images: smaller classes are named
_SHOWN = 8


@dataclass
class Folders:
    """Rows of the listing for training and held out, and the class of each row that has one.

    `classes` are the names of the folders of the training images, sorted; empty without labels.
    """

    training: list[int]
    held_out: list[int]
    labels: dict[int, str]
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def folders_of(listing: Listing, *, labels: bool, dataset: str = "folder", nouns: str = "images") -> Folders:
    """The parts and the classes of the images. `dataset` and `nouns` are for messages.

    Folders `train`, `test` and `val` are parts: the first is trained on, and `test`, or `val` without it, is
    held out. Inside a part, or inside folders that all images share, the first folders are classes.
    """
    paths = [name.split("/") for name in listing.names]
    start = _shared(paths)
    found = _parts(paths, start, dataset)
    _find_classes(found, paths, nouns, labels=labels)
    _say(found, listing)
    return found


def _shared(paths: Sequence[list[str]]) -> int:
    """How many of the outer folders all images share."""
    start = 0
    while all(len(path) > start + 1 and path[start] == paths[0][start] for path in paths):
        start += 1
    return start


def _parts(paths: Sequence[list[str]], start: int, dataset: str) -> Folders:
    rows: dict[str, list[int]] = {"train": [], "test": [], "val": []}
    for row, path in enumerate(paths):
        part = _PARTS.get(path[start].lower()) if len(path) > start + 1 else None
        if part is None:
            break
        rows[part].append(row)
    else:
        if rows["train"] and len(rows["train"]) < len(paths):
            held_out = rows["test"] or rows["val"]
            counts = {part: len(found) for part, found in rows.items() if found}
            said = ", ".join(f"{part} {count:,}" for part, count in counts.items()) + " files"
            left_out = f", {counts['val']:,} of val are left out" if len(counts) == 3 else ""
            held = "test" if rows["test"] else "val"
            # Files: some may be skipped later, and others have several pages.
            found = counted(counts["train"], "file")
            text = f"{found} of train for training, {len(held_out):,} of {held} held out"
            made = Folders(rows["train"], held_out, {})
            made.notes.append(
                f"the folders are parts: {text}{left_out}; for one of them use --data {dataset}:PATH/PART"
            )
            made.rows.append(("parts", said, text + left_out))
            used = (*rows["train"], *held_out)
            depth = _shared([paths[row][start + 1 :] for row in used]) + start + 1
            made.labels = _names(paths, depth, used)
            return made
    return Folders(list(range(len(paths))), [], _names(paths, start, range(len(paths))))


def _names(paths: Sequence[list[str]], depth: int, rows: Sequence[int]) -> dict[int, str]:
    """The name of the folder at that depth of each row that is in one."""
    return {row: paths[row][depth] for row in rows if len(paths[row]) > depth + 1}


def _find_classes(found: Folders, paths: Sequence[list[str]], nouns: str, *, labels: bool) -> None:
    counts = Counter(found.labels[row] for row in found.training if row in found.labels)
    stray = [row for row in found.training if row not in found.labels]
    sizes = all(_SIZE.fullmatch(name.lower()) for name in counts)
    # train/good, test/good, test/scratch: one class is normal, the others are to be found.
    others = {found.labels[row] for row in found.held_out if row in found.labels} - counts.keys()
    one = len(counts) == 1 and bool(others)
    if not labels or (len(counts) < 2 and not one) or sizes:
        if labels and len(counts) > 1:
            found.notes.append(
                f"the folders are named by sizes ({', '.join(sorted(counts)[:4])}, ...), so they are "
                f"no labels; the same {nouns} may be in each, then give one of them as PATH"
            )
        return
    if len(stray) > _STRAY * len(found.training):
        found.notes.append(
            f"no labels: {counted(len(stray), nouns[:-1])} beside the {len(counts):,} folders, such as "
            f"{'/'.join(paths[stray[0]])}; move them into a folder to get labels"
        )
        return
    if stray:
        found.training = [row for row in found.training if row in found.labels]
        found.notes.append(
            f"{counted(len(stray), nouns[:-1])} beside the {len(counts):,} class folders left out, such as "
            f"{'/'.join(paths[stray[0]])}; data.labels=false uses all without labels"
        )
    found.classes = tuple(sorted(counts.keys() | others if one else counts))
    found.held_out = [row for row in found.held_out if found.labels.get(row) in found.classes]
    if one:
        (name,) = counts
        found.notes.append(
            f"all training {nouns} are of the class {name}, held-out ones also of others; --set "
            f"data.only={name} leaves these out"
        )
    _say_classes(found, counts, nouns)
    inner = Counter(
        part for row in found.training for part in paths[row][1:-1] if _SIZE.fullmatch(part.lower())
    )
    if len(inner) > 1:
        found.notes.append(
            f"folders inside the classes are named by sizes ({', '.join(sorted(inner)[:4])}): "
            f"the same {nouns} may be in each"
        )


def _say_classes(found: Folders, counts: Counter[str], nouns: str) -> None:
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_SHOWN)]
    text = ", ".join([*shown, *(["..."] if len(counts) > _SHOWN else [])])
    few = sorted((count, name) for name, count in counts.items() if count < _FEW)
    remark = ""
    if few and max(counts.values()) >= 2 * _FEW:
        remark = ", ".join(f"{name} {count}" for count, name in few[:_SHOWN])
        found.notes.append(
            f"some classes have few {nouns} ({remark}): a conditional GAN copies them, or mixes them up"
        )
    found.rows.append(("classes", f"{len(counts):,} sub-folders: {text}", remark and f"few: {remark}"))


def _say(found: Folders, listing: Listing) -> None:
    kinds = Counter(map(ending_of, listing.names))
    found.rows.insert(0, ("files", endings(kinds), ""))
    if total := listing.others.total():
        found.rows.append(("ignored", f"{total:,}: {endings(listing.others)}", ""))
    if listing.links:
        found.notes.append(
            f"{counted(len(listing.links), 'link')} to folders not followed: "
            f"{', '.join(listing.links[:3])}{', ...' if len(listing.links) > 3 else ''}"
        )
