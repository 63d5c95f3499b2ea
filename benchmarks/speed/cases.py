"""The cases: which nets, data and recipe all loops of a case train. Data only: torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison.

    `nets` names the peer whose network classes are trained. `settings` is the recipe as ganzoo's
    settings by path. `peers` maps each peer that trains this case to what its loop does otherwise.
    """

    name: str
    summary: str
    nets: str
    shape: tuple[int, int, int]
    latent: tuple[int, ...]
    loss: str
    peers: Mapping[str, str]
    batch: int = 64
    classes: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_critic(self) -> int:
        """Steps of the discriminator for each step of the generator."""
        return int(self.settings.get("train.n_critic", 1))

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.shape[0]

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.shape[1]


def _adam(betas: tuple[float, float], lr: float = 2e-4) -> dict[str, Any]:
    return {
        f"{side}.{name}": value
        for side in ("generator", "discriminator")
        for name, value in (("optimizer", "adam"), ("lr", lr), ("betas", betas))
    }


_HALVED = {"loss.halved": True}  # the mean of the losses for real and for generated samples
_FIRST = "the generator's step comes before the discriminator's"

_CASES = (
    Case(
        name="mlp-gan-28",
        summary="MLP GAN, 28x28 gray: G 128-256-512-1024 with BatchNorm, D 512-256; 1.51 M / 0.53 M",
        nets="pytorch-gan",
        shape=(1, 28, 28),
        latent=(100,),
        loss="sigmoid-cross-entropy",
        settings={**_adam((0.5, 0.999)), **_HALVED, "train.reuse_fakes": True},
        peers={
            "pytorch-gan": f"{_FIRST}; noise from NumPy",
            "vegans": f"{_FIRST}; generates anew for each step; backward keeps the graphs; does not shuffle",
            "lightning": f"{_FIRST}; generates anew for each step; its own D writes logits",
        },
    ),
    Case(
        name="cgan-mlp-32",
        summary="Conditional MLP GAN, 32x32 gray, 10 classes, least squares; 1.76 M / 1.06 M",
        nets="pytorch-gan",
        shape=(1, 32, 32),
        classes=10,
        latent=(100,),
        loss="least-squares",
        settings={**_adam((0.5, 0.999)), **_HALVED, "train.reuse_fakes": True},
        peers={
            "pytorch-gan": f"{_FIRST}; draws labels for generated samples, where ganzoo takes those of the "
            "real batch; noise from NumPy"
        },
    ),
    Case(
        name="dcgan-32-small",
        summary="DCGAN 32x32x3: G upsamples to 128-128-64 maps, D 16-32-64-128; 1.05 M / 0.10 M",
        nets="pytorch-gan",
        shape=(3, 32, 32),
        latent=(100,),
        loss="sigmoid-cross-entropy",
        settings={**_adam((0.5, 0.999)), **_HALVED, "train.reuse_fakes": True},
        peers={"pytorch-gan": f"{_FIRST}; noise from NumPy"},
    ),
    Case(
        name="dcgan-64",
        summary="DCGAN 64x64x3, 64 filters, 4x4 kernels; 3.58 M / 2.77 M",
        nets="examples",
        shape=(3, 64, 64),
        latent=(100, 1, 1),
        loss="sigmoid-cross-entropy",
        settings={**_adam((0.5, 0.999)), "train.reuse_fakes": True},
        peers={"examples": "same order of work; generates 64 images more every 100 steps"},
    ),
    Case(
        name="dcgan-32-big",
        summary="DCGAN 32x32x3 with logits, G 512-256-128-64, D of seven convolutions without norm; batch 16",
        nets="collections",
        shape=(3, 32, 32),
        batch=16,
        latent=(100,),
        loss="non-saturating",
        settings={
            **_adam((0.5, 0.9)),
            "train.generator_batch_size": 32,
            "generator.decay": "linear",
            "discriminator.decay": "linear",
        },
        peers={"collections": "same order of work; the generator's step takes twice the batch, here as well"},
    ),
    Case(
        name="dcgan-32-torchgan",
        summary="DCGAN 32x32x3 with torchgan's own nets, 64 filters, logits",
        nets="torchgan",
        shape=(3, 32, 32),
        latent=(100,),
        loss="non-saturating",
        settings=_adam((0.5, 0.999)),
        peers={"torchgan": "same order of work, its losses given as discriminator, generator"},
    ),
    Case(
        name="wgan-gp-mlp-28",
        summary="WGAN-GP of the same MLPs as mlp-gan-28, 5 steps of the critic; 1.51 M / 0.53 M",
        nets="pytorch-gan",
        shape=(1, 28, 28),
        latent=(100,),
        loss="wgan-gp",
        settings={**_adam((0.5, 0.999)), "train.n_critic": 5},
        peers={
            "pytorch-gan": "critic's steps send gradients into the generator, which nothing uses; "
            "the generator's step comes after the first critic step of five; noise from NumPy"
        },
    ),
    Case(
        name="wgan-gp-cnn-32",
        summary="WGAN-GP 32x32x3, convolutional, 5 steps of the critic; batch 8; 3.81 M / 5.86 M",
        nets="collections",
        shape=(3, 32, 32),
        batch=8,
        latent=(128,),
        loss="wgan-gp",
        settings={
            **_adam((0.0, 0.9)),
            "train.n_critic": 5,
            "train.generator_batch_size": 16,
            "generator.decay": "linear",
            "discriminator.decay": "linear",
        },
        peers={"collections": "same order of work; the generator's step takes twice the batch, here as well"},
    ),
    Case(
        name="wgan-gp-resnet-32",
        summary="WGAN-GP 32x32x3 with torch-mimicry's own residual nets at width 64, 5 critic steps; batch 8",
        nets="mimicry",
        shape=(3, 32, 32),
        batch=8,
        latent=(128,),
        loss="wgan-gp",
        settings={**_adam((0.0, 0.9)), "train.n_critic": 5},
        peers={"mimicry": "same order of work; its logger prints each cycle"},
    ),
)
CASES: Mapping[str, Case] = {case.name: case for case in _CASES}
