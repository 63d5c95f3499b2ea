"""The data sets of ganzoo: embedded images, files, stacked digits, toy data, pairs of images.

Records only. The factories are in the modules that the import strings name, and are imported when a data set
is opened, so listing the zoo imports neither numpy nor Pillow.
"""

from __future__ import annotations

from ganzoo.api import DatasetSpec, hookimpl
from ganzoo_datasets.config import (
    FashionPairsConfig,
    FashionUnpairedConfig,
    FolderConfig,
    IdxConfig,
    NpzConfig,
    PairsConfig,
    ShapesConfig,
    SidesConfig,
    StackedConfig,
    ToyConfig,
)

GANZOO_API_VERSION = 2

_PICTURES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif", ".tga"),
    *(".ppm", ".pgm", ".jp2", ".dcm"),
)

_TWO_IMAGES = [
    DatasetSpec(
        name="pairs",
        summary="pairs of images: two sub-folders with equal file names, or one folder and a transform",
        factory="ganzoo_datasets.paired_images:open_pairs",
        held_out="ganzoo_datasets.paired_images:open_held_out_pairs",
        config=PairsConfig,
        argument="PATH",
    ),
    DatasetSpec(
        name="unpaired",
        summary="images of two kinds without pairs, in two sub-folders of any size",
        factory="ganzoo_datasets.paired_images:open_unpaired",
        held_out="ganzoo_datasets.paired_images:open_held_out_unpaired",
        config=SidesConfig,
        argument="PATH",
        unpaired=True,
    ),
    DatasetSpec(
        name="fashion-pairs",
        summary="the embedded images of clothes, paired with their edges or with smaller copies",
        paper="Xiao, Rasul, Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747",
        factory="ganzoo_datasets.fashion_paired:open_pairs",
        held_out="ganzoo_datasets.fashion_paired:open_held_out_pairs",
        config=FashionPairsConfig,
    ),
    DatasetSpec(
        name="fashion-unpaired",
        summary="two classes of the embedded images of clothes: T-shirts and dresses, or others",
        paper="Xiao, Rasul, Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747",
        factory="ganzoo_datasets.fashion_paired:open_unpaired",
        held_out="ganzoo_datasets.fashion_paired:open_held_out_unpaired",
        config=FashionUnpairedConfig,
        unpaired=True,
    ),
    DatasetSpec(
        name="coloured-shapes",
        summary="synthetic colour images of shapes, paired with gray copies; the shape decides the colour",
        factory="ganzoo_datasets.shapes:open_shapes",
        held_out="ganzoo_datasets.shapes:open_held_out",
        config=ShapesConfig,
    ),
]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`fashion-5k`, `idx`, `folder`, `npy`, `npz`, `toy`, `stacked-mnist`, and those with two images."""
    return [
        *_TWO_IMAGES,
        DatasetSpec(
            name="fashion-5k",
            summary="5,000 labelled images of clothes, 28x28 gray, part of ganzoo; nothing to download",
            paper="Xiao, Rasul, Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747",
            factory="ganzoo_datasets.fashion:open_fashion_5k",
            held_out="ganzoo_datasets.fashion:open_held_out",
        ),
        DatasetSpec(
            name="idx",
            summary="MNIST-style IDX files, gzipped or not: a folder with four files, or one images file",
            paper="LeCun, Cortes, Burges 1998, The MNIST database of handwritten digits",
            factory="ganzoo_datasets.idx:open_idx",
            held_out="ganzoo_datasets.idx:open_held_out",
            config=IdxConfig,
            argument="PATH",
        ),
        DatasetSpec(
            name="folder",
            summary="a folder of images (PNG, JPEG, TIFF, DICOM, NIfTI, .npy ...); sub-folders become labels",
            factory="ganzoo_datasets.folder:open_folder",
            held_out="ganzoo_datasets.folder:open_held_out",
            config=FolderConfig,
            argument="PATH",
            reads=_PICTURES,
        ),
        DatasetSpec(
            name="npy",
            summary="one .npy array: uint8 images, or rows of floating-point numbers",
            factory="ganzoo_datasets.arrays:open_npy",
            argument="PATH",
            reads=(".npy",),
        ),
        DatasetSpec(
            name="npz",
            summary="one .npz file with images or rows, optionally with labels",
            factory="ganzoo_datasets.arrays:open_npz",
            config=NpzConfig,
            argument="PATH",
            reads=(".npz",),
        ),
        DatasetSpec(
            name="toy",
            summary="points from a known distribution: ring, rings, grid, mixture1d, normal1d",
            factory="ganzoo_datasets.toy:open_toy",
            held_out="ganzoo_datasets.toy:open_held_out",
            config=ToyConfig,
            argument="NAME",
        ),
        DatasetSpec(
            name="stacked-mnist",
            summary="three random MNIST digits as the channels of one image: 1,000 modes",
            paper="Metz et al. 2017, Unrolled GAN, arXiv:1611.02163; "
            "Srivastava et al. 2017, VEEGAN, arXiv:1705.07761; Lin et al. 2018, PacGAN, arXiv:1712.04086",
            factory="ganzoo_datasets.stacked:open_stacked",
            held_out="ganzoo_datasets.stacked:open_held_out",
            config=StackedConfig,
            argument="PATH",
            stacked=True,
        ),
    ]
