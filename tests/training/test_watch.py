"""The watch: each fault of a training gets its own note, a sound one gets none, and a run can end early."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.data.dataset import Dataset
from ganzoo.errors import SettingsError
from ganzoo.fields import Field
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.phases import higher
from ganzoo.training.player import Player
from ganzoo.training.reporting import diagnostics
from ganzoo.training.reporting.diagnostics import HALF, MOST, ROLES, Diagnostics, Finding
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.reporting.sample_grids import spread
from ganzoo.training.scores import Make, ScoringFactory
from ganzoo.training.session import resume, start, start_or_resume
from ganzoo.training.setup import prepare
from tests.helpers.evaluating import ganzoo

Tiny = Callable[..., Plan]
Install = Callable[..., Path]

SMALL = {"architecture.generator_hidden": [32], "architecture.discriminator_hidden": [32]}
CALM = {
    "score_real": 1.0,
    "score_fake": 0.5,
    "score_auc": 0.65,
    "loss_discriminator": 1.3,
    "loss_generator": 0.8,
    "gradient_norm_generator": 1.0,
    "gradient_norm_discriminator": 2.0,
}


@pytest.fixture(scope="module")
def plan(tiny: Tiny) -> Plan:
    return tiny(
        "vanilla", **{"train.images": 100_000, "train.eval_every": 5_000, "train.keep_best": "min:fed"}
    )


def full(at: int, line: Mapping[str, float]) -> dict[str, Any]:
    """A log line, 1,000 images after the last; what it does not have is calm, and the networks move."""
    moving = {f"parameter_rms_{role}": 0.05 + 1e-5 * at for role in ROLES}
    return {"images": 1000 * (at + 1), "values": {**CALM, **moving, **line}}


def seen(plan: Plan, values: Sequence[Mapping[str, float]]) -> list[tuple[int, str]]:
    """The findings in a log of these lines."""
    watch = Diagnostics(plan)
    return [(at, found.kind) for at, line in enumerate(values) for found in watch.look(full(at, line))]


def seen_in(name: str, plan: Plan) -> list[tuple[int, Finding]]:
    """The findings in the log of a real run, with its grids, and the images after which each was said."""
    file = Path(__file__).parent / "logs" / f"{name}.csv"
    watch, found = Diagnostics(plan), []
    for row in csv.DictReader(file.read_text().splitlines()):
        values = {key: float(text) for key, text in row.items() if text}
        images = int(values.pop("images"))
        record: dict[str, Any] = {"images": images, "values": values}
        if "sample_spread" in values:
            record["sample_spread"] = spread_now = values.pop("sample_spread")
            found += [
                (images, said) for said in watch.look_at_samples(images / 9_600, images // 16, spread_now)
            ]
        found += [(images, said) for said in watch.look(record)]
    return found


# --- what is logged -----------------------------------------------------------------------------------


def test_the_auc_is_that_of_two_normal_distributions() -> None:
    """Closed form: for N(1, 1) and N(0, 1) it is the normal distribution function at 1 / sqrt(2)."""
    generator = torch.Generator().manual_seed(0)
    real, fake = 1.0 + torch.randn(40_000, generator=generator), torch.randn(40_000, generator=generator)
    expected = 0.5 * (1.0 + math.erf(0.5))
    half = torch.tensor(0.5)
    auc = higher(real, fake, half).mean().item()
    assert auc == pytest.approx(expected, abs=4 * 0.5 / 200)
    assert higher(1e3 * real - 7, 1e3 * fake - 7, half).mean().item() == auc, "neither a scale nor a zero"
    assert higher(fake, real, half).mean().item() == pytest.approx(1 - auc)
    assert higher(real, real, half).mean().item() == 0.5


def test_a_run_logs_the_auc_and_the_size_of_its_parameters(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("dcgan", **{"generator.lr": 0.0, "discriminator.lr": 0.0})
    run, _ = start(plan, tmp_path / "run", NullReporter())
    training = prepare(plan).training
    for role, player in (("generator", training.generator), ("discriminator", training.discriminator)):
        flat = torch.cat([value.detach().flatten().double() for value in player.parameters])
        logged = {line["values"][f"parameter_rms_{role}"] for line in run.log()}
        assert len(logged) == 1
        assert logged.pop() == pytest.approx(flat.square().mean().sqrt().item(), rel=1e-5)
    assert all(0 <= line["values"]["score_auc"] <= 1 for line in run.log())


# --- rules --------------------------------------------------------------------------------------------


def test_the_log_of_a_discriminator_that_died(plan: Plan) -> None:
    """dcgan with its rates for 28x28 gray images, on 3,391 emoji of 64x64 in colour."""
    found = seen_in("dead_discriminator", plan)
    ((images, finding),) = found
    assert finding.kind == "dead discriminator"
    assert 6_000 < images < 8_000
    assert "same scores" in finding.seen
    assert "--set discriminator.lr=" in finding.change


def test_a_critic_that_prefers_generated_samples_lags_and_is_no_equilibrium(plan: Plan) -> None:
    """wgan-gp on emoji of 64x64: the AUC falls from 1 through 0.5 to 0.2 and stays; the samples get worse."""
    ((images, finding),) = seen_in("lagging_critic", plan)
    assert finding.kind == "lagging discriminator"
    assert 4_800 < images < 7_200, "a quarter of the run after it fell below 0.5"
    assert f"n_critic={2 * plan.train.n_critic}" in finding.change


@pytest.mark.parametrize("name", ["critic_that_recovers", "weak_critic"])
def test_critics_that_pass_through_get_no_note(plan: Plan, name: str) -> None:
    """wgan-gp at 32x32: on emoji the AUC is below 0.3 for a fifth of the run and then above 0.5 again.

    On photographs it stays at 0.49 to 0.59 for more than half of the run, while the samples are blurred
    spots that are still moving apart.
    """
    assert seen_in(name, plan) == []


FAULTS: dict[str, tuple[dict[str, float], str]] = {
    "no gradient for G": ({"gradient_norm_generator": 1e-4}, "small generator"),
    "no gradient for D": ({"gradient_norm_discriminator": 1e-4, "score_auc": 0.8}, "small discriminator"),
    "dead": ({"gradient_norm_discriminator": 1e-3, "score_auc": 0.51}, "dead discriminator"),
    "zero": ({"score_auc": 0.5, "score_fake": 1.0}, "dead discriminator"),
    "saturated": ({"score_auc": 1.0, "gradient_norm_generator": 1e-3}, "saturated discriminator"),
    "energies": ({"score_auc": 0.0, "gradient_norm_generator": 1e-3}, "saturated discriminator"),
    "weak": ({"score_auc": 0.0, "loss_discriminator": 3.0}, "weak discriminator"),
    "wasserstein": ({"loss_discriminator": -1e5, "loss_generator": 2e5}, "absurd sizes"),
    "parameters": ({"parameter_rms_generator": 1e6}, "absurd sizes"),
    "a jump": ({"gradient_norm_discriminator": 1e3}, "large steps"),
    "a gap": ({"score_fake": -900.0}, "large steps"),
    "a rate of 0": ({"parameter_rms_generator": 0.05, "gradient_norm_generator": 1e-4}, "still generator"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_has_one_note(plan: Plan, case: str) -> None:
    change, kind = FAULTS[case]
    found = seen(plan, [{}] * 15 + [change] * 60)
    assert [name for _, name in found] == [kind]
    assert found[0][0] <= 15 + MOST


def test_what_moves_within_limits_is_no_fault(plan: Plan) -> None:
    generator = torch.Generator().manual_seed(0)
    moving = [
        {
            "score_auc": 0.6 + 0.35 * math.sin(at / 3),
            "gradient_norm_generator": math.exp(draw[0]),
            "gradient_norm_discriminator": 2 * math.exp(draw[1]),
            "score_fake": 1.0 - 20 * draw[2] ** 2,
            "loss_discriminator": 50 * draw[3],
        }
        for at, draw in enumerate(torch.randn(100, 4, generator=generator).clamp(-2, 2).tolist())
    ]
    assert seen(plan, moving) == []


def test_players_that_are_ahead_in_turn_oscillate(plan: Plan) -> None:
    turns = [{"score_auc": 0.9 if at // 3 % 2 else 0.1} for at in range(60)]
    assert [kind for _, kind in seen(plan, turns)] == ["oscillation"]


def test_only_a_discriminator_that_could_tell_can_lose_that(plan: Plan) -> None:
    at_first, later = [{"score_auc": 0.95}] * 12, [{"score_auc": 0.48}, {"score_auc": 0.53}] * 50
    ((at, kind),) = seen(plan, at_first + later)
    assert (kind, at >= HALF) == ("indistinguishable", True)
    assert seen(plan, [{"score_auc": 0.8}] * 12 + later) == []


def test_a_crossing_of_one_half_is_no_equilibrium(plan: Plan) -> None:
    falling = [{"score_auc": max(0.31, 1 - 0.007 * at)} for at in range(200)]
    assert seen(plan, falling) == []


def test_samples_nearer_to_each_other_than_real_ones_are_not_indistinguishable(plan: Plan) -> None:
    values = [{"score_auc": 0.95}] * 12 + [{"score_auc": 0.5 + 0.02 * (-1) ** at} for at in range(120)]
    for far, expected in ((0.7, []), (1.0, ["indistinguishable"])):
        watch = Diagnostics(plan)
        lines = [{**full(at, line), "sample_spread": far} for at, line in enumerate(values)]
        assert [found.kind for line in lines for found in watch.look(line)] == expected


def test_a_loss_that_wants_low_scores_for_real_samples_does_not_lag(plan: Plan) -> None:
    """An AUC of 0.2 is what such a discriminator wants; it never preferred real samples."""
    assert seen(plan, [{"score_auc": 0.2, "loss_discriminator": 2.0}] * 120) == []


def test_one_large_gradient_is_no_fault(plan: Plan) -> None:
    spikes = [{"gradient_norm_discriminator": 200.0} if at % 20 == 0 else {} for at in range(1, 100)]
    assert seen(plan, spikes) == []


def test_a_fault_explains_what_comes_after_it(plan: Plan) -> None:
    watch = Diagnostics(plan)
    calm: dict[str, float] = {}
    lines = [calm] * 15 + [FAULTS["dead"][0]] * 70
    kinds = [
        finding.kind
        for at, line in enumerate(lines)
        for finding in (
            *watch.look(full(at, line)),
            *watch.look_at_samples(at / 100, 1000, 0.1 if at > 50 else 0.9),
        )
    ]
    assert kinds == ["dead discriminator"]


def test_samples_that_are_alike_are_called_so(plan: Plan) -> None:
    watch = Diagnostics(plan)
    assert watch.look_at_samples(0.05, 1000, 0.1) == [], "too early to tell"
    assert watch.look_at_samples(0.5, 100, 0.1) == [], "too early to tell"
    assert watch.look_at_samples(0.5, 1000, 0.9) == []
    (said,) = watch.look_at_samples(0.5, 1000, 0.1)
    assert "nearly alike" in str(said)
    assert watch.look_at_samples(0.6, 1000, 0.1) == [], "once"


def test_samples_that_move_apart_are_young_not_collapsed(plan: Plan) -> None:
    """hinge on 32x32 photographs: they were all alike at first, and as far apart as real ones in the end."""
    rising, fallen = [0.11, 0.17, 0.37, 0.54, 0.83], [0.11, 0.8, 0.39]
    for spreads, expected in ((rising, []), (fallen, ["collapse"])):
        watch = Diagnostics(plan)
        looks = (watch.look_at_samples(0.5, 500 * at, far) for at, far in enumerate(spreads))
        assert [note.kind for look in looks for note in look] == expected


def test_spread_is_a_share_of_what_real_samples_show() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(64, 3, 4, generator=generator).numpy()
    assert spread(real, real) == pytest.approx(1.0)
    assert spread(real / 4, real) == pytest.approx(0.25)
    assert spread(real[:1].repeat(64, 0), real) == pytest.approx(0.0)
    assert spread(real, None) is None
    assert spread(real, real[:1].repeat(64, 0)) is None


@pytest.mark.parametrize(
    ("scores", "at"),
    [
        ([9, 8, 7, 6.99, 7.2, 6.95, 7.1, 7.0, 6.98, 7.0, 7.0], 50_000),  # less than 1 % better than 7
        ([9, 8, 7, 6.9, 6.8, 6.7, 6.6, 6.5, 6.4, 6.3, 6.2], None),
    ],
)
def test_no_progress_for_a_third_of_the_run(plan: Plan, scores: list[float], at: int | None) -> None:
    watch, told = Diagnostics(plan), []
    for number, fed in enumerate(scores):
        line = {"images": 5_000 * (number + 1), "values": CALM, "scores": {"fed": fed}}
        told += [(line["images"], finding.kind) for finding in watch.look(line)]
    assert told == ([(at, "plateau")] if at else [])


# --- runs with a fault --------------------------------------------------------------------------------


def kinds(run: Run) -> list[str]:
    return [note["kind"] for note in Run.open(run.path).record.get("findings", [])]


@pytest.mark.parametrize(
    ("recipe", "settings", "kind"),
    [
        ("dcgan", {"generator.lr": 1e4, "discriminator.lr": 1e4, "train.images": 160}, "absurd sizes"),
        ("vanilla", {"generator.lr": 1e-5, "discriminator.lr": 1e-2}, "saturated discriminator"),
        ("wgan-gp", {"generator.lr": 0.0}, "still generator"),
        ("dcgan", {"generator.lr": 0.0}, "still generator"),
        (
            "vanilla",
            {"loss.name": "minimax", "generator.lr": 1e-5, "discriminator.lr": 3e-2},
            "saturated discriminator",
        ),
        ("vanilla", {"discriminator.lr": 1e-5, "generator.lr": 1e-2}, "weak discriminator"),
        ("vanilla", {"discriminator.lr": 0.0, "generator.lr": 1e-2}, "still discriminator"),
    ],
    ids=[
        "rates of 10,000",
        "G hardly learns",
        "a critic's G does not learn",
        "G does not learn",
        "D is too fast",
        "D hardly learns",
        "D does not learn",
    ],
)
def test_a_run_with_a_fault_says_which(
    tiny: Tiny, tmp_path: Path, recipe: str, settings: dict[str, object], kind: str
) -> None:
    reporter = NullReporter()
    plan = tiny(recipe, **{"train.images": 1600, "train.precision": "fp32", **settings})
    run, outcome = start(plan, tmp_path / "run", reporter)
    assert outcome == "done"
    assert kinds(run) == [kind]
    (note,) = Run.open(run.path).record["findings"]
    (told,) = [said for said in reporter.notes if note["seen"] in said]
    assert told.startswith(f"after {note['images']:,} images ")
    assert note["change"][1:] in told


def test_a_collapsed_run_is_told_so(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that does not learn makes the same gray for every latent."""
    monkeypatch.setattr(diagnostics, "FEWEST_CYCLES", 1)
    monkeypatch.setattr(diagnostics, "APART", 1.0)  # the averages of batch normalisation still move
    run, _ = start(
        tiny("dcgan", **{"generator.lr": 0.0, "ema.half_life": 0}), tmp_path / "run", NullReporter()
    )
    assert kinds(run) == ["collapse", "still generator"]
    assert any(line.get("sample_spread", 1) < 0.3 for line in run.log())


