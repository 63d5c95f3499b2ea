"""CUT: the contrast of places by hand, what the encoder describes, discriminators of scales."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import ganzoo
from ganzoo.api import DataError, DataInfo, Field, Game, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.view import GameView, Generated, generated
from ganzoo_translation.config import PatchNceConfig, ResnetConfig
from ganzoo_translation.networks import Blurred, Scales
from ganzoo_translation.terms import info_nce, patch_nce
from tests.plugins.test_paper_networks import paper
from tests.plugins.test_translation import build, norms, sides

AXES = ("channel", "height", "width")
SMALL: dict[str, Any] = {"blocks": 3, "projection": 5}
TRAINED: dict[str, Any] = {
    "train.device": "cpu",
    "train.batch_size": 8,
    "train.samples": 6,
    "architecture.generator_width": 8,
    "architecture.discriminator_width": 4,
    "architecture.blocks": 1,
    "architecture.projection": 16,
}


def test_the_contrast_of_places_by_hand() -> None:
    generator = np.random.default_rng(0)
    queries, keys = (generator.normal(size=(3, 4, 6)) for _ in range(2))
    expected = []
    for image in range(3):
        for place in range(4):
            similar = np.exp(keys[image] @ queries[image, place] / 0.3)
            expected.append(-np.log(similar[place] / similar.sum()))
    found = info_nce(torch.from_numpy(queries), torch.from_numpy(keys), 0.3)
    assert found.item() == pytest.approx(np.mean(expected))


def test_equal_places_give_the_logarithm_of_their_number() -> None:
    same = functional.normalize(torch.ones(2, 7, 3), dim=2)
    assert info_nce(same, same, 0.07).item() == pytest.approx(np.log(7), rel=1e-5)


class Constant:
    """The random stream of a step: the numbers that a test gives."""

    def __init__(self, flips: list[float]) -> None:
        self.flips = flips

    def uniform(self, *shape: int, per_sample: bool = False) -> Tensor:
        return torch.tensor(self.flips) if per_sample else torch.linspace(0, 1, shape[0])


def view_of(networks: Any, real: dict[str, Tensor], flips: list[float]) -> GameView:
    constants = {
        field.name: torch.zeros(len(real["a"]), *field.shape)
        for field in networks.fields
        if field.source == "constant"
    }
    fake = generated(networks.generators["generator"], real, constants)
    random: Any = Constant(flips)
    return GameView(networks, Game(), random, learns="generator", real=real, drawn=Generated(constants, fake))


def described(networks: Any, image: Tensor) -> list[Tensor]:
    return [image, *networks.generators["generator"].module(image)[1:]]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("identity", [False, True])
def test_the_term_by_hand(flip: bool, identity: bool) -> None:
    """All places of each layer, keys without gradient; a mirrored image's keys are mirrored back."""
    networks = build("resnet-contrastive", sides((1, 8, 8), (1, 8, 8)), **SMALL)
    real = {side: torch.randn(2, 1, 8, 8).clamp(-1, 1) for side in "ab"}
    flips = [0.2, 0.8]
    view = view_of(networks, real, flips)
    config = PatchNceConfig(weight=3.0, temperature=0.5, flip=flip, identity=identity)
    found = patch_nce(config)(view)
    module = networks.generators["generator"].module

    def contrast(known: list[Tensor], made: Tensor) -> Tensor:
        values = []
        for layer, (keys, queries) in enumerate(zip(known, described(networks, made), strict=True)):
            head = networks.generators[f"projection_{layer}"].module
            pair = [
                functional.normalize(head(maps.flatten(2).transpose(1, 2)), dim=2) for maps in (queries, keys)
            ]
            values.append(info_nce(pair[0], pair[1].detach(), 0.5))
        return torch.stack(values).mean()

    known = described(networks, real["a"])
    if flip:
        mirrored = described(networks, real["a"].flip(3))
        known = [torch.stack([m[0].flip(2), k[1]]) for k, m in zip(known, mirrored, strict=True)]
    wanted = contrast(known, module(real["a"])[0])
    if identity:
        wanted = (wanted + contrast(described(networks, real["b"]), module(real["b"])[0])) / 2
    assert found.item() == pytest.approx(3 * wanted.item(), rel=1e-5)
    found.backward()
    for name, net in networks.generators.items():
        gradients = [value.grad for value in net.module.parameters()]
        assert any(grad is not None and grad.abs().sum() > 0 for grad in gradients), name


