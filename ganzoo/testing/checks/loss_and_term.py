"""Checks of losses and terms: their formulas on synthetic scores, and in a game."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganzoo.config.plan import Plan
from ganzoo.errors import GanzooError
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.synthetic_networks import scores
from ganzoo.testing.targets import BATCH, MADE, LossTarget, TermTarget
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.shards import Shard, StepRandom
from ganzoo.training.view import GameView

SHAPES = ((6,), (6, 1), (6, 1, 3, 2))


def _both(target: LossTarget, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    loss = target.loss()
    given = real.detach() if target.item.spec.paired else None
    return loss.discriminator(real, fake), loss.generator(fake, given)


@check("loss")
def any_shape_of_score(target: LossTarget) -> None:
    """Both formulas return a finite scalar for scores of shape (n,), (n, 1) and (n, 1, h, w)."""
    for shape in SHAPES:
        for value in _both(target, scores(shape, 0.5), scores(shape, -0.5)):
            demand(value.shape == (), f"For scores of shape {shape} it has shape {tuple(value.shape)}.")
            demand(bool(torch.isfinite(value)), f"For scores of shape {shape} it is not finite.")


@check("loss", "any-shape-of-score")
def scores_get_gradients(target: LossTarget) -> None:
    """The discriminator's loss has gradients for all scores, the generator's for generated ones."""
    real, fake = scores((6,), 0.3), scores((6,), 0.1)
    for role, value, inputs in (
        ("discriminator", _both(target, real, fake)[0], (real, fake)),
        ("generator", _both(target, real, fake)[1], (fake,)),
    ):
        demand(value.requires_grad, f"The {role}'s loss has no gradient.")
        found = torch.autograd.grad(value, inputs, allow_unused=True)
        demand(
            all(grad is not None and bool(torch.isfinite(grad).all()) for grad in found)
            and all(bool(grad.any()) for grad in found if grad is not None),
            f"The {role}'s loss has no gradient for some scores.",
        )


@check("loss", "any-shape-of-score")
def better_scores_cost_less(target: LossTarget) -> None:
    """D's loss is lower for high real and low fake scores, G's loss for high fake scores."""
    for level in (0.4, 1.0):
        high, low = scores((6,), level), scores((6,), -level)
        demand(
            bool(_both(target, high, low)[0] < _both(target, low, high)[0]),
            "The discriminator's loss rewards the wrong order of scores.",
            "real samples must get the higher scores",
        )
        middle = scores((6,), 0.0)
        demand(
            bool(_both(target, middle, high)[1] < _both(target, middle, low)[1]),
            "The generator's loss rewards low scores of its samples.",
        )


@check("loss", "any-shape-of-score")
def paired_is_true(target: LossTarget) -> None:
    """`paired` is declared if the generator's formula needs real scores, and only then."""
    if not target.item.spec.paired:
        return  # real scores are not given: a formula that needs them fails in any-shape-of-score
    fake, loss = scores((6,), 0.1), target.loss()
    values = [loss.generator(fake, scores((6,), level).detach()) for level in (-1.0, 0.0, 1.0)]
    demand(
        not torch.equal(values[0], values[1]) or not torch.equal(values[1], values[2]),
        "It is declared `paired`, but its generator's loss does not depend on real scores.",
        "leave `paired` out: the loop then saves a forward pass of the discriminator",
    )


class TermInGame:
    """A term in a game: its function, and views of one batch that draw the same random numbers."""

    def __init__(self, target: TermTarget, plan: Plan | None = None) -> None:
        self.name = target.item.name
        self.spec = target.item.spec
        self.setup: TrainingSetup = prepare(plan or target.plan)
        training = self.setup.training
        self.modules = list(getattr(training, self.spec.role).modules.values())
        penalties = [
            item
            for item in self.setup.phases.objective.penalties[self.spec.role]
            if item.name.split("/")[-1] == self.name
        ]
        if not penalties:
            raise NotApplicable("a constraint is not a function of a batch")
        self.function: Any = penalties[0].function
        fields = sorted({field.name for field in self.setup.dataset.fields})
        picked = self.setup.batches.select("discriminator", 0, BATCH, fields)
        self.real = self.setup.batches.materialize(picked, fields)

    def move(self, progress: float) -> None:
        """Give schedules their values after this share of the run."""
        if self.setup.phases.schedules is not None:
            self.setup.phases.schedules.move(progress, int(progress * (self.setup.plan.train.images or 0)))

    def view(self) -> GameView:
        """A view of the first game, as in a step of the term's role."""
        training, phases = self.setup.training, self.setup.phases
        training.engine.random.manual_seed(0)
        random = StepRandom(training.engine)
        random.begin(Shard(0, BATCH, BATCH))
        noise = training.engine.noise(phases.noise_fields, BATCH)
        drawn = phases.draw(self.real, noise, learn=True)[0]
        return phases.view(0, self.spec.role, self.real, drawn, random)

    def value(self) -> Tensor:
        """The term's value for the batch, with the same random numbers each time."""
        result: Tensor = self.function(self.view())
        return result


