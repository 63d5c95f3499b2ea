"""The calls of a pickle by which torch and numpy make arrays, done by hand.

Sources: `torch/_utils.py` and `torch/serialization.py` of torch 2.13; `numpy/_core/src/multiarray` for the
state of an array.
"""

from __future__ import annotations

from typing import Any

from ganzoo.foreign.arrays import (
    ITEM_SIZES,
    Budget,
    LazyArray,
    Name,
    Record,
    RefusedError,
    Storage,
    array_of,
    row_major,
)
from ganzoo.foreign.opcodes import Call, Source, Unpickler

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a legacy stream."""

STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip

_KINDS = {"f": "float", "i": "int", "u": "uint"}


def calls(budget: Budget) -> dict[str, Call]:
    """What the calls of such pickles make, by the full name of the function."""

    def rebuild(args: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides = args[:4]
        if not isinstance(storage, Storage):
            return Record(Name("torch._utils", "_rebuild_tensor_v2"), args)
        return array_of(storage, offset, shape, strides)

    def rebuild_typed(args: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides, _, _, dtype = args[:7]
        kind = dtype.name if isinstance(dtype, Name) else ""
        if not isinstance(storage, Storage) or kind not in ITEM_SIZES:
            return Record(Name("torch._utils", "_rebuild_tensor_v3"), args)
        return array_of(storage, offset, shape, strides, kind)

    def ordered(args: tuple[Any, ...]) -> dict[Any, Any]:
        pairs = args[0] if args else []
        if not isinstance(pairs, list):
            raise RefusedError("an ordered dict is made from what is no list")
        found: dict[Any, Any] = {}
        for pair in pairs:  # Python 2
            if len(pair) != 2 or not isinstance(pair[0], str):
                raise RefusedError("an ordered dict is made from what are no pairs")
            found[pair[0]] = pair[1]
        return found

    def encoded(args: tuple[Any, ...]) -> Any:
        if not (args and isinstance(args[0], str)):
            raise RefusedError("bytes are made from what is no text")
        budget.copied(len(args[0]))
        return memoryview(args[0].encode("latin-1"))

    def first(args: tuple[Any, ...]) -> Any:
        return args[0]

    def of_type(args: tuple[Any, ...]) -> Any:  # a function, a subclass of Tensor, arguments, a state
        function, _, given = args[:3]
        known = found.get(str(function)) if isinstance(function, Name) else None
        if known is None or known is of_type or not isinstance(given, tuple):
            return Record(function, args)
        return known(given)

    found: dict[str, Call] = {
        "torch._utils._rebuild_tensor": rebuild,
        "torch._utils._rebuild_tensor_v2": rebuild,
        "torch._utils._rebuild_tensor_v3": rebuild_typed,
        "torch._utils._rebuild_parameter": first,
        "torch._utils._rebuild_parameter_with_state": first,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "torch.storage._load_from_bytes": lambda args: read_legacy(args[0], budget),
        "torch.Size": first,
        "collections.OrderedDict": ordered,
        "_codecs.encode": encoded,
    }
    return found


def storage_type(name: Any) -> str:
    """The type of a storage's values; RefusedError for a type that this cannot read."""
    kind = STORAGES.get(name.name) if isinstance(name, Name) else None
    if kind is None:
        raise RefusedError(
            f"it has values of the type {getattr(name, 'name', name)!s:.40}, which are not read"
        )
    return kind


def whole(value: Any) -> int:
    """A count of values; RefusedError for what is none."""
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise RefusedError("a storage has a size that is not a small whole number")
    return value


def read_legacy(data: Any, budget: Budget) -> Any:
    """The value of a stream as `torch.save` wrote it before version 1.6, and writes single storages today."""
    if not isinstance(data, memoryview):
        raise RefusedError("a storage is made from what are no bytes")
    source, storages = Source(data), dict[str, Storage]()

    def persistent(key: Any) -> Any:
        if isinstance(key, tuple) and len(key) > 1 and key[0] == "module":  # a class with its source
            return key[1]
        if not (isinstance(key, tuple) and len(key) in (5, 6) and key[0] == "storage"):
            raise RefusedError("it refers to something outside of the file")
        _, name, at, _, count, *view = key
        if not isinstance(at, str) or (view and view[0] is not None):
            raise RefusedError("it has views of storages, as torch 0.1 wrote them")
        if at not in storages:
            storages[at] = Storage(storage_type(name), whole(count), lambda: memoryview(b""))
        return storages[at]

    reader = Unpickler(source, budget, calls(budget), persistent)
    if reader.load() != MAGIC or reader.load() != 1001:
        raise RefusedError("it is no stream of torch")
    system = reader.load()
    big = isinstance(system, dict) and system.get("little_endian") is False
    value, keys = reader.load(), reader.load()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise RefusedError("the list of its storages does not fit")
    for key in keys:
        storage = storages[key]
        if int.from_bytes(source.view(8), "big" if big else "little") != storage.count:
            raise RefusedError("a storage has another size than the arrays say")
        view = source.view(storage.count * ITEM_SIZES[storage.dtype])
        storage.data, storage.swapped = (lambda view=view: view), big  # type: ignore[misc]
    return value


def numpy_array(record: Record, budget: Budget) -> LazyArray | None:
    """The array that a record of numpy's `_reconstruct` stands for; None for any other record."""
    if not str(record.name).endswith(("multiarray._reconstruct", "numeric._frombuffer")):
        return None
    state = record.state
    if str(record.name).endswith("_frombuffer"):
        state = (1, record.args[2], record.args[1], record.args[3] == "F", record.args[0])
    if not (isinstance(state, tuple) and len(state) == 5):
        return None
    _, shape, dtype, fortran, data = state
    described = _numpy_type(dtype)
    if not described or not isinstance(shape, tuple):
        return None
    kind, swapped = described
    if isinstance(data, str):  # Python 2
        budget.copied(len(data))
        data = memoryview(data.encode("latin-1"))
    if not isinstance(data, memoryview):
        return None
    storage = Storage(kind, len(data) // ITEM_SIZES[kind], lambda: data, swapped)
    strides = row_major(shape[::-1])[::-1] if fortran else row_major(shape)
    return array_of(storage, 0, shape, strides)


def _numpy_type(dtype: Any) -> tuple[str, bool] | None:
    """The name of a numpy type, and whether it is big-endian, from numpy.dtype('f4', False, True)."""
    if not (isinstance(dtype, Record) and str(dtype.name) == "numpy.dtype" and dtype.args):
        return None
    code = dtype.args[0]
    if not isinstance(code, str):
        return None
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "<"
    if code == "b1":
        return "bool", False
    name = f"{_KINDS.get(code[:1], '')}{int(code[1:]) * 8}" if code[1:].isdecimal() and len(code) == 2 else ""
    return (name, order == ">") if name in ITEM_SIZES else None


def read_pickle(data: memoryview, budget: Budget) -> Any:
    """The value of a plain pickle, such as NVIDIA's."""

    def outside(key: Any) -> Any:
        raise RefusedError("it refers to something outside of the file")

    return Unpickler(Source(data), budget, calls(budget), outside).load()
