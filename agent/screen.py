"""Recognises the anti-patterns of SPEC section 11 in one message, offline.

`screen(text)` joins two readers: `screen_config` finds values that embody an anti-pattern, and a small encoder judges
what the language does with them (proposes, negates, quotes, asks). The findings are shown to the encoder as marks
inside the text, and a finding in a plain config adds a fixed bonus to its logit. Each flag has two thresholds: above
the higher one it is said, between the two it is asked about. Encoder, thresholds and bonus are fitted by
bench/fit_screen.py. A flag that is only suspected is never put as a fact: precision comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np

from agent import screen_config
from agent.screen_config import Finding
from agent.screen_encoder import MARKS, Encoder, FloatArray, clean
from tools.records import Fraction, Pattern, Record

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
MODEL = Path(__file__).with_name("screen_model.npz")

MOST_QUESTIONS = 2
LONGEST_QUOTE = 200
LONGEST_READ = 200_000
"""Characters; a longer message is a file that should have been attached, and only its head is read."""

HIGH_SHARE, LOW_SHARE, LOW_RANK, HIGH_RANK = MARKS[2:6]
_PLACE = {pattern: place for place, pattern in enumerate(PATTERNS)}
_FOUND = dict(zip(PATTERNS, MARKS[8:], strict=False))


class Flag(Record):
    """One anti-pattern, how sure the recogniser is, and the words of the message it rests on most."""

    pattern: Pattern
    score: Fraction
    words: str


class Screening(Record):
    """flags: confident, in the order of SPEC section 11. unsure: at most two, likeliest first, each worth asking."""

    flags: tuple[Flag, ...] = ()
    unsure: tuple[Flag, ...] = ()


def screen(text: str) -> Screening:
    """What the writer of the message proposes that SPEC section 11 refuses; same text, same answer.

    Time is bounded, below a second for any length: a message beyond some 5 kB is judged in windows at its head, at its
    tail and where `screen_config` found most between them; what lies beyond LONGEST_READ characters is not read.
    Raises FileNotFoundError where the model was not installed with the package.
    """
    text = clean(text[:LONGEST_READ])
    if not re.search(r"\w", text):
        return Screening()
    findings = screen_config.read(text)
    shown = marked(text, findings)
    reading = _model().read(shown)
    score = _settled(scores(_model(), reading.logits, findings), text)
    sure, doubt = _model().arrays["confident"], _model().arrays["unsure"]
    said = [i for i in range(len(PATTERNS)) if score[i] >= sure[i]]
    asked = [int(i) for i in np.argsort(-score, kind="stable") if doubt[i] <= score[i] < sure[i]][:MOST_QUESTIONS]
    words = {f.pattern: text[f.start : f.end] for f in reversed(findings)}
    told = _likeliest(shown, reading.evidence) if said or asked else []

    def flag(place: int) -> Flag:
        quote = words.get(PATTERNS[place]) or told[place]
        return Flag(pattern=PATTERNS[place], score=float(score[place]), words=quote.strip()[:LONGEST_QUOTE])

    return Screening(flags=tuple(map(flag, said)), unsure=tuple(map(flag, asked)))


# phrases whose sense does not hang on the rest of the message: drawing the pool from an evaluation set, or assuming a
# rate, unless the message denies or reports it; and a plain "do not assume". Each is narrow on purpose: a phrase that
# also fits right practice ("sample from prod logs; eval stays held out") would accuse with certainty
DRAWN = re.compile(
    r"\b(?:sampl|draw|tak|pull|reus|us|grab|borrow|feed)\w*\b[^.?!;,\n]{0,40}\b(?:prompts?|pool|problems|questions)\b"
    r"[^.?!;,\n]{0,30}\b(?:from|out of|off)(?:\s+(?:the|our|my|your|its|that|this|same|whole|full|public)){0,3}\s+"
    r"(?:(?:eval(?:uation)?|test|held-?out|holdout|benchmark)\s+(?:set|split|suite|data|prompts|problems|questions|file)"
    r"|humaneval|mbpp|livecodebench|lcb|benchmark)\b(?![^\n]*\?)",
    re.I,
)
ASSUMED = re.compile(
    r"(?:(?:^|[.!\n]\s*)|\b(?:just|simply|please|let['’]?s|let us|go ahead and)\s+(?:\w+\s+)?)(?:assume|pretend)\b"
    r"[^.?!;,\n]{0,30}(?:\bpass\s?@|\bp@|\bgap\b|\bbaseline\b)(?![^\n]*\?)",
    re.I,
)
REPORTED = re.compile(
    r"[\"“”>]|\b(?:said|says|saying|told|tells|asked|asks|suggest\w*|propos\w*|wants?|wanted)\b", re.I
)
DENIED = re.compile(
    r"\b(?:not|never|no|none|nobody|without|instead|rather|wrong|refuse\w*|avoid\w*|exclud\w*|forbid\w*|disjoint|apart|"
    r"cannot|leak\w*|different|separate\w*|removed?|bad|mistake|except|if|whether|rejected)\b|n['’]t\b",
    re.I,
)
ELSEWHERE = re.compile(
    r"\b(?:prompts?|pool|problems|questions)\b[^.?!;,\n]{0,20}\bfrom(?:\s+(?:the|our|my|real|last|old|internal)){0,3}\s+"
    r"(?:prod\w*|tickets?|logs?|forums?|github|gitlab|issues?|jira|users?|telemetry|customers?)\b",
    re.I,
)
NOT_ASSUMED = re.compile(r"\b(?:not|never|n['’]t|nothing|without|no)\s+(?:\w+\s+)?assum\w+", re.I)
SETTLING: tuple[tuple[re.Pattern[str], Pattern], ...] = ((DRAWN, "pool_from_eval"), (ASSUMED, "assumed_numbers"))


EXCUSING: tuple[tuple[re.Pattern[str], Pattern, re.Pattern[str] | None], ...] = (
    (NOT_ASSUMED, "assumed_numbers", None),
    (ELSEWHERE, "pool_from_eval", DRAWN),
)


def _settled(score: FloatArray, text: str) -> FloatArray:
    """The scores where a phrase settles them: certain, or worth no more than a question."""
    plain = not DENIED.search(text) and not REPORTED.search(text)
    for phrase, pattern in SETTLING:
        if plain and phrase.search(text):
            score[_PLACE[pattern]] = 1.0
    for phrase, pattern, unless in EXCUSING:
        if phrase.search(text) and not (unless and unless.search(text)):
            place = _PLACE[pattern]
            score[place] = min(score[place], _model().arrays["unsure"][place])
    return score


@lru_cache(maxsize=1)
def _model() -> Encoder:
    return Encoder.load(MODEL)


def scores(model: Encoder, logits: FloatArray, findings: list[Finding]) -> FloatArray:
    """One score per flag in 0..1, in the order of PATTERNS: the encoder's, raised where a config embodies the flag."""
    solid = {f.pattern for f in findings if f.solid}
    bonus = np.array([float(model.arrays["bonus"]) if p in solid else 0.0 for p in PATTERNS], np.float32)
    score: FloatArray = 1 / (1 + np.exp(-(logits + bonus)))
    return score


