"""StyleGAN2 and 3, progressive GANs: files in the published layouts give the images of the formulas."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import ganzoo
from ganzoo.errors import UsageError
from ganzoo.exporting.from_file import export_file
from ganzoo.importing.recognise import Match, chosen, open_file
from ganzoo.registry.registry import load_registry
from ganzoo_stylegan2 import import_pggan, import_rosinality, import_stylegan2
from tests.helpers.importing import imported, largest_difference, outputs, tensors
from tests.helpers.nvidia import EasyDict, Persistent, save

ROW = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
State = dict[str, Tensor]


def opened(file: Path) -> Match:
    return chosen(open_file(file, load_registry()))


def normalised(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def act(x: Tensor) -> Tensor:
    return sqrt(2) * torch.where(x > 0, x, 0.2 * x)


def dense(g: State, name: str, x: Tensor, rate: float = 1.0) -> Tensor:
    weight = g[f"{name}.weight"]
    return x @ weight.T * rate / sqrt(weight.shape[1]) + g[f"{name}.bias"] * rate


def styles(g: State, z: Tensor, classes: Tensor | None, psi: float, layers: int = 2) -> Tensor:
    x = normalised(z)
    if classes is not None:
        hot = functional.one_hot(classes, g["mapping.embed.weight"].shape[1]).float()
        x = torch.cat([x, normalised(dense(g, "mapping.embed", hot))], 1)
    for k in range(layers):
        x = act(dense(g, f"mapping.fc{k}", x, 0.01))
    return g["mapping.w_avg"] + psi * (x - g["mapping.w_avg"])


def modulated(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, pad: int = 0) -> Tensor:
    """Each sample with weights of its own: equations 1 and 3 of StyleGAN2."""
    made = []
    for maps, scale in zip(x, style, strict=True):
        own = weight * scale[None, :, None, None]
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        made.append(functional.conv2d(maps[None], own, padding=pad))
    return torch.cat(made)


def filtered(x: Tensor, row: Tensor, up: int, pads: tuple[int, int]) -> Tensor:
    """Zeros between the pixels, zeros around (or less than none), the filter in both directions."""
    n, c, h, w = x.shape
    spaced = torch.zeros(n, c, h * up, w * up)
    spaced[:, :, ::up, ::up] = x
    spaced = functional.pad(spaced, (*pads, *pads))
    kernel = torch.outer(row, row) if row.ndim == 1 else row
    return functional.conv2d(spaced, kernel.flip(0, 1).expand(c, 1, *kernel.shape), groups=c)


def stylegan2(g: State, z: Tensor, classes: Tensor | None, psi: float) -> Tensor:
    """NVIDIA's generator for 8x8, with constant noise."""
    w = styles(g, z, classes, psi)

    def layer(x: Tensor, name: str, up: bool) -> Tensor:
        style, weight = dense(g, f"{name}.affine", w), g[f"{name}.weight"]
        if up:  # a transposed convolution is one with the reversed kernel over spaced pixels
            n, c, h, _ = x.shape
            spaced = torch.zeros(n, c, 2 * h - 1, 2 * h - 1)
            spaced[:, :, ::2, ::2] = x
            x = filtered(modulated(spaced, weight.flip(2, 3), style, pad=2), 2 * ROW, 1, (1, 1))
        else:
            x = modulated(x, weight, style, pad=1)
        x = x + g[f"{name}.noise_const"] * g[f"{name}.noise_strength"]
        return act(x + g[f"{name}.bias"][:, None, None])

    def colours(x: Tensor, name: str) -> Tensor:
        weight = g[f"{name}.weight"]
        style = dense(g, f"{name}.affine", w) / sqrt(weight.shape[1])
        return modulated(x, weight, style, demodulate=False) + g[f"{name}.bias"][:, None, None]

    x = layer(g["synthesis.b4.const"].expand(len(z), -1, -1, -1), "synthesis.b4.conv1", False)
    image = colours(x, "synthesis.b4.torgb")
    x = layer(layer(x, "synthesis.b8.conv0", True), "synthesis.b8.conv1", False)
    return filtered(image, 2 * ROW, 2, (2, 1)) + colours(x, "synthesis.b8.torgb")


