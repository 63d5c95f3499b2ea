"""`ganzoo doctor`: what this machine and installation can do, and what is wrong with them."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from typing import Any

import click

from ganzoo._version import __version__
from ganzoo.cli.common import echo_json, json_option, registry_of, table
from ganzoo.errors import ExitCode
from ganzoo.registry.entry_points import named
from ganzoo.util.cache import cache_folder

PACKAGES = (
    "torch", "numpy", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu",
    "pluggy", "click", "pydantic", "pillow", "safetensors",
)  # fmt: skip


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Show what this machine and installation can do. The exit code is 2 if there are problems."""
    packages = {name: _version(name) for name in PACKAGES}
    findings, problems = _torch_findings()
    runtime, more = _onnxruntime_findings(packages)
    problems += more + _name_problems()
    registry = registry_of(ctx)
    for plugin in registry.not_loaded:
        if plugin.state != "disabled":
            problems.append(f"plugin {plugin.name} of {plugin.dist} is {plugin.state}: {plugin.reason}")
    report: dict[str, Any] = {
        "ganzoo": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        **findings,
        **runtime,
        "cache": str(cache_folder()),
        "plugins": f"{sum(p.state == 'ok' for p in registry.plugins)} loaded, {len(registry.not_loaded)} not",
    }
    if as_json:
        echo_json({**report, "packages": packages, "problems": problems})
    else:
        rows = [(key, str(value)) for key, value in report.items()]
        rows += [(name, found or "not installed") for name, found in packages.items()]
        table("ganzoo doctor", ("", ""), rows)
        for problem in problems:
            click.secho(f"problem: {problem}", fg="red")
        if not problems:
            click.echo("No problems found.")
    return ExitCode.USAGE if problems else ExitCode.OK


def _torch_findings() -> tuple[dict[str, Any], list[str]]:
    try:
        import torch
    except Exception as error:  # a broken torch fails in many ways; doctor must report them all
        return {"device": "none"}, [f"torch cannot be imported: {error}"]
    from ganzoo.training.compute.device import arithmetic_of, choose_device, choose_precision, choose_threads
    from ganzoo.util import system

    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    return {
        "device": f"{device} ({name})",
        "threads": f"auto picks {choose_threads(None, 0, system.busy_cores)} for small networks, "
        f"{torch.get_num_threads()} for large ones",
        "precision": f"auto picks {arithmetic_of(choose_precision('auto', device), device)}",
    }, []


def _onnxruntime_findings(packages: dict[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    problems = []
    if packages["onnxruntime"] and packages["onnxruntime-gpu"]:
        problems.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            f"{sys.executable} -m pip uninstall -y onnxruntime onnxruntime-gpu, then install onnxruntime-gpu"
        )
    try:
        import onnxruntime

        providers = onnxruntime.get_available_providers()
    except Exception as error:  # a half-removed wheel raises AttributeError or ImportError
        return {"onnxruntime": "none"}, [*problems, f"onnxruntime cannot be used: {error}"]
    return {"onnxruntime": f"built with {', '.join(providers)}"}, problems


def _name_problems() -> list[str]:
    """Problems with distributions named ganzoo; another project has this name on the package index."""
    found: dict[tuple[str, str], Distribution] = {}
    for dist in distributions(name="ganzoo"):  # a folder may be on sys.path twice
        place, number = str(dist.locate_file("")), named(dist)[1]
        found.setdefault((place, number), dist)
    problems = [
        f"the package ganzoo {number} in {place} is another project with the same name, or damaged: "
        f"{sys.executable} -m pip uninstall -y ganzoo, then install this ganzoo from its checkout or wheel"
        for (place, number), dist in found.items()
        if not _is_ours(dist)
    ]
    if len(found) > 1:
        places = ", ".join(f"{number} in {place}" for place, number in found)
        problems.append(
            f"more than one package named ganzoo is installed, and Python uses the first: {places}. "
            f"Run {sys.executable} -m pip uninstall -y ganzoo until none is left, then install ganzoo again"
        )
    return problems


def _is_ours(dist: Distribution) -> bool:
    """Whether the distribution provides this command; an editable one lists no files, but entry points."""
    try:
        return any(point.value == "ganzoo.cli:main" for point in dist.entry_points)
    except Exception:  # its metadata is damaged
        return False


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
