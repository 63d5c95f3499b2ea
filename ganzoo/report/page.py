"""The page: what it says of one run, and how it compares several."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from ganzoo._version import __version__
from ganzoo.api.specs import ExtractorSpec, MetricSpec
from ganzoo.config.settings import layer
from ganzoo.errors import UsageError
from ganzoo.registry.registry import Registry
from ganzoo.report.charts import Line, chart, charts
from ganzoo.report.html import Html, duration, is_number, joined, number, tag
from ganzoo.report.previews import timelines
from ganzoo.runs.run import Run
from ganzoo.util.files import write_bytes
from ganzoo.util.text import printable

LARGEST = 3_000_000  # bytes of a page
MOST = 24  # runs in a page: more lines cannot be told apart
CHARTS, NOTES, FACTS, LETTERS = (
    40,
    40,
    80,
    300,
)  # charts, notes, facts and the letters of each: the rest is cut

_PART = resources.files(__name__.rpartition(".")[0])

# Title, explanation, and the logged values of a chart with their names in it. All other values get a chart each.
_GROUPS = (
    (
        "Losses",
        "not comparable between different losses; in a GAN they need not fall",
        {"loss_discriminator": "discriminator", "loss_generator": "generator"},
    ),
    (
        "Scores of the discriminator",
        "equal lines: it cannot tell real from generated samples",
        {"score_real": "real samples", "score_fake": "generated samples"},
    ),
    (
        "Gradient norms",
        "near 0: that network no longer learns",
        {"gradient_norm_discriminator": "discriminator", "gradient_norm_generator": "generator"},
    ),
)


@dataclass(frozen=True)
class Shown:
    """A run with its name in the page, its log, its settings by path, and its notes."""

    run: Run
    name: str
    log: list[dict[str, Any]]
    settings: Mapping[str, Any]
    notes: list[dict[str, Any]]

    @property
    def record(self) -> dict[str, Any]:
        """The content of run.json."""
        return self.run.record


def directions(registry: Registry) -> dict[str, str]:
    """Whether `lower` or `higher` is better, for each score that the metrics may have."""
    distances = [item.spec.distance for item in registry.of_kind(ExtractorSpec)]
    return {
        score.replace("{distance}", distance): way
        for item in registry.of_kind(MetricSpec)
        for score, way in item.spec.better.items()
        for distance in (*distances, item.name)
    }


def write_page(runs: Sequence[Run], output: Path, better: Mapping[str, str]) -> None:
    """Write the page of these runs, whole or not at all; for `better` see `directions`.

    UsageError for too many runs.
    """
    write_bytes(output, page(runs, better).encode())


def page(runs: Sequence[Run], better: Mapping[str, str]) -> str:
    """The page of these runs, of at most `LARGEST` bytes. UsageError for too many runs."""
    if len(runs) > MOST:
        raise UsageError(f"A page shows at most {MOST} runs, not {len(runs)}.")
    shown = [_shown(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    several = len(shown) > 1
    title = f"{len(shown)} runs" if several else f"{shown[0].record['recipe']} on {_source(shown[0])}"
    before = joined(
        [
            tag("header", tag("h1", title), *_head(shown)),
            *_section("Notes", [_notes(one, max(5, NOTES // len(shown))) for one in shown], shown),
        ]
    )
    after = joined(
        [
            *_section("Curves", [charts(_curves(shown, better))] if any(one.log for one in shown) else []),
            *_section("Scores", _scores(shown, better)),
            *_section("Data", [_facts(_data(one)) for one in shown], shown),
            *_section("Settings", _settings(shown)),
            *_section("About", [_facts(_about(one)) for one in shown], shown),
            tag("footer", f"written by ganzoo {__version__}, {_now()}"),
        ]
    )
    room = LARGEST - len(_whole(title, Html(before + after)).encode()) - 10_000
    previews = [timelines(one.run, room // len(shown)) for one in shown]
    if any("data-images" in part for part in previews):
        samples = [_slider(), tag("div", *_named(previews, shown), class_="runs" if several else None)]
    else:
        samples = [tag("p", "There are no previews of samples yet, or data of this kind has none.")]
    return _whole(title, Html(before + joined(_section("Samples", samples)) + after))


def _whole(title: str, body: Html) -> str:
    """The document. Its policy lets a browser neither fetch anything nor run any other script."""
    style, script = (_PART.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    body = tag("body", tag("main", body), Html(f"<script>{script}</script>"))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(run: Run, name: str) -> Shown:
    try:
        values = layer("", run.settings()).values
    except UsageError:
        values = {}
    settings = {".".join(path): value for path, value in values.items() if len(path) > 1}
    return Shown(run, name, run.log(), settings, run.notes())


def _names(runs: Sequence[Run]) -> list[str]:
    """The runs' folders; their whole paths where two are called the same."""
    short = [run.path.resolve().name for run in runs]
    return [str(run.path) if short.count(name) > 1 else name for run, name in zip(runs, short, strict=True)]


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")


