"""`ganzoo push`: a bundle into a repository of the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import click

from ganzoo.cli.common import echo_json, json_option


@click.command("push")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("repository", metavar="USER/NAME")
@click.option("--license", "license_id", metavar="NAME", help="License, for a bundle whose card has none.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@json_option
def command(bundle: Path, repository: str, license_id: str | None, private: bool, as_json: bool) -> None:
    """Put BUNDLE into a repository of the Hugging Face Hub, which is made if it is missing.

    Needs the extra `hub`, a token (HF_TOKEN or `hf auth login`), and a license.
    """
    from ganzoo.hub.push import push

    commit = push(bundle, repository, license_id=license_id, private=private)
    if as_json:
        echo_json({"repository": repository, "commit": commit})
        return
    click.echo(f"pushed {bundle} to {repository}, commit {commit}")
    click.echo(f"next: ganzoo pull hf://{repository}@{commit}")
