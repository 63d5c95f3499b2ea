"""What a script of PyTorch-GAN reaches in so many CPU seconds, beside ganzoo in a few, and a whole recipe.

    python -m benchmarks.quality.peer CHECKOUT --images 11000 --set train.batch_size=16 \
        --set architecture.generator_width=24 --set architecture.discriminator_width=16

All train on the same images in processes of their own with one thread, and get the same scores.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.records import as_lines
from benchmarks.speed import stubs

N = 5000
BATCH = 64
RESULTS = Path(__file__).parents[1] / "quality_peer.json"


def fashion() -> tuple[Any, Any]:
    """The embedded images as peers take them, float32 (5000, 1, 28, 28) in -1..1, and their labels."""
    import torch

    from ganzoo_datasets.fashion import open_fashion_5k

    arrays = open_fashion_5k().arrays
    images = torch.from_numpy(np.array(arrays["image"])).float().div(127.5).sub(1)
    return images, torch.from_numpy(np.array(arrays["label"])).long()


def train_peer(script: Path, seconds: float, out: Path) -> None:
    """Run the script until its process has used so many CPU seconds; then write samples of its generator."""
    import torch
    import torch.utils.data

    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(*fashion())
    stubs.install(lambda: data)
    loader: Any = torch.utils.data.DataLoader

    class Timed(loader):  # type: ignore[misc]  # whatever is in place now
        """The same loader; when the time is over it takes the generator from the script."""

        def __iter__(self) -> Iterator[Any]:
            for batch in super().__iter__():
                if time.process_time() > seconds:
                    generator = sys._getframe(1).f_globals["generator"]
                    _write_samples(generator, out)
                    raise SystemExit
                yield batch

    torch.utils.data.DataLoader = Timed  # type: ignore[misc]
    sys.argv = [str(script), "--n_epochs", "1000000", "--img_size", "28", "--sample_interval", "1000000000"]
    runpy.run_path(str(script), run_name="__main__")


def _write_samples(generator: Any, out: Path) -> None:
    """As the script itself samples: in training mode, batches of 64 from N(0, 1)."""
    import torch

    with torch.no_grad():
        parts = [generator(torch.randn(BATCH, 100)).reshape(BATCH, 1, 28, 28) for _ in range(-(-N // BATCH))]
    np.save(out, torch.cat(parts)[:N].numpy())


def scores_of(samples: np.ndarray[Any, Any]) -> dict[str, float]:
    """The quick scores of samples (n, 1, 28, 28) in -1..1 against the held-out images."""
    from ganzoo.config.resolve import resolve
    from ganzoo.evaluation.comparison import Comparison, feature_space_of, reference_samples
    from ganzoo.evaluation.metrics import Scorer, chosen_metrics
    from ganzoo.evaluation.real_data import RealData
    from ganzoo.evaluation.samples import Sampled, stored
    from ganzoo.registry.registry import load_registry

    registry = load_registry()
    plan = resolve("dcgan", registry)
    from ganzoo.api import Field

    real_data = RealData.open(
        plan.dataset, plan.data.source, Field(name="image", shape=(1, 28, 28), range=(-1.0, 1.0)), plan.kinds
    )
    feature_space = feature_space_of(registry, real_data)
    real, training = reference_samples(feature_space, real_data, N)
    fake = Sampled(feature_space, stored(real_data.media, real_data.field, samples), real=real)
    comparison = Comparison(feature_space, fake, real, training, 0, field=real_data.field)
    return Scorer(chosen_metrics(registry, (), quick=True), feature_space, real_data).scores(comparison)


def _timed(words: list[str]) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peer_row(checkout: Path, script: str, seconds: float, folder: Path) -> dict[str, Any]:
    """The script, stopped after so many CPU seconds."""
    out = folder / "here" / "here" / "samples.npy"
    out.parent.mkdir(parents=True)
    again = [sys.executable, __file__, str(checkout), "--script", script, "--seconds", str(seconds)]
    spent = _timed([*again, "--images", "1", "--train-peer", str(out)])
    who = f"PyTorch-GAN {script}.py"
    return {"who": who, "cpu_seconds": round(spent, 1), **scores_of(np.load(out))}


def own_row(train: list[str], run: Path) -> dict[str, Any]:
    """A command line of ganzoo's."""
    spent = _timed([sys.executable, "-m", "ganzoo", *train, "--run-dir", str(run)])
    quick = ["--metric", "frechet", "--metric", "prdc", "--no-reference", "--json"]
    words = [sys.executable, "-m", "ganzoo", "evaluate", str(run), "--n", str(N), *quick]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    who = f"ganzoo {' '.join(train)}"
    return {"who": who, "cpu_seconds": round(spent, 1), **json.loads(done.stdout)["scores"]}


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--script", default="wgan_gp", show_default=True)
@click.option("--seconds", default=600.0, show_default=True, help="CPU seconds for the script.")
@click.option("--own", default="dcgan", show_default=True, help="ganzoo's recipe.")
@click.option("--images", required=True, type=int, help="Its length: what takes 15 CPU seconds.")
@click.option("--set", "settings", multiple=True, help="A setting of ganzoo's run (repeatable).")
@click.option("--train-peer", "only_train", type=click.Path(path_type=Path), hidden=True)
def main(checkout: Path, only_train: Path | None, **options: Any) -> None:
    """Measure both, and write benchmarks/quality_peer.json."""
    script, seconds = options["script"], options["seconds"]
    path = checkout.absolute() / "implementations" / script / f"{script}.py"
    if only_train is not None:
        os.chdir(only_train.parent)
        train_peer(path, seconds, only_train)
        return
    whole = ["train", options["own"]]
    changed = [word for setting in options["settings"] for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            own_row([*whole, "--images", str(options["images"]), *changed], Path(folder) / "short"),
            peer_row(checkout.absolute(), script, seconds, Path(folder)),
            own_row(whole, Path(folder) / "whole"),
        ]
    about = {"machine": machine.describe(), "versions": machine.versions(), "commit": machine.commit()}
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    RESULTS.write_text(as_lines({**about, "date": day, "rows": rows}), encoding="utf-8")
    click.echo(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
