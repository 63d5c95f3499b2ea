"""The previews in a run's `samples/`: as parts of a page within a number of bytes, and as an animation.

What a preview shows is the matter of its media; here only the type of the file counts.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from ganzoo.errors import UsageError
from ganzoo.image_files import silence_pillow
from ganzoo.images import save_animation
from ganzoo.report.charts import Html, tag
from ganzoo.runs.run import Run
from ganzoo.util.text import Unit

TYPES = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp"), "image"),
    **dict.fromkeys((".wav", ".mp3", ".ogg", ".flac"), "audio"),
    **dict.fromkeys((".mp4", ".webm"), "video"),
    **dict.fromkeys((".csv", ".tsv", ".txt", ".md", ".json"), "text"),
}
FRAMES = 40  # moments of a timeline at most
SIDES = (0, 1024, 720, 480)  # px of the longer side of images, in the order of trial; 0: the file as it is
QUALITY, EFFORT = 75, 2  # of WebP; more effort would take twice the time
LIKELY = 0.6  # the least size of all moments, as a share of what the newest one lets expect
ROWS, LETTERS = 16, 4000  # of a text that are shown
LARGEST = 64 << 20  # bytes of a file that is read
PACE, HELD, CAPTION = 0.25, 6, 20  # of an animation: seconds, how often the last image is repeated, px

_STEM = re.compile(r"(?:(\d{12,18})(?:-(.+))?|real-(.+))", re.DOTALL)


class Sample(NamedTuple):
    """A preview: of generated samples after so many images, or of real ones (-1); and of which field.

    `unit` says what is counted.
    """

    images: int
    name: str
    path: Path
    unit: Unit

    @property
    def about(self) -> str:
        """The moment in words."""
        return "samples of the data" if self.images < 0 else f"after {self.unit.count(self.images)}"


def samples_of(run: Run) -> list[Sample]:
    """The previews of a run: by time, then real ones."""
    folder, found = run.path / "samples", []
    for path in folder.iterdir() if folder.is_dir() else []:
        match = _STEM.fullmatch(path.stem)
        if match is not None and path.is_file():
            images, name, real = match.groups()
            found.append(Sample(int(images or -1), name or real or "", path, run.unit))
    return sorted(found, key=lambda one: (one.images < 0, one))


def timelines(run: Run, room: int) -> Html:
    """A figure for each field that has previews, with all its moments; at most `room` bytes.

    Images are shrunk and moments left out until they fit. While a run goes on, the same moments stay.
    """
    samples = samples_of(run)
    moments = sorted({one.images for one in samples if one.images >= 0})
    every = 1
    while len(moments) > FRAMES * every:
        every *= 2
    trials = [(every, side) for side in SIDES]
    while every < len(moments):
        every *= 2
        trials.append((every, SIDES[-1]))
    for every, side in trials:
        kept = {*moments[::every], *moments[-1:]}
        # The newest moment tells whether it is worth while to encode all of them.
        for chosen, factor in ((set(moments[-1:]), LIKELY * len(kept)), (kept, 1)):
            shown = [one for one in samples if one.images in chosen or one.images < 0]
            if not side and sum(one.path.stat().st_size for one in shown) * factor > room * 3 / 4:  # base64
                break
            drawn = tag("div.samples", *_figures(shown, side))
            if len(drawn) * factor > room:
                break
        else:
            return drawn
    return tag("p", f"The samples are too large for this page: see {run.path / 'samples'}.")


def write_timeline(run: Run, path: Path) -> None:
    """Write the previews of the first field as an animation; each says how much the run had seen.

    UsageError when the run has none that are images, or for a file that is no animation.
    """
    frames = []
    for one in samples_of(run):
        if one.images >= 0 and not one.name and TYPES.get(one.path.suffix) == "image":
            with suppress(OSError, ValueError, Image.DecompressionBombError), Image.open(one.path) as image:
                frame = Image.new("RGBA", (image.width, image.height + CAPTION), "white")
                frame.paste(image.convert("RGBA"), (0, CAPTION))
                ImageDraw.Draw(frame).text((3, 4), one.about, fill="black")
                frames.append(frame)
    if not frames:
        raise UsageError("The run has no samples that are images.", where=str(run.path / "samples"))
    save_animation([*frames, *frames[-1:] * HELD], path, PACE)


def _figures(samples: Sequence[Sample], side: int) -> list[Html]:
    groups: dict[tuple[str, str], list[Sample]] = {}  # a picture and a sound of the same samples: two figures
    for one in samples:
        title = "generated" if one.images >= 0 else "real"
        title = f"{title}: {one.name}" if one.name else title
        groups.setdefault((title, TYPES.get(one.path.suffix.lower(), "")), []).append(one)
    return [
        tag(
            "figure",
            tag("h4", title),
            *[
                tag(
                    "div",
                    _shown(one, side),
                    tag("p", one.about),
                    data_images=one.images,
                    hidden=one != group[-1],
                )
                for one in group
            ],
        )
        for (title, _), group in groups.items()
    ]


def _shown(one: Sample, side: int) -> Html:
    """One preview; a line about it if it cannot be shown."""
    path, suffix = one.path, one.path.suffix.lower()
    kind, size = TYPES.get(suffix, ""), path.stat().st_size
    try:
        if not kind or size > LARGEST:
            return tag("p", f"{path.name} cannot be shown in a page")
        if kind == "text":
            lines = path.read_text(encoding="utf-8", errors="replace")[:LETTERS].splitlines()
            return tag("pre", "\n".join(lines[:ROWS]), tabindex=0)
        if kind == "image":
            suffix, data = _image(path, path.stat().st_mtime_ns, size, side)
        else:
            data = path.read_bytes()
        source = f"data:{kind}/{suffix[1:]};base64,{base64.b64encode(data).decode()}"
        return (
            tag("img", src=source, alt=one.about) if kind == "image" else tag(kind, src=source, controls=True)
        )
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return tag("p", f"{path.name} cannot be shown: {error}")


@lru_cache(maxsize=128)  # a page that is written again and again encodes new files only
def _image(path: Path, changed: int, size: int, side: int) -> tuple[str, bytes]:
    """Ending and bytes of an image, shrunk to `side` pixels unless that is 0 or it moves."""
    data, small = path.read_bytes(), io.BytesIO()
    with warnings.catch_warnings():
        silence_pillow()
        with Image.open(io.BytesIO(data)) as image:
            if not side or getattr(image, "n_frames", 1) > 1:
                image.verify()
                return path.suffix.lower(), data
            image.thumbnail((side, side))
            image.save(small, "WEBP", quality=QUALITY, method=EFFORT)
    return ".webp", small.getvalue()
