"""Files of measurements: JSON with one entry a line, so that a new row is one line of a diff."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def as_lines(entries: Sequence[Any] | Mapping[str, Any]) -> str:
    """JSON of a list or a mapping, each entry on a line of its own."""
    if isinstance(entries, Mapping):
        lines = [f"{json.dumps(key)}: {_short(value)}" for key, value in entries.items()]
    else:
        lines = [_short(value) for value in entries]
    start, end = "{}" if isinstance(entries, Mapping) else "[]"
    return f"{start}\n" + ",\n".join(lines) + f"\n{end}\n"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
