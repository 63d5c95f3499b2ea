"""Generators with free axes train as others do, and one that cannot have them is refused with its layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(("recipe", "size"), [("test-enlarger", {}), ("test-voice", {"time": 20})])
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
        assert generator.generate(2, size=size).shape == (2, 1, 20)
        assert generator.parity["sizes"] == [{"time": 28}, {"time": 36}, {"time": 64}]


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


def test_an_axis_that_only_one_size_fits_is_found(install: Install, tmp_path: Path) -> None:
    install("free-dist", "free", PLUGIN.replace("self.mix = nn.Identity()", "self.mix = nn.Linear(16, 16)"))
    plan = resolve("test-voice", load_registry(), overrides={"train.device": "cpu"})
    with pytest.raises(PluginError, match=r"Linear.*fails for 'z'"):
        start(plan, tmp_path / "run", NullReporter())
    assert not (tmp_path / "run").exists()
