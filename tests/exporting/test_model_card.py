"""The command that a card shows: it names no place of a machine, and a shell takes it as it stands."""

from __future__ import annotations

import shlex

import pytest

from ganzoo.api import Field
from ganzoo.exporting.from_run import _command
from ganzoo.exporting.model_card import usage


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("csv:/home/me/people.csv", "csv:people.csv"),
        ("folder:/data/photos/", "folder:photos"),
        ("pairs:photos", "pairs:photos"),
        ("/home/me/settings.toml", "settings.toml"),
        ("--run-dir=/home/me/run", "--run-dir=run"),
        (r"folder:C:\Users\me\photos", "folder:C:photos"),
        ("data.source=csv:/home/me/a b.csv", "data.source=csv:a b.csv"),
        ('data.leave_out=["id","joined"]', 'data.leave_out=["id","joined"]'),
        ("terms.r1.gamma=0.05", "terms.r1.gamma=0.05"),
        ("/home/me=x:/data", "data"),
    ],
)
def test_places_go_and_the_rest_can_be_pasted(word: str, shown: str) -> None:
    command = _command(["/usr/bin/ganzoo", "train", "ctgan", "--data", word])
    assert shlex.split(command) == ["ganzoo", "train", "ctgan", "--data", shown]


@pytest.mark.parametrize("name", ["a to b", "b's", "plain"])
def test_the_name_of_a_generator_is_one_word_of_the_command(name: str) -> None:
    z, x = Field(name="z", shape=(2,), source="normal"), Field(name="x", shape=(2,))
    (options,) = usage({name: ((z,), (x,)), "other": ((z,), (x,))})
    assert shlex.split(options)[:2] == ["--generator", name]
