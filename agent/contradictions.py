"""What cannot both hold (IN-10): facts that clash with each other, with what was said before, or with the counts.

A contradiction is a question, never a repair: a template whose figures the ledger fills in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from agent import extract
from agent.reading import numbers
from agent.reading.corrections import CORRECTION
from tools.records import Evidence, PassTable, Record, Workload
from tools.workload import PREFIX

FREE_WORDS = ("purpose", "failure_cost", "benchmark", "decoding")
"""Fields of the user's own words: said anew they add, they do not contradict."""


class Contradiction(Record):
    """Two facts that cannot both hold: the field, and the question as a template."""

    field: str
    question: str


def equal(one: object, other: object) -> bool:
    """Whether two values say the same, capitals and order aside."""
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().lower() == other.strip().lower()
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return {str(x).lower() for x in one} == {str(x).lower() for x in other}
    return one == other


def among(workload: Workload, new: Sequence[Evidence]) -> tuple[Contradiction, ...]:
    """What the new entries clash with: each other, or the workload as it was before them."""
    book = _Book(workload, new)
    return tuple(
        dict.fromkeys(
            [*_changed(book), *_falling(book), *_undersampled(book), *_mixed(new), *_oversized(book), *_outside(book)]
        )
    )


class _Book:
    """Values by field path, the new entries over the old workload, each with the words that name it in a question."""

    def __init__(self, workload: Workload, new: Sequence[Evidence]) -> None:
        self.old = dict(_flat(workload.model_dump(exclude_none=True)))
        self.new = [e for e in new if e.name.startswith(PREFIX)]
        self.ids = {e.name.removeprefix(PREFIX): e.id for e in self.new}
        self.values = self.old | {e.name.removeprefix(PREFIX): _content(e) for e in self.new}

    def number(self, field: str) -> float | None:
        value = self.values.get(field)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def shown(self, field: str) -> str:
        ref = self.ids.get(field)
        name = _label(field)
        return f"{name} ({{{{{ref}|value}}}})" if ref else f"{name} (recorded earlier)"

    def fresh(self, *fields: str) -> bool:
        return any(field in self.ids for field in fields)


