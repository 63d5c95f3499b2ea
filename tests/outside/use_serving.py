"""Sample the exported files with the serving distribution, which has neither torch nor onnx.

Run by tox: `use_serving.py FOLDER_OF_BUNDLES`, in an environment with ganzoo-serving and nothing else.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

MOST_MEGABYTES = 350


def ganzoo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    command = str(Path(sys.executable).with_name("ganzoo"))
    print("$ ganzoo", *arguments, flush=True)
    return subprocess.run([command, *arguments], capture_output=True, text=True)


def main(bundles: Path) -> None:
    """Each bundle by the command and from Python; what is left out; the size of the environment."""
    for name in ("torch", "onnx", "scipy", "pydantic"):
        assert importlib.util.find_spec(name) is None, name
    import ganzoo as package

    for bundle in sorted(path.parent for path in bundles.glob("*/bundle.json")):
        picture = Path(f"{bundle.name}.png")
        done = ganzoo("generate", str(bundle), "-n", "16", "-o", str(picture))
        assert done.returncode == 0, done.stderr
        assert picture.stat().st_size > 1000
        assert package.load(bundle, threads=1).images(2).shape[0] == 2
    assert "torch" not in sys.modules
    refused = ganzoo("train", "cgan")
    assert refused.returncode == 1
    assert "ganzoo-serving leaves out" in refused.stderr, refused.stderr
    files = (Path(dist.locate_file(file)) for dist in distributions() for file in dist.files or ())
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    print(f"{size:.0f} MB installed")
    assert size < MOST_MEGABYTES


main(Path(sys.argv[1]))
