"""Options of `stylegan2`, `stylegan3`, `pggan` and `path-length`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class _Common:
    """Options of both StyleGAN architectures.

    `latent` and `style` are the sizes of z and w. `mapping_rate` is the learning rate of the mapping
    network's layers, relative to the others. Channels of both networks double at each halving, from their
    width up to `widest`, in D up to `discriminator_widest` unless that is 0. `average` is the decay of the
    moving average of w, towards which `psi` truncates. `conditional`: both networks read the class of a
    sample. The mapping network reads its embedding beside z; D's score is a product with the class, mapped by
    `label_layers` layers. `group` is the group size of D's minibatch standard deviation. `clamp` bounds what
    convolutions return, as the authors' code does for half precision (256); 0 for no bound. `output`:
    unbounded in training and clipped in evaluation (the paper's), or tanh.
    """

    latent: int = 64
    style: int = 64
    mapping_layers: int = 2
    mapping_rate: float = 0.01
    generator_width: int = 16
    discriminator_width: int = 16
    widest: int = 512
    discriminator_widest: int = 0
    average: float = 0.995
    conditional: bool = False
    label_layers: int = 8
    group: int = 4
    clamp: float = 0.0
    output: Literal["clip", "tanh"] = "clip"

    def __post_init__(self) -> None:
        if min(self.latent, self.style, self.mapping_layers, self.label_layers, self.group) < 1:
            raise ValueError("latent, style, mapping_layers, label_layers and group must be 1 or more")
        pairs = (
            (self.generator_width, self.widest),
            (self.discriminator_width, self.discriminator_widest or self.widest),
        )
        if any(not 1 <= width <= widest for width, widest in pairs):
            raise ValueError("the widths must be 1 or more, and widest not below them")
        if self.mapping_rate <= 0 or self.clamp < 0:
            raise ValueError("mapping_rate must be more than 0, clamp not less")
        if not 0 <= self.average < 1:
            raise ValueError("average must be from 0 to less than 1")


@dataclass(frozen=True, kw_only=True)
class StyleConfig(_Common):
    """Options of `stylegan2`, beside those of both architectures (see `_Common`).

    `style_mixing` is the probability that an image in training has two styles. `noise` is the learning rate
    of the noise strength, relative to the others. `noise_input`: the noise is an input; otherwise it is drawn
    once, stored with the weights, and the same for all images.
    """

    style_mixing: float = 0.9
    noise: float = 1.0
    noise_input: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise < 0:
            raise ValueError("noise must be 0 or more")
        if not 0 <= self.style_mixing <= 1:
            raise ValueError("style_mixing must be from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class AliasFreeConfig(_Common):
    """Options of `stylegan3`, beside those of both architectures; defaults of configuration T.

    G has `layers` layers and one to pixels. The cutoff frequency grows from `first_cutoff` (in periods over
    the image) to that of the image; the last `critical` layers have the latter. `first_stopband` and
    `last_stopband` (relative to the last cutoff) are the frequencies above which a layer lets nothing
    through. `margin` pixels around the image are computed, too. `kernel` is the size of the convolutions, 3
    or 1 (configuration R). `taps` is the length of a filter at the lower sampling rate, `oversampling` the
    factor for the nonlinearity. `radial`: filters for downsampling are radially symmetric (R). `scale`
    multiplies the image, `magnitude` is the decay of the moving average of each layer's input size.
    """

    layers: int = 14
    critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband: float = 2**0.3
    margin: int = 10
    kernel: Literal[1, 3] = 3
    taps: int = 6
    oversampling: int = 2
    radial: bool = False
    scale: float = 0.25
    magnitude: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.critical < self.layers:
            raise ValueError("critical must be 1 or more, and less than layers")
        if min(self.first_cutoff, self.first_stopband, self.last_stopband, self.scale) <= 0:
            raise ValueError("the cutoff, the stopbands and scale must be more than 0")
        if self.margin < 0 or min(self.taps, self.oversampling) < 2:
            raise ValueError("margin must be 0 or more, taps and oversampling 2 or more")
        if not 0 <= self.magnitude < 1:
            raise ValueError("magnitude must be from 0 to less than 1")


@dataclass(frozen=True, kw_only=True)
class ProgressiveConfig:
    """Options of `pggan`.

    Channels of both networks double at each halving, from their width up to `widest`. `group` is the group
    size of D's minibatch standard deviation. `output`: unbounded in training and clipped in evaluation (the
    paper's), or tanh.
    """

    latent: int = 64
    generator_width: int = 16
    discriminator_width: int = 16
    widest: int = 512
    group: int = 4
    output: Literal["clip", "tanh"] = "clip"

    def __post_init__(self) -> None:
        if min(self.latent, self.group) < 1:
            raise ValueError("latent and group must be 1 or more")
        widths = (self.generator_width, self.discriminator_width)
        if min(widths) < 1 or max(widths) > self.widest:
            raise ValueError("the widths must be 1 or more, and widest not below them")


@dataclass(frozen=True, kw_only=True)
class PathLengthConfig:
    """Options of `path-length`: those of the authors' code.

    `decay` is the weight of a step's length in the moving average. One in `shrink` samples is used. `field`
    is the name of the input that the generator adds to each layer's style.
    """

    weight: float = 2.0
    decay: float = 0.01
    shrink: int = 2
    field: str = "shift"

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 < self.decay <= 1 or self.shrink < 1:
            raise ValueError("weight must be 0 or more, decay in 0..1 and not 0, shrink 1 or more")
