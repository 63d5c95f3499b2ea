"""The page: what it says of one run, or of several beside each other."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from ganzoo._version import __version__
from ganzoo.config.settings import layer
from ganzoo.errors import UsageError
from ganzoo.report.charts import Html, Line, chart, is_number, joined, number, tag
from ganzoo.report.previews import timelines
from ganzoo.runs.run import Run
from ganzoo.util.files import write_bytes
from ganzoo.util.text import Unit, counted, printable

LARGEST = 3_000_000  # bytes of a page
MOST = 24  # runs in a page: more lines cannot be told apart
CHARTS, NOTES, FACTS, LETTERS = 40, 40, 80, 300  # letters of a text; the rest is cut

# Charts of one run with up to two lines: title, explanation, names of the logged values and of their lines.
# Of several runs, and for all other values, each value has a chart.
_PAIRS = (
    (
        *("Losses", "in a GAN they need not fall"),
        {"loss_discriminator": "discriminator", "loss_generator": "generator"},
    ),
    (
        *("Discriminator's scores", "equal: it cannot tell real from generated"),
        {"score_real": "real", "score_fake": "generated"},
    ),
    (
        *("Gradient norms", "near 0: this network no longer learns"),
        {"gradient_norm_discriminator": "discriminator", "gradient_norm_generator": "generator"},
    ),
    (
        *("Discriminator's AUC", "0.5: it cannot tell real from generated, 1: it is always right"),
        {"score_auc": "AUC"},
    ),
    (
        *("Size of parameters", "root mean square: it should not grow without end"),
        {"parameter_rms_discriminator": "discriminator", "parameter_rms_generator": "generator"},
    ),
)

Points = list[tuple[float, float]]


class Shown(NamedTuple):
    """A run, its name in the page, its logged values as `table/name`, and its settings by path."""

    run: Run
    name: str
    curves: dict[str, Points]
    settings: dict[str, str]


def write_page(runs: Sequence[Run], output: Path, better: Mapping[str, str]) -> None:
    """Write the page of these runs, whole or not at all; `better` is what `registry.directions` returns."""
    write_bytes(output, page(runs, better).encode())


def page(runs: Sequence[Run], better: Mapping[str, str]) -> str:
    """The page of these runs, of at most `LARGEST` bytes. UsageError for too many runs."""
    if len(runs) > MOST:
        raise UsageError(f"A page shows at most {MOST} runs, not {len(runs)}.")
    folders = [run.path.resolve().name for run in runs]
    shown = [
        Shown(run, name if folders.count(name) == 1 else str(run.path), _curves(run), _settings(run))
        for run, name in zip(runs, folders, strict=True)
    ]
    one, now = runs[0].record, datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    title = f"{len(runs)} runs" if len(runs) > 1 else f"{one['recipe']} on {one['data'].get('source', '')}"
    names = ", ".join(one.name for one in shown)
    head = [tag("h1", title), tag("p", names), _table(shown, [_state(one) for one in shown], "tiles")]
    if any(run.status in ("starting", "training") for run in runs):
        head.append(tag("p", f"Still training at {now}. Reload for a newer page."))
    notes = [_notes(run, max(5, NOTES // len(runs))) for run in runs]
    rest = [
        *_section("Curves", tag("div.charts", *_charts(shown, better))),
        *_section("Scores", _table(shown, [_scores(one, better) for one in shown])),
        *_section("Data", _table(shown, [_data(run) for run in runs])),
        *_section("Settings", *_settings_tables(shown)),
        *_section("About", _table(shown, [_about(run) for run in runs])),
        tag("footer", f"written by ganzoo {__version__}, {now}"),
    ]
    before = joined([tag("header", *head), *_section("Notes", *_each(shown, notes))])
    unit = _unit(shown)
    room = LARGEST - len(_document(title, joined([before, *rest]), unit).encode()) - 5_000
    samples = _each(shown, [timelines(run, room // len(runs)) for run in runs])
    body = joined([before, *_section("Samples", _SLIDER, tag("div.runs", *samples)), *rest])
    return _document(title, body, unit)


def _unit(shown: Sequence[Shown]) -> Unit:
    """What all these runs count; samples where they differ."""
    units = {one.run.unit for one in shown}
    return units.pop() if len(units) == 1 else Unit()


_SLIDER = tag(  # page.js fills it with the moments of the samples, and shows it
    "div.slider",
    tag("button", "Play", type="button"),
    tag("input", type="range", min=0, aria_label="moment of the training"),
    tag("output"),
    hidden=True,
)


def _document(title: str, body: Html, unit: Unit) -> str:
    """The whole file. Its policy lets a browser neither fetch anything nor run any other script."""
    parts = {}
    for name, kind in (("style", "css"), ("script", "js")):
        text = resources.files(__package__).joinpath(f"page.{kind}").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        parts[name] = (Html(f"<{name}>{text}</{name}>"), f"{name}-src 'sha256-{digest}'")
    (style, style_policy), (script, script_policy) = parts.values()
    policy = f"default-src 'none'; img-src data:; media-src data:; {style_policy}; {script_policy}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<link rel="icon" href="data:,">{tag("title", title)}{style}</head>\n'
        f"<body>{tag('main', body, data_unit=unit.nouns)}{script}</body></html>\n"
    )


def _section(title: str, *parts: Html) -> list[Html]:
    return [tag("section", tag("h2", title), *parts)] if any(parts) else []


def _each(shown: Sequence[Shown], parts: Sequence[Html]) -> list[Html]:
    """The parts of several runs, each under the run's name."""
    if len(shown) == 1:
        return list(parts)
    pairs = enumerate(zip(shown, parts, strict=True))
    return [tag("div", tag("h3", tag(f"i.s{at % 8}"), one.name), part) for at, (one, part) in pairs if part]


