"""Initialisation of the WGAN networks: that of DCGAN, or that of the authors' tflib."""

from __future__ import annotations

from math import prod, sqrt
from typing import Literal

from torch import nn

from ganzoo.api import initialise


def set_weights(
    module: nn.Module, init: Literal["default", "normal", "he"], plain: tuple[nn.Module, ...] = ()
) -> None:
    """`he`: uniform, variance 4 / (fan in + fan out), biases 0; others as in `ganzoo.api.initialise`.

    `he` follows tflib of improved_wgan_training: half that variance in linear layers and in the layers of
    `plain`; the fan on the side with fewer pixels is divided by the square of the stride.
    """
    if init != "he":
        initialise(module, init)
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            scaled_uniform(layer, 2.0 if isinstance(layer, nn.Linear) or layer in plain else 4.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def scaled_uniform(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, gain: float) -> None:
    """Weights from U(-r, r) with variance r^2 / 3 = gain / (fan in + fan out)."""
    if isinstance(layer, nn.Linear):
        fans = float(layer.in_features + layer.out_features)
    else:
        taps, strides = prod(layer.kernel_size), prod(layer.stride)
        up = isinstance(layer, nn.ConvTranspose2d)
        fan_in = layer.in_channels * taps / (strides if up else 1)
        fan_out = layer.out_channels * taps / (1 if up else strides)
        fans = fan_in + fan_out
    spread = sqrt(3 * gain / fans)
    nn.init.uniform_(layer.weight, -spread, spread)
