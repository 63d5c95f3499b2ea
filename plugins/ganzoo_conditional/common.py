"""Code that both conditional architectures share: checks of the data, label vectors, initialisation."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import DataError, DataInfo, Field, initialise


def conditions(data: DataInfo, architecture: str) -> tuple[Field, int]:
    """The field `image` and the number of classes; DataError for labels that are not classes."""
    image, label = data.field("image"), data.field("label")
    if image.dtype != "float32" or label.dtype != "int64" or label.shape != () or not label.classes:
        raise DataError(
            f"The architecture '{architecture}' needs an image and one class label per sample.",
            where=f"image: {image.dtype}{list(image.shape)}, label: {label.dtype}{list(label.shape)} "
            f"with {len(label.classes)} classes",
            fix="put the images into one sub-folder for each class, or choose a recipe without labels",
        )
    return image, len(label.classes)


def label_table(classes: int, width: int, spread: float) -> nn.Embedding:
    """One trained vector of `width` per class, drawn from N(0, spread)."""
    table = nn.Embedding(classes, width)
    nn.init.normal_(table.weight, 0, spread)
    return table


def finish(module: nn.Module, init: Literal["default", "normal"], *, spectral: bool = False) -> None:
    """Initialise in place; with `spectral`, put spectral norm on every layer."""
    initialise(module, init)
    if spectral:
        weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
        for layer in [item for item in module.modules() if isinstance(item, weighted)]:
            spectral_norm(layer)
