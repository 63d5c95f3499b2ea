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
CUT = "Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation, arXiv:2007.15651"

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

# After 40,000 images, on 2,000 held-out pairs: PSNR 19.7 dB, l1 0.059, SSIM 0.797, FED 77.3. As baselines on
# all 5,000 held-out pairs, the mean training image has 10.9 dB and l1 0.231, the edges themselves 6.6 dB.
SMALL_PIX2PIX = RecipeSpec(
    name="pix2pix",
    summary="Small pix2pix that trains in minutes on a CPU: images of clothes from their edges. Departs from "
    "the paper: small networks, batch 16, learning rate of 1e-3 with decay, no dropout, EMA.",
    paper=PIX2PIX,
    architecture="unet-patch",
    loss="non-saturating",
    data="fashion-pairs",
    settings={**SMALL, "train.images": 40_000, "terms.l1.weight": 100.0},
)

# Appendix 6.2, facades: 200 epochs of 400 pairs with batch 1. Their BatchNorm is then InstanceNorm with gains
# (section 3.3). phillipi/pix2pix train.lua halves D's loss, which has no effect with Adam.
PIX2PIX_PAPER = RecipeSpec(
    name="pix2pix-paper",
    summary="pix2pix as in the paper's appendix 6 for facades (256x256): Adam 2e-4, L1 weight 100, dropout. "
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

# After 16,000 images, on 2,000 held-out pairs: PSNR 19.1 dB, l1 0.058, SSIM 0.773. As baselines on all 5,000
# held-out pairs, bicubic interpolation has 16.0 dB, 0.104 and 0.503, bilinear 15.6 dB, 0.113 and 0.448.
SMALL_SUPER_RESOLUTION = RecipeSpec(
    name="super-resolution",
    summary="Small super-resolution GAN that trains in minutes on a CPU: images four times larger, trained "
    "on pairs, with residual blocks, L1 and a patch D. For photographs: enlarge.",
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

# After 12,000 images, on 2,000 held-out ones: PSNR 25.5 dB, l1 0.030, SSIM 0.793; the gray images themselves
# have 20.1 dB, 0.045 and 0.805. With a learning rate of 1e-3 for D, InstanceNorm in G gave 24.1 dB and
# BatchNorm 24.6. Shapes of low contrast often get a wrong colour, and the background is not quite uniform.
SMALL_COLOURISATION = RecipeSpec(
    name="colourisation",
    summary="Small GAN that colours gray images and trains in minutes on a CPU, on synthetic shapes. For "
    "your own images: --data pairs:FOLDER --set data.transform=gray.",
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

# After 30,000 images, on 500 held-out ones of each class: dresses from T-shirts have FED 150 and coverage
# 0.50 (the T-shirts themselves 185 and 0.30), T-shirts from dresses 150 and 0.58 (the dresses 162 and 0.41).
# Prints become noise.
SMALL_CYCLEGAN = RecipeSpec(
    name="cyclegan",
    summary="Small CycleGAN that trains in minutes on a CPU: T-shirts to dresses and back. Departs from the "
    "paper: small networks, batch 16, learning rate of 1e-3, a replay buffer of 128, EMA.",
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
# `lsgan` halves the squares and the paper does not, so the cycle weight of 10 is halved as well.
CYCLEGAN_PAPER = RecipeSpec(
    name="cyclegan-paper",
    summary="CycleGAN as in the paper's section 4 for horses and zebras (256x256): nine blocks, Adam 2e-4, a "
    "replay buffer of 50. Not reproduced: random crops from 286x286.",
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

# Section 5.2 and appendix 7.1, 1,074 paintings by Monet and 6,853 photographs: identity weight lambda / 2.
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

SMALL_CONTRASTIVE: Mapping[str, Any] = {
    **SMALL,
    "architecture.generator_width": 16,
    "architecture.halvings": 2,
    "architecture.blocks": 4,
    "architecture.projection": 64,
    "terms.patch-nce.patches": 64,
}

SMALL_CUT = RecipeSpec(
    name="cut",
    summary="Small CUT that trains in minutes on a CPU: T-shirts to dresses, one direction. Departs from the "
    "paper: small networks, batch 16, 64 places, learning rate of 1e-3, EMA.",
    paper=CUT,
    architecture="resnet-contrastive",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        **SMALL_CONTRASTIVE,
        "train.images": 30_000,
        "terms.patch-nce.weight": 0.5,
        "terms.patch-nce.identity": True,
    },
)

# Garments from their edges without pairs, 288 s of CPU, 1,000 held-out images: with the paper's weight (5.0,
# as lsgan halves its squares) FED 187.8 and PSNR 10.3 dB, outlines stay white; with a tenth of it 114.3 and
# 13.3; cyclegan in the same time 110.7 and 14.7. T-shirts to dresses, 217 s of CPU, 500 held-out images: FED
# 178, coverage 0.39; shapes are those of dresses, textures are noisy (cyclegan 150 and 0.50 in 30,000).
SMALL_FASTCUT = RecipeSpec(
    name="fastcut",
    summary="Small FastCUT that trains in minutes on a CPU: T-shirts to dresses, one direction. Departs from "
    "the paper: small networks, batch 16, 64 places, a tenth of the weight, learning rate of 1e-3, EMA.",
    paper=CUT,
    architecture="resnet-contrastive",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        **SMALL_CONTRASTIVE,
        "train.images": 30_000,
        "terms.patch-nce.weight": 0.5,
        "terms.patch-nce.flip": True,
    },
)

# Section 4 and appendix C; taesungp/contrastive-unpaired-translation models/cut_model.py and options: 200 +
# 200 epochs of 1,334 zebras (the larger side), batch 1, Xavier weights with gain 0.02, low-pass filters.
# `lsgan` halves the squares and the authors do not for G, so lambda (1, FastCUT 10) is halved as well.
CUT_PAPER = RecipeSpec(
    name="cut-paper",
    summary="CUT as in the paper for horses and zebras (256x256): nine blocks, Adam 2e-4, 256 places in five "
    "layers, with the identity part. Not reproduced: random crops from 286x286.",
    paper=CUT,
    architecture="resnet-contrastive",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        "train.images": 533_600,
        "train.batch_size": 1,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.reuse_fakes": True,
        "train.samples": 8,
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
        "architecture.init": "xavier",
        "architecture.antialias": True,
        "architecture.projection": 256,
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999)),
        **both_sides(decay="linear", decay_from=0.5, lr_final=0.0),
        "terms.patch-nce.weight": 0.5,
        "terms.patch-nce.temperature": 0.07,
        "terms.patch-nce.patches": 256,
        "terms.patch-nce.identity": True,
        "terms.patch-nce.flip": False,
        "ema.half_life": 0,
    },
)

FASTCUT_PAPER = RecipeSpec(
    name="fastcut-paper",
    summary="FastCUT as in the paper for horses and zebras (256x256): cut-paper with lambda 10, without the "
    "identity part, with mirrored images, 150 + 50 epochs. Not reproduced: random crops.",
    paper=CUT,
    architecture="resnet-contrastive",
    loss="lsgan",
    data="fashion-unpaired",
    settings={
        **CUT_PAPER.settings,
        "train.images": 266_800,
        **both_sides(decay_from=0.75),
        "terms.patch-nce.weight": 5.0,
        "terms.patch-nce.identity": False,
        "terms.patch-nce.flip": True,
    },
)

RECIPES = [
    SMALL_PIX2PIX,
    PIX2PIX_PAPER,
    SMALL_CYCLEGAN,
    CYCLEGAN_PAPER,
    PAINTINGS_PAPER,
    SMALL_SUPER_RESOLUTION,
    SMALL_COLOURISATION,
    SMALL_CUT,
    SMALL_FASTCUT,
    CUT_PAPER,
    FASTCUT_PAPER,
]
