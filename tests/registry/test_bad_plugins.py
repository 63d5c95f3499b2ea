"""One environment with every bad plugin in it: the rest works, and the listing says why each did not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo.api import LossSpec
from ganzoo.config.resolve import resolve
from ganzoo.errors import PluginError, UsageError
from ganzoo.registry.containment import TookTooLongError, contained, limited
from ganzoo.registry.discovery import time_limit
from ganzoo.registry.registry import factory_of, load_registry

LIMIT = 1  # seconds: enough for every sound plugin, also on a busy machine
POSIX = pytest.mark.skipif(os.name != "posix", reason="SIGALRM")

HOOK = """
from ganzoo.api import LossSpec, hookimpl

@hookimpl
def ganzoo_losses():
    {before}
    return [LossSpec(name={name!r}, summary={summary!r}, factory="nowhere:build")]
"""


def hook(name: str, *, top: str = "", before: str = "pass", summary: str = "A test loss.") -> str:
    return f"{top}\n{HOOK.format(name=name, before=before, summary=summary)}"


# What a plugin does, and what its row says. An empty reason: it does no harm that is not undone.
CODE: dict[str, tuple[str, str]] = {
    "raises": ("raise RuntimeError('boom')", "RuntimeError: boom"),
    "exits": ("import sys; sys.exit(0)", "SystemExit"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator-exit": ("raise GeneratorExit('over')", "GeneratorExit: over"),
    "own-base": ("class Mine(BaseException): pass\nraise Mine('mine')", "Mine: mine"),
    "hook-interrupts": (hook("x", before="raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "hook-exits": (hook("x", before="raise SystemExit(5)"), "SystemExit: 5"),
    "no-message": (
        "class Mine(Exception):\n    def __str__(self): raise ValueError\nraise Mine",
        "cannot be shown",
    ),
    "long-message": ("raise ValueError('a' * 10**6)", "aaaa"),
    "escapes": ("raise ValueError('\\x1b[31m\\x1b]0;title\\x07red')", "\\x1b[31m\\x1b]0;title\\x07red"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "syntax": ("def (:", "SyntaxError"),
    "null": ("a = 1\0", "null"),
    "reads": ("input('your name? ')", "EOFError"),
    "prints": (hook("prints", top="print('printed text')"), ""),
    "writes": (
        hook(
            "writes",
            top="import os, sys\nos.write(1, b'written text')\nsys.__stdout__.write('raw text')\n"
            "sys.stdout.buffer.write(b'bytes')\nos.system('echo echoed text')",
        ),
        "",
    ),
    "closes": (hook("closes", top="import sys\nsys.stdout.close(); sys.stderr.close()"), ""),
    "closes-all": (hook("closes-all", top="import sys\nsys.__stdout__.close(); sys.__stderr__.close()"), ""),
    "closes-files": (hook("closes-files", top="import os\nos.close(1); os.close(2)"), ""),
    "replaces": (
        hook("replaces", top="import io, sys\nsys.stdout = sys.stderr = sys.stdin = io.StringIO()"),
        "",
    ),
    "no-streams": (hook("no-streams", top="import sys\nsys.stdout = sys.stderr = None"), ""),
    "moves": (hook("moves", top="import os\nos.chdir('/')"), ""),
    "handles": (
        hook("handles", top="import signal\nfor s in (2, 15, 14): signal.signal(s, signal.SIG_IGN)"),
        "",
    ),
    "at-exit": (hook("at-exit", top="import atexit\natexit.register(lambda: 1 / 0)"), ""),
    "big": (hook("big", summary="very " * 200_000), ""),
    "colours": (hook("colours", summary="\x1b[31mred\x1b[0m \u202eevil\x07\r\n[bold]x[/]"), ""),
    "no-text": (hook("no-text").replace("'A test loss.'", "None"), "'summary' of 'no-text' must be text"),
}
HANGS: dict[str, str] = {
    "sleeps": "import time\ntime.sleep(99)",
    "loops": "while True: pass",
    "catches": "import time\nwhile True:\n    try: time.sleep(99)\n    except Exception: pass",
    "finishes": hook("finishes", top="import time\ntry: time.sleep(9)\nexcept BaseException: pass"),
    "converts": "import time\ntry: time.sleep(9)\nexcept BaseException: raise ValueError('other')",
}
HOOK_HANGS = {"hook-sleeps": hook("x", before="import time; time.sleep(99)")}

# entry_points.txt, with {module} for one that works; the row's name and reason.
POINTS: dict[str, tuple[bytes, str, str]] = {
    "value-empty": (b"[ganzoo]\nx =\n", "x", "is not the name of a module"),
    "value-syntax": (b"[ganzoo]\nx = not a module!\n", "x", "is not the name of a module"),
    "value-missing": (b"[ganzoo]\nx = no_such_module_anywhere\n", "x", "no_such_module_anywhere"),
    "value-attribute": (b"[ganzoo]\nx = {module}:nothing\n", "x", "has no attribute 'nothing'"),
    "no-equals": (b"[ganzoo]\nthis is no entry point\n", "?", "entry_points.txt cannot be read"),
    "not-text": (b"[ganzoo]\nx = \xff\xfe\xe9\n", "?", "UnicodeDecodeError"),
    "twice": (b"[ganzoo]\nx = {module}\nx = os\n", "x", ""),
    "same-name": (b"[ganzoo]\nx = {module}\nx = {module}_b\n", "x", "has the same name"),
    "two-names": (
        b"[ganzoo]\nx = {module}\ny = {module}\n",
        "y",
        "names the same object as plugin 'two-names/x'",
    ),
    "odd-name": (b"[ganzoo]\nx\x1b[31m = no_such_module\n", "x\\x1b[31m", "no_such_module"),
    "twins": (b"[ganzoo]\nx = {module}\ny = {module}_b\n", "y", "'x' of the same distribution also offers"),
}
METADATA: dict[str, bytes | None] = {
    "no-metadata": None,
    "no-version": b"Metadata-Version: 2.1\nName: no-version\n",
    "no-name": b"Metadata-Version: 2.1\nVersion: 1\n",
    "bad-metadata": b"\xff\xfe\xff",
}


def add(
    site: Path, dist: str, source: str, points: bytes = b"", metadata: bytes | None = b"standard"
) -> None:
    stem = dist.replace("-", "_")
    module = f"plugin_{stem}"
    info = site / f"{stem}-1.0.dist-info"
    info.mkdir(parents=True)
    for name in (module, f"{module}_b"):
        (site / f"{name}.py").write_bytes(source.encode())
    text = points or f"[ganzoo]\n{dist} = {{module}}\n".encode()
    (info / "entry_points.txt").write_bytes(text.replace(b"{module}", module.encode()))
    if metadata == b"standard":
        metadata = f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n".encode()
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for dist, (source, _) in CODE.items():
        add(folder, dist, source)
    for dist, source in {**HANGS, **HOOK_HANGS}.items():
        add(folder, dist, source)
    for dist, (points, _, _) in POINTS.items():
        add(folder, dist, hook(f"of-{dist}"), points)
    for dist, metadata in METADATA.items():
        add(folder, dist, hook(f"of-{dist}"), metadata=metadata)
    # Loaded after all others: it finds the process as it was.
    add(folder, "zz-good", hook("zz-good", top="import os, sys\nassert os.path.isfile('here')\nprint('hi')"))
    (folder / "here").touch()
    return folder


def ganzoo(site: Path, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(site),
        "GANZOO_PLUGIN_TIMEOUT": str(LIMIT),
        "GANZOO_DISABLE": without,
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.run(
        [sys.executable, "-m", "ganzoo", *arguments],
        cwd=site,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def rows(site: Path) -> dict[str, list[dict[str, str]]]:
    result = ganzoo(site, "list", "--json")
    assert result.returncode == 0, result.stderr
    # Nothing but the document on stdout; what was printed went to stderr.
    for text in ("printed text", "written text", "raw text", "bytes", "echoed text"):
        assert text in result.stderr
    return json.loads(result.stdout)


def row(rows: dict[str, list[dict[str, str]]], dist: str, plugin: str) -> dict[str, str]:
    (found,) = [row for row in rows["not_loaded"] if (row["dist"], row["plugin"]) == (dist, plugin)]
    assert found["state"] == "broken"
    return found


@POSIX
def test_built_ins_and_good_plugins_are_all_there(rows: dict[str, list[dict[str, str]]]) -> None:
    names = {item["name"] for item in rows["items"]}
    assert {item.name for item in load_registry().items} <= names
    assert {"zz-good"} | {dist for dist, (_, reason) in CODE.items() if not reason} <= names
    assert {f"of-{dist}" for dist in METADATA} <= names
    assert {item["version"] for item in rows["items"] if item["name"] == "of-no-version"} == {"unknown"}


@POSIX
@pytest.mark.parametrize("dist", [dist for dist, (_, reason) in CODE.items() if reason])
def test_code(rows: dict[str, list[dict[str, str]]], dist: str) -> None:
    reason = row(rows, dist, dist)["reason"]
    assert CODE[dist][1] in reason
    assert len(reason) <= 400
    assert reason.isprintable()


@POSIX
@pytest.mark.parametrize("dist", [*HANGS, *HOOK_HANGS])
def test_hangs(rows: dict[str, list[dict[str, str]]], dist: str) -> None:
    doing = "to say what it offers" if dist in HOOK_HANGS else "to import"
    assert row(rows, dist, dist)["reason"] == f"took longer than {LIMIT} s {doing}"


@POSIX
@pytest.mark.parametrize("dist", [dist for dist, (_, _, reason) in POINTS.items() if reason])
def test_entry_points(rows: dict[str, list[dict[str, str]]], dist: str) -> None:
    _, plugin, reason = POINTS[dist]
    assert reason in row(rows, dist, plugin)["reason"]


@POSIX
def test_of_two_equal_entry_points_the_sound_one_is_taken(rows: dict[str, list[dict[str, str]]]) -> None:
    assert "of-twice" in {item["name"] for item in rows["items"]}
    assert "no ganzoo hook" in row(rows, "twice", "x")["reason"]


@POSIX
def test_the_listing_for_people(site: Path) -> None:
    hanging = ",".join([*HANGS, *HOOK_HANGS])
    without = hanging.replace("sleeps", "", 1)
    for more, texts in (((), ["any field"]), (("--all",), ["zz-good", "\\x1b[31mred"])):
        shown = ganzoo(site, "list", *more, without=without)
        assert shown.returncode == 0, shown.stderr
        assert len(shown.stdout) < 100_000
        assert not {character for character in shown.stdout if not character.isprintable()} - {"\n"}
        for text in ("wgan-gp", "RuntimeError: boom", f"{LIMIT} s to import", *texts):
            assert text in shown.stdout
    info = ganzoo(site, "info", "colours", without=hanging)
    assert info.returncode == 0, info.stderr
    assert "\\u202eevil" in info.stdout
    assert "\x1b" not in info.stdout
    assert len(ganzoo(site, "info", "big", without=hanging).stdout) < 10_000


@POSIX
def test_strict_stops_at_the_first_that_is_broken(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_STRICT", "1")
    result = ganzoo(site, "list", without=",".join([*HANGS, *HOOK_HANGS]))
    assert result.returncode == 2
    assert "is broken" in result.stderr


# --- the parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["abc", "-1", "nan", "inf", "1e99"])
def test_a_limit_that_is_no_number_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GANZOO_PLUGIN_TIMEOUT", text)
    with pytest.raises(UsageError, match="time limit"):
        load_registry()


def test_the_limit_is_20_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANZOO_PLUGIN_TIMEOUT", raising=False)
    assert time_limit() == 20
    monkeypatch.setenv("GANZOO_PLUGIN_TIMEOUT", "0")
    assert time_limit() == 0


@POSIX
@pytest.mark.parametrize("own", [0.1, 5.0])
def test_an_alarm_of_the_caller_comes_all_the_same(own: float) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, own)
        with pytest.raises(TookTooLongError), limited(0.2):
            time.sleep(30)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0.05 if own < 1 else 0)
        time.sleep(0.1)
        assert rung if own < 1 else own - 1 < left < own - 0.2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@POSIX
def test_a_block_in_time_leaves_no_alarm() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with limited(30):
        assert 29 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


@POSIX
def test_a_real_interrupt_ends_the_command(tmp_path: Path) -> None:
    add(tmp_path, "slow", "import time\nopen('loading', 'w').close()\ntime.sleep(99)")
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background commands with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 30
    while not (tmp_path / "loading").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors


def test_contained_undoes_what_the_block_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    streams = sys.stdin, sys.stdout, sys.stderr
    with contained():
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stdout = None
    assert Path.cwd() == tmp_path
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (sys.stdin, sys.stdout, sys.stderr) == streams


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"summary": 5}, "'summary' of 'a' must be text"),
        ({"paper": None}, "'paper' of 'a' must be text"),
        ({"paired": "yes"}, "True or False"),
        ({"defaults": ["x"]}, "a mapping from text"),
        ({"defaults": {1: 2}}, "a mapping from text"),
        ({"rejects": {"tag": 1}}, "tags to reasons"),
        ({"tags": "no-sign"}, "a tuple of names"),
        ({"factory": None}, ""),
        ({"factory": 7}, "package.module:function"),
    ],
)
def test_records_with_wrong_values(changes: dict[str, object], message: str) -> None:
    values = {"name": "a", "summary": "b", "factory": "c:d", **changes}
    if message:
        with pytest.raises(PluginError, match=message):
            LossSpec(**values)
    else:
        LossSpec(**{**values, "factory": "c:d"})


def test_a_factory_that_exits_is_an_error_of_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = textwrap.dedent(hook("leaves").replace("nowhere:build", "leaving_factory:build"))
    add(tmp_path, "leaves", source)
    (tmp_path / "leaving_factory.py").write_text("raise SystemExit(0)")
    monkeypatch.syspath_prepend(str(tmp_path))
    item = load_registry().find(LossSpec, "leaves")
    with pytest.raises(PluginError, match="SystemExit"):
        factory_of(item)


def test_a_built_in_name_offered_by_another_plugin_changes_no_built_in_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "shadow", hook("wgan-gp"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load_registry()
    assert resolve("wgan-gp", registry).loss.item.plugin.dist == "ganzoo"
    with pytest.raises(UsageError, match="offered by 2 plugins"):
        registry.find(LossSpec, "wgan-gp")


WRONG_DEFAULT = """
from dataclasses import dataclass
from ganzoo.api import LossSpec, hookimpl

