"""The latents of given samples: gradient descent on the inputs of a generator (GAN inversion).

The distance is that of values plus that of the maps of a fixed network, in which each place is a vector of
length 1 (Zhang et al. 2018, arXiv:1801.03924, equation 1, without learned weights).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganzoo import sampling
from ganzoo.api.networks import Net
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.networks.apply import apply
from ganzoo.util.progress import report_progress

__all__ = ["Distance", "Projection", "Search", "project"]

_LARGEST = 1024  # numbers of a noise field that is a latent; the noise of all pixels is none
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Search:
    """How latents are looked for: the best `starts` of `candidates` samples, `steps` of Adam from each.

    The learning rate falls from `rate` to 0 by a cosine. `prior` weighs mean(v^2) of what is found, which
    keeps it near what the generator was trained with.
    """

    steps: int = 300
    starts: int = 4
    candidates: int = 256
    rate: float = 0.05
    prior: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Projection:
    """What was found for one sample: all inputs (1, *shape), the made sample (*shape), and the distances.

    `found`: the fields that were looked for. `pixels` and `perceptual` are the parts of the distance.
    """

    inputs: Mapping[str, NDArray[Any]]
    made: NDArray[Any]
    pixels: float
    perceptual: float
    found: tuple[str, ...]


class Distance:
    """The distance of samples (N, *shape) of a field from targets: of values, and of maps, if any."""

    def __init__(self, field: Field, maps: nn.Module | None = None) -> None:
        self.low, high = field.range or (-1.0, 1.0)
        self.span = high - self.low
        self.maps = None if maps is None else maps.eval().requires_grad_(False)

    def __call__(self, made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """(N, *shape) twice -> the mean difference as a share of the range, and that of maps, each (N,).

        The latter is a mean over scales of the mean over places of |f - g|^2, vectors of length 1: 0 to 4.
        """
        shares = [(values - self.low) / self.span for values in (made, wanted)]
        values = (shares[0] - shares[1]).abs().flatten(1).mean(1)
        if self.maps is None:
            return values, torch.zeros_like(values)
        scales = [
            (nn.functional.normalize(one, dim=1) - nn.functional.normalize(two, dim=1))
            .square()
            .sum(1)
            .flatten(1)
            .mean(1)
            for one, two in zip(self.maps(shares[0]), self.maps(shares[1]), strict=True)
        ]
        return values, torch.stack(scales).mean(0)


def project(
    net: Net,
    fields: Mapping[str, Field],
    wanted: Tensor,
    distance: Distance,
    search: Search,
    given: Mapping[str, NDArray[Any]] | None = None,
    progress: Callable[[str, int, int], None] = report_progress,
) -> Projection:
    """The inputs of a generator whose sample is nearest to `wanted` (*shape).

    `given` fixes inputs, (1, *shape): a label, for example. The candidates differ in the others that are
    drawn, classes too. UsageError when the generator reads no latent.
    """
    net.module.eval().requires_grad_(False)
    inputs = [fields[name] for name in net.reads]
    sought = [
        item.name
        for item in inputs
        if (
            item.source in ("normal", "uniform")
            and item.dtype == "float32"
            and math.prod(item.shape) <= _LARGEST
        )
        or item.name in net.directions
    ]
    sought = [name for name in sought if name not in (given or {})]
    if not sought or any(not sampling.can_draw(item) and item.name not in (given or {}) for item in inputs):
        raise UsageError(
            "This generator has no latents to look for: it reads "
            f"{', '.join(item.name for item in inputs) or 'nothing'}.",
            fix="use a run whose generator makes samples from noise",
        )
    batch = _best(net, inputs, wanted, distance, search, given or {})
    variables = {name: batch[name].clone().requires_grad_(True) for name in sought}
    optimizer = torch.optim.Adam(variables.values(), lr=search.rate, betas=(0.9, 0.999))
    best = torch.full((len(next(iter(batch.values()))),), math.inf)
    kept = {name: value.detach().clone() for name, value in variables.items()}
    target = wanted[None].expand(len(best), *wanted.shape)
    for step in range(search.steps + 1):
        made = apply(net, {**batch, **variables})[net.writes[0]]
        values, perceptual = distance(made, target)
        now = (values + perceptual).detach()
        better = now < best
        best = torch.where(better, now, best)
        for name, value in variables.items():
            kept[name][better] = value.detach()[better]
        progress("steps of the search", step, search.steps)
        if step == search.steps:
            break
        prior = torch.stack([value.square().flatten(1).mean(1) for value in variables.values()]).sum(0)
        optimizer.zero_grad()
        (values + perceptual + search.prior * prior).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.param_groups[0]["lr"] = search.rate * 0.5 * (1 + math.cos(math.pi * step / search.steps))
        optimizer.step()
        with torch.no_grad():
            for name, value in variables.items():
                if fields[name].source == "uniform":
                    value.clamp_(-1, 1)
    row = int(best.argmin())
    chosen = {name: value[row : row + 1] for name, value in {**batch, **kept}.items()}
    with torch.no_grad():
        made = apply(net, chosen)[net.writes[0]]
        values, perceptual = distance(made, wanted[None])
    return Projection(
        inputs={name: value.numpy() for name, value in chosen.items()},
        made=made[0].numpy(),
        pixels=float(values[0]),
        perceptual=float(perceptual[0]),
        found=tuple(sought),
    )


def _best(
    net: Net,
    inputs: list[Field],
    wanted: Tensor,
    distance: Distance,
    search: Search,
    given: Mapping[str, NDArray[Any]],
) -> dict[str, Tensor]:
    """The inputs of the candidates whose samples are nearest."""
    count = max(search.candidates, search.starts)
    drawn = sampling.draw([item for item in inputs if item.name not in given], count, search.seed)
    whole = {**drawn, **{name: value.repeat(count, axis=0) for name, value in given.items()}}
    batch = {name: torch.from_numpy(value) for name, value in whole.items()}
    distances = []
    with torch.no_grad():
        for start in range(0, count, _AT_ONCE):
            part = {name: value[start : start + _AT_ONCE] for name, value in batch.items()}
            made = apply(net, part)[net.writes[0]]
            distances.append(sum(distance(made, wanted[None].expand_as(made))))
    nearest = torch.cat([torch.as_tensor(value) for value in distances]).argsort()[: search.starts]
    return {name: value[nearest] for name, value in batch.items()}
