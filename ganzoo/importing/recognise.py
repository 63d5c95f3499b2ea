"""Which network of a file which importer recognises, and which of several answers is meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganzoo.api.importing import Imported, Weights
from ganzoo.api.specs import ImporterSpec
from ganzoo.errors import DataError, PluginError, UsageError
from ganzoo.foreign.read import Contents, read_file
from ganzoo.foreign.tree import Part, parts_of, plain
from ganzoo.registry.registry import Item, Registry, calling, factory_of
from ganzoo.util.text import printable

_AVERAGE = re.compile(r"(^|_|\.)(ema|avgg?|average|averaged|gs|shadow)(_|\.|$)", re.IGNORECASE)
SHOWN = 5  # names in a message
DISCRIMINATOR = "discriminator"  # the path of the whole second file


@dataclass(frozen=True)
class Match:
    """An importer that recognised the network at `path`, and what it made of it."""

    item: Item[ImporterSpec]
    path: str
    imported: Imported
    unread: tuple[str, ...] = ()
    """The arrays of the network that the importer did not use."""
    judge_unread: tuple[str, ...] = ()
    """The arrays of the second file, that of the discriminator, which it did not use."""

    @property
    def is_average(self) -> bool:
        """Whether the network's name says that its weights are averages over the training."""
        return _AVERAGE.search(self.path) is not None

    def __str__(self) -> str:
        return f"{self.imported.architecture} ({self.item.name}) at {self.path or 'the top'}"


@dataclass(frozen=True)
class Opened:
    """A file with its networks, and the answers of all importers."""

    path: Path
    format: str
    parts: Sequence[Part]
    facts: Mapping[str, Any]
    matches: Sequence[Match]
    lacking: Sequence[str] = ()
    """What importers that recognised a network did not find in it."""
    discriminator: Path | None = None
    values: Path | None = None
    """The second file of a format of two files, with the values."""


def open_file(path: Path, registry: Registry, discriminator: Path | None = None) -> Opened:
    """Read a file and ask the importers about each of its networks.

    `discriminator`: another file, whose networks importers see beside those of the first one. UsageError for
    a file that cannot be read or has no arrays, PluginError for an importer that fails.
    """
    contents = read_file(path)
    parts = read_parts(contents, path)
    judges = [] if discriminator is None else read_parts(read_file(discriminator), discriminator)
    shown = plain(contents.tree)
    facts = {**(shown if isinstance(shown, dict) else {}), **contents.facts}
    lacking: list[str] = []
    matches = recognised(parts, facts, registry, lacking, judges)
    return Opened(path, contents.format, parts, facts, matches, lacking, discriminator, contents.values)


def read_parts(contents: Contents, path: Path) -> list[Part]:
    """The networks of a file; UsageError when it has none."""
    try:
        parts = parts_of(contents.tree, contents.budget)
    except ValueError as error:
        raise UsageError(f"The file is refused: {error}.", where=str(path)) from error
    if not parts:
        raise UsageError(
            "The file has no arrays by name, so no network.",
            where=f"{path} ({contents.format})",
            fix="weights are what torch.save(net.state_dict(), FILE) writes",
        )
    return parts


def recognised(
    parts: Sequence[Part],
    facts: Mapping[str, Any],
    registry: Registry,
    lacking: list[str] | None = None,
    judges: Sequence[Part] = (),
) -> list[Match]:
    """The answers of all importers about all networks; of a network and its own part only the first.

    An importer that reads a name which is missing, or raises DataError because it does not know this variant
    of its family, is asked again without the networks beside it: an odd discriminator does not stop the
    generator. If that fails, too, it recognises nothing; `lacking` gets a text about it. `judges` are the
    networks of another file, which is `discriminator` for importers; its parts are `discriminator.PATH`.
    """
    others: dict[str, Weights] = {}

    def add_judges() -> None:  # anew for each call, because they keep what was read
        for judge in judges:
            add(f"{DISCRIMINATOR}.{judge.path}", judge)
        for judge in judges[:1]:
            add(DISCRIMINATOR, judge)

    def add(path: str, part: Part) -> None:
        others[path] = Weights(
            part.arrays,
            path=path,
            options=part.options,
            class_name=part.class_name,
            others=others,
            facts=facts,
        )

    for part in parts:
        add(part.path, part)
    networks = list(others.items())
    matches: list[Match] = []
    for item in registry.of_kind(ImporterSpec):
        recognise, found = factory_of(item, "recognise"), list[Match]()
        for path, weights in networks:
            if any(_contains(match.path, path) for match in found):
                continue
            add_judges()
            with calling(item):
                imported, reason = _asked(recognise, weights)
                if reason and len((alone := _alone(weights)).others) < len(others):
                    add_judges()
                    imported, _ = _asked(recognise, alone)
                    if isinstance(imported, Imported):
                        left = f"other networks that fit the generator: they are left out ({reason})"
                        imported = replace(imported, unknown=(*imported.unknown, left))
                        weights = alone
            if reason and imported is None and lacking is not None:
                lacking.append(f"like {item.name} at {path or 'the top'}, {reason}")
            if imported is None:
                continue
            if not isinstance(imported, Imported):
                raise PluginError(
                    f"The importer '{item.name}' returned no Imported: {type(imported).__name__}."
                )
            found.append(Match(item, path, imported, weights.unread, _unread(judges, others)))
        matches += found
    return matches


