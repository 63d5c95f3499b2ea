"""The conformance kit: every built-in plugin passes it, and each check is failed by a plugin made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo import testing
from ganzoo.registry.registry import load_registry
from ganzoo.testing.check import CHECKS
from ganzoo.testing.pytest_suite import PluginSuite, _session
from ganzoo.testing.runner import check_plugin, fields_of, session_of

Install = Callable[..., Path]

BUILT_IN = sorted(plugin.name for plugin in load_registry().plugins if plugin.dist == "ganzoo")

PLUGIN = '''
"""A plugin that the kit has nothing to say against."""
from dataclasses import dataclass

from ganzoo.api import (
    ArchitectureSpec, AugmentationSpec, DataError, Field, LossSpec, Networks, RecipeSpec, TermSpec, hookimpl,
)

@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 4

def build(config, data):
    from torch import nn
    import torch
    from ganzoo.api import Bounded

    image = data.image()

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.shape = image.shape
            self.net = nn.Sequential(
                nn.Linear(4, config.width), nn.ReLU(), nn.Linear(config.width, image.shape[0] * 64)
            )
            self.bounded = Bounded(image.range or (-1, 1))
            self.up = nn.Upsample(image.shape[1:])
            # generator: made
        def forward(self, z):
            x = self.net(z)
            # generator: before
            x = self.up(x.unflatten(1, (self.shape[0], 8, 8)))
            # generator: after
            return self.bounded(x)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(config.width), nn.ReLU())
            self.last = nn.Linear(config.width, 1)
            self.net(torch.zeros(1, *image.shape))
            # discriminator: made
        def forward(self, image):
            h = self.net(image)
            # discriminator: before
            return self.last(h).flatten()

    generator, discriminator = Generator(), Discriminator()
    # build: made
    return Networks.pair(
        generator, discriminator, latent=Field(name="z", shape=(4,), source="normal"), writes="image"
    )

class Loss:
    def discriminator(self, real, fake):
        from torch.nn.functional import softplus
        return softplus(-real).mean() + softplus(fake).mean()
    def generator(self, fake, real):
        from torch.nn.functional import softplus
        return softplus(-fake).mean()

def loss(config):
    return Loss()

def small(config):
    def penalty(view):
        return 0.1 * (view.real_outputs["score"].square().mean() + view.fake_outputs["score"].square().mean())
    return penalty

class Augment:
    def __call__(self, images, uniform):
        shade = 0.5 + uniform(len(next(iter(images.values()))), 1, 1, 1)
        # augment: drawn
        return {name: value * shade for name, value in images.items()}
    def observe(self, real_scores):
        pass

def augment(config):
    return Augment()

@hookimpl
def ganzoo_augmentations():
    return [AugmentationSpec(name="good", summary="Shades.", factory=f"{__name__}:augment")]

@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="good", summary="Nets.", factory=f"{__name__}:build", config=Config,
                             needs=("image",))]

@hookimpl
def ganzoo_losses():
    return [LossSpec(name="good", summary="Logistic.", factory=f"{__name__}:loss")]

@hookimpl
def ganzoo_terms():
    return [TermSpec(name="good", summary="Small scores.", factory=f"{__name__}:small")]

@hookimpl
def ganzoo_recipes():
    return [RecipeSpec(name="good", summary="A run.", architecture="good", loss="good",
                       settings={"ema.half_life": 10, "terms.good": True})]
'''  # fmt: skip

G, D = "# generator", "# discriminator"
SKETCHES: dict[str, dict[str, str]] = {
    "imports-no-torch": {"from dataclasses": "import torch\nfrom dataclasses"},
    "loads-quickly": {"from dataclasses": "import time\ntime.sleep(0.4)\nfrom dataclasses"},
    "names-are-free": {
        'LossSpec(name="good"': 'LossSpec(name="minimax"',
        'loss="good"': 'loss="bad/minimax"',
    },
    "summary-is-one-line": {'summary="Logistic."': 'summary=""'},
    "factory-resolves": {'f"{__name__}:loss"': 'f"{__name__}:lost"'},
    "options-survive-a-settings-file": {"width: int = 4": "width: int = 4\n    depth: int = 1.5"},
    "builds": {"return Networks.pair(": "raise RuntimeError('no')\n    return Networks.pair("},
    "refuses-other-data": {"image = data.image()": "image = data.field('image'); image.shape[2]"},
    "shapes-fit-any-batch": {f"{D}: before": "h = h.reshape(2, -1, h.shape[1]).flatten(0, 1)[: len(h)]"},
    "finite-at-start": {f"{D}: made": "self.last.weight.data.fill_(float('inf'))"},
    "stays-in-range": {"return self.bounded(x)": "return 3 * self.bounded(x)"},
    "covers-its-range": {"Bounded(image.range or (-1, 1))": "Bounded((0.0, 1.0))"},
    "fits-odd-sizes": {"nn.Upsample(image.shape[1:])": "nn.Upsample(scale_factor=image.shape[1] // 8)"},
    "weights-are-all-there-is": {
        f"{G}: made": "self.gain = float(torch.rand(()))",
        f"{G}: after": "x = x * self.gain",
    },
    "seed-decides": {f"{G}: made": "torch.seed(); nn.init.normal_(self.net[0].weight)"},
    "samples-do-not-mix": {f"{G}: after": "x = x - x.mean(0)"},
    "can-be-averaged": {
        f"{G}: made": "pass\n        def __deepcopy__(self, memo):\n            return self",
    },
    "finite-in-bf16": {f"{G}: before": "x = torch.lerp(x, torch.ones_like(x, dtype=torch.float32), 0.5)"},
    "moves-to-another-device": {
        f"{G}: made": "self.shift = torch.zeros(1)",
        f"{G}: after": "x = x + self.shift",
    },
    "games-reach-every-net": {
        "return Networks.pair(": "from ganzoo.api import Net\n"
        "    nets = Networks.pair(",
        'writes="image"\n    )': 'writes="image"\n    )\n'
        '    both = {**nets.discriminators, "idle": Net(module=Discriminator(), reads=("image",))}\n'
        "    return Networks(generators=nets.generators, fields=nets.fields, discriminators=both)",
        'architecture="good", loss': 'architecture="mlp", loss',
    },
    "any-shape-of-score": {"softplus(fake).mean()": "softplus(fake)[:, 0].mean()"},
    "scores-get-gradients": {"softplus(fake).mean()": "softplus(fake.detach()).mean()"},
    "better-scores-cost-less": {"return softplus(-fake).mean()": "return softplus(fake).mean()"},
    "paired-is-true": {'f"{__name__}:loss")': 'f"{__name__}:loss", paired=True)'},
    "can-be-computed": {"return 0.1 * (": "return view.real_outputs['features'].mean() + 0.1 * ("},
    "its-role-learns": {"return 0.1 * (": "return 0.0 * ("},
    "second-order-is-true": {'f"{__name__}:small")': 'f"{__name__}:small", second_order=True)'},
    "says-whose-numbers": {
        "@dataclass": "GANZOO_API_VERSION = 2\n\n@dataclass",
        "return 0.1 * (": "view.uniform(len(view.real_outputs['score']))\n        return 0.1 * (",
    },
    "keeps-no-clock": {
        "def penalty(view):": "calls = []\n    def penalty(view):\n        calls.append(1)",
        "return 0.1 * (": "return 0.1 * (len(calls) % 4 == 1) * (",
    },
    "any-shape-of-map": {
        'view.real_outputs["score"].square().mean()': 'view.real_outputs["score"].square().mean(0).sum()',
        "return 0.1 * (": "assert view.real_outputs['score'].ndim == 1\n        return 0.1 * (",
    },
    "fields-stay": {"value * shade": "value[..., 1:] * shade"},
    "fields-move-alike": {"value * shade": "value * uniform(*shade.shape)"},
    "samples-stay-apart": {"# augment: drawn": "shade = shade.mean(0)"},
    "gradients-pass-twice": {"value * shade": "value.detach() * shade"},
    "resolves": {'"ema.half_life"': '"ema.halflife"'},
    "trains": {"x = self.net(z)": "x = self.net(z).detach()"},
    "resumes-exactly": {
        "return softplus(-real).mean()": "self.calls = getattr(self, 'calls', 0) + 1\n"
        "        return (1 + 0.1 * self.calls) * softplus(-real).mean()"
    },
    "memory-is-flat": {f"{D}: made": "self.seen = []", f"{D}: before": "self.seen.append(h.detach())"},
    "graph-is-plain": {f"{G}: before": "x = x.clone(); x[:, [0, 2]] = x[:, [1, 3]]"},
    "graph-is-as-declared": {"return self.bounded(x)": "return self.bounded(x).double()"},
    "graph-equals-torch": {f"{G}: before": "x = 2 * x if x.shape[0] > 32 else x"},
    "samples-without-torch": {
        f"{G}: after": "x = x + 0 * torch.det(x[:, 0, :2, :2].float())[:, None, None, None]",
    },
}  # fmt: skip


def failures(name: str) -> dict[str, str]:
    """The text of each failed check."""
    return {result.check: result.text for result in check_plugin(name) if result.status == "failed"}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_passes(name: str) -> None:
    assert failures(name) == {}


def test_a_good_plugin_passes(install: Install) -> None:
    install("good-dist", "good", PLUGIN)
    results = list(check_plugin("good"))
    assert [result for result in results if result.status == "failed"] == []
    assert {result.check for result in results} == set(CHECKS)
    assert {result.check for result in results if result.status == "skipped"} <= {
        "options-survive-a-settings-file",
    }


def test_each_check_has_a_plugin_that_fails_it() -> None:
    assert set(SKETCHES) == set(CHECKS)


@pytest.mark.parametrize("check", sorted(SKETCHES))
def test_a_bad_plugin_fails_its_check_and_no_other(install: Install, check: str) -> None:
    source = PLUGIN
    for old, new in SKETCHES[check].items():
        assert old in source
        source = source.replace(old, new)
    install("bad", "bad", source)
    found = failures("bad")
    assert set(found) == {check}, found


@pytest.mark.parametrize("name", testing.__all__)
def test_what_the_kit_offers_can_be_imported(name: str) -> None:
    assert getattr(testing, name) is not None


# --- networks that need data of their own ---------------------------------------------------------

VOLUMES = """
import numpy as np
from ganzoo.api import (
    ArchitectureSpec, ArraySource, DataError, DatasetSpec, Field, Networks, RecipeSpec, hookimpl,
)

