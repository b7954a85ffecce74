"""What takes the certainty from a figure after it was given: `43%, roughly`, `200  # not built yet`, `43%. Unverified.`

An afterthought is a run of words with nothing in it but the doubt: after a comma, a bracket, a dash, a comment sign or
a full stop, up to the end of its clause. A clause that says something of its own (`43%, maybe 60% at 8`) is none.
"""

from __future__ import annotations

import re

_LEAD = r"(?:[,(\[#]|//|(?<=\s)-{1,2}(?=\s)|\.{3})\s*"
_SMALL = (
    r"(?:(?:but|and|though|or|well|only|just|very|quite|still|all|really|that(?:'s|'re| is)|this is|it(?:'s| is)"
    r"|which is|is|are|a|an|as|the|my|our|these are|those are|both|pretty|mostly|currently|more|so)\s+)*"
)
_STRONG = (
    r"(?:give or take|plus or minus|plus/minus|more or less|un(?:verified|confirmed|validated|official|tested)"
    r"|not (?:yet )?(?:fully |properly |independently )?(?:verified|confirmed|final|finali[sz]ed|certain|sure|reliable"
    r"|validated|double-?checked|to be trusted|set in stone)"
    r"|(?:never|yet to be) (?:verified|confirmed|validated|double-?checked)|waiting (?:for|on)|awaiting|pending"
    r"|(?:needs?|needs? to|have to|must) (?:be )?(?:re-?check\w*|re-?run\w*|confirm\w*|verif\w+|double-?check\w*)"
    r"|to be (?:confirmed|verified)|subject to|placeholder|dummy|made[- ]up|invented|ballpark|from memory"
    r"|guess(?:work|timate|ed|ing)?|educated guess"
    r"|rough(?:ly)? (?:estimates?|figures?|numbers?|guess\w*|count|speaking)|eyeballed|estimated?|provisional|tentative"
    r"|(?:stale|outdated|out of date)|allegedly|supposedly|presumably|hearsay|don't quote|do not quote|take it with"
    r"|with a grain|unless|if i (?:recall|remember)"
    r"|as far as|assuming|provided|only (?:on|for|with)\b|undecided|not (?:yet )?(?:decided|delivered|installed"
    r"|arrived))"
)
_WEAK = (
    r"(?:rough(?:ly|ish)?|maybe|perhaps|probably|possibly|likely|approx(?:\.|imate(?:ly)?)?|about|around|ish|or so"
    r"|or thereabouts|or something(?: like that)?|preliminary|interim|early(?: numbers?)?|draft|noisy|broken"
    r"|crashed|failed|aborted|half(?:way)?|partial(?:ly)?"
    r"|in theory|on paper|theirs|void|on order|on the way"
    r"|(?:the |an? )?(?:old|previous|former|earlier|last) (?:run|set|model|value|number|one|checkpoint|eval|version)"
    r"|last (?:year|quarter)|next (?:week|month|quarter|year)|(?:double-?|re-?)check|verify|check (?:this|that"
    r"|again)|says (?!our|my|the)[a-z]+|i (?:think|guess|believe"
    r"|hope|reckon)|hopefully|tb[cd]|est\.?"
    r"|or (?:maybe|perhaps|possibly|is it) (?:\d[\d.,]*\s*%?|[a-z-]+)"
    r"|could be (?:more|less|wrong)|plus or minus \d+\s*%?|give or take \d+\s*%?|\?+)"
)
_STATUS = (
    r"(?:not (?:yet )?(?:built|collected|written|measured|finished|done|ready|frozen|created|labell?ed|there|run|real)"
    r"(?: yet)?|still (?:being|to be) \w+|in progress|under construction|unfinished|wip|to-?do"
    r"|target(?:ed)?|goal|planned|aspirational|wishful thinking|hoped for|desired"
    r"|(?:for|by) (?:q[1-4]|next (?:week|month|quarter|year)))"
)
_REST = r"(?:\s+[a-z'][a-z'-]*){0,6}"
_FEW = r"(?:\s+(?:number|figure|value|estimate|guess|one|yet|for now|so far|tho(?:ugh)?|right now|tbh|speaking))?"
_STOP = r"\s*(?=[,).;!\]\n|#]|$)"


def _after(words: str) -> re.Pattern[str]:
    """The words as a clause after a figure, or as a sentence of their own."""
    return re.compile(rf"{_LEAD}{_SMALL}{words}{_STOP}|[.;!]\s+{_SMALL}{words}\s*(?=[).;!\]\n]|$)")


DOUBTED = _after(rf"(?:{_STRONG}{_REST}|{_WEAK}{_FEW})")
"""Of any fact; a plan or a name can be a guess, too."""
UNDONE = _after(rf"{_STATUS}{_FEW}")
"""Of a reading or a state: it is not so yet. A budget may well be planned."""
NOT_GRANTED = _after(rf"(?:requested|asked for|applied for|not (?:yet )?(?:approved|granted|signed off)){_REST}")
"""Of a plan: somebody else still has to agree."""
VAGUE = re.compile(r"\s*(?:or so|or thereabouts|or something|or more|or fewer|give or take|if not more)\b")
"""Right after the noun: `300 problems or so`."""
