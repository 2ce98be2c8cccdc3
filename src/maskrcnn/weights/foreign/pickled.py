"""Arrays out of a pickle, without unpickling it.

A pickle is a program for a small stack machine, and whoever runs it (`pickle.load`) can be led to call anything. So it
is not run: `pickletools` names its instructions, and those that put together dictionaries, lists, tuples, text,
numbers and NumPy arrays are carried out here, on plain data. A function that the file names is never looked up.
Whatever else a file asks for, it is refused.
"""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from maskrcnn.errors import UserError
from maskrcnn.text import brief

Array = npt.NDArray[Any]

NUMBERS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
"""Kinds of numbers an array may hold, as NumPy writes them."""


class _RefusedError(Exception):
    """The pickle asks for something beyond plain data; the message says for what."""


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle of any protocol, with NumPy arrays in it and in the dictionaries inside it.

    Raises:
        UserError: the file cannot be read, is no whole pickle, holds no dictionary, or asks for anything but plain
            data; nothing of it has been executed.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            result = _carry_out(cast(IO[bytes], content))
        if not isinstance(result, dict):
            raise UserError(f"{path}: expected a pickle of a dictionary, got {type(result).__name__}")
        claimed, held = _num_bytes(result), path.stat().st_size
        if claimed > 8 * held:
            raise UserError(f"{path}: arrays that claim {claimed} bytes in a file of {held}; it is damaged")
        return {name: _finished_inside(value) for name, value in result.items()}
    except _RefusedError as refusal:
        raise UserError(
            f"{path}: refused, nothing of it was executed: this pickle asks for {refusal}; expected NumPy arrays, "
            "numbers, text and dictionaries alone; PyTorch's weights are saved by torch.save(model.state_dict(), FILE)"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: expected a readable file, but the system says: {error.strerror or error}") from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected a whole pickle, but it is cut short or damaged ({brief(error)})") from None


@dataclass
class _DType:
    """What `numpy.dtype` would make; its byte order comes afterwards."""

    numpy: np.dtype[Any]

    def set_state(self, state: Any) -> None:
        """State: (version, byte order, ...)."""
        self.numpy = self.numpy.newbyteorder(state[1])


