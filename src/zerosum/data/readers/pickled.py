"""Pickle files read as data: nothing in them is imported, called or executed."""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from zerosum.data.source import Bytes
from zerosum.errors import UserError

LARGEST = 2**29  # bytes
MOST_STEPS = 5_000_000
RANK = 8  # dimensions of an array
ENCODE = "_codecs.encode"  # how old protocols write bytes
EMPTY = ("__builtin__.bytes", "builtins.bytes")
RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
FROM_BUFFER = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
BYTE = ("u1", "|u1", "<u1", ">u1", "uint8", "B")


class Node(NamedTuple):
    """What would be an object if the pickle were executed: a name, what it would be called with, and its state."""

    name: str
    arguments: tuple[object, ...] | None  # None: the thing of this name itself
    state: list[object]  # the last one counts


def read_pickle(data: bytes) -> object:
    """The content of a pickle file: None, bool, int, float, str, bytes, list, tuple, dict and ``Node``.

    Containers may hold themselves or each other many times over: never walk through them without a limit.

    Raises:
        UserError: it is damaged, too large, or holds something else (sets, keys that are no text, ...).
    """
    if len(data) > LARGEST:
        raise UserError(f"a pickle of {len(data) >> 20} MiB is too large: at most {LARGEST >> 20} MiB are read.")
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in text
            for steps, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if steps > MOST_STEPS:
                    raise UserError(f"a pickle of more than {MOST_STEPS} steps is no set of pictures.")
                if opcode.name == "STOP":
                    return _pop(machine)
                _step(machine, opcode.name, argument)
    except UserError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise UserError(f"the pickle is damaged ({' '.join(str(error)[:200].split())}).") from None
    raise UserError("the pickle is damaged (it does not end).")


def as_array(value: object) -> Bytes:
    """The uint8 array that a node stands for.

    Raises:
        UserError: it stands for something else, or its parts do not fit together.
    """
    if not isinstance(value, Node) or value.arguments is None:
        raise UserError(f"expected an array, found {describe(value)}.")
    if value.name in RECONSTRUCT:
        state = value.state[-1] if value.state else None
        if not isinstance(state, tuple) or len(state) != 5:
            raise UserError("an array in the pickle is damaged.")
        _, shape, kind, fortran, raw = state
    elif value.name in FROM_BUFFER and len(value.arguments) == 4:
        raw, kind, shape, order = value.arguments
        fortran = isinstance(order, str) and order == "F"
    else:
        raise UserError(f"expected an array, found {describe(value)}.")
    if not _is_byte(kind):
        raise UserError("an array in the pickle has numbers of another kind than uint8.")
    if isinstance(raw, str):  # as Python 2 wrote bytes
        try:
            raw = raw.encode("latin-1")
        except UnicodeError:
            raise UserError("an array in the pickle is damaged.") from None
    if not isinstance(shape, tuple) or len(shape) > RANK or not isinstance(raw, bytes):
        raise UserError("an array in the pickle is damaged.")
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    if len(sizes) != len(shape) or math.prod(sizes) != len(raw):
        raise UserError("an array in the pickle has another size than it says.")
    return np.frombuffer(raw, dtype=np.uint8).reshape(sizes, order="F" if fortran is True else "C")


def describe(value: object) -> str:
    """What a value is, in words; never longer than a line."""
    if isinstance(value, Node):
        return f"'{value.name[:80].encode('ascii', 'backslashreplace').decode()}', which is never called"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _is_byte(kind: object) -> bool:
    if not isinstance(kind, Node) or kind.name != "numpy.dtype" or not kind.arguments:
        return False
    name = kind.arguments[0]
    return isinstance(name, str | bytes) and (name if isinstance(name, str) else name.decode("latin-1")) in BYTE


@dataclass
class _Machine:
    """The stack, where its marks are, and what was put aside under a number."""

    stack: list[object] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    made: int = 0  # bytes that were made from text


def _step(machine: _Machine, name: str, argument: object) -> None:
    """One instruction. Those of one table follow their names; what is in no table is refused."""
    if name in VALUES:
        machine.stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
    elif name in CONSTANTS:
        machine.stack.append(CONSTANTS[name]())
    elif name in ACTIONS:
        ACTIONS[name](machine)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        if not isinstance(argument, int) or not 0 <= argument < LARGEST:
            raise ValueError("a number of the memo is out of range")
        machine.memo[argument] = _top(machine)
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        machine.stack.append(machine.memo[argument] if isinstance(argument, int) else None)
    elif name == "GLOBAL":
        machine.stack.append(Node(str(argument).replace(" ", "."), None, []))
    elif name not in ("PROTO", "FRAME"):
        raise UserError(f"the pickle holds something else than data (instruction {name}).")


