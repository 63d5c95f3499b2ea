"""The settings of the published recipes, number by number.

The numbers are copied from the papers and from the authors' code that the comments name, which is
where the project's notes on published recipes have them from; not from the recipes. What a paper
leaves open and a recipe chooses is marked "chosen". Widths and maps are in test_paper_networks.py.
"""

from __future__ import annotations

from dataclasses import asdict
from math import log
from typing import Any

import pytest

from ganzoo.api import RecipeSpec
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from tests.helpers.published import LATER, both

PUBLISHED: dict[str, dict[str, Any]] = {
    # Goodfellow et al. 2014; goodfeli/adversarial mnist.yaml: 250 epochs of 50,000, the rate divided
    # by 1.000004 after each batch. D minimises half of the cross entropy there: half the rate here. Its
    # `noise: 'uniform'` is U(-sqrt 3, sqrt 3) in the repository's __init__.py.
    "vanilla-paper": {
        "loss.name": "non-saturating",
        "train.images": 250 * 50_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.latent_range": (-(3**0.5), 3**0.5),
        "architecture.input_dropout": 0.2,
        "architecture.dropout": 0.5,
        "architecture.init": "uniform",
        "architecture.generator_init_range": 0.05,
        "architecture.discriminator_init_range": 0.005,
        **both(optimizer="sgd", momentum=0.5, momentum_final=0.7, momentum_images=250 * 50_000),
        **both(decay="exponential", decay_rate=1.000004, weight_decay=0.0),
        "generator.lr": 0.1,
        "generator.lr_final": 1e-6,
        "discriminator.lr": 0.1 / 2,
        "discriminator.lr_final": 1e-6 / 2,
        "terms": [],
    },
    # Radford et al. 2015; Newmu/dcgan_code faces/train_uncond_dcgan.py: 25 epochs of 350,000, each
    # batch to G or to D.
    "dcgan-paper": {
        "loss.name": "non-saturating",
        "train.images": 25 * 350_000 // 2,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.init": "normal",
        "architecture.kernel": 5,
        "architecture.norm_eps": 1e-8,
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), weight_decay=1e-5, decay="none"),
        "terms": [],
    },
    # Mirza and Osindero 2014, section 4.1. Chosen: length, pace of the momentum, initialisation.
    "cgan-paper": {
        "loss.name": "non-saturating",
        "train.images": 250 * 50_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.latent_range": (0.0, 1.0),
        "architecture.generator_latent_hidden": 200,
        "architecture.generator_label_hidden": 1000,
        "architecture.generator_hidden": 1200,
        "architecture.generator_dropout": 0.5,
        "architecture.dropout": 0.5,
        "architecture.init": "default",
        **both(optimizer="sgd", lr=0.1, momentum=0.5, momentum_final=0.7, momentum_images=250 * 50_000),
        **both(decay="exponential", decay_rate=1.00004, lr_final=1e-6, weight_decay=0.0),
        "terms": [],
    },
    # Arjovsky et al. 2017, Algorithm 1; martinarjovsky/WassersteinGAN main.py: 25 epochs of LSUN
    # bedrooms (3,033,042 images).
    "wgan-paper": {
        "loss.name": "wgan",
        "train.images": 25 * 3_033_042,
        "train.batch_size": 64,
        "train.n_critic": 5,
        "architecture.latent": 100,
        "architecture.latent_distribution": "normal",
        "architecture.init": "normal",
        **both(optimizer="rmsprop", lr=5e-5, momentum=0.0, decay="none", weight_decay=0.0),
        "terms": ["weight-clip"],
        "terms.weight-clip.limit": 0.01,
    },
    # Gulrajani et al. 2017; igul222/improved_wgan_training gan_mnist.py: 200,000 generator steps.
    "wgan-gp-paper": {
        "loss.name": "wgan-gp",
        "train.images": 200_000 * 5 * 50,
        "train.batch_size": 50,
        "train.n_critic": 5,
        "architecture.latent": 128,
        "architecture.latent_distribution": "normal",
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "architecture.output": "sigmoid",
        "architecture.kernel": 5,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.init": "he",
        **both(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none", weight_decay=0.0),
        "terms": ["gradient-penalty"],
        # Their pixels are in 0..1, ours in -1..1: a slope s here is 2 s there.
        "terms.gradient-penalty.weight": 10.0 * 2**2,
        "terms.gradient-penalty.target": 1.0 / 2,
        "terms.gradient-penalty.one_sided": False,
        "terms.gradient-penalty.every": 1,
    },
    # The same repository, gan_cifar_resnet.py: 100,000 generator steps, the rate linearly to 0.
    "wgan-gp-resnet-paper": {
        "loss.name": "wgan-gp",
        "train.images": 100_000 * 5 * 64,
        "train.batch_size": 64,
        "train.generator_batch_size": 128,
        "train.n_critic": 5,
        "architecture.latent": 128,
        "architecture.latent_distribution": "normal",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "none",
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.init": "he",
        **both(optimizer="adam", lr=2e-4, betas=(0.0, 0.9), weight_decay=0.0),
        **both(decay="linear", decay_from=0.0, lr_final=0.0),
        "terms": ["gradient-penalty"],
        "terms.gradient-penalty.weight": 10.0,
        "terms.gradient-penalty.target": 1.0,
        "terms.gradient-penalty.one_sided": False,
        "terms.gradient-penalty.every": 1,
    },
    # Huang et al. 2024 (R3GAN), table 9, CIFAR-10; brownvc/R3GAN train.py, preset CIFAR10: what its
    # schedules come to after 20 of 250 million images, then keep. The average's half-life grows to its
    # end in that time. Chosen: the nets (WGAN-GP's, with their widths and initialisation).
    "rpgan-paper": {
        "loss.name": "relativistic",
        "train.precision": "auto",  # theirs: bf16 in all stages but the smallest
        "train.images": 250_000_000,
        "train.batch_size": 512,
        "train.n_critic": 1,
        "ema.half_life": 5_000_000,
        "ema.ramp": 5_000_000 / 20_000_000,
        "architecture.latent": 64,
        "architecture.latent_distribution": "normal",
        "architecture.generator_norm": "none",
        "architecture.discriminator_norm": "none",
        "architecture.generator_width": 128,
        "architecture.discriminator_width": 128,
        "architecture.init": "he",
        **both(optimizer="adam", lr=5e-5, betas=(0.0, 0.99), decay="none", weight_decay=0.0),
        "terms": ["r1", "r2"],
        **{f"terms.{name}.gamma": 0.005 for name in ("r1", "r2")},
        **{f"terms.{name}.every": 1 for name in ("r1", "r2")},
    },
    # The same with its own nets: R3GAN/Networks.py, 768 channels in 96 groups of 16, two blocks a stage.
    "r3gan-paper": {
        "loss.name": "relativistic",
        "train.precision": "auto",  # theirs: bf16 in all stages but the smallest
        "train.images": 250_000_000,
        "train.batch_size": 512,
        "train.n_critic": 1,
        "ema.half_life": 5_000_000,
        "ema.ramp": 5_000_000 / 20_000_000,
        "architecture.latent": 64,
        "architecture.generator_width": 3 * 1024 // 4,
        "architecture.discriminator_width": 3 * 1024 // 4,
        "architecture.blocks": 2,
        "architecture.expansion": 2,
        "architecture.group": 2 * 768 // (3 * 32),
        "architecture.output": "clip",
        **both(optimizer="adam", lr=5e-5, betas=(0.0, 0.99), eps=1e-8, decay="none", weight_decay=0.0),
        "terms": ["r1", "r2"],
        **{f"terms.{name}.gamma": 0.005 for name in ("r1", "r2")},
        **{f"terms.{name}.every": 1 for name in ("r1", "r2")},
    },
    # Liu et al. 2021; odegeasslbc/FastGAN-pytorch train.py: 50,000 steps of 8 images, an average of 0.999.
    "fastgan-paper": {
        "loss.name": "hinge",
        "train.images": 50_000 * 8,
        "train.batch_size": 8,
        "train.n_critic": 1,
        "ema.half_life": round(8 * log(0.5) / log(0.999)),
        "ema.ramp": 0.0,
        "architecture.latent": 256,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.decoder_width": 32,
        "architecture.spectral_generator": True,
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": ["reconstruct"],
        "terms.reconstruct.weight": 1.0,
        "terms.reconstruct.every": 1,
    },
    # Mao et al. 2017; xudonmao/LSGAN train_lsun.py and vgg.py: a million batches of images of 112x112,
    # D of four 5x5 convolutions from 64 channels. Chosen: DCGAN's G, with that width and kernel.
    "lsgan-paper": {
        "loss.name": "lsgan",
        "loss.a": 0.0,
        "loss.b": 1.0,
        "loss.c": 1.0,
        "train.images": 1_000_000 * 64,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.latent": 1024,
        "architecture.latent_distribution": "uniform",
        "architecture.discriminator_width": 64,
        "architecture.kernel": 5,
        "architecture.head": "strided",
        "architecture.bias": True,
        "architecture.init": "normal",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "batch",
        **both(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": [],
    },
    # Jolicoeur-Martineau 2018; AlexiaJM/RelativisticGAN stable.sh and GAN_losses_iter.py, RaSGAN of the
    # DCGAN setup: 100,000 batches of CIFAR-10. Chosen: DCGAN's D, with its width.
    "ragan-paper": {
        "loss.name": "relativistic-average",
        "loss.form": "logistic",
        "train.images": 100_000 * 32,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "architecture.latent": 128,
        "architecture.latent_distribution": "normal",
        "architecture.generator_width": 64,
        "architecture.kernel": 4,
        "architecture.head": "smooth",
        "architecture.init": "normal",
        "architecture.generator_norm": "batch",
        "architecture.discriminator_norm": "spectral",
        "architecture.spectral_score": False,
        "architecture.slope": 0.1,
        "architecture.bottom_activation": False,
        **both(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), decay="none", weight_decay=0.0),
        "terms": [],
    },
    # Kodali et al. 2017; kodalinaveen3/DRAGAN DRAGAN.ipynb: iterations 1 to 199,999 on MNIST.
    "dragan-paper": {
        "loss.name": "non-saturating",
        "train.images": 199_999 * 128,
        "train.batch_size": 128,
        "train.n_critic": 1,
        "architecture.latent": 100,
        "architecture.latent_distribution": "uniform",
        "architecture.generator_hidden": (128,),
        "architecture.generator_activation": "relu",
        "architecture.generator_norm": "none",
        "architecture.output": "sigmoid",
        "architecture.discriminator_hidden": (128,),
        "architecture.discriminator_units": "relu",
        "architecture.discriminator_norm": "none",
        **both(optimizer="adam", lr=1e-4, betas=(0.5, 0.9), decay="none", weight_decay=0.0),
        "terms": ["dragan"],
        "terms.dragan.weight": 10.0 * 2**2,  # pixels in 0..1 there, as in gan_mnist.py
        "terms.dragan.target": 1.0 / 2,
        "terms.dragan.spread": 0.5,
        "terms.dragan.every": 1,
    },
    **LATER,
}
# Section 5.2 and appendix 7.1: 1,074 paintings, 6,853 photographs, identity with 0.5 lambda.
PUBLISHED["cyclegan-paintings-paper"] = {
    **PUBLISHED["cyclegan-paper"],
    "train.images": 200 * 6853,
    "terms": ["cycle", "identity"],
    "terms.identity.weight": 0.5 * 10.0 / 2,
    "terms.identity.every": 1,
}
# Park et al. 2020; taesungp/contrastive-unpaired-translation: 1,067 horses and 1,334 zebras, 200 + 200 epochs
# (FastCUT 150 + 50) of the larger side, no pool. Least squares of G have no half there: lambdas are halved.
PUBLISHED["cut-paper"] = {
    **{key: value for key, value in PUBLISHED["cyclegan-paper"].items() if not key.startswith("terms")},
    "train.images": 400 * 1334,
    "train.replay": 0,
    "architecture.init": "xavier",
    "architecture.antialias": True,
    "architecture.projection": 256,
    "terms": ["patch-nce"],
    "terms.patch-nce.weight": 1.0 / 2,
    "terms.patch-nce.temperature": 0.07,
    "terms.patch-nce.patches": 256,
    "terms.patch-nce.identity": True,
    "terms.patch-nce.flip": False,
    "terms.patch-nce.every": 1,
}
PUBLISHED["fastcut-paper"] = {
    **PUBLISHED["cut-paper"],
    "train.images": 200 * 1334,
    **both(decay_from=150 / 200),
    "terms.patch-nce.weight": 10.0 / 2,
    "terms.patch-nce.identity": False,
    "terms.patch-nce.flip": True,
}


