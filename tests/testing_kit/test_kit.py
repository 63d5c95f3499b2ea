"""The conformance kit: every built-in plugin passes it, and each check is failed by a plugin made for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganzoo import testing
from ganzoo.api import PIXELS, Bounded, DataError, Field, Networks
from ganzoo.registry.registry import load_registry
from ganzoo.testing.check import CHECKS, Failed
from ganzoo.testing.checks.image import covers_its_range
from ganzoo.testing.pytest_suite import PluginSuite, _session
from ganzoo.testing.runner import check_plugin, fields_of, session_of
from tests.plugins.test_datasets import write_idx

Install = Callable[..., Path]

BUILT_IN = sorted(plugin.name for plugin in load_registry().plugins if plugin.dist == "ganzoo")

PLUGIN = '''
"""A plugin that the kit has nothing to say against."""
from dataclasses import dataclass

from ganzoo.api import (
    ArchitectureSpec, AugmentationSpec, DataError, DataInfo, Field, Imported, ImporterSpec, LossSpec,
    Networks, RecipeSpec, TermSpec, hookimpl,
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

def example():
    import numpy as np
    shapes = {"to_hidden.weight": (4, 4), "to_hidden.bias": 4,
              "to_image.weight": (64, 4), "to_image.bias": 64}
    return {name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}

def recognise(found):
    import numpy as np
    image = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), kind="image")
    data = DataInfo(fields=(image,), count=0)
    if found.shape("to_hidden.weight")[1:] != (4,):
        return None  # importer: another
    names = {"net.0": "to_hidden", "net.2": "to_image"}
    # importer: names
    parts = [(ours, theirs, part) for ours, theirs in names.items() for part in ("weight", "bias")]
    weights = {f"{ours}.{part}": found[f"{theirs}.{part}"] for ours, theirs, part in parts}
    return Imported(architecture="good", data=data, weights={"generator": weights})

@hookimpl
def ganzoo_importers():
    return [ImporterSpec(name="good", summary="Its weights.", recognise=f"{__name__}:recognise",
                         example=f"{__name__}:example")]

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
    "options-survive-a-settings-file": {"width: int = 4": "width: int = 4\n    depth: float = float('nan')"},
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
    "recognises-its-example": {"!= (4,)": "!= (5,)"},
    "builds-networks-with-the-weights": {"# importer: names": "names['net.9'] = names.pop('net.2')"},
    "refuses-other-weights": {
        "return None  # importer: another": "return Imported(architecture='good', data=data, weights={})"
    },
    "refuses-incomplete-weights": {
        'found[f"{theirs}.{part}"]': 'found.get(f"{theirs}.{part}", np.zeros(64, np.float32))'
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

RECORDS = '''
"""Data, media, an extractor, a classifier and a metric that the kit has nothing to say against."""
import numpy as np
from PIL import Image

from ganzoo.api import (
    ArraySource, DataError, DatasetSpec, ExtractorSpec, Field, Media, MediaSpec, MetricSpec, Preview,
    TrackerSpec, as_floats, encode_image, hookimpl, write_bytes,
)

GANZOO_API_VERSION = 2
WAVE = Field(name="wave", shape=(16,), kind="wave", range=(-1.0, 1.0), axes=("time",), free={"time": 4})
LABEL = Field(name="label", dtype="int64", classes=("slow", "fast"))

def waves(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 200)
    turns = np.arange(16) / 16 * (1 + labels[:, None]) + random.random((200, 1))
    heights = np.sin(2 * np.pi * turns).astype(np.float32)
    return ArraySource(fields=(WAVE, LABEL), arrays={"wave": heights, "label": labels})

def open_waves(argument, config):
    if argument not in ("1", "2"):
        raise DataError("There are no such waves.")
    return waves(int(argument))

def open_held_out(argument, config):
    return waves(9)

class Waves(Media):
    suffixes, reads = (".wave",), (".wave",)
    def __init__(self, config=None):
        pass
    def check(self, field):
        if len(field.shape) != 1 or field.range != (-1.0, 1.0):
            raise ValueError("a wave has one axis and the range -1..1")
    # media: methods
    def preview(self, field, samples, **options):
        pixels = np.rint(127.5 * (as_floats(field, samples) + 1)).astype(np.uint8)
        # media: preview
        return Preview(suffix=".png", data=encode_image(Image.fromarray(pixels), ".png"))
    def write(self, field, samples, path, **options):
        write_bytes(path, b"wave" + np.rint(as_floats(field, samples) * 32767).astype("<i2").tobytes())
        return [path]
    def read(self, field, path, options):
        content = path.read_bytes()
        if content[:4] != b"wave":
            raise ValueError("no waves")
        return np.frombuffer(content[4:], "<i2").reshape(-1, *field.shape) / 32767

class Heights:
    identity, protocol = "the first heights", "heights as they are"
    def __init__(self, config):
        pass
    def __call__(self, pixels):
        features = pixels[:, :4].astype(np.float32)
        # extractor: features
        return features

class Nearest(Heights):
    def __init__(self, config, data):
        features = self(data.pixels)
        self.means = np.stack([features[data.labels[:, 0] == k].mean(0) for k in range(data.classes)])
        self.accuracy = float((self.probabilities(data.test_pixels).argmax(2) == data.test_labels).mean())
    def probabilities(self, pixels):
        weights = 1 / (1e-3 + np.square(self(pixels)[:, None] - self.means).sum(2))
        return (weights / weights.sum(1, keepdims=True))[:, None]

def distance(config):
    def score(comparison):
        fake, real = comparison.fake.features, comparison.real.features
        # metric: read
        return {"mean_distance": float(np.linalg.norm(fake.mean(0) - real.mean(0)))}
    return score

@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="wave", summary="Waves.", factory=f"{__name__}:open_waves", argument="NUMBER",
                        held_out=f"{__name__}:open_held_out")]

@hookimpl
def ganzoo_media():
    return [MediaSpec(name="wave", summary="Waves.", factory=f"{__name__}:Waves")]

@hookimpl
def ganzoo_extractors():
    return [
        ExtractorSpec(name="heights", summary="Heights.", factory=f"{__name__}:Heights", kinds=("wave",),
                      distance="heights"),
        ExtractorSpec(name="nearest", summary="Means.", factory=f"{__name__}:Nearest", kinds=("wave",),
                      distance="nearest", trained=True),
    ]

class Diary:
    def __init__(self, config):
        pass
    def start(self, run):
        self.file = run.folder / "diary.txt"
        # tracker: start
        return run.known_as or "diary of " + run.name
    def log(self, images, values):
        self.write(images, values)
    def samples(self, images, files):
        self.write(images, [file.name for file in files])
    def end(self, status):
        self.write(status)
    def write(self, *what):
        with self.file.open("a") as file:
            print(*what, file=file)

@hookimpl
def ganzoo_trackers():
    return [TrackerSpec(name="diary", summary="A text file.", factory=f"{__name__}:Diary")]

@hookimpl
def ganzoo_metrics():
    return [MetricSpec(name="distance", summary="Of means.", factory=f"{__name__}:distance",
                       needs=("wave",), better={"mean_distance": "lower"})]
'''  # fmt: skip

RECORD_SKETCHES: dict[str, dict[str, str]] = {
    "says-what-it-needs": {'raise DataError("There are no such waves.")': 'argument = "1"'},
    "opens-as-declared": {'classes=("slow", "fast")': 'classes=("slow",)'},
    "same-data-each-time": {"default_rng(seed)": "default_rng()"},
    "held-out-is-other-data": {"waves(9)": "waves(int(argument))"},
    "knows-its-fields": {"# media: methods": "def claims(self, field):\n        return True"},
    "previews-are-files": {'data=encode_image(Image.fromarray(pixels), ".png")': 'data=b""'},
    "writes-files": {"return [path]": 'return [path.rename(path.with_suffix(".wav"))]'},
    "reads-what-it-writes": {" / 32767": " / -32767"},
    "refuses-broken-files": {'if content[:4] != b"wave"': "if False"},
    "same-samples-same-files, changed": {"# media: preview": "samples *= 0.5"},
    "same-samples-same-files": {'".png")': '".png") + np.random.bytes(8)'},
    "features-are-vectors": {"# extractor: features": "features = features.astype(np.float64)"},
    "features-need-no-batch": {"# extractor: features": "features = features - features.mean(0)"},
    "same-samples-same-features": {
        "# extractor: features": "features = features + np.float32(1e-5 * np.random.rand())"
    },
    "same-samples-same-features, changed": {"# extractor: features": "pixels[:] = 0"},
    "takes-a-run": {"# tracker: start": "assert all('.' not in name for name in run.settings)"},
    "continues-a-run": {'run.known_as or "diary of " + run.name': 'str(np.random.rand())'},
    "leaves-the-run-alone": {"[file.name for file in files]": "[file.unlink() for file in files[:1]]"},
    "leaves-the-run-alone, values": {"self.write(images, values)": "self.write(values.clear())"},
    "needs-exist": {'needs=("wave",)': 'needs=("wave", "smell")'},
    "needs-are-enough": {"# metric: read": "comparison.fake.labels[0]"},
    "same-samples-same-scores": {"# metric: read": "fake = fake + 1e-6 * np.random.rand()"},
    "same-samples-same-scores, changed": {"# metric: read": "fake[0] = fake[1]"},
    "better-is-true, no such score": {'"mean_distance": "lower"': '"distance": "lower"'},
    "better-is-true, not the best": {'return {"mean_distance": ': 'return {"mean_distance": 9 - '},
    "writes-files, empty": {
        'write_bytes(path, b"wave" + np.rint(as_floats(field, samples) * 32767).astype("<i2").tobytes())':
            'write_bytes(path, b"")'
    },
    "held-out-is-other-data, fields": {
        "return waves(9)": "source = waves(9)\n"
        "    return ArraySource(fields=(WAVE,), arrays={'wave': source.arrays['wave']})"
    },
    "better-is-true": {'"mean_distance": "lower"': '"mean_distance": "higher"'},
}  # fmt: skip
GIVEN = ("wave:1",)


def failures(name: str, sources: Sequence[str] = ()) -> dict[str, str]:
    """The text of each failed check."""
    results = check_plugin(name, sources=sources)
    return {result.check: result.text for result in results if result.status == "failed"}


# In these plugins, published settings with large networks, and scores that train a network or are slow, take
# several CPU minutes.
LARGE = ("clips", "enlarge", "series", "sound", "text")
LONG = re.compile(
    r"(recipe .*(-paper|esrgan|hifi-gan-v\d)|metric (.*-score|pesq|sound-pairs|stoi)"
    r"|extractor sound-classifier|term (matched-features|mel-distance|perceptual)) "
)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_passes(name: str) -> None:
    session = session_of(name)
    cases = [case for case in session.cases if name not in LARGE or not LONG.match(str(case))]
    results = [session.result(case) for case in cases]
    assert {result.check: result.text for result in results if result.status == "failed"} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_what_takes_long_passes(name: str) -> None:
    assert failures(name) == {}


def test_a_good_plugin_passes(install: Install) -> None:
    install("good-dist", "good", PLUGIN)
    install("records", "records", RECORDS)
    results = [*check_plugin("good"), *check_plugin("records", sources=GIVEN)]
    assert [result for result in results if result.status == "failed"] == []
    assert {result.check for result in results} == set(CHECKS)
    assert {result.check for result in results if result.status == "skipped"} <= {
        "options-survive-a-settings-file",
    }


def test_a_generator_that_is_too_small_for_its_range_is_told_so() -> None:
    """One convolution without a bias of noise around 0: its mean stays near 0, although it ends with tanh."""
    image = Field(name="image", shape=(1, 8, 8), range=(-1.0, 1.0), axes=PIXELS)
    latent = Field(name="z", shape=(1, 8, 8), source="normal")
    small = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), Bounded((-1.0, 1.0)))
    networks = Networks.pair(small, nn.Flatten(), latent=latent, writes="image")
    noise = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    target: Any = SimpleNamespace(
        batch=lambda n: {"z": noise}, networks=lambda: networks, fields={"image": image}
    )
    with pytest.raises(Failed) as caught:
        covers_its_range(target)
    assert "goes from -0." in str(caught.value)
    assert "if it does, the network may be too small to get there in 160 steps" in str(caught.value)


def test_each_check_has_a_plugin_that_fails_it() -> None:
    assert {name.partition(",")[0] for name in SKETCHES | RECORD_SKETCHES} == set(CHECKS)


@pytest.mark.parametrize("check", sorted(SKETCHES | RECORD_SKETCHES))
def test_a_bad_plugin_fails_its_check_and_no_other(install: Install, check: str) -> None:
    source, sources = (PLUGIN, ()) if check in SKETCHES else (RECORDS, GIVEN)
    for old, new in (SKETCHES | RECORD_SKETCHES)[check].items():
        assert old in source
        source = source.replace(old, new)
    install("bad", "bad", source)
    found = failures("bad", sources)
    assert set(found) == {check.partition(",")[0]}, found


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
    return [ArchitectureSpec(name="solids", summary="Small 3-D convolutions.", factory=f"{__name__}:build")]


@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="solids", summary="Ramps.", factory=f"{__name__}:open_volumes")]


@hookimpl
def ganzoo_recipes():
    return [
        RecipeSpec(
            name="solids", summary="Volumes.", architecture="solids", loss="non-saturating", data="solids"
        )
    ]
"""


