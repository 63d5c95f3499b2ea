"""Checks of a recipe: a few cycles of training, resuming, and the export to an ONNX file without torch."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys

import torch
from torch import Tensor

from ganzoo.config.resolve import resolve
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.verify import check_signature, check_structure, measure_parity
from ganzoo.networks.build import build_networks
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.testing.check import check, demand
from ganzoo.testing.checks.plugin import demand_summary
from ganzoo.testing.targets import BATCH, RecipeTarget
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start


def _tensors(run: Run) -> dict[str, Tensor]:
    return dict(read_newest(run.checkpoints, lambda note: None)[0])


@check("recipe")
def resolves(target: RecipeTarget) -> None:
    """Everything that it names exists, and all its settings have valid paths and values."""
    demand_summary(target.item.spec.summary)
    resolve(target.item.qualified, target.registry)


@check("recipe", "resolves")
def trains(target: RecipeTarget) -> None:
    """After four cycles of training all values are finite, and the weights of every network have changed."""
    run = target.whole
    for line in run.log():
        bad = [name for name, value in line["values"].items() if not math.isfinite(value)]
        demand(not bad, f"'{bad[0] if bad else ''}' is not finite after {line['images']} images.")
    tensors, networks = _tensors(run), build_networks(target.plan, target.info)
    for role, nets in (("generator", networks.generators), ("discriminator", networks.discriminators)):
        for name, net in nets.items():
            learned = [
                not torch.equal(value, tensors[f"networks.{role}.{name}.{key}"])
                for key, value in net.module.named_parameters()
            ]
            demand(
                any(learned) or not learned,
                f"No weight of '{name}' has changed in training.",
                "does its output reach the loss without detach?",
            )


@check("recipe", "trains")
def resumes_exactly(target: RecipeTarget) -> None:
    """Two cycles, a pause and two more give the same bytes as four cycles without a pause."""
    whole, parts = _tensors(target.whole), _tensors(target.in_parts())
    different = sorted(key for key in whole if not torch.equal(whole[key], parts[key]))
    demand(
        not different,
        f"'{different[0] if different else ''}' is different after a pause.",
        "keep all state in parameters and buffers, and take random numbers from the view",
    )


class _Counting(NullReporter):
    """Counts the tensors that are alive after some cycles."""

    def __init__(self, at: tuple[int, ...]) -> None:
        super().__init__()
        self.counts: list[int] = []
        self._at = at

    def progress(self, images: int, total: int | None, share: float, seconds: float) -> None:
        if images in self._at:
            gc.collect()
            # A proxy object may claim to be of any class, and isinstance() would load what it stands for.
            self.counts.append(sum(issubclass(type(item), Tensor) for item in gc.get_objects()))


@check("recipe", "trains")
def memory_is_flat(target: RecipeTarget) -> None:
    """The number of tensors alive does not grow from cycle to cycle."""
    early, late = 4, 10
    counting = _Counting((early * BATCH, late * BATCH))
    start(target.shrunk(target.plan.data.source, late + 1), target.folder / "memory", counting)
    before, after = counting.counts
    demand(
        after - before < late - early,
        f"Tensors alive: {before} after {early} cycles, {after} after {late}.",
        "do not keep tensors of a step in lists or attributes",
    )


@check("recipe", "trains")
def graph_is_plain(target: RecipeTarget) -> None:
    """The ONNX graph is valid, and has no random, ScatterND or control-flow operators."""
    for graph, _ in target.exported.values():
        check_structure(graph)


@check("recipe", "graph-is-plain")
def graph_is_as_declared(target: RecipeTarget) -> None:
    """The inputs and outputs of the graph have the names, types and shapes of the fields."""
    for graph, part in target.exported.values():
        check_signature(graph, part.inputs, part.outputs)


@check("recipe", "graph-is-as-declared")
def graph_equals_torch(target: RecipeTarget) -> None:
    """Onnxruntime and torch agree at batches of 1, 2, 7 and 64: the graph depends on no traced shape."""
    for graph, part in target.exported.values():
        measure_parity(graph, part.net.module, part.inputs, part.outputs)


_SAMPLE = """
import json, sys
sys.modules["torch"] = None
import numpy as np, ganzoo
from ganzoo import sampling
found = {}
for name in sys.argv[2:]:
    generator = ganzoo.load(sys.argv[1], generator=name, provider="cpu")
    given = {item.name: np.zeros((3, *item.shape), item.dtype) for item in generator.inputs
             if not sampling.can_draw(item)}
    values = generator.generate_all(3, seed=0, **given)
    found[name] = {key: [list(value.shape), bool(np.isfinite(value).all())] for key, value in values.items()}
print(json.dumps(found))
"""


@check("recipe", "graph-equals-torch")
def samples_without_torch(target: RecipeTarget) -> None:
    """The exported generators can be sampled in a Python without torch."""
    about = {"recipe": target.item.name}
    bundle = export_generators(target.trained.networks, target.info, target.folder / "bundle", about=about)
    command = [sys.executable, "-c", _SAMPLE, str(bundle.path), *target.exported]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    demand(done.returncode == 0, f"Sampling without torch failed: {lines[-1] if lines else 'no message'}")
    for name, outputs in json.loads(done.stdout).items():
        for key, (shape, finite) in outputs.items():
            demand(shape[0] == 3 and finite, f"'{name}' writes '{key}' of shape {shape}, finite: {finite}.")
