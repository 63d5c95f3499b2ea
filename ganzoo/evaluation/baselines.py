"""Reference rows: scores of real samples, computed once for each set of real samples and cached."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ganzoo._version import __version__
from ganzoo.evaluation.comparison import Comparison
from ganzoo.evaluation.corruptions import REPEATED, SHARE, corrupted
from ganzoo.evaluation.features import FeatureSpace
from ganzoo.evaluation.metrics import Failures, Scorer
from ganzoo.evaluation.real_data import FEWEST, RealData
from ganzoo.evaluation.samples import Sampled
from ganzoo.util.cache import keep_cached, read_cached

Rows = dict[str, dict[str, float]]


def reference_rows(
    scorer: Scorer,
    feature_space: FeatureSpace,
    real_data: RealData,
    real: Sampled,
    training: Sampled | None,
    failures: Failures | None = None,
) -> Rows:
    """Scores of real samples and of corrupted real samples, with the same protocol, each with its `n`.

    `failures` as for `Scorer.scores`; rows without the scores of a metric that failed are not kept.
    """
    key = _key(scorer, feature_space, real_data, len(real))
    rows = _read(key)
    if rows is not None:
        return rows
    rows, other = {}, training
    if other is None:  # no held-out samples: compare one half of the data with the other
        half = len(real) // 2
        real, other = real.subset(slice(half)), real.subset(slice(half, 2 * half))
    errors: Failures | None = None if failures is None else {}
    for name, make in corrupted(other, real_data).items():
        fake = make()
        comparison = Comparison(feature_space, fake, real, training, 0, field=real_data.field)
        if row := scorer.scores(comparison, reference=True, failures=errors):
            rows[name] = {"n": len(fake), **row}
    if failures is not None and errors:
        failures |= errors | failures  # the first error of a metric stays
        return rows
    keep_cached("references", key, json.dumps(rows).encode())
    return rows


def _key(scorer: Scorer, feature_space: FeatureSpace, real_data: RealData, n: int) -> str:
    facts: list[Any] = [
        __version__,
        real_data.kinds.version(real_data.field.kind),
        REPEATED,
        SHARE,
        FEWEST,
        scorer.identity,
    ]
    facts += [n, feature_space.distance, feature_space.classifier.identity if scorer.needs_classifier else ""]
    facts += [real_data.dataset.fingerprint, real_data.training.fingerprint, real_data.field.name]
    extractor = feature_space.extractor
    facts += [
        ["values", feature_space.widths] if extractor is None else [extractor.identity, extractor.protocol]
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(key: str) -> Rows | None:
    kept = read_cached("references", key)
    return None if kept is None else json.loads(kept)