@dataclass
class _Array:
    """What NumPy would make in two steps: an array, and then its shape and its numbers."""

    state: Any = None

    def set_state(self, state: Any) -> None:
        self.state = state

    def numpy(self) -> Array:
        """State: (version, shape, dtype, whether in Fortran's order, bytes)."""
        _, shape, dtype, fortran, content = self.state
        return _array(content, dtype, shape, "F" if fortran else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    raw = content.encode("latin-1") if isinstance(content, str) else content  # Python 2 wrote bytes as text
    return np.frombuffer(raw, dtype.numpy).reshape(shape, order=order)


def _reconstruct(*_: Any) -> _Array:
    """The arguments say "an empty array of bytes"; what it is comes with its state."""
    return _Array()


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    return _Array((1, shape, dtype, order == "F", content))


def _scalar(dtype: Any, content: Any) -> Any:
    return _array(content, dtype, (), "C").item()


def _new_dtype(kind: Any, *_: Any) -> _DType:
    if not isinstance(kind, str) or kind not in NUMBERS:
        raise _RefusedError(f"arrays of the kind {brief(kind)}")
    return _DType(np.dtype(kind))


def _encode(text: Any, _: Any) -> Any:
    """How protocols 0 to 2 of Python 3 write bytes: as Latin-1 text, as which they are taken later."""
    return text


def _no_bytes() -> bytes:
    """How protocols 0 to 2 write the bytes of an empty array."""
    return b""


def _ordered_dict() -> dict[Any, Any]:
    return {}


@dataclass(frozen=True)
class _Global:
    """A name that pickles of arrays use, and the function here that stands for it; None: only mentioned."""

    make: Callable[..., Any] | None


_GLOBALS: dict[str, _Global] = {
    "numpy.core.multiarray _reconstruct": _Global(_reconstruct),
    "numpy._core.multiarray _reconstruct": _Global(_reconstruct),
    "numpy.core.multiarray scalar": _Global(_scalar),
    "numpy._core.multiarray scalar": _Global(_scalar),
    "numpy.core.numeric _frombuffer": _Global(_from_buffer),
    "numpy._core.numeric _frombuffer": _Global(_from_buffer),
    "numpy dtype": _Global(_new_dtype),
    "numpy ndarray": _Global(None),
    "collections OrderedDict": _Global(_ordered_dict),
    "_codecs encode": _Global(_encode),
    "__builtin__ bytes": _Global(_no_bytes),
}


@dataclass
class _Machine:
    """The stack, where the marks on it lie, and the values that may be needed again."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """The last `count` values, in their order."""
        if not 0 <= count <= len(self.stack):
            raise ValueError("more taken from the stack than lies on it")
        start = len(self.stack) - count
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def pop_to_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def extend(self, values: list[Any]) -> None:
        _expect(self.stack[-1], list).extend(values)

    def set_items(self, flat: list[Any]) -> None:
        """Flat: key, value, key, value, ..."""
        _expect(self.stack[-1], dict).update(_pairs(flat))

    def look_up(self, name: str) -> None:
        if name not in _GLOBALS:
            raise _RefusedError(brief(name.replace(" ", ".")))
        self.push(_GLOBALS[name])

    def call(self) -> None:
        function, arguments = self.pop(2)
        if not isinstance(function, _Global) or function.make is None:
            raise _RefusedError(f"a call of {brief(function)}")
        self.push(function.make(*_expect(arguments, tuple)))

    def build(self) -> None:
        (state,) = self.pop(1)
        if not isinstance(self.stack[-1], _Array | _DType):
            raise _RefusedError(f"the state of {type(self.stack[-1]).__name__} to be set")
        self.stack[-1].set_state(state)


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} where there is a {type(value).__name__}")
    return value


def _pairs(flat: list[Any]) -> dict[str, Any]:
    """Keys are text: the hash of a deeply nested tuple would overflow the interpreter's stack."""
    return {_expect(key, str): value for key, value in zip(flat[::2], flat[1::2], strict=True)}


_Instruction = Callable[[_Machine, Any], None]
"""Carries out one instruction; the second argument is the one that the pickle gives with it."""

_INSTRUCTIONS: dict[str, _Instruction] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(
        (
            *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
            *("STRING", "BINSTRING", "SHORT_BINSTRING"),
            *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        ),
        lambda machine, value: machine.push(value),
    ),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.mark(),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.push(_pairs(machine.pop_to_mark())),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, index: machine.memo.update({index: machine.stack[-1]})
    ),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.push(machine.memo[index])),
    "GLOBAL": lambda machine, name: machine.look_up(name),
    "STACK_GLOBAL": lambda machine, _: machine.look_up(" ".join(machine.pop(2))),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
"""What pickles of plain data and arrays consist of."""


def _carry_out(content: IO[bytes]) -> Any:
    """What the pickle leaves on the stack."""
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "STOP":
            break
        if opcode.name not in _INSTRUCTIONS:
            raise _RefusedError(f"the instruction {opcode.name}")
        _INSTRUCTIONS[opcode.name](machine, argument)
    (result,) = machine.pop(1)
    return result


def _num_bytes(result: dict[str, Any]) -> int:
    """Of all arrays: a few bytes can mention the same numbers a million times, of which each would have a copy."""
    inner = [value for outer in result.values() for value in (outer.values() if isinstance(outer, dict) else [outer])]
    return sum(len(value.state[4]) for value in inner if isinstance(value, _Array))


def _finished_inside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finished(inner) for name, inner in value.items()}
    return _finished(value)


def _finished(value: Any) -> Any:
    return value.numpy() if isinstance(value, _Array) else value
