"""Damaged checkpoints and full disks: what was saved is found again, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from ganzoo.config.plan import Plan
from ganzoo.config.resolve import resolve
from ganzoo.errors import DivergedError, SettingsError, StorageError, UsageError
from ganzoo.exporting import from_run as exporting
from ganzoo.registry.registry import Registry
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import read_newest, read_one, settle, write_checkpoint
from ganzoo.runs.run import Run
from ganzoo.runs.validation import read_manifest, sealed_manifest
from ganzoo.training.reporting.reporter import NullReporter
from ganzoo.training.session import resume, start, start_or_resume
from ganzoo.training.setup import prepare
from ganzoo.util import files
from tests.helpers.faults import BLOCK, FaultyDisk, full

Tiny = Callable[..., Plan]
ABOUT = {"seconds": 1.5, "steps": 3}


def tensors(seed: int, size: int = 5000) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(size, generator=generator), "b": torch.arange(seed, seed + 7)}


def written(folder: Path, *images: int, keep: int = 9) -> None:
    for count in images:
        write_checkpoint(folder, count, tensors(count), ABOUT, keep)


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in found)


# --- damage ---------------------------------------------------------------------------------------


def damaged(content: bytes, chance: random.Random) -> bytes:
    """One bit flipped, the end cut off, or a stretch of zeros: never what it was."""
    where = chance.randrange(len(content))
    kind = chance.choice(("bit", "cut", "zeros"))
    if kind == "bit":
        return content[:where] + bytes([content[where] ^ 1 << chance.randrange(8)]) + content[where + 1 :]
    if kind == "cut":
        return content[:where]
    result = content[:where] + bytes(min(512, len(content) - where)) + content[where + 512 :]
    return result if result != content else damaged(content, chance)


def test_a_thousand_damages_are_all_noticed(tmp_path: Path) -> None:
    written(tmp_path, 100, 200)
    chance, newest = random.Random(1), tmp_path / "000000000200"
    for number in range(1000):
        file = newest / chance.choice(("state.safetensors", "manifest.json"))
        content = file.read_bytes()
        file.write_bytes(damaged(content, chance))
        told: list[str] = []
        found, manifest = read_newest(tmp_path, told.append)
        assert manifest["images"] == 100, number
        assert same(found, tensors(100)), number
        assert len(told) == 1
        assert "000000000200 is damaged" in told[0]
        file.write_bytes(content)
    assert read_newest(tmp_path)[1]["images"] == 200


def test_a_forged_state_is_not_given_memory(tmp_path: Path) -> None:
    """Sealed by someone who meant harm: headers that lie, and tensors that are not this network's."""
    written(tmp_path, 100, 200)
    state, manifest = tmp_path / "000000000200/state.safetensors", tmp_path / "000000000200/manifest.json"
    record = read_manifest(manifest.parent)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    lies = {
        "longer than the file": struct.pack("<Q", len(header)) + header,
        "header of 10^15 bytes": struct.pack("<Q", 10**15) + header,
        "no header": b"\0" * 4,
        "not json": struct.pack("<Q", 4) + b"[[[[",
        "nothing": b"",
    }
    for name, content in lies.items():
        state.write_bytes(content)
        digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest.write_bytes(sealed_manifest({**record, "files": {"state.safetensors": digest}}))
        assert read_newest(tmp_path)[1]["images"] == 100, name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"format": 2}',
        b"\xff\xfe",
        b'{"seal": "x"}',
        b"9" * 5000,
    ],
)
def test_strange_manifests_are_passed_over(content: bytes, tmp_path: Path) -> None:
    written(tmp_path, 100, 200)
    (tmp_path / "000000000200/manifest.json").write_bytes(content)
    assert read_newest(tmp_path)[1]["images"] == 100


