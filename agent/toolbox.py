"""From requests to tool calls to evidence.

A `Casefile` is one session's ledger and artifacts; the functions below each call a tool and return the acts that tell
of it. Every ledger entry has an idempotency key, so a call that is made again after a kill adds nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from agent import contradictions, extract, intake
from agent.acts import Act, Clash, Decide, Exported, Noted, Problem, Refuse, Report, Tried, Unrecorded
from agent.driver import Proposal
from tools import claims
from tools.deliver import bundle, costs, dossier
from tools.deliver.dossier import COUNTS, RESULTS, Dossier
from tools.deliver.trials import BATTERY, NOT_RUN, comparison_of
from tools.errors import InvalidInput, StoreCorrupt
from tools.evidence import Ledger
from tools.judge.battery import READINGS, BatteryRun
from tools.judge.policy import LITERATURE, Policy
from tools.measure import imports
from tools.records import Counts, Draft, Evidence, Quantity, Source
from tools.store import at_home, digest, key_of, read_source, write_atomic
from tools.workload import fold

VERSION = "1"
POOL = "pool"


class Casefile:
    """The facts of one session: its ledger, the bytes they rest on, and the policy they are judged by."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ledger.jsonl")
        # a session goes on under the policy it was opened with, unless another is named
        self.policy = policy or Policy.of(self.ledger.entries)
        for draft in (*self.policy.drafts(), *LITERATURE):
            self.ledger.append(draft)
        self._dossier: tuple[str, Dossier] | None = None

    @property
    def dossier(self) -> Dossier:
        """What is known now; rebuilt only when the ledger has grown."""
        if self._dossier is None or self._dossier[0] != self.ledger.head:
            self._dossier = (self.ledger.head, dossier.rebuild(self.ledger, self.fetch, self.policy))
        return self._dossier[1]

    def keep(self, data: bytes, name: str) -> Source:
        """Store bytes under their sha256."""
        source = Source(name=name, sha256=digest(data))
        if not (path := self.place(source)).exists():
            write_atomic(path, data)
        return source

    def place(self, source: Source) -> Path:
        """Where the bytes of an artifact are kept."""
        return self.folder / "artifacts" / source.sha256

    def fetch(self, source: Source) -> bytes:
        """The bytes of an artifact. Raises StoreCorrupt if they are gone or altered."""
        path = self.place(source)
        data = path.read_bytes() if path.exists() else b""
        if digest(data) != source.sha256:
            raise StoreCorrupt(f"artifact {source.name} ({source.sha256}) is missing or altered")
        return data


def record(case: Casefile, message: str, turn: int, proposals: tuple[Proposal, ...]) -> list[Act]:
    """Take the facts of a message into the ledger; ask about those that clash, name those that were not taken."""
    reading = extract.read(message)
    drafts = [*intake.drafts(reading, turn), *intake.proposed(proposals, message, turn)]
    entries = [case.ledger.append(draft) for draft in drafts if _fits(draft)]
    # without this turn's own entries, which are there already when a killed turn runs again
    before = fold(entry for entry in case.ledger.entries if entry not in entries)
    acts: list[Act] = [Noted(evidence=tuple(entry.id for entry in entries))] if entries else []
    acts += [Clash(question=clash.question) for clash in contradictions.among(before, entries)]
    return acts + [Unrecorded(words=u.words, field=u.field, reason=u.reason) for u in reading.unrecorded]


def _fits(draft: Draft) -> bool:
    """Whether the workload can hold this value (a fraction above one or a size of zero cannot be meant)."""
    try:
        fold([Evidence(**draft.model_dump(), id="E0", prev="")])
    except ValidationError:
        return False
    return True


def attach(case: Casefile, path: str, role: str, turn: int) -> list[Act]:
    """Take a results file or a prompt pool into the case; handed over again in a later turn, it counts again."""
    take = {POOL: _attach_pool, "results": _attach_results, BATTERY: _attach_battery}.get(role)
    try:
        return take(case, path, turn) if take else _attach_arm(case, path, role, turn)
    except InvalidInput as error:
        return [Problem(message=str(error))]


