"""Options of the losses and terms. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LsganConfig:
    """Options of `lsgan`: the target scores, with the paper's letters.

    For D the target of generated samples is `a` and that of real samples `b`; for G the target of generated
    samples is `c`. The defaults are equation 9; a = -1, b = 1, c = 0 is equation 8.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        if self.a >= self.b:
            raise ValueError("b must be more than a: real samples get higher scores")
        if self.c <= self.a:
            raise ValueError("c must be more than a: else G has nothing to improve")

    @property
    def tags(self) -> tuple[str, ...]:
        """The sign of a score has a meaning only where 0 is half way between the targets, b = -a."""
        return () if self.a + self.b == 0 else ("no-sign",)


@dataclass(frozen=True, kw_only=True)
class RelativisticAverageConfig:
    """Options of `relativistic-average`. `form` is the loss that is applied to the differences.

    `weight`: of G's loss beside its terms; 0 in a first phase lets G learn from the terms only.
    """

    form: Literal["logistic", "least-squares", "hinge"] = "logistic"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class DraganConfig:
    """Options of `dragan`: `target` of the gradient norm, up to `spread` standard deviations from the data.

    `weight`, `target` and `spread` are lambda, k and c of the paper, with the values of the authors'
    notebook.
    """

    weight: float = 10.0
    target: float = 1.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        if min(self.weight, self.target, self.spread) < 0:
            raise ValueError("weight, target and spread must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class LecamConfig:
    """Options of `lecam`; `decay` is that of the two moving averages.

    The weight 0.3 is for hinge losses on CIFAR. It depends on the scale of scores: with the logistic loss and
    R1 (StyleGAN2) the authors use 3e-7 to 1e-6.
    """

    weight: float = 0.3
    decay: float = 0.99

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
        if not 0 <= self.decay < 1:
            raise ValueError("decay must be at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class ConsistencyConfig:
    """Options of `consistency`: the weights for real and for generated samples, and the transforms.

    Each sample is shifted by up to `shift` whole pixels in each direction. `flip` mirrors half of the
    samples; switch it off for data in which left and right differ.
    """

    lambda_real: float = 10.0
    lambda_fake: float = 10.0
    shift: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if min(self.lambda_real, self.lambda_fake, self.shift) < 0:
            raise ValueError("lambda_real, lambda_fake and shift must be 0 or more")
        if not self.shift and not self.flip:
            raise ValueError("shift must be 1 or more where flip is false: else images do not change")


@dataclass(frozen=True, kw_only=True)
class ModeSeekingConfig:
    """Options of `mode-seeking`; `epsilon` limits the loss of a collapsed generator to 1 / epsilon."""

    weight: float = 1.0
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
        if self.epsilon <= 0:
            raise ValueError("epsilon must be more than 0")


@dataclass(frozen=True, kw_only=True)
class FeatureMatchingConfig:
    """Options of `feature-matching`."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class ZeroCentredConfig:
    """Options of `r1` and of `r2`: the penalty is gamma / 2 times the squared norm, as in the paper.

    The authors' code (GAN_stability) does not halve: its `reg_param` 10 is a gamma of 20 here.
    The default is StyleGAN2's, whose code halves.
    """

    gamma: float = 10.0

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise ValueError("gamma must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class NonSaturatingConfig:
    """Options of `non-saturating`: real samples have the target `1 - smoothing`, generated ones 0.

    `weight`: of G's loss beside its terms; 0 in a first phase lets G learn from the terms only.
    """

    smoothing: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError("smoothing must be at least 0 and less than 1")
        if self.weight < 0:
            raise ValueError("weight must be 0 or more")
