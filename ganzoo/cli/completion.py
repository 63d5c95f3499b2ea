"""`ganzoo completion SHELL`: print click's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  ganzoo completion bash > ~/.local/share/bash-completion/completions/ganzoo
    zsh:   ganzoo completion zsh > ~/.zfunc/_ganzoo
    fish:  ganzoo completion fish > ~/.config/fish/completions/ganzoo.fish
    """
    cls = get_completion_class(shell)
    assert cls is not None  # noqa: S101 - the choices above are click's own
    click.echo(cls(ctx.find_root().command, {}, "ganzoo", "_GANZOO_COMPLETE").source())
