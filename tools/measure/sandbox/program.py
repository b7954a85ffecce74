"""The cell of the programs: a warmed fork server that never sees a test, and the program's side of the conversation.

`main` waits for orders of the tester: fork a program, tell its CPU time, end it. A forked process puts up its inner
wall and answers the tester's questions: run this source, call that function, what is its length. It holds no secret, so
whatever the source does with this process, it can only give other answers. Standard library only.
"""

from __future__ import annotations

import _socket
import atexit
import bisect
import collections
import copy
import errno
import functools
import gc
import heapq
import importlib
import io
import itertools
import json
import math
import operator
import os
import re
import signal
import site
import string
import struct
import sys
import time
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from tools.measure.sandbox import confine, wire

WARM = (bisect, functools, heapq, itertools, json, math, re, string, typing)
PLAIN_DEPTH, OWN_FRAMES = 1000, 8  # the interpreter's limit, and our frames below a program's
IMMUTABLE_BASES = (int, str, float, tuple, bytes, complex, frozenset)
MUTABLE_BASES = (list, dict, set, collections.deque, bytearray)
REHEARSALS = 20  # enough for the interpreter to specialise the code on the way
REHEARSAL = '''
from typing import List

def f(a: List[int], b):
    """A docstring."""
    return sorted(map(str, a)) if b else [x for x in a]
'''
POOL = 16 << 10  # what the interpreter's allocator cuts into blocks of one size, 16 to 512 bytes
FDS = _socket.CMSG_SPACE(3 * struct.calcsize("i"))


def call(function: Any, args: Any, named: Any) -> Any:
    return function(*args, **dict(named))


def _content(value: Any) -> Any:
    """The elements of a container of a subclass, in the exact type."""
    base = next(base for base in MUTABLE_BASES if issubclass(type(value), base))
    return base(value)


def _send(generator: Any, value: Any) -> Any:
    return next(generator) if value is None else generator.send(value)


OPERATORS: dict[str, Callable[..., Any]] = {
    "call": call,
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "content": _content,
    "send": _send,
    "throw": lambda generator, error: generator.throw(error),
    "close": lambda generator: generator.close(),
    "isinstance": isinstance,
    "issubclass": issubclass,
    "dir": dir,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__reversed__": reversed,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
    "__format__": format,
    "__bytes__": bytes,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__index__": operator.index,
    "__round__": round,
    "__abs__": abs,
    "__neg__": operator.neg,
    "__pos__": operator.pos,
    "__invert__": operator.invert,
    "__trunc__": math.trunc,
    "__floor__": math.floor,
    "__ceil__": math.ceil,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__contains__": operator.contains,
    "__enter__": lambda value: type(value).__enter__(value),
    "__exit__": lambda value, *error: type(value).__exit__(value, *error),
    "__divmod__": divmod,
    "__pow__": operator.pow,
    **{
        f"__{name}__": getattr(operator, f"__{name}__")
        for name in wire.words("eq ne lt le gt ge add sub mul truediv floordiv mod matmul and or xor lshift rshift")
    },
}
CALLABLE = "__call__"
DUNDERS = frozenset(name for name in OPERATORS if name.startswith("__")) | {CALLABLE}


class Tape(io.RawIOBase):
    """What a program prints, kept until the next message; above its size, writing fails as on a full disk."""

    def __init__(self) -> None:
        self.left = 0
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> str:
        text = b"".join(self._parts).decode("utf-8", "replace")
        self._parts.clear()
        return text


class Relay:
    """A function of the tester: calling it asks the tester."""

    __slots__ = ("_ask", "_label")

    def __init__(self, ask: Callable[..., Any], label: int) -> None:
        self._ask, self._label = ask, label

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._ask("call", self._label, args, tuple(named.items()))


def _pull(ask: Callable[..., Any], label: int) -> Iterator[Any]:
    """An iterator of the tester, one item at a time."""
    while True:
        try:
            item = ask("next", label)
        except StopIteration:
            return
        yield item


