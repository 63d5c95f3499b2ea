"""Media of points in one or two dimensions, drawn over real points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, encode_image, histogram, scatter, write_bytes


class PointsMedia(Media):
    """Points of one or two numbers."""

    suffixes = (".png",)
    noun, nouns = "point", "points"
    count = 1000  # 64 points show no distribution

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """A point has one axis."""
        return ("value",) if ndim == 1 else ()

    def claims(self, field: Field) -> bool:
        """One or two floats."""
        return field.dtype == "float32" and field.shape in ((1,), (2,)) and not field.columns

    def check(self, field: Field) -> None:
        """A point has the shape (1,) or (2,). ValueError for other shapes."""
        if field.shape not in ((1,), (2,)) or field.dtype != "float32":
            raise ValueError("a point is one or two floats")

    def describe(self, field: Field) -> str:
        """The number of dimensions."""
        return f"a point in {field.shape[0]}-D"

    def preview(
        self, field: Field, samples: NDArray[Any], *, real: NDArray[Any] | None = None, **layout: Any
    ) -> Preview:
        """A scatter plot, or a histogram, over that of real points."""
        plot = (scatter if field.shape == (2,) else histogram)(samples, real)
        return Preview(suffix=".png", data=encode_image(plot, ".png"))

    def viewer(self, field: Field) -> Viewer:
        """A plot of all points."""
        return Viewer(name="points")

    def write(self, field: Field, samples: NDArray[Any], path: Path, **layout: Any) -> list[Path]:
        """Write the plot."""
        write_bytes(path, self.preview(field, samples).data)
        return [path]
