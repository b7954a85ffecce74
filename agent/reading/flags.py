"""Yes-or-no facts: rollback, checkpoint discipline, held-out blocker, disjointness, same decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.defeats import defeat
from agent.reading.facts import Found
from agent.reading.moods import NT
from agent.reading.scan import Scan

NO_BEFORE = re.compile(
    rf"\b(?:no|not|without|never|lacks?|lacking|missing|cannot|can ?not|nobody|none|neither|nor|zero|absent"
    rf"|skip(?:ped)?"
    rf"|forgot|forget|yet to|dropped|nothing|{NT})\b[^,.;:\n]{{0,40}}$"
)
NO_AFTER = re.compile(
    r"[\"'`*]*\s*(?:(?:plan|path|procedure|story|mechanism|option|check\w*|discipline|blocker|is|was|has|been|are"
    r"|have|:|="
    r"|\||-|>|done|status|state|currently|still|yet|at all|possible)\s*)*[\"'`*]*"
    rf"(?:(?:no|not|nope|nah|n/?a|open|0|none|never|false|{NT})\b|missing|pending|todo|to do|outstanding|unknown"
    r"|in progress|absent|impossible|unchecked|nonexist\w*|non-exist\w*|skipped|x\b(?! \w)|❌)"
)
_WEIGHTS = r"(?:checkpoints?|ckpts?|weights)"
_KEEP = (
    r"(?:keep|kept|sav(?:e|ed|es|ing)|stor(?:e|ed|es)|archiv\w+|version(?:ed|ing)?|retain\w*|preserv\w+|track\w*"
    r"|tag(?:ged|ging)?|snapshot\w*|backup|back up)"
)
_KEPT = (
    r"(?:kept|saved|stored|archived|versioned|retained|tagged|immutable|tracked|hashed|never deleted|backed up"
    r"|under version|registry|go(?:es)? (?:in)?to|(?:pushed|uploaded|copied|synced) to)"
)
_LOSE = r"(?:overwrit\w+|delet\w+|throw\w* away|discard\w*)"
_LOST = r"(?:overwritten|deleted|thrown away|discarded|lost)"
_ANSWER = r"(?:yes|yeah|yep|no|nope|nah|true|false|every|all|none|ok|daily|versioned|kept)"
_EVALUATION = r"(?:held[- ]?out|eval(?:uation)?|test|benchmark)"
_POOL = r"(?:pool|prompts)"
_THE = r"(?:the |any |our )?(?:prompt |training |sampling )*"
_APART = r"(?:are|have) (?:two |entirely |completely )?(?:separate|distinct|different|nothing in common)\b"
_KEPT_OUT = (
    r"(?:ke(?:pt|ep|eping)|left|leav(?:e|ing)|remov(?:e|ed|ing)|filter(?:ed|ing)?|exclud(?:e|ed|ing)|drop(?:ped|ping)?)"
)
FLAGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "has_rollback",
        re.compile(
            r"\b(?:has_)?roll(?:ing|ed)?[- ]?backs?\b|\brevert(?:ed|ing|s)?\b(?! commit)|\bback ?out plan\b"
            r"|\b(?:flip(?:ping|ped|s)?|switch(?:ing|ed)?) (?:it )?back\b|\b(?:way|path) back\b"
            r"|\bgo(?:ing)? back to the (?:old|previous|last) (?:model|checkpoint|weights|version)\b"
            r"|\bundo\b(?= (?:a |the )?(?:deploy|release|rollout))"
        ),
    ),
    (
        "has_checkpoint_discipline",
        re.compile(
            rf"\b(?:has_)?checkpoint(?:s|ing)?[ _-]?(?:discipline|retention|versioning|hygiene|archiv\w+)\b"
            rf"|\b{_WEIGHTS}(?:, we (?:keep|save|store|version|archive)| (?:are )?(?:all )?in (?:s3|gcs|the registry"
            rf"|git|dvc))\b"
            rf"|\b{_KEEP}\b[^.;,\n]{{0,40}}\b{_WEIGHTS}\b|\b{_WEIGHTS}\b[^.;,\n]{{0,30}}\b{_KEPT}\b"
            rf"|\bcheckpoint(?:s|ing)? (?:every|each|per|after)\b[^.;\n]{{0,40}}\b{_KEEP} (?:all|every|each|them)\b"
            rf"|\b{_LOSE}\b[^.;,\n]{{0,30}}\b{_WEIGHTS}\b|\b{_WEIGHTS}\b[^.;,\n]{{0,45}}\b{_LOST}\b"
            rf"|\b(?:ckpts?|checkpoint(?:s|ing)?)(?=[\"'`]?\s*(?::|=)\s*{_ANSWER})"
        ),
    ),
    (
        "has_heldout_blocker",
        re.compile(
            r"\bheld[- _]?out[ _-](?:blocker|gate)\b|\bhas_heldout_blocker\b"
            r"|\b(?:release|deploy\w*|merge|promotion|ship\w*|ci)[ -](?:blocker|gate)\b"
            r"|\bheld[- _]?out\b[^.;\n]{0,40}\bblocks?\b"
            r"|\bblocks? (?:the |a |any |every |bad )?(?:bad )?(?:release|deploy\w*|rollout|merge|promotion)s?\b"
        ),
    ),
    (
        "heldout_disjoint_from_pool",
        re.compile(
            r"\bdisjoint\b|\bno overlap (?:with|between)\b|\b(?:do|does)(?:n'?t| not) overlap\b"
            r"|\bheldout_disjoint_from_pool\b"
            rf"|\b(?:separate|apart|distinct) from {_THE}(?:{_POOL}|set|data|{_EVALUATION})\b"
            rf"|\b(?:{_POOL} and {_THE}{_EVALUATION}|{_EVALUATION}(?: set)? and {_THE}{_POOL})\b(?: \w+)? {_APART}"
            r"|\bshares? (?:nothing|no (?:problems?|prompts?|items?|tasks?|examples?))\b"
            rf"|\b{_KEPT_OUT} [^.,;\n]{{0,20}}\b{_EVALUATION}\b[^.,;\n]{{0,20}} (?:out of|from) {_THE}{_POOL}\b"
            rf"|\b{_EVALUATION}\b[^.,;\n]{{0,30}}\bin {_THE}{_POOL}\b"
            rf"|\bpool excludes? [^.,;\n]{{0,20}}\b{_EVALUATION}\b"
            r"|\boverlaps? with (?:the |our )?(?:prompt |training )*pool\b"
        ),
    ),
    (
        "same_decoding_for_all_k",
        re.compile(
            r"\b(?:the )?same (?:decoding|sampling settings|settings|temperature|decode settings|generation config)\b"
            r"(?:[^.;\n]{0,40}\b(?:every|all|each|both|across|throughout)\b)?|\bsame_decoding_for_all_k\b"
            r"|\bdifferent (?:decoding|temperatures?|settings) (?:for|per|at) (?:each|every|the|different)\b"
        ),
    ),
)
NAMES = [name for name, _ in FLAGS]
REVERSED = re.compile(rf"\b(?:{_LOSE}|{_LOST}|overlaps with|different (?!sets)|in (?:\w+ )*?(?:pool|prompts))\b")
DENIED = re.compile(rf"\b(?:not|never|no|{NT})\b")
NONE_OF_IT = re.compile(r"\b(?:don'?t|doesn'?t|do not|haven'?t) (?:have|got) (?:one|any|it|that)\b")
PRO_NEGATION = re.compile(
    rf"\b(?:never (?:been )?(?:{_LOSE}|{_LOST})|no overlap|shares? no(?:thing)?|nothing in common"
    rf"|(?:do|does)(?:n'?t| not) overlap|not? (?:problem|issue|trouble))\b"
)
NEEDED = re.compile(
    r"\b(?:needs?|require|should|must|want|lets?|please(?! (?:be aware|note|know))|build|set up|add|write"
    r"|design)\b[^,.;\n]{0,24}$"
)


def flags(scan: Scan) -> Iterator[Found]:
    """Yes-or-no facts: rollback, checkpoint discipline, held-out blocker, disjointness, same decoding."""
    for name, pattern in FLAGS:
        for match in pattern.finditer(scan.text):
            value, negative = _said(scan, match)
            undone = defeat(scan.text, *match.span()) if value and not negative else ""
            if undone == "doubted":
                continue
            if undone:
                value, negative = False, True
            before = scan.text[scan.moods.clause(match.start())[0] : match.start()]
            wanted = value and not negative and NEEDED.search(before)
            yield Found(name, value, "", *_stretch(scan, match, negative), match.span(), "target" if wanted else "")


def _said(scan: Scan, match: re.Match[str]) -> tuple[bool, bool]:
    """What the words of a flag say, and whether they say it by a negation."""
    negative = _negative(scan, match)
    low, high = scan.moods.clause(match.start())
    value = negative is bool(REVERSED.search(match[0]))
    if NONE_OF_IT.search(scan.sentence(match.start())):
        value, negative = False, True
    if PRO_NEGATION.search(scan.text, low, max(high, match.end())):
        value = True
    return value, negative


def _negative(scan: Scan, match: re.Match[str]) -> bool:
    """Whether a negation stands before, after or inside the words of a flag, within its clause."""
    before = scan.text[scan.moods.clause(match.start())[0] : match.start()]
    return bool(NO_BEFORE.search(before) or NO_AFTER.match(scan.text, match.end()) or DENIED.search(match[0]))


def _stretch(scan: Scan, match: re.Match[str], negative: bool) -> tuple[int, int]:
    """The words of a flag: with its negation, so that the words alone read back to the same value."""
    low, high = scan.moods.clause(match.start())
    if not negative:
        tail = re.match(
            r"[\"'`]?\s*[:=|]\s*[\"'`]?(?:yes|yeah|yep|true|done|ok|y)\b", scan.text[match.end() : match.end() + 14]
        )
        return match.start(), match.end() + (tail.end() if tail else 0)
    text = scan.text[low:high]
    return low + len(text) - len(text.lstrip()), max(match.end(), low + len(text.rstrip(" ,;.\n")))