def found(plan: Plan) -> dict[str, Any]:
    """The plan's settings by dotted path, after all layers; `terms` are the names of its terms."""
    tables = {
        "train": asdict(plan.train),
        "generator": asdict(plan.generator),
        "discriminator": asdict(plan.discriminator),
        "ema": asdict(plan.ema),
        "architecture": asdict(plan.architecture.options),
        "loss": asdict(plan.loss.options) if plan.loss.options else {},
        **{f"terms.{name}": asdict(term.options) for name, term in plan.terms.items()},
    }
    values = {f"{table}.{key}": value for table, options in tables.items() for key, value in options.items()}
    values.update({f"terms.{name}.every": term.every for name, term in plan.terms.items()})
    return {**values, "terms": sorted(plan.terms), "loss.name": plan.loss.item.name}


def test_every_published_recipe_is_in_the_table(registry: Registry) -> None:
    names = {item.name for item in registry.of_kind(RecipeSpec) if item.name.endswith("-paper")}
    assert names == set(PUBLISHED)


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_published_settings(registry: Registry, recipe: str) -> None:
    settings = found(resolve(recipe, registry))
    # No average of the generator, equal batches for both sides and float32, unless said otherwise.
    usual = {"ema.half_life": 0, "train.generator_batch_size": None, "train.precision": "fp32"}
    wanted = {**usual, **PUBLISHED[recipe]}
    different = {
        key: (settings.get(key), value) for key, value in wanted.items() if settings.get(key) != value
    }
    assert not different, "setting: (recipe, paper)"


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_losses_have_no_options_switched_on_but_those_of_the_table(registry: Registry, recipe: str) -> None:
    options = resolve(recipe, registry).loss.options
    given = {name: value for name, value in (asdict(options) if options else {}).items() if value}
    assert {f"loss.{name}" for name in given} <= set(PUBLISHED[recipe])


