"""Runs exported generators in other programs' runtimes and writes docs/results/runtimes.md.

    python -m benchmarks.runtimes --work FOLDER                        # everything, then the page
    python -m benchmarks.runtimes --work FOLDER --runtime mnn          # one; the others keep their columns
    python -m benchmarks.runtimes --page-only

FOLDER gets an environment for each runtime (pip, npm: about 4 GB) and the graphs: the bundles of exported/
and an untrained export of each architecture with its default options for the smallest data that it takes,
pictures of 32x32 where it takes them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.tools.update_model_dims import update_inputs_outputs_dims

from benchmarks.machine import commit, describe, versions
from benchmarks.records import as_lines
from ganzoo import runtime
from ganzoo.api.specs import ArchitectureSpec
from ganzoo.exporting.export import export_generators
from ganzoo.exporting.form import Form
from ganzoo.exporting.onnx_graph import example_inputs
from ganzoo.fields import DataInfo
from ganzoo.registry.registry import Item, Registry, load_registry
from ganzoo.testing.synthetic import SYNTHETIC, candidates
from ganzoo.testing.targets import ArchitectureTarget

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "runtimes.json"
PAGE = ROOT / "docs" / "results" / "runtimes.md"
RUNNERS = ROOT / "benchmarks" / "runtime_runners.py"
WEB = ROOT / "benchmarks" / "runtime_web.mjs"
SAMPLES = 4
SECONDS = 240  # for one case, with its conversion
LARGEST = 1e-3  # a larger difference, of the output's scale, is a failure
CLASSES = tuple("0123456789")
FREE, FIXED = "free", "fixed"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A program that runs graphs: packages of its environment, and the runner; `fixed` needs a batch of 1."""

    packages: tuple[str, ...]
    runner: str
    shown: str
    fixed: bool = False


RUNTIMES: Mapping[str, Runtime] = {
    "onnxruntime-old": Runtime(
        packages=("onnxruntime==1.16.3", "numpy<2"), runner="onnxruntime", shown="onnxruntime"
    ),
    "onnxruntime-new": Runtime(packages=("onnxruntime", "numpy"), runner="onnxruntime", shown="onnxruntime"),
    "onnxruntime-web": Runtime(packages=("onnxruntime-web",), runner="web", shown="onnxruntime-web"),
    "openvino": Runtime(packages=("openvino", "numpy"), runner="openvino", shown="openvino"),
    "opencv": Runtime(
        packages=("opencv-python-headless", "numpy"), runner="opencv", shown="opencv-python-headless"
    ),
    "tract": Runtime(packages=("tract", "numpy"), runner="tract", shown="tract"),
    "mnn": Runtime(packages=("MNN", "numpy"), runner="mnn", shown="MNN"),
    "ncnn": Runtime(packages=("ncnn", "pnnx", "numpy"), runner="ncnn", shown="ncnn", fixed=True),
    "tflite": Runtime(
        packages=(
            "onnx2tf", "tensorflow", "tf_keras", "onnx", "onnxruntime", "onnx-graphsurgeon", "onnxsim",
            "sng4onnx", "psutil", "ai-edge-litert",
        ),
        runner="tflite",
        shown="onnx2tf",
        fixed=True,
    ),
}  # fmt: skip


