"""Everything a conclusion rests on, rebuilt from the ledger and the counts it names.

The conversation and `verify-bundle` both come through here, so what was shown and what is re-verified are computed by
the same lines. Holds no state of its own: the same ledger and counts give the same dossier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

from pydantic import JsonValue

from tools.deliver import costs, trials
from tools.deliver.costs import Costs
from tools.deliver.trials import Cited, Trials
from tools.errors import StoreCorrupt
from tools.evidence import Ledger
from tools.judge import verdict as judging
from tools.judge.policy import Policy
from tools.measure import imports
from tools.records import (
    Counts,
    Draft,
    Evidence,
    EvidenceKind,
    Missing,
    PassTable,
    Quantity,
    Record,
    Source,
    Unit,
    Verdict,
    Workload,
)
from tools.stats import passk
from tools.store import key_of
from tools.tune.plan import Plan, design
from tools.workload import PREFIX, fold

VERSION = "1"
COUNTS = trials.COUNTS
RESULTS = "results"
VERDICT = "verdict"
PLAN = "plan"
ROLLOUT = "rollout"
GATE, SEAL, ROUND_TWO = "gate", "seal", "round_two"

# what a plain number of a verdict or a plan is, by the name of its field or of the record that holds it
UNITS: dict[str, Unit] = {
    "problems_to_resolve": "count",
    "prompts": "count",
    "max_tokens": "tokens",
    "ratio": "fraction",
    "acceptance": "fraction",
    "false_accept": "fraction",
    "false_reject": "fraction",
    "canary_share": "fraction",
    "lift_min_pp": "pp",
    "retention_days": "days",
    "gpu_hours": "gpu_hours",
}
Leaf = Quantity | str | int | float | bool


class Rollout(Record):
    """Who answers in the canary stage, and how long the way back stays open, in the units a router and a clock take."""

    canary: Quantity
    base_beside_canary: Quantity
    retention: Quantity

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The shares and the window that the plan declares."""
        share = plan.promotion.canary_share
        return cls(
            canary=Quantity(metric="value", value=share, unit="fraction"),
            base_beside_canary=Quantity(metric="value", value=round(1 - share, 12), unit="fraction"),
            retention=Quantity(metric="value", value=plan.promotion.retention_days, unit="days"),
        )


@dataclass(frozen=True)
class Dossier:
    """What is known (workload, counts), measured (table, trials, costs), and what follows (missing, verdict, plan).

    artifacts: the files that all this was read from, by their place in a bundle. plan is None unless the verdict is a
    GO: there is no recipe before that. Holds for the ledger as it stands; when it has grown, `rebuild` makes another.
    """

    ledger: Ledger
    policy: Policy
    workload: Workload
    counts: Counts | None
    table: PassTable | None
    missing: tuple[Missing, ...]
    verdict: Verdict
    plan: Plan | None
    trials: Trials
    costs: Costs
    artifacts: Mapping[str, bytes]

    @cached_property
    def outcomes(self) -> tuple[Draft, ...]:
        """Every figure of what tuning did and what it cost, as it goes into the ledger."""
        return (*self.trials.drafts(), *self.costs.drafts(self.trials))

    @cached_property
    def tuned(self) -> Cited:
        """What tuning did and what it cost, with the entries that carry the figures."""
        found = {draft.name: self.ledger.with_key(draft.key) for draft in self.outcomes}
        return Cited(self.trials, {name: entry for name, entry in found.items() if entry is not None})

    @cached_property
    def rows(self) -> list[tuple[Quantity, Evidence]]:
        """Each row of the table with the ledger entry that carries it."""
        if self.table is None:
            return []
        found = ((q, self.ledger.with_key(row_key(self.table, q))) for q in self.table.rows)
        return [(quantity, entry) for quantity, entry in found if entry is not None]

    @property
    def notes(self) -> list[Evidence]:
        """What the table could not estimate, as the ledger holds it."""
        if self.table is None:
            return []
        found = (self.ledger.with_key(_note_key(self.table, note)) for note in self.table.notes)
        return [entry for entry in found if entry is not None]

    @property
    def figures(self) -> list[tuple[Quantity, Evidence]]:
        """The rows of the table; where figures were only stated, what the verdict made of them."""
        return self.rows or [(e.quantity, e) for e in self._stated if e.quantity is not None]

    @property
    def _stated(self) -> Iterator[Evidence]:
        lists = (f"{VERDICT}.passes.", f"{VERDICT}.gaps.")
        return (entry for path, entry in self.conclusions.items() if path.startswith(lists))

    @cached_property
    def conclusions(self) -> dict[str, Evidence]:
        """Every recorded figure and sentence of the verdict and value of the plan, by dotted path."""
        paths = [path for path, _ in (*leaves(self.verdict, VERDICT), *_plan_leaves(self))]
        verdict = verdict_draft(self).key
        found = {path: self.ledger.with_key(_leaf_key(verdict, path)) for path in paths}
        return {path: entry for path, entry in found.items() if entry is not None}

    def cited(self, quantity: Quantity) -> Evidence | None:
        """The entry that carries this quantity: a measured row before a derived figure."""
        carriers = (*(entry for _, entry in self.rows), *self.conclusions.values())
        return next((entry for entry in carriers if entry.quantity == quantity), None)

    @cached_property
    def thresholds(self) -> dict[str, Evidence]:
        """The ledger's entry of every policy value in force, by its name."""
        found = {draft.name: self.ledger.with_key(draft.key) for draft in self.policy.drafts()}
        return {name: entry for name, entry in found.items() if entry is not None}

    @property
    def round_one(self) -> tuple[str, ...]:
        """Ids of what the gate before a second round looks at, as far as it is there."""
        names = (COUNTS, f"{COUNTS}.tuned", trials.BATTERY, SEAL)
        return tuple(entry.id for name in names if (entry := self.ledger.get(name)) is not None)

    @property
    def gate(self) -> list[Evidence]:
        """What that gate answered last, its answer first; [] where it was not asked of round one as it stands."""
        newest = {entry.name: entry for entry in self.ledger.named(GATE)}
        seen = len(self.round_one)
        # behind what round one showed may stand the file with what is planned for round two
        return [entry for entry in newest.values() if entry.inputs[:seen] == self.round_one]

    @property
    def recorded_verdict(self) -> Evidence | None:
        """The ledger's entry of this very verdict; None while the facts have moved on since the last one."""
        return self.ledger.with_key(verdict_draft(self).key)