def _attach_results(case: Casefile, path: str, turn: int) -> list[Act]:
    data, source = read_source(path)
    results = imports.read(data, source.name)
    counts = imports.canonical(results.counts)
    kept = case.keep(counts, f"{COUNTS}.jsonl")
    table = dossier.table_of(dossier.counts_of(counts, kept.name))
    file = case.ledger.append(_file_draft(RESULTS, source, {"format": results.format}, (), turn))
    entry = case.ledger.append(_file_draft(COUNTS, kept, {"format": "counts"}, (file.id,), turn))
    for draft in dossier.table_drafts(table, (entry.id,)):
        case.ledger.append(draft)
    facts = [case.ledger.append(draft) for draft in _measured_facts(results.counts, kept, entry.id)]
    clashes = [Clash(question=clash.question) for clash in contradictions.with_counts(case.ledger.entries, table)]
    record_trials(case)
    overlap = _overlap(case)
    return [Noted(evidence=tuple(fact.id for fact in facts)), Report(), *clashes, *overlap]


def _attach_arm(case: Casefile, path: str, arm: str, turn: int) -> list[Act]:
    """Results of a tuned model or a control, held against the base on the same problems."""
    base = case.dossier.counts
    if base is None:
        raise InvalidInput("there are no results of the base", "those first", "/attach FILE", where=path)
    data, source = read_source(path)
    results = imports.read(data, source.name)
    kept = case.keep(imports.canonical(results.counts), f"{arm}.jsonl")
    comparison_of(base, dossier.counts_of(case.fetch(kept), kept.name), NOT_RUN)
    file = case.ledger.append(_file_draft(f"{RESULTS}.{arm}", source, {"format": results.format}, (), turn))
    case.ledger.append(_file_draft(f"{COUNTS}.{arm}", kept, {"format": "counts"}, (file.id,), turn))
    record_trials(case)
    return [Tried()]


def _attach_battery(case: Casefile, path: str, turn: int) -> list[Act]:
    """The probes' readings of the tuned model; from now on its deltas carry them (BAT-9)."""
    data, source = read_source(path)
    run = BatteryRun.parse(data, source.name)
    kept = case.keep(data, READINGS)
    case.ledger.append(_file_draft(BATTERY, kept, {"seal": run.seal, "file": source.name}, (), turn))
    record_trials(case)
    return [Tried()]


def record_trials(case: Casefile) -> None:
    """Take every figure of the trials and their cost into the ledger; what is there already is not repeated."""
    for draft in case.dossier.outcomes:
        case.ledger.append(draft)


def spend(case: Casefile, argument: str, turn: int) -> list[Act]:
    """Take in what an arm cost. argument: `FILE [ARM]`, or `none [ARM]`, which takes back what was handed over."""
    path, _, last = argument.rpartition(" ")
    path, arm = (path.strip(" \"'"), last) if path and last in costs.PAID_FOR else (argument, "tuned")
    name = f"{costs.COST}.{arm}"
    try:
        if path == "none":
            taken_back = case.ledger.append(_said(name, "none", turn))
            return [Noted(evidence=(taken_back.id,))]
        data, source = read_source(path)
        costs.rows_of(data, source.name)
        if not case.dossier.costs.has(arm, source.sha256):
            kept = case.keep(data, f"{costs.COST}.jsonl")
            case.ledger.append(_file_draft(name, kept, {"file": source.name}, (), turn))
            record_trials(case)
    except InvalidInput as error:
        return [Problem(message=str(error))]
    return [Tried()]


AMOUNT = re.compile(
    r"\$? ?([0-9]{1,5}(?:\.[0-9]{1,6})?) ?(?:usd|dollars)?(?: ?(?:/|per|an?) ?gpu[ -]?h(?:our)?)?", re.I
)


def price(case: Casefile, argument: str, turn: int) -> list[Act]:
    """Take in the declared rate: US dollars per GPU-hour, or `none`. Never guessed, and asked for by nobody."""
    found = AMOUNT.fullmatch(argument)
    if argument != "none" and (found is None or not float(found[1])):
        seen = f"{argument!r} is no rate"
        return [Problem(message=str(InvalidInput(seen, "US dollars per GPU-hour, such as 1.85", where="/price")))]
    rate = Quantity(metric="value", value=float(found[1]), unit="usd_per_gpu_hour") if found else "none"
    entry = case.ledger.append(_said(costs.RATE, rate, turn))
    record_trials(case)
    return [Noted(evidence=(entry.id,)), *([Tried()] if case.dossier.costs.files else [])]


def _said(name: str, found: Quantity | str, turn: int) -> Draft:
    """What a person declares by a command."""
    quantity, value = (found, None) if isinstance(found, Quantity) else (None, found)
    return Draft(
        kind="declared",
        name=name,
        quantity=quantity,
        value=value,
        tool="toolbox.declare",
        version=VERSION,
        key=key_of(name, VERSION, [turn, value, quantity.value if quantity else None]),
    )


