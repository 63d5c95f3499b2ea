"""Parts that the three WGAN networks share: output range, sizes of maps, initialisation, checks of data."""

from __future__ import annotations

from math import prod, sqrt
from typing import Literal

from torch import Tensor, nn

from ganzoo.api import DataError, DataInfo, Field, Net, Networks

Size = tuple[int, int]


class Crop(nn.Module):
    """Keeps the first `size` rows and columns of a map."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.height, self.width = size

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, >= height, >= width) -> (N, C, height, width)."""
        return maps[:, :, : self.height, : self.width]


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


def map_sizes(height: int, width: int, stages: int) -> list[Size]:
    """Sizes of the maps from the picture down: ceil(side / 2**k) for k = 0..stages."""
    return [(-(-height // 2**k), -(-width // 2**k)) for k in range(stages + 1)]


def picture(data: DataInfo, architecture: str) -> Field:
    """The field `image`; DataError for what is no picture or too small for a convolutional net."""
    image = data.field("image")
    if len(image.shape) != 3 or image.dtype != "float32":
        raise DataError(
            f"The architecture '{architecture}' needs pictures: channels x height x width.",
            where=f"the field '{image.name}' has the shape {image.shape}",
            fix="the architecture 'wgan-mlp' takes any shape",
        )
    _, height, width = image.shape
    if min(height, width) < 8:
        raise DataError(
            f"The architecture '{architecture}' needs pictures of at least 8x8 pixels.",
            where=f"the field '{image.name}' has {height}x{width}",
            fix="the architecture 'wgan-mlp' takes any size; or enlarge the pictures",
        )
    return image


def networks(generator: nn.Module, critic: nn.Module, field: Field, latent: Field) -> Networks:
    """One generator that writes `field` from `latent`, one critic that reads it."""
    return Networks(
        generators={"generator": Net(module=generator, reads=(latent.name,), writes=(field.name,))},
        discriminators={"discriminator": Net(module=critic, reads=(field.name,))},
        fields=(latent,),
    )


def initialise(
    module: nn.Module, init: Literal["default", "normal", "he"], plain: tuple[nn.Module, ...] = ()
) -> None:
    """`normal`: N(0, 0.02), norm gains N(1, 0.02). `he`: uniform, variance 4 / (fan in + fan out).

    `he` is what improved_wgan_training's tflib does: half that variance in linear layers and in those
    of `plain`, fans divided by the stride's square on the side that has fewer pixels. Biases 0.
    """
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if init == "normal":
                nn.init.normal_(layer.weight, 0, 0.02)
            else:
                scaled_uniform(layer, 2.0 if isinstance(layer, nn.Linear) or layer in plain else 4.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) and init == "normal":
            nn.init.normal_(layer.weight, 1, 0.02)


def scaled_uniform(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, gain: float) -> None:
    """Weights from U(-r, r) with variance r^2 / 3 = gain / (fan in + fan out)."""
    if isinstance(layer, nn.Linear):
        fans = float(layer.in_features + layer.out_features)
    else:
        taps, thinned = prod(layer.kernel_size), prod(layer.stride)
        up = isinstance(layer, nn.ConvTranspose2d)
        fan_in = layer.in_channels * taps / (thinned if up else 1)
        fan_out = layer.out_channels * taps / (1 if up else thinned)
        fans = fan_in + fan_out
    spread = sqrt(3 * gain / fans)
    nn.init.uniform_(layer.weight, -spread, spread)
