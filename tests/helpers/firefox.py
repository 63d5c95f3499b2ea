"""A headless Firefox that tests drive through its Marionette protocol: no other package is needed."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

_PREFERENCES = (
    ("marionette.port", 0),  # any free port, which it writes into the profile
    ("browser.shell.checkDefaultBrowser", False),
    ("datareporting.policy.dataSubmissionEnabled", False),
    ("app.update.auto", False),
    ("network.captive-portal-service.enabled", False),
    ("network.connectivity-service.enabled", False),
)
# Not what the browser itself says.
_SAID = """
    return Services.console.getMessageArray()
      .filter((found) => found instanceof Ci.nsIScriptError && /^(file|https?|blob):/.test(found.sourceName))
      .map((found) => found.message);
"""


class Firefox:
    """One tab."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._count = 0
        self._read()  # its greeting
        self.call("WebDriver:NewSession", acceptInsecureCerts=False)
        self.call("WebDriver:SetTimeouts", script=60_000, pageLoad=60_000)

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command."""
        self._count += 1
        data = json.dumps([0, self._count, method, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(data), data))
        self._stream.flush()
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def _read(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            byte = self._stream.read(1)
            assert byte, "the browser has ended"
            size += byte
        return json.loads(self._stream.read(int(size[:-1])))

    def open(self, address: str, width: int = 1200, height: int = 1000) -> None:
        """Load a page in a window of that size."""
        self.call("WebDriver:SetWindowRect", width=width, height=height)
        self._browser("Services.console.reset()")
        self.call("WebDriver:Navigate", url=address)

    def value(self, expression: str) -> Any:
        """The JSON value of an expression, or of its promise."""
        return self.call("WebDriver:ExecuteScript", script=f"return {expression.strip()}", args=[])["value"]

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.value(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{expression} did not come: {self.errors}")

    @property
    def errors(self) -> list[str]:
        """Errors and warnings in the console of the page."""
        last = f"the last message, {self._count}"  # messages arrive in order, but some time later
        self.value(f"setTimeout(() => {{ throw new Error({last!r}); }})")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found: list[str] = self._browser(_SAID)
            if any(last in text for text in found):
                return [text for text in found if "the last message, " not in text]
        raise AssertionError("the console stands still")

    def _browser(self, script: str) -> Any:
        """The value of a script that runs with the browser's rights."""
        self.call("Marionette:SetContext", value="chrome")
        found = self.call("WebDriver:ExecuteScript", script=script, args=[])["value"]
        self.call("Marionette:SetContext", value="content")
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses that the page asked for."""
        found: list[str] = self.value("performance.getEntries().map((entry) => entry.name)")
        return [name for name in found if ":" in name]

    def picture(self, file: Path) -> None:
        """Save the whole page as a PNG."""
        file.write_bytes(base64.b64decode(self.call("WebDriver:TakeScreenshot", full=True)["value"]))


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A browser with its profile in a folder."""
    assert FIREFOX
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES]
    (folder / "user.js").write_text("\n".join(lines))
    process = subprocess.Popen(
        [FIREFOX, "--headless", "--marionette", "--remote-allow-system-access", "--profile", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    try:
        with socket.create_connection(("127.0.0.1", _port(folder)), 60) as connection:
            yield Firefox(connection)
    finally:
        process.terminate()
        process.wait(20)


def _port(folder: Path) -> int:
    file, end = folder / "MarionetteActivePort", time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end, "Firefox did not start"
        time.sleep(0.05)
    return int(file.read_text())
