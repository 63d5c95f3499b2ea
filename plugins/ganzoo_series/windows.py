"""Pieces of series -> samples: a training part and a later, held-out part, scales, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ganzoo.api import ArraySource, Column, DataError, Field, some
from ganzoo_series.clock import Clock
from ganzoo_series.config import WindowConfig
from ganzoo_series.fields import Layout
from ganzoo_series.pieces import Piece, SeriesTable
from ganzoo_series.transform import Scale, fit_scale, forward, log_returns
from ganzoo_tables.config import setting

Floats = NDArray[np.float64]

FEWEST = 10  # windows
MOST_BYTES = 1 << 31
SHOWN = 10  # columns in a data card
INDEX = 100.0  # where written returns of several entities start


@dataclass(frozen=True, kw_only=True)
class Part:
    """Samples (N, T, C) as networks see them, and the entity's attributes of each."""

    samples: NDArray[np.float32]
    attributes: list[tuple[str, ...]]


def split(pieces: Sequence[Piece], held_out: float) -> tuple[list[Piece], list[Piece], float]:
    """The pieces before a moment, those from it on, and the moment; all entities are cut at the same time."""
    if not held_out:
        return list(pieces), [], np.inf
    times = np.concatenate([piece.times for piece in pieces])
    moment = float(np.quantile(times, 1 - held_out, method="higher"))
    before: list[Piece] = []
    after: list[Piece] = []
    for piece in pieces:
        at = int(np.searchsorted(piece.times, moment))
        for part, rows in ((before, slice(0, at)), (after, slice(at, None))):
            if len(piece.times[rows]):
                part.append(replace(piece, times=piece.times[rows], values=piece.values[rows]))
    return before, after, moment


def sources(
    table: SeriesTable, config: WindowConfig, name: str, where: str
) -> tuple[ArraySource, ArraySource | None]:
    """The training samples, and the held-out ones; None without any. DataError where there are too few."""
    before, after, moment = split(table.pieces, config.held_out)
    if config.returns:
        _check_positive(table, where)
    known = [_signal(piece, config) for piece in before]
    whole = known + [_signal(piece, config) for piece in after]
    scales = _scales(table, known, whole, config, where)
    layout = _layout(table, before, scales, config)
    field = layout.field(config.length, bounded=config.scale == "minmax")
    made = [_part(pieces, scales, config) for pieces in (before, after)]
    if len(made[0].samples) < FEWEST:
        _refuse_few(made[0], before, table, config, where)
    about = _about(table)
    fields = (field, *about)
    unit = "log return" if config.returns else "value"
    more = len(table.columns) - SHOWN
    card = [
        *table.card,
        *((column, _span(whole, at), f"{unit}s") for at, column in enumerate(table.columns[:SHOWN])),
        *(
            [("...", f"{more:,} more columns", f"{unit}s")]
            if (more := len(table.columns) - SHOWN) > 0
            else []
        ),
        ("windows", f"{len(made[0].samples):,} of {'up to ' * config.variable}{config.length} steps", ""),
    ]
    if np.isfinite(moment):
        held = len(made[1].samples)
        card.append(("held out", f"{held:,} windows", f"from {table.clock.at(moment)} on, none before it"))
    training, held_out = (
        ArraySource(
            fields=fields,
            arrays={
                "series": part.samples,
                **{item.name: _encoded(item, part.attributes) for item in about},
            },
            identity=f"{name}: {len(part.samples)} {what}windows of {config.length} steps",
            notes=table.notes,
            card=tuple(card),
        )
        for part, what in zip(made, ("", "held-out "), strict=True)
    )
    return training, held_out if len(made[1].samples) >= FEWEST else None


def _signal(piece: Piece, config: WindowConfig) -> Floats:
    """What is scaled: values, or log returns, (n, C)."""
    return log_returns(piece.values) if config.returns else piece.values


def _check_positive(table: SeriesTable, where: str) -> None:
    """DataError that names all columns with values that have no logarithm, and the first such value."""
    lowest = np.min([piece.values.min(axis=0) for piece in table.pieces], axis=0)
    found = [name for name, least in zip(table.columns, lowest, strict=True) if least <= 0]
    if not found:
        return
    column = table.columns.index(found[0])
    piece = next(piece for piece in table.pieces if (piece.values[:, column] <= 0).any())
    row = int((piece.values[:, column] <= 0).argmax())
    others = f" (and in {some(found[1:])})" if found[1:] else ""
    raise DataError(
        f"Log returns need values above 0, and there is {piece.values[row, column]:g}{others}.",
        where=f"{where}, column '{found[0]}', {table.clock.at(piece.times[row])}",
        fix=f"--set data.returns=false, or {_leave_out(table, found)}",
    )


