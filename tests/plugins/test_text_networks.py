"""Networks for texts: sizes as published, sampling, the likelihood, runs from training to files."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

import ganzoo
from ganzoo.api import DataError, DataInfo, Field
from ganzoo.config.resolve import resolve
from ganzoo.registry.registry import Registry
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start
from ganzoo_text import relgan, rules, wgan
from ganzoo_text.config import TextConvConfig, TextLstmConfig, WeightConfig
from ganzoo_text.datasets import text_field
from ganzoo_text.losses import likelihood, relativistic
from ganzoo_text.symbols import END
from tests.helpers.evaluating import ganzoo as command

SMALL_LSTM = TextLstmConfig(embedding=8, hidden=12, representations=3, filters=4, features=5)


def text(symbols: int, length: int) -> Field:
    return text_field(length, [END, *(chr(0x4E00 + at) for at in range(symbols - 1))], "characters")


def info(symbols: int, length: int, *more: Field) -> DataInfo:
    return DataInfo(fields=(text(symbols, length), *more), count=100)


def parameters(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "generator", "critic"),
    [(512, 15_277_156, None), (128, 1_361_764, None), (512, None, 13_180_417)],
)
def test_convolutions_have_the_parameters_of_gan_language(
    width: int, generator: int | None, critic: int | None
) -> None:
    with torch.device("meta"):
        config = TextConvConfig(generator_width=width, discriminator_width=width)
        networks = wgan.build(config, info(100, 32))
    if generator is not None:
        assert parameters(networks.generators["generator"].module) == generator
    if critic is not None:
        assert parameters(networks.discriminators["discriminator"].module) == critic


def test_the_lstm_has_the_parameters_of_the_paper() -> None:
    networks = relgan.build(TextLstmConfig(), info(500, 20))
    assert parameters(networks.generators["generator"].module) == 40_948
    discriminator = networks.discriminators["discriminator"].module
    filters = sum(300 * kernel + 300 for kernel in (2, 3, 4, 5))
    highway, last = 2 * (1200 * 1200 + 1200), 1200 * 100 + 100 + 100 + 1
    assert parameters(discriminator) == 500 * 64 + filters + highway + last
    assert discriminator(torch.rand(2, 20, 500)).shape == (2, 64)


def test_other_data_is_refused() -> None:
    data = DataInfo(fields=(Field(name="text", shape=(8, 8), range=(-1.0, 1.0)),), count=9)
    for build, config in ((wgan.build, TextConvConfig()), (relgan.build, TextLstmConfig())):
        with pytest.raises(DataError, match="need texts"):
            build(config, data)


# --- text-conv ----------------------------------------------------------------------------------


def small_conv(*more: Field) -> Any:
    config = TextConvConfig(latent=6, generator_width=8, discriminator_width=8, blocks=2)
    return wgan.build(config, info(7, 5, *more))


def test_a_block_adds_three_tenths_of_its_convolutions() -> None:
    block, x = wgan.Block(4, 5), torch.randn(3, 4, 9)
    inner = block.second(torch.relu(block.first(torch.relu(x))))
    assert torch.allclose(block(x), x + 0.3 * inner)


def test_texts_are_shares_in_training_and_symbols_in_use() -> None:
    generator, z = small_conv().generators["generator"].module, torch.randn(4, 6)
    soft = generator.train()(z)
    assert soft.shape == (4, 5, 7)
    assert torch.allclose(soft.sum(2), torch.ones(4, 5))
    hard = generator.eval()(z)
    assert torch.equal(hard, one_hot(soft.argmax(2), 7).float())


def test_straight_through_trains_on_symbols_with_the_gradients_of_shares() -> None:
    soft, hard = (
        wgan.Generator(TextConvConfig(generator_width=8, straight_through=on), text(7, 5), 0)
        for on in (False, True)
    )
    hard.load_state_dict(soft.state_dict())
    z, weights, written = torch.randn(4, 128), torch.randn(4, 5, 7), []
    for generator in (soft, hard):
        written.append(generator(z))
        (written[-1] * weights).sum().backward()
    assert torch.allclose(written[1], one_hot(written[0].argmax(2), 7).float(), atol=1e-6)
    for one, other in zip(soft.parameters(), hard.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_classes_change_texts_and_scores() -> None:
    networks = small_conv(Field(name="label", dtype="int64", classes=("a", "b")))
    generator, critic = (
        nets[name]
        for nets, name in ((networks.generators, "generator"), (networks.discriminators, "discriminator"))
    )
    assert generator.reads == ("z", "label")
    assert critic.reads == ("text", "label")
    labels, z = (torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)), torch.randn(4, 6)
    texts = [generator.module.train()(z, label) for label in labels]
    assert not torch.equal(*texts)
    assert not torch.equal(*(critic.module(texts[0], label) for label in labels))


# --- text-lstm ----------------------------------------------------------------------------------


def lstm(symbols: int = 4, length: int = 3, **options: Any) -> relgan.Generator:
    torch.manual_seed(0)
    config = TextLstmConfig(**{"embedding": 8, "hidden": 12, **options})
    return relgan.Generator(config, text(symbols, length))


def test_texts_are_drawn_from_the_probabilities_of_the_model() -> None:
    """The frequency of each text of two symbols is the product of the probabilities of its symbols."""
    generator = lstm(3, 2).eval()
    n = 20_000
    noise = torch.rand(n, 2, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        drawn = generator(noise, torch.zeros(n, 2, 3))[0].argmax(2)
        for first in range(3):
            given = torch.zeros(1, 2, 3)
            given[0, 0, first] = 1
            shares = generator(noise[:1], given)[1].softmax(2)[0]
            for second in range(3):
                found = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).float().mean().item()
                expected = (shares[0, first] * shares[1, second]).item()
                assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / n))


@pytest.mark.parametrize("beta", [1.0, 7.0])
def test_the_discriminator_sees_gumbel_softmax(beta: float) -> None:
    generator, noise = lstm(inverse_temperature=beta).train(), torch.rand(5, 3, 4) * 1.98 - 0.99
    shares, logits = generator(noise, torch.zeros(5, 3, 4))
    gumbel = -torch.log(-torch.log((noise + 1) / 2))
    assert torch.allclose(shares, (beta * (logits + gumbel)).softmax(2), atol=1e-5)


def test_every_noise_of_the_range_is_usable() -> None:
    for end in (-1.0, 1.0):
        for mode in (True, False):
            made = lstm().train(mode)(torch.full((1, 3, 4), end), torch.zeros(1, 3, 4))
            assert all(value.isfinite().all() for value in made)


def test_a_given_beginning_is_continued() -> None:
    generator, noise = lstm(5, 6).eval(), torch.rand(8, 6, 5) * 2 - 1
    free = generator(noise, torch.zeros(8, 6, 5))[0]
    given = torch.zeros(8, 6, 5)
    given[:, :2] = one_hot(torch.tensor([3, 1]), 5)
    made = generator(noise, given)[0]
    assert torch.equal(made[:, :2], given[:, :2])
    assert (made.sum(2) == 1).all()
    again = generator(noise, given * 0 + free * (torch.arange(6) < 2)[None, :, None])[0]
    assert torch.equal(again, free)  # to give what would come anyway changes nothing


def test_the_temperature_follows_its_schedule(registry: Registry) -> None:
    plan = resolve("relgan", registry)
    assert str(plan.architecture.options.inverse_temperature) == "exponential 1 -> 10 over 0.6..1"
    assert plan.generator.clip_norm == plan.discriminator.clip_norm == 5.0


def test_the_game_has_the_relativistic_loss() -> None:
    """Against binary cross entropy of the difference with the target 1."""
    loss, real, fake = relativistic(WeightConfig(weight=0.25)), torch.randn(6, 3), torch.randn(6, 3)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    ones = torch.ones(6, 3)
    assert torch.allclose(loss.discriminator(real, fake), entropy(real - fake, ones))
    assert torch.allclose(loss.generator(fake, real), 0.25 * entropy(fake - real, ones))


def test_the_likelihood_counts_up_to_the_first_end() -> None:
    rows = torch.tensor([[1, 2, 0, 0], [3, 3, 3, 3]])
    real, logits = one_hot(rows, 4).float(), torch.randn(2, 4, 4)
    seen: list[Tensor] = []

    def generate(batch: dict[str, Tensor], generator: str = "") -> dict[str, Tensor]:
        seen.append(batch["given"])
        return {**batch, "logits": logits}

    view: Any = SimpleNamespace(real={"text": real}, generate=generate)
    lost = -logits.log_softmax(2).gather(2, rows[..., None])[..., 0]
    expected = 2.0 * (lost[0, :3].mean() + lost[1].mean()) / 2
    assert torch.allclose(likelihood(WeightConfig(weight=2.0))(view), expected)
    assert torch.equal(seen[0], real)


def test_the_likelihood_is_that_of_a_model_that_knows_the_data() -> None:
    """A generator that learns two texts comes near ln 2 for the first symbol, and 0 for the others."""
    generator = lstm(4, 3, hidden=16)
    rows = torch.tensor([[1, 2, 0], [2, 1, 0]])
    real, noise = one_hot(rows, 4).float(), torch.zeros(2, 3, 4)
    view: Any = SimpleNamespace(
        real={"text": real}, generate=lambda batch: {"logits": generator(noise, batch["given"])[1]}
    )
    term, optimizer = likelihood(WeightConfig()), torch.optim.Adam(generator.parameters(), 0.05)
    for _ in range(150):
        optimizer.zero_grad()
        term(view).backward()
        optimizer.step()
    assert term(view).item() == pytest.approx(math.log(2) / 3, abs=0.01)


# --- from training to files ---------------------------------------------------------------------

TINY: dict[str, dict[str, Any]] = {
    "wgan-gp-text": {"generator_width": 8, "discriminator_width": 8, "blocks": 1, "latent": 8},
    "relgan": {"embedding": 8, "hidden": 8, "representations": 2, "filters": 4, "features": 8},
}
TEXTS = [f"{word} {at % 10}" for at, word in enumerate(("one", "two", "six", "ten") * 30)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(f"{text}{'!' * (at // 12)}" for at, text in enumerate(TEXTS)) + "\n")
    return path


@pytest.fixture(scope="module", params=TINY)
def trained(
    request: pytest.FixtureRequest, registry: Registry, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder, name = tmp_path_factory.mktemp(request.param), request.param
    plan = resolve(
        name,
        registry,
        overrides={
            **{f"architecture.{key}": value for key, value in TINY[name].items()},
            "train.device": "cpu",
            "train.images": 96,
            "train.batch_size": 8,
            "train.checkpoint_every": 24,
            "data.source": f"text:{file}",
            "data.length": 8,
            "data.held_out": 0.3,
        },
    )
    run, outcome = start(plan, folder / "run", NullReporter())
    assert outcome == "done"
    bundle = ganzoo.export(run, folder / "bundle").path
    return SimpleNamespace(name=name, plan=plan, run=run, bundle=bundle)


def test_a_run_resumes_exactly(trained: Any, registry: Registry, tmp_path: Path) -> None:
    def final(run: Run) -> bytes:
        return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()

    run, outcome = start(trained.plan, tmp_path / "run", NullReporter(), pause_at=48)
    assert outcome == "paused"
    plan = resolve(str(run.settings_file), registry)
    run, outcome = resume(Run.open(run.path), plan, NullReporter())
    assert (outcome, final(run)) == ("done", final(trained.run))


def test_the_bundle_writes_the_symbols_of_torch(trained: Any) -> None:
    """Samples of the graph are exact symbols, and those of the network."""
    generator = ganzoo.load(trained.bundle, provider="cpu")
    (field,) = generator.outputs
    assert field.kind == "text"
    assert field.facts["vocabulary"][0] == END
    made = generator.generate(64, seed=3)
    assert set(np.unique(made).tolist()) == {0.0, 1.0}
    assert (made.sum(2) == 1).all()
    assert (trained.bundle / "samples.txt").read_text().count("\n") == 32


def test_texts_are_written_without_torch(trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    code = "import sys; sys.modules['torch'] = None; from ganzoo.cli import main; main()"
    words = [sys.executable, "-c", code, "generate", trained.bundle, "-n", "20", "-o", path]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 20
    known = set("".join(TEXTS)) | {"!"}
    assert all(set(line) <= known and len(line) <= 8 for line in lines)


def test_a_beginning_can_be_given(trained: Any) -> None:
    if trained.name != "relgan":
        pytest.skip("this generator writes all symbols at once")
    generator = ganzoo.load(trained.bundle, provider="cpu")
    vocabulary = generator.outputs[0].facts["vocabulary"]
    given = np.zeros((5, *generator.outputs[0].shape), np.float32)
    for place, symbol in enumerate("six"):
        given[:, place, vocabulary.index(symbol)] = 1
    made = generator.generate(5, given=given).argmax(2)
    assert [["".join(vocabulary[at] for at in row[:3]) for row in made]] == [["six"] * 5]


def test_scores_stand_beside_those_of_real_texts(trained: Any) -> None:
    document = command("evaluate", trained.run.path, "--n", "12", "--json").document
    assert {"jsd_4", "nll_reverse", "bleu_2", "valid_words", "in_training"} <= set(document["scores"])
    assert document["reference"]["real"]["jsd_4"] < document["scores"]["jsd_4"]
    assert {"noisy", "shuffled"} <= set(document["reference"])


def test_a_report_has_the_texts(trained: Any, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert command("report", trained.run.path, "-o", page).code == 0
    last = max((trained.run.path / "samples").glob("0*.txt")).read_text().splitlines()
    shown = page.read_text(encoding="utf-8")
    assert all(line.replace("&", "&amp;") in shown for line in last[:5])


@pytest.mark.parametrize(("labels", "recipe"), [(False, "relgan"), (True, "wgan-gp-text")])
def test_the_recipe_that_suits_texts(registry: Registry, labels: bool, recipe: str) -> None:
    more = (Field(name="label", dtype="int64", classes=("a", "b")),) if labels else ()
    data = info(5, 6, *more)
    found = {"relgan": rules.suits_relgan(data), "wgan-gp-text": rules.suits_wgan(data)}
    assert max(found, key=lambda name: found[name]) == recipe
    assert rules.suits_wgan(DataInfo(fields=(Field(name="image", shape=(1, 8, 8)),), count=9)) == 0
