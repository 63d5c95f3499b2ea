"""Settings of small convolutional recipes for larger images than those they were chosen on; no torch here.

On pictures of 32x32x3, rates of 8e-3 (G) and 4e-3 (D) left D without any answer after 3,000 images: real and
generated samples got the same score. Trials of 4,000 images of npm @lobehub/fluent-emoji-3d at 32x32x3, batch
16, one seed: the difference of real and generated scores at the end, and the Frechet distance of Lite2's
features at n = 600.

    spectral norm in D, rates 2e-3 and 1e-3                0.01    dead
    the same, no spectral norm in the last layer           0.00    dead
    the same, hinge loss                                   0.05    dead
    a norm for each sample in D                            0.03    dead
    spectral norm, rates 5e-4 and 1e-3                     0.53    alive    442
    BatchNorm in D, rates 2e-3 and 1e-3                    3.5     alive    393
    WGAN-GP, rates 2e-3 and 1e-3                           0.25    D behind G for most of the run    457

So D must not be slower than G there, or must see a batch as a whole. With BatchNorm in D, on 3,008 images of
the units of Debian wesnoth-1.16-data, 32x32x3: the smallest difference of scores in an eighth of a run, then
that of the last eighth, and the distance:

    rates 2e-3 and 1e-3       0.03, 0.20    385
    rates 1e-3 and 1e-3       0.21, 0.97    406    chosen
    rates 1e-3 and 2e-3       0.10, 0.88    483

In long runs D then learns the training images by heart: on fluent-emoji at 64x64x3 its loss was 0.1 after
45,000 images and 0.00 after 90,000, samples became ragged and noisy. With adaptive augmentation (`ada`,
kimg 100) p rose to 0.26 in 60,000 images, and D's median loss fell to 0.32 only; distance and coverage at
n = 1000, one seed:

    without, 90,000 images                    372, 0.023
    with, 60,000 images                       280, 0.066    chosen
    12,000 images, without, and kimg 10, 4    507, 0.011; 353, 0.032; 394, 0.053, p 0.56: torn shapes
    12,000 images of pokesprite, photographs: without 744, 346; kimg 10 782, 356

At rates of 2e-3 and 1e-3: emoji-datasource-apple 0.21, 1.2, 390; pokesprite-images 0.23, 0.95, 471. WGAN-GP
at 2.5e-4 and 5e-4 on the first set: 6.9, 8.5, 475, so D stays ahead of G.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import DataInfo
from ganzoo_dcgan.sizes import for_larger_images

KIMG = 100.0  # thousand images in which the probability of an augmentation can go from 0 to 1
SIGNED = ("ganzoo/non-saturating", "ganzoo/minimax", "ganzoo/hinge")  # `ada` follows the sign of scores


def fit(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """For images of more than 28x28 pixels: lower rates, smaller batches, narrower networks.

    G learns 16 times slower and D 4 times, so D is the faster one. In a short run, four steps with 16 images
    give more than one with 64.
    """
    return _larger(data, settings, generator=16)


def fit_dcgan(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same; without terms also BatchNorm in D as in the paper, equal rates, and adaptive augmentation."""
    if any(path.startswith("terms.") for path in settings):  # most penalties cannot work with BatchNorm in D
        return _larger(data, settings, generator=16)
    changes = _larger(data, settings, generator=8)
    if changes:
        changes["architecture.discriminator_norm"] = "batch"
        if settings["loss.name"] in SIGNED:
            changes |= {"augment.name": "ada", "augment.kimg": KIMG}
    return changes


def fit_wgan_gp(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for critics, which stay ahead: both learn equally fast.

    After 3,008 images of fluent-emoji at 64x64x3, FED 485 instead of 625 with the slower G. A Wasserstein
    critic gets two steps for each of G: with one it fell behind G (its AUC 1.0, 0.5, then 0.2 after 9,600
    images of fluent-emoji at 64x64x3; 0.3 on the way on wesnoth at 32x32x3), with two the AUC stays above
    0.8 and 0.7 there. Seed 0.
    """
    changes = _larger(data, settings, generator=8)
    if changes and settings["loss.name"] == "ganzoo/wgan-gp":
        changes["train.n_critic"] = max(2, settings["train.n_critic"])
    return changes


def fit_wgan(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for a critic with clipped weights: five steps for each of G, as in the paper's Algorithm 1.

    With one step and rates of 2e-3 and 1e-3, fluent-emoji at 32x32x3 left no difference of scores after 3,008
    images and samples that were alike (spread 0.22). With these 5e-4 for both, 9,600 images, the difference
    grows all the time: 2.4 to 3.8 (spread 0.97); wesnoth, pokesprite and photographs at 32x32x3 and two sets
    at 64x64x3 do the same (spreads 0.53 to 1.47). Rates of 2e-4 and 1e-3 live, too. Seed 0.
    """
    changes = _larger(data, settings, generator=4, discriminator=2)
    return changes | {"train.n_critic": 5} if changes else changes


def fit_rpgan(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for the relativistic loss with R1 and R2, whose rates are a quarter: G half as fast as D.

    After 3,008 images of fluent-emoji at 64x64x3 and an eighth and a quarter of the rates, all samples were
    alike: FED 616, coverage 0; after 2,400 images with these 479 and 0.006, silhouettes of several shapes.
    """
    return _larger(data, settings, generator=2, discriminator=1)


def _larger(
    data: DataInfo, settings: Mapping[str, Any], generator: int, discriminator: int = 4
) -> dict[str, Any]:
    rates = {"generator": 1 / generator, "discriminator": 1 / discriminator}
    return for_larger_images(data, settings, rates=rates, batch_size=16)


def suits(data: DataInfo) -> float:
    """Images of any number of channels, from 8x8 pixels: 0.5."""
    image = data.field("image") if "image" in data else None
    return 0.5 if image is not None and len(image.shape) == 3 and min(image.shape[1:]) >= 8 else 0.0