def test_only_so_many_places_are_compared() -> None:
    networks = build("resnet-contrastive", sides((1, 16, 16), (1, 16, 16)), **SMALL)
    real = {side: torch.zeros(2, 1, 16, 16) for side in "ab"}
    found = patch_nce(PatchNceConfig(patches=9))(view_of(networks, real, []))
    assert found.item() == pytest.approx(np.log(9), rel=1e-3)  # a constant image: all inner places are alike


def test_the_term_says_what_it_needs() -> None:
    networks = build("resnet-patch", sides((1, 8, 8), (1, 8, 8)), blocks=1)
    real = {side: torch.zeros(2, 1, 8, 8) for side in "ab"}
    view = GameView(
        networks, Game(), Constant([]), learns="generator", real=real,  # type: ignore[arg-type]
        drawn=Generated({}, generated(networks.generators["generator"], real, {})),
    )  # fmt: skip
    with pytest.raises(SettingsError, match="'patch-nce' needs a generator"):
        patch_nce(PatchNceConfig())(view)
    for options in ({"weight": -1.0}, {"temperature": 0.0}, {"patches": 1}):
        with pytest.raises(ValueError, match="or more"):
            PatchNceConfig(**options)


def test_the_encoder_needs_images_of_one_shape() -> None:
    with pytest.raises(DataError, match="one shape"):
        build("resnet-contrastive", sides((1, 16, 16), (3, 16, 16)), **SMALL)


def test_the_described_layers_and_free_sides() -> None:
    """Pixels, both halvings, the first and the middle block; sizes follow the image's."""
    a = Field(name="a", shape=(3, 16, 24), range=(-1.0, 1.0), axes=AXES)
    info = DataInfo(fields=(a, replace(a, name="b")), count=8)
    networks = build("resnet-contrastive", info, blocks=9, projection=7)
    shapes = {
        field.name: (field.shape, dict(field.free)) for field in networks.fields if "maps" in field.name
    }
    assert shapes == {
        "maps_1": ((8, 8, 12), {"height": 2, "width": 2}),
        "maps_2": ((16, 4, 6), {"height": 1, "width": 1}),
        "maps_3": ((16, 4, 6), {"height": 1, "width": 1}),
        "maps_4": ((16, 4, 6), {"height": 1, "width": 1}),
    }
    assert networks.free == {side: {"height": 4, "width": 4} for side in "ab"}
    module = networks.generators["generator"].module
    kinds = [type(module.layers[at]).__name__ for at in module.taps]
    assert kinds == ["Conv2d", "Conv2d", "Block", "Block"]
    blocks = [at for at, layer in enumerate(module.layers) if type(layer).__name__ == "Block"]
    assert list(module.taps)[2:] == [blocks[0], blocks[4]]
    large = module(torch.zeros(1, 3, 24, 40))
    assert [tuple(maps.shape[1:]) for maps in large] == [(3, 24, 40), (8, 12, 20), *[(16, 6, 10)] * 3]


def test_cut_paper_is_section_4_and_the_authors_code(registry: Registry) -> None:
    networks = paper(registry, "cut-paper", sides((3, 256, 256), (3, 256, 256)))
    module = networks.generators["generator"].module
    shapes = [field.shape for field in networks.fields if field.name.startswith("maps_")]
    assert shapes == [(128, 256, 256), (256, 128, 128), (256, 64, 64), (256, 64, 64)]
    assert sum(type(layer).__name__ == "Block" for layer in module.layers) == 9
    heads = [networks.generators[f"projection_{k}"].module for k in range(5)]
    assert [(head[0].in_features, head[2].out_features) for head in heads] == [
        (size, 256) for size in (3, 128, 256, 256, 256)
    ]
    # The authors' networks, which also have biases before InstanceNorm, where they have no effect.
    judge = networks.discriminators["discriminator"].module
    counts = [sum(value.numel() for value in net.parameters()) for net in (module, judge)]
    biases = [sum(norms(net)) for net in (module, judge)]
    assert [count + more for count, more in zip(counts, biases, strict=True)] == [11_378_179, 2_764_737]
    first = module.layers[2].weight
    assert first.std().item() == pytest.approx(0.02 * np.sqrt(2 / (49 * (3 + 64))), rel=0.1)


def test_published_weights_of_the_terms(registry: Registry) -> None:
    for name, wanted in (("cut-paper", (0.5, True, False)), ("fastcut-paper", (5.0, False, True))):
        plan = resolve(name, registry)
        (term,) = plan.terms.values()
        options = term.options
        assert (options.weight, options.identity, options.flip) == wanted
        assert (options.temperature, options.patches) == (0.07, 256)


