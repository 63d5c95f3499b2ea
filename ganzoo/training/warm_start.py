"""Warm start: a new run begins with the weights of another run, a bundle or a file, where they fit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.training.state import Training
from ganzoo.training.weight_sources import Source, read_source
from ganzoo.util.text import counted

FEW = 0.5
"""A smaller share of the weights than this gets a note of its own: most of the networks begin anew."""

_SHOWN = 5  # names of each kind in the note


@dataclass(frozen=True)
class _Classes:
    """The class names of one field: in this run, and where the weights come from."""

    own: tuple[str, ...]
    given: tuple[str, ...]

    def rows(self) -> list[tuple[int, int]]:
        """The number here and there of each class that both have."""
        return [(at, self.given.index(name)) for at, name in enumerate(self.own) if name in self.given]


def warm_start(
    training: Training,
    source: Path,
    note: Callable[[str], None],
    fields: Iterable[Field] = (),
    architecture: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Load what fits of the weights at `source` into the networks and their average.

    `source`: a run (its newest checkpoint), a bundle or a file, see `read_source`. `fields` are those of
    the data, with the names of classes; `architecture` are the settings of these networks. Weights and
    statistics of one name and shape are copied; of another shape by `_copied`, except in layers whose
    numbers differ. Where the source keeps no average, the average begins with the loaded weights. Returns
    names by what became of them: `matched`, `resized` (a part was copied), `other_shape`, `left_out`
    because this run lacks it, `fresh` because the source lacks it. UsageError when nothing fits but
    single numbers.
    """
    given = read_source(source, training.networks, note)
    classes = [
        _Classes(field.classes, given.classes[field.name])
        for field in fields
        if field.classes and given.classes.get(field.name)
    ]
    sides = {"generator": training.generator.modules, "discriminator": training.discriminator.modules}
    places = {
        f"networks.{role}.{name}": module for role, nets in sides.items() for name, module in nets.items()
    }
    averages = {f"ema.{name}": module for name, module in training.ema.modules.items()}
    found: dict[str, list[str]] = {
        kind: [] for kind in ("matched", "resized", "other_shape", "left_out", "fresh")
    }
    shapes: dict[str, str] = {}
    taken: set[str | None] = set()
    fitting = False
    copied = total = 0  # single numbers
    with torch.no_grad():
        for place, module in (places | (averages if training.ema.active else {})).items():
            for key, value in module.state_dict().items():
                name = f"{place}.{key}"
                other = given.of(name)
                beside = given.of(f"{place}.{key.rpartition('.')[0]}.weight")
                kind, count = "fresh" if other is None else "other_shape", 0
                if other is not None and (other.shape == value.shape or not given.is_shifted(name)):
                    kind, count = _copied(module, key, value, other, beside, classes)
                fitting |= kind in ("matched", "resized") and value.numel() > 1
                if place in places:
                    found[kind].append(name)
                    copied, total = copied + count, total + value.numel()
                    taken.add(given.name_of(name))
                    if other is not None:
                        shapes[name] = f"{tuple(other.shape)} -> {tuple(value.shape)}"
    own = {name for names in found.values() for name in names}
    found["left_out"] = sorted(name for name in given.tensors if name not in taken and name[:4] != "ema.")
    if not fitting:
        raise UsageError(
            f"Nothing in that {given.kind} has the names and shapes of these networks.",
            where=f"train.warm_start: {source}",
            fix="choose weights of the same architecture, or leave it out; "
            f"these networks have: {_few(sorted(own))}; {given.kind} has: {_few(sorted(given.tensors))}",
        )
    note(_described(source, given, found, shapes))
    share = copied / total
    if share < FEW:
        note(_few_fit(share, given.architecture, architecture or {}))
    return {"from": str(source), "kind": given.kind, "images": given.images, **found}


def _copied(
    module: nn.Module, key: str, own: Tensor, given: Tensor, beside: Tensor | None, classes: list[_Classes]
) -> tuple[str, int]:
    """Copy what fits of `given` into `own`: "matched", "resized" or "other_shape", and how many numbers.

    `beside`: the weight of the same layer there, for its bias.

    1. Rows of classes are copied by the names of the classes: in an embedding of the classes, and along the
       only axis that differs if its size is the number of classes on both sides. Other classes keep their
       initial values.
    2. Otherwise equal shapes are copied.
    3. A convolution with another number of channels on one side gets the channels that both have, the first
       ones; its bias as well.
    4. All else keeps its initial values: the order of a vector's elements is unknown.
    """
    layer = module.get_submodule(key.rpartition(".")[0])
    differing = [
        at for at, (size, other) in enumerate(zip(own.shape, given.shape, strict=False)) if size != other
    ]
    same_rank = own.ndim == given.ndim
    axis = differing[0] if same_rank and len(differing) == 1 else None
    if isinstance(layer, nn.Embedding) and axis is None and same_rank and not differing:
        axis = 0
    for known in classes:
        counts = (len(known.own), len(known.given))
        if axis is not None and known.own != known.given and (own.shape[axis], given.shape[axis]) == counts:
            rows = known.rows()
            for at, other in rows:
                own.select(axis, at).copy_(given.select(axis, other))
            return "resized" if rows else "other_shape", len(rows) * own.numel() // own.shape[axis]
    if own.shape == given.shape:
        own.copy_(given)
        return "matched", own.numel()
    convolution = own.ndim > 2 or (
        isinstance(layer, nn.modules.conv._ConvNd) and beside is not None and beside.ndim > 2
    )
    if axis is not None and axis < 2 and convolution:
        common = min(own.shape[axis], given.shape[axis])
        own.narrow(axis, 0, common).copy_(given.narrow(axis, 0, common))
        return "resized", common * own.numel() // own.shape[axis]
    return "other_shape", 0


def _described(source: Path, given: Source, found: Mapping[str, list[str]], shapes: Mapping[str, str]) -> str:
    """The table for the user: the counts, and the first names of what was not taken as it is."""
    after = "" if given.images is None else f" after {counted(given.images, 'sample')}"
    counts = ", ".join(f"{len(names)} {kind.replace('_', ' ')}" for kind, names in found.items())
    lines = [f"starts with the weights of {source}{after}: {counts}", *given.remarks]
    for kind in ("resized", "other_shape", "left_out", "fresh"):
        word = f"  {kind.replace('_', ' '):<12}"
        lines += [f"{word} {_short(name)}  {shapes.get(name, '')}".rstrip() for name in found[kind][:_SHOWN]]
        if len(found[kind]) > _SHOWN:
            lines.append(f"{word} and {len(found[kind]) - _SHOWN:,} more: run.json")
    return "\n".join(lines)


def _few_fit(share: float, given: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """That most weights begin anew, and with which settings they would not."""
    text = f"only {share:.1%} of the weights of these networks come from there: the others begin anew"
    other = [
        "--set " + shlex.quote(f"architecture.{name}={json.dumps(given[name])}")
        for name in own
        if given.get("name") == own.get("name") and name in given and given[name] != own[name]
    ]
    return f"{text}. The same networks as there: {' '.join(other)}" if other else text


def _short(name: str) -> str:
    """The name of a parameter as `--freeze` takes it."""
    return name.removeprefix("networks.").partition(".")[2]


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