def _likeliest(shown: str, evidence: FloatArray) -> list[str]:
    """For each flag the sentence whose tokens add most to it."""
    sentences = _sentences(shown)
    ends = np.cumsum([len(_model().tokeniser.encode(s)) for s in sentences])
    sums = np.concatenate([np.zeros((1, len(PATTERNS)), np.float32), np.cumsum(evidence, axis=0)])[[0, *ends]]
    return [sentences[i].translate(_UNMARKED) for i in np.diff(sums, axis=0).argmax(axis=0)]


_END = re.compile(r"(?<=[.!?;])\s+|\n\s*")
_UNMARKED = {ord(mark): None for mark in MARKS}


def _sentences(text: str) -> list[str]:
    """The text cut after sentences and lines; joined again it is the text, and its tokens are those of the pieces."""
    cuts = [0, *(found.end() for found in _END.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def marked(text: str, findings: list[Finding]) -> str:
    """The text as the encoder reads it: each finding, share and rank is followed by a mark that says what it is."""
    out, last = [], 0
    for at, mark in sorted([*_number_marks(text), *((f.end, _FOUND[f.pattern]) for f in findings)]):
        out += [text[last:at], mark]
        last = at
    return "".join([*out, text[last:]])


_SPELT = {"four": 4, "five": 5, "eight": 8, "ten": 10, "twelve": 12, "fifteen": 15, "sixteen": 16, "twenty": 20}
_SPELT |= {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_WORDS = "|".join(sorted(_SPELT, key=len, reverse=True))
_SHARE = re.compile(
    rf"(?<![\d.])(\d{{1,3}}(?:\.\d+)?|\b(?:{_WORDS}))\s?(?:%|percent\b|per cent\b|pct\b)", re.IGNORECASE
)
_FRACTION = re.compile(r"(?<![\d.])(0?\.\d{1,4})(?![\d.]*\d)")
_RANK = re.compile(
    r"\b(?:rank|lora)(?:[ _-]?(?:rank|r|dim))?(?:\s?[=:]\s?|\s+of\s+|[ -]?)(\d{1,4})\b|\br\s?[=:]\s?(\d{1,4})\b"
    r"|\br[ ]?(4|8|16|32|64|128|256)\b"
    rf"|\brank[ -](?:of )?({_WORDS})\b",
    re.IGNORECASE,
)


def _number_marks(text: str) -> Iterator[tuple[int, str]]:
    for found in _SHARE.finditer(text):
        yield found.end(), HIGH_SHARE if _number(found[1]) > 100 * screen_config.HEAVIEST_MIX else LOW_SHARE
    for found in _FRACTION.finditer(text):
        yield found.end(), HIGH_SHARE if float(found[1]) > screen_config.HEAVIEST_MIX else LOW_SHARE
    for found in _RANK.finditer(text):
        rank = _number(next(group for group in found.groups() if group))
        yield found.end(), LOW_RANK if rank < screen_config.LOWEST_UNPILOTED_RANK else HIGH_RANK


def _number(said: str) -> float:
    return float(_SPELT.get(said.lower(), said))
