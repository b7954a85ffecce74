"""From readings to evidence: what goes into the ledger, what clashes, what is still open.

Facts become `stated` drafts that keep the user's exact words (IN-9). Contradictions (IN-10) are questions, never
repairs: each is a template whose figures the ledger fills in. What is required, why and how to produce it, is decided
by `tools.judge.verdict`; this file only groups it for the screen. Values that a language model proposes come in here
too, and only those that the user's own words read back to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from agent import extract
from agent.extract import Reading
from agent.reading import numbers
from agent.reading.corrections import CORRECTION
from agent.reading.facts import Fact
from agent.reading.scan import scanned
from tools.records import OVERALL, Draft, Evidence, Missing, PassTable, Quantity, Record, Unit, Workload
from tools.store import key_of
from tools.workload import PREFIX

if TYPE_CHECKING:
    from agent.driver import Proposal
    from tools.deliver.dossier import Dossier

VERSION = "1"
TOOL = "intake.drafts"
GROUPS = (
    ("IN-1", "base model"),
    ("IN-2", "task family"),
    ("IN-3", "diagnostics"),
    ("IN-4", "budget"),
    ("IN-5", "comparator"),
    ("IN-6", "failure cost"),
    ("IN-7", "verifier"),
)
FIELDS = [
    "model",
    "parameter_count",
    "license",
    "context_length",
    "languages",
    "problem_distribution",
    "purpose",
    "benchmark",
    "heldout_n",
    "samples_per_problem",
    "contamination_checked",
    "heldout_disjoint_from_pool",
    "same_decoding_for_all_k",
    "decoding",
    "pass_at_1",
    "pass_at_k.K",
    "slices.NAME.n",
    "slices.NAME.pass_at_1",
    "slices.NAME.pass_at_k.K",
    "slice_kind",
    "gpu_type",
    "gpu_hours.sampling",
    "gpu_hours.finetune",
    "gpu_hours.eval",
    "gpu_hours.total",
    "team_size",
    "first_signal_days",
    "comparator",
    "failure_cost",
    "has_rollback",
    "has_checkpoint_discipline",
    "has_heldout_blocker",
    "verifier",
    "verifier_acceptance",
    "preference_pairs",
    "prior_ssd_rounds",
]
"""What may be stated; K is a number, NAME a slice."""

RENAMED = {"model_name": "model"}
"""The batch contract's name of a field, where the workload's differs."""

FREE_WORDS = ("purpose", "failure_cost", "benchmark", "decoding")
UNITS: dict[str, Unit] = {
    "parameter_count": "count",
    "context_length": "tokens",
    "heldout_n": "count",
    "samples_per_problem": "count",
    "team_size": "count",
    "first_signal_days": "days",
    "gpu_hours": "gpu_hours",
    "preference_pairs": "count",
    "prior_ssd_rounds": "count",
    "verifier_acceptance": "fraction",
    "pass_at_1": "fraction",
    "pass_at_k": "fraction",
    "n": "count",
}


class Contradiction(Record):
    """Two facts that cannot both hold: the field, and the question as a template."""

    field: str
    question: str


class ChecklistRow(Record):
    """One group of the intake for the side panel: what of it is still missing."""

    group: str
    title: str
    done: bool
    missing: tuple[str, ...]


def drafts(reading: Reading, turn: int) -> list[Draft]:
    """The facts of a reading as ledger drafts; the same turn read twice gives the same keys."""
    return [_draft(fact, turn) for fact in reading.facts]


def _draft(fact: Fact, turn: int) -> Draft:
    field = RENAMED.get(fact.field, fact.field)
    quantity = _quantity(field, fact.value)
    return Draft(
        kind="stated",
        name=f"{PREFIX}{field}",
        quantity=quantity,
        value=None if quantity else fact.value,
        words=fact.words,
        tool=TOOL,
        version=VERSION,
        key=key_of(TOOL, VERSION, [turn, field, fact.value, fact.words]),
    )


def _quantity(field: str, value: JsonValue) -> Quantity | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    steps = extract.path(field)
    unit = _unit(steps)
    where = steps[steps.index("slices") + 1] if "slices" in steps else OVERALL
    if unit == "fraction" and steps[0] in ("pass_at_1", "pass_at_k", "slices"):
        k = 1 if steps[-1] == "pass_at_1" else int(steps[-1])
        return Quantity(metric="pass_at_k", value=value, unit=unit, k=k, slice=where)
    return Quantity(metric="value", value=value, unit=unit, slice=where)


def _unit(steps: list[str]) -> Unit:
    """The unit of a field path: that of its last step that has one."""
    return next((UNITS[step] for step in reversed(steps) if step in UNITS), "count")


def proposed(proposals: Iterable[Proposal], message: str, turn: int) -> list[Draft]:
    """Drafts of the values a language model read: those that the user's words bear out and that were not read here."""
    facts = extract.read(message).facts
    known = {RENAMED.get(fact.field, fact.field) for fact in facts}
    good = []
    for proposal in proposals:
        start = message.find(proposal.words)
        field = RENAMED.get(proposal.field, proposal.field)
        if field in known or not _field(field) or start < 0 or not proposal.words.strip():
            continue
        end = start + len(proposal.words)
        if _claimed(facts, message, start, end):
            continue
        if reparses(field, proposal.value, proposal.words) and _is_fact(message, field, start, proposal.words):
            fact = Fact(field=field, value=proposal.value, start=start, end=end, words=proposal.words)
            good.append(_draft(fact, turn))
    return good


