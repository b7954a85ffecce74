"""A message made ready for its readers, and what every reader needs to report a find."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent.reading import numbers, quotes
from agent.reading.facts import Found
from agent.reading.moods import Moods
from agent.reading.numbers import Number


class Spans:
    """Stretches of a text that are spoken for; asking is as quick with a thousand of them as with one."""

    def __init__(self, length: int, marked: bytes = b"") -> None:
        self._mask = bytearray(marked or length)

    def add(self, start: int, end: int) -> None:
        """Take a stretch."""
        self._mask[start:end] = b"\x01" * (end - start)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a stretch shares a character with those taken."""
        return self._mask.find(1, start, end) >= 0

    def copy(self) -> Spans:
        """The same stretches, to be added to."""
        return Spans(len(self._mask), bytes(self._mask))


@dataclass
class Scan:
    """A message: plain and in lower case, as it was typed, its numbers, its moods, and spans that names have taken."""

    text: str
    original: str
    numbers: list[Number]
    moods: Moods
    taken: Spans = field(init=False)
    models: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = Spans(len(self.text))

    def free(self, number: Number) -> bool:
        """Whether a number is not part of a name."""
        return not self.taken.overlaps(number.start, number.end)

    def before(self, at: int, reach: int) -> str:
        """The characters before a place."""
        return self.text[max(0, at - reach) : at]

    def clause(self, at: int) -> str:
        """The clause around a place."""
        low, high = self.moods.clause(at)
        return self.text[low:high]

    def sentence(self, at: int) -> str:
        """The sentence around a place."""
        low, high = self.moods.sentence(at)
        return self.text[low:high]


ANSWERED = re.compile(
    r"(?:^|(?<=[.!?;\n>]))(?P<lead>[ \t]*(?:@?\w{1,12}:[ \t]+)?)(?P<asked>[^.!?;:\n]{2,60})"
    r"(?P<mark>\?[ \t]*\n?[ \t>]*(?:@?\w{1,12}:[ \t]+)?)"
    r"(?:(?:a|answer)[:.] )?(?=(?P<yes>(?:yes|yeah|yep|yup|sure|of course|done|we do|correct)\b)"
    r"|(?P<no>(?:no|nope|nah|not|none|we (?:don'?t|do not|haven'?t)|never)\b)"
    r"|[\w.~\"'](?![^.!\n]*\?))"
)
MODAL = re.compile(r"\W*(?:should|could|can|would|will|shall|may|might|what|how|why|which|who|when|where)\b")
VERB_FIRST = re.compile(r"\W*(?:is|are|was|were|do|does|did|has|have|am|so|and|but|ok|right|sure|huh|really|is it)\b")


def answered(text: str) -> str:
    """The text with every question that is answered at once put as a key: `rollback? yes` is `rollback: yes`."""
    return ANSWERED.sub(_as_key, text) if "?" in text else text


def _as_key(match: re.Match[str]) -> str:
    asked, mark = match["asked"], match["mark"]
    short = len(asked.split()) <= 4 and not VERB_FIRST.match(asked) and not (match["no"] and asked[-1:].isdigit())
    settled = match["yes"] or (match["no"] and not re.search(r"\d", asked))
    if MODAL.match(asked) or not (settled or short):
        return match[0]
    return match[0].replace(mark, ":" + " " * (len(mark) - 1), 1)


class Kinds:
    """A closed list of kinds, each with its pattern; of several that match at one place the first listed counts.

    One alternation without groups finds the place, then each pattern is tried there: an alternation of forty groups
    costs four times as much.
    """

    def __init__(self, kinds: Iterable[tuple[str, str]], before: str = "", after: str = "") -> None:
        kinds = tuple(kinds)
        self._any = re.compile(f"{before}(?:{'|'.join(f'(?:{pattern})' for _, pattern in kinds)}){after}")
        self._each = [(name, re.compile(f"{before}(?:{pattern}){after}")) for name, pattern in kinds]

    def finditer(self, text: str, low: int = 0, high: int | None = None) -> Iterator[tuple[str, re.Match[str]]]:
        """Every kind with its match, in order of place."""
        for place in self._any.finditer(text, low, len(text) if high is None else high):
            yield next((name, m) for name, p in self._each if (m := p.match(text, place.start(), place.endpos)))


STRUCK = re.compile(r"~~(?=\S)[^~\n]{1,200}~~")
"""Struck through in markdown: taken back by whoever wrote it."""
Binder = Callable[[Scan], Iterable[Found]]


def scanned(text: str) -> Scan:
    """A message with its numbers and moods."""
    typed = STRUCK.sub(lambda match: " " * len(match[0]), numbers.normalise(text))
    plain = answered(typed)
    return Scan(plain, text, numbers.find(plain), Moods(plain, quotes.of_others(typed)))


def found(name: str, value: JsonValue, match: re.Match[str], unit: str = "", group: int | str = 0) -> Found:
    """A find that rests on a whole match; its value stands in one group of it."""
    return Found(name, value, unit, match.start(), match.end(), match.span(group))


def amount(words: str) -> float:
    """A figure in digits or words, `a` counting as one."""
    return 1.0 if words in ("a", "an") else numbers.find(words)[0].value


def plain(value: float) -> float | int:
    """Whole numbers as integers."""
    return int(value) if value == int(value) else value
