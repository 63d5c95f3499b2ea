"""Fields: what a declaration may hold, JSON and back, and the sizes of free axes."""

from __future__ import annotations

from typing import Any

import pytest

from ganzoo.fields import Field, resized, steps_of

LOW = Field(
    name="low", shape=(3, 16, 24), axes=("channel", "height", "width"), free={"height": 1, "width": 1}
)
HIGH = Field(
    name="high", shape=(3, 64, 96), axes=("channel", "height", "width"), free={"height": 4, "width": 4}
)


def test_a_field_is_read_back_as_it_was_written() -> None:
    field = Field(
        name="scan", shape=(1, 8, 8), kind="image", range=(-1.0, 1.0), original=(0.0, 4095.0),
        axes=("channel", "height", "width"), free={"width": 2}, facts={"unit": "HU", "depth": 12},
    )  # fmt: skip
    assert Field.from_json(field.to_json()) == field


def test_a_field_without_kind_has_the_same_json_as_before() -> None:
    assert set(Field(name="z", shape=(4,), source="normal").to_json()) == {
        "name", "shape", "dtype", "source", "range", "classes",
    }  # fmt: skip


def test_axes_of_one_name_have_the_same_number_of_steps() -> None:
    assert steps_of((LOW, HIGH)) == {"height": 16, "width": 24}
    steps = {"height": 5, "width": 7}
    assert (resized(LOW, steps).shape, resized(HIGH, steps).shape) == ((3, 5, 7), (3, 20, 28))
    assert resized(HIGH, {"time": 3}) is HIGH
    wider = Field(name="mask", shape=(32,), axes=("width",), free={"width": 1})
    with pytest.raises(ValueError, match="'width' has 24 steps, but 32 in 'mask'"):
        steps_of((LOW, wider))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"axes": ("height",)}, "has the axes"),
        ({"axes": ("a", "a")}, "has the axes"),
        ({"axes": ("a", "b"), "free": {"c": 1}}, "'c' of 'x' is no axis"),
        ({"axes": ("a", "b"), "free": {"a": 0}}, "has no multiple"),
        ({"axes": ("a", "b"), "free": {"a": 3}}, "size 4, not 3"),
        ({"original": (0, 255)}, "need a range"),
        ({"original": (5, 5), "range": (-1, 1)}, "are an interval"),
        ({"kind": 3}, "are text"),
        ({"facts": {1: 2}}, "are text"),
    ],
)
def test_declarations_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Field(name="x", shape=(4, 6), **wrong)
