"""`ganzoo bench train`: the loop's speed for recipes, beside the plain loop and the machine's limit."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ganzoo.bench.roofline import Peaks, measure_peaks
from ganzoo.bench.rounds import Process, Result, contender, factor, measure
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.training.cost import count_cycle
from ganzoo.training.setup import TrainingSetup, prepare


@dataclass(frozen=True)
class Row:
    """One recipe in one precision.

    Rates are by the wall clock, medians over the rounds. A step is one batch of real images with its
    share of the generator's step. `percent_of_floor` compares with the time that the step's products,
    convolutions and Adam take at the rates of `peak`. `factor_over_reference` is over the plain loop in
    fp32. `first_step_s` counts from the start of the process; `peak_mb` is the process's memory, on CUDA
    the device's.
    """

    recipe: str
    precision: str
    images_per_second: float
    ms_per_step: float
    percent_of_floor: float
    factor_over_reference: float
    first_step_s: float
    peak_mb: float
    reference_images_per_second: float
    reference_peak_mb: float


@dataclass(frozen=True)
class Report:
    """All rows, with what they were measured on."""

    rows: tuple[Row, ...]
    device: str
    threads: Mapping[str, int]
    peaks: Peaks
    rounds: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "device": self.device,
            "threads": dict(self.threads),
            "peaks_gflops": {" ".join(key): round(rate / 1e9, 1) for key, rate in self.peaks.rates.items()},
            "rounds": self.rounds,
            "seconds": self.seconds,
        }


def measure_training(
    recipes: Sequence[str],
    registry: Registry,
    settings: Mapping[str, Any],
    *,
    precisions: Sequence[str] = (),
    rounds: int = 3,
    seconds: float = 4.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure recipes with settings by path, one after the other; the loops of a recipe take turns.

    Without `precisions`: fp32, and bf16 where the hardware computes in it. The threads are those that
    training would choose now.
    """
    rows: list[Row] = []
    threads: dict[str, int] = {}
    peaks: dict[int, Peaks] = {}
    device = ""
    for recipe in recipes:
        chosen = prepare(resolve(recipe, registry, overrides=settings))
        count, device = torch.get_num_threads(), str(chosen.training.engine.device)
        threads[recipe] = count
        if count not in peaks:
            tell("measuring the machine's limit")
            peaks[count] = measure_peaks(chosen.training.engine.device)
        tell(f"measuring {recipe}: {rounds} rounds of about {seconds:g} s for each loop")
        wanted = precisions or tuple(dict.fromkeys(("fp32", chosen.training.engine.precision)))
        pinned = {**settings, "train.threads": count}
        rows += _rows(recipe, registry, pinned, wanted, peaks[count], rounds, seconds)
    return Report(tuple(rows), device, threads, peaks[count], rounds, seconds)


def floor_seconds(setup: TrainingSetup, peaks: Peaks) -> float:
    """Seconds for one real image at the machine's limit. The prepared run is used up."""
    training, settings = setup.training, setup.plan.train
    adam = sum(value.numel() for value in training.generator.parameters)
    adam += settings.n_critic * sum(value.numel() for value in training.discriminator.parameters)
    cycle = peaks.floor(count_cycle(setup).work, adam)
    return cycle / (settings.n_critic * settings.batch_size)


def _rows(
    recipe: str,
    registry: Registry,
    settings: Mapping[str, Any],
    precisions: Sequence[str],
    peaks: Peaks,
    rounds: int,
    seconds: float,
) -> list[Row]:
    plans = {
        name: resolve(recipe, registry, overrides={**settings, "train.precision": name})
        for name in dict.fromkeys(("fp32", *precisions))
    }
    floors = {name: floor_seconds(prepare(plan), peaks) for name, plan in plans.items()}
    loops = [("plain", "fp32"), *(("ganzoo", name) for name in precisions)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                Process(
                    f"{recipe}, {kind} loop",
                    contender(kind, recipe, {**settings, "train.precision": precision}),
                )
            )
            for kind, precision in loops
        ]
        results = measure(processes, rounds, seconds)
    plain, *own = results
    return [
        _row(plans[name], name, result, plain, floors[name])
        for name, result in zip(precisions, own, strict=True)
    ]


def _row(plan: Plan, precision: str, result: Result, plain: Result, floor: float) -> Row:
    batches = statistics.median(result.rates())
    images = batches * plan.train.batch_size
    return Row(
        recipe=plan.name,
        precision=precision,
        images_per_second=round(images, 1),
        ms_per_step=round(1e3 / batches, 3),
        percent_of_floor=round(100 * images * floor, 1),
        factor_over_reference=round(factor(result, plain), 3),
        first_step_s=round(result.first.wall, 2),
        peak_mb=round(result.peak_mb, 1),
        reference_images_per_second=round(statistics.median(plain.rates()) * plan.train.batch_size, 1),
        reference_peak_mb=round(plain.peak_mb, 1),
    )
