"""How values cross between a tester and a program: tagged JSON, exact types only, never pickle.

Holds the codec, the table of shared containers, and `Peer`, one end of a conversation in which both sides may ask.
Refuses (Malformed) whatever the other end sends outside the format. Runs inside the cells, so it imports the standard
library only.

An immutable value crosses as a copy. A list, dict, set, bytearray, deque or array crosses with a label; while both ends
hold it, every message carries what changed in it, so that a change on one side is seen on the other, as in one process.
A container that the receiver did not keep is forgotten at once; keeping is read off its reference count.
"""

from __future__ import annotations

import builtins
import collections
import operator
import re
import struct
import sys
from collections.abc import Callable, Iterable
from json import JSONDecoder, JSONEncoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import _socket

LARGEST_MESSAGE = 64 << 20
ATOMS = frozenset({str, int, float, bool, type(None)})
BIG = 1 << 64
DTYPE = re.compile(r"[<>|=][?biufcSUMm]\d*(\[\w+\])?")
MISFITS = (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError, BufferError)
# what json.dumps and json.loads call in the end, made once: there in every CPython, missing in the stubs
_encode: Any = c_make_encoder(None, JSONEncoder().default, encode_basestring_ascii, None, ":", ",", False, False, True)
_scan: Any = JSONDecoder().scan_once  # type: ignore[attr-defined]
PARTS = [str, str, list, str, list]  # kind, operation, changes, printed text, labels forgotten


def dumps(value: Any) -> str:
    """JSON in ASCII, without spaces."""
    return "".join(_encode(value, 0))


def loads(text: str) -> Any:
    """What `dumps` wrote. Raises ValueError for anything else."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than one value")
    return value


def words(text: str) -> list[str]:
    """The words of a text: long lists of names read better as prose."""
    return text.split()


def longest_wait(seconds: float) -> float:
    """Seconds on the clock after which a program with `seconds` of CPU is given up, on the busiest machine."""
    return 10 * seconds + 5


# what the fork server is told of a program (bytes of address space, CPU seconds, bytes printed; modules to import
# follow as text), and what it tells (wait status, CPU seconds, seconds on the clock, peak kB)
ORDER, USAGE = struct.Struct("qqq"), struct.Struct("iddq")
HEAD = struct.Struct("<I")  # of a frame: its length


class Malformed(Exception):
    """The other end sent what the format does not have."""


class Gone(BaseException):
    """The other end closed, or was not heard of in time. No program text can catch what the tester raises by it."""


class Channel:
    """Frames of bytes over a stream socket: four bytes of length, then the frame."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def send(self, *frames: bytes) -> None:
        """Send frames whole. Raises Gone where nobody reads any more."""
        try:
            self.sock.sendall(b"".join([HEAD.pack(len(frame)) + frame for frame in frames]))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from None

    def receive(self, largest: int = LARGEST_MESSAGE) -> bytes:
        """The next frame. Raises Gone at the end of the stream, Malformed above `largest` bytes."""
        data = self._rest if len(self._rest) >= HEAD.size else self._fill(self._rest, HEAD.size)
        end = HEAD.size + HEAD.unpack_from(data)[0]
        if end > HEAD.size + largest:
            raise Malformed(f"a message of {end - HEAD.size} bytes; the largest is {largest}")
        if len(data) < end:
            data = self._fill(data, end)
        self._rest = data[end:]
        return data[HEAD.size : end]

    def _fill(self, data: bytes, size: int) -> bytes:
        parts, have = [data], len(data)
        while have < size:
            part = self._read(max(65536, size - have))
            if not part:
                raise Gone("closed")
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        try:
            return self.sock.recv(min(size, 1 << 20))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from None


# -- shared containers -------------------------------------------------------------------------------------------


