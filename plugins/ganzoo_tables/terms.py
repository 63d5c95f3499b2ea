"""The term `condition`: a row shall have the value that it was asked for."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ganzoo.api import SettingsError, View
from ganzoo_tables.config import ConditionConfig

LEAST = 1.2e-38  # the smallest normal float32


def condition(config: ConditionConfig) -> Callable[[View], Tensor]:
    """Factory of `condition`: -weight * E log y_c, y_c being the indicator that the condition c names.

    Cross entropy between what was asked for and what was generated (Xu et al. 2019, section 4.3). The paper
    takes the softmax before the Gumbel noise; this takes the indicators that G writes, softmax((l + g) / t),
    whose gradient is on average over the noise 1 / t times as large when t is small: hence the weight. An
    indicator that underflows has no gradient: from a gap between logits of 87 t on. Data
    without conditions (a table of numbers alone) has nothing to ask for: 0.
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
        asked = row.gather(1, view.fake["condition"][:, None])
        return -config.weight * asked.clamp(min=LEAST).log().mean()

    return penalty
