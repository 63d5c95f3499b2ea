"""A run that begins with the weights of a file, which an importer recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganzoo.api.networks import Networks
from ganzoo.errors import DataError, UsageError
from ganzoo.fields import DataInfo, Field
from ganzoo.importing.networks import load_weights, training_plan
from ganzoo.importing.recognise import Match
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.state import Training


def run_of_file(
    match: Match,
    registry: Registry,
    about: Mapping[str, Any],
    *,
    recipe: str,
    overrides: Mapping[str, Any],
    run_dir: Path | None,
    note: Callable[[str], None],
) -> Run:
    """A run directory with these weights after 0 images, paused: `ganzoo train --resume` continues it.

    `overrides` must name data that has the fields of the file's networks. Errors as in `start`, and
    UsageError for weights that do not fit the networks for this data.
    """
    own = next((path for path in overrides if path.startswith("architecture.")), None)
    if own is not None:
        raise UsageError(
            "The options of the networks are those of the file.",
            where=f"--set {own}",
            fix="leave it out; or start a run of other networks with: ganzoo train RECIPE --from RUN",
        )
    plan = training_plan(match.imported, registry, recipe, overrides)

    def given(training: Training, data: DataInfo) -> dict[str, Any]:
        _check_sizes(match, training.networks, data)
        fresh = load_weights(training.networks, match.imported.weights)
        for name, module in training.ema.modules.items():
            module.load_state_dict(training.networks.generators[name].module.state_dict())
        if fresh:
            note(f"not in the file, so new: {', '.join(fresh)}. Train them first, with a small generator.lr")
        return {"imported": dict(about)}

    return start(plan, run_dir, NullReporter(), pause_at=0, given=given)[0]


def _check_sizes(match: Match, networks: Networks, data: DataInfo) -> None:
    """DataError unless the data has the fields of the file's networks, in the same sizes unless free."""
    for field in match.imported.data.fields:
        found, free = data.field(field.name), networks.free.get(field.name, {})
        axes = found.axes or ("",) * len(found.shape)
        fixed = [size for axis, size in zip(axes, found.shape, strict=True) if axis not in free]
        wanted = [size for axis, size in zip(axes, field.shape, strict=False) if axis not in free]
        if fixed != wanted or len(found.classes) != len(field.classes):
            raise DataError(
                f"The data do not fit the weights: '{field.name}' is of another size.",
                where=f"{_sizes(found)} in the data, {_sizes(field)} in {match.path or 'the file'}",
                fix="options of the data, such as --set data.height=N --set data.width=N, or other data",
            )


def _sizes(field: Field) -> str:
    return f"{len(field.classes)} classes" if field.classes else str(field.shape)
