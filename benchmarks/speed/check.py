"""Is it the same work? `python -m benchmarks.speed.check CASE` compares ganzoo with the peer of that case.

The networks must give the same outputs from the same weights, after all that ganzoo did to them. Then
the peer's own loop runs some steps while its weights, batches, random numbers and losses are written
down; ganzoo's loop repeats them. Where the peer updates in ganzoo's order all losses must agree, else
the discriminator's first one, which both compute from the initial weights.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.contender import plugged_in
from benchmarks.speed.peers.loops import train as train_peer
from benchmarks.speed.peers.nets import build_nets
from benchmarks.speed.places import Places
from ganzoo.api import Batch
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import load_registry
from ganzoo.training.compute.cuda_graphs import Eager
from ganzoo.training.loop import train_loop
from ganzoo.training.setup import TrainingSetup, prepare

OUTPUTS, LOSSES = 1e-6, 1e-4  # what may differ, relative to the largest value, at least 1
CYCLES = 5
SIDES = ("generator", "discriminator")
# Adam divides by the gradient's size, which makes a full step of the rounding error of a gradient that
# is zero, and a GAN's first steps blow differences up. On both sides a larger eps and a smaller learning
# rate keep losses comparable for some steps; they still move by far more than the gap allowed.
ADAM = {"lr": 1e-5, "eps": 1e-3}
# Peers that update in the same order, with the backward calls of a discriminator's step.
SAME_ORDER = {"examples": 2, "collections": 1, "torchgan": 1, "mimicry": 1}
# Where the first loss of the discriminator is among the losses of peers with another order.
FIRST = {"mlp-gan-28": 1, "cgan-mlp-32": 1, "dcgan-32-small": 1, "wgan-gp-mlp-28": 0}


@dataclass
class Notes:
    """What is written down of a peer's run."""

    steps: int
    weights: list[list[Tensor]] = field(default_factory=list)
    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    normals: list[Tensor] = field(default_factory=list)
    uniforms: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rates: set[float] = field(default_factory=set)
    training: bool = False

    def step(self, batches: int = 1) -> None:
        """Stands in for the gate: ends the peer's loop after so many steps."""
        if len(self.batches) == self.steps:
            raise SystemExit(0)

    def wait(self) -> None:
        """Nothing is timed."""


def main(name: str) -> int:
    """Check a case; prints a line a check and returns how many failed."""
    case, places = CASES[name], Places.from_environment()
    peer, same_order = case.nets, case.nets in SAME_ORDER
    torch.set_num_threads(places.threads)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "here" / "here"
        place.mkdir(parents=True)
        os.chdir(place)
        plugged_in(place / "metadata")
        registry = load_registry()
        settings = {"train.device": places.device, "train.precision": "fp32", "train.threads": 1}
        settings |= {f"{player}.{name}": value for name, value in ADAM.items() for player in SIDES}
        if not same_order:
            settings |= {"train.n_critic": 1, "train.reuse_fakes": True}
        plan = resolve(name, registry, overrides=settings)
        failed = _check_outputs(case, places, prepare(plan))
        _without_dropout()
        cycles = CYCLES if same_order else 1
        notes = _observed(peer, case, places, cycles * plan.train.n_critic)
        ours = _repeated(plan, notes, cycles)
        os.chdir("/")
    if same_order:
        theirs = _grouped(notes.losses, SAME_ORDER[peer], plan.train.n_critic)[:cycles]
        what = f"losses of the first {cycles * plan.train.n_critic} discriminator steps"
    else:
        theirs = [(notes.losses[FIRST[name]], ours[0][1])]
        what = "the discriminator's first loss"
    rates = {case.settings[f"{player}.lr"] for player in SIDES}
    failed += _report(name, "learning rates", np.asarray(sorted(rates)), np.asarray(sorted(notes.rates)), 0)
    failed += _report(name, what, np.asarray(ours), np.asarray(theirs), LOSSES)
    return failed


def _check_outputs(case: Case, places: Places, setup: TrainingSetup) -> int:
    failed = 0
    networks = setup.training.networks
    latent = torch.randn(case.batch, *case.latent)
    images = torch.rand(case.batch, *case.shape) * 2 - 1
    labels = [torch.arange(case.batch) % case.classes] if case.classes else []
    players = (
        ("generator", networks.generators["generator"].module, latent),
        ("discriminator", networks.discriminators["discriminator"].module, images),
    )
    for net, (player, module, value) in zip(build_nets(case, places), players, strict=True):
        own: Any = module
        own.net.load_state_dict(net.state_dict())
        # In float64 the order of sums, which is another in channels-last layout, does not show.
        for each in (own, net):
            each.double().train()
            for part in each.modules():
                if isinstance(part, nn.modules.dropout._DropoutNd):
                    part.eval()
        with torch.no_grad():
            ours, theirs = own(value.double(), *labels), net(value.double(), *labels)
        failed += _report(case.name, f"outputs of the {player}", ours.numpy(), theirs.numpy(), OUTPUTS)
    return failed


def _without_dropout() -> None:
    for name in ("dropout", "dropout2d"):
        setattr(nn.functional, name, lambda value, *args, **options: value)


