"""The public API for plugins. A plugin imports nothing else of ganzoo.

A batch is a `dict[str, Tensor]`. A generator replaces some fields of a batch. A discriminator
reads some fields and writes a score. Importing this module imports neither torch nor numpy, so that
listing many plugins is quick. The first use of a layer (`Bounded`, `initialise` ...) imports torch; the
first use of `nearest`, `squared_distances` or `decode_image` imports numpy and Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from ganzoo.api.evaluation import Classifier, ClassifierData, Comparison, Extractor, Samples
from ganzoo.api.importing import Imported, Weights, read_weights
from ganzoo.api.media import ARRAY, Media, Preview, Viewer, as_floats
from ganzoo.api.networks import Export, Game, Net, Networks, Step
from ganzoo.api.sources import ArraySource, ItemSource
from ganzoo.api.specs import (
    NO_BATCH_NORM,
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ExtractorSpec,
    ImporterSpec,
    LossSpec,
    MediaSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
    TrackerSpec,
    both_sides,
)
from ganzoo.api.tracking import TrackedRun, Tracker
from ganzoo.api.training import Augmentation, Batch, Loss, View
from ganzoo.errors import DataError, SettingsError
from ganzoo.fields import PIXELS, Column, DataInfo, Field, halvings, map_sizes, places
from ganzoo.util.lazy import lazy_names
from ganzoo.util.packages import optional_package
from ganzoo.util.progress import report_progress
from ganzoo.util.text import counted, ending_of, some
from ganzoo.util.walk import FolderFiles, folders_below, is_hidden

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
        LEVELS,
        VOLUMES,
        ImageFrame,
        ImageHeader,
        ValueRange,
        decode_frames,
        decode_image,
        fitted_pixels,
        image_levels,
        inspect_image,
        is_dicom,
        is_volume,
        read_image_header,
        silence_pillow,
    )
    from ganzoo.images import (
        ANIMATIONS,
        encode_animation,
        encode_image,
        grid,
        histogram,
        image_grid,
        scatter,
        sheet,
        side_by_side,
        to_pixels,
    )
    from ganzoo.tabular import as_numbers, to_csv
    from ganzoo.util.cache import cache_folder, keep_cached, read_cached
    from ganzoo.util.files import write_bytes
    from ganzoo.util.parallel import in_parts

__all__ = [
    "ANIMATIONS",
    "API_VERSION",
    "API_VERSIONS",
    "ARRAY",
    "IMAGE_SUFFIXES",
    "LEVELS",
    "NO_BATCH_NORM",
    "PIXELS",
    "VOLUMES",
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
    "Export",
    "Extractor",
    "ExtractorSpec",
    "Field",
    "Fir",
    "FolderFiles",
    "Game",
    "ImageFrame",
    "ImageHeader",
    "Imported",
    "ImporterSpec",
    "ItemSource",
    "Loss",
    "LossSpec",
    "Maxout",
    "Media",
    "MediaSpec",
    "MetricSpec",
    "Net",
    "Networks",
    "Preview",
    "RecipeSpec",
    "Samples",
    "SettingsError",
    "SpectralNorm",
    "Step",
    "TermSpec",
    "TrackedRun",
    "Tracker",
    "TrackerSpec",
    "ValueRange",
    "View",
    "Viewer",
    "Weights",
    "as_floats",
    "as_maps",
    "as_numbers",
    "both_sides",
    "cache_folder",
    "counted",
    "decode_frames",
    "decode_image",
    "doubling",
    "encode_animation",
    "encode_image",
    "ending_of",
    "fitted_pixels",
    "folders_below",
    "grid",
    "halvings",
    "histogram",
    "hookimpl",
    "image_grid",
    "image_levels",
    "in_parts",
    "initialise",
    "inspect_image",
    "is_dicom",
    "is_hidden",
    "is_volume",
    "keep_cached",
    "map_sizes",
    "nearest",
    "optional_package",
    "places",
    "put_spectral_norm",
    "read_cached",
    "read_image_header",
    "read_weights",
    "report_progress",
    "scatter",
    "sheet",
    "side_by_side",
    "silence_pillow",
    "some",
    "squared_distances",
    "to_csv",
    "to_pixels",
    "write_bytes",
]

API_VERSION = 2
"""Version of the plugin API. It increases when a record changes in a way that breaks old plugins.

A plugin module sets `GANZOO_API_VERSION`; without it, version 1 is assumed."""

API_VERSIONS = (1, 2)
"""The versions whose plugins load; docs/plugins/upgrading.md says what differs for version 1."""

hookimpl = pluggy.HookimplMarker("ganzoo")

# Names of version 0.1; they will be removed in 0.3.
_DEPRECATED = {"Evidence": Comparison, "Judge": Classifier, "Lesson": ClassifierData}

if not TYPE_CHECKING:  # with __getattr__, a type checker would accept any name in this module
    _lazy = lazy_names(
        __name__,
        {
            "ganzoo.api.layers": (
                "Bounded", "Crop", "Fir", "Maxout", "SpectralNorm", "as_maps", "doubling", "initialise",
                "put_spectral_norm",
            ),
            "ganzoo.api.distances": ("nearest", "squared_distances"),
            "ganzoo.util.cache": ("cache_folder", "keep_cached", "read_cached"),
            "ganzoo.images": (
                "ANIMATIONS", "encode_animation", "encode_image", "grid", "histogram", "image_grid",
                "scatter", "sheet", "side_by_side", "to_pixels",
            ),
            "ganzoo.util.files": ("write_bytes",),
            "ganzoo.tabular": ("as_numbers", "to_csv"),
            "ganzoo.image_files": (
                "IMAGE_SUFFIXES", "LEVELS", "VOLUMES", "ImageFrame", "ImageHeader", "ValueRange",
                "decode_frames", "decode_image", "fitted_pixels", "image_levels", "inspect_image", "is_dicom",
                "is_volume", "read_image_header", "silence_pillow",
            ),
            "ganzoo.util.parallel": ("in_parts",),
        },
    )  # fmt: skip

    def __getattr__(name):
        return _DEPRECATED[name] if name in _DEPRECATED else _lazy(name)
