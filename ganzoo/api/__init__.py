"""All that a plugin imports.

A batch is a `dict[str, Tensor]`. A generator replaces some fields of a batch, a discriminator
reads some fields and writes a score. Importing this imports neither torch nor numpy, so that listing a
zoo of plugins is quick; the layers among its names (`Bounded`, `initialise` ...) bring torch in when they
are first used, and so do `nearest`, `squared_distances` and `decode_image` with numpy and Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from ganzoo.api.evaluation import Classifier, ClassifierData, Comparison, Extractor, Samples
from ganzoo.api.networks import Game, Net, Networks
from ganzoo.api.sources import ArraySource, ItemSource
from ganzoo.api.specs import (
    NO_BATCH_NORM,
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ExtractorSpec,
    LossSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    both_sides,
)
from ganzoo.api.training import Augmentation, Batch, Loss, View
from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import Column, DataInfo, Field, halvings, map_sizes, places
from ganzoo.util.lazy import lazy_names

if TYPE_CHECKING:
    from ganzoo.api.distances import nearest, squared_distances
    from ganzoo.api.layers import (
        Bounded,
        Crop,
        Fir,
        Maxout,
        SpectralNorm,
        as_maps,
        doubling,
        initialise,
        put_spectral_norm,
    )
    from ganzoo.image_files import (
        IMAGE_SUFFIXES,
        ImageFrame,
        ImageHeader,
        decode_image,
        read_image_header,
        silence_pillow,
    )
    from ganzoo.util.cache import cache_folder, keep_cached, read_cached

__all__ = [
    "API_VERSION",
    "API_VERSIONS",
    "IMAGE_SUFFIXES",
    "NO_BATCH_NORM",
    "ArchitectureSpec",
    "ArraySource",
    "Augmentation",
    "AugmentationSpec",
    "Batch",
    "Bounded",
    "Classifier",
    "ClassifierData",
    "Column",
    "Comparison",
    "Crop",
    "DataError",
    "DataInfo",
    "DatasetSpec",
    "Extractor",
    "ExtractorSpec",
    "Field",
    "Fir",
    "Game",
    "ImageFrame",
    "ImageHeader",
    "ItemSource",
    "Loss",
    "LossSpec",
    "Maxout",
    "MetricSpec",
    "Net",
    "Networks",
    "RecipeSpec",
    "Samples",
    "SettingsError",
    "SpectralNorm",
    "TermSpec",
    "View",
    "as_maps",
    "both_sides",
    "cache_folder",
    "decode_image",
    "doubling",
    "halvings",
    "hookimpl",
    "initialise",
    "keep_cached",
    "map_sizes",
    "nearest",
    "places",
    "put_spectral_norm",
    "read_cached",
    "read_image_header",
    "silence_pillow",
    "squared_distances",
]

API_VERSION = 2
"""Raised when a record changes in a way that old plugins cannot follow.

A plugin module sets `GANZOO_API_VERSION`; without it, version 1 is assumed."""

API_VERSIONS = (1, 2)
"""The versions whose plugins load; docs/plugins/upgrading.md says what differs for version 1."""

hookimpl = pluggy.HookimplMarker("ganzoo")

# The names that they had in 0.1; gone in 0.3.
_DEPRECATED = {"Evidence": Comparison, "Judge": Classifier, "Lesson": ClassifierData}

if not TYPE_CHECKING:  # a type checker would take any name at all for one of this module
    _later = lazy_names(
        __name__,
        {
            "ganzoo.api.layers": (
                "Bounded", "Crop", "Fir", "Maxout", "SpectralNorm", "as_maps", "doubling", "initialise",
                "put_spectral_norm",
            ),
            "ganzoo.api.distances": ("nearest", "squared_distances"),
            "ganzoo.util.cache": ("cache_folder", "keep_cached", "read_cached"),
            "ganzoo.image_files": (
                "IMAGE_SUFFIXES", "ImageFrame", "ImageHeader", "decode_image", "read_image_header",
                "silence_pillow",
            ),
        },
    )  # fmt: skip

    def __getattr__(name):
        return _DEPRECATED[name] if name in _DEPRECATED else _later(name)
