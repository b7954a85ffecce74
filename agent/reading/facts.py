"""The records a reading is made of: what binders find, what is kept, what is not, and what was taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from agent.reading.moods import Reason
from tools.records import Record

Doubt = Reason | Literal[""]


@dataclass(frozen=True, slots=True)
class Found:
    """A value that was bound to a field, with the span of the words it rests on and the place of the figure itself."""

    field: str
    value: JsonValue
    unit: str
    start: int
    end: int
    at: tuple[int, int]
    doubt: Doubt = ""


class Fact(Record):
    """One fact: a field path such as `slices.hard.pass_at_k.8`, its value, the unit as read, and its words.

    start, end: the span of `words` in the message.
    """

    field: str
    value: JsonValue
    unit: str = ""
    start: int
    end: int
    words: str


class Unrecorded(Record):
    """Words that looked like a fact of `field` and were not taken, with the reason."""

    field: str
    words: str
    reason: Reason


class Correction(Record):
    """A value that the same message replaced."""

    field: str
    old: JsonValue
    new: JsonValue
    words: str
