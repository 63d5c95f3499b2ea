"""What tests of evaluation share: a few labelled images as data, and the command in this process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ganzoo.cli import main
from ganzoo_datasets import fashion
from tests.plugins.test_datasets import write_idx


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found


def ganzoo(*arguments: str | Path) -> Said:
    """`ganzoo ARGUMENTS` without a process of its own: importing torch again would take seconds."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return Said(end.value.code, out.getvalue(), err.getvalue())


def few_images(folder: Path, *, train: int = 300, test: int = 250) -> str:
    """Images of Fashion-MNIST as IDX files, with labels and a held-out part; what `--data` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = (("train", train, fashion.open_fashion_5k()), ("t10k", test, fashion.open_held_out()))
    for name, count, source in parts:
        write_idx(folder / f"{name}-images-idx3-ubyte", source.arrays["image"][:count, 0])
        write_idx(folder / f"{name}-labels-idx1-ubyte", source.arrays["label"][:count])
    return f"idx:{folder}"
