"""Published settings of the later families, for test_paper_recipes.py, which says where numbers are from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ganzoo.config.schedule import parse_schedule

SIDES = ("generator", "discriminator")


def both(**options: Any) -> dict[str, Any]:
    """The same options of both optimisers."""
    return {f"{side}.{key}": value for side in SIDES for key, value in options.items()}


LATER: dict[str, dict[str, Any]] = {
    # Miyato et al. 2018; pfnet-research/sngan_projection configs/sn_cifar10_unconditional.yml.
    "sngan-paper": {
        "loss.name": "hinge",
        "train.images": 50_000 * 5 * 64,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.n_critic": 5,
        "architecture.latent": 128,
        "architecture.latent_distribution": "normal",
        "architecture.init": "glorot",
        "architecture.discriminator_norm": "spectral",
        "architecture.spectral_generator": False,
        "architecture.score_bias": False,
        "architecture.norm_eps": 2e-5,
        "architecture.block_gain": 2**0.5,
        **both(optimizer="adam", lr=2e-4, betas=(0.0, 0.9), weight_decay=0.0),
        **both(decay="linear", decay_from=0.0, lr_final=0.0),
        "terms": [],
    },
    # Miyato and Koyama 2018; the same repository, configs/sn_projection.yml: 16 images on each of 4 GPUs.
    "projection-paper": {
        "loss.name": "hinge",
        "train.images": 450_000 * 5 * 64,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.conditions": "uniform",
        "train.n_critic": 5,
        "architecture.latent": 128,
        "architecture.init": "glorot",
        "architecture.spectral_generator": False,
        "architecture.shared_embedding": 0,
        "architecture.score_bias": True,
        "architecture.norm_eps": 2e-5,
        "architecture.block_gain": 2**0.5,
        **both(optimizer="adam", lr=2e-4, betas=(0.0, 0.9), weight_decay=0.0),
        **both(decay="linear", decay_from=400_000 / 450_000, lr_final=0.0),
        "terms": [],
    },
    # Zhang et al. 2019, sections 4 and 5; the batch is that which BigGAN's table 1 names for it.
    "sagan-paper": {
        "loss.name": "hinge",
        "train.images": 1_000_000 * 256,
        "train.batch_size": 256,
        "train.conditions": "uniform",
        "train.n_critic": 1,
        "architecture.latent": 128,
        "architecture.discriminator_norm": "spectral",
        "architecture.spectral_generator": True,
        "architecture.block_gain": 1.0,
        "generator.lr": 1e-4,
        "discriminator.lr": 4e-4,
        **both(optimizer="adam", betas=(0.0, 0.9), decay="none", weight_decay=0.0),
        "terms": [],
    },
    # Brock et al. 2019, table 1, row 8, and appendix C: 0.9999 of the average stays at each step of G.
    # ajbrock/BigGAN-PyTorch layers.py (class ccbn) and scripts/launch_BigGAN_bs256x8.sh (both eps).
    "biggan-paper": {
        "loss.name": "hinge",
        "train.images": 165_000 * 2 * 2048,
        "train.batch_size": 2048,
        "train.conditions": "uniform",
        "train.n_critic": 2,
        "ema.half_life": 28_389_889,
        "ema.ramp": 0.0,
        "architecture.init": "orthogonal",
        "architecture.spectral_generator": True,
        "architecture.separate_tables": True,
        "architecture.spectral_eps": 1e-6,
        "generator.lr": 5e-5,
        "discriminator.lr": 2e-4,
        **both(optimizer="adam", betas=(0.0, 0.999), eps=1e-6, decay="none", weight_decay=0.0),
        "terms": [],
    },
    # Karras et al. 2020, config F, FFHQ; NVlabs/stylegan2-ada-pytorch train.py (cfg stylegan2),
    # training/loss.py, training/networks.py, training_loop.py: a regulariser in each k-th step is one more
    # step, for which Adam's rate is multiplied by k / (k + 1), and its betas are raised to that power. Here
    # there is no more step: 0.002 and 0.99 unchanged, see test_stylegan2_learns_as_fast_as_the_authors.
    "stylegan2-paper": {
        "loss.name": "non-saturating",
        "train.images": 25_000_000,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "ema.half_life": 10_000,
        "ema.ramp": 0.0,
        "architecture.latent": 512,
        "architecture.style": 512,
        "architecture.mapping_layers": 8,
        "architecture.mapping_rate": 0.01,
        "architecture.style_mixing": 0.9,
        "architecture.average": 0.995,
        "architecture.group": 4,
        "architecture.noise": 1.0,
        "architecture.output": "clip",
        **both(optimizer="adam", lr=0.002, betas=(0.0, 0.99), eps=1e-8, decay="none", weight_decay=0.0),
        "terms": ["path-length", "r1"],
        "terms.r1.gamma": 10.0,
        "terms.r1.every": 16,
        "terms.path-length.weight": 2.0,
        "terms.path-length.decay": 0.01,
        "terms.path-length.shrink": 2,
        "terms.path-length.every": 4,
    },
    # Odena et al. 2017, appendix A: the middle of three rates. Chosen: the distribution of z.
    "acgan-paper": {
        "loss.name": "non-saturating",
        "train.images": 50_000 * 100,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "architecture.init": "normal",
        "architecture.latent_distribution": "normal",
        "architecture.slope": 0.2,
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": ["guess-label", "show-label"],
        **{f"terms.guess-label.{which}_weight": 1.0 for which in ("real", "fake")},
        "terms.show-label.weight": 1.0,
    },
    # Chen et al. 2016, appendix C.1; openai/InfoGAN launchers/run_mnist_exp.py: 50 epochs of 100 updates. The
    # slope is the appendix's; infogan/misc/custom_ops.py has 0.01.
    "infogan-paper": {
        "loss.name": "non-saturating",
        "train.images": 50 * 100 * 128,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "architecture.init": "normal",
        "architecture.output": "sigmoid",
        "architecture.discriminator_norm": "batch",
        "architecture.slope": 0.1,
        "generator.lr": 1e-3,
        "discriminator.lr": 2e-4,
        **both(optimizer="adam", betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": ["guess-codes", "show-codes"],
        **{f"terms.{name}.categorical_weight": 1.0 for name in ("guess-codes", "show-codes")},
        **{f"terms.{name}.continuous_weight": 1.0 for name in ("guess-codes", "show-codes")},
    },
    # Isola et al. 2017, section 3.3 and appendix 6.2, facades: 200 epochs of 400 pairs, batches of one,
    # mirrored; phillipi/pix2pix train.lua. Batches of one make its BatchNorm an InstanceNorm with gains
    # (section 3.3). Both sides learn from the same samples.
    "pix2pix-paper": {
        "loss.name": "non-saturating",
        "train.images": 200 * 400,
        "train.batch_size": 1,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.replay": 0,
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
        "architecture.output": "tanh",
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": ["l1"],
        "terms.l1.weight": 100.0,
        "terms.l1.every": 1,
    },
    # Zhu et al. 2017, section 4 and appendix 7.1; junyanz/CycleGAN: 939 horses and 1,177 zebras, 200 epochs
    # of the larger side, the rate linearly to 0 in the second half, a pool of 50. Their least squares of G
    # have no half: lambda is 10 there and 5 here.
    "cyclegan-paper": {
        "loss.name": "lsgan",
        "loss.b": 1.0,
        "loss.c": 1.0,
        "train.images": 200 * 1177,
        "train.batch_size": 1,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.replay": 50,
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
        "architecture.output": "tanh",
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), weight_decay=0.0),
        **both(decay="linear", decay_from=0.5, lr_final=0.0),
        "terms": ["cycle"],
        "terms.cycle.weight": 10.0 / 2,
        "terms.cycle.every": 1,
    },
    # Xu et al. 2019, section 4.4; sdv-dev/CTGAN ctgan/synthesizers/ctgan.py and its defaults: 300 epochs
    # (chosen: of 5,000 rows), Adam with weight decay on both sides. The term's weight is the temperature.
    "ctgan-paper": {
        "loss.name": "wgan-gp",
        "train.images": 300 * 5_000,
        "train.batch_size": 500,
        "train.n_critic": 1,
        "train.pack": 10,
        "architecture.latent": 128,
        "architecture.generator_hidden": (256, 256),
        "architecture.discriminator_hidden": (256, 256),
        "architecture.temperature": 0.2,
        "architecture.dropout": 0.5,
        "architecture.slope": 0.2,
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.9), weight_decay=1e-6, decay="none"),
        "terms": ["condition", "gradient-penalty"],
        "terms.gradient-penalty.weight": 10.0,
        "terms.condition.weight": 0.2,
    },
    # Gulrajani et al. 2017, section 5.4; igul222/improved_wgan_training gan_language.py: 200,000 steps of G.
    "wgan-gp-text-paper": {
        "loss.name": "wgan-gp",
        "train.images": 200_000 * 10 * 64,
        "train.batch_size": 64,
        "train.n_critic": 10,
        "architecture.latent": 128,
        "architecture.generator_width": 512,
        "architecture.discriminator_width": 512,
        "architecture.blocks": 5,
        "architecture.kernel": 5,
        **both(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none"),
        "terms.gradient-penalty.weight": 10.0,
        "terms": ["gradient-penalty"],
    },
    # Nie et al. 2019; weilinie/RelGAN coco_relgan.py: 150 epochs of 10,000 by likelihood, 2,000 steps of the
    # game, temperature 100^(i / 5,000).
    "relgan-paper": {
        "loss.name": "relgan",
        "loss.weight": asdict(parse_schedule("piecewise 0: 0, 0.9214: 0, 0.9215: 1")),
        "architecture.inverse_temperature": asdict(parse_schedule("exponential 1 -> 6.31 over 0.9214..1")),
        "terms.likelihood.weight": asdict(parse_schedule("piecewise 0: 1, 0.9214: 1, 0.9215: 0")),
        "train.images": 8_140_000,
        "train.batch_size": 64,
        "train.n_critic": 5,
        "architecture.embedding": 32,
        "architecture.hidden": 32,
        "architecture.representations": 64,
        "architecture.filters": 300,
        "architecture.kernels": (2, 3, 4, 5),
        "architecture.dropout": 0.25,
        "architecture.features": 100,
        **both(optimizer="adam", betas=(0.9, 0.999), decay="none", clip_norm=5.0),
        "discriminator.lr": 1e-4,
        "terms": ["likelihood"],
    },
}
