"""ganzoo: a zoo of GANs found through plugins, trained by one loop, exported to verified ONNX.

    run = ganzoo.train("wgan-gp", images=20_000)
    bundle = ganzoo.export(run)
    images = ganzoo.load(bundle).generate(64, seed=0)

Importing this module imports neither torch nor onnxruntime; each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganzoo._version import __version__
from ganzoo.util import system as _system  # its clock starts when it is imported

if TYPE_CHECKING:
    from ganzoo.evaluation.report import Report
    from ganzoo.exporting.export import Bundle
    from ganzoo.runs.run import Run
    from ganzoo.runtime.generator import Generator

__all__ = ["__version__", "evaluate", "export", "list_recipes", "load", "open_run", "train"]

del _system


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
    warm_start: str | PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Train a recipe, an `architecture+loss` combination or a settings file; returns the run.

    Without `images` and `minutes`, a run has the recipe's length; on other data it takes about ten minutes.
    `settings` takes further values by dotted path (`{"generator.lr": 1e-4}`). `warm_start` is a run directory
    whose weights the networks begin with, where names and shapes agree. Ctrl-C saves and
    returns a run whose `record["status"]` is "interrupted". With `auto_resume` the same call resumes
    a run that ended early. Errors are `ganzoo.errors.GanzooError`.
    """
    from ganzoo.config.resolve import resolve
    from ganzoo.config.settings import layer
    from ganzoo.evaluation.during_training import scoring
    from ganzoo.registry.registry import load_registry
    from ganzoo.training.reporting.reporter import NullReporter
    from ganzoo.training.session import start, start_or_resume

    named = {
        "data.source": data,
        "train.images": images,
        "train.minutes": minutes,
        "train.batch_size": batch_size,
        "train.seed": seed,
        "train.device": device,
        "train.precision": precision,
        "train.warm_start": None if warm_start is None else fspath(warm_start),
    }
    overrides = {**{key: value for key, value in named.items() if value is not None}, **(settings or {})}
    registry = load_registry()
    plan = resolve(recipe, registry, overrides=layer("ganzoo.train", overrides))
    begin = start_or_resume if auto_resume else start
    classifier_used = scoring(plan, registry) if plan.train.eval_every is not None else None
    run, _ = begin(
        plan, Path(run_dir) if run_dir is not None else None, NullReporter(), scoring=classifier_used
    )
    return run


def open_run(path: str | PathLike[str]) -> Run:
    """Open an existing run directory, to export it or to read its log."""
    from ganzoo.runs.run import Run

    return Run.open(Path(path))


def export(
    run: str | PathLike[str] | Run,
    output: str | PathLike[str] | None = None,
    *,
    uint8: bool = False,
    checkpoint: Literal["newest", "best"] | int = "newest",
    opset: int = 18,
    batch: int | None = None,
    weights: Literal["float32", "float16", "int8"] = "float32",
    watermark: str | None = None,
    watermark_strength: float | None = None,
    license_id: str | None = None,
    author: str | None = None,
) -> Bundle:
    """Export a run's generators to checked ONNX files in the folder `output`.

    That is `exported/<recipe>` by default, with a number if a bundle of another run is there.
    `run` is a run or its directory. `checkpoint` is the newest valid one, the best one of a run with
    `train.keep_best`, or the one after that many images. With `uint8` the graph returns images as uint8,
    (N, height, width, channels). `batch` is the only batch size of the graph, for runtimes that need one.
    Large `weights` may be stored smaller; they compute in float32. `watermark` is the key of an invisible
    pattern that the graph adds to pictures, `watermark_strength` its levels of 255, by default the
    fewest that are found again. `license_id` (such as cc-by-4.0) and `author` go into the model card. Errors
    are `ganzoo.errors.GanzooError`; a failed check leaves no bundle.
    """
    from ganzoo.evaluation.small_weights import frechet_of
    from ganzoo.exporting.form import Form
    from ganzoo.exporting.from_run import export_run
    from ganzoo.registry.registry import load_registry

    form = Form(
        uint8=uint8,
        opset=opset,
        batch=batch,
        weights=weights,
        watermark=watermark,
        watermark_strength=watermark_strength,
    )
    source = open_run(run) if isinstance(run, (str, PathLike)) else run
    target = Path(output) if output is not None else None
    registry = load_registry()
    return export_run(
        source,
        target,
        form=form,
        checkpoint=checkpoint,
        license_id=license_id,
        author=author,
        registry=registry,
        frechet=frechet_of(registry),
    )


def evaluate(
    source: str | PathLike[str] | Run | Bundle,
    *,
    n: int | None = None,
    data: str | None = None,
    metrics: Iterable[str] = (),
    seed: int = 0,
    against: Literal["held-out", "training"] = "held-out",
) -> Report:
    """Score samples of a run or a bundle against real samples; `Report.to_json()` has all results.

    The generator makes `n` samples with `seed`; by default as many as there are real ones, at most 10,000.
    `data` replaces the data of the run. `metrics` are names of metrics; empty means all that apply. Nothing
    is written. Errors are `ganzoo.errors.GanzooError`.
    """
    from ganzoo.evaluation.evaluate import Request
    from ganzoo.evaluation.evaluate import evaluate as score
    from ganzoo.registry.registry import load_registry

    path = Path(source) if isinstance(source, (str, PathLike)) else source.path
    request = Request(source=path, n=n, data=data, metrics=tuple(metrics), seed=seed, against=against)
    return score(request, load_registry())


def load(path: str | PathLike[str] | Bundle, **options: Any) -> Generator:
    """Load an exported generator (a bundle, its folder, or an .onnx file) without torch.

    `options` are those of `ganzoo.runtime.load`: `provider`, `generator`, and `trust=True` for a file that
    another program made. `ganzoo.runtime.load` says what `trust` protects from and what it does not.
    """
    from ganzoo import runtime

    place = path if isinstance(path, (str, PathLike)) else path.path
    return runtime.load(Path(place), **options)


def list_recipes() -> list[str]:
    """The names of all recipes that `train` accepts here, sorted."""
    from ganzoo.api.specs import RecipeSpec
    from ganzoo.registry.registry import load_registry

    registry = load_registry()
    return sorted(registry.canonical(RecipeSpec, item.qualified) for item in registry.of_kind(RecipeSpec))