@pytest.mark.parametrize(("side", "every"), [("generator", 4), ("discriminator", 16)])
def test_stylegan2_learns_as_fast_as_the_authors(registry: Registry, side: str, every: int) -> None:
    """Learning rates and decays of Adam match theirs over `every` batches (`every` + 1 steps there)."""
    plan = resolve("stylegan2-paper", registry)
    assert plan.terms["path-length" if side == "generator" else "r1"].every == every
    ours = plan.generator if side == "generator" else plan.discriminator
    correction = every / (every + 1)
    theirs = (every + 1) * 0.002 * correction
    assert every * ours.lr == pytest.approx(theirs)
    assert ours.betas[1] ** every == pytest.approx((0.99**correction) ** (every + 1))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("sngan-paper", "noise of 1/128"),
        ("sagan-paper", "half of the channels"),
        ("infogan-paper", "0.01 in the code"),
        *(
            (recipe, "statistics of their own batch")
            for recipe in ("dcgan-paper", "wgan-paper", "infogan-paper")
        ),
        ("ctgan-paper", "another order"),
        ("ctgan-paper", "statistics of their own batch"),
        *((recipe, "by a cosine") for recipe in ("r3gan-paper", "rpgan-paper")),
        *((recipe, "bf16") for recipe in ("r3gan-paper", "rpgan-paper")),
    ],
)
def test_summaries_name_what_is_not_reproduced(registry: Registry, recipe: str, said: str) -> None:
    assert said in registry.find(RecipeSpec, recipe).spec.summary


@pytest.mark.parametrize(
    ("recipe", "term"), [("wgan-gp-paper", "gradient-penalty"), ("dragan-paper", "dragan")]
)
@pytest.mark.parametrize("slope", [0.1, 0.5, 3.0])
def test_penalties_are_those_at_pixels_in_0_to_1(
    registry: Registry, recipe: str, term: str, slope: float
) -> None:
    """The authors' pixels are in 0..1, where gradients are twice as large; the penalty is 10 (norm - 1)^2."""
    options: Any = resolve(recipe, registry).terms[term].options
    assert options.weight * (slope - options.target) ** 2 == pytest.approx(10 * (2 * slope - 1) ** 2)
