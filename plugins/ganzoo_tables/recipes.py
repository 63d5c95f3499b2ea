"""Recipes of CTGAN: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

CTGAN = "Xu et al. 2019, Modeling Tabular Data using Conditional GAN, arXiv:1907.00503"

# 500,000 rows of toy-table, mean Kolmogorov-Smirnov statistic of its numbers and mean error of correlations,
# 5,000 rows against 5,000 held-out ones: packs of 10 gave 0.116 and 0.061, of 2 0.046 and 0.029, single rows
# 0.053 and 0.042 (other real rows: 0.016 and 0.015).
# With this recipe a forest that learned from generated rows of scikit-learn's breast cancer table (455 rows,
# ten numbers) was right on 0.912 of 114 held-out ones, one that learned from the real rows on 0.947.
SIZED_CTGAN = RecipeSpec(
    name="ctgan",
    summary="CTGAN sized for CPU minutes. Departs from the paper: packs of 2, 64 latents, batches of 200, "
    "rates of 2e-3 with decay, EMA; and where ctgan-paper does.",
    paper=CTGAN,
    architecture="tabular",
    loss="wgan-gp",
    data="toy-table",
    settings={
        "train.images": 500_000,
        "train.batch_size": 200,
        "train.n_critic": 1,
        "train.pack": 2,
        "architecture.latent": 64,
        **both_sides(
            optimizer="adam", lr=2e-3, betas=(0.5, 0.9), weight_decay=1e-6, decay="linear", decay_from=0.5
        ),
        "terms.condition.weight": 0.2,
        "ema.half_life": 20_000,
    },
)

# Section 4.4 and the defaults of github.com/sdv-dev/CTGAN, ctgan.py: 300 epochs, here of 5,000 rows.
CTGAN_PAPER = RecipeSpec(
    name="ctgan-paper",
    summary="CTGAN as in section 4.4 and the authors' ctgan.py: 256x256 nets, packs of 10, Adam 2e-4. "
    "300 epochs are those of 5,000 rows: --images 300 times your rows. Not reproduced: modes by variational "
    "inference (here EM and BIC), condition term before the noise (here after), slope by the condition, real "
    "rows in another order than generated ones of the same conditions (here the same), samples with the "
    "statistics of their own batch (here running ones).",
    paper=CTGAN,
    architecture="tabular",
    loss="wgan-gp",
    data="toy-table",
    settings={
        "train.images": 1_500_000,
        "train.batch_size": 500,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.pack": 10,
        "architecture.latent": 128,
        "architecture.generator_hidden": (256, 256),
        "architecture.discriminator_hidden": (256, 256),
        "architecture.temperature": 0.2,
        "architecture.dropout": 0.5,
        "architecture.slope": 0.2,
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.9), weight_decay=1e-6, decay="none"),
        "terms.gradient-penalty.weight": 10.0,
        "terms.condition.weight": 0.2,
        "ema.half_life": 0,
    },
)

RECIPES = [SIZED_CTGAN, CTGAN_PAPER]
