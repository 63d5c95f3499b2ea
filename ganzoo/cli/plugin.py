"""`ganzoo plugin`, for plugin authors: `new` creates a package, `check` runs the conformance kit."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ganzoo.cli.common import echo_json, json_option, registry_of, table
from ganzoo.errors import ExitCode, UsageError
from ganzoo.scaffold import DATA_KINDS, DEFAULT_KINDS, KINDS, LICENSES, PAGES, Names, records_of, write_plugin
from ganzoo.util.text import printable

if TYPE_CHECKING:
    from ganzoo.registry.registry import Registry
    from ganzoo.testing.runner import Result

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "does not apply", "blocked": "not run"}


@click.group("plugin")
def command() -> None:
    """Create a plugin package, or check one."""


@command.command("new", short_help="Create a working plugin package ganzoo-NAME.")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    default=",".join(DEFAULT_KINDS),
    show_default=True,
    help=f"What the package offers, with commas. Records: {', '.join(KINDS)}. Or all records for one kind of "
    f"data: {', '.join(DATA_KINDS)}.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the package [./ganzoo-NAME]."
)
@click.option(
    "--license",
    "licence",
    type=click.Choice(LICENSES),
    default="MIT",
    show_default=True,
    help="License of the package.",
)
@click.option("--author", default="", help="Name in the license text.")
@click.pass_context
def new(ctx: click.Context, name: str, kinds: str, output: Path | None, licence: str, author: str) -> None:
    """Create a working plugin package ganzoo-NAME, which you can install, test, train and export.

    Its records have the name NAME; a term has the name NAME-penalty. Change the code as you like; its tests
    should still pass. `--kind loss` writes a loss and a recipe that uses it. `--kind sound` writes all that
    sound needs: a dataset, networks, a recipe, and a media record, which reads and writes .wav files.
    """
    names = Names.of(name)
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    unknown = [kind for kind in wanted if kind not in (*KINDS, *DATA_KINDS)]
    if unknown or not wanted:
        _refuse(unknown)
    _check_free(names, records_of(wanted), registry_of(ctx))
    folder = output or Path(names.dist)
    write_plugin(names, wanted, folder, licence=licence, author=author or f"the authors of {names.dist}")
    click.echo(f"wrote:   {folder}")
    click.echo(f"next:    cd {shlex.quote(str(folder))} && pip install -e . pytest && pytest")
    click.echo(f"then:    ganzoo train {names.name}")


def _refuse(unknown: list[str]) -> NoReturn:
    """UsageError: the kind does not exist, or it has no template."""
    odd = [kind for kind in unknown if kind not in PAGES]
    if odd or not unknown:
        raise UsageError(
            f"'{', '.join(odd)}' is not a kind of record.",
            fix=f"--kind {','.join(KINDS)}, or one kind of data: {', '.join(DATA_KINDS)}",
        )
    pages = " and ".join(f"docs/plugins/{PAGES[kind]}.md" for kind in unknown)
    raise UsageError(
        f"There is no template for the kind '{', '.join(unknown)}'.",
        where=f"there are templates for: {', '.join((*KINDS, *DATA_KINDS))}",
        fix=f"start with one of these, and write the record as described in {pages}",
    )


def _check_free(names: Names, kinds: list[str], registry: Registry) -> None:
    """UsageError when something with that name is installed already."""
    taken = [f"the plugin {p.dist}/{p.name}" for p in registry.plugins if p.name == names.name]
    taken += [f"the distribution {p.dist}" for p in registry.plugins if p.dist == names.dist]
    taken += [
        f"the {item.kind} {item.qualified}"
        for item in registry.items
        if item.name == names.name and item.kind in kinds
    ]
    if importlib.util.find_spec(names.package) is not None:
        taken.append(f"the package {names.package}")
    if taken:
        raise UsageError(
            f"The name '{names.name}' is taken.",
            where=taken[0],
            fix="choose another name, or uninstall that one",
        )


@command.command("check", short_help="Check each record of the plugin NAME.")
@click.argument("name")
@click.option(
    "--data",
    "sources",
    metavar="SOURCE",
    multiple=True,
    help="Data for its networks, media, metrics, and for its own datasets (repeatable).",
)
@click.option("--verbose", is_flag=True, help="Also show checks that passed or do not apply.")
@json_option
@click.pass_context
def check(ctx: click.Context, name: str, sources: tuple[str, ...], verbose: bool, as_json: bool) -> int:
    """Run the conformance kit on the plugin NAME: it checks each record of the plugin.

    Each recipe is trained for a few cycles on synthetic data, resumed and exported. Networks that fit no
    images, rows or labels need --data, whose fields are then filled with synthetic values. A dataset that
    needs a path needs --data NAME:PATH. The exit code is 2 if a check fails.
    """
    from ganzoo.testing.runner import session_of

    session = session_of(name, registry_of(ctx), sources=sources)
    results, watched = [], not as_json and sys.stderr.isatty()
    for number, case in enumerate(session.cases, 1):
        if watched:
            click.echo(f"\r\x1b[2K{number}/{len(session.cases)} {case}", nl=False, err=True)
        results.append(session.result(case))
    if watched:
        click.echo("\r\x1b[2K", nl=False, err=True)
    failed = any(result.status == "failed" for result in results)
    if as_json:
        echo_json({"plugin": name, "ok": not failed, "results": [asdict(result) for result in results]})
    else:
        _show(name, results, verbose)
    return int(ExitCode.USAGE if failed else ExitCode.OK)


def _show(name: str, results: list[Result], verbose: bool) -> None:
    shown = [result for result in results if verbose or result.status == "failed"]
    if shown:
        table(
            f"{name}: checks",
            ("check", "of", "result", "why"),
            [(r.check, r.target, _MARKS[r.status], printable(" ".join(r.text.split()), 600)) for r in shown],
        )
    counts = {status: sum(result.status == status for result in results) for status in _MARKS}
    seconds = sum(result.seconds for result in results)
    not_run = f", {counts['blocked']} not run because of that" if counts["blocked"] else ""
    click.echo(
        f"{counts['passed']} checks passed, {counts['failed']} failed{not_run}, "
        f"{counts['skipped']} do not apply, in {seconds:.0f} s"
    )
