"""Kinds of samples: how fields get one, what a media record may do, which values stand for which numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganzoo.api import PIXELS, ArraySource, DataError, Field, Media, Preview, as_floats
from ganzoo.api.specs import MediaSpec
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import open_source
from ganzoo.errors import PluginError, UsageError
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, load_registry

ROOT = Path(__file__).parents[2]
IMAGE = Field(name="x", shape=(1, 4, 6), range=(-1.0, 1.0))

# Where the core says the name of a kind as text, and why.
ALLOWED = {
    ("ganzoo/api/media.py", "array"): "the kind of fields that no media claims",
    ("ganzoo/api/layers.py", "clip"): "how numbers are bounded",
    ("ganzoo/api/specs.py", "image"): "what records of version 1 are for: they could not say it",
    ("ganzoo/cli/bench.py", "row"): "a row of the table that is printed",
    ("ganzoo/exporting/model_card.py", "image"): "a variable in the code that the card shows",
    ("ganzoo/fields.py", "image"): "DataInfo.image: the name of a field",
    ("ganzoo/report/page.py", "row"): "the scope of a heading in HTML",
    ("ganzoo/report/previews.py", "image"): "a MIME type",
    ("ganzoo/testing/checks/__init__.py", "image"): "the name of a module",
    ("ganzoo/testing/checks/augmentation.py", "image"): "the name of a field of synthetic data",
    ("ganzoo/testing/synthetic.py", "image"): "the name of a field of synthetic data",
    ("ganzoo/testing/synthetic_networks.py", "image"): "the name of a field of synthetic data",
    ("ganzoo/testing/targets.py", "image"): "the name of a field of synthetic data",
}


def test_no_branch_on_a_kind_in_the_core(registry: Registry) -> None:
    kinds = {item.name for item in registry.of_kind(MediaSpec) if item.plugin.dist == "ganzoo"}
    images, others = {"array", "image", "points", "row", "volume"}, {"clip", "mel", "series", "sound"}
    assert kinds == images | others | {"spectrogram", "text"}
    kinds.remove("text")  # a word that the core also has for other things: JSON, HTML, messages
    found = set()
    for path in (ROOT / "ganzoo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in kinds:
                found.add((path.relative_to(ROOT).as_posix(), node.value))
    assert found == ALLOWED.keys()


def test_fields_of_old_plugins_and_files_are_claimed(registry: Registry) -> None:
    kinds = Kinds(registry)
    shapes = {(3, 8, 8): "image", (2,): "points", (1,): "points", (7,): "array", (3, 8): "array"}
    shapes |= {(5, 8, 8): "array", (): "array"}
    for shape, kind in shapes.items():
        (field,) = kinds.assign([Field(name="x", shape=shape)])
        assert (field.kind, field.axes == PIXELS) == (kind, kind == "image")
        (newer,) = kinds.assign([Field(name="x", shape=shape)], api=2)
        assert (newer.kind, newer.axes) == ("array", ())
    label, noise = Field(name="y", dtype="int64"), Field(name="z", shape=(2,), source="normal")
    assert kinds.assign([label, noise]) == (label, noise)


def test_a_field_that_cannot_be_of_its_kind(registry: Registry) -> None:
    for kind, shape in (("image", (3, 8)), ("points", (3,)), ("row", (3,))):
        with pytest.raises(DataError, match=f"'x' cannot be of the kind '{kind}'"):
            Kinds(registry).assign([Field(name="x", shape=shape, kind=kind)], api=2)


def test_an_unknown_kind_is_an_array_and_said(registry: Registry) -> None:
    (field,) = Kinds(registry).assign([Field(name="x", shape=(4,), kind="smell")])
    assert field.kind == "smell"
    assert Kinds(registry).of("smell").suffixes == ()
    (note,) = Kinds(registry).unknown([field, IMAGE])
    assert "the kind 'smell' of 'x'" in note


ODD = """
from ganzoo.api import Media, MediaSpec, Preview, hookimpl
GANZOO_API_VERSION = 2

class Odd(Media):
    def __init__(self, config=None):
        pass
    def preview(self, field, samples, **options):
        return RESULT
    def read(self, field, path, options):
        raise ValueError("no such sound")

@hookimpl
def ganzoo_media():
    return [MediaSpec(name="NAME", summary="Odd.", factory=f"{__name__}:Odd")]
