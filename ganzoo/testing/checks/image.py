"""Checks of architectures for images: they cover the range of the data, and work at odd sizes."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganzoo.api.networks import Net
from ganzoo.api.training import Batch
from ganzoo.errors import DataError, PluginError, SettingsError
from ganzoo.fields import PIXELS, DataInfo, Field
from ganzoo.networks.apply import apply
from ganzoo.networks.build import build_networks
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.targets import ArchitectureTarget

NEAR = 0.1  # the mean of all pixels must come this near to either end, as a share of the range
RATES = ((0.02, 60), (0.002, 100))
"""Learning rates of Adam, with steps: the second for networks that diverge with the first one. The built-in
networks take 1 to 3 steps."""


def _is_image(field: Field) -> bool:
    """Whether it is an image, with any number of channels; rows are not: one-hot columns fix their mean."""
    return field.dtype == "float32" and field.axes == PIXELS


@check("architecture", "stays-in-range", "samples-do-not-mix")
def covers_its_range(target: ArchitectureTarget) -> None:
    """A generator can learn dark and bright images, to within a tenth of the ends of their range."""
    batch, checked = target.batch(4), 0
    for name, net in target.networks().generators.items():
        for key in net.writes:
            field = target.fields[key]
            if field.range is None or not _is_image(field):
                continue
            checked += 1
            low, high = field.range
            slack = NEAR * (high - low)
            darkest, brightest = (_trained_mean(net, key, batch, end, slack) for end in field.range)
            demand(
                darkest <= low + slack and brightest >= high - slack,
                f"Trained towards both ends of its range, the mean of '{key}' from '{name}' goes from "
                f"{darkest:.3g} to {brightest:.3g}, but {low:g} to {high:g} is declared.",
                "let it end with ganzoo.api.Bounded(field.range), with the range of the data; if it does, "
                f"the network may be too small to get there in {sum(steps for _, steps in RATES)} steps: "
                "give it biases, or more layers",
            )
    if not checked:
        raise NotApplicable("it writes no images with a declared range")


def _trained_mean(net: Net, key: str, batch: Batch, end: float, slack: float) -> float:
    """The mean of a field after training the generator to bring it near `end` of its range.

    The weights are restored afterwards.
    """
    initial = {name: value.clone() for name, value in net.module.state_dict().items()}
    learning = [value for value in net.module.parameters() if value.requires_grad]
    means: list[float] = []
    net.module.eval()
    try:
        for rate, steps in RATES:
            adam = torch.optim.Adam(learning, lr=rate) if learning else None
            for _ in range(steps):
                mean = apply(net, batch)[key].float().mean()
                if adam is None or not mean.requires_grad:
                    raise NotApplicable(f"the mean of '{key}' depends on no parameter")
                means.append(mean.item())
                if abs(means[-1] - end) <= slack:
                    return means[-1]
                adam.zero_grad()
                ((mean - end).abs() / slack).backward()  # type: ignore[no-untyped-call]
                adam.step()
            net.module.load_state_dict(initial)
        return min(means, key=lambda mean: abs(mean - end))
    finally:
        net.module.load_state_dict(initial)


@check("architecture", "shapes-fit-any-batch")
def fits_odd_sizes(target: ArchitectureTarget) -> None:
    """Networks work for images of an odd height, another width and 3 channels, or raise DataError."""
    info = DataInfo(fields=tuple(_odd(field) for field in target.info.fields), count=target.info.count)
    if info == target.info:
        raise NotApplicable("its data has no images")
    shape = next(field.shape for field in info.fields if _is_image(field))
    try:
        build_networks(target.plan, info)
    except (DataError, SettingsError):
        return
    except Exception as error:
        what = error.what if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        raise Failed(
            f"For images of {'x'.join(map(str, shape))} its networks do not work: {what}",
            "use map_sizes and Crop of ganzoo.api; or raise DataError for such sizes",
        ) from error


def _odd(field: Field) -> Field:
    """8x8 -> 17x24 with 3 channels; other fields do not change."""
    if not _is_image(field):
        return field
    side = min(field.shape[1:])
    return replace(field, shape=(3, 2 * side + 1, 3 * side))