@pytest.mark.parametrize(("recipe", "measured"), [("super-resolution", False), ("cgan", True)])
def test_samples_that_follow_from_their_input_do_not_collapse(
    registry: Registry, tmp_path: Path, recipe: str, measured: bool
) -> None:
    """What follows from a small image is no choice among many; what follows from a label is."""
    settings = {"train.images": 32, "train.batch_size": 8, "train.device": "cpu"}
    run, _ = start(resolve(recipe, registry, overrides=settings), tmp_path / "run", NullReporter())
    assert any("sample_spread" in line for line in run.log()) == measured


def test_a_zeroed_head_is_a_dead_discriminator(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Player.step

    def zeroed(player: Player) -> torch.Tensor:
        norm = step(player)
        if player.settings.lr == 0:
            for value in player.parameters[-2:]:  # weights and bias of the last layer
                value.data.zero_()
        return norm

    monkeypatch.setattr(Player, "step", zeroed)
    run, _ = start(tiny("vanilla", **{"discriminator.lr": 0.0}), tmp_path / "run", NullReporter())
    assert kinds(run) == ["dead discriminator"]


def test_rates_that_are_too_high_for_one_number_oscillate(registry: Registry, tmp_path: Path) -> None:
    settings = {"generator.lr": 0.01, "discriminator.lr": 0.01, "train.images": 20_000, "train.device": "cpu"}
    plan = resolve("vanilla-scalar", registry, overrides={**settings, "train.precision": "fp32"})
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=10_000)
    assert kinds(run) == ["oscillation"]