@dataclass(frozen=True, kw_only=True)
class Options:
    margin: int = "a"

    def __post_init__(self):
        if self.margin < 1:
            raise ValueError("margin must be 1 or more")

@hookimpl
def ganzoo_losses():
    return [LossSpec(name="wrong", summary="A test.", factory=f"{__name__}:build", config=Options)]
"""


def test_a_default_of_the_wrong_type_names_plugin_record_and_option(install: Callable[..., Path]) -> None:
    install("wrong-options", "wrong", WRONG_DEFAULT)
    with pytest.raises(PluginError) as caught:
        resolve("dcgan+wrong", load_registry())
    assert "The loss 'wrong' has a default of the wrong type: 'margin': " in caught.value.what
    assert "not 'a'" in caught.value.what
    assert "Options of wrong-options 1.0" in caught.value.where


def test_an_exception_in_the_check_of_options_names_the_plugin(install: Callable[..., Path]) -> None:
    install("odd-options", "odd", WRONG_DEFAULT.replace('"a"', "1").replace("self.margin <", "self.marge <"))
    with pytest.raises(PluginError, match="The loss 'wrong' failed: AttributeError") as caught:
        resolve("dcgan+wrong", load_registry())
    assert caught.value.fix.startswith("GANZOO_STRICT=1")