def _table(shown: Sequence[Shown], facts: Sequence[Mapping[str, Any]], kind: str = "") -> Html:
    """A row for each fact, a column for each run; nothing without facts."""
    rows = []
    for name in list(dict.fromkeys(name for one in facts for name in one))[:FACTS]:
        cells = [one.get(name, "") for one in facts]
        texts = [cell if isinstance(cell, Html) else printable(str(cell), LETTERS) for cell in cells]
        rows.append(tag("tr", tag("th", name[:80], scope="row"), *[tag("td", cell) for cell in texts]))
    if len(facts) > 1:
        rows.insert(0, tag("tr", tag("td"), *[tag("th", one.name, scope="col") for one in shown]))
    return (
        tag("div.wide", tag(f"table.{'many' if len(facts) > 1 else kind}", *rows), tabindex=0)
        if any(facts)
        else Html()
    )


def _curves(run: Run) -> dict[str, Points]:
    """The numbers of the log by table and name, in the order of images."""
    found: dict[str, dict[float, float]] = {}
    for line in run.log():
        tables = {"": line, "values": line["values"], "scores": line.get("scores")}
        for table, values in tables.items():
            for name, value in values.items() if isinstance(values, dict) else ():
                if is_number(value) and is_number(line["images"]) and line["images"] >= 0:
                    found.setdefault(f"{table}/{name}", {})[float(line["images"])] = float(value)
    return {name: sorted(points.items()) for name, points in found.items()}


def _settings(run: Run) -> dict[str, str]:
    with suppress(UsageError):
        values = layer("", run.settings()).values
        return {".".join(path): printable(str(value), LETTERS) for path, value in values.items() if path[1:]}
    return {}


def _state(one: Shown) -> dict[str, Any]:
    record, points = one.run.record, one.curves.get("/seconds") or [(0.0, 0.0)]
    images, seconds = max(points[-1], (record.get("images", 0), record.get("seconds", 0.0)))
    return {
        "status": one.run.status,
        one.run.unit.nouns: number(int(images)),
        "minutes": f"{seconds / 60:.1f}",
        f"{one.run.unit.nouns} a second": number(int(images / seconds)) if seconds else "",
        "data": record["data"].get("source", ""),
        "device": f"{record['device']}, {record['precision']}",
        **{f"parameters, {name}": number(count) for name, count in record["parameters"].items()},
    }


def _notes(run: Run, most: int) -> Html:
    rows = [tag("li", printable(note["text"], 2 * LETTERS)) for note in run.notes()[-most:]]
    return tag("ul", *rows) if rows else Html()


