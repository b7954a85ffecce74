"""What a line holds that matters to a rate: every k, slice, round and figure, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from agent.reading.numbers import TENS, UNITS, Number, ratio, spoken
from agent.reading.scan import Spans

_UNIT, _TEN = "|".join(sorted(UNITS, key=len, reverse=True)), "|".join(TENS)
_WORD = rf"(?:(?:{_TEN})(?:[ -](?:{_UNIT})\b)?|{_UNIT})\b"
_ONE_K = rf"(?:\d{{1,4}}|{_WORD})(?![\d.]*[\d%])(?!\s+per ?cent)(?![ -](?:{'|'.join(UNITS)}|point)\b)"
_LIST = rf"[{{\[(]?\s*{_ONE_K}(?:\s*(?:,|/|and|&|\||;)+\s*(?:@\s?)?{_ONE_K})*\s*[}}\])]?"
PASS = re.compile(
    rf"\b(?:pass|p|acc)\s?(?:@|\^|-at-|_at_|\bat\b|-@)\s?(?:k\s*(?:for|with|at|where|,|\("
    rf"|\[)?\s*\(?\s*(?:k\s*)?(?:=|in|equals|of|is|:)?\s*)?(?P<ks>{_LIST})"
    rf"|\bpass(?P<glued>1|4|8|10|16|32|64|100)\b(?!\s*(?:%|of))",
)
PASS_ONCE = re.compile(
    r"\b(?:(?:on|at|in) (?:the |our |its )?(?:very )?first (?:try|attempt|shot|go|sample|draw)|first[- ](?:try"
    r"|attempt|shot|go)(?: (?:pass|success|solve|accuracy))?(?: ?rate)?"
    r"|single[- ](?:sample|attempt|shot|try) (?:pass|success|solve|accuracy)(?: ?rate)?|one[- ]shot (?:pass"
    r"|success|solve) rate"
    r"|with (?:one|a single|1) (?:try|attempt|sample|shot)|in (?:one|a single|1) (?:try|attempt|sample|shot|go))\b",
)
WEAK = re.compile(
    rf"(?<![\w@])@\s?(?P<a>{_ONE_K})"
    rf"|\bat (?:k ?= ?)?(?P<b>{_ONE_K})(?=\s*(?:[,.;:)/|\n]|(?:and|is|was|on|for|in)\b|$))"
    rf"|\bk\s*(?:=|equals|is)\s*(?P<c>{_LIST})"
    rf"|\b(?:with|in|within|over|after|given|across|out of) (?P<d>{_ONE_K}) (?:tries|attempts|shots|guesses|goes)\b",
)
_NAMES = (
    r"easy|easier|medium|mid|moderate|intermediate|hard|harder|hardest|difficult|introductory|interview"
    r"|competition|beginner|advanced|expert"
)
_SOURCES = r"codeforces|atcoder|leet ?code|codechef|hackerrank|topcoder|usaco|icpc|aizu|kattis"
SLICE = re.compile(
    rf"(?<![\w-])(?P<name>(?:very[- ])?(?:{_NAMES})|overall|(?:in )?total|aggregate|combined|altogether"
    rf"|all problems|whole set|full set)(?![\w-])"
    rf"(?:\s+(?:slice|split|subset|bucket|tier|bin|part|half|portion|ones|problems|tasks|questions|set))?"
    rf"|(?<![\w-])(?P<source>{_SOURCES})(?=\s*(?:[:(=]|slice|split|subset|\|))(?:\s+(?:slice|split|subset))?"
    rf"|\b(?:slice|split|subset|bucket|tier)\s+['\"`]?(?P<after>[a-z][\w-]*)['\"`]?(?=\s*[:(=,])"
    rf"|(?<![\w-])['\"`]?(?P<before>[a-z][\w-]+)['\"`]?\s+(?:slice|bucket|tier|stratum)\b",
)
BY_LANGUAGE = re.compile(
    r"\b(?:for|on|in) (?:the )?(?P<name>python|java|javascript|typescript|kotlin|rust|go|c\+\+|c#|ruby|php|swift"
    r"|scala|sql)"
    r"(?![\w+#])(?: (?:slice|problems|tasks|part|half|subset))?"
)
"""`for Java 38%, for Kotlin 50%`: languages are slices where at least two are told apart so."""
WHOLE = re.compile(r"overall|total|aggregate|combined|altogether|all problems|whole set|full set")
NOT_SLICES = {
    "the",
    "a",
    "each",
    "every",
    "per",
    "this",
    "that",
    "one",
    "our",
    "no",
    "any",
    "difficulty",
    "which",
    "by",
    "of",
    "and",
    "other",
    "largest",
    "same",
}
ROUND = re.compile(
    r"\b(?:(?:round|iteration|iter|r|rd)[ _-]?(?P<digit>[12])(?![\d.,]*\d)|(?:round"
    r"|iteration)[ -](?P<spoken>one|two)|(?P<ordinal>first|second|1st|2nd) (?:ssd )?(?:round|iteration)"
    r"|(?P<single>one|a single|1) (?:ssd )?round(?= of\b|\b(?=.{0,12}\bssd))|after (?P<after_one>one) round"
    r"|(?P<tuned>after (?:the )?(?:ssd|self[- ]?distillation"
    r"|fine-?tuning|training|tuning)|post-?ssd"
    r"|(?:ssd|self-?distilled|distilled|tuned) (?:model|checkpoint|one|version))"
    r"|(?P<base>(?:before|base(?:line)?|base model|untuned|original|pre-?ssd|starting point|round[ _-]?(?:0|zero))))\b",
)


NOT_A_RATE = re.compile(
    r"\s*-?(?:%? ?c\.?i\b|%? ?conf\w*|x\s?(?:\d|[a-z])|x\b|(?:(?!on\b|in\b|of\b|for\b|at\b|with\b|and\b"
    r"|the\b|over\b|from\b|pass)[\w-]{1,30} ){0,3}?(?:problems?|probs?|tasks?|questions?"
    r"|samples?|completions?|generations?|gpus?\b|gpu-?h\w*|hours?|hrs?|h\b|days?|weeks?|months?"
    r"|people|persons?|engineers?|tokens?|params?|parameters|years?|items?|tries|attempts|prompts?|draws"
    r"|rollouts|[abhltv]\d{2,3}\b|of us|languages|nodes?|epochs?|rounds?|seeds?|runs?|shots?|minutes?|seconds?"
    r"|ms\b|cores?|usd|dollars|eur))",
)
RATE_AFTER_CUE = re.compile(
    r"(?:\bn ?[=:]? ?|\bn is |±|\+/- ?|\+|\$|€|\btemp(?:erature)?\b[ =:]*(?:of |is |at |to )?|\bt ?[=:] ?"
    r"|top[-_ ]?[pk][ =:]*|\bseeds?[ =:]*|\bversion |\bv|#|\blr[ =:]*|learning rate(?: of)?[ =:]*|\["
    r"|\bci\b[: ]*|\bstep |\bk ?[=:] ?|within |threshold(?: of| is)? ?)$",
)


OTHER_PERCENT = re.compile(
    r"\s*(?:ci\b|conf|of (?:the )?(?:budget|time|data|mix)|mix|dropout|off\b|more|less|faster|cheaper)"
)


MOST_MARKS = 120
"""No line a person writes holds more; what follows is read as a line of its own."""


@dataclass(slots=True)
class Mark:
    """Something on a line that matters to a rate."""

    kind: str
    start: int
    end: int
    ks: tuple[int, ...] = ()
    name: str = ""
    number: Number | None = None
    rates: list[Mark] = field(default_factory=list)
    k: int | None = None
    cue: Mark | None = None
    scope: str | None = None


def lines(text: str, marks: list[Mark]) -> Iterator[list[Mark]]:
    """The marks of each line, in order."""
    line: list[Mark] = []
    for mark in marks:
        if line and ("\n" in text[line[-1].end : mark.start] or len(line) >= MOST_MARKS):
            yield line
            line = []
        line.append(mark)
    if line:
        yield line


def k_values(words: str) -> tuple[int, ...]:
    """The k of a list such as `{1, 4, 8, 16}` or `one`."""
    each = re.findall(rf"\d+|{_WORD}", words)
    return tuple(int(w) if w.isdigit() else int(spoken(w)) for w in each)


def marks_of(text: str, numbers: list[Number], taken: Spans) -> Iterator[Mark]:
    """All marks of a normalised text, in no order. taken: spans without rates (names, units, tables)."""
    spans = taken.copy()
    for match in PASS.finditer(text):
        ks = k_values(match["ks"] or match["glued"])
        if ks and all(1 <= k <= 2048 for k in ks):
            spans.add(*match.span())
            yield Mark("k", *match.span(), ks=ks)
    for match in PASS_ONCE.finditer(text):
        spans.add(*match.span())
        yield Mark("k", *match.span(), ks=(1,))
    for match in WEAK.finditer(text):
        if not spans.overlaps(*match.span()):
            spans.add(*match.span())
            yield Mark("k", *match.span(), ks=k_values(next(g for g in match.groups() if g)), name="weak")
    for match in SLICE.finditer(text):
        name = match["name"] or match["source"] or match["after"] or match["before"]
        if name not in NOT_SLICES and not taken.overlaps(*match.span()):
            yield Mark("slice", *match.span(), name="" if WHOLE.search(name) else name.replace(" ", "_"))
    spoken = [m for m in BY_LANGUAGE.finditer(text) if not taken.overlaps(*m.span())]
    for match in spoken if len({m["name"] for m in spoken}) > 1 else []:
        yield Mark("slice", *match.span(), name=match["name"])
    for match in ROUND.finditer(text):
        spans.add(*match.span())
        yield Mark("round", *match.span(), name=_round(match))
    for number in _joined(text, numbers):
        if not spans.overlaps(number.start, number.start + 1) and _may_be_rate(text, number):
            yield Mark("rate", number.start, number.end, number=number)


def _joined(text: str, numbers: list[Number]) -> Iterator[Number]:
    """The numbers, with `96 out of 240` as one."""
    skip = -1
    for number, after in pairwise([*numbers, None]):
        if number is None or number.start < skip:
            continue
        share = ratio(text, number, after) if after else None
        skip = share.end if share else skip
        yield share or number


def _round(match: re.Match[str]) -> str:
    if match["base"]:
        return ""
    if match["tuned"]:
        return "tuned"
    which = match["digit"] or match["spoken"] or match["ordinal"] or "1"
    return "round2" if which in ("2", "two", "second", "2nd") else "round1"


def _may_be_rate(text: str, number: Number) -> bool:
    if number.form == "points" or number.scale or number.value > 100:
        return False
    counted = NOT_A_RATE.match(text, number.end) if number.form == "plain" else None
    if counted and not (number.value < 1 and re.match(r"\s*\n|\s+-{1,2}\s", counted[0])):
        return False
    if number.form == "percent" and OTHER_PERCENT.match(text, number.end):
        return False
    return RATE_AFTER_CUE.search(text[max(0, number.start - 24) : number.start]) is None
