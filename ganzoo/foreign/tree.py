"""The networks in the tree of a file: each dict or module whose leaves are arrays, as flat names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganzoo.foreign.arrays import ITEM_SIZES, Budget, LazyArray, Name, Record, RefusedError
from ganzoo.foreign.fold import folded, unwrapped
from ganzoo.foreign.torch_pickles import numpy_array

DEEPEST = 48
LONGEST = 4_000  # characters of a text
MOST_NODES = 100_000
MOST_GROUPS = 8  # groups of names that may be networks of one module
MOST_VALUES = 4_000  # numbers and texts of a file that are shown or given to importers
LISTED = 64  # of these in one list
_PERSISTENT = "_reconstruct_persistent_obj"


@dataclass(frozen=True)
class Part:
    """A network of a file: where it is, its arrays by name, what the file says about how it was made."""

    path: str
    arrays: Mapping[str, LazyArray]
    class_name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The size of its values in float32."""
        return 4 * sum(array.size for array in self.arrays.values())


def parts_of(tree: Any, budget: Budget) -> list[Part]:
    """All networks of a tree, the whole first. RefusedError for a tree that is endless."""
    found: list[Part] = []
    _Walk(budget, found).arrays(tree, "", 0)
    parts = {part.path: part for part in sorted(found, key=lambda part: part.path.count("."))}
    for part in list(parts.values()):
        for group in _groups(part):
            parts.setdefault(group.path, group)
    return [
        Part(part.path, folded(part.arrays), part.class_name, part.options)
        for part in sorted(parts.values(), key=lambda part: (part.path.count("."), bool(part.path)))
    ]


def _groups(part: Part) -> Iterator[Part]:
    """Networks of one flat dict: `generator.` and `discriminator.` before each name."""
    arrays, groups = unwrapped(part.arrays), dict[str, dict[str, LazyArray]]()
    for key, value in arrays.items():
        name, _, rest = key.partition(".")
        groups.setdefault(name, {})[rest] = value
    if len(groups) <= MOST_GROUPS:
        for name, own in groups.items():
            if "" not in own and len(own) > 1:
                yield Part(f"{part.path}.{name}".strip("."), own)


class _Walk:
    def __init__(self, budget: Budget, found: list[Part]) -> None:
        self.budget, self.found, self.nodes = budget, found, MOST_NODES
        self.empty: set[int] = set()  # nodes without arrays, which may be shared by many others

    def arrays(self, node: Any, path: str, depth: int, *, inside: bool = False) -> dict[str, LazyArray]:
        """The arrays under a node by name; adds the networks among its parts to `found`.

        `inside`: the node is a layer of a network that was found already.
        """
        self.nodes -= 1
        if self.nodes < 0 or depth > DEEPEST:
            raise RefusedError("its parts contain each other more often than those of any file of weights")
        if id(node) in self.empty:
            return {}
        array = numpy_array(node, self.budget) if isinstance(node, Record) else node
        if isinstance(array, LazyArray):
            self.budget.copied(array.size * ITEM_SIZES[array.dtype])
            return {"": array}
        class_name, options, is_module, children = _opened(node)
        flat: dict[str, LazyArray] = {}
        nested = []
        for name, child in children:
            if isinstance(child, (dict, list, tuple, Record, LazyArray)):
                inner = self.arrays(child, f"{path}.{name}".strip("."), depth + 1, inside=inside or is_module)
                self.nodes -= len(inner)
                nested.append(len(inner))
                flat |= {f"{name}.{key}".strip("."): value for key, value in inner.items()}
        holds_one = max(nested, default=0) == len(flat)  # then that one is the network
        if len(flat) > 1 and not inside and (is_module or not holds_one):
            self.found.append(Part(path, flat, class_name, options))
        if not flat:
            self.empty.add(id(node))
        return flat


def _opened(node: Any) -> tuple[str, dict[str, Any], bool, list[tuple[Any, Any]]]:
    """The class and arguments of a node, if it says them; whether it is a module; its children by name."""
    if isinstance(node, dict):
        if "param_groups" in node:  # of an optimiser
            return "", {}, False, []
        return "", {}, False, list(node.items())
    if isinstance(node, (list, tuple)):
        return "", {}, False, list(enumerate(node))
    if not isinstance(node, Record):
        return "", {}, False, []
    class_name, state = str(node.name).rpartition(".")[2], node.state
    if class_name == _PERSISTENT and node.args:
        meta = _items(node.args[0])
        class_name, state = str(meta.get("class_name", "")), meta.get("state")
    values = {**_items(state), **(node.items or {})}
    children: list[tuple[Any, Any]] = []
    is_module = "_modules" in values
    if is_module:
        for kind in ("_parameters", "_buffers", "_modules"):
            children += _items(values.get(kind)).items()
    else:
        children = list(values.items())
    options = plain(values["_init_kwargs"]) if "_init_kwargs" in values else {}
    return class_name, options, is_module, children


def _items(node: Any) -> dict[Any, Any]:
    if isinstance(node, Record):
        return {**(node.state if isinstance(node.state, dict) else {}), **(node.items or {})}
    return node if isinstance(node, dict) else {}


def plain(node: Any) -> Any:
    """The numbers and texts of a node, nested; a class or function as its name, anything else is left out."""
    return _plain(node, 4, [MOST_VALUES])


def _plain(node: Any, deep: int, left: list[int]) -> Any:
    left[0] -= 1
    if node is None or isinstance(node, (bool, int, float, str)):
        return node[:LONGEST] if isinstance(node, str) else node
    if not deep or left[0] < 0:
        return None
    if isinstance(node, (list, tuple)):
        return [_plain(item, deep - 1, left) for item in node[:LISTED]]
    if isinstance(node, Name):
        return str(node)[:LONGEST]
    items = list(_items(node).items())[: 4 * LISTED]
    shown = {str(key)[:LONGEST]: _plain(value, deep - 1, left) for key, value in items}
    return {key: value for key, value in shown.items() if value not in (None, {})}