class Program(wire.Peer):
    """The answering end, in the process of the program."""

    def __init__(self, channel: wire.Channel) -> None:
        super().__init__(channel, first=1)
        self._objects: dict[int, Any] = {}
        self._refs: dict[int, int] = {}
        self._types: dict[int, int] = {}
        self._tape = Tape()
        self._screen = io.TextIOWrapper(io.BufferedWriter(self._tape), encoding="utf-8", errors="surrogateescape")

    def live(self, output: int) -> None:
        """Answer until the tester has gone. output: bytes that may be printed."""
        self._tape.left = output
        if "random" in sys.modules:
            sys.modules["random"].seed(0)
        gc.enable()
        try:
            while True:
                self.serve()
        except wire.Gone:
            os._exit(0)

    def answer(self, op: str, values: list[Any]) -> Any:
        if op == "run":
            return self._run(*values)
        if op == "main":
            return run_main(*values)
        if op == "map":
            return self._map(*values)
        return OPERATORS[op](*values)

    def printed(self) -> str:
        try:
            self._screen.flush()
        except (OSError, ValueError):
            return ""
        return self._tape.take()

    # what crosses

    def foreign(self, value: Any) -> Any:
        if type(value) is types.FunctionType:
            return self._opaque(value)  # by far the most frequent
        if type(value) is Relay:
            return ["f", value._label]
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["X", self._chain(value)]
        for base in IMMUTABLE_BASES:
            if issubclass(type(value), base):  # isinstance would believe a forged __class__
                return ["u", base.__name__, self.encode(_exact(base, value)), self._opaque(value)]
        return self._opaque(value)

    def strange(self, node: list[Any]) -> Any:
        if node[0] == "p":
            return self._objects[node[1]]
        if node[0] == "f":
            return Relay(self.ask, node[1])
        if node[0] == "it":
            return _pull(self.ask, node[1])
        return super().strange(node)

    def encode_found(self, value: Any) -> Any:
        known = self.shared.labels()
        try:
            return self.encode(value)
        except Exception:  # too deep, too large, or it broke while it was read: then it does not cross by value
            self.shared.forget(self.shared.labels() - known)
            return self._opaque(value)

    def pack_error(self, error: BaseException) -> Any:
        try:
            text = str(error)[:1000]
        except Exception:
            text = ""
        return [self._chain(type(error)), self._args(error), text, self._ref(error)]

    def unpack_error(self, node: Any) -> BaseException:
        ((name, _),), args, _text, _ref = node
        return wire.BUILTIN_EXCEPTIONS[name](*self.decode_many(args))

    def _args(self, error: BaseException) -> Any:
        try:
            return self.encode_many(error.args)
        except Exception:
            return []

    def _chain(self, kind: type) -> list[Any]:
        """Exception classes from the given one up to the first builtin, as (name, reference); builtins have 0."""
        chain: list[Any] = []
        for step in kind.__mro__:
            known = wire.BUILTIN_EXCEPTIONS.get(step.__name__) is step
            chain.append([step.__name__, 0 if known else self._ref(step)])
            if known:
                break
        return chain

    def _ref(self, value: Any) -> int:
        ref = self._refs.get(id(value))
        if ref is None:
            ref = len(self._objects) + 1
            self._objects[ref], self._refs[id(value)] = value, ref
        return ref

    def _opaque(self, value: Any) -> Any:
        kind = type(value)
        number = self._types.get(id(kind))
        about = None
        if number is None:
            number = self._types[id(kind)] = len(self._types) + 1
            self._ref(kind)  # alive, so that its id stays its own
            about = [kind.__name__, FUNCTION if kind is types.FunctionType else _abilities(kind), self._base(kind)]
        return ["o", self._ref(value), _hash(value), number, about]

    def _base(self, kind: type) -> str:
        if kind is types.GeneratorType:
            return "generator"
        return next((base.__name__ for base in MUTABLE_BASES if issubclass(kind, base)), "")

    # what is done

    def _run(self, source: str, wanted: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
        """Run a source as a module; returns those of the wanted names that it has, with what they name."""
        sys.stdout = self._screen
        module = _module("solution", source)
        return tuple((name, module[name]) for name in wanted if name in module)

    def _map(self, dotted: str, rows: list[list[Any]]) -> str:
        """Call a function on every row; the answers as text, up to the first row that raised."""
        function = _find(dotted)
        self.share = False
        nodes: list[Any] = []
        for row in rows:
            try:
                nodes.append(["=", self.encode_found(function(*row))])
            except BaseException as error:
                nodes.append(["!", self.pack_error(error)])
                break
        self.share = True
        return wire.dumps(nodes)


def _abilities(kind: type) -> list[str]:
    """The special methods a type has that can be forwarded to it."""
    own = {name for step in kind.__mro__ if step is not object for name in vars(step)}
    return sorted(own & DUNDERS)


FUNCTION = _abilities(types.FunctionType)


def _exact(base: Any, value: Any) -> Any:
    if base is str:
        return str.__str__(value)
    return base.__getnewargs__(value)[0] if base in (int, float) else base(value)


def _hash(value: Any) -> int | None:
    try:
        return hash(value)
    except Exception:
        return None


def _module(name: str, source: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    sys.modules[name] = module
    sys.argv = ["solution.py"]
    sys.setrecursionlimit(PLAIN_DEPTH + OWN_FRAMES)
    exec(compile(source, "solution.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _find(dotted: str) -> Any:
    """The function of a dotted name; a method is bound to a fresh instance of its class."""
    head, *rest = dotted.split(".")
    found = vars(sys.modules["solution"])[head]
    for name in rest:
        found = getattr(found() if isinstance(found, type) else found, name)
    return found


def run_main(source: str) -> int:
    """Run a source as the main program; returns its exit code. What it printed is on file descriptor 1."""
    code: Any = 0
    try:
        _module("__main__", source)
    except SystemExit as error:
        code = error.code
    _finish()
    return code if type(code) is int else int(code is not None)


def _finish() -> None:
    """What an interpreter does at its end: wait for threads, call what was registered, empty the buffers."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None and not stream.closed:
            stream.flush()


def _rehearse(guest: Program) -> None:
    """Go once through what every program goes through, so that forked copies find it warm."""
    for _ in range(REHEARSALS):
        guest.rehearse("run", [REHEARSAL, ("f",)])
        guest.rehearse("call", [vars(sys.modules["solution"])["f"], ([1, 2.0, "a"], {"k": (1,)}), ()])
    del sys.modules["solution"]
    sys.stdout = sys.__stdout__


_filling: list[bytes] = []


def _fill_pools() -> None:
    """Take up the free blocks between objects: a forked copy makes its own in pages that need no copying."""
    for size in range(48, 513, 16):
        for _ in range(16 * POOL // size):
            block = bytes(size - sys.getsizeof(b""))
            if id(block) % POOL < 64:  # the first of a fresh pool
                break
            _filling.append(block)


# -- the fork server ---------------------------------------------------------------------------------------------


def _start(guest: Program, wall: confine.InnerWall, limits: tuple[int, int, int], fds: list[int], link: int) -> int:
    child = os.fork()
    if child:
        for fd in fds:
            os.close(fd)
        return child
    try:
        os.close(link)
        for target, fd in enumerate(fds[1:]):
            os.dup2(fd, target)
            os.close(fd)
        os.dup2(fds[0], guest.channel.sock.fileno())
        os.close(fds[0])
        wall.put_up(*limits)
        guest.live(limits[2])
    finally:
        os._exit(70)


def _cpu(pid: int) -> float:
    """CPU seconds of another process: its clock id is made of its pid (clock_getcpuclockid)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _end(pid: int, started: float) -> bytes:
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return wire.USAGE.pack(status, usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss)


def _clean(scratch: str) -> None:
    """Leave nothing of one program to the next. What cannot be removed ends the cell: a new one is started."""
    for name in os.listdir(scratch):
        path = os.path.join(scratch, name)
        if os.path.isdir(path) and not os.path.islink(path):
            _open_up(path)
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)


def _open_up(path: str) -> None:
    os.chmod(path, 0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)


def _warm(modules: list[str]) -> None:
    """Import what programs are about to import, once for all of them; a missing module is theirs to miss."""
    for name in modules:
        if name not in sys.modules:
            try:
                importlib.import_module(name)
            except Exception:
                continue
            gc.freeze()


def _serve(guest: Program, wall: confine.InnerWall, link: _socket.socket, scratch: str) -> None:
    pid, started = 0, 0.0
    while True:
        message, given, _, _ = link.recvmsg(4096, FDS)
        if not message:
            break
        if message == b"cpu":
            link.send(struct.pack("d", _cpu(pid)))
        elif message == b"end":
            usage, pid = _end(pid, started), 0
            if scratch:
                _clean(scratch)
            link.send(usage)
        else:
            if modules := message[wire.ORDER.size :]:
                _warm(modules.decode().split())
            started = time.monotonic()
            fds = memoryview(given[0][2]).cast("i").tolist()
            pid = _start(guest, wall, wire.ORDER.unpack_from(message), fds, link.fileno())
    if pid:
        _end(pid, started)


def main(box: dict[str, Any]) -> None:
    """Be the fork server until the link closes."""
    site.setquit()
    site.sethelper()
    sys.meta_path.append(confine.Packages(box["packages"]))
    confine.enter(box["tier"], box["readable"], box["links"], box["scratch"], box["cpu"])
    link = _socket.socket(fileno=box["link"])
    spare, _ = _socket.socketpair()  # a forked program puts its own line in the place of this one
    _rehearse(Program(wire.Channel(spare)))
    guest, wall = Program(wire.Channel(spare)), confine.InnerWall(box["tier"])
    gc.collect()
    gc.disable()
    gc.freeze()
    confine.trim()
    confine.share_code()
    confine.huge_code()
    _fill_pools()
    link.send(b"ready")
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    _serve(guest, wall, link, box["scratch"])
