"""Runs a peer's own training loop on a case; each step of it begins at the gate."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.speed import gated, stubs
from benchmarks.speed.cases import Case
from benchmarks.speed.data import samples
from benchmarks.speed.peers import frameworks
from benchmarks.speed.peers.nets import MODULES, script_of
from benchmarks.speed.places import Places
from benchmarks.speed.step_gate import StepGate

Loop = Callable[[Case, Places, StepGate], None]

NEVER = 10**9
# Batches that a peer looks at before its training begins.
PEEKS = {"collections": 1, "vegans": 1}


def train(peer: str, case: Case, places: Places, gate: StepGate) -> None:
    """Train until the gate ends the process."""
    import torch

    torch.set_num_threads(places.threads)
    torch.manual_seed(0)
    if places.device != "cpu":
        gate.wait = torch.accelerator.synchronize
        gate.memory = lambda: torch.accelerator.max_memory_allocated() / 2**20
    stubs.install(lambda: samples(case.name))
    places.make_importable(peer)
    if peer != "lightning":  # it fetches ahead, so that a batch does not begin a step
        gated.install(gate, PEEKS.get(peer, 0))
    LOOPS[peer](case, places, gate)


def pytorch_gan(case: Case, places: Places, gate: StepGate) -> None:
    """eriklindernoren/PyTorch-GAN: one script a GAN; it takes CUDA when it sees a device."""
    options = {
        "--n_epochs": NEVER,
        "--batch_size": case.batch,
        "--latent_dim": case.latent[0],
        "--img_size": case.size,
        "--channels": case.channels,
        "--sample_interval": NEVER,
    }
    if case.n_critic > 1:
        options["--n_critic"] = case.n_critic
    _run(script_of(case, places), options)


def examples(case: Case, places: Places, gate: StepGate) -> None:
    """pytorch/examples, dcgan/main.py."""
    options: dict[str, object] = {
        "--dataset": "folder",
        "--dataroot": ".",
        "--workers": 0,
        "--batchSize": case.batch,
        "--imageSize": case.size,
        "--nz": case.latent[0],
        "--niter": NEVER,
    }
    _run(places.path("examples") / "dcgan" / "main.py", options, *[["--accel"], []][places.device == "cpu"])


def collections(case: Case, places: Places, gate: StepGate) -> None:
    """w86763777/pytorch-gan-collections: its scripts name the device, here another one."""
    checkout = places.path("collections")
    sys.path.insert(0, str(checkout))
    options = {
        "--arch": "cnn32",
        "--batch_size": case.batch,
        "--z_dim": case.latent[0],
        "--n_dis": case.n_critic,
        "--total_steps": NEVER,
        "--eval_step": NEVER,
        "--sample_step": NEVER,
    }
    text = (checkout / f"{MODULES[case.name]}.py").read_text(encoding="utf-8")
    script = Path("script.py").absolute()  # in this process's own temporary folder
    script.write_text(text.replace("cuda:0", places.device), encoding="utf-8")
    _run(script, options, "--norecord")


def _run(script: Path, options: Mapping[str, object], *flags: str) -> None:
    given = [word for name, value in options.items() for word in (name, str(value))]
    sys.argv = [str(script), *given, *flags]
    runpy.run_path(str(script), run_name="__main__")


LOOPS: Mapping[str, Loop] = {
    "pytorch-gan": pytorch_gan,
    "examples": examples,
    "collections": collections,
    "torchgan": frameworks.torchgan,
    "mimicry": frameworks.mimicry,
    "vegans": frameworks.vegans,
    "lightning": frameworks.lightning,
}
