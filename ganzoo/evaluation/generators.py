"""What is evaluated: a generator of a run or of an exported bundle. Both use the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo import runtime, sampling
from ganzoo.data.dataset import Dataset
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.registry.registry import Registry
from ganzoo.runtime import onnx_file

if TYPE_CHECKING:
    from ganzoo.runs.load import Which

Array = NDArray[Any]

Make = Callable[[Mapping[str, Array]], Array]
"""Inputs (n, *shape) by field name -> samples (n, *shape)."""

_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class EvaluatedGenerator:
    """A generator that can be sampled.

    `data` and `data_options` name the data it was trained on, `classes` those that were used or left out (see
    `DataSettings`). `knows_place`: a path in `data` is whole; a bundle has only its last part. `about` says
    which weights these are; `status` is the status of its run. `make` turns inputs (n, ...) by field name
    into samples of `field`, (n, *shape), as floats or uint8.
    """

    name: str
    data: str
    data_options: Mapping[str, Any]
    classes: tuple[tuple[str, ...], tuple[str, ...]]
    fingerprint: str
    about: Mapping[str, Any]
    reads: Sequence[Field]
    field: Field
    make: Make
    status: str = "done"
    knows_place: bool = True

    @property
    def given(self) -> Field | None:
        """The samples of the data that it reads, None if it reads none."""
        found = (item for item in self.reads if item.source == "data" and item.dtype == "float32")
        return next(found, None)

    @property
    def scores(self) -> bool:
        """Whether it gives samples of the data a score, and makes no samples."""
        return self.field.shape == () and self.given is not None

    def learned_from(self, training: Dataset) -> bool:
        """Whether it was trained on this data; True if that is unknown."""
        return self.fingerprint in ("", training.fingerprint)


def inputs_of(reads: Sequence[Field], n: int, seed: int, real: Mapping[str, Array]) -> dict[str, Array]:
    """Noise drawn as in `ganzoo generate`; fields of the data from real samples, shuffled.

    So labels are as frequent as among the real samples. Labels that `real` does not have are drawn at random.
    """
    drawn = [field for field in reads if field.source != "data" or field.name not in real]
    inputs = sampling.draw(drawn, n, seed)
    given = [field.name for field in reads if field.name not in inputs]
    if given:
        rows = shuffled(len(real[given[0]]), n, seed)
        inputs |= {name: real[name][rows] for name in given}
    return inputs


def shuffled(count: int, n: int, seed: int) -> NDArray[np.intp]:
    """For each of `n` generated samples, which of `count` real samples it takes its inputs from."""
    order = np.random.Generator(np.random.PCG64(seed))
    return np.concatenate([order.permutation(count) for _ in range(-(-n // count))])[:n]


def of_bundle(path: Path, generator: str, *, trust: bool = False) -> EvaluatedGenerator:
    """The generator of a bundle or an .onnx file; torch is not needed. Errors as in `runtime.load`."""
    file = onnx_file.find(path, generator)
    loaded = runtime.from_bytes(onnx_file.read(file), provider="auto", where=str(file), trust=trust)
    field = loaded.outputs[0]

    def make(inputs: Mapping[str, Array]) -> Array:
        samples = loaded.run(inputs, batch_size=_BATCH)[field.name]
        return samples.transpose(0, 3, 1, 2) if field.name in loaded.layouts else samples

    about = loaded.about
    return EvaluatedGenerator(
        name=str(path),
        data=str(about.get("data", "")),
        data_options=dict(about.get("data_options", {})),
        classes=(tuple(about.get("data_only", ())), tuple(about.get("data_without", ()))),
        fingerprint=str(about.get("data_fingerprint", "")),
        about={
            "generator": loaded.name,
            "weights": "EMA" if about.get("ema") else "raw",
            "images": about.get("images"),
            "file": file.name,
            "recipe": about.get("recipe"),
        },
        reads=loaded.inputs,
        field=field,
        make=make,
        knows_place=False,
    )


def of_run(
    path: Path,
    generator: str,
    registry: Registry,
    which: Which,
    note: Callable[[str], None],
    *,
    raw: bool = False,
) -> EvaluatedGenerator:
    """The generator of a run directory, with torch on the CPU."""
    from ganzoo.config.settings import plain
    from ganzoo.networks.apply import declared, sampled
    from ganzoo.runs.load import load_trained
    from ganzoo.runs.run import Run

    run = Run.open(path, writes=False)
    trained = load_trained(run, registry, which, note, raw=raw)
    nets = trained.networks.generators
    if generator not in nets:
        raise UsageError(f"The run has no generator '{generator}'.", fix=f"it has: {', '.join(nets)}")
    net = nets[generator]
    net.module.eval()
    fields = declared(trained.networks, trained.info)

    plan = trained.plan
    averaged = plan.ema.active and not raw
    return EvaluatedGenerator(
        name=str(path),
        data=plan.data.source,
        data_options={} if plan.dataset.options is None else plain(plan.dataset.options),
        classes=(plan.data.only, plan.data.without),
        fingerprint=run.record["data"]["fingerprint"],
        about={
            "generator": generator,
            "weights": "EMA" if averaged else "raw",
            "images": trained.images,
            "recipe": plan.name,
        },
        reads=[fields[name] for name in net.reads],
        field=fields[net.writes[0]],
        make=partial(sampled, net),
        status=run.record["status"],
    )