GANZOO_API_VERSION = 2
VOLUME = Field(name="volume", shape=(1, 4, 8, 8), range=(-1.0, 1.0))


def open_volumes(argument, config):
    values = np.linspace(-1, 1, 16 * 256, dtype=np.float32).reshape(16, *VOLUME.shape)
    return ArraySource(fields=(VOLUME,), arrays={"volume": values})


def build(config, data):
    import torch
    from torch import nn

    if "volume" not in data:
        raise DataError("This architecture needs volumes.")

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 64)
            self.up = nn.ConvTranspose3d(8, 1, 2, 2)

        def forward(self, z):
            maps = self.first(z).reshape(-1, 8, 2, 2, 2).repeat(1, 1, 1, 2, 2)
            return torch.tanh(self.up(maps))

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            convolution = nn.Conv3d(1, 4, 2, 2)
            self.layers = nn.Sequential(convolution, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 1))

        def forward(self, volume):
            return self.layers(volume)

    latent = Field(name="z", shape=(4,), source="normal")
    return Networks.pair(Generator(), Discriminator(), latent=latent, writes="volume")


@hookimpl
def ganzoo_architectures():
    return [ArchitectureSpec(name="volumes", summary="Small 3-D convolutions.", factory=f"{__name__}:build")]


@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="volumes", summary="Ramps.", factory=f"{__name__}:open_volumes")]


@hookimpl
def ganzoo_recipes():
    return [
        RecipeSpec(
            name="volumes", summary="Volumes.", architecture="volumes", loss="non-saturating", data="volumes"
        )
    ]
"""


def test_networks_of_3d_convolutions_are_checked_with_their_data(install: Install) -> None:
    install("volumes", "volumes", VOLUMES)
    registry = load_registry()
    data = [fields_of("volumes", registry)]
    results = {(r.target, r.check): r for r in check_plugin("volumes", registry, data)}
    assert not [r for r in results.values() if r.status in ("failed", "blocked")]
    assert results["recipe volumes", "resumes-exactly"].status == "passed"


def test_a_check_that_needs_a_failed_one_is_no_pass(install: Install) -> None:
    install("broken", "broken", VOLUMES.replace('if "volume" not in data', "if True"))
    suite = type("Suite", (PluginSuite,), {"plugin": "broken"})
    session = session_of("broken")
    blocked = [case for case in session.cases if session.result(case).status == "blocked"]
    assert blocked
    with pytest.raises(pytest.skip.Exception, match="needs"):
        suite().test_plugin(next(case for case in _session(suite).cases if str(case) == str(blocked[0])))