NOTES = """\
- **MNN** gives other values for `conv-3d` without an error: compare before use. Its converter ends at the
  LSTM and GRU of `doppelganger` and `rcgan`. The differences of ResNets are just above the limit.
- **ncnn** gives other values for `hifi-gan` and `pggan` without an error. It lacks ArgMax, comparisons and
  the recurrent layers of the others that fail; `quantgan` and `stylegan3` end it. Embeddings work since
  exports leave the default axis of Gather out, by which pnnx knows them; `exported cgan` is older. pnnx
  took over 11 GB of memory for `rrdb` and was stopped.
- **TFLite**: onnx2tf takes about 35 s of processor time for a graph, and its images have channels at the end.
- **tract** reads neither `text-lstm` nor `layered-motion`; **OpenCV** does not read `text-lstm` and ends at
  `vocos`, MNN ends at `stylegan3`.
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of environments, graphs and results")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="only this one (repeatable)")
    parser.add_argument("--missing", action="store_true", help="only graphs without a result of that version")
    parser.add_argument(
        "--page-only", action="store_true", help="write the page from benchmarks/runtimes.json"
    )
    given = parser.parse_args()
    records = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
    if not given.page_only:
        if given.work is None:
            parser.error("--work FOLDER, or --page-only")
        work = given.work.absolute()
        cases = made_cases(work / "cases")
        for name in given.runtime or RUNTIMES:
            for record in measured(name, cases, work, records.get(name, {}) if given.missing else {}):
                records[name] = record
                RECORDS.write_text(as_lines(records), encoding="utf-8")
    PAGE.write_text(page(records), encoding="utf-8")


# --- the graphs ---------------------------------------------------------------------------------------


def made_cases(folder: Path) -> list[Path]:
    """A folder for each graph: free.onnx, fixed.onnx (a batch of 1, no free axes), inputs and outputs."""
    graphs = {
        f"exported {path.name}": (path, path)
        for path in sorted((ROOT / "exported").iterdir())
        if path.is_dir()
    }
    registry = load_registry()
    registry = Registry([*registry.plugins, SYNTHETIC])
    for item in registry.of_kind(ArchitectureSpec):
        if item.plugin.dist == "ganzoo":
            graphs[item.name] = exports(item, registry, folder / "exports" / item.name)
    cases = []
    for name, (free, fixed) in graphs.items():
        for file in sorted(free.glob("*.onnx")):
            title = name if file.stem == "generator" else f"{name} {file.stem}"
            cases.append(case(folder / title.replace(" ", "-"), title, file, fixed / file.name))
    return cases


def exports(item: Item[ArchitectureSpec], registry: Registry, folder: Path) -> tuple[Path, Path]:
    """Bundles of new networks: with any batch, and with a batch of 1."""
    found = folder / FREE, folder / FIXED
    if not all((path / "bundle.json").exists() for path in found):
        target = ArchitectureTarget(item, registry, list(_pictures(item.spec.needs)))
        networks = target.networks()
        for path, form in zip(found, (Form(), Form(batch=1)), strict=True):
            print(f"exporting {item.name} ({path.name})", flush=True)
            export_generators(networks, target.info, path, about={"recipe": item.name}, form=form)
    return found


def _pictures(needs: Sequence[str]) -> Iterator[DataInfo]:
    """Data of pictures of 32x32 in colour, which is tried before smaller data. Ten classes: pnnx tries 7."""
    for info in candidates(needs):
        if info.fields[0].shape == (3, 32, 32):
            fields = [replace(item, classes=CLASSES) if item.classes else item for item in info.fields]
            yield replace(info, fields=tuple(fields))


def case(folder: Path, title: str, free: Path, fixed: Path) -> Path:
    """The files of a case; what is there stays."""
    if not (folder / "case.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        generator = runtime.load(free, provider="cpu")
        inputs = example_inputs(generator.inputs, SAMPLES)
        session = onnxruntime.InferenceSession(free, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, inputs), strict=True))
        shutil.copy(free, folder / f"{FREE}.onnx")
        model = onnx.load(fixed)
        update_inputs_outputs_dims(
            model,
            {name: [1, *value.shape[1:]] for name, value in inputs.items()},
            {name: [1, *value.shape[1:]] for name, value in outputs.items()},
        )
        onnx.save(model, folder / f"{FIXED}.onnx")
        np.savez(folder / "inputs.npz", allow_pickle=False, **inputs)
        np.savez(folder / "outputs.npz", allow_pickle=False, **outputs)
        (folder / "case.json").write_text(json.dumps({"title": title}))
    return folder


# --- the runtimes -------------------------------------------------------------------------------------


def measured(
    name: str, cases: Sequence[Path], work: Path, kept: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Version, date, commit, and the results in a runtime so far, after each case.

    Results of the same version in the record `kept` are not measured again.
    """
    place = environment(name, work / "environments" / name)
    version, now = version_of(name, place), commit()
    same = kept.get("version") == version
    results: dict[str, Any] = dict(kept["results"]) if same else {}
    record = {
        "version": version,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": now if not same or kept["commit"] == now else f"{kept['commit']}, {now}",
        "machine": describe(),
        "versions": versions(),
        "results": results,
    }
    for folder in cases:
        title = json.loads((folder / "case.json").read_text())["title"]
        if title in results:
            continue
        tries = [FIXED] if RUNTIMES[name].fixed else [FREE, FIXED]
        for which in tries:
            results[title] = {**tried(name, place, folder, which, work / "tries"), "batch": which}
            if "difference" in results[title]:
                break
        print(name, title, results[title], flush=True)
        yield record


