"""Values that are named and not in force: denied, of an earlier time, or not there yet.

`We don't have A100s`, `the old baseline was at 22%`, `once the cluster lands we'll get B200s`: each names a thing that
the next words replace. Held apart from moods because such a value is said for certain; it is just not the one that
counts.
"""

from __future__ import annotations

import re
from typing import Literal

from agent.reading.facts import Found
from agent.reading.moods import NT, Kind
from agent.reading.scan import Scan

NAMED = ("gpu_type", "model_name", "license")
NOT_THIS = re.compile(
    r"\b(?:not|instead of|rather than|used to be|previously|formerly|up from|down from|no longer"
    rf"|old(?: value)?(?: was)?|{NT}|i said|disregard(?: the)?|forget(?: the)?|scratch(?: the)?"
    rf"|ignore(?: the)?)\s*(?:the |an? |at "
    r"|be |actually |around |just )?$",
)
NO_LONGER = re.compile(
    r"\s*(?:%|percent)?,?\s*(?:(?:(?:at )?pass@\d+ )?(?:(?:that |which )?(?:i|we) (?:gave|told|sent|mentioned"
    r"|quoted|wrote)"
    r"(?: you)? )?(?:was|were|is|are) (?:last|before|the old|previously|wrong|outdated|a typo|not right)|(?:on|with"
    r"|for|from) (?:the"
    r"|our) (?:old|previous|former|last))\b",
)
LONG_AGO = re.compile(r"\b(?:last (?:year|quarter)|(?:years?|months|quarters?) ago|back in|in 20[012]\d)\b")
NONE_OF = re.compile(
    r"\b(?:no (?:budget|money|quota|access|capacity|funds) (?:for|to)|no|without|neither|lack(?:s|ing)?|sold"
    r"|ditched|dropped|retired|replaced|got rid of|gave up|outgrew"
    rf"|(?:{NT}|(?:do|does|did) not|never|no longer|cannot|can not)(?: (?:currently|actually|really|even|yet|ever))?"
    r" (?:have|had|own|use|using|get|run|need|want|got|see|touch|afford|buy|rent|access|on)"
    r"|(?:mov|migrat|switch|upgrad)(?:ed|ing) (?:off|away from|from))"
    r"(?: (?:any|an?|the|our|enough|access to|hold of|to|more|single|\d{1,3} ?x?|[\w-]{2,12} (?:or|nor)))*\s+$"
)
NOT_THERE = re.compile(
    r"s?,?\s+(?:(?:is|are|was|were)(?:n'?t| not| no longer) (?:available|ours|an option|possible|affordable"
    r"|in (?:the|our)"
    r"|on the|allowed|there|here|for us|what)|(?:is|are) (?:gone|unavailable|out of|off the table|taken|sold out"
    r"|too))\b"
)
_THING = (
    r"(?:base(?:line)?|models?|checkpoint|cluster|gpus?|cards?|machines?|box|nodes?|server|(?:eval |test )?(?:set|split"
    r"|suite)|eval|runs?|version|setup|budget|allocation|grant|numbers?|results?|one|team|figure|project)"
)
OLD = re.compile(
    rf"\b(?:old|previous|former|prior|earlier|legacy|retired|abandoned|outgoing|last year's|last quarter's) "
    rf"(?:[\w-]+ ){{0,2}}?{_THING}\b(?! (?:too|as well))|\b(?:we|they|i|it) used to\b|\bbefore [\w ]{{2,16}}\b(?:we"
    rf"|i) (?:had|used|ran|were)\b|\bback then\b|\b(?:up to"
    rf"|until) (?:last|recently|yesterday)\b"
    rf"|\b(?:originally|previously|formerly)\b|\bbefore that\b"
)
NOW = re.compile(
    r"\b(?:now|current(?:ly)?|today|new|ours|this (?:one|time|year)|but|these days|at present|until then|for now"
    r"|meanwhile|at the moment|instead)\b"
)
SINCE = re.compile(rf"{NOW.pattern}|\b(?:we (?:have|got|use)|died|is gone|replaced by)\b")
NOT_YET = re.compile(
    r"\b(?:once|as soon as|when|after) (?:the|our|we|they|it|procurement|finance|it's|that|everything)\b[^.;,\n]{0,40}?"
    r"\b(?:lands?|arrives?|comes?(?! (?:to|down|out))|(?:is|are) (?:up|here|live|ready|delivered|in\b|approved"
    r"|available|online|built)"
    r"|ships?"
    r"|delivers?|delivered|gets? (?:here|delivered|approved)|goes live|signs? off|approves?|migrate|upgrade)\b"
    r"|\b(?:eventually|some ?day|on order|coming soon|later this year)\b"
)
ARRIVING = re.compile(r"\b(?:next (?:quarter|month|year)|in q[1-4]|by q[1-4]|after (?:christmas|summer|easter))\b")
WITHOUT_TIME = ("purpose", "failure_cost", "verifier", "languages", "comparator", "first_signal_days")


def not_in_force(scan: Scan, found: Found, kind: Kind) -> Literal["dropped", "target"] | None:
    """Whether the words around a value say that it does not hold, no longer, or not yet."""
    root = found.field.split(".")[0]
    if root == "comparator":
        return "dropped" if re.search(r"\b(?:not|isn't)\s*$", scan.before(found.at[0], 26)) else None
    if isinstance(found.value, bool) or root in WITHOUT_TIME[:-1]:
        return None
    if _denied(scan, found, root):
        return "dropped"
    if root == "first_signal_days":
        return None
    if _past(scan, found, kind, root):
        return "dropped"
    return "target" if kind in ("plan", "identity") and _to_come(scan, found, root) else None


def _denied(scan: Scan, found: Found, root: str) -> bool:
    low, high = found.at
    if NOT_THIS.search(scan.before(low, 26)) or NO_LONGER.match(scan.text, high):
        return True
    here = scan.text[max(low - 48, scan.moods.clause(low)[0]) : low]
    return root in NAMED and bool(NONE_OF.search(here) or NOT_THERE.match(scan.text, high))


def _past(scan: Scan, found: Found, kind: Kind, root: str) -> bool:
    """A reading or an amount of long ago, or of a thing that is called the old one."""
    at = found.at[0]
    if (kind == "measured" or root == "gpu_hours") and scan.moods.has(LONG_AGO, *scan.moods.clause(at)):
        return True
    first, _ = scan.moods.sentence(at)
    old = scan.moods.last(OLD, first, at)
    return old >= 0 and not SINCE.search(scan.text, old + 4, at)


def _to_come(scan: Scan, found: Found, root: str) -> bool:
    """A machine, a budget or a model that something else must happen for first."""
    at = found.at[0]
    first, _ = scan.moods.sentence(at)
    cues = [NOT_YET, ARRIVING] if root == "gpu_type" else [NOT_YET]
    last = max(scan.moods.last(cue, first, at) for cue in cues)
    return last >= 0 and not NOW.search(scan.text, last + 20, at)
