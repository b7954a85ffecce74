"""What a message states as fact, with the words each fact rests on.

`read` gives the facts, what looked like a fact and was not taken (with the reason), and the corrections the message
makes itself; `contract` gives the fields of the batch contract (FORMATS section 4). No model, no network: the
readers are in `agent.reading`. Not recorded beats wrongly recorded. A message beyond LONGEST characters is a file that
should have been attached; only its head is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

from pydantic import JsonValue

from agent.reading import prose, rates, tables
from agent.reading.bygone import not_in_force
from agent.reading.corrections import CORRECTION, rebound, settled
from agent.reading.facts import Correction, Fact, Found, Unrecorded
from agent.reading.moods import Kind, Reason
from agent.reading.scan import Scan, scanned
from tools.records import Record

LONGEST = 20_000

KINDS: dict[str, Kind] = {
    "model_name": "identity",
    "parameter_count": "plan",
    "license": "identity",
    "benchmark": "identity",
    "context_length": "identity",
    "languages": "plan",
    "problem_distribution": "plan",
    "purpose": "consequence",
    "failure_cost": "consequence",
    "comparator": "consequence",
    "gpu_hours": "plan",
    "gpu_type": "plan",
    "team_size": "plan",
    "first_signal_days": "plan",
    "slice_kind": "plan",
    "decoding": "plan",
    "samples_per_problem": "plan",
    "has_rollback": "state",
    "has_checkpoint_discipline": "state",
    "has_heldout_blocker": "state",
    "verifier": "state",
}
"""How strict the mood must be, by field; every other field is `measured`."""

CONTRACT = [
    "model_name",
    "parameter_count",
    "license",
    "context_length",
    "languages",
    "problem_distribution",
    "purpose",
    "heldout_n",
    "pass_at_1",
    "pass_at_k",
    "contamination_checked",
    "slices",
    "gpu_hours_sampling",
    "gpu_hours_finetune",
    "gpu_hours_eval",
    "gpu_hours_total",
    "gpu_type",
    "team_size",
    "first_signal_days",
    "comparator",
    "failure_cost",
    "has_rollback",
    "has_checkpoint_discipline",
    "verifier",
    "round1",
    "round2",
]


class Reading(Record):
    """What one message states (facts), what it does not (unrecorded), what it took back (corrections)."""

    facts: tuple[Fact, ...] = ()
    unrecorded: tuple[Unrecorded, ...] = ()
    corrections: tuple[Correction, ...] = ()


def read(text: str) -> Reading:
    """The reading of one message. Never raises; the empty reading where nothing is stated."""
    return _read(text[:LONGEST])


@lru_cache(maxsize=64)
def _read(text: str) -> Reading:
    scan = scanned(text)
    candidates = sorted(_candidates(scan), key=lambda f: (f.at, f.field))
    weighed = [(found, why_not(scan, found)) for found in candidates]
    stated = [found for found, reason in weighed if reason is None]
    denied = [found for found, reason in weighed if reason == "dropped"]
    good = [*stated, *rebound(scan, stated, denied, candidates)]
    kept, corrections = settled(scan, [_fact(scan, found) for found in sorted(good, key=lambda f: (f.end, f.field))])
    doubtful = [_unrecorded(scan, found, reason) for found, reason in weighed if reason and reason != "dropped"]
    return Reading(facts=tuple(kept), unrecorded=tuple(_worth_saying(doubtful)), corrections=tuple(corrections))


def _unrecorded(scan: Scan, found: Found, reason: Reason) -> Unrecorded:
    return Unrecorded(field=found.field, words=scan.original[found.start : found.end].strip()[:200], reason=reason)


def _candidates(scan: Scan) -> list[Found]:
    structured = tables.read(scan)
    said = prose.read(scan)
    for size in (f for f in said if f.field == "heldout_n"):
        scan.taken.add(size.start, size.end)
    said += (shares := rates.read(scan.text, scan.numbers, scan.taken))
    if not any(f.field == "heldout_n" for f in said + structured.found):
        said += rates.total_of(scan.text, shares)
    covered = [(f.at, f.field) for f in structured.found]
    return structured.found + [f for f in said if not _covered(f, structured.spans, covered)]


def _covered(found: Found, spans: list[tuple[int, int]], read_there: list[tuple[tuple[int, int], str]]) -> bool:
    """A place that structure has read is not read again as prose."""
    return any(low <= found.at[0] < high for low, high in spans) or any(
        at[0] < found.at[1] and found.at[0] < at[1] for at, _ in read_there
    )


def why_not(scan: Scan, found: Found) -> Reason | Literal["dropped"] | None:
    """Why a candidate is not a fact: a mood, `dropped` for a value that is denied, None where it is a fact."""
    if found.doubt:
        return found.doubt
    root = found.field.split(".")[0]
    kind = KINDS.get(root, "measured")
    numeric = isinstance(found.value, int | float) and not isinstance(found.value, bool)
    if gone := not_in_force(scan, found, kind):
        return gone
    if numeric and scan.moods.beside(*found.at) and root != "first_signal_days":
        return "hedge"
    if root == "comparator" and scan.moods.hedged(*found.at):
        return "hedge"
    return scan.moods.of(*found.at, kind)


def _fact(scan: Scan, found: Found) -> Fact:
    """The fact with its words; a word of correction before it in its sentence belongs to them."""
    low, _ = scan.moods.sentence(found.start)
    cue = scan.moods.first(CORRECTION, low, found.start)
    first = cue if cue >= 0 and found.unit else found.start
    words = scan.original[first : found.end]
    start = first + len(words) - len(words.lstrip())
    return Fact(field=found.field, value=found.value, unit=found.unit, start=start, end=found.end, words=words.strip())


def _worth_saying(doubtful: list[Unrecorded]) -> Iterable[Unrecorded]:
    """Each set of words once; questions and talk of others only where a figure was at stake."""
    seen = set()
    for item in doubtful:
        quiet = item.reason in ("question", "someone_else") and not re.search(r"\d", item.words)
        if not quiet and item.words and (item.words, item.field) not in seen:
            seen.add((item.words, item.field))
            yield item


def contract(text: str) -> dict[str, Any]:
    """The fields of the batch contract: names of FORMATS section 4, rates as fractions, keys of k-maps as strings.

    Of two values that both stand the last is given; a conversation asks about them instead.
    """
    tree: dict[str, Any] = {}
    for fact in read(text).facts:
        steps = path(fact.field)
        if steps[0] == "gpu_hours":
            steps = [f"gpu_hours_{steps[1]}"]
        if steps[0] in CONTRACT:
            place(tree, steps, fact.value)
    return {name: tree[name] for name in CONTRACT if name in tree}


def path(field: str) -> list[str]:
    """Steps of a field path; a slice's name may hold dots."""
    match = re.fullmatch(
        r"(?P<head>(?:round[12]\.)?slices)\.(?P<name>.+?)\.(?P<rest>n|pass_at_1|pass_at_k\.\d+)", field
    )
    return [*match["head"].split("."), match["name"], *match["rest"].split(".")] if match else field.split(".")


def place(tree: dict[str, Any], steps: list[str], value: JsonValue) -> None:
    """Put a value into a tree of dicts."""
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
    tree[steps[-1]] = value
