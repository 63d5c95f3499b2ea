"""Options of the extractors. Importing this must not import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InceptionConfig:
    """`weights`: the path of NVIDIA's `inception-2015-12-05.pt`."""

    weights: str = ""
