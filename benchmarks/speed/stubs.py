"""Stand-ins for what peers import but do not need for training, and for where they get their data.

Every stand-in does less than the real thing, so none slows a peer down: images come from memory,
transforms and image files cost nothing, importing is quick.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

# What peers import for plots, metrics and downloads, and never use in their training loops.
INERT = (
    "matplotlib",
    "pandas",
    "pytorch_gan_metrics",
    "scipy",
    "skimage",
    "sklearn",
    "tensorflow",
    "torchvision",
    "wget",
)


class Anything:
    """Takes any arguments, has any attribute, does nothing."""

    def __init__(self, *args: object, **options: object) -> None: ...

    def __call__(self, *args: object, **options: object) -> Anything:
        """Nothing comes of it."""
        return Anything()

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class InertModule(ModuleType):
    """A module with any attribute."""

    __path__: list[str] = []  # noqa: RUF012 - that it has one makes it a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class InertFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds inert modules under the names of some packages."""

    def __init__(self, packages: Iterable[str]) -> None:
        self._packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Every module of those packages is there."""
        if fullname.partition(".")[0] not in self._packages:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An inert one."""
        return InertModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def install(dataset: Callable[[], Any], packages: Iterable[str] = ()) -> None:
    """Put the stand-ins in place, also for more `packages`.

    Every data set of torchvision is what `dataset` returns.
    """

    class Stored:
        """A data set that is in memory already, wherever it is said to lie."""

        def __new__(cls, *args: object, **options: object) -> Any:
            return dataset()

    sys.meta_path.insert(0, InertFinder({*INERT, *packages}))
    names = ("MNIST", "CIFAR10", "STL10", "ImageFolder", "LSUN", "FakeData")
    datasets = module("torchvision.datasets", dict.fromkeys(names, Stored))
    names = ("Compose", "Lambda", "Resize", "CenterCrop", "RandomResizedCrop", "RandomHorizontalFlip")
    transforms = module("torchvision.transforms", dict.fromkeys((*names, "ToTensor", "Normalize"), Anything))
    utils = module("torchvision.utils", {"save_image": Anything(), "make_grid": _unchanged})
    contents = {"datasets": datasets, "transforms": transforms, "utils": utils, "models": Anything()}
    module("torchvision", contents)
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        module(name, {"SummaryWriter": Anything})
    module("tensorboardX.summary", {"hparams": lambda *args: (Anything(),) * 3})
    module("torch._six", {"PY3": True})  # torch had it until 1.13; torch-mimicry asks it this


def module(name: str, contents: dict[str, Any]) -> ModuleType:
    """Put a module with these contents in place of the one of that name."""
    made = ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    made.__path__ = []
    vars(made).update(contents)
    sys.modules[name] = made
    return made


def _unchanged(images: Any, *args: object, **options: object) -> Any:
    return images