def _charts(shown: Sequence[Shown], better: Mapping[str, str]) -> list[Html]:
    """All logged values: scores first, pairs of one run in one chart, of several runs a line for each."""
    unit = _unit(shown)
    several, pairs = len(shown) > 1, dict[str, tuple[str, dict[str, str]]]()
    for name in _names(shown, "scores/"):
        pairs[name] = (f"{better[name]} is better" if name in better else "", {f"scores/{name}": name})
    for title, about, values in _PAIRS:
        if several:
            for key, label in values.items():
                pairs[f"{title}: {label}" if len(values) > 1 else title] = (about, {f"values/{key}": label})
        else:
            pairs[title] = (about, {f"values/{key}": label for key, label in values.items()})
    known = {name for _, names in pairs.values() for name in names}
    pairs |= {
        key: ("", {f"values/{key}": key}) for key in _names(shown, "values/") if f"values/{key}" not in known
    }
    apart = "distance between samples, relative to real ones"
    pairs["Spread of samples"] = (apart, {"/sample_spread": "spread"})
    pairs["Speed"] = (f"real {unit.nouns} a second", {"/images_per_second": f"{unit.nouns} a second"})
    found: list[Html] = []
    for title, (about, names) in pairs.items():
        lines = [
            Line(one.name if several else label, one.curves[key], at if several else style)
            for at, one in enumerate(shown)
            for style, (key, label) in enumerate(names.items())
            if key in one.curves
        ]
        if any(y for line in lines for _, y in line.points) and len(found) < CHARTS:
            found.append(chart(title, about, lines, min(300, max(60, 1200 // len(shown))), unit))
    return found


def _names(shown: Sequence[Shown], table: str) -> Iterator[str]:
    """The names of the values of a table of the logs, without the number of scored samples."""
    for name in dict.fromkeys(name for one in shown for name in one.curves):
        if name.startswith(table) and name != "scores/n":
            yield name.removeprefix(table)


def _scores(one: Shown, better: Mapping[str, str]) -> dict[str, str]:
    """The newest value of each score, and the best one if it is known what is better."""
    found = {}
    for name in _names([one], "scores/"):
        points, way = one.curves[f"scores/{name}"], better.get(name)
        text = number(points[-1][1])
        if way is not None:
            images, best = (min if way == "lower" else max)(points, key=lambda point: point[1])
            text += f", best {number(best)} at {number(int(images))}"
        found[f"{name}, {way} is better" if way else name] = text
    return found


def _data(run: Run) -> dict[str, Any]:
    """What run.json says of the data; its `card` is a list of facts: name, value, note."""
    data, found = run.record["data"], {}
    with suppress(TypeError, ValueError):  # another version may have written it otherwise
        for name, *texts in data.get("card", []):
            found[str(name)] = "; ".join(str(text) for text in texts if text)
    found |= {"source": data.get("source", ""), "samples": number(data["count"])}
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        for field in run.info.fields:
            size = " x ".join(map(str, field.shape)) or "one value"
            classes = f", {len(field.classes)} classes: {', '.join(field.classes)}" if field.classes else ""
            found[f"field {field.name}"] = f"{field.kind} {size}{classes}".strip()
    if data.get("skipped"):
        found["left out"] = f"{counted(len(data['skipped']), 'file')}: see bad_files.txt"
    return found


def _settings_tables(shown: Sequence[Shown]) -> list[Html]:
    """Those of one run that a default does not set, or those of several that differ; then all."""
    origins = shown[0].run.record.get("origins")
    given: list[Mapping[str, str]] = [one.settings for one in shown]
    paths = list(dict.fromkeys(path for settings in given for path in settings))
    chosen = [path for path in paths if len({settings.get(path) for settings in given}) > 1]
    if len(shown) == 1 and isinstance(origins, dict):
        chosen = [path for path in paths if origins.get(path, "core") != "core"]
        texts = [(path, value, origins.get(path, "core")) for path, value in given[0].items()]
        given = [{path: tag("span", value, tag("small", origin)) for path, value, origin in texts}]
    first = _table(shown, [{path: one.get(path, "") for path in chosen} for one in given])
    everything = tag("details", tag("summary", f"All {len(paths)} settings"), _table(shown, given))
    return [first, everything] if paths else []


def _about(run: Run) -> dict[str, Any]:
    """What else run.json says."""
    shown = {"origins", "data", "format", "recipe", "status", "parameters", "images", "unit"}
    values = layer("", {key: value for key, value in run.record.items() if key not in shown}).values
    return {"folder": run.path.resolve(), **{" ".join(path): value for path, value in values.items()}}
