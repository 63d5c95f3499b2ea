"""Which way scores are better."""

from __future__ import annotations

from ganzoo.api.specs import ExtractorSpec, MetricSpec
from ganzoo.registry.registry import Registry

__all__ = ["directions"]


def directions(registry: Registry) -> dict[str, str]:
    """Whether `lower` or `higher` is better, for each score that the metrics may have."""
    distances = [item.spec.distance for item in registry.of_kind(ExtractorSpec)]
    return {
        score.replace("{distance}", distance): way
        for item in registry.of_kind(MetricSpec)
        for score, way in item.spec.better.items()
        for distance in (*distances, item.name)
    }
