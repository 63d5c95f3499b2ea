"""ganzoo: a zoo of GANs found through plugins, trained by one loop, exported to verified ONNX.

    run = ganzoo.train("wgan-gp", images=20_000)
    bundle = run.export()
    pictures = ganzoo.load(bundle).generate(64, seed=0)

Importing this module imports neither torch nor onnxruntime; each function does when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganzoo.export import Bundle
    from ganzoo.runs import Run
    from ganzoo.runtime import Generator

__all__ = ["__version__", "load", "open_run", "train"]

__version__ = "0.1.0"

# The clock of `ganzoo.process` starts when it is imported.
importlib.import_module("ganzoo.process")

# Python binds a subpackage to its parent's attribute when it is first loaded. Loaded here, before
# the function of that name is defined, `ganzoo.train` stays the function.
importlib.import_module("ganzoo.train")


def train(
    recipe: str,
    *,
    data: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    run_dir: str | PathLike[str] | None = None,
    auto_resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Train a recipe, an `architecture+loss` combination or a settings file; returns the run.

    `settings` takes further values by dotted path (`{"generator.lr": 1e-4}`). Ctrl-C saves and
    returns a run whose `record["status"]` is "interrupted". With `auto_resume` the same call goes on with
    a run that ended early. Errors are `ganzoo.errors.GanzooError`.
    """
    from ganzoo.evaluate.during import judging
    from ganzoo.recipes import resolve
    from ganzoo.registry import load_registry
    from ganzoo.settings import layer
    from ganzoo.train.quiet import Quiet
    from ganzoo.train.session import start, start_or_resume

    named = {
        "data.source": data,
        "train.images": images,
        "train.minutes": minutes,
        "train.batch_size": batch_size,
        "train.seed": seed,
        "train.device": device,
        "train.precision": precision,
    }
    overrides = {**{key: value for key, value in named.items() if value is not None}, **(settings or {})}
    registry = load_registry()
    plan = resolve(recipe, registry, overrides=layer("ganzoo.train", overrides))
    begin = start_or_resume if auto_resume else start
    judged = judging(plan, registry) if plan.train.eval_every is not None else None
    run, _ = begin(plan, Path(run_dir) if run_dir is not None else None, Quiet(), judging=judged)
    return run


def open_run(path: str | PathLike[str]) -> Run:
    """An existing run directory, to export it or to read its log."""
    from ganzoo.runs import Run

    return Run.open(Path(path))


def load(path: str | PathLike[str] | Bundle, **options: Any) -> Generator:
    """Load an exported generator (a bundle, its folder, or an .onnx file) without torch.

    `options` are those of `ganzoo.runtime.load`: `provider`, `generator`, and `trust=True` for a file that
    was made elsewhere (what that protects from, and what not, is said there).
    """
    from ganzoo import runtime

    place = path if isinstance(path, (str, PathLike)) else path.path
    return runtime.load(Path(place), **options)