def _elements(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return list(container)


def _is_buffer(container: Any) -> bool:
    return isinstance(container, bytearray) or type(container).__module__ in ("array", "numpy")


def _snapshot(container: Any) -> Any:
    if type(container) is list:  # by far the most frequent
        return container.copy()
    if not _is_buffer(container):
        return _elements(container)
    return bytes(container) if isinstance(container, bytearray) else container.tobytes()


def _differs(before: Any, after: Any) -> bool:
    if isinstance(after, bytes):
        return bool(before != after)
    return len(before) != len(after) or not all(map(operator.is_, before, after))


def _references(slot: list[Any]) -> int:
    return sys.getrefcount(slot[0])


_ALONE = _references([[], None])


class Shared:
    """Containers that both ends know, by label. One end gives odd labels, the other even ones."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._slots: dict[int, list[Any]] = {}
        self._labels: dict[int, int] = {}

    def label(self, container: Any) -> int:
        """The label of a known container, or 0."""
        return self._labels.get(id(container), 0)

    def add(self, container: Any, label: int = 0) -> int:
        """Know a container from now on; without a label it gets the next of this end."""
        if not label:
            label, self._next = self._next, self._next + 2
        self._slots[label] = [container, None]
        self._labels[id(container)] = label
        return label

    def get(self, label: int) -> Any:
        """The container of a label. Raises KeyError."""
        return self._slots[label][0]

    def known(self, label: int) -> bool:
        """Whether this end still knows the label."""
        return label in self._slots

    def labels(self) -> set[int]:
        """All labels known now."""
        return set(self._slots)

    def mark(self) -> None:
        """Take the present content of every container as known to both ends."""
        for slot in self._slots.values():
            if slot[1] is None:
                slot[1] = _snapshot(slot[0])

    def changed(self) -> list[int]:
        """Labels of containers whose content is not what the other end knows."""
        found = [label for label, slot in self._slots.items() if self._is_new(slot)]
        for label in found:
            self._slots[label][1] = None
        return found

    def forget(self, labels: Iterable[int]) -> None:
        """Know these no more."""
        for label in labels:
            slot = self._slots.pop(label, None)
            if slot is not None:
                self._labels.pop(id(slot[0]), None)

    def prune(self) -> list[int]:
        """Forget what nobody on this end holds any more, and return its labels."""
        if not self._slots:
            return []
        for slot in self._slots.values():
            slot[1] = None
        held = self._held()
        gone = [label for label in self._slots if label not in held]
        self.forget(gone)
        return gone

    def _is_new(self, slot: list[Any]) -> bool:
        return slot[1] is not None and _differs(slot[1], _snapshot(slot[0]))

    def _held(self) -> set[int]:
        children = {label: self._children(slot[0]) for label, slot in self._slots.items()}
        inner: dict[int, int] = {}  # a Counter takes longer to make than the few there are to count
        for found in children.values():
            for child in found:
                inner[child] = inner.get(child, 0) + 1
        held = {label for label, slot in self._slots.items() if _references(slot) - inner.get(label, 0) > _ALONE}
        waiting = list(held)
        while waiting:
            new = [child for child in children[waiting.pop()] if child not in held]
            held.update(new)
            waiting.extend(new)
        return held

    def _children(self, container: Any) -> list[int]:
        if _is_buffer(container):
            return []
        elements = _elements(container)
        if ATOMS.issuperset(map(type, elements)):
            return []
        return [self._labels[id(element)] for element in elements if id(element) in self._labels]


# -- codec -------------------------------------------------------------------------------------------------------


def _flat(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    if not kinds <= ATOMS:
        return False
    if int not in kinds:
        return True
    return kinds <= {int, float, bool} and min(values) > -BIG and max(values) < BIG


BUILTIN_TYPES = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and kind not in (type, super)
}
BUILTIN_NAMES = {kind: name for name, kind in BUILTIN_TYPES.items()}
BUILTIN_EXCEPTIONS = {name: kind for name, kind in BUILTIN_TYPES.items() if issubclass(kind, BaseException)}
VIEWS = {"dict_keys": type({}.keys()), "dict_values": type({}.values()), "dict_items": type({}.items())}


class Codec:
    """Values to JSON nodes and back. `share` off makes every container a plain copy (no labels).

    What is of no exact builtin type goes to `foreign` (a subclass says what becomes of it); what has an unknown tag
    goes to `strange`.
    """

    def __init__(self, first: int) -> None:
        self.shared = Shared(first)
        self.share = True

    def foreign(self, value: Any) -> Any:
        """A node for a value of another type."""
        raise Malformed(f"a {type(value).__name__} does not cross")

    def strange(self, node: list[Any]) -> Any:
        """The value of a node with a tag that is not of the codec."""
        raise Malformed(f"unknown tag {node[0]!r}")

    def encode(self, value: Any) -> Any:
        """The JSON node of a value."""
        kind = type(value)
        if kind is int:
            return value if -BIG < value < BIG else ["i", hex(value)]
        if kind in ATOMS:
            return value
        mutable = MUTABLE.get(kind)
        if mutable is not None:
            return self.encode_shared(value, *mutable)
        pack = PACK.get(kind)
        return pack(self, value) if pack else self._encode_other(value, kind)

    def decode(self, node: Any) -> Any:
        """The value of a node. Raises Malformed."""
        if type(node) is not list:
            if type(node) is dict:
                raise Malformed("a bare object")
            return node
        try:
            unpack = UNPACK.get(node[0])
            return unpack(self, node) if unpack else self.strange(node)
        except MISFITS as error:
            raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None

    def content(self, container: Any) -> Any:
        """What a known container holds now, for an update of the other end."""
        tag, pack = MUTABLE.get(type(container)) or BUFFERS[type(container).__module__]
        return [tag, pack(self, container)]

    def update(self, label: int, node: Any) -> None:
        """Give a known container the content that the other end has."""
        try:
            FILL[node[0]](self, self.shared.get(label), node[1])
        except MISFITS as error:
            raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None

    def encode_many(self, values: Iterable[Any]) -> list[Any]:
        return [self.encode(value) for value in values]

    def decode_many(self, nodes: Any) -> list[Any]:
        if type(nodes) is not list:
            raise Malformed("a list was expected")
        return [self.decode(node) for node in nodes]

    def register(self, container: Any, label: Any) -> Any:
        if label:
            if type(label) is not int or self.shared.label(container):
                raise Malformed("a bad label")
            self.shared.add(container, label)
        return container

    def encode_shared(self, value: Any, tag: str, pack: Callable[[Codec, Any], Any]) -> Any:
        if not self.share:
            return [tag, 0, pack(self, value)]
        label = self.shared.label(value)
        if label:
            return ["r", label]
        label = self.shared.add(value)
        return [tag, label, pack(self, value)]

    def _encode_other(self, value: Any, kind: type[Any]) -> Any:
        if kind is type and value in BUILTIN_NAMES:
            return ["B", BUILTIN_NAMES[value]]
        pack = _in_library(kind)
        return pack(self, value) if pack else self.foreign(value)


def _pack_list(codec: Codec, value: Any) -> Any:
    items = list(value)
    return [1, items] if _flat(items) else [0, codec.encode_many(items)]


def _unpack_items(codec: Codec, node: Any) -> list[Any]:
    flat, items = node
    if flat:
        if type(items) is not list or not ATOMS.issuperset(map(type, items)):
            raise Malformed("a flat list that is not flat")
        return items
    return codec.decode_many(items)


def _pack_dict(codec: Codec, value: Any) -> Any:
    return [_pack_list(codec, value.keys()), _pack_list(codec, value.values())]


def _pack_default(codec: Codec, value: Any) -> Any:
    return [codec.encode(value.default_factory), _pack_dict(codec, value)]


def _fill_list(codec: Codec, container: Any, node: Any) -> None:
    container[:] = _unpack_items(codec, node)


def _fill_dict(codec: Codec, container: Any, node: Any) -> None:
    keys, values = node
    found = dict(zip(_unpack_items(codec, keys), _unpack_items(codec, values), strict=True))
    container.clear()
    container.update(found)


def _fill_set(codec: Codec, container: Any, node: Any) -> None:
    found = _unpack_items(codec, node)
    container.clear()
    container.update(found)


def _fill_deque(codec: Codec, container: Any, node: Any) -> None:
    items = _unpack_items(codec, node[1])
    container.clear()
    container.extend(items)


def _fill_bytes(_codec: Codec, container: Any, node: Any) -> None:
    container[:] = _bytes(node)


def _fill_default(codec: Codec, container: Any, node: Any) -> None:
    _fill_dict(codec, container, node[1])


def _fill_array(_codec: Codec, container: Any, node: Any) -> None:
    container[:] = type(container)(container.typecode, _bytes(node[1]))


def _fill_numpy(codec: Codec, container: Any, node: Any) -> None:
    container[...] = _numpy_array(node)


def _text(data: Any) -> str:
    return memoryview(data).hex()


def _bytes(text: Any) -> bytes:
    return bytes.fromhex(text)


def _pack_array(_codec: Codec, value: Any) -> Any:
    return [value.typecode, _text(value.tobytes())]


def _unpack_array(_codec: Codec, content: Any) -> Any:
    import array

    return array.array(content[0])


def _pack_numpy(codec: Codec, value: Any) -> Any:
    if not DTYPE.fullmatch(value.dtype.str):
        return codec.foreign(value)
    return [value.dtype.str, list(value.shape), _text(value.tobytes())]


def _pack_number(codec: Codec, value: Any) -> Any:
    """A numpy scalar; other things of numpy are handles."""
    if not hasattr(value, "dtype") or not DTYPE.fullmatch(value.dtype.str):
        return codec.foreign(value)
    return ["g", *_pack_numpy(codec, value)]


def _numpy_array(node: Any) -> Any:
    import numpy

    dtype, shape, data = node
    if not DTYPE.fullmatch(dtype) or not all(type(length) is int and length >= 0 for length in shape):
        raise Malformed("an array of a strange type or shape")
    return numpy.frombuffer(_bytes(data), numpy.dtype(dtype)).reshape(shape).copy()


MUTABLE: dict[type, tuple[str, Callable[[Codec, Any], Any]]] = {
    list: ("l", _pack_list),
    dict: ("d", _pack_dict),
    set: ("s", _pack_list),
    bytearray: ("y", lambda _codec, value: _text(value)),
    collections.deque: ("q", lambda codec, value: [value.maxlen, _pack_list(codec, value)]),
    collections.OrderedDict: ("od", _pack_dict),
    collections.Counter: ("cd", _pack_dict),
    collections.defaultdict: ("dd", _pack_default),
}
BUFFERS: dict[str, tuple[str, Callable[[Codec, Any], Any]]] = {
    "array": ("ar", _pack_array),
    "numpy": ("N", _pack_numpy),
}
FILL: dict[str, Callable[[Codec, Any, Any], None]] = {
    "l": _fill_list,
    "d": _fill_dict,
    "s": _fill_set,
    "y": _fill_bytes,
    "q": _fill_deque,
    "od": _fill_dict,
    "cd": _fill_dict,
    "dd": _fill_default,
    "ar": _fill_array,
    "N": _fill_numpy,
}
PACK: dict[type, Callable[[Codec, Any], Any]] = {
    tuple: lambda codec, value: ["t", _pack_list(codec, value)],
    frozenset: lambda codec, value: ["z", _pack_list(codec, value)],
    bytes: lambda _codec, value: ["b", _text(value)],
    complex: lambda _codec, value: ["c", value.real, value.imag],
    range: lambda codec, value: ["R", *codec.encode_many((value.start, value.stop, value.step))],
    slice: lambda codec, value: ["/", *codec.encode_many((value.start, value.stop, value.step))],
    type(...): lambda _codec, _value: ["e"],
    type(NotImplemented): lambda _codec, _value: ["n"],
    **{kind: (lambda codec, value: ["v", type(value).__name__, _pack_list(codec, value)]) for kind in VIEWS.values()},
}


def _pack_moment(codec: Codec, value: Any) -> Any:
    if getattr(value, "tzinfo", None) is not None:
        return codec.foreign(value)
    fields = MOMENTS[type(value).__name__].split()
    return ["T", type(value).__name__, *[getattr(value, field) for field in fields]]


MOMENTS = {
    "timedelta": "days seconds microseconds",
    "date": "year month day",
    "datetime": "year month day hour minute second microsecond",
    "time": "hour minute second microsecond",
}
LIBRARY: dict[str, Callable[[Codec, Any], Any]] = {  # by name: who does not use them does not load them
    "decimal.Decimal": lambda _codec, value: ["D", str(value)],
    "fractions.Fraction": lambda codec, value: ["F", *codec.encode_many((value.numerator, value.denominator))],
    "array.array": lambda codec, value: codec.encode_shared(value, "ar", _pack_array),
    "numpy.ndarray": lambda codec, value: codec.encode_shared(value, "N", _pack_numpy),
    **{f"datetime.{name}": _pack_moment for name in MOMENTS},
}


def _in_library(kind: type[Any]) -> Callable[[Codec, Any], Any] | None:
    module, name = kind.__module__, kind.__name__
    loaded = sys.modules.get(module)
    if loaded is None or getattr(loaded, name, None) is not kind:
        return None
    if module == "numpy" and name != "ndarray":
        return _pack_number
    return LIBRARY.get(f"{module}.{name}")


def _shared(make: Callable[[Codec, Any], Any]) -> Callable[[Codec, Any], Any]:
    """An unpacker that registers the empty container first: what it holds may hold it."""

    def unpack(codec: Codec, node: Any) -> Any:
        tag, label, content = node
        container = codec.register(make(codec, content), label)
        FILL[tag](codec, container, content)
        return container

    return unpack


def _factory(codec: Codec, node: Any) -> Any:
    factory = codec.decode(node[0])
    return collections.defaultdict(factory if factory in BUILTIN_TYPES.values() else None)


def _unpack_view(codec: Codec, node: Any) -> Any:
    items = _unpack_items(codec, node[2])
    if node[1] == "dict_values":
        return dict(enumerate(items)).values()
    return dict(items).items() if node[1] == "dict_items" else dict.fromkeys(items).keys()


def _unpack_fraction(codec: Codec, node: Any) -> Any:
    import fractions

    numerator, denominator = codec.decode_many(node[1:])
    if type(numerator) is not int or type(denominator) is not int:
        raise Malformed("a fraction of other things than integers")
    return fractions.Fraction(numerator, denominator)


def _unpack_numpy(codec: Codec, node: Any) -> Any:
    return codec.register(_numpy_array(node[2]), node[1])


def _unpack_decimal(_codec: Codec, node: Any) -> Any:
    import decimal

    return decimal.Decimal(node[1])


def _unpack_moment(_codec: Codec, node: Any) -> Any:
    import datetime

    if node[1] not in MOMENTS:
        raise Malformed("a strange date")
    return getattr(datetime, node[1])(*[int(part) for part in node[2:]])


UNPACK: dict[str, Callable[[Codec, Any], Any]] = {
    "r": lambda codec, node: codec.shared.get(node[1]),
    "i": lambda _codec, node: int(node[1], 16),
    "l": _shared(lambda _codec, _content: []),
    "d": _shared(lambda _codec, _content: {}),
    "s": _shared(lambda _codec, _content: set()),
    "y": _shared(lambda _codec, _content: bytearray()),
    "q": _shared(lambda _codec, content: collections.deque(maxlen=content[0])),
    "od": _shared(lambda _codec, _content: collections.OrderedDict()),
    "cd": _shared(lambda _codec, _content: collections.Counter()),
    "dd": _shared(_factory),
    "ar": _shared(_unpack_array),
    "N": _unpack_numpy,
    "g": lambda _codec, node: _numpy_array(node[1:])[()],
    "t": lambda codec, node: tuple(_unpack_items(codec, node[1])),
    "z": lambda codec, node: frozenset(_unpack_items(codec, node[1])),
    "b": lambda _codec, node: _bytes(node[1]),
    "c": lambda _codec, node: complex(float(node[1]), float(node[2])),
    "R": lambda codec, node: range(*codec.decode_many(node[1:])),
    "/": lambda codec, node: slice(*codec.decode_many(node[1:])),
    "e": lambda _codec, _node: ...,
    "n": lambda _codec, _node: NotImplemented,
    "D": _unpack_decimal,
    "F": _unpack_fraction,
    "T": _unpack_moment,
    "v": _unpack_view,
    "B": lambda _codec, node: BUILTIN_TYPES[node[1]],
}


# -- conversation ------------------------------------------------------------------------------------------------


class Peer(Codec):
    """One end of a conversation: asks the other end, and answers it while it waits.

    Subclasses give `answer(op, values)` for what the other end may ask, `pack_error` and `unpack_error` for what is
    raised, and `printed`/`heard` for text that travels beside a message.
    """

    def __init__(self, channel: Channel, first: int) -> None:
        super().__init__(first)
        self.channel = channel

    def answer(self, op: str, values: list[Any]) -> Any:
        """What the other end asked for; what this raises is raised there."""
        raise Malformed(f"nobody answers {op!r}")

    def encode_found(self, value: Any) -> Any:
        """The node of an answer."""
        return self.encode(value)

    def pack_error(self, error: BaseException) -> Any:
        """A node for what was raised here."""
        raise NotImplementedError

    def unpack_error(self, node: Any) -> BaseException:
        """What the other end raised."""
        raise NotImplementedError

    def printed(self) -> str:
        """Text printed on this end since the last message."""
        return ""

    def heard(self, text: str) -> None:
        """Text printed on the other end since its last message."""

    def ask(self, op: str, *values: Any) -> Any:
        """Let the other end do something; returns its value, or raises what it raised."""
        changes = self._changes()
        gone = self.shared.prune()
        self._post(["?", op, changes, self.encode_many(values), self.printed()], gone)
        return self._wait()

    def serve(self) -> None:
        """Wait for one question and answer it."""
        kind, op, value = self._receive()
        if kind != "?":
            raise Malformed("an answer to nothing")
        self._answer(op, value)

    def rehearse(self, op: str, values: list[Any]) -> None:
        """Answer a question that nobody asked, to nobody."""
        loads(self._reply(op, values))
        self.shared.prune()
        self.shared.mark()

    def _wait(self) -> Any:
        while True:
            kind, op, value = self._receive()
            if kind == "=":
                return value
            if kind == "!":
                raise value
            self._answer(op, value)

    def _answer(self, op: str, values: list[Any]) -> None:
        body = self._reply(op, values)
        values.clear()
        self._send(body, self.shared.prune())

    def _reply(self, op: str, values: list[Any]) -> str:
        try:
            kind, found = "=", self.answer(op, values)
        except BaseException as error:
            kind, found = "!", error
        changes = self._changes()
        node = self.encode_found(found) if kind == "=" else self.pack_error(found)
        return dumps([kind, "", changes, node, self.printed()])

    def _receive(self) -> tuple[str, str, Any]:
        kind, op, changes, node, text, gone = _parse(self.channel.receive())
        if text:
            self.heard(text)
        for label, content in changes:
            self.update(label, content)
        value = self._payload(kind, node)
        self.shared.forget(gone)
        self.shared.mark()
        return kind, op, value

    def _payload(self, kind: str, node: Any) -> Any:
        if kind == "?":
            return self.decode_many(node)
        return self.decode(node) if kind == "=" else self.unpack_error(node)

    def _changes(self) -> list[Any]:
        return [[label, self.content(self.shared.get(label))] for label in self.shared.changed()]

    def _post(self, message: list[Any], gone: list[int]) -> None:
        self._send(dumps(message), gone)

    def _send(self, body: str, gone: list[int]) -> None:
        self.transmit(f"{body[:-1]},{dumps(gone) if gone else '[]'}]".encode())
        self.shared.mark()

    def transmit(self, frame: bytes) -> None:
        """Put a frame on its way."""
        self.channel.send(frame)


def _parse(frame: bytes) -> tuple[str, str, list[Any], Any, str, list[int]]:
    """A message, with the type of every part looked at: the other end may be hostile."""
    try:
        kind, op, changes, node, text, gone = loads(frame.decode("ascii"))
    except (ValueError, RecursionError, TypeError) as error:
        raise Malformed(f"not a message: {error}"[:200]) from None
    if [type(kind), type(op), type(changes), type(text), type(gone)] != PARTS:
        raise Malformed("not a message")
    if changes and not all(type(change) is list and len(change) == 2 for change in changes):
        raise Malformed("a bad change")
    if gone and not all(type(label) is int for label in gone):
        raise Malformed("a bad label")
    return kind, op, changes, node, text, gone