def _leave_out(table: SeriesTable, columns: Sequence[str]) -> str:
    which = "the column" if len(columns) == 1 else "the columns"
    return f"leave {which} out: {setting('leave_out', *table.left_out, *columns)}"


def _scales(
    table: SeriesTable, known: list[Floats], whole: list[Floats], config: WindowConfig, where: str
) -> tuple[Scale, ...]:
    """The scale of each column from the training rows; the ends of `minmax` from all rows."""
    columns = table.columns
    usable = np.concatenate(known) if known else np.zeros((0, len(columns)))
    if not len(usable):
        raise DataError("There are no training rows.", where=where, fix="--set data.held_out=0.1")
    if same := [name for at, name in enumerate(columns) if np.ptp(usable[:, at]) == 0]:
        raise DataError(
            f"The same in all training rows: {some(same)}.",
            where=where,
            fix=_leave_out(table, same),
        )
    rows = np.concatenate(whole) if config.scale == "minmax" else usable
    return tuple(fit_scale(rows[:, at], config.scale) for at in range(len(columns)))


def _layout(
    table: SeriesTable, before: Sequence[Piece], scales: tuple[Scale, ...], config: WindowConfig
) -> Layout:
    """Written series begin after the data, or with the next session.

    Those of returns begin with the last values, or with an index. Decimals are those of the training rows.
    """
    last = max(table.pieces, key=lambda piece: piece.times[-1])
    several = len({piece.entity for piece in table.pieces}) > 1
    start: tuple[float, ...] = ()
    if config.returns:
        start = (INDEX,) * len(scales) if several else tuple(map(float, last.values[-1]))
    values = np.concatenate([piece.values for piece in before])
    end = float(last.times[-1])
    begin = end if config.returns else table.clock.after(end)
    if table.sessions:  # a window is within a session, and so is what is written
        begin = table.sessions.after(end)
    return Layout(
        columns=table.columns,
        scales=scales,
        clock=replace(table.clock, start=begin),
        start=start,
        ends=config.variable,
        decimals=() if config.returns else tuple(map(_decimals, values.T)),
    )


def _decimals(values: NDArray[np.floating]) -> int:
    """The fewest decimals that write all values as they are, up to 8, or -1."""
    return next((n for n in range(9) if np.array_equal(values.round(n), values)), -1)


def _part(pieces: Sequence[Piece], scales: Sequence[Scale], config: WindowConfig) -> Part:
    """The windows of each piece, in order; no window crosses the end of a piece."""
    parts: list[NDArray[np.float32]] = []
    attributes: list[tuple[str, ...]] = []
    length = config.length
    for piece in pieces:
        seen = forward(_signal(piece, config), scales)
        if config.variable:
            made = _with_ends(seen, length, config.stride or length)
        elif len(seen) < length:
            continue
        else:
            made = sliding_window_view(seen, length, axis=0)[:: config.stride or 1].transpose(0, 2, 1)
        parts.append(made)
        attributes += [piece.attributes] * len(made)
    if (size := sum(4 * part.size for part in parts)) > MOST_BYTES:
        raise DataError(
            f"The windows would fill {size / 2**30:.1f} GiB.",
            fix=f"fewer of them: --set data.stride={max(config.stride, 1) * (size // MOST_BYTES + 1)}",
        )
    empty = np.zeros((0, length, len(scales) + config.variable), np.float32)
    return Part(samples=np.concatenate([empty, *parts]), attributes=attributes)


def _with_ends(seen: NDArray[np.float32], length: int, stride: int) -> NDArray[np.float32]:
    """Windows (N, T, C + 1) of up to `length` steps; the last channel is 1 as long as they go on, then -1.

    A window shorter than `length` ends with its last step; the steps after it are 0 and -1.
    """
    starts = [at for at in range(0, len(seen), stride) if len(seen) - at >= 2]
    made = np.zeros((len(starts), length, seen.shape[1] + 1), np.float32)
    made[..., -1] = -1
    for row, start in enumerate(starts):
        part = seen[start : start + length]
        made[row, : len(part), :-1] = part
        made[row, : len(part) - (len(part) < length), -1] = 1
    return made


