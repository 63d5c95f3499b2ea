"""The model card of a bundle: what it is, how to use it without ganzoo, how it was checked.

Text only. The Hugging Face Hub reads the YAML header; its values are written as JSON, which is valid YAML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganzoo.exporting.card_scores import index, section
from ganzoo.exporting.form import USUAL, Form
from ganzoo.exporting.snippet_compiled import cpp, rust
from ganzoo.exporting.snippet_js import javascript
from ganzoo.exporting.verify import Parity
from ganzoo.exporting.watermark import Mark
from ganzoo.exporting.weights import Stored
from ganzoo.fields import Field, multiples_of, steps_of
from ganzoo.images import MODES
from ganzoo.registry.kinds import Kinds
from ganzoo.runtime.onnx_file import METADATA_KEY
from ganzoo.util.text import typed
from ganzoo.watermark import SURE

__all__ = ["model_card", "snippet"]

# As `tabular.decode`: indicators of categories, then indicators of number modes, then values of numbers.
_TABLE = """
columns = record["outputs"][{at}]["columns"]
rows, start, table = outputs["{name}"].astype(float), 0, {{}}
sizes = {{c["name"]: len(c["values"] or c["centres"]) + c.get("blanks", False) for c in columns}}
value = sum(sizes.values())
for column in sorted(columns, key=lambda column: not column["values"]):
    stop = start + sizes[column["name"]]
    which, start = rows[:, start:stop].argmax(1), stop
    if column["values"]:
        table[column["name"]] = np.array(column["values"])[which]
        continue
    centres, widths = (np.array([*column[key], np.nan])[which] for key in ("centres", "widths"))
    numbers = (centres + 4 * widths * rows[:, value].clip(-1, 1)).clip(*column["bounds"])
    table[column["name"]], value = numbers.round(column["decimals"]), value + 1