def test_networks_of_3d_convolutions_are_checked_with_their_data(install: Install) -> None:
    install("solids", "solids", VOLUMES)
    registry = load_registry()
    data = [fields_of("solids", registry)]
    results = {(r.target, r.check): r for r in check_plugin("solids", registry, data)}
    assert not [r for r in results.values() if r.status in ("failed", "blocked")]
    assert results["recipe solids", "resumes-exactly"].status == "passed"


def test_a_check_that_needs_a_failed_one_is_no_pass(install: Install) -> None:
    install("broken", "broken", VOLUMES.replace('if "volume" not in data', "if True"))
    suite = type("Suite", (PluginSuite,), {"plugin": "broken"})
    session = session_of("broken")
    blocked = [case for case in session.cases if session.result(case).status == "blocked"]
    assert blocked
    with pytest.raises(pytest.skip.Exception, match="needs"):
        suite().test_plugin(next(case for case in _session(suite).cases if str(case) == str(blocked[0])))


OTHERS = """
from ganzoo.api import DatasetSpec, RecipeSpec, hookimpl

GANZOO_API_VERSION = 2


def crash(argument, config):
    raise RuntimeError("this package is broken")


@hookimpl
def ganzoo_datasets():
    return [DatasetSpec(name="crash", summary="Crashes.", factory=f"{__name__}:crash")]


@hookimpl
def ganzoo_recipes():
    common = {"summary": "Broken.", "architecture": "solids", "loss": "non-saturating"}
    return [
        RecipeSpec(name="a-crash", data="crash", **common),
        RecipeSpec(name="a-missing", data="nowhere", **common),
        RecipeSpec(name="a-typo", data="solids", settings={"train.imges": 5}, **common),
    ]
"""


