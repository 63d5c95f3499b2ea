"""The field `series` (T, C): its facts, and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganzoo.api import DataError, DataInfo, Field
from ganzoo_series.clock import Clock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ganzoo_series.transform import Scale

KIND, TIME, CHANNEL = "series", "time", "channel"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the facts of a field say.

    `columns` are the names of the channels, `scales` their numbers. With `start`, networks see log returns,
    and a written series starts from these values. With `ends`, one more channel is above 0 as long as a
    sample goes on; each sample ends with its first step at which it is not. `decimals` are those of each
    column in the data, or -1 for more than 8; empty for log returns, which few decimals would change.
    """

    columns: tuple[str, ...]
    scales: tuple[Scale, ...]
    clock: Clock
    start: tuple[float, ...] = ()
    ends: bool = False
    decimals: tuple[int, ...] = ()

    def facts(self) -> dict[str, Any]:
        """As the facts of a field; `of` is the inverse."""
        return {
            "columns": list(self.columns),
            "scales": [list(scale) for scale in self.scales],
            "clock": self.clock.to_json(),
            "start": list(self.start),
            "ends": self.ends,
            **({"decimals": list(self.decimals)} if self.decimals else {}),
        }

    @classmethod
    def of(cls, field: Field) -> Layout:
        """ValueError for facts that are incomplete or of another shape."""
        from ganzoo_series.transform import Scale

        facts = field.facts
        try:
            layout = cls(
                columns=tuple(map(str, facts["columns"])),
                scales=tuple(Scale(*map(float, numbers)) for numbers in facts["scales"]),
                clock=Clock.from_json(facts["clock"]),
                start=tuple(map(float, facts["start"])),
                ends=bool(facts["ends"]),
                decimals=tuple(int(number) for number in facts.get("decimals", ())),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"a series needs the facts columns, scales, clock, start, ends: {error}"
            ) from error
        channels = len(layout.columns)
        if len(field.shape) != 2 or field.shape[1] != channels + layout.ends or channels < 1:
            raise ValueError("a series has the shape (T, C), and a name for each channel")
        if len(layout.scales) != channels or len(layout.start) not in (0, channels):
            raise ValueError("a series has a scale for each column, and a start for each or none")
        if len(layout.decimals) not in (0, channels) or not all(-1 <= n <= 8 for n in layout.decimals):
            raise ValueError("a series has a number of decimals from -1 to 8 for each column, or none")
        return layout

    def field(self, length: int, bounded: bool) -> Field:
        """The field of samples of this length."""
        return Field(
            name=KIND,
            shape=(length, len(self.columns) + self.ends),
            kind=KIND,
            axes=(TIME, CHANNEL),
            range=(-1.0, 1.0) if bounded else None,
            facts=self.facts(),
        )

    def lengths(self, samples: NDArray[Any]) -> NDArray[np.intp]:
        """The number of time steps of each sample (N, T, C)."""
        import numpy as np

        whole = np.full(len(samples), samples.shape[1], np.intp)
        if not self.ends:
            return whole
        over = samples[..., -1] <= 0
        result: NDArray[np.intp] = np.where(over.any(1), over.argmax(1) + 1, whole)
        return result


def series_of(data: DataInfo) -> Field:
    """The field `series`; DataError unless it is (time, channel)."""
    series = data.field(KIND)
    if len(series.shape) != 2 or series.axes != (TIME, CHANNEL):
        raise DataError(
            "This architecture needs series of the shape (time, channel).",
            where=f"the field 'series' is {series.dtype} of the shape {series.shape}",
            fix="--data series:PATH of a CSV file, or --data sines",
        )
    return series