def test_a_checkpoint_of_other_networks_is_refused_before_it_is_read(
    tiny: Tiny, registry: Registry, tmp_path: Path
) -> None:
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    state, _ = read_newest(run.checkpoints)
    for change in (
        {"networks.generator.generator.more": torch.zeros(3)},
        {"optimizers.generator.generator.nothing.exp_avg": torch.zeros(3)},
        {"random.run": torch.zeros(1 << 20, dtype=torch.uint8)},
        {"counters.images": torch.tensor(1.0)},
        {"surprise": torch.zeros(1)},
    ):
        with pytest.raises(UsageError, match="does not fit"):
            prepare(plan).training.check(
                {
                    name: (
                        {"torch.float32": "F32", "torch.int64": "I64", "torch.uint8": "U8"}[str(v.dtype)],
                        tuple(v.shape),
                    )
                    for name, v in {**state, **change}.items()
                }
            )
    for path in run.checkpoints.iterdir():
        content = save({**state, "surprise": torch.zeros(1)})
        (path / "state.safetensors").write_bytes(content)
        digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        record = {**read_manifest(path), "files": {"state.safetensors": digest}}
        (path / "manifest.json").write_bytes(sealed_manifest(record))
    with pytest.raises(UsageError, match="'surprise' differs"):
        resume(Run.open(run.path), plan, NullReporter())


def test_a_damaged_newest_checkpoint_does_not_push_out_the_sound_one(tiny: Tiny, tmp_path: Path) -> None:
    """With keep=1, the next checkpoint must not be pruned in favour of a newer, damaged one."""
    plan = tiny("vanilla", **{"train.keep_checkpoints": 2, "train.checkpoint_every": 32})
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    newest = max(run.checkpoints.iterdir())
    (newest / "state.safetensors").write_bytes(b"rubbish")
    one = resolve(str(run.settings_file), load(), overrides={"train.keep_checkpoints": 1})
    resume(Run.open(run.path), one, NullReporter(), pause_at=72)
    assert read_newest(run.checkpoints)[1]["images"] == 72


def test_nothing_is_thrown_away_that_cannot_be_read(tiny: Tiny, tmp_path: Path) -> None:
    """All checkpoints damaged, or of a later format: no new run is begun over them."""
    plan = tiny("vanilla", **{"train.checkpoint_every": 32})
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    before = {path: path.read_bytes() for path in run.checkpoints.rglob("*") if path.is_file()}
    for path in run.checkpoints.iterdir():
        record = read_manifest(path)
        (path / "manifest.json").write_bytes(sealed_manifest({**record, "format": 99}))
    with pytest.raises(UsageError, match="none of them can be read"):
        start_or_resume(plan, run.path, NullReporter())
    assert {path for path in run.checkpoints.rglob("*") if path.is_file()} == set(before)
    for path, content in before.items():
        path.write_bytes(content)
    newest = max(run.checkpoints.iterdir())
    (newest / "state.safetensors").write_bytes(b"rubbish")
    start_or_resume(plan, run.path, NullReporter(), pause_at=72)
    assert (run.checkpoints / f".damaged-{newest.name}" / "state.safetensors").read_bytes() == b"rubbish"


def test_edited_settings_and_shorter_lengths_do_not_change_a_run(tiny: Tiny, tmp_path: Path) -> None:
    plan = tiny("vanilla")
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    text = run.settings_file.read_text()
    run.settings_file.write_text(text.replace("seed = 0", "seed = 7"))
    edited = resolve(str(run.settings_file), load())
    with pytest.raises(UsageError, match="would change train"):
        resume(Run.open(run.path), edited, NullReporter())
    run.settings_file.write_text(text)
    fewer = resolve(str(run.settings_file), load(), overrides={"train.images": 32})
    with pytest.raises(UsageError, match="has seen 96 images already"):
        resume(Run.open(run.path), fewer, NullReporter())
    start_or_resume(plan, run.path, NullReporter())
    reporter = NullReporter()
    _, outcome = start_or_resume(fewer, run.path, reporter)
    assert outcome == "done"
    assert "complete already" in reporter.notes[-1]
    assert run.settings_file.read_text() == text