def _about(table: SeriesTable) -> list[Field]:
    """The fields `attributes` and `label`, as far as there are any."""
    fields = []
    if table.attributes:
        columns = tuple(
            Column(name=name, values=_values(table, at)) for at, name in enumerate(table.attributes)
        )
        fields.append(attributes_field(columns))
    if table.labelled:
        fields.append(Field(name="label", dtype="int64", classes=_values(table, -1)))
    return fields


def _values(table: SeriesTable, at: int) -> tuple[str, ...]:
    return tuple(sorted({piece.attributes[at] for piece in table.pieces}))


def attributes_field(columns: tuple[Column, ...]) -> Field:
    """The field `attributes` (A,): one-hot vectors of categories."""
    size = sum(column.indicators for column in columns)
    return Field(
        name="attributes", shape=(size,), kind="row", axes=("value",), range=(0.0, 1.0), columns=columns
    )


def _encoded(field: Field, attributes: Sequence[tuple[str, ...]]) -> NDArray[Any]:
    """Classes (N,) of a label, the last attribute; or one-hot vectors (N, A)."""
    if field.classes:
        return np.array([field.classes.index(row[-1]) for row in attributes], np.int64)
    rows = np.zeros((len(attributes), *field.shape), np.float32)
    start = 0
    for at, column in enumerate(field.columns):
        places = [start + column.values.index(row[at]) for row in attributes]
        rows[np.arange(len(rows)), places] = 1
        start += column.indicators
    return rows


def _span(parts: Sequence[Floats], at: int) -> str:
    values = np.concatenate([part[:, at] for part in parts])
    return f"{values.min():.6g} to {values.max():.6g}"


def _refuse_few(
    part: Part, pieces: Sequence[Piece], table: SeriesTable, config: WindowConfig, where: str
) -> None:
    sizes = [len(piece.times) - config.returns for piece in pieces]
    longest = max(sizes, default=0)
    fixes = []
    sessions = table.sessions
    if sessions and _windows(_joined(pieces, table.clock, sessions.gap, config), config) >= FEWEST:
        fixes.append(f"windows across the breaks between sessions: --set data.gap={sessions.gap}")
    elif sessions:
        fixes.append("provide more rows")
    stride = config.stride or (config.length if config.variable else 1)
    strides = [one for one in range(1, stride) if _windows(sizes, config, stride=one) >= FEWEST]
    lengths = [one for one in range(2, config.length) if _windows(sizes, config, length=one) >= FEWEST]
    if strides:
        fixes.append(f"windows that begin nearer to each other: --set data.stride={strides[-1]}")
    elif lengths:
        # A quarter of one long piece gives windows that differ; sessions differ from each other.
        most = longest if sessions else longest // 4
        fixes.append(f"shorter windows: --set data.length={max(min(lengths[-1], most), 2)}")
    elif not sessions:
        fixes.append("provide more rows")
    if config.held_out > 0.1 and not sessions:
        fixes.append("fewer held-out steps: --set data.held_out=0.1")
    if len(pieces) > 1 and not sessions:
        fixes.append("accept longer gaps: --set data.gap=STEPS")
    raise DataError(
        f"{len(part.samples)} training windows of {config.length} time steps are too few.",
        where=f"{where}: the longest part without a gap before the held-out time has {longest:,} steps",
        fix="; or ".join(fixes),
    )


def _joined(pieces: Sequence[Piece], clock: Clock, gap: int, config: WindowConfig) -> list[int]:
    """The sizes of pieces with `data.gap=gap`: those of an entity follow each other in time."""
    sizes: list[int] = []
    for before, piece in zip([None, *pieces], pieces, strict=False):
        steps = np.inf
        if before is not None and before.entity == piece.entity:
            first, last = clock.positions(np.array([piece.times[0], before.times[-1]]))
            steps = first - last
        if 0 < steps <= gap:
            sizes[-1] += len(piece.times)
        else:
            sizes.append(len(piece.times) - config.returns)
    return sizes


def _windows(sizes: Sequence[int], config: WindowConfig, *, length: int = 0, stride: int = 0) -> int:
    """The number of windows in pieces of so many steps, with another length or stride."""
    length, every = length or config.length, stride or config.stride or 1
    if config.variable:
        every = stride or config.stride or length
        return sum(max(size - 1 + every - 1, 0) // every for size in sizes)
    return sum(max(size - length + every, 0) // every for size in sizes)
