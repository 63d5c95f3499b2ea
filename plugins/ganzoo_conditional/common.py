"""Parts that both conditional networks share: checks of the data, output range, initialisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import DataError, DataInfo, Field, Net, Networks


class Bounded(nn.Module):
    """Squashes into the closed interval `bounds`, by tanh or by the logistic function."""

    def __init__(self, bounds: tuple[float, float], curve: str) -> None:
        super().__init__()
        low, high = bounds
        self.curve: nn.Module = nn.Tanh() if curve == "tanh" else nn.Sigmoid()
        self.scale = (high - low) / 2 if curve == "tanh" else high - low
        self.shift = (high + low) / 2 if curve == "tanh" else low

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same shape."""
        squashed: Tensor = self.curve(hidden)
        return squashed * self.scale + self.shift


def conditions(data: DataInfo, architecture: str) -> tuple[Field, int]:
    """The field `image` and the number of classes; DataError for labels that are no classes."""
    image, label = data.field("image"), data.field("label")
    if image.dtype != "float32" or label.dtype != "int64" or label.shape != () or not label.classes:
        raise DataError(
            f"The architecture '{architecture}' needs an image and one class label per sample.",
            where=f"image: {image.dtype}{list(image.shape)}, label: {label.dtype}{list(label.shape)} "
            f"with {len(label.classes)} classes",
            fix="put the pictures into one sub-folder for each class, or choose a recipe without labels",
        )
    return image, len(label.classes)


def label_table(classes: int, width: int, spread: float) -> nn.Embedding:
    """One trained vector of `width` per class, drawn from N(0, spread)."""
    table = nn.Embedding(classes, width)
    nn.init.normal_(table.weight, 0, spread)
    return table


def finish(module: nn.Module, init: str, *, spectral: bool = False) -> None:
    """Initialise in place and put spectral norm on every layer where asked.

    `normal`: weights N(0, 0.02), norm gains N(1, 0.02), biases 0.
    """
    weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
    layers = list(module.modules())
    for layer in layers:
        if init == "normal" and isinstance(layer, weighted):
            nn.init.normal_(layer.weight, 0, 0.02)
            if not isinstance(layer, nn.Embedding) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif init == "normal" and isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1, 0.02)
        if spectral and isinstance(layer, weighted):
            spectral_norm(layer)


def networks(generator: nn.Module, discriminator: nn.Module, latent: Field) -> Networks:
    """A generator from z and label, a discriminator of image and label."""
    return Networks(
        generators={"generator": Net(module=generator, reads=("z", "label"), writes=("image",))},
        discriminators={"discriminator": Net(module=discriminator, reads=("image", "label"))},
        fields=(latent,),
    )
