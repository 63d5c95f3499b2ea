"""SNGAN, SAGAN, projection GAN and BigGAN: files in three projects' layouts give the published images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

from ganzoo.errors import UsageError
from ganzoo.importing.networks import build_imported
from ganzoo.registry.registry import load_registry
from tests.helpers.importing import imported, largest_difference, outputs

CLASSES, SHARED = 5, 6


class OwnSpectralNorm:
    """BigGAN-PyTorch's: a step of the power iteration at each call, from the buffer `u0`."""

    def normed(self) -> Tensor:
        matrix = self.weight.flatten(1)
        v = functional.normalize(self.u0 @ matrix)
        u = functional.normalize(v @ matrix.T)
        return self.weight / (v @ matrix.T @ u.T).squeeze()


class OwnConv(nn.Conv2d, OwnSpectralNorm):
    def __init__(self, *args: int, **options: object) -> None:
        super().__init__(*args, **options)
        self.register_buffer("u0", torch.randn(1, self.out_channels))
        self.register_buffer("sv0", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.normed(), self.bias, padding=self.padding)


class OwnLinear(nn.Linear, OwnSpectralNorm):
    def __init__(self, *args: int, **options: object) -> None:
        super().__init__(*args, **options)
        self.register_buffer("u0", torch.randn(1, self.out_features))
        self.register_buffer("sv0", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.normed(), self.bias)


