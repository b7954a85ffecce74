"""The asking end: one program as its tester sees it, from its fork to its end.

What a program returns is here a value of an exact builtin type, or an `Opaque` handle. A handle forwards what takes
nothing of the test along (a call with the test's own arguments, a length, an item), and never an operator with a value
of the test beside it: such an object would see the expected answer, and could agree with it. Standard library only.
"""

from __future__ import annotations

import builtins
import functools
import operator
import socket
import struct
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from tools.measure.sandbox import wire

Frames = Sequence[bytes]
BUSY_SHARE = 0.02  # of the clock: who gets less is asleep


class Overdue(wire.Gone):
    """The program used up its time."""


class Diverged(wire.Gone):
    """The checks asked something else than was sent ahead: the program has to start afresh."""


class Ungradable(BaseException):
    """The tester cannot carry out what the checks ask for."""


class Link:
    """Orders to the fork server."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def start(self, order: bytes, fds: list[int]) -> None:
        socket.send_fds(self._sock, [order], fds)

    def cpu(self) -> float:
        (seconds,) = struct.unpack("d", self._ask(b"cpu", 8))
        return float(seconds)

    def end(self) -> tuple[int, float, float, int]:
        status, cpu, wall, memory = wire.USAGE.unpack(self._ask(b"end", wire.USAGE.size))
        return status, cpu, wall, memory

    def ready(self) -> None:
        if self._sock.recv(64) != b"ready":
            raise SystemExit("the fork server did not start")

    def _ask(self, order: bytes, size: int) -> bytes:
        self._sock.send(order)
        answer = self._sock.recv(size)
        if len(answer) != size:
            raise SystemExit("the fork server is gone")
        return answer


class Patient(wire.Channel):
    """A channel that waits as long as the program has time: `seconds` of CPU.

    On the clock it gets twice that and a second; longer only while it uses the CPU it can get, on a busy machine.
    """

    def __init__(self, sock: socket.socket, link: Link, seconds: float) -> None:
        super().__init__(sock)
        self._link, self._seconds = link, seconds
        self._used, self._seen = 0.0, time.monotonic()
        self._end, self._last = self._seen + 2 * seconds + 1, self._seen + wire.longest_wait(seconds)
        sock.settimeout(seconds)

    def send(self, *frames: bytes) -> None:
        """As Channel.send; a program that does not read in time is overdue."""
        try:
            super().send(*frames)
        except TimeoutError:
            raise Overdue("it does not read") from None

    def _read(self, size: int) -> bytes:
        while True:
            if time.monotonic() > self._end:
                self._look()
            try:
                return super()._read(size)
            except TimeoutError:
                self._look()

    def _look(self) -> None:
        used, now = self._link.cpu(), time.monotonic()
        if used >= self._seconds * 0.98:
            raise Overdue(f"{used:.2f} s of CPU")
        if now > self._end:
            self._extend(used, now)
        self._used, self._seen = used, now
        self.sock.settimeout(max(0.01, min(self._seconds - used, self._end - now)))

    def _extend(self, used: float, now: float) -> None:
        busy = used - self._used > BUSY_SHARE * (now - self._seen)
        if not busy or now > self._last:
            raise Overdue("no answer in time")
        self._end = min(now + self._seconds, self._last)


# -- handles -----------------------------------------------------------------------------------------------------


class Opaque:
    """A handle on an object of the program."""

    __slots__ = ("_opaque_base", "_opaque_guest", "_opaque_hash", "_opaque_ref")
    _opaque_guest: Guest
    _opaque_ref: int
    _opaque_hash: int | None
    _opaque_base: str

    def __getattr__(self, name: str) -> Any:
        return self._opaque_guest.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._opaque_guest.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._opaque_guest.ask("delattr", self, name)

    def __hash__(self) -> int:
        if self._opaque_hash is None:
            raise TypeError(f"unhashable type: '{type(self).__name__}'")
        return self._opaque_hash

    def __eq__(self, other: object) -> Any:
        return _equal(self, other)

    def __ne__(self, other: object) -> Any:
        found = _equal(self, other)
        return found if found is NotImplemented else not found

    def __str__(self) -> str:
        return str(self._opaque_guest.ask("__str__", self))

    def __repr__(self) -> str:
        return str(self._opaque_guest.ask("__repr__", self))

    def __dir__(self) -> Any:
        return self._opaque_guest.ask("dir", self)

    def __copy__(self) -> Any:
        return self._opaque_guest.ask("copy", self)

    def __deepcopy__(self, _memo: Any) -> Any:
        return self._opaque_guest.ask("deepcopy", self)

    def __reduce__(self) -> Any:
        raise Ungradable("an object of the program was pickled")

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Opaque) and bool(self._opaque_guest.ask("isinstance", value, self))

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, Opaque) and bool(self._opaque_guest.ask("issubclass", value, self))


def _equal(handle: Opaque, other: object) -> Any:
    """Two objects of the program compare there. A container of the program compares here, by its elements."""
    if handle is other:
        return True
    if isinstance(other, Opaque):
        return bool(handle._opaque_guest.ask("__eq__", handle, other))
    if handle._opaque_base:
        return handle._opaque_guest.ask("content", handle) == other
    return NotImplemented


def _unary(name: str) -> Callable[..., Any]:
    def forward(self: Opaque, *args: Any) -> Any:
        return self._opaque_guest.ask(name, self, *args)

    return forward


def _binary(name: str) -> Callable[..., Any]:
    def forward(self: Opaque, other: Any) -> Any:
        return self._opaque_guest.ask(name, self, other) if isinstance(other, Opaque) else NotImplemented

    return forward


def _call(self: Opaque, *args: Any, **named: Any) -> Any:
    return self._opaque_guest.ask("call", self, args, tuple(named.items()))


def _contains(self: Opaque, item: Any) -> Any:
    if isinstance(item, Opaque):
        return self._opaque_guest.ask("__contains__", self, item)
    return any(element is item or element == item for element in self)  # type: ignore[attr-defined]


FORWARDED: dict[str, Callable[..., Any]] = {
    **{
        f"__{name}__": _unary(f"__{name}__")
        for name in wire.words(
            "len iter next reversed bool format bytes int float complex index round abs neg pos invert trunc "
            "floor ceil getitem setitem delitem enter exit"
        )
    },
    **{
        f"__{name}__": _binary(f"__{name}__")
        for name in wire.words(
            "lt le gt ge add sub mul truediv floordiv mod matmul and or xor lshift rshift divmod pow"
        )
    },
    "__call__": _call,
    "__contains__": _contains,
}


def _stream(guest: Guest, ref: Opaque) -> Generator[Any, Any, Any]:
    """A generator of the program, as a generator here."""
    received = None
    while True:
        try:
            item = guest.ask("send", ref, received)
        except StopIteration as stop:
            return stop.value
        try:
            received = yield item
        except GeneratorExit:
            guest.ask("close", ref)
            raise
        except Exception as error:
            item = guest.ask("throw", ref, error)
            received = yield item


def _attributes(guest: Guest, node: Any) -> Callable[[Any, str], Any]:
    def lookup(self: Any, name: str) -> Any:
        return guest.ask("getattr", guest.handle(node), name)

    return lookup


class Guest(wire.Peer):
    """The asking end: one program, from its fork to its end."""

    def __init__(self, link: Link, order: bytes, seconds: float, fds: tuple[int, ...] = (), ahead: Frames = ()) -> None:
        mine, theirs = socket.socketpair()
        self._link, self._sock = link, mine
        super().__init__(Patient(mine, link, seconds), first=2)
        self._exports: list[Any] = []
        self._handles: dict[int, Any] = {}
        self._kinds: dict[int, tuple[type, str]] = {}
        self._errors: dict[int, type] = {}
        self.raised: list[BaseException] = []
        self.trouble: BaseException | None = None
        self._begun, self._ahead = False, deque(ahead)
        self.said: list[bytes] = []
        self.asked_back = False
        link.start(order, [theirs.fileno(), *fds])
        theirs.close()

    def ask(self, op: str, *values: Any) -> Any:
        """As Peer.ask; after trouble nothing is asked any more, however often a test catches it."""
        if self.trouble is not None:
            raise self.trouble
        try:
            return super().ask(op, *values)
        except (wire.Gone, wire.Malformed, Ungradable) as trouble:
            self.trouble = self.trouble or trouble
            raise

    def transmit(self, frame: bytes) -> None:
        """Send a frame, unless it was sent ahead; with the first go all that are sent ahead."""
        if not self._begun:
            self._begun = True
            self.channel.send(frame, *self._ahead)
            return
        self.said.append(frame)
        if not self._ahead:
            self.channel.send(frame)
        elif frame != self._ahead.popleft():
            raise Diverged("the checks asked something new")

    def end(self) -> tuple[int, float, float, int]:
        """End the program. Returns wait status, CPU seconds, seconds on the clock, peak kB."""
        usage = self._link.end()
        self._sock.close()
        return usage

    def heard(self, text: str) -> None:
        sys.stdout.write(text)

    def answer(self, op: str, values: list[Any]) -> Any:
        """The program calls a function of the test, or draws from an iterator of it."""
        if self._ahead:
            raise Diverged("the program asked back")
        self.asked_back = True
        exported = self._exports[values[0]]
        if op == "call":
            return exported(*values[1], **dict(values[2]))
        if op == "next":
            return next(exported)
        raise wire.Malformed(f"a question {op!r}")

    def pack_error(self, error: BaseException) -> Any:
        if isinstance(error, (wire.Gone, wire.Malformed, Ungradable)):
            raise error
        name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in wire.BUILTIN_EXCEPTIONS)
        return [[[name, 0]], self.encode_many(error.args), str(error), 0]

    def unpack_error(self, node: Any) -> BaseException:
        """An exception of the program, as one of the same name that tests can catch here."""
        try:
            chain, args, text, _ref = node
            kind, values = self._error_kind(chain), self.decode_many(args)
            error = _raise_as(kind, values, str(text))
        except wire.MISFITS as misfit:
            raise wire.Malformed(f"a strange exception: {misfit}") from None
        self.raised.append(error)
        return error

    # what crosses

    def foreign(self, value: Any) -> Any:
        if isinstance(value, Opaque):
            return ["p", value._opaque_ref]
        handle = getattr(value, "_opaque_handle", None)
        if isinstance(handle, Opaque):
            return ["p", handle._opaque_ref]
        if isinstance(value, Iterator) and type(value).__module__ in ("builtins", "itertools"):
            return ["it", self._export(value)]
        if isinstance(value, FUNCTIONS) or (isinstance(value, type) and value.__module__ == "__tests__"):
            return ["f", self._export(value)]
        raise Ungradable(f"a {type(value).__name__} of the tests cannot be handed to a program")

    def strange(self, node: list[Any]) -> Any:
        if node[0] == "o":
            return self.handle(node)
        if node[0] == "u":
            return self._derived(node)
        if node[0] == "f":
            return self._exports[node[1]]
        if node[0] == "X":
            return self._error_kind(node[1])
        return super().strange(node)

    def update(self, label: int, node: Any) -> None:
        if self.shared.known(label):
            super().update(label, node)

    def handle(self, node: Any) -> Any:
        """The handle of an object: the same object gives the same handle."""
        _tag, ref, hashed, number, about = node
        if about is not None and number not in self._kinds:
            self._kinds[number] = _kind(*about)
        if ref in self._handles:
            return self._handles[ref]
        kind, base = self._kinds[number]
        found: Any = object.__new__(kind)
        for name, value in (("guest", self), ("ref", int(ref)), ("hash", hashed), ("base", base)):
            object.__setattr__(found, f"_opaque_{name}", value)
        self._handles[ref] = _stream(self, found) if base == "generator" else found
        return self._handles[ref]

    def _derived(self, node: Any) -> Any:
        """A value of a class derived from an immutable builtin: that builtin's behaviour, other attributes there."""
        _tag, base, content, opaque = node
        value = self.decode(content)
        if type(value).__name__ != base or base not in IMMUTABLE:
            raise wire.Malformed("a derived value of another type")
        handle = self.handle(opaque)
        kind = type(type(handle).__name__, (type(value),), {"__getattr__": _attributes(self, opaque)})
        found = kind(value)
        found._opaque_handle = handle
        return found

    def _export(self, value: Any) -> int:
        self._exports.append(value)
        return len(self._exports) - 1

    def _error_kind(self, chain: Any) -> type[BaseException]:
        kind: type[BaseException] = wire.BUILTIN_EXCEPTIONS[chain[-1][0]]
        for name, ref in reversed(chain[:-1]):
            if ref not in self._errors:
                self._errors[ref] = type(str(name), (kind,), {})
            kind = self._errors[ref]
        return kind


FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    type(len),
    functools.partial,
    operator.itemgetter,
    operator.attrgetter,
)
IMMUTABLE = frozenset({"int", "str", "float", "tuple", "bytes", "complex", "frozenset"})


def _kind(name: Any, abilities: Any, base: Any) -> tuple[type, str]:
    members: dict[str, Any] = {ability: FORWARDED[ability] for ability in abilities if ability in FORWARDED}
    if base in ("list", "dict", "set", "bytearray"):
        members["__class__"] = property(lambda _self: getattr(builtins, base))
    return type(str(name), (Opaque,), {"__slots__": (), **members}), str(base)


def _raise_as(kind: type[BaseException], values: list[Any], text: str) -> BaseException:
    try:
        return kind(*values)
    except Exception:
        return Exception(text)
