"""Figures against the ledger: references, bare numerals, and what the words around a figure say it is.

A bare numeral passes only where value, unit, metric, slice and interval agree with one single entry, at the precision
it is printed with. Around a reference the nearest named metric, slice and arm must be its entry's. Whether a sentence
may say "rose" is asked here too: only a delta whose interval lies on that side of zero supports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from tools import claims
from tools.guard.page import NAME, REF, Page, Sentence
from tools.records import OVERALL, Evidence, Record, Unit


class GuardEntry(Record):
    """What the guard needs of an entry. name is the metric as it is written (`pass@8`) or a dotted name; ci in unit."""

    id: str
    name: str
    value: float | None = None
    ci: tuple[float, float] | None = None
    unit: Unit | None = None
    slice: str | None = None
    n: int | None = None
    alias: str = ""

    @classmethod
    def of(cls, entry: Evidence) -> Self:
        """The entry of a ledger; what has a metric is named by it, and found by its ledger name too."""
        quantity = entry.quantity
        if quantity is None:
            return cls(id=entry.id, name=entry.name)
        return cls(
            id=entry.id,
            name=quantity.label if quantity.metric != "value" else entry.name,
            alias=entry.name,
            value=quantity.value,
            ci=(quantity.ci.low, quantity.ci.high) if quantity.ci else None,
            unit=quantity.unit,
            slice=quantity.slice,
            n=quantity.n,
        )

    @cached_property
    def words(self) -> frozenset[str]:
        """The content words of its name."""
        return frozenset(re.findall(r"[a-z]{3,}", self.name.lower())) - GENERIC

    @cached_property
    def metric(self) -> str:
        """pass, gap or delta; empty for anything else, such as a threshold or a setting."""
        if self.unit in ("config", "count", "usd", "gpu_hours", "tokens", "days") or "policy" in self.name:
            return ""
        return next((head for head, form in METRICS.items() if form.search(self.name.lower())), "")

    @cached_property
    def k(self) -> int | None:
        """The k of pass@k or gap@k in its name."""
        found = re.search(r"(?:@|at_?|k ?= ?)(\d{1,6})", self.name)
        return int(found[1]) if found else None

    @property
    def points(self) -> int:
        """1 for a delta whose interval lies above zero, -1 below, 0 for anything else."""
        if self.metric != "delta" or self.ci is None:
            return 0
        return 1 if self.ci[0] > 0 else -1 if self.ci[1] < 0 else 0


GENERIC = frozenset({"policy", "intake", "passk", "row", "value", "the", "and", "for", "plan"})
DIFFICULTIES = frozenset({"easy", "medium", "hard", OVERALL})
METRICS = {
    "delta": re.compile(r"delta|Δ|δ|lift|gain|change|diff"),
    "gap": re.compile(r"gap"),
    "pass": re.compile(r"pass|solve_rate"),
}


@dataclass(frozen=True)
class Entries:
    """The ledger as the guard looks things up in it."""

    entries: tuple[GuardEntry, ...]
    by_ref: dict[str, GuardEntry]
    words: frozenset[str]
    slices: frozenset[str]


def index(entries: Iterable[GuardEntry | Evidence]) -> Entries:
    """Prepare entries for lookup by id and, newest first, by name."""
    held = tuple(entry if isinstance(entry, GuardEntry) else GuardEntry.of(entry) for entry in entries)
    named = {entry.name: entry for entry in held} | {entry.alias: entry for entry in held if entry.alias}
    slices = frozenset(entry.slice.lower() for entry in held if entry.slice)
    words = frozenset().union(slices, *(entry.words for entry in held))
    return Entries(held, named | {entry.id: entry for entry in held}, words, slices | DIFFICULTIES)


@dataclass(frozen=True)
class Figure:
    """A span that stands for an entry: a reference in one of the formats, or a bare numeral."""

    start: int
    end: int
    entry: GuardEntry
    form: str


def mask_references(page: Page, ledger: Entries) -> list[Figure]:
    """References to known entries in a known format, in order; any other is refused."""
    figures = []

    def masked(match: re.Match[str]) -> str:
        entry, form = ledger.by_ref.get(match[1]), match[2] or "full"
        if entry is None:
            page.refuse(match.start(), match.end(), f"no entry is named {match[1]}")
            return NAME * len(match[0])
        if form not in claims.FORMATS or (form == "ci" and entry.ci is None):
            page.refuse(match.start(), match.end(), f"{match[1]} has no {form}")
        figures.append(Figure(match.start(), match.end(), entry, form))
        return REF * len(match[0])

    page.masked = claims.REFERENCE.sub(masked, page.masked)
    return figures


def mask_policy(page: Page, ledger: Entries) -> None:
    """A size that a policy value of the ledger asks for: n >= 200."""
    asked = {e.value for e in ledger.entries if e.name.startswith("policy.") and e.unit == "count"}
    page.mask_all(ASKED, NAME, lambda match: float(match[1].replace(",", "")) in asked)


# bare numerals

NUMBER = r"[-−+±]?\$?(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,15})?(?:e[-+]?\d{1,3})?|[-−+]?\.\d{1,15}"
UNIT = (
    r"(?:\s?%|\s?(?:percentage points?|percent|per cent|pp|points?)\b"
    r"|[ -](?:GPU[- ]?hours?|tokens?|days?|USD|dollars?|(?:held-out )?(?:problems?|tasks?)|(?:samples?|answers?|"
    r"completions?|solutions?|prompts?|slices?|tests?|models?|rounds?|epochs?|runs?|hours?|weeks?|months?|people|times))\b)"
)
ASKED = re.compile(r"\bn (?:>=|≥|of at least|is at least) (\d{1,3}(?:,\d{3}){1,3}|\d{1,9})\b(?![.,]\d|\s?%)")
VALUE = re.compile(rf"(?<![\w.,])({NUMBER})({UNIT})?(?![\w%]|[.,]\d)")
INTERVAL = re.compile(
    rf"(?:\b(?:CI|confidence interval|interval|band)\b(?:\s(?:of|is|from))?[\s:=]{{0,3}}\[?|\[)\s?({NUMBER})({UNIT})?"
    rf"\s{{0,2}}(?:to|,|–|—|and|-)\s{{0,2}}({NUMBER})({UNIT})?\s?\]?(?![\w%]|[.,]\d)"
)
SIZE = re.compile(r"\bn ?= ?(\d{1,3}(?:,\d{3}){1,5}|\d{1,15})\b(?![.,]\d|%)")
NUMERAL = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
DIGITS = re.compile(r"[^\s,;:()\[\]“”\"|]*\d[^\s;:()\[\]“”\"|]*")
UNITS = {
    "%": "percent",
    "percent": "percent",
    "per_cent": "percent",
    "pp": "pp",
    "points": "pp",
    "point": "pp",
    "percentage_point": "pp",
    "percentage_points": "pp",
    "usd": "usd",
    "dollar": "usd",
    "dollars": "usd",
    "gpu_hour": "gpu_hours",
    "gpuhours": "gpu_hours",
    "gpuhour": "gpu_hours",
    "token": "tokens",
    "day": "days",
    "problem": "count",
    "problems": "count",
    "task": "count",
    "tasks": "count",
    "held_out_problems": "count",
}


def read(sentence: Sentence, figures: list[Figure], ledger: Entries) -> list[Figure]:
    """The figures of a sentence, supported numerals included; whatever else holds a digit is refused."""
    figures = sorted([*figures, *_bare(sentence, ledger)], key=lambda figure: figure.start)
    for match in DIGITS.finditer(sentence.text):
        span = match[0].rstrip(".,!?")
        sentence.refuse(match.start(), match.start() + len(span), "a figure without a reference; write {{id}} instead")
    for figure in figures:
        if figure.form not in ("slice", "words", "text", "field"):
            _refuse_misattributed(sentence, figure, ledger)
    for match in RANGE.finditer(sentence.text):
        sentence.refuse(match.start(), match.end(), "figures may not be combined")
    return figures


def _bare(sentence: Sentence, ledger: Entries) -> list[Figure]:
    """Numerals that one entry supports, masked like references."""
    if not ledger.entries or not re.search(r"\d", sentence.text):
        return []
    notes = [*INTERVAL.finditer(sentence.text), *SIZE.finditer(sentence.text)]
    values = [m for m in VALUE.finditer(sentence.text) if not any(n.start() <= m.start() < n.end() for n in notes)]
    found = []
    for number, value in enumerate(values):
        stop = values[number + 1].start() if number + 1 < len(values) else len(sentence.text)
        own = [note for note in notes if value.end() <= note.start() < stop]
        if entry := _supporting(sentence, ledger, value, own):
            found.append(Figure(value.start(), value.end(), entry, "bare"))
            sentence.mask(value.start(), value.end(), REF)
            for note in own:
                sentence.mask(note.start(), note.end(), NAME)
    return found


def _supporting(
    sentence: Sentence, ledger: Entries, value: re.Match[str], notes: list[re.Match[str]]
) -> GuardEntry | None:
    context = Context.around(sentence, value.start(), value.end(1))
    for entry in ledger.entries:
        if _same_value(entry, value[1], value[2]) and _same_notes(entry, notes) and context.names(entry, ledger):
            return entry
    return None


def _same_value(entry: GuardEntry, number: str, unit: str | None) -> bool:
    if entry.value is None or entry.unit is None:
        return False
    named = _stems([(unit or "").strip(" -").lower()]) <= _stems(entry.words)  # 8 samples, of samples_per_prompt
    scale = _scale(entry.unit, number, None if named and entry.unit in ("count", "config") else unit)
    return scale is not None and _rounds_to(entry.value * scale, number)


def _scale(held: str, number: str, unit: str | None) -> float | None:
    """What the entry's value is multiplied with to be printed in that unit; None where the units disagree."""
    said = re.sub(r"[\s-]+", "_", (unit or "").strip(" -").lower())
    said = UNITS.get(said, said)
    if "$" in number:
        return 1.0 if held == "usd" and not said else None
    if held == "fraction":
        return {"percent": 100.0, "": 1.0}.get(said)
    written = "" if held in ("config", "count") else held
    return 1.0 if said in (written, held) else None


