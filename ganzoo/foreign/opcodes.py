"""Reads a pickle as data: its operations build dicts, lists, numbers, texts, and records of all else.

No class or function that it names is imported or called. What a call would make is decided by `calls`, a
table of functions of this package; any other call becomes a `Record`.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ganzoo.foreign.arrays import Budget, Name, Record, RefusedError

LONGEST_TEXT = 1 << 22
LONGEST_LINE = 1 << 20
LONGEST_INTEGER = 64  # bytes
_LARGEST_KEY = 1 << 53
_OPCODES = {ord(code): opcode for code, opcode in pickletools.code2op.items()}  # type: ignore[attr-defined]
_BYTES = {"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8}
_LONG = {"LONG1": 1, "LONG4": 4}
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = ("PROTO", "FRAME")

Call = Callable[[tuple[Any, ...]], Any]


class Source:
    """Bytes with a position, in the form that `pickletools` reads arguments from."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def view(self, size: int) -> memoryview:
        """The next bytes, not copied. RefusedError when the file ends before."""
        if size < 0 or size > len(self.data) - self.at:
            raise RefusedError("it ends too early, or claims more bytes than it has")
        self.at += size
        return self.data[self.at - size : self.at]

    def read(self, size: int) -> bytes:
        """The next bytes, of a text or a number."""
        if size > LONGEST_TEXT:
            raise RefusedError("it has a text or number of many megabytes")
        return bytes(self.view(size))

    def readline(self) -> bytes:
        """The bytes up to the end of the line."""
        line, newline, _ = bytes(self.data[self.at : self.at + LONGEST_LINE]).partition(b"\n")
        if not newline:
            raise RefusedError("it ends too early, or has a line of a megabyte")
        self.at += len(line) + 1
        return line + newline

    def number(self, size: int) -> int:
        """The next little-endian number of so many bytes."""
        return int.from_bytes(self.view(size), "little")


class Unpickler:
    """One pickle after the other from a source; `load` returns what the next one describes."""

    def __init__(
        self,
        source: Source,
        budget: Budget,
        calls: Mapping[str, Call],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.source, self.budget, self.calls, self.persistent = source, budget, calls, persistent

    def load(self) -> Any:
        """The value of the next pickle. RefusedError, or an error of a lookup or a type, if it is damaged."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        with warnings.catch_warnings():
            # Python warns of unknown escapes in texts of protocol 0.
            warnings.simplefilter("ignore", DeprecationWarning)
            while True:
                self.budget.operation()
                code = self.source.view(1)[0]
                opcode = _OPCODES.get(code)
                if opcode is None:
                    raise RefusedError(f"the byte {code:#04x} is no operation of a pickle")
                if opcode.name == "STOP":
                    return self.stack.pop()
                self._run(opcode.name, self._argument(opcode))

    def _argument(self, opcode: Any) -> Any:
        name = opcode.name
        if name in _BYTES:
            return self.source.view(self.source.number(_BYTES[name]))
        if name in _LONG:
            size = self.source.number(_LONG[name])
            if size > LONGEST_INTEGER:
                raise RefusedError("it has a number of many digits")
            return int.from_bytes(self.source.view(size), "little", signed=True)
        argument = opcode.arg.reader(self.source) if opcode.arg else None
        if isinstance(argument, str):
            self.budget.text(len(argument))
        return argument

    def _run(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(stack) < count:
                raise RefusedError("an operation finds too few values")
            stack[-count:] = [tuple(stack[-count:])]
        elif (operation := getattr(self, f"_{name.lower()}", None)) is not None:
            operation() if argument is None else operation(argument)
        elif name in _IGNORED:
            pass
        elif argument is not None and not name.startswith("EXT"):
            stack.append(argument)
        else:
            raise RefusedError(f"the operation {name} is not for files of weights")

    def _mark(self) -> None:
        self.marks.append(len(self.stack))

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _pop(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _pop_mark(self) -> None:
        self._since_mark()

    def _dup(self) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _list(self) -> None:
        self.stack.append(self._since_mark())

    def _frozenset(self) -> None:
        self.stack.append(self._since_mark())

    def _dict(self) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._put_items(values)

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _additems(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Record):  # what a record appends to itself is left out
            raise RefusedError("values are appended to what is no list")

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put_items([key, value])

    def _setitems(self) -> None:
        self._put_items(self._since_mark())

    def _put_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):
            target.items = {} if target.items is None else target.items
            target = target.items
        if not isinstance(target, dict) or len(values) % 2:
            raise RefusedError("items are set in what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key, len(target))] = value

    def _put(self, at: int) -> None:
        self.memo[at] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, at: int) -> None:
        self.stack.append(self.memo[at])

    _binget = _long_binget = _get

    def _global(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self.stack.append(Name(module, name))

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("a name is no text")
        self.stack.append(Name(module, name))

    def _reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self._call(function, args)

    _newobj = _reduce

    def _newobj_ex(self) -> None:
        self.stack.pop()  # named arguments: no class whose weights are read has any
        self._reduce()

    def _obj(self) -> None:
        function, *args = self._since_mark()
        self._call(function, tuple(args))

    def _inst(self, names: str) -> None:
        args = tuple(self._since_mark())
        module, _, name = names.partition(" ")
        self._call(Name(module, name), args)

    def _call(self, function: Any, args: Any) -> None:
        if not isinstance(args, tuple):
            raise RefusedError("the arguments of a call are no tuple")
        known = self.calls.get(str(function)) if isinstance(function, Name) else None
        self.stack.append(known(args) if known else Record(function, args))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state

    def _persid(self, text: str) -> None:
        self.stack.append(self.persistent(text))

    def _binpersid(self) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def _key(key: Any, count: int) -> Any:
    """A key of a dict that is quick to hash; tuples of tuples of tuples are not."""
    if isinstance(key, str) or key is None or (isinstance(key, int) and abs(key) < _LARGEST_KEY):
        return key
    return f"<{type(key).__name__} {count}>"