def test_somebody_elses_settings_are_not_replaced(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('recipe = "vanilla"  # mine')
    for begin in (start, start_or_resume):
        with pytest.raises(UsageError):
            begin(tiny("vanilla"), tmp_path, NullReporter())
    assert (tmp_path / "settings.toml").read_text() == 'recipe = "vanilla"  # mine'


def test_a_checkpoint_under_another_name_is_not_believed(tmp_path: Path) -> None:
    written(tmp_path, 100, 200)
    (tmp_path / "000000000200").rename(tmp_path / "000000000900")
    assert read_newest(tmp_path)[1]["images"] == 100


def load() -> Registry:
    from ganzoo.registry.registry import load_registry

    return load_registry()


def test_run_json_comes_back_from_a_checkpoint(tiny: Tiny, registry: Registry, tmp_path: Path) -> None:
    plan = tiny("vanilla")
    whole, _ = start(plan, tmp_path / "whole", NullReporter())
    run, _ = start(plan, tmp_path / "run", NullReporter(), pause_at=96)
    for broken in (b"", b'{"format": 1, "rec', None):
        for name in ("run.json", "settings.toml"):
            if broken is None:
                (run.path / name).unlink()
            else:
                (run.path / name).write_bytes(broken)
        again = Run.open(run.path)
        assert again.record["recipe"] == "vanilla"
        assert again.settings() == plan.settings()
    resume(Run.open(run.path), resolve(str(run.settings_file), registry), NullReporter())
    assert final(run) == final(whole)


@pytest.mark.parametrize(
    "change", [{"data": 3}, {"plugins": "x"}, {"status": None}, {"threads": "many"}, {"versions": [1]}]
)
def test_a_strange_run_json_is_named(change: dict[str, Any], tiny: Tiny, tmp_path: Path) -> None:
    run, _ = start(tiny("vanilla"), tmp_path / "run", NullReporter(), pause_at=16)
    file = run.path / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UsageError, match=f"run.json is damaged: '{next(iter(change))}"):
        Run.open(run.path)


def final(run: Run) -> bytes:
    return (max(run.checkpoints.iterdir()) / "state.safetensors").read_bytes()


# --- full disks -----------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_any_64_kilobytes_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 16 * BLOCK // 4  # one MiB of float32
    write_checkpoint(tmp_path, 100, tensors(100, size), ABOUT, 3)
    counting = FaultyDisk(0, full)
    monkeypatch.setattr(files, "disk", counting)
    write_checkpoint(tmp_path / "trial", 200, tensors(200, size), ABOUT, 3)
    steps = len(counting.asked)
    assert counting.asked.count("write") >= 17
    # Flushing a folder's entries, before and after the rename: not every storage can do it.
    harmless = {steps - 2, steps}
    assert [counting.asked[at - 1] for at in sorted(harmless)] == ["sync", "sync"]
    for at in range(1, steps + 1):
        monkeypatch.setattr(files, "disk", FaultyDisk(at, full))
        if at in harmless:
            write_checkpoint(tmp_path, 200, tensors(200, size), ABOUT, 3)
            assert read_newest(tmp_path)[1]["images"] == 200
        else:
            with pytest.raises(StorageError, match="No space left"):
                write_checkpoint(tmp_path, 200, tensors(200, size), ABOUT, 3)
            assert sorted(p.name for p in tmp_path.iterdir() if p.name != "trial") == ["000000000100"]
        found, manifest = read_newest(tmp_path)
        assert same(found, tensors(manifest["images"], size)), at
        monkeypatch.setattr(files, "disk", files.Disk())
        settle(tmp_path, 100)
        files.disk.remove(tmp_path / ".damaged-000000000200")  # a whole one, put aside
        assert {p.name for p in tmp_path.iterdir()} == {"trial", "000000000100"}


