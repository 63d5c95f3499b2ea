"""Self-supervision of the discriminator (Liu et al. 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ganzoo.api import SettingsError, View
from ganzoo_fastgan.config import ReconstructConfig


def reconstruct(config: ReconstructConfig) -> Callable[[View], Tensor]:
    """Factory of `reconstruct`: weight * E mismatch(x) over real samples.

    The discriminator writes the mismatch (N,) beside the score: the reconstruction error of its input, which
    is the augmented image where images are augmented. Equation 4 has a perceptual distance there.
    SettingsError for a discriminator that does not write it.
    """

    def penalty(view: View) -> Tensor:
        mismatch = view.real_outputs.get("mismatch")
        if mismatch is None:
            raise SettingsError(
                "'reconstruct' needs a discriminator that writes `mismatch`.",
                where=f"this one writes: {', '.join(view.real_outputs)}",
                fix="use the architecture fastgan, or terms.reconstruct=false",
            )
        return config.weight * mismatch.mean()

    return penalty
