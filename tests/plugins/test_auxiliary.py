"""AC-GAN and InfoGAN: the papers' tables, the terms against closed forms, training, refusals."""

from __future__ import annotations

import math
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

import ganzoo
import ganzoo_auxiliary
from ganzoo.api import ArchitectureSpec, Batch, DataError, DataInfo, Field, Net, Networks, SettingsError
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo.training.setup import prepare
from ganzoo_auxiliary.config import CodeConvConfig, GuessLabelConfig, LabelConvConfig
from tests.plugins.test_architectures import SHAPES, images
from tests.plugins.test_paper_networks import paper

ARCHITECTURES: dict[str, ArchitectureSpec] = {
    spec.name: spec for spec in ganzoo_auxiliary.ganzoo_architectures()
}
TERMS = {spec.name: spec for spec in ganzoo_auxiliary.ganzoo_terms()}
SMALL: dict[str, Any] = {"generator_width": 4, "discriminator_width": 4}
BIG: dict[str, Any] = {"generator_hidden": 12, "discriminator_hidden": 8, "guess_hidden": 6}


def build(name: str, data: DataInfo, **options: Any) -> Networks:
    spec = ARCHITECTURES[name]
    assert spec.config is not None
    torch.manual_seed(1)
    networks = pkgutil.resolve_name(spec.factory)(spec.config(**{**SMALL, **options}), data)
    assert isinstance(networks, Networks)
    return networks


def batch(networks: Networks, n: int, shape: tuple[int, ...] = (1, 16, 16)) -> Batch:
    drawn = {
        field.name: torch.arange(n) % len(field.classes) if field.classes else torch.randn(n, *field.shape)
        for field in networks.fields
    }
    return {**drawn, "label": torch.arange(n) % 3, "image": torch.randn(n, *shape)}


def outputs(net: Net, given: Batch) -> Batch:
    made = net.module(*(given[name] for name in net.reads))
    return dict(zip(net.writes, made if isinstance(made, tuple) else (made,), strict=True))


def both(networks: Networks) -> tuple[Net, Net]:
    return networks.generators["generator"], networks.discriminators["discriminator"]


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, (1, 8, 8), (3, 9, 21)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("acgan-conv", {}),
        ("acgan-conv", {**BIG, "discriminator_norm": "batch", "dropout": 0.5, "discriminator_kernel": 3}),
        ("acgan-conv", {"discriminator_layers": 2, "discriminator_kernel": 5, "bottom_norm": False}),
        ("acgan-conv", {**BIG, "discriminator_norm": "layer", "generator_norm": "none", "init": "default"}),
        ("infogan-conv", {"discriminator_extra": 1, "categories": 4, "styles": 3, "output": "sigmoid"}),
        ("infogan-conv", {**BIG, "discriminator_norm": "none", "latent_distribution": "uniform"}),
    ],
)
def test_images_of_any_shape(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    networks = build(name, images(*shape), **options)
    generator, discriminator = both(networks)
    given = batch(networks, 3, shape)
    made = outputs(generator, given)
    assert made["image"].shape == (3, *shape)
    assert made["image"].abs().max() <= 1
    judged = outputs(discriminator, {**given, **made})
    codes, styles = options.get("categories", 10), options.get("styles", 2)
    widths = {"label_logits": 3, "code_logits": codes, "style_mean": styles}
    for key, value in judged.items():
        assert value.shape == ((3,) if key == "score" else (3, widths.get(key)))
    torch.stack([value.square().sum() for value in judged.values()]).sum().backward()
    for net in (generator, discriminator):
        for path, parameter in net.module.named_parameters():
            assert parameter.grad is not None, path
            assert parameter.grad.isfinite().all(), path


def test_fields_that_are_read_and_written() -> None:
    generator, discriminator = both(build("acgan-conv", images(1, 16, 16)))
    assert generator.reads == ("z", "label")
    assert (discriminator.reads, discriminator.writes) == (("image",), ("score", "label_logits"))
    networks = build("infogan-conv", images(1, 16, 16), latent=7, categories=4, styles=3)
    generator, discriminator = both(networks)
    assert generator.reads == ("z", "code", "style")
    assert discriminator.writes == ("score", "code_logits", "style_mean")
    assert networks.fields == (
        Field(name="z", shape=(7,), source="normal"),
        Field(name="code", dtype="int64", source="uniform", classes=("0", "1", "2", "3")),
        Field(name="style", shape=(3,), source="uniform"),
    )


def test_each_input_of_g_changes_its_images() -> None:
    for name in ARCHITECTURES:
        networks = build(name, images(1, 16, 16), init="default")
        generator = both(networks)[0]
        generator.module.eval()
        given = batch(networks, 1)
        first = outputs(generator, given)["image"]
        for told in generator.reads:
            other = outputs(generator, {**given, told: given[told] + 1})["image"]
            assert not torch.allclose(first, other), told


def test_the_first_layer_is_linear_in_numbers_and_a_one_hot_class() -> None:
    upward = both(build("infogan-conv", images(1, 16, 16)))[0].module.upward
    numbers, code = torch.randn(4, 102), torch.tensor([3, 0, 9, 3])
    weight = torch.cat([upward.from_numbers.weight, upward.from_class.weight.T], dim=1)
    one_hot = nn.functional.one_hot(code, 10).float()
    expected = torch.cat([numbers, one_hot], dim=1) @ weight.T + upward.from_numbers.bias
    assert torch.allclose(upward.from_numbers(numbers) + upward.from_class(code), expected, atol=1e-5)


def test_layers_of_predictions_have_no_spectral_norm() -> None:
    discriminator = both(build("infogan-conv", images(1, 16, 16), **BIG))[1].module
    for layer in discriminator.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            assert is_parametrized(layer) == all(layer is not part for part in discriminator.guess)


def sizes(module: nn.Module) -> list[tuple[int, ...]]:
    """Inputs, outputs, kernel and stride of the layers in order; linear layers have neither."""
    found: list[tuple[int, ...]] = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            found.append((layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0]))
        elif isinstance(layer, nn.Linear):
            found.append((layer.in_features, layer.out_features))
    return found


