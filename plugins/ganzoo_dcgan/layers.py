"""Layers of `dcgan` without woven textures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import register_parametrization

from ganzoo.api import Crop


class Filtered(nn.Module):
    """A kernel of k x k that is a smaller one, filtered with [1, 1] / 2 on both axes, `passes` times.

    A strided convolution whose kernel was filtered once is a convolution and then the mean of 2x2 values. A
    transposed one of stride 2 whose kernel was filtered twice (with `gain` 4) is bilinear doubling and then a
    convolution. A free kernel treats every second row and column in its own way, which shows as a woven
    texture (Odena, Dumoulin and Olah 2016, distill.pub/2016/deconv-checkerboard). The work is the same.
    """

    def __init__(self, passes: int, gain: float = 1.0) -> None:
        super().__init__()
        self.passes, self.gain = passes, gain

    def forward(self, kernel: Tensor) -> Tensor:
        """(a, b, k - passes, k - passes) -> (a, b, k, k)."""
        for _ in range(self.passes):
            wide = functional.pad(kernel, (1, 0)) + functional.pad(kernel, (0, 1))
            kernel = functional.pad(wide, (0, 0, 1, 0)) + functional.pad(wide, (0, 0, 0, 1))
        gain: float = self.gain / 4**self.passes
        return kernel * gain

    def right_inverse(self, kernel: Tensor) -> Tensor:
        """The smaller kernel to begin with, from the random one of the layer: the sum of squares stays."""
        size = kernel.shape[-1] - self.passes
        return kernel[..., :size, :size] * (kernel.shape[-1] / size)


def double_bilinearly(layer: nn.ConvTranspose2d) -> None:
    """Let a layer of stride 2 double maps bilinearly, then convolve with a kernel smaller by 2."""
    register_parametrization(layer, "weight", Filtered(2, gain=4))


def halve_by_means(layer: nn.Conv2d) -> None:
    """Let a layer of stride 2 convolve with a kernel smaller by 1, then take means of 2x2."""
    register_parametrization(layer, "weight", Filtered(1))


def cropped(before: tuple[int, int], after: tuple[int, int]) -> list[nn.Module]:
    """The crop after doubling maps of size `before`, where they are larger than `after`."""
    return [] if (2 * before[0], 2 * before[1]) == after else [Crop(after)]


class Skips(nn.Module):
    """Blocks of layers, the coarsest first; after each, pixels are written and added to the enlarged ones.

    So large shapes and colours need not pass all layers, and are learned first (output skips: Karras et al.
    2020, StyleGAN2, arXiv:1912.04958, figure 7b). `widths` and `sizes` are those of the maps of each block.
    The last pixels are written by a convolution of 3x3, the others by one of 1x1.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[nn.Module]],
        widths: Sequence[int],
        sizes: Sequence[tuple[int, int]],
        channels: int,
        *,
        bias: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*block) for block in blocks)
        kernels = [1] * (len(widths) - 1) + [3]
        self.writers = nn.ModuleList(
            nn.Conv2d(width, channels, kernel, padding=kernel // 2, bias=bias)
            for width, kernel in zip(widths, kernels, strict=True)
        )
        self.crops = nn.ModuleList(nn.Sequential(*cropped(*pair)) for pair in pairwise(sizes))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, channels, H, W)."""
        maps = self.blocks[0](maps)
        pixels: Tensor = self.writers[0](maps)
        for block, write, crop in zip(self.blocks[1:], self.writers[1:], self.crops, strict=True):
            maps = block(maps)
            doubled = functional.interpolate(pixels, scale_factor=2.0, mode="bilinear")
            pixels = crop(doubled) + write(maps)
        return pixels