def test_rewriting_a_checkpoint_on_a_full_disk_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only checkpoint is written again at the same image: at no point is there none."""
    written(tmp_path, 100)
    for at in range(1, 14):
        monkeypatch.setattr(files, "disk", FaultyDisk(at, full))
        with contextlib.suppress(StorageError):
            write_checkpoint(tmp_path, 100, tensors(100), {**ABOUT, "seconds": float(at)}, 1)
        assert same(read_newest(tmp_path)[0], tensors(100)), at


def test_a_run_goes_on_while_the_disk_is_full(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = start(tiny("vanilla"), tmp_path / "whole", NullReporter())

    class Full(FaultyDisk):
        """Full for a while: whatever is asked between the 30th and the 80th time fails."""

        def before(self, what: str, partly: Callable[[], None] = lambda: None) -> None:
            self.asked.append(what)
            if 30 < len(self.asked) < 80 and what in ("write", "create", "append"):
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "disk", Full(0, full))
    reporter = NullReporter()
    run, outcome = start(tiny("vanilla"), tmp_path / "run", reporter)
    assert outcome == "done"
    notes = [note for note in reporter.notes if "No space left" in note]
    assert len(notes) > 5
    assert final(run) == final(whole)
    assert {line["images"] for line in run.log()} < {line["images"] for line in whole.log()}


# --- which checkpoints stay -----------------------------------------------------------------------


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    for images, score in ((100, 3.0), (200, 1.0), (300, 2.0), (400, 5.0), (500, 4.0)):
        write_checkpoint(tmp_path, images, tensors(images), ABOUT, 2, ("min:fed", score))
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == [200, 400, 500]
    assert read_one(tmp_path, None)[1]["images"] == 200
    assert read_one(tmp_path, 400)[1]["images"] == 400
    with pytest.raises(UsageError, match="no checkpoint after 300 samples"):
        read_one(tmp_path, 300)
    # Measured by something else from here on: old scores do not count.
    write_checkpoint(tmp_path, 600, tensors(600), ABOUT, 2, ("max:coverage", -0.5))
    assert sorted(int(p.name) for p in tmp_path.iterdir()) == [500, 600]
    with pytest.raises(UsageError, match="No checkpoint of this run has a score"):
        read_one(tmp_path / "nowhere", None)


def test_a_run_keeps_its_best_by_a_value_of_the_log(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"train.log_every": 16, "train.checkpoint_every": 16, "train.keep_checkpoints": 1}
    run, _ = start(
        tiny("vanilla", **settings, **{"train.keep_best": "max:loss_generator"}),
        tmp_path / "run",
        NullReporter(),
    )
    log = {line["images"]: line["values"]["loss_generator"] for line in run.log()}
    best = max(log, key=lambda images: log[images])
    assert {int(p.name) for p in run.checkpoints.iterdir()} == {best, 160}
    exported: list[int] = []
    monkeypatch.setattr(
        exporting, "export_generators", lambda *_, about, **more: exported.append(about["images"])
    )
    for which in ("best", "newest", 160):
        exporting.export_run(run, tmp_path / "bundle", checkpoint=which)  # type: ignore[arg-type]
    assert exported == [best, 160, 160]
    for name in ("beauty", "skipped_generator"):
        with pytest.raises(SettingsError, match=f"'{name}', which this run's log does not have"):
            start(
                tiny("vanilla", **settings, **{"train.keep_best": f"min:{name}"}),
                tmp_path / "none",
                NullReporter(),
            )
    assert not (tmp_path / "none").exists()


def test_what_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    written(tmp_path, 100)
    for bad in ("nan", "inf", "-inf"):
        state = {"a": torch.tensor([1.0, float(bad), 2.0]), "b": torch.zeros(0)}
        with pytest.raises(DivergedError, match="'a' is not finite"):
            write_checkpoint(tmp_path, 200, state, ABOUT, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["000000000100"]


def test_checkpoint_module_writes_through_the_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds a write past `files.disk` loses the tests above."""
    disk = FaultyDisk(0, full)
    monkeypatch.setattr(files, "disk", disk)
    checkpoint.write_checkpoint(tmp_path, 1, tensors(1, 10), ABOUT, 1)
    assert [what for what in disk.asked if what != "write"] == [
        "create", "sync", "create", "sync", "sync", "rename", "sync",
    ]  # fmt: skip
