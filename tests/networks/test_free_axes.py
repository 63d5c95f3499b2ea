"""Generators with free axes train as others do, and one that cannot have them is refused with its layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganzoo
from ganzoo.config.resolve import resolve
from ganzoo.errors import PluginError
from ganzoo.fields import DataInfo
from ganzoo.networks.apply import declared
from ganzoo.networks.free_axes import check_free_axes, other_steps
from ganzoo.registry.registry import load_registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from tests.helpers.free_axes import PLUGIN

Install = Callable[..., Path]


def built(build: str, data: str, *changes: tuple[str, str]) -> Any:
    """Networks and facts of the data from the plugin's source after some changes."""
    source = PLUGIN
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    names: dict[str, Any] = {"__name__": "free_axes"}
    exec(source, names)  # noqa: S102 - our own text, with a change
    info = DataInfo(fields=names[data]("").fields, count=40)
    return names[build](None, info), info


@pytest.mark.parametrize(
    ("recipe", "size"),
    [("test-enlarger", {}), ("test-voice", {"time": 20}), ("test-series", {"time": 300})],
)
def test_it_trains_resumes_exactly_and_is_sampled_at_another_size(
    install: Install, tmp_path: Path, recipe: str, size: dict[str, int]
) -> None:
    install("free-dist", "free", PLUGIN)
    registry = load_registry()
    settings = {"train.device": "cpu", "train.images": 32, "train.batch_size": 4, "ema.half_life": 20}
    plan = resolve(recipe, registry, overrides=settings)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=16)
    parts = Run.open(parts.path)
    parts, outcome = resume(parts, resolve(str(parts.settings_file), registry), NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    if size:
        generator = ganzoo.load(ganzoo.export(whole, tmp_path / "bundle"), provider="cpu")
        multiple, tried = generator.multiples["time"], generator.parity["sizes"]
        assert [size["time"] for size in tried] == [7 * multiple, 9 * multiple, 16 * multiple]
        made, at = generator.generate(2, size=size), generator.outputs[0].axes.index("time") + 1
        assert made.shape[at] == size["time"]
        assert np.isfinite(made).all()


def test_free_axes_come_from_the_architecture_and_the_fields() -> None:
    networks, info = built("voice", "sounds")
    fields = declared(networks, info)
    assert fields["sound"].free == {"time": 4}
    assert fields["z"].free == {"time": 1}
    assert info.field("sound").free == {}


def test_other_sizes_are_fewer_and_more_and_differ_between_axes() -> None:
    assert other_steps({"height": 4, "width": 4}) == [
        {"height": 3, "width": 3},
        {"height": 5, "width": 6},
        {"height": 8, "width": 8},
    ]
    assert other_steps({"time": 1}) == [{"time": 2}, {"time": 2}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("self.mix = nn.Identity()", "self.mix = nn.Linear(16, 16)")], "the layer 'mix', Linear"),
        ([("self.mix = nn.Identity()", "self.mix = nn.AdaptiveAvgPool1d(16)")], "'mix', AdaptiveAvgPool1d"),
        ([("nn.Upsample(scale_factor=2)", "nn.Upsample(size=32)")], "look at the layer 'last.0', Upsample"),
        (
            [("return self.last(", "z = z.reshape(len(z), 4, 8); return self.last(")],
            "forward of Voice fails",
        ),
        ([('"sound": {"time": 4}', '"sound": {"time": 8}')], "the axis 'time' has"),
        ([('"sound": {"time": 4}', '"sound": {"pitch": 4}')], "no axis 'pitch'.*channel, time"),
        ([('"sound": {"time": 4}', '"sound": {"time": 5}')], "not 5"),
        ([('"sound": {"time": 4}', '"noise": {"time": 4}')], "nothing declares"),
        (
            [('range=(-1.0, 1.0), axes=("channel", "time")', "range=(-1.0, 1.0)")],
            "no axis 'time' that could be free; its axes are: none",
        ),
        ([(', free={"time": 1}),)', "),)")], "but in none of the fields it reads"),
    ],
)
def test_networks_that_cannot_have_the_free_axis(changes: list[tuple[str, str]], message: str) -> None:
    networks, info = built("voice", "sounds", *changes)
    with pytest.raises(PluginError, match=message):
        check_free_axes(networks, info, "here")
    assert networks.generators["generator"].module.training


LOOP = """
        state, made = z.new_zeros(z.shape[0], 8), []
        for step in z.unbind(1):
            state = self.first(step, state)
            made.append(state)
        return self.last(torch.stack(made, 1)).tanh()
"""
LAYER = "self.last = nn.Linear(8, 2)"
RETURN = "        return self.last(self.first(z)[0]).tanh()\n"


def placed(code: str, call: str) -> list[tuple[str, str]]:
    """A layer `more` between the recurrent layer and the last one."""
    return [
        (LAYER, f"{LAYER}; self.more = {code}"),
        (RETURN, f"        more = self.more; x = self.first(z)[0]; return self.last({call}).tanh()\n"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [
                (LAYER, "self.last = nn.Linear(64, 16)"),
                (RETURN, "        return self.last(self.first(z)[0].flatten(1))"),
            ],
            "the layer 'last', Linear.*fails",
        ),
        (placed("nn.Parameter(torch.zeros(8, 8))", "x + more"), "forward of Series fails"),
        (placed("nn.Sequential(Positions())", "more(x)"), r"the layer 'more.0', Positions\(\), fails"),
        (placed("nn.BatchNorm1d(8)", "more(x)"), r"the layer 'more', BatchNorm1d\(8,.*fails"),
        (placed("nn.LayerNorm((8, 8))", "more(x)"), "the layer 'more', LayerNorm.*fails"),
        (placed("nn.AdaptiveAvgPool2d((8, None))", "more(x)"), "look at the layer 'more', AdaptiveAvgPool2d"),
        (placed("nn.LSTM(8, 9, proj_size=8)", "more(x)[0]"), "the layer 'more', LSTM.*projections"),
        (
            [
                ("self.first = nn.GRU(4, 8, batch_first=True)", "self.first = nn.GRUCell(4, 8)"),
                (RETURN, LOOP),
            ],
            r"(forward of Series|the layer 'first', GRUCell\(4, 8\),) computes \d+ operations at fewer",
        ),
    ],
)
def test_recurrent_networks_that_cannot_have_the_free_axis(
    changes: list[tuple[str, str]], message: str
) -> None:
    positions = """
class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.zeros(8, 8))
    def forward(self, x):
        return x + self.table

class Series(nn.Module):"""
    networks, info = built("recurrent", "tables", ("class Series(nn.Module):", positions), *changes)
    with pytest.raises(PluginError, match=message):
        check_free_axes(networks, info, "here")


def test_an_axis_that_only_one_size_fits_is_found(install: Install, tmp_path: Path) -> None:
    install("free-dist", "free", PLUGIN.replace("self.mix = nn.Identity()", "self.mix = nn.Linear(16, 16)"))
    plan = resolve("test-voice", load_registry(), overrides={"train.device": "cpu"})
    with pytest.raises(PluginError, match=r"Linear.*fails for 'z'"):
        start(plan, tmp_path / "run", NullReporter())
    assert not (tmp_path / "run").exists()
