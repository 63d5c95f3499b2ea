"""The data sets `text` and `toy-text`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganzoo.api import ArraySource, DataError, Field, counted
from ganzoo_text.config import TextConfig, ToyTextConfig
from ganzoo_text.reading import Texts, read_texts
from ganzoo_text.symbols import (
    CHARACTERS,
    WORDS,
    Coded,
    by_character,
    by_piece,
    coded,
    splitter,
)

SUBJECTS = ("cat", "dog", "bird", "child", "king", "farmer", "robot", "doctor")
KINDS = ("old", "small", "happy", "red", "quiet", "clever")
VERBS = ("sees", "likes", "finds", "paints", "follows", "hears")
OBJECTS = ("ball", "house", "river", "garden", "book", "star", "letter", "train")
SHORT = ("sleeps", "sings", "runs", "waits")


def open_text(argument: str, config: TextConfig | None = None) -> ArraySource:
    """`text` (length, V) in 0..1, stored as indices, and `label` with `labels`: the texts to train on.

    DataError for files that are not text, and for fewer than two different texts.
    """
    config = config or TextConfig()
    prepared = _prepared(argument, config)
    return _source(prepared, prepared.training, config, f"{Path(argument).name}")


def open_text_held_out(argument: str, config: TextConfig | None = None) -> ArraySource | None:
    """The held-out texts, none of which is among those to train on; None where `held_out` gives none."""
    config = config or TextConfig()
    prepared = _prepared(argument, config)
    if prepared.training.all():
        return None
    return _source(prepared, ~prepared.training, config, f"{Path(argument).name}, held out")


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """All texts, the class of each, which of them are to train on, and facts about them."""

    coded: Coded
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    training: NDArray[np.bool_]
    copies: int
    longer: float
    texts: Texts


def _prepared(argument: str, config: TextConfig) -> _Prepared:
    texts = read_texts(argument, config)
    names = tuple(name for name, found in texts.files.items() if found)
    groups = [texts.files[name] for name in names]
    if not config.labels:
        groups = [list(chain.from_iterable(groups))]
    codes, symbols, counts, longer = _codes(groups, config)
    made = coded(codes, symbols, config.vocabulary)
    _, first, same = np.unique(made.indices, axis=0, return_index=True, return_inverse=True)
    if len(first) < 2:
        raise DataError(
            "There is only one text.",
            where=argument,
            fix="--set data.windows=true cuts a long text into many; data.separator says what ends a text",
        )
    # Equal texts are on one side, so no held-out text is among those to train on.
    order = np.random.Generator(np.random.PCG64(config.seed)).permutation(len(first))
    training = np.ones(len(first), np.bool_)
    training[order[: min(round(config.held_out * len(first)), len(first) - 1)]] = False
    used = np.arange(len(same)) if config.copies else np.sort(first)
    return _Prepared(
        coded=replace(made, indices=made.indices[used]),
        classes=names if config.labels else (),
        labels=np.repeat(np.arange(len(counts)), counts)[used],
        training=training[same.ravel()][used],
        copies=len(same) - len(first),
        longer=longer,
        texts=texts,
    )


def _codes(
    groups: list[list[str]], config: TextConfig
) -> tuple[NDArray[np.int32], list[str], list[int], float]:
    """Codes, their symbols, the number of texts of each group, and the share of texts that were cut."""
    split, length = splitter(config.unit), config.length
    if config.windows:
        streams = [split(" ".join(group)) for group in groups]
        pieces = [[stream[at : at + length] for at in range(0, len(stream), length)] for stream in streams]
        # The last window of a stream is a text only if it is full.
        full = [[row for row in rows if len(row) == length] or rows for rows in pieces]
        return (*by_piece([*chain.from_iterable(full)], length), [*map(len, full)], 0.0)
    texts, counts = [*chain.from_iterable(groups)], [*map(len, groups)]
    if config.unit == CHARACTERS:
        longer = sum(len(text) > length for text in texts) / len(texts)
        return (*by_character([text[:length] for text in texts], length), counts, longer)
    rows = [split(text) for text in texts]
    longer = sum(len(row) > length for row in rows) / len(rows)
    return (*by_piece(rows, length), counts, longer)


def _source(prepared: _Prepared, which: NDArray[np.bool_], config: TextConfig, name: str) -> ArraySource:
    vocabulary, indices = prepared.coded.vocabulary, prepared.coded.indices[which]
    field = text_field(config.length, vocabulary, config.unit)
    fields, arrays = [field], {"text": stored(indices, len(vocabulary))}
    if prepared.classes:
        fields.append(Field(name="label", dtype="int64", classes=prepared.classes))
        arrays["label"] = prepared.labels[which]
    return ArraySource(
        fields=tuple(fields),
        arrays=arrays,
        identity=f"{name}: {len(indices)} texts of {config.length} {field.facts['unit']}",
        notes=_notes(prepared),
        card=_card(prepared, indices, config),
    )


def _notes(prepared: _Prepared) -> tuple[str, ...]:
    texts = prepared.texts
    notes = [*texts.notes]
    if texts.control:
        notes.append(f"{texts.control:,} control characters were left out")
    if prepared.coded.unknown > 0.02:
        notes.append(
            f"{prepared.coded.unknown:.1%} of all symbols are not among the "
            f"{len(prepared.coded.vocabulary):,} most frequent ones: data.vocabulary"
        )
    return tuple(notes)


def _card(
    prepared: _Prepared, indices: NDArray[np.int32], config: TextConfig
) -> tuple[tuple[str, str, str], ...]:
    vocabulary, unknown = prepared.coded.vocabulary, prepared.coded.unknown
    lengths = (indices > 0).sum(1)
    cut = f"{prepared.longer:.1%} of all texts are longer and were cut" if prepared.longer else ""
    rows = [
        (
            "vocabulary",
            f"{len(vocabulary):,}",
            f"{unknown:.1%} of all symbols are unknown" if unknown else "",
        ),
        ("held out", counted(int((~prepared.training).sum()), "text"), "for evaluation"),
        ("length", f"{config.length}", cut),
        ("mean length", f"{lengths.mean():.1f}", f"from {lengths.min()} to {lengths.max()}"),
    ]
    if prepared.copies:
        what = "texts equal an earlier one" + ("" if config.copies else " and were left out: data.copies")
        rows.append(("copies", f"{prepared.copies:,}", what))
    if prepared.texts.empty:
        rows.append(("empty", f"{prepared.texts.empty:,}", "left out"))
    return tuple(rows)


def text_field(length: int, vocabulary: list[str], unit: str) -> Field:
    """The field `text` of so many symbols of a vocabulary."""
    known = unit if unit in (CHARACTERS, WORDS) else "tokens"
    return Field(
        name="text",
        shape=(length, len(vocabulary)),
        kind="text",
        range=(0.0, 1.0),
        facts={"vocabulary": vocabulary, "unit": known, "join": " " if unit == WORDS else ""},
    )


def stored(indices: NDArray[np.int32], count: int) -> NDArray[np.generic]:
    """Indices of `count` symbols in the smallest type."""
    return indices.astype(np.uint8 if count <= 256 else np.uint16)


def open_toy(argument: str = "", config: ToyTextConfig | None = None) -> ArraySource:
    """Different sentences of a small grammar, see `toy_sentences`."""
    config = config or ToyTextConfig()
    return _toy(config, slice(config.count), "")


def open_toy_held_out(argument: str = "", config: ToyTextConfig | None = None) -> ArraySource:
    """A fourth as many other sentences of the same grammar."""
    config = config or ToyTextConfig()
    return _toy(config, slice(config.count, None), ", held out")


def _toy(config: ToyTextConfig, which: slice, part: str) -> ArraySource:
    texts = toy_sentences(config.length)
    order = np.random.Generator(np.random.PCG64(config.seed)).permutation(len(texts))
    chosen = [texts[at] for at in order[: config.count + config.count // 4]]
    made = coded(*by_character(chosen, config.length), len(texts))
    indices = made.indices[which]
    return ArraySource(
        fields=(text_field(config.length, made.vocabulary, CHARACTERS),),
        arrays={"text": stored(indices, len(made.vocabulary))},
        identity=f"toy-text, {len(indices)} sentences{part}, seed {config.seed}",
    )


def toy_sentences(length: int) -> list[str]:
    """All sentences of at most `length` characters of a small grammar.

    They are like `the old cat sees a red ball.` and `the king sleeps, the robot sings.`
    """
    subjects, objects = (
        [" ".join(words) for words in product(("the", "a"), nouns)]
        + [" ".join(words) for words in product(("the", "a"), KINDS, nouns)]
        for nouns in (SUBJECTS, OBJECTS)
    )
    halves = [f"the {subject} {verb}" for subject, verb in product(SUBJECTS, SHORT)]
    short = [f"{one}, {other}." for one, other in product(halves, halves)]
    sentences = [f"{' '.join(words)}." for words in product(subjects, VERBS, objects)]
    return [text for text in short + sentences if len(text) <= length]
