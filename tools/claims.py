"""Text that refers to evidence, and the digits that are filled in for it.

A template says `{{E12}}`, `{{E12|value}}` or `{{policy.gap_threshold}}`; `fill` writes the figure and records
which characters came from which entry in which format. Every figure a person sees goes through here, on the
screen and in a bundle, so the two cannot differ. Refuses a reference that no entry supports.

Formats: full (value, interval, n, slice, provenance), value (with unit), number (bare, for config files), ci, band,
level, n, samples, slice, words (the user's, quoted), text (a value that is not a quantity),
field (the entry's name below its root).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from tools.errors import InvalidInput
from tools.records import OVERALL, Evidence, Interval, Quantity, Record, Unit

REFERENCE = re.compile(r"\{\{\s*([A-Za-z][\w.@-]*)\s*(?:\|\s*([a-z]+)\s*)?\}\}")


class Entries(Protocol):
    """Anything that finds an entry by id or name; the ledger does."""

    def get(self, ref: str) -> Evidence | None: ...


class Claim(Record):
    """Characters start..end of a text say what `evidence` holds, in `format`."""

    start: int
    end: int
    evidence: str
    format: str


class Filled(Record):
    """A text with its figures written, and the proof of each."""

    text: str
    claims: tuple[Claim, ...] = ()


def fill(template: str, entries: Entries, escape: Callable[[str], str] = str) -> Filled:
    """Write every referenced figure into the template. Raises InvalidInput for a reference without an entry.

    escape: how the file at hand (Markdown, HTML, YAML, shell) takes text that a person wrote.
    """
    parts: list[str] = []
    claims: list[Claim] = []
    length = at = 0
    for match in REFERENCE.finditer(template):
        entry = entries.get(match[1])
        if entry is None:
            raise InvalidInput(f"no evidence named {match[1]}", "a reference to a ledger entry")
        written = write(entry, match[2] or "full")
        written = escape(written) if match[2] in TEXTUAL else written
        parts += [template[at : match.start()], written]
        start = length + match.start() - at
        length, at = start + len(written), match.end()
        claims.append(Claim(start=start, end=length, evidence=entry.id, format=match[2] or "full"))
    return Filled(text="".join([*parts, template[at:]]), claims=tuple(claims))


def write(entry: Evidence, form: str) -> str:
    """One entry in one format. Raises InvalidInput where the entry has nothing to write in that format."""
    writer = FORMATS.get(form)
    written = writer(entry) if writer else None
    if written is None:
        raise InvalidInput(f"{entry.id} ({entry.name}) has no {form}", f"one of {', '.join(FORMATS)}")
    return written


def _full(entry: Evidence) -> str | None:
    if entry.quantity is None:
        return _text(entry)
    quantity = entry.quantity
    notes = [f"{_level(quantity.ci)} CI {_range(quantity.ci, quantity.unit)}"] if quantity.ci else []
    notes += [f"n = {quantity.n:,}"] if quantity.n else []
    notes += [f"slice {quantity.slice}"] if quantity.slice != OVERALL else []
    notes += ["degenerate sample"] if quantity.degenerate else []
    return f"{amount(quantity.value, quantity.unit)} ({', '.join([*notes, entry.kind, entry.id])})"


def _level(interval: Interval) -> str:
    return f"{'at least ' * interval.at_least}{percent(interval.level)}"


def _text(entry: Evidence) -> str | None:
    value = entry.value
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None or isinstance(value, dict) else str(value)


FIGURES: dict[str, Callable[[Quantity], str | None]] = {
    "value": lambda q: amount(q.value, q.unit),
    "number": lambda q: plain(q.value),
    "ci": lambda q: f"[{_range(q.ci, q.unit)}]" if q.ci else None,
    "band": lambda q: f"[{_range(q.band, q.unit)}]" if q.band else None,
    "level": lambda q: percent(q.ci.level) if q.ci else None,
    "n": lambda q: f"{q.n:,}" if q.n else None,
    "samples": lambda q: f"{q.samples:,}" if q.samples else None,
    "slice": lambda q: q.slice,
}
AT_LEAST = "† too few problems decide this row for an interval of just that level; it holds about that often or more"
TEXTUAL = (None, "full", "slice", "words", "text", "field")


def figure(quantity: Quantity, form: str) -> str | None:
    """One figure of a quantity in one of FIGURES; None where it has none. The screen and the bundle share it."""
    return FIGURES[form](quantity)


def mark(quantity: Quantity | None) -> str:
    """The dagger of an interval that only holds at least as often as it says; AT_LEAST explains it under a table."""
    return " †" if quantity and quantity.ci and quantity.ci.at_least else ""


def _of_quantity(form: str) -> Callable[[Evidence], str | None]:
    return lambda entry: figure(entry.quantity, form) if entry.quantity else None


FORMATS: dict[str, Callable[[Evidence], str | None]] = {
    "full": _full,
    **{form: _of_quantity(form) for form in FIGURES},
    "words": lambda entry: f"“{entry.words}”" if entry.words else None,
    "text": _text,
    "field": lambda entry: entry.name.partition(".")[2] or entry.name,
}


def amount(value: float, unit: Unit) -> str:
    """A value as the field writes it: 61.2%, 8.9 pp, $1,200, 32,768 tokens, 0.012 pp per GPU-hour."""
    if unit == "fraction":
        return percent(value)
    if unit == "percent":
        return f"{plain(value)}%"
    if unit == "pp":
        return f"{_zero(value):.1f} pp"
    if unit == "usd":
        cents = round(value, 2) + 0.0
        return f"{'-' if cents < 0 else ''}${abs(cents):,.2f}".removesuffix(".00")
    if unit == "usd_per_gpu_hour":
        # rates go below the cent
        rate = f"{value:,.2f}" if round(value, 2) == value else plain(value)
        return f"${rate} per GPU-hour"
    if unit in ("pp_per_gpu_hour", "pp_per_cpu_hour"):
        value = float(f"{value:.3g}")
    if unit in ("hours", "cpu_hours", "gpu_hours"):
        # to a few milliseconds, and never with an exponent
        return f"{value:,.6f}".rstrip("0").rstrip(".") + WORDS[unit]
    return f"{value + 0.0:,.10g}{WORDS.get(unit, '')}" if unit != "config" else plain(value)


WORDS: dict[Unit, str] = {
    "pp": " pp",
    "percent": "%",
    "fraction": "%",
    "hours": " h",
    "gpu_hours": " GPU-hours",
    "cpu_hours": " CPU-hours",
    "pp_per_gpu_hour": " pp per GPU-hour",
    "pp_per_cpu_hour": " pp per CPU-hour",
    "tokens": " tokens",
    "days": " days",
}


def percent(fraction: float) -> str:
    """A fraction as a percentage with one decimal, or none where it is whole."""
    return f"{_zero(fraction * 100):.1f}".removesuffix(".0") + "%"


def plain(value: float) -> str:
    """The shortest decimal that reads back as the same number; integers without a point.

    An exponent follows a point (1.0e-05), because YAML 1.1 reads 1e-05 as a word.
    """
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return re.sub(r"^(-?\d+)e", r"\1.0e", repr(float(value)))


def _range(interval: Interval, unit: Unit) -> str:
    """Both ends, the unit said once."""
    low, high = amount(interval.low, unit), amount(interval.high, unit)
    return f"{low.removesuffix(WORDS.get(unit, ''))} to {high}"


def _zero(value: float) -> float:
    """Minus zero and what rounds to it print as zero."""
    return 0.0 if abs(value) < 0.05 else value


def references(template: str) -> Iterable[str]:
    """The ids and names a template refers to, in order."""
    return (match[1] for match in REFERENCE.finditer(template))
