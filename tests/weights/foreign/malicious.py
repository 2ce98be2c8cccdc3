"""Pickles that would do harm if anything ran them: each tries to make a marker file, to crash, or to lie."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

import numpy as np


class Call:
    """Pickles as a call of `module.name` with these arguments."""

    def __init__(self, module: str, name: str, *arguments: Any, state: Any = None) -> None:
        self.target, self.arguments, self.state = Global(module, name), arguments, state


class Global:
    """Pickles as a mention of `module.name`, which need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Pickler(pickle._Pickler):  # type: ignore[misc,name-defined]
    """Writes `Call` and `Global` as what they stand for."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(b"c" + obj.module.encode() + b"\n" + obj.name.encode() + b"\n")
        elif isinstance(obj, Call):
            self.save(obj.target)
            self.save(obj.arguments)
            self.write(b"R")
            if obj.state is not None:
                self.save(obj.state)
                self.write(b"b")
        else:
            super().save(obj, save_persistent_id)


def dumps(value: Any, protocol: int = 4) -> bytes:
    """`pickle.dumps` with `Call` and `Global`."""
    file = io.BytesIO()
    _Pickler(file, protocol).dump(value)
    return file.getvalue()


def model(evil: Any) -> dict[str, Any]:
    """As in a model zoo, with an evil value between the arrays."""
    return {
        "model": {"a": np.zeros(3, np.float32), "evil": evil, "b": np.ones(2)},
        "__author__": "Detectron2 Model Zoo",
    }


def text(value: str) -> bytes:
    """The instruction that pushes a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def in_model(instructions: bytes) -> bytes:
    """`{"model": {"evil": <instructions>}}`, written by hand."""
    return b"\x80\x04}" + text("model") + b"}" + text("evil") + instructions + b"ss."


def calls(marker: str) -> dict[str, Any]:
    """Values whose unpickling would call something that leaves the marker file."""
    python = f"open({marker!r}, 'w').close()"
    shell = f"touch {marker}"
    path = Call("pathlib", "Path", marker)
    loads = dumps(Call("os", "system", shell))
    return {
        "os.system": Call("os", "system", shell),
        "posix.system": Call("posix", "system", shell),
        "nt.system": Call("nt", "system", shell),
        "os.popen": Call("os", "popen", shell),
        "os.open": Call("os", "open", marker, 0o102),
        "os.mkdir": Call("os", "mkdir", marker),
        "subprocess.Popen": Call("subprocess", "Popen", ["touch", marker]),
        "subprocess.check_output": Call("subprocess", "check_output", ["touch", marker]),
        "pty.spawn": Call("pty", "spawn", ["touch", marker]),
        "eval": Call("builtins", "eval", python),
        "exec": Call("builtins", "exec", python),
        "exec by its name in Python 2": Call("__builtin__", "eval", python),
        "open": Call("builtins", "open", marker, "w"),
        "io.open": Call("io", "open", marker, "w"),
        "import": Call("builtins", "__import__", "antigravity"),
        "getattr": Call("builtins", "getattr", Call("builtins", "__import__", "os"), "system"),
        "a call of what getattr gave": _called(Call("builtins", "getattr", Global("os", "path"), "os"), shell),
        "map": Call("builtins", "list", Call("builtins", "map", Global("os", "system"), [shell])),
        "functools.partial": _called(Call("functools", "partial", Global("os", "system"), shell)),
        "functools.reduce": Call("functools", "reduce", Global("os", "system"), [shell]),
        "operator.methodcaller": _called(Call("operator", "methodcaller", "touch"), path),
        "pathlib": Call("pathlib", "Path.touch", path),
        "timeit": Call("timeit", "timeit", python, "pass", Global("time", "time"), 1),
        "runpy": Call("runpy", "_run_code", python, {}),
        "code": Call("code", "InteractiveInterpreter.runsource", None, python),
        "bdb": Call("bdb", "Bdb.run", Call("bdb", "Bdb"), python),
        "profile": Call("cProfile", "run", python),
        "marshal": Call("types", "FunctionType", Call("marshal", "loads", b"\xe3"), {}),
        "pickle in a pickle": Call("pickle", "loads", loads),
        "_pickle in a pickle": Call("_pickle", "loads", loads),
        "numpy.load": Call("numpy", "load", Call("io", "BytesIO", loads), None, True),
        "numpy.savez": Call("numpy", "savez", marker),
        "numpy.memmap": Call("numpy", "memmap", marker, "u1", "w+", 0, (1,)),
        "numpy.fromregex": Call("numpy.testing._private.utils", "runstring", python, {}),
        "torch.load": Call("torch", "load", Call("io", "BytesIO", loads)),
        "torch.hub": Call("torch.hub", "load", "someone/something", "model"),
        "torch.save": Call("torch", "save", 1, marker),
        "torch jit": Call("torch.jit", "load", marker),
        "torch rebuild": Call("torch._utils", "_rebuild_tensor", Global("os", "system"), 0, (1,), (1,)),
        "ctypes": Call("ctypes", "CDLL", marker),
        "logging handler": Call("logging", "FileHandler", marker),
        "shelve": Call("shelve", "open", marker),
        "shutil": Call("shutil", "copy", __file__, marker),
        "zipfile": Call("zipfile", "ZipFile", marker, "w"),
        "webbrowser": Call("webbrowser", "open", f"file://{marker}"),
        "copyreg": Call("copyreg", "_reconstructor", Global("pathlib", "Path"), Global("builtins", "object"), None),
        "a class with a state": Call("collections", "OrderedDict", state={"__class__": Global("os", "system")}),
        "one of ours": Call("maskrcnn.files", "write_atomically", path, b"x"),
        "a function that was let in, with another's arguments": Call("_codecs", "encode", marker, "mbcs", shell),
        "array class called": Call("numpy", "ndarray", (2**40,)),
        "array class told to be a function": Call("numpy.core.multiarray", "_reconstruct", state={"__reduce__": shell}),
        "dtype of objects": Call("numpy", "dtype", "O8", False, True),
        "an array of objects": np.array([1, None, "x"], dtype=object),
        "an array of records with objects": np.zeros(1, dtype=[("a", "f4"), ("b", "O")]),
        "deep inside": [({"x": [(1, Call("os", "system", shell))]},)],
    }


