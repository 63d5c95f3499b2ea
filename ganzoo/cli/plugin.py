"""`ganzoo plugin`: for authors of plugins. `new` writes a package, `check` runs the conformance kit."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ganzoo.cli.common import echo_json, registry_of, table
from ganzoo.errors import ExitCode, UsageError
from ganzoo.scaffold import DEFAULT_KINDS, KINDS, LICENSES, PAGES, Names, write_plugin
from ganzoo.util.text import printable

if TYPE_CHECKING:
    from ganzoo.registry.registry import Registry
    from ganzoo.testing.runner import Result

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "does not apply", "blocked": "not run"}


@click.group("plugin")
def command() -> None:
    """Write a plugin package, or check one."""


@command.command("new")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    default=",".join(DEFAULT_KINDS),
    show_default=True,
    help=f"What it offers: {', '.join(KINDS)}.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder [./ganzoo-NAME].")
@click.option("--license", "licence", type=click.Choice(LICENSES), default="MIT", show_default=True)
@click.option("--author", default="", help="For the licence.")
@click.pass_context
def new(ctx: click.Context, name: str, kinds: str, output: Path | None, licence: str, author: str) -> None:
    """Write a plugin package called ganzoo-NAME that works: it can be installed, tested, trained, exported.

    Every record in it is called NAME, a term NAME-penalty. It is yours: change what you like, and keep its
    tests green.
    """
    names = Names.of(name)
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    unknown = [kind for kind in wanted if kind not in KINDS]
    if unknown or not wanted:
        _refuse(unknown)
    _check_free(names, [*wanted, "recipe"], registry_of(ctx))
    folder = output or Path(names.dist)
    write_plugin(names, wanted, folder, licence=licence, author=author or f"the authors of {names.dist}")
    click.echo(f"wrote:   {folder}")
    click.echo(f"next:    cd {shlex.quote(str(folder))} && pip install -e . pytest && pytest")
    click.echo(f"then:    ganzoo train {names.name}")


def _refuse(unknown: list[str]) -> NoReturn:
    """UsageError: there is no such kind, or no template for it."""
    odd = [kind for kind in unknown if kind not in PAGES]
    if odd or not unknown:
        raise UsageError(f"'{', '.join(odd)}' is no kind of record.", fix=f"--kind {','.join(KINDS)}")
    pages = " and ".join(f"docs/plugins/{PAGES[kind]}.md" for kind in unknown)
    raise UsageError(
        f"There is no template for the kind '{', '.join(unknown)}'.",
        where=f"there are templates for: {', '.join(KINDS)}",
        fix=f"begin with one of those, and write the record after {pages}",
    )


def _check_free(names: Names, kinds: list[str], registry: Registry) -> None:
    """UsageError when something of that name is installed already."""
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
            f"'{names.name}' is taken here.", where=taken[0], fix="another name, or uninstall that one"
        )


@command.command("check")
@click.argument("name")
@click.option("--verbose", is_flag=True, help="Checks that passed or do not apply, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
@click.pass_context
def check(ctx: click.Context, name: str, verbose: bool, as_json: bool) -> int:
    """Hold the plugin NAME to what ganzoo expects of one: the conformance kit, over all that it offers.

    Trains each recipe for a few cycles on made-up data, resumes it and exports it. Ends with exit code 2
    when a check fails.
    """
    from ganzoo.testing.runner import session_of

    session = session_of(name, registry_of(ctx))
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
    not_run = f", {counts['blocked']} not run for that" if counts["blocked"] else ""
    click.echo(
        f"{counts['passed']} checks passed, {counts['failed']} failed{not_run}, "
        f"{counts['skipped']} do not apply, in {seconds:.0f} s"
    )
