"""Data with two images, a and b: pairs, transforms, images without pairs, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo.api import DataError, SettingsError
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import open_source
from ganzoo_datasets import fashion_paired, paired_images, shapes
from ganzoo_datasets.config import (
    FashionPairsConfig,
    FashionUnpairedConfig,
    PairsConfig,
    ShapesConfig,
    SidesConfig,
)
from ganzoo_datasets.transforms import Transform


def save(path: Path, shade: Any, size: tuple[int, int] = (10, 8)) -> None:
    """An image of one shade: gray from a number, colour from three."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(shade, int) else "RGB", size, shade).save(path)


def two_sides(folder: Path, names: str = "pqr") -> Path:
    """Images a/NAME.png of shades 10, 11, ... and b/NAME.bmp of shades 20, 21, ..."""
    for number, name in enumerate(names):
        save(folder / "a" / f"{name}.png", 10 + number)
        save(folder / "b" / f"{name}.bmp", (20 + number,) * 3, (20, 16))
    return folder


# --- pairs of files -------------------------------------------------------------------------------


def test_pairs_are_found_by_name(tmp_path: Path) -> None:
    source = paired_images.open_pairs(str(two_sides(tmp_path)))
    assert {field.name: field.shape for field in source.fields} == {"a": (1, 8, 10), "b": (3, 16, 20)}
    assert list(source.items) == ["p", "q", "r"]
    for row in range(3):
        sample = source.read(row)
        assert (sample["a"] == 10 + row).all()
        assert (abs(sample["b"].astype(int) - 20 - row) <= 1).all()
    held_out = paired_images.open_held_out_pairs(str(tmp_path))
    assert held_out is None
    (tmp_path / "test").mkdir()
    two_sides(tmp_path / "test", "xy")
    held_out = paired_images.open_held_out_pairs(str(tmp_path))
    assert held_out is not None
    assert held_out.fields == source.fields
    assert list(held_out.items) == ["x", "y"]
    assert len(paired_images.open_pairs(str(tmp_path)).items) == 3  # without those that are held out


def test_names_of_folders_and_shapes_are_options(tmp_path: Path) -> None:
    save(tmp_path / "trainA" / "1.png", 5, (40, 40))
    save(tmp_path / "trainB" / "1.png", 6, (30, 30))
    config = PairsConfig(a="trainA", b="trainB", height=16, width=12, channels=3)
    source = paired_images.open_pairs(str(tmp_path), config)
    assert {field.shape for field in source.fields} == {(3, 16, 12)}
    assert (source.read(0)["b"] == 6).all()


def test_batches_keep_pairs_together(tmp_path: Path) -> None:
    """The order of the samples, and mirroring, are the same for a and b."""
    for number in range(6):
        for side in "ab":
            pixels = np.zeros((8, 8), np.uint8)
            pixels[:, number % 4] = 40 * (number + 1)
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / side / f"{number}.png")
    dataset = open_source(paired_images.open_pairs(str(tmp_path)))
    import torch

    batches = Batches(dataset, seed=3, device=torch.device("cpu"), flip=True)
    batch = batches.take("discriminator", 0, 12)
    assert torch.equal(batch["a"], batch["b"])
    assert len({row.numpy().tobytes() for row in batch["a"]}) > 6  # some are mirrored


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "b" / "q.bmp").unlink(), r"1 image has no partner .*: a/q"),
        (lambda root: save(root / "b" / "z.png", 1), "no partner of the same name: b/z"),
        (lambda root: save(root / "a" / "p.jpg", 1), r"same name: p\.jpg and p\.png"),
        (lambda root: [path.unlink() for path in (root / "b").iterdir()], "The folder is empty"),
        (lambda root: (root / "a").rename(root / "left"), "There is no folder 'a'"),
        (lambda root: save(root / "b" / "q.bmp", 1, (20, 20)), "pair 'q' differ in shape: 8x10 and 20x20"),
    ],
)
def test_folders_that_do_not_match_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    change(two_sides(tmp_path))
    with pytest.raises(DataError, match=message) as caught:
        paired_images.open_pairs(str(tmp_path))
    assert str(tmp_path) in caught.value.where
    assert caught.value.fix


def test_partners_that_are_stretched_may_differ_in_shape(tmp_path: Path) -> None:
    save(two_sides(tmp_path) / "b" / "q.bmp", 1, (20, 20))
    assert len(paired_images.open_pairs(str(tmp_path), PairsConfig(fit="stretch")).items) == 3


