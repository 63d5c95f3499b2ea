"""The documentation as a contract: its code is the example's code, and nothing of the API is left out."""

from __future__ import annotations

import dataclasses
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ganzoo import api
from ganzoo.api import (
    ArchitectureSpec,
    ArraySource,
    Augmentation,
    AugmentationSpec,
    Classifier,
    ClassifierData,
    Column,
    Comparison,
    DatasetSpec,
    Export,
    Extractor,
    ExtractorSpec,
    Field,
    Game,
    ItemSource,
    LossSpec,
    MediaSpec,
    MetricSpec,
    Net,
    Networks,
    RecipeSpec,
    Samples,
    Step,
    TermSpec,
    View,
    hookspecs,
    specs,
)
from ganzoo.config.plan import Choice
from ganzoo.config.resolve import resolve
from ganzoo.data.open_data import open_dataset, open_held_out
from ganzoo.evaluation.evaluate import Request, evaluate
from ganzoo.registry.kinds import Kinds
from ganzoo.registry.registry import Registry, factory_of, load_registry
from ganzoo.runs.checkpoint import read_newest
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start
from ganzoo_datasets.fashion import open_fashion_5k
from ganzoo_datasets.fashion import open_held_out as open_test_part

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "plugins" / "tutorial.md"
GUIDE = sorted(ROOT.glob("docs/plugins/*.md"))
EXAMPLE = ROOT / "examples" / "ganzoo-example"
PAGES = [
    *(*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))),
    *sorted(ROOT.glob("examples/*/README.md")),
]
RECORDS = [
    *(ArchitectureSpec, LossSpec, TermSpec, AugmentationSpec, RecipeSpec, DatasetSpec, MetricSpec),
    ExtractorSpec,
    *(Field, Column, Net, Game, Export, Step, Networks, ClassifierData),
]
PROTOCOLS = {
    "Terms and the View": View,
    "Augmentation": Augmentation,
    "Comparison": Comparison,
    "Samples": Samples,
    "Extractor": Extractor,
    "Classifier": Classifier,
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_LINE = re.compile(r"^`([\w./-]+)`:\s*\Z", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file that the line before it names, if any."""

    language: str
    text: str
    file: str


def test_every_test_that_the_page_of_reliability_names_exists() -> None:
    named = re.findall(r"test_\w+\.py", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(set(named)) > 8
    assert set(named) <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def blocks(*pages: Path) -> Iterator[Block]:
    for page in pages or GUIDE:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = FILE_LINE.search(text, 0, found.start())
            yield Block(found[1], found[2], line[1] if line else "")


def words() -> str:
    """The guide without its code."""
    return "\n".join(FENCE.sub("", page.read_text(encoding="utf-8")) for page in GUIDE)


def section(title: str) -> str:
    """The text under the heading of that title, up to the next heading."""
    found = re.search(rf"^#+ `?{re.escape(title)}`?$(.*?)(?=^#|\Z)", words(), re.MULTILINE | re.DOTALL)
    assert found, f"the guide has no section '{title}'"
    return found[1]


def rows(text: str) -> set[str]:
    """The names in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_code_blocks_are_the_example_s_files() -> None:
    named = [block for block in blocks() if block.file]
    for block in named:
        assert (EXAMPLE / block.file).is_file(), f"there is no {block.file}"
        source = (EXAMPLE / block.file).read_text(encoding="utf-8")
        assert block.text in source, f"{TUTORIAL.name} shows a {block.file} that is not the example's"
    shown = {block.file: "".join(b.text for b in named if b.file == block.file) for block in named}
    modules = [path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.glob("ganzoo_example/*.py")]
    for file in ["pyproject.toml", "tests/test_plugin.py", *modules]:
        whole = (EXAMPLE / file).read_text(encoding="utf-8")
        assert shown.get(file) == whole, f"who copies {TUTORIAL.name} does not get all of {file}"


@pytest.mark.parametrize("block", [b for b in blocks() if not b.file and b.language == "python"])
def test_other_python_blocks_run(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "block.py"
    script.write_text(block.text, encoding="utf-8")
    runpy.run_path(str(script))


def test_blocks_of_settings_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "toml":
                tomllib.loads(block.text)


def test_every_hook_is_explained() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("ganzoo_")}
    assert rows(section("The guide")) == hooks


def test_the_reference_is_what_the_docstrings_say() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_reference.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "python tools/make_reference.py"


def test_every_public_name_is_mentioned() -> None:
    spans = re.findall(r"`([^`\n]+)`", words())
    code = "\n".join([*spans, *(block.text for block in blocks())])
    missing = [name for name in api.__all__ if not re.search(rf"\b{name}\b", code)]
    assert not missing


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_of_a_record_is_explained(record: type) -> None:
    fields = {item.name for item in dataclasses.fields(record)}
    explained = rows(section(record.__name__))
    if issubclass(record, specs.Spec):
        explained |= {"name", "summary", "paper"}
    if issubclass(record, specs._Buildable):
        explained |= {"factory", "config", "defaults"}
    assert explained == fields


def test_the_fields_of_all_records_are_explained() -> None:
    assert rows(section("All records")) == {item.name for item in dataclasses.fields(specs._Buildable)}


def test_every_field_of_a_source_is_explained() -> None:
    names = {item.name for source in (ArraySource, ItemSource) for item in dataclasses.fields(source)}
    assert names <= rows(section("Writing a dataset"))


@pytest.mark.parametrize("title", PROTOCOLS)
def test_every_member_of_what_plugins_see_or_give_is_explained(title: str) -> None:
    protocol = PROTOCOLS[title]
    names = {*vars(protocol), *vars(protocol).get("__annotations__", {})}
    members = {name for name in names if not name.startswith("_")}
    members |= {"__call__"} & set(vars(protocol))
    assert rows(section(title)) == members


def test_every_word_that_a_metric_may_need_is_explained(registry: Registry) -> None:
    explained = rows(section("What a metric may need"))
    # Kinds of data and distances of extractors are named by the plugins that have them.
    named = {item.name for item in registry.of_kind(MediaSpec)}
    named |= {item.spec.distance for item in registry.of_kind(ExtractorSpec)}
    assert {word for item in registry.of_kind(MetricSpec) for word in item.spec.needs} <= explained | named
    sentence = str(MetricSpec.__doc__).partition("`needs`")[2].partition("`better`")[0]
    assert explained == set(re.findall(r"`(\w+)`", sentence))


# --- the plugins that the page shows whole ----------------------------------------------------------


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The zoo with them: the blocks with hooks that are no file of the example."""
    whole = [b.text for b in blocks() if not b.file and "@hookimpl" in b.text and b.language == "python"]
    points = "[ganzoo]\n"
    for source in whole:
        (module,) = set(re.findall(r'"(\w+):\w+"', source))
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        points += f"{module} = {module}\n"
    info = tmp_path / "shown-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shown\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load_registry()
    assert (
        len({item.plugin.name for item in registry.items if item.plugin.dist == "shown"}) == len(whole) == 6
    )
    return registry


def test_the_media_of_the_page_writes_what_it_reads(shown: Registry, tmp_path: Path) -> None:
    media = Kinds(shown).of("shown/sound")
    field = api.Field(name="x", shape=(1, 800), range=(-1.0, 1.0), kind="sound", facts={"rate": 8000})
    waves = np.sin(np.linspace(0, 60, 800, dtype=np.float32))[None, None]
    (path,) = media.write(field, waves, tmp_path / "x.wav")
    assert api.as_floats(field, media.read(field, path, {})) == pytest.approx(waves, abs=1e-3)


def test_the_page_of_media_shows_the_class_that_a_new_package_gets() -> None:
    template = (ROOT / "ganzoo/scaffold/templates/kinds/sound/media.py.txt").read_text(encoding="utf-8")
    code = template[template.index("SHOWN = ") :]
    assert code in (ROOT / "docs" / "plugins" / "media.md").read_text(encoding="utf-8")


def test_plugins_of_both_versions_train_to_the_same_weights(shown: Registry, tmp_path: Path) -> None:
    assert [shown.find(RecipeSpec, f"rings-{n}").plugin.api for n in (1, 2)] == [1, 2]
    states = []
    for number in (1, 2):
        settings = {
            "train.device": "cpu",
            "train.images": 512,
            "train.batch_size": 64,
            "train.micro_batch": 32,
        }
        plan = resolve(f"rings-{number}", shown, overrides=settings)
        run, _ = start(plan, tmp_path / str(number), NullReporter())
        assert list((run.path / "samples").glob("*.png"))
        states.append(read_newest(run.checkpoints)[0])
    weights = [name for name in states[0] if name.startswith("networks.")]
    assert weights
    assert all(torch.equal(states[0][name], states[1][name]) for name in weights)


def test_the_metric_and_the_extractor_of_the_page_work(shown: Registry) -> None:
    bundle = ROOT / "exported" / "vanilla"
    report = evaluate(Request(source=bundle, n=100, extractor="tiles", metrics=["spread", "frechet"]), shown)
    assert set(report.scores) == {"spread", "tile_distance"}
    assert report.better == {"tile_distance": "lower"}
    real, repeated = (report.reference[name]["spread"] for name in ("real", "repeated"))
    assert real == pytest.approx(1, abs=0.1)
    assert repeated < real


def test_the_judge_of_the_page_knows_some_garments(shown: Registry) -> None:
    arrays, held_out = open_fashion_5k().arrays, open_test_part().arrays
    classifier_data = ClassifierData(
        pixels=arrays["image"].transpose(0, 2, 3, 1),
        labels=arrays["label"][:, None].astype(np.int64),
        test_pixels=held_out["image"].transpose(0, 2, 3, 1),
        test_labels=held_out["label"][:, None].astype(np.int64),
        classes=10,
    )
    classifier = factory_of(shown.find(ExtractorSpec, "nearest-mean"))(None, classifier_data)
    extractor_probabilities = classifier.probabilities(classifier_data.test_pixels)
    assert extractor_probabilities.shape == (5000, 1, 10)
    assert extractor_probabilities.sum(2) == pytest.approx(1)
    assert (
        0.5 < classifier.accuracy == (extractor_probabilities.argmax(2) == classifier_data.test_labels).mean()
    )


def test_the_held_out_samples_of_the_page_are_others_of_the_same_kind(shown: Registry) -> None:
    choice = Choice(shown.find(DatasetSpec, "waves"), None)
    kinds = Kinds(shown)
    training, held_out = open_dataset(choice, "waves", kinds), open_held_out(choice, "waves", kinds)
    assert held_out is not None
    assert held_out.fields == training.fields
    seen = {image.tobytes() for image in training.arrays["image"]}
    assert not seen & {image.tobytes() for image in held_out.arrays["image"]}


def test_the_rooms_of_the_architecture_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    order = [set(layer.split(" | ")) for layer in layers if layer != "__main__"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room |")[2].partition("\n\n")[0]
    rooms = [
        name for row in table.splitlines() for name in re.findall(r"`(\w+)(?:/|\.py)`", row.split(" | ")[0])
    ]
    for layer in order:
        assert set(rooms[: len(layer)]) == layer
        del rooms[: len(layer)]
    assert not rooms


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that headings get: lower case, hyphens for spaces, other marks left out."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
