"""Numbers that a schedule changes while a run trains, as networks, losses, terms and augmentations hold them.

A factory gets its options with a `ScheduledNumber` in place of each schedule. In arithmetic with tensors it
is a scalar tensor on the device, changed in place between cycles: a captured CUDA graph reads it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.config.schedule import OptionsT, Schedule, replaced
from ganzoo.errors import SettingsError


class ScheduledNumber(nn.Module):
    """The value of a schedule at this point of the run.

    A module that keeps it as an attribute takes it along to its device, into copies, and into an exported
    graph as a constant. It is no part of a state dict: its value follows from how far the run is. Used as a
    Python number it raises SettingsError, since that number would stay what it was.
    """

    value: Tensor

    def __init__(self, schedule: Schedule, path: str, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.schedule, self.path = schedule, path
        first = torch.tensor(schedule.at(0.0, 0), dtype=torch.float32, device=device)
        self.register_buffer("value", first, persistent=False)
        self._known = schedule.at(0.0, 0)

    def move(self, progress: float, images: int) -> None:
        """Take the value at a share `progress` of the run, after `images` images."""
        number = self.schedule.at(progress, images)
        if number != self._known:
            self.value.fill_(number)
            self._known = number

    def _refuse(self, *_: Any) -> Any:
        raise SettingsError(
            f"'{self.path}' cannot be a schedule: the code reads it once, as a number.",
            where=f"{self.path} = {self.schedule}",
            fix="give it a number",
        )

    __float__ = __int__ = __bool__ = __index__ = __round__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        def plain(item: Any) -> Any:
            return item.value if isinstance(item, ScheduledNumber) else item

        return func(*map(plain, args), **{key: plain(value) for key, value in (kwargs or {}).items()})


def _operator(name: str) -> Callable[..., Any]:
    def apply(self: ScheduledNumber, *others: Any) -> Any:
        return getattr(self.value, name)(*(o.value if isinstance(o, ScheduledNumber) else o for o in others))

    return apply


for _name in ("add", "sub", "mul", "truediv", "pow"):
    for _prefix in ("", "r"):
        setattr(ScheduledNumber, f"__{_prefix}{_name}__", _operator(f"__{_prefix}{_name}__"))
for _name in ("neg", "pos", "abs"):
    setattr(ScheduledNumber, f"__{_name}__", _operator(f"__{_name}__"))


def live(
    options: OptionsT, table: str, device: torch.device | str = "cpu"
) -> tuple[OptionsT, list[ScheduledNumber]]:
    """Options for a factory: a copy with a `ScheduledNumber` for each schedule, and those numbers.

    `table` is the table of settings that they stand in, for messages.
    """
    numbers: list[ScheduledNumber] = []

    def number(name: str, schedule: Schedule) -> ScheduledNumber:
        numbers.append(ScheduledNumber(schedule, f"{table}.{name}", device))
        return numbers[-1]

    return replaced(options, number), numbers


def scheduled_numbers(modules: Iterable[nn.Module]) -> list[ScheduledNumber]:
    """All scheduled numbers within modules, each once."""
    found = (part for module in modules for part in module.modules() if isinstance(part, ScheduledNumber))
    return list({id(part): part for part in found}.values())
