"""What the folders of a set of images mean: training and held-out parts, classes, and what is odd."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ganzoo.api import counted, ending_of, read_image_header, silence_pillow, some
from ganzoo_datasets.folder_files import Files, endings
from ganzoo_datasets.picture_files import Listing
from ganzoo_datasets.picture_ranges import Row

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip
_PART = re.compile(
    rf"({'|'.join(sorted(_PARTS, key=len, reverse=True))})"
    r"(?:([-_ ]?[ab])|[-_ ]?(?:set|images|imgs|data|split)|[-_ ]?\d{2,4})?"
)
"""Also trainA and trainB of CycleGAN, training_set and train2017."""

_A, _B = "A", "B"
_SIZE = re.compile(r"\d+x\d+(@\d+x?)?|\d+px")
_NUMBER = re.compile(r"[1-9]\d{0,4}")
_SMALLEST = 8  # pixels: 0 to 7 are numbers of classes, and no folder is opened for them
_GLANCED = 3  # images of each folder whose size is compared with its name
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

    Folders `train`, `test` and `val` at any depth are parts: the first is trained on, and `test`, or `val`
    without it, is held out. Inside or around a part, or inside folders that all images share, the first
    folders are classes.
    """
    paths = [name.split("/") for name in listing.names]
    found = _parts(paths, dataset, nouns)
    _find_classes(found, paths, listing, dataset, nouns, labels=labels)
    _say(found, listing, nouns)
    return found


def _shared(paths: Sequence[list[str]]) -> int:
    """How many of the outer folders all images share."""
    start = 0
    while all(len(path) > start + 1 and path[start] == paths[0][start] for path in paths):
        start += 1
    return start


def _parts(paths: Sequence[list[str]], dataset: str, nouns: str) -> Folders:
    """The images of each part. The rest of a path tells the class: `train/cat` and `cat/train` are equal.

    Folders with such names beside more images of others are classes: `train` may be a vehicle.
    """
    rows: dict[str, list[int]] = {"train": [], "test": [], "val": [], "": []}
    inner: list[list[str]] = []
    sides: dict[str, str] = {}
    named: Counter[str] = Counter()
    for row, path in enumerate(paths):
        at, part = _part_of(path)
        side = "" if at is None else _side_of(path[at])
        rows[part].append(row)
        inner.append(path if at is None else [*path[:at], *([side] if side else []), *path[at + 1 :]])
        if at is not None:
            named[path[at]] += 1
            if side:
                sides[path[at]] = side
    outside, everything = rows[""], list(range(len(paths)))
    within = len(paths) - len(outside)
    several = sum(bool(rows[part]) for part in ("train", "test", "val")) > 1
    if not several or within < len(outside):
        found = Folders(everything, [], _names(paths, _shared(paths), everything))
        if outside and (classes := sorted(named.keys() & set(found.labels.values()))):
            found.notes.append(
                f"{' and '.join(classes)} among other folders: taken as classes; for that part alone use "
                f"--data {dataset}:PATH/{classes[0]}"
            )
        return found
    if not rows["train"]:
        used = sorted([*rows["test"], *rows["val"]])
        made = Folders(used, [], {})
        count = counted(len(used), nouns[:-1])
        text = f"there is no folder train, so {count} of test and val are trained on, and none held out"
    else:
        held = "test" if rows["test"] else "val"
        made = Folders(rows["train"], rows[held], {})
        used = [*made.training, *made.held_out]
        # Files: some may be skipped later, and others have several pages.
        count = counted(len(made.training), "file")
        text = f"{count} of train for training, {len(made.held_out):,} of {held} held out"
        if held == "test" and rows["val"]:
            text += f", {len(rows['val']):,} of val are left out"
    if outside:
        text += f", {len(outside):,} outside of the parts left out, such as {'/'.join(paths[outside[0]])}"
    counts = ", ".join(f"{part} {len(rows[part]):,}" for part in ("train", "test", "val") if rows[part])
    made.notes.append(f"the folders are parts: {text}; for one of them use --data {dataset}:PATH/PART")
    made.rows.append(("parts", f"{counts} files", text))
    if {_A, _B} <= {side for name, side in sides.items() if part_name(name) == "train"}:
        made.notes.append(
            "this is the layout of CycleGAN, two kinds of images; to translate between them: "
            f"ganzoo train cyclegan --data unpaired:PATH {unpaired_options(sides)}"
        )
    made.labels = _names(inner, _shared([inner[row] for row in used]), used)
    return made


