"""Scores of texts against numbers that are computed by hand, and which metric computes on which kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from ganzoo.api import DataError, DatasetSpec, ExtractorSpec, MetricSpec
from ganzoo.config.plan import Choice
from ganzoo.data.open_data import open_dataset
from ganzoo.evaluation.comparison import Comparison, feature_space_of, reference_samples
from ganzoo.evaluation.metrics import Scorer, chosen_metrics
from ganzoo.evaluation.real_data import RealData
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Item, Registry
from ganzoo_text import ngrams, sentences
from ganzoo_text.datasets import open_toy, text_field
from ganzoo_text.features import NgramCounts
from ganzoo_text.symbols import END

LETTERS = "abcd"
FIELD = text_field(6, [END, *LETTERS], "characters")
WORDS = ["the", "cat", "sat", "on", "mat", "a", "dog", "ran", "."]
WORD_FIELD = text_field(7, [END, *WORDS], "words")


def rows(*texts: str, symbols: Any = LETTERS, length: int = 6) -> np.ndarray:
    split = [text.split() if symbols is WORDS else list(text) for text in texts]
    found = [[symbols.index(symbol) + 1 for symbol in text] for text in split]
    return np.array([row + [0] * (length - len(row)) for row in found], np.int32)


def scores(metric: Callable[..., Any], fake: np.ndarray, real: np.ndarray, **more: Any) -> dict[str, float]:
    comparison = SimpleNamespace(
        fake=SimpleNamespace(values=fake),
        real=SimpleNamespace(values=real),
        **{"field": FIELD, "training": None, **more},
    )
    found: dict[str, float] = metric()(comparison)
    return found


# --- n-grams ------------------------------------------------------------------------------------


def test_divergence_of_texts_without_a_common_symbol_is_ln_2() -> None:
    found = scores(ngrams.jsd, rows("aaaaaa"), rows("bbbbbb", "cccccc"))
    assert found == pytest.approx(dict.fromkeys(("jsd_1", "jsd_2", "jsd_3", "jsd_4"), math.log(2)))
    assert scores(ngrams.jsd, rows("abcd"), rows("abcd"))["jsd_4"] == 0


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_divergence_is_that_of_scipy(n: int) -> None:
    random = np.random.default_rng(n)
    fake, real = (random.integers(0, 5, (40, 6)).astype(np.int32) for _ in range(2))
    counts = [
        Counter(tuple(row[at : at + n]) for row in texts.tolist() for at in range(6 - n + 1))
        for texts in (fake, real)
    ]
    grams = sorted(set(counts[0]) | set(counts[1]))
    p, q = ([count[gram] for gram in grams] for count in counts)
    assert scores(ngrams.jsd, fake, real)[f"jsd_{n}"] == pytest.approx(jensenshannon(p, q) ** 2)


def test_a_model_has_the_probabilities_of_witten_and_bell() -> None:
    """Texts `a` and `ab` of the symbols end, a, b: two ends, two a, one b; a begins both texts."""
    known = rows("a", "ab", symbols="ab", length=3)
    model = ngrams.Model(known, 3)
    first = {0: (2 + 3 / 3) / 8, 1: (2 + 3 / 3) / 8, 2: (1 + 3 / 3) / 8}
    after_end = first[1]
    for _ in (2, 3, 4):  # one, two and three ends
        after_end = (2 + 1 * after_end) / 3
    assert model.probabilities(rows("a", symbols="ab", length=3))[0] == pytest.approx(after_end)
    after_a = {0: (1 + 2 * first[0]) / 4, 2: (1 + 2 * first[2]) / 4}  # a is followed by end and b
    for _ in (3, 4):
        after_a = {at: (1 + 2 * share) / 4 for at, share in after_a.items()}
    found = model.probabilities(rows("a", "ab", symbols="ab", length=3))
    assert found[1] == pytest.approx(after_a[0])
    assert found[3] == pytest.approx(after_a[2])


def test_the_probabilities_of_all_next_symbols_have_the_sum_1() -> None:
    random = np.random.default_rng(0)
    model = ngrams.Model(random.integers(0, 5, (30, 6)).astype(np.int32), 5)
    for text in ([1, 2, 3], [4, 4, 4], [1, 1, 2]):
        nexts = np.array([[*text, symbol] for symbol in range(5)], np.int32)
        whole = [float(model.probabilities(row[None])[3]) for row in nexts]
        assert sum(whole) == pytest.approx(1)


def test_likelihood_tells_what_is_wrong() -> None:
    random = np.random.default_rng(0)
    real = np.array([[1, *random.integers(1, 5, 4), 2] for _ in range(400)], np.int32)
    alike = np.repeat(real[:1], 400, axis=0)
    noise = random.integers(1, 5, real.shape).astype(np.int32)
    same, one, none = (scores(ngrams.nll, fake, real) for fake in (real, alike, noise))
    assert one["nll_reverse"] > none["nll_reverse"] > same["nll_reverse"]
    assert none["nll_forward"] > same["nll_forward"]


def test_diversity_counts_what_differs() -> None:
    found = scores(ngrams.diversity, rows("abab", "abab", "abab", "cd"), rows("a"))
    # bigrams ab, ba, ab of three texts and cd: 3 different ones of 10
    assert found == pytest.approx(
        {"distinct_2": 3 / 10, "distinct_4": 1 / 3, "repeated": 2 / 4, "most_repeated": 3 / 4}
    )
    assert "distinct_4" not in scores(ngrams.diversity, rows("ab", "a"), rows("a"))


# --- words --------------------------------------------------------------------------------------


def test_bleu_is_that_of_its_formula() -> None:
    """`the cat sat on the mat` against `a cat sat on a mat .`: 4/6 of 1-grams, 2/5 of 2-grams, 1/4, none."""
    grams = sentences.grams_of
    fake, real = ["the", "cat", "sat", "on", "the", "mat"], ["a", "cat", "sat", "on", "a", "mat", "."]
    references, lengths = sentences.largest([grams(real, 4)], 4), [len(real)]
    brief = math.exp(1 - 7 / 6)
    assert sentences.bleu(grams(fake, 4), references, lengths, 2) == pytest.approx(
        brief * math.sqrt(4 / 6 * 2 / 5)
    )
    smooth = (4 / 6 * 2 / 5 * 1 / 4 * 0.1 / 3) ** (1 / 4)
    assert sentences.bleu(grams(fake, 4), references, lengths, 4) == pytest.approx(brief * smooth)
    assert sentences.bleu(grams(real, 4), references, lengths, 4) == pytest.approx(1)
    assert sentences.bleu(grams(["dog"], 4), references, lengths, 2) == 0
    assert sentences.bleu(grams([], 4), references, lengths, 2) == 0


def test_counts_are_clipped_by_the_largest_of_the_references() -> None:
    """Papineni et al. 2002: `the the the the the the the` has a precision of 2/7."""
    grams = sentences.grams_of
    references = [grams(text.split(), 1) for text in ("the cat is on the mat", "there is a cat on the mat")]
    found = sentences.bleu(grams(["the"] * 7, 1), sentences.largest(references, 1), [6, 7], 1)
    assert found == pytest.approx(2 / 7)


def test_bleu_against_real_texts_and_against_each_other() -> None:
    fake = rows("the cat sat on the mat", "the cat sat on the mat", symbols=WORDS, length=7)
    real = rows("a dog ran .", "the cat sat on the mat", symbols=WORDS, length=7)
    found = scores(sentences.bleu_scores, fake, real, field=WORD_FIELD)
    assert found == pytest.approx({f"{kind}_{n}": 1 for kind in ("bleu", "self_bleu") for n in (2, 3, 4)})


def test_copies_are_counted() -> None:
    training = SimpleNamespace(values=rows("abc", "abcd"))
    found = scores(sentences.verbatim, rows("abc", "abc", "d", "b"), rows("d"), training=training)
    assert found == {"in_training": 0.5, "in_held_out": 0.25}


def test_words_that_may_be_cut_do_not_count() -> None:
    field = text_field(6, [END, *"abcd "], "characters")

    def found(*texts: str) -> dict[str, float]:
        real = rows("ab cd", symbols="abcd ")
        return scores(sentences.valid_words, rows(*texts, symbols="abcd "), real, field=field)

    assert found("ab", "cd ab", "dd ab") == {"valid_words": 4 / 5}
    assert found("ab cda") == {"valid_words": 1.0}  # all places are filled: `cda` may be cut
    assert found("abcdab") == {"valid_words": 0.0}  # no whole word at all


def test_features_are_counts() -> None:
    found = NgramCounts()(rows("abcd", "dcba"))
    assert found.shape == (2, 192)
    assert (found.reshape(2, 3, 64).sum(2) == [6, 5, 4]).all()
    assert (found[0, :64] == found[1, :64]).all()  # the same symbols in another order
    assert (found[0, 64:] != found[1, 64:]).any()


# --- which metric computes on which kind --------------------------------------------------------


@pytest.fixture(scope="module")
def toy(registry: Registry) -> RealData:
    item, kinds = registry.find(DatasetSpec, "toy-text"), Kinds(registry)
    choice = Choice(item, None)
    dataset = open_dataset(choice, "toy-text", kinds)
    return RealData.open(choice, "toy-text", dataset.fields[0], kinds, training=dataset)


def test_texts_get_the_metrics_of_texts_and_no_others(registry: Registry, toy: RealData) -> None:
    space = feature_space_of(registry, toy)
    assert space.distance == "ngram_frechet"
    real, training = reference_samples(space, toy, 300)
    metrics = chosen_metrics(registry, ())
    comparison = Comparison(space, real, real, training, 0, field=toy.field)
    failures: dict[str, Any] = {}
    found = Scorer(metrics, space, toy).scores(comparison, failures=failures)
    assert not failures
    assert {"ngram_frechet", "jsd_4", "nll_reverse", "bleu_4", "valid_words", "in_training"} <= set(found)
    assert not {"fed", "inception_score", "psnr", "column_ks", "quality"} & set(found)
    assert found["jsd_4"] == 0


@pytest.mark.parametrize("dataset", ["fashion-5k", "toy-table", "toy:ring"])
def test_no_metric_of_texts_computes_on_other_data(registry: Registry, dataset: str) -> None:
    item, kinds = registry.find(DatasetSpec, dataset.partition(":")[0]), Kinds(registry)
    choice = Choice(item, item.spec.config() if item.spec.config else None)
    opened = open_dataset(choice, dataset, kinds)
    data = RealData.open(choice, dataset, opened.fields[0], kinds, training=opened)
    scorer = Scorer(chosen_metrics(registry, ()), feature_space_of(registry, data), data)
    left_out = " ".join(scorer.excluded(conditioned=True, training=True))
    for name in ("ngram-jsd", "ngram-nll", "bleu", "text-diversity", "verbatim", "valid-words"):
        assert f"'{name}' needs texts" in left_out


def test_texts_of_another_vocabulary_are_not_compared(registry: Registry, toy: RealData) -> None:
    other = [END, *reversed(toy.field.facts["vocabulary"][1:])]
    field = text_field(32, other, "characters")
    choice = Choice(registry.find(DatasetSpec, "toy-text"), None)
    with pytest.raises(DataError, match="another vocabulary"):
        RealData.open(choice, "toy-text", field, toy.kinds, training=toy.training)


def specs(registry: Registry, kind: type) -> list[Item[Any]]:
    return registry.of_kind(kind)


GENERAL = {
    "frechet",
    "kid",
    "prdc",
    "memorisation",
    "classes",
    "inception-score",
    "cas",
    "modes",
    "marginals",
    "auc",
}
"""Metrics of features, labels, columns or scores, which any kind has that meets their needs."""


def test_metrics_that_read_samples_say_their_kind(registry: Registry) -> None:
    kinds = Kinds(registry)
    for item in specs(registry, MetricSpec):
        named = any(kinds.knows(need) for need in item.spec.needs)
        assert named or item.name in GENERAL, f"{item.name} computes on samples of any kind"


def test_extractors_say_kinds_that_exist(registry: Registry) -> None:
    kinds = Kinds(registry)
    for item in specs(registry, ExtractorSpec):
        assert item.spec.kinds
        assert all(kinds.knows(kind) for kind in item.spec.kinds)


def test_toy_sentences_are_unlike_noise() -> None:
    real = open_toy().arrays["text"][:1000].astype(np.int32)
    other = open_toy().arrays["text"][1000:2000].astype(np.int32)
    field = open_toy().fields[0]
    noise = np.random.default_rng(0).permuted(other, axis=1)
    floor, worse = (scores(ngrams.jsd, fake, real, field=field)["jsd_4"] for fake in (other, noise))
    assert floor < 0.1 < 0.5 < worse