def _called(function: Call, *arguments: Any) -> Call:
    call = Call("", "", *arguments)
    call.target = function
    return call


def assembled(marker: str) -> dict[str, bytes]:
    """Pickles written instruction by instruction: ways to call something without REDUCE, and attacks on the reader."""
    shell = text(f"touch {marker}")
    system = b"cos\nsystem\n"
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n"
    return {
        "INST": in_model(b"(" + shell + b"ios\nsystem\n"),
        "OBJ": in_model(b"(" + system + shell + b"o"),
        "NEWOBJ": in_model(b"cpathlib\nPosixPath\n" + text(marker) + b"\x85\x81"),
        "NEWOBJ_EX": in_model(b"clogging\nFileHandler\n)}" + text("filename") + text(marker) + b"s\x92"),
        "STACK_GLOBAL": in_model(text("os") + text("system") + b"\x93" + shell + b"\x85R"),
        "STACK_GLOBAL with dots": in_model(text("numpy") + text("dtype.__init__.__globals__") + b"\x93"),
        "STACK_GLOBAL of no text": in_model(b"]]\x93"),
        "EXT1": in_model(b"\x82\x01"),
        "PERSID": in_model(b"Pos.system\n"),
        "BINPERSID": in_model(shell + b"Q"),
        "NEXT_BUFFER": in_model(b"\x97"),
        "state of a function": in_model(reconstruct + b"N}" + text("__code__") + shell + b"s\x86b"),
        "state of a dictionary": in_model(b"}" + b"}" + text("__class__") + system + b"sb"),
        "a text called": in_model(shell + b")R"),
        "arguments that are no tuple": in_model(reconstruct + b"]R"),
        "evil before a good end": system + shell + b"\x85R0" + dumps(model(1)),
        "evil author": b"\x80\x04}" + text("__author__") + system + shell + b"\x85Rs.",
        "evil key": b"\x80\x04}" + system + shell + b"\x85RNs.",
        "huge memo": in_model(b"Nr\xfe\xff\xff\xff"),
        "huge bytes": in_model(b"\x8e" + struct.pack("<Q", 2**40)),
        "more bytes than there can be": in_model(b"\x8e" + struct.pack("<Q", 2**64 - 1)),
        "huge number": in_model(b"\x8b" + struct.pack("<i", 2**31 - 1)),
        "deep tuple as a key": b"\x80\x04})" + b"\x85" * 150_000 + b"Ns.",
        "deep tuple as a kind of numbers": in_model(b"cnumpy\ndtype\n)" + b"\x85" * 150_000 + b"\x85R"),
        "deep lists": in_model(b"]" * 150_000 + b"a" * 149_999),
        "a list in itself": in_model(b"]q\x00h\x00a"),
        "a dictionary in itself": b"\x80\x04}q\x00" + text("model") + b"h\x00s.",
        "nothing on the stack": b"\x80\x04.",
        "taken from an empty stack": b"\x80\x04R.",
        "items without a mark": b"\x80\x04}u.",
        "a mark below zero": in_model(b"((0000t"),
        "unknown instruction": in_model(b"\xff"),
        "unknown memo": in_model(b"h\x09"),
        "a name of many lines": in_model(text("os\nerror: all is well\n") + text("x\x1b[2J") + b"\x93"),
        "frame that lies": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + dumps(model(Call("os", "system", "x")))[2:],
        "shape larger than the bytes": dumps(_array((1000, 1000), "f4", b"1234")),
        "negative shape": dumps(_array((-5, -1), "f4", b"1234")),
        "shape that overflows": dumps(_array((2**62, 8), "f4", b"")),
        "shape that is no shape": dumps(_array("ab", "f4", b"1234")),
        "kind that is none": dumps(_array((1,), "x9", b"1234")),
        "pointers as numbers": dumps(_array((1,), "P", b"12345678")),
        "bytes that are a number": dumps(_array((1,), "f4", 7)),
        "state that is no state": dumps(model(Call("numpy.core.multiarray", "_reconstruct", state=(1, 2)))),
        "cut short": dumps(model(np.zeros(100)))[:-60],
        "empty": b"",
        "no pickle": b"<html>404 Not Found</html>",
        "not a dictionary": dumps([1, 2, 3]),
    }


def _array(shape: Any, kind: str, content: Any) -> dict[str, Any]:
    dtype = Call("numpy", "dtype", kind, False, True, state=(3, "<", None, None, None, -1, -1, 0))
    return model(Call("numpy.core.multiarray", "_reconstruct", state=(1, shape, dtype, False, content)))