def has_parts(names: Sequence[str], *, files: bool = False) -> bool:
    """Whether some of these paths are in folders `train`, others in `test` or `val`.

    With `files` also files that are called so: train.csv.
    """
    found = set()
    for name in names:
        folder, _, file = name.rpartition("/")
        found.add(_part_of([*folder.split("/"), file.partition(".")[0] if files else "", ""])[1])
    return "train" in found and len(found - {""}) > 1


def _part_of(path: Sequence[str]) -> tuple[int | None, str]:
    """The first folder that is a part, and which."""
    for at, name in enumerate(path[:-1]):
        if part := part_name(name):
            return at, part
    return None, ""


def part_name(name: str) -> str:
    """`train`, `test` or `val` for the name of a folder that is a part; empty for others."""
    match = _PART.fullmatch(name.lower())
    return _PARTS[match[1]] if match else ""


def _side_of(name: str) -> str:
    """`A` of trainA, which are the images of one of two kinds."""
    match = _PART.fullmatch(name.lower())
    return (match[2] or "").strip("-_ ").upper() if match else ""


def unpaired_options(names: Iterable[str]) -> str:
    """The options of `unpaired` and `pairs` for folders trainA, trainB, testA, testB; "" for others."""
    keys = {("train", _A): "a", ("train", _B): "b", ("test", _A): "test_a", ("test", _B): "test_b"}
    found = {keys.get((part_name(name), _side_of(name)), ""): name for name in names}
    if not {"a", "b"} <= found.keys():
        return ""
    return " ".join(
        f"--set {shlex.quote(f'data.{key}={found[key]}')}" for key in keys.values() if key in found
    )


def _names(paths: Sequence[list[str]], depth: int, rows: Sequence[int]) -> dict[int, str]:
    """The name of the folder at that depth of each row that is in one."""
    return {row: paths[row][depth] for row in rows if len(paths[row]) > depth + 1}


