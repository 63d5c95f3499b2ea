"""Every recipe's cycles on a pretended CUDA device: no graph would break on them, and kernels are budgeted.

Networks as small as most here wait for kernels to start, so their number decides the speed of a run. A change
that needs more or fewer of them says so in `kernels.json`, which this writes:

    UPDATE_KERNELS=1 pytest tests/cuda_model -m "slow or not slow"
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ganzoo.api import AugmentationSpec, RecipeSpec
from ganzoo.registry.registry import Registry

HERE = Path(__file__).parent
BUDGET = HERE / "kernels.json"
TORCH = torch.__version__.partition("+")[0]

Kernels = Mapping[str, Mapping[str, int]]

# Ways of the loop that recipes leave off.
OPTIONS: dict[str, dict[str, Any]] = {
    "fp32": {"train.precision": "fp32"},
    "flip": {"data.flip": True},
    "micro-batches": {"train.micro_batch": 16},
    "packs": {"train.pack": 2},
    "pool": {"train.replay": 256},
    "reused samples": {"train.reuse_fakes": True},
    "skipped steps": {"train.on_nan": "skip"},
    "sgd": {"generator.optimizer": "sgd", "discriminator.optimizer": "sgd"},
    "rmsprop": {"generator.optimizer": "rmsprop", "discriminator.optimizer": "rmsprop"},
    "clipped": {"generator.clip_norm": 1.0, "generator.clip_value": 1.0, "generator.optimizer": "adamw"},
    "schedules": {
        "terms.lecam.weight": "linear 0 -> 0.3",
        "generator.lr": "linear 0.0002 -> 0",
        "generator.decay": "none",
        "discriminator.clip_norm": "linear 1 -> 2",
    },
}

# Recipes whose cycles stay eager on a GPU, and why: no form of these operations leaves the host alone.
EAGER = {"tgan-paper": "the host waits in aten::_linalg_eigh"}  # clipping of singular values, as published

# A fault of `faults.py` and what is found.
FAULTS = {
    "item": "the host waits in aten::_local_scalar_dense",
    "branch": "the host waits in aten::_local_scalar_dense",
    "nonzero": "the host waits in aten::nonzero",
    "mask": "the host waits in aten::index",
    "cpu": "aten::_to_copy copies between host and device",
    "host scalar": "aten::mul mixes a tensor of the host with those of the device",
    "host noise": "aten::randn computes on the host",
    "counter": "a cycle changes the loss.calls on the host, from 1 to 2",
    "rebound buffer": "a cycle binds another tensor to the loss.mean",
}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The device, built for this torch."""
    if sys.platform != "linux":
        pytest.skip("the pretended device is built on Linux only")
    if torch.version.cuda or torch.version.hip:
        pytest.skip("this torch is built with CUDA, beside which no other can be registered")
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    if not (root / "include" / "ATen").is_dir():
        pytest.skip("this torch comes without its C++ headers")
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to build the pretended device with")
    built = tmp_path_factory.mktemp("device") / "libfakecuda.so"
    flags = ["-O0", "-DNDEBUG", "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden"]
    paths = [f"-I{root / 'include'}", f"-L{root / 'lib'}", f"-Wl,-rpath,{root / 'lib'}"]
    command = ["g++", *flags, str(HERE / "fakecuda.cpp"), "-o", str(built), *paths, "-ltorch_cpu", "-lc10"]
    subprocess.run(command, check=True)
    return built


