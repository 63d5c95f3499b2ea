"""Checks of an architecture: its networks by themselves, before any training."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from safetensors.torch import load, save
from torch import Tensor

from ganzoo.api.networks import Networks
from ganzoo.errors import DataError, GanzooError
from ganzoo.fields import DataInfo, Field
from ganzoo.networks.apply import apply, declared
from ganzoo.registry.registry import factory_of
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.targets import ArchitectureTarget, every_net, fields_written

BATCHES = (1, 2, 7)


def _alike(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4 * max(1.0, float(b.abs().max())))


def _spread(networks: Networks, *, by_size: bool = False) -> Networks:
    """Change all parameters a little: initial zeros would hide what depends on them.

    `by_size`: in proportion to their spread, if they have one. Else a deep stack of wide layers without norms
    multiplies rounding errors as it does its values.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)
        for net in every_net(networks).values():
            for value in net.module.parameters():
                spread = float(value.std(correction=0)) if by_size else 0.0
                value.add_(torch.randn_like(value), alpha=0.1 * (spread or 1.0))
    return networks


@check("architecture")
def builds(target: ArchitectureTarget) -> None:
    """It builds networks that follow the contract, for the smallest data that has what it needs."""
    target.networks()


def _with_shape(field: Field, shape: tuple[int, ...]) -> Field:
    """The field with another shape; its axes have names only if it still has as many."""
    axes = field.axes if len(shape) == len(field.shape) else ()
    return replace(field, shape=shape, axes=axes, free={})


@check("architecture", "builds")
def refuses_other_data(target: ArchitectureTarget) -> None:
    """Data that does not fit raises a DataError, not an error of torch."""
    fields = target.info.fields
    others = [
        tuple(_with_shape(field, shape) if field.dtype == "float32" else field for field in fields)
        for shape in ((), (3,), (1, 1, 1), (1, 2, 5), (2, 3, 4, 5))
    ]
    others += [tuple(Field(name=field.name, dtype="int64") for field in fields)]
    spec, options = target.item.spec, target.plan.architecture.options
    for changed in others:
        try:
            factory_of(target.item)(options, DataInfo(fields=changed, count=32))
        except GanzooError:
            continue
        except Exception as error:
            shapes = ", ".join(f"{field.name} {field.dtype} {field.shape}" for field in changed)
            raise Failed(
                f"For data with {shapes} it raises {type(error).__name__}: {error}",
                "raise DataError if data does not fit; for images, DataInfo.image(smallest=8) does so",
            ) from error
    for missing in spec.needs:
        left = DataInfo(fields=tuple(f for f in fields if f.name != missing), count=32)
        try:
            target.plan.check_data(left)
        except DataError:
            continue
        raise Failed(f"Data without '{missing}' raises no error.")


@check("architecture", "builds")
def shapes_fit_any_batch(target: ArchitectureTarget) -> None:
    """At batches of 1, 2 and 7, generators write the declared shapes, and each sample has a score."""
    networks = target.networks()
    fields = declared(networks, target.info)
    for n in BATCHES:
        batch = target.batch(n)
        for name, net in networks.generators.items():
            for key, value in fields_written(net, batch).items():
                wanted = (n, *fields[key].shape)
                demand(
                    tuple(value.shape) == wanted,
                    f"'{name}' writes '{key}' of shape {tuple(value.shape)} at batch {n}, not {wanted}.",
                )
        for name, net in networks.discriminators.items():
            written = fields_written(net, batch)
            score = written["score"] if "score" in written else next(iter(written.values()))
            demand(
                score.ndim >= 1 and len(score) in {k for k in range(1, n + 1) if n % k == 0},
                f"'{name}' returns scores of shape {tuple(score.shape)} for a batch of {n}.",
            )


