"""Peers that are libraries: their own trainers, called as their documentation shows it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.speed.cases import Case
from benchmarks.speed.data import Images, samples
from benchmarks.speed.peers.nets import build_nets, definitions
from benchmarks.speed.places import Places
from benchmarks.speed.step_gate import StepGate

NEVER = 10**9


def torchgan(case: Case, places: Places, gate: StepGate) -> None:
    """torchgan.trainer.Trainer with its DCGAN and minimax losses."""
    import torch

    os.environ["TENSORBOARD_LOGGING"] = os.environ["VISDOM_LOGGING"] = "0"
    losses = importlib.import_module("torchgan.losses")
    models = importlib.import_module("torchgan.models")
    trainer = importlib.import_module("torchgan.trainer").Trainer(
        {
            "generator": {
                "name": models.DCGANGenerator,
                "args": {"out_size": case.size, "out_channels": case.channels},
                "optimizer": {"name": torch.optim.Adam, "args": _adam(case, "generator")},
            },
            "discriminator": {
                "name": models.DCGANDiscriminator,
                "args": {"in_size": case.size, "in_channels": case.channels},
                "optimizer": {"name": torch.optim.Adam, "args": _adam(case, "discriminator")},
            },
        },
        [losses.MinimaxDiscriminatorLoss(), losses.MinimaxGeneratorLoss()],
        device=torch.device(places.device),
        epochs=NEVER,
    )
    trainer(_loader(case))


def mimicry(case: Case, places: Places, gate: StepGate) -> None:
    """torch_mimicry.training.Trainer with its WGAN-GP of residual nets."""
    import torch

    device = torch.device(places.device)
    generator, discriminator = (net.to(device) for net in build_nets(case, places))
    training = importlib.import_module("torch_mimicry.training")
    training.Trainer(
        netD=discriminator,
        netG=generator,
        optD=torch.optim.Adam(discriminator.parameters(), **_adam(case, "discriminator")),
        optG=torch.optim.Adam(generator.parameters(), **_adam(case, "generator")),
        n_dis=case.n_critic,
        num_steps=NEVER,
        dataloader=_loader(case),
        log_dir="log",
        device=device,
    ).train()


def vegans(case: Case, places: Places, gate: StepGate) -> None:
    """vegans.GAN.VanillaGAN on the nets of the case."""
    import torch

    generator, discriminator = build_nets(case, places)
    module = importlib.import_module("vegans.models.unconditional.VanillaGAN")
    gan = module.VanillaGAN(
        generator,
        discriminator,
        x_dim=case.shape,
        z_dim=case.latent[0],
        optim=torch.optim.Adam,
        optim_kwargs={
            "Generator": _adam(case, "generator"),
            "Adversary": _adam(case, "discriminator"),
        },
        device=places.device,
        folder=None,
    )
    gan.fit(Images(samples(case.name)), epochs=NEVER, batch_size=case.batch)


def lightning(case: Case, places: Places, gate: StepGate) -> None:
    """Lightning's GAN example: its module and data module, trained as its `main` does, on this device."""
    import torch
    from torch import nn
    from torch.nn import functional

    pytorch: Any = importlib.import_module("lightning.pytorch")
    data: Any = importlib.import_module("lightning.pytorch.demos.mnist_datamodule")
    known = {
        "F": functional,
        "nn": nn,
        "LightningModule": pytorch.LightningModule,
        "override": lambda method: method,
        "Namespace": object,
        "torchvision": importlib.import_module("torchvision"),
    }
    example = definitions(places.path("lightning") / "generative_adversarial_net.py", known)

    class Gated(pytorch.Callback):  # type: ignore[misc]  # its type is found at run time
        def on_train_batch_start(self, *args: object) -> None:
            gate.step()

    module = example["GAN"](img_shape=case.shape, latent_dim=case.latent[0])
    trainer = pytorch.Trainer(
        accelerator="cpu" if places.device == "cpu" else "gpu",
        devices=1,
        max_epochs=-1,
        callbacks=[Gated()],
    )
    torch.manual_seed(0)
    trainer.fit(module, data.MNISTDataModule(batch_size=case.batch, num_workers=0))


def _loader(case: Case) -> Any:
    import torch.utils.data

    return torch.utils.data.DataLoader(samples(case.name), batch_size=case.batch, shuffle=True)  # type: ignore[arg-type]


def _adam(case: Case, side: str) -> dict[str, Any]:
    return {"lr": case.settings[f"{side}.lr"], "betas": case.settings[f"{side}.betas"]}
