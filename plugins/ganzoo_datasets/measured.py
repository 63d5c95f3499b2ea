"""Facts about many files, such as sizes: found once, and kept in the cache until a file changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganzoo.api import in_parts, keep_cached, read_cached, report_progress


def measured(
    depends: Sequence[Any], states: Mapping[str, Any], look: Callable[[str], Any], what: str
) -> dict[str, Any]:
    """`look(name)` for each name in `states`: lists and numbers, or None for a file that cannot be read.

    A file whose state is that of the last time is not looked at. `depends`: on what all results depend, such
    as the folder and versions. `what` names the work: `image headers read`.
    """
    table = hashlib.sha256(ascii(depends).encode()).hexdigest()
    kept = json.loads(read_cached("headers", table) or "{}")
    known = {name: kept[name][1] for name, state in states.items() if kept.get(name, [None])[0] == state}
    missing = [name for name in states if name not in known]
    done = 0
    for found in in_parts(lambda part: [look(missing[at]) for at in part], len(missing)):
        known |= dict(zip(missing[done : done + len(found)], found, strict=True))
        done += len(found)
        report_progress(what, done, len(missing))
    if missing:
        rows = {name: [state, known[name]] for name, state in states.items() if known[name] is not None}
        keep_cached("headers", table, json.dumps(rows).encode())
    return known