def environment(name: str, folder: Path) -> Path:
    """The environment of a runtime, with its packages."""
    if not (folder / "complete").exists():
        print(f"environment of {name}", flush=True)
        if RUNTIMES[name].runner == "web":
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                ["npm", "install", "--prefix", ".", *RUNTIMES[name].packages], cwd=folder, check=True
            )
        else:
            venv.create(folder, with_pip=True, clear=True)
            pip = folder / "bin" / "pip"
            subprocess.run([pip, "install", "--quiet", *RUNTIMES[name].packages], check=True)
        (folder / "complete").touch()
    return folder


def version_of(name: str, place: Path) -> str:
    """The version of the package that the page names."""
    package = RUNTIMES[name].shown
    if RUNTIMES[name].runner == "web":
        return str(json.loads((place / "node_modules" / package / "package.json").read_text())["version"])
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([place / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tried(name: str, place: Path, folder: Path, which: str, work: Path) -> dict[str, Any]:
    """The largest difference, of the output's scale, or the message of a failure. Works on copies."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for file in (f"{which}.onnx", "inputs.npz", "outputs.npz"):
        shutil.copy(folder / file, work / file)
    found = (_in_node if RUNTIMES[name].runner == "web" else _in_python)(name, place, work, which)
    if isinstance(found, str):
        return {"message": _plain(found)}
    with np.load(folder / "outputs.npz") as file:
        wanted = {key: file[key] for key in file.files}
    worst = max(
        float(np.abs(found[key] - value).max() / max(1.0, np.abs(value).max()))
        for key, value in wanted.items()
    )
    if not worst <= LARGEST:  # also for values that are not finite
        return {"message": f"other values: {worst:.2g} of the scale"}
    return {"difference": worst}


def _in_python(name: str, place: Path, work: Path, which: str) -> dict[str, Any] | str:
    words = [
        place / "bin" / "python",
        RUNNERS,
        RUNTIMES[name].runner,
        *(work / file for file in (f"{which}.onnx", "inputs.npz", "outputs.npz")),
    ]
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    message = _run(words, work, {"PATH": path, "HOME": str(work), "TF_CPP_MIN_LOG_LEVEL": "3"})
    if message:
        return message
    with np.load(work / "outputs.npz") as file:
        return {key: file[key] for key in file.files}


def _in_node(name: str, place: Path, work: Path, which: str) -> dict[str, Any] | str:
    """As `_in_python`, with files of plain values; one call for each part."""
    with np.load(work / "inputs.npz") as given, np.load(work / "outputs.npz") as wanted:
        inputs = {key: given[key] for key in given.files}
        shapes = {key: wanted[key].shape for key in wanted.files}
    size = 1 if which == FIXED else SAMPLES
    parts: dict[str, list[Any]] = {key: [] for key in shapes}
    for start in range(0, SAMPLES, size):
        description: dict[str, Any] = {"inputs": {}, "outputs": {}}
        for at, (key, value) in enumerate(inputs.items()):
            part = np.ascontiguousarray(value[start : start + size])
            part.tofile(work / f"in{at}")
            description["inputs"][key] = [str(part.dtype), list(part.shape), str(work / f"in{at}")]
        description["outputs"] = {key: str(work / f"out{at}") for at, key in enumerate(shapes)}
        (work / "case.json").write_text(json.dumps(description))
        message = _run(["node", WEB, work / f"{which}.onnx", work / "case.json"], place, {})
        if message:
            return message
        for at, (key, shape) in enumerate(shapes.items()):
            parts[key].append(np.fromfile(work / f"out{at}", np.float32).reshape(size, *shape[1:]))
    return {key: np.concatenate(values) for key, values in parts.items()}


def _run(words: Sequence[Any], folder: Path, more: Mapping[str, str]) -> str:
    """Run a command with one thread; the last line that it wrote when it fails, empty when it does not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True,
            errors="replace", timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return (
        f"ended by signal {-done.returncode}" if done.returncode < 0 else lines[-1] if lines else "no message"
    )


# --- the page -----------------------------------------------------------------------------------------


def page(records: Mapping[str, Any]) -> str:
    """The table, and the messages of what failed."""
    names = [name for name in RUNTIMES if name in records]
    titles = list(dict.fromkeys(title for name in names for title in records[name]["results"]))
    heads = [f"{RUNTIMES[name].shown} {records[name]['version']}" for name in names]
    lines = [
        "# Runtimes",
        "",
        "`python -m benchmarks.runtimes` writes this page; do not edit it. It runs exported generators in",
        "other runtimes, each in an environment of its own, with 4 samples and one thread.",
        "",
        f"A number is the largest difference to onnxruntime {onnxruntime.__version__}, of the output's scale",
        f"(the largest absolute value, at least 1); a case works up to {LARGEST:g}. With *1* it works only",
        "with a fixed batch of 1, as `ganzoo export --batch 1` writes it, and fixed sizes of free axes. ncnn",
        "and TFLite always get that: their converters want it. `exported ...` are the trained bundles of the",
        "repository. Others are untrained, with default options, for the smallest data that they take, or",
        "pictures of 32x32. An empty cell was not measured.",
        "",
        *_not_measured(records, titles),
        f"| generator | {' | '.join(heads)} |",
        f"|---|{'---|' * len(names)}",
    ]
    lines += [
        f"| {title} | {' | '.join(_cell(records[name]['results'].get(title)) for name in names)} |"
        for title in titles
    ]
    counts = [sum("difference" in result for result in records[name]["results"].values()) for name in names]
    totals = [
        f"{count} of {len(records[name]['results'])}" for count, name in zip(counts, names, strict=True)
    ]
    lines += [f"| **works** | {' | '.join(totals)} |", "", "## What fails, and how it says so", ""]
    for name, head in zip(names, heads, strict=True):
        failed: dict[str, list[str]] = {}
        for title, result in records[name]["results"].items():
            if "message" in result:
                failed.setdefault(result["message"], []).append(title)
        if failed:
            lines += [f"**{head}**", ""]
            lines += [f"- {', '.join(of)}: `{message}`" for message, of in failed.items()]
            lines += [""]
    lines += ["## What to know", "", NOTES, "## Measured", ""]
    lines += [
        f"- {head}: {records[name]['date']}, commit {records[name]['commit']}, {records[name]['versions']}, "
        f"{records[name]['machine']}"
        for name, head in zip(names, heads, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _not_measured(records: Mapping[str, Any], titles: Sequence[str]) -> list[str]:
    """A line that names runtimes and architectures without figures, or nothing."""
    known = {title.split()[0] for title in titles}
    missing = [f"`{name}`" for name in RUNTIMES if name not in records]
    missing += [
        item.name
        for item in load_registry().of_kind(ArchitectureSpec)
        if item.plugin.dist == "ganzoo" and item.name not in known
    ]
    return [f"Not measured yet: {', '.join(missing)}.", ""] if missing else []


def _cell(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    if "difference" not in result:
        return "fails"
    alone = " *1*" if result["batch"] == FIXED else ""
    return f"{result['difference']:.0e}{alone}" if result["difference"] else f"0{alone}"


def _plain(message: str) -> str:
    """A message in one short line, without paths of this machine."""
    words = ["..." if word.count("/") > 1 else word for word in message.replace("`", "'").split()]
    return " ".join(words)[:300]


if __name__ == "__main__":
    main()
