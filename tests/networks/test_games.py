"""Wider games: encoders, discriminators of latents, networks that only terms train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

import ganzoo
from ganzoo.api.specs import ArchitectureSpec
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import PluginError
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.runs.run import Run
from ganzoo.testing.check import Failed
from ganzoo.testing.checks.architecture import games_reach_every_net
from ganzoo.testing.runner import SYNTHETIC
from ganzoo.testing.targets import ArchitectureTarget
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo.training.setup import TrainingSetup, prepare
from ganzoo.training.shards import Shard, StepRandom
from ganzoo.training.view import GameView
from tests.helpers.games import PLUGIN
from tests.helpers.kinds import PLUGIN as KINDS

Install = Callable[..., Path]
RECIPES = ("test-bigan", "test-aae", "test-f-anogan")
SMALL = {"train.device": "cpu", "train.precision": "fp32", "train.images": 160, "train.batch_size": 8}


def plan_of(install: Install, recipe: str, source: str = PLUGIN, **more: Any) -> Plan:
    install("games-dist", "games", source)
    return resolve(recipe, load_registry(), overrides={**SMALL, **more})


def view_of(setup: TrainingSetup, role: str) -> GameView:
    """The first game with the first eight samples of the data."""
    real = setup.batches.take(role, 0, 8)
    setup.training.engine.random.manual_seed(1)
    noise = setup.training.engine.noise(setup.phases.noise_fields, 8)
    random = StepRandom(setup.training.engine)
    random.begin(Shard(0, 8, 8))
    drawn = setup.phases.draw(real, noise, learn=True)[0]
    return setup.phases.view(0, role, real, drawn, random)


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_every_network_and_resumes_exactly(install: Install, tmp_path: Path, recipe: str) -> None:
    plan = plan_of(install, recipe, **{"ema.half_life": 20, "train.n_critic": 2})
    before = prepare(plan).training.tensors()
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    parts, _ = start(plan, tmp_path / "parts", NullReporter(), pause_at=64)
    plan = resolve(str(parts.settings_file), load_registry())
    parts, outcome = resume(Run.open(parts.path), plan, NullReporter())
    assert outcome == "done"
    states = [(max(r.checkpoints.iterdir()) / "state.safetensors").read_bytes() for r in (whole, parts)]
    assert states[0] == states[1]
    after = read_newest(whole.checkpoints)[0]
    weights = [name for name in after if name.startswith("networks.") and name.endswith("weight")]
    assert weights
    assert not [name for name in weights if torch.equal(before[name], after[name])]


def test_an_encoder_makes_the_real_side_of_a_game(install: Install) -> None:
    setup = prepare(plan_of(install, "test-bigan"))
    encoder = setup.training.networks.generators["encoder"].module
    view = view_of(setup, "discriminator")
    torch.testing.assert_close(view.real["z"], encoder(view.real["point"]))
    assert torch.equal(view.fake["z"], view.noise["z"])
    assert not view.real["z"].requires_grad
    view = view_of(setup, "generator")
    assert view.real["z"].requires_grad
    assert view.real_outputs["score"].requires_grad


def test_with_an_encoder_the_networks_minimise_the_exchanged_loss(install: Install) -> None:
    setup = prepare(plan_of(install, "test-bigan"))
    real = setup.batches.take("generator", 0, 8)
    noise = setup.training.engine.noise(setup.phases.noise_fields, 8)
    random = StepRandom(setup.training.engine)
    random.begin(Shard(0, 8, 8))
    found = setup.phases.total("generator", real, setup.phases.draw(real, noise, learn=True), 0, random)
    networks = setup.training.networks
    generator, encoder = (networks.generators[name].module for name in ("generator", "encoder"))
    judge = networks.discriminators["discriminator"].module
    made, encoded = judge(generator(noise["z"]), noise["z"]), judge(real["point"], encoder(real["point"]))
    wanted = functional.softplus(-made).mean() + functional.softplus(encoded).mean()
    torch.testing.assert_close(found, wanted)
    for module in (generator, encoder):
        slopes = torch.autograd.grad(found, list(module.parameters()), retain_graph=True)
        assert all(bool(slope.any()) for slope in slopes)


def test_an_autoencoder_is_compared_with_the_prior(install: Install) -> None:
    setup = prepare(plan_of(install, "test-aae"))
    encoder = setup.training.networks.generators["encoder"].module
    view = view_of(setup, "generator")
    assert torch.equal(view.real["z"], view.noise["z"])
    torch.testing.assert_close(view.fake["z"], encoder(view.real["point"]))


@pytest.mark.parametrize("recipe", ["test-bigan", "test-aae"])
@pytest.mark.parametrize("more", [{"train.micro_batch": 4}, {"train.reuse_fakes": True}])
def test_micro_batches_and_reused_samples_change_rounding_only(
    install: Install, tmp_path: Path, recipe: str, more: dict[str, Any]
) -> None:
    both = {} if "train.micro_batch" in more else {"train.micro_batch": 4}
    states = []
    for number, settings in enumerate(({**more, **both}, {**more, "train.micro_batch": 8})):
        run, _ = start(plan_of(install, recipe, **settings), tmp_path / str(number), NullReporter())
        states.append(read_newest(run.checkpoints)[0])
    for name in [name for name in states[0] if name.startswith("networks.")]:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-3, atol=1e-4)


def test_a_pool_of_earlier_samples_keeps_the_prior_apart(install: Install) -> None:
    setup = prepare(plan_of(install, "test-aae", **{"train.replay": 8}))
    replay = setup.phases.replay
    assert replay is not None
    real = setup.batches.take("discriminator", 0, 8)
    noise = setup.training.engine.noise(setup.phases.noise_fields, 8)
    drawn = setup.phases.draw(real, noise, learn=False)
    replay.begin(setup.training.engine, 8)
    (mixed,) = setup.phases._replayed(replay, drawn, Shard(0, 8, 8))
    assert torch.equal(mixed.noise["z"], noise["z"])
    assert torch.equal(mixed.fake["z"], drawn[0].fake["z"])


TWO_JUDGES = {
    'discriminators={"discriminator": Net(module=Pair(), reads=("point", "z"))}': "discriminators="
    '{"discriminator": Net(module=Pair(), reads=("point", "z")), '
    '"other": Net(module=Map(2, 1), reads=("point",))}',
    'games=(Game(encoder="encoder"),)': 'games=(Game(encoder="encoder"), Game(discriminator="other"))',
}


def changed(changes: dict[str, str]) -> str:
    source = PLUGIN
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new, 1)
    return source


def test_games_of_one_generator_share_its_pass(install: Install) -> None:
    setup = prepare(plan_of(install, "test-bigan", changed(TWO_JUDGES)))
    calls: list[str] = []
    for name, net in setup.training.networks.generators.items():
        net.module.register_forward_hook(lambda *_, name=name: calls.append(name))
    real = setup.batches.take("discriminator", 0, 8)
    for phase in (setup.phases.discriminator(real, 8, 0, True), setup.phases.generator(real, 8, 0)):
        assert phase is None
    assert sorted(calls) == ["encoder", "encoder", "generator", "generator"]


SHARED = 'Map(2, 2), reads=("z",), writes=("point",)'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "def bigan(config, data):\n": "def bigan(config, data):\n    shared = Map(2, 2)\n",
                SHARED: SHARED.replace("Map(2, 2)", "shared"),
                'Map(2, 2), reads=("point",), writes=("z",)': 'shared, reads=("point",), writes=("z",)',
            },
            "The networks 'generator' and 'encoder' share 'net.0.weight'",
        ),
        ({'Game(encoder="encoder")': 'Game(encoder="decoder")'}, "names networks that do not exist"),
        ({'Game(encoder="encoder")': 'Game(encoder="discriminator")'}, "names networks that do not exist"),
        (
            {'Pair(), reads=("point", "z")': 'Map(2, 1), reads=("z",)', 'Game(encoder="encoder")': "Game()"},
            "reads z: nothing that differs",
        ),
        (
            {
                'reads=("point",), writes=("z",)': 'reads=("point",), writes=("code",)',
                'reads=("point", "z")': 'reads=("point", "code")',
                "forward(self, point, z)": "forward(self, point, code)",
                "torch.cat([point, z], 1)": "torch.cat([point, code], 1)",
                "fields=(Z,)": 'fields=(Z, Field(name="code", shape=(2,)))',
            },
            "reads the field 'code', which generated samples do not have",
        ),
    ],
)
def test_games_that_cannot_be_played_are_refused(
    install: Install, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        prepare(plan_of(install, "test-bigan", changed(changes)))


def test_the_kit_accepts_networks_that_a_term_can_train(install: Install) -> None:
    install("games-dist", "games", PLUGIN)
    registry = Registry([*load_registry().plugins, SYNTHETIC])
    for name in ("bigan", "aae", "f-anogan-8"):
        games_reach_every_net(ArchitectureTarget(registry.find(ArchitectureSpec, name), registry, ()))


def test_the_kit_refuses_networks_that_nothing_trains(install: Install) -> None:
    install("games-dist", "games", changed({'settings={"terms.games-izi": True}': "settings={}"}))
    registry = Registry([*load_registry().plugins, SYNTHETIC])
    item = registry.find(ArchitectureSpec, "f-anogan-8")
    with pytest.raises(Failed, match="'encoder' is part of no game"):
        games_reach_every_net(ArchitectureTarget(item, registry, ()))


def test_an_encoder_is_exported_beside_its_generator(install: Install, tmp_path: Path) -> None:
    run, _ = start(plan_of(install, "test-bigan"), tmp_path / "run", NullReporter())
    bundle = ganzoo.export(run, tmp_path / "bundle")
    encoder = ganzoo.load(bundle, generator="encoder", provider="cpu")
    generator = ganzoo.load(bundle, generator="generator", provider="cpu")
    assert [field.name for field in encoder.outputs] == ["z"]
    assert generator.generate(3, z=encoder.generate(3, point=(0.5, 1.0))).shape == (3, 2)


def test_two_games_over_two_generators_make_one_pass_each(install: Install) -> None:
    install("kinds-dist", "kinds", KINDS)
    setup = prepare(resolve("test-cycle", load_registry(), overrides={"train.device": "cpu"}))
    real = setup.batches.take("discriminator", 0, 4)
    noise = setup.training.engine.noise(setup.phases.noise_fields, 4)
    first, second = setup.phases.draw(real, noise, learn=False)
    assert torch.equal(first.fake["a"], real["a"])
    assert torch.equal(second.fake["b"], real["b"])
