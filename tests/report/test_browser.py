"""The page in a browser: its script works under its policy, nothing is fetched, a phone can show it."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from ganzoo.config.plan import Plan
from ganzoo.report.page import write_page
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import start

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Browser:
    """A page in Chromium, controlled through its debugging pipe."""

    def __init__(self, reads: BinaryIO, writes: BinaryIO) -> None:
        self._reads, self._writes = reads, writes
        self._number, self._session = 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{part}.enable")

    def call(self, method: str, **options: Any) -> dict[str, Any]:
        self._number += 1
        about = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": options, **about}
        self._writes.write(json.dumps(message).encode() + b"\0")
        self._writes.flush()
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path: Path) -> None:
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, code: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def pixels(self) -> Image.Image:
        data = self.call("Page.captureScreenshot")["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def _read(self) -> dict[str, Any]:
        text = b""
        while not text.endswith(b"\0"):
            text += self._reads.read(1)
        return json.loads(text[:-1])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    (from_us, to_us), (from_it, to_it) = os.pipe(), os.pipe()
    words = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    script = f'exec "$@" 3<&{from_us} 4>&{to_it}'  # where Chromium reads and writes
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *words], pass_fds=(from_us, to_it), stderr=subprocess.DEVNULL
    )
    os.close(from_us)
    os.close(to_it)
    with os.fdopen(from_it, "rb") as reads, os.fdopen(to_us, "wb") as writes:
        try:
            yield Browser(reads, writes)
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_the_page_works_in_a_browser(tiny: Callable[..., Plan], tmp_path: Path) -> None:
    plan = tiny("dcgan", **{"train.images": 320, "train.sample_every": 64})
    run, _ = start(plan, tmp_path / "run", NullReporter())
    page, other = tmp_path / "page.html", tmp_path / "two.html"
    write_page([run], page, {})
    write_page([run, run], other, {})
    with browser(tmp_path / "profile") as chromium:
        chromium.open(page)
        frame = "f.querySelector('div:not([hidden])').dataset.images"
        shown = f"[...document.querySelectorAll('.samples figure')].map(f => {frame})"
        assert chromium.run(shown) == ["320", "-1"]
        chromium.run(
            "const r = document.querySelector('input'); r.value = 1; r.dispatchEvent(new Event('input'))"
        )
        assert chromium.run(shown) == ["128", "-1"]
        assert chromium.run("document.querySelector('output').textContent") == "after 128 images"
        assert chromium.run("[...document.images].every(image => image.complete && image.naturalWidth > 50)")

        # The arrow keys read the values of a chart.
        chromium.run("const s = document.querySelector('.chart svg'), f = s.parentElement; s.focus()")
        before = chromium.run("f.querySelector('ul').textContent")
        for _ in range(3):
            chromium.run("s.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))")
        logged = {line["images"]: line["values"]["loss_discriminator"] for line in run.log()}
        images = int(chromium.run("f.querySelector('li').textContent").split()[1])
        value = float(chromium.run("f.querySelector('b').textContent"))
        nearest = min(logged, key=lambda known: abs(known - images))
        assert nearest < 320
        assert value == pytest.approx(logged[nearest], abs=0.01 * max(map(abs, logged.values())))
        chromium.run("s.blur()")
        assert chromium.run("f.querySelector('ul').textContent") == before

        for path in (page, other):
            chromium.events.clear()
            chromium.call(
                "Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True
            )
            chromium.open(path)
            assert chromium.run("document.documentElement.scrollWidth") <= 390
            for theme, dark in (("light", False), ("dark", True)):
                chromium.call(
                    "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}]
                )
                corner = chromium.pixels().getpixel((2, 2))
                assert (max(corner) < 60) == dark
                assert (min(corner) > 200) != dark
            urls = [
                event["params"]["request"]["url"]
                for event in chromium.events
                if event["method"] == "Network.requestWillBeSent"
            ]
            assert [url for url in urls if not url.startswith("data:")] == [path.as_uri()]
            problems = [
                event
                for event in chromium.events
                if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
            ]
            assert not problems
