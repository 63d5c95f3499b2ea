"""The previews in a run's `samples/`, as parts of a page, within a number of bytes.

What a preview shows is the matter of its media; here only the type of the file counts.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw

from ganzoo.errors import UsageError
from ganzoo.image_files import silence_pillow
from ganzoo.images import save_animation
from ganzoo.report.html import Html, number, tag
from ganzoo.runs.run import Run

IMAGES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
    ".webp": "image/webp",
}  # fmt: skip
PLAYED = {
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".flac": "audio/flac",
    ".mp4": "video/mp4", ".webm": "video/webm",
}  # fmt: skip
TEXTS = (".csv", ".txt", ".md", ".json", ".tsv")

FRAMES = 40  # moments of one timeline at most
SIDES = (0, 1024, 720, 480)  # px of the longer side of images, in the order of trial; 0: the file as it is
QUALITY = 75  # of WebP
ROWS, LETTERS = 12, 4000  # of a text that are shown
LARGEST = 64 << 20  # bytes of a file that is read

PACE, HELD = 0.25, 6  # seconds of each image of an animation; the last one is shown so many times more
CAPTION = 20  # px above it

_STEM = re.compile(r"(?:(?P<images>\d{12,18})(?:-(?P<name>.+))?|real-(?P<real>.+))", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """A preview: of generated samples after so many images, or of real ones (None); and of which field."""

    path: Path
    images: int | None
    name: str


def samples_of(run: Run) -> list[Sample]:
    """The previews of a run in the order of time; real ones come last."""
    folder, found = run.path / "samples", {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _STEM.fullmatch(path.stem)
        if match is not None and path.is_file():
            images = None if match["images"] is None else int(match["images"])
            found[images, match["name"] or match["real"] or ""] = path
    samples = [Sample(path, images, name) for (images, name), path in found.items()]
    return sorted(samples, key=lambda one: (one.images is None, one.images or 0, one.name))


def timelines(run: Run, room: int) -> Html:
    """A figure for each field that has previews, its moments in page.js's care; at most `room` bytes."""
    samples = samples_of(run)
    moments, every = len({one.images for one in samples}), 1
    while moments > FRAMES * every:
        every *= 2
    kept = _every(samples, every)
    whole = sum(one.path.stat().st_size for one in kept if one.path.is_file())
    for side in SIDES if whole * 4 / 3 < room else SIDES[1:]:
        drawn = _drawn(kept, side)
        if len(drawn) <= room:
            return drawn
    while every < moments:
        every *= 2
        drawn = _drawn(_every(samples, every), SIDES[-1])
        if len(drawn) <= room:
            return drawn
    return tag("p", f"The samples are too large for this page: see {run.path / 'samples'}.")


def write_timeline(run: Run, path: Path) -> None:
    """Write the previews of the first field as an animation; each says how many images the run had seen.

    UsageError when the run has none that are images, or for a file that is no animation.
    """
    frames = []
    for sample in samples_of(run):
        if sample.images is not None and not sample.name and sample.path.suffix.lower() in IMAGES:
            with (
                suppress(OSError, ValueError, Image.DecompressionBombError),
                Image.open(sample.path) as image,
            ):
                frame = Image.new("RGBA", (image.width, image.height + CAPTION), "white")
                frame.paste(image.convert("RGBA"), (0, CAPTION))
                ImageDraw.Draw(frame).text((3, 4), _said(sample), fill="black")
                frames.append(frame)
    if not frames:
        raise UsageError("The run has no samples that are images.", where=str(run.path / "samples"))
    save_animation([*frames, *frames[-1:] * HELD], path, PACE)


def _every(samples: Sequence[Sample], every: int) -> list[Sample]:
    """Each `every`-th moment, the newest, and the real samples: the same ones while a run goes on."""
    moments = sorted({one.images for one in samples if one.images is not None})
    kept = {*moments[::every], *moments[-1:]}
    return [one for one in samples if one.images is None or one.images in kept]


def _drawn(samples: Iterable[Sample], side: int) -> Html:
    figures: dict[tuple[bool, str], list[Sample]] = {}
    for sample in samples:
        figures.setdefault((sample.images is None, sample.name), []).append(sample)
    parts = []
    for (real, name), group in figures.items():
        frames = [
            tag(
                "div",
                _shown(sample.path, _said(sample), side),
                tag("p", _said(sample)),
                data_images=sample.images,
                hidden=sample is not group[-1],
            )
            for sample in group
        ]
        title = f"{'real' if real else 'generated'}{f': {name}' if name else ''}"
        parts.append(
            tag("figure", tag("figcaption", title), tag("div", *frames, class_="frames"), class_="sample")
        )
    return tag("div", *parts, class_="samples")


def _said(sample: Sample) -> str:
    return "samples of the data" if sample.images is None else f"after {number(sample.images)} images"


def _shown(path: Path, text: str, side: int) -> Html:
    """One preview; a line about it if it cannot be shown."""
    suffix = path.suffix.lower()
    try:
        about = path.stat()
        if about.st_size > LARGEST:
            return tag("p", f"{path.name} is too large to be shown")
        if suffix in IMAGES:
            kind, data, (width, height) = _image(path, about.st_mtime_ns, about.st_size, side)
            return tag("img", src=_inline(kind, data), alt=text, width=width, height=height)
        if suffix in PLAYED:
            name = PLAYED[suffix].partition("/")[0]
            return tag(name, src=_inline(PLAYED[suffix], path.read_bytes()), controls=True, aria_label=text)
        if suffix in TEXTS:
            return _text(path.read_text(encoding="utf-8", errors="replace")[:LETTERS], suffix)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return tag("p", f"{path.name} cannot be shown: {error}")
    return tag("p", f"{path.name} cannot be shown in a page")


@lru_cache(maxsize=128)  # a page that is written again and again encodes new files only
def _image(path: Path, changed: int, size: int, side: int) -> tuple[str, bytes, tuple[int, int]]:
    """Type, bytes and size of an image, shrunk to `side` pixels unless that is 0 or it moves."""
    data = path.read_bytes()
    with warnings.catch_warnings():
        silence_pillow()
        with Image.open(io.BytesIO(data)) as image:
            if not side or getattr(image, "n_frames", 1) > 1:
                shown = image.size
                image.verify()
                return IMAGES[path.suffix.lower()], data, shown
            image.thumbnail((side, side))
            smaller = io.BytesIO()
            image.save(smaller, "WEBP", quality=QUALITY)
            return "image/webp", smaller.getvalue(), image.size


def _text(text: str, suffix: str) -> Html:
    """The first lines of a text, as a table if it is one."""
    lines = text.splitlines()[: ROWS + 1]
    if suffix not in (".csv", ".tsv"):
        return tag("pre", "\n".join(lines), tabindex=0)
    rows = list(csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ","))
    head, body = rows[:1], rows[1:]
    return tag(
        "div",
        tag(
            "table",
            *[tag("tr", *[tag("th", cell, scope="col") for cell in row]) for row in head],
            *[tag("tr", *[tag("td", cell) for cell in row]) for row in body],
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label="rows of the table",
    )


def _inline(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
