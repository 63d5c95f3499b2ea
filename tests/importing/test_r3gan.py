"""R3GAN: files in the authors' layout give the images and scores of the published formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ganzoo.errors import UsageError
from ganzoo_r3gan.importer import example
from tests.helpers.importing import imported, largest_difference, outputs, tensors

State = dict[str, Tensor]
ROW = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def file_of(classes: int, blocks: int) -> dict[str, Any]:
    """The example with more blocks in a stage, or with classes."""
    torch.manual_seed(1)
    tree = {part: dict(arrays) for part, arrays in tensors(example()).items()}
    for part, at in (("G_ema", {0: 1, 1: 1}), ("D", {0: 0, 1: 0})):
        arrays = tree[part]
        for stage, first in at.items():
            start = f"Model.MainLayers.{stage}.Layers."
            own = {key: arrays.pop(key) for key in list(arrays) if key.startswith(start)}
            for key, value in own.items():
                at_layer, _, rest = key.removeprefix(start).partition(".")
                layer = int(at_layer)
                if layer == first:
                    for more in range(blocks):
                        arrays[f"{start}{layer + more}.{rest}"] = value + 0.1 * torch.randn_like(value)
                else:
                    moved = layer + blocks - 1 if layer > first else layer
                    arrays[f"{start}{moved}.{rest}"] = value
    if classes:
        tree["G_ema"]["Model.EmbeddingLayer.weight"] = torch.randn(5, classes)
        tree["G_ema"]["Model.MainLayers.0.Layers.0.LinearLayer.weight"] = 0.3 * torch.randn(8, 11)
        tree["D"]["Model.EmbeddingLayer.weight"] = torch.randn(8, classes)
        tree["D"][f"Model.MainLayers.1.Layers.{blocks}.LinearLayer.weight"] = torch.randn(8, 8)
    return tree


def block(g: State, name: str, x: Tensor) -> Tensor:
    """x + W3 act(W2 act(W1 x + b1) + b2), W2 in groups."""
    y = functional.conv2d(x, g[f"{name}.LinearLayer1.Layer.weight"])
    y = functional.leaky_relu(y + g[f"{name}.NonLinearity1.Bias"][:, None, None], 0.2)
    weight = g[f"{name}.LinearLayer2.Layer.weight"]
    y = functional.conv2d(y, weight, padding=1, groups=len(weight) // weight.shape[1])
    y = functional.leaky_relu(y + g[f"{name}.NonLinearity2.Bias"][:, None, None], 0.2)
    return x + functional.conv2d(y, g[f"{name}.LinearLayer3.Layer.weight"])


def filtered(x: Tensor, gain: float, pads: tuple[int, int]) -> Tensor:
    kernel = gain * torch.outer(ROW, ROW).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(functional.pad(x, (*pads, *pads)), kernel, groups=x.shape[1])


def hot(labels: Tensor | None, weight: Tensor) -> Tensor:
    assert labels is not None
    return functional.one_hot(labels, weight.shape[1]).float() @ weight.T


def generator(g: State, z: Tensor, labels: Tensor | None, blocks: int) -> Tensor:
    if "EmbeddingLayer.weight" in g:
        z = torch.cat([z, hot(labels, g["EmbeddingLayer.weight"])], 1)
    start = "MainLayers.0.Layers.0"
    x = g[f"{start}.Basis"] * (z @ g[f"{start}.LinearLayer.weight"].T)[:, :, None, None]
    for k in range(blocks):
        x = block(g, f"MainLayers.0.Layers.{k + 1}", x)
    x = functional.conv2d(x, g["MainLayers.1.Layers.0.LinearLayer.Layer.weight"])
    spaced = torch.zeros(*x.shape[:2], 8, 8)
    spaced[:, :, ::2, ::2] = x
    x = filtered(spaced, 4.0, (2, 1))
    for k in range(blocks):
        x = block(g, f"MainLayers.1.Layers.{k + 1}", x)
    return functional.conv2d(x, g["AggregationLayer.Layer.weight"])


def discriminator(d: State, image: Tensor, labels: Tensor | None, blocks: int) -> Tensor:
    x = functional.conv2d(image, d["ExtractionLayer.Layer.weight"])
    for k in range(blocks):
        x = block(d, f"MainLayers.0.Layers.{k}", x)
    x = filtered(x, 1.0, (1, 1))[:, :, ::2, ::2]
    x = functional.conv2d(x, d[f"MainLayers.0.Layers.{blocks}.LinearLayer.Layer.weight"])
    for k in range(blocks):
        x = block(d, f"MainLayers.1.Layers.{k}", x)
    last = f"MainLayers.1.Layers.{blocks}"
    x = (x * d[f"{last}.Basis.weight"][:, 0]).sum((2, 3)) @ d[f"{last}.LinearLayer.weight"].T
    if "EmbeddingLayer.weight" in d:
        return (x * hot(labels, d["EmbeddingLayer.weight"])).sum(1)
    return x.flatten()


def plain(arrays: State) -> State:
    return {key.removeprefix("Model."): value for key, value in arrays.items()}


@pytest.mark.parametrize(("classes", "blocks"), [(0, 1), (3, 2)])
def test_images_and_scores_equal_the_published_formulas(tmp_path: Path, classes: int, blocks: int) -> None:
    tree = file_of(classes, blocks)
    tree["G_ema"]["Model.AggregationLayer.Layer.weight"] *= 0.1
    match = imported(tree, tmp_path)
    assert match.imported.options["blocks"] == blocks
    labels = torch.tensor([2, 0, 1]) if classes else None
    batch = {"z": torch.randn(3, 6), "image": torch.randn(3, 3, 8, 8)}
    batch |= {} if labels is None else {"label": labels}
    expected = generator(plain(tree["G_ema"]), batch["z"], labels, blocks)
    assert (expected.abs() < 1).float().mean() > 0.8
    assert largest_difference(outputs(match, batch)["image"], expected.clamp(-1, 1)) < 1e-5
    score = discriminator(plain(tree["D"]), batch["image"], labels, blocks)
    found = outputs(match, batch, "discriminator")["score"]
    assert largest_difference(found, score) < 1e-5 * float(score.abs().max())


def test_another_filter_is_refused(tmp_path: Path) -> None:
    tree = file_of(0, 1)
    tree["G_ema"]["Model.MainLayers.1.Layers.0.Resampler.Kernel"] = torch.ones(2, 2) / 4
    with pytest.raises(UsageError, match="another filter"):
        imported(tree, tmp_path)


def test_stages_of_different_depths_are_refused(tmp_path: Path) -> None:
    tree, deeper = file_of(0, 1), file_of(0, 2)
    start = "Model.MainLayers.1.Layers.2"
    tree["G_ema"] |= {key: value for key, value in deeper["G_ema"].items() if key.startswith(start)}
    with pytest.raises(UsageError, match="stages of different depths"):
        imported(tree, tmp_path)
