"""Texts: files of lines as data, WGAN-GP on characters (Gulrajani et al. 2017), RelGAN (Nie et al. 2019)."""

from __future__ import annotations

from ganzoo.api import (
    ArchitectureSpec,
    DatasetSpec,
    ExtractorSpec,
    LossSpec,
    MediaSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    hookimpl,
)
from ganzoo_text.config import TextConfig, TextConvConfig, TextLstmConfig, ToyTextConfig, WeightConfig
from ganzoo_text.recipes import RECIPES, RELGAN, WGAN_GP

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`text`."""
    return [
        MediaSpec(
            name="text",
            summary="Texts of characters, words or tokens: a line for each (.txt).",
            factory="ganzoo_text.media:build",
        )
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`text` and `toy-text`."""
    return [
        DatasetSpec(
            name="text",
            summary="lines or windows of a text file or of a folder of them, by characters, words or tokens",
            factory="ganzoo_text.datasets:open_text",
            held_out="ganzoo_text.datasets:open_text_held_out",
            config=TextConfig,
            argument="PATH",
            reads=(".txt",),
        ),
        DatasetSpec(
            name="toy-text",
            summary="sentences of a small grammar, 32 characters; nothing to download",
            factory="ganzoo_text.datasets:open_toy",
            held_out="ganzoo_text.datasets:open_toy_held_out",
            config=ToyTextConfig,
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`text-conv` and `text-lstm`."""
    return [
        ArchitectureSpec(
            name="text-conv",
            summary="Residual 1-D convolutions that write all symbols of a text at once; reads classes.",
            paper=WGAN_GP,
            factory="ganzoo_text.wgan:build",
            config=TextConvConfig,
            needs=("text",),
        ),
        ArchitectureSpec(
            name="text-lstm",
            summary="An LSTM that writes one symbol after the other, and a discriminator of convolutions.",
            paper=RELGAN,
            factory="ganzoo_text.relgan:build",
            config=TextLstmConfig,
            needs=("text",),
        ),
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """`relgan`."""
    return [
        LossSpec(
            name="relgan",
            summary="Logistic loss of the difference of real and generated scores, with a weight for G.",
            paper=f"{RELGAN}, section 2.3",
            factory="ganzoo_text.losses:relativistic",
            config=WeightConfig,
            paired=True,
            tags=("no-sign",),  # only differences of scores matter
            defaults={"terms.likelihood.weight": 1.0},
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`likelihood`."""
    return [
        TermSpec(
            name="likelihood",
            summary="Cross entropy of the next symbol of real texts; needs a G that reads `given`.",
            paper=f"{RELGAN}, section 4",
            factory="ganzoo_text.losses:likelihood",
            config=WeightConfig,
            role="generator",
        )
    ]


@hookimpl
def ganzoo_extractors() -> list[ExtractorSpec]:
    """`ngrams`."""
    return [
        ExtractorSpec(
            name="ngrams",
            summary="Counts of 1-, 2- and 3-grams of a text in 64 bins each; needs no network.",
            factory="ganzoo_text.features:build",
            distance="ngram_frechet",
            kinds=("text",),
        )
    ]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`ngram-jsd`, `ngram-nll`, `bleu`, `text-diversity`, `verbatim`, `valid-words`."""
    return [
        MetricSpec(
            name="ngram-jsd",
            summary="Jensen-Shannon divergence of the distributions of 1- to 4-grams, in nats.",
            paper=WGAN_GP,
            factory="ganzoo_text.ngrams:jsd",
            needs=("text",),
            better={f"jsd_{n}": "lower" for n in (1, 2, 3, 4)},
            quick=True,
        ),
        MetricSpec(
            name="ngram-nll",
            summary="Nats for a symbol: generated texts under a 4-gram model of real ones, and the reverse.",
            paper="Zhao et al. 2018, Adversarially Regularized Autoencoders, arXiv:1706.04223",
            factory="ganzoo_text.ngrams:nll",
            needs=("text",),
            better={"nll_reverse": "lower"},  # the lowest nll_forward has one frequent text again and again
        ),
        MetricSpec(
            name="bleu",
            summary="BLEU-2 to 4 of the words of 200 texts against real texts, and against each other.",
            paper="Papineni et al. 2002; Zhu et al. 2018, Texygen, arXiv:1802.01886",
            factory="ganzoo_text.sentences:bleu_scores",
            needs=("text",),
            better={f"bleu_{n}": "higher" for n in (2, 3, 4)},
        ),
        MetricSpec(
            name="text-diversity",
            summary="Shares of different 2- and 4-grams, and of texts that repeat an earlier one.",
            paper="Li et al. 2016, A Diversity-Promoting Objective Function, arXiv:1510.03055",
            factory="ganzoo_text.ngrams:diversity",
            needs=("text",),
            better={"repeated": "lower", "most_repeated": "lower"},
            quick=True,
        ),
        MetricSpec(
            name="verbatim",
            summary="Shares of texts that equal one of the training texts, or of the held-out texts.",
            factory="ganzoo_text.sentences:verbatim",
            needs=("text", "training"),
            reference=False,  # real samples here would be training samples
        ),
        MetricSpec(
            name="valid-words",
            summary="The share of words that the real texts have, too.",
            factory="ganzoo_text.sentences:valid_words",
            needs=("text",),
            better={"valid_words": "higher"},
            quick=True,
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
