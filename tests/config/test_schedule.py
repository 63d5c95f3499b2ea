"""Schedules: what their text means, and what is refused."""

from __future__ import annotations

import math

import pytest

from ganzoo.config.schedule import is_schedule, parse_schedule


def test_a_line_over_the_whole_run() -> None:
    line = parse_schedule("linear 10 -> 2")
    assert [line.at(share, 0) for share in (0.0, 0.25, 0.5, 1.0)] == [10, 8, 6, 2]


def test_a_cosine_burn_in_keeps_its_last_value() -> None:
    """R3GAN's: half a cosine from 0.2 to 0.05 within the first 100 images."""
    cosine = parse_schedule("cosine 0.2 -> 0.05 over 0..100 images")
    expected = 0.05 + 0.15 * (1 + math.cos(math.pi * 0.3)) / 2
    assert cosine.at(0.9, 30) == pytest.approx(expected)
    assert cosine.at(0.0, 100) == cosine.at(1.0, 10_000) == 0.05
    assert cosine.at(1.0, 0) == 0.2


def test_an_exponential_has_equal_ratios() -> None:
    grown = parse_schedule("exponential 1 -> 100 over 0.2..0.6")
    assert grown.at(0.1, 0) == 1
    assert grown.at(0.4, 0) == pytest.approx(10)
    assert grown.at(0.5, 0) / grown.at(0.4, 0) == pytest.approx(grown.at(0.4, 0) / grown.at(0.3, 0))
    assert parse_schedule("exponential -1 -> -4").at(0.5, 0) == pytest.approx(-2)


def test_points_are_joined_by_lines() -> None:
    points = parse_schedule("piecewise 0: 1, 0.5: 1, 0.75: 3, 1: 0")
    assert [points.at(share, 0) for share in (0.3, 0.5, 0.625, 0.75, 0.875, 1)] == [1, 1, 2, 3, 1.5, 0]
    assert points.values == (1, 1, 3, 0)


def test_the_text_is_kept_for_settings_files() -> None:
    assert str(parse_schedule("  linear   1 ->  0.5 ")) == "linear 1 -> 0.5"
    assert parse_schedule(str(parse_schedule("linear 1->5e-1"))).values == (1, 0.5)


@pytest.mark.parametrize(
    ("value", "expected"), [("linear 1 -> 2", True), ("linear", True), ("adam", 0), (3, 0)]
)
def test_what_is_meant_as_a_schedule(value: object, expected: bool | int) -> None:
    assert is_schedule(value) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linear", "is no schedule"),
        ("linear 1", "is no schedule"),
        ("linear 1 -> x", "is no schedule"),
        ("linear 1 -> 2 over 0.5..0.2", "rising order"),
        ("linear 1 -> 2 over 0..2", "outside of the run"),
        ("linear 1 -> 2 over -1..1", "outside of the run"),
        ("exponential 0 -> 1", "above 0"),
        ("exponential -1 -> 1", "above 0"),
        ("linear 1 -> 1e999", "not finite"),
        ("piecewise 0: 1, 0: 2", "rising order"),
        ("piecewise", "is no schedule"),
    ],
)
def test_schedules_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_schedule(text)
