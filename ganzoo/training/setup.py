"""From a plan to a training setup: data, networks, optimisers and engine, ready to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ganzoo.api.networks import Networks
from ganzoo.config.plan import Plan
from ganzoo.data.batches import Batches
from ganzoo.data.condition_table import open_table
from ganzoo.data.dataset import Dataset
from ganzoo.data.open_data import open_data
from ganzoo.errors import SettingsError, UsageError
from ganzoo.networks.apply import conditions, declared, independent_of_batch, noise_fields
from ganzoo.networks.build import build_networks
from ganzoo.networks.scheduled import scheduled_numbers
from ganzoo.training.compute.conv_as_matmul import use_matmul_convolutions
from ganzoo.training.compute.device import Engine, choose_threads, kept_threads
from ganzoo.training.compute.double_backward import use_lean_gradients
from ganzoo.training.distributed.ranks import Ranks
from ganzoo.training.ema import Ema
from ganzoo.training.flops import forward_flops
from ganzoo.training.freeze import freeze
from ganzoo.training.microbatches import MicroBatching
from ganzoo.training.objective import Objective, make_objective
from ganzoo.training.phases import MEASURED, ROLES, Conditions, Meter, Phases
from ganzoo.training.player import Player
from ganzoo.training.replay_buffer import ReplayBuffer
from ganzoo.training.schedules import Schedules
from ganzoo.training.state import Training
from ganzoo.util import system
from ganzoo.util.progress import lasting
from ganzoo.util.text import Unit


@dataclass(frozen=True)
class TrainingSetup:
    """A plan with its data opened and its networks built on the device: ready to train."""

    plan: Plan
    dataset: Dataset
    training: Training
    phases: Phases
    batches: Batches
    frozen: Sequence[str] = ()
    """The parameters that `train.freeze` leaves as they are."""
    rechoose_threads: Callable[[], int] | None = None
    """Chooses the CPU threads again, by what other processes do; None for a number that stays."""

    @property
    def unit(self) -> Unit:
        """What the run's lengths count: samples of the data that generators make, or else of the data."""
        written = {name for net in self.training.networks.generators.values() for name in net.writes}
        made = [field for field in self.dataset.fields if field.name in written]
        return self.plan.kinds.unit([*made, *self.dataset.fields])


def unread_classes(setup: TrainingSetup) -> list[str]:
    """A note if data that is not the recipe's own has classes, and the networks do not read them."""
    if not setup.plan.other_data:
        return []
    read = {name for role in ROLES for name in setup.phases.reads(role, set(setup.batches.names))}
    return [
        f"no network reads the {len(field.classes)} classes of this data, so samples have no class: a "
        "conditional recipe reads them, see `ganzoo list --kind recipe`"
        for field in setup.dataset.fields
        if len(field.classes) > 1 and field.source == "data" and field.name not in read
    ]


def check_share(plan: Plan, ranks: Ranks) -> None:
    """UsageError when ranks outnumber the samples of a batch, or with a replay pool and several ranks.

    SettingsError when packs do not fit.
    """
    _check_packs(plan, ranks.world)
    if plan.train.replay and ranks.world > 1:
        raise UsageError(
            f"A pool of earlier samples works with one process only, not with {ranks.world}.",
            where=f"train.replay is {plan.train.replay}",
            fix="train.replay=0, or one process",
        )
    smallest = min(plan.train.batch_size, plan.train.generator_batch_size or plan.train.batch_size)
    if smallest < ranks.world:
        raise UsageError(
            f"A batch of {smallest} cannot be shared by {ranks.world} processes.",
            where="train.batch_size counts the samples of all processes together",
            fix=f"--batch-size {ranks.world} or more, or fewer --devices",
        )


def _check_packs(plan: Plan, world: int) -> None:
    """SettingsError unless every process and every micro-batch has whole packs."""
    settings = plan.train
    wanted = {"batch_size": world, "generator_batch_size": world, "micro_batch": 1}
    for name, shares in wanted.items():
        size, unit = getattr(settings, name), settings.pack * shares
        if settings.pack > 1 and size is not None and size % unit:
            among = f" in each of {shares} processes" if shares > 1 else ""
            raise SettingsError(
                f"{size} samples are not whole packs of {settings.pack}{among}.",
                where=f"train.{name} (from {plan.origin(('train', name))}), train.pack",
                fix=f"train.{name}={max(unit, size // unit * unit)}, or train.pack=1",
            )