def norms(module: nn.Module) -> list[int]:
    kinds = nn.BatchNorm1d | nn.BatchNorm2d
    return [layer.num_features for layer in module.modules() if isinstance(layer, kinds)]


def test_acgan_paper_is_table_2(registry: Registry) -> None:
    data = DataInfo(
        fields=(
            Field(name="image", shape=(3, 32, 32), range=(-1, 1)),
            Field(name="label", dtype="int64", classes=tuple("0123456789")),
        ),
        count=10,
    )
    generator, discriminator = both(paper(registry, "acgan-paper", data))
    up = [(100, 384 * 16), (384, 192, 5, 2), (192, 96, 5, 2), (96, 3, 5, 2)]
    assert sizes(generator.module) == up  # and ten vectors of the class: 110 inputs
    assert generator.module.upward.from_class.weight.shape == (10, 384 * 16)
    assert norms(generator.module) == [192, 96]
    widths = [3, 16, 32, 64, 128, 256, 512]
    down = [(widths[k], widths[k + 1], 3, 1 + (k + 1) % 2) for k in range(6)]
    assert sizes(discriminator.module) == [*down, (512 * 16, 1), (512 * 16, 10)]
    assert norms(discriminator.module) == widths[2:]
    drops = [layer.p for layer in discriminator.module.modules() if isinstance(layer, nn.Dropout)]
    assert drops == [0.5] * 6


