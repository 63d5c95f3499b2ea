"""What ganzoo can do with texts: .txt files with a line for each, and previews that are text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import Field, Media, Preview, Viewer, as_floats, write_bytes
from ganzoo_text.symbols import END, Indices, indices_of, text_of

SHOWN = 32
NOISY = 0.2  # the share of symbols that a corruption replaces


class Text(Media):
    """Texts (length, V) of V symbols in 0..1: the largest value of a place is its symbol.

    Facts: `vocabulary`, the symbols, of which the first is the end of a text; `unit`, what a symbol is;
    `join`, what stands between two symbols of a line.
    """

    suffixes = (".txt",)
    reads = (".txt",)
    noun, nouns = "text", "texts"
    count = SHOWN
    same_facts = ("vocabulary", "join")

    def axes(self, ndim: int) -> tuple[str, ...]:
        """Places of symbols."""
        return ("place", "symbol") if ndim == 2 else ()

    def check(self, field: Field) -> None:
        """A text has two axes and the range 0..1, and its vocabulary has each symbol once.

        ValueError for other fields.
        """
        vocabulary = field.facts.get("vocabulary", ())
        good = isinstance(vocabulary, Sequence) and all(isinstance(symbol, str) for symbol in vocabulary)
        if not good or len(set(vocabulary)) != len(vocabulary) or END not in vocabulary[:1]:
            raise ValueError("the fact `vocabulary` of a text lists different symbols, first the empty one")
        if len(field.shape) != 2 or field.shape[1] != len(vocabulary) or field.range != (0.0, 1.0):
            raise ValueError("a text has the shape (length, number of symbols) and the range 0..1")
        if not all(isinstance(field.facts.get(name), str) for name in ("unit", "join")):
            raise ValueError("the facts `unit` and `join` of a text are text")

    def describe(self, field: Field) -> str:
        """Its length, and the number of symbols."""
        return f"{field.shape[0]} {field.facts['unit']}, {field.shape[1]:,} symbols"

    def preview(self, field: Field, samples: NDArray[Any], **layout: Any) -> Preview:
        """The first texts."""
        return Preview(suffix=".txt", data=_lines(field, samples[:SHOWN]))

    def viewer(self, field: Field) -> Viewer:
        """A line for each text."""
        facts = field.facts
        return Viewer(name="symbols", options={"symbols": list(facts["vocabulary"]), "join": facts["join"]})

    def neighbours(
        self, field: Field, sample: NDArray[Any], training: NDArray[Any], real: NDArray[Any]
    ) -> Preview:
        """Three lines for each text: itself, its nearest training text, its nearest held-out text."""
        shown = [
            "\n".join(
                f"{name:10}{text_of(field.facts, row)}"
                for name, row in zip(("generated", "training", "held out"), rows, strict=True)
            )
            for rows in zip(sample, training, real, strict=True)
        ]
        return Preview(suffix=".txt", data=("\n\n".join(shown) + "\n").encode())

    def write(self, field: Field, samples: NDArray[Any], path: Path, **layout: Any) -> list[Path]:
        """A line for each text."""
        write_bytes(path, _lines(field, samples))
        return [path]

    def read(self, field: Field, path: Path, options: Mapping[str, Any]) -> NDArray[np.float32]:
        """A text for each line. ValueError for one that is too long or has a symbol that is unknown."""
        content = path.read_text(encoding="utf-8-sig")
        lines = content.lower() if options.get("lower") is True else content
        found = [indices_of(field, line) for line in lines.removesuffix("\n").split("\n") if content]
        if not found:
            raise ValueError("the file is empty")
        return as_floats(field, np.array(found, np.int32))

    def metric_values(self, field: Field, samples: NDArray[Any], excluded: Collection[str] = ()) -> Indices:
        """Indices of symbols, (n, length)."""
        chosen = samples if samples.ndim == 2 else samples.argmax(-1)
        return chosen.astype(np.int32)

    def corruptions(
        self, field: Field, values: NDArray[Any], random: np.random.Generator
    ) -> Mapping[str, Callable[[], NDArray[Any]]]:
        """One place in five with a random symbol; the places of each text in another order."""

        def noisy() -> NDArray[Any]:
            others = random.integers(0, field.shape[1], values.shape, np.int32)
            return np.where(random.random(values.shape) < NOISY, others, values)

        return {"noisy": noisy, "shuffled": lambda: random.permuted(values, axis=1)}


def _lines(field: Field, samples: NDArray[Any]) -> bytes:
    rows = Text().metric_values(field, samples)
    return "".join(f"{text_of(field.facts, row)}\n" for row in rows).encode()


def build(config: None = None) -> Text:
    """Factory of the media record."""
    return Text()