def _rounds_to(value: float, number: str) -> bool:
    """Whether a printed numeral is the value at the numeral's own precision."""
    digits = number.replace("$", "").replace(",", "").replace("−", "-").lstrip("+±")
    printed = float(digits)
    if "e" in digits:
        return abs(printed - value) <= 1e-9 * abs(value)
    decimals = len(digits.partition(".")[2])
    return abs(printed - value) <= 0.5 * 10.0**-decimals + 1e-9


def _same_notes(entry: GuardEntry, notes: list[re.Match[str]]) -> bool:
    """The interval must be there if the entry has one, and agree; n must agree if it is there."""
    intervals = [note for note in notes if note.re is INTERVAL]
    sizes = [note for note in notes if note.re is SIZE]
    if any(entry.n is None or int(size[1].replace(",", "")) != entry.n for size in sizes):
        return False
    if entry.ci is None or len(intervals) != 1:
        return entry.ci is None and not intervals
    low, low_unit, high, high_unit = intervals[0].groups()
    unit = high_unit or low_unit or _default_unit(entry, high)
    return _fits(entry, entry.ci[0], low, low_unit or unit) and _fits(entry, entry.ci[1], high, unit)


def _default_unit(entry: GuardEntry, number: str) -> str:
    """An interval may leave its unit to the value: percent for a fraction above one, the entry's own otherwise."""
    if entry.unit == "fraction":
        return "%" if abs(float(number.lstrip("+±−-$").replace(",", ""))) > 1 else ""
    return {"pp": "pp", "percent": "%"}.get(entry.unit or "", "")