class OwnTable(nn.Embedding, OwnSpectralNorm):
    def __init__(self, *args: int) -> None:
        super().__init__(*args)
        self.register_buffer("u0", torch.randn(1, self.num_embeddings))
        self.register_buffer("sv0", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.embedding(x, self.normed())


class StoredNorm(nn.Module):
    """BigGAN-PyTorch's `bn` and `ccbn`: statistics are called stored_mean and stored_var."""

    def __init__(self, width: int, table: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        if table is None:
            self.gain, self.bias = (nn.Parameter(torch.rand(width) + 0.5) for _ in range(2))
        else:
            self.gain, self.bias = table(), table()
        self.conditional = table is not None
        self.register_buffer("stored_mean", 0.2 * torch.randn(width))
        self.register_buffer("stored_var", torch.rand(width) + 0.5)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        if not self.conditional:
            return functional.batch_norm(x, self.stored_mean, self.stored_var, self.gain, self.bias)
        out = functional.batch_norm(x, self.stored_mean, self.stored_var)
        return out * (1 + self.gain(y))[:, :, None, None] + self.bias(y)[:, :, None, None]


class TableNorm(nn.Module):
    """StudioGAN's and mimicry's: `bn`, and tables of the given names; mimicry's has the gain itself."""

    def __init__(self, width: int, names: tuple[str, ...], table: Callable, eps: float) -> None:
        super().__init__()
        self.bn = trained(nn.BatchNorm2d(width, affine=False, eps=eps))
        self.names = names
        for name in names:
            setattr(self, name, table(width * 2 // len(names)))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        parts = [getattr(self, name)(y) for name in self.names]
        gain, shift = parts[0].chunk(2, 1) if len(parts) == 1 else (1 + parts[0], parts[1])
        return self.bn(x) * gain[:, :, None, None] + shift[:, :, None, None]


class Plain(nn.BatchNorm2d):
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x)


def trained(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    norm.running_mean.normal_(0, 0.2)
    norm.running_var.uniform_(0.5, 1.5)
    return norm


class Block(nn.Module):
    def __init__(
        self, names: tuple[str, ...], before: int, after: int, conv: Callable, norm: Callable, mode: str
    ) -> None:
        super().__init__()
        self.names, self.mode = names, mode
        for name, size in zip(names[:2], (before, after), strict=True):
            setattr(self, name, conv(size, after, 3, padding=1))
        setattr(self, names[2], conv(before, after, 1))
        for name, size in zip(names[3:], (before, after), strict=True):
            setattr(self, name, norm(size))

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        conv1, conv2, shortcut, norm1, norm2 = (getattr(self, name) for name in self.names)

        def double(maps: Tensor) -> Tensor:
            return functional.interpolate(maps, scale_factor=2, mode=self.mode)

        h = conv2(norm2(conv1(double(norm1(x, y).relu())), y).relu())
        return h + shortcut(double(x))


class Attention(nn.Module):
    def __init__(self, names: tuple[str, ...], width: int, conv: Callable, gamma: Tensor) -> None:
        super().__init__()
        self.names = names
        sizes = ((width, width // 8), (width, width // 8), (width, width // 2), (width // 2, width))
        for name, (before, after) in zip(names, sizes, strict=False):
            setattr(self, name, conv(before, after, 1, bias=False))
        setattr(self, names[4], nn.Parameter(gamma))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        theta, phi, g, out, gamma = (getattr(self, name) for name in self.names)
        query, key, value = theta(x), functional.max_pool2d(phi(x), 2), functional.max_pool2d(g(x), 2)
        beta = (query.flatten(2).transpose(1, 2) @ key.flatten(2)).softmax(-1)
        mixed = (value.flatten(2) @ beta.transpose(1, 2)).reshape(len(x), -1, *x.shape[2:])
        return x + gamma * out(mixed)


def run(steps: list[nn.Module], first: nn.Module, last: list[nn.Module], z: Tensor, ys: list) -> Tensor:
    h = first(z).reshape(len(z), -1, 4, 4)
    at = -1
    for step in steps:
        at += isinstance(step, Block)
        h = step(h, ys[at])
    return last[1](last[0](h).relu()).tanh()


def biggan(side: int, widths: list[int], attention: int, *, chunk: int) -> tuple[nn.Module, Callable]:
    net, blocks = nn.Module(), len(widths) - 1
    net.linear = OwnLinear(chunk, 16 * widths[0])
    net.shared = nn.Embedding(CLASSES, SHARED)

    def norm(width: int) -> nn.Module:
        return StoredNorm(width, lambda: OwnLinear(SHARED + chunk, width, bias=False))

    names = ("conv1", "conv2", "conv_sc", "bn1", "bn2")
    net.blocks = nn.ModuleList()
    for at in range(blocks):
        net.blocks.append(nn.ModuleList([Block(names, widths[at], widths[at + 1], OwnConv, norm, "nearest")]))
        if at == attention:
            own = Attention(("theta", "phi", "g", "o", "gamma"), widths[at + 1], OwnConv, torch.tensor(0.5))
            net.blocks[-1].append(own)
    net.output_layer = nn.Sequential(StoredNorm(widths[-1]), nn.ReLU(), OwnConv(widths[-1], 3, 3, padding=1))

    def images(z: Tensor, label: Tensor) -> Tensor:
        y, (first, *rest) = net.shared(label), z.split(chunk, 1)
        steps = [step for block in net.blocks for step in block]
        last = [net.output_layer[0], net.output_layer[2]]
        return run(steps, net.linear, last, first, [torch.cat([y, part], 1) for part in rest])

    return net, images


def studio(side: int, widths: list[int], attention: int, *, kind: str) -> tuple[nn.Module, Callable]:
    """`kind`: big_resnet; or resnet with labels or without."""
    net, chunk = nn.Module(), 4
    big = kind == "big"

    def conv(*args: int, **options: object) -> nn.Module:
        return spectral_norm(nn.Conv2d(*args, **options), eps=1e-6)

    def linear(*args: int, **options: object) -> nn.Module:
        return spectral_norm(nn.Linear(*args, **options), eps=1e-6)

    def norm(width: int) -> nn.Module:
        if kind == "plain":
            return trained(Plain(width, eps=1e-4))
        if big:
            return TableNorm(width, ("gain", "bias"), lambda w: linear(SHARED + chunk, w, bias=False), 1e-4)

        def table(size: int) -> nn.Module:
            return spectral_norm(nn.Embedding(CLASSES, size), eps=1e-6)

        return TableNorm(width, ("embed0", "embed1"), table, 1e-4)

    net.linear0 = linear(chunk, 16 * widths[0])
    if big:
        net.shared = nn.Embedding(CLASSES, SHARED)
    names = ("conv2d1", "conv2d2", "conv2d0", "bn1", "bn2")
    net.blocks = nn.ModuleList()
    for at in range(len(widths) - 1):
        net.blocks.append(nn.ModuleList([Block(names, widths[at], widths[at + 1], conv, norm, "nearest")]))
        if at == attention:
            own = ("conv1x1_theta", "conv1x1_phi", "conv1x1_g", "conv1x1_attn", "sigma")
            net.blocks.append(nn.ModuleList([Attention(own, widths[at + 1], conv, torch.full((1,), 0.5))]))
    net.bn4 = trained(Plain(widths[-1], eps=1e-4))
    net.conv2d5 = conv(widths[-1], 3, 3, padding=1)

    def images(z: Tensor, label: Tensor) -> Tensor:
        first, *rest = z.split(chunk, 1)
        ys = [torch.cat([net.shared(label), part], 1) for part in rest] if big else [label] * 9
        return run([block[0] for block in net.blocks], net.linear0, [net.bn4, net.conv2d5], first, ys)

    return net, images


def mimicry(side: int, widths: list[int], attention: int, *, conditional: bool) -> tuple[nn.Module, Callable]:
    net = nn.Module()

    def normed(layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if conditional else layer

    def conv(*args: int, **options: object) -> nn.Module:
        return normed(nn.Conv2d(*args, **options))

    def norm(width: int) -> nn.Module:
        if conditional:
            return TableNorm(width, ("embed",), lambda w: nn.Embedding(CLASSES, w), 1e-5)
        return trained(Plain(width))

    net.l1 = normed(nn.Linear(7, 16 * widths[0]))
    steps: list[nn.Module] = []
    for at in range(len(widths) - 1):
        block = Block(("c1", "c2", "c_sc", "b1", "b2"), widths[at], widths[at + 1], conv, norm, "bilinear")
        setattr(net, f"block{at + 2}", block)
        steps.append(block)
        if at == attention:
            own = ("theta", "phi", "g", "o", "gamma")
            net.attn_block = Attention(own, widths[at + 1], conv, torch.tensor(0.5))
            steps.append(net.attn_block)
    end = len(widths) + 1
    setattr(net, f"b{end}", trained(Plain(widths[-1])))
    setattr(net, f"c{end}", conv(widths[-1], 3, 3, padding=1))

    def images(z: Tensor, label: Tensor) -> Tensor:
        return run(steps, net.l1, [getattr(net, f"b{end}"), getattr(net, f"c{end}")], z, [label] * 9)

    return net, images


CASES = {
    "biggan-pytorch 32": partial(biggan, 32, [16, 16, 16, 16], 1, chunk=4),
    "biggan-pytorch 64, widths of 256": partial(biggan, 64, [32, 32, 16, 16, 8], 2, chunk=3),
    "biggan-pytorch without attention": partial(biggan, 32, [16, 16, 16, 16], -1, chunk=4),
    "studiogan big_resnet": partial(studio, 32, [16, 16, 16, 16], 1, kind="big"),
    "studiogan resnet": partial(studio, 64, [32, 16, 16, 8, 8], 0, kind="labels"),
    "studiogan resnet without labels": partial(studio, 32, [16, 16, 16, 16], -1, kind="plain"),
    "mimicry sngan": partial(mimicry, 64, [32, 16, 8, 8, 4], -1, conditional=False),
    "mimicry sagan 32": partial(mimicry, 32, [16, 16, 16, 16], 1, conditional=True),
    "mimicry sagan 128": partial(mimicry, 128, [64, 64, 32, 16, 8, 4], 2, conditional=True),
}


@pytest.mark.parametrize("case", CASES)
def test_images_equal_the_published_formula(tmp_path: Path, case: str) -> None:
    torch.manual_seed(0)
    net, images = CASES[case]()
    side = CASES[case].args[0]
    for _ in range(3):  # so that the vectors of torch's spectral norm are not those of the beginning
        for layer in net.modules():
            if hasattr(layer, "weight_u"):
                layer.train()
                with torch.no_grad():
                    for hook in layer._forward_pre_hooks.values():
                        hook(layer, ())
    match = imported(net.state_dict(), tmp_path)
    assert match.item.name.split("-")[0] == case.split()[0].split("-")[0]
    net.eval()
    z, label = torch.randn(4, match.imported.options["latent"]), torch.tensor([0, 1, 4, 2])
    with torch.no_grad():
        expected = images(z, label)
    assert expected.shape == (4, 3, side, side)
    assert expected.std() > 1e-2
    batch = {"z": z, "label": label}
    assert largest_difference(outputs(match, batch)["image"], expected) < 1e-5


def test_a_bottom_of_other_sizes_is_not_taken(tmp_path: Path) -> None:
    net, _ = CASES["mimicry sngan"]()
    arrays = dict(net.state_dict())
    arrays["l1.weight"], arrays["l1.bias"] = torch.randn(64 * 32, 7), torch.randn(64 * 32)
    with pytest.raises(Exception, match="No importer recognises"):
        imported(arrays, tmp_path)


class Halving(nn.Module):
    """A block of D; a ReLU in place changes what the shortcut sees."""

    def __init__(
        self, names: tuple[str, ...], sizes: tuple[int, int, int], conv: Callable, *, first: bool, down: bool,
        in_place: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        before, hidden, after = sizes
        self.names, self.first, self.down, self.in_place = names, first, down, in_place
        setattr(self, names[0], conv(before, hidden, 3, padding=1))
        setattr(self, names[1], conv(hidden, after, 3, padding=1))
        if down or before != after:
            setattr(self, names[2], conv(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.first else functional.relu(x)
        x = h if self.in_place else x
        h = getattr(self, self.names[1])(getattr(self, self.names[0])(h).relu())
        x = getattr(self, self.names[2])(x) if hasattr(self, self.names[2]) else x
        return functional.avg_pool2d(h, 2) + functional.avg_pool2d(x, 2) if self.down else h + x


def normed_conv(*args: int, **options: object) -> nn.Module:
    return spectral_norm(nn.Conv2d(*args, **options))


JUDGES = {  # project: names, convolution, hidden channels are those before, ReLU in place, score, embedding
    "biggan": (("conv1", "conv2", "conv_sc"), OwnConv, False, False, "linear", "embed"),
    "studio": (("conv2d1", "conv2d2", "conv2d0"), normed_conv, False, True, "linear1", "embedding"),
    "mimicry": (("c1", "c2", "c_sc"), normed_conv, True, True, "l{}", "l_y"),
}
ATTENTIONS = {
    "biggan": ("theta", "phi", "g", "o", "gamma"),
    "studio": ("conv1x1_theta", "conv1x1_phi", "conv1x1_g", "conv1x1_attn", "sigma"),
    "mimicry": ("theta", "phi", "g", "o", "gamma"),
}


def judging(
    project: str, widths: list[int], down: list[bool], attention: int, *, labels: bool
) -> tuple[nn.Module, Callable]:
    """A discriminator as the project builds it, and its formula."""
    names, conv, narrow, in_place, score, embed = JUDGES[project]
    net, steps, inputs = nn.Module(), [], 3
    net.blocks = nn.ModuleList()
    for at, width in enumerate(widths):
        hidden = inputs if narrow and at else width
        block = Halving(
            names, (inputs, hidden, width), conv, first=at == 0, down=down[at], in_place=in_place and at > 0
        )
        steps.append(block)
        inputs = width
        if project == "mimicry":
            setattr(net, f"block{at + 1}", block)
        else:
            net.blocks.append(nn.ModuleList([block]))
        if at == attention:
            own = Attention(
                ATTENTIONS[project], width, conv, torch.tensor(0.5).reshape(() if project != "studio" else 1)
            )
            steps.append(own)
            if project == "biggan":
                net.blocks[-1].append(own)
            elif project == "studio":
                net.blocks.append(nn.ModuleList([own]))
            else:
                net.attn_block = own
    linear = OwnLinear if project == "biggan" else lambda a, b: spectral_norm(nn.Linear(a, b))
    last = linear(inputs, 1)
    setattr(net, score.format(len(widths) + 1), last)
    if labels:
        table = spectral_norm(nn.Embedding(CLASSES, inputs))
        setattr(net, embed, OwnTable(CLASSES, inputs) if project == "biggan" else table)

    def scores(image: Tensor, label: Tensor) -> Tensor:
        h = image
        for step in steps:
            h = step(h)
        h = h.relu().sum((2, 3))
        out = last(h)[:, 0]
        return out + (getattr(net, embed)(label) * h).sum(1) if labels else out

    return net, scores


def converged(net: nn.Module) -> None:
    """The vectors of spectral norm as after a long training: those of the largest singular value."""
    for layer in net.modules():
        if isinstance(layer, OwnSpectralNorm):
            layer.u0 = torch.linalg.svd(layer.weight.detach().flatten(1))[0][None, :, 0]
        if hasattr(layer, "weight_u"):
            left, _, right = torch.linalg.svd(layer.weight_orig.detach().flatten(1))
            layer.weight_u.copy_(left[:, 0])
            layer.weight_v.copy_(right[0])
    net.eval()


PAIRS = {
    "biggan 32": ("biggan-pytorch 32", "biggan", [8, 8, 8, 8], [True, True, False, False], 0, True),
    "biggan 64": (
        "biggan-pytorch 64, widths of 256", "biggan", [8, 8, 16, 16, 32], [True] * 4 + [False], 0, True,
    ),
    "studio 64": ("studiogan resnet", "studio", [8, 8, 16, 32, 32], [True] * 4 + [False], 2, True),
    "studio 32": (
        "studiogan resnet without labels", "studio", [8, 8, 8, 8], [True, True, False, False], -1, False,
    ),
    "mimicry 64": ("mimicry sngan", "mimicry", [4, 8, 16, 32, 64], [True] * 5, -1, False),
    "mimicry 128": ("mimicry sagan 128", "mimicry", [8, 8, 16, 32, 64, 64], [True] * 5 + [False], 1, True),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS)
def test_scores_of_the_second_file_equal_the_published_formula(tmp_path: Path, case: str) -> None:
    torch.manual_seed(1)
    generator, project, widths, down, attention, labels = PAIRS[case]
    net, _ = CASES[generator]()
    judge, scores = judging(project, widths, down, attention, labels=labels)
    converged(judge)
    wrapped = {"mimicry": {"model_state_dict": judge.state_dict(), "global_step": 3}}
    match = imported(net.state_dict(), tmp_path, judge=wrapped.get(project, judge.state_dict()))
    side = match.imported.data.field("image").shape[1]
    batch = {"image": 9 * torch.randn(4, 3, side, side), "label": torch.tensor([0, 1, 4, 2])}
    with torch.no_grad():
        expected = scores(batch["image"], batch["label"])
    assert expected.std() > 1e-2
    difference = largest_difference(outputs(match, batch, "discriminator")["score"], expected)
    assert difference < 1e-5 * max(1, expected.abs().max())
    assert match.imported.options["discriminator_norm"] == "spectral"


@pytest.mark.parametrize(
    ("case", "attention", "text"),
    [
        ("biggan 64", 1, "attention is not built after block 2 of its 5"),
        ("biggan 64", -1, ""),
        ("biggan 32", 2, "attention is not built after block 3 of its 4"),
        ("studio 64", 0, "attention is not built after block 1 of its 5"),
        ("studio 32", 1, "attention is not built at all"),
    ],
)
def test_attention_of_a_discriminator_stays_where_the_names_say(
    tmp_path: Path, case: str, attention: int, text: str
) -> None:
    """Another place than that of G's resolution is refused; a bundle needs only G."""
    torch.manual_seed(1)
    generator, project, widths, down, _, labels = PAIRS[case]
    net, _ = CASES[generator]()
    judge, _ = judging(project, widths, down, attention, labels=labels)
    match = imported({"G": net.state_dict(), "D": judge.state_dict()}, tmp_path)
    assert not text or any(text in line for line in match.imported.unknown)
    with pytest.raises(UsageError, match="do not fit the network 'discriminator'") as caught:
        build_imported(match.imported, load_registry())
    assert "attention.query" in str(caught.value)
    build_imported(match.imported, load_registry(), discriminators=False)


def test_a_discriminator_of_mimicry_has_attention_in_an_assumed_place(tmp_path: Path) -> None:
    generator, project, widths, down, attention, labels = PAIRS["mimicry 128"]
    net, _ = CASES[generator]()
    judge, _ = judging(project, widths, down, attention, labels=labels)
    match = imported(net.state_dict(), tmp_path, judge=judge.state_dict())
    text = "where attention of the discriminator stands: after block 2 is assumed"
    assert text in match.imported.unknown


@pytest.mark.parametrize(
    "down",
    [[True, False, False], [True] * 5 + [False]],  # its maps are larger than that with attention; of 1 pixel
)
def test_a_discriminator_that_cannot_be_built_is_left_out(tmp_path: Path, down: list[bool]) -> None:
    net, _ = biggan(32, [16, 16, 16, 16], 0, chunk=4)
    judge, _ = judging("biggan", [8] * len(down), down, 0, labels=True)
    match = imported({"G": net.state_dict(), "D": judge.state_dict()}, tmp_path)
    assert set(match.imported.weights) == {"generator"}
    assert any("the one beside the generator is left out" in text for text in match.imported.unknown)
    build_imported(match.imported, load_registry())
    with pytest.raises(UsageError, match="does not use"):
        imported(net.state_dict(), tmp_path, judge=judge.state_dict())


def test_a_second_file_with_arrays_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    net, _ = CASES["mimicry sngan"]()
    judge, _ = judging("mimicry", [4, 8, 16, 32, 64], [True] * 5, -1, labels=False)
    more = {**judge.state_dict(), "l_y.weight": torch.zeros(4, 64), "l_y.bias": torch.zeros(4)}
    with pytest.raises(UsageError, match=r"does not use: l_y\.weight, l_y\.bias"):
        imported(net.state_dict(), tmp_path, judge=more)
    with pytest.raises(UsageError, match="does not use"):
        imported(
            net.state_dict(), tmp_path, judge={"fc.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)}
        )
