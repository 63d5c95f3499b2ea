"""`ganzoo push` and `ganzoo pull` against a server on this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ganzoo.cli import cli
from ganzoo.errors import FailedError, GanzooError, UsageError
from ganzoo.hub.pull import download
from tests.helpers.fake_hub import Hub, serving

huggingface_hub = pytest.importorskip("huggingface_hub")
# huggingface-hub 2.4 uploads in a way that its HTTP client calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CGAN = Path(__file__).resolve().parents[2] / "exported" / "cgan"
ONNX = CGAN / "generator.onnx"
DIGEST = hashlib.sha256(ONNX.read_bytes()).hexdigest()


def ganzoo(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def files_of(folder: Path = CGAN) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving() as server:
        template = f"{server.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between retries
        yield server


def test_what_is_pushed_can_be_pulled_and_sampled(hub: Hub, tmp_path: Path) -> None:
    shutil.copytree(CGAN, "mine")
    pushed = json.loads(ganzoo("push", "mine", "someone/faces", "--license", "MIT", "--json").stdout)
    commit = pushed["commit"]
    shown = ganzoo("pull", "hf://someone/faces").stdout
    assert commit in shown
    assert "license: mit" in shown
    listing = json.loads(Path("faces/bundle.json").read_text())
    assert listing["pulled"] == {"from": "hf://someone/faces", "commit": commit}
    assert Path("faces/generator.onnx").read_bytes() == ONNX.read_bytes()
    card = huggingface_hub.ModelCard.load("faces/README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "onnx"
    assert ganzoo("generate", "faces", "-n", 4, "-o", "x.png").exit_code == 0
    assert set(hub.tokens) == {"", "Bearer hf_secret"}  # the check of the card needs none
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hf_secret" in data for data in [*written, *hub.stored.values()])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["someone/faces"], "has no license"),
        (["someone/faces", "--license", "unknown"], "has no license"),
        (["someone/faces", "--license", "My own"], "not an identifier"),
        (["faces", "--license", "mit"], "not the name of a repository"),
        (["../faces", "--license", "mit"], "not the name of a repository"),
    ],
)
def test_refused_pushes(words: list[str], message: str, hub: Hub) -> None:
    with pytest.raises(UsageError, match=message):
        ganzoo("push", CGAN, *words)
    assert not hub.tokens


def test_push_without_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UsageError, match="no token"):
        ganzoo("push", CGAN, "someone/faces", "--license", "mit")
    assert not hub.tokens


def test_push_of_a_changed_or_linked_file(hub: Hub) -> None:
    shutil.copytree(CGAN, "mine")
    Path("mine/generator.onnx").write_bytes(ONNX.read_bytes() + b"x")
    with pytest.raises(UsageError, match="does not have the sha256"):
        ganzoo("push", "mine", "someone/faces", "--license", "mit")
    Path("mine/samples.png").unlink()
    Path("mine/samples.png").symlink_to(CGAN / "samples.png")
    with pytest.raises(UsageError, match=r"samples\.png is a link"):
        ganzoo("push", "mine", "someone/faces", "--license", "mit")
    assert not hub.tokens


def test_a_license_in_words_is_not_replaced(hub: Hub) -> None:
    shutil.copytree(CGAN, "mine")
    card = Path("mine/README.md")
    card.write_text(card.read_text().replace('license: "unknown"', 'license: "All rights reserved"'))
    with pytest.raises(UsageError, match="license is All rights reserved, not mit"):
        ganzoo("push", "mine", "someone/faces", "--license", "mit")
    assert not hub.commits


def test_a_card_that_the_hub_refuses(hub: Hub) -> None:
    hub.refuses_card = True
    with pytest.raises(UsageError, match="must be one of"):
        ganzoo("push", CGAN, "someone/faces", "--license", "mit-9")
    assert not hub.commits


def test_a_hub_that_is_down_at_the_commit(hub: Hub) -> None:
    hub.breaks_at = "commit"
    with pytest.raises(FailedError, match="error 503"):
        ganzoo("push", CGAN, "someone/faces", "--license", "mit")


def test_an_older_commit_can_be_pinned(hub: Hub) -> None:
    old = hub.add("someone/faces", files_of())
    new = hub.add("someone/faces", files_of() | {"README.md": b"new"})
    assert json.loads(ganzoo("pull", "hf://someone/faces", "--json").stdout)["commit"] == new
    assert Path("faces/README.md").read_bytes() == b"new"
    ganzoo("pull", f"hf://someone/faces@{old}")
    assert Path("faces/README.md").read_bytes() == (CGAN / "README.md").read_bytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://nobody/nothing", "no such repository"),
        ("hf://someone/faces@v9", "no such revision"),
        ("hf://someone", "not the name of a repository"),
        ("ftp://host/x.onnx", "not a source"),
        ("file:x.onnx", "needs --sha256"),
    ],
)
def test_refused_sources(source: str, message: str, hub: Hub, tmp_path: Path) -> None:
    hub.add("someone/faces", files_of())
    with pytest.raises(UsageError, match=message):
        ganzoo("pull", source)
    assert not list(tmp_path.iterdir())


def listing_with(name: str) -> bytes:
    listing = json.loads((CGAN / "bundle.json").read_bytes())
    listing["files"].append(name)
    return json.dumps(listing).encode()


@pytest.mark.parametrize("name", ["../evil", "/etc/x", "a\\b", ".hidden", "GENERATOR.onnx", "a/b", "x\n"])
def test_file_names_that_lead_elsewhere(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.add("someone/faces", files_of() | {"bundle.json": listing_with(name), name: b"x"})
    with pytest.raises(UsageError, match=r"bundle\.json"):
        ganzoo("pull", "hf://someone/faces")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("lies", "message"),
    [
        ({"generator.onnx": ONNX.read_bytes()[:-1] + b"0"}, "checksum of the Hub"),
        ({"README.md": b"another"}, "checksum of the Hub"),
    ],
)
def test_other_bytes_than_the_hub_lists(
    lies: dict[str, bytes], message: str, hub: Hub, tmp_path: Path
) -> None:
    hub.add("someone/faces", files_of())
    hub.lie = lies
    with pytest.raises(GanzooError, match=message):
        ganzoo("pull", "hf://someone/faces")
    assert not list(tmp_path.iterdir())


def test_a_hub_that_sends_without_end_is_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.add("someone/faces", files_of())
    hub.endless = "README.md"
    with pytest.raises(UsageError, match="sends more than the"):
        ganzoo("pull", "hf://someone/faces")
    assert hub.sent < 2**26
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (401, UsageError, "refuses the token"),
        (403, UsageError, "refuses the token"),
        (429, FailedError, "too many requests"),
        (503, FailedError, "down or overloaded"),
        (418, FailedError, "answered with error 418"),
    ],
)
def test_answers_in_words(status: int, error: type[GanzooError], message: str, hub: Hub) -> None:
    hub.status = status
    with pytest.raises(error, match=message):
        ganzoo("push", CGAN, "someone/faces", "--license", "mit")


def test_a_hub_that_is_not_there(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        with pytest.raises(FailedError, match="cannot be reached"):
            ganzoo("pull", "hf://someone/faces")


def test_a_hub_that_falls_silent(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("someone/faces", files_of())
    hub.breaks_off = "README.md"
    with pytest.raises(FailedError, match="broke off") as caught:
        ganzoo("pull", "hf://someone/faces")
    assert "pull again" in str(caught.value)


def test_offline_mode(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()  # the next one reads the setting
    try:
        with pytest.raises(UsageError, match="HF_HUB_OFFLINE"):
            ganzoo("pull", "hf://someone/faces")
    finally:
        huggingface_hub.close_session()


def test_a_graph_that_the_guard_refuses(hub: Hub, tmp_path: Path) -> None:
    bad = b"not a graph"
    listing = json.loads((CGAN / "bundle.json").read_bytes())
    listing["generators"]["generator"]["sha256"] = hashlib.sha256(bad).hexdigest()
    hub.add(
        "someone/faces", files_of() | {"generator.onnx": bad, "bundle.json": json.dumps(listing).encode()}
    )
    with pytest.raises(UsageError, match="not a generator that ganzoo exported"):
        ganzoo("pull", "hf://someone/faces")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_too_large(hub: Hub, tmp_path: Path) -> None:
    hub.add("someone/faces", files_of())
    hub.sizes["generator.onnx"] = 2**31
    with pytest.raises(UsageError, match="more than"):
        ganzoo("pull", "hf://someone/faces")
    assert not list(tmp_path.iterdir())


def test_a_hub_that_goes_down_in_the_middle_leaves_the_old_bundle(hub: Hub) -> None:
    hub.add("someone/faces", files_of())
    ganzoo("pull", "hf://someone/faces")
    before = files_of(Path("faces"))
    hub.breaks_at = "samples.png"
    with pytest.raises(FailedError) as caught:
        ganzoo("pull", "hf://someone/faces")
    assert "pull again" in str(caught.value)
    assert files_of(Path("faces")) == before
    assert [path.name for path in Path().iterdir()] == ["faces"]


def test_a_file_with_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="has the sha256"):
        ganzoo("pull", f"file:{ONNX}", "--sha256", "0" * 64)
    assert not list(tmp_path.iterdir())
    ganzoo("pull", f"file:{ONNX}", "--sha256", DIGEST)
    assert Path("generator.onnx").read_bytes() == ONNX.read_bytes()
    Path("generator.onnx").write_text("mine")
    with pytest.raises(UsageError, match="Another file has that name"):
        ganzoo("pull", f"file:{ONNX}", "--sha256", DIGEST)
    assert Path("generator.onnx").read_text() == "mine"
    with pytest.raises(UsageError, match="a folder"):
        ganzoo("pull", f"file:{ONNX.parent}", "--sha256", DIGEST)


def test_downloads(hub: Hub) -> None:
    commit = hub.add("someone/faces", files_of())
    address = f"{hub.endpoint}/someone/faces/resolve/{commit}/generator.onnx"
    assert download(address) == ONNX.read_bytes()
    with pytest.raises(UsageError, match="more than 1,000 bytes"):
        download(address, 1000)
    hub.breaks_at = "generator.onnx"
    with pytest.raises(FailedError, match="error 503"):
        download(address)


def test_pulling_a_file_needs_neither_the_extra_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['huggingface_hub', 'torch', 'onnx']))\n"
        "from ganzoo.cli import main\n"
        "main(sys.argv[1:])"
    )
    run = [sys.executable, "-c", code, "pull"]
    done = subprocess.run([*run, f"file:{ONNX}", "--sha256", DIGEST], cwd=tmp_path, check=False)
    assert done.returncode == 0
    failed = subprocess.run([*run, "hf://a/b"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "pip install huggingface-hub" in failed.stderr
