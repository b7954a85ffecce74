"""A value that the same message replaces, takes back, or gives twice."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from agent.reading import numbers
from agent.reading.bygone import NOT_THIS
from agent.reading.facts import Correction, Fact, Found
from agent.reading.scan import Scan, plain

FIRST_WINS = {"model_name", "gpu_type", "license", "purpose", "failure_cost", "comparator", "verifier", "benchmark"}
"""Said twice with different words, the first stands unless the message corrects it: the rest is elaboration."""

CORRECTION = re.compile(
    r"(?:\b(?:sorry|scratch that|scratch the|no,? wait|wait,? no|wait|correction|i meant|i mean|make (?:that"
    r"|it)|strike that|typo|actually|my (?:bad|mistake)|oops|forget (?:that|the|what i)|ignore (?:that|the)"
    r"|not \d[\d.,]*"
    r"|rather|err+|erratum|updated?|edit|fixed|instead of|should read|misread|misspoke|let me (?:check"
    r"|correct)|on second thought"
    r"|apologies|pardon|h[oa](?:ld|ng) on|no no|nope|not (?:correct|right)|incorrect)\b|(?:^|\n)[ \t]*\*(?=\d))",
)
CONTRAST = re.compile(
    r"\b(?:today|now|currently|at present|right now|so far|in (?:reality|fact|truth)|really|ours|mine"
    r"|the (?:current|actual|real|true|measured)(?: one| value| figure| number| rate| result| score| count| size)?"
    r"|(?:the |our |this )?(?:current|new|present) (?:base |base)?(?:model|checkpoint|run|set|split|base|one"
    r"|version|setup)"
    r"|not \d[\d.,]*\s?%?,? but|(?:we|they)(?:'?re| are| have| stand)"
    r"|(?:on|with) the (?:new|current|real|actual) (?:[\w-]+ )?(?:set|split|data|run|checkpoint|eval))\b"
)
REPLACES = re.compile(
    r"\b(?:signed off(?: on)?|approved|granted(?: us)?|allotted|allocated|awarded|(?:gave|give|gives|left) us|gets?|got"
    r"|received|ended up with|settled (?:on|for)|have|there(?:'s| is| are)|(?:re)?produced?|measured?|see|saw"
    r"|obtain(?:ed)?|comes? out|came out"
    r"|reach(?:ed)?|manage[d]?|observed?)\b"
    r"|\b(?:our|my)(?: own)? (?:\w+ )?(?:(?:of|on|with|over) (?:our |the )?(?:\d+ )?\w+ )?(?:says?|gives?|shows?"
    r"|finds?|yields?|runs? at)\b"
)
"""What gives a figure in place of one that was no fact: `they quoted 500 GPU hours, finance approved 300`."""
IT_IS = re.compile(r"\bit(?:'s| is| stands| sits)\b")
"""After a figure of another time: `last year 24%. Since the retrain it is 39%`."""
REFUSES = re.compile(
    r"(?:^|[\n.;!?,])\s*(?:no|nope|not (?:correct|right|quite|true)|incorrect|wrong|(?:that|this)(?:'s| is| was)"
    r" (?:wrong|not (?:right|correct)|outdated|old))[.,:;!-]+\s*"
    r"(?:(?:(?:it|that|they|ours|we)(?:'s| is| are|'re| have)|now|make (?:it|that))\s+)?(?:now |actually |only |just )?"
    r"(?:\d[\d.,]*\s*%?\s*(?:and|,)\s*)?$"
)
"""`Not correct. It is 480 and 61.5%`: what was said just before is put right, in the same order."""
LEADS = re.compile(
    r"[\s,:*-]*(?:(?:it|that|is|it's|its|should|be|the|actually|make|number|figure|value|rate|result|score|count|size"
    r"|read"
    r"|to|say|right|correct|one|i|meant|mean|wait|no|sorry|rather|at|stands|have|only|just|we|they|are"
    r"|we're|here|run|use|using|measured|yesterday|(?:on |this |last )?(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|this morning"
    r"|(?:on|with|for|over) (?:our|the|this)(?: own)?(?: \d+)?(?: held-?out| eval| test)?"
    r"(?: (?:problems|tasks|set|split|suite|data|one|side))?)\b[\s,:]*)*"
)
ALONE = re.compile(r"\s*(?:$|[.,;!)\n]|(?:though|but|and|instead|not|exactly|in total|total|overall)\b)")
RETRACTION = re.compile(
    r"\b(?:scratch that|strike that|ignore (?:that|the last|what i (?:just )?said)|forget (?:that"
    r"|what i (?:just )?said|i said))\b",
)
ASIDE = re.compile(
    r"\b(?:greedy|fwiw|for reference|humaneval|mbpp|livecodebench|lcb|bigcodebench|swe-?bench|evalplus)\b"
)


def rebound(scan: Scan, stated: list[Found], denied: list[Found], figures: list[Found]) -> list[Found]:
    """Bare figures that refer back, each with the field of the figure before it.

    `pass@1 is 43. no wait, 41` puts a fact right, so it needs one, or one that was denied; `our goal is 50%
    pass@1, today it is 44` sets a fact against a figure that was none, so any figure will do (figures); `they quoted
    500 GPU hours, we got 300` needs one that was not taken for a fact.
    """
    added = []
    for number in scan.numbers:
        if not _alone(scan, number) or not scan.free(number):
            continue
        if any(f.start <= number.start < f.end for f in figures):
            continue
        before = [f for f in _anchors(scan, number, stated, denied, figures) if f.end <= number.start and f.unit]
        if number.form == "percent":
            before = [f for f in before if f.unit == "fraction"]
        refused = REFUSES.search(scan.before(number.start, 60)) is not None
        for one in reversed(before) if refused else before[-1:]:
            if (value := revalued(one, number)) is not None:
                at = (number.start, number.end)
                added.append(replace(one, value=value, end=number.end, at=at, doubt=""))
                break
    return added


def _anchors(
    scan: Scan, number: numbers.Number, stated: list[Found], denied: list[Found], figures: list[Found]
) -> list[Found]:
    """The figures that a bare one may stand for, by the cue it comes after."""
    if _follows(scan, CORRECTION, number):
        return [*stated, *denied]
    shares = number.form == "percent"
    near = [f for f in figures if 0 <= number.start - f.end <= 80 and (f.unit == "fraction" or not shares)]
    if REFUSES.search(scan.before(number.start, 60)) or _follows(scan, CONTRAST, number):
        return near
    last = max(near, key=lambda f: f.end, default=None)
    if last is None or last in stated or scan.moods.asked(*last.at):
        return []
    goes_on = _follows(scan, REPLACES, number) or (last in denied and _follows(scan, IT_IS, number))
    return [last] if goes_on else []


def _follows(scan: Scan, cue: re.Pattern[str], number: numbers.Number) -> bool:
    """Whether a figure comes right after a cue, with nothing but small words between."""
    low = max(number.start - 60, scan.moods.sentence(number.start)[0])
    places = scan.moods.places(cue)
    index = bisect_left(places, (number.start + 1, 0)) - 1
    if index < 0 or places[index][0] < low:
        return False
    return LEADS.fullmatch(_without_names(scan, places[index][1], number.start)) is not None


def _without_names(scan: Scan, low: int, high: int) -> str:
    """A stretch with the names of models left out: `our current model, codegemma-7b, is at`."""
    text = scan.text[low:high]
    for start, end in reversed(scan.models):
        if low <= start and end <= high:
            text = text[: start - low] + text[end - low :]
    return text


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
    return numbers.count(number) if fact.unit == "count" else plain(number.value)


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
