"""The network classes of the peers, taken from their own files and initialised as they do it."""

from __future__ import annotations

import argparse
import ast
import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed import stubs
from benchmarks.speed.cases import Case
from benchmarks.speed.places import Places

Nets = tuple[nn.Module, nn.Module]

SCRIPTS = {
    "mlp-gan-28": "gan/gan.py",
    "cgan-mlp-32": "cgan/cgan.py",
    "dcgan-32-small": "dcgan/dcgan.py",
    "wgan-gp-mlp-28": "wgan_gp/wgan_gp.py",
}
MODULES = {"dcgan-32-big": "dcgan", "wgan-gp-cnn-32": "wgangp"}


def build_nets(case: Case, places: Places) -> Nets:
    """The case's generator and discriminator, freshly initialised as the peer does it."""
    build = {
        "pytorch-gan": _pytorch_gan,
        "examples": _examples,
        "collections": _collections,
        "torchgan": _torchgan,
        "mimicry": _mimicry,
    }[case.nets]
    return build(case, places)


def definitions(path: Path, known: dict[str, Any]) -> dict[str, Any]:
    """The classes and functions of a script, without running the script itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wanted: list[ast.stmt] = [item for item in tree.body if isinstance(item, (ast.ClassDef, ast.FunctionDef))]
    names = {"__name__": path.stem, "torch": torch, "nn": nn, "np": np, "math": math, **known}
    exec(compile(ast.Module(wanted, []), str(path), "exec"), names)  # noqa: S102 - the peer's own code
    return names


def script_of(case: Case, places: Places) -> Path:
    """The script of PyTorch-GAN that trains the case."""
    return places.path("pytorch-gan") / "implementations" / SCRIPTS[case.name]


def _pytorch_gan(case: Case, places: Places) -> Nets:
    options = argparse.Namespace(
        latent_dim=case.latent[0], img_size=case.size, channels=case.channels, n_classes=case.classes
    )
    names = definitions(script_of(case, places), {"opt": options, "img_shape": case.shape})
    generator, discriminator = names["Generator"](), names["Discriminator"]()
    if "weights_init_normal" in names:
        generator.apply(names["weights_init_normal"])
        discriminator.apply(names["weights_init_normal"])
        # Its `.view` of the convolutions' output fails where that is in channels-last order.
        discriminator.model.register_forward_hook(_contiguous)
    return generator, discriminator


def _contiguous(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.contiguous()


def _examples(case: Case, places: Places) -> Nets:
    known = {"nz": case.latent[0], "ngf": 64, "ndf": 64, "nc": case.channels}
    names = definitions(places.path("examples") / "dcgan" / "main.py", known)
    generator, discriminator = names["Generator"](1), names["Discriminator"](1)
    generator.apply(names["weights_init"])
    discriminator.apply(names["weights_init"])
    return generator, discriminator


def _collections(case: Case, places: Places) -> Nets:
    path = places.path("collections") / "source" / "models" / f"{MODULES[case.name]}.py"

    names = definitions(path, {"init": nn.init})
    return names["Generator32"](case.latent[0]), names["Discriminator32"]()


def _torchgan(case: Case, places: Places) -> Nets:
    models = _package("torchgan.models", "torchgan", places)
    return (
        models.DCGANGenerator(case.latent[0], case.size, case.channels),
        models.DCGANDiscriminator(case.size, case.channels),
    )


def _mimicry(case: Case, places: Places) -> Nets:
    nets = _package("torch_mimicry.nets.wgan_gp.wgan_gp_32", "mimicry", places)
    return nets.WGANGPGenerator32(nz=case.latent[0], ngf=64), nets.WGANGPDiscriminator32(ndf=64)


def _package(module: str, peer: str, places: Places) -> Any:
    if "torchvision" not in sys.modules:
        stubs.install(lambda: None)
    places.make_importable(peer)
    return importlib.import_module(module)
