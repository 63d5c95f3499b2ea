"""Options of `r1` and `r2`. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ZeroCentredConfig:
    """Options of `r1` and of `r2`: `gamma` as in the paper, where half of it multiplies the square.

    The authors' code (GAN_stability) leaves the half out: its `reg_param` 10 is a gamma of 20 here.
    The default is StyleGAN2's, whose code halves.
    """

    gamma: float = 10.0

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise ValueError("gamma must be 0 or more")
