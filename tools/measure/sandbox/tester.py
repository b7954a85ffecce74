"""The cell of the tests: runs checks against programs that live elsewhere, and says what became of each.

`main` takes jobs of the parent one by one. For each it has the fork server start a program, reaches it through `Guest`,
and sends a verdict that carries the job's nonce. It never runs a completion. What a program returns is here a value of
an exact builtin type, or an `Opaque` handle; a handle forwards what takes nothing of the test along (a call with the
test's own arguments, a length, an item), and never an operator with a value of the test beside it: such an object would
see the expected answer, and could agree with it. Standard library only.

Checks that could leave a trace in this process (imports beyond a few, assignments to attributes) run in a forked copy.
"""

from __future__ import annotations

import ast
import builtins
import errno
import functools
import gc
import json
import math
import operator
import os
import random
import signal
import socket
import struct
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from tools.measure.sandbox import confine, wire

USAGE = struct.Struct("iddq")
Frames = Sequence[bytes]
ERRNO_REASONS = {errno.EPERM: "blocked", errno.ENOMEM: "memory", errno.EFBIG: "output", errno.ENOSPC: "output"}
BUSY_SHARE = 0.02  # of the clock: who gets less is asleep
AHEAD_BYTES = 64 << 10  # what a socket takes without its reader
ROWS_AT_ONCE = 32
TESTER_MEMORY = 6 << 30
RELATIVE = 1e-7  # numpy's default, beside a problem's absolute tolerance, as EvalPlus compares
QUIET_MODULES = frozenset(
    wire.words(
        "__future__ bisect builtins cmath collections contextlib copy dataclasses datetime enum fractions functools "
        "heapq io itertools json math operator random re statistics string typing"
    )
)
LOUD_NAMES = frozenset(
    wire.words("__builtins__ __import__ breakpoint compile delattr eval exec globals input locals open setattr vars")
)


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
        status, cpu, wall, memory = USAGE.unpack(self._ask(b"end", USAGE.size))
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

    __slots__ = ("_base", "_guest", "_hash", "_ref")
    _guest: Guest
    _ref: int
    _hash: int | None
    _base: str

    def __getattr__(self, name: str) -> Any:
        return self._guest.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._guest.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._guest.ask("delattr", self, name)

    def __hash__(self) -> int:
        if self._hash is None:
            raise TypeError(f"unhashable type: '{type(self).__name__}'")
        return self._hash

    def __eq__(self, other: object) -> Any:
        return _equal(self, other)

    def __ne__(self, other: object) -> Any:
        found = _equal(self, other)
        return found if found is NotImplemented else not found

    def __str__(self) -> str:
        return str(self._guest.ask("__str__", self))

    def __repr__(self) -> str:
        return str(self._guest.ask("__repr__", self))

    def __dir__(self) -> Any:
        return self._guest.ask("dir", self)

    def __copy__(self) -> Any:
        return self._guest.ask("copy", self)

    def __deepcopy__(self, _memo: Any) -> Any:
        return self._guest.ask("deepcopy", self)

    def __reduce__(self) -> Any:
        raise Ungradable("an object of the program was pickled")

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Opaque) and bool(self._guest.ask("isinstance", value, self))

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, Opaque) and bool(self._guest.ask("issubclass", value, self))


def _equal(handle: Opaque, other: object) -> Any:
    """Two objects of the program compare there. A container of the program compares here, by its elements."""
    if handle is other:
        return True
    if isinstance(other, Opaque):
        return bool(handle._guest.ask("__eq__", handle, other))
    if handle._base:
        return handle._guest.ask("content", handle) == other
    return NotImplemented


def _unary(name: str) -> Callable[..., Any]:
    def forward(self: Opaque, *args: Any) -> Any:
        return self._guest.ask(name, self, *args)

    return forward


def _binary(name: str) -> Callable[..., Any]:
    def forward(self: Opaque, other: Any) -> Any:
        return self._guest.ask(name, self, other) if isinstance(other, Opaque) else NotImplemented

    return forward


