"""What a cell says in the meaning of its field; structure as pairs of a path and the span of a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agent.reading import numbers, prose
from agent.reading.facts import Doubt, Found
from agent.reading.fields import resolve
from agent.reading.moods import HYPOTHETICAL, OURS, SOMEONE, TARGET, Moods
from agent.reading.scan import Scan, plain

YES = re.compile(
    r"\s*[\"'`*]*(?:true|yes|y|yep|done|ok|checked|passed|clean|in place|tested|available|on|✓|✅|✔)(?![\w-])"
)
NO = re.compile(
    r"\s*[\"'`*]*(?:false|no|n|nope|none|not|missing|pending|todo|to ?do|unchecked|never|absent|off|❌|✗|n/a)(?![\w-])",
)
OPEN = re.compile(
    r"\s*[\"'`*]*(?:\?+|tbd|unknown|null|~$|nan|n/?a|-+|--|open|todo|pending|none yet|not measured|)[\"'`*]*\s*$"
)
CUES = {
    "model_name": "model: ",
    "license": "license: ",
    "languages": "languages: ",
    "problem_distribution": "problem_distribution: ",
    "purpose": "purpose: ",
    "gpu_type": "gpu: ",
    "comparator": "comparator: ",
    "failure_cost": "failure_cost: ",
    "verifier": "verifier: ",
    "first_signal_days": "first signal: ",
    "team_size": "team size: ",
    "contamination_checked": "contamination check: ",
    "has_rollback": "rollback: ",
    "has_checkpoint_discipline": "checkpoint discipline: ",
    "has_heldout_blocker": "held-out blocker: ",
    "heldout_disjoint_from_pool": "disjoint: ",
    "same_decoding_for_all_k": "same decoding: ",
    "slice_kind": "slice_kind: ",
}
"""Fields of words are read by the prose binder of the field, led in by its plainest cue."""

NOT_HOURS = re.compile(r"\s*(?:wall|h\b.*wall|days?|usd|\$|gpus?\b(?!-?h))")
NOT_COUNT = re.compile(r"\s*-?(?:gpu|[ah]\d00|hours?|hrs?|h\b|days?|weeks?|%|percent|tok\w*|usd|\$)")
COUNTS = ("n", "heldout_n", "samples_per_problem", "preference_pairs", "prior_ssd_rounds")
Span = tuple[int, int]
Path = tuple[str, ...]


@dataclass
class Structure:
    """What structure says, and the spans it owns."""

    found: list[Found] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def take(self, scan: Scan, pairs: Iterable[tuple[Path, Span]]) -> bool:
        """Read the pairs whose path is known; whether there was any."""
        known = [(name, path, span) for path, span in pairs if (name := resolve(path)) is not None]
        for name, path, span in known:
            self.found += value_of(scan, name, path, span)
        return bool(known)


def value_of(scan: Scan, name: str, path: Path, span: Span) -> Iterator[Found]:
    """The value of a field in a span: nothing where it is left open."""
    text = scan.text[slice(*span)]
    if OPEN.fullmatch(text) and not (NO.match(text) and name in CUES):
        return
    doubt = _scope_doubt(path)
    for one in _worded(scan, name, span) if leaf(name) in CUES else _numeric(scan, name, path[-1], span):
        yield replace(one, doubt=doubt) if doubt else one


def leaf(name: str) -> str:
    """The last step of a field path; a stage of the budget is a field of its own."""
    return name if name.startswith("gpu_hours") else name.split(".")[-1]


def _numeric(scan: Scan, name: str, key: str, span: Span) -> Iterator[Found]:
    inside = _numbers_in(scan, span)
    if not inside or re.match(r"\s*[\"']?[a-z]", scan.text[span[0] : inside[0].start]):
        return
    number, *others = inside
    if others and (share := numbers.ratio(scan.text, number, others[0])):
        number, others = share, []
    other_unit = NOT_HOURS if name.startswith("gpu_hours") else NOT_COUNT if leaf(name) in COUNTS else None
    if other_unit and other_unit.match(scan.text, number.end, span[1]):
        return
    value, unit = _read(name, key, number)
    crowded = bool(others) and others[0].start - number.end <= 1
    doubt: Doubt = "range" if number.ranged else "ambiguous" if value is None or crowded else ""
    yield Found(name, value, unit, number.start, number.end, (number.start, number.end), doubt)


def _read(name: str, key: str, number: numbers.Number) -> tuple[JsonValue, str]:
    """A number in the meaning of its field, with the unit."""
    if name.startswith("gpu_hours"):
        return plain(number.value), "gpu_hours"
    if name.endswith(("pass_at_1", "verifier_acceptance")) or "pass_at_k" in name:
        whole = re.fullmatch(r"1(?:\.0+)?", number.written)
        value = numbers.rate(number, percent="%" in key and number.value > 1)
        return 1.0 if value is None and whole else value, "fraction"
    if name == "context_length":
        return numbers.tokens(number), "tokens"
    return (_parameters(number, key) if name == "parameter_count" else numbers.count(number)), "count"


def _numbers_in(scan: Scan, span: Span) -> list[numbers.Number]:
    """The numbers of a cell, read for themselves: `1,43` is one number in prose and two cells in a CSV."""
    found = numbers.find(scan.text[slice(*span)])
    return [replace(n, start=n.start + span[0], end=n.end + span[0]) for n in found]


def _parameters(number: numbers.Number, key: str) -> int | None:
    scaled = number.value * 1e9 if re.search(r"\(b\)|billion|_b$|\bb\b", key) and number.value < 1e5 else number.value
    return int(scaled) if scaled == int(scaled) and scaled >= 1e5 else None


def _worded(scan: Scan, name: str, span: Span) -> Iterator[Found]:
    """A field of words: a plain yes or no, else what the field's prose binder reads after its cue."""
    low, high = span
    text = scan.text[low:high].rstrip(" \t\r\n,;|")
    at = (low, low + len(text))
    flag = name.startswith(("has_", "heldout_", "same_")) or name == "contamination_checked"
    if flag and (YES.match(text) or NO.match(text)):
        yield Found(name, NO.match(text) is None, "", *at, at)
        return
    if name in ("team_size", "first_signal_days") and (number := _lone(scan, text, low)) is not None:
        yield Found(name, plain(number.value), "count" if name == "team_size" else "days", *at, at)
        return
    cue = CUES[name]
    bare = text.strip(" \"'`*[]\n-")
    said = cue + bare.replace("\n", " ")
    shift = low + text.find(bare) - len(cue)
    written = scan.original[low + text.find(bare) :][: len(bare)]
    small = Scan(said, cue + written, numbers.find(said), Moods(said))
    found = [f for f in prose.BINDERS[name](small) if f.field == name]
    if (
        not found
        and name in ("purpose", "failure_cost", "model_name", "license")
        and len(text.strip()) > 2
        and not NO.match(text)
    ):
        words = scan.original[low : low + len(text)].strip(" \"'`*[]")
        yield Found(name, words, "", *at, at)
        return
    for one in found[:1]:
        place = (max(low, one.at[0] + shift), max(low + 1, one.at[1] + shift))
        yield Found(name, one.value, one.unit, *at, place, one.doubt)


def _lone(scan: Scan, text: str, low: int) -> numbers.Number | None:
    inside = _numbers_in(scan, (low, low + len(text)))
    if len(inside) == 1 and re.fullmatch(r"[\"'\s]*", text[: inside[0].start - low] + text[inside[0].end - low :]):
        return inside[0]
    return None


def _scope_doubt(path: Path) -> Doubt:
    """A key that says whose or what figures these are: `paper`, `targets`, `assumed`."""
    heads = " ; ".join(key.replace("_", " ") for key in path[:-1])
    if SOMEONE.search(heads) and not OURS.search(heads):
        return "someone_else"
    if TARGET.search(heads) or re.search(r"\b(?:target|goal)", path[-1]):
        return "target"
    return "hypothetical" if HYPOTHETICAL.search(heads) or re.search(r"\bassum", heads) else ""