def rebuild(ledger: Ledger, read: Callable[[Source], bytes], policy: Policy | None = None) -> Dossier:
    """The dossier of a ledger. read: fetches the bytes of a file that the ledger names."""
    policy = policy or Policy()
    artifacts: dict[str, bytes] = {}

    def placed(source: Source, place: str) -> bytes:
        try:
            artifacts[place] = read(source)
        except StoreCorrupt as error:
            raise StoreCorrupt(f"{place}: {error}") from error
        return artifacts[place]

    def named(name: str) -> tuple[bytes, Evidence] | None:
        entry = ledger.get(name)
        if entry is None or entry.source is None:
            return None
        return placed(entry.source, place_of(name)), entry

    workload = fold(ledger.entries)
    found = named(COUNTS)
    counts = counts_of(found[0], found[1].source.name) if found and found[1].source else None
    table = as_recorded(table_of(counts), ledger) if counts else None
    tried = trials.gather(counts, named, counts_of)
    spent = costs.gather(ledger.entries, placed)
    named(ROUND_TWO)
    verdict = judging.decide(workload, table, policy)
    plan = design(workload, verdict, policy) if verdict.verdict.startswith("GO-") and verdict.other is None else None
    return Dossier(ledger, policy, workload, counts, table, verdict.missing, verdict, plan, tried, spent, artifacts)


def place_of(name: str) -> str:
    """Where a bundle keeps the file that an entry of this name rests on: `counts.tuned` is counts/tuned.jsonl."""
    kind, _, arm = name.partition(".")
    if kind == trials.BATTERY:
        return "battery/readings.json"
    if kind == ROUND_TWO:
        return "gate/round_two.json"
    return f"{kind}/{arm or 'heldout'}.jsonl"


@lru_cache(maxsize=8)
def counts_of(data: bytes, name: str) -> Counts:
    """Counts of a canonical counts file."""
    return imports.read(data, name, "counts").counts


@lru_cache(maxsize=8)
def table_of(counts: Counts) -> PassTable:
    """The printed table of these counts, with the product's seed and resamples."""
    return passk.table(counts)


def as_recorded(table: PassTable, ledger: Ledger) -> PassTable:
    """The table with the rows that the ledger holds: the last bit of a float may differ on another machine.

    `bundle.verify` compares the two; everywhere else what was shown once stays what is shown.
    """
    recorded = (ledger.with_key(row_key(table, row)) for row in table.rows)
    rows = zip(table.rows, recorded, strict=True)
    return table.model_copy(update={"rows": tuple(entry.quantity if entry else row for row, entry in rows)})