table = {{column["name"]: table[column["name"]] for column in columns}}
print(table)"""

_PROGRAMS = (
    ("JavaScript, in a browser or in node, with onnxruntime-web", "js", javascript),
    ("C++, with OpenVINO", "cpp", cpp),
    ("Rust, with tract", "rust", rust),
)

Signature = tuple[Sequence[Field], Sequence[Field]]


def model_card(
    title: str,
    generators: Mapping[str, Signature],
    parity: Mapping[str, Parity],
    about: Mapping[str, Any],
    *,
    form: Form = USUAL,
    stored: Mapping[str, Stored] | None = None,
    marks: Mapping[str, Mark] | None = None,
    samples: str = "",
    kinds: Kinds | None = None,
) -> str:
    """README.md of the bundle. `about` may have any entries: each is a row of the table, `scores` a section.

    `stored` has the generators whose weights are stored smaller, `marks` those with a watermark. `samples` is
    the ending of the file with samples, empty if there is none.
    """
    parts = [_head(title, generators, about), f"# {title}\n"]
    if samples:
        image = "!" if samples in (".png", ".webp", ".jpg", ".jpeg", ".gif") else ""
        parts.append(f"{image}[samples](samples{samples})\n")
    parts.append(
        "| | |\n|---|---|\n"
        + "".join(f"| {key} | {_cell(value)} |\n" for key, value in about.items() if key != "scores")
    )
    if "scores" in about:
        parts.append(section(about))
    for name, (inputs, outputs) in generators.items():
        check = parity[name]
        sizes = ", ".join(str(size) for size in check.batches)
        tried = "".join(f", at {named_sizes(size)}" for size in check.sizes)
        measured = f"largest difference {check.max_abs:.2g} of the output's scale"
        if form.uint8:
            measured += f", {check.off_by_one:.3%} of the uint8 values off by one"
        parts.append(
            f"## {name}.onnx\n\n{_fields(inputs, outputs, form)}\n"
            f"{_free_axes(inputs, outputs)}{_smaller((stored or {}).get(name))}"
            f"{_watermark((marks or {}).get(name))}"
            f"Checked against torch at batch sizes {sizes}{tried}: {measured}.\n"
            "Every sample depends on its own inputs only, and nothing in the graph is random.\n\n"
            f"```python\n{snippet(name, inputs, outputs, form)}```\n"
        )
        parts += [
            f"<details><summary>{title}</summary>\n\n```{language}\n{code}```\n\n</details>\n"
            for title, language, write in _PROGRAMS
            if (code := write(name, inputs, outputs, form))
        ]
    parts.append(
        "With ganzoo you can choose labels by name, interpolate, and get the same noise on every machine:\n\n"
        "```\n" + "".join(f"ganzoo generate . {options}\n" for options in usage(generators, kinds)) + "```\n"
    )
    return "\n".join(parts)


def usage(generators: Mapping[str, Signature], kinds: Kinds | None = None) -> tuple[str, ...]:
    """Options of `ganzoo generate` that work: with the first of these that reads data, and the first other.

    `generators` are (inputs, outputs) by name.
    """
    found: dict[bool, str] = {}
    for name, (inputs, outputs) in generators.items():
        reads = any(field.source == "data" and field.dtype == "float32" for field in inputs)
        chosen = "" if name == "generator" or len(generators) == 1 else f"--generator {typed(name)} "
        found.setdefault(reads, chosen + ("--input PATH -o FOLDER" if reads else _drawn(outputs, kinds)))
    return tuple(found[reads] for reads in sorted(found, reverse=True))


def _drawn(outputs: Sequence[Field], kinds: Kinds | None) -> str:
    suffixes = [suffix for field in outputs if kinds for suffix in kinds.of(field.kind).suffixes[:1]]
    count = 1000 if any(field.columns for field in outputs) else 64
    return f"-n {count} --seed 0 -o samples{(*suffixes, '.npz')[0]}"


def snippet(name: str, inputs: Sequence[Field], outputs: Sequence[Field], form: Form = USUAL) -> str:
    """Python code that samples the file with onnxruntime and numpy only; run it in the bundle's folder.

    A generator that reads an image reads `input.png`, which the user must put there.
    """
    lines = ["import numpy as np", "import onnxruntime as ort"]
    image = next((field for field in outputs if field.has_pixels), None)
    if image or any(field.has_pixels for field in inputs):
        lines.append("from PIL import Image")
    given = next((field for field in inputs if field.has_pixels and field.source == "data"), None)
    lines += [
        "",
        f'session = ort.InferenceSession("{name}.onnx", providers=["CPUExecutionProvider"])',
        "rng = np.random.default_rng(0)",
    ]
    table = next((at for at, field in enumerate(outputs) if field.columns), None)
    if table is not None or any(field.shares for field in inputs):
        lines[0] = f"import json\n\n{lines[0]}"
        lines.append(f'record = json.loads(session.get_modelmeta().custom_metadata_map["{METADATA_KEY}"])')
    if given is not None:
        lines += _reading(given)
    count = form.batch or (16 if given is None else 1)
    lines += [
        "inputs = {",
        *(
            f'    "{field.name}": {"image" if field is given else _sampler(field, at, count)},'
            for at, field in enumerate(inputs)
        ),
        "}",
        f"outputs = dict(zip({json.dumps([field.name for field in outputs])}, session.run(None, inputs)))",
    ]
    if table is not None:
        lines.append(_TABLE.format(at=table, name=outputs[table].name))
    elif image is None:
        lines.append(f'print(outputs["{outputs[0].name}"])')
    else:
        lines.append(f'pixels = outputs["{image.name}"]')
        if not form.uint8:
            low, high = image.range or (-1.0, 1.0)
            offset = f"- {low:g}" if low > 0 else f"+ {abs(low):g}"
            scale = f"(pixels {offset}) * {255.0 / (high - low):g}"
            lines.append(f"pixels = np.clip(np.rint({scale}), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)")
        target = "sample.png" if name == "generator" else f"{name}.png"
        lines.append(f'Image.fromarray(pixels[0].squeeze()).save("{target}")')
    return "\n".join(lines) + "\n"


def _reading(field: Field) -> list[str]:
    """Python code that reads an image file as a batch of one."""
    channels, height, width = field.shape
    mode = MODES[channels]
    low, high = field.range or (-1.0, 1.0)
    offset = f"- {-low:g}" if low < 0 else f"+ {low:g}"
    return [
        f'image = Image.open("input.png").convert("{mode}").resize(({width}, {height}))',
        f"image = np.asarray(image, np.float32).reshape(1, {height}, {width}, {channels})",
        f"image = image.transpose(0, 3, 1, 2) / {255.0 / (high - low):g} {offset}",
    ]


def _sampler(field: Field, at: int, count: int) -> str:
    """Python code that draws `count` samples of input number `at`."""
    shape = (count, *field.shape)
    if field.shares:
        shares = f'np.array(record["inputs"][{at}]["shares"])'
        return f"rng.choice({len(field.shares)}, {shape}, p={shares} / {shares}.sum())"
    if field.dtype == "int64":
        return f"rng.integers(0, {max(len(field.classes), 1)}, {shape})"
    if field.source == "normal":
        return f"rng.standard_normal({shape}).astype(np.float32)"
    if field.source == "uniform":
        return f"rng.uniform(-1, 1, {shape}).astype(np.float32)"
    if field.source == "constant":
        return f"np.full({shape}, {field.default:g}, np.float32)"
    return f"np.zeros({shape}, np.float32)"


def _head(title: str, generators: Mapping[str, Signature], about: Mapping[str, Any]) -> str:
    inputs = [field for reads, _ in generators.values() for field in reads]
    outputs = [field for _, writes in generators.values() for field in writes]
    values: dict[str, Any] = {
        "license": about.get("license", "unknown"),
        "library_name": "onnx",
        "tags": ["onnx", "gan", "ganzoo"],
    }
    if any(field.has_pixels for field in outputs):
        from_image = any(field.has_pixels and field.source == "data" for field in inputs)
        values["pipeline_tag"] = "image-to-image" if from_image else "unconditional-image-generation"
    if "scores" in about:
        values["model-index"] = index(title, values.get("pipeline_tag", "other"), about)
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()) + "---\n"


def _fields(inputs: Sequence[Field], outputs: Sequence[Field], form: Form) -> str:
    lines = ["| | name | type | shape | values |", "|---|---|---|---|---|"]
    for kind, fields in (("input", inputs), ("output", outputs)):
        for field in fields:
            pixels = kind == "output" and form.uint8 and field.has_pixels
            named = _shape(field)
            shape = (*named[1:], named[0]) if pixels else named
            dtype, values = ("uint8", "0 to 255") if pixels else (field.dtype, _values(field))
            sizes = ", ".join([str(form.batch or "batch"), *shape])
            lines.append(f"| {kind} | `{field.name}` | {dtype} | [{sizes}] | {values} |")
    return "\n".join(lines) + "\n"


def _smaller(stored: Stored | None) -> str:
    """A sentence about weights that are stored smaller, or nothing."""
    if stored is None:
        return ""
    return (
        f"Weights are {stored.type} ({stored.bytes_ratio:.2f} of the size) and compute in float32. "
        f"{stored.samples} samples differ from those of float32 weights by "
        f"{stored.mean_levels:.2g} of 255 levels on average ({stored.psnr:.1f} dB). "
        f"{distance_of(stored)}\n"
    )


def distance_of(stored: Stored) -> str:
    """A sentence about the Frechet distance, or why there is none."""
    distance = stored.distance
    if distance.missing:
        return f"A Frechet distance was not measured: {distance.missing.removesuffix('.')}."
    return (
        f"The distance {distance.name} of {distance.samples:,} samples to as many others by float32 weights "
        f"is {distance.small:.2f}; for samples by float32 weights it is {distance.full:.2f}."
    )


def _watermark(mark: Mark | None) -> str:
    """Sentences about the pattern in the pictures, or nothing."""
    if mark is None:
        return ""
    shares = ", ".join(f"{share:.0%} {what}" for what, share in mark.found.items())
    measured = (
        f"Found in {shares} of {mark.samples} samples, at a false-alarm rate of {SURE:g}."
        if mark.found
        else "How often it is found depends on the inputs, and was not measured."
    )
    return (
        "Pictures carry an invisible watermark, a pattern of a key that the graph adds: "
        f"{mark.strength:g} of 255 levels, {mark.psnr:.0f} dB or more. {measured} "
        "`ganzoo inspect FILE --watermark KEY` looks for it. Whoever has this file can remove it.\n"
    )


def named_sizes(size: Mapping[str, int]) -> str:
    """Sizes of free axes in words: `height 60, width 64`."""
    return ", ".join(f"{axis} {count}" for axis, count in size.items())


def _shape(field: Field) -> tuple[str, ...]:
    """The sizes of one sample; a free axis by its name, times its multiple."""
    names = {axis: axis if many == 1 else f"{many} * {axis}" for axis, many in field.free.items()}
    axes = field.axes or ("",) * len(field.shape)
    return tuple(names.get(axis, str(size)) for axis, size in zip(axes, field.shape, strict=True))


def _free_axes(inputs: Sequence[Field], outputs: Sequence[Field]) -> str:
    """A line about free axes, or nothing."""
    found = multiples_of((*outputs, *inputs))
    if not found:
        return ""
    steps = steps_of((*inputs, *outputs))
    sizes = named_sizes({axis: many * steps[axis] for axis, many in found.items()})
    options = " ".join(f"--size {axis}={2 * many * steps[axis]}" for axis, many in found.items())
    given = {axis for field in inputs if field.source == "data" for axis in field.free}
    how = "Inputs of other sizes give others" if given else f"For others: `{options}`"
    multiples = ", ".join(f"{axis} in multiples of {many}" for axis, many in found.items())
    return f"Sizes are free: {multiples}. Training had {sizes}. {how}.\n"


def _values(field: Field) -> str:
    if field.columns:
        return _cell(f"the table {', '.join(column.name for column in field.columns)}, see below")
    if field.classes:
        if field.classes == tuple(str(number) for number in range(len(field.classes))):
            return f"0 to {len(field.classes) - 1}"
        named = ", ".join(f"{index} {name}" for index, name in enumerate(field.classes[:20]))
        return _cell(named + (f", ... ({len(field.classes)} classes)" if len(field.classes) > 20 else ""))
    if field.source == "normal":
        return "drawn from N(0, 1)"
    if field.source == "uniform":
        return "drawn from U(-1, 1)"
    if field.source == "constant":
        return f"{field.default:g} by default"
    return f"{field.range[0]:g} to {field.range[1]:g}" if field.range else "unbounded"


def _cell(value: Any) -> str:
    """One table cell: mappings as `key value` pairs, lists with commas, no line breaks, bars escaped."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {_cell(item) or 'none'}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(_cell(item) for item in value)
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = str(value)
    return " ".join(text.replace("|", "\\|").split())
