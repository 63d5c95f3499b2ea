"""The networks of Radford et al. 2015 (arXiv:1511.06434, section 3 and figure 1), for any picture size.

A map of stage k has ceil(side / 2**k) pixels. Where doubling gives one pixel too many, it is cropped.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import DataError, DataInfo, Field, Net, Networks, SettingsError, halvings
from ganzoo_dcgan.config import DcganConfig

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


def upscale(
    inputs: int, outputs: int, kernel: int, before: Size, after: Size, *, bias: bool
) -> list[nn.Module]:
    """A strided transposed convolution that doubles a map, with a crop where `after` is smaller."""
    odd = kernel % 2
    layer = nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=odd, bias=bias
    )
    doubled = (2 * before[0], 2 * before[1])
    return [layer] if doubled == after else [layer, Crop(after)]


class Generator(nn.Module):
    """z (N, latent) -> image (N, C, H, W)."""

    def __init__(self, config: DcganConfig, image: Field, stages: int) -> None:
        super().__init__()
        channels, *sides = image.shape
        sizes = map_sizes(sides[0], sides[1], stages)
        smooth = config.head == "smooth"
        norm = config.generator_norm == "batch"
        # Widths by stage; stage 0 (full size) is hidden with a smooth head and the picture without.
        widths = [
            config.generator_width * min(8, 2 ** (k if smooth else k - 1)) for k in range(1, stages + 1)
        ]
        widths.insert(0, config.generator_width if smooth else channels)
        self.base = (widths[stages], *sizes[stages])
        self.project = nn.Linear(config.latent, prod(self.base), bias=not norm)
        layers: list[nn.Module] = []
        for k in range(stages, 0, -1):
            layers += [nn.BatchNorm2d(widths[k]), nn.ReLU()] if norm else [nn.ReLU()]
            bias = config.bias if k == 1 and not smooth else not norm
            layers += upscale(widths[k], widths[k - 1], config.kernel, sizes[k], sizes[k - 1], bias=bias)
        if smooth:
            layers += [nn.BatchNorm2d(widths[0]), nn.ReLU()] if norm else [nn.ReLU()]
            layers.append(nn.Conv2d(widths[0], channels, 3, padding=1, bias=config.bias))
        if image.range is not None:
            layers.append(Bounded(image.range, config.output))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, C, H, W)."""
        picture: Tensor = self.layers(self.project(z).unflatten(1, self.base))
        return picture


class Discriminator(nn.Module):
    """image (N, C, H, W) -> score (N,), a logit."""

    def __init__(self, config: DcganConfig, image: Field, stages: int) -> None:
        super().__init__()
        inputs, height, width = image.shape
        kernels = [config.kernel] * stages + ([3] if config.head == "smooth" else [])
        layers: list[nn.Module] = []
        for k, kernel in enumerate(kernels):
            outputs = config.discriminator_width * min(8, 2**k)
            norm = config.discriminator_norm if k else "none"
            bias = norm in ("none", "spectral") and config.bias
            padding = (kernel - 1) // 2
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=padding, bias=bias))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(outputs))
            elif norm == "layer":
                layers.append(nn.GroupNorm(1, outputs))
            layers.append(nn.LeakyReLU(0.2))
            inputs = outputs
            height, width = ((side + 2 * padding - kernel) // 2 + 1 for side in (height, width))
        layers += [nn.Flatten(), nn.Linear(inputs * height * width, 1, bias=config.bias)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        score: Tensor = self.layers(image)
        return score.flatten()


def initialise(module: nn.Module) -> None:
    """N(0, 0.02) for weights, N(1, 0.02) for norm gains, 0 for biases (train_uncond_dcgan.py)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def check(image: Field, wanted: int) -> int:
    """How often to halve this picture; DataError for what is no picture or too small for this network."""
    if len(image.shape) != 3 or image.dtype != "float32":
        raise DataError(
            "The architecture 'dcgan' needs pictures: channels x height x width.",
            where=f"the field '{image.name}' has the shape {image.shape}",
            fix="the architecture 'mlp' takes any shape",
        )
    _, height, width = image.shape
    if min(height, width) < 8:
        raise DataError(
            "The architecture 'dcgan' needs pictures of at least 8x8 pixels.",
            where=f"the field '{image.name}' has {height}x{width}",
            fix="the architecture 'mlp' takes any size; or enlarge the pictures",
        )
    if min(height, width) >> wanted == 0:
        raise SettingsError(
            f"A picture of {height}x{width} pixels cannot be halved {wanted} times.",
            where="architecture.stages",
            fix="architecture.stages=0 chooses from the size",
        )
    return wanted or halvings(height, width)


def build(config: DcganConfig, data: DataInfo) -> Networks:
    """Factory of the architecture `dcgan`; DataError unless the pictures have 8x8 pixels or more."""
    image = data.field("image")
    stages = check(image, config.stages)
    generator = Generator(config, image, stages)
    discriminator = Discriminator(config, image, stages)
    if config.init == "normal":
        initialise(generator)
        initialise(discriminator)
    if config.discriminator_norm == "spectral":
        for layer in [item for item in discriminator.modules() if isinstance(item, nn.Conv2d | nn.Linear)]:
            spectral_norm(layer)
    return Networks(
        generators={"generator": Net(module=generator, reads=("z",), writes=("image",))},
        discriminators={"discriminator": Net(module=discriminator, reads=("image",))},
        fields=(Field(name="z", shape=(config.latent,), source=config.latent_distribution),),
    )