def examined(library: Path, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The report of each job, all from one child process: it must know the device before it imports torch."""
    lines = "".join(json.dumps({"settings": {}, **job}) + "\n" for job in jobs.values())
    command = [sys.executable, "-m", "tests.cuda_model", str(library)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.returncode == 0, done.stderr
    return dict(zip(jobs, map(json.loads, done.stdout.splitlines()), strict=True))


def differences(counted: Kernels, budget: Kernels) -> list[str]:
    """Where kernels are not those of the budget, in words."""
    found = []
    for name, cycles in counted.items():
        planned = budget.get(name, {})
        for kind in dict.fromkeys((*planned, *cycles)):
            was, now = planned.get(kind, "no"), cycles.get(kind, "no")
            if was != now:
                found.append(f"{name}: {now} kernels in a cycle of {kind}, {was} in the budget")
    return found


def check(library: Path, jobs: Mapping[str, Mapping[str, Any]]) -> None:
    """Nothing is found in the cycles of these jobs, and their kernels are those of the budget."""
    reports = examined(library, jobs)
    findings = {
        name: found
        for name, report in reports.items()
        if (found := [f for f in report["findings"] if not (name in EAGER and f.startswith(EAGER[name]))])
    }
    assert not findings, json.dumps(findings, indent=1)
    counted = {name: report["kernels"] for name, report in reports.items()}
    assert all(counted.values())
    budget = json.loads(BUDGET.read_text())
    if os.environ.get("UPDATE_KERNELS"):
        kernels = {**budget["kernels"], **counted} if budget["torch"] == TORCH else counted
        text = json.dumps({"torch": TORCH, "kernels": dict(sorted(kernels.items()))}, indent=1)
        BUDGET.write_text(text + "\n")
    elif budget["torch"] != TORCH:
        pytest.skip(f"nothing found; kernels.json counts those of torch {budget['torch']}, this is {TORCH}")
    else:
        found = differences(counted, budget["kernels"])
        assert not found, "\n".join(
            [*found, "If that is meant to be: UPDATE_KERNELS=1, see the top of this file"]
        )


def built_in(registry: Registry, paper: bool) -> list[str]:
    """The recipes that come with ganzoo: those of papers at their size, or the others."""
    items = registry.of_kind(RecipeSpec)
    return [
        item.name for item in items if item.plugin.dist == "ganzoo" and item.name.endswith("-paper") == paper
    ]


@pytest.mark.parametrize("shard", range(2))
def test_cycles_of_the_sized_recipes(shard: int, registry: Registry, library: Path) -> None:
    check(library, {name: {"recipe": name} for name in built_in(registry, paper=False)[shard::2]})


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(2))
def test_cycles_of_the_recipes_of_papers(shard: int, registry: Registry, library: Path) -> None:
    check(library, {name: {"recipe": name} for name in built_in(registry, paper=True)[shard::2]})


def test_cycles_with_options_and_augmentations(registry: Registry, library: Path) -> None:
    augmentations = [item.name for item in registry.of_kind(AugmentationSpec) if item.plugin.dist == "ganzoo"]
    options = {**OPTIONS, **{name: {"augment.name": name} for name in augmentations}}
    check(library, {f"dcgan, {name}": {"recipe": "dcgan", "settings": s} for name, s in options.items()})


def test_planted_faults_are_found(library: Path) -> None:
    """Each by what it is; a loss that keeps its state in place has none."""
    jobs = {fault: {"recipe": "vanilla-ring", "fault": fault} for fault in ("", "none", *FAULTS)}
    reports = examined(library, jobs)
    assert reports["none"]["findings"] == reports[""]["findings"] == []
    for fault, what in FAULTS.items():
        assert any(what in finding for finding in reports[fault]["findings"]), (fault, reports[fault])
    # The sound loss has an average: a mean and a step towards it.
    assert reports["none"]["kernels"]["D, G"] == reports[""]["kernels"]["D, G"] + 2


def test_more_and_fewer_kernels_are_told() -> None:
    budget = {"one": {"D, G": 10, "D r1, G": 12}}
    assert differences(budget, budget) == []
    assert differences({}, budget) == []  # other shards have other recipes
    assert differences({"one": {"D, G": 11, "D r1, G": 12}}, budget) == [
        "one: 11 kernels in a cycle of D, G, 10 in the budget"
    ]
    assert differences({"one": {"D, G": 9}}, budget) == [
        "one: 9 kernels in a cycle of D, G, 10 in the budget",
        "one: no kernels in a cycle of D r1, G, 12 in the budget",
    ]
    assert len(differences({"two": {"D, G": 1}}, budget)) == 1


def test_the_budget_names_built_in_recipes_only(registry: Registry) -> None:
    known = {*built_in(registry, paper=False), *built_in(registry, paper=True)}
    named = {name.partition(",")[0] for name in json.loads(BUDGET.read_text())["kernels"]}
    assert named == known