def quiet(net: Mapping[str, Any], *layers: str) -> State:
    """The arrays of an example with smaller weights to pixels, so that few pixels are clipped."""
    return {
        key: value * (0.1 if key.startswith(layers) and "conv.mod" not in key and "affine" not in key else 1)
        for key, value in tensors(net).items()
    }


def inputs(match: Match, n: int, psi: float, classes: Tensor | None) -> dict[str, Tensor]:
    torch.manual_seed(n)
    options = match.imported.options
    layers = options["layers"] + 2 if "layers" in options else 4
    batch = {
        "z": torch.randn(n, options["latent"]),
        "shift": torch.zeros(n, layers, options["style"]),
        "psi": torch.full((n,), psi),
        "rotate": torch.zeros(n),
        "translate": torch.zeros(n, 2),
    }
    return batch if classes is None else {**batch, "label": classes}


@pytest.mark.parametrize("classes", [None, torch.tensor([1, 0, 1])])
def test_stylegan2_of_nvidia_makes_the_images_of_the_formulas(tmp_path: Path, classes: Tensor | None) -> None:
    g = quiet(import_stylegan2.example()["G_ema"], "synthesis.b4.torgb", "synthesis.b8.torgb")
    if classes is None:
        g = {key: value for key, value in g.items() if "embed" not in key}
        g["mapping.fc0.weight"] = g["mapping.fc0.weight"][:, :4]
    for name in ("b4", "b8", "b8.conv0"):
        g[f"synthesis.{name}.resample_filter"] = torch.outer(ROW, ROW)
    options = EasyDict(z_dim=4, synthesis_kwargs=EasyDict(num_fp16_res=0), mapping_kwargs=EasyDict())
    file = save(
        tmp_path / "network.pkl", G=None, D=None, G_ema=Persistent("Generator", g, options), augment_pipe=None
    )
    match = opened(file)
    assert match.path == "G_ema"
    assert match.imported.options["clamp"] == 0
    assert not any("rate" in line for line in match.imported.unknown)
    for psi in (1.0, 0.5):
        batch = inputs(match, 3, psi, classes)
        expected = stylegan2(g, batch["z"], classes, psi)
        assert (expected.abs() < 1).float().mean() > 0.8
        assert largest_difference(outputs(match, batch)["image"], expected.clamp(-1, 1)) < 1e-5


def test_the_exported_stylegan2_reads_the_class(tmp_path: Path) -> None:
    """An index gives the images of the one-hot vector of the formula, other ones for each class."""
    g = quiet(import_stylegan2.example()["G_ema"], "synthesis.b4.torgb", "synthesis.b8.torgb")
    options = {"z_dim": 4, "synthesis_kwargs": {"num_fp16_res": 0}}
    file = save(tmp_path / "network.pkl", G_ema=Persistent("Generator", g, options))
    bundle = export_file(open_file(file, load_registry()), opened(file), load_registry(), tmp_path / "bundle")
    generator = ganzoo.load(bundle.path, provider="cpu")
    z = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    made = [
        generator.generate(3, z=z, label=np.full(3, label), psi=np.ones(3, np.float32)) for label in (0, 1)
    ]
    assert np.abs(made[0] - made[1]).max() > 0.05
    for label, images in enumerate(made):
        wanted = stylegan2(g, torch.from_numpy(z), torch.full((3,), label), 1.0).clamp(-1, 1)
        assert largest_difference(torch.from_numpy(images), wanted) < 1e-5


def test_a_bound_of_the_activations_is_kept(tmp_path: Path) -> None:
    g = quiet(import_stylegan2.example()["G_ema"])
    g["synthesis.b8.torgb.bias"] = torch.tensor([0.9, 0.0, -0.9])
    options = {"synthesis_kwargs": EasyDict(conv_clamp=0.25)}
    match = opened(save(tmp_path / "network.pkl", G_ema=Persistent("Generator", g, options)))
    image = outputs(match, inputs(match, 3, 1.0, torch.tensor([0, 1, 0])))["image"]
    assert image.abs().max() <= 0.25 * 2.25 + 1e-6  # the filter of the smaller image weighs up to 9/4 of it
    later = {"num_fp16_res": 4}  # NVIDIA's later code has a bound of 256 unless told otherwise
    match = opened(save(tmp_path / "network.pkl", G_ema=Persistent("Generator", g, later)))
    assert match.imported.options["clamp"] == 256