@pytest.mark.parametrize("recipe", ["vanilla", "dcgan", "wgan-gp"])
def test_a_sound_run_gets_no_note(tiny: Tiny, tmp_path: Path, recipe: str) -> None:
    run, _ = start(tiny(recipe, **{"train.images": 640}), tmp_path / "run", NullReporter())
    assert len(run.log()) > MOST
    assert kinds(run) == []


def test_a_resumed_run_repeats_no_note(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("dcgan", **{"generator.lr": 1e4, "discriminator.lr": 1e4})
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=80)
    reporter = NullReporter()
    run, _ = resume(Run.open(run.path), plan, reporter)
    assert kinds(run) == ["absurd sizes"]
    assert not any("absurd" in note for note in reporter.notes)


def test_what_was_seen_after_the_checkpoint_is_forgotten(tiny: Tiny, tmp_path: Path) -> None:
    """The run was killed later than its newest checkpoint; it may not come to that again."""
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=80)
    run.update(findings=[{"images": 144, "kind": "collapse", "seen": "they are alike", "change": "less"}])
    run, _ = resume(Run.open(run.path), plan, NullReporter())
    assert kinds(run) == []


# --- a run that ends early ----------------------------------------------------------------------------


def scripted(values: Sequence[float]) -> ScoringFactory:
    left: Iterator[float] = iter(values)

    def opened(reads: Sequence[Field], field: Field, data: Dataset) -> Callable[[Make], Mapping[str, float]]:
        return lambda make: {"n": 10, "fed": next(left)}

    return opened