def _check_augmentation(plan: Plan) -> None:
    """SettingsError for an augmentation that cannot work with the scores of this loss."""
    if plan.augment is None:
        return
    for tag, reason in plan.augment.rejects.items():
        if tag in plan.loss.tags:
            raise SettingsError(
                f"The augmentation '{plan.augment.item.name}' cannot work with the loss "
                f"'{plan.loss.item.name}': {tag}.",
                where=f"recipe {plan.name}",
                fix=reason,
            )


@lasting("opening the data and building the networks")
def prepare(
    plan: Plan,
    record: Mapping[str, Any] | None = None,
    ranks: Ranks | None = None,
    dataset: Dataset | None = None,
) -> TrainingSetup:
    """Open the data (unless `dataset` is given), build and check the networks, move everything to the device.

    `record` is the run.json of a run to resume: it keeps the precision and threads that were chosen then.
    """
    record, ranks = record or {}, ranks or Ranks()
    check_share(plan, ranks)
    _check_best(plan)
    if not record:  # a run that an older version allowed may continue
        _check_augmentation(plan)
    if dataset is None:
        system.watch_cores()
        dataset = open_data(plan)
    if plan.fit is not None:
        plan = plan.fitted(dataset.info)
        check_share(plan, ranks)
    networks = build_networks(plan, dataset.info)
    frozen = freeze(networks, plan.train.freeze)
    seed = plan.train.seed
    engine = Engine.create(plan.train.device, record.get("precision", plan.train.precision), seed, ranks)
    at_once = min(filter(None, (plan.train.micro_batch, record.get("micro_batch"))), default=None)
    rechoose_threads = _set_threads(plan, networks, dataset, record.get("threads"), ranks)
    torch.manual_seed((seed + ranks.rank) % 2**63)  # for dropout: each rank needs other masks
    objective = make_objective(plan, engine.device)
    joint = independent_of_batch(networks, dataset.info)
    if any(penalty.second_order for penalty in objective.penalties["discriminator"]):
        for net in networks.discriminators.values():
            use_lean_gradients(net.module)
    _place(networks, engine)
    skips = plan.train.on_nan == "skip"
    players = _players(plan, networks, objective, ranks, skips=skips)
    replay = _replay(plan, networks, dataset, engine)
    if replay is not None:
        objective.stateful["replay"] = replay
    training = Training(
        networks=networks,
        generator=players["generator"],
        discriminator=players["discriminator"],
        ema=Ema(players["generator"].modules, plan.ema),
        engine=engine,
        meter=Meter(ranks, tolerant=skips),
        stateful=objective.stateful,
    )
    training.agree()
    phases = Phases(
        networks=networks,
        players=players,
        engine=engine,
        meter=training.meter,
        objective=objective,
        images=_augmented(plan, networks, dataset),
        reuse_fakes=plan.train.reuse_fakes,
        joint=joint,
        memory=MicroBatching(at_once, plan.train.pack),
        conditions=_conditions(plan, networks, dataset, engine.device),
        replay=replay,
        schedules=_schedules(training, objective),
    )
    if plan.data.flip and not any("width" in field.axes for field in dataset.fields):
        raise SettingsError(
            "data.flip mirrors samples along the axis 'width', which no field of the data has.",
            where=f"data.flip (from {plan.origin(('data', 'flip'))})",
            fix="leave it out",
        )
    batches = Batches(dataset, seed=seed, device=engine.device, flip=plan.data.flip)
    return TrainingSetup(plan, dataset, training, phases, batches, frozen, rechoose_threads)


def _augmented(plan: Plan, networks: Networks, dataset: Dataset) -> list[str]:
    """The fields that the augmentation changes."""
    kinds = plan.augment.item.spec.kinds if plan.augment else ()
    return [name for name, field in declared(networks, dataset.info).items() if field.kind in kinds]


def _schedules(training: Training, objective: Objective) -> Schedules:
    """All scheduled numbers: those that the networks and their averages hold, and those of the objective."""
    modules = [*training.generator.modules.values(), *training.discriminator.modules.values()]
    numbers = [*objective.numbers, *scheduled_numbers([*modules, *training.ema.modules.values()])]
    return Schedules(training.engine.device, numbers)


