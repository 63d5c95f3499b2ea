"""Volumes: NIfTI, DICOM series and stacks of slices, their files and previews, GANs in three dimensions."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, DatasetSpec, ExtractorSpec, MediaSpec, RecipeSpec, hookimpl
from ganzoo_volumes.config import Conv3dConfig, PhantomsConfig, VolumesConfig
from ganzoo_volumes.recipes import DCGAN, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`volume`."""
    return [
        MediaSpec(
            name="volume",
            summary="Volumes with the size of a voxel: .nii.gz, .tif with a page for each slice.",
            factory="ganzoo_volumes.media:VolumeMedia",
        )
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`volumes`, `phantoms`."""
    return [
        DatasetSpec(
            name="volumes",
            summary="a folder of volumes (NIfTI, DICOM series, TIFF stacks, .npy); sub-folders become labels",
            factory="ganzoo_volumes.datasets:open_volumes",
            held_out="ganzoo_volumes.datasets:open_held_out",
            config=VolumesConfig,
            argument="PATH",
            reads=(".nii", ".nii.gz", ".dcm"),
        ),
        DatasetSpec(
            name="phantoms",
            summary="synthetic volumes of 12 bits: a shell with one to three bodies inside",
            factory="ganzoo_volumes.phantoms:open_phantoms",
            held_out="ganzoo_volumes.phantoms:open_held_out",
            config=PhantomsConfig,
        ),
    ]


@hookimpl
def ganzoo_extractors() -> list[ExtractorSpec]:
    """`volume-blocks`."""
    return [
        ExtractorSpec(
            name="volume-blocks",
            summary="Means and standard deviations of 4 x 4 x 4 blocks of a volume: sees no fine detail.",
            factory="ganzoo_volumes.features:VolumeBlocks",
            distance="block_distance",
            kinds=("volume",),
            scaled=False,  # a block that is almost constant would decide everything
        )
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`conv-3d`."""
    return [
        ArchitectureSpec(
            name="conv-3d",
            summary="DCGAN's convolutions in three dimensions, for volumes from 8x8x8 voxels.",
            paper=DCGAN,
            factory="ganzoo_volumes.networks:build",
            config=Conv3dConfig,
            needs=("volume",),
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """`dcgan-3d`, `wgan-gp-3d`."""
    return list(RECIPES)