def test_broken_recipes_of_another_package_do_not_fail_mine(install: Install) -> None:
    install("others", "others", OTHERS)
    install("solids", "solids", VOLUMES)
    assert failures("solids") == {}
    # What cannot be opened or resolved is not trained.
    assert set(failures("others")) == {"opens-as-declared", "resolves"}


# --- data that the kit must be told ---------------------------------------------------------------


def test_a_dataset_that_needs_a_path_is_no_pass_without_it(install: Install) -> None:
    install("records", "records", RECORDS)
    results = {(r.target, r.check): r for r in check_plugin("records")}
    opened = results["dataset wave", "opens-as-declared"]
    assert (opened.status, opened.text) == ("skipped", "it needs data: --data wave:NUMBER")
    for target, check in (("media wave", "knows-its-fields"), ("metric distance", "needs-are-enough")):
        assert results[target, check].status == "failed"
        assert "--data SOURCE" in results[target, check].text


def test_the_suite_gives_data_to_datasets_and_media(install: Install) -> None:
    install("records", "records", RECORDS)
    suite = type("Suite", (PluginSuite,), {"plugin": "records", "sources": GIVEN})
    session = _session(suite)
    assert {case.check.stage for case in session.cases} >= {"dataset", "media", "extractor", "metric"}
    for case in session.cases:
        if case.target.stage == "dataset":
            suite().test_plugin(case)


