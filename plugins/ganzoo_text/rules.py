"""Which data suits the recipes for texts. Importing this must not import torch."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits_wgan(data: DataInfo) -> float:
    """Texts, where no recipe suits better: 0.5."""
    return 0.5 if _is_text(data) else 0.0


def suits_relgan(data: DataInfo) -> float:
    """Texts without classes, which its networks do not read: 0.8."""
    return 0.8 if _is_text(data) and "label" not in data else 0.0


def _is_text(data: DataInfo) -> bool:
    return any(field.kind.rpartition("/")[2] == "text" for field in data.fields)
