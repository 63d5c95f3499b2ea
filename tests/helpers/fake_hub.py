"""A server on this machine that speaks the part of the Hugging Face Hub's API that ganzoo uses."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """Repositories by name: commits by hash, each with its files. `lie` replaces downloads.

    `breaks_off` and `endless` name files that end too early or never; `status` is the answer to any write.
    """

    endpoint: str = ""
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    lie: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    breaks_at: str = ""
    breaks_off: str = ""
    endless: str = ""
    sent: int = 0
    status: int = 0
    refuses_card: bool = False

    def add(self, repository: str, files: dict[str, bytes]) -> str:
        """Commit all files of the repository; returns the hash."""
        seen = self.commits.setdefault(repository, {})
        commit = hashlib.sha1(f"{repository}{len(seen)}".encode(), usedforsecurity=False).hexdigest()
        seen[commit] = files
        return commit

    def find(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision, and its files; `main` is the newest."""
        commits = self.commits.get(repository, {})
        commit = list(commits)[-1] if revision == "main" and commits else revision
        return (commit, commits[commit]) if commit in commits else None


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value: Any) -> None:
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def parts(self) -> list[str]:
        return unquote(urlsplit(self.path).path).strip("/").split("/")

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_PUT(self) -> None:
        self.hub.stored[self.parts()[-1]] = self.body()
        self.answer(200)

    def do_POST(self) -> None:
        self.hub.tokens.append(self.headers.get("Authorization") or "")
        parts, body = self.parts(), self.body()
        if self.hub.status and parts[-1] != "validate-yaml":
            self.answer(self.hub.status)
        elif parts[-1] == "validate-yaml":
            if self.hub.refuses_card:
                self.answer(400, b'"license" must be one of')
            else:
                self.answer_json({"errors": [], "warnings": []})
        elif parts[-1] == "create":
            self.answer_json({"url": f"{self.hub.endpoint}/someone/faces", "name": "someone/faces"})
        elif "preupload" in parts:
            self.answer_json({"files": [_mode(file["path"]) for file in json.loads(body)["files"]]})
        elif parts[-1] == "batch":
            self.answer_json(
                {"transfer": "basic", "objects": [self.upload(o) for o in json.loads(body)["objects"]]}
            )
        elif self.hub.breaks_at == "commit":
            self.answer(503)
        else:
            lines = [json.loads(line) for line in body.splitlines()]
            commit = self.hub.add("/".join(parts[2:4]), dict(filter(None, map(self.committed, lines))))
            self.answer_json(
                {"commitUrl": f"{self.hub.endpoint}/someone/faces/commit/{commit}", "commitOid": commit}
            )

    def upload(self, item: dict[str, Any]) -> dict[str, Any]:
        return item | {"actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{item['oid']}"}}}

    def committed(self, line: dict[str, Any]) -> tuple[str, bytes] | None:
        value = line["value"]
        if line["key"] == "file":
            return value["path"], base64.b64decode(value["content"])
        return (value["path"], self.hub.stored[value["oid"]]) if line["key"] == "lfsFile" else None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.parts()
        if parts[0] == "api":
            found = self.hub.find("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
            if found is None:
                known = "/".join(parts[2:4]) in self.hub.commits
                self.answer(404, X_Error_Code="RevisionNotFound" if known else "RepoNotFound")
                return
            commit, files = found
            siblings = [self.sibling(name, data) for name, data in files.items()]
            self.answer_json({"id": "/".join(parts[2:4]), "sha": commit, "siblings": siblings})
            return
        found = self.hub.find("/".join(parts[:2]), parts[3])
        assert found is not None
        if self.hub.breaks_at == parts[4]:
            self.answer(503)
            return
        data = self.hub.lie.get(parts[4], found[1][parts[4]])
        if parts[4] in (self.hub.breaks_off, self.hub.endless):
            self.send_bad(data, endless=parts[4] == self.hub.endless)
            return
        self.answer(200, data, X_Repo_Commit=found[0], ETag=f'"{hashlib.sha256(data).hexdigest()}"')

    def send_bad(self, data: bytes, *, endless: bool) -> None:
        self.send_response(200)
        if not endless:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError):
            self.wfile.write(data[:-1])
            while endless:
                self.hub.sent += self.wfile.write(bytes(2**20))

    def sibling(self, name: str, data: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        entry: dict[str, Any] = {
            "rfilename": name,
            "size": self.hub.sizes.get(name, len(data)),
            "blobId": blob,
        }
        if name.endswith(".onnx"):
            digest = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
        return entry


def _mode(path: str) -> dict[str, Any]:
    return {"path": path, "uploadMode": "lfs" if path.endswith(".onnx") else "regular", "shouldIgnore": False}


@contextmanager
def serving() -> Iterator[Hub]:
    """The server, on a free port, until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
