"""Checks of media: previews, and files that are written and read back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganzoo.api.media import as_floats
from ganzoo.fields import Field
from ganzoo.registry.kinds import Kinds
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.data_targets import MediaTarget
from ganzoo.testing.evidence import FIELDS, Array

EXACT, LOSSY = 0.02, 0.3
"""Mean error of values that were read back, as a share of their span: in the usual file, in any other one.

Rounding to 8 bits costs 0.002. A .jpg has no alpha, which costs 0.22; upside down would be 0.5."""


@check("media")
def knows_its_fields(target: MediaTarget) -> None:
    """It accepts some field, refuses others by ValueError only, and accepts each one that it claims."""
    for field, _ in target.samples:
        demand(bool(target.media.describe(field).strip()), f"It does not describe {field.shape}.")
    for field in FIELDS:
        if target.media.claims(field):
            Kinds(target.registry).assign([field])  # DataError says what it claims and then refuses


@check("media", "knows-its-fields")
def previews_are_files(target: MediaTarget) -> None:
    """A preview of many samples, of one, of extreme values and of other sizes has content of its type."""
    kinds = Kinds(target.registry)
    for at, (field, samples) in enumerate(target.cases()):
        preview = kinds.preview(field, samples)
        if preview is None:
            raise NotApplicable("it has no previews")
        shown = f"The preview ({preview.suffix}) of {len(samples)} samples of shape {samples.shape[1:]}"
        demand(bool(preview.data), f"{shown} is empty.", "return None where nothing can be shown")
        if Image.registered_extensions().get(preview.suffix) in Image.OPEN:
            try:
                picture = Image.open(io.BytesIO(preview.data)).convert("RGB")
            except OSError as error:
                raise Failed(
                    f"{shown} cannot be opened: {error}", "use encode_image of ganzoo.api"
                ) from error
            extremes = [picture.getchannel(band).getextrema() for band in range(3)]
            demand(at > 0 or any(low != high for low, high in extremes), f"{shown} has one colour only.")


@check("media", "knows-its-fields")
def writes_files(target: MediaTarget) -> None:
    """For each of its endings it writes what it says: files with that ending, not empty, and no others."""
    if not target.media.suffixes:
        raise NotApplicable("it writes no files of its own")
    for suffix in target.media.suffixes:
        for field, samples in target.cases():
            path = target.path(suffix)
            said = sorted(target.media.write(field, samples, path))
            there = sorted(path.parent.iterdir())
            what = f"{len(samples)} samples of shape {samples.shape[1:]} as {suffix}"
            demand(said == there, f"For {what} it names {_names(said)}, but wrote {_names(there)}.")
            demand(bool(there), f"For {what} it wrote no file.")
            for file in there:
                demand(file.suffix.lower() == suffix, f"For {what} it wrote {file.name}.", "keep the ending")
                demand(file.stat().st_size > 0, f"For {what} it wrote {file.name}, a file of no bytes.")


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths) or "nothing"


@check("media", "writes-files")
def reads_what_it_writes(target: MediaTarget) -> None:
    """A single sample comes back from its file with its shape, and its values in the format's precision."""
    suffixes = [suffix for suffix in target.media.suffixes if suffix in target.media.reads]
    if not suffixes:
        raise NotApplicable("it reads no file that it writes")
    for field, samples in target.samples:
        for suffix, largest in zip(suffixes, (EXACT, *[LOSSY] * len(suffixes)), strict=False):
            sample = samples[len(samples) // 2][None]
            path = target.path(suffix)
            target.media.write(field, sample.copy(), path, single=True)
            found = as_floats(field, np.asarray(target.media.read(field, path, {})))
            what = f"A sample of shape {field.shape}, written as {suffix} and read back,"
            demand(found.shape == sample.shape, f"{what} has the shape {found.shape[1:]}.")
            low, high = field.range or (float(sample.min()), float(sample.max()))
            error = float(np.abs(found - sample).mean()) / max(high - low, 1e-6)
            demand(
                error <= largest,
                f"{what} is wrong by {error:.1%} of its span, on average.",
                "map the range of the field onto that of the file in `write`, and back in `read`",
            )


@check("media", "knows-its-fields")
def refuses_broken_files(target: MediaTarget) -> None:
    """ValueError or OSError for a file that is empty, or has other content than its ending says."""
    if not target.media.reads:
        raise NotApplicable("it reads no files")
    field = target.samples[0][0]
    for suffix in target.media.reads:
        for content in (b"", b"\x00\xff no such file \n" * 9):
            path = target.path(suffix)
            path.write_bytes(content)
            try:
                target.media.read(field, path, {})
            except (ValueError, OSError):  # the core shows it; any other exception fails the check
                continue
            raise Failed(
                f"It reads a {suffix} file of {len(content)} arbitrary bytes as samples.",
                "raise ValueError where a file is not what it should be",
            )


@check("media", "knows-its-fields")
def gives_numbers_to_metrics(target: MediaTarget) -> None:
    """What metrics get, corrupted samples too, are finite numbers, one row for each sample."""
    for field, samples in target.samples:
        values = target.media.metric_values(field, samples.copy())
        made = target.media.corruptions(field, values, np.random.default_rng(0))
        for name, found in (("metric_values", values), *((name, call()) for name, call in made.items())):
            fine = found.dtype in (np.uint8, np.float32) and bool(np.isfinite(found).all())
            demand(
                fine and len(found) == len(samples) and found.shape == values.shape,
                f"'{name}' of {len(samples)} samples of shape {field.shape}: {found.dtype} {found.shape}, "
                f"finite: {bool(np.isfinite(found).all())}.",
                "return float32 or uint8, with the samples in the first dimension",
            )


@check("media", "writes-files", "previews-are-files")
def leaves_samples_alone(target: MediaTarget) -> None:
    """Previews, files and values for metrics do not change the samples."""
    for field, samples in target.samples:
        for name, call in _uses(target, field):
            given = samples.copy()
            call(given)
            demand(np.array_equal(given, samples), f"'{name}' changes the samples.", "work on a copy")


@check("media", "writes-files", "previews-are-files")
def same_samples_same_files(target: MediaTarget) -> None:
    """The same samples give the same bytes."""
    for field, samples in target.samples:
        for name, call in _uses(target, field):
            demand(
                call(samples.copy()) == call(samples.copy()),
                f"'{name}' of the same samples differs from call to call.",
                "use no time and no random numbers",
            )


def _uses(target: MediaTarget, field: Field) -> list[tuple[str, Any]]:
    """Ways to use samples, each returns bytes."""

    def written(suffix: str, samples: Array) -> list[bytes]:
        paths = target.media.write(field, samples, target.path(suffix))
        return [path.read_bytes() for path in paths]

    media = target.media
    return [
        ("preview", lambda samples: media.preview(field, samples)),
        ("metric_values", lambda samples: media.metric_values(field, samples).tobytes()),
        *(
            (f"write ({suffix})", lambda samples, end=suffix: written(end, samples))
            for suffix in media.suffixes
        ),
    ]
