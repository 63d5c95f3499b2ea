"""Stacked MNIST: its digits, labels and held-out stacks, and training with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import DataError, DatasetSpec, Field, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.data.dataset import open_source
from ganzoo.data.open_data import open_data
from ganzoo.evaluation.comparison import feature_space_of
from ganzoo.evaluation.real_data import RealData
from ganzoo.registry.registry import Registry, factory_of
from ganzoo_datasets.config import StackedConfig
from ganzoo_datasets.stacked import open_held_out, open_stacked
from tests.cli.test_cli import ganzoo
from tests.plugins.test_datasets import write_idx

FEW = StackedConfig(count=300)


def digits(folder: Path, side: int = 28, suffix: str = "") -> Path:
    """60 training and 40 test digits. Each pixel of a digit is 20 times its label, plus 5 in test digits."""
    for split, count, more in (("train", 60, 0), ("t10k", 40, 5)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.broadcast_to((labels * 20 + more)[:, None, None], (count, side, side))
        write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", labels)
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_channel_shows_the_digit_that_its_label_says(tmp_path: Path, suffix: str) -> None:
    dataset = open_source(open_stacked(str(digits(tmp_path, suffix=suffix)), FEW))
    assert dataset.count == 300
    assert dataset.info.signal.shape == (3, 28, 28)
    label = dataset.info.field("label")
    assert (label.shape, label.dtype, label.classes) == ((3,), "int64", tuple("0123456789"))
    expected = np.broadcast_to((dataset.arrays["label"] * 20)[:, :, None, None], (300, 3, 28, 28))
    np.testing.assert_array_equal(dataset.arrays["image"], expected)
    # Three channels of one digit each would be 10 modes of 1,000.
    assert len({tuple(row) for row in dataset.arrays["label"].tolist()}) > 200


def test_the_held_out_stacks_are_of_test_digits(tmp_path: Path) -> None:
    train, held_out = open_stacked(str(digits(tmp_path)), FEW), open_held_out(str(tmp_path), FEW)
    assert held_out is not None
    assert open_source(held_out).count == 26_000
    assert held_out.fields == train.fields
    # That many stacks hold all of the modes, as a classifier of generated ones needs it.
    assert len({tuple(row) for row in held_out.arrays["label"].tolist()}) == 1000
    assert set(np.unique(held_out.arrays["image"]) % 20) == {5}
    other = open_held_out(str(tmp_path), StackedConfig(seed=1))
    assert other is not None
    assert not np.array_equal(other.arrays["label"], held_out.arrays["label"])


def test_none_held_out_without_unseen_digits(tmp_path: Path) -> None:
    digits(tmp_path)
    test = open_stacked(str(tmp_path), StackedConfig(count=300, split="test"))
    assert set(np.unique(test.arrays["image"]) % 20) == {5}
    assert open_held_out(str(tmp_path), StackedConfig(split="test")) is None
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert open_held_out(str(tmp_path), FEW) is None


def test_padding_puts_black_around(tmp_path: Path) -> None:
    config = StackedConfig(count=300, size=32)
    padded, plain = open_stacked(str(digits(tmp_path)), config), open_stacked(str(tmp_path), FEW)
    assert padded.fields[0].shape == (3, 32, 32)
    np.testing.assert_array_equal(padded.arrays["image"][:, :, 2:30, 2:30], plain.arrays["image"])
    assert padded.arrays["image"].sum() == plain.arrays["image"].sum()
    held_out = open_held_out(str(tmp_path), config)
    assert held_out is not None
    assert held_out.fields == padded.fields


def test_stacks_depend_on_seed_and_count_alone(tmp_path: Path) -> None:
    def fingerprint(**options: int) -> str:
        return open_source(
            open_stacked(str(tmp_path), StackedConfig(**{"count": 300, **options}))
        ).fingerprint

    digits(tmp_path)
    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(seed=1), fingerprint(count=301)}) == 3


def test_unsuitable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'stacked-mnist' needs a path"):
        open_stacked("")
    with pytest.raises(DataError, match="no train images"):
        open_stacked(str(tmp_path))
    digits(tmp_path, side=8)
    with pytest.raises(DataError, match="28x28") as caught:
        open_stacked(str(tmp_path))
    assert "idx:PATH" in str(caught.value)
    digits(tmp_path)
    with pytest.raises(DataError, match="a folder"):
        open_stacked(str(tmp_path / "train-images-idx3-ubyte"))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(60, dtype=np.uint8))
    with pytest.raises(DataError, match="labels up to 59"):
        open_stacked(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no labels"):
        open_stacked(str(tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="test digits have no labels"):
        open_held_out(str(tmp_path))


@pytest.mark.parametrize("count", [10**14, 10**18, 10**30])
def test_more_stacks_than_memory_holds(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match="not enough memory") as caught:
        open_stacked(str(digits(tmp_path)), StackedConfig(count=count))
    assert "data.count" in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("count", 0), ("seed", -1), ("size", 30), ("split", "all")])
def test_options_that_stacks_cannot_have(registry: Registry, option: str, value: object) -> None:
    overrides = {"data.source": "stacked-mnist:/x", f"data.{option}": value}
    with pytest.raises(SettingsError, match="invalid value") as caught:
        resolve("dcgan", registry, overrides=overrides)
    assert option in caught.value.where


def test_training_on_stacks_gives_colour_samples(tmp_path: Path) -> None:
    tiny = ("architecture.generator_width=4", "architecture.discriminator_width=4", "data.count=200")
    options = [part for setting in tiny for part in ("--set", setting)]
    data = f"stacked-mnist:{digits(tmp_path)}"
    result = ganzoo(
        "train", "dcgan", "--data", data, "--images", "640", *options, "--run-dir", "run", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    for name in ("real-image.png", "000000000640.png"):
        with Image.open(tmp_path / "run" / "samples" / name) as grid:
            red, green, _ = np.moveaxis(np.asarray(grid), 2, 0)
            assert (red != green).any()


def test_the_classifier_data_of_stacks_are_stacked(registry: Registry, tmp_path: Path) -> None:
    """The record of the data says so: three labels of a colour image need not be those of its channels."""
    source = f"stacked-mnist:{digits(tmp_path)}"
    plan = resolve("dcgan", registry, overrides={"data.source": source, "data.count": 300})
    real_data = RealData.open(
        plan.dataset, source, Field(name="image", shape=(3, 28, 28), range=(-1.0, 1.0)), plan.kinds
    )
    assert real_data.classifier_data(print).stacked
    assert feature_space_of(registry, real_data).stacked
    assert [item.name for item in registry.of_kind(DatasetSpec) if item.spec.stacked] == ["stacked-mnist"]


def test_networks_for_one_label_refuse_three(registry: Registry, tmp_path: Path) -> None:
    overrides = {"data.source": f"stacked-mnist:{digits(tmp_path)}", "data.count": 10}
    plan = resolve("cgan", registry, overrides=overrides)
    with pytest.raises(DataError, match="one class label"):
        factory_of(plan.architecture.item)(plan.architecture.options, open_data(plan).info)