@check("term")
def can_be_computed(target: TermTarget) -> None:
    """In a game, a penalty is a finite scalar, and weights stay finite after a constraint."""
    if target.item.spec.kind == "constraint":
        _constrained(target)
        return
    game = TermInGame(target)
    view = game.view()
    try:
        value = game.function(view)
    except (KeyError, AttributeError) as error:
        where = f"In the recipe '{target.plan.name}'"
        fix = "read only fields that exist, or let the architecture write the field"
        if target.plan.architecture.item.qualified == MADE:
            where = "On synthetic networks"
            fix = "a term that needs special networks needs a recipe for this test"
        present = f"; {view.contents()}" if isinstance(error, KeyError) else ""
        raise Failed(f"{where} it raises {type(error).__name__}: {error}{present}.", fix) from error
    demand(value.shape == (), f"It has shape {tuple(value.shape)}, not a scalar.")
    demand(bool(torch.isfinite(value)), "It is not finite at the start.")


def _constrained(target: TermTarget) -> None:
    setup = prepare(target.plan)
    player = getattr(setup.training, target.item.spec.role)
    for module in player.modules.values():
        before = list(module.parameters())
        with torch.no_grad():
            for constraint in player.constraints:
                constraint(module)
        same = [a is b for a, b in zip(before, module.parameters(), strict=True)]
        demand(
            all(same),
            "It replaces parameters, so the optimiser no longer has them.",
            "change parameters in place",
        )
        demand(all(bool(torch.isfinite(value).all()) for value in before), "Weights are not finite after it.")


@check("term", "can-be-computed")
def its_role_learns(target: TermTarget) -> None:
    """The term has finite gradients for the networks of its role."""
    game = TermInGame(target)
    learns = False
    for progress in (0.0, 1.0):  # a schedule may hold the term back at first, or end it
        game.move(progress)
        for module in game.modules:
            module.zero_grad()
        value = game.value()
        demand(value.requires_grad, f"It has no gradient: the {game.spec.role} cannot learn from it.")
        value.backward()  # type: ignore[no-untyped-call]
        grads = [p.grad for module in game.modules for p in module.parameters() if p.grad is not None]
        demand(all(bool(torch.isfinite(grad).all()) for grad in grads), "Its gradient is not finite.")
        learns = any(bool(grad.any()) for grad in grads)
        if learns:
            break
    demand(
        learns,
        f"The parameters of the {game.spec.role} get no gradient from it.",
        f"is it a term of the {game.spec.role}?",
    )


@check("term", "can-be-computed")
def second_order_is_true(target: TermTarget) -> None:
    """`second_order` is declared if the term differentiates through a gradient, and only then."""
    game = TermInGame(target)
    with _differentiated() as calls:
        game.value()
    demand(
        not any(calls) or game.spec.second_order,
        "It differentiates through a gradient, but does not declare it: it would be computed in bf16.",
        "declare second_order=True",
    )
    demand(
        any(calls) or not game.spec.second_order,
        "It is declared `second_order`, but does not differentiate through a gradient.",
        "leave second_order out: then the term can use bf16",
    )


@contextmanager
def _differentiated() -> Iterator[list[bool]]:
    """For each call of torch.autograd.grad in the block, whether it has create_graph."""
    calls: list[bool] = []
    known = torch.autograd.grad

    def grad(*arguments: Any, **options: Any) -> Any:
        calls.append(bool(options.get("create_graph", False)))
        return known(*arguments, **options)

    torch.autograd.grad = grad
    try:
        yield calls
    finally:
        torch.autograd.grad = known


@check("term", "can-be-computed")
def keeps_no_clock(target: TermTarget) -> None:
    """The same batch and state give the same value: the loop decides when a term is due, not the term."""
    game = TermInGame(target)
    modules = game.setup.phases.modules  # networks too: spectral norm changes as it is used
    states = [{key: value.clone() for key, value in module.state_dict().items()} for module in modules]
    values = []
    for _ in range(5):
        for module, state in zip(modules, states, strict=True):
            module.load_state_dict(state)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # dropout uses torch's default stream
            values.append(game.value().item())
    demand(
        max(values) - min(values) <= 1e-5 * max(1.0, *map(abs, values)),
        f"The same batch gave different values in five calls: {values}.",
        "use the record's `every` for lazy terms, view.uniform for random numbers, buffers for state",
    )


@check("term", "can-be-computed")
def any_shape_of_map(target: TermTarget) -> None:
    """The term works for scores of shape (n, 1) and (n, 1, h, w), if it works on synthetic networks."""
    for score in ("flat", "column", "map"):
        try:
            value = TermInGame(target, target.made_up(score)).value()
        except (GanzooError, KeyError, AttributeError) as error:
            if score == "flat":
                raise NotApplicable(f"it needs special networks: {error}") from error
            raise
        demand(value.shape == () and bool(torch.isfinite(value)), f"It is {value} for scores as a {score}.")


@check("term", "can-be-computed")
def says_whose_numbers(target: TermTarget) -> None:
    """Random numbers with a row for each sample are drawn with `per_sample` (plugin API 2)."""
    if target.item.plugin.api < 2:
        return
    game = TermInGame(target)
    view, unsaid = game.view(), list[tuple[int, ...]]()
    for name in ("uniform", "normal"):
        draw = getattr(view, name)

        def watched(*shape: int, per_sample: bool | None = None, draw: Any = draw) -> Tensor:
            if per_sample is None and shape[:1] in ((BATCH,), (2 * BATCH,)):
                unsaid.append(shape)
            result: Tensor = draw(*shape, per_sample=per_sample)
            return result

        setattr(view, name, watched)
    game.function(view)
    demand(
        not unsaid,
        f"It draws numbers of shape {unsaid[0] if unsaid else ()} for {BATCH} samples, and does not say "
        "whether each sample has its own.",
        "say per_sample=True; or per_sample=False for one draw that serves the whole step",
    )