def test_a_plateau_ends_the_run_and_the_best_stays(tiny: Tiny, tmp_path: Path) -> None:
    settings = {"train.eval_every": 16, "train.keep_best": "min:fed", "train.keep_checkpoints": 1}
    plan = tiny("vanilla", **settings, **{"train.stop": "plateau"})
    scores = [9.0, 5.0, 7.0, 6.0, 8.0, 7.0, 6.0, 8.0, 9.0, 9.0]
    run, outcome = start(plan, tmp_path / "run", NullReporter(), scoring=scripted(scores))
    assert (outcome, kinds(run)) == ("done", ["plateau"])
    images = run.record["images"]  # the best was at 32 of 160 images, and a third of the run is 53.3
    assert images == 96
    assert run.record["stopped"] == "plateau"
    assert [int(path.name) for path in sorted(run.checkpoints.iterdir())] == [32, 96]
    _, again = start_or_resume(plan, run.path, NullReporter(), scoring=scripted([]))
    assert again == "done", "complete: the same command trains nothing"
    onward = tiny("vanilla", **settings)
    run, outcome = resume(Run.open(run.path), onward, NullReporter(), scoring=scripted(scores))
    assert (run.record["images"], run.record["stopped"]) == (160, "")


def test_keep_best_names_an_order_and_a_value(tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="min:NAME or max:NAME"):
        tiny("vanilla", **{"train.keep_best": "fed"})


