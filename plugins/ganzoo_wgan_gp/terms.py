"""Terms that bound the critic's gradient (gradient penalty, weight clipping) and its offset (drift)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganzoo.api import SettingsError, View
from ganzoo_wgan_gp.config import DriftConfig, GradientPenaltyConfig, WeightClipConfig

# Added under the square root: at a gradient of 0 its derivative is 0 instead of 0/0. At the target norm of 1
# it changes the norm by 5e-13.
TINY = 1e-12


def interpolate(view: View) -> dict[str, Tensor]:
    """The written float fields at x^ = eps x + (1 - eps) x', as leaves that require a gradient.

    eps ~ U(0, 1) is drawn once per sample and shared by its fields: one point on the line between a real and
    a generated sample (WGAN-GP, Algorithm 1, lines 4 to 6). Where the critic scores packs of samples
    (PacGAN), the samples of a pack share eps. SettingsError for a generator that writes none.
    """
    mixed: dict[str, Tensor] = {}
    epsilon: Tensor | None = None
    for name in view.written:
        real, fake = view.real[name].detach(), view.fake[name].detach()
        if not real.is_floating_point():
            continue
        if epsilon is None:
            epsilon = view.uniform(real.shape[0], per_sample=True)
            packs = len(view.real_outputs["score"])
            if packs < len(epsilon):
                epsilon = epsilon.reshape(packs, -1)[:, :1].expand(packs, len(epsilon) // packs).reshape(-1)
        share = epsilon.reshape(-1, *[1] * (real.ndim - 1))
        mixed[name] = (share * real + (1 - share) * fake).requires_grad_()
    if not mixed:
        raise SettingsError(
            "A gradient penalty needs a generator that writes a float field.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix="choose a loss without this penalty",
        )
    return mixed


def gradient_penalty(config: GradientPenaltyConfig) -> Callable[[View], Tensor]:
    """Factory of `gradient-penalty`: weight * E (||grad D(x^)||_2 - target)^2 (WGAN-GP, equation 3).

    The norm is taken per sample (or per pack of samples), over all other dimensions of all written fields
    together. Fields that the generator does not write (a label) are those of the real samples. `one_sided`
    penalises only norms above the target (section 5 of the paper). SettingsError if D reads nothing that G
    writes.
    """

    def penalty(view: View) -> Tensor:
        mixed = interpolate(view)
        score = view.discriminate({**view.real, **mixed})["score"]
        gradients = torch.autograd.grad(
            score.sum(), list(mixed.values()), create_graph=True, allow_unused=True
        )
        squares = [g.reshape(score.shape[0], -1).square().sum(1) for g in gradients if g is not None]
        if not squares:
            raise SettingsError("The discriminator reads nothing that the generator writes.")
        excess = torch.stack(squares).sum(0).add(TINY).sqrt() - config.target
        if config.one_sided:
            excess = excess.relu()
        return config.weight * excess.square().mean()

    return penalty


def weight_clip(config: WeightClipConfig) -> Callable[[nn.Module], None]:
    """Factory of `weight-clip`: every parameter clamped to -limit..limit (WGAN, Algorithm 1, line 7)."""

    @torch.no_grad()
    def clip(module: nn.Module) -> None:
        for parameter in module.parameters():
            parameter.clamp_(-config.limit, config.limit)

    return clip


def drift(config: DriftConfig) -> Callable[[View], Tensor]:
    """Factory of `drift`: weight * E D(x)^2 on real samples (Karras et al. 2017, appendix A.1).

    A Wasserstein critic may add any constant to its scores; this keeps them near 0.
    """

    def penalty(view: View) -> Tensor:
        return config.weight * view.real_outputs["score"].square().mean()

    return penalty
