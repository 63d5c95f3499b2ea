"""Tables: CSV files as data, and CTGAN (Xu et al. 2019)."""

from __future__ import annotations

from ganzoo.api import ArchitectureSpec, DatasetSpec, RecipeSpec, TermSpec, hookimpl
from ganzoo_tables.config import ConditionConfig, CsvConfig, TabularConfig, ToyTableConfig
from ganzoo_tables.recipes import CTGAN, RECIPES

GANZOO_API_VERSION = 2


@hookimpl
def ganzoo_datasets() -> list[DatasetSpec]:
    """`csv` and `toy-table`."""
    return [
        DatasetSpec(
            name="csv",
            summary="a table: one CSV file with a header, of numbers and categories",
            paper=f"{CTGAN}, section 4.2",
            factory="ganzoo_tables.datasets:open_csv",
            held_out="ganzoo_tables.datasets:open_csv_held_out",
            config=CsvConfig,
            argument="PATH",
            reads=(".csv", ".csv.gz"),
        ),
        DatasetSpec(
            name="toy-table",
            summary="customers of an invented shop, six dependent columns; nothing to download",
            factory="ganzoo_tables.datasets:open_toy",
            held_out="ganzoo_tables.datasets:open_toy_held_out",
            config=ToyTableConfig,
        ),
    ]


@hookimpl
def ganzoo_architectures() -> list[ArchitectureSpec]:
    """`tabular`."""
    return [
        ArchitectureSpec(
            name="tabular",
            summary="Rows of a table: a softmax for each column's categories or modes, optional condition.",
            paper=f"{CTGAN}, section 4.4",
            factory="ganzoo_tables.networks:build",
            config=TabularConfig,
            needs=("row",),
            defaults={"data.conditions": True},
        )
    ]


@hookimpl
def ganzoo_terms() -> list[TermSpec]:
    """`condition`."""
    return [
        TermSpec(
            name="condition",
            summary="CTGAN: cross entropy between the value of the condition and the generated row.",
            paper=f"{CTGAN}, section 4.3",
            factory="ganzoo_tables.terms:condition",
            config=ConditionConfig,
            role="generator",
        )
    ]


@hookimpl
def ganzoo_recipes() -> list[RecipeSpec]:
    """A small one for a CPU, and the published one."""
    return list(RECIPES)