def test_many_without_a_partner_are_counted(tmp_path: Path) -> None:
    two_sides(tmp_path, "abcdefgh")
    for path in (tmp_path / "b").iterdir():
        if path.stem != "a":
            path.unlink()
    with pytest.raises(DataError, match=r"7 images .*: a/b, a/c, a/d, a/e, a/f and 2 more"):
        paired_images.open_pairs(str(tmp_path))


def test_the_fingerprint_follows_files_and_options(tmp_path: Path) -> None:
    root = str(two_sides(tmp_path))
    first = paired_images.open_pairs(root).fingerprint
    assert paired_images.open_pairs(root).fingerprint == first
    assert paired_images.open_pairs(root, PairsConfig(height=8)).fingerprint != first
    edges = [
        paired_images.open_pairs(root, PairsConfig(transform="edges", threshold=t)).fingerprint
        for t in (9, 10)
    ]
    assert len({first, *edges}) == 3
    (tmp_path / "a" / "p.png").rename(tmp_path / "a" / "s.png")
    (tmp_path / "b" / "p.bmp").rename(tmp_path / "b" / "s.bmp")
    assert paired_images.open_pairs(root).fingerprint != first


# --- one image and its transform ----------------------------------------------------------------


def test_smaller_images_are_means_of_blocks() -> None:
    pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    small = Transform("downscale", factor=2)(pixels)
    assert small.shape == Transform("downscale", factor=2).shape((2, 8, 8)) == (2, 4, 4)
    assert small[0, 0, 0] == round((0 + 1 + 8 + 9) / 4)
    # 9 rows are 5 blocks: the last repeats its row.
    odd = np.zeros((1, 9, 8), np.uint8)
    odd[0, 8] = 100
    assert Transform("downscale", factor=2)(odd)[0, -1].tolist() == [100] * 4


def test_gray_is_brightness() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]], np.uint8)
    gray = Transform("gray")(colours.T[:, :, None])
    assert gray[0, :, 0].tolist() == [round(0.299 * 255), round(0.587 * 255), round(0.114 * 255), 90]
    with_alpha = np.concatenate([colours.T[:, :, None], np.full((1, 4, 1), 7, np.uint8)])
    assert np.array_equal(Transform("gray")(with_alpha), gray)


def test_edges_are_steps_of_the_threshold_or_more() -> None:
    step = np.zeros((1, 6, 6), np.uint8)
    step[..., 3:] = 100
    found = Transform("edges", threshold=100)(step)
    assert (found[0] == np.array([0, 0, 255, 255, 0, 0])).all()
    assert not Transform("edges", threshold=101)(step).any()
    assert np.array_equal(
        Transform("edges", threshold=100)(step.transpose(0, 2, 1)), found.transpose(0, 2, 1)
    )


def test_one_folder_becomes_pairs(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", (200, 20 * number, 0), (16, 16))
    source = paired_images.open_pairs(str(tmp_path), PairsConfig(transform="gray"))
    assert [field.shape for field in source.fields] == [(1, 16, 16), (3, 16, 16)]
    sample = source.read(2)
    assert (sample["a"] == round(0.299 * 200 + 0.587 * 40)).all()
    assert paired_images.open_held_out_pairs(str(tmp_path), PairsConfig(transform="gray")) is None
    small = paired_images.open_pairs(str(tmp_path), PairsConfig(transform="downscale", factor=4))
    assert [field.shape for field in small.fields] == [(3, 4, 4), (3, 16, 16)]


def test_impossible_transforms_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 9, (16, 12))
    with pytest.raises(DataError, match="gray already") as caught:
        paired_images.open_pairs(str(tmp_path), PairsConfig(transform="gray"))
    assert str(tmp_path) in caught.value.where
    with pytest.raises(DataError, match="would be 2x2") as caught:
        paired_images.open_pairs(str(tmp_path), PairsConfig(transform="downscale", factor=8))
    assert "4 pixels" in caught.value.fix
    with pytest.raises(ValueError, match="factor"):
        PairsConfig(factor=1)
    with pytest.raises(ValueError, match="threshold"):
        FashionPairsConfig(threshold=0)
    with pytest.raises(SettingsError, match="channels"):
        paired_images.open_pairs(str(tmp_path), PairsConfig(channels=65))


def test_large_images_of_both_sides_get_one_size(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"a/{number}.png", 9, (400, 300))
        save(tmp_path / f"b/{number}.png", 9, (300, 300))
    source = paired_images.open_unpaired(str(tmp_path), SidesConfig())
    assert [field.shape for field in source.fields] == [(1, 56, 76), (1, 56, 76)]
    assert any("b: the crop cuts away 26%" in note for note in source.notes)


# --- without pairs --------------------------------------------------------------------------------


