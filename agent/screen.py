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
    score = scores(_model(), reading.logits, findings, shown)
    sure, doubt = _model().arrays["confident"], _model().arrays["unsure"]
    said = [i for i in range(len(PATTERNS)) if score[i] >= sure[i]]
    asked = [int(i) for i in np.argsort(-score, kind="stable") if doubt[i] <= score[i] < sure[i]][:MOST_QUESTIONS]
    words = {f.pattern: text[f.start : f.end] for f in reversed(findings)}
    told = _likeliest(shown, reading.evidence) if said or asked else []

    def flag(place: int) -> Flag:
        quote = words.get(PATTERNS[place]) or told[place]
        return Flag(pattern=PATTERNS[place], score=float(score[place]), words=quote.strip()[:LONGEST_QUOTE])

    return Screening(flags=tuple(map(flag, said)), unsure=tuple(map(flag, asked)))


# to assume a rate: a phrase whose sense does not hang on the rest of the message, unless that denies or reports it
ASSUMED = re.compile(
    r"(?:(?:^|[.!\n]\s*)|\b(?:just|simply|please|let['’]?s|let us|go ahead and)\s+(?:\w+\s+)?)(?:assume|pretend)\b"
    r"[^.?!;,\n]{0,30}(?:\bpass\s?@|\bp@|\bgap\b|\bbaseline\b)\s?\d*[^.?!;,\n]{0,30}\d(?![^\n]*\?)",
    re.I,
)
REPORTED = re.compile(
    r"[\"“”>]|\b(?:said|says|saying|told|tells|asked|asks|suggest\w*|propos\w*|wants?|wanted)\b", re.I
)
DENIED = re.compile(
    r"\b(?:not|never|no|none|nobody|without|instead|rather|wrong|refuse\w*|avoid\w*|cannot|bad|mistake|except|if|whether"
    r"|rejected)\b|n['’]t\b",
    re.I,
)