def _fits(entry: GuardEntry, bound: float, number: str, unit: str) -> bool:
    scale = _scale(entry.unit or "", number, unit)
    return scale is not None and _rounds_to(bound * scale, number)


# what the words around a figure say

CORE = re.compile(
    r"(?P<delta>Δ ?|\bdelta[ _]?(?:of |in |at )?)?\b(?P<head>pass|gap)(?:@|_at_)(?P<k>\d{1,6})"
    r"|\b(?P<gap>gap)\b(?:@k|(?: at)? k ?= ?(?P<gk>\d{1,6}))?"
    r"|\b(?P<rate>(?:pass|solve) rate)\b",
    re.I,
)
CHANGE = re.compile(
    r"Δ|\b(?:delta|change[sd]?|difference|lift(?:ed)?|gain(?:ed|s)?|improve[sd]?|improvement|rose|rise|risen|fell|"
    r"fall(?:en|s)?|dropped|drop|loss|lost|increased?|decreased?|declined?|up|down|grew|grown|shrank)\b",
    re.I,
)
FAMILIES = {
    "usd": re.compile(r"\b(?:costs?|price[sd]?|dollars?|spend(?:ing)?|spent)\b", re.I),
    "gpu_hours": re.compile(r"\bGPU[- ]?hours?\b|\bhours?\b", re.I),
    "tokens": re.compile(r"\btokens?\b|\bcontext length\b", re.I),
    "days": re.compile(r"\bdays?\b", re.I),
}
RULING = re.compile(r"\b(?:policy|rules?|asks?|requires?|required|thresholds?|limits?|minimum|maximum|default)\b", re.I)
BOUNDARY = re.compile(r"[,;:—()|\n]|\s(?:and|but|while|whereas|so|which)\s")
MODIFIERS = re.compile(
    r"\b(?:only|just|merely|nearly|almost|about|around|roughly|approximately|over|under|above|below|beyond|past|plus|"
    r"minus|times|well|exceeds?|exceeding|not|up to|close to|near|half|twice|(?:more|less|fewer) than|"
    r"at (?:most|least))"
    r"\s*$|[-+−*/~<>≈]\s*$",
    re.I,
)
BOUNDS = re.compile(r"\b(?:at (?:least|most)|above|below|over|under|(?:more|less|fewer) than|up to)\s*$", re.I)
RANGE = re.compile(rf"{REF}\s*(?:to|[-–—/+*]|and above|or so|plus|minus|times|or|divided by|against)\s*{REF}")
AFTER = re.compile(
    r"^\s*(?:%|percent\b|pp\b|points?\b|x\b|times\b|fold\b|GPU[- ]hours?\b|hours?\b|dollars?\b|tokens?\b|days?\b)", re.I
)


