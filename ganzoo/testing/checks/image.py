"""Checks of architectures for images: that they cover the range of the data, and work at odd sizes."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganzoo.api.networks import Net
from ganzoo.api.training import Batch
from ganzoo.errors import DataError, PluginError, SettingsError
from ganzoo.fields import DataInfo, Field
from ganzoo.networks.apply import apply
from ganzoo.networks.build import build_networks
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.targets import ArchitectureTarget

NEAR = 0.1  # of the range: so near to either end must the mean of all pixels come
RATES = ((0.02, 60), (0.002, 100))
"""Adam's, with steps: the second for nets that the first blows up. The built-in ones take 1 to 3 steps."""


def _is_image(field: Field) -> bool:
    """Of any number of channels. The mean of a row may be bound: that of one-hot columns is."""
    return field.dtype == "float32" and len(field.shape) == 3


@check("architecture", "stays-in-range", "samples-do-not-mix")
def covers_its_range(target: ArchitectureTarget) -> None:
    """A generator can learn dark images, and bright ones, to within a tenth of the ends of their range."""
    batch, looked_at = target.batch(4), 0
    for name, net in target.networks().generators.items():
        for key in net.writes:
            field = target.fields[key]
            if field.range is None or not _is_image(field):
                continue
            looked_at += 1
            low, high = field.range
            slack = NEAR * (high - low)
            darkest, brightest = (_taught(net, key, batch, end, slack) for end in field.range)
            demand(
                darkest <= low + slack and brightest >= high - slack,
                f"Taught to be as low and as high as it can, the mean of '{key}' from '{name}' goes "
                f"from {darkest:.3g} to {brightest:.3g}, declared is {low:g} to {high:g}.",
                "end in ganzoo.api.Bounded(field.range), with the range of the data",
            )
    if not looked_at:
        raise NotApplicable("it makes no images of a declared range")


def _taught(net: Net, key: str, batch: Batch, end: float, slack: float) -> float:
    """How near the mean of a field comes to that end of its range when a generator learns just that.

    The weights are as before afterwards.
    """
    fresh = {name: value.clone() for name, value in net.module.state_dict().items()}
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
            net.module.load_state_dict(fresh)
        return min(means, key=lambda mean: abs(mean - end))
    finally:
        net.module.load_state_dict(fresh)


@check("architecture", "shapes-fit-any-batch")
def fits_odd_sizes(target: ArchitectureTarget) -> None:
    """Networks for images of an odd height, another width and 3 channels fit, or DataError refuses them."""
    info = DataInfo(fields=tuple(_odd(field) for field in target.info.fields), count=target.info.count)
    if info == target.info:
        raise NotApplicable("its data holds no images")
    shape = next(field.shape for field in info.fields if _is_image(field))
    try:
        build_networks(target.plan, info)
    except (DataError, SettingsError):
        return
    except Exception as error:
        what = error.what if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        raise Failed(
            f"For images of {'x'.join(map(str, shape))} its networks do not fit: {what}",
            "start from map_sizes of ganzoo.api and end in its Crop; or raise DataError for such sizes",
        ) from error


def _odd(field: Field) -> Field:
    """8x8 -> 17x24, of 3 channels; other fields as they are."""
    if not _is_image(field):
        return field
    player = min(field.shape[1:])
    return replace(field, shape=(3, 2 * player + 1, 3 * player))
