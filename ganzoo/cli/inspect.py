"""`ganzoo inspect`: who made a picture or a sound, by the note in the file and by a watermark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganzoo.cli.common import echo_json, json_option
from ganzoo.errors import DataError
from ganzoo.util.provenance import MARKED
from ganzoo.util.text import printable

if TYPE_CHECKING:
    from ganzoo.watermark import Detection


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--watermark", "key", metavar="KEY", help="Also look for the pattern that `export --watermark KEY` adds."
)
@json_option
def command(file: Path, key: str | None, as_json: bool) -> None:
    """Show which generator made FILE (.png, .jpg, .webp, .gif, .mp4, .wav), if `ganzoo generate` wrote it.

    A note is easily removed or forged: it helps honest people. The exit code is 3 for a file without one.
    With --watermark FILE may be any picture, and the exit code is 3 where the pattern is not found.
    """
    facts = _note(file, needed=key is None)
    if key is not None:
        mark = _watermark(file, key)
        facts = {**(facts or {}), "watermark": mark.found, "false_alarm": mark.probability}
    elif facts is None:
        raise _no_note(file)
    if as_json:
        echo_json(facts)
    else:
        for name, value in facts.items():
            text = f"{value:.1g}" if key is not None and name == "false_alarm" else str(value)
            click.echo(f"{printable(name, 40)}: {printable(text, 200)}")
    if key is not None and not mark.found:
        raise DataError(
            "The watermark of this key was not found.",
            where=str(file),
            fix="the picture may be unmarked, of another key, too small, or changed too much",
        )


def _note(file: Path, *, needed: bool) -> dict[str, object] | None:
    """The facts of the note; a damaged one is an error if it is `needed`, else it is ignored."""
    from ganzoo.util.provenance import read_mark

    try:
        return read_mark(file)
    except ValueError as error:
        if needed:
            raise DataError(f"{str(error).capitalize()}.", where=str(file)) from error
        click.secho(f"note: {error}, and is ignored", fg="yellow", err=True)
        return None


def _no_note(file: Path) -> DataError:
    ending = file.suffix.lower()
    if ending in MARKED:
        return DataError(
            "The file has no note of a generator: ganzoo did not make it, or made it before version 0.2.0, "
            "which is the first to write notes, or another program saved it again.",
            where=str(file),
        )
    kind = f"A file that ends in '{file.suffix}'" if ending else "A file without an ending"
    return DataError(
        f"{kind} carries no note, whoever made it.",
        where=str(file),
        fix=f"files with notes end in {', '.join(MARKED)}",
    )


def _watermark(file: Path, key: str) -> Detection:
    from ganzoo.image_files import ImageFrame, decode_image, inspect_image
    from ganzoo.watermark import detect

    try:
        header = inspect_image(file)
        frame = ImageFrame(header.height, header.width, 1 if header.gray else 3, "stretch")
        pixels = decode_image(file, frame)
    except (OSError, ValueError) as error:
        raise DataError(f"No picture can be read: {error}", where=str(file)) from error
    return detect(pixels.transpose(1, 2, 0), key)
