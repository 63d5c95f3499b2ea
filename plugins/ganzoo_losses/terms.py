"""Regularisers of D (R1, R2, DRAGAN, LeCam, consistency) and of G (mode seeking, feature matching)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganzoo.api import Batch, SettingsError, View
from ganzoo_losses.config import (
    ConsistencyConfig,
    DraganConfig,
    FeatureMatchingConfig,
    LecamConfig,
    ModeSeekingConfig,
    ZeroCentredConfig,
)

# Added under the square root: at a gradient of 0 its derivative is 0 instead of 0/0.
TINY = 1e-12


def written_floats(view: View, term: str) -> list[str]:
    """The float fields that the generator writes; SettingsError when there are none."""
    names = [name for name in view.written if view.real[name].is_floating_point()]
    if not names:
        raise SettingsError(
            f"'{term}' needs a generator that writes a float field.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix=f"terms.{term}=false",
        )
    return names


def dragan(config: DraganConfig) -> Callable[[View], Tensor]:
    """Factory of `dragan`: weight * E (||grad D(x + d)||_2 - target)^2 around real samples x.

    d = share * spread * std * noise, with noise ~ U(0, 1) for each value and share ~ U(0, 1) for each sample,
    as in the authors' DRAGAN.ipynb (the paper has N(0, c I)). std is one number for each field: the
    population standard deviation over all values in the micro-batch or shard. The norm is per sample, over
    all written float fields together. SettingsError if D reads nothing that G writes.
    """

    def penalty(view: View) -> Tensor:
        points: Batch = {}
        names = written_floats(view, "dragan")
        share = view.uniform(view.real[names[0]].shape[0], per_sample=True)
        for name in names:
            real = view.real[name].detach()
            noise = view.uniform(*real.shape, per_sample=True)
            step = share.reshape(-1, *[1] * (real.ndim - 1)) * noise
            points[name] = (real + config.spread * real.std(correction=0) * step).requires_grad_()
        score = view.discriminate({**view.real, **points})["score"]
        gradients = torch.autograd.grad(
            score.sum(), list(points.values()), create_graph=True, allow_unused=True
        )
        squares = [g.reshape(score.shape[0], -1).square().sum(1) for g in gradients if g is not None]
        if not squares:
            raise SettingsError("The discriminator reads nothing that the generator writes.")
        norm = torch.stack(squares).sum(0).add(TINY).sqrt()
        return config.weight * (norm - config.target).square().mean()

    return penalty


class Lecam(nn.Module):
    """weight * (E max(0, D(x) - F)^2 + E max(0, R - D(x'))^2), R and F moving averages of mean scores.

    Tseng et al. 2021, as in the authors' code (biggan_cifar/losses.py, stylegan2/lecam_loss.py): real
    scores below F and generated ones above R are not penalised. R is the moving average of real scores, F
    that of generated scores; both include this step. They start at 0, and dividing by the collected weight
    corrects this bias, so in the first step they are its means. Several games, and micro-batches, update them
    one after the other; over processes they are averaged.
    """

    real: Tensor
    fake: Tensor
    collected: Tensor

    def __init__(self, config: LecamConfig) -> None:
        super().__init__()
        self.config = config
        for name in ("real", "fake", "collected"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, view: View) -> Tensor:
        """The penalty for one game; scores of any shape."""
        real, fake = view.real_outputs["score"], view.fake_outputs["score"]
        with torch.no_grad():
            new = 1 - self.config.decay
            self.real.lerp_(real.mean(), new)
            self.fake.lerp_(fake.mean(), new)
            self.collected.lerp_(torch.ones_like(self.collected), new)
            real_anchor, fake_anchor = self.real / self.collected, self.fake / self.collected
        above, below = (real - fake_anchor).relu(), (real_anchor - fake).relu()
        return self.config.weight * (above.square().mean() + below.square().mean())


def lecam(config: LecamConfig) -> Lecam:
    """Factory of `lecam`."""
    return Lecam(config)


def shift_and_flip(image: Tensor, draws: Tensor, shift: int, flip: bool) -> Tensor:
    """Images (N, C, H, W), each shifted by -shift..shift whole pixels and mirrored or not.

    `draws` (N, 3) are U(0, 1): for the vertical shift, the horizontal shift, and whether `flip` mirrors the
    image. Edge pixels are repeated where a shift leaves a gap. Differentiable, because pixels are gathered.
    """
    count, _, height, width = image.shape
    steps = (draws[:, :2] * (2 * shift + 1)).floor().long() - shift
    rows = (torch.arange(height, device=image.device) + steps[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width, device=image.device) + steps[:, 1:]).clamp(0, width - 1)
    if flip:
        columns = torch.where(draws[:, 2:] < 0.5, width - 1 - columns, columns)
    samples = torch.arange(count, device=image.device)[:, None, None]
    return image[samples, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def consistency(config: ConsistencyConfig) -> Callable[[View], Tensor]:
    """Factory of `consistency`: lambda_real E (D(x) - D(T(x)))^2 + lambda_fake E (D(x') - D(T(x')))^2.

    Balanced consistency regularisation (bCR, Zhao et al. 2020). T is drawn for each sample, and is the same
    for all float images of a sample. The gradient goes through both scores, but not to G. SettingsError for a
    generator that writes no images.
    """

    def inconsistency(view: View, batch: Batch, outputs: Batch, draws: Tensor) -> Tensor:
        images = {
            name: shift_and_flip(value, draws, config.shift, config.flip)
            for name, value in batch.items()
            if value.ndim == 4 and value.is_floating_point()
        }
        return (outputs["score"] - view.discriminate({**batch, **images})["score"]).square().mean()

    def penalty(view: View) -> Tensor:
        if not any(view.real[name].ndim == 4 for name in written_floats(view, "consistency")):
            raise SettingsError(
                "'consistency' needs a generator that writes images.",
                where=f"this generator writes: {', '.join(view.written)}",
                fix="terms.consistency=false",
            )
        draws = view.uniform(2 * view.real[view.written[0]].shape[0], 3, per_sample=True).chunk(2)
        real = inconsistency(view, view.real, view.real_outputs, draws[0])
        fake = inconsistency(view, view.fake, view.fake_outputs, draws[1])
        return config.lambda_real * real + config.lambda_fake * fake

    return penalty


def mode_seeking(config: ModeSeekingConfig) -> Callable[[View], Tensor]:
    """Factory of `mode-seeking`: weight / (E |G(c, z1) - G(c, z2)| / E |z1 - z2| + epsilon).

    Mao et al. 2019 maximise the ratio of distances; their code (DCGAN-Mode-Seeking) minimises this. z2 is z1
    of the previous sample, so it has the correct distribution for any noise field. c, the other inputs of the
    generator, are the same for both. The means are over all values of the micro-batch or shard. SettingsError
    unless there is one float noise field.
    """

    def penalty(view: View) -> Tensor:
        names = written_floats(view, "mode-seeking")
        noise = {name: value for name, value in view.noise.items() if value.is_floating_point()}
        if len(noise) != 1:
            raise SettingsError(
                "'mode-seeking' needs networks with one float noise field.",
                where=f"these have: {', '.join(noise) or 'none'}",
                fix="terms.mode-seeking=false",
            )
        ((key, first),) = noise.items()
        if first.shape[0] < 2:
            raise SettingsError("'mode-seeking' needs two samples or more.", fix="train.batch_size=2")
        second = first.roll(1, 0)
        other = view.generate({**view.fake, key: second})
        distance = torch.cat([(view.fake[name] - other[name]).abs().flatten() for name in names]).mean()
        return config.weight / (distance / (first - second).abs().mean() + config.epsilon)

    return penalty


def feature_matching(config: FeatureMatchingConfig) -> Callable[[View], Tensor]:
    """Factory of `feature-matching`: weight * ||E f(x) - E f(x')||_2^2 (Salimans et al. 2016, section 3.1).

    f is the discriminator's output `features` (N, ...). The means are over the micro-batch or shard. In the
    paper this replaces G's loss; here it is added to it. SettingsError for a discriminator that writes no
    `features`.
    """

    def penalty(view: View) -> Tensor:
        real, fake = (outputs.get("features") for outputs in (view.real_outputs, view.fake_outputs))
        if real is None or fake is None:
            raise SettingsError(
                "'feature-matching' needs a discriminator that writes `features`.",
                where=f"this one writes: {', '.join(view.fake_outputs)}",
                fix="choose another architecture, or terms.feature-matching=false",
            )
        return config.weight * (real.detach().mean(0) - fake.mean(0)).square().sum()

    return penalty


def mean_squared_gradient(view: View, batch: Batch) -> Tensor:
    """E ||grad_x D(x)||^2 over the samples of `batch`: per sample, over all written float fields together.

    The written fields are detached, so no gradient reaches the generator. Fields that the generator does not
    write (a label) are not changed. Scores of any shape are summed per sample. SettingsError for a generator
    that writes no float field.
    """
    points = {
        name: batch[name].detach().requires_grad_()
        for name in view.written
        if batch[name].is_floating_point()
    }
    if not points:
        raise SettingsError(
            "R1 and R2 need a generator that writes a float field.",
            where=f"this generator writes: {', '.join(view.written)}",
            fix="terms.r1=false terms.r2=false",
        )
    score = view.discriminate({**batch, **points})["score"]
    gradients = torch.autograd.grad(score.sum(), list(points.values()), create_graph=True, allow_unused=True)
    squares = [g.reshape(score.shape[0], -1).square().sum(1) for g in gradients if g is not None]
    if not squares:
        raise SettingsError("The discriminator reads nothing that the generator writes.")
    return torch.stack(squares).sum(0).mean()


def r1(config: ZeroCentredConfig) -> Callable[[View], Tensor]:
    """Factory of `r1`: gamma/2 * E ||grad D(x)||^2 on real samples (equation 9)."""

    def penalty(view: View) -> Tensor:
        return config.gamma / 2 * mean_squared_gradient(view, view.real)

    return penalty


def r2(config: ZeroCentredConfig) -> Callable[[View], Tensor]:
    """Factory of `r2`: gamma/2 * E ||grad D(x')||^2 on generated samples (equation 10)."""

    def penalty(view: View) -> Tensor:
        return config.gamma / 2 * mean_squared_gradient(view, view.fake)

    return penalty
