"""`ganzoo runs`: a table of the runs in a folder, with status, score and what the watch saw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ganzoo.cli.common import echo_json, json_option, table
from ganzoo.cli.reporters import SHOWN
from ganzoo.errors import GanzooError
from ganzoo.runs.run import Run, list_runs

STATUSES = (
    "starting",
    "training",
    "done",
    "paused",
    "interrupted",
    "preempted",
    "diverged",
    "failed",
    "killed",
)

_ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda row: row["created"],
    "images": lambda row: -row["images"],
    "score": lambda row: _order(row["evaluation"] or row["score"]),
}


@click.command("runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option(
    "--sort",
    type=click.Choice(list(_ORDERS)),
    default="started",
    show_default=True,
    help="By start (oldest first), images (those that saw most samples first) or score (best first).",
)
@click.option("--recipe", metavar="TEXT", help="Only runs of recipes whose name contains TEXT.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@json_option
def command(folder: Path, sort: str, recipe: str | None, status: str | None, as_json: bool) -> None:
    """Show the runs in FOLDER (default: runs).

    The score is the one of --keep-best, newest and best; without it the newest of --eval-every. What ganzoo
    evaluate RUN found stands beside it, and --sort score goes by it where it is there. Notes are what went
    wrong or was noticed in training: ganzoo runs --json has their texts, and all scores. Seen are the real
    samples that a run was trained with, of whatever kind.
    """
    rows = [_row(run) for run in list_runs(folder)]
    kept = [row for row in rows if (recipe or "") in row["recipe"] and status in (None, row["status"])]
    kept.sort(key=_ORDERS[sort])
    if as_json:
        echo_json({"runs": kept})
        return
    if not kept:
        asked = " with that recipe and status" if rows else ""
        click.echo(f"There are no runs{asked} in {folder}. Start one: ganzoo train wgan-gp")
        return
    if sort == "score" and not any(row["evaluation"] or row["score"] for row in kept):
        click.secho("note: no run has a score: ganzoo evaluate RUN", fg="yellow", err=True)
    table(
        f"runs in {folder}",
        ("run", "recipe", "status", "seen", "minutes", "score", "best", "evaluated", "notes", "created"),
        [
            (
                Path(row["run"]).name,
                row["recipe"],
                row["status"],
                f"{row['images']:,}",
                f"{row['seconds'] / 60:.1f}",
                f"{row['score']['name']} {row['score']['last']:.3g}" if row["score"] else "",
                f"{row['score']['best']:.3g}" if row["score"].get("best") is not None else "",
                "{name} {best:.3g}".format(**row["evaluation"]) if row["evaluation"] else "",
                str(len(row["findings"]) or ""),
                row["created"],
            )
            for row in kept
        ],
    )


def _row(run: Run) -> dict[str, Any]:
    log = run.log()
    return {
        "run": str(run.path),
        "recipe": run.record["recipe"],
        "status": run.status,
        "images": run.record.get("images", 0),
        "seconds": run.record.get("seconds", 0.0),
        "created": run.record.get("created", ""),
        "score": _score(run, log),
        "evaluation": _evaluation(run),
        "findings": run.record.get("findings", []),
        "values": log[-1]["values"] if log else {},
    }


def _score(run: Run, log: list[dict[str, Any]]) -> dict[str, Any]:
    """Name, newest and best value of the score that the run keeps the best checkpoint of.

    Without one: a score of the log, and no best value, because its name does not say which way is better.
    """
    try:
        kept = run.settings()["train"].get("keep_best", "")
    except (GanzooError, KeyError, TypeError):
        kept = ""
    way, _, name = kept.partition(":")
    known = [line["values"] | line.get("scores", {}) for line in log]
    name = name or next((name for name in SHOWN if any(name in line for line in known)), "")
    values = [line[name] for line in known if name in line]
    if not values:
        return {}
    best = {"way": way, "best": min(values) if way == "min" else max(values)} if way else {}
    return {"name": name, "last": values[-1], **best}


def _evaluation(run: Run) -> dict[str, Any]:
    """What `ganzoo evaluate` wrote into the run: all scores, and the one to compare runs by."""
    try:
        found = run.evaluation()
        scores, better = found["scores"], found["better"]
        known = [name for name in (*SHOWN, *better) if scores.get(name) is not None and name in better]
        way = {"lower": "min", "higher": "max"}[better[known[0]]]
        return {"name": known[0], "best": float(scores[known[0]]), "way": way, "scores": scores}
    except (ValueError, LookupError, TypeError):
        return {}


def _order(score: dict[str, Any]) -> tuple[Any, ...]:
    """Best first within each score; then runs without a best value, then those without a score."""
    if "best" not in score:
        return (2 - bool(score), score.get("name", ""))
    return (0, score["name"], score["best"] if score["way"] == "min" else -score["best"])
