"""Architectures with free axes as the source of one plugin: for images, sound and series."""

from __future__ import annotations

PLUGIN = '''
"""Networks with free axes, and data for them."""
import numpy as np
import torch
from torch import nn

from ganzoo.api import (
    ArchitectureSpec, ArraySource, DataError, DatasetSpec, Field, Net, Networks, RecipeSpec, hookimpl,
)

IMAGE = ("channel", "height", "width")
SIDES = {"height": 1, "width": 1}

class Enlarger(nn.Module):
    """low (N, 3, h, w) -> high (N, 3, 4h, 4w)."""
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.ReLU(),
            nn.Conv2d(8, 48, 3, padding=1), nn.PixelShuffle(4), nn.Tanh(),
        )
    def forward(self, low):
        return self.body(low)

class ImageJudge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.LeakyReLU(), nn.Conv2d(8, 1, 3, padding=1))
    def forward(self, high):
        return self.net(high).mean((1, 2, 3))

def enlarging(config, data):
    if any(b != 4 * a for a, b in zip(data.field("low").shape[1:], data.field("high").shape[1:])):
        raise DataError("these networks make images 4 times as large")
    return Networks(
        generators={"generator": Net(module=Enlarger(), reads=("low",), writes=("high",))},
        discriminators={"discriminator": Net(module=ImageJudge(), reads=("high",))},
        free={"low": SIDES, "high": {axis: 4 for axis in SIDES}},
    )

class Voice(nn.Module):
    """z (N, 4, t) -> sound (N, 1, 4t)."""
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose1d(8, 8, 4, 2, 1)
        self.mix = nn.Identity()
        self.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv1d(8, 1, 3, padding=1), nn.Tanh())
    def forward(self, z):
        return self.last(self.mix(self.up(self.first(z).relu()).relu()))

class SoundJudge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv1d(1, 1, 8, 4)
    def forward(self, sound):
        return self.net(sound).mean((1, 2))

def voice(config, data):
    return Networks(
        generators={"generator": Net(module=Voice(), reads=("z",), writes=("sound",))},
        discriminators={"discriminator": Net(module=SoundJudge(), reads=("sound",))},
        fields=(Field(name="z", shape=(4, 8), source="normal", axes=("channel", "time"), free={"time": 1}),),
        free={"sound": {"time": 4}},
    )

class Series(nn.Module):
    """z (N, t, 4) -> series (N, t, 2), as in RCGAN (Esteban et al. 2017)."""
    def __init__(self):
        super().__init__()
        self.first = nn.GRU(4, 8, batch_first=True)
        self.last = nn.Linear(8, 2)
    def forward(self, z):
        return self.last(self.first(z)[0]).tanh()

class SeriesJudge(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(2, 8, batch_first=True)
        self.last = nn.Linear(8, 1)
    def forward(self, series):
        return self.last(self.first(series)[1][0][0]).squeeze(1)

def recurrent(config, data):
    axes = ("time", "column")
    return Networks(
        generators={"generator": Net(module=Series(), reads=("z",), writes=("series",))},
        discriminators={"discriminator": Net(module=SeriesJudge(), reads=("series",))},
        fields=(Field(name="z", shape=(8, 4), source="normal", axes=axes, free={"time": 1}),),
        free={"series": {"time": 1}},
    )

def tables(argument, config=None):
    rng = np.random.default_rng(0)
    field = Field(name="series", shape=(8, 2), range=(-1.0, 1.0), axes=("time", "column"))
    array = rng.uniform(-1, 1, (40, 8, 2)).astype(np.float32)
    return ArraySource(fields=(field,), arrays={"series": array})

def pictures(argument, config=None):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (40, 3, 6, 8), np.uint8)
    fields = (
        Field(name="low", shape=(3, 6, 8), range=(-1.0, 1.0), axes=IMAGE, kind="image"),
        Field(name="high", shape=(3, 24, 32), range=(-1.0, 1.0), axes=IMAGE, kind="image"),
    )
    return ArraySource(fields=fields, arrays={"low": low, "high": low.repeat(4, 2).repeat(4, 3)})

def sounds(argument, config=None):
    rng = np.random.default_rng(0)
    field = Field(name="sound", shape=(1, 32), range=(-1.0, 1.0), axes=("channel", "time"))
    return ArraySource(fields=(field,), arrays={"sound": rng.uniform(-1, 1, (40, 1, 32)).astype(np.float32)})

@hookimpl
def ganzoo_architectures():
    here = __name__
    return [
        ArchitectureSpec(name="enlarger", summary="x4.", factory=f"{here}:enlarging", needs=("low", "high")),
        ArchitectureSpec(name="voice", summary="Sound.", factory=f"{here}:voice", needs=("sound",)),
        ArchitectureSpec(name="recurrent", summary="GRU.", factory=f"{here}:recurrent", needs=("series",)),
    ]

@hookimpl
def ganzoo_datasets():
    here = __name__
    return [
        DatasetSpec(name="free-pictures", summary="Pairs.", factory=f"{here}:pictures"),
        DatasetSpec(name="free-sounds", summary="Sound.", factory=f"{here}:sounds"),
        DatasetSpec(name="free-tables", summary="Series.", factory=f"{here}:tables"),
    ]

@hookimpl
def ganzoo_recipes():
    def recipe(name, architecture, data):
        return RecipeSpec(
            name=name, summary=name, architecture=architecture, loss="non-saturating", data=data,
        )
    return [
        recipe("test-enlarger", "enlarger", "free-pictures"), recipe("test-voice", "voice", "free-sounds"),
        recipe("test-series", "recurrent", "free-tables"),
    ]
'''