def test_a_plateau_needs_a_score(tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="--keep-best min:NAME"):
        tiny("vanilla", **{"train.stop": "plateau"})


def test_a_run_may_end_when_nothing_can_be_told_apart(registry: Registry, tmp_path: Path) -> None:
    settings = {"train.images": 40_000, "train.device": "cpu", "train.precision": "fp32"}
    plan = resolve("vanilla-scalar", registry, overrides={**settings, "train.stop": "indistinguishable"})
    run, outcome = start(plan, tmp_path / "run", NullReporter())
    assert (outcome, kinds(run)) == ("done", ["indistinguishable"])
    assert 20_000 < run.record["images"] < 40_000


# --- the commands -------------------------------------------------------------------------------------


def test_the_last_lines_say_what_to_change_and_the_table_counts_it(tmp_path: Path) -> None:
    given = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    given += ["--data", "toy:ring", "--images", "1280", "--device", "cpu", "--precision", "fp32"]
    rates = ["--set", "generator.lr=1e4", "--set", "discriminator.lr=1e4"]
    bad = ganzoo("train", "vanilla", *given, *rates, "--run-dir", tmp_path / "bad")
    assert bad.code == 0, bad.err
    shown = bad.out.splitlines()
    assert any(line.startswith("seen:") and "absurd" in line for line in shown)
    assert any(line.startswith("next:") and "--set generator.lr=0.0002" in line for line in shown)
    assert shown[-1] == f"as it is: ganzoo export {tmp_path / 'bad'}"
    good = ganzoo("train", "vanilla", *given, "--images", "640", "--run-dir", tmp_path / "a good one")
    assert good.out.splitlines()[-1] == f"next:    ganzoo export '{tmp_path / 'a good one'}'"
    rows = ganzoo("runs", tmp_path, "--json", "--sort", "images").document["runs"]
    assert [(Path(row["run"]).name, len(row["findings"])) for row in rows] == [("bad", 1), ("a good one", 0)]


