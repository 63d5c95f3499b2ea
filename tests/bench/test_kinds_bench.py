"""The page about the toys: what its figures of learning say of real samples and of noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.kinds import PAGE, page, records
from benchmarks.kinds_learned import MEASURES
from ganzoo.api import as_floats
from ganzoo.scaffold import DATA_KINDS, Names, package_files

LEARNED = {
    "clips": "in one place",
    "image": "explained",
    "series": "explained",
    "sound": "at the notes",
    "tokens": "right",
}


@pytest.mark.parametrize("kind", DATA_KINDS)
def test_real_samples_are_better_than_noise(kind: str) -> None:
    source = package_files(Names("toy"), {kind}, licence="none", author="")["ganzoo_toy/data.py"]
    module: dict[str, Any] = {}
    exec(source, module)  # noqa: S102 - a template of ganzoo
    data = module["open_data"]("", None)
    field = data.fields[0]
    real = as_floats(field, np.asarray(data.arrays[field.name][:100]))
    low, high = field.range
    noise = np.random.default_rng(0).uniform(low, high, real.shape)
    name = LEARNED[kind]
    good, bad = (MEASURES[kind](samples, field.facts)[name] for samples in (real, noise))
    assert good > 0.6
    assert bad < 0.3


def test_the_page_is_what_the_records_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(records())
