"""The files in deploy/: what can be said of them without a cluster.

`slurm.sbatch` runs here with stand-ins for srun and scontrol, which note how they were called.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganzoo.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "slurm.sbatch"
TEXTS = {file.name: file.read_text() for file in DEPLOY.iterdir() if file.is_file()}

SRUN = """\
#!/bin/bash
printf '%s\\n' "$@" > "$FAKE/srun.said"
trap 'touch "$FAKE/usr1"' USR1
[ -z "$STATUS" ] || printf '{"format": 1, "status": "%s", "images": 64}\\n' "$STATUS" > "$RUN/run.json"
[ -z "$CHECKPOINT" ] || mkdir -p "$RUN/checkpoints/$CHECKPOINT"
touch "$FAKE/started"
if [ -n "$WAIT" ]; then
    for _ in {1..300}; do [ -e "$FAKE/usr1" ] && break; sleep 0.1; done
    sleep 1
    touch "$FAKE/saved"
fi
exit "$CODE"
"""
SCONTROL = """\
#!/bin/bash
case $1 in
    show) printf 'node7\\nnode8\\n' ;;
    *) echo "$@" >> "$FAKE/scontrol.said"; exit "$REFUSED" ;;
esac
"""
STANDING = {"STATUS": "", "CHECKPOINT": "", "WAIT": "", "CODE": "1", "REFUSED": "0"}
JOB = {"SLURM_JOB_ID": "41", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2"}
REQUEUED = ["requeue 41"]


class Slurm:
    """A run directory that an earlier start left behind, the stand-ins, and starts of the script."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "runs" / "my faces"
        for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        (self.run / "checkpoints" / "000000000032").mkdir(parents=True)
        (self.run / "run.json").write_text('{"format": 1, "status": "preempted", "images": 32}')

    def start(self, **behaviour: str) -> subprocess.Popen[bytes]:
        """The batch script under way; `behaviour` is that of the stand-ins."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        places = {"FAKE": str(self.folder), "RUN": str(self.run), "PATH": path}
        command = ["bash", SCRIPT, self.run, "dcgan", "--data", "folder:/shared/two words"]
        return subprocess.Popen(command, env={**os.environ, **JOB, **STANDING, **places, **behaviour})

    def under_way(self, **behaviour: str) -> subprocess.Popen[bytes]:
        """The batch script while its step runs."""
        script, until = self.start(**behaviour), time.monotonic() + 30
        while not (self.folder / "started").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return script

    def said(self, program: str) -> list[str]:
        """What the program was called with."""
        file = self.folder / f"{program}.said"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


NEW = "000000000064"


@pytest.mark.parametrize(
    ("behaviour", "code", "requeued"),
    [
        pytest.param({"STATUS": "preempted", "CHECKPOINT": NEW}, 0, REQUEUED, id="preempted"),
        pytest.param({"STATUS": "done", "CHECKPOINT": NEW, "CODE": "0"}, 0, [], id="done"),
        pytest.param({"STATUS": "done", "CHECKPOINT": NEW}, 0, [], id="done, but a launcher stumbled"),
        pytest.param({"CODE": "0"}, 0, [], id="was complete already"),
        pytest.param({"STATUS": "diverged", "CHECKPOINT": NEW}, 4, [], id="diverged"),
        pytest.param({"STATUS": "interrupted", "CHECKPOINT": NEW}, 1, [], id="Ctrl-C"),
        pytest.param({"STATUS": "failed", "CHECKPOINT": NEW}, 0, REQUEUED, id="crash after progress"),
        pytest.param({"STATUS": "training", "CHECKPOINT": NEW}, 0, REQUEUED, id="killed after progress"),
        pytest.param({"STATUS": "failed"}, 1, [], id="crash without progress"),
        pytest.param({"CODE": "2"}, 2, [], id="the record is an earlier start's"),
        pytest.param({"STATUS": "preempted", "REFUSED": "1"}, 75, REQUEUED, id="requeue refused"),
    ],
)
def test_when_slurm_starts_again(
    slurm: Slurm, behaviour: dict[str, str], code: int, requeued: list[str]
) -> None:
    assert slurm.start(**behaviour).wait(timeout=60) == code
    assert slurm.said("scontrol") == requeued


def test_slurm_passes_on_the_signal(slurm: Slurm) -> None:
    """The step gets it, its end is waited for, and the shell knows that it was asked: nothing was saved."""
    script = slurm.under_way(WAIT="yes", CODE="138")
    for _ in range(2):  # each of them interrupts the shell's waiting
        script.send_signal(signal.SIGUSR1)
        time.sleep(0.3)
    assert script.wait(timeout=60) == 0
    assert (slurm.folder / "usr1").exists()
    assert (slurm.folder / "saved").exists()
    assert slurm.said("scontrol") == REQUEUED


def test_a_cancelled_job_stays_away(slurm: Slurm) -> None:
    script = slurm.under_way(STATUS="preempted", WAIT="yes")
    script.terminate()
    assert script.wait(timeout=60) == -signal.SIGTERM
    assert slurm.said("scontrol") == []
    (slurm.folder / "usr1").touch()  # lets the stand-in end


def test_what_srun_starts(slurm: Slurm) -> None:
    slurm.start(STATUS="done").wait(timeout=60)
    said = slurm.said("srun")
    train = ["train", "dcgan", "--data", "folder:/shared/two words"]
    assert said[said.index("-m") :] == ["-m", "ganzoo", *train, "--run-dir", str(slurm.run), "--auto-resume"]
    assert "--rdzv-endpoint=node7:20041" in said
    assert "--nnodes=2" in said


def _torchrun_options() -> set[str]:
    from torch.distributed.run import get_args_parser

    return {name for action in get_args_parser()._actions for name in action.option_strings}


def test_torchrun_knows_its_options(slurm: Slurm) -> None:
    slurm.start(STATUS="done").wait(timeout=60)
    said = slurm.said("srun")
    torchrun = said[said.index("torchrun") + 1 : said.index("-m")]
    assert len(torchrun) >= 6
    assert {word.partition("=")[0] for word in torchrun} <= _torchrun_options()


def _commands(text: str) -> Iterator[list[str]]:
    """Each use of ganzoo in a text, as words: after its name, after the batch script, after an image."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        found = re.search(r"(?:\bganzoo|ganzoo-runtime:\S+) ((?:train|generate)\b[^`|]*)", line)
        if found:
            yield found[1].split()
        found = re.search(r"sbatch [^`]*slurm\.sbatch \S+ ([^`]*)", line)
        if found:
            yield ["train", *found[1].split()]


def _manifest_arguments(value: Any) -> Iterator[list[str]]:
    """The `args` of every container."""
    if isinstance(value, dict):
        if "args" in value:
            yield value["args"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _manifest_arguments(part)


def _used() -> list[tuple[str, str, str]]:
    commands = [(name, words) for name, text in TEXTS.items() for words in _commands(text)]
    manifest = yaml.safe_load(TEXTS["pytorchjob.yaml"])
    commands += [("pytorchjob.yaml", words) for words in _manifest_arguments(manifest)]
    options = {
        (name, words[0], word) for name, words in commands for word in words if re.match(r"--?[a-z]", word)
    }
    return sorted(options)


def test_the_options_are_found() -> None:
    used = {(name, option) for name, _, option in _used()}
    for name in ("slurm.sbatch", "pytorchjob.yaml", "skypilot.yaml", "README.md"):
        assert (name, "--auto-resume") in used


@pytest.mark.parametrize(("name", "command", "option"), _used())
def test_ganzoo_knows_the_option(name: str, command: str, option: str) -> None:
    known = importlib.import_module(COMMANDS[command][0]).command.params
    options = {spelling for parameter in known for spelling in parameter.opts}
    assert option in options, f"deploy/{name} uses `ganzoo {command} {option}`, which does not exist"


def test_bash_reads_the_script() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_kubernetes() -> None:
    job = yaml.safe_load(TEXTS["pytorchjob.yaml"])
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert replicas["Master"]["replicas"] == 1
    for role in replicas.values():
        assert role["restartPolicy"] == "OnFailure"
        pod = role["template"]["spec"]
        (container,) = pod["containers"]
        assert container["name"] == "pytorch"
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
        assert f"USER {pod['securityContext']['runAsUser']}\n" in TEXTS["Dockerfile"]


def test_skypilot() -> None:
    task = yaml.safe_load(TEXTS["skypilot.yaml"])
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == 75
    (mount,) = task["file_mounts"]
    assert f'--run-dir "{mount}/' in task["run"]


def test_the_wheel_needs_no_more_than_the_context(tmp_path: Path) -> None:
    """`Dockerfile.dockerignore` lets through what the first stage builds from."""
    allowed = [line[1:] for line in TEXTS["Dockerfile.dockerignore"].splitlines() if line.startswith("!")]
    assert "constraints.txt" in allowed
    for name in allowed:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "dist"))
        else:
            shutil.copy(source, tmp_path / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    wheels = []
    for folder, name in ((tmp_path, "ganzoo"), (tmp_path / "deploy" / "serving", "ganzoo_serving")):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (wheel,) = (folder / "dist").glob(f"{name}-*.whl")
        wheels.append(set(zipfile.ZipFile(wheel).namelist()))
    names = {Path(name).name for name in wheels[0]}
    assert {"LICENSE", *(file.name for file in (ROOT / "LICENSES").iterdir())} <= names
    code, serving = ({name for name in wheel if ".dist-info" not in name} for wheel in wheels)
    assert code == serving


BLOCKED = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"ganzoo-serving leaves out {{name}}")

sys.meta_path.insert(0, Blocked())
from ganzoo.cli import main
main({arguments!r})
"""


def test_the_serving_distribution_needs_no_more(tmp_path: Path) -> None:
    """Sampling works while whatever it leaves out of ganzoo's dependencies cannot be imported."""
    serving = tomllib.loads((ROOT / "deploy" / "serving" / "pyproject.toml").read_text())["project"]
    kept = {re.split(r"[^\w-]", requirement)[0] for requirement in serving["dependencies"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^\w-]", requirement)[0] for requirement in project["dependencies"]}
    assert set(serving["dependencies"]) <= {item.partition(";")[0] for item in project["dependencies"]}
    left_out = needed - {*kept, "onnxruntime-gpu"}
    assert {"torch", "onnx", "pydantic"} <= left_out
    blocked = {{"pillow": "PIL"}.get(name, name.replace("-", "_")) for name in left_out}
    for output in ("x.png", "x.npz"):
        arguments = ["generate", str(ROOT / "exported" / "cgan"), "-n", "2", "-o", str(tmp_path / output)]
        code = BLOCKED.format(blocked=blocked, arguments=arguments)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / output).stat().st_size > 1000
