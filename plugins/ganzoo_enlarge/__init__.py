"""Enlarging pictures: ESRGAN, Real-ESRGAN, and a small network that trains on a CPU."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, DatasetSpec, ImporterSpec, MetricSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_enlarge.config import (
    CompactConfig,
    CropsConfig,
    DrawnConfig,
    PerceptualConfig,
    PixelsConfig,
    RRDBConfig,
)
from ganzoo_enlarge.recipes import ESRGAN, REAL, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`crops` and `toy-crops`."""
    return [
        DatasetSpec(
            name="crops",
            summary="Random squares b of pictures at full size, and a: the same 2, 3 or 4 times smaller.",
            factory="ganzoo_enlarge.crops:open_crops",
            config=CropsConfig,
            argument="PATH",
            held_out="ganzoo_enlarge.crops:open_held_out_crops",
        ),
        DatasetSpec(
            name="toy-crops",
            summary="Drawn squares b of stripes, discs and edges, and a: the same 2, 3 or 4 times smaller.",
            factory="ganzoo_enlarge.drawn:open_drawn",
            config=DrawnConfig,
            held_out="ganzoo_enlarge.drawn:open_held_out_drawn",
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`rrdb` and `srvgg`."""
    return [
        ArchitectureSpec(
            name="rrdb",
            summary="G enlarges images of any size 2, 3 or 4 times with residual dense blocks; D is a U-Net.",
            paper=f"{ESRGAN}, section 3.1",
            factory="ganzoo_enlarge.networks:build_rrdb",
            config=RRDBConfig,
            needs=("a", "b"),
        ),
        ArchitectureSpec(
            name="srvgg",
            summary="G enlarges images of any size 2, 3 or 4 times with a plain stack of convolutions; D is "
            "a U-Net.",
            paper=REAL,
            factory="ganzoo_enlarge.networks:build_compact",
            config=CompactConfig,
            needs=("a", "b"),
        ),
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """For G: `pixels` and `perceptual`."""
    unpaired = {"unpaired": "it needs pairs: --data crops:FOLDER or pairs:FOLDER"}
    return [
        TermSpec(
            name="pixels",
            summary="Mean absolute difference between the output of G and its target, sharpened on request.",
            paper=f"{REAL}, section 4.1",
            factory="ganzoo_enlarge.terms:pixels",
            config=PixelsConfig,
            role="generator",
            rejects=unpaired,
        ),
        TermSpec(
            name="perceptual",
            summary="Mean absolute difference of the features of VGG19 (a file of yours) or EfficientNet-"
            "Lite0.",
            paper=f"{ESRGAN}, section 3.3",
            factory="ganzoo_enlarge.terms:perceptual",
            config=PerceptualConfig,
            role="generator",
            rejects=unpaired,
        ),
    ]


@hookimpl
def ganzoo_metrics() -> list[MetricSpec]:
    """`enlarging`."""
    return [
        MetricSpec(
            name="enlarging",
            summary="PSNR of the brightness and a perceptual distance, each beside bicubic enlargement.",
            factory="ganzoo_enlarge.metrics:enlarging",
            needs=("targets", "image"),
            better={"psnr_y": "higher", "perceptual": "lower"},
            reference=False,
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published ones."""
    return list(RECIPES)


@hookimpl
def ganzoo_importers() -> list[ImporterSpec]:
    """`rrdb` and `srvgg`."""
    return [
        ImporterSpec(
            name="rrdb",
            summary="RRDBNet of ESRGAN and Real-ESRGAN, in three layouts of names.",
            recognise="ganzoo_enlarge.importer:recognise_rrdb",
            example="ganzoo_enlarge.importer:example_rrdb",
        ),
        ImporterSpec(
            name="srvgg",
            summary="SRVGGNetCompact of Real-ESRGAN.",
            recognise="ganzoo_enlarge.importer:recognise_srvgg",
            example="ganzoo_enlarge.importer:example_srvgg",
        ),
    ]