@check("architecture", "shapes-fit-any-batch")
def finite_at_start(target: ArchitectureTarget) -> None:
    """Outputs and gradients of new networks are finite."""
    batch = target.batch(4)
    for name, net in every_net(target.networks()).items():
        outputs = apply(net, batch)
        for key, value in outputs.items():
            demand(bool(torch.isfinite(value).all()), f"'{key}' from '{name}' is not finite at the start.")
        total = torch.stack([value.float().sum() for value in outputs.values()]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        for path, parameter in net.module.named_parameters():
            grad = parameter.grad
            demand(
                grad is None or bool(torch.isfinite(grad).all()),
                f"The gradient of '{path}' in '{name}' is not finite at the start.",
            )


@check("architecture", "finite-at-start")
def stays_in_range(target: ArchitectureTarget) -> None:
    """A generator's output stays in the declared range, also for extreme inputs."""
    networks = target.networks()
    fields = declared(networks, target.info)
    batch = {
        name: value * 100 if fields[name].source != "data" and value.is_floating_point() else value
        for name, value in target.batch(4).items()
    }
    for name, net in networks.generators.items():
        for key, value in fields_written(net, batch).items():
            bounds = fields[key].range
            if bounds is None:
                continue
            low, high = bounds
            slack = 1e-5 * (high - low)
            demand(
                low - slack <= float(value.min()) and float(value.max()) <= high + slack,
                f"'{name}' writes '{key}' from {float(value.min()):.3g} to {float(value.max()):.3g}, "
                f"but {low:g} to {high:g} is declared.",
                "let it end with ganzoo.api.Bounded(field.range)",
            )


@check("architecture", "finite-at-start")
def weights_are_all_there_is(target: ArchitectureTarget) -> None:
    """Weights saved as safetensors and loaded into networks of another seed give the same outputs."""
    first, second = _spread(target.networks(0)), target.networks(1)
    batch = target.batch(4)
    for name, net in every_net(first).items():
        state = {key: value.contiguous().clone() for key, value in net.module.state_dict().items()}
        other = every_net(second)[name]
        other.module.load_state_dict(load(save(state)))
        for key, value in fields_written(net, batch).items():
            demand(
                torch.equal(value, fields_written(other, batch)[key]),
                f"'{name}' writes a different '{key}' with the same state dict.",
                "keep random or learned values as parameters or with register_buffer",
            )


@check("architecture", "shapes-fit-any-batch")
def seed_decides(target: ArchitectureTarget) -> None:
    """The same seed gives the same weights, and another seed gives other weights."""
    states = [
        {
            f"{name}.{key}": value
            for name, net in every_net(target.networks(seed)).items()
            for key, value in net.module.state_dict().items()
        }
        for seed in (0, 0, 1)
    ]
    different = [key for key, value in states[0].items() if not torch.equal(value, states[1][key])]
    demand(
        not different,
        f"'{different[0] if different else ''}' differs between two networks of the same seed.",
        "use torch's random functions without your own torch.Generator",
    )
    demand(
        any(not torch.equal(value, states[2][key]) for key, value in states[0].items()),
        "Another seed gives the same weights.",
    )


@check("architecture", "shapes-fit-any-batch")
def samples_do_not_mix(target: ArchitectureTarget) -> None:
    """In eval mode, a generator's output for a sample does not depend on the rest of the batch."""
    batch = target.batch(7)
    for name, net in _spread(target.networks(), by_size=True).generators.items():
        whole = fields_written(net, batch)
        for part in (slice(0, 1), slice(2, 5)):
            alone = fields_written(net, {key: value[part] for key, value in batch.items()})
            for key, value in alone.items():
                demand(
                    _alike(value, whole[key][part]),
                    f"'{name}' writes a different '{key}' for the same sample in another batch.",
                    "use no batch statistics and nothing random in eval mode",
                )


@check("architecture", "shapes-fit-any-batch")
def can_be_averaged(target: ArchitectureTarget) -> None:
    """A generator can be copied for its moving average, and the copy shares no tensors with it."""
    for name, net in target.networks().generators.items():
        try:
            copy = deepcopy(net.module)
        except Exception as error:
            raise Failed(f"'{name}' cannot be copied: {type(error).__name__}: {error}") from error
        shared = {value.data_ptr() for value in net.module.state_dict().values() if value.numel()}
        demand(
            not shared & {value.data_ptr() for value in copy.state_dict().values() if value.numel()},
            f"A copy of '{name}' shares tensors with it.",
            "do not define __deepcopy__",
        )


@check("architecture", "finite-at-start")
def finite_in_bf16(target: ArchitectureTarget) -> None:
    """Under bf16 autocast, outputs and gradients are finite."""
    batch = target.batch(4)
    for name, net in every_net(target.networks()).items():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = apply(net, batch)
        total = torch.stack([value.float().square().mean() for value in outputs.values()]).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        grads = [value.grad for value in net.module.parameters() if value.grad is not None]
        demand(
            all(bool(torch.isfinite(value).all()) for value in (*outputs.values(), *grads)),
            f"'{name}' is not finite in bf16.",
            "compute sensitive parts in float32: `with torch.autocast(x.device.type, enabled=False)`",
        )


@check("architecture", "shapes-fit-any-batch")
def moves_to_another_device(target: ArchitectureTarget) -> None:
    """Its networks work on another device: CUDA if available, otherwise torch's `meta`."""
    device = "cuda" if torch.cuda.is_available() else "meta"
    batch = {name: value.to(device) for name, value in target.batch(2).items()}
    for name, net in every_net(target.networks()).items():
        module = net.module.to(device)
        try:
            apply(replace(net, module=module), batch)
        except NotImplementedError as error:
            raise NotApplicable(f"torch cannot test this without a GPU: {error}") from error
        except Exception as error:
            if device == "meta" and "autocast" in str(error):
                raise NotApplicable(f"torch has no autocast on 'meta': {error}") from error
            raise Failed(
                f"'{name}' fails on the device '{device}': {error}",
                "create tensors on the device of an input, and keep constants with register_buffer",
            ) from error


@check("architecture", "shapes-fit-any-batch")
def games_reach_every_net(target: ArchitectureTarget) -> None:
    """Every network with parameters is part of a game, or a recipe has a term, which can train it."""
    networks = target.networks()
    playing = {name for game in networks.games for name in (game.generator, game.discriminator, game.encoder)}
    nets = every_net(networks)
    idle = [name for name in sorted(nets.keys() - playing) if list(nets[name].module.parameters())]
    # The check `trains` of that recipe demands that the weights of every network change.
    demand(
        not idle or target.has_terms,
        f"'{idle[0] if idle else ''}' is part of no game, and no recipe has a term that could train it.",
        "add a game, or a recipe with a term that calls view.generate(batch, NAME) or view.apply",
    )