@dataclass(frozen=True)
class Context:
    """The words that say what a figure is: those before it in its clause, else earlier, else after it."""

    near: str
    wide: str

    @classmethod
    def around(cls, sentence: Sentence, start: int, end: int) -> Self:
        """The context of the figure at start..end of a sentence."""
        before = sentence.readable(0, start).rpartition(REF)[2]
        after = sentence.readable(end, len(sentence.text)).partition(REF)[0]
        return cls(near=f"{BOUNDARY.split(before)[-1]} {BOUNDARY.split(after)[0]}", wide=f"{before} {after}")

    def names(self, entry: GuardEntry, ledger: Entries) -> bool:
        """Whether the words name this entry's metric and slice, and no other."""
        return self._metric(entry, ledger) is True and self.slice(entry, ledger) is True and self._arm(entry)

    def contradicts(self, entry: GuardEntry, ledger: Entries) -> str:
        """What the words name that is not the entry's: metric, slice or arm; empty when nothing is."""
        if self._metric(entry, ledger) is False:
            return "metric"
        if self.slice(entry, ledger) is False:
            return "slice"
        return "" if self._arm(entry) else "arm"

    def slice(self, entry: GuardEntry, ledger: Entries) -> bool | None:
        """Whether the words name the entry's slice; None where they leave it open."""
        own = (entry.slice or OVERALL).lower()
        if entry.slice is None or entry.metric == "":
            return True
        named = _slices(self.near, ledger) or _slices(self.wide, ledger)
        if named:
            return named[-1] == own
        return True if own == OVERALL else None

    def _metric(self, entry: GuardEntry, ledger: Entries) -> bool | None:
        near = _metric_agrees(self.near, entry, ledger)
        if near is not None or _stems(entry.words) & _stems(re.findall(r"[a-z]{3,}", self.near.lower())):
            return near
        return _metric_agrees(self.wide, entry, ledger)

    def _arm(self, entry: GuardEntry) -> bool:
        words = frozenset(re.findall(r"[a-z]+", self.near.lower()))
        arms = {"base", "tuned"}
        return not (entry.words & arms and words & arms) or bool(entry.words & words & arms)


