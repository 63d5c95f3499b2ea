"""Media of arrays and of the rows of a table."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, as_numbers, to_csv, write_bytes


def arrays(config: None = None) -> Media:
    """Factory of `array`."""
    return Media()


SHOWN = 12  # rows in a preview


class Rows(Media):
    """Rows of a table: a field with `columns`. They are written as .csv, and compared as numbers."""

    suffixes = (".csv",)
    noun, nouns = "row", "rows"

    def __init__(self, config: None = None) -> None:
        pass

    def axes(self, ndim: int) -> tuple[str, ...]:
        """A row has one axis."""
        return ("value",) if ndim == 1 else ()

    def claims(self, field: Field) -> bool:
        """Fields with columns are tables."""
        return bool(field.columns)

    def check(self, field: Field) -> None:
        """A row needs columns. ValueError for a field without them."""
        if not field.columns:
            raise ValueError("a row needs columns")

    def describe(self, field: Field) -> str:
        """The number of columns."""
        return f"a row of {len(field.columns)} columns"

    def preview(self, field: Field, samples: NDArray[Any], **options: Any) -> Preview:
        """The first rows, as a CSV file."""
        return Preview(suffix=".csv", data=to_csv(field, samples[:SHOWN]))

    def viewer(self, field: Field) -> Viewer:
        """A table of its columns."""
        return Viewer(name="table")

    def write(self, field: Field, samples: NDArray[Any], path: Path, **layout: Any) -> list[Path]:
        """Write a CSV file with a header."""
        write_bytes(path, to_csv(field, samples))
        return [path]

    def metric_values(
        self, field: Field, samples: NDArray[Any], excluded: Collection[str] = ()
    ) -> NDArray[Any]:
        """Numbers as they are, categories as one-hot vectors.

        Rows (n, d) in the encoding of the field -> (n, values).
        """
        return as_numbers(field, samples, excluded)
