"""Use an installed ganzoo as a user would, from a folder that is not the checkout.

Run by tox in the environment that holds the built wheel and nothing of the source tree.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def ganzoo(*arguments: str) -> str:
    """Run the installed command and return what it printed."""
    command = str(Path(sys.executable).with_name("ganzoo"))
    print("$ ganzoo", *arguments, flush=True)
    return subprocess.run([command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """List, train, export and sample each built-in family for a few images."""
    import ganzoo as package

    assert "site-packages" in str(package.__file__), package.__file__
    listing = json.loads(ganzoo("list", "--json"))
    assert not listing["not_loaded"], listing["not_loaded"]
    assert {item["dist"] for item in listing["items"]} == {"ganzoo"}
    ganzoo("doctor")
    for recipe in ("wgan-gp", "cgan"):
        lines = ganzoo(
            "train", recipe, "--images", "640", "--run-dir", f"run-{recipe}", "--json"
        ).splitlines()
        done = json.loads(lines[-1])
        assert done["event"] == "done", done
        exported = json.loads(ganzoo("export", done["run"], "--json").splitlines()[-1])
        assert exported["parity"]["max_abs"] < 1e-4, exported
        ganzoo("generate", exported["bundle"], "-n", "16", "--seed", "1", "-o", f"{recipe}.png")
        words = ("--n", "100", "--metric", "frechet", "--no-reference", "-o", f"scores-{recipe}")
        assert json.loads(ganzoo("evaluate", exported["bundle"], *words, "--json"))["scores"]["fed"] > 0
        assert Path(f"{recipe}.png").stat().st_size > 1000
    print("the installed package works outside the checkout")


main()
