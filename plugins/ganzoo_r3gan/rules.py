"""Settings of the small recipe for larger images than those it was chosen on; no torch here.

Trials at 64x64x3, widths of 8, seed 0, one thread; FED of Lite2, of Lite0, and coverage at n = 1000:

    npm @lobehub/fluent-emoji-3d, 2,400 images, 40 CPU seconds
    rates 3e-3, gamma 0.2                   286, 233, 0.103
    rates 2e-3, gamma 1                     295, 242, 0.074; with 800 warm-up images 319, 278, 0.082
    rates 1e-3, gamma 2                     324, 265, 0.091

    npm pokesprite-images, mostly white, 2,000 images
    rates 3e-3, gamma 0.2                   white images: tanh saturates in the first five steps
    the same, gamma 2                       white images for 1,700 images
    the same, no tanh                       gray smears, D's loss 0.02
    rates 2e-3, gamma 1                     gray smears, D's loss 0.02
    the same with 800 warm-up images        coloured blobs in different shapes, D's loss 0.37

    Debian wesnoth-1.16-data, mostly white, 2,000 images, rates 2e-3, gamma 1, 800 warm-up images
    tanh                                    white images after 500, D's loss 0.001
    no tanh                                 dark blobs on white, D's loss 0.38

Leaky tanh beside no tanh (the rest by the rule), seed 0, 2026-12-01; FED, coverage, KID at n = 1000:

    wesnoth, 32x32, 3,008 images            441, 0.019, 28; no tanh 666, 0.006, 37
    fluent-emoji, 64x64, 2,400              249, 0.133, 3.9; no tanh 285, 0.055, 4.0
    wesnoth, 64x64, 2,400                   884, 0.000, 71; no tanh (1,920 images) 849, 0.004, 21
    pokesprite, 64x64, 2,400                1350, 0.000, 207; no tanh 1166, 0.000, 50: nothing to see in both

So leaky tanh stays up to 32 pixels, and no tanh above: two of three sets there are better without.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

from ganzoo.api import DataInfo
from ganzoo_dcgan.sizes import FULL_WIDTH, for_larger_images

RATES = {"generator": 2 / 3, "discriminator": 2 / 3}
GAMMA = 1.0
WARMUP = 800  # images


def fit(data: DataInfo, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Above 28x28 pixels: slower at first, stronger penalties; above 32: narrower networks, no tanh."""
    group, expansion = settings["architecture.group"], settings["architecture.expansion"]
    unit = group // gcd(group, expansion)  # what widths are multiples of
    changes = for_larger_images(data, settings, rates=RATES, unit=unit)
    if not changes:
        return {}
    if min(data.image().shape[1:]) > FULL_WIDTH:
        changes["architecture.output"] = "clip"
    changes |= {f"{role}.warmup": WARMUP for role in RATES if f"{role}.lr" in changes}
    penalties = (f"terms.ganzoo/{name}.gamma" for name in ("r1", "r2"))
    return changes | {path: GAMMA for path in penalties if path in settings}