@pytest.fixture(scope="module")
def three(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs a, b and c: FED of 9, 4, 6, then of 7, 3, 8; and one that is paused, without a score."""
    folder = tmp_path_factory.mktemp("runs")
    scored = {"train.images": 48, "train.eval_every": 16, "train.keep_best": "min:fed"}
    for name, scores in (("a", [9.0, 4.0, 6.0]), ("b", [7.0, 3.0, 8.0])):
        start(tiny("vanilla", **scored), folder / name, NullReporter(), scoring=scripted(scores))
    start(tiny("dcgan"), folder / "c", NullReporter(), pause_at=16)
    return folder


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], ["a", "b", "c"]),
        (["--sort", "score"], ["b", "a", "c"]),
        (["--sort", "images"], ["a", "b", "c"]),
        (["--recipe", "dc"], ["c"]),
        (["--status", "done", "--sort", "score"], ["b", "a"]),
        (["--status", "killed"], []),
    ],
    ids=" ".join,
)
def test_runs_are_sorted_and_filtered(three: Path, asked: list[str], names: list[str]) -> None:
    rows = ganzoo("runs", three, "--json", *asked).document["runs"]
    assert [Path(row["run"]).name for row in rows] == names


def test_the_table_shows_the_newest_and_the_best_score(three: Path) -> None:
    shown = ganzoo("runs", three).out
    (line,) = [line for line in shown.splitlines() if line.startswith(" b") or line.startswith("b")]
    assert "fed 8" in line
    assert " 3 " in line.partition("fed 8")[2]
    assert "with that recipe and status" in ganzoo("runs", three, "--status", "killed").out
