"""Scores of tables: each column counts alike, and categories of very many values neither hide nor accuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganzoo import tabular
from ganzoo.api import Column, DatasetSpec, Field
from ganzoo.config.plan import Choice
from ganzoo.data.open_data import open_dataset
from ganzoo.evaluation.comparison import Comparison, feature_space_of, reference_samples
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.metrics import Scorer, chosen_metrics
from ganzoo.evaluation.real_data import RealData
from ganzoo.evaluation.report import conclusions
from ganzoo.evaluation.samples import Sampled, stored
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry
from ganzoo_media.plain import Rows
from ganzoo_tables.config import CsvConfig

CITIES = ("Bern", "Chur", "Genf", "Thun")
NAMES = ["frechet", "prdc", "memorisation", "marginals"]


def members(path: Path, *, joined: int = 900, rows: int = 1_600) -> str:
    """A club: what is paid depends on the city, the visits on what is paid; `joined` is a day out of many."""
    random = np.random.default_rng(0)
    city = random.choice(4, rows, p=(0.55, 0.3, 0.1, 0.05))
    paid = 20 * (1 + city) + random.normal(0, 3, rows)
    visits = np.rint(paid / 4 + random.normal(0, 2, rows)).clip(0)
    columns = [
        np.arange(1_000, 1_000 + rows).astype(str),
        np.asarray(CITIES)[city],
        [f"day {day}" for day in random.integers(0, joined, rows)],
        paid.round(2).astype(str),
        visits.astype(int).astype(str),
    ]
    lines = ["id,city,joined,paid,visits", *(",".join(row) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{path}"


@pytest.fixture(scope="module")
def real_data(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> RealData:
    source = members(tmp_path_factory.mktemp("club") / "members.csv")
    choice = Choice(registry.find(DatasetSpec, "csv"), CsvConfig(conditions=True))
    kinds = Kinds(registry)
    return RealData.open(choice, source, open_dataset(choice, source, kinds).fields[0], kinds)


def scored(registry: Registry, real_data: RealData, rows: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Scores of rows, and of training rows in their place."""
    feature_space = feature_space_of(registry, real_data)
    real, training = reference_samples(feature_space, real_data, 10_000)
    assert training is not None
    scorer = Scorer(chosen_metrics(registry, NAMES), feature_space, real_data)
    fake = Sampled(
        feature_space, stored(real_data.media, real_data.field, rows, real_data.excluded), real=real
    )
    field = real_data.field
    return scorer.scores(Comparison(feature_space, fake, real, training, 0, field=field)), scorer.scores(
        Comparison(feature_space, training, real, training, 0, field=field), reference=True
    )


def independent(real_data: RealData, seed: int = 1) -> Any:
    """Rows whose columns are those of training rows, drawn each by itself."""
    random, rows = np.random.default_rng(seed), real_data.training.arrays["row"]
    made = np.zeros((len(real_data.dataset.arrays["row"]), rows.shape[1]), np.float32)
    for place in tabular.places(real_data.field.columns):
        own = [*range(place.start, place.stop), *([place.value] if place.value >= 0 else [])]
        made[:, own] = rows[random.integers(0, len(rows), len(made))][:, own]
    return made


def untrained(real_data: RealData, seed: int = 1) -> Any:
    """As a generator writes them that learned nothing."""
    shape = real_data.dataset.arrays["row"].shape
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("make", [independent, untrained])
def test_rows_that_mean_nothing_are_worse_than_real_ones_and_no_copies(
    registry: Registry, real_data: RealData, make: Any
) -> None:
    found, real = scored(registry, real_data, make(real_data))
    assert found["frechet"] > 2 * real["frechet"]
    assert found["coverage"] < real["coverage"] - 0.1
    assert found["pair_correlation"] > 2 * real["pair_correlation"]
    assert found["copied"] <= 0.01
    assert not any("FAILED" in text for text in conclusions(found, {}))


def test_copies_are_still_found(registry: Registry, real_data: RealData) -> None:
    order = np.random.default_rng(3).permutation(real_data.training.count)[: real_data.dataset.count]
    found, _ = scored(registry, real_data, real_data.training.arrays["row"][order])
    assert found["copied"] > 0.1
    assert any("FAILED" in text for text in conclusions(found, {}))


def test_what_is_left_out_is_said(real_data: RealData) -> None:
    assert real_data.excluded == ("joined",)
    (note,) = real_data.notes
    assert "'joined'" in note
    assert "320 real rows" in note


def field_of(*columns: Column) -> Field:
    width = sum(column.indicators + bool(column.centres) for column in columns)
    return Field(name="row", shape=(width,), range=(-1.0, 1.0), columns=columns)


def category(name: str, count: int) -> Column:
    return Column(name=name, values=tuple(f"v{at}" for at in range(count)))


def test_only_categories_with_hardly_a_row_for_each_value_are_left_out() -> None:
    number = Column(name="x", centres=(0.0,), widths=(1.0,), bounds=(-4.0, 4.0))
    field = field_of(number, category("few", 10), category("some", 160), category("many", 161))
    assert tabular.high_cardinality(field, 320) == ("many",)
    assert tabular.high_cardinality(field, 12) == ("some", "many")
    assert tabular.widths(field, ("some",)) == (1, 10, 161)
    assert tabular.widths(Field(name="point", shape=(2,))) == ()
    assert tabular.high_cardinality(field_of(category("a", 50), category("b", 60)), 20) == ()


def test_each_column_counts_alike() -> None:
    """Of two random rows the squared distance within a column is 2 on average, be it number or category."""
    random = np.random.default_rng(0)
    number = Column(name="x", centres=(0.0,), widths=(1.0,), bounds=(-4.0, 4.0), decimals=6)
    field = field_of(number, category("two", 2), category("many", 40))
    rows = np.zeros((2_000, 44), np.float32)
    each = np.arange(len(rows))
    rows[each, (random.random(len(rows)) < 0.1).astype(int)] = 1
    rows[each, 2 + random.geometric(0.2, len(rows)).clip(max=40) - 1] = 1
    rows[:, 42] = 1
    rows[:, 43] = random.normal(0, 0.25, len(rows)).clip(-1, 1)
    feature_space = FeatureSpace(None, None, None, None, stacked=False, widths=tabular.widths(field))
    features = Sampled(feature_space, stored(Rows(), field, rows), real=None).features
    parts = np.split(features, np.cumsum(feature_space.widths)[:-1], axis=1)
    for part in parts:
        assert 2 * part.var(0).sum() == pytest.approx(2, rel=1e-3)
    apart = np.square(parts[2][:, None] - parts[2]).sum(2)
    assert len(np.unique(apart[apart > 1e-3].round(3))) == 1  # rare values are no further than frequent ones
