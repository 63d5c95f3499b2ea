"""Checks of augmentations on synthetic images, after they have seen high real scores."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.api.training import Batch
from ganzoo.testing.check import check, demand
from ganzoo.testing.targets import BATCH, AugmentationTarget

SIZES = ((1, 8, 8), (3, 8, 12), (4, 7, 5))


class _Uniform:
    """A `uniform` function that gives the same numbers to each new instance, or those of one sample."""

    def __init__(self, sample: int | None = None) -> None:
        self._random = torch.Generator().manual_seed(0)
        self._rows = slice(sample, None if sample is None else sample + 1)

    def __call__(self, *shape: int) -> Tensor:
        numbers = torch.rand(BATCH, *shape[1:], generator=self._random)[self._rows]
        demand(
            shape[:1] == numbers.shape[:1],
            f"It draws random numbers of shape {shape} for {len(numbers)} samples.",
            "use uniform(N, ...): each sample has its own numbers",
        )
        return numbers


def _images(size: tuple[int, ...]) -> Tensor:
    return 2 * torch.rand(BATCH, *size, generator=torch.Generator().manual_seed(1)) - 1


@check("augmentation")
def fields_stay(target: AugmentationTarget) -> None:
    """Images of 1, 3 and 4 channels and any size keep their names and shapes, and stay finite."""
    augment = target.augmentation()
    for size in SIZES:
        given = {"a": _images(size), "b": -_images(size)}
        found: Batch = augment(dict(given), _Uniform())
        shapes = {name: tuple(value.shape) for name, value in found.items()}
        expected = {name: tuple(value.shape) for name, value in given.items()}
        demand(shapes == expected, f"Fields {expected} became {shapes}.")
        for value in found.values():
            demand(value.dtype == torch.float32, f"Images in float32 became {value.dtype}.")
            demand(bool(torch.isfinite(value).all()), f"Images of size {size} are no longer finite.")


@check("augmentation", "fields-stay")
def fields_move_alike(target: AugmentationTarget) -> None:
    """Two fields with the same images are the same afterwards, so that pairs stay pairs."""
    images = _images(SIZES[0])
    found = target.augmentation()({"a": images, "b": images.clone()}, _Uniform())
    demand(
        torch.allclose(found["a"], found["b"], atol=1e-5),
        "Two fields with the same images differ afterwards.",
        "draw random numbers once, and use them for all fields",
    )


@check("augmentation", "fields-stay")
def samples_stay_apart(target: AugmentationTarget) -> None:
    """With the same random numbers, a sample changes in the same way alone and in a batch."""
    augment, images = target.augmentation(), _images(SIZES[0])
    together = augment({"image": images}, _Uniform())["image"]
    for at in range(BATCH):
        alone = augment({"image": images[at : at + 1]}, _Uniform(at))["image"]
        demand(
            torch.allclose(alone, together[at : at + 1], atol=1e-5),
            "A sample changes differently in a batch and alone: micro-batches would change a run.",
            "draw with the given uniform(N, ...) only, and do not mix samples",
        )


@check("augmentation", "fields-stay")
def gradients_pass_twice(target: AugmentationTarget) -> None:
    """Gradients pass through it for generators, and second derivatives for gradient penalties."""
    images = _images(SIZES[0]).requires_grad_()
    found = target.augmentation()({"image": images}, _Uniform())["image"]
    demand(found.requires_grad, "Its images have no gradient: generators cannot learn.")
    (slope,) = torch.autograd.grad(found.square().sum(), images, create_graph=True)
    demand(slope.requires_grad, "Its gradient has no gradient: penalties cannot be computed.")
    (curvature,) = torch.autograd.grad(slope.square().sum(), images)
    for name, value in (("first", slope), ("second", curvature)):
        fine = bool(torch.isfinite(value).all()) and bool(value.any())
        demand(fine, f"Its {name} derivative is 0 or not finite.")
