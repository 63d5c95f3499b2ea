"""Recipes of clips: data only."""

from __future__ import annotations

from ganzoo.api import RecipeSpec, both_sides

TGAN = "Saito, Matsumoto and Saito 2017, Temporal Generative Adversarial Nets, arXiv:1611.06624"
MOCOGAN = "Tulyakov et al. 2018, MoCoGAN: Decomposing Motion and Content, arXiv:1707.04993"
STYLEGAN_V = "Skorokhodov et al. 2022, StyleGAN-V, arXiv:2112.14683"
VGAN = "Vondrick, Pirsiavash and Torralba 2016, Generating Videos with Scene Dynamics, arXiv:1609.02612"
RELATE = "Ehrhardt et al. 2020, RELATE: Physically Plausible Multi-Object Scene Synthesis, arXiv:2007.01272"

_PENALTY = {"gamma": 0.2, "every": 4}  # as in `r3gan`
_SMALL = {
    "train.images": 30_000,
    "train.batch_size": 16,
    **both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9), decay="linear", decay_from=0.6),
    "ema.half_life": 4_000,
    "ema.ramp": 0.15,
}
_PAPER_SIZE = {"data.size": 64, "data.side": 28}

SMALL_TGAN = RecipeSpec(
    name="tgan",
    summary="Small TGAN for a CPU. Departs from the paper: spectral norm and hinge in place of singular "
    "value clipping, small networks, 64 latents, Adam with decay, EMA.",
    paper=TGAN,
    architecture="tgan",
    loss="hinge",
    data="moving-fashion",
    suits="ganzoo_clips.rules:suits_tgan",
    settings={
        **_SMALL,
        "architecture.latent": 64,
        "architecture.generator_width": 12,
        "architecture.discriminator_width": 16,
    },
)

TGAN_PAPER = RecipeSpec(
    name="tgan-paper",
    summary="TGAN as published, on 16 frames of 64x64: WGAN, singular values of D at most 1, RMSprop 5e-5, "
    "batch 32, 100 latents. Trains for 100,000 steps, a length that the paper does not say. Not "
    "reproduced: clipping after each fifth step (here after each).",
    paper=TGAN,
    architecture="tgan",
    loss="wgan",
    data="moving-fashion",
    settings={
        "train.images": 3_200_000,
        "train.batch_size": 32,
        "train.n_critic": 1,
        "train.precision": "fp32",
        **_PAPER_SIZE,
        "architecture.latent": 100,
        "architecture.generator_width": 32,
        "architecture.discriminator_width": 64,
        "architecture.critic_norm": "batch",
        **both_sides(optimizer="rmsprop", lr=5e-5, decay="none"),
        "terms.weight-clip": False,
        "terms.singular-values": True,
        "ema.half_life": 0,
    },
)

SMALL_MOCOGAN = RecipeSpec(
    name="mocogan",
    summary="Small MoCoGAN for a CPU: content and motion, a D for frames and one for clips; any number of "
    "frames. Departs from the paper: small networks, spectral norm in both Ds, higher learning rates "
    "with decay, EMA.",
    paper=MOCOGAN,
    architecture="mocogan",
    loss="non-saturating",
    data="moving-fashion",
    settings={
        **_SMALL,
        "architecture.content": 32,
        "architecture.motion": 10,
        "architecture.generator_width": 16,
        "architecture.discriminator_width": 12,
        "architecture.norm": "spectral",
    },
)

MOCOGAN_PAPER = RecipeSpec(
    name="mocogan-paper",
    summary="MoCoGAN as published, on 16 frames of 64x64: BatchNorm, binary cross entropy, Adam 2e-4, "
    "100,000 steps. Not reproduced: batches of 10 frames and 3 clips (here 10 of each), frames of other, "
    "longer clips for the D of frames (here of the same clips), noise in the Ds, the categorical code.",
    paper=MOCOGAN,
    architecture="mocogan",
    loss="non-saturating",
    data="moving-fashion",
    settings={
        "train.images": 1_000_000,
        "train.batch_size": 10,
        "train.n_critic": 1,
        "train.precision": "fp32",
        **_PAPER_SIZE,
        "architecture.content": 50,
        "architecture.motion": 10,
        "architecture.generator_width": 64,
        "architecture.discriminator_width": 64,
        "architecture.norm": "batch",
        **both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999), weight_decay=1e-5, decay="none"),
        "ema.half_life": 0,
    },
)

# No recipe has the published settings: the paper's G makes three frames of a long clip in each step, and
# here a generator makes what the data has, whole clips.
SMALL_STYLEGAN_V = RecipeSpec(
    name="stylegan-v",
    summary="Small StyleGAN-V for a CPU: motion codes in continuous time, a D of three frames; any length, "
    "slow motion by --set rate=0.5. Departs from the paper: small networks, codes every 8 frames, whole "
    "clips in G, EMA for short runs.",
    paper=STYLEGAN_V,
    architecture="stylegan-v",
    loss="non-saturating",
    data="moving-fashion",
    settings={
        **_SMALL,
        **both_sides(betas=(0.0, 0.99)),
        "terms.r1.gamma": 1.0,
        "terms.r1.every": 16,
    },
)

SMALL_VGAN = RecipeSpec(
    name="vgan",
    summary="3-D convolutions only, after VGAN's one stream, with spectral norm and hinge: a baseline.",
    paper=VGAN,
    architecture="vgan",
    loss="hinge",
    data="moving-fashion",
    settings={
        **_SMALL,
        "architecture.latent": 64,
        "architecture.generator_width": 16,
        "architecture.discriminator_width": 16,
    },
)

# Trials on `moving-fashion`, seed 0, n = 1,000, `fed_differences`:
#   14,464 clips, zoom on, places without bounds, path_rate 1, 143 CPU s     27.3; layers shrink and leave
#   10,384 clips, places bounded by tanh, no zoom, path_rate 0.2, 107 CPU s  22.3
#   30,864 clips, the same, about 310 CPU s                                  16.2
# At 3e-3 without a warm-up the gradients of D grew forty times within the first 240 clips.
SMALL_LAYERED = RecipeSpec(
    name="layered-motion",
    summary="Pictures, made once for a clip, move over a background and each other; D sees three "
    "neighbouring frames; slow motion by --set rate=0.5. Departs from RELATE: layers are pictures and not "
    "features, paths are functions of time, networks, loss and penalties are R3GAN's. Objects keep their "
    "form unless --set architecture.poses=3.",
    paper=RELATE,
    architecture="layered-motion",
    loss="relativistic",
    data="moving-fashion",
    suits="ganzoo_clips.rules:suits_layered",
    settings={
        **_SMALL,
        "architecture.poses": 1,
        **both_sides(lr=3e-3, warmup=500),
        **{f"terms.{name}.{key}": value for name in ("r1", "r2") for key, value in _PENALTY.items()},
        "ema.half_life": 10_000,
    },
)

RECIPES = [
    SMALL_LAYERED,
    SMALL_TGAN,
    TGAN_PAPER,
    SMALL_MOCOGAN,
    MOCOGAN_PAPER,
    SMALL_STYLEGAN_V,
    SMALL_VGAN,
]
