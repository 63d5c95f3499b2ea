"""Which recipe suits some data: asks the recipes that say so themselves."""

from __future__ import annotations

from ganzoo.api.specs import RecipeSpec
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import Layer
from ganzoo.data.open_data import open_data
from ganzoo.errors import UsageError
from ganzoo.fields import DataInfo
from ganzoo.registry.registry import Item, Registry, calling, factory_of


def suited(registry: Registry, overrides: Layer) -> tuple[Item[RecipeSpec], DataInfo]:
    """The recipe whose `suits` is highest for the data of `overrides`, and that data's fields.

    The first by name where two are equal. UsageError when none suits. Errors as in `open_data`.
    """
    candidates = [item for item in registry.of_kind(RecipeSpec) if item.spec.suits]
    data = Layer(
        overrides.origin, {key: value for key, value in overrides.values.items() if key[0] == "data"}
    )
    scores: dict[str, float] = {}
    if candidates:
        info = open_data(resolve(candidates[0].qualified, registry, overrides=data)).info
        for item in candidates:
            suits = factory_of(item, "suits")
            with calling(item):
                scores[item.qualified] = float(suits(info))
    if not any(score > 0 for score in scores.values()):
        raise UsageError(
            "No recipe says that it suits this data.",
            where=str(overrides.get("data", "source")),
            fix="name one: ganzoo list --kind recipe",
        )
    return max(candidates, key=lambda item: scores[item.qualified]), info