def test_the_low_pass_filter_against_a_convolution_with_reflected_borders() -> None:
    image = torch.randn(1, 2, 6, 9)
    row = np.array([1, 2, 1]) / 4
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    smooth = sum(row[i] * row[j] * padded[:, :, i : i + 6, j : j + 9] for i in range(3) for j in range(3))
    assert torch.allclose(Blurred()(image), torch.from_numpy(smooth[:, :, ::2, ::2]).float(), atol=1e-6)


def test_filtered_networks_of_odd_sizes_are_exported_and_free(registry: Registry, tmp_path: Path) -> None:
    settings = {
        **TRAINED, "train.images": 8, "architecture.antialias": True, "architecture.generator_width": 2,
        "architecture.discriminator_width": 2,
    }  # fmt: skip
    run, _ = start(resolve("cut", registry, overrides=settings), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle")
    assert bundle.parity["generator"].max_abs < 1e-5
    generator = ganzoo.load(bundle.path, provider="cpu")
    assert [field.name for field in generator.outputs] == ["b"]
    assert generator.multiples == {"height": 4, "width": 4}
    assert generator.generate(1, a=np.zeros((1, 1, 40, 64), np.float32)).shape == (1, 1, 40, 64)
    odd = build("resnet-contrastive", sides((1, 9, 13), (1, 9, 13)), antialias=True, **SMALL)
    made = odd.generators["generator"].module(torch.zeros(2, 1, 9, 13))
    assert made[0].shape == (2, 1, 9, 13)


# --- discriminators of several scales -----------------------------------------------------------


def test_scales_see_halved_images_and_count_alike() -> None:
    config = ResnetConfig(discriminator_width=3, patch_layers=1, scales=3, features=True)
    torch.manual_seed(0)
    scales = Scales(config, 2, (32, 48)).eval()
    image, other = torch.randn(2, 2, 2, 32, 48).unbind()
    score, features = scales(image)
    _, features_too = scales(other)
    given, theirs, means, apart = image, other, [], 0.0
    for part in scales.parts:
        means.append(part(given).mean())
        for one, two in zip(part.maps(given)[1], part.maps(theirs)[1], strict=True):
            apart += (one - two).abs().flatten(1).mean(1) / 3
        given, theirs = (functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False) for x in (given, theirs))
    assert score.shape[:2] == (2, 3)
    assert score.mean(dim=(0, 2, 3)).tolist() == pytest.approx(torch.stack(means).tolist(), abs=0.05)
    assert torch.allclose((features - features_too).abs().sum(1), torch.as_tensor(apart), rtol=1e-4)


def test_scales_and_matched_features_train(registry: Registry, tmp_path: Path) -> None:
    settings = {
        **TRAINED,
        "train.images": 16,
        "architecture.scales": 2,
        "architecture.features": True,
        "terms.matched-features.weight": 10.0,
    }
    del settings["architecture.blocks"], settings["architecture.projection"]
    run, outcome = start(resolve("pix2pix", registry, overrides=settings), tmp_path / "run", NullReporter())
    assert outcome == "done"
    assert run.log()[-1]["values"]["matched-features"] > 0
    names = build_networks(resolve(str(run.settings_file), registry), run.info).discriminators
    assert names["discriminator"].writes == ("score", "features")


def test_one_scale_keeps_the_names_of_older_checkpoints() -> None:
    networks = build("resnet-cycle", sides((1, 16, 16), (1, 16, 16)), blocks=1)
    names = [name for name, _ in networks.discriminators["of_b"].module.named_parameters()]
    assert names[0] == "layers.0.weight"


@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_the_recipes_learn_and_resume_exactly(registry: Registry, tmp_path: Path, recipe: str) -> None:
    from ganzoo.runs.run import Run
    from ganzoo.training.session import resume

    settings = {**TRAINED, "train.images": 96, "train.log_every": 24, "train.threads": 1}
    plan = resolve(recipe, registry, overrides=settings)
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    first, last = whole.log()[0]["values"], whole.log()[-1]["values"]
    assert last["patch-nce"] < first["patch-nce"]
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=48)
    resume(Run.open(parts.path), resolve(str(parts.settings_file), registry), NullReporter())
    states = [(max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes() for run in (whole, parts)]
    assert states[0] == states[1]
    assert {path.name for path in (whole.path / "samples").glob("0*")} >= {"000000000096.png"}
