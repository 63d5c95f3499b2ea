"""Scores of texts as words: BLEU, copies of training texts, words that the data has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from ganzoo.api import Comparison, Samples
from ganzoo_text.symbols import WORD, text_of

BLEU = (2, 3, 4)
SHOWN = 200  # generated texts whose BLEU is computed
EPSILON = 0.1  # matches in place of none: smoothing method 1 of Chen and Cherry 2014
Scores = dict[str, float]
Grams = list[Counter[tuple[str, ...]]]


def grams_of(words: Sequence[str], most: int) -> Grams:
    """The n-grams of a text for n = 1..most."""
    return [
        Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1)) for n in range(1, most + 1)
    ]


def largest(texts: Sequence[Grams], most: int) -> Grams:
    """For each n-gram its largest count in one of the texts."""
    found: Grams = [Counter() for _ in range(most)]
    for text in texts:
        for known, counts in zip(found, text, strict=True):
            known |= counts
    return found


def bleu(text: Grams, references: Grams, lengths: Sequence[int], n: int) -> float:
    """BLEU-n with equal weights of a text against references, of which n-grams and lengths are given.

    The geometric mean of the clipped precisions, times exp(1 - r/c) if the closest reference has the length
    r > c (Papineni et al. 2002, section 2.3). 0 for a text without a word in common with the references.
    """
    ours = sum(text[0].values())
    logs: list[float] = []
    for counts, known in zip(text[:n], references[:n], strict=True):
        total = sum(counts.values())
        matches = sum(min(count, known[gram]) for gram, count in counts.items())
        if not logs and matches == 0:
            return 0.0
        logs.append(math.log((matches or EPSILON) / max(1, total)))
    closest = min(lengths, key=lambda length: (abs(length - ours), length))
    return math.exp(min(0.0, 1 - closest / ours) + sum(logs) / n)


def bleu_scores(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `bleu`: words of the first 200 texts against all real ones, and against each other."""

    def score(comparison: Comparison) -> Scores:
        made = _words(comparison, comparison.fake, SHOWN)
        fake = [grams_of(words, BLEU[-1]) for words in made]
        real = _words(comparison, comparison.real)
        references = largest([grams_of(words, BLEU[-1]) for words in real], BLEU[-1])
        real_lengths, lengths = sorted({*map(len, real)}), [*map(len, made)]
        scores: dict[str, list[float]] = {}
        for at, text in enumerate(fake):
            others = largest([*fake[:at], *fake[at + 1 :]], BLEU[-1])
            rest = [*lengths[:at], *lengths[at + 1 :]]
            for n in BLEU:
                scores.setdefault(f"bleu_{n}", []).append(bleu(text, references, real_lengths, n))
                scores.setdefault(f"self_bleu_{n}", []).append(bleu(text, others, rest, n))
        return {name: sum(found) / len(found) for name, found in scores.items()}

    return score


def verbatim(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `verbatim`: the share of generated texts that equal a training or a held-out text."""

    def score(comparison: Comparison) -> Scores:
        known = {
            name: {row.tobytes() for row in samples.values}
            for name, samples in (("training", comparison.training), ("held_out", comparison.real))
            if samples is not None
        }
        rows = [row.tobytes() for row in comparison.fake.values]
        return {f"in_{name}": sum(row in texts for row in rows) / len(rows) for name, texts in known.items()}

    return score


def valid_words(config: None = None) -> Callable[[Comparison], Scores]:
    """Factory of `valid-words`: the share of generated words that the real texts have.

    The last word of a text that fills all places may be cut, and does not count.
    """

    def score(comparison: Comparison) -> Scores:
        known = {word for words in _words(comparison, comparison.real, whole=True) for word in words}
        made = [word for words in _words(comparison, comparison.fake, whole=True) for word in words]
        return {"valid_words": sum(word in known for word in made) / max(1, len(made))}

    return score


def _words(
    comparison: Comparison, samples: Samples, most: int | None = None, *, whole: bool = False
) -> list[list[str]]:
    """The words and punctuation marks of texts; with `whole` without a last word that may be cut."""
    found = []
    for row in samples.values[:most]:
        words = WORD.findall(text_of(comparison.field.facts, row))
        found.append(words[:-1] if whole and row[-1] != 0 else words)
    return found
