"""`ganzoo runs`: the runs in a folder, with their status and newest losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganzoo.cli.common import echo_json, table
from ganzoo.runs.run import Run, list_runs


@click.command("runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="One JSON document for scripts.")
def command(folder: Path, as_json: bool) -> None:
    """Show the runs in FOLDER (default: runs), oldest first."""
    rows = [_row(run) for run in list_runs(folder)]
    if as_json:
        echo_json({"runs": rows})
        return
    if not rows:
        click.echo(f"There are no runs in {folder}. Start one: ganzoo train wgan-gp")
        return
    table(
        f"runs in {folder}",
        ("run", "recipe", "status", "images", "minutes", "created"),
        [
            (
                Path(r["run"]).name,
                r["recipe"],
                r["status"],
                f"{r['images']:,}",
                f"{r['seconds'] / 60:.1f}",
                r["created"],
            )
            for r in rows
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
        "values": log[-1]["values"] if log else {},
    }
