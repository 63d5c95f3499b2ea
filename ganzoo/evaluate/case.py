"""Which network looks at samples of some data, and the evidence that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError
from ganzoo.evaluate.evidence import Labels, Sampled, in_parts
from ganzoo.evaluate.lens import Lens
from ganzoo.evaluate.reference import Reals
from ganzoo.registry import Registry
from ganzoo.settings import build
from ganzoo.specs import ExtractorSpec

EXTRACTOR, JUDGE = "efficientnet-lite0", "judge"


def lens_for(
    registry: Registry, reals: Reals, extractor: str = EXTRACTOR, weights: Path | None = None
) -> Lens:
    """The lens for samples of this data: an extractor for pictures, a judge where there are labels."""
    is_image = reals.field.is_image
    item = registry.find(ExtractorSpec, extractor) if is_image else None
    options = None
    if item is not None and item.spec.config is not None:
        given = {"weights": str(weights)} if weights is not None else {}
        options = build(item.spec.config, given, f"extractor {item.name}", {})
    judges = [found for found in registry.of_kind(ExtractorSpec) if found.spec.trained]
    named = [found for found in judges if found.name == JUDGE] or judges
    labelled = is_image and reals.label is not None and bool(named)
    if item is not None and item.spec.trained and not labelled:
        raise UsageError(f"The extractor '{item.name}' learns from labels, which this data does not have.")
    if item is not None and item.spec.trained:
        named = [item]  # one judge for features and opinions
    return Lens(item, options, named[0] if labelled else None, reals.lesson if labelled else None)


def asked_of(reals: Reals, inputs: Mapping[str, Any]) -> Labels | None:
    """The classes among a generator's inputs, (n, parts); None where it is asked for none."""
    asked = inputs.get(reals.label.name) if reals.label is not None else None
    return None if asked is None else in_parts(asked)


def real_side(lens: Lens, reals: Reals, n: int) -> tuple[Sampled, Sampled | None]:
    """The samples to compare with, from which the lens takes its scale, and as many of the training."""
    real = reals.real(lens, n)
    lens.fit(real.raw_features)
    return real, reals.trained_on(lens, len(real))