def test_the_smaller_folder_is_repeated_evenly(tmp_path: Path) -> None:
    for number in range(7):
        save(tmp_path / "a" / f"{number}.png", number)
    for number in range(3):
        save(tmp_path / "b" / f"other{number}.png", 100 + number)
    source = paired_images.open_unpaired(str(tmp_path))
    samples = [source.read(row) for row in range(len(source.items))]
    assert sorted(int(sample["a"].flat[0]) for sample in samples) == list(range(7))
    counts = Counter(int(sample["b"].flat[0]) for sample in samples)
    assert counts.keys() == {100, 101, 102}
    assert set(counts.values()) == {2, 3}
    assert any("images b are repeated" in note for note in source.notes)
    assert paired_images.open_unpaired(str(tmp_path)).items == source.items
    assert paired_images.open_held_out_unpaired(str(tmp_path)) is None


def test_repeats_come_in_other_orders() -> None:
    numbers = paired_images.repeated(50, 200)
    rounds = [numbers[start : start + 50] for start in range(0, 200, 50)]
    assert all(sorted(part) == list(range(50)) for part in rounds)
    assert len(set(rounds)) == 4


def test_unpaired_folders_that_are_missing(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png", 3)
    with pytest.raises(DataError, match="no folder 'b'") as caught:
        paired_images.open_unpaired(str(tmp_path))
    assert "transform" not in caught.value.fix
    with pytest.raises(DataError, match="a file, not a folder"):
        paired_images.open_unpaired(str(tmp_path / "a" / "1.png"))
    with pytest.raises(DataError, match="needs a path"):
        paired_images.open_unpaired("")
    assert paired_images.open_unpaired(str(tmp_path), SidesConfig(b="a")).read(0)["b"].shape == (1, 8, 10)


# --- without files --------------------------------------------------------------------------------


def test_embedded_pairs_are_images_and_their_transforms() -> None:
    for transform, shape in (("edges", (1, 28, 28)), ("downscale", (1, 14, 14))):
        config = FashionPairsConfig(transform=transform)
        for source in (fashion_paired.open_pairs("", config), fashion_paired.open_held_out_pairs("", config)):
            dataset = open_source(source)
            assert dataset.info.field("a").shape == shape
            assert np.array_equal(dataset.arrays["a"][7], Transform(transform)(dataset.arrays["b"][7]))
    assert set(np.unique(fashion_paired.open_pairs().arrays["a"])) == {0, 255}


def test_embedded_classes_are_separate() -> None:
    source = open_source(fashion_paired.open_unpaired("", FashionUnpairedConfig(a="Bag", b="Sandal")))
    assert source.count == 500
    held_out = open_source(fashion_paired.open_held_out_unpaired("", FashionUnpairedConfig()))
    assert held_out.count == 500
    rows = [{row.tobytes() for row in source.arrays[side]} for side in "ab"]
    assert not rows[0] & rows[1]
    for config in (FashionUnpairedConfig(a="Hat"), FashionUnpairedConfig(a="Dress", b="Dress")):
        with pytest.raises(DataError, match="class") as caught:
            fashion_paired.open_unpaired("", config)
        assert "Ankle boot" in caught.value.fix


def test_shapes_have_the_colour_of_their_kind() -> None:
    dataset = open_source(shapes.open_shapes("", ShapesConfig(count=200)))
    assert np.array_equal(dataset.arrays["a"], Transform("gray")(dataset.arrays["b"]))
    images, labels = dataset.arrays["b"].astype(int), dataset.arrays["label"]
    for kind, colour in enumerate(shapes.COLOURS):
        chosen = images[labels == kind].transpose(0, 2, 3, 1)
        coloured = chosen[np.ptp(chosen, axis=3) > 8]
        hue = coloured / coloured.max(1, keepdims=True)
        np.testing.assert_allclose(hue, np.broadcast_to(colour / colour.max(), hue.shape), atol=0.03)
    # Brightness alone does not tell: the kinds' gray values overlap.
    gray = [dataset.arrays["a"][labels == kind] for kind in (0, 2)]
    assert max(part.min() for part in gray) < min(part.max() for part in gray)
    others = {row.tobytes() for row in shapes.open_held_out("", ShapesConfig()).arrays["b"]}
    assert not others & {row.tobytes() for row in dataset.arrays["b"]}


@pytest.mark.parametrize(
    "function",
    [
        fashion_paired.open_pairs,
        fashion_paired.open_held_out_pairs,
        fashion_paired.open_unpaired,
        fashion_paired.open_held_out_unpaired,
        shapes.open_shapes,
        shapes.open_held_out,
    ],
)
def test_embedded_data_takes_no_argument(function: Any) -> None:
    with pytest.raises(DataError, match="takes no argument"):
        function("somewhere")
