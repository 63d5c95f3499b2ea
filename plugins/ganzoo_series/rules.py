"""Which recipe suits which series. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo

FIELD = 127  # receptive field of `quantgan`


def _facts(data: DataInfo) -> dict[str, object]:
    return dict(data.field("series").facts) if "series" in data else {}


def suits_rcgan(data: DataInfo) -> float:
    """Any series, 0.5."""
    return 0.5 if _facts(data) else 0.0


def suits_quantgan(data: DataInfo) -> float:
    """Returns in windows of its receptive field or longer: 1."""
    facts = _facts(data)
    return 1.0 if facts.get("start") and data.field("series").shape[0] >= FIELD else 0.0


def suits_doppelganger(data: DataInfo) -> float:
    """Series with ends or attributes: 1."""
    return 1.0 if _facts(data) and (_facts(data).get("ends") or "attributes" in data) else 0.0
