"""A peer's networks as ganzoo's: thin modules that give each field to the peer's own `forward`."""

from __future__ import annotations

from torch import Tensor, nn

from benchmarks.speed.cases import CASES
from benchmarks.speed.peers.nets import build_nets
from benchmarks.speed.places import Places
from benchmarks.speed.plugin import NetsConfig
from ganzoo.api import DataInfo, Field, Networks


def build(config: NetsConfig, data: DataInfo) -> Networks:
    """Factory of `peer-nets`."""
    case = CASES[config.case]
    generator, discriminator = build_nets(case, Places.from_environment())
    latent = Field(name="z", shape=case.latent, source="normal")
    if case.classes:
        return Networks.pair(
            LabelledGenerator(generator),
            LabelledDiscriminator(discriminator),
            latent=latent,
            writes="image",
            conditions=("label",),
        )
    return Networks.pair(OneField(generator), OneField(discriminator), latent=latent, writes="image")


class OneField(nn.Module):
    """A net of one field."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, value: Tensor) -> Tensor:
        """What the peer's net makes of it."""
        result: Tensor = self.net(value)
        return result


class LabelledGenerator(OneField):
    """A generator that is called with noise and labels."""

    def forward(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]  # named as the fields
        """What the peer's net makes of them."""
        result: Tensor = self.net(z, label)
        return result


class LabelledDiscriminator(OneField):
    """A discriminator that is called with images and labels."""

    def forward(self, image: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]  # named as the fields
        """What the peer's net makes of them."""
        result: Tensor = self.net(image, label)
        return result
