"""From readings to evidence: what goes into the ledger, and what is still open.

Facts become `stated` drafts that keep the user's exact words (IN-9). What is required, why and how to produce it, is
decided by `tools.judge.verdict`; this file only groups it for the screen. Values that a language model proposes come in
here too, and only those that the user's own words read back to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from agent import extract
from agent.contradictions import FREE_WORDS, equal
from agent.extract import Reading
from agent.reading import numbers
from agent.reading.facts import Fact
from agent.reading.scan import scanned
from tools.records import OVERALL, Draft, Missing, Quantity, Record, Unit
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
    ("IN-7", "verifier, optional"),
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
        return any(equal(f.value, value) for f in same)
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
    return read is not None and equal(read, value) and not moods.beside(found[0].start, found[0].end)


def _is_k(field: str, number: numbers.Number) -> bool:
    """Whether a number of these words is the k of the field, not its rate."""
    k = "1" if field.endswith("pass_at_1") else field.rpartition("pass_at_k.")[2]
    return "pass_at" in field and f"{number.value:g}" == k


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
