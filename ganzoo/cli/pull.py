"""`ganzoo pull`: a bundle from the Hugging Face Hub, or an .onnx file from an address."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ganzoo.cli.common import echo_json, json_option
from ganzoo.util.text import printable, typed


@click.command("pull")
@click.argument("source")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder, or .onnx file [the name in SOURCE]."
)
@click.option("--sha256", metavar="HEX", help="Checksum of the file; required for file: and https:.")
@json_option
def command(source: str, output: Path | None, sha256: str | None, as_json: bool) -> None:
    """Fetch hf://USER/NAME[@REVISION], file:PATH or https://URL; check it, then write it.

    The Hub needs the extra `hub`. Nothing is written unless all checksums and the graph's checks pass.
    """
    from ganzoo.hub.pull import pull

    pulled = pull(source, output, sha256=sha256)
    if as_json:
        echo_json(asdict(pulled))
        return
    for name, digest in sorted(pulled.files.items()):
        click.echo(f"  {pulled.path / name if pulled.commit else pulled.path}  sha256 {digest}")
    if pulled.commit:
        click.echo(f"commit {pulled.commit}")
        click.echo(f"license: {printable(pulled.license, 100) or 'not said'}")
    click.echo(f"next: ganzoo generate {typed(pulled.path)}")
