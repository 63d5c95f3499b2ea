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

    Scores beyond the margin of 1 on their right side are left alone.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """How far real scores are under 1 and generated ones above -1, on average."""
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Minus the mean score of generated samples."""
        return -fake.mean()


# What a lead over the other half's mean costs who wants it: f1 of the paper; its f2(t) is f1(-t) in each.
LEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": lambda lead: softplus(-lead),
    "least-squares": lambda lead: (lead - 1).square(),
    "hinge": lambda lead: (1 - lead).relu(),
}


class RelativisticAverage:
    """D: E f(D(x) - E D(x')) + E f(E D(x) - D(x')). G: the same with x and x' exchanged.

    RaGAN of Jolicoeur-Martineau 2018: with f(t) = softplus(-t) RaSGAN, (t - 1)^2 RaLSGAN, max(0, 1 - t)
    RaHingeGAN. The inner means are those of the scores that are given, with
    their gradients: of a batch in micro-batches, or shared by processes, each part looks at its own mean.
    That is another sample of the same thing, noisier the smaller the part, so runs with other parts differ
    by more than rounding. The authors' code has half of both sums.
    """

    def __init__(self, config: RelativisticAverageConfig) -> None:
        self.cost = LEADS[config.form]

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """What is missing in the lead of real samples over the mean generated one, and the reverse."""
        return self.cost(real - fake.mean()).mean() + self.cost(real.mean() - fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The same with the two exchanged: generated samples shall lead."""
        if real is None:
            raise TypeError("the relativistic loss of a generator needs the scores of real samples")
        return self.discriminator(fake, real)


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
    """D: E sp(-(D(x) - D(x'))). G: E sp(-(D(x') - D(x))). Pairs are the equal places of a batch.

    Scores may have any shape; only differences count, so a constant may be added to all of them.
    Equation 2 of R3GAN is one value for both players, with D and its sign turned round: G would
    minimise -E sp(-(D(x) - D(x'))), whose gradient fades where D is sure. R3GAN's Trainer.py and
    Jolicoeur-Martineau let each player minimise its own loss instead, as here.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the mean log probability that the real one of a pair is taken for the real one."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """The same with the two exchanged: generated samples shall look more real than real ones."""
        if real is None:
            raise TypeError("the relativistic loss of a generator needs the scores of real samples")
        return softplus(real - fake).mean()


class NonSaturating:
    """D: E sp(-D(x)) + E sp(D(x')). G: E sp(-D(x')), the form that the paper recommends (section 3).

    One-sided label smoothing s (Salimans et al. 2016, 3.4) replaces E sp(-D(x)) by the cross entropy
    with target 1 - s, which is E [sp(-D(x)) + s D(x)]. Scores may have any shape.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross entropy of real and generated scores, summed over the two halves."""
        return softplus(-real).mean() + self.smoothing * real.mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Cross entropy of generated scores against the target 1."""
        return softplus(-fake).mean()


class Minimax(NonSaturating):
    """D as in `NonSaturating`. G: -E sp(D(x')), which is E log(1 - D(x')): equation 1 of the paper.

    Its gradient fades where the discriminator is sure, so it is slow at the start of a run.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What is left of the value function when only the generator changes."""
        return -softplus(fake).mean()


def non_saturating(config: NonSaturatingConfig) -> NonSaturating:
    """Factory of the loss `non-saturating`."""
    return NonSaturating(config.smoothing)


def minimax(config: None = None) -> Minimax:
    """Factory of the loss `minimax`; it has no options."""
    return Minimax()


def relativistic(config: None = None) -> Relativistic:
    """Factory of the loss `relativistic`; it has no options."""
    return Relativistic()
