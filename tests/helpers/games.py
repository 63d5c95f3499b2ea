"""Games that the zoo does not have, as the source of one plugin: encoders, latents, exported chains."""

from __future__ import annotations

PLUGIN = '''
"""BiGAN, an adversarial autoencoder and f-AnoGAN in small."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ganzoo.api import (
    ArchitectureSpec, ArraySource, DataError, DatasetSpec, Export, Field, Game, Net, Networks, RecipeSpec,
    Step, TermSpec, hookimpl,
)

GANZOO_API_VERSION = 2

def demand(data, name, shape):
    if data.field(name).shape != shape:
        raise DataError(f"these networks are for {shape}")

Z = Field(name="z", shape=(2,), source="normal")

def dense(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 16), nn.LeakyReLU(0.2), nn.Linear(16, outputs))

class Map(nn.Module):
    """(N, inputs) -> (N, outputs)."""
    def __init__(self, inputs, outputs):
        super().__init__()
        self.net = dense(inputs, outputs)
    def forward(self, value):
        return self.net(value)

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = dense(4, 1)
    def forward(self, point, z):
        return self.net(torch.cat([point, z], 1)).squeeze(1)

def bigan(config, data):
    demand(data, "point", (2,))
    return Networks(
        generators={
            "generator": Net(module=Map(2, 2), reads=("z",), writes=("point",)),
            "encoder": Net(module=Map(2, 2), reads=("point",), writes=("z",)),
        },
        discriminators={"discriminator": Net(module=Pair(), reads=("point", "z"))},
        games=(Game(encoder="encoder"),),
        fields=(Z,),
    )

def autoencoder(config, data):
    demand(data, "point", (2,))
    return Networks(
        generators={
            "decoder": Net(module=Map(2, 2), reads=("z",), writes=("point",)),
            "encoder": Net(module=Map(2, 2), reads=("point",), writes=("z",)),
        },
        discriminators={"discriminator": Net(module=Map(2, 1), reads=("z",))},
        games=(Game(generator="encoder"),),
        fields=(Z,),
    )

def reconstruct(config):
    def term(view):
        return (view.generate(view.fake, "decoder")["point"] - view.real["point"]).square().mean()
    return term

class Draw(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = dense(2, 64)
    def forward(self, z):
        return self.net(z).tanh().unflatten(1, (1, 8, 8))

class Encode(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = dense(64, 2)
    def forward(self, image):
        return self.net(image.flatten(1))

class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.score = nn.Conv2d(1, 4, 4, 2), nn.Linear(36, 1)
    def forward(self, image):
        features = F.leaky_relu(self.features(image), 0.2).flatten(1)
        return self.score(features).squeeze(1), features

class Anomaly(nn.Module):
    """Schlegl et al. 2019, f-AnoGAN, equation 7."""
    def forward(self, image, reconstruction, features, features_again):
        apart = (image - reconstruction).square().flatten(1).mean(1)
        return apart + (features - features_again).square().mean(1)

def f_anogan(config, data):
    demand(data, "image", (1, 8, 8))
    again = {"score": "realness_again", "features": "features_again"}
    return Networks(
        generators={
            "generator": Net(module=Draw(), reads=("z",), writes=("image",)),
            "encoder": Net(module=Encode(), reads=("image",), writes=("z",)),
        },
        discriminators={
            "discriminator": Net(module=Judge(), reads=("image",), writes=("score", "features")),
            "anomaly": Net(
                module=Anomaly(), reads=("image", "reconstruction", "features", "features_again"),
                writes=("anomaly",),
            ),
        },
        fields=(
            Z, Field(name="reconstruction", shape=(1, 8, 8), range=(-1.0, 1.0)),
            Field(name="features", shape=(36,)), Field(name="features_again", shape=(36,)),
        ),
        exports=(
            Export(name="generator", steps=(Step(net="generator"),)),
            Export(name="anomaly", outputs=("anomaly", "z"), steps=(
                Step(net="encoder"),
                Step(net="generator", writes={"image": "reconstruction"}),
                Step(net="discriminator", writes={"score": "realness"}),
                Step(net="discriminator", reads={"image": "reconstruction"}, writes=again),
                Step(net="anomaly"),
            )),
        ),
    )

def izi(config):
    """f-AnoGAN, equation 4: the encoder learns to lead back to the image."""
    def term(view):
        again = view.generate(view.generate(view.real, "encoder"))
        found, wanted = (view.apply("discriminator", batch)["features"] for batch in (again, view.real))
        return (again["image"] - view.real["image"]).square().mean() + (found - wanted).square().mean()
    return term

def points(argument, config=None):
    rng = np.random.default_rng(0)
    point = rng.normal(size=(100, 2)).astype(np.float32) @ np.float32([[1, 0.5], [0, 0.5]])
    field = Field(name="point", shape=(2,), kind="points")
    return ArraySource(fields=(field,), arrays={"point": point}, identity="p")

def images(argument, config=None):
    rng = np.random.default_rng(0)
    field = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image")
    arrays = {"image": np.tile(rng.integers(0, 256, (100, 1, 8, 1), np.uint8), (1, 1, 1, 8))}
    return ArraySource(fields=(field,), arrays=arrays, identity="i")

@hookimpl
def ganzoo_architectures():
    here = __name__
    return [
        ArchitectureSpec(name="bigan", summary="BiGAN.", factory=f"{here}:bigan", needs=("point",)),
        ArchitectureSpec(name="aae", summary="AAE.", factory=f"{here}:autoencoder", needs=("point",)),
        ArchitectureSpec(name="f-anogan-8", summary="x", factory=f"{here}:f_anogan", needs=("image",)),
    ]

@hookimpl
def ganzoo_terms():
    here = __name__
    return [
        TermSpec(name="games-reconstruct", summary="|x - D(E(x))|^2", factory=f"{here}:reconstruct",
                 role="generator"),
        TermSpec(name="games-izi", summary="|x - G(E(x))|^2", factory=f"{here}:izi", role="generator"),
    ]

@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="some-points", summary="Points.", factory=f"{__name__}:points"),
            DatasetSpec(name="some-images", summary="Stripes.", factory=f"{__name__}:images")]

@hookimpl
def ganzoo_recipes():
    return [
        RecipeSpec(name="test-bigan", summary="BiGAN.", architecture="bigan", loss="non-saturating",
                   data="some-points"),
        RecipeSpec(name="test-aae", summary="AAE.", architecture="aae", loss="non-saturating",
                   data="some-points", settings={"terms.games-reconstruct": True}),
        RecipeSpec(name="test-f-anogan", summary="f-AnoGAN.", architecture="f-anogan-8",
                   loss="non-saturating", data="some-images", settings={"terms.games-izi": True}),
    ]
'''  # fmt: skip
