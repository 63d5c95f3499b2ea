"""`ganzoo evaluate`: scores of a run or a bundle, beside reference rows, with their protocol."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganzoo.cli.common import checkpoint_option, echo_json, generator_option, json_option, registry_of, table
from ganzoo.errors import UsageError
from ganzoo.util import system
from ganzoo.util.files import storage, write_bytes
from ganzoo.util.progress import lasting

if TYPE_CHECKING:
    from ganzoo.evaluation.report import Report
    from ganzoo.registry.registry import Registry

ARROWS = {"lower": "↓", "higher": "↑"}
SCORES, IMAGE = "evaluation.json", "nearest.png"


def _number_or_all(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "all":
        return value
    if value.isascii() and value.isdecimal() and int(value) >= 10:
        return int(value)
    raise click.BadParameter(f"'{value}' is neither 'all' nor a number of at least 10.", ctx, param)


@click.command("evaluate")
@click.argument("source", metavar="RUN|BUNDLE", type=click.Path(path_type=Path))
@click.option("--data", metavar="SOURCE", help="Compare with this data [the data it was trained on].")
@click.option(
    "--against",
    type=click.Choice(["held-out", "training"]),
    default="held-out",
    show_default=True,
    help="Compare with held-out or with training samples. Many papers use training samples.",
)
@click.option(
    "--n",
    type=click.IntRange(min=10),
    metavar="N",
    help="Number of samples to generate [the number of held-out samples, at most 10,000].",
)
@click.option(
    "--n-real",
    callback=_number_or_all,
    metavar="N|all",
    help="Number of real samples to compare with; 'all' is as in fid50k_full [as many as --n].",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the generated samples."
)
@checkpoint_option
@click.option("--raw", is_flag=True, help="For a run: use raw weights, not their moving average (EMA).")
@click.option(
    "--extractor",
    metavar="NAME",
    default="",
    help="Network whose features are compared: ganzoo list --kind extractor [efficientnet-lite0 for images].",
)
@click.option(
    "--fid-weights",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The file inception-2015-12-05.pt: compute FID and IS as in papers.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Compute only this metric, and write no nearest samples (repeatable).",
)
@click.option("--no-reference", is_flag=True, help="Do not compute reference rows.")
@generator_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads [$OMP_NUM_THREADS; else the cores that other processes leave].",
)
@click.option(
    "--trust", is_flag=True, help="Accept an .onnx file from elsewhere, see ganzoo generate --help."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder for evaluation.json and nearest.png [RUN/evaluation; evaluation-NAME for a bundle].",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Score the samples of RUN (a run directory) or BUNDLE (an exported generator) against real samples.

    For comparison, reference rows show the same scores for real samples: unchanged, blurred, noisy, repeated,
    and of half of the classes. The first evaluation with some data takes longer, because results that do not
    depend on the generator are then cached.
    """
    ctx.with_resource(lasting("evaluating"))
    # Now, because libraries that are imported later read the number of threads on import.
    with system.limited_threads(_threads(options.pop("threads"))):
        _evaluate(registry_of(ctx), **options)


def _threads(wanted: int | None) -> int | None:
    """The wanted number, or fewer than all cores on a busy machine. None keeps the libraries' default."""
    if wanted is not None or os.environ.get("OMP_NUM_THREADS"):
        return wanted
    spare = system.fair_share(system.cores())
    return spare if spare < system.cores() else None


def _evaluate(
    registry: Registry, *, source: Path, as_json: bool, output: Path | None, **options: Any
) -> None:
    from ganzoo.evaluation.evaluate import Request, evaluate

    weights = options.pop("fid_weights")
    if weights is not None:
        if options["extractor"] not in ("", "inception"):
            raise UsageError(
                "--fid-weights works only with the extractor 'inception'.", fix="leave one of them out"
            )
        options["extractor"] = "inception"
    if not source.exists():
        raise UsageError("There is no such run or bundle.", where=str(source), fix="list runs: ganzoo runs")
    folder = output or _default_folder(source, options["generator"])
    request = Request(
        source=source,
        weights=weights,
        references=not options.pop("no_reference"),
        image=None if options["metrics"] else folder / IMAGE,
        note=lambda text: click.secho(f"note: {text}", fg="yellow", err=True),
        **options,
    )
    if not as_json:
        click.echo("sampling and comparing (longer the first time with this data) ...", err=True)
    report = evaluate(request, registry)
    if request.image is None:
        with storage(folder):  # delete the file of an earlier evaluation
            (folder / IMAGE).unlink(missing_ok=True)
    written = _write(report, folder)
    if as_json:
        echo_json({**report.to_json(), "files": written})
    else:
        _print(report, written)


def _default_folder(source: Path, generator: str) -> Path:
    """A folder in the run; for a bundle in the current folder, with a number if the name is taken."""
    if (source / "run.json").is_file():
        return source / "evaluation"
    home = _home(source)
    which = source.stem if source.is_file() else generator
    name = f"evaluation-{home.name}" + ("" if which == "generator" or home.is_file() else f"-{which}")
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(Path(name) for name in names if _scored(Path(name)) in (None, home))


def _home(source: Path) -> Path:
    """The folder of a bundle, also for a file in it; otherwise the path itself."""
    whole = source.resolve()
    return whole.parent if (whole.parent / "bundle.json").is_file() and whole.is_file() else whole


def _scored(folder: Path) -> Path | None:
    """The run or bundle whose scores are in the folder, or None."""
    try:
        return _home(Path(json.loads((folder / SCORES).read_bytes())["name"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(report: Report, folder: Path) -> list[str]:
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / SCORES, content.encode())
    return [str(file) for name in (SCORES, IMAGE) if (file := folder / name).is_file()]


def _print(report: Report, written: list[str]) -> None:
    columns = {"these samples": {"n": report.n, **report.scores}, **report.reference}
    names = ["n", *report.scores]
    table(
        f"{report.name} against the {report.protocol['split']}",
        ("", *[title.replace("_", " ") for title in columns]),
        [
            (
                f"{name} {ARROWS.get(report.better.get(name, ''), '')}",
                *[shown(row.get(name)) for row in columns.values()],
            )
            for name in names
        ],
        fixed=1 + len(columns),
    )
    for key, value in report.protocol.items():
        if value not in ("", None):
            click.echo(click.style(f"{key}: {value}", dim=True))
    for note in report.notes:
        click.secho(f"note: {note}", fg="yellow")
    click.echo(f"{report.seconds:.0f} s. " + "  ".join(written))


def shown(value: float | None) -> str:
    """A score as text for a table, with three or four significant digits."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
