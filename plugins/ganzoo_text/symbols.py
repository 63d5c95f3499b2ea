"""Texts as indices of symbols, and back. The vocabulary's first symbol is the end of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import DataError, Field, optional_package

END, UNKNOWN = "", "\N{REPLACEMENT CHARACTER}"
CHARACTERS, WORDS = "characters", "words"
WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")

Indices = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Coded:
    """Texts (n, length) as indices of `vocabulary`; `unknown` is the share of symbols that it lacks."""

    indices: Indices
    vocabulary: list[str]
    unknown: float


def coded(codes: Indices, symbols: Sequence[str], most: int) -> Coded:
    """`codes` of `symbols` (0 is the end) as indices of at most `most` symbols: the most frequent ones.

    The order of the vocabulary is that of the symbols, so it depends on the set of symbols alone.
    """
    counts = np.bincount(codes.ravel(), minlength=len(symbols))
    counts[0] = 0
    seen: list[int] = np.flatnonzero(counts).tolist()
    if cut := len(seen) > most - 1:
        frequent = sorted(seen, key=lambda at: (symbols[at] == UNKNOWN, -counts[at], symbols[at]))
        seen = frequent[: most - 2]
    vocabulary = [END, *([UNKNOWN] if cut else []), *sorted(symbols[at] for at in seen)]
    places = {symbol: at for at, symbol in enumerate(vocabulary)}
    table = np.array([places.get(symbol, 1) for symbol in symbols], np.int32)
    table[0] = 0
    unknown = 1 - counts[seen].sum() / max(1, counts.sum())
    return Coded(indices=table[codes], vocabulary=vocabulary, unknown=float(unknown))


def by_character(texts: Sequence[str], length: int) -> tuple[Indices, list[str]]:
    """The first `length` characters of each text as codes (n, length), and the symbols of the codes."""
    points = np.array(texts, f"U{length}").view(np.uint32).reshape(len(texts), length)
    present, codes = np.unique(points, return_inverse=True)
    symbols = [chr(point) if point else END for point in present]
    if symbols[0] != END:  # no text ends before its last place
        symbols, codes = [END, *symbols], codes + 1
    return codes.reshape(points.shape).astype(np.int32), symbols


def by_piece(pieces: Sequence[Sequence[str]], length: int) -> tuple[Indices, list[str]]:
    """The first `length` pieces of each text as codes (n, length), and the symbols of the codes."""
    symbols = [END, *dict.fromkeys(chain.from_iterable(row[:length] for row in pieces))]
    places = {symbol: at for at, symbol in enumerate(symbols)}
    codes = np.zeros((len(pieces), length), np.int32)
    for row, found in zip(codes, pieces, strict=True):
        row[: len(found)] = [places[piece] for piece in found[:length]]
    return codes, symbols


def splitter(unit: str) -> Callable[[str], list[str]]:
    """The function that splits a text into its symbols."""
    if unit == CHARACTERS:
        return list
    return WORD.findall if unit == WORDS else _tokens(unit)


def _tokens(path: str) -> Callable[[str], list[str]]:
    """Splits by a tokenizer file. A symbol is what its token adds to a text, with spaces."""
    package = optional_package("tokenizers", "text", "A tokenizer file", where=path)
    try:
        tokenizer = package.Tokenizer.from_file(path)
    except Exception as error:  # the library raises Exception itself
        raise DataError(
            f"The tokenizer cannot be read: {error}",
            where=f"data.unit={path}",
            fix="use characters, words, or the path of a tokenizer.json",
        ) from error
    words = (at for at in range(tokenizer.get_vocab_size()) if tokenizer.decode([at]).isalpha())
    anchor = next(words, None)
    before = "" if anchor is None else tokenizer.decode([anchor])
    kept: dict[int, str] = {}

    def added(token: int) -> str:
        if token not in kept:
            both = tokenizer.decode([token] if anchor is None else [anchor, token])
            kept[token] = both[len(before) :] if both.startswith(before) else tokenizer.decode([token])
        return kept[token]

    def split(text: str) -> list[str]:
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        return [piece for piece in map(added, tokens) if piece]

    return split


def text_of(facts: Mapping[str, Any], row: Sequence[int]) -> str:
    """The text of the indices before the first end. Line ends, which no data has, become spaces."""
    vocabulary, pieces = facts["vocabulary"], []
    for at in row:
        if at == 0:
            break
        pieces.append(vocabulary[at])
    text = str(facts["join"]).join(pieces)
    return (text if facts["unit"] == CHARACTERS else text.strip()).replace("\n", " ").replace("\r", " ")


def indices_of(field: Field, line: str) -> list[int]:
    """The indices of a text, filled with ends; ValueError if it is too long or has an unknown symbol."""
    vocabulary, unit = field.facts["vocabulary"], field.facts["unit"]
    places = {symbol: at for at, symbol in enumerate(vocabulary)}
    if unit in (CHARACTERS, WORDS):
        pieces = splitter(unit)(line)
    else:
        pieces = _longest(line if any(map(line.startswith, vocabulary[1:])) else f" {line}", vocabulary[1:])
    lacking = [piece for piece in pieces if piece not in places]
    if lacking and UNKNOWN not in places:
        raise ValueError(f"the vocabulary lacks {', '.join(map(repr, sorted(set(lacking))[:5]))}")
    if len(pieces) > field.shape[0]:
        raise ValueError(f"a line has {len(pieces)} {unit}, a text has at most {field.shape[0]}")
    found = [places.get(piece, places.get(UNKNOWN, 0)) for piece in pieces]
    return found + [0] * (field.shape[0] - len(found))


def _longest(line: str, vocabulary: Sequence[str]) -> list[str]:
    """The line as the longest symbols from left to right; characters that start no symbol are their own."""
    pattern = "|".join(map(re.escape, sorted(vocabulary, key=len, reverse=True)))
    return re.findall(f"{pattern}|.", line) if pattern else list(line)
