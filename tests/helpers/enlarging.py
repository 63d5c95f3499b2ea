"""RRDBNet and SRVGGNetCompact as plain formulas of their published names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def plain_rrdb(state: Mapping[str, Tensor], image: Tensor, blocks: int) -> Tensor:
    """RRDBNet for x4 from its published names, written out."""

    def conv(name: str, maps: Tensor) -> Tensor:
        return functional.conv2d(maps, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def act(maps: Tensor) -> Tensor:
        return functional.leaky_relu(maps, 0.2)

    first = maps = conv("conv_first", image)
    for block in range(blocks):
        before = maps
        for dense in (1, 2, 3):
            name, start = f"body.{block}.rdb{dense}", maps
            x1 = act(conv(f"{name}.conv1", start))
            x2 = act(conv(f"{name}.conv2", torch.cat((start, x1), 1)))
            x3 = act(conv(f"{name}.conv3", torch.cat((start, x1, x2), 1)))
            x4 = act(conv(f"{name}.conv4", torch.cat((start, x1, x2, x3), 1)))
            maps = start + 0.2 * conv(f"{name}.conv5", torch.cat((start, x1, x2, x3, x4), 1))
        maps = before + 0.2 * maps
    maps = first + conv("conv_body", maps)
    for name in ("conv_up1", "conv_up2"):
        maps = act(conv(name, maps.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    return conv("conv_last", act(conv("conv_hr", maps)))


def plain_srvgg(state: Mapping[str, Tensor], image: Tensor, layers: int, scale: int) -> Tensor:
    """SRVGGNetCompact with PReLU, written out."""
    maps = image
    for at in range(0, 2 * layers + 2, 2):
        maps = functional.conv2d(maps, state[f"body.{at}.weight"], state[f"body.{at}.bias"], padding=1)
        maps = functional.prelu(maps, state[f"body.{at + 1}.weight"])
    last = f"body.{2 * layers + 2}"
    maps = functional.conv2d(maps, state[f"{last}.weight"], state[f"{last}.bias"], padding=1)
    # Channel s^2 c + s i + j is the pixel (i, j) of each square.
    count, channels, height, width = image.shape
    squares = maps.reshape(count, channels, scale, scale, height, width).permute(0, 1, 4, 2, 5, 3)
    base = image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return squares.reshape(count, channels, scale * height, scale * width) + base
