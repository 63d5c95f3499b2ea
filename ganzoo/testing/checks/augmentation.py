"""Checks of augmentations: what they do to made-up images, once they have seen sure discriminators."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.api.training import Batch
from ganzoo.testing.check import check, demand
from ganzoo.testing.targets import BATCH, AugmentationTarget

SIZES = ((1, 8, 8), (3, 8, 12), (4, 7, 5))


class _Dice:
    """A `uniform` of which the same call gets the same numbers again, or those of one sample."""

    def __init__(self, sample: int | None = None) -> None:
        self._random = torch.Generator().manual_seed(0)
        self._rows = slice(sample, None if sample is None else sample + 1)

    def __call__(self, *shape: int) -> Tensor:
        numbers = torch.rand(BATCH, *shape[1:], generator=self._random)[self._rows]
        demand(
            shape[:1] == numbers.shape[:1],
            f"It asks for {shape} random numbers with {len(numbers)} samples.",
            "uniform(N, ...): each sample has its own",
        )
        return numbers


def _images(size: tuple[int, ...]) -> Tensor:
    return 2 * torch.rand(BATCH, *size, generator=torch.Generator().manual_seed(1)) - 1


@check("augmentation")
def fields_stay(target: AugmentationTarget) -> None:
    """Images of 1, 3 and 4 channels and of any size come back by the same names, of that shape, finite."""
    augment = target.augmentation()
    for size in SIZES:
        given = {"a": _images(size), "b": -_images(size)}
        found: Batch = augment(dict(given), _Dice())
        shapes = {name: tuple(value.shape) for name, value in found.items()}
        expected = {name: tuple(value.shape) for name, value in given.items()}
        demand(shapes == expected, f"Fields {expected} became {shapes}.")
        for value in found.values():
            demand(value.dtype == torch.float32, f"Images in float32 became {value.dtype}.")
            demand(bool(torch.isfinite(value).all()), f"Images of size {size} are not finite any more.")


@check("augmentation", "fields-stay")
def fields_move_alike(target: AugmentationTarget) -> None:
    """Two fields with the same images are the same afterwards: what is a pair stays one."""
    images = _images(SIZES[0])
    found = target.augmentation()({"a": images, "b": images.clone()}, _Dice())
    demand(
        torch.allclose(found["a"], found["b"], atol=1e-5),
        "Two fields with the same images differ afterwards.",
        "draw random numbers once, and use them for all fields",
    )


@check("augmentation", "fields-stay")
def samples_stay_apart(target: AugmentationTarget) -> None:
    """With its own random numbers a sample becomes the same alone and in a batch."""
    augment, images = target.augmentation(), _images(SIZES[0])
    together = augment({"image": images}, _Dice())["image"]
    for at in range(BATCH):
        alone = augment({"image": images[at : at + 1]}, _Dice(at))["image"]
        demand(
            torch.allclose(alone, together[at : at + 1], atol=1e-5),
            "A sample becomes another one in a batch than alone: runs in parts would differ.",
            "draw by the given uniform(N, ...) only, and mix no samples",
        )


@check("augmentation", "fields-stay")
def gradients_pass_twice(target: AugmentationTarget) -> None:
    """Generators learn through it, and gradient penalties differentiate through its gradient."""
    images = _images(SIZES[0]).requires_grad_()
    found = target.augmentation()({"image": images}, _Dice())["image"]
    demand(found.requires_grad, "Its images have no gradient: generators cannot learn through it.")
    (slope,) = torch.autograd.grad(found.square().sum(), images, create_graph=True)
    demand(slope.requires_grad, "Its gradient has none: penalties cannot be computed.")
    (bend,) = torch.autograd.grad(slope.square().sum(), images)
    for name, value in (("first", slope), ("second", bend)):
        fine = bool(torch.isfinite(value).all()) and bool(value.any())
        demand(fine, f"Its {name} derivative is 0 or not finite.")
