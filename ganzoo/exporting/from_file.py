"""From a file of weights to a bundle: the networks that an importer recognised, with the usual checks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from ganzoo._version import __version__
from ganzoo.config.settings import plain
from ganzoo.exporting.distances import Frechet
from ganzoo.exporting.export import Bundle, export_generators
from ganzoo.exporting.form import USUAL, Form
from ganzoo.importing.networks import build_imported
from ganzoo.importing.recognise import Match, Opened
from ganzoo.registry.registry import Registry
from ganzoo.runtime.bundle_folder import usual_folder

UNKNOWN_LICENSE = "not said by the user: ask whoever made the weights before you use them"


def export_file(
    opened: Opened,
    match: Match,
    registry: Registry,
    destination: Path | None = None,
    *,
    license_id: str | None = None,
    author: str | None = None,
    source: str = "",
    form: Form = USUAL,
    frechet: Frechet | None = None,
) -> Bundle:
    """Export the generators of a match. Errors as in `export_generators`, and UsageError for unfit weights.

    `license_id`, `author` and `source` are what the user says: nothing is guessed. `frechet` is for smaller
    weights, see `store_weights`.
    """
    plan, info, networks, _ = build_imported(match.imported, registry, discriminators=False)
    about = {**({"author": author} if author else {}), **describe(opened, match, license_id, source)}
    about |= {"options": {} if plan.architecture.options is None else plain(plan.architecture.options)}
    target = destination or usual_folder(opened.path.stem, "file_sha256", about["file_sha256"])
    return export_generators(
        networks, info, target, about=about, form=form, kinds=plan.kinds, frechet=frechet
    )


def describe(opened: Opened, match: Match, license_id: str | None, source: str) -> dict[str, Any]:
    """Facts about the origin of imported weights, without local paths."""
    second, values = opened.discriminator, opened.values
    judge = {"discriminator_file": second.name, "discriminator_sha256": sha256_of(second)} if second else {}
    return {
        "recipe": f"{opened.path.name} (imported)",
        "architecture": match.imported.architecture,
        "importer": f"{match.item.qualified} {match.item.plugin.version}",
        "file": opened.path.name,
        "file_sha256": sha256_of(opened.path),
        "file_format": opened.format,
        **({"values_file": values.name, "values_sha256": sha256_of(values)} if values else {}),
        **judge,
        "network": match.path or "the whole file",
        "source": source or "not said by the user",
        **({"license": license_id} if license_id else {"license_note": UNKNOWN_LICENSE}),
        "unknown": list(match.imported.unknown) or ["nothing"],
        "versions": {"ganzoo": __version__, "torch": torch.__version__},
    }


def sha256_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
