"""Losses of scores: logistic (two forms), least squares, hinge, relativistic (two forms).

Scores may have any shape. With D the logit, log sigmoid(D) = -softplus(-D) and
log(1 - sigmoid(D)) = -softplus(D); softplus neither overflows nor loses digits where sigmoid is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import softplus

from ganzoo_losses.config import LsganConfig, NonSaturatingConfig, RelativisticAverageConfig


class LeastSquares:
    """D: E (D(x) - b)^2 / 2 + E (D(x') - a)^2 / 2. G: E (D(x') - c)^2 / 2 (Mao et al. 2017, equation 2)."""

    def __init__(self, config: LsganConfig) -> None:
        self.a, self.b, self.c = config.a, config.b, config.c

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half the mean squared distances of real scores from `b` and of generated ones from `a`."""
        return ((real - self.b).square().mean() + (fake - self.a).square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Half the mean squared distance of generated scores from `c`."""
        return (fake - self.c).square().mean() / 2


class Hinge:
    """D: E max(0, 1 - D(x)) + E max(0, 1 + D(x')). G: -E D(x') (Lim and Ye 2017; Miyato et al. 2018).

    Scores beyond the margin of 1 on the correct side have no gradient in D's loss.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The mean amount by which real scores are below 1 and generated scores above -1."""
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Minus the mean score of generated samples."""
        return -fake.mean()


# The loss of a difference to the mean score of the opposite kind: f1 of the paper. Its f2(t) is f1(-t) in
# each.
FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": lambda difference: softplus(-difference),
    "least-squares": lambda difference: (difference - 1).square(),
    "hinge": lambda difference: (1 - difference).relu(),
}


class RelativisticAverage:
    """D: E f(D(x) - E D(x')) + E f(E D(x) - D(x')). G: the same with x and x' exchanged.

    RaGAN of Jolicoeur-Martineau 2018: with f(t) = softplus(-t) RaSGAN, (t - 1)^2 RaLSGAN, max(0, 1 - t)
    RaHingeGAN. The inner means are those of the given scores, with their gradients. If the batch is computed
    in micro-batches or by several processes, each micro-batch or shard uses its own mean. That mean is
    noisier for smaller shards, so runs with different shards differ by more than rounding. The authors' code
    halves both sums.
    """

    def __init__(self, config: RelativisticAverageConfig) -> None:
        self.form, self.weight = FORMS[config.form], config.weight

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E f(real scores - mean generated score) + E f(mean real score - generated scores)."""
        return self.form(real - fake.mean()).mean() + self.form(real.mean() - fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The loss of D with real and generated scores exchanged.

        TypeError without real scores: its record must say `paired`.
        """
        if real is None:
            raise TypeError("the relativistic loss of a generator needs the scores of real samples")
        return _weighted(self.weight, self.discriminator(fake, real))


def lsgan(config: LsganConfig) -> LeastSquares:
    """Factory of the loss `lsgan`."""
    return LeastSquares(config)


def hinge(config: None = None) -> Hinge:
    """Factory of the loss `hinge`; it has no options."""
    return Hinge()


def relativistic_average(config: RelativisticAverageConfig) -> RelativisticAverage:
    """Factory of the loss `relativistic-average`."""
    return RelativisticAverage(config)


class Relativistic:
    """D: E sp(-(D(x) - D(x'))). G: E sp(-(D(x') - D(x))). Row i of x and row i of x' are a pair.

    Scores may have any shape. Only differences matter, so adding a constant to all scores changes nothing.
    Equation 2 of R3GAN is one value that D maximises and G minimises (with the opposite sign of D): G would
    minimise -E sp(-(D(x) - D(x'))), whose gradient vanishes where D is confident. In R3GAN's Trainer.py and
    in Jolicoeur-Martineau's code each network minimises its own loss instead, as here.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the mean log probability that D picks the real sample of a pair."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The loss of D with real and generated scores exchanged.

        TypeError without real scores: its record must say `paired`.
        """
        if real is None:
            raise TypeError("the relativistic loss of a generator needs the scores of real samples")
        return softplus(real - fake).mean()


def _weighted(weight: float, value: Tensor) -> Tensor:
    """The product; a weight of 1 that is no schedule costs nothing."""
    return value if isinstance(weight, float) and weight == 1.0 else weight * value


class NonSaturating:
    """D: E sp(-D(x)) + E sp(D(x')). G: E sp(-D(x')), which the paper recommends (section 3).

    One-sided label smoothing s (Salimans et al. 2016, 3.4) replaces E sp(-D(x)) by the cross entropy
    with target 1 - s, which is E [sp(-D(x)) + s D(x)]. Scores may have any shape.
    """

    def __init__(self, smoothing: float = 0.0, weight: float = 1.0) -> None:
        self.smoothing, self.weight = smoothing, weight

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross entropy of real scores plus cross entropy of generated scores."""
        return softplus(-real).mean() + self.smoothing * real.mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Cross entropy of generated scores against the target 1."""
        return _weighted(self.weight, softplus(-fake).mean())


class Minimax(NonSaturating):
    """D as in `NonSaturating`. G: -E sp(D(x')), which is E log(1 - D(x')): equation 1 of the paper.

    Its gradient vanishes where the discriminator is confident, so training starts slowly.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The part of the value function that depends on the generator."""
        return -softplus(fake).mean()


def non_saturating(config: NonSaturatingConfig) -> NonSaturating:
    """Factory of the loss `non-saturating`."""
    return NonSaturating(config.smoothing, config.weight)


def minimax(config: None = None) -> Minimax:
    """Factory of the loss `minimax`; it has no options."""
    return Minimax()


def relativistic(config: None = None) -> Relativistic:
    """Factory of the loss `relativistic`; it has no options."""
    return Relativistic()