def _observed(peer: str, case: Case, places: Places, steps: int) -> Notes:
    """What the peer's loop does in its first steps."""
    notes = Notes(steps)

    def noted(function: Callable[..., Any], into: list[Tensor]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            if notes.training:
                into.append(torch.as_tensor(result).detach().float().clone())
            return result

        return call

    class NotedAdam(torch.optim.Adam):
        def __init__(self, params: Any, *args: Any, **options: Any) -> None:
            params = list(params)
            notes.rates.add(options["lr"])
            notes.weights.append([value.detach().clone() for value in params])
            super().__init__(params, *args, **{**options, **ADAM})

    class NotedLoader(torch.utils.data.DataLoader[Any]):
        def __iter__(self) -> Any:
            notes.training = True
            notes.batches.clear()  # some peers look at a batch before they begin
            for images, labels in super().__iter__():
                notes.batches.append((images.clone(), labels.clone()))
                yield images, labels

    backward: Any = torch.Tensor.backward

    def noted_backward(self: Tensor, *args: Any, **options: Any) -> None:
        notes.losses.append(float(self.detach()))
        backward(self, *args, **options)

    patches: list[tuple[Any, str, Any]] = [
        (torch.optim, "Adam", NotedAdam),
        (torch.utils.data, "DataLoader", NotedLoader),
        (torch.Tensor, "backward", noted_backward),
        (torch, "randn", noted(torch.randn, notes.normals)),
        (torch, "rand", noted(torch.rand, notes.uniforms)),
        (np.random, "normal", noted(np.random.normal, notes.normals)),
        (np.random, "random", noted(np.random.random, notes.uniforms)),
        # ganzoo gives generated samples the labels of the real batch.
        (np.random, "randint", lambda *args: notes.batches[-1][1].numpy()),
    ]
    _run_patched(patches, lambda: train_peer(peer, case, places, notes))  # type: ignore[arg-type]
    return notes


def _run_patched(patches: Sequence[tuple[Any, str, Any]], action: Callable[[], None]) -> None:
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    printed = sys.stdout
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as sys.stdout:
            action()
    except SystemExit:
        pass
    finally:
        sys.stdout = printed
        for owner, name, value in before:
            setattr(owner, name, value)


def _repeated(plan: Plan, notes: Notes, cycles: int) -> list[tuple[float, float]]:
    """The losses of ganzoo's loop on the same weights, batches and random numbers."""
    setup = prepare(plan)
    training = setup.training
    for player in (training.generator, training.discriminator):
        shapes = [value.shape for value in player.parameters]
        given = next(values for values in notes.weights if [value.shape for value in values] == shapes)
        with torch.no_grad():
            for own, theirs in zip(player.parameters, given, strict=True):
                own.copy_(theirs)
    engine: Any = training.engine
    engine.normal = lambda *shape: notes.normals.pop(0).reshape(shape)
    engine.uniform = lambda *shape: notes.uniforms.pop(0).reshape(shape)
    recorder = Losses(setup, cycles)
    batches: Any = Repeated(notes.batches)
    train_loop(plan, training, setup.phases, batches, Eager(), recorder, lambda: None)  # type: ignore[arg-type]
    return recorder.found


class Repeated:
    """Stands in for the loop's batches: those that the peer had."""

    names = ("image", "label")

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.batches = batches

    def select(self, stream: str, position: int, n: int, names: Sequence[str]) -> Batch:
        """The batch at that position."""
        images, labels = self.batches[position // n] if names else (torch.empty(0),) * 2
        return {"image": images, "label": labels}

    def materialize(self, picked: Batch, names: Sequence[str]) -> Batch:
        """Those fields of it."""
        return {name: picked[name] for name in names}


class Losses:
    """Stands in for the recorder: reads both losses after each cycle."""

    def __init__(self, setup: TrainingSetup, cycles: int) -> None:
        self.setup, self.cycles = setup, cycles
        self.found: list[tuple[float, float]] = []

    @property
    def share(self) -> float:
        """How much of the run is done, for its schedules: nothing, until it ends."""
        return 0.0 if len(self.found) < self.cycles else 1.0

    def after_cycle(self, images: int) -> None:
        """Mean loss of the discriminator's steps with its penalties, loss of the generator's step."""
        means = self.setup.training.meter.read()
        penalties = sum(means[name] for name in self.setup.plan.terms)
        self.found.append((means["loss_discriminator"] + penalties, means["loss_generator"]))


def _grouped(losses: list[float], parts: int, n_critic: int) -> list[tuple[float, float]]:
    """Backward calls by cycle: the mean total of the discriminator's steps, the generator's loss."""
    size = parts * n_critic + 1
    cycles = [losses[start : start + size] for start in range(0, len(losses) - size + 1, size)]
    return [(sum(cycle[:-1]) / n_critic, cycle[-1]) for cycle in cycles]


def _report(case: str, what: str, ours: Any, theirs: Any, allowed: float) -> int:
    gap = float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())))
    verdict = "same" if gap <= allowed else "DIFFERENT"
    moved = np.ptp(theirs, axis=0).max() if len(theirs) > 1 and "losses" in what else 0
    more = f"; the losses moved by {moved:.1e}" if moved else ""
    print(f"{case}: {what}: {verdict}, gap {gap:.1e} (allowed {allowed:.0e}){more}", flush=True)
    return int(gap > allowed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
