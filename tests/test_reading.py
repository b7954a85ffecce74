"""The floors under the reader: plain text, places of cues, closed lists, spans."""

import importlib
import pkgutil
import re

from hypothesis import given
from hypothesis import strategies as st

from agent import reading
from agent.reading import numbers
from agent.reading.moods import Moods
from agent.reading.scan import Kinds, Spans

AS_TYPED = {"NAME_LIKE", "DICTATED"}
"""Patterns that are matched against the message as it was typed."""


def patterns() -> list[tuple[str, str]]:
    """Every pattern of the readers by its name."""
    found = []
    for module in pkgutil.iter_modules(reading.__path__):
        for name, value in vars(importlib.import_module(f"agent.reading.{module.name}")).items():
            if isinstance(value, re.Pattern) and name not in AS_TYPED:
                found.append((f"{module.name}.{name}", value.pattern))
    return found


def test_no_pattern_asks_for_a_capital_in_a_text_that_has_none() -> None:
    assert len(patterns()) > 100
    bare = {name: re.sub(r"\\.|\(\?P<\w+>|\(\?P=", "", pattern) for name, pattern in patterns()}
    assert [name for name, pattern in bare.items() if re.search(r"[A-Z]", pattern)] == []


@given(st.text(max_size=200))
def test_plain_text_is_as_long_as_the_message_and_has_no_capitals(text: str) -> None:
    plain = numbers.normalise(text)
    assert len(plain) == len(text)
    assert not re.search(r"[A-Z]", plain)


@given(st.text(alphabet="ab ,.\n", max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_a_cue_is_found_in_a_stretch_as_a_search_of_the_stretch_would(text: str, one: int, other: int) -> None:
    low, high = sorted((min(one, len(text)), min(other, len(text))))
    cue = re.compile("ab")
    moods = Moods(text)
    assert moods.has(cue, low, high) == (cue.search(text, low, high) is not None)
    assert moods.last(cue, low, high) == text.rfind("ab", low, high)


@given(st.text(max_size=120))
def test_clauses_and_sentences_cover_the_text_without_a_gap(text: str) -> None:
    moods = Moods(numbers.normalise(text))
    for spans in (moods.sentences, moods.clauses):
        assert "".join(moods.text[low:high] for low, high in spans) == moods.text


def test_of_two_kinds_at_one_place_the_first_listed_counts() -> None:
    kinds = Kinds([("long", "type ?script"), ("short", "type")], before=r"\b")
    assert [(name, match[0]) for name, match in kinds.finditer("type, typescript")] == [
        ("short", "type"),
        ("long", "typescript"),
    ]


def test_a_span_is_taken_from_its_first_character_to_its_last() -> None:
    spans = Spans(10)
    spans.add(3, 5)
    assert [at for at in range(9) if spans.overlaps(at, at + 1)] == [3, 4]
    assert not spans.copy().overlaps(5, 10)
