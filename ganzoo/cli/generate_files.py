"""Files that `ganzoo generate` writes: which fit which field, the note inside, what the user is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo._version import __version__
from ganzoo.cli.common import echo_json, save_arrays
from ganzoo.errors import UsageError
from ganzoo.util.files import storage
from ganzoo.util.text import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ganzoo.api.media import Media
    from ganzoo.fields import Field
    from ganzoo.registry.kinds import Kinds
    from ganzoo.runtime.generator import Generator


WALK_RATE = 20  # frames a second


@dataclass(frozen=True, kw_only=True)
class Written:
    """The files with the samples, how many samples there are, and the shape of their array.

    `folder` is the user's name for all of them, where each input has a file in it.
    """

    files: list[Path]
    count: int
    shape: tuple[int, ...]
    folder: Path | None = None


def target(
    loaded: Generator, kinds: Kinds, output: Path | None, *, reads: bool = False
) -> tuple[Path, Field | None]:
    """The output file, and the first field that can be written to it; None for arrays.

    A path without an ending is a folder for files of the first field that has files of its own. If the
    generator `reads` data, that is the default, and a .csv may have its numbers. UsageError for a file of
    another type.
    """
    files = {suffix: field for field in reversed(loaded.outputs) for suffix in kinds.of(field.kind).suffixes}
    first = next((field for field in loaded.outputs if kinds.of(field.kind).suffixes), None)
    if output is None:
        usual = kinds.of(first.kind).suffixes[0] if first is not None else ".npz"
        output = Path("generated" if reads and first is not None else f"generated{usual}")
    suffix = ending(output, files)
    if suffix == ".npz" or (reads and suffix == ".csv" and suffix not in files and numbers_of(loaded)):
        return output, None
    if suffix in files:
        return output, files[suffix]
    if not suffix and first is not None:
        return output, first
    media = [kinds.of(field.kind) for field in loaded.outputs]
    nouns = ", ".join(dict.fromkeys(item.nouns for item in media))
    known = [*dict.fromkeys(suffix for item in media for suffix in item.suffixes)]
    raise UsageError(
        f"'{loaded.name}' writes {nouns}, which cannot be written as '{suffix}'.",
        where=str(output),
        fix=f"use {'a folder, ' if known else ''}{', '.join([*known, '.npz'])}",
    )


def ending(path: Path, known: Iterable[str]) -> str:
    """The ending of a file in lower case: the longest of the known ones, such as .nii.gz, or else any."""
    fitting = [suffix for suffix in known if path.name.lower().endswith(suffix)]
    return max(fitting, key=len, default=path.suffix.lower())


def numbers_of(loaded: Generator) -> list[Field]:
    """The outputs that are one number for each sample."""
    return [field for field in loaded.outputs if field.shape == ()]


def write_samples(
    media: Media,
    field: Field,
    samples: NDArray[Any],
    output: Path,
    others: list[tuple[Field, NDArray[Any]]],
    columns: int | None,
    *,
    folder: bool,
) -> list[Path]:
    """Write the samples to a file of their kind, or with `folder` one file for each, named by its number."""

    def beside(rows: slice) -> dict[str, Any]:
        return {"others": [(other, values[rows]) for other, values in others]} if media.others else {}

    if not folder:
        return media.write(field, samples, output, columns=columns, **beside(slice(None)))
    with storage(output):
        output.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(samples) - 1))
    return [
        path
        for at in range(len(samples))
        for path in media.write(
            field,
            samples[at : at + 1],
            output / f"{at:0{digits}}{media.suffixes[0]}",
            single=True,
            **beside(slice(at, at + 1)),
        )
    ]


def write_walk(media: Media, field: Field, walks: NDArray[Any], columns: int | None, output: Path) -> None:
    """Animate the previews of the samples (n, steps, *shape) at each step, there and back."""
    from io import BytesIO

    from PIL import Image

    from ganzoo.images import save_animation

    frames = []
    for step in range(walks.shape[1]):
        found = media.preview(field, walks[:, step], columns=columns)
        if found is None or found.suffix not in Image.registered_extensions():
            raise no_walk(media)
        frames.append(Image.open(BytesIO(found.data)))
        if getattr(frames[-1], "n_frames", 1) > 1:  # it moves itself
            raise no_walk(media)
    save_animation([*frames, *frames[-2:0:-1]], output, 1 / WALK_RATE)


def no_walk(media: Media) -> UsageError:
    """The error for samples that no still picture shows."""
    return UsageError(
        f"{media.nouns.capitalize()} cannot be animated: no still picture shows one.",
        fix="--interpolate STEPS writes walks as a file of their kind, with -o FOLDER a file for each step",
    )


def write_arrays(
    inputs: Mapping[str, NDArray[Any]], values: Mapping[str, NDArray[Any]], seed: int, output: Path
) -> None:
    """Write outputs by field name, the labels that were used, and the seed."""
    import numpy as np

    labels = {name: rows for name, rows in inputs.items() if rows.dtype == np.int64}
    save_arrays({**labels, **values, "seed": np.array(seed, dtype=np.uint64)}, output)


def sign(loaded: Generator, files: Iterable[Path], seed: int, *, given: bool) -> None:
    """Put a note into pictures and sounds: that a generator made them, and which; `given`: from inputs."""
    from ganzoo.util.provenance import CHANGED, SYNTHETIC, mark

    facts = {
        "generator": str(loaded.about.get("recipe", loaded.name)),
        "made": "from other media" if given else "from noise",
        "seed": seed,
        "sha256": loaded.sha256,
        "synthetic": True,
        **({"watermarked": True} if loaded.watermarked else {}),
    }
    for path in files:
        mark(path, f"ganzoo {__version__}", facts, CHANGED if given else SYNTHETIC)


def report(loaded: Generator, written: Written, seed: int, *, as_json: bool) -> None:
    """Tell the user what was written."""
    shown = [written.folder] if written.folder is not None else written.files
    if as_json:
        result = {"output": str(shown[0]), "n": written.count, "seed": seed}
        more = {"files": [str(path) for path in shown]} if len(shown) > 1 else {}
        marks = {"watermarked": True} if loaded.watermarked else {}
        shape = list(written.shape)
        echo_json({**result, **more, "provider": loaded.provider, "shape": shape, **marks})
        return
    many = f"{counted(len(shown), 'file')}, {shown[0]} to {shown[-1].name}"
    click.echo(f"wrote {many if len(shown) > 1 else shown[0]}")
    if loaded.watermarked:
        # What is no picture, such as an .npz, cannot be inspected.
        advice = ": ganzoo inspect FILE --watermark KEY looks for it"
        readable = any(_is_picture(path) for path in written.files)
        click.echo(
            f"note: pictures of this generator carry an invisible watermark{advice if readable else ''}",
            err=True,
        )


def _is_picture(path: Path) -> bool:
    from PIL import Image

    return path.suffix.lower() in Image.registered_extensions()