def _call(self: Opaque, *args: Any, **named: Any) -> Any:
    return self._guest.ask("call", self, args, tuple(named.items()))


def _contains(self: Opaque, item: Any) -> Any:
    if isinstance(item, Opaque):
        return self._guest.ask("__contains__", self, item)
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

    def __init__(
        self, link: Link, order: dict[str, Any], seconds: float, fds: tuple[int, ...] = (), ahead: Frames = ()
    ) -> None:
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
        link.start(json.dumps(order).encode(), [theirs.fileno(), *fds])
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
        self._sock.close()
        return self._link.end()

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
            return ["p", value._ref]
        ref = getattr(value, "_opaque", None)
        if isinstance(ref, Opaque):
            return ["p", ref._ref]
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
        for name, value in (("_guest", self), ("_ref", int(ref)), ("_hash", hashed), ("_base", base)):
            object.__setattr__(found, name, value)
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
        found._opaque = handle
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


# -- one problem -------------------------------------------------------------------------------------------------


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def is_quiet(*trees: ast.AST) -> bool:
    """Whether code leaves no trace in the process that runs it.

    Loud are: a name bound by an import from other than QUIET_MODULES, once it is used; an assignment to an attribute;
    names that reach behind the language.
    """
    nodes = [node for tree in trees for node in ast.walk(tree)]
    loud = LOUD_NAMES | {name for node in nodes for name in _loud_imports(node)}
    return not any(_is_loud(node, loud) for node in nodes)


def _loud_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        source = node.module if isinstance(node, ast.ImportFrom) else None
        for alias in node.names:
            if (source or alias.name).split(".")[0] not in QUIET_MODULES:
                yield alias.asname or alias.name.split(".")[0]


