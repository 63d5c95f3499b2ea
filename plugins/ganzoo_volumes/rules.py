"""Which recipe suits volumes; no torch here."""

from __future__ import annotations

from ganzoo.api import DataInfo


def suits(data: DataInfo) -> float:
    """Volumes from 8x8x8 voxels: 0.7."""
    volume = data.field("volume") if "volume" in data else None
    return 0.7 if volume is not None and len(volume.shape) == 4 and min(volume.shape[1:]) >= 8 else 0.0
