"""The command line: a lazy group, so that `--help` and `list` import only what they need.

Each command has its own file, which is loaded when the command is called. Only this file turns a GanzooError
into a message on stderr and an exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from ganzoo._version import __version__
from ganzoo.errors import ExitCode, GanzooError
from ganzoo.util.progress import Counter, listening

# Name -> (module, line for --help): --help must not import the commands.
COMMANDS = {
    "list": ("ganzoo.cli.list", "List recipes, architectures, losses, terms, datasets and more."),
    "info": ("ganzoo.cli.info", "Show one of them: plugin, options with defaults, what it needs."),
    "train": ("ganzoo.cli.train", "Train a recipe, a combination (dcgan+wgan-gp), or a settings file."),
    "runs": ("ganzoo.cli.runs", "Show the runs in a folder."),
    "report": ("ganzoo.cli.report", "Write a run, or several beside each other, as one HTML page."),
    "evaluate": ("ganzoo.cli.evaluate", "Score a run or a bundle against real samples, with reference rows."),
    "export": ("ganzoo.cli.export", "Export the generators of a run to checked ONNX files."),
    "import": ("ganzoo.cli.import_weights", "Make a checked bundle or a run of weights that others trained."),
    "generate": ("ganzoo.cli.generate", "Sample an exported generator with onnxruntime, without torch."),
    "inspect": ("ganzoo.cli.inspect", "Show which generator made a picture or a sound."),
    "project": ("ganzoo.cli.project", "Find the latents of given pictures in the generator of a run."),
    "directions": ("ganzoo.cli.directions", "Find directions of change in the latents of a run."),
    "page": ("ganzoo.cli.page", "Write exported generators as one HTML file that computes in the browser."),
    "push": ("ganzoo.cli.push", "Put a bundle into a repository of the Hugging Face Hub."),
    "pull": ("ganzoo.cli.pull", "Fetch a bundle or an .onnx file, checked, from the Hub or an address."),
    "bench": ("ganzoo.cli.bench", "Measure the speed of an exported generator."),
    "plugin": ("ganzoo.cli.plugin", "For plugin authors: create a plugin package, or check one."),
    "cache": ("ganzoo.cli.cache", "Show what is kept to open data faster, or remove it."),
    "doctor": ("ganzoo.cli.doctor", "Show what this machine and installation can do, and any problems."),
    "completion": ("ganzoo.cli.completion", "Print the completion script for a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help lines without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a name when there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ganzoo.util.suggest import suggest

            hint = suggest(args[0], COMMANDS)
            raise click.UsageError(f"There is no command '{args[0]}'." + (f" {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ganzoo")
@click.option(
    "--no-plugin", "blocked", multiple=True, metavar="NAME", help="Do not import this plugin (repeatable)."
)
@click.pass_context
def cli(ctx: click.Context, blocked: tuple[str, ...]) -> None:
    """A zoo of GANs: train them with one loop, export them to ONNX, sample without torch."""
    ctx.obj = blocked
    if os.environ.get("RANK", "0") == "0":  # one of several processes of a run is enough
        ctx.with_resource(listening(Counter(lambda text: click.echo(text, err=True))))


def _is_serving_only() -> bool:
    """Whether this is the distribution without training (deploy/serving)."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("ganzoo-serving")
    except PackageNotFoundError:
        return False
    return True


def main(arguments: list[str] | None = None) -> Any:
    """Entry point of the `ganzoo` command. Ends the process with a documented exit code."""
    try:
        code = cli.main(arguments, prog_name="ganzoo", standalone_mode=False)
    except GanzooError as error:
        click.secho(f"Error: {error}", fg="red", err=True)
        code = int(error.exit_code)
    except click.ClickException as error:
        error.show()
        code = int(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader (for example `head`) has closed the pipe; Python would print an error at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = int(ExitCode.OK)
    except OSError as error:
        click.secho(f"Error: {error}", fg="red", err=True)
        code = int(ExitCode.FAILURE)
    except Exception as error:
        from ganzoo.registry.discovery import is_strict

        if is_strict():
            raise
        if isinstance(error, ModuleNotFoundError) and _is_serving_only():
            click.secho(
                f"Error: This command needs {error.name}, which ganzoo-serving leaves out.",
                fg="red",
                err=True,
            )
            click.echo(
                "  try:   pip uninstall ganzoo-serving, then pip install . in ganzoo's checkout", err=True
            )
            sys.exit(int(ExitCode.FAILURE))
        click.secho(f"Error: {type(error).__name__}: {error}", fg="red", err=True)
        click.echo("  try:   set GANZOO_STRICT=1 to see the traceback, and please report it", err=True)
        code = int(ExitCode.FAILURE)
    sys.exit(code if isinstance(code, int) else int(ExitCode.OK))
