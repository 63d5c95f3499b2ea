"""Convolutions whose kernel covers the whole map, computed as matrix products.

oneDNN has no fast kernels for them. On a Zen 5 core, one thread, forward and backward, 64 samples: a
transposed convolution of 100 to 512 channels from 1x1 to 4x4 took 10.0 ms and its product 4.3 ms in
fp32, 8.6 and 1.3 ms in bf16; a convolution of 512 channels from 4x4 to one value 1.9 and 0.13 ms.
"""

from __future__ import annotations

from torch import Tensor, nn


def use_matmul_convolutions(module: nn.Module) -> None:
    """Let the plain convolutions of a network use matrix products where they cover whole maps.

    Parameters and their names stay. Convolutions of other classes do not change; this includes parametrised
    ones (spectral norm).
    """
    for part in module.modules():
        if type(part) is nn.Conv2d:
            part.__class__ = Conv2d
        elif type(part) is nn.ConvTranspose2d:
            part.__class__ = ConvTranspose2d


class Conv2d(nn.Conv2d):
    """A convolution. If the kernel covers the map, (N, C, H, W) -> (N, O, 1, 1) is a matrix product."""

    def forward(self, maps: Tensor) -> Tensor:
        """The same as torch's layer."""
        if maps.ndim != 4 or maps.shape[2:] != self.kernel_size or not _plain(self):
            return super().forward(maps)
        # In the order of channels-last memory, so that neither factor is copied.
        values = maps.permute(0, 2, 3, 1).flatten(1)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return nn.functional.linear(values, weight, self.bias)[:, :, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution. From maps of one pixel, (N, C, 1, 1) -> (N, O, H, W) is a matrix product."""

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The same as torch's layer."""
        one_pixel = maps.ndim == 4 and maps.shape[2:] == (1, 1)
        if output_size is not None or not one_pixel or self.output_padding != (0, 0) or not _plain(self):
            return super().forward(maps, output_size)
        weight = self.weight.permute(0, 2, 3, 1)
        grown = (maps.flatten(1) @ weight.flatten(1)).view(-1, *weight.shape[1:]).permute(0, 3, 1, 2)
        return grown if self.bias is None else grown + self.bias[:, None, None]


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return (
        layer.padding == (0, 0)
        and layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
    )