def test_data_of_another_plugin_that_cannot_be_opened_is_an_error(install: Install) -> None:
    install("records", "records", RECORDS)
    with pytest.raises(DataError, match="no toy distribution"):
        session_of("records", sources=("toy:nothing",))
    assert set(failures("records", ("wave:3",))) >= {"opens-as-declared"}


@pytest.mark.parametrize("source", ["npy", "npz", "folder", "pairs", "unpaired", "idx", "csv"])
def test_the_built_in_datasets_of_files_pass(source: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "data"
    if source == "csv":
        rows = [f"{a:.3f},{a * b:.3f},{'red' if b > 1 else 'green'}" for a, b in random.gamma(2, 1, (90, 2))]
        path.write_text("\n".join(["x,y,colour", *rows]))
    elif source in ("npy", "npz"):
        path = path.with_suffix(f".{source}")
        rows = random.normal(size=(40, 3)).astype(np.float32)
        np.save(path, rows) if source == "npy" else np.savez(path, x=rows)
    elif source == "idx":
        path.mkdir()
        for split in ("train", "t10k"):
            write_idx(path / f"{split}-images-idx3-ubyte", random.integers(0, 256, (30, 9, 9), np.uint8))
            write_idx(path / f"{split}-labels-idx1-ubyte", random.integers(0, 4, 30).astype(np.uint8))
    else:
        for side in ("a", "b"):
            (path / side).mkdir(parents=True)
            for name in range(12):
                Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(
                    path / side / f"{name}.png"
                )
    plugin = "tables" if source == "csv" else "datasets"
    session = session_of(plugin, sources=(f"{source}:{path}",))
    results = [session.result(case) for case in session.cases if str(case.target) == f"dataset {source}"]
    assert [result for result in results if result.status == "failed"] == []
    assert {"opens-as-declared", "same-data-each-time"} <= {r.check for r in results if r.status == "passed"}