def _asked(recognise: Callable[[Weights], Any], weights: Weights) -> tuple[Any, str]:
    """The answer of an importer, and why it failed."""
    try:
        return recognise(weights), ""
    except KeyError as error:
        return None, f"but without {error}"
    except DataError as error:
        return None, "but: " + " ".join(filter(None, (error.what, error.where)))


def _alone(weights: Weights) -> Weights:
    """The same network, beside only its own parts and those that it is a part of."""
    others: dict[str, Weights] = {}
    for path, other in weights.others.items():
        if _contains(path, weights.path) or _contains(weights.path, path):
            others[path] = other.beside(others)
    return others[weights.path]


def _unread(judges: Sequence[Part], others: Mapping[str, Weights]) -> tuple[str, ...]:
    """The names of the second file that were read neither in the whole nor in one of its parts."""
    if not judges:
        return ()
    unread = set(others[DISCRIMINATOR].unread)
    for judge in judges:
        start = f"{judge.path}.".removeprefix(f"{judges[0].path}.").lstrip(".")
        left = others[f"{DISCRIMINATOR}.{judge.path}"].unread
        unread -= {f"{start}{key}" for key in judge.arrays if key not in left}
    return tuple(key for key in judges[0].arrays if key in unread)


def chosen(opened: Opened, architecture: str = "", part: str | None = None) -> Match:
    """The one match that is meant: averaged weights before the last ones.

    UsageError when no importer knows the file, when several networks are left, or when the importer did not
    use some of the network's arrays; it names them.
    """
    matches = [
        match
        for match in opened.matches
        if architecture in ("", match.imported.architecture, match.item.name) and part in (None, match.path)
    ]
    if not matches:
        raise _unknown(opened, architecture, part)
    architectures = sorted({match.imported.architecture for match in matches})
    if len(architectures) > 1:
        raise UsageError(
            f"The file fits {len(architectures)} architectures: {', '.join(map(str, matches[:SHOWN]))}.",
            where=str(opened.path),
            fix=f"--architecture {architectures[0]}, or another of them",
        )
    best = [match for match in matches if match.is_average] or matches
    if len({match.path for match in best}) > 1:
        names = ", ".join(match.path or "the top" for match in best[:SHOWN])
        raise UsageError(
            f"The file has {len(best)} such generators: {names}.",
            where=str(opened.path),
            fix=f"--part {best[0].path or best[-1].path} chooses one; --inspect shows all",
        )
    if best[0].unread:
        names = ", ".join(best[0].unread[:SHOWN])
        raise UsageError(
            f"The network has {len(best[0].unread)} arrays unknown to '{best[0].item.name}': {names}.",
            where=f"{opened.path}: {best[0]}",
            fix="it is of another version of this family: another importer is needed",
        )
    if best[0].judge_unread:
        names = ", ".join(best[0].judge_unread[:SHOWN])
        raise UsageError(
            f"The file of the discriminator has {len(best[0].judge_unread)} arrays that "
            f"'{best[0].item.name}' does not use: {names}.",
            fix="leave --discriminator out: it then begins anew",
        )
    return best[0]


def _unknown(opened: Opened, architecture: str, part: str | None) -> UsageError:
    if opened.matches:
        wanted = " ".join(filter(None, (architecture, part)))
        return UsageError(
            f"The file has no '{wanted}' that an importer recognises.",
            where=f"{opened.path}: {', '.join(map(str, opened.matches[:SHOWN]))}",
            fix="leave the option out, or name one of these",
        )
    whole = opened.parts[0]
    names = ", ".join(printable(key, 60) for key in list(whole.arrays)[:SHOWN])
    module = (
        f"; a whole module, {printable(whole.class_name, 60)}, whose code is not run"
        if whole.class_name
        else ""
    )
    looks = "".join(f"; it looks {text}" for text in opened.lacking[:SHOWN])
    return UsageError(
        "No importer recognises a generator in this file.",
        where=f"{opened.path}: {len(whole.arrays)} arrays, the first {SHOWN} are {names}{module}{looks}",
        fix="ganzoo import --inspect FILE shows all of it; `ganzoo list --kind importer` what is known",
    )


def _contains(whole: str, part: str) -> bool:
    return whole == "" or part == whole or part.startswith(f"{whole}.")
