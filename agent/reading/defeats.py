"""What undoes a yes: the thing is named, and then said to have failed, to be gone, or to exist on paper only.

One list for every yes-or-no fact and the verifier. A defeat is a predicate of the thing itself (`the rollback script is
broken`, `contamination: failed`), so `12 problems failed the check` and `we roll back a broken model` are none.
"""

from __future__ import annotations

import re
from typing import Literal

Defeat = Literal["", "doubted", "denied"]

_PART = (
    r"(?:[\s'\"`*(_-]*(?:plan|strateg(?:y|ies)|path|procedure|scripts?|button|jobs?|story|mechanism|process"
    r"|polic(?:y|ies)"
    r"|option|check(?:s|ed|ing|er|ers)?|scan(?:s|ned|ner)?|audit(?:ed)?|filter(?:ing)?|runs?|pass|test(?:s|ing|ed)?"
    r"|suite"
    r"|pipeline|tool(?:s|ing)?|stuff|thing|discipline|retention|hygiene|setup|system|flow|feature|done)\b['\"`*)]*)*"
)
_LINK = (
    r"(?:[\s,:=;|(-]*(?:is|are|was|were|has|have|had|been|be|got|gets|keeps|went|but|and|which|that(?:'s)?|they(?:'re)?"
    r"|it(?:'s)?|all|both|currently|still|mostly|just|purely|basically|only|really|a|an|the|kind of|sort of|now|totally"
    r"|completely|quietly|pretty much|exists?|existed|somewhere|at the moment|these days|half of them|most of them|we|i"
    r"|then|since)\b|\.\s+(?=(?:it|they|that)\b))*[\s,:=;|(-]*"
)
_GONE = (
    r"(?:broken|broke\b|gone\b|dead\b|died\b|defunct|disabled|(?:turned|switched) off|commented out"
    r"|scrapped|abandoned|out of order|non-?existent|imaginary|fictional|a? ?(?:joke|myth|fairy ?tale|fantasy|lie)\b"
    r"|not a thing|used to (?:be|work|exist)\b"
    r"|used to\b(?=[^.;\n]*\b(?:but|until|now|since|before)\b)"
    r"|(?:(?:has|have|do|does|did|wo|ca)n'?t|not|no longer|never|stopped|quit) (?:really |actually |even )?work\w*)"
)
_UNREAL = (
    r"(?:theoretical|in theory|on paper|in principle|aspirational|hypothetical|nominal|in name only|supposed(?:ly)?"
    r"|allegedly|flaky|useless|garbage|unreliable|untested|never (?:tested|tried|used)|rusty|red (?:since|for)\b"
    r"|lives (?:in"
    r"|on) (?:an?|the|some|somebody's) (?:\w+ )?(?:wiki|doc\w*|slides?|ticket|backlog|readme|head|drawer)"
    r"|wishful|half-?(?:baked|built)|(?:meaning|as in)\b(?! (?:no|zero|nothing)\b)|skim\w*|eyeball\w*|glanced|means\b"
    r"|would\b|depends\b|involves\b|to be\b|meant to|due\b)"
)
_FAILED = (
    r"(?:fail(?:ed|s|ing|ure)?\b|crash\w*|abort\w*|stuck|hung\b|hangs\b|stalled|tim(?:ed|es|ing) out|killed|interrupted"
    r"|error(?:ed|s|ing)?\b|blew up|blows up|segfault\w*|incomplete|unfinished|gave up|given up|ran out|cancel\w*"
    r"|postponed|shelved)"
)
_UNDERWAY = (
    r"(?:running\b(?! (?:in ci|on (?:every|each)|every|before|after|nightly|daily))|in progress|ongoing|partial(?:ly)?"
    r"|half(?:way)?\b(?! of)|paused|queued|blocked|started\b|pending|scheduled)"
)
_OTHERS = (
    r"(?!\s+(?:ones?|runs?|models?|items?|problems?|rows?|samples?|tasks?|checkpoints?|builds?|deploys?|releases?|cases"
    r"|tests?|answers?|programs?))"
)
_TRUST = (
    r"[\s:=-]+(?:(?:is|are|was|means|called|amounts to|boils down to|consists of|relies on|to)\s+|(?<=[:=]\s))"
    r"(?:(?:basically|just|mostly|pretty much|a|an|to|mere|pure|our|more|or|less)\s+)*"
    r"(?:pray\w*|hop(?:e|ing)\b|luck\b|crossed fingers|fingers crossed|wish\w*)"
)
DENIED = re.compile(rf"{_PART}(?:{_LINK}{_GONE}{_OTHERS}|{_TRUST})")
DOUBTED = re.compile(rf"{_PART}(?:{_LINK}(?:{_UNREAL}|{_FAILED}){_OTHERS}|\s*(?:\.\.|…))")
UNDERWAY = re.compile(rf"{_PART}{_LINK}{_UNDERWAY}{_OTHERS}")
UNREAL = re.compile(rf"{_PART}{_LINK}{_UNREAL}{_OTHERS}")
BARELY = re.compile(
    r"\b(?:(?:tried to|supposed to|attempt(?:ed)? (?:to|at|an?)|failed to|unable to|gave up on"
    r"|meant to)\s+(?:\w+ ){0,3}"
    r"|(?:failed|so-called|supposed|theoretical|broken|failing|aborted|crashed|alleged|half-?finished)\s+)$"
)

HALFHEARTED = re.compile(
    r"[^.;\n]{0,40}?\b(?:sometimes|most of the time|now and then|occasionally|(?:when|if) (?:we|somebody|someone"
    r"|anyone)"
    r" (?:remembers?|feels?)|in the sense|sort of|kind of|more or less|with luck|(?:if|when) we(?:'re| are) lucky)\b"
)
"""Done, but not as a rule."""


def defeat(text: str, start: int, end: int) -> Defeat:
    """What the words around a thing make of it: plainly denied, in doubt, or nothing against it."""
    if DENIED.match(text, end):
        return "denied"
    if HALFHEARTED.match(text, end):
        return "doubted"
    return "doubted" if DOUBTED.match(text, end) or BARELY.search(text[max(0, start - 40) : start]) else ""


def underway(text: str, end: int) -> bool:
    """Whether a check was begun and is not said to be done."""
    return UNDERWAY.match(text, end) is not None


def unreal(text: str, end: int) -> bool:
    """Whether what judges answers is broken or stands on paper; that a test fails or times out is its work."""
    return bool(DENIED.match(text, end) or UNREAL.match(text, end))
