"""Checks of an importer: what it recognises, and that the example of its family becomes working networks."""

from __future__ import annotations

import numpy as np
import torch

from ganzoo.errors import GanzooError, PluginError
from ganzoo.importing.networks import build_imported
from ganzoo.importing.recognise import recognised
from ganzoo.networks.apply import declared, example
from ganzoo.testing.check import Failed, NotApplicable, check, demand
from ganzoo.testing.targets import ImporterTarget, fields_written

BATCHES = (1, 2, 7)


@check("importer")
def recognises_its_example(target: ImporterTarget) -> None:
    """It recognises the example of its family and uses all of it; no other importer takes it for its own."""
    left = target.match.unread
    demand(
        not left,
        f"It does not use {len(left)} arrays of its example: {', '.join(left[:5])}.",
        "name those that the network does not need: found.skip(...)",
    )
    own = target.match.imported.architecture
    other = [
        str(match)
        for match in recognised(target.parts, {}, target.registry)
        if match.imported.architecture != own
    ]
    demand(
        not other,
        f"The example is also recognised as {', '.join(other)}.",
        "demand names or shapes that only this family has",
    )


@check("importer", "recognises-its-example")
def builds_networks_with_the_weights(target: ImporterTarget) -> None:
    """All arrays fit the networks, and generators write finite samples at batches of 1, 2 and 7."""
    try:
        _, info, networks, _ = build_imported(target.match.imported, target.registry)
    except PluginError as error:
        raise NotApplicable(f"its architecture fails: {error.what}") from error
    fields = declared(networks, info)
    for n in BATCHES:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(n)
            batch = example(fields.values(), n)
        for name, net in networks.generators.items():
            for key, value in fields_written(net, batch).items():
                demand(bool(torch.isfinite(value).all()), f"'{key}' from '{name}' is not finite.")
                wanted = (n, *fields[key].shape)
                demand(
                    tuple(value.shape) == wanted, f"'{key}' has the shape {tuple(value.shape)}, not {wanted}."
                )


@check("importer", "recognises-its-example")
def refuses_other_weights(target: ImporterTarget) -> None:
    """It answers None for weights of other networks."""
    rows = {f"layers.{at}.{name}": np.ones(4 + at) for at in range(3) for name in ("weight", "bias")}
    classifier = {
        "conv1.weight": np.ones((64, 3, 7, 7)), "bn1.weight": np.ones(64), "bn1.bias": np.ones(64),
        "fc.weight": np.ones((10, 64)), "fc.bias": np.ones(10),
    }  # fmt: skip
    matrices = {f"{at}.weight": np.ones((8, 8)) for at in range(4)}
    for tree in (rows, classifier, matrices):
        demand(
            not target.answers(tree),
            f"It recognises weights with the names {', '.join(tree)}.",
            "demand names and shapes that only this family has",
        )


@check("importer", "recognises-its-example")
def refuses_incomplete_weights(target: ImporterTarget) -> None:
    """Its example without an array of the generator is refused: each of up to 12 arrays is left out once."""
    weights = target.match.path
    whole = next(part for part in target.parts if part.path == weights)
    names = [name for name in whole.arrays if not name.endswith("num_batches_tracked")]
    for name in names[:: max(1, len(names) // 12)]:
        for match in target.answers({key: a for key, a in whole.arrays.items() if key != name}):
            if match.unread:
                continue
            try:
                build_imported(match.imported, target.registry)
            except PluginError:
                raise
            except GanzooError:
                continue
            raise Failed(f"Without '{name}' its example is taken.", "map every array of the generator")
