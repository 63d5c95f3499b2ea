"""What to write where recipe and data do not fit: datasets by endings of files, recipes by fields."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ganzoo.api.specs import ArchitectureSpec, DatasetSpec, RecipeSpec
from ganzoo.errors import GanzooError
from ganzoo.fields import DataInfo
from ganzoo.registry.registry import Item, Registry
from ganzoo.util.text import ending_of, some, typed
from ganzoo.util.walk import folders_below

_LOOKED = 2000  # files whose endings are counted
_NAMED = 3  # datasets
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


def endings_of(path: Path) -> Counter[str]:
    """The endings of a file, or of the first files below a folder, and how many files have each."""
    found: Counter[str] = Counter()
    if path.is_file():
        found[ending_of(path.name)] += 1
        return found
    for folder in folders_below(path):
        found.update(map(ending_of, folder.files[: _LOOKED - found.total()]))
        if found.total() >= _LOOKED:
            break
    return found


def sources_for(path: Path, registry: Registry, recipe: Item[RecipeSpec] | None = None) -> list[str]:
    """What reads the most frequent kind of files at a path, as `NAME:PATH`.

    Only the dataset of the recipe, if it is among them.
    """
    counts = endings_of(path)
    read = {item.name: reads(item, counts) for item in registry.of_kind(DatasetSpec) if item.spec.reads}
    most = max(read.values(), default=0)
    names = [name for name, count in read.items() if count == most > 0]
    own = "" if recipe is None else recipe.spec.data.partition(":")[0]
    return [f"{name}:{path}" for name in ([own] if own in names else names)]


def reads(item: Item[DatasetSpec], counts: Counter[str]) -> int:
    """How many of the files have endings that the dataset reads."""
    return sum(count for ending, count in counts.items() if ending in item.spec.reads)


def as_options(sources: list[str]) -> str:
    """`--data wav:PATH or --data vocoder:PATH`."""
    return " or ".join(f"--data {typed(source)}" for source in sources[:_NAMED])


def unpack(path: Path) -> str:
    """What to do with an archive; empty for other paths."""
    try:
        archive = path.name.lower().endswith(_ARCHIVES) and path.is_file()
    except OSError:  # a path that the system refuses
        archive = False
    return "this is an archive: unpack it, and give the folder" if archive else ""


def recipes_for(info: DataInfo, registry: Registry) -> str:
    """The recipes whose architectures need fields that the data has, most fields first; empty without any."""
    found: dict[str, int] = {}
    for item in registry.of_kind(RecipeSpec):
        try:
            architecture = registry.find(ArchitectureSpec, item.spec.architecture, item.plugin.dist)
        except GanzooError:
            continue
        needs = architecture.spec.needs
        if needs and all(name in info for name in needs) and not item.name.endswith("-paper"):
            found[item.name] = len(needs)
    return some(sorted(found, key=lambda name: -found[name]), 8) if found else ""
