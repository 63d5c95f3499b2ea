"""The ganzoo plugin that offers each case as a recipe: the peers' own nets, the data, the losses.

Only contenders see it: `contender.plugged_in` puts its metadata on their path.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.speed.cases import CASES, Case
from ganzoo.api import ArchitectureSpec, DatasetSpec, LossSpec, RecipeSpec, hookimpl


@dataclass(frozen=True)
class NetsConfig:
    """Whose nets, by the name of the case."""

    case: str = ""


@dataclass(frozen=True)
class HalvedConfig:
    """`halved`: the discriminator's loss is the mean of its two parts instead of their sum."""

    halved: bool = False


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`peer-nets`."""
    return [
        ArchitectureSpec(
            name="peer-nets",
            summary="The networks of another project, imported from its checkout",
            factory="benchmarks.speed.networks:build",
            config=NetsConfig,
        )
    ]


@hookimpl
def ganzoo_losses() -> list[LossSpec]:
    """The losses of the peers that ganzoo has no plugin for."""
    return [
        LossSpec(
            name="sigmoid-cross-entropy",
            summary="Cross entropy of scores that are probabilities already",
            factory="benchmarks.speed.losses:SigmoidCrossEntropy",
            config=HalvedConfig,
        ),
        LossSpec(
            name="least-squares",
            summary="Mean square distance of scores from 1 and 0",
            factory="benchmarks.speed.losses:LeastSquares",
            config=HalvedConfig,
        ),
    ]


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`case`."""
    return [
        DatasetSpec(
            name="case",
            summary="Made-up images of a case",
            argument="NAME",
            factory="benchmarks.speed.data:open_case",
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """One for each case."""
    return [_recipe(case) for case in CASES.values()]


def _recipe(case: Case) -> RecipeSpec:
    return RecipeSpec(
        name=case.name,
        summary=case.summary,
        architecture="peer-nets",
        loss=case.loss,
        data=f"case:{case.name}",
        settings={"architecture.case": case.name, "train.batch_size": case.batch, **case.settings},
    )