"""


def test_two_media_for_one_kind(install: Callable[..., Path]) -> None:
    install("other-dist", "other", ODD.replace("NAME", "image"))
    kinds = Kinds(load_registry())
    with pytest.raises(UsageError, match="media 'image' is offered by 2 plugins"):
        kinds.of("image")
    assert kinds.of("ganzoo/image").suffixes[0] == ".png"


@pytest.mark.parametrize(
    "result", ["b'bytes'", "Preview(suffix='png', data=b'x')", "Preview(suffix='/x.png', data=b'')", "1 / 0"]
)
def test_a_media_that_writes_nonsense(install: Callable[..., Path], result: str) -> None:
    install("odd-dist", "odd", ODD.replace("NAME", "odd").replace("RESULT", result))
    kinds = Kinds(load_registry())
    with pytest.raises(PluginError, match=r"media (record )?'odd'") as caught:
        kinds.of("odd").preview(Field(name="x", kind="odd"), np.zeros((2,)))
    assert "odd-dist" in caught.value.where
    with pytest.raises(ValueError, match="no such sound"):  # an answer, not a fault of the plugin
        kinds.of("odd").read(Field(name="x"), Path("x"), {})


def test_a_plain_media_knows_arrays() -> None:
    media, field = Media(), Field(name="x", shape=(3, 4))
    values = np.random.default_rng(0).normal(size=(50, 3, 4)).astype(np.float32)
    assert media.preview(field, values) is None
    assert media.describe(field) == "3 x 4"
    noisy = media.corruptions(field, values, np.random.default_rng(1))["noisy"]()
    assert (noisy - values).std() == pytest.approx(0.5, rel=0.1)
    assert Preview(suffix=".png", data=b"").suffix == ".png"


# --- types of values -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
@pytest.mark.parametrize("original", [None, (0.0, 100.0)])
@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 3.0)])
def test_integers_are_mapped_onto_the_range(
    dtype: Any, original: tuple[float, float] | None, span: tuple[float, float]
) -> None:
    """In training and in evaluation alike, with any number of channels."""
    first, last = original or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = np.linspace(first, last, 7 * 5 * 2 * 2).astype(dtype).reshape(7, 5, 2, 2)
    field = Field(name="x", shape=(5, 2, 2), range=span, original=original)
    dataset = open_source(ArraySource(fields=(field,), arrays={"x": values}))
    assert dataset.arrays["x"].dtype == dtype
    batches = Batches(dataset, seed=0, device=torch.device("cpu"))
    taken = batches.take("g", 0, 7)["x"]
    assert taken.dtype == torch.float32
    # The ends of the type are those of the range, exactly enough for float32.
    assert (float(taken.min()), float(taken.max())) == pytest.approx(span, abs=1e-6)
    floats = as_floats(field, values)
    assert np.allclose(np.sort(floats.ravel()), np.sort(taken.numpy().ravel()), atol=1e-6)
    low, high = span
    exact = low + (values.astype(np.float64) - first) * (high - low) / (last - first)
    assert np.allclose(floats, exact, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_flips_are_along_the_width_of_any_field(dtype: Any) -> None:
    values = np.arange(40 * 2 * 3, dtype=dtype).reshape(40, 2, 3)
    wide = Field(name="wide", shape=(2, 3), range=(0.0, 1.0), axes=("height", "width"))
    tall = Field(name="tall", shape=(2, 3), range=(0.0, 1.0), axes=("width", "height"))
    plain = Field(name="plain", shape=(2, 3), range=(0.0, 1.0))
    fields = (wide, tall, plain)
    dataset = open_source(ArraySource(fields=fields, arrays={field.name: values for field in fields}))
    made = [
        Batches(dataset, seed=0, device=torch.device("cpu"), flip=flip).take("g", 0, 40)
        for flip in (False, True)
    ]
    before, after = made
    mirrored = [not torch.equal(a, b) for a, b in zip(before["wide"], after["wide"], strict=True)]
    assert 5 < sum(mirrored) < 35
    for row, flipped in enumerate(mirrored):
        turned = {"wide": before["wide"][row].flip(-1), "tall": before["tall"][row].flip(-2)}
        for name, value in turned.items():
            assert torch.equal(after[name][row], value if flipped else before[name][row])
    assert torch.equal(before["plain"], after["plain"])


def test_integers_outside_the_original_values() -> None:
    field = Field(name="x", shape=(2,), range=(-1.0, 1.0), original=(0.0, 4095.0))
    with pytest.raises(DataError, match=r"values 0\.\.5000 outside the original values 0\.\.4095"):
        open_source(ArraySource(fields=(field,), arrays={"x": np.array([[0, 5000]], np.uint16)}))
    with pytest.raises(DataError, match=r"uint16 for a field without a range to map 0\.\.65535 onto"):
        open_source(
            ArraySource(fields=(Field(name="x", shape=(1,)),), arrays={"x": np.zeros((1, 1), np.uint16)})
        )
