"""Recipes and overrides into plans: layers, origins, combinations, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.config.settings import parse_assignment
from ganzoo.data.open_data import open_data
from ganzoo.errors import DataError, SettingsError, UsageError
from ganzoo.networks.build import build_networks
from ganzoo.registry.registry import Registry, load_registry
from ganzoo.training.setup import prepare


def test_layers_and_origins(registry: Registry) -> None:
    plan = resolve("wgan-gp", registry, overrides={"train.batch_size": "32"})
    assert plan.train.batch_size == 32
    assert plan.origin(("train", "batch_size")) == "overrides"
    assert plan.origin(("generator", "lr")) == "recipe wgan-gp"
    assert plan.origin(("terms", "gradient-penalty", "weight")).endswith("wgan-gp")
    assert plan.origin(("train", "samples")) == "core"
    assert plan.terms["gradient-penalty"].options.weight == 10


def test_resolved_settings_repeat_the_plan(registry: Registry, tmp_path: Path) -> None:
    for recipe in ("vanilla", "cgan", "wgan-paper", "wgan-gp", "dcgan+wgan-gp+drift"):
        plan = resolve(recipe, registry, overrides={"train.images": 77})
        file = tmp_path / "settings.toml"
        file.write_text(tomli_w.dumps(plan.settings()))
        again = resolve(str(file), registry)
        assert again.settings() == plan.settings()
        assert again.name == plan.name


def test_a_run_outlives_a_renamed_recipe_and_equal_names(
    registry: Registry, install: Any, tmp_path: Path
) -> None:
    plan = resolve("wgan-gp", registry)
    file = tmp_path / "settings.toml"
    file.write_text(tomli_w.dumps(plan.settings()).replace('recipe = "wgan-gp"', 'recipe = "gone"'))
    install(
        "other-dist",
        "other",
        """
        from ganzoo.api import LossSpec, TermSpec, hookimpl

        @hookimpl
        def ganzoo_losses():
            return [LossSpec(name="wgan-gp", summary="Another one.", factory="nowhere:build")]

        @hookimpl
        def ganzoo_terms():
            return [TermSpec(name="gradient-penalty", summary="Another one.", factory="nowhere:build")]
        """,
    )
    high_cardinality = load_registry()
    again = resolve(str(file), high_cardinality)
    assert again.settings() == {**plan.settings(), "recipe": "gone"}
    with pytest.raises(UsageError, match="offered by 2 plugins"):
        resolve("dcgan+wgan-gp", high_cardinality)
    both = resolve("dcgan+ganzoo/wgan-gp+ganzoo/gradient-penalty", load_registry(block=["other"]))
    assert list(both.terms) == ["gradient-penalty"]


def test_a_term_can_be_added_changed_and_switched_off(registry: Registry, tmp_path: Path) -> None:
    plan = resolve("wgan-gp", registry, overrides={"terms.gradient-penalty.every": 4, "terms.drift": False})
    assert plan.terms["gradient-penalty"].every == 4
    assert "drift" not in plan.terms
    file = tmp_path / "settings.toml"
    file.write_text(tomli_w.dumps(plan.settings()))
    assert "drift" not in resolve(str(file), registry).terms
    assert "drift" in resolve("dcgan", registry, overrides={"terms.drift.weight": 0.1}).terms


def test_changing_the_loss_drops_the_terms_of_the_old_one(registry: Registry) -> None:
    plan = resolve("wgan-gp", registry, overrides={"loss.name": "non-saturating"})
    assert not plan.terms


def test_changing_the_data_drops_options_of_the_old_data(registry: Registry) -> None:
    plan = resolve("vanilla-ring", registry, overrides={"data.source": "fashion-5k"})
    assert plan.dataset.item.name == "fashion-5k"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"train.batchsize": 3}, "did you mean batch_size"),
        ({"trian.batch_size": 3}, "did you mean train"),
        ({"architecture.widht": 3}, "architecture has|did you mean"),
        ({"terms.gradient-penalty.wieght": 3}, "did you mean weight"),
        ({"train.batch_size": "many"}, r"train.batch_size: .*'many' \(from overrides\)"),
        ({"train.batch_size": 0}, "train.batch_size"),
        ({"generator.lr": -1}, "generator.lr"),
        ({"generator.optimizer": "adamm"}, "generator.optimizer"),
        ({"train": 3}, "table of settings"),
        ({"terms": 3}, "table of settings"),
        ({"train.images.deep": 3}, "train.images.deep"),
        ({"terms.nothing.weight": 1}, "There is no term 'nothing'"),
        ({"loss.name": "wgan-pg"}, "did you mean wgan-gp"),
        ({"data.source": "folders:x"}, "did you mean folder"),
    ],
)
def test_bad_settings_name_path_origin_and_cure(
    registry: Registry, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("wgan-gp", registry, overrides=overrides)
    import re

    assert re.search(message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("file", "overrides", "images", "minutes"),
    [
        ({}, {}, 230_000, None),
        ({}, {"train.images": 5}, 5, None),
        ({}, {"train.minutes": 3}, None, 3),
        ({}, {"train.minutes": 3, "train.images": 5}, 5, 3),
        ({"minutes": 2}, {}, None, 2),
        ({"minutes": 2}, {"train.images": 5}, 5, None),
        ({"images": 7}, {"train.minutes": 3}, None, 3),
        ({"images": 7, "minutes": 2}, {}, 7, 2),
    ],
)
def test_the_length_that_was_set_last_counts(
    registry: Registry,
    tmp_path: Path,
    file: dict[str, Any],
    overrides: dict[str, Any],
    images: int | None,
    minutes: float | None,
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(tomli_w.dumps({"recipe": "wgan-gp", "train": file}))
    plan = resolve(str(settings), registry, overrides=overrides)
    assert (plan.train.images, plan.train.minutes) == (images, minutes)
    settings.write_text(tomli_w.dumps(plan.settings()))
    again = resolve(str(settings), registry)
    assert (again.train.images, again.train.minutes) == (images, minutes)


def test_names_with_dots_survive_a_settings_file(registry: Registry, install: Any, tmp_path: Path) -> None:
    install(
        "my.dist",
        "dotted",
        """
        from ganzoo.api import TermSpec, hookimpl

        @hookimpl
        def ganzoo_terms():
            return [TermSpec(name="a.b", summary="A name with a dot.", factory="nowhere:build")]
        """,
    )
    dotted = load_registry()
    plan = resolve("dcgan", dotted, overrides={'terms."a.b".every': 3})
    assert plan.terms["a.b"].every == 3
    settings = tmp_path / "settings.toml"
    settings.write_text(tomli_w.dumps(plan.settings()))
    assert resolve(str(settings), dotted).settings() == plan.settings()


def test_settings_files(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "dcgan"\n[train]\nbatch_size = 16\n')
    plan = resolve(str(file), registry)
    assert plan.train.batch_size == 16
    assert plan.origin(("train", "batch_size")) == f"file {file}"
    file.write_text("[train]\nbatch_size = 16\n")
    with pytest.raises(SettingsError, match="must name the recipe that it starts from"):
        resolve(str(file), registry)
    file.write_text("recipe = \n")
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve(str(file), registry)
    with pytest.raises(UsageError, match="no settings file"):
        resolve(str(tmp_path / "missing.toml"), registry)


def test_assignments_are_toml_or_strings() -> None:
    assert parse_assignment("generator.betas=[0.0, 0.9]") == (("generator", "betas"), [0.0, 0.9])
    assert parse_assignment("data.source=toy:ring") == (("data", "source"), "toy:ring")
    assert parse_assignment("data.flip=true") == (("data", "flip"), True)
    with pytest.raises(SettingsError, match="path=value"):
        parse_assignment("generator.lr")
    with pytest.raises(SettingsError, match="not the path of a setting"):
        parse_assignment('#"=3')


def built(registry: Registry, target: str, **overrides: Any) -> Plan:
    plan = resolve(target, registry, overrides=overrides)
    prepare(plan)
    return plan


def test_losses_combine_with_architectures_they_were_not_made_for(registry: Registry) -> None:
    plan = built(registry, "dcgan+wgan-gp")
    assert "gradient-penalty" in plan.terms
    assert plan.train.n_critic == 5
    assert plan.architecture.options.discriminator_norm == "none"
    built(registry, "mlp+wgan")
    built(registry, "conditional-conv+non-saturating")


def test_a_combination_that_cannot_work_is_refused_with_the_reason(registry: Registry) -> None:
    with pytest.raises(SettingsError, match="batch-norm-in-discriminator") as caught:
        built(registry, "dcgan+wgan-gp", **{"architecture.discriminator_norm": "batch"})
    assert "discriminator_norm" in caught.value.fix


def test_distances_between_strangers_are_refused(registry: Registry) -> None:
    with pytest.raises(SettingsError, match="'l1' cannot work with this data, 'fashion-unpaired'") as caught:
        built(registry, "pix2pix", **{"data.source": "fashion-unpaired"})
    assert "pairs:PATH" in caught.value.fix


def test_augmentations_need_images(registry: Registry) -> None:
    with pytest.raises(SettingsError, match="'ada' changes images, and no discriminator sees any"):
        built(registry, "vanilla-ring", **{"augment.name": "ada"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("photos/1.png", "folder:"), ("people.csv", "csv:"), ("a.npy", "npy:"), ("s/1.wav", "wav:")],
)
def test_a_path_alone_is_not_data(registry: Registry, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    path = tmp_path / name.split("/")[0]
    with pytest.raises(UsageError, match="does not say what kind of data") as caught:
        resolve("vanilla", registry, overrides={"data.source": str(path)})
    assert f"--data {kind}{path}" in caught.value.fix


@pytest.mark.parametrize(
    ("recipe", "source", "ending", "fix"),
    [
        ("wavegan", "folder", ".wav", "--data wav:PATH; "),
        ("vocos", "folder", ".wav", "--data vocoder:PATH; "),
        ("dcgan", "wav", ".png", "--data folder:PATH; "),
        ("dcgan", "text", ".JPG", "--data folder:PATH; "),
        ("ctgan", "text", ".csv", "--data csv:PATH"),
        ("dcgan", "csv", ".mp4", "--data clips:PATH"),
    ],
)
def test_files_of_another_kind_name_the_dataset_that_reads_them(
    registry: Registry, tmp_path: Path, recipe: str, source: str, ending: str, fix: str
) -> None:
    (tmp_path / f"1{ending}").write_bytes(b"")
    (tmp_path / "._2.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_data(resolve(recipe, registry, overrides={"data.source": f"{source}:{tmp_path}"}))
    assert caught.value.fix.startswith(fix.replace("PATH", str(tmp_path)))


@pytest.mark.parametrize("source", ["folder:", "pairs:", "wav:", "text:", "csv:", "volumes:", "clips:", ""])
def test_an_archive_is_to_be_unpacked(registry: Registry, tmp_path: Path, source: str) -> None:
    path = tmp_path / "photos.tar.gz"
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises((DataError, UsageError)) as caught:
        open_data(resolve("vanilla", registry, overrides={"data.source": f"{source}{path}"}))
    assert caught.value.fix == "this is an archive: unpack it, and give the folder"


@pytest.mark.parametrize("recipe", ["dcgan", "cgan", "pix2pix"])
def test_a_recipe_for_other_data_names_those_that_fit(registry: Registry, recipe: str) -> None:
    with pytest.raises(DataError, match="needs the field") as caught:
        built(registry, recipe, **{"data.source": "wav:toy"})
    assert "recipes for such data: wavegan" in caught.value.fix


@pytest.mark.parametrize(
    ("recipe", "source", "nouns"),
    [("rcgan", "sines", "series"), ("ctgan", "toy-table", "rows"), ("wavegan", "wav:toy", "sounds")],
)
def test_few_samples_are_named_for_any_kind(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, recipe: str, source: str, nouns: str
) -> None:
    plan = resolve(recipe, registry, overrides={"data.source": source})
    whole = open_data(plan)
    assert not [note for note in whole.notes if note.startswith("few ")]
    media = plan.kinds.of(next(field for field in whole.fields if field.dtype == "float32").kind)
    monkeypatch.setattr(media, "few", whole.count + 1)
    assert f"few {nouns}, {whole.count}: samples soon are copies" in open_data(plan).notes[0]


def test_a_conditional_recipe_needs_labels(registry: Registry, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "images.npy", np.zeros((20, 28, 28), np.uint8))
    with pytest.raises(DataError, match="needs the field 'label'"):
        built(registry, "cgan", **{"data.source": f"npy:{tmp_path / 'images.npy'}"})


def test_building_leaves_the_global_random_state_alone(registry: Registry, tiny: Any) -> None:
    import torch

    plan = tiny("dcgan")
    info = prepare(plan).dataset.info
    before = torch.get_rng_state()
    build_networks(plan, info)
    assert torch.equal(before, torch.get_rng_state())


def test_the_origin_of_a_default_says_what_it_means(registry: Registry) -> None:
    plan = resolve("dcgan", registry, overrides={"data.source": "folder:pictures"})
    assert plan.origin(("data", "height")) == "dataset folder: chosen from the images"
    assert plan.origin(("data", "fit")) == "dataset folder"
