"""The page of a run: whole without other files, never too large, and safe whatever the run contains."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganzoo.cli import main
from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import UsageError
from ganzoo.registry.directions import directions
from ganzoo.registry.registry import Registry
from ganzoo.report.page import LARGEST, MOST, page, write_page
from ganzoo.report.previews import FRAMES, timelines
from ganzoo.runs.run import Run
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start

KNOWN = {
    *(
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "script",
        "body",
        "main",
        "header",
        "footer",
        "section",
    ),
    *("h1", "h2", "h3", "h4", "p", "div", "span", "small", "b", "i", "ul", "li", "pre", "details", "summary"),
    *("table", "tr", "th", "td", "figure", "img", "audio", "video", "button", "input", "output"),
    *("svg", "g", "line", "polyline", "circle", "text"),
}
"""The elements of a page; none of them comes from the text of a run."""


class Read(HTMLParser):
    """What a page contains: its elements with attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._in not in ("style", "script"):
            self.words.append(data)
        if self._in in ("td", "th", "span", "small") and self.rows and self.rows[-1]:
            self.rows[-1][-1] += f" {data}" if self._in == "small" else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def trained(tiny: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few seconds; tests work on copies."""
    path = tmp_path_factory.mktemp("runs") / "trained"
    plan = tiny("dcgan", **{"train.images": 320, "train.sample_every": 64, "train.log_every": 16})
    start(plan, path, NullReporter())
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    shutil.copytree(trained, tmp_path / "run")
    return Run.open(tmp_path / "run")


def picture(path: Path, side: int, seed: int = 0) -> None:
    """An image that no format compresses well."""
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def check_whole(text: str) -> None:
    """The page needs nothing outside of itself, and says so to the browser."""
    assert len(text.encode()) <= LARGEST
    assert not re.findall(
        r"https?:|//[a-z]", re.sub(r"base64,[\w+/=]*|^\s*//.*$|; //.*$", "", text, flags=re.MULTILINE)
    )
    found = Read(text)
    for _, attributes in found.elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
    policies = [item["content"] for item in found.all("meta") if item.get("http-equiv")]
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]


def test_the_page_of_a_run_has_its_curves_samples_data_and_settings(run: Run) -> None:
    text = page([run], {})
    check_whole(text)
    found = Read(text)
    frames = [item for item in found.all("div") if "data-images" in item]
    assert [item["data-images"] for item in frames] == ["64", "128", "192", "256", "320", "-1"]
    assert ["hidden" in item for item in frames] == [True, True, True, True, False, False]
    assert len(found.all("img")) == 6  # and real ones
    for words in (
        "Losses",
        "Gradient norms",
        "Discriminator's AUC",
        "Size of parameters",
        "Spread of samples",
        "5,000",
        "Ankle boot",
        "0.00",
    ):
        assert words in found.text
    lines = found.all("polyline")
    assert max(len(line["points"].split()) for line in lines) == 20
    assert ["train.sample_every", "64 overrides"] in found.rows


def test_settings_say_where_they_come_from(registry: Registry, tmp_path: Path) -> None:
    main_run = tmp_path / "run"
    with pytest.raises(SystemExit):
        main(["train", "vanilla", "--images", "64", "--batch-size", "16", "--run-dir", str(main_run)])
    rows = Read(page([Run.open(main_run)], {})).rows
    assert ["train.images", "64 command line"] in rows
    assert ["loss.name", "ganzoo/non-saturating recipe vanilla"] in rows
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(main_run), "--images", "96"])
    rows = Read(page([Run.open(main_run)], {})).rows
    assert ["train.images", "96 command line"] in rows
    assert ["loss.name", "ganzoo/non-saturating recipe vanilla"] in rows


def test_facts_of_a_data_card_are_shown(run: Run) -> None:
    def rows(card: Any) -> list[list[str]]:
        return Read(
            page([Run(run.path, {**run.record, "data": {**run.record["data"], "card": card}})], {})
        ).rows

    shown = rows([["sizes", "64 x 64", "3 % cut away"], ["duplicates", 2, ""]])
    assert ["sizes", "64 x 64; 3 % cut away"] in shown
    assert ["duplicates", "2"] in shown
    others: list[Any] = [None, 3, [1], [[]]]
    for other in others:  # of another version
        assert ["samples", "5,000"] in rows(other)


def test_text_of_a_run_never_becomes_markup(run: Run, tmp_path: Path) -> None:
    evil = '</script><script>alert("x")</script><img src=http://a.b/c onerror=alert(1)>\x1b[31m'
    run.record["recipe"] = run.record["data"]["source"] = run.record["command"][0] = evil
    run.record["device"] = run.record["versions"]["torch"] = evil
    run.record["data"]["fields"][1]["classes"] = [evil] * 10
    run.record["data"]["card"] = [[evil, evil, evil], 3]
    run.record["origins"] = {"train.images": evil}
    run.record["data"]["skipped"] = [[evil, evil]]
    run.add_note(evil, 3)
    settings = run.settings()
    settings["data"][evil] = evil
    run.write_settings(settings)
    log = run.path / "log.jsonl"
    log.write_text(
        log.read_text() + json.dumps({"images": 330, "values": {evil: 1.5}, "scores": {evil: 2}}) + "\n"
    )
    shutil.copy(run.path / "samples" / "000000000064.png", run.path / "samples" / "000000000064-<b>x&.png")
    (run.path / "samples" / "000000000064-table.csv").write_text(f'a,b\n"{evil.replace(chr(34), "")}",<u>\n')
    (run.path / "samples" / "real-text.txt").write_text(evil)
    folder = run.path.rename(tmp_path / "<i onmouseover=alert(1)>")
    odd = Run(folder, run.record)
    for text in (page([odd], {}), page([odd, odd], {evil: evil})):
        found = Read(text)
        assert len(found.all("script")) == 1
        assert {name for name, _ in found.elements} <= KNOWN
        assert not [key for _, attributes in found.elements for key in attributes if key.startswith("on")]
        assert all((item["src"] or "").startswith("data:image/") for item in found.all("img"))
        assert 'alert("x")' in found.text  # it is shown, as text
        assert "\x1b" not in text


def test_damaged_lines_and_numbers_are_left_out(run: Run) -> None:
    lines = (run.path / "log.jsonl").read_text().splitlines()
    huge = {"images": 10**400, "values": {"loss_generator": 1}}
    odd = [
        "", "{", "null", "[1]", '{"images": 1}', '{"images": 40, "values": {"loss_generator": NaN}}',
        '{"images": 41, "values": {"loss_generator": Infinity, "x": 1e308}}', json.dumps(huge),
        '{"images": 42, "seconds": "?", "images_per_second": [], "values": {"tiny": 5e-324}, "scores": [3]}',
        '{"images": -44, "values": {"early": 3}}',
        '{"images": 43, "values": {"tiny": 0}, "scores": {"fed": null, "kid": "x"}}', "[" * 5000,
    ]  # fmt: skip
    (run.path / "log.jsonl").write_text("\n".join([*odd, *lines, lines[-1][:30]]))
    (run.path / "notes.jsonl").write_text('{"text": 3}\n[]\n{"images": 1, "text": "good"}\n{"te')
    (run.path / "samples" / "000000000064.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (run.path / "samples" / "000000000128.png").write_bytes(b"")
    (run.path / "samples" / "000000000192.bin").write_bytes(b"\0\1")
    text = page([run], {})
    check_whole(text)
    found = Read(text)
    assert "good" in found.text
    assert "000000000064.png cannot be shown" in found.text
    assert not re.search(r"points=\"[^\"]*(nan|inf)", text)
    numbers = [float(x) for line in found.all("polyline") for x in re.split(r"[ ,]", line["points"])]
    assert all(0 <= x <= 420 for x in numbers)


def test_a_run_without_settings_log_or_samples_has_a_page(run: Run) -> None:
    for name in ("settings.toml", "log.jsonl"):
        (run.path / name).unlink()
    shutil.rmtree(run.path / "samples")
    text = page([run], {})
    check_whole(text)
    assert "generated" not in Read(text).text


def test_a_run_in_progress_says_so(run: Run) -> None:
    run.record["status"] = "training"
    assert "killed" in Read(page([run], {})).text  # nobody holds its lock
    from ganzoo.runs.lock import only_process

    with only_process(run.path):
        text = Read(page([run], {})).text
    assert "Still training" in text
    assert "killed" not in text


def test_a_long_run_with_large_samples_stays_below_the_limit(run: Run) -> None:
    for number in range(1, 120):
        picture(run.path / "samples" / f"{number * 1000:012d}.png", 256, number)
    picture(run.path / "samples" / "real-image.png", 1600)
    lines = [
        json.dumps({"images": n, "values": {f"value {k}": (n * 7919 * (k + 1)) % 1000 for k in range(12)}})
        for n in range(0, 30_000, 3)
    ]
    (run.path / "log.jsonl").write_text("\n".join(lines))
    text = page([run], {})
    check_whole(text)
    found = Read(text)
    shown = [int(item["data-images"]) for item in found.all("div") if "data-images" in item]
    assert len(shown) >= 10
    assert len(shown) <= FRAMES + 2
    assert shown[0] == 64
    assert shown[-2:] == [119_000, -1]  # and the real ones
    # A spike stays visible although most points are left out.
    assert max(len(line["points"].split()) for line in found.all("polyline")) <= 302


def test_the_newest_samples_are_kept_when_there_is_room_for_little(run: Run) -> None:
    for number in range(1, 30):
        picture(run.path / "samples" / f"{number * 1000:012d}.png", 300, number)
    shown = re.findall(r'data-images="(\d+)"', timelines(run, 150_000))
    assert shown[-1] == "29000"
    assert 0 < len(shown) < 10
    assert "too large for this page" in timelines(run, 500)


def test_moments_stay_the_same_while_a_run_goes_on(run: Run) -> None:
    for number in range(1, 60):
        shutil.copy(
            run.path / "samples" / "000000000064.png", run.path / "samples" / f"{number * 1000:012d}.png"
        )
    before = set(re.findall(r'data-images="(\d+)"', timelines(run, LARGEST)))
    shutil.copy(run.path / "samples" / "000000000064.png", run.path / "samples" / "000000060000.png")
    after = set(re.findall(r'data-images="(\d+)"', timelines(run, LARGEST)))
    assert before - after == {"59000"}  # it was the newest


def test_a_moving_preview_keeps_all_its_frames(run: Run) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    file = run.path / "samples" / "000000000320-clip.gif"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    import base64

    assert base64.b64encode(file.read_bytes()).decode() in timelines(run, LARGEST)


def test_sounds_get_a_player_and_tables_stay_tables(run: Run) -> None:
    (run.path / "samples" / "000000000320-sound.wav").write_bytes(b"RIFF....WAVE")
    (run.path / "samples" / "000000000320-row.csv").write_text('name,age\n"Ann, B",3\n')
    found = Read(page([run], {}))
    (audio,) = found.all("audio")
    assert audio["src"].startswith("data:audio/wav;base64,")
    assert "controls" in audio
    assert 'name,age\n"Ann, B",3' in found.words


def test_several_runs_of_different_kinds_are_compared(run: Run, registry: Registry, tmp_path: Path) -> None:
    tiny_table = {
        "train.images": 400,
        "train.batch_size": 100,
        "train.device": "cpu",
        "architecture.generator_hidden": [8],
        "architecture.discriminator_hidden": [8],
    }
    reporter = NullReporter()
    other, _ = start(resolve("ctgan", registry, overrides=tiny_table), tmp_path / "table", reporter)
    kept = [note for note in reporter.notes if not note.startswith("about ")]  # the time left is not kept
    assert [note["text"] for note in other.notes()] == kept
    log = run.path / "log.jsonl"
    log.write_text(log.read_text() + '{"images": 330, "values": {}, "scores": {"n": 10, "fed": 12.5}}\n')
    text = page([run, other], directions(registry))
    check_whole(text)
    found = Read(text)
    assert ["fed, lower is better", "12.5, best 12.5 at 330", ""] in found.rows
    assert ["status", "done", "done"] in found.rows
    rows = [row[0] for row in found.rows]
    assert rows.count("train.batch_size") == 2  # among those that differ, and among all
    assert rows.count("train.on_nan") == 1
    assert len(found.all("img")) == 6
    header = other.info.fields[0].columns[0].name
    assert any(words.startswith(f"{header},") for words in found.words)  # samples of the table
    assert "Losses: generator" in found.text
    assert "Discriminator's AUC:" not in found.text  # one line only
    assert reporter.notes[0] in found.text


def test_as_many_runs_as_a_page_takes_stay_below_the_limit(run: Run, tmp_path: Path) -> None:
    for number in range(4):
        picture(run.path / "samples" / f"{number + 1000:012d}.png", 400, number)
    for number in range(40):
        run.add_note("a long text " * 80, number)
    lines = [
        json.dumps({"images": n, "values": {f"v{k}": n % (k + 7) for k in range(12)}}) for n in range(500)
    ]
    (run.path / "log.jsonl").write_text("\n".join(lines))
    text = page([run] * MOST, {})
    check_whole(text)
    with pytest.raises(UsageError, match="at most"):
        page([run] * (MOST + 1), {})


def test_the_command_writes_beside_the_run_or_where_it_is_told(
    run: Run, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["run"], ["run", "run"], ["run", "-o", "out/page.html"]):
        with pytest.raises(SystemExit) as ended:
            main(["report", *words])
        assert ended.value.code == 0
    for path in ("run/report.html", "report.html", "out/page.html"):
        check_whole((tmp_path / path).read_text(encoding="utf-8"))
    with pytest.raises(SystemExit) as ended:
        main(["report", "nothing"])
    assert ended.value.code == 2


def test_the_timeline_of_a_run_moves(run: Run, tmp_path: Path) -> None:
    def write(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["report", *words])
        return int(str(ended.value.code))

    target = tmp_path / "timeline.gif"
    assert write(str(run.path), "--timeline", str(target)) == 0
    with Image.open(target) as image:
        assert image.n_frames == 5
        image.seek(4)
        assert image.info["duration"] > 1000  # the last one stays
    assert not (run.path / "report.html").exists()
    assert write(str(run.path), str(run.path), "--timeline", str(target)) == 2
    shutil.rmtree(run.path / "samples")
    assert write(str(run.path), "--timeline", str(target)) == 2


def test_training_keeps_the_page_fresh(tmp_path: Path, monkeypatch: Any) -> None:
    states = []

    def seen(runs: list[Run], output: Path, better: dict[str, str]) -> None:
        write_page(runs, output, better)
        states.append((runs[0].record["status"], output.read_text().count('data-images="') - 1))

    monkeypatch.setattr("ganzoo.report.page.write_page", seen)
    words = ["train", "vanilla", "--images", "320", "--batch-size", "16", "--set", "train.sample_every=64"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--report", "--run-dir", str(tmp_path / "run")])
    assert ended.value.code == 0
    assert states == [*(("training", count) for count in (0, 1, 2, 3, 4, 5)), ("done", 5)]


def test_a_report_that_fails_does_not_end_a_run(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no page today")

    monkeypatch.setattr("ganzoo.report.page.write_page", broken)
    with pytest.raises(SystemExit) as ended:
        main(["train", "vanilla", "--images", "64", "--report", "--run-dir", str(tmp_path / "run")])
    assert ended.value.code == 0
    assert capsys.readouterr().err.count("no page today") == 1
