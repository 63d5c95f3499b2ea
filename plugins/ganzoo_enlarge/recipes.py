"""Recipes that enlarge: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

ESRGAN = (
    "Wang et al. 2018, ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, arXiv:1809.00219"
)
REAL = (
    "Wang et al. 2021, Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data, "
    "arXiv:2107.10833"
)

SMALL = RecipeSpec(
    name="enlarge",
    summary="Enlarges photographs four times; trains in minutes on a CPU: a small SRVGG on random crops, L1 "
    "first, then a patch D with a small weight.",
    paper=REAL,
    architecture="srvgg",
    loss="non-saturating",
    data="toy-crops",
    settings={
        "train.images": 90_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.samples": 12,
        "data.flip": True,
        "architecture.layers": 8,
        "architecture.width": 32,
        "architecture.discriminator": "patch",
        "architecture.discriminator_width": 16,
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.9, 0.99), decay="linear", decay_from=0.5),
        "discriminator.lr": 2e-4,
        "loss.weight": "piecewise 0: 0, 0.7: 0, 0.75: 0.005",
        "terms.pixels.weight": 1.0,
        "ema.half_life": 8_000,
    },
    suits="ganzoo_enlarge.rules:suits",
)

# Section 4.1 of the paper: RRDB with 23 blocks, crops of 128, batch 16; 1 M steps of L1 at 2e-4, then 400,000
# steps of L1, VGG and RaGAN at 1e-4. Here both are one run: the weights of the second part begin at 5/7.
ESRGAN_PAPER = RecipeSpec(
    name="esrgan",
    summary="ESRGAN as in the paper's section 4: 1,000,000 steps of L1, then 400,000 with perceptual and "
    "relativistic losses. Needs a GPU for days. Not reproduced: VGG features unless terms.perceptual.vgg "
    "names a file, network interpolation, D's VGG network (a U-Net here).",
    paper=ESRGAN,
    architecture="rrdb",
    loss="relativistic-average",
    data="toy-crops",
    settings={
        "train.images": 22_400_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.samples": 12,
        "data.size": 128,
        "data.flip": True,
        "architecture.blocks": 23,
        "architecture.width": 64,
        "architecture.discriminator_width": 64,
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.9, 0.99), decay="none"),
        "generator.lr": "piecewise 0: 2e-4, 0.7142: 2e-4, 0.7143: 1e-4, 1: 1e-5",
        "discriminator.lr": 1e-4,
        "loss.weight": "piecewise 0: 0, 0.7142: 0, 0.7143: 0.005",
        "terms.pixels.weight": "piecewise 0: 1, 0.7142: 1, 0.7143: 0.01",
        "terms.perceptual.weight": "piecewise 0: 0, 0.7142: 0, 0.7143: 1",
        "ema.half_life": 0,
    },
)

# Section 4.1: crops of 256, batch 48, 1 M steps of L1 at 2e-4 (Real-ESRNet), then 400,000 at 1e-4; weights 1
# for L1 and the perceptual loss, 0.1 for the GAN; EMA 0.999 a step, which halves after 693 steps.
REAL_PAPER = RecipeSpec(
    name="real-esrgan-paper",
    summary="Real-ESRGAN as in the paper's section 4: degradation of two rounds, U-Net D, 1,000,000 steps of "
    "L1, then 400,000 with perceptual and GAN losses. Needs a GPU for weeks. Not reproduced: VGG features "
    "unless terms.perceptual.vgg names a file.",
    paper=REAL,
    architecture="rrdb",
    loss="non-saturating",
    data="toy-crops",
    settings={
        "train.images": 67_200_000,
        "train.batch_size": 48,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.reuse_fakes": True,
        "train.samples": 12,
        "data.size": 256,
        "data.degradation": "real",
        "data.flip": True,
        "architecture.blocks": 23,
        "architecture.width": 64,
        "architecture.discriminator_width": 64,
        **both_sides(optimizer="adam", lr=1e-4, betas=(0.9, 0.99), decay="none"),
        "generator.lr": "piecewise 0: 2e-4, 0.7142: 2e-4, 0.7143: 1e-4",
        "loss.weight": "piecewise 0: 0, 0.7142: 0, 0.7143: 0.1",
        "terms.pixels.weight": 1.0,
        "terms.pixels.sharpen": True,
        "terms.perceptual.weight": "piecewise 0: 0, 0.7142: 0, 0.7143: 1",
        "terms.perceptual.sharpen": True,
        "ema.half_life": 33_000,
    },
)

RECIPES = [SMALL, ESRGAN_PAPER, REAL_PAPER]