def _section(title: str, parts: Sequence[Html], shown: Sequence[Shown] = ()) -> list[Html]:
    """A section; nothing if its parts are empty. With `shown`, each part belongs to one run."""
    if not any(parts):
        return []
    return [tag("section", tag("h2", title), *(_named(parts, shown) if shown else parts))]


def _named(parts: Sequence[Html], shown: Sequence[Shown]) -> list[Html]:
    """The parts of several runs, each under the run's name."""
    if len(shown) == 1:
        return list(parts)
    return [
        tag("div", tag("h3", tag("i", class_=f"key s{at % 8}"), one.name), part, class_="run")
        for at, (one, part) in enumerate(zip(shown, parts, strict=True))
        if part
    ]


def _slider() -> Html:
    """Shown by page.js, which fills it with the moments of the samples."""
    return tag(
        "div",
        tag("button", "Play", type="button"),
        tag("input", type="range", min=0, value=0, aria_label="moment of the training, in images"),
        tag("output"),
        class_="slider",
        hidden=True,
    )


def _head(shown: Sequence[Shown]) -> list[Html]:
    """The state of one run in a few numbers, of several as a table."""
    parts = []
    if any(one.run.status in ("starting", "training") for one in shown):
        parts.append(
            tag("p", f"Still training at {_now()}: `ganzoo report` again, then reload, to see more.")
        )
    numbers = [_numbers(one) for one in shown]
    if len(shown) > 1:
        rows = [(one.name, *texts.values()) for one, texts in zip(shown, numbers, strict=True)]
        return [*parts, _grid(["run", *numbers[0]], rows)]
    tiles = [tag("div", tag("dt", key), tag("dd", text)) for key, text in numbers[0].items()]
    return [tag("p", "run ", tag("strong", shown[0].name)), *parts, tag("dl", *tiles, class_="tiles")]