def _top(machine: _Machine) -> object:
    if len(machine.stack) <= (machine.marks[-1] if machine.marks else 0):
        raise ValueError("it takes more than there is")
    return machine.stack[-1]


def _pop(machine: _Machine) -> object:
    _top(machine)
    return machine.stack.pop()


def _pop_marked(machine: _Machine) -> list[object]:
    """Everything above the last mark, and the mark."""
    start = machine.marks.pop()
    values = machine.stack[start:]
    del machine.stack[start:]
    return values


def _tuple(machine: _Machine, count: int) -> None:
    values = [_pop(machine) for _ in range(count)]
    machine.stack.append(tuple(values[::-1]))


def _fill(machine: _Machine, values: list[object]) -> None:
    """Put keys and values in turn into the dict on top."""
    target = _top(machine)
    if not isinstance(target, dict) or len(values) % 2:
        raise ValueError("keys without a dict")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | bytes):  # others may take for ever to hash
            raise UserError(f"a dict in the pickle has a key that is no text: {describe(key)}.")
        target[key] = value


def _extend(machine: _Machine, values: list[object]) -> None:
    target = _top(machine)
    if not isinstance(target, list):
        raise ValueError("items without a list")
    target.extend(values)


def _name(machine: _Machine) -> None:
    name, module = _pop(machine), _pop(machine)
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a name that is no text")
    machine.stack.append(Node(f"{module}.{name}", None, []))


def _call(machine: _Machine) -> None:
    """Where a pickle would call something, note what and with what; only bytes in old protocols are made at once."""
    arguments, function = _pop(machine), _pop(machine)
    if not isinstance(function, Node) or function.arguments is not None or not isinstance(arguments, tuple):
        raise ValueError("a call of what cannot be called")
    if function.name in EMPTY and not arguments:
        machine.stack.append(b"")
    elif function.name == ENCODE and len(arguments) == 2 and isinstance(text := arguments[0], str):
        machine.made += len(text)
        if machine.made > LARGEST:  # one text may be named many times
            raise UserError("the pickle unfolds to more than it may.")
        machine.stack.append(text.encode("latin-1"))
    else:
        machine.stack.append(Node(function.name, arguments, []))


def _build(machine: _Machine) -> None:
    state, target = _pop(machine), _top(machine)
    if not isinstance(target, Node):
        raise ValueError("a state without an object")
    target.state.append(state)


NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
VALUES = NUMBERS | TEXTS | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
ACTIONS: dict[str, Callable[[_Machine], object]] = {
    "MARK": lambda machine: machine.marks.append(len(machine.stack)),
    "POP": lambda machine: _pop(machine),
    "POP_MARK": lambda machine: _pop_marked(machine),
    "DUP": lambda machine: machine.stack.append(_top(machine)),
    "MEMOIZE": lambda machine: machine.memo.__setitem__(len(machine.memo), _top(machine)),
    "TUPLE": lambda machine: machine.stack.append(tuple(_pop_marked(machine))),
    "TUPLE1": lambda machine: _tuple(machine, 1),
    "TUPLE2": lambda machine: _tuple(machine, 2),
    "TUPLE3": lambda machine: _tuple(machine, 3),
    "LIST": lambda machine: machine.stack.append(_pop_marked(machine)),
    "APPEND": lambda machine: _extend(machine, [_pop(machine)]),
    "APPENDS": lambda machine: _extend(machine, _pop_marked(machine)),
    "DICT": lambda machine: _dict(machine),
    "SETITEM": lambda machine: _fill(machine, [_pop(machine), _pop(machine)][::-1]),
    "SETITEMS": lambda machine: _fill(machine, _pop_marked(machine)),
    "STACK_GLOBAL": lambda machine: _name(machine),
    "REDUCE": lambda machine: _call(machine),
    "NEWOBJ": lambda machine: _call(machine),
    "BUILD": lambda machine: _build(machine),
    "READONLY_BUFFER": lambda machine: _top(machine),
}


def _dict(machine: _Machine) -> None:
    values = _pop_marked(machine)
    machine.stack.append({})
    _fill(machine, values)
