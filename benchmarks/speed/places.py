"""What every contender is told by the conductor: where the peers lie, and on what to compute."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

VARIABLE = "GANZOO_BENCHMARK"


@dataclass(frozen=True)
class Checkout:
    """A peer's files: a checkout, or a folder that its package was unpacked or installed into."""

    path: str
    version: str = ""


@dataclass(frozen=True)
class Places:
    """`packages` are folders with what peers import and this environment lacks."""

    peers: Mapping[str, Checkout] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 1

    def to_environment(self) -> dict[str, str]:
        """The environment variable that `from_environment` reads."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Places:
        """What the conductor told this process."""
        raw = json.loads(os.environ.get(VARIABLE, "{}"))
        peers = {name: Checkout(**value) for name, value in raw.pop("peers", {}).items()}
        return cls(peers=peers, packages=tuple(raw.pop("packages", ())), **raw)

    def path(self, peer: str) -> Path:
        """Where that peer lies."""
        return Path(self.peers[peer].path)

    def make_importable(self, peer: str) -> None:
        """Let this process import the peer's packages, after all that the environment has itself."""
        for folder in (self.peers[peer].path, *self.packages):
            if folder not in sys.path:
                sys.path.append(folder)
