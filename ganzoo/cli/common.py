"""What several commands share: the registry of this call, tables, completion of names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.errors import UsageError
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.util.text import printable, typed

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ganzoo.exporting.export import Bundle

LONGEST = 2000
"""The most characters shown of a text from a plugin; --json shows all of it."""


def registry_of(ctx: click.Context) -> Registry:
    """The registry without the plugins that `--no-plugin` named."""
    return load_registry(ctx.find_root().obj or ())


def which_checkpoint(ctx: click.Context, param: click.Parameter, value: str) -> Any:
    """`newest`, `best`, or the number of samples seen at a checkpoint."""
    digits = value.replace(",", "").replace("_", "")
    if value not in ("newest", "best") and not (digits.isascii() and digits.isdecimal()):
        raise click.BadParameter(f"'{value}' is not 'newest', 'best' or a number of samples.", ctx, param)
    return value if value in ("newest", "best") else int(digits)


checkpoint_option = click.option(
    "--checkpoint",
    callback=which_checkpoint,
    metavar="WHICH",
    default="newest",
    show_default=True,
    help="Which checkpoint of a run: newest, best (by train.keep_best), or a number of samples seen.",
)
generator_option = click.option(
    "--generator", default="generator", show_default=True, help="Which generator, if there are several."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")


def echo_json(value: Any) -> None:
    """Print one JSON document on one line of stdout; values that JSON does not have become text."""
    click.echo(json.dumps(value, default=str))


def echo_next(bundle: Bundle) -> None:
    """Print the commands that sample a new bundle."""
    for number, options in enumerate(bundle.usage):
        click.echo(f"{'or:  ' if number else 'next:'} ganzoo generate {typed(bundle.path)} {options}")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], fixed: int = 1) -> None:
    """Print a table as wide as the terminal; the first `fixed` columns are never wrapped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = 160
    view = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        show_header=any(columns),
    )
    for position, name in enumerate(columns):
        view.add_column(name, no_wrap=position < fixed, style="cyan" if position == 0 else None)
    for row in rows:
        view.add_row(*[_escape(cell) for cell in row])
    console.print(view)


def _escape(cell: str) -> str:
    """The text without markup and without control characters; line breaks stay."""
    from rich.markup import escape

    return escape("\n".join(printable(line, LONGEST) for line in cell[: 2 * LONGEST].split("\n")))


def complete_names(kind: str) -> Any:
    """A completion function for the names of one kind of record."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        items = [item for item in registry_of(ctx).items if kind in ("any", item.kind)]
        return [
            CompletionItem(item.name, help=printable(item.spec.summary, 200))
            for item in items
            if item.name.startswith(incomplete)
        ]

    return complete


def save_numbers(names: Sequence[str], columns: Mapping[str, Any], output: Path) -> None:
    """Write a .csv with a row for each name: one number from each column (n,)."""
    import csv

    from ganzoo.util.files import write_bytes

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *columns])
    writer.writerows(
        [name, *(f"{value:.7g}" for value in row)]
        for name, *row in zip(names, *columns.values(), strict=True)
    )
    write_bytes(output, text.getvalue().encode())


def save_arrays(arrays: Mapping[str, Any], output: Path) -> None:
    """Write arrays by name as an .npz file; UsageError for a name that it cannot have."""
    import numpy as np

    from ganzoo.util.files import write_bytes

    if {"file", "allow_pickle"} & arrays.keys() or any("/" in name or "\\" in name for name in arrays):
        raise UsageError("A field of the generator has a name that is not possible in an .npz file.")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(output, buffer.getvalue())