def row_key(table: PassTable, quantity: Quantity) -> str:
    """Idempotency key of one row: the counts, how they were resampled, and which row."""
    how = [table.seed, table.resamples, quantity.metric, quantity.k, quantity.slice]
    return key_of("passk.table", VERSION, how, table.source)


def table_drafts(table: PassTable, inputs: tuple[str, ...]) -> list[Draft]:
    """One measured entry per row of the table and per note below it."""
    rows = [
        Draft(
            kind="measured",
            name=f"passk.{q.slice}.{q.label}",
            quantity=q,
            inputs=inputs,
            tool="passk.table",
            version=VERSION,
            key=row_key(table, q),
            source=table.source,
        )
        for q in table.rows
    ]
    notes = [
        Draft(
            kind="measured",
            name="passk.note",
            value=note,
            inputs=inputs,
            tool="passk.table",
            version=VERSION,
            key=_note_key(table, note),
            source=table.source,
        )
        for note in table.notes
    ]
    return rows + notes


def _note_key(table: PassTable, note: str) -> str:
    return key_of("passk.note", VERSION, [table.seed, table.resamples, note], table.source)


def verdict_draft(dossier: Dossier) -> Draft:
    """The verdict with everything it was decided from: policy, facts of the intake, rows of the table.

    Its key is what was decided from what under which policy, so facts told again do not make another verdict.
    """
    decided = dossier.verdict.model_dump(mode="json")
    basis = [decided, dossier.workload.model_dump(mode="json"), dossier.policy.model_dump(mode="json")]
    return Draft(
        kind="derived",
        name=VERDICT,
        value=decided,
        inputs=_basis(dossier),
        tool="verdict.decide",
        version=VERSION,
        key=key_of("verdict.decide", VERSION, basis),
    )


def _basis(dossier: Dossier) -> tuple[str, ...]:
    """Ids of the policy in force, of all facts of the intake and of the table's rows."""
    facts = dossier.ledger.named(PREFIX.rstrip("."))
    rows = (entry for _, entry in dossier.rows)
    return tuple(entry.id for entry in (*dossier.thresholds.values(), *facts, *rows))


def conclude(dossier: Dossier) -> Evidence:
    """Record the verdict and, before it, all that a deliverable may cite; a recorded verdict is therefore whole.

    The dossier is rebuilt afterwards, so that it finds what was recorded.
    """
    for draft in conclusion_drafts(dossier):
        dossier.ledger.append(draft)
    return dossier.ledger.append(verdict_draft(dossier))


def conclusion_drafts(dossier: Dossier) -> list[Draft]:
    """Figures and sentences of the verdict (derived) and values of the plan (declared), one entry each."""
    verdict = verdict_draft(dossier)
    derived = [_leaf_draft(verdict, "derived", path, leaf) for path, leaf in leaves(dossier.verdict, VERDICT)]
    return derived + [_leaf_draft(verdict, "declared", path, leaf) for path, leaf in _plan_leaves(dossier)]


def leaves(value: object, path: str) -> Iterator[tuple[str, Leaf]]:
    """Figures, words and flags of a record by dotted path, items of a list by number; None is left out."""
    if isinstance(value, Quantity | str | int | float | bool):
        yield path, value
    elif isinstance(value, Record):
        for name in type(value).model_fields:
            yield from leaves(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}.{number}")


def _plan_leaves(dossier: Dossier) -> Iterator[tuple[str, Leaf]]:
    if dossier.plan is not None:
        yield from leaves(dossier.plan, PLAN)
        yield from leaves(Rollout.of(dossier.plan), ROLLOUT)


def _leaf_draft(verdict: Draft, kind: EvidenceKind, path: str, leaf: Leaf) -> Draft:
    quantity, value = _carried(path, leaf)
    return Draft(
        kind=kind,
        name=path,
        quantity=quantity,
        value=value,
        inputs=verdict.inputs,
        tool="verdict.decide" if kind == "derived" else "plan.design",
        version=VERSION,
        key=_leaf_key(verdict.key, path),
    )


def _carried(path: str, leaf: Leaf) -> tuple[Quantity | None, JsonValue]:
    if isinstance(leaf, Quantity):
        return leaf, None
    if isinstance(leaf, bool) or not isinstance(leaf, int | float):
        return None, leaf
    return Quantity(metric="value", value=leaf, unit=_unit(path)), None


def _unit(path: str) -> Unit:
    """The unit of a bare number, by what it is called; a setting where the name says nothing."""
    *_, parent, name = path.split(".")
    return UNITS.get(name) or UNITS.get(parent) or "config"


def _leaf_key(verdict: str, path: str) -> str:
    return key_of("conclusion", VERSION, [verdict, path])
