"""The kinds of samples that come with ganzoo: images, points, tables, and arrays of any other kind."""

from __future__ import annotations

from ganzoo.api import MediaSpec, hookimpl

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_media() -> list[MediaSpec]:
    """`array`, `image`, `points`, `row`."""
    return [
        MediaSpec(
            name="array",
            summary="Arrays of any shape, written as .npz.",
            factory="ganzoo_media.plain:arrays",
        ),
        MediaSpec(
            name="image",
            summary="Images: grids, image files of 8 or 16 bits.",
            factory="ganzoo_media.image:ImageMedia",
        ),
        MediaSpec(
            name="points",
            summary="Points of one or two numbers: histograms and scatter plots.",
            factory="ganzoo_media.points:PointsMedia",
        ),
        MediaSpec(name="row", summary="Rows of a table, written as .csv.", factory="ganzoo_media.plain:Rows"),
    ]
