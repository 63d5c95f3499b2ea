"""The term `condition`: a generated row should have the value that its condition gives."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ganzoo.api import SettingsError, View
from ganzoo_tables.config import ConditionConfig

LEAST = 1.2e-38  # the smallest normal float32


def condition(config: ConditionConfig) -> Callable[[View], Tensor]:
    """Factory of `condition`: -weight * E log y_c, where y_c is the indicator of the condition c.

    Cross entropy between the condition and the generated row (Xu et al. 2019, section 4.3). The paper takes
    the softmax without Gumbel noise; this takes the indicators that G writes, softmax((l + g) / t). For small
    t their gradient, averaged over the noise, is 1 / t times as large, so the weight is t. An indicator that
    underflows (logits more than 87 t apart) has no gradient. For data without conditions (a table of numbers
    only) the term is 0. SettingsError for a generator that writes no `row`.
    """

    def penalty(view: View) -> Tensor:
        if "row" not in view.written:
            raise SettingsError(
                "The term 'condition' needs a generator of rows.",
                where=f"this generator writes: {', '.join(view.written)}",
                fix="choose the architecture 'tabular', or terms.condition=false",
            )
        row = view.fake["row"]
        if "condition" not in view.fake:
            return 0 * row.sum()
        indicators = row.gather(1, view.fake["condition"][:, None])
        return -config.weight * indicators.clamp(min=LEAST).log().mean()

    return penalty
