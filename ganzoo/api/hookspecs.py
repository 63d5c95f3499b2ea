"""The hooks that a plugin may implement: signatures and docstrings, nothing else.

Each hook takes no arguments and returns a list of records from `ganzoo.api`. None runs inside a
training step, so the order in which plugins are found never changes a result.
"""

from __future__ import annotations

import pluggy

from ganzoo.api.specs import (
    ArchitectureSpec,
    AugmentationSpec,
    DatasetSpec,
    ExtractorSpec,
    LossSpec,
    MetricSpec,
    RecipeSpec,
    TermSpec,
)

hookspec = pluggy.HookspecMarker("ganzoo")


@hookspec
def ganzoo_architectures() -> list[ArchitectureSpec]:  # type: ignore[empty-body]
    """Generators and discriminators, built from the fields of the data."""


@hookspec
def ganzoo_losses() -> list[LossSpec]:  # type: ignore[empty-body]
    """Adversarial losses: formulas over scores."""


@hookspec
def ganzoo_terms() -> list[TermSpec]:  # type: ignore[empty-body]
    """Penalties and constraints that are used together with a loss."""


@hookspec
def ganzoo_augmentations() -> list[AugmentationSpec]:  # type: ignore[empty-body]
    """Changes of images before discriminators see them."""


@hookspec
def ganzoo_recipes() -> list[RecipeSpec]:  # type: ignore[empty-body]
    """Named runs: architecture + loss + data + settings."""


@hookspec
def ganzoo_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Kinds of data that `--data` can name."""


@hookspec
def ganzoo_extractors() -> list[ExtractorSpec]:  # type: ignore[empty-body]
    """Networks whose features of images are compared."""


@hookspec
def ganzoo_metrics() -> list[MetricSpec]:  # type: ignore[empty-body]
    """Scores of generated samples."""
