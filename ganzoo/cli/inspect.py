"""`ganzoo inspect`: who made a picture or a sound, by the note in the file."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.common import echo_json, json_option
from ganzoo.errors import DataError
from ganzoo.util.text import printable


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Show which generator made FILE (.png, .gif, .wav), if `ganzoo generate` wrote it.

    A note is easily removed or forged: it helps honest people. The exit code is 3 for a file without one.
    """
    from ganzoo.util.provenance import read_mark

    try:
        facts = read_mark(file)
    except ValueError as error:
        raise DataError(f"{str(error).capitalize()}.", where=str(file)) from error
    if facts is None:
        raise DataError(
            "The file has no note of a generator: ganzoo did not make it, or another program saved it again.",
            where=str(file),
        )
    if as_json:
        echo_json(facts)
        return
    for key, value in facts.items():
        click.echo(f"{printable(key, 40)}: {printable(str(value), 200)}")