def _attach_pool(case: Casefile, path: str, turn: int) -> list[Act]:
    data, source = read_source(path)
    ids = imports.problem_ids(data, source.name)
    kept = case.keep("\n".join(sorted(ids)).encode(), f"{POOL}.ids")
    case.ledger.append(_file_draft(POOL, source, {"ids": kept.sha256}, (), turn))
    size = Quantity(metric="value", value=len(ids), unit="count")
    entry = case.ledger.append(_measured("pool.size", size, source, ()))
    return [Noted(evidence=(entry.id,)), *_overlap(case)]


def _overlap(case: Casefile) -> list[Act]:
    """Refuse a pool that shares problems with the evaluation set (pool_from_eval); no overlap proves nothing yet."""
    pool, counts = case.ledger.get(POOL), case.dossier.counts
    if pool is None or counts is None or pool.source is None or not isinstance(pool.value, dict):
        return []
    ids = case.fetch(Source(name=f"{POOL}.ids", sha256=str(pool.value["ids"]))).decode().split("\n")
    shared = len(set(ids) & set(counts.ids))
    quantity = Quantity(metric="value", value=shared, unit="count")
    entry = case.ledger.append(_measured("pool.shared_with_heldout", quantity, pool.source, (pool.id,), counts.source))
    # shared ids disprove that the two are apart; none shared leaves it to the contamination check that is stated
    apart = False if shared else None
    case.ledger.append(_measured("intake.heldout_disjoint_from_pool", apart, pool.source, (entry.id,), counts.source))
    noted = Noted(evidence=(entry.id,))
    return [noted, Refuse(pattern="pool_from_eval")] if shared else [noted]


def _measured_facts(counts: Counts, source: Source, entry: str) -> list[Draft]:
    size = Quantity(metric="value", value=len(counts.ids), unit="count")
    samples = Quantity(metric="value", value=min(counts.total), unit="count")
    return [
        _measured("intake.heldout_n", size, source, (entry,)),
        _measured("intake.samples_per_problem", samples, source, (entry,)),
        # every k is estimated from the same samples, so one decoding served them all
        _measured("intake.same_decoding_for_all_k", True, source, (entry,)),
    ]


def _measured(
    name: str, found: Quantity | bool | None, source: Source, inputs: tuple[str, ...], *more: Source
) -> Draft:
    return measured("toolbox.attach", name, found, source, *more, inputs=inputs)


def measured(
    tool: str,
    name: str,
    found: Quantity | str | bool | None,
    source: Source,
    *more: Source,
    inputs: tuple[str, ...] = (),
) -> Draft:
    """Something read off the bytes of a source; the same of the same bytes is one entry."""
    quantity, value = (found, None) if isinstance(found, Quantity) else (None, found)
    return Draft(
        kind="measured",
        name=name,
        quantity=quantity,
        value=value,
        inputs=inputs,
        tool=tool,
        version=VERSION,
        key=key_of(name, VERSION, [value, list(inputs)], source, *more),
        source=source,
    )


def _file_draft(name: str, source: Source, value: dict[str, str], inputs: tuple[str, ...], turn: int) -> Draft:
    key = key_of(f"attach.{name}", VERSION, [value, inputs, turn], source)
    return Draft(
        kind="measured",
        name=name,
        value=dict(value),
        inputs=inputs,
        tool="imports.read",
        version=VERSION,
        key=key,
        source=source,
    )


def decide(case: Casefile) -> list[Act]:
    """Record the verdict of the facts as they stand, with all that it and its plan say."""
    return [Decide(evidence=dossier.conclude(case.dossier).id)]


def export(case: Casefile, folder: str, transcript: str) -> list[Act]:
    """Write the bundle; it is recomputed before it takes its place."""
    try:
        target = at_home(folder or "bundle")
        letters = bundle.export(case.dossier, transcript, target)
    except InvalidInput as error:
        return [Problem(message=str(error))]
    return [Exported(folder=str(target), letters=letters)]


def references(case: Casefile) -> dict[str, str]:
    """Ids a driver may cite, each with what it is; never its figure."""
    table = {entry.id: entry.name for _, entry in case.dossier.rows}
    return table | {entry.id: entry.name for entry in case.ledger.named("intake") if entry.quantity}


def cite(case: Casefile, template: str) -> claims.Filled:
    """Write the figures a template refers to."""
    return claims.fill(template, case.ledger)