def _flat(tree: dict[Any, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{head}{name}.")
        elif value not in ((), None):
            yield f"{head}{name}", value


def _content(entry: Evidence) -> Any:
    return entry.quantity.value if entry.quantity is not None else entry.value


def _figure_of(entry: Evidence) -> str:
    return f"{{{{{entry.id}|{'value' if entry.quantity else 'text'}}}}}"


def _label(field: str) -> str:
    steps = extract.path(field)
    where = f" of the slice {steps[steps.index('slices') + 1]}" if "slices" in steps else ""
    name = "pass@1" if steps[-1] == "pass_at_1" else f"pass@{steps[-1]}" if "pass_at_k" in steps else steps[-1]
    return f"{name}{where}".replace("{", "{ ")


def _changed(book: _Book) -> Iterator[Contradiction]:
    """A figure that was another one before, or is given twice, without a word of correction."""
    for entry in book.new:
        field = entry.name.removeprefix(PREFIX)
        if (
            field.split(".")[0] in FREE_WORDS
            or CORRECTION.search((entry.words or "").lower())
            or entry.kind != "stated"
        ):
            continue
        twice = [e for e in book.new if e.name == entry.name and _content(e) != _content(entry)]
        if twice:
            yield Contradiction(
                field=field,
                question=f"{_label(field)} is given more than once, with different values. Which one holds?",
            )
        elif field in book.old and not equal(book.old[field], _content(entry)):
            shown = _figure_of(entry)
            yield Contradiction(
                field=field,
                question=f"{_label(field)} was another value before and is now {shown}. Is the new one a correction?",
            )


def _scopes(book: _Book) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Every scope (the whole set, each slice, each round) with its pass@k fields in order of k."""
    scopes: dict[str, list[tuple[int, str]]] = {}
    for field in book.values:
        match = re.fullmatch(r"(?P<scope>(?:.*\.)?)(?:(?P<one>pass_at_1)|pass_at_k\.(?P<k>\d+))", field)
        if match:
            scopes.setdefault(match["scope"], []).append((1 if match["one"] else int(match["k"]), field))
    for scope, fields in scopes.items():
        yield scope, sorted(fields)


def _falling(book: _Book) -> Iterator[Contradiction]:
    for _, fields in _scopes(book):
        for (_, low), (_, high) in pairwise(fields):
            small, large = book.number(low), book.number(high)
            if small is not None and large is not None and large < small and book.fresh(low, high):
                why = f"{book.shown(high)} is below {book.shown(low)}, and more draws cannot solve fewer problems."
                yield Contradiction(field=high, question=f"{why} Which one is wrong?")


def _undersampled(book: _Book) -> Iterator[Contradiction]:
    samples = book.number("samples_per_problem")
    for _, fields in _scopes(book):
        for k, field in fields:
            if samples is not None and k > samples and book.fresh(field, "samples_per_problem"):
                why = f"{book.shown(field)} needs at least k samples; stated is {book.shown('samples_per_problem')}."
                yield Contradiction(field=field, question=f"{why} How was it computed?")


def _mixed(new: Sequence[Evidence]) -> Iterator[Contradiction]:
    """One rate written as a bare fraction beside another written as a bare percentage."""
    rates = [e for e in new if e.quantity is not None and e.quantity.metric == "pass_at_k" and e.words]
    styles = {entry.id: _style(entry) for entry in rates}
    if {"fraction", "percentage"} <= set(styles.values()):
        odd = next(e for e in rates if styles[e.id] == "fraction")
        field = odd.name.removeprefix(PREFIX)
        why = (
            f"Some rates are written as fractions, some as percentages; {_label(field)} was read as {_figure_of(odd)}."
        )
        yield Contradiction(field=field, question=f"{why} Is that what you mean?")


def _style(entry: Evidence) -> str:
    value = entry.quantity.value if entry.quantity else 0.0
    for number in numbers.find(numbers.normalise(entry.words or "")):
        if number.form != "plain" or numbers.rate(number) != value:
            continue
        return "fraction" if number.value == value else "percentage"
    return ""


def _oversized(book: _Book) -> Iterator[Contradiction]:
    sizes = [field for field in book.values if re.fullmatch(r"slices\..+\.n", field)]
    total, whole = sum(book.number(f) or 0 for f in sizes), book.number("heldout_n")
    if whole is not None and total > whole and book.fresh(*sizes, "heldout_n"):
        why = f"The slices hold more problems than {book.shown('heldout_n')}."
        yield Contradiction(field="heldout_n", question=f"{why} Do they overlap, or is one size wrong?")


def _outside(book: _Book) -> Iterator[Contradiction]:
    for field in ("pass_at_1", *(f for f in book.values if re.fullmatch(r"pass_at_k\.\d+", f))):
        parts = [name for name in book.values if re.fullmatch(rf"slices\..+\.{re.escape(field)}", name)]
        whole, shares = book.number(field), [v for p in parts if (v := book.number(p)) is not None]
        # a tolerance of a rounded percentage; slices that do not cover the set say nothing, so at least two are needed
        if (
            whole is not None
            and len(shares) > 1
            and not min(shares) - 0.006 <= whole <= max(shares) + 0.006
            and book.fresh(field, *parts)
        ):
            why = f"{book.shown(field)} lies outside the figures of its slices."
            yield Contradiction(field=field, question=f"{why} Do the slices cover the whole set?")


def with_counts(entries: Sequence[Evidence], table: PassTable) -> tuple[Contradiction, ...]:
    """Where what was stated and what the counts say part by more than rounding; the measured figure is used."""
    newest = {(e.name, e.kind == "measured"): e for e in entries}
    found = []
    for (name, measured), entry in newest.items():
        field = name.removeprefix(PREFIX)
        if measured or entry.kind != "stated" or not name.startswith(PREFIX) or entry.quantity is None:
            continue
        other = newest.get((name, True)) or newest.get((_row(entry), True))
        if (
            other is not None
            and other.quantity is not None
            and abs(other.quantity.value - entry.quantity.value) > _tolerance(entry)
        ):
            why = (
                f"You stated {_label(field)} as {_figure_of(entry)}; the counts give {_figure_of(other)} and are used."
            )
            found.append(Contradiction(field=field, question=f"{why} Do they belong to the same run?"))
    return tuple(found)


def _row(entry: Evidence) -> str:
    quantity = entry.quantity
    return f"passk.{quantity.slice}.{quantity.label}" if quantity is not None else ""


def _tolerance(entry: Evidence) -> float:
    return 0.006 if entry.quantity is not None and entry.quantity.unit == "fraction" else 0.0
