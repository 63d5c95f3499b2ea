"""Recipes of sound: data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganzoo.api import RecipeSpec, both_sides

WAVEGAN = "Donahue, McAuley and Puckette 2019, Adversarial Audio Synthesis, arXiv:1802.04208"
HIFIGAN = "Kong, Kim and Bae 2020, HiFi-GAN, arXiv:2010.05646"
VOCOS = "Siuzdak 2023, Vocos, arXiv:2306.00814"

SMALL_NOISE: Mapping[str, Any] = {
    "train.batch_size": 32,
    "train.n_critic": 1,
    "train.reuse_fakes": True,
    "data.clips": "whole",
    "data.rate": 8_000,
    "data.peak": 0.95,
    "data.length": 4_096,
    "architecture.latent": 64,
    "architecture.generator_width": 16,
    "architecture.discriminator_width": 16,
    "architecture.widest": 8,
    "architecture.conditional": True,
    "architecture.norm": "batch",
    **both_sides(optimizer="adam", lr=6e-4, betas=(0.5, 0.99), decay="linear", decay_from=0.5),
    "terms.r1.gamma": 0.3,
    "terms.r1.every": 4,
    "ema.half_life": 10_000,
}
SMALL_WAVEGAN = RecipeSpec(
    name="wavegan",
    summary="Small WaveGAN for short sounds of 8 kHz, half a second each, that trains in minutes on a CPU. "
    "Departs from the paper: small networks, labels, BatchNorm in G, logistic loss with R1, EMA.",
    paper=WAVEGAN,
    architecture="wavegan",
    loss="non-saturating",
    data="wav:toy",
    suits="ganzoo_sound.rules:suits_wavegan",
    settings={**SMALL_NOISE, "train.images": 60_000, "architecture.shuffle": 1},
)

# Table 3 and section 4: 200,000 steps of batch 64 of G; the authors' train_wavegan.py.
PAPER_NOISE: Mapping[str, Any] = {
    "train.images": 64_000_000,
    "train.batch_size": 64,
    "train.n_critic": 5,
    "train.precision": "fp32",
    "data.rate": 16_000,
    "data.length": 16_384,
    "architecture.latent": 100,
    "architecture.generator_width": 64,
    "architecture.discriminator_width": 64,
    **both_sides(optimizer="adam", lr=1e-4, betas=(0.5, 0.9)),
    "terms.gradient-penalty.weight": 10.0,
    "ema.half_life": 0,
}
WAVEGAN_PAPER = RecipeSpec(
    name="wavegan-paper",
    summary="WaveGAN as in the paper's appendix D for 16,384 samples at 16 kHz: d = 64, phase shuffle of 2, "
    "WGAN-GP with five critic steps. Not reproduced: windows at random places.",
    paper=WAVEGAN,
    architecture="wavegan",
    loss="wgan-gp",
    data="wav:toy",
    settings={**PAPER_NOISE, "architecture.shuffle": 2},
)
SMALL_SPECGAN = RecipeSpec(
    name="specgan",
    summary="Small SpecGAN for short sounds of 8 kHz as spectrograms of 64x64, trains in minutes on a CPU. "
    "Departs from the paper: small networks, labels, BatchNorm in G, logistic loss with R1 and mode seeking, "
    "EMA.",
    paper=WAVEGAN,
    architecture="specgan",
    loss="non-saturating",
    data="spectrogram:toy",
    suits="ganzoo_sound.rules:suits_specgan",
    settings={
        **SMALL_NOISE,
        "train.images": 60_000,
        "data.n_fft": 128,
        "data.hop": 64,
        # Without, all samples of a word are one sound (Mao et al. 2019, equation 3): docs/kinds/sound.md.
        "terms.mode-seeking.weight": 0.03,
    },
)
SPECGAN_PAPER = RecipeSpec(
    name="specgan-paper",
    summary="SpecGAN as in the paper's appendix E for 16,384 samples at 16 kHz: spectrograms of 128x128, d = "
    "64, WGAN-GP with five critic steps. Not reproduced: windows at random places.",
    paper=WAVEGAN,
    architecture="specgan",
    loss="wgan-gp",
    data="spectrogram:toy",
    settings={**PAPER_NOISE, "data.n_fft": 256, "data.hop": 128},
)


# The authors' loss of G is the sum over k parts of D of (1 - D)^2, 2 times that of the features, 45 times the
# distance of the spectrograms. `lsgan` is half the mean over the parts: all is divided by 2 k.
def _hifigan_weights(parts: int) -> dict[str, float]:
    return {"terms.matched-features.weight": 2 / (2 * parts), "terms.mel-distance.weight": 45 / (2 * parts)}


SMALL_HIFIGAN = RecipeSpec(
    name="hifi-gan",
    summary="Small HiFi-GAN for speech of 8 kHz, blocks as V3, that trains in minutes on a CPU. Departs from "
    "the paper: 8 kHz, small networks, four periods and no scales, batch 8, learning rate of 1e-3, EMA, "
    "scaled spectrograms.",
    paper=HIFIGAN,
    architecture="hifi-gan",
    loss="lsgan",
    data="vocoder:toy",
    settings={
        "train.images": 32_000,
        "train.batch_size": 8,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.samples": 12,
        "data.rate": 8_000,
        "data.length": 4_096,
        "data.step": 2_048,
        "data.n_fft": 512,
        "data.hop": 128,
        "architecture.rates": (8, 8, 2),
        "architecture.width": 64,
        "architecture.kernels": (3, 5, 7),
        "architecture.dilation_steps": (1, 2, 2, 6, 3, 12),
        "architecture.pairs": False,
        "architecture.scaled_input": True,
        "architecture.periods": (2, 3, 5, 7),
        "architecture.scales": 0,
        "architecture.discriminator_divisor": 8,
        **both_sides(optimizer="adamw", lr=1e-3, betas=(0.8, 0.99), weight_decay=0.01),
        **both_sides(decay="linear", decay_from=0.3, warmup=800),
        **_hifigan_weights(4),
        "ema.half_life": 2_000,
    },
)
# Section 3 and the authors' config_v1.json: 2.5 million steps of batch 16. The rate falls by 0.999 for each
# epoch of LJSpeech, 13,000 clips: 0.999^(1 / 812) for each step.
PAPER_VOCODER: Mapping[str, Any] = {
    "train.images": 40_000_000,
    "train.batch_size": 16,
    "train.n_critic": 1,
    "train.precision": "fp32",
    "train.reuse_fakes": True,
    "data.rate": 22_050,
    "data.length": 8_192,
    "data.n_fft": 1_024,
    "data.hop": 256,
    "data.mels": 80,
    "data.fmax": 8_000.0,
    "data.peak": 0.95,
    "architecture.periods": (2, 3, 5, 7, 11),
    "architecture.scales": 3,
    "architecture.discriminator_divisor": 1,
    **both_sides(optimizer="adamw", lr=2e-4, betas=(0.8, 0.99), weight_decay=0.01),
    **both_sides(decay="exponential", decay_rate=1.0 / 0.999 ** (1 / 812)),
    **_hifigan_weights(8),
    "ema.half_life": 0,
}
BLOCKS_1: Mapping[str, Any] = {
    "architecture.rates": (8, 8, 2, 2),
    "architecture.kernels": (3, 7, 11),
    "architecture.dilation_steps": (1, 3, 5, 1, 3, 5, 1, 3, 5),
    "architecture.pairs": True,
}
BLOCKS_2: Mapping[str, Any] = {
    "architecture.rates": (8, 8, 4),
    "architecture.kernels": (3, 5, 7),
    "architecture.dilation_steps": (1, 2, 2, 6, 3, 12),
    "architecture.pairs": False,
}


def _hifigan_paper(version: int, width: int, blocks: Mapping[str, Any], size: str) -> RecipeSpec:
    return RecipeSpec(
        name=f"hifi-gan-v{version}",
        summary=f"HiFi-GAN V{version} as in the paper, {size} parameters, for speech of 22,050 Hz. Not "
        "reproduced: segments at random places.",
        paper=HIFIGAN,
        architecture="hifi-gan",
        loss="lsgan",
        data="vocoder:toy",
        settings={**PAPER_VOCODER, **blocks, "architecture.width": width},
    )


# Siuzdak 2023, sections 3.4 and 4.1: the hinge loss of MPD, 0.1 times that of MRD. `hinge` is the mean over
# the parts by weight: all is divided by 1.1.
SMALL_VOCOS = RecipeSpec(
    name="vocos",
    summary="Small Vocos for speech of 8 kHz that trains in minutes on a CPU. Departs from the paper: 8 kHz, "
    "small networks, three periods and one resolution, batch 8, learning rate of 1e-3, EMA, scaled "
    "spectrograms.",
    paper=VOCOS,
    architecture="vocos",
    loss="hinge",
    data="vocoder:toy",
    suits="ganzoo_sound.rules:suits_vocoder",
    settings={
        "train.images": 32_000,
        "train.batch_size": 8,
        "train.n_critic": 1,
        "train.reuse_fakes": True,
        "train.samples": 12,
        "data.rate": 8_000,
        "data.length": 4_096,
        "data.step": 2_048,
        "data.n_fft": 512,
        "data.hop": 128,
        "architecture.width": 192,
        "architecture.hidden": 576,
        "architecture.blocks": 6,
        "architecture.scaled_input": True,
        "architecture.periods": (2, 3, 5),
        "architecture.windows": (512,),
        "architecture.resolution_width": 8,
        "architecture.discriminator_divisor": 8,
        **both_sides(optimizer="adamw", lr=1e-3, betas=(0.8, 0.9), weight_decay=0.01),
        **both_sides(decay="cosine", warmup=800),
        "terms.matched-features.weight": 1 / 1.1,
        "terms.mel-distance.weight": 45 / 1.1,
        "ema.half_life": 2_000,
    },
)
VOCOS_PAPER = RecipeSpec(
    name="vocos-paper",
    summary="Vocos as in the paper, 13.5 million parameters, for 24 kHz. Not reproduced: segments at random "
    "places; frames begin at the edge (the authors' padding `same`).",
    paper=VOCOS,
    architecture="vocos",
    loss="hinge",
    data="vocoder:toy",
    settings={
        "train.images": 16_000_000,
        "train.batch_size": 16,
        "train.n_critic": 1,
        "train.precision": "fp32",
        "train.reuse_fakes": False,
        "data.rate": 24_000,
        "data.length": 16_384,
        "data.n_fft": 1_024,
        "data.hop": 256,
        "data.mels": 100,
        "data.scale": "htk",
        "data.floor": 1e-7,
        "architecture.width": 512,
        "architecture.hidden": 1_536,
        "architecture.blocks": 8,
        "architecture.periods": (2, 3, 5, 7, 11),
        "architecture.windows": (2_048, 1_024, 512),
        "architecture.resolution_weight": 0.1,
        "architecture.resolution_width": 32,
        "architecture.discriminator_divisor": 1,
        **both_sides(optimizer="adamw", lr=5e-4, betas=(0.8, 0.9), weight_decay=0.01),
        **both_sides(decay="cosine"),
        "terms.matched-features.weight": 1 / 1.1,
        "terms.mel-distance.weight": 45 / 1.1,
        "ema.half_life": 0,
    },
)

RECIPES = [
    SMALL_WAVEGAN,
    WAVEGAN_PAPER,
    SMALL_SPECGAN,
    SPECGAN_PAPER,
    SMALL_HIFIGAN,
    _hifigan_paper(1, 512, BLOCKS_1, "13.9 million"),
    _hifigan_paper(2, 128, BLOCKS_1, "0.93 million"),
    _hifigan_paper(3, 256, BLOCKS_2, "1.46 million"),
    SMALL_VOCOS,
    VOCOS_PAPER,
]
