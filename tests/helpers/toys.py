"""The toys: one small GAN for each thing that the contract of plugins carries beside labelled images.

Five are what `ganzoo plugin new --kind` writes, so the templates of the scaffold are tested; the others are
the plugins of tests. `benchmarks/kinds.py` measures the same toys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ganzoo.scaffold import DATA_KINDS, Names, package_files
from tests.helpers.free_axes import PLUGIN as FREE_AXES
from tests.helpers.games import PLUGIN as GAMES
from tests.training.test_conditions import PLUGIN as CONDITIONS

FILES = {"clips": ".gif", "image": ".png", "series": ".csv", "sound": ".wav", "tokens": ".txt"}
"""The native file of each kind of data that has templates."""
SMALL = {
    "train.device": "cpu", "train.precision": "fp32", "train.batch_size": 8, "train.images": 64,
    **{f"{side}.{name}": value for side in ("generator", "discriminator") for name, value in
       {"optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 1.0, "warmup": 40}.items()},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A recipe, its plugin, and how it is sampled into which file.

    `{png}` in `words` stands for an image file of `side` x `side` pixels.
    """

    name: str
    recipe: str
    plugin: str
    suffix: str
    words: tuple[str, ...] = ("-n", "1")
    side: int = 8
    generator: str = "generator"


KINDS = tuple(
    Toy(name=kind, recipe=f"toy-{kind}", plugin=f"toy-{kind}", suffix=FILES[kind]) for kind in DATA_KINDS
)
OTHERS = (
    Toy(
        name="BiGAN",
        recipe="test-bigan",
        plugin="games",
        suffix=".png",
        words=("-n", "200"),
    ),
    Toy(
        name="f-AnoGAN",
        recipe="test-f-anogan",
        plugin="games",
        suffix=".npz",
        words=("--generator", "anomaly", "--input", "{png}"),
        generator="anomaly",
    ),
    Toy(
        name="super-resolver",
        recipe="test-enlarger",
        plugin="free",
        suffix=".png",
        words=("--input", "{png}"),
        side=13,
    ),
    Toy(
        name="regression",
        recipe="conditioned",
        plugin="conditions",
        suffix=".png",
        words=("-n", "200", "--label", "rare", "--set", "marks=1,0,0,1", "--set", "angle=0.5"),
    ),
)
SOURCES = {"games": GAMES, "free": FREE_AXES, "conditions": CONDITIONS}
PLUGINS = {
    **{toy.plugin: () for toy in KINDS},
    "games": (),
    "free": ("free-pictures", "free-sounds", "free-tables"),
    "conditions": ("marked-points",),
}
"""All plugins, with the data that the kit needs besides made-up images, points and rows."""
_HOOKS = """
from ganzoo.api import ArchitectureSpec, DatasetSpec, RecipeSpec, TermSpec, hookimpl
GANZOO_API_VERSION = 2
CODE = __name__ + "_code"
"""


def write_site(folder: Path) -> None:
    """The packages of all toys as pip leaves them; the tests of a written one are in `tests-KIND`."""
    for toy in KINDS:
        names = Names(toy.plugin)
        files = package_files(names, {toy.name}, licence="MIT", author="Ada")
        for path, text in files.items():
            _write(folder / path.replace("tests/", f"tests-{toy.name}/"), text)
        _write_metadata(folder, names.dist, names.name, names.package)
    for plugin, source in SOURCES.items():
        # In two modules, as in a package: the one with the hooks must not import torch.
        code, hookimpl, hooks = source.partition("@hookimpl")
        module = f"toy_{plugin}"
        _write(folder / f"{module}_code.py", code)
        _write(folder / f"{module}.py", _HOOKS + hookimpl + hooks.replace("__name__", "CODE"))
        _write_metadata(folder, f"toy-{plugin}", plugin, module)


def arguments(toy: Toy, folder: Path) -> list[str]:
    """The words of `ganzoo generate` between the bundle and `-o`; an image that they name is written."""
    image = folder / f"input-{toy.side}.png"
    if "{png}" in toy.words:
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (toy.side, toy.side, 3), np.uint8)
        Image.fromarray(pixels).convert("L" if toy.generator == "anomaly" else "RGB").save(image)
    return [word.format(png=image) for word in toy.words]


def _write_metadata(folder: Path, dist: str, name: str, module: str) -> None:
    info = folder / f"{dist.replace('-', '_')}-0.1.0.dist-info"
    _write(info / "METADATA", f"Metadata-Version: 2.1\nName: {dist}\nVersion: 0.1.0\n")
    _write(info / "entry_points.txt", f"[ganzoo]\n{name} = {module}\n")


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