def _numbers(one: Shown) -> dict[str, str]:
    record, last = one.record, one.log[-1] if one.log else {}
    speeds = sorted(line["images_per_second"] for line in one.log if is_number(line.get("images_per_second")))
    seconds = last.get("seconds") or record.get("seconds", 0.0)
    sizes = [f"{name} {number(count / 1e6)} M" for name, count in record["parameters"].items()]
    return {
        "status": one.run.status,
        "images": number(last.get("images") or record.get("images", 0)),
        "training time": duration(seconds) if is_number(seconds) else "",
        "images a second": number(round(speeds[len(speeds) // 2])) if speeds else "",
        "data": _source(one),
        "device": f"{record['device']}, {record['precision']}",
        "parameters": ", ".join(sizes),
    }


def _source(one: Shown) -> str:
    return printable(str(one.record["data"].get("source", "")), 80)


def _notes(one: Shown, most: int) -> Html:
    rows = [tag("li", printable(str(note.get("text", "")), 2 * LETTERS)) for note in one.notes[-most:]]
    return tag("ul", *rows) if rows else Html()


def _points(log: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """The points (images, value) of the lines of a log that have a number there, in the order of images."""
    found = {line["images"]: value(line) for line in log if is_number(line["images"])}
    return [(float(images), float(y)) for images, y in sorted(found.items()) if is_number(y)]


def _curves(shown: Sequence[Shown], better: Mapping[str, str]) -> list[Html]:
    """Charts of all logged values: of one run with lines that belong together, of several a line for each run."""
    found: list[Html] = []
    most = max(60, 1200 // len(shown)) if len(shown) > 1 else 300

    def add(title: str, about: str, names: Mapping[str, str], table: str = "values") -> None:
        if len(shown) > 1 and len(names) > 1:
            for name, label in names.items():
                add(f"{title}: {label}", about, {name: label}, table)
            return
        lines = []
        for at, one in enumerate(shown):
            for style, (name, label) in enumerate(names.items()):
                if points := _points(one.log, lambda line, name=name: _table(line, table).get(name)):  # type: ignore[misc]
                    several = len(shown) > 1
                    lines.append(Line(one.name if several else label, points, at if several else style))
        if any(y for line in lines for _, y in line.points) and len(found) < CHARTS:
            found.append(chart(title, about, lines, min(300, most)))

    for name in _keys(shown, "scores"):
        add(name, _way(name, better) or "a score of samples", {name: name}, "scores")
    for title, about, names in _GROUPS:
        add(title, about, names)
    known = {name for _, _, names in _GROUPS for name in names}
    for name in _keys(shown, "values"):
        if name not in known:
            add(name, "term or other logged value", {name: name})
    add(
        "Spread of samples",
        "mean distance between samples, divided by that of real ones",
        {"sample_spread": "spread"},
        "",
    )
    add("Speed", "real images a second", {"images_per_second": "images a second"}, "")
    return found


def _way(name: str, better: Mapping[str, str]) -> str:
    return f"{better[name]} is better" if name in better else ""


def _table(line: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    found = line.get(table) if table else line
    return found if isinstance(found, Mapping) else {}


def _keys(shown: Sequence[Shown], table: str) -> list[str]:
    """The names of values that the logs have, without the number of scored samples."""
    names = (str(name) for one in shown for line in one.log for name in _table(line, table))
    return [name for name in dict.fromkeys(names) if name != "n"]


def _scores(shown: Sequence[Shown], better: Mapping[str, str]) -> list[Html]:
    """The scores during training, of one run with the extremes, of several beside each other."""
    rows = []
    for name in _keys(shown, "scores")[:CHARTS]:
        cells = []
        for one in shown:
            points = _points(one.log, lambda line, name=name: _table(line, "scores").get(name))  # type: ignore[misc]
            ends = [points[-1], *(pick(points, key=lambda p: p[1]) for pick in (min, max))] if points else []
            texts = [f"{number(y)} after {number(int(x))}" for x, y in ends] or ["", "", ""]
            cells += texts if len(shown) == 1 else [number(points[-1][1]) if points else ""]
        rows.append((name, _way(name, better), *cells))
    columns = [one.name for one in shown] if len(shown) > 1 else ["newest, after images", "lowest", "highest"]
    return [_grid(["score", "", *columns], rows)] if rows else []


def _data(one: Shown) -> list[tuple[str, str]]:
    """What run.json says of the data; facts of its `data_card` come first."""
    data = one.record["data"]
    facts = [
        (str(fact.get("name", "")), " · ".join(str(fact[key]) for key in ("value", "note") if fact.get(key)))
        for fact in one.record.get("data_card") or []
        if isinstance(fact, dict)
    ]
    facts += [("source", str(data.get("source", ""))), ("samples", number(data["count"]))]
    with suppress(KeyError, TypeError, ValueError):  # fields that another version wrote
        for field in one.run.info.fields:
            size = " × ".join(map(str, field.shape)) or "one value"
            span = "" if field.range is None else f", {field.range[0]:g} to {field.range[1]:g}"
            classes = f": {len(field.classes)} classes: {', '.join(field.classes)}" if field.classes else ""
            facts.append((f"field {field.name}", f"{field.kind} {size} {field.dtype}{span}{classes}".strip()))
    if skipped := data.get("skipped"):
        examples = [
            f"{item[0]}: {item[1]}" for item in skipped[:3] if isinstance(item, list) and len(item) == 2
        ]
        facts.append(("left out", f"{number(len(skipped))}, such as {'; '.join(examples)}"))
    return facts


def _settings(shown: Sequence[Shown]) -> list[Html]:
    """The settings of one run with their origins; of several, those that differ and then all."""
    parts = []
    if len(shown) > 1:
        paths = list(dict.fromkeys(path for one in shown for path in one.settings))
        rows = [(path, *[_setting(one, path) for one in shown]) for path in paths]
        differing = [row for row in rows if len(set(row[1:])) > 1]
        parts.append(_grid(["differing setting", *[one.name for one in shown]], differing))
    for one in shown:
        origins = one.record.get("origins") or {}
        known = isinstance(origins, dict) and bool(origins)
        rows = [
            (path, _setting(one, path), *([str(origins.get(path, ""))] if known else []))
            for path in one.settings
        ]
        chosen = [row for row in rows if known and row[-1] != "core"] if len(shown) == 1 else []
        columns = ["setting", "value", *(["comes from"] if known else [])]
        if chosen:
            parts.append(_grid(columns, chosen))
        if rows:
            name = f"All {len(rows)} settings" + (f" of {one.name}" if len(shown) > 1 else "")
            parts.append(tag("details", tag("summary", name), _grid(columns, rows)))
    return parts


def _setting(one: Shown, path: str) -> str:
    value = one.settings.get(path, "")
    return printable(value if isinstance(value, str) else str(value), LETTERS)


def _about(one: Shown) -> list[tuple[str, str]]:
    record = one.record
    plugins = ", ".join(f"{p.get('name', '')} {p.get('version', '')}" for p in record["plugins"])
    return [
        ("run directory", str(one.run.path.resolve())),
        ("begun", record.get("created", "")),
        ("command", " ".join(map(str, record["command"]))),
        ("seed", str(record["seed"])),
        ("processor threads", str(record["threads"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())),
        ("plugins", plugins),
    ]


def _facts(facts: Sequence[tuple[str, str]]) -> Html:
    rows = [
        tag("div", tag("dt", printable(name, 80)), tag("dd", printable(text, LETTERS)))
        for name, text in facts[:FACTS]
        if text
    ]
    return tag("dl", *rows, class_="facts")


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """A table that scrolls by itself where the screen is narrow."""
    return tag(
        "div",
        tag(
            "table",
            tag("tr", *[tag("th", name, scope="col") for name in columns]),
            *[
                tag("tr", tag("th", row[0], scope="row"), *[tag("td", cell) for cell in row[1:]])
                for row in rows
            ],
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=columns[0],
    )