def _claimed(facts: Iterable[Fact], message: str, start: int, end: int) -> bool:
    """Whether a figure in this span was read as another field's; a span can be cut so that its unit is lost."""
    figures = [n for n in scanned(message).numbers if start <= n.start and n.end <= end]
    return any(fact.start <= n.start and n.end <= fact.end for fact in facts for n in figures)


def _field(name: str) -> bool:
    shapes = (re.escape(f).replace(r"\.K", r"\.\d+").replace("NAME", r"[\w. -]+") for f in FIELDS)
    return any(re.fullmatch(shape, name) for shape in shapes)


def _is_fact(message: str, field: str, start: int, words: str) -> bool:
    """Whether the whole message says these words as a fact; a span can be cut so that its hedge is lost."""
    scan = scanned(message)
    at = (start, start + len(words))
    inside = [n for n in scan.numbers if at[0] <= n.start and n.end <= at[1]]
    figures = [(n.start, n.end) for n in inside] or [at]
    kind = extract.KINDS.get(field.split(".")[0], "measured")
    return all(scan.moods.of(*place, kind) is None and not scan.moods.beside(*place) for place in figures)


def reparses(field: str, value: JsonValue, words: str) -> bool:
    """Whether the user's words, read on their own, give this value for this field."""
    same = [f for f in extract.read(words).facts if RENAMED.get(f.field, f.field) == RENAMED.get(field, field)]
    if same:
        return any(_equal(f.value, value) for f in same)
    root = field.split(".")[0]
    if root in FREE_WORDS or root == "model":
        return isinstance(value, str) and bool(value.strip()) and _squeezed(value) in _squeezed(words)
    if any(not isinstance(f.value, bool | str | list) for f in extract.read(words).facts):
        return False  # the figure in these words is another field's
    return _names(field, words) and _figure(field, value, words)


def _names(field: str, words: str) -> bool:
    """Whether words name the k and the slice of a rate: a bare `41.5%` may be anybody's."""
    steps, words = extract.path(field), numbers.normalise(words)
    if "slices" in steps and steps[steps.index("slices") + 1].lower() not in words:
        return False
    if steps[-1] == "pass_at_1":
        return re.search(r"\b(?:1|one|single|first|once)\b", words) is not None
    return "pass_at_k" not in steps or re.search(rf"(?<![\d.]){steps[-1]}(?![\d.%])", words) is not None


def _squeezed(words: str) -> str:
    return " ".join(words.split()).lower()


def _figure(field: str, value: JsonValue, words: str) -> bool:
    found = [n for n in numbers.find(numbers.normalise(words)) if n.form == "percent" or not _is_k(field, n)]
    if len(found) != 1 or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if _unit(extract.path(field)) == "fraction" and found[0].form == "plain" and found[0].value > 1:
        return False  # a bare number above one may count anything
    readers: dict[str, Any] = {"fraction": numbers.rate, "count": numbers.count, "tokens": numbers.tokens}
    read = readers.get(_unit(extract.path(field)), lambda number: number.value)(found[0])
    moods = scanned(words).moods
    return read is not None and _equal(read, value) and not moods.beside(found[0].start, found[0].end)


def _is_k(field: str, number: numbers.Number) -> bool:
    """Whether a number of these words is the k of the field, not its rate."""
    k = "1" if field.endswith("pass_at_1") else field.rpartition("pass_at_k.")[2]
    return "pass_at" in field and f"{number.value:g}" == k


def _equal(one: object, other: object) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().lower() == other.strip().lower()
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return {str(x).lower() for x in one} == {str(x).lower() for x in other}
    return one == other


# --- contradictions --------------------------------------------------------------------------------------------------


def contradictions(workload: Workload, new: Sequence[Evidence]) -> tuple[Contradiction, ...]:
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
        elif field in book.old and not _equal(book.old[field], _content(entry)):
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


def disagreements(entries: Sequence[Evidence], table: PassTable) -> tuple[Contradiction, ...]:
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


# --- what is open ----------------------------------------------------------------------------------------------------


def checklist(missing: Iterable[Missing]) -> tuple[ChecklistRow, ...]:
    """The groups IN-1 to IN-7 with what each still lacks."""
    gaps = list(missing)
    rows = []
    for group, title in GROUPS:
        names = tuple(m.field for m in gaps if m.group.split()[0].rstrip(":") == group)
        rows.append(ChecklistRow(group=group, title=title, done=not names, missing=names))
    return tuple(rows)


def panel(dossier: Dossier, phase: str) -> dict[str, Any]:
    """The side panel's data: phase, checklist, how many facts are in, the verdict once it is recorded."""
    recorded = dossier.recorded_verdict is not None
    return {
        "phase": phase,
        "checklist": [row.model_dump(mode="json") for row in checklist(dossier.missing)],
        "facts": len({e.name for e in dossier.ledger.named(PREFIX.rstrip("."))}),
        "verdict": dossier.verdict.verdict if recorded else "",
    }
