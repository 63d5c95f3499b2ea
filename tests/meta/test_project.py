"""The repository's own files: workflows, tox, releases, the first plugin, links on the site."""

from __future__ import annotations

import configparser
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ganzoo._version import __version__
from ganzoo.scaffold import KINDS, Names, package_files

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOX = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini", encoding="utf-8")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
# Texts that tell people what to type.
TEXTS = [
    *(*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(GITHUB.rglob("*.md"))),
    *(
        *WORKFLOWS,
        *(path for path in sorted(ROOT.glob("ganzoo/scaffold/templates/**/*")) if path.is_file()),
        ROOT / ".ci" / "run",
    ),
]


def read_yaml(path: Path) -> dict[Any, Any]:
    value: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return value


def is_environment(name: str) -> bool:
    """Whether tox.ini has it: by a section of its own, or as the suite with some Python."""
    return f"testenv:{name}" in TOX or name in {"tests", "py", "py311", "py312", "py313", "py314"}


def pinned() -> dict[str, str]:
    """Name and version of each line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


# --- workflows --------------------------------------------------------------------------------------


def test_the_suite_runs_on_each_system_with_each_python_that_the_package_names() -> None:
    named = {
        text.rpartition(" ")[2]
        for text in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", text)
    }
    matrix = read_yaml(GITHUB / "workflows" / "test.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert set(product(matrix["os"], matrix["python"])) == set(
        product(["ubuntu-latest", "macos-latest", "windows-latest"], named)
    )
    assert named == {"3.11", "3.12", "3.13", "3.14"}
    assert min(named, key=lambda text: int(text[2:])) in SpecifierSet(PROJECT["project"]["requires-python"])
    assert "3.10" not in SpecifierSet(PROJECT["project"]["requires-python"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_exists(path: Path) -> None:
    commands = [
        step["run"] for job in read_yaml(path)["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert commands
    for command in commands:
        for names in re.findall(r"\btox run -e (\S+)", command):
            assert all(is_environment(name) for name in names.split(",")), command
        for script in re.findall(r"\bpython (\S+)", command):
            assert (ROOT / script).is_file(), command
        # What an event says is data: it reaches a command by the environment alone.
        assert "${{" not in command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_write_only_where_a_job_asks_for_it(path: Path) -> None:
    workflow = read_yaml(path)
    assert set(workflow["permissions"].values()) <= {"read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_a_release_is_checked_attested_and_published_without_a_password() -> None:
    jobs = read_yaml(GITHUB / "workflows" / "release.yml")["jobs"]
    used = [
        step["uses"].partition("@")[0] for job in jobs.values() for step in job["steps"] if "uses" in step
    ]
    assert used.index("actions/attest-build-provenance") < used.index("pypa/gh-action-pypi-publish")
    assert any("check_release.py" in step.get("run", "") for step in jobs["build"]["steps"])
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "PUBLISH_TO_INDEX" in jobs["publish"]["if"]  # the name on the index is somebody else's
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_who_reports_a_fault_is_asked_for_the_doctor() -> None:
    form = read_yaml(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")
    (doctor,) = [item for item in form["body"] if item.get("id") == "doctor"]
    assert "ganzoo doctor --json" in doctor["attributes"]["label"]
    assert doctor["validations"]["required"] is True


# --- tox, versions ----------------------------------------------------------------------------------


def test_what_runs_by_default_and_what_texts_name_exists_in_tox() -> None:
    default = re.split(r"[,\s]+", TOX["tox"]["env_list"])
    assert {"lint", "types", "docs", "tests", "wheel", "serving"} == set(default)
    for path in TEXTS:
        for name in re.findall(r"\btox (?:run )?-e ([a-z]\w*)", path.read_text(encoding="utf-8")):
            assert is_environment(name), f"{path.name}: tox -e {name}"
    groups = {TOX[name].get("dependency_groups") for name in TOX if name.startswith("testenv")}
    assert groups - {None, ""} <= set(PROJECT["dependency-groups"])


def test_what_tools_need_is_pinned() -> None:
    for group in PROJECT["dependency-groups"].values():
        for text in group:
            if isinstance(text, str):
                need = Requirement(text)
                assert pinned()[need.name] in need.specifier, text


def test_hooks_of_commits_check_with_the_pinned_versions() -> None:
    hooks = [hook for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    needs = [text.split("==") for hook in hooks for text in hook["additional_dependencies"]]
    assert {name for name, _ in needs} == {"ruff", "yamllint"}
    assert all(pinned()[name] == version for name, version in needs)


def test_scripts_that_texts_name_exist() -> None:
    for path in TEXTS:
        for script in re.findall(
            r"\bpython ((?:tools|benchmarks)/[\w/]+\.py)", path.read_text(encoding="utf-8")
        ):
            assert (ROOT / script).is_file(), f"{path.name}: {script}"
        for script in re.findall(r"\bpytest (?:-m slow )?(tests/[\w/.]+)", path.read_text(encoding="utf-8")):
            assert (ROOT / script).exists() or "my_gan" in script, f"{path.name}: {script}"


def test_images_are_tagged_with_this_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy").iterdir() if path.is_file()]
    tags = re.findall(r"\bganzoo(?:-runtime)?:(\d[\w.]*\w)", "\n".join(texts))
    assert tags
    assert set(tags) == {__version__}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """What check_release.py reads, ready for this version."""
    for name in ("ganzoo/_version.py", "CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    text = re.sub(
        r"(## \[[\d.]+\] - )unreleased", r"\g<1>2030-01-31", changes.read_text(encoding="utf-8"), count=1
    )
    changes.write_text(text, encoding="utf-8")
    return tmp_path


def release_problems(tag: str, root: Path) -> list[str]:
    found: list[str] = runpy.run_path(str(ROOT / "tools" / "check_release.py"))["problems"](tag, root)
    return found


def test_a_release_needs_one_version_everywhere_and_a_date(release: Path) -> None:
    assert release_problems(f"v{__version__}", release) == []
    assert len(release_problems("v9.9.9", release)) == 4
    assert release_problems(__version__, release) == [f"{__version__} is no tag of a release: v{__version__}"]
    changes = (release / "CHANGELOG.md").read_text(encoding="utf-8")
    (release / "CHANGELOG.md").write_text(changes.replace("2030-01-31", "unreleased"), encoding="utf-8")
    (problem,) = release_problems(f"v{__version__}", release)
    assert "YYYY-MM-DD" in problem


def test_the_changelog_is_about_this_version_and_its_modules_exist() -> None:
    assert all("YYYY-MM-DD" in line for line in release_problems(f"v{__version__}", ROOT))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ *\| `ganzoo[^|]*\| ([^|]+) \|$", changes, re.MULTILINE)
    assert len(rows) > 5
    for row in rows:
        package = ""
        for name in re.findall(r"`([\w.]+)[.*]*`", row):
            full = package + name if name.startswith(".") else name.rstrip(".")
            assert importlib.util.find_spec(full), full
            package = full if name.startswith("ganzoo") and "." not in name[7:] else full.rpartition(".")[0]


# --- the name on the package index ------------------------------------------------------------------


def test_nothing_that_we_write_is_content_with_the_foreign_ganzoo() -> None:
    for path in [*TEXTS, *sorted(ROOT.glob("examples/**/pyproject.toml"))]:
        text = path.read_text(encoding="utf-8")
        for bound in re.findall(r"\bganzoo(>=?[\d.]*\d)", text):
            assert "0.0.1" not in SpecifierSet(bound), path
            assert __version__ in SpecifierSet(bound), path
            assert "0.1.0" not in SpecifierSet(bound), path
        for line in text.splitlines():
            if re.search(r"pip install (-\S+ )*[\"']?ganzoo\b(?!>)", line):  # only to warn of it
                assert "unrelated" in text or "abandoned package" in text, f"{path}: {line}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_needs_this_ganzoo(kind: str) -> None:
    files = package_files(Names("mine"), {kind, "recipe"}, licence="MIT", author="Ada")
    (need,) = map(Requirement, tomllib.loads(files["pyproject.toml"])["project"]["dependencies"])
    assert need.name == "ganzoo"
    assert "0.0.1" not in need.specifier
    assert __version__ in need.specifier


# --- the first plugin -------------------------------------------------------------------------------

MAKER = runpy.run_path(str(ROOT / "tools" / "make_example.py"))


def contents(folder: Path) -> dict[str, str]:
    """The files in a folder, without what tools leave behind."""
    left = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and not left & set(path.parts)
    }


def test_the_example_is_what_the_scaffold_writes(tmp_path: Path) -> None:
    if importlib.util.find_spec("ganzoo_example") is not None:
        pytest.skip("ganzoo-example is installed in this environment, so its name is taken")
    command = [sys.executable, "-m", "ganzoo", "plugin", "new", "example", "-o", tmp_path / "new"]
    subprocess.run(command, check=True)
    assert contents(MAKER["EXAMPLE"]) == contents(tmp_path / "new"), "python tools/make_example.py"
    assert MAKER["files"]() == contents(tmp_path / "new")


def test_the_tutorial_quotes_what_the_scaffold_writes() -> None:
    text = MAKER["TUTORIAL"].read_text(encoding="utf-8")
    assert MAKER["tutorial"](text) == text, "python tools/make_example.py"
    files = MAKER["files"]()
    quoted = set(re.findall(r"^`([\w./-]+)`:$", text, re.MULTILINE))
    assert quoted == {"pyproject.toml", *(name for name in files if name.endswith(".py"))}
    (tree,) = re.findall(r"^ganzoo-example/\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert set(paths_of(tree)) == set(files)


def paths_of(tree: str) -> list[str]:
    """The files of a tree whose folders end in / and whose levels are two spaces each."""
    folders: list[str] = []
    paths = []
    for line in tree.splitlines():
        name = line.split()[0]
        del folders[(len(line) - len(line.lstrip())) // 2 - 1 :]
        if name.endswith("/"):
            folders.append(name)
        else:
            paths.append("".join([*folders, name]))
    return paths


# --- the site ---------------------------------------------------------------------------------------

SITE = runpy.run_path(str(ROOT / "tools" / "site_hooks.py"))


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A repository of a few files; its docs folder."""
    for name in (
        "README.md",
        "LICENSE",
        "deploy/README.md",
        "docs/index.md",
        "docs/plugins/index.md",
        "docs/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "docs"


@pytest.mark.parametrize(
    ("page", "uri", "link", "there"),
    [
        ("docs/index.md", "index.md", "plugins/index.md#all", "plugins/index.md#all"),
        ("docs/index.md", "index.md", "../README.md#b", "repository/README.md#b"),
        ("docs/index.md", "index.md", "../deploy/", "repository/deploy/README.md"),
        ("docs/plugins/index.md", "plugins/index.md", "../../LICENSE", "../repository/LICENSE"),
        ("README.md", "repository/README.md", "docs/a.png", "../a.png"),
        ("README.md", "repository/README.md", "docs/plugins/index.md#c", "../plugins/index.md#c"),
        ("deploy/README.md", "repository/deploy/README.md", "../LICENSE", "../LICENSE"),
        ("docs/index.md", "index.md", "#here", "#here"),
        ("docs/index.md", "index.md", "https://example.org/README.md", "https://example.org/README.md"),
        ("docs/index.md", "index.md", "../missing.md", "../missing.md"),
    ],
)
def test_links_hold_on_the_site(pages: Path, page: str, uri: str, link: str, there: str) -> None:
    def linked(target: str) -> str:
        return (
            f"See [it]({target}) and ![it](<{target}>).\n\n```\n[it]({link})\n```\n\n[it]({target} 'title')\n"
        )

    assert SITE["site_links"](linked(link), pages.parent / page, uri, pages) == linked(there)


def test_code_in_tables_shows_plain_pipes() -> None:
    text = "| a | `int \\| None` |\n|---|---|\n| b \\| c | `x` |\n\nNot here: `a \\| b`.\n"
    assert SITE["plain_pipes"](text) == text.replace("`int \\| None`", "`int | None`")


def test_every_package_says_that_it_has_types() -> None:
    packages = [file.parent for file in (ROOT / "plugins").glob("*/__init__.py")]
    assert packages
    untyped = [folder.name for folder in (ROOT / "ganzoo", *packages) if not (folder / "py.typed").exists()]
    assert untyped == []
