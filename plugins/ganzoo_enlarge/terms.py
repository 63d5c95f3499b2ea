"""Terms of G: differences of pixels, and of the features of a fixed network; both may sharpen the target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo.api import SettingsError, View, read_weights
from ganzoo_enlarge.config import PerceptualConfig, PixelsConfig
from ganzoo_projected.features import MEAN, STD, Lite0

Penalty = Callable[[View], Tensor]

# Wang et al. 2021, appendix A, and the authors' code: a Gaussian of 51 pixels in OpenCV's default width.
MASK_SIZE, MASK_SIGMA = 51, 0.3 * ((51 - 1) * 0.5 - 1) + 0.8
MASK_AMOUNT, MASK_THRESHOLD = 0.5, 10 / 255

SMALLEST = 64  # pixels of a side

# Layers of torchvision's VGG19, before ReLU, and their weights: conv1_2, conv2_2, conv3_4, conv4_4, conv5_4.
VGG_LAYERS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}
VGG_PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
VGG_MEAN, VGG_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Sharpened(nn.Module):
    """An unsharp mask for values in 0..1, (N, C, H, W): x + m (x' - x).

    x' = x + 0.5 (x - blur(x)), clipped to 0..1; m = blur(|x - blur(x)| > 10 / 255).
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        at = torch.arange(MASK_SIZE) - (MASK_SIZE - 1) / 2
        kernel = torch.exp(-(at**2) / (2 * MASK_SIGMA**2))
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        difference = image - self.blurred(image)
        mask = self.blurred((difference.abs() > MASK_THRESHOLD).float())
        return image + mask * ((image + MASK_AMOUNT * difference).clamp(0, 1) - image)

    def blurred(self, image: Tensor) -> Tensor:
        """The image blurred on each side by half of `MASK_SIZE`; edges are repeated."""
        count, channels, height, width = image.shape
        half = MASK_SIZE // 2
        padded = functional.pad(image, (half,) * 4, mode="replicate").reshape(
            count * channels, 1, -1, width + 2 * half
        )
        across = functional.conv2d(padded, self.kernel.view(1, 1, 1, -1))
        return functional.conv2d(across, self.kernel.view(1, 1, -1, 1)).reshape(
            count, channels, height, width
        )


class Vgg(nn.Module):
    """The features of VGG19 before five of its ReLUs (Simonyan and Zisserman 2015), weighted as in ESRGAN."""

    mean: Tensor
    std: Tensor

    def __init__(self, path: str) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(VGG_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(VGG_STD).view(1, 3, 1, 1), persistent=False)
        state = read_weights(Path(path))
        self.layers = nn.ModuleDict()
        at = inputs = 0
        for width in VGG_PLAN:
            if width:
                layer = nn.Conv2d(inputs or 3, width, 3, padding=1)
                try:
                    parts = {name: state[f"features.{at}.{name}"] for name in ("weight", "bias")}
                    layer.load_state_dict(
                        {name: torch.from_numpy(part.copy()) for name, part in parts.items()}
                    )
                except (KeyError, RuntimeError) as error:
                    raise _not_vgg(path, f"features.{at}: {str(error).splitlines()[0]}") from error
                self.layers[str(at)] = layer.requires_grad_(requires_grad=False)
                inputs = width
            at += 2 if width else 1

    def forward(self, image: Tensor) -> list[tuple[float, Tensor]]:
        """(N, 3, H, W) in 0..1 -> (weight, features) of each layer in `VGG_LAYERS`."""
        maps, found, at = (image - self.mean) / self.std, [], 0
        for width in VGG_PLAN:
            if width:
                maps = self.layers[str(at)](maps)
                if at in VGG_LAYERS:
                    found.append((VGG_LAYERS[at], maps))
                maps = maps.relu()
            else:
                maps = functional.max_pool2d(maps, 2)
            at += 2 if width else 1
        return found


class Light(nn.Module):
    """The features of EfficientNet-Lite0 at four scales, each with the same weight.

    It halves images five times: pixels of those below `SMALLEST` a side become squares first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = Lite0()

    def forward(self, image: Tensor) -> list[tuple[float, Tensor]]:
        """(N, 3, H, W) in 0..1 -> (weight, features) of four scales."""
        shorter = min(image.shape[2:])
        if shorter < SMALLEST:
            image = functional.interpolate(image, scale_factor=-(-SMALLEST // shorter), mode="nearest")
        return [(1.0, maps) for maps in self.net((image - MEAN) / STD)]


class Distance(nn.Module):
    """Pixels or features of what G writes, against those of the target: a term that keeps no state."""

    def __init__(self, config: PixelsConfig | PerceptualConfig, features: nn.Module | None) -> None:
        super().__init__()
        self.config = config
        self.features = features.eval() if features is not None else None
        self.sharpened = Sharpened() if config.sharpen else None

    def forward(self, view: View) -> Tensor:
        """The weighted mean absolute difference, summed over the fields that G writes.

        The result is a scalar. SettingsError for a generator that writes no images of the data.
        """
        names = [name for name in view.written if name in view.real and view.real[name].ndim == 4]
        if not names:
            raise SettingsError(
                "This term needs a generator that writes images of the data.",
                where=f"it writes: {', '.join(view.written)}",
                fix="--data crops:FOLDER",
            )
        total = torch.stack([self._distance(view.fake[name], view.real[name]) for name in names]).sum()
        return self.config.weight * total

    def _distance(self, fake: Tensor, real: Tensor) -> Tensor:
        if self.sharpened is not None:
            real = 2 * self.sharpened((real + 1) / 2) - 1
        if self.features is None:
            return (fake - real).abs().mean()
        with torch.autocast(fake.device.type, enabled=False):
            made, wanted = (self._features(image.float()) for image in (fake, real))
        parts = [weight * (a - b).abs().mean() for (weight, a), (_, b) in zip(made, wanted, strict=True)]
        return torch.stack(parts).sum()

    def _features(self, image: Tensor) -> list[tuple[float, Tensor]]:
        assert self.features is not None  # noqa: S101
        found: list[tuple[float, Tensor]] = self.features((image.expand(-1, 3, -1, -1) + 1) / 2)
        return found


def pixels(config: PixelsConfig) -> Distance:
    """Factory of `pixels`: weight * E |b - G(a)|, with b sharpened on request."""
    return Distance(config, None)


def perceptual(config: PerceptualConfig) -> Distance:
    """Factory of `perceptual`: the differences of features, of VGG19 or of EfficientNet-Lite0."""
    return Distance(config, Vgg(config.vgg) if config.vgg else Light())


def _not_vgg(path: str, why: str) -> SettingsError:
    return SettingsError(
        "The file does not have the weights of torchvision's VGG19.",
        where=f"{path}: {why}",
        fix="vgg19-dcbb9e9d.pth",
    )