def test_infogan_paper_is_appendix_c_1(registry: Registry) -> None:
    networks = paper(registry, "infogan-paper", images(1, 28, 28))
    generator, discriminator = both(networks)
    assert [(field.shape, field.source, len(field.classes)) for field in networks.fields] == [
        ((62,), "uniform", 0),
        ((), "uniform", 10),
        ((2,), "uniform", 0),
    ]  # 74 numbers with a one-hot code
    assert sizes(generator.module) == [(64, 1024), (1024, 49 * 128), (128, 64, 4, 2), (64, 1, 4, 2)]
    assert norms(generator.module) == [1024, 128, 64]
    down = [(1, 64, 4, 2), (64, 128, 4, 2), (49 * 128, 1024)]
    assert sizes(discriminator.module) == [*down, (1024, 1), (1024, 128), (128, 12)]
    assert norms(discriminator.module) == [128, 1024, 128]
    slopes = {a.negative_slope for a in discriminator.module.modules() if isinstance(a, nn.LeakyReLU)}
    assert slopes == {0.1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": 0}, "1 or more"),
        ({"guess_hidden": -1}, "0 units"),
        ({"generator_kernel": 1}, "kernels"),
        ({"discriminator_kernel": 2}, "kernels"),
        ({"discriminator_layers": 2}, "odd"),
        ({"discriminator_extra": 2}, "0 or 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"categories": 1}, "categories"),
        ({"styles": 0}, "styles"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CodeConvConfig(**options)


def test_unsuitable_data_is_refused() -> None:
    image = Field(name="image", shape=(1, 16, 16))
    for label in (Field(name="label", dtype="int64"), Field(name="label", dtype="int64", shape=(3,))):
        with pytest.raises(DataError, match="one class label"):
            build("acgan-conv", DataInfo(fields=(image, label), count=10))
    for name in ARCHITECTURES:
        with pytest.raises(DataError, match="at least 8x8"):
            build(name, images(1, 7, 16))


# --- terms --------------------------------------------------------------------------------------


class View:
    """One game in one step, of given outputs."""

    def __init__(self, real: Batch, fake: Batch, noise: Batch | None = None) -> None:
        self.label = torch.tensor([0, 2])
        self.real = self.fake = {"image": torch.zeros(2, 1), "label": self.label}
        self.real_outputs, self.fake_outputs = real, fake
        self.noise = noise or {"z": torch.zeros(2, 3)}


def term(name: str, **options: Any) -> Any:
    spec = TERMS[name]
    assert spec.config is not None
    return pkgutil.resolve_name(spec.factory)(spec.config(**options))


def cross_entropy(logits: list[list[float]], classes: list[int]) -> float:
    losses = [
        math.log(sum(math.exp(value) for value in row)) - row[k]
        for row, k in zip(logits, classes, strict=True)
    ]
    return sum(losses) / len(losses)


REAL, FAKE = [[2.0, 0.0, -1.0], [0.5, 0.0, 1.0]], [[0.0, 1.0, 0.0], [3.0, 0.0, 0.5]]


def labelled() -> View:
    return View({"label_logits": torch.tensor(REAL)}, {"label_logits": torch.tensor(FAKE)})


def test_label_terms_are_cross_entropies() -> None:
    real, fake = cross_entropy(REAL, [0, 2]), cross_entropy(FAKE, [0, 2])
    assert term("guess-label")(labelled()).item() == pytest.approx(real + fake)
    assert term("guess-label", fake_weight=0.0)(labelled()).item() == pytest.approx(real)
    weighted = term("guess-label", real_weight=2.0, fake_weight=0.5)(labelled()).item()
    assert weighted == pytest.approx(2 * real + 0.5 * fake)
    assert term("show-label")(labelled()).item() == pytest.approx(fake)
    assert term("show-label", weight=0.1)(labelled()).item() == pytest.approx(0.1 * fake)


def test_uniform_predictions_cost_log_classes() -> None:
    view = View({"label_logits": torch.zeros(2, 3)}, {"label_logits": torch.zeros(2, 3)})
    assert term("guess-label")(view).item() == pytest.approx(2 * math.log(3))


@pytest.mark.parametrize("name", ["guess-codes", "show-codes"])
def test_code_terms_are_minus_the_log_of_q(name: str) -> None:
    """Cross entropy of the code; of the styles -log N(style; mean, 1) without its constant."""
    style, mean = torch.randn(2, 3), torch.randn(2, 3)
    guesses = {"code_logits": torch.tensor(FAKE), "style_mean": mean}
    view = View({}, guesses, {"z": torch.zeros(2, 1), "code": torch.tensor([1, 0]), "style": style})
    code = cross_entropy(FAKE, [1, 0])
    normal = torch.distributions.Normal(mean, 1.0)
    gauss = -(normal.log_prob(style) + math.log(2 * math.pi) / 2).sum(1).mean().item()
    assert term(name)(view).item() == pytest.approx(code + gauss, rel=1e-5)
    weighted = term(name, categorical_weight=0.5, continuous_weight=3.0)(view).item()
    assert weighted == pytest.approx(0.5 * code + 3 * gauss, rel=1e-5)


def test_real_samples_have_no_code() -> None:
    """Only generated samples have one: the outputs for real ones are not computed."""
    view = View({}, {"code_logits": torch.zeros(2, 4)}, {"code": torch.tensor([1, 3])})
    del view.real_outputs
    assert term("guess-codes")(view).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("name", TERMS)
def test_a_discriminator_without_predictions_is_refused(name: str) -> None:
    view = View({"score": torch.zeros(2)}, {"score": torch.zeros(2)})
    with pytest.raises(SettingsError, match=f"'{name}' needs") as caught:
        term(name)(view)
    assert "writes score" in caught.value.where
    assert f"terms.{name}=false" in caught.value.fix
    with pytest.raises(ValueError, match="0 or more"):
        term(name, **dict.fromkeys(("real_weight",) if name == "guess-label" else WEIGHTS[name], -1.0))


WEIGHTS = {"show-label": ("weight",), **dict.fromkeys(("guess-codes", "show-codes"), ("continuous_weight",))}


def test_a_run_with_other_networks_ends_with_that_message(registry: Registry, tmp_path: Path) -> None:
    settings = {"train.device": "cpu", "train.images": 16, "train.batch_size": 8, "terms.show-label": True}
    with pytest.raises(SettingsError, match="'show-label' needs labels"):
        start(resolve("dcgan", registry, overrides=settings), tmp_path / "run", NullReporter())


# --- training -----------------------------------------------------------------------------------

TRAINED: dict[str, Any] = {
    "train.device": "cpu",
    "train.samples": 10,
    "train.log_every": 640,
    "architecture.generator_width": 8,
    "architecture.discriminator_width": 8,
}


def test_each_term_trains_the_networks_of_its_role(registry: Registry) -> None:
    """guess-label trains D and show-label trains G, and neither trains the other."""
    for recipe in ("acgan", "infogan"):
        setup = prepare(resolve(recipe, registry, overrides={**TRAINED, "train.images": 64}))
        penalties = setup.phases.objective.penalties
        assert [p.name.split("/")[-1].split("-")[0] for p in penalties["discriminator"]] == ["guess"]
        assert [p.name.split("/")[-1].split("-")[0] for p in penalties["generator"]] == ["show"]


def test_labels_are_learned(registry: Registry, tmp_path: Path) -> None:
    settings = {**TRAINED, "train.images": 6_400}
    run, _ = start(resolve("acgan", registry, overrides=settings), tmp_path / "run", NullReporter())
    first, last = run.log()[0]["values"], run.log()[-1]["values"]
    assert last["guess-label"] < 0.6 * first["guess-label"]
    assert last["show-label"] < 0.5 * math.log(10)


def test_codes_are_learned_and_change_images_gradually(registry: Registry, tmp_path: Path) -> None:
    settings = {**TRAINED, "train.images": 6_400}
    run, _ = start(resolve("infogan", registry, overrides=settings), tmp_path / "run", NullReporter())
    assert run.log()[-1]["values"]["show-codes"] < 0.6 * run.log()[0]["values"]["show-codes"]
    generator = ganzoo.load(ganzoo.export(run, tmp_path / "bundle"), provider="cpu")
    assert [field.name for field in generator.inputs] == ["z", "code", "style"]
    style = np.zeros((10, 2), np.float32)
    means = [
        generator.generate(10, seed=0, code=np.full(10, code), style=style).mean(0) for code in range(10)
    ]
    apart = [abs(a - b).mean() for k, a in enumerate(means) for b in means[:k]]
    assert np.mean(apart) > 0.05
    moved = [generator.generate(10, seed=0, code=np.full(10, 1), style=style + shift) for shift in (-1, 1)]
    assert abs(moved[0] - moved[1]).mean() > 0.01


def test_configs_of_both_families_share_their_options() -> None:
    shared = set(LabelConvConfig.__dataclass_fields__)
    assert set(CodeConvConfig.__dataclass_fields__) - shared == {"categories", "styles"}
    assert GuessLabelConfig().fake_weight == 1.0  # as in the paper
    assert isinstance(term("show-label")(labelled()), Tensor)
