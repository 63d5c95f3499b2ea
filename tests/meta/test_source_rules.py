"""What the source may not contain: ways for data to run code, heavy imports where bundles are served."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("ganzoo", "plugins")

PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert found
    return found


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute; `.c` where it hangs on something else, such as a call."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return []


def problems(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that could run code out of data."""
    for node in ast.walk(tree):
        for name in imported(node):
            if PICKLES & set(name.split(".")) or name in ("torch.load", "numpy.load"):
                yield node.lineno, name
        if isinstance(node, ast.Attribute) and (PICKLES & {node.attr} or dotted(node) == "torch.load"):
            yield node.lineno, dotted(node)
        if not isinstance(node, ast.Call):
            continue
        name, words = dotted(node.func), {word.arg: word.value for word in node.keywords}
        if name in ("eval", "exec", "builtins.eval", "builtins.exec", "__import__"):
            yield node.lineno, name
        pickled = words.get("allow_pickle")
        if pickled is not None and not (isinstance(pickled, ast.Constant) and pickled.value is False):
            yield node.lineno, f"{name} with allow_pickle"
        if name in ("np.load", "numpy.load") and (len(node.args) > 2 or None in words):
            yield node.lineno, f"{name} with arguments that are hard to see"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "from torch import load",
        "import torch\nread = torch.load",
        "torch.load(path, weights_only=True)",
        "eval('1')",
        "exec(text)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "np.load(path, None, True)",
        "np.load(path, **options)",
        "torch.serialization.pickle.loads(data)",
    ],
)
def test_the_search_finds_what_it_is_for(code: str) -> None:
    assert list(problems(ast.parse(code)))


@pytest.mark.parametrize("code", ["np.load(path, allow_pickle=False)", "build().eval()", "np.load(path)"])
def test_the_search_leaves_harmless_code_alone(code: str) -> None:
    assert not list(problems(ast.parse(code)))


def test_nothing_can_run_code_out_of_data() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(*SHIPPED)
        for line, name in problems(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found


@pytest.mark.parametrize(
    "module",
    [
        "ganzoo",
        "ganzoo.runtime",
        "ganzoo.runtime.onnx_file",
        "ganzoo.sampling",
        "ganzoo.images",
        "ganzoo.api",
    ],
)
def test_the_runtime_needs_neither_torch_nor_onnx(module: str) -> None:
    code = (
        f"import sys\nimport {module}\n"
        "heavy = {'torch', 'onnx', 'onnxscript', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
