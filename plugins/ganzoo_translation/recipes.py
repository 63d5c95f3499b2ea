"""Recipes from image to image: data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

PIX2PIX = (
    "Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004"
)
CYCLEGAN = (
    "Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, "
    "arXiv:1703.10593"
)

SMALL: Mapping[str, Any] = {
    "train.batch_size": 16,
    "train.n_critic": 1,
    "train.reuse_fakes": True,
    "train.samples": 24,
    "architecture.generator_width": 32,
    "architecture.discriminator_width": 32,
    "architecture.patch_layers": 2,
    "architecture.init": "default",
    **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="linear", decay_from=0.5),
    "ema.half_life": 2_000,
}

# 40,000 images, 2,000 of the held-out pairs: PSNR 19.7 dB, l1 0.059, SSIM 0.797, FED 77.3. The
# mean training image has 10.9 dB and 0.231 there, the edges themselves 6.6 dB (all 5,000 pairs).
SIZED_PIX2PIX = RecipeSpec(
    name="pix2pix",
    summary="pix2pix sized for CPU minutes: images of clothes from their edges. Departs from the paper: "
    "small nets, batches of 16, rate of 1e-3 with decay, no dropout, EMA.",
    paper=PIX2PIX,
    architecture="unet-patch",
    loss="non-saturating",
    data="fashion-pairs",
    settings={**SMALL, "train.images": 40_000, "terms.l1.weight": 100.0},
)

# Appendix 6.2, facades: 200 epochs of 400 pairs, batches of one, for which their BatchNorm is InstanceNorm
# with gains (section 3.3). phillipi/pix2pix train.lua: D's loss halved, which Adam does not feel.
PIX2PIX_PAPER = RecipeSpec(
    name="pix2pix-paper",
    summary="pix2pix as in the paper's appendix 6 for facades (256x256): Adam 2e-4, L1 of 100, dropout. "
    "Not reproduced: dropout at test time, random crops from 286x286.",
    paper=PIX2PIX,
    architecture="unet-patch",
    loss="non-saturating",
    data="fashion-pairs",
    settings={
        "train.images": 80_000,
        "train.batch_size": 1,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.reuse_fakes": True,
        "data.flip": True,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.levels": 8,
        "architecture.patch_layers": 3,
        "architecture.norm": "instance",
        "architecture.discriminator_norm": "instance",
        "architecture.affine": True,
        "architecture.dropout": 0.5,
        "architecture.dropout_layers": 3,
        "architecture.init": "normal",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none"),
        "terms.l1.weight": 100.0,
        "ema.half_life": 0,
    },
)

# 16,000 images, 2,000 of the held-out pairs: PSNR 19.1 dB, l1 0.058, SSIM 0.773. Bicubic interpolation has
# 16.0 dB, 0.104 and 0.503 there, bilinear 15.6 dB, 0.113 and 0.448 (all 5,000 pairs).
SIZED_SUPER_RESOLUTION = RecipeSpec(
    name="super-resolution",
    summary="Images four times larger than they come, learned from pairs; sized for CPU minutes: residual "
    "blocks, L1 and a D of patches.",
    architecture="resnet-patch",
    loss="lsgan",
    data="fashion-pairs",
    settings={
        **SMALL,
        "train.images": 16_000,
        "data.transform": "downscale",
        "data.factor": 4,
        "architecture.halvings": 1,
        "architecture.blocks": 4,
        "architecture.norm": "none",
        "terms.l1.weight": 10.0,
    },
)

# 12,000 images, 2,000 held-out ones: PSNR 25.5 dB, l1 0.030, SSIM 0.793; the gray images themselves have
# 20.1 dB, 0.045 and 0.805. With D's rate at 1e-3, InstanceNorm in G gave 24.1 dB and BatchNorm 24.6. Faint
# shapes stay uncertain, and the ground is not quite flat.
SIZED_COLOURISATION = RecipeSpec(
    name="colourisation",
    summary="Colours for gray images, learned from pairs; sized for CPU minutes, on made-up shapes. For "
    "images of your own: --data pairs:FOLDER --set data.transform=gray.",
    architecture="unet-patch",
    loss="non-saturating",
    data="coloured-shapes",
    settings={
        **SMALL,
        "train.images": 12_000,
        "architecture.norm": "batch",
        "discriminator.lr": 1e-4,
        "terms.l1.weight": 100.0,
    },
)

# 30,000 images, 500 held-out ones of each class: dresses from T-shirts FED 150, coverage 0.50 (the T-shirts
# themselves 185 and 0.30), T-shirts from dresses 150 and 0.58 (162 and 0.41). Prints become noise.
SIZED_CYCLEGAN = RecipeSpec(
    name="cyclegan",
    summary="CycleGAN sized for CPU minutes: T-shirts to dresses and back. Departs from the paper: small "
    "nets, batches of 16, rate of 1e-3, a pool of 128, EMA.",
    paper=CYCLEGAN,
    architecture="resnet-cycle",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        **SMALL,
        "train.images": 30_000,
        "train.replay": 128,
        "architecture.generator_width": 16,
        "architecture.halvings": 2,
        "architecture.blocks": 4,
        "terms.cycle.weight": 5.0,
    },
)

# Section 4 and appendix 7.1, horses and zebras: 200 epochs of 1,177 images, the second half with decay.
# The paper's G has no half in its least squares, `lsgan` has: so does the weight of its cycle, 10, here.
CYCLEGAN_PAPER = RecipeSpec(
    name="cyclegan-paper",
    summary="CycleGAN as in the paper's section 4 for horses and zebras (256x256): nine blocks, Adam 2e-4, a "
    "pool of 50. Not reproduced: random crops from 286x286.",
    paper=CYCLEGAN,
    architecture="resnet-cycle",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        "train.images": 235_400,
        "train.batch_size": 1,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.reuse_fakes": True,
        "train.replay": 50,
        "data.flip": True,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.halvings": 2,
        "architecture.blocks": 9,
        "architecture.patch_layers": 3,
        "architecture.norm": "instance",
        "architecture.discriminator_norm": "instance",
        "architecture.affine": False,
        "architecture.dropout": 0.0,
        "architecture.init": "normal",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999)),
        **both_sides(decay="linear", decay_from=0.5, lr_final=0.0),
        "terms.cycle.weight": 5.0,
        "ema.half_life": 0,
    },
)

# Section 5.2 and appendix 7.1, 1,074 paintings by Monet and 6,853 photographs: identity with half of lambda.
PAINTINGS_PAPER = RecipeSpec(
    name="cyclegan-paintings-paper",
    summary="CycleGAN as in the paper's section 5.2 for paintings and photographs (256x256): cyclegan-paper "
    "with the identity term. Not reproduced: random crops.",
    paper=CYCLEGAN,
    architecture="resnet-cycle",
    loss="lsgan",
    data="fashion-unpaired",
    settings={**CYCLEGAN_PAPER.settings, "train.images": 1_370_600, "terms.identity.weight": 2.5},
)

RECIPES = [
    SIZED_PIX2PIX,
    PIX2PIX_PAPER,
    SIZED_CYCLEGAN,
    CYCLEGAN_PAPER,
    PAINTINGS_PAPER,
    SIZED_SUPER_RESOLUTION,
    SIZED_COLOURISATION,
]
