"""Every error that ganzoo raises on purpose, and the exit code of the command for each of them.

An error says three things: what happened, where it came from, what to do about it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """All exit codes of the `ganzoo` command. Scripts may rely on them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    DATA = 3
    DIVERGED = 4
    EXPORT = 5
    PREEMPTED = 75
    INTERRUPTED = 130


CODE_OF_STATUS = {
    "done": ExitCode.OK,
    "paused": ExitCode.OK,
    "diverged": ExitCode.DIVERGED,
    "preempted": ExitCode.PREEMPTED,
    "interrupted": ExitCode.INTERRUPTED,
}
"""The exit code of a training command, by the run's status in run.json."""


class GanzooError(Exception):
    """Base of all errors a user can act on.

    `what` is one sentence. `where` names the file, setting or plugin that the error came from.
    `fix` is something that the user can do or type.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  try:   {self.fix}")
        return "\n".join(lines)


class UsageError(GanzooError):
    """An unknown name, a bad option, a file that is not what the command needs."""


class SettingsError(UsageError):
    """A setting that is unknown, of the wrong type, or cannot work with another one."""


class PluginError(UsageError):
    """A plugin that could not be loaded or that broke its contract."""


class DataError(GanzooError):
    """Data that is missing, unreadable, or not what the recipe needs."""

    exit_code = ExitCode.DATA


class DivergedError(GanzooError):
    """Training produced numbers that are not finite."""

    exit_code = ExitCode.DIVERGED


class PreemptedError(GanzooError):
    """SIGTERM, SIGUSR1 or SIGHUP arrived before there was anything to save."""

    exit_code = ExitCode.PREEMPTED


class ExportError(GanzooError):
    """An exported graph that did not pass its checks."""

    exit_code = ExitCode.EXPORT


class StorageError(GanzooError):
    """A file or folder that could not be written: disk full, read-only, no permission."""

    exit_code = ExitCode.FAILURE


class FailedError(GanzooError):
    """The machine or a plugin failed during the run: out of memory, an exception in a term."""

    exit_code = ExitCode.FAILURE
