"""Recipes of GANs for series: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

RCGAN = (
    "Esteban, Hyland and Ratsch 2017, Real-valued (Medical) Time Series Generation with Recurrent "
    "Conditional GANs, arXiv:1706.02633"
)
QUANTGAN = (
    "Wiese, Knobloch, Korn and Kretschmer 2020, Quant GANs: deep generation of financial time series, "
    "arXiv:1907.06673"
)
DOPPELGANGER = (
    "Lin, Jain, Wang, Fanti and Sekar 2020, Using GANs for Sharing Networked Time Series Data, "
    "arXiv:1909.13403"
)

SMALL_RCGAN = RecipeSpec(
    name="rcgan",
    summary="RCGAN that trains in minutes on a CPU: LSTM against LSTM, a score for every time step; with the "
    "field `label`, both read it.",
    paper=RCGAN,
    architecture="rcgan",
    loss="non-saturating",
    data="sines",
    suits="ganzoo_series.rules:suits_rcgan",
    settings={
        "train.images": 256_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "generator.lr": 1e-3,
        "generator.betas": (0.5, 0.99),
        "discriminator.lr": 1e-3,
        "discriminator.betas": (0.5, 0.99),
        "ema.half_life": 20_000,
    },
)

RCGAN_PAPER = RecipeSpec(
    name="rcgan-paper",
    summary="RCGAN as in the authors' settings for sines: 100 units, 5 noise values a step, SGD 0.1 for D, "
    "Adam 1e-3 for G, 5 steps of D for each of G, batch 28, 100 epochs of 14,000 series. Not reproduced: "
    "consecutive batches of an epoch for D and G (here independent ones).",
    paper=RCGAN,
    architecture="rcgan",
    loss="non-saturating",
    data="sines",
    settings={
        "train.images": 1_400_000,
        "train.batch_size": 28,
        "train.n_critic": 5,
        "train.precision": "fp32",
        "data.count": 14_000,
        "architecture.output_std": 1.0,
        "generator.optimizer": "adam",
        "generator.lr": 1e-3,
        "generator.betas": (0.9, 0.999),
        "discriminator.optimizer": "sgd",
        "discriminator.lr": 0.1,
        "ema.half_life": 0,
    },
)

# D alone, 250 steps on windows of the S&P 500 against windows of the same returns in random order: AUC 0.57
# with spectral norm and 3e-4, 0.61 without it, 0.93 without it and 1e-3. D of the first was dead in runs.
SMALL_QUANTGAN = RecipeSpec(
    name="quantgan",
    summary="QuantGAN that trains in minutes on a CPU: temporal convolutions over Gaussianised returns, any "
    "length. Departs from the paper: 32 channels, R1 in place of spectral norm, higher learning rates, EMA.",
    paper=QUANTGAN,
    architecture="quantgan",
    loss="non-saturating",
    data="toy-returns",
    suits="ganzoo_series.rules:suits_quantgan",
    settings={
        "train.images": 160_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "architecture.generator_hidden": 32,
        "architecture.discriminator_hidden": 32,
        "architecture.generator_spectral_norm": False,
        "architecture.discriminator_spectral_norm": False,
        "generator.lr": 5e-4,
        "discriminator.lr": 1e-3,
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="none"),
        "terms.r1.gamma": 0.1,
        "terms.r1.every": 4,
        "ema.half_life": 5_000,
    },
)

QUANTGAN_PAPER = RecipeSpec(
    name="quantgan-paper",
    summary="QuantGAN with 80 channels and the authors' training: Adam (0, 0.9), 1e-4 for D and 3e-5 for G, "
    "batch 64, 3,000 steps, spectral norm in both. Not reproduced: batch renormalisation in G.",
    paper=QUANTGAN,
    architecture="quantgan",
    loss="non-saturating",
    data="toy-returns",
    settings={
        "train.images": 192_000,
        "train.batch_size": 64,
        "train.n_critic": 1,
        "train.precision": "fp32",
        **both_sides(optimizer="adam", betas=(0.0, 0.9), decay="none"),
        "generator.lr": 3e-5,
        "discriminator.lr": 1e-4,
        "ema.half_life": 0,
    },
)

SMALL_DOPPELGANGER = RecipeSpec(
    name="doppelganger",
    summary="DoppelGANger that trains in minutes on a CPU: attributes, series of different lengths. Departs "
    "from the paper: EMA, a shorter run, and what doppelganger-paper does not reproduce.",
    paper=DOPPELGANGER,
    architecture="doppelganger",
    loss="wgan-gp",
    data="toy-charging",
    suits="ganzoo_series.rules:suits_doppelganger",
    settings={
        "train.images": 300_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="linear", decay_from=0.5),
        "terms.gradient-penalty.weight": 10.0,
        "ema.half_life": 10_000,
    },
)

DOPPELGANGER_PAPER = RecipeSpec(
    name="doppelganger-paper",
    summary="DoppelGANger with the authors' networks and training: Adam 1e-3 with beta1 0.5, one step each, "
    "batch 100, 400 epochs of 5,000 series. Not reproduced: ranges as attributes of their own for D (here D "
    "measures the range of each series).",
    paper=DOPPELGANGER,
    architecture="doppelganger",
    loss="wgan-gp",
    data="toy-charging",
    settings={
        "train.images": 2_000_000,
        "train.batch_size": 100,
        "train.n_critic": 1,
        "train.precision": "fp32",
        **both_sides(optimizer="adam", lr=1e-3, betas=(0.5, 0.999), decay="none"),
        "terms.gradient-penalty.weight": 10.0,
        "ema.half_life": 0,
    },
)

RECIPES = [
    SMALL_RCGAN,
    RCGAN_PAPER,
    SMALL_QUANTGAN,
    QUANTGAN_PAPER,
    SMALL_DOPPELGANGER,
    DOPPELGANGER_PAPER,
]