def _is_loud(node: ast.AST, loud: frozenset[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return not isinstance(node.ctx, ast.Load) or (node.attr.startswith("__") and node.attr != "__name__")
    return isinstance(node, ast.Name) and node.id in loud


class Tests:
    """The tests of one problem, compiled once."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem = problem
        self.entry_point = str(problem["entry_point"] or "")
        self.root = self.entry_point.split(".")[0]
        self.cases = problem["cases"]
        self.expected = problem.get("expected")
        self.tolerance = float(problem["tolerance"])
        checks = problem["checks"]
        self.checks = compile(checks, "checks", "exec", dont_inherit=True) if checks else None
        self.preamble, preamble_tree = _compiled(problem["preamble"])
        self.quiet = is_quiet(ast.parse(checks), preamble_tree)
        self.wanted = self._wanted()
        self.script: Frames = ()
        self._scripted = True

    def learn(self, guest: Guest) -> None:
        """Send ahead to the next program what the checks asked this one, which passed.

        A program then answers without a change of process for every call. Each question is still put by the checks, and
        compared to what was sent; where they differ, the program starts afresh.
        """
        if self._scripted and not guest.asked_back and sum(map(len, guest.said)) < AHEAD_BYTES:
            self.script, self._scripted = guest.said, False

    def unlearn(self) -> None:
        """Send nothing ahead any more."""
        self.script, self._scripted = (), False

    def namespace(self) -> dict[str, Any]:
        """What the checks find before the program's own names are laid over it."""
        names: dict[str, Any] = {"__name__": "__tests__", "__builtins__": builtins}
        if self.preamble is not None:
            try:
                exec(self.preamble, names)
            except Exception:
                return {"__name__": "__tests__", "__builtins__": builtins}
        return names

    def _wanted(self) -> tuple[str, ...]:
        """A tuple, as all that outlives a program and crosses must be: what is mutable, a program may change."""
        if self.checks is None:
            return (self.root,)
        own = set(self.namespace()) | set(vars(builtins))
        return tuple(sorted((_names(self.checks) - own) | {self.root}))


def _compiled(source: str) -> tuple[types.CodeType | None, ast.AST]:
    try:
        return compile(source, "preamble", "exec", dont_inherit=True), ast.parse(source)
    except (SyntaxError, ValueError):
        return None, ast.Module([], [])


# -- one program -------------------------------------------------------------------------------------------------


class Verdict(dict[str, Any]):
    """What is told of a program: reason, detail, CPU seconds; `found` where answers were asked for."""


class Sink:
    """Standard output while checks run: what nobody redirects goes nowhere."""

    encoding, errors = "utf-8", "replace"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


def examine(tests: Tests, job: dict[str, Any], link: Link) -> Verdict:
    """Grade one program, or collect the answers it gives."""
    order = {key: job["limits"][key] for key in ("memory", "output")}
    order["modules"] = job["modules"]
    order["seconds"] = math.ceil(job["limits"]["seconds"]) + 1
    if tests.problem["kind"] == "stdin":
        return _examine_main(tests, job, link, order)
    verdict = _examine_once(tests, job, link, order)
    if verdict["reason"] == "diverged":
        tests.unlearn()
        verdict = _examine_once(tests, job, link, order)
    return verdict


def _examine_once(tests: Tests, job: dict[str, Any], link: Link, order: dict[str, Any]) -> Verdict:
    guest = Guest(link, order, job["limits"]["seconds"], ahead=tests.script)
    try:
        verdict = _examine_function(tests, job, guest)
    finally:
        usage = guest.end()
    if verdict["reason"] == "passed" and tests.checks is not None:
        tests.learn(guest)
    return _weighed(verdict, guest, usage, job["limits"]["seconds"])


def _examine_function(tests: Tests, job: dict[str, Any], guest: Guest) -> Verdict:
    try:
        names = _wanted(tests, guest.ask("run", job["source"], tests.wanted))
    except BaseException as error:
        return _blamed(error, guest, "run")
    if tests.root not in names:
        return Verdict(reason="no_code", detail=f"no {tests.root} in the program")
    try:
        return _run_cases(tests, job, guest) if tests.checks is None else _run_checks(tests, names, guest)
    except BaseException as error:
        return _blamed(error, guest, "check")


def _wanted(tests: Tests, names: Any) -> dict[str, Any]:
    """Of what a program handed over, only what was asked for: nothing may be laid over the names of the tests."""
    if type(names) is not dict:
        raise wire.Malformed("names were asked for")
    return {name: names[name] for name in tests.wanted if name in names}


def _run_checks(tests: Tests, names: dict[str, Any], guest: Guest) -> Verdict:
    assert tests.checks is not None
    random.seed(0)
    exec(tests.checks, {**tests.namespace(), **names})
    return Verdict(reason="passed", detail="")


def _run_cases(tests: Tests, job: dict[str, Any], guest: Guest) -> Verdict:
    rows = [case["args"] for case in tests.cases]
    found: list[Any] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        nodes = _map(guest, tests.entry_point, rows[start : start + ROWS_AT_ONCE])
        for index, (kind, node) in enumerate(nodes, start):
            if kind == "!":
                raise guest.unpack_error(node)
            if job["collect"]:
                found.append(node)
            elif not _case_agrees(tests, index, guest.decode(node)):
                return Verdict(reason="wrong", detail=f"case {index + 1} of {len(rows)}")
        if len(nodes) < min(ROWS_AT_ONCE, len(rows) - start):
            raise wire.Malformed("fewer answers than cases")
    return Verdict(reason="passed", detail="", found=found)


def _map(guest: Guest, entry_point: str, rows: list[Any]) -> list[Any]:
    guest.share = False
    text = guest.ask("map", entry_point, rows)
    guest.share = True
    try:
        nodes = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise wire.Malformed("answers that cannot be read") from None
    if type(nodes) is not list or not all(type(node) is list and len(node) == 2 for node in nodes):
        raise wire.Malformed("answers that cannot be read")
    return nodes


def _case_agrees(tests: Tests, index: int, found: Any) -> bool:
    expected = tests.cases[index]["expected"]
    if expected is None and tests.expected is not None:
        return agrees(found, wire.Codec(2).decode(tests.expected[index]), tests.tolerance)
    return agrees(_as_json(found), expected, tests.tolerance)


def _as_json(value: Any) -> Any:
    """Tuples as lists, at every depth: a JSON file has no tuples."""
    if type(value) in (tuple, list):
        return [_as_json(item) for item in value]
    if type(value) is dict:
        return {key: _as_json(item) for key, item in value.items()}
    return value


def agrees(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether an answer is the expected one; floats within the tolerance, everything else exactly."""
    if tolerance and type(expected) is float and _is_number(found):
        return bool(found == expected or abs(found - expected) <= tolerance + RELATIVE * abs(expected))
    if type(found) is type(expected) and type(found) in (list, tuple):
        return len(found) == len(expected) and all(
            agrees(*pair, tolerance) for pair in zip(found, expected, strict=True)
        )
    if type(found) is type(expected) is dict and tolerance:
        return found.keys() == expected.keys() and all(agrees(found[key], expected[key], tolerance) for key in found)
    if type(found).__module__ == "numpy" or type(expected).__module__ == "numpy":
        return _arrays_agree(found, expected, tolerance)
    return bool(found == expected)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0)


def _arrays_agree(found: Any, expected: Any, tolerance: float) -> bool:
    import numpy

    if numpy.shape(found) != numpy.shape(expected):
        return False
    if not tolerance:
        return bool(numpy.all(found == expected))
    return bool(numpy.allclose(found, expected, rtol=RELATIVE, atol=tolerance))


# stdin programs


def _examine_main(tests: Tests, job: dict[str, Any], link: Link, order: dict[str, Any]) -> Verdict:
    found: list[str] = []
    seconds = 0.0
    for index, case in enumerate(tests.cases):
        verdict, text = _run_main(job, link, order, case["stdin"] or "")
        seconds = max(seconds, verdict["seconds"])
        if verdict["reason"] != "passed":
            return Verdict(verdict, detail=f"case {index + 1}: {verdict['detail']}", seconds=seconds)
        found.append(text)
        expected = case["expected"]
        if expected is None and tests.expected is not None:
            expected = tests.expected[index]
        if not job["collect"] and not same_output(text, str(expected), tests.tolerance):
            return Verdict(reason="wrong", detail=f"case {index + 1} of {len(tests.cases)}", seconds=seconds)
    return Verdict(reason="passed", detail="", seconds=seconds, found=found)


def _run_main(job: dict[str, Any], link: Link, order: dict[str, Any], stdin: str) -> tuple[Verdict, str]:
    typed, printed = os.memfd_create("stdin"), os.memfd_create("stdout")
    try:
        os.pwrite(typed, stdin.encode("utf-8", "surrogateescape"), 0)
        guest = Guest(link, order, job["limits"]["seconds"], (typed, printed))
        try:
            code = guest.ask("main", job["source"])
            verdict = Verdict(
                reason="passed" if code == 0 else "error", detail="" if code == 0 else f"exit code {code}"
            )
        except BaseException as error:
            verdict = _blamed(error, guest, "run")
        verdict = _weighed(verdict, guest, guest.end(), job["limits"]["seconds"])
        return verdict, os.pread(printed, job["limits"]["output"] + 1, 0).decode("utf-8", "replace")
    finally:
        os.close(typed)
        os.close(printed)


def _exited(code: Any) -> Verdict:
    return Verdict(reason="error", detail=f"exit code {code}") if code else Verdict(reason="passed", detail="")


def same_output(found: str, expected: str, tolerance: float) -> bool:
    """Whether two outputs are the same up to white space at line ends and how a decimal number is written."""
    left, right = (text.rstrip().splitlines() for text in (found, expected))
    return len(left) == len(right) and all(_same_line(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _same_line(found: str, expected: str, tolerance: float) -> bool:
    if found.rstrip() == expected.rstrip():
        return True
    left, right = found.split(), expected.split()
    return len(left) == len(right) and all(_same_token(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _same_token(found: str, expected: str, tolerance: float) -> bool:
    if found == expected:
        return True
    if not tolerance and "." not in expected:
        return False
    try:
        return bool(abs(Decimal(found) - Decimal(expected)) <= Decimal(tolerance))
    except (InvalidOperation, ValueError):
        return False


# what went wrong


def _blamed(error: BaseException, guest: Guest, phase: str) -> Verdict:
    if guest.trouble is not None:
        error = guest.trouble
    if isinstance(error, Ungradable):
        return Verdict(reason="ungradable", detail=str(error))
    if isinstance(error, Diverged):
        return Verdict(reason="diverged", detail=str(error))
    if isinstance(error, wire.Gone):
        return Verdict(reason="timeout" if isinstance(error, Overdue) else "gone", detail=str(error))
    if isinstance(error, wire.Malformed):
        return Verdict(reason="error", detail=f"answer unreadable: {error}")
    if not any(error is raised for raised in guest.raised):
        return Verdict(reason="wrong", detail=_line(error))
    return Verdict(reason=_raised(error, phase), detail=_line(error))


def _raised(error: BaseException, phase: str) -> str:
    if isinstance(error, SyntaxError) and phase == "run":
        return "syntax"
    if isinstance(error, MemoryError):
        return "memory"
    return ERRNO_REASONS.get(error.errno or 0, "error") if isinstance(error, OSError) else "error"


def _line(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200].replace("\n", " ")
    except BaseException:
        return type(error).__name__


def _weighed(verdict: Verdict, guest: Guest, usage: tuple[int, float, float, int], limit: float) -> Verdict:
    """The verdict with the CPU time, and with what the wait status says of a program that went away."""
    status, cpu, _wall, _memory = usage
    verdict["seconds"] = cpu
    if guest.trouble is not None and verdict["reason"] == "passed":
        verdict.update(_blamed(guest.trouble, guest, "check"))
    if verdict["reason"] == "gone":
        verdict["reason"], verdict["detail"] = _fate(status, cpu, limit)
    return verdict


def _fate(status: int, cpu: float, limit: float) -> tuple[str, str]:
    if not os.WIFSIGNALED(status):
        return "error", f"ended itself with exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name
    if number == signal.SIGSYS:
        return "blocked", name
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu >= limit):
        return "timeout", f"{cpu:.2f} s of CPU"
    return ("memory", name) if number == signal.SIGKILL else ("error", name)


# -- the loop ----------------------------------------------------------------------------------------------------


def _verdict(tests: Tests, job: dict[str, Any], link: Link) -> bytes:
    try:
        verdict = examine(tests, job, link)
    except (wire.Malformed, Ungradable, MemoryError, RecursionError) as error:
        verdict = Verdict(reason="ungradable", detail=_line(error), seconds=0)
    return wire.dumps({**verdict, "nonce": job["nonce"]}).encode()


def _forked(tests: Tests, job: dict[str, Any], link: Link, parent: wire.Channel) -> None:
    """Run checks that leave traces in a copy of this process, which then goes away with them."""
    child = os.fork()
    if not child:
        try:
            parent.send(_verdict(tests, job, link))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        verdict = {"reason": "ungradable", "detail": f"the tester ended with status {status}", "seconds": 0}
        link.end()
        parent.send(wire.dumps({**verdict, "nonce": job["nonce"]}).encode())


def _serve(parent: wire.Channel, link: Link) -> None:
    tests: Tests | None = None
    while True:
        job = json.loads(parent.receive(1 << 30))
        if "problem" in job:
            tests = Tests(job["problem"])
        assert tests is not None
        if tests.quiet:
            parent.send(_verdict(tests, job, link))
        else:
            _forked(tests, job, link, parent)


def main(box: dict[str, Any]) -> None:
    """Be the tester until the parent closes the line."""
    import resource

    sys.meta_path.append(confine.Packages(box["packages"]))
    parent, link = wire.Channel(socket.socket(fileno=box["parent"])), Link(socket.socket(fileno=box["link"]))
    confine.enter(box["tier"], box["readable"], box["links"], box["cpu"])
    resource.setrlimit(resource.RLIMIT_AS, (TESTER_MEMORY, TESTER_MEMORY))
    sys.stdout = sys.stderr = Sink()
    sys.setrecursionlimit(3000)
    link.ready()
    gc.collect()
    gc.freeze()
    parent.send(b"ready")
    try:
        _serve(parent, link)
    except wire.Gone:
        return
