"""Clips: animations and videos as data, TGAN, MoCoGAN, StyleGAN-V, and scores of motion."""

from __future__ import annotations

from ganzoo.api import (
    ArchitectureSpec,
    DatasetSpec,
    ExtractorSpec,
    MediaSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    both_sides,
    hookimpl,
)
from ganzoo_clips.config import (
    ClipsConfig,
    LayeredConfig,
    MocoganConfig,
    MovingConfig,
    SingularConfig,
    StyleVConfig,
    TganConfig,
    VganConfig,
)
from ganzoo_clips.recipes import MOCOGAN, RECIPES, RELATE, STYLEGAN_V, TGAN, VGAN

GANZOO_API_VERSION = 2

_ADAM = both_sides(optimizer="adam", lr=2e-4, betas=(0.5, 0.999))


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`clip`."""
    return [
        MediaSpec(
            name="clip",
            summary="Clips: frames of pixels, as animations (.gif, .webp) and videos (.mp4).",
            factory="ganzoo_clips.media:ClipMedia",
        )
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`clips` and `moving-fashion`."""
    return [
        DatasetSpec(
            name="clips",
            summary="animations (GIF, WebP, APNG), videos or folders of frames; sub-folders become labels",
            factory="ganzoo_clips.folder:open_clips",
            held_out="ganzoo_clips.folder:open_held_out",
            config=ClipsConfig,
            argument="PATH",
            reads=(".gif", ".mp4", ".webm", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".apng"),
        ),
        DatasetSpec(
            name="moving-fashion",
            summary="clips of two of the embedded garments that bounce in a frame; nothing to download",
            paper="after Moving MNIST: Srivastava et al. 2015, arXiv:1502.04681, section 3.2",
            factory="ganzoo_clips.moving:open_moving",
            held_out="ganzoo_clips.moving:open_held_out",
            config=MovingConfig,
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`tgan`, `mocogan`, `stylegan-v`, `vgan`."""
    return [
        ArchitectureSpec(
            name="tgan",
            summary="A vector for each frame by 1-D convolutions, frames by 2-D ones; a 3-D convolutional D.",
            paper=TGAN,
            factory="ganzoo_clips.tgan:build_tgan",
            config=TganConfig,
            needs=("clip",),
            defaults=_ADAM,
        ),
        ArchitectureSpec(
            name="mocogan",
            summary="Content and a GRU's motion, any number of frames; a D of frames and a D of clips.",
            paper=MOCOGAN,
            factory="ganzoo_clips.mocogan:build",
            config=MocoganConfig,
            needs=("clip",),
            defaults=_ADAM,
        ),
        ArchitectureSpec(
            name="stylegan-v",
            summary="StyleGAN2 for each frame, motion codes in continuous time; a D of a few frames.",
            paper=STYLEGAN_V,
            factory="ganzoo_clips.stylegan_v:build",
            config=StyleVConfig,
            needs=("clip",),
            defaults=both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.99)),
        ),
        ArchitectureSpec(
            name="layered-motion",
            summary="Pictures, made once for a clip, move over each other; a D of neighbouring frames.",
            paper=RELATE,
            factory="ganzoo_clips.layered:build",
            config=LayeredConfig,
            needs=("clip",),
            defaults=both_sides(optimizer="adam", lr=2e-3, betas=(0.0, 0.9)),
        ),
        ArchitectureSpec(
            name="vgan",
            summary="3-D convolutions in G and D: the plain way.",
            paper=VGAN,
            factory="ganzoo_clips.tgan:build_vgan",
            config=VganConfig,
            needs=("clip",),
            defaults=_ADAM,
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`singular-values`."""
    return [
        TermSpec(
            name="singular-values",
            summary="TGAN: singular values of D's weights at most 1, after each step.",
            paper=f"{TGAN}, section 3.4",
            factory="ganzoo_clips.terms:singular_values",
            config=SingularConfig,
            kind="constraint",
        )
    ]


@hookimpl
def ganzoo_extractors() -> list[ExtractorSpec]:
    """`frames`."""
    return [
        ExtractorSpec(
            name="frames",
            summary="Features of EfficientNet-Lite0 for two pairs of neighbouring frames of a clip.",
            factory="ganzoo_clips.extractor:build",
            distance="fed_clip",
            kinds=("clip",),
        )
    ]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`clip-frechet` and `motion`."""
    return [
        MetricSpec(
            name="clip-frechet",
            summary="Frechet distances of single frames, pairs of neighbours, and their differences.",
            factory="ganzoo_clips.metrics:frechet",
            needs=("clip", "fed_clip"),
            better=dict.fromkeys(("fed_frames", "fed_pairs", "fed_differences"), "lower"),
            quick=True,
        ),
        MetricSpec(
            name="motion",
            summary="How much neighbouring frames differ, beside real clips, and how rough the motion is.",
            factory="ganzoo_clips.metrics:motion",
            needs=("clip",),
            better={"motion_distance": "lower"},
            quick=True,
        ),
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """Small ones for a CPU, and the published ones."""
    return list(RECIPES)