_N = r"[^.?!\n]"
_PHRASES: tuple[tuple[Pattern, str], ...] = (
    ("always_ssd", r"(?:not|n['’]t|nobody|hardly)\s+(?:\w+\s+)?(?:believe|claim|think|say|proven|convinced|know)\b"),
    ("always_ssd", r"(?:doubt|may or may not|is it true|whether)\b"),
    (
        "same_set_eval",
        rf"(?:not|never|n['’]t)\s+(?:\w+\s+)?(?:evaluat\w*|test|report|score|measure)\b{_N}{{0,30}}\btrain",
    ),
    (
        "skip_passk",
        r"(?:still|first|already|will|want|must|always)\s+(?!not\b)(?:\w+\s+)?(?:measure|draw|run|compute|sample)\w*\b",
    ),
    (
        "skip_passk",
        rf"(?:pass ?@ ?(?:8|16|k)|k\s?=\s?(?:4|8|16))\b{_N}{{0,30}}\b(?:measured|done|running|before|first)\b",
    ),
    ("blurred_filtering", r"(?:verifier[- _]aware|va[- ]arm|own (?:arm|column)|separate arm)"),
    (
        "skip_safety_probe",
        r"(?:safety|refusals?|harmful)\b[^.?!,;\n]{0,30}\b(?:stays?|kept|doubled|ready|included|sealed|hashed)\b",
    ),
    ("promote_round2", rf"gates?\b{_N}{{0,20}}\b(?:failed|fails|closed|passed|green|said no|refused)\b"),
    ("promote_round2", rf"(?:fail(?:ed|s|ing)|pass(?:ed|es)|has to pass|until|through)\b{_N}{{0,20}}\bgates?\b"),
    ("promote_round2", rf"round[- ]?(?:1|one)\b{_N}{{0,20}}\b(?:stays|remains|ships?|keeps)\b"),
    ("assumed_numbers", r"(?:not|never|n['’]t|nothing|without|no)\s+(?:\w+\s+)?assum\w+"),
    (
        "pool_from_eval",
        rf"(?:prompts?|pool|problems|questions)\b{_N}{{0,20}}\bfrom(?:\s+(?:the|our|my|real|last|old|internal)){{0,3}}\s+"
        r"(?:prod\w*|tickets?|logs?|forums?|github|gitlab|issues?|jira|users?|telemetry|customers?|support)\b",
    ),
    (
        "skip_battery",
        rf"(?:no|not|never|nobody|n['’]t)\b{_N}{{0,25}}\b(?:tolerances?|thresholds?|levels?)\b{_N}{{0,25}}\b(?:after|once)\b",
    ),
    (
        "ship_without_rollback",
        rf"(?:old|previous|last|base)\b{_N}{{0,30}}\b(?:weights?|checkpoints?|models?|files|ckpt|version)\b{_N}{{0,30}}"
        r"\b(?:stays?|kept|remains?|retained|warm|(?:not|never)\s+(?:\w+\s+)?(?:deleted|removed|overwritten))\b",
    ),
    (
        "ship_without_rollback",
        r"(?:not|never|n['’]t|nobody)\s+(?:\w+\s+){0,2}(?:overwrites?|ships?|deploy\w*|goes? live|delete\w*)\b",
    ),
    (
        "ship_without_rollback",
        rf"(?:rollback|rolling back|flip)\b{_N}{{0,25}}\b(?:tested|drill\w*|rehearsed|one flag|one flip|tried)\b",
    ),
)
_ONLY_LOW = re.compile(
    rf"\A(?!.*(?:{HIGH_SHARE}|{_FOUND['heavy_mix']}|\b(?:half|third|quarter|most|majority|double|equal|\d+[:/]\d+)\b))"
    rf".*{LOW_SHARE}",
    re.I | re.S,
)
EXCUSING: tuple[tuple[Pattern, re.Pattern[str]], ...] = (
    ("heavy_mix", _ONLY_LOW),
    *((pattern, re.compile(rf"(?:\b|(?=n['’]t\b)){phrase}", re.I)) for pattern, phrase in _PHRASES),
)
"""Right practice in words that the flags share. Where one of these stands in the corpus, its flag is right in one
message of a hundred, so it is neither said nor asked, unless OVERRIDING takes the excuse back."""
EXCUSED = 0.05
OVERRIDING = re.compile(
    r"\b(?:anyways?|regardless|nevertheless|nonetheless|all the same|even so|despite|in spite|plus|for now)\b"
    rf"|\b(?:but|then)\b{_N}{{0,40}}\b(?:ship|push|promot|skip|drop|delet|deploy|overwrit)\w*"
    r"|(?<!not )(?<!never )(?<!n't )\bskip(?:ping)?\s+(?:the\s+)?(?:pass ?@|battery|prob|safety)"
    r"|\balways (?:helps?|works?)\b",
    re.I,
)


@lru_cache(maxsize=1)
def _model() -> Encoder:
    return Encoder.load(MODEL)


def scores(model: Encoder, logits: FloatArray, findings: list[Finding], shown: str) -> FloatArray:
    """One score per flag in 0..1, in the order of PATTERNS.

    The encoder's, raised where a config embodies the flag, and overruled where a phrase of the marked text settles it.
    """
    solid = {f.pattern for f in findings if f.solid}
    bonus = np.array([float(model.arrays["bonus"]) if p in solid else 0.0 for p in PATTERNS], np.float32)
    score: FloatArray = 1 / (1 + np.exp(-(logits + bonus)))
    if not OVERRIDING.search(shown):
        for pattern, phrase in EXCUSING:
            if phrase.search(shown):
                score[_PLACE[pattern]] = min(score[_PLACE[pattern]], EXCUSED)
    if ASSUMED.search(shown) and not DENIED.search(shown) and not REPORTED.search(shown):
        score[_PLACE["assumed_numbers"]] = 1.0
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
