"""Terms of G for image-to-image translation: distance to the target, cycle consistency, identity."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.api import SettingsError, View
from ganzoo_translation.config import CycleConfig, IdentityConfig, L1Config

Penalty = Callable[[View], Tensor]

OTHER = {"a": "b", "b": "a"}


def l1(config: L1Config) -> Penalty:
    """Factory of `l1`: weight * E |b - G(a)|_1, the mean over all values of the output of G.

    Isola et al. 2017, equation 3; a mean as in the authors' code. Several fields are summed.
    """

    def penalty(view: View) -> Tensor:
        names = [name for name in view.written if name in view.real and view.real[name].is_floating_point()]
        if not names:
            raise SettingsError(
                "'l1' needs a generator that writes a float field of the data.",
                where=f"this generator writes: {', '.join(view.written)}",
                fix="terms.l1=false",
            )
        distances = [(view.real[name] - view.fake[name]).abs().mean() for name in names]
        return config.weight * torch.stack(distances).sum()

    return penalty


def _sides(view: View, term: str) -> tuple[str, str]:
    """The field that this game's generator reads, and the one that it writes: `a` and `b`, or `b` and `a`."""
    if len(view.written) != 1 or view.written[0] not in OTHER:
        raise SettingsError(
            f"'{term}' needs generators from the field a to the field b, or from b to a.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix=f"choose the architecture 'resnet-cycle', or terms.{term}=false",
        )
    return OTHER[view.written[0]], view.written[0]


def cycle(config: CycleConfig) -> Penalty:
    """Factory of `cycle`: weight * E |F(G(a)) - a|_1 in the game of G, and for b in the game of F.

    Zhu et al. 2017, equation 2, as a mean over all values. F is the generator `to_a`, G is `to_b`.
    """

    def penalty(view: View) -> Tensor:
        source, _ = _sides(view, "cycle")
        try:
            back = view.generate(view.fake, f"to_{source}")[source]
        except KeyError as error:
            raise SettingsError(
                f"'cycle' needs a generator 'to_{source}' for the way back to '{source}'.",
                fix="choose the architecture 'resnet-cycle', or terms.cycle=false",
            ) from error
        return config.weight * (view.real[source] - back).abs().mean()

    return penalty


def identity(config: IdentityConfig) -> Penalty:
    """Factory of `identity`: weight * E |G(b) - b|_1. G should not change an image of its target side.

    Zhu et al. 2017, section 5.2 (loss "identity mapping"), as a mean over all values.
    """

    def penalty(view: View) -> Tensor:
        source, target = _sides(view, "identity")
        real = view.real[target]
        if real.shape != view.real[source].shape:
            raise SettingsError(
                "'identity' needs images a and b of the same shape.",
                where=f"a {tuple(view.real['a'].shape[1:])}, b {tuple(view.real['b'].shape[1:])}",
                fix="terms.identity=false",
            )
        output = view.generate({**view.real, source: real})[target]
        return config.weight * (output - real).abs().mean()

    return penalty