def _find_classes(
    found: Folders, paths: Sequence[list[str]], listing: Listing, dataset: str, nouns: str, *, labels: bool
) -> None:
    counts = Counter(found.labels[row] for row in found.training if row in found.labels)
    stray = [row for row in found.training if row not in found.labels]
    within: dict[str, list[int]] = {}
    for row in found.training:
        if row in found.labels:
            within.setdefault(found.labels[row], []).append(row)
    sizes = len(counts) > 1 and _are_sizes(within, listing)
    # train/good, test/good, test/scratch: one class is normal, the others are to be found.
    others = {found.labels[row] for row in found.held_out if row in found.labels} - counts.keys()
    one = len(counts) == 1 and bool(others)
    if not labels or (len(counts) < 2 and not one) or sizes:
        if labels and len(counts) > 1:
            names = sorted(counts, key=_side)
            found.notes.append(
                f"the folders are named by sizes ({some(names, 4)}), so they are no labels; "
                + _repeated(names, within, paths, found.held_out, dataset, nouns)
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
    inner: dict[str, list[int]] = {}
    for row in found.training:
        for part in paths[row][1:-1]:
            if part != found.labels[row]:
                inner.setdefault(part, []).append(row)
    sized = [name for name, rows in inner.items() if _are_sizes({name: rows}, listing)]
    if len(sized) > 1:
        found.notes.append(
            f"folders inside the classes are named by sizes ({some(sorted(sized, key=_side), 4)}): "
            f"the same {nouns} may be in each"
        )


def _side(name: str) -> int:
    """The first number in the name of a folder."""
    return int((re.match(r"\d+", name) or ["0"])[0])


def _are_sizes(within: Mapping[str, list[int]], listing: Listing) -> bool:
    """Whether all folders are named by sizes: 32x32, 32px, or 32 if its images have a side of 32 pixels.

    `within` has the rows in each folder. Numbers alone are often classes, so images tell.
    """
    if not all(_SIZE.fullmatch(name.lower()) or _NUMBER.fullmatch(name) for name in within):
        return False
    silence_pillow()
    for name, rows in within.items():
        if _SIZE.fullmatch(name.lower()):
            continue
        side = int(name)
        looked = rows[:: max(1, len(rows) // _GLANCED)][:_GLANCED] if side >= _SMALLEST else []
        headers = [read_image_header(listing.root / listing.names[row]) for row in looked]
        if not headers or not all(one and side in (one.height, one.width) for one in headers):
            return False
    return True


def _repeated(
    names: Sequence[str],
    within: Mapping[str, list[int]],
    paths: Sequence[list[str]],
    held_out: Sequence[int],
    dataset: str,
    nouns: str,
) -> str:
    """Whether folders of sizes have files of the same names, and what to give for one size."""
    depths = {name: paths[rows[0]].index(name) for name, rows in within.items()}
    inside = [
        _without_endings({"/".join(paths[row][depths[name] + 1 :]) for row in within[name]}) for name in names
    ]
    last = names[-1]
    one = paths[within[last][0]][: depths[last] + 1]
    # train/64 has no part test, but 64 has it in 64/train and 64/test.
    lost = held_out and not any(paths[row][: len(one)] == one for row in held_out)
    without = f", which has none of the held-out {nouns}" if lost else ""
    if any(files != inside[0] for files in inside):
        return f"the same {nouns} may be in each, then give one of them as PATH{without}"
    count, path = len(inside[0]), shlex.quote(f"{dataset}:PATH/{'/'.join(one)}")
    same = f"{nouns} of the same {count:,} names" if count > 1 else f"one {nouns[:-1]} of the same name"
    return f"each has {same}, all are trained on; for one size of them use --data {path}{without}"


def _without_endings(files: set[str]) -> set[str]:
    """The names without endings; unchanged where these tell files apart: DICOM files may end in .1, .2."""
    stems = {os.path.splitext(file)[0] for file in files}  # noqa: PTH122
    return stems if len(stems) == len(files) else files


def _say_classes(found: Folders, counts: Counter[str], nouns: str) -> None:
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_SHOWN)]
    text = ", ".join([*shown, *(["..."] if len(counts) > _SHOWN else [])])
    few = sorted((count, name) for name, count in counts.items() if count < _FEW)
    remark = ""
    if few:
        remark = ", ".join(
            [f"{name} {count}" for count, name in few[:_SHOWN]] + ["..."] * (len(few) > _SHOWN)
        )
        which = "all" if len(few) == len(counts) else f"{len(few):,} of"
        found.notes.append(
            f"{which} {len(counts):,} classes have fewer than {_FEW} {nouns} ({remark}): a conditional GAN "
            "copies them, or mixes them up; data.labels=false trains without classes"
        )
    found.rows.append(("classes", f"{len(counts):,} sub-folders: {text}", remark and f"few: {remark}"))


def _say(found: Folders, listing: Listing, nouns: str) -> None:
    kinds = Counter(map(ending_of, listing.names))
    found.rows.insert(0, ("files", endings(kinds), ""))
    if total := listing.others.total():
        found.rows.append(("ignored", f"{total:,}: {endings(listing.others)}", ""))
    found.notes += Files(listing.names, listing.others, listing.links).notes(nouns)
