"""What `ganzoo export` and `ganzoo import` share: options of the files, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ganzoo.cli.common import echo_json, echo_next, json_option, registry_of
from ganzoo.util.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganzoo.exporting.export import Bundle
    from ganzoo.exporting.form import Form

C = TypeVar("C", bound="Callable[..., Any]")

_OPTIONS = (
    click.option("--uint8", is_flag=True, help="Let the graph write uint8 images (height, width, channels)."),
    click.option(
        "--fp16",
        "weights",
        flag_value="float16",
        help="Store weights as float16: half the size, the same speed.",
    ),
    click.option(
        "--int8", "weights", flag_value="int8", help="Store weights as int8: a third of the size or less."
    ),
    click.option("--opset", type=int, default=18, show_default=True, help="ONNX operator set, from 18 on."),
    click.option(
        "--batch", type=int, metavar="N", help="The only batch size, for runtimes that need one [any]."
    ),
    click.option(
        "--watermark",
        metavar="KEY",
        help="Let the graph add an invisible pattern of this secret text to its pictures [none].",
    ),
    click.option(
        "--watermark-strength",
        type=float,
        metavar="LEVELS",
        help="How strong, in levels of 255 [the weakest of 1 to 4 that survives JPEG 70 and a crop].",
    ),
    click.option("--license", "license_id", metavar="NAME", help="License for the card, such as cc-by-4.0."),
    click.option("--author", metavar="NAME", help="Author, for the card."),
    click.option(
        "--triton",
        type=click.Path(path_type=Path, file_okay=False),
        help="Also write the generators as models of this repository of NVIDIA Triton.",
    ),
    click.option(
        "--html",
        is_flag=True,
        help="Also write BUNDLE.html beside the bundle: a page that computes samples, see `ganzoo page`.",
    ),
    json_option,
)


def file_options(command: C) -> C:
    """Add the options of the files to a command; `form_of` and `report` read them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def form_of(options: Mapping[str, Any]) -> Form:
    """The form of the files that the options ask for."""
    from ganzoo.exporting.form import Form

    return Form(
        uint8=options["uint8"],
        opset=options["opset"],
        batch=options["batch"],
        weights=options["weights"] or "float32",
        watermark=options["watermark"],
        watermark_strength=options["watermark_strength"],
    )


def report(bundle: Bundle, options: Mapping[str, Any], **facts: str) -> None:
    """Write models for Triton and a page, if asked for, and say what there is. `facts` go into the JSON."""
    from ganzoo.exporting.model_card import distance_of
    from ganzoo.exporting.triton import write_repository

    models = write_repository(bundle.path, options["triton"]) if options["triton"] else []
    page = _page(bundle.path) if options["html"] else None
    largest = max(entry.max_abs for entry in bundle.parity.values())
    batches = sorted({batch for entry in bundle.parity.values() for batch in entry.batches})
    if options["as_json"]:
        result = {
            "bundle": str(bundle.path),
            "files": [str(file) for file in bundle.files],
            "parity": {"max_abs": largest, "batches": batches},
            **facts,
        }
        result |= {"html": str(page)} if page else {}
        result |= (
            {"watermark": {key: mark.to_json() for key, mark in bundle.marks.items()}} if bundle.marks else {}
        )
        echo_json(result | ({"triton": [str(model) for model in models]} if models else {}))
        return
    for file in bundle.files:
        click.echo(f"  {file}  ({megabytes(file.stat().st_size)})")
    for model in models:
        click.echo(f"  {model}  (a model for Triton)")
    if page:
        click.echo(f"  {page}  ({megabytes(page.stat().st_size)}, a page to open in a browser)")
    click.echo(f"largest difference from torch {largest:.1e} at batch sizes {', '.join(map(str, batches))}")
    for stored in bundle.stored.values():
        click.echo(
            f"weights in {stored.type}: {stored.bytes_ratio:.2f} of the size, samples differ by "
            f"{stored.mean_levels:.2g} of 255 levels ({stored.psnr:.1f} dB)"
        )
        click.echo(distance_of(stored))
    for mark in bundle.marks.values():
        shares = ", ".join(f"{share:.0%} {what}" for what, share in mark.found.items()) or "not measured"
        click.echo(f"watermark of {mark.strength:g} of 255 levels ({mark.psnr:.0f} dB), found in {shares}")
        if mark.lost_by:
            click.secho(
                f"note: the watermark does not survive in pictures {mark.lost_by}", fg="yellow", err=True
            )
    echo_next(bundle)


def _page(bundle: Path) -> Path:
    """The page of a bundle, beside it. UsageError for what no page without onnxruntime-web can compute."""
    from ganzoo.page.generators import Options
    from ganzoo.page.page import write_page
    from ganzoo.registry.kinds import Kinds

    kinds = Kinds(registry_of(click.get_current_context()))
    target = bundle.with_name(f"{bundle.name}.html")
    write_page([bundle], target, Options(kinds=kinds, note=lambda text: click.echo(text, err=True)), None)
    return target
