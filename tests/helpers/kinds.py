"""Kinds of GANs that are not in the zoo, as the source of one plugin: for tests of the contract."""

from __future__ import annotations

PLUGIN = '''
"""Networks, losses and data for the tests of the contract."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ganzoo.api import (
    ArchitectureSpec, ArraySource, AugmentationSpec, DatasetSpec, Field, Game, LossSpec, Net, Networks,
    RecipeSpec, TermSpec, hookimpl,
)

class Affine(nn.Module):
    """a or b (N, 3) -> (N, outputs): a net that reads one field may call it as it likes."""
    def __init__(self, outputs):
        super().__init__()
        self.net = nn.Linear(3, outputs)
    def forward(self, points):
        return self.net(points)

def cycle_nets(config, data):
    return Networks(
        generators={
            "a2b": Net(module=Affine(3), reads=("a",), writes=("b",)),
            "b2a": Net(module=Affine(3), reads=("b",), writes=("a",)),
        },
        discriminators={
            "judge_a": Net(module=Affine(1), reads=("a",)),
            "judge_b": Net(module=Affine(1), reads=("b",)),
        },
        games=(
            Game(generator="a2b", discriminator="judge_b"), Game(generator="b2a", discriminator="judge_a"),
        ),
    )

def cycle(config):
    def term(view):
        written, = view.written
        back, start = ("b2a", "a") if written == "b" else ("a2b", "b")
        return 10 * (view.generate(view.fake, back)[start] - view.real[start]).abs().mean()
    return term

class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4 + 2, 3)
    def forward(self, z, label):
        return self.net(torch.cat([z, F.one_hot(label, 2).float()], 1))
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.classes = nn.Linear(3, 1), nn.Linear(3, 2)
    def forward(self, a):
        return self.score(a).squeeze(1), self.classes(a)

def ac_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Labelled(), reads=("z", "label"), writes=("a",))},
        discriminators={
            "discriminator": Net(module=TwoHeads(), reads=("a",), writes=("score", "label_logits"))
        },
        fields=(Field(name="z", shape=(4,), source="uniform"),),
    )

class Coded(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4 + 2, 3)
    def forward(self, z, code):
        return self.net(torch.cat([z, F.one_hot(code, 2).float()], 1))

def info_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Coded(), reads=("z", "code"), writes=("a",))},
        discriminators={
            "discriminator": Net(module=TwoHeads(), reads=("a",), writes=("score", "code_logits"))
        },
        fields=(
            Field(name="z", shape=(4,), source="normal"),
            Field(name="code", dtype="int64", source="uniform", classes=("no", "yes")),
        ),
    )

def tell_code(config):
    return lambda view: F.cross_entropy(view.fake_outputs["code_logits"], view.noise["code"])

def spread(config):
    def term(view):
        other = view.normal(*view.noise["z"].shape)
        same = view.generate(view.real)["a"]
        assert torch.equal(same, view.fake["a"])
        moved = view.generate({**view.real, "z": other})["a"]
        return (view.noise["z"] - other).abs().mean() / (moved - same).abs().mean().clamp(min=1e-3)
    return term

def classify_real(config):
    return lambda view: F.cross_entropy(view.real_outputs["label_logits"], view.real["label"])
def classify_fake(config):
    return lambda view: F.cross_entropy(view.fake_outputs["label_logits"], view.fake["label"])

class Relativistic:
    def discriminator(self, real, fake):
        return F.softplus(fake - real).mean()
    def generator(self, fake, real):
        assert real is not None and not real.requires_grad
        return F.softplus(real - fake).mean()

def relativistic(config):
    return Relativistic()

class Dimmer(nn.Module):
    """Darkens images, the more the better the discriminator knows real ones."""
    def __init__(self, config):
        super().__init__()
        self.register_buffer("strength", torch.zeros(()))
        self.seen = []
    def forward(self, images, uniform):
        names = list(images)
        shade = 1 - self.strength * uniform(len(images[names[0]]), 1, 1, 1)
        self.seen.append(tuple(names))
        return {name: value * shade for name, value in images.items()}
    def observe(self, real_scores):
        self.strength.add_(0.01 * real_scores.sign().mean() + 0.02)

class Halve(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(1, 1, 3, padding=1)
    def forward(self, a_image):
        return self.net(a_image)

class PairJudge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(2, 1, 4)
    def forward(self, a_image, b_image):
        return self.net(torch.cat([a_image, b_image], 1)).flatten(1)

def image_nets(config, data):
    return Networks(
        generators={"generator": Net(module=Halve(), reads=("a_image",), writes=("b_image",))},
        discriminators={"discriminator": Net(module=PairJudge(), reads=("a_image", "b_image"))},
    )

def images(argument, config=None):
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (50, 1, 8, 8), np.uint8) for name in ("a_image", "b_image")}
    fields = tuple(Field(name=name, shape=(1, 8, 8), range=(-1.0, 1.0)) for name in arrays)
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

def data(argument, config=None):
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(50, 3)).astype(np.float32),
        "b": rng.normal(size=(50, 3)).astype(np.float32) + 2,
        "label": rng.integers(0, 2, 50),
    }
    fields = (
        Field(name="a", shape=(3,)), Field(name="b", shape=(3,)),
        Field(name="label", dtype="int64", classes=("no", "yes")),
    )
    return ArraySource(fields=fields, arrays=arrays, identity="made up")

@hookimpl
def ganzoo_architectures():
    here = __name__
    return [
        ArchitectureSpec(name="cycle", summary="Two games.", factory=f"{here}:cycle_nets", needs=("a", "b")),
        ArchitectureSpec(name="two-heads", summary="Two outputs.", factory=f"{here}:ac_nets",
                         needs=("a", "label")),
        ArchitectureSpec(name="images", summary="Image to image.", factory=f"{here}:image_nets",
                         needs=("a_image", "b_image")),
        ArchitectureSpec(name="codes", summary="Latent codes.", factory=f"{here}:info_nets", needs=("a",)),
    ]

@hookimpl
def ganzoo_losses():
    return [LossSpec(name="paired", summary="Relativistic.", factory=f"{__name__}:relativistic", paired=True)]

@hookimpl
def ganzoo_terms():
    here = __name__
    return [
        TermSpec(name="there-and-back", summary="There and back.", factory=f"{here}:cycle", role="generator"),
        TermSpec(name="classify-real", summary="Cross entropy.", factory=f"{here}:classify_real"),
        TermSpec(name="tell-code", summary="Mutual information.", factory=f"{here}:tell_code"),
        TermSpec(name="tell-code-g", summary="The same.", factory=f"{here}:tell_code", role="generator"),
        TermSpec(name="spread", summary="Mode seeking.", factory=f"{here}:spread", role="generator"),
        TermSpec(name="classify-fake", summary="Cross entropy.", factory=f"{here}:classify_fake",
                 role="generator"),
    ]

@hookimpl
def ganzoo_augmentations():
    return [AugmentationSpec(name="dimmer", summary="Darkens.", factory=f"{__name__}:Dimmer")]

@hookimpl
def ganzoo_datasets():
    pairs = DatasetSpec(name="two-images", summary="Pairs.", factory=f"{__name__}:images")
    return [pairs, DatasetSpec(name="two-fields", summary="a, b and a label.", factory=f"{__name__}:data")]

@hookimpl
def ganzoo_recipes():
    return [
        RecipeSpec(name="test-cycle", summary="Cycle.", architecture="cycle", loss="non-saturating",
                   data="two-fields", settings={"terms.there-and-back": True}),
        RecipeSpec(name="test-ac", summary="AC-GAN.", architecture="two-heads", loss="wgan-gp",
                   data="two-fields",
                   settings={"terms.classify-real": True, "terms.classify-fake": True}),
        RecipeSpec(name="test-codes", summary="InfoGAN.", architecture="codes", loss="non-saturating",
                   data="two-fields",
                   settings={"terms.tell-code": True, "terms.tell-code-g": True, "terms.spread": True}),
        RecipeSpec(name="test-images", summary="Augmented pairs, with R1.", architecture="images",
                   loss="non-saturating", data="two-images",
                   settings={"augment.name": "dimmer", "terms.r1": True}),
        RecipeSpec(name="test-paired", summary="Paired.", architecture="two-heads", loss="paired",
                   data="two-fields"),
    ]
'''  # fmt: skip
