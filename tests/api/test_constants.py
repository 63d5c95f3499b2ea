"""Inputs that are constant unless the caller chooses: declared, drawn, given from Python and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from onnx import helper

from ganzoo import runtime, sampling
from ganzoo.api import DataInfo, Field, Net, Networks
from ganzoo.cli.generate import command
from ganzoo.errors import PluginError, UsageError
from ganzoo.exporting.model_card import snippet
from ganzoo.networks.apply import example
from ganzoo.networks.build import _check_fields
from ganzoo.runtime.inputs import checked, spread
from ganzoo.training.compute.device import Engine
from tests.runtime.test_runtime import sealed

Z = Field(name="z", shape=(3,), source="normal")
PSI = Field(name="psi", source="constant", default=1.0)
SHIFT = Field(name="shift", shape=(3,), source="constant")
ROW = Field(name="row", shape=(3,))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Row = psi * z + shift."""
    nodes = [
        helper.make_node("Unsqueeze", ["psi", "one"], ["column"]),
        helper.make_node("Mul", ["z", "column"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["row"]),
    ]
    path = tmp_path_factory.mktemp("bundle") / "generator.onnx"
    path.write_bytes(sealed(nodes, (Z, PSI, SHIFT), (ROW,), [("one", np.array([1]))]))
    return path


@pytest.fixture(scope="module")
def generator(file: Path) -> runtime.Generator:
    return runtime.load(file, provider="cpu")


def z(n: int, seed: int = 0) -> np.ndarray:
    return sampling.draw([Z], n, seed)["z"]


def test_a_declaration_survives_json_and_others_look_as_before() -> None:
    assert Field.from_json(PSI.to_json()) == PSI
    assert "default" not in Z.to_json()
    assert Field.from_json(Z.to_json()) == Z


def test_everybody_who_draws_gives_the_default() -> None:
    drawn = sampling.draw([PSI, SHIFT], 2, seed=5)
    assert drawn["psi"].dtype == drawn["shift"].dtype == np.float32
    assert drawn["psi"].tolist() == [1, 1]
    assert drawn["shift"].tolist() == [[0] * 3] * 2
    trained = Engine(torch.device("cpu"), "fp32", torch.Generator()).noise([PSI, SHIFT], 2)
    made_up = example([PSI, SHIFT], 2)
    for batch in (trained, made_up):
        assert torch.equal(batch["psi"], torch.ones(2))
        assert torch.equal(batch["shift"], torch.zeros(2, 3))


def test_a_constant_does_not_move_the_stream_of_training() -> None:
    first, second = (Engine(torch.device("cpu"), "fp32", torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.noise([PSI, Z], 2)["z"], second.noise([Z], 2)["z"])


def test_left_alone_it_is_the_default(generator: runtime.Generator) -> None:
    np.testing.assert_allclose(generator.generate(4, seed=2), z(4, 2), rtol=1e-6)


@pytest.mark.parametrize("psi", [0.5, 0, np.float32(0.5), np.full(4, 0.5, np.float32)])
def test_a_number_is_enough(generator: runtime.Generator, psi: float | np.ndarray) -> None:
    wanted = z(4) * (0 if isinstance(psi, int) else 0.5)
    np.testing.assert_allclose(generator.generate(4, psi=psi), wanted, rtol=1e-6)


def test_each_sample_may_have_its_own(generator: runtime.Generator) -> None:
    psi, shift = np.array([0, 1], np.float32), np.array([[1, 2, 3], [0, 0, 0]], np.float32)
    made = generator.generate(2, psi=psi, shift=shift)
    np.testing.assert_allclose(made, [[1, 2, 3], z(2)[1]], rtol=1e-6)


def test_walks_keep_it(generator: runtime.Generator) -> None:
    whole, half = generator.interpolate(2, 3, seed=1), generator.interpolate(2, 3, seed=1, psi=0.5)
    np.testing.assert_allclose(half, whole / 2, rtol=1e-6)
    assert not np.allclose(whole[0], whole[1])


def test_only_constants_take_a_number(generator: runtime.Generator) -> None:
    with pytest.raises(UsageError, match=r"'z' was given as 0\.5") as wrong:
        generator.generate(2, z=0.5)
    assert wrong.value.fix == "the generator needs float32 of shape (2, 3), or 3 numbers for all samples"
    with pytest.raises(UsageError, match="no input 'phi'") as caught:
        generator.generate(2, phi=0.5)
    assert caught.value.fix == "its inputs are z, psi, shift"


@pytest.mark.parametrize("style", [(1, 0.5, -2), [1, 0.5, -2]])
def test_the_numbers_of_one_sample_hold_for_all(generator: runtime.Generator, style: Any) -> None:
    np.testing.assert_allclose(generator.generate(2, z=style), [style] * 2, rtol=1e-6)
    with pytest.raises(UsageError, match="'z' was given as"):
        generator.generate(2, z=style[:2])
    with pytest.raises(UsageError, match="'z' was given as"):
        generator.generate(2, z=["a", "b", "c"])


def test_whole_numbers_stay_whole() -> None:
    code = Field(name="code", dtype="int64", classes=("a", "b", "c"))
    assert spread(code, 2, 3).tolist() == [2, 2, 2]
    assert spread(code, 2.0, 3).dtype == np.int64
    with pytest.raises(UsageError, match=r"'code' was given as 1\.5"):
        checked(code, spread(code, 1.5, 3), 3)


def test_an_integer_cannot_be_one() -> None:
    bad = Networks(
        generators={"generator": Net(module=torch.nn.Linear(3, 3), reads=("z",), writes=("row",))},
        discriminators={},
        fields=(Z, Field(name="k", dtype="int64", source="constant", classes=("a",))),
    )
    with pytest.raises(PluginError, match="'k' is int64"):
        _check_fields(bad, DataInfo(fields=(ROW,), count=1), "here")


def test_the_card_shows_it() -> None:
    assert '"psi": np.full((16,), 1, np.float32)' in snippet("generator", (Z, PSI), (ROW,))


def called(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [str(file), "-n", "4", "--provider", "cpu", *arguments])


@pytest.mark.parametrize(
    ("arguments", "factor"),
    [
        (("--psi", "0.25"), 0.25),
        (("--set", "psi=0.25", "--set", "shift=0"), 0.25),
        (("--set", "psi=0.25", "--set", "shift=0,0,0"), 0.25),
    ],
)
def test_the_command_takes_numbers(
    file: Path, tmp_path: Path, arguments: tuple[str, ...], factor: float
) -> None:
    target = tmp_path / "made.npz"
    result = called(file, *arguments, "-o", str(target))
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load(target)["row"], factor * z(4), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"), [("psi", "takes NAME=NUMBER"), ("psi=much", "takes"), ("phi=1", "no input 'phi'")]
)
def test_the_command_says_what_it_cannot_take(file: Path, tmp_path: Path, text: str, message: str) -> None:
    result = called(file, "--set", text, "-o", str(tmp_path / "made.npz"))
    assert isinstance(result.exception, UsageError)
    assert message in result.exception.what