def _metric_agrees(text: str, entry: GuardEntry, ledger: Entries) -> bool | None:
    """True where the text names the entry's metric, False where it names another, None where it names none."""
    cores = list(CORE.finditer(text))
    if entry.metric:
        return _core_agrees(cores[-1], text, entry) if cores else _without_core(text, entry)
    words = _stems(re.findall(r"[a-z]{3,}", text.lower().replace("held-out", "heldout"))) | (
        {"min", "max", "threshold"} if RULING.search(text) else set()
    )
    family = next((unit for unit, form in FAMILIES.items() if form.search(text)), None)
    ruled = bool(RULING.search(text))
    if family not in (None, entry.unit) and (entry.unit in FAMILIES or family in ("usd", "gpu_hours")):
        return False
    if _stems(entry.words) <= words and (ruled or not entry.name.startswith("policy.")):
        return True
    if cores and not ruled:
        return False
    if words & _stems(entry.words):
        return True if family == entry.unit and len(entry.words) == 1 else None
    others = _stems(set().union(*(other.words for other in ledger.entries)))
    return False if words & others else None


def _core_agrees(core: re.Match[str], text: str, entry: GuardEntry) -> bool:
    k = core["k"] or core["gk"]
    if k is not None and entry.k is not None and int(k) != entry.k:
        return False
    changed = bool(core["delta"] or CHANGE.search(text))
    head = "pass" if core["rate"] or (core["head"] or "").lower() == "pass" else "gap"
    if entry.metric == "delta":
        return changed and ("gap" in entry.name.lower()) is (head == "gap")
    return head == entry.metric and not core["delta"]


def _without_core(text: str, entry: GuardEntry) -> bool | None:
    if entry.metric == "delta" and CHANGE.search(text):
        return True
    return False if any(form.search(text) for form in FAMILIES.values()) else None


def _stems(words: Iterable[str]) -> set[str]:
    return {word.rstrip("s") for word in words}


def _slices(text: str, ledger: Entries) -> list[str]:
    """Slices that a text names, in order. An adjective such as hard is a slice only where it is used as one."""
    found = []
    for name in ledger.slices:
        form = rf"\b{re.escape(name)}\b"
        if name in DIFFICULTIES - {OVERALL}:
            noun = r"(?:slice|problem|item|one|set|subset|split|task)s?\b"
            form = rf"(?<!\w){name}(?=[ -]{noun})|(?:\bon|\bslice|\bof) (?:the )?{name}\b|\b{name} (?=(?:pass|gap)@)"
        found += [(match.end(), name) for match in re.finditer(form, text, re.I)]
    return [name for _, name in sorted(found)]


def _refuse_misattributed(sentence: Sentence, figure: Figure, ledger: Entries) -> None:
    """A figure whose own sentence says it is something else, more, less, or part of a sum."""
    context, entry = Context.around(sentence, figure.start, figure.end), figure.entry
    if wrong := context.contradicts(entry, ledger):
        why = f"{entry.id} is of another {wrong} than the sentence names"
    elif figure.form in ("value", "number") and not context.slice(entry, ledger):
        why = f"{entry.id} is of slice {entry.slice}: name it"
    elif _is_qualified(sentence, figure) or _other_unit(sentence, figure):
        why = "a figure may not be qualified, rescaled or computed with"
    else:
        return
    sentence.refuse(figure.start, figure.end, why)


def _is_qualified(sentence: Sentence, figure: Figure) -> bool:
    """Words that change a figure; a rule may ask for at least its own."""
    before = sentence.text[: figure.start]
    asked = figure.entry.name.startswith("policy.") and BOUNDS.search(before)
    return MODIFIERS.search(before) is not None and not asked


def _other_unit(sentence: Sentence, figure: Figure) -> bool:
    return figure.form != "number" and bool(AFTER.match(sentence.text[figure.end : figure.end + 12]))
