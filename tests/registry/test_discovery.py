"""Finding plugins: isolation, states, names, switching off; and what the core must not know."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganzoo.api import LossSpec
from ganzoo.api.hookspecs import HOOKS
from ganzoo.cli import cli
from ganzoo.errors import PluginError, UsageError
from ganzoo.registry import discovery
from ganzoo.registry.registry import factory_of, load_registry

ROOT = Path(__file__).parents[2]
Install = Callable[..., Path]

ONE_LOSS = """
    from ganzoo.api import LossSpec, hookimpl

    @hookimpl
    def ganzoo_losses():
        return [LossSpec(name="{name}", summary="A test loss.", factory="{factory}")]
"""


def loss(name: str, factory: str = "nowhere:build") -> str:
    return ONE_LOSS.format(name=name, factory=factory)


def listing() -> dict[str, list[dict[str, str]]]:
    result = CliRunner().invoke(cli, ["list", "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, str]]] = json.loads(result.stdout)
    return found


def test_built_ins_come_through_the_public_door() -> None:
    found = listing()
    assert found["not_loaded"] == []
    kinds = {item["kind"] for item in found["items"]}
    kept = {"architecture", "loss", "term", "augmentation", "recipe", "dataset", "extractor", "metric"} | {
        "media",
        "importer",
        "tracker",
    }
    assert kinds == kept
    for recipe in ("vanilla", "dcgan", "cgan", "wgan", "wgan-gp"):
        names = {item["name"] for item in found["items"] if item["kind"] == "recipe"}
        assert {recipe, f"{recipe}-paper"} <= names
    assert {"kind", "name", "qualified", "plugin", "dist", "version", "summary"} == set(found["items"][0])


def test_hidden_entry_points_leave_an_empty_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "entry_points", lambda group: ())
    assert listing() == {"items": [], "not_loaded": []}
    shown = CliRunner().invoke(cli, ["list"])
    assert shown.exit_code == 0
    assert "empty" in shown.output


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("nowhere", "(There is no architecture 'nowhere')"),
        ("shared", "(The architecture 'shared' is offered by 2 plugins)"),
    ],
)
def test_a_recipe_without_its_architecture_is_listed_and_does_no_harm(
    install: Install, architecture: str, said: str
) -> None:
    for dist in ("one", "two"):
        install(
            f"{dist}-dist",
            dist,
            """
            from ganzoo.api import ArchitectureSpec, hookimpl

            @hookimpl
            def ganzoo_architectures():
                return [ArchitectureSpec(name="shared", summary="x", factory="json:dumps")]
            """,
        )
    install(
        "lone-dist",
        "lone",
        f"""
        from ganzoo.api import RecipeSpec, hookimpl

        @hookimpl
        def ganzoo_recipes():
            return [RecipeSpec(name="lonely", summary="x", architecture="{architecture}", loss="hinge")]
        """,
    )
    shown = CliRunner().invoke(cli, ["list"])
    assert shown.exit_code == 0, shown.output
    (line,) = (line for line in shown.output.splitlines() if "lonely" in line)
    assert said in line


def test_core_names_no_plugin_package() -> None:
    # The hook for data sets happens to be called like the package that implements it.
    packages = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    for file in (ROOT / "ganzoo").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            words: list[str] = []
            if isinstance(node, ast.Import):
                words = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                words = [node.module or ""]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = [node.value]
            for word in words:
                named = {package for package in packages if package in word}
                assert not named or word in HOOKS, f"{file}: {word}"


def test_plugins_import_only_the_api() -> None:
    for file in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for module in modules:
                assert not module.startswith("ganzoo.") or module == "ganzoo.api", f"{file}: {module}"


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--json"], ["train", "--help"]])
def test_listing_imports_neither_torch_nor_onnxruntime(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom ganzoo.cli import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'PIL', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("source", "state", "reason"),
    [
        ("raise RuntimeError('boom at import')", "broken", "boom at import"),
        ("import sys; sys.exit(3)", "broken", "SystemExit"),
        ("import not_there_at_all", "broken", "not_there_at_all"),
        ("print('hello')", "broken", "no ganzoo hook"),
        ("GANZOO_API_VERSION = 99", "incompatible", "plugin API 99"),
        (loss("Bad Name"), "broken", "not a name"),
        (loss("fine", factory="not an import string"), "broken", "package.module:function"),
        (
            "from ganzoo.api import hookimpl\n@hookimpl\ndef ganzoo_losses():\n    return ['text']",
            "broken",
            "LossSpec",
        ),
        (
            "from ganzoo.api import hookimpl\n@hookimpl\ndef ganzoo_losses():\n    return 1 / 0",
            "broken",
            "division by zero",
        ),
        (
            "from ganzoo.api import hookimpl\n@hookimpl\ndef ganzoo_losses(extra):\n    return []",
            "broken",
            "extra",
        ),
        (
            textwrap.dedent(loss("fine")) + "def ganzoo_terms():\n    return []",
            "broken",
            "ganzoo_terms lacks @hookimpl",
        ),
        (loss("fine").replace('factory="', 'config=3, factory="'), "broken", "must be a dataclass"),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    name: str = ''\n"
            + textwrap.dedent(loss("fine")).replace('factory="', 'config=Config, factory="'),
            "broken",
            "'name' of 'fine' is an option of the core",
        ),
        (
            "from ganzoo.api import hookimpl\n@hookimpl\ndef ganzoo_time_machines():\n    return []",
            "incompatible",
            "ganzoo_time_machines",
        ),
    ],
)
def test_a_bad_plugin_is_a_row_and_harms_nobody(
    install: Install, source: str, state: str, reason: str
) -> None:
    before = len(listing()["items"])
    install("bad-dist", "bad", source)
    found = listing()
    assert len(found["items"]) == before
    (row,) = found["not_loaded"]
    assert (row["plugin"], row["dist"], row["version"], row["state"]) == ("bad", "bad-dist", "1.0", state)
    assert reason in row["reason"]


def test_what_a_plugin_prints_does_not_spoil_json(install: Install) -> None:
    install("loud-dist", "loud", "print('I am loud')\n" + loss("loud").replace("\n    ", "\n"))
    assert "loud" in {item["name"] for item in listing()["items"]}


def test_strict_makes_a_broken_plugin_an_error(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("bad-dist", "bad", "raise RuntimeError('boom')")
    monkeypatch.setenv("GANZOO_STRICT", "1")
    with pytest.raises(PluginError, match="boom"):
        load_registry()


def test_equal_names_need_the_qualified_one(install: Install) -> None:
    install("first-dist", "one", loss("twin"))
    install("second-dist", "two", loss("twin"))
    registry = load_registry()
    with pytest.raises(UsageError, match="offered by 2 plugins") as caught:
        registry.find(LossSpec, "twin")
    assert "first-dist/twin and second-dist/twin" in str(caught.value)
    assert registry.find(LossSpec, "second-dist/twin").plugin.dist == "second-dist"


def test_equal_entry_point_names_of_two_distributions_both_load(install: Install) -> None:
    install("first-dist", "same", loss("alpha"))
    install("second-dist", "same", loss("beta"))
    names = {item["name"] for item in listing()["items"]}
    assert {"alpha", "beta"} <= names


@pytest.mark.parametrize("name", ["bad", "bad-dist", "bad-dist/bad"])
def test_a_disabled_plugin_is_never_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    flag = tmp_path / "imported"
    install("bad-dist", "bad", f"open({str(flag)!r}, 'w')")
    monkeypatch.setenv("GANZOO_DISABLE", name)
    (row,) = listing()["not_loaded"]
    assert row["state"] == "disabled"
    assert not flag.exists()
    monkeypatch.delenv("GANZOO_DISABLE")
    result = CliRunner().invoke(cli, ["--no-plugin", name, "list", "--json"])
    assert json.loads(result.stdout)["not_loaded"][0]["state"] == "disabled"
    assert not flag.exists()


def test_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_PLUGINS", "dcgan")
    found = listing()
    assert {item["name"] for item in found["items"] if item["kind"] == "architecture"} == {"dcgan"}
    assert {row["state"] for row in found["not_loaded"]} == {"disabled"}


def test_unknown_names_get_suggestions_and_broken_plugins_are_named(install: Install) -> None:
    install("bad-dist", "bad", "raise RuntimeError('boom')")
    with pytest.raises(UsageError) as caught:
        load_registry().find(LossSpec, "wgan-pg")
    assert "wgan-gp" in caught.value.fix
    assert "bad" in caught.value.where


def test_info_shows_the_defaults_that_factories_make(install: Install) -> None:
    options = """
        import dataclasses

        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Config:
            widths: list[int] = dataclasses.field(default_factory=lambda: [8, 16])
            depth: int = 3
            name_of_it: str
    """
    source = textwrap.dedent(options) + textwrap.dedent(loss("widths"))
    install("made-dist", "made", source.replace('factory="', 'config=Config, factory="'))
    result = CliRunner().invoke(cli, ["info", "widths", "--json"])
    (item,) = json.loads(result.stdout)["items"]
    assert item["options"] == {"widths": [8, 16], "depth": 3, "name_of_it": "required"}


def test_a_factory_that_fails_names_its_plugin(install: Install) -> None:
    install("lazy-dist", "lazy", loss("lazy", factory="lazy_module_that_is_missing:build"))
    item = load_registry().find(LossSpec, "lazy")
    with pytest.raises(PluginError, match="lazy_module_that_is_missing") as caught:
        factory_of(item)
    assert "lazy-dist 1.0" in caught.value.where


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"]])
def test_listing_is_quick(arguments: list[str]) -> None:
    # CPU seconds of the best of three, not wall time: the target is 0.5 s on a quiet machine.
    spent = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "ganzoo", *arguments], capture_output=True, check=True)
        after = os.times()
        spent.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert min(spent) < 0.8


def test_a_trace_of_hook_calls_goes_to_stderr(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("good", "fine", loss("mine"))
    install("other", "failing", loss("mine").replace("return [", "raise ValueError('no'); return ["))
    load_registry()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("GANZOO_TRACE", "1")
    load_registry()
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("ganzoo: good/fine.ganzoo_") and line.endswith("mine") for line in lines)
    assert any("other/failing" in line and line.endswith("ValueError: no") for line in lines)
