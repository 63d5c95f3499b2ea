"""What `ganzoo generate` was asked for: its options as one record, which of them exclude each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.runtime.generator import Generator
    from ganzoo.runtime.inputs import Values


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of the command, by the names of their parameters."""

    source: Path
    count: int | None
    seed: int
    label: str | None
    classes: bool
    steps: int | None
    walk: int | None
    sizes: tuple[str, ...]
    length: int | None
    constants: tuple[str, ...]
    psi: float | None
    given: Path | None
    latent: Path | None
    directions: Path | None
    direction: int
    strength: float
    tile: str | None
    generator: str
    provider: str
    threads: int | None
    batch_size: int
    trust: bool
    output: Path | None
    columns: int | None

    def check(self) -> None:
        """UsageError for options that exclude each other, and for a --set that cannot be read."""
        _ = self.numbers
        rows = self.classes or self.steps is not None
        if self.classes and (self.steps is not None or self.label is not None):
            raise UsageError("--classes shows all classes: it cannot be used with --label or --interpolate.")
        if self.walk is not None and (rows or self.given is not None):
            raise UsageError("--walk cannot be used with --classes, --interpolate or --input.")
        if self.columns is not None and self.columns < 1:
            raise UsageError(f"A grid cannot have {self.columns} columns.")
        if self.given is not None and (rows or self.count is not None or self.columns is not None):
            raise UsageError(
                "--input cannot be used with -n, --classes, --interpolate or --columns: one sample per input."
            )
        if self.tile is not None and self.given is None:
            raise UsageError("--tile is for inputs.", fix="leave it out, or add --input PATH")
        if self.has_latents:
            self._check_latents()

    def _check_latents(self) -> None:
        if self.classes or self.given is not None:
            raise UsageError("--latent and --directions cannot be used with --classes or --input.")
        along = self.directions is not None
        if (self.latent is not None and self.count is not None) or (
            not along and (self.steps, self.walk) != (None, None)
        ):
            raise UsageError(
                "--latent makes a sample of each row of the file: no -n, and steps only along a direction.",
                fix="leave them out, or add --directions FILE",
            )

    @property
    def has_latents(self) -> bool:
        """Whether values of inputs or steps come from files."""
        return self.latent is not None or self.directions is not None

    @cached_property
    def numbers(self) -> dict[str, Values]:
        """The values of --set and --psi by name."""
        return {**_numbers(self.constants), **({} if self.psi is None else {"psi": self.psi})}

    @property
    def how(self) -> Mapping[str, Any]:
        """How files are opened."""
        return {"provider": self.provider, "trust": self.trust, "threads": self.threads}

    def sizes_of(self, loaded: Generator) -> dict[str, int]:
        """The sizes of --size and --length by axis of this generator."""
        axes = tuple(loaded.multiples)
        every = "x".join("N" * len(axes))
        if not axes and (self.sizes or self.length is not None):
            raise UsageError("All sizes of this generator are fixed.", fix="leave out --size and --length")
        named: dict[str, int] = {}
        for text in (*self.sizes, *(() if self.length is None else (f"{self.length}",))):
            name, _, value = text.rpartition("=")
            numbers = value.lower().split("x")
            names = (name,) if name else axes
            if len(names) != len(numbers) or not all(number.isdecimal() for number in numbers):
                raise UsageError(
                    f"'{text}' is no size of this generator; its free axes are {', '.join(axes)}.",
                    fix=f"--size {axes[0]}=N, or " + ("--length N" if len(axes) == 1 else f"--size {every}"),
                )
            named |= {axis: int(number) for axis, number in zip(names, numbers, strict=True)}
        return named

    def tile_of(self, loaded: Generator) -> int | None:
        """The side of tiles of --tile: None chooses it."""
        if self.tile in (None, "auto"):
            return None
        if not (self.tile or "").isdecimal():
            raise UsageError(f"--tile takes auto or a number, not '{self.tile}'.", fix="--tile 256")
        if int(self.tile or 0) and not loaded.multiples:
            raise UsageError(
                "This generator has no free axis: it cannot work in tiles.", fix="leave --tile out"
            )
        return int(self.tile or 0)


def _numbers(constants: tuple[str, ...]) -> dict[str, Values]:
    """The values of --set by name."""
    numbers: dict[str, Values] = {}
    for text in constants:
        name, _, value = text.partition("=")
        try:
            values = tuple(float(number) for number in value.split(","))
        except ValueError:
            raise UsageError(f"--set takes NAME=NUMBER, not '{text}'.", fix="--set psi=0.7") from None
        numbers[name] = values[0] if len(values) == 1 else values
    return numbers
