"""The loop that ganzoo's is measured against: what a careful person would write for the same plan.

A DataLoader over float tensors in memory, torch's default Adam, one call of the discriminator for real
and one for generated samples, no gradient where nothing learns, losses read at each step. It trains the
same networks by the same formulas in fp32, with noise and an order of the data of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.speed.step_gate import StepGate
from ganzoo.api.networks import Net
from ganzoo.api.training import Batch
from ganzoo.config.plan import Plan
from ganzoo.config.settings import OptimizerSettings
from ganzoo.data.batches import Batches
from ganzoo.data.dataset import Dataset
from ganzoo.data.open_data import open_data
from ganzoo.errors import UsageError
from ganzoo.fields import Field
from ganzoo.networks.apply import apply, noise_fields
from ganzoo.networks.build import build_networks
from ganzoo.training.compute.device import Engine, choose_device
from ganzoo.training.objective import Penalty, make_objective


def train(plan: Plan, gate: StepGate) -> None:
    """Train for ever; each step of the discriminator begins at the gate, which may end the process.

    Learning rates and momentum stay as they begin, and no constraint of a generator is applied.
    UsageError for a plan with more than one network on a side.
    """
    settings, device = plan.train, choose_device(plan.train.device)
    gate.on(Engine(device, "fp32", torch.Generator(device)))
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    dataset = open_data(plan)
    networks = build_networks(plan, dataset.info)
    if len(networks.generators) != 1 or len(networks.discriminators) != 1:
        raise UsageError("The plain loop trains one generator and one discriminator.", where=plan.name)
    torch.manual_seed(settings.seed)
    [generator], [critic] = networks.generators.values(), networks.discriminators.values()
    generator.module.to(device)
    critic.module.to(device)
    parts, average = make_objective(plan, device), copy.deepcopy(generator.module)
    g_optimizer = _optimizer(generator.module, plan.generator)
    d_optimizer = _optimizer(critic.module, plan.discriminator)
    n_critic, count = settings.n_critic, settings.batch_size
    generator_count = settings.generator_batch_size or count
    batches, others = _batches(dataset, count, device), _batches(dataset, generator_count, device)
    drawn = partial(_noise, noise_fields(networks), device)
    losses: list[tuple[float, float]] = []

    def generated(real: Batch, noise: Batch) -> Batch:
        return {**real, **apply(generator, {**real, **noise})}

    while True:
        for turn in range(n_critic):
            gate.step()
            real, noise = next(batches), drawn(count)
            with torch.set_grad_enabled(settings.reuse_fakes and turn == n_critic - 1):
                fake = generated(real, noise)
            detached = {name: value.detach() for name, value in fake.items()}
            view = PlainView(critic, generator, noise, real, detached)
            loss = parts.loss.discriminator(view.real_outputs["score"], view.fake_outputs["score"])
            loss = _penalised(loss, parts.penalties["discriminator"], view, len(losses) * n_critic + turn)
            d_optimizer.zero_grad()
            torch.autograd.backward(loss)
            d_optimizer.step()
            for constraint in parts.constraints["discriminator"]:
                constraint(critic.module)

        if not settings.reuse_fakes:
            real = real if generator_count == count else next(others)
            fake = generated(real, noise := drawn(generator_count))
        view = PlainView(critic, generator, noise, real, fake)
        paired = view.real_outputs["score"].detach() if plan.loss.item.spec.paired else None
        g_loss = parts.loss.generator(view.fake_outputs["score"], paired)
        g_loss = _penalised(g_loss, parts.penalties["generator"], view, len(losses))
        g_optimizer.zero_grad()
        torch.autograd.backward(g_loss)
        g_optimizer.step()

        if plan.ema.half_life:
            _average(average, generator.module, 1 - 0.5 ** (n_critic * count / plan.ema.half_life))
        losses.append((loss.item(), g_loss.item()))


class PlainView:
    """Implements `api.View` with a call of the discriminator for each batch."""

    def __init__(self, critic: Net, generator: Net, noise: Batch, real: Batch, fake: Batch) -> None:
        self.critic, self.generator, self.noise, self.real, self.fake = critic, generator, noise, real, fake
        self.written = generator.writes

    @cached_property
    def real_outputs(self) -> Batch:
        """Scores of the real batch."""
        return self.discriminate(self.real)

    @cached_property
    def fake_outputs(self) -> Batch:
        """Scores of the generated batch."""
        return self.discriminate(self.fake)

    @property
    def progress(self) -> Tensor:
        """Not followed here: no term of the compared recipes asks for it."""
        return torch.zeros(())

    def discriminate(self, batch: Batch) -> Batch:
        """Scores of a batch."""
        return apply(self.critic, batch)

    def generate(self, batch: Batch, generator: str = "") -> Batch:
        """The batch with generated samples."""
        return {**batch, **apply(self.generator, {**self.noise, **batch})}

    def apply(self, name: str, batch: Batch) -> Batch:
        """What one of the two networks writes."""
        return apply({"generator": self.generator}.get(name, self.critic), {**self.noise, **batch})

    def uniform(self, *shape: int, per_sample: bool = False) -> Tensor:
        """U(0, 1)."""
        return torch.rand(shape, device=self._device)

    def normal(self, *shape: int, per_sample: bool = False) -> Tensor:
        """N(0, 1)."""
        return torch.randn(shape, device=self._device)

    @property
    def _device(self) -> torch.device:
        return next(iter(self.real.values())).device


def _penalised(loss: Tensor, penalties: Sequence[Penalty], view: PlainView, step: int) -> Tensor:
    for penalty in penalties:
        if step % penalty.every == 0:
            loss = loss + penalty.function(view) * penalty.every
    return loss


def _optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "adam":
        return torch.optim.Adam(
            module.parameters(), settings.lr, settings.betas, settings.eps, settings.weight_decay
        )
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            module.parameters(),
            settings.lr,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        )
    return torch.optim.SGD(
        module.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay
    )


@torch.no_grad()
def _average(average: nn.Module, module: nn.Module, weight: float) -> None:
    for target, source in zip(average.parameters(), module.parameters(), strict=True):
        target.lerp_(source, weight)


def _batches(dataset: Dataset, size: int, device: torch.device) -> Iterator[Batch]:
    """Shuffled batches for ever, as a DataLoader makes them from float tensors in memory."""
    everything = Batches(dataset, seed=0, device=torch.device("cpu")).take("all", 0, dataset.count)
    loader = DataLoader(TensorDataset(*everything.values()), size, shuffle=True, drop_last=True)
    while True:
        for values in loader:
            yield {name: value.to(device) for name, value in zip(everything, values, strict=True)}


def _noise(fields: tuple[Field, ...], device: torch.device, n: int) -> Batch:
    def drawn(field: Field) -> Tensor:
        shape = (n, *field.shape)
        if field.dtype == "int64":
            return torch.randint(len(field.classes), shape, device=device)
        if field.source == "constant":
            return torch.full(shape, field.default, device=device)
        if field.source == "normal":
            return torch.randn(shape, device=device)
        return torch.rand(shape, device=device) * 2 - 1

    return {field.name: drawn(field) for field in fields}
