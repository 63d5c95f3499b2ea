"""The dataset `volumes`: which volumes, which shape, which range of values, which labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, Field, ItemSource, SettingsError, in_parts
from ganzoo_datasets.folder_files import files_with, no_files
from ganzoo_datasets.paths import given_path
from ganzoo_datasets.picture_files import listing_of
from ganzoo_datasets.picture_folders import Folders, folders_of
from ganzoo_volumes.config import VolumesConfig
from ganzoo_volumes.files import Unread, VolumeFile, found_volumes, links_below
from ganzoo_volumes.media import AXES
from ganzoo_volumes.sizes import Shape, Spacing, fitted

EXPECTS = (
    "a folder of volumes (NIfTI, DICOM series, TIFF stacks, .npy), in sub-folders or not, or one such file"
)
USUAL = 32  # voxels of a side
SHARES = (0.0, 0.01, 0.5, 0.99, 1.0)  # of a volume's values that are looked at
_FORMAT = 1  # raised with each change after which a volume is decoded to other values
_SAMPLED = 1 << 18
_REASONS = 3
_ENOUGH = 0.01  # relative differences of voxel sizes that nobody needs to know


@dataclass(frozen=True)
class _Opened:
    volumes: list[VolumeFile]
    unread: list[Unread]
    folders: Folders
    field: Field
    fit: str
    notes: tuple[str, ...]
    card: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class _Reader:
    """`ItemSource.read`: the fields of volume i by name."""

    volumes: list[VolumeFile]
    field: Field
    fit: str
    labels: list[int] | None

    def __call__(self, index: int) -> dict[str, NDArray[Any]]:
        volume = self.volumes[index]
        low, high = self.field.original or (0.0, 1.0)
        _, *shape = self.field.shape
        values = volume.values()
        if values.dtype.kind == "f":
            if not np.isfinite(values).any():
                raise ValueError("it has no finite value")
            values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        made, _ = fitted(values, volume.spacing, (shape[0], shape[1], shape[2]), self.fit, low)
        dtype = np.dtype(self.field.facts["values"])
        if dtype.kind == "f":
            made = ((made.astype(np.float64) - low) * (2 / (high - low)) - 1).clip(-1, 1).astype(np.float32)
        else:
            made = np.rint(made).clip(low, high).astype(dtype)
        sample: dict[str, NDArray[Any]] = {"volume": made[None]}
        return sample if self.labels is None else {**sample, "label": np.asarray(self.labels[index])}


def open_volumes(argument: str, config: VolumesConfig | None = None) -> ItemSource:
    """`volume` (1, depth, height, width) in -1..1 and, from sub-folders, `label`.

    DataError if there is no volume, SettingsError for impossible options.
    """
    found = _opened(argument, config or VolumesConfig())
    return _source(found, argument, found.folders.training, found.notes, found.card)


def open_held_out(argument: str, config: VolumesConfig | None = None) -> ItemSource | None:
    """The volumes of a folder `test` or `val` beside `train`, in the shape of the others, or None."""
    found = _opened(argument, config or VolumesConfig())
    return _source(found, argument, found.folders.held_out) if found.folders.held_out else None


def _opened(argument: str, config: VolumesConfig) -> _Opened:
    root = given_path("volumes", argument, EXPECTS)
    volumes, unread = found_volumes(root, str(config.frame))
    if not volumes:
        reasons = "; ".join(f"{bad.name}: {bad.why}" for bad in unread[:_REASONS])
        if not reasons and root.is_dir():
            files = files_with(root, ())
            raise no_files(root, "volumes", files.others, files.links, f"PATH is {EXPECTS}")
        raise DataError(
            "There is no volume that can be read.", where=reasons or str(root), fix=f"PATH is {EXPECTS}"
        )
    links = links_below(root) if root.is_dir() else []
    listing = listing_of(root, [volume.name for volume in volumes], links)
    folders = folders_of(listing, labels=config.labels, dataset="volumes", nouns="volumes")
    training = [volumes[row] for row in folders.training]
    shapes = Counter(volume.shape for volume in training)
    shape = config.sides or _usual(shapes)
    dtype = _dtype(volume.dtype for volume in training)
    low, high, window = _range(training, config.range, dtype)
    if dtype != "float32":
        dtype = _smallest(low, high)
    spacing, differ = _spacing(training, shape, config.fit, low)
    units = Counter(volume.units for volume in training).most_common(1)[0][0]
    field = Field(
        name="volume",
        shape=(1, *shape),
        kind="volume",
        axes=AXES,
        range=(-1.0, 1.0),
        original=(low, high),
        facts={"values": dtype, "spacing": list(spacing), "units": units, "window": list(window)},
    )
    notes = []
    if differ:
        notes.append(
            "voxels have different sizes in the files; generated ones get the median: " + _text(spacing)
        )
    card = (
        *folders.rows,
        ("size", f"{_shapes(shapes)} -> {'x'.join(map(str, shape))} (depth x height x width)", config.fit),
        ("voxels", f"{_text(spacing)} {units}", "different in the files" if differ else ""),
        ("values", f"{dtype}, {low:g}..{high:g} become -1..1", config.range),
    )
    return _Opened(volumes, unread, folders, field, config.fit, (*notes, *folders.notes), card)


def _source(
    found: _Opened,
    argument: str,
    rows: list[int],
    notes: tuple[str, ...] = (),
    card: tuple[tuple[str, str, str], ...] = (),
) -> ItemSource:
    volumes, classes = [found.volumes[row] for row in rows], found.folders.classes
    fields, labels = [found.field], None
    if classes:
        fields.append(Field(name="label", dtype="int64", classes=classes))
        labels = [classes.index(found.folders.labels[row]) for row in rows]
    stamps = [
        (volume.name, volume.frame, [(file.stat().st_size, file.stat().st_mtime_ns) for file in volume.files])
        for volume in volumes
    ]
    return ItemSource(
        fields=tuple(fields),
        items=[_item(volume) for volume in volumes],
        read=_Reader(volumes, found.field, found.fit, labels),
        fingerprint=repr(("volumes", _FORMAT, found.fit, found.field, labels, stamps)),
        identity=f"volumes:{Path(argument).name}, {len(volumes):,} volumes",
        notes=notes,
        card=card,
        damaged=tuple((bad.name, bad.why) for bad in found.unread if bad.damaged),
        unfit=tuple((bad.name, bad.why) for bad in found.unread if not bad.damaged),
        files=sum(len(volume.files) for volume in found.volumes) + len(found.unread),
    )


def _item(volume: VolumeFile) -> str:
    return volume.name if volume.frame is None else f"{volume.name} [{volume.frame}]"


def _usual(shapes: Counter[Shape]) -> Shape:
    only = next(iter(shapes))
    return only if len(shapes) == 1 and max(only) <= USUAL else (USUAL, USUAL, USUAL)


def _shapes(shapes: Counter[Shape]) -> str:
    first = "x".join(map(str, next(iter(shapes))))
    return first if len(shapes) == 1 else f"{len(shapes):,} sizes, such as {first}"


def _text(spacing: Sequence[float]) -> str:
    return " x ".join(f"{step:.3g}" for step in spacing)


def _dtype(types: Any) -> str:
    return "float32" if "float32" in set(types) else "int32"


def _smallest(low: float, high: float) -> str:
    for name in ("uint8", "uint16", "int16"):
        info = np.iinfo(name)
        if info.min <= low and high <= info.max:
            return name
    return "int32"


def _spacing(volumes: list[VolumeFile], shape: Shape, fit: str, low: float) -> tuple[Spacing, bool]:
    """The median distances of voxels of the samples, and whether those of the files differ."""
    found = []
    for volume in volumes:
        extent = [size * step for size, step in zip(volume.shape, volume.spacing, strict=True)]
        steps = [length / size for length, size in zip(extent, shape, strict=True)]
        found.append({"crop": volume.spacing, "resample": steps, "pad": [max(steps)] * 3}[fit])
    spacing = np.median(found, axis=0)
    differ = bool((np.ptp(found, axis=0) > _ENOUGH * spacing).any())
    return (float(spacing[0]), float(spacing[1]), float(spacing[2])), differ


def _range(volumes: list[VolumeFile], option: str, dtype: str) -> tuple[float, float, tuple[float, float]]:
    """The lowest and the highest value, and those that previews show as black and white."""
    windows = [volume.window for volume in volumes if volume.window]
    if option == "window":
        if not windows:
            raise DataError("No DICOM header has a window.", where="data.range=window", fix="data.range=auto")
        option = ",".join(f"{value:g}" for value in np.median(windows, axis=0))
    match = re.fullmatch(r"\s*([-+.\deE]+)(%?)\s*,\s*([-+.\deE]+)(%?)\s*", option)
    try:
        if option != "auto" and (match is None or match[2] != match[4]):
            raise ValueError
        ends = None if match is None else (float(match[1]), float(match[3]))
        if ends is not None and not (ends[0] < ends[1] and (not match or not match[2] or ends[1] <= 100)):
            raise ValueError
    except ValueError:
        raise SettingsError(
            f"'{option}' is no range of values.",
            where="data.range",
            fix="auto, window, two values such as -160,240, or two percentages such as 1%,99%",
        ) from None
    fixed = ends if match is not None and not match[2] else None
    shares = SHARES if ends is None or fixed else (ends[0] / 100, 0.01, 0.5, 0.99, ends[1] / 100)
    levels = np.concatenate(
        list(in_parts(lambda part: _levels([volumes[at] for at in part], shares), len(volumes)))
    )
    if not len(levels):
        raise DataError(
            "No volume can be read.",
            where="; ".join(f"{volume.name}: {_why(volume)}" for volume in volumes[:_REASONS]),
            fix="repair these files, or copy them again from where they came",
        )
    if fixed is not None:
        _check_chosen(levels, *fixed)
        return fixed[0], fixed[1], fixed
    low, high = (
        (levels[:, 0].min(), levels[:, -1].max()) if ends is None else np.median(levels[:, [0, -1]], axis=0)
    )
    if dtype != "float32":
        low, high = np.floor(low), np.ceil(high)
    if not low < high:
        high = low + 1
    shown = np.median(windows, axis=0) if windows else np.median(levels[:, [1, 3]], axis=0)
    bottom, top = (float(value) for value in np.clip(shown, low, high))
    return float(low), float(high), (bottom, top) if bottom < top else (float(low), float(high))


def _check_chosen(levels: NDArray[np.float64], low: float, high: float) -> None:
    """SettingsError for a range in which no volume has a value: all samples would be the same."""
    first, last = levels[:, 0].min(), levels[:, -1].max()
    if last <= low or first >= high:
        raise SettingsError(
            f"No volume has values inside of {low:g}..{high:g}: they are {first:g}..{last:g}. "
            "All samples would be the same.",
            where="data.range",
            fix="auto, or two values between these",
        )


def _why(volume: VolumeFile) -> str:
    """Why a volume gives no values."""
    try:
        volume.values()
    except Exception as error:
        return f"{error}" or type(error).__name__
    return "it has no finite value"


def _levels(volumes: Sequence[VolumeFile], shares: Sequence[float]) -> NDArray[np.float64]:
    """The values at these shares of each volume that can be read; the first and last of 0 and 1 are exact."""
    rows = []
    for volume in volumes:
        try:
            values = volume.values().ravel()
        except Exception:  # noqa: S112  (decoding it will say why)
            continue
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if values.size:
            row = np.quantile(values[:: max(1, values.size // _SAMPLED)].astype(np.float64), shares)
            if tuple(shares) == SHARES:
                row[0], row[-1] = values.min(), values.max()
            rows.append(row)
    return np.array(rows).reshape(-1, len(shares))
