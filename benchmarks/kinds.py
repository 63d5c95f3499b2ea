"""Measures the toys of tests/helpers/toys.py and writes docs/results/kinds.md from benchmarks/kinds.json.

    python -m benchmarks.kinds --work FOLDER                # all toys, then the page
    python -m benchmarks.kinds --work FOLDER --toy sound    # one toy; the others keep their rows
    python -m benchmarks.kinds --page-only

Everything goes through the command line, with one thread. A run that is complete in FOLDER is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

import ganzoo
from benchmarks.kinds_learned import MEASURES
from benchmarks.machine import commit, describe, load, versions
from benchmarks.records import as_lines
from ganzoo.api import as_floats
from tests.helpers.toys import KINDS, OTHERS, Toy, arguments, write_site

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "kinds.json"
SEEN = ROOT / "benchmarks" / "kinds_seen.md"
PAGE = ROOT / "docs" / "results" / "kinds.md"
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from ganzoo.cli import main; main()"
SHORT = 2_048  # images of the runs that are compared bit for bit, and of the toys without a length
SAMPLES = 200
TITLES = {
    "clips": "clips: 3-D convolutions",
    "image": "images: 2-D convolutions",
    "series": "series: GRU",
    "sound": "sound: 1-D convolutions",
    "tokens": "texts: GRU, Gumbel softmax",
    "BiGAN": "BiGAN: a pair of generator and encoder",
    "f-AnoGAN": "f-AnoGAN: encoder, generator and score as one graph",
    "super-resolver": "super-resolver: 4 times as large",
    "regression": "labels, marks and a number as conditions",
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of packages, runs and bundles")
    parser.add_argument("--toy", action="append", choices=[*TITLES, "wav"], help="measure only this one")
    parser.add_argument("--page-only", action="store_true", help="write the page from the records")
    options = parser.parse_args()
    if not options.page_only:
        if options.work is None:
            parser.error("--work is needed")
        bench = Bench(options.work.resolve())
        for toy in (*KINDS, *OTHERS):
            if options.toy is None or toy.name in options.toy:
                print(toy.name, flush=True)
                _keep(toy.name, bench.measured(toy))
        if options.toy is None or "wav" in options.toy:
            print("from the scaffold to a .wav", flush=True)
            _keep("wav", bench.to_a_wav())
    PAGE.write_text(page(records()), encoding="utf-8")


def records() -> dict[str, Any]:
    """The row of each toy that was measured, and the steps to a .wav file."""
    found: dict[str, Any] = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.is_file() else {}
    return found


def _keep(name: str, row: Any) -> None:
    RECORDS.write_text(as_lines(records() | {name: row}), encoding="utf-8")


class Bench:
    """Commands of ganzoo in a folder where the packages of the toys are importable."""

    def __init__(self, work: Path) -> None:
        self.work, self.site = work, work / "site"
        if not self.site.is_dir():
            write_site(self.site)
        self._environment = {**os.environ, "PYTHONPATH": str(self.site), "OMP_NUM_THREADS": "1"}
        sys.path.insert(0, str(self.site))

    def measured(self, toy: Toy) -> dict[str, Any]:
        """The row of a toy."""
        here = self.work / toy.name
        of_a_kind = toy in KINDS
        run, bundle, made = here / "run", here / "bundle", here / f"made{toy.suffix}"
        length = () if of_a_kind else ("--images", SHORT)
        if not (here / "trained.json").is_file():
            seconds = self.ganzoo("train", toy.recipe, "--run-dir", run, "--auto-resume", *length)
            (here / "trained.json").write_text(json.dumps(seconds))
        if not bundle.is_dir():
            self.ganzoo("export", run, "-o", bundle)
        words = arguments(toy, here)
        self._python("-c", WITHOUT_TORCH, "generate", bundle, *words, "-o", made)
        generator = ganzoo.load(bundle, generator=toy.generator, provider="cpu")
        last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        return {
            "images": last["images"],
            "cpu seconds": json.loads((here / "trained.json").read_text()),
            "resumes": self._resumes(toy, here),
            "parity": generator.parity,
            "file": [made.name, made.stat().st_size, OPENED[toy.suffix](made)],
            "lines": self._lines(toy) if of_a_kind else None,
            "learned": self._learned(toy, generator) if of_a_kind else None,
            "picture": _picture_of(toy, bundle) if of_a_kind else "",
            "machine": [describe(), versions(), commit(), time.strftime("%Y-%m-%d"), round(load(), 1)],
        }

    def to_a_wav(self) -> list[tuple[str, float, float]]:
        """(command, CPU seconds, wall seconds) from `ganzoo plugin new` to a .wav file."""
        here = self.work / "new"
        package, run, bundle = here / "ganzoo-chimes", here / "run", here / "bundle"
        pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation")
        steps: list[tuple[str, tuple[Any, ...]]] = [
            (
                "ganzoo plugin new chimes --kind sound",
                ("-m", "ganzoo", "plugin", "new", "chimes", "--kind", "sound", "-o", package),
            ),
            ("pip install (without dependencies)", (*pip, "--target", here / "site", package)),
            ("ganzoo train chimes", ("-m", "ganzoo", "train", "chimes", "--run-dir", run)),
            ("ganzoo export", ("-m", "ganzoo", "export", run, "-o", bundle)),
            (
                "ganzoo generate --length 32000",
                ("-m", "ganzoo", "generate", bundle, "-n", 1, "--length", 32_000, "-o", here / "made.wav"),
            ),
        ]
        rows = []
        for name, words in steps:
            begun = time.perf_counter()
            seconds = self._python(*words, site=here / "site")
            rows.append((name, seconds, time.perf_counter() - begun))
        with wave.open(str(here / "made.wav"), "rb") as file:
            if (file.getframerate(), file.getnframes()) != (8_000, 32_000):
                raise SystemExit(f"the .wav file has {file.getnframes()} samples")
        return rows

    def ganzoo(self, *words: object) -> float:
        """Run a command of ganzoo; its CPU seconds."""
        return self._python("-m", "ganzoo", *words)

    def _python(self, *words: object, site: Path | None = None) -> float:
        environment = self._environment | ({"PYTHONPATH": str(site)} if site else {})
        before = _seconds()
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return _seconds() - before

    def _resumes(self, toy: Toy, here: Path) -> bool:
        """Whether a short run that was paused and resumed ends with the same bytes."""
        states = []
        for name in ("whole", "parts"):
            run = here / name
            words = ("train", toy.recipe, "--run-dir", run, "--images", SHORT)
            if not run.is_dir():
                if name == "parts":
                    self.ganzoo(*words, "--pause-at", SHORT // 2)
                    self.ganzoo("train", "--resume", run)
                else:
                    self.ganzoo(*words)
            states.append((max((run / "checkpoints").iterdir()) / "state.safetensors").read_bytes())
        return states[0] == states[1]

    def _lines(self, toy: Toy) -> dict[str, int]:
        """The lines of code of a package by file."""
        package = self.site / f"ganzoo_{toy.plugin.replace('-', '_')}"
        files = sorted(package.glob("*.py"))
        return {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in files}

    def _learned(self, toy: Toy, generator: Any) -> list[dict[str, float]]:
        """Numbers of generated, and of held-out samples."""
        field = generator.outputs[0]
        data = import_module(f"ganzoo_{toy.plugin.replace('-', '_')}.data").open_held_out("", None)
        real = as_floats(data.fields[0], np.asarray(data.arrays[field.name][:SAMPLES]))
        measure = MEASURES[toy.name]
        return [measure(samples, field.facts) for samples in (generator.generate(SAMPLES, seed=0), real)]


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime


def _picture_of(toy: Toy, bundle: Path) -> str:
    """The samples of a bundle in Markdown: a small file beside the page, or lines of text."""
    found = next(bundle.glob("samples.*"))
    if found.suffix == ".txt":
        lines = found.read_text(encoding="utf-8").splitlines()
        rows = [lines[start : start + 8] for start in range(0, len(lines), 8)]
        return "\n".join(["```", *(" ".join(f"{text:17}" for text in row).rstrip() for row in rows), "```"])
    suffix = ".png" if found.suffix == ".wav" else found.suffix
    picture = PAGE.with_name(f"kinds-{toy.name}{suffix}")
    if found.suffix == ".wav":
        _sound_picture(found).save(picture, optimize=True)
    elif suffix == ".gif":
        with Image.open(found) as file:
            # The upper half in 16 shades: small.
            halves = [
                np.asarray(frame.convert("L"))[: file.height // 2] // 16 * 17
                for frame in ImageSequence.Iterator(file)
            ]
            frames = [Image.fromarray(half.repeat(4, 0).repeat(4, 1)) for half in halves]
            frames[0].save(picture, save_all=True, append_images=frames[1:], duration=100, loop=0)
    else:
        picture.write_bytes(found.read_bytes())
    return f"![Samples of {TITLES[toy.name]}]({picture.name})"


def _sound_picture(path: Path) -> Image.Image:
    """A spectrogram of the first half of a file: time to the right, 0 to 2 kHz upwards, 50 dB of gray."""
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes() // 2), "<i2") / 32_768
    starts = range(0, len(sound) - 256, 8)
    parts = np.stack([sound[start : start + 256] for start in starts]) * np.hanning(256)
    level = 20 * np.log10(np.abs(np.fft.rfft(parts, 512))[:, :128] + 1e-9)
    gray = np.clip((level - level.max()) / 50 + 1, 0, 1)
    pixels = (255 - np.rint(gray * 15) * 17).astype(np.uint8)
    return Image.fromarray(pixels.T[::-1])


def _wav(path: Path) -> str:
    with wave.open(str(path), "rb") as file:
        seconds = file.getnframes() / file.getframerate()
        return f"`wave` of Python: {seconds:.3f} s, {file.getframerate()} Hz, {8 * file.getsampwidth()} bits"


def _csv(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    return f"`csv` of Python: {len(rows)} rows of {', '.join(head)}"


def _txt(path: Path) -> str:
    return f'a text editor: "{path.read_text(encoding="utf-8").splitlines()[0]}"'


def _picture(path: Path) -> str:
    with Image.open(path) as image:
        frames = sum(1 for _ in ImageSequence.Iterator(image))
        moving = f", {frames} frames" if path.suffix == ".gif" else ""
        return f"Pillow: {image.width} x {image.height}{moving}"


def _npz(path: Path) -> str:
    with np.load(path) as arrays:
        return "NumPy: " + ", ".join(f"{name} {value.shape}" for name, value in arrays.items())


OPENED: dict[str, Callable[[Path], str]] = {
    ".csv": _csv,
    ".gif": _picture,
    ".npz": _npz,
    ".png": _picture,
    ".txt": _txt,
    ".wav": _wav,
}


def page(known: dict[str, Any]) -> str:
    """The page from the records."""
    rows = {name: known[name] for name in TITLES if name in known}
    kinds = {name: row for name, row in rows.items() if row["learned"]}
    made_of = [_learned_row(name, row) for name, row in kinds.items()]
    parts = [
        "# Kinds of data and games in small",
        "`python -m benchmarks.kinds` writes this page from `kinds.json` and `kinds_seen.md` beside it.",
        _text("intro"),
        _table(
            ("toy", "images", "CPU seconds", "resumes", "largest difference", "other sizes"),
            [_row(name, row) for name, row in rows.items()],
        ),
        _text("table"),
        "## Native files",
        _text("files"),
        _table(
            ("toy", "file", "bytes", "opened by"),
            [
                (TITLES[name].split(":")[0], f"`{row['file'][0]}`", *row["file"][1:])
                for name, row in rows.items()
            ],
        ),
        "## What the packages of the scaffold learn",
        _text("learned"),
        _table(("toy", f"{SAMPLES} generated samples", f"{SAMPLES} held-out samples"), made_of),
        *(f"{row['picture']}\n\n{_text(name)}" for name, row in kinds.items()),
        "## How long the packages are",
        _text("lines"),
        _lines_table({name: row["lines"] for name, row in kinds.items()}),
    ]
    if "wav" in known:
        steps = [(f"`{name}`", f"{cpu:.1f}", f"{wall:.1f}") for name, cpu, wall in known["wav"]]
        total = [sum(row[column] for row in known["wav"]) for column in (1, 2)]
        parts += [
            "## From nothing to a .wav file",
            _text("wav"),
            _table(
                ("command", "CPU seconds", "wall seconds"),
                [*steps, ("together", *(f"{t:.1f}" for t in total))],
            ),
        ]
    parts += ["## The recipes, and what was aimed at", _text("recipes")]
    machines = sorted({"; ".join(row["machine"][:2]) for row in rows.values()})
    commits = sorted({" of ".join(row["machine"][2:4]) for row in rows.values()})
    loads = [row["machine"][4] for row in rows.values()]
    parts += [
        "## What the toys were measured on",
        "\n".join(f"- {machine}." for machine in machines),
        f"Commits {', '.join(commits)}.",
        f"The load was {min(loads)} to {max(loads)}: other work ran on the machine, so CPU seconds count.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    sizes = "; ".join(" x ".join(map(str, size.values())) for size in row["parity"].get("sizes", ()))
    return (
        TITLES[name],
        f"{row['images']:,}",
        f"{row['cpu seconds']:.0f}",
        "bit for bit" if row["resumes"] else "**differs**",
        f"{row['parity']['max_abs']:.1g}",
        sizes or "fixed",
    )


def _learned_row(name: str, row: dict[str, Any]) -> tuple[str, str, str]:
    texts = ["; ".join(f"{key} {_number(value)}" for key, value in part.items()) for part in row["learned"]]
    return (_short(name), texts[0], texts[1])


def _short(name: str) -> str:
    return TITLES[name].partition(":")[0]


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and value > 1 else f"{value:.2f}"


def _lines_table(lines: dict[str, dict[str, int]]) -> str:
    files = sorted({file for counts in lines.values() for file in counts})
    rows = [
        (name, *(str(counts.get(file, "")) for file in files), str(sum(counts.values())))
        for name, counts in lines.items()
    ]
    return _table(("`--kind`", *(f"`{file}`" for file in files), "together"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _text(part: str) -> str:
    """A part of the text written by hand: what stands under the line `== PART` in kinds_seen.md."""
    parts = (SEEN.read_text(encoding="utf-8") if SEEN.is_file() else "").split("\n== ")
    return next((text.partition("\n")[2].strip() for text in parts if text.partition("\n")[0] == part), "")


if __name__ == "__main__":
    main()
