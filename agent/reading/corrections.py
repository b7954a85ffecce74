"""A value that the same message replaces, takes back, or gives twice."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from agent.reading import numbers
from agent.reading.facts import Correction, Fact, Found
from agent.reading.moods import NT
from agent.reading.scan import Scan

FIRST_WINS = {"model_name", "gpu_type", "license", "purpose", "failure_cost", "comparator", "verifier", "benchmark"}
"""Said twice with different words, the first stands unless the message corrects it: the rest is elaboration."""

CORRECTION = re.compile(
    r"(?:\b(?:sorry|scratch that|scratch the|no,? wait|wait,? no|wait|correction|i meant|i mean|make (?:that"
    r"|it)|strike that|typo|actually|my (?:bad|mistake)|oops|forget (?:that|the|what i)|ignore (?:that|the)"
    r"|not \d[\d.,]*"
    r"|rather|err+|erratum|updated?|edit|fixed|instead of|should read|misread|misspoke|let me (?:check"
    r"|correct)|on second thought"
    r"|apologies|pardon|no no|nope)\b|(?:^|\n)[ \t]*\*(?=\d))",
)
CONTRAST = re.compile(
    r"\b(?:today|now|currently|at present|right now|so far|in (?:reality|fact|truth)|really|ours"
    r"|the (?:current|actual|real|true|measured)(?: one| value| figure| number| rate| result| score| count| size)?"
    r"|not \d[\d.,]*\s?%?,? but|(?:we|they)(?:'?re| are| have| stand)"
    r"|(?:on|with) the (?:new|current|real|actual) (?:[\w-]+ )?(?:set|split|data|run|checkpoint|eval))\b"
)
LEADS = re.compile(
    r"[\s,:*-]*(?:(?:it|that|is|it's|its|should|be|the|actually|make|number|figure|value|rate|result|score|count|size"
    r"|read"
    r"|to|say|right|correct|one|i|meant|mean|wait|no|sorry|rather|at|stands|have|only|just|we|they|are"
    r"|we're)\b[\s,:]*)*"
)
ALONE = re.compile(r"\s*(?:$|[.,;!)\n]|(?:though|but|and|instead|not|exactly|in total|total|overall)\b)")
RETRACTION = re.compile(
    r"\b(?:scratch that|strike that|ignore (?:that|the last|what i (?:just )?said)|forget (?:that"
    r"|what i (?:just )?said|i said))\b",
)
NOT_THIS = re.compile(
    r"\b(?:not|instead of|rather than|used to be|previously|formerly|up from|down from|no longer"
    rf"|old(?: value)?(?: was)?|{NT}|i said|forget(?: the)?|scratch(?: the)?|ignore(?: the)?)\s*(?:the |a |at "
    r"|be |actually |around |just )?$",
)


NO_LONGER = re.compile(
    r"\s*(?:%|percent)?,?\s*(?:was (?:last|before|the old|previously|wrong)|(?:on|with|for|from) (?:the"
    r"|our) (?:old|previous|former|last))\b",
)


ASIDE = re.compile(
    r"\b(?:greedy|fwiw|for reference|humaneval|mbpp|livecodebench|lcb|bigcodebench|swe-?bench|evalplus)\b"
)
LONG_AGO = re.compile(r"\b(?:last (?:year|quarter)|(?:years?|months|quarters?) ago|back in|in 20[012]\d)\b")


def rebound(scan: Scan, good: list[Found], figures: list[Found]) -> list[Found]:
    """Bare figures that refer back, each with the field of the figure before it.

    `pass@1 is 43. no wait, 41` puts a fact right, so it needs one, or one that was denied (good); `our goal is 50%
    pass@1, today it is 44` sets a fact against a figure that was none, so any figure will do (figures).
    """
    added = []
    for number in scan.numbers:
        corrects = _follows(scan, CORRECTION, number)
        if not (corrects or _follows(scan, CONTRAST, number)) or not _alone(scan, number):
            continue
        if not scan.free(number) or any(f.start <= number.start < f.end for f in figures):
            continue
        anchors = good if corrects else [f for f in figures if number.start - f.end <= 80]
        before = [f for f in anchors if f.end <= number.start and f.unit]
        if before and (value := revalued(before[-1], number)) is not None:
            at = (number.start, number.end)
            added.append(replace(before[-1], value=value, end=number.end, at=at, doubt=""))
    return added


def _follows(scan: Scan, cue: re.Pattern[str], number: numbers.Number) -> bool:
    """Whether a figure comes right after a cue, with nothing but small words between."""
    low = max(number.start - 60, scan.moods.sentence(number.start)[0])
    places = scan.moods.places(cue)
    index = bisect_left(places, (number.start + 1, 0)) - 1
    return (
        index >= 0
        and places[index][0] >= low
        and LEADS.fullmatch(scan.text, places[index][1], number.start) is not None
    )


def _alone(scan: Scan, number: numbers.Number) -> bool:
    """Whether a figure counts nothing that is named after it, and is said outright."""
    at = (number.start, number.end)
    if ALONE.match(scan.text, number.end) is None or NOT_THIS.search(
        scan.before(number.start, 14).replace("no ", "   ")
    ):
        return False
    return scan.moods.of(*at, "measured") is None and not scan.moods.beside(*at)


def revalued(fact: Found, number: numbers.Number) -> float | int | None:
    """A new figure read in the unit of an earlier fact."""
    if fact.unit == "fraction":
        return numbers.rate(number)
    if fact.unit == "tokens":
        return numbers.tokens(number)
    return numbers.count(number) if fact.unit == "count" else number.value


def settled(scan: Scan, good: list[Fact]) -> tuple[list[Fact], list[Correction]]:
    """One field, one value where the message corrects itself; else all of them stand, to be asked about."""
    kept: list[Fact] = []
    corrections: list[Correction] = []
    for fact in _without_retracted(scan, good):
        earlier = [f for f in kept if f.field == fact.field]
        if any(f.value == fact.value for f in earlier):
            continue
        if earlier and scan.moods.has(CORRECTION, min(earlier[-1].end, fact.start), _clause_end(scan, fact)):
            kept = [f for f in kept if f.field != fact.field]
            corrections.append(Correction(field=fact.field, old=earlier[-1].value, new=fact.value, words=fact.words))
        elif (earlier and (fact.field in FIRST_WINS or _aside(scan, fact, earlier[-1]))) or (
            earlier
            and fact.field == "heldout_n"
            and earlier[-1].words.lower().count("held") > fact.words.lower().count("held")
        ):
            continue
        kept.append(fact)
    return kept, corrections


def _aside(scan: Scan, fact: Fact, earlier: Fact) -> bool:
    """Whether a second figure is another decoding or a public set, told beside the first."""
    one, other = (scan.moods.has(ASIDE, *scan.moods.clause(f.end - 1)) for f in (fact, earlier))
    return one and not other and fact.unit == "fraction"


def _clause_end(scan: Scan, fact: Fact) -> int:
    return max(fact.end, scan.moods.sentence(fact.end - 1)[1])


def _without_retracted(scan: Scan, good: list[Fact]) -> list[Fact]:
    """Facts of a sentence that is taken back with nothing put in its place."""
    for match in RETRACTION.finditer(scan.text):
        if re.search(r"\bso\s*$", scan.before(match.start(), 4)):
            continue
        before = [f for f in good if f.end <= match.start()]
        after = [f for f in good if f.start >= match.start()]
        if before and not any(f.field == b.field for f in after for b in before):
            low, _ = scan.moods.sentence(before[-1].start)
            good = [f for f in good if not low <= f.start < match.start()]
    return good