def _conditions(plan: Plan, networks: Networks, dataset: Dataset, device: torch.device) -> Conditions:
    """SettingsError for drawn conditions where no generator reads one, DataError for an unfit table."""
    if plan.train.conditions == "real":
        return Conditions()
    read = conditions(networks, dataset.info)
    if not read:
        raise SettingsError(
            "No generator of these networks reads a condition: a label, or a vector of the data.",
            where=f"train.conditions (from {plan.origin(('train', 'conditions'))})",
            fix="train.conditions=real",
        )
    fields = {field.name: field for known in read.values() for field in known}
    drawn = [field for field in fields.values() if plan.train.conditions == "uniform" and field.classes]
    uniform = tuple(replace(field, source="uniform", shares=()) for field in drawn)
    file = plan.train.condition_table
    table = open_table(file, list(fields.values())) if file else None
    return Conditions(
        names={name: tuple(field.name for field in known) for name, known in read.items()},
        uniform=uniform,
        others=tuple(sorted(fields.keys() - {field.name for field in drawn})),
        table=Batches(table, seed=plan.train.seed, device=device) if table else None,
        fingerprint=table.fingerprint if table else "",
    )


def _replay(plan: Plan, networks: Networks, dataset: Dataset, engine: Engine) -> ReplayBuffer | None:
    """The pool of earlier samples, if wanted: for each game, with all fields of a sample and its noise."""
    if not plan.train.replay:
        return None
    fields = declared(networks, dataset.info)
    nets = (*networks.generators.values(), *networks.discriminators.values())
    made_from = {field.name for field in noise_fields(networks)}
    made_from |= {name for net in nets for name in (*net.reads, *net.writes) if name in dataset.info}
    games = [
        [fields[name] for name in sorted(made_from | set(networks.generators[game.generator].writes))]
        for game in networks.games
    ]
    return ReplayBuffer(plan.train.replay, games).to(engine.device)


def _players(
    plan: Plan, networks: Networks, objective: Objective, ranks: Ranks, *, skips: bool
) -> dict[str, Player]:
    """The networks of each role with their optimiser."""
    roles = (
        ("generator", networks.generators, plan.generator),
        ("discriminator", networks.discriminators, plan.discriminator),
    )
    return {
        role: Player(nets, settings, objective.constraints[role], ranks=ranks, skips=skips)
        for role, nets, settings in roles
    }


def _check_best(plan: Plan) -> None:
    """SettingsError when no value of the log can have the name that `train.keep_best` compares.

    With `eval_every` this is checked later: the names of scores are known after the first evaluation.
    """
    name = plan.train.best_name
    if not name or plan.train.eval_every is not None:
        return
    penalties = [key for key, term in plan.terms.items() if term.item.spec.kind == "penalty"]
    skipped = [f"skipped_{role}" for role in ROLES] if plan.train.on_nan == "skip" else []
    known = (*MEASURED, *penalties, *skipped)
    if name not in known:
        raise SettingsError(
            f"train.keep_best compares '{name}', which this run's log does not have.",
            where=f"train.keep_best (from {plan.origin(('train', 'keep_best'))})",
            fix=f"--eval-every IMAGES, if it is a score; otherwise one of {', '.join(known)}",
        )


def _set_threads(
    plan: Plan, networks: Networks, dataset: Dataset, recorded: int | None, ranks: Ranks
) -> Callable[[], int] | None:
    """Set the threads of this process: as the settings say, as when the run started, or by the work.

    Returns how to choose again later, unless the number is fixed. Other ranks do not count as other
    processes: whoever started them has divided the cores.
    """
    work = forward_flops(networks, dataset.info) * len(ranks.share(plan.train.batch_size))
    alone = ranks.world == 1

    def choose(wanted: int | None = None) -> int:
        return choose_threads(wanted, work, system.busy_cores if alone else lambda: 0.0)

    torch.set_num_threads(choose(plan.train.threads or kept_threads(recorded)))
    return choose if alone and plan.train.threads is None else None


def _place(networks: Networks, engine: Engine) -> None:
    """Move networks to the device, with the memory layout and the layers that are fastest there."""
    # Channels last made the sized conv recipes 1.1 to 1.25 times as fast on a Zen 4 core, the
    # gradient penalty's double backward included; modules without convolutions ignore it.
    for net in (*networks.generators.values(), *networks.discriminators.values()):
        if engine.device.type == "cpu":
            use_matmul_convolutions(net.module)
        net.module.to(engine.device).train()
        for value in (*net.module.parameters(), *net.module.buffers()):
            if value.ndim == 4:  # the layout is for 2-D convolutions only
                value.data = value.data.to(memory_format=torch.channels_last)