def test_the_discriminator_of_nvidia_scores_by_class(tmp_path: Path) -> None:
    """The residual D of StyleGAN2, and the product of its last layer with the mapped class."""
    tree = import_stylegan2.example()
    d, classes = tensors(tree["D"]), torch.tensor([1, 0, 1, 1])
    kwargs = {"epilogue_kwargs": EasyDict(mbstd_group_size=2)}
    file = save(
        tmp_path / "n.pkl",
        G_ema=Persistent("Generator", tree["G_ema"]),
        D=Persistent("Discriminator", d, kwargs),
    )
    match = opened(file)
    assert match.imported.options["group"] == 2
    image = torch.randn(4, 3, 8, 8)

    def conv(x: Tensor, name: str, pad: int = 0, stride: int = 1) -> Tensor:
        weight, bias = d[f"{name}.weight"], d.get(f"{name}.bias")
        return functional.conv2d(x, weight / sqrt(weight[0].numel()), bias, stride, pad)

    x = act(conv(image, "b8.fromrgb"))
    short = conv(filtered(x, ROW, 1, (1, 1))[:, :, ::2, ::2], "b8.skip")
    x = act(conv(x, "b8.conv0", 1))
    x = (act(conv(filtered(x, ROW, 1, (2, 2)), "b8.conv1", stride=2)) + short) / sqrt(2)
    pairs = x.reshape(2, 2, *x.shape[1:])
    spread = (pairs.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(2)
    x = act(conv(torch.cat([x, spread[:, None, None, None].expand(-1, 1, 4, 4)], 1), "b4.conv", 1))
    x = dense(d, "b4.out", act(dense(d, "b4.fc", x.flatten(1))))
    hot = functional.one_hot(classes, 2).float()
    mapped = act(dense(d, "mapping.fc0", normalised(dense(d, "mapping.embed", hot)), 0.01))
    expected = (x * mapped).sum(1) / sqrt(8)
    found = outputs(match, {"image": image, "label": classes}, "discriminator")["score"]
    assert largest_difference(found, expected) < 1e-5


def as_nvidia(g: State, average: Tensor) -> State:
    """The arrays of rosinality's layout under NVIDIA's names."""
    named = {"mapping.w_avg": average, "synthesis.b4.const": g["input.input"][0]}
    for k in (1, 2):
        named |= {f"mapping.fc{k - 1}.{part}": g[f"style.{k}.{part}"] for part in ("weight", "bias")}
    for k, (theirs, name) in enumerate(
        (("conv1", "b4.conv1"), ("convs.0", "b8.conv0"), ("convs.1", "b8.conv1"))
    ):
        named |= {
            f"synthesis.{name}.weight": g[f"{theirs}.conv.weight"][0],
            f"synthesis.{name}.bias": g[f"{theirs}.activate.bias"],
            f"synthesis.{name}.noise_strength": g[f"{theirs}.noise.weight"],
            f"synthesis.{name}.noise_const": g[f"noises.noise_{k}"][0, 0],
            f"synthesis.{name}.affine.weight": g[f"{theirs}.conv.modulation.weight"],
            f"synthesis.{name}.affine.bias": g[f"{theirs}.conv.modulation.bias"],
        }
    for theirs, name in (("to_rgb1", "b4"), ("to_rgbs.0", "b8")):
        named |= {
            f"synthesis.{name}.torgb.weight": g[f"{theirs}.conv.weight"][0],
            f"synthesis.{name}.torgb.bias": g[f"{theirs}.bias"].flatten(),
            f"synthesis.{name}.torgb.affine.weight": g[f"{theirs}.conv.modulation.weight"],
            f"synthesis.{name}.torgb.affine.bias": g[f"{theirs}.conv.modulation.bias"],
        }
    return named


def test_stylegan2_of_rosinality_makes_the_images_of_the_formulas(tmp_path: Path) -> None:
    tree = import_rosinality.example()
    g = quiet(tree["g_ema"], "to_rgb1", "to_rgbs.0")
    g |= {"convs.0.conv.blur.kernel": 4 * torch.outer(ROW, ROW)}
    average = torch.randn(6)
    file = {"g": g, "g_ema": g, "d": tensors(tree["d"]), "latent_avg": average}
    match = imported(file, tmp_path)
    assert match.path == "g_ema"
    assert set(match.imported.weights) == {"generator", "discriminator"}
    batch = inputs(match, 3, 0.7, None)
    expected = stylegan2(as_nvidia(g, average), batch["z"], None, 0.7)
    assert (expected.abs() < 1).float().mean() > 0.8
    assert largest_difference(outputs(match, batch)["image"], expected.clamp(-1, 1)) < 1e-5


def test_a_missing_mean_style_is_computed_and_said(tmp_path: Path) -> None:
    g = tensors(import_rosinality.example()["g_ema"])
    match = imported({"g_ema": g}, tmp_path)
    assert any("mean style" in line and "4,096" in line for line in match.imported.unknown)
    torch.manual_seed(3)
    named = as_nvidia(g, torch.zeros(6))
    expected = styles(named, torch.randn(20_000, 6), None, 1.0)
    found = torch.from_numpy(np.asarray(match.imported.weights["generator"]["average"]))
    assert ((found - expected.mean(0)).abs() < 0.06 * expected.std(0)).all()


@pytest.mark.parametrize("change", ["filter", "resnet", "widths"])
def test_variants_that_are_not_known_are_refused_with_the_reason(tmp_path: Path, change: str) -> None:
    g = tensors(import_stylegan2.example()["G_ema"])
    if change == "filter":
        g["synthesis.b8.conv0.resample_filter"] = torch.ones(4, 4) / 16
    elif change == "resnet":
        g = {key: value for key, value in g.items() if not key.startswith("synthesis.b4.torgb")}
    else:
        g["synthesis.b8.conv1.weight"] = torch.randn(3, 4, 3, 3)
    reasons = {"filter": "another filter", "resnet": "skip connections", "widths": "channels do not double"}
    with pytest.raises(UsageError, match=reasons[change]):
        imported({"G_ema": g}, tmp_path)


# --- StyleGAN3 ----------------------------------------------------------------------------------


def window(taps: int, width: float, rate: float) -> Tensor:
    """Kaiser's window for a transition band of that width, by his formulas for its parameter."""
    attenuation = 2.285 * (taps - 1) * pi * width / (rate / 2) + 7.95
    beta = 0.1102 * (attenuation - 8.7)
    if attenuation <= 50:
        beta = 0.5842 * max(attenuation - 21, 0) ** 0.4 + 0.07886 * max(attenuation - 21, 0)
    places = (2 * torch.arange(taps, dtype=torch.float64) - taps + 1) / (taps - 1)
    return torch.special.i0(beta * (1 - places**2).clamp(0).sqrt())


def kaiser(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """A windowed sinc (Karras et al. 2021, appendix C.1)."""
    places = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    row = torch.sinc(2 * cutoff * places / rate) * window(taps, width, rate)
    return (row / row.sum()).float()


def jinc(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """Its radially symmetric counterpart, appendix C.2."""
    places = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    radius = (places[:, None] ** 2 + places**2).sqrt()
    row = window(taps, width, rate)
    kernel = torch.special.bessel_j1(2 * pi * cutoff * radius) / radius * torch.outer(row, row)
    return (kernel / kernel.sum()).float()


class Published:
    """A StyleGAN3 of few layers: its arrays in the published layout, and its images by plain formulas."""

    def __init__(self, side: int, layers: int, *, rotating: bool) -> None:
        torch.manual_seed(5)
        self.side, self.layers, self.kernel = side, layers, 1 if rotating else 3
        self.width, style, critical = 6, 5, 2
        last, stop = side / 2, side / 2 * 2**0.3
        share = [min(k / (layers - critical), 1) for k in range(layers + 1)]
        self.cutoffs = [2 * (last / 2) ** s for s in share]
        stops = [2**2.1 * (stop / 2**2.1) ** s for s in share]
        self.rates = [2 ** int(np.ceil(log2(min(2 * s, side)))) for s in stops]
        self.halves = [max(s, r / 2) - c for s, r, c in zip(stops, self.rates, self.cutoffs, strict=True)]
        self.sizes = [rate + 20 for rate in self.rates[:-2]] + [side, side]
        self.g: State = {
            "mapping.w_avg": 0.3 * torch.randn(style),
            "mapping.fc0.weight": 100 * torch.randn(style, 4),
            "mapping.fc0.bias": torch.randn(style),
            "mapping.fc1.weight": 100 * torch.randn(style, style),
            "mapping.fc1.bias": torch.randn(style),
            "synthesis.input.weight": torch.randn(self.width, self.width),
            "synthesis.input.freqs": torch.rand(self.width, 2) * 2 - 1,
            "synthesis.input.phases": torch.rand(self.width) - 0.5,
            "synthesis.input.transform": torch.eye(3),
            "synthesis.input.affine.weight": 0.2 * torch.randn(4, style),
            "synthesis.input.affine.bias": torch.tensor([1.0, 0.2, 0.1, -0.1]),
        }
        self.names = []
        for k in range(layers + 1):
            final, before = k == layers, max(k - 1, 0)
            outputs, kernel = (3 if final else self.width), (1 if final else self.kernel)
            name = f"synthesis.L{k}_{self.sizes[k]}_{outputs}"
            self.names.append(name)
            self.g |= {
                f"{name}.weight": torch.randn(outputs, self.width, kernel, kernel) * (0.3 if final else 1),
                f"{name}.bias": 0.3 * torch.randn(outputs),
                f"{name}.magnitude_ema": torch.tensor(0.5 + k / 10),
                f"{name}.affine.weight": torch.randn(self.width, style),
                f"{name}.affine.bias": torch.ones(self.width),
            }
            if not final:
                rate = 2 * max(self.rates[before], self.rates[k])
                up, down = 6 * rate // self.rates[before], 6 * rate // self.rates[k]
                radial = rotating and k < layers - critical
                self.g[f"{name}.up_filter"] = kaiser(up, self.cutoffs[before], 2 * self.halves[before], rate)
                design = jinc if radial else kaiser
                self.g[f"{name}.down_filter"] = design(down, self.cutoffs[k], 2 * self.halves[k], rate)

    def __call__(self, z: Tensor, psi: float, rotate: float, move: tuple[float, float]) -> Tensor:
        g, w = self.g, styles(self.g, z, None, psi)
        x = self.waves(w, rotate, move)
        for k, name in enumerate(self.names):
            weight, style = g[f"{name}.weight"], dense(g, f"{name}.affine", w)
            final = k == self.layers
            if final:
                style = style / sqrt(self.width)
            x = modulated(x, weight, style, demodulate=not final, pad=0 if final else self.kernel - 1)
            x = x / g[f"{name}.magnitude_ema"].sqrt() + g[f"{name}.bias"][:, None, None]
            if not final:
                x = self.nonlinear(x, k, g[f"{name}.up_filter"], g[f"{name}.down_filter"])
        return x / 4

    def waves(self, w: Tensor, rotate: float, move: tuple[float, float]) -> Tensor:
        """Sines of the frequencies over the places that the two transforms give, pixel by pixel."""
        g = self.g
        c, s, x, y = dense(g, "synthesis.input.affine", w).unbind(1)
        length = (c**2 + s**2).sqrt()
        places = (torch.arange(self.sizes[0]) + 0.5 - self.sizes[0] / 2) / self.rates[0]
        angle = rotate * pi / 180
        cos, sin = np.cos(angle), np.sin(angle)
        users = torch.tensor(np.linalg.inv([[cos, sin, move[0]], [-sin, cos, move[1]], [0, 0, 1]])).float()
        made = []
        for n in range(len(w)):
            a, b, right, down = (float(v[n] / length[n]) for v in (c, s, x, y))
            turn = torch.tensor([[a, -b, 0], [b, a, 0], [0, 0, 1]])
            shift = torch.tensor([[1, 0, -right], [0, 1, -down], [0, 0, 1]])
            grid = torch.stack(
                [*torch.meshgrid(places, places, indexing="xy"), torch.ones(2 * [len(places)])]
            )
            moved = torch.einsum("ij,jhw->ihw", turn @ shift @ users, grid)[:2]
            phase = torch.einsum("cj,jhw->chw", g["synthesis.input.freqs"], moved)
            waves = (2 * pi * (phase + g["synthesis.input.phases"][:, None, None])).sin()
            made.append(torch.einsum("oc,chw->ohw", g["synthesis.input.weight"] / sqrt(self.width), waves))
        return torch.stack(made)

    def nonlinear(self, x: Tensor, k: int, up: Tensor, down: Tensor) -> Tensor:
        """Appendix C.3: pads so that the signal stays in place."""
        rate = 2 * max(self.rates[max(k - 1, 0)], self.rates[k])
        factor, step = rate // self.rates[max(k - 1, 0)], rate // self.rates[k]
        pads = (self.sizes[k] - 1) * step + 1 - x.shape[2] * factor + len(up) + len(down) - 2
        first = (pads + factor) // 2
        x = act(filtered(x, up * factor, factor, (first, pads - first))).clamp(-256, 256)
        return filtered(x, down, 1, (0, 0))[:, :, ::step, ::step]


@pytest.mark.parametrize("rotating", [False, True])
def test_stylegan3_makes_the_images_of_the_formulas(tmp_path: Path, rotating: bool) -> None:
    net = Published(32, 5, rotating=rotating)
    kwargs = {"mapping_kwargs": EasyDict(num_layers=2), "num_layers": 5, "magnitude_ema_beta": 0.99}
    match = opened(save(tmp_path / "stylegan3.pkl", G_ema=Persistent("Generator", net.g, kwargs), D=None))
    assert match.imported.architecture == "stylegan3"
    assert match.imported.options["magnitude"] == 0.99
    for psi, rotate, move in ((1.0, 0.0, (0.0, 0.0)), (0.6, 25.0, (0.1, -0.2))):
        batch = inputs(match, 2, psi, None)
        batch |= {"rotate": torch.full((2,), rotate), "translate": torch.tensor([move, move])}
        expected = net(batch["z"], psi, rotate, move)
        assert (expected.abs() < 1).float().mean() > 0.8
        assert largest_difference(outputs(match, batch)["image"], expected.clamp(-1, 1)) < 1e-5


def test_stylegan3_with_other_filters_is_refused(tmp_path: Path) -> None:
    net = Published(32, 5, rotating=False)
    name = next(key for key in net.g if key.endswith("down_filter"))
    net.g[name] = net.g[name].roll(1)
    with pytest.raises(UsageError, match="not those of the published code"):
        imported({"G_ema": net.g}, tmp_path)


# --- progressive GANs ---------------------------------------------------------------------------


def pggan(g: State, z: Tensor, stages: int) -> Tensor:
    """(W x + b) sqrt(2 / inputs), leaky ReLU, pixel norm; pixels repeated."""

    def layer(x: Tensor, name: str) -> Tensor:
        weight, bias = g[f"{name}.module.weight"], g[f"{name}.module.bias"]
        if weight.ndim == 2:
            made = functional.linear(x, weight, bias)
        else:
            made = functional.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
        return made * sqrt(2 / weight[0].numel())

    def leaky(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.2)

    x = normalised(leaky(layer(normalised(z), "formatLayer")).unflatten(1, (-1, 4, 4)))
    x = normalised(leaky(layer(x, "groupScale0.0")))
    for k in range(stages):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        for at in (0, 1):
            x = normalised(leaky(layer(x, f"scaleLayers.{k}.{at}")))
    return layer(x, f"toRGBLayers.{stages}")


def test_pggan_makes_the_images_of_the_formulas(tmp_path: Path) -> None:
    tree = import_pggan.example()
    g = tensors(tree["avgG"])
    for part in ("weight", "bias"):
        g[f"toRGBLayers.1.module.{part}"] *= 0.2
    match = imported({**tree, "avgG": g}, tmp_path)
    assert match.path == "avgG"
    z = torch.randn(3, 6)
    expected = pggan(g, z, 1)
    assert (expected.abs() < 1).float().mean() > 0.8
    assert largest_difference(outputs(match, {"z": z})["image"], expected.clamp(-1, 1)) < 1e-5


def test_a_pggan_that_still_grows_is_refused(tmp_path: Path) -> None:
    tree = dict(import_pggan.example())
    tree["config"] = {**tree["config"], "alpha": 0.25}
    with pytest.raises(UsageError, match=r"fully grown.*alpha = 0.25"):
        imported(tree, tmp_path)
