"""How a thing is said: as a fact, or hedged, supposed, asked, wished for, or told of somebody else.

Holds the cut of a message into sentences and clauses and the mood of any span in it. A mood has a reach: a word such as
`about` colours the figure beside it, `maybe` its clause and the verbless ones after it, `I think` the whole sentence,
and a heading (`targets:`) everything down to the next blank line. Refuses nothing; the caller decides what a mood
forbids.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from agent.reading.afterthoughts import DOUBTED, NOT_GRANTED, UNDONE, VAGUE

Reason = Literal["hedge", "hypothetical", "question", "range", "someone_else", "target", "ambiguous"]
Kind = Literal["measured", "state", "plan", "identity", "consequence"]
"""What a field holds: a reading, a state of affairs, a choice or budget, what a thing is, what would follow."""

SENTENCE_END = re.compile(
    r"\n|;|(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bapprox)(?<!\bca)(?<!\bincl)(?<!\betc)(?<!\bno)(?<!\bal)[.!?]+[)\"'*_`]*(?=\s|$)"
)
CLAUSE_END = re.compile(
    r",(?!\d)|,(?=\d{1,3}(?:[.,]\d{1,2})?\s*%)|[()|]|\s-{1,2}\s"
    r"|\s(?=(?:but|while|whereas|although|though|because|however|except|so)\s)"
    r"|\s(?=and\s(?:we|our|the|it|they|i|there|you|that|is|are|do|does|can|should|would|what|how|maybe|probably)\b)",
)

LOCAL_BEFORE = re.compile(
    r"(?:~|≈|≃|∼|±|(?<![-=])[<>≤≥]|\b(?:about|around|roughly|approx\.?|approximately|circa|ca\.?|some|almost|nearly"
    r"|(?<![%\d] )over|above|under|below"
    r"|at least|at most|at best|at worst|up to|more than|less than|fewer than|close to|somewhere|near|north of|south of"
    r"|maybe|perhaps|probably|possibly|likely|like|order of|in the|high|low|mid|well over|just over|just under"
    r"|upwards of"
    r"|shy of|ish))(?:\s+(?:a|an|in|of|on|around|about|like|maybe|the|something|at))*[\s:='\"(]*$",
)
LOCAL_AFTER = re.compile(
    r"\s*(?:-?ish\b|or so\b|or thereabouts|-?something\b|-?odd\b|\+(?!\s*\d)|give or take|plus or minus"
    r"|more or less|roughly\b"
    r"|approx|or more\b|or less\b|or fewer\b|at least\b|at most\b|tops\b|at best\b|max\b|ballpark"
    r"|s\b(?=\s*(?:range|or)?)"
    r"|\?\?|\(\?\)|-?like\b|\(?est\b\.?|\(?estimated?\b|\(guess)",
)
HEDGE_CLAUSE = re.compile(
    r"\b(?:maybe|perhaps|nominally|claim(?:s|ed)|swears?|rumou?red|probably|possibly|presumably|supposedly|allegedly"
    r"|apparently|roughly"
    r"|approximately|ballpark"
    r"|somewhere|should (?:be|have|give|work)|could be|might|may (?:be|have)|seems?(?: to be| like)?"
    r"|looks like|more or less|likely"
    r"|kind of|sort of|or something|unconfirmed|unverified|tbc|tbd|preliminary guess|to be confirmed|i expect"
    r"|give or take)\b",
)
HEDGE_SENTENCE = re.compile(
    r"\b(?:(?:i|we|he|she) (?:think(?! to\b)|guess|believe|suppose|assume|reckon|estimate|suspect|figure|imagine"
    r"|vaguely)|i'd (?:say|guess)"
    r"|my guess|guess(?:ing|timate|work|es)?|if i (?:remember|recall)\w*|iirc|afaik|afair|imo|from memory"
    r"|as far as i|rough (?:numbers?"
    r"|estimates?|guess|figures?)|gut feel\w*"
    r"|eyeball\w*"
    r"|(?:i was|i'm|i am|so i was|i've been) told|(?:so )?i hear|hearing that"
    r"|estimated (?:at|to be)|pretty sure|fairly sure|hearsay|rumou?r\w*|back of the envelope"
    r"|back-of-the-envelope"
    r"|if memory serves|someone (?:said|mentioned)|heard (?:that|it))\b",
)
DOUBT = re.compile(
    r"\b(?:off the top of|not (?:so |entirely |100% |quite |really |completely )?(?:sure|certain)|unsure"
    r"|don't quote|do not quote"
    r"|can(?:'t|not) (?:recall|remember)|(?:don't|do not) (?:really )?(?:remember|recall|know))\b",
)
HYPOTHETICAL = re.compile(
    r"\b(?:suppos(?:e|ing)|(?:just |let's |lets |let us |please |we can |you can )assum(?:e|ing)"
    r"|(?<!i )(?<!we )assum(?:e|ing)|let'?s (?:say|pretend|imagine|go with)"
    r"|let us say|imagin(?:e|ing)|pretend|hypothetical(?:ly)?|for the sake of|for argument'?s sake|what if"
    r"|as if|say,? (?=~?\d|about|around|forty|fifty|sixty|thirty)"
    r"|(?<![^.!?;\n] )(?<!\w)say,? (?:they|we|you|it|the|our|i|that)\b"
    r"|would (?:be|give|get|have|reach|mean)|could (?:get|reach|have|give|tell|say)|were to|in theory|theoretically"
    r"|for example|e\.g|placeholder|dummy|made[- ]up|pick a number)\b",
)
IF = re.compile(r"\b(?:if|unless|in case|provided|assuming)\b")
IF_HARMLESS = re.compile(
    r"\b(?:if|in case|unless) (?:you|that (?:helps|matters|counts)|it (?:helps|matters)|needed|necessary"
    r"|relevant|anyone|anybody|someone|asked|not\b"
    r"|(?:a |the |our |this |an? )?(?:\w+ ){0,3}?(?:\w+ )?(?:gets?|got|goes|is|are|becomes?|turns?|does|do"
    r"|comes?|were|ships?|makes?)? ?(?:(?:out|much|any|to be) )*"
    r"(?:worse|bad|regress\w*|degrad\w*|break\w*|fail\w*|drop\w*|broken|wrong|dumber|collaps\w*)"
    r"|(?:ssd|self-distillation|this|we|it) (?:\w+ )?(?:doesn't|does not|isn't|is not|don't|didn't|turns out"
    r"|fails?|fall))\b",
)
_ACCOUNT = (
    r"(?:according to(?! (?:our|my|us|the (?:logs?|harness|runs?|eval\w*|last)))|per (?:the|their"
    r"|its)\b(?! (?:problem|task))"
    r"|et al|paper(?:'?s)?|papers|arxiv|authors?|leader-?board|literature|blog(?: ?post)?|(?:tech|technical) report"
    r"|white ?paper|data ?sheet|press (?:release|kit)|(?:release notes?|change ?log) (?:say|put|list|claim|state"
    r"|report|give)s?|announcement"
    r"|(?:the|their|its|official|vendor) (?:docs|documentation|website)|docs (?:say|claim|list|state|report)"
    r"|competitors?(?:'s)?|competition's)"
)
_GROUP = r"(?:team|group|company|squad|crew|lab|folks|department|dept|org|division|unit)"
_OWN = r"(?<!\btoday)(?<!\blet)(?<!\bit)(?<!\bthat)(?<!\bwhat)(?<!\bthere)(?<!\bhere)(?<!\bmodel)(?<!\bcompany)"
_OTHERS = (
    rf"(?:(?:an)?other {_GROUP}|sister team|others (?:get|got|report|see|claim|reach|measure)"
    rf"|[a-z]{{3,}}{_OWN}'s {_GROUP}|{_GROUP} (?:upstairs|downstairs|next (?:floor|door)|down the hall|across the)"
    r"|some(?:one|body) (?:on|from|in|at|else)|discord|rivals?|vendors?|contractor(?:'s)?|consultant(?:'s)?"
    r"|supplier(?:'s)?|agency"
    r"|(?:colleague|friend|acquaintance)s? (?:from|in|at|over)|friend'?s?|next door|salespe\w+)"
)
ACCOUNT = re.compile(rf"\b{_ACCOUNT}\b")
"""What is written somewhere by somebody else: a paper, a model card's prose, the documentation."""
SOMEONE = re.compile(
    rf"\b(?:{_ACCOUNT}|{_OTHERS}|gpt-?\d\w*|chatgpt|claude|gemini|copilot"
    r"|apple(?:'s)?|openai(?:'s)?|anthropic|deepmind|google(?:'s)?"
    r"|published|(?:folks|people|they|lab|team) publish|model card|(?:hf|hugging ?face) (?:card|page)|readme"
    r"|tweet\w*|reddit|hacker news"
    r"|publicly reported|reference run)\b",
)
HEARSAY = re.compile(
    r"\b(?:he|she|colleagues?|boss|manager|director|cto|ceo|vp|friend|intern|guy|vendor|someone|somebody|people|folks"
    r"|sales)\b"
    r"(?: (?!we\b|our\b|that\b)[\w']+){0,3}? (?:says?|said|tells?|told|claims?|claimed|mentions|mentioned|thinks?"
    r"|thought|reckons?"
    r"|reckoned|believes?|heard|swears?|insists?|guess(?:es)?)\b"
)
PRONOUN = re.compile(r"\b(?:they|their|them|his|her|he|she)\b")
CLIENT = re.compile(
    r"\b(?:(?:my|our|the) (?:clients?|customers?|team|company|group|lab|colleagues|engineers|folks|people))\b"
)
"""Whoever is spoken for: after these words, `they` are not somebody else."""
OURS = re.compile(
    r"\b(?:we|our|ours|us|i|my|mine|we're|we've|we'd|i'm|i've|in-house|here|this model|current(?:ly)?"
    r"|base(?:line)? model)\b",
)
TARGET = re.compile(
    r"\b(?:targets?|targeting|goals?|aim(?:s|ing)?|hop(?:e|es|ing)|hopefully|wish|want(?:s|ed)?\b|want (?:our"
    r"|the|a)|would (?:like|love|want)|'d (?:like|love|want)|ideally"
    r"|expect(?:s|ed|ing)?|plan(?:s|ning|ned)? (?:to|on|for)|going to|gonna|will|'ll|shall|should (?:reach|get"
    r"|hit|end up|become)"
    r"|need(?:s)? to (?:hit|reach|get|be|run|do|set|build)|to reach|objective|kpi|okr|promised|by (?:q[1-4]"
    r"|year[- ]end)|aspir\w+|roadmap|next (?:week|month|quarter|sprint)"
    r"|soon|todo|to-do|desired|dream\w*|in the works|wip|(?:being|to be) (?:written|built|done|set up|added|designed"
    r"|developed|implemented|planned)|under construction)\b",
)
INTERROGATIVE = re.compile(
    r"\W*(?:(?:and|so|but|hm+|ok(?:ay)?|well|hey|hi|hello|also|btw|then)\W+)*(?:is|are|was|were|do|does|did"
    r"|can|could|should|would|will|shall|has|have we|have you|am|what|which|who|how|why|when"
    r"|where|any|what's|how's|isn't|aren't|doesn't|don't|wouldn't|must)\b",
)
ASKING = re.compile(
    r"\b(?:wondering (?:if|whether)|ask(?:ing)? (?:if|whether)|know (?:if|whether)|whether|unclear (?:if|whether))\b",
)
FINITE = re.compile(
    r"\b(?:is|are|was|were|we|we're|we've|our|i|it's|that's|there's|now|currently|today|have|has|had|got|gets?"
    r"|gives?|measured|but)\b",
)
NT = r"(?:(?:do|does|did|is|are|was|were|has|have|had|ca|could|would|should|wo|need|must)n'?t)"
"""A negated verb, with or without its apostrophe."""
ASIDE = re.compile(r"\s*[(\[](?!\s*(?:both|all|these|those|numbers?|figures?)\b)")
"""A bracket belongs to what stands before it, unless it speaks of several."""
IN_FACT = re.compile(r"\b(?:but|however|in reality)\b")
WALL = re.compile(r"\b(?:but|however|whereas|while|though|although)\b|,\s*now\b|\s--?\s")
DREAM = re.compile(
    r"\b(?:hope|hoping|hopefully|wish|dream\w*|ideally|not (?:yet )?approved|pending approval|applied for"
    r"|(?:is|are|was|were|been|we|have|'ve) requested|(?:we|i|they|team)(?: had| have| only| originally| initially)?"
    r" (?:asked|applied|begged|bid|hoped|budgeted|pushed) for|quot(?:ed|es|ing) (?:us|me|them)?|(?:was|were|been"
    r"|got) (?:promised|supposed to)|(?:application|proposal|request|bid|wish ?list) (?:says?|was|is|for|lists?"
    r"|asks?)|offer(?:ed|s|ing) (?:us|me)|propos(?:ed|es)"
    r"|pitched)\b"
)
SOURCE = re.compile(r"\s*\(\s*(?:the )?(?:paper|model card|reported|published|apple)")
LONGEST_SPAN = 1_000
"""Characters; no sentence a person writes is longer, and nothing below grows with a message that has no full stop."""


@dataclass
class Moods:
    """Sentences and clauses of one normalised text, and the mood of any span of it; quoted: lines of somebody else."""

    text: str
    quoted: list[tuple[int, int]] = field(default_factory=list)
    _places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        """Spans of the sentences, in order."""
        return _cut(self.text, SENTENCE_END, 0, len(self.text))

    @cached_property
    def clauses(self) -> list[tuple[int, int]]:
        """Spans of the clauses, in order; no clause crosses a sentence."""
        return [span for start, end in self.sentences for span in _cut(self.text, CLAUSE_END, start, end)]

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [start for start, _ in self.sentences]

    @cached_property
    def _clause_starts(self) -> list[int]:
        return [start for start, _ in self.clauses]

    def sentence(self, at: int) -> tuple[int, int]:
        """Span of the sentence that holds a position."""
        return self.sentences[max(0, bisect_right(self._sentence_starts, at) - 1)]

    def clause(self, at: int) -> tuple[int, int]:
        """Span of the clause that holds a position."""
        return self.clauses[max(0, bisect_right(self._clause_starts, at) - 1)]

    def places(self, cue: re.Pattern[str]) -> list[tuple[int, int]]:
        """Spans of a cue in the whole text; looked for once, however often it is asked for."""
        key = id(cue)  # cues are constants, and a pattern hashes its whole code anew each time
        if key not in self._places:
            self._places[key] = [match.span() for match in cue.finditer(self.text)]
        return self._places[key]

    def has(self, cue: re.Pattern[str], low: int, high: int) -> bool:
        """Whether a cue stands in a stretch of the text."""
        return self.first(cue, low, high) >= 0

    def first(self, cue: re.Pattern[str], low: int, high: int) -> int:
        """Where the first cue of a stretch starts, or -1."""
        places = self.places(cue)
        index = bisect_left(places, (low, 0))
        return places[index][0] if index < len(places) and places[index][1] <= high else -1

    def last(self, cue: re.Pattern[str], low: int, high: int) -> int:
        """Where the last cue of a stretch starts, or -1."""
        places = self.places(cue)
        index = bisect_left(places, (high, 0)) - 1
        return places[index][0] if index >= 0 and places[index][0] >= low and places[index][1] <= high else -1

    def of(self, start: int, end: int, kind: Kind) -> Reason | None:
        """Why a span is not a fact of that kind, or None where it is one."""
        if self.asked(start, end):
            return "question"
        if any(low <= start < high for low, high in self.quoted):
            return "someone_else"
        if kind == "consequence":
            return None
        if self.supposed(start, end):
            return "hypothetical"
        if self.hedged(start, end):
            return "hedge"
        if reason := self.trailed(end, kind):
            return reason
        if self.has(HEARSAY, self.sentence(start)[0], start):
            return "someone_else"
        if kind != "identity" and self.told_of_others(start, end, kind):
            return "someone_else"
        if self.wished(start, end) if kind in ("measured", "state") else self.dreamt(start):
            return "target"
        return self._headed(start, kind)

    def beside(self, start: int, end: int) -> bool:
        """Whether the words beside a figure make it approximate or a bound."""
        before, after = self.text[max(0, start - 30) : start], self.text[end : end + 16]
        return bool(LOCAL_BEFORE.search(before) or LOCAL_AFTER.match(after))

    def asked(self, start: int, end: int) -> bool:
        """Whether a span is part of a question."""
        first, last = self.sentence(start)
        if self.has(ASKING, first, start):
            return True
        stop = first + len(self.text[first:last].rstrip(" \n)\"'*_`"))
        if self.text[stop - 1 : stop] != "?":
            return False
        return INTERROGATIVE.match(self.text, first) is not None or self.clause(end - 1)[1] >= stop - 1

    def supposed(self, start: int, end: int) -> bool:
        """Whether a span is supposed, not stated: everything after the supposition in its sentence."""
        first = max(self.sentence(start)[0], self.last(IN_FACT, self.sentence(start)[0], start))
        harmful = bisect_left(self._ifs, first)
        stop = max(end, self.clause(start)[1])
        return self.has(HYPOTHETICAL, first, end) or (harmful < len(self._ifs) and self._ifs[harmful] < stop)

    @cached_property
    def _ifs(self) -> list[int]:
        """Where an `if` stands that makes a supposition."""
        return [start for start, _ in self.places(IF) if not IF_HARMLESS.match(self.text, start)]

    def hedged(self, start: int, end: int) -> bool:
        """Whether a span is hedged by its sentence or by its clause."""
        first, last = self.sentence(start)
        if self.has(HEDGE_SENTENCE, first, last) and not self._walled(HEDGE_SENTENCE, start, first, last):
            return True
        if self.has(DOUBT, end, max(end, last)) and not self._walled(DOUBT, start, first, last):
            return True
        return self._spread(HEDGE_CLAUSE, start, end) or self._spread(DOUBT, start, end)

    def trailed(self, end: int, kind: Kind) -> Reason | None:
        """What an afterthought makes of a figure: `43%, roughly` or `200  # not built yet`."""
        if self._followed(DOUBTED, end) or self._followed(VAGUE, end):
            return "hedge"
        wish = UNDONE if kind in ("measured", "state") else NOT_GRANTED
        return "target" if self._followed(wish, end) else None

    def _followed(self, cue: re.Pattern[str], end: int) -> bool:
        """Whether a cue comes after a figure with nothing between that is said of something else."""
        places = self.places(cue)
        index = bisect_left(places, (end, 0))
        start = places[index][0] if index < len(places) else -1
        if start < 0 or start > self.sentence(end - 1)[1] or self.has(FINITE, end, start):
            return False
        aside = cue is VAGUE or ASIDE.match(self.text, start) is not None
        return start <= self.clause(end - 1)[1] if aside else start - end <= 80

    def told_of_others(self, start: int, end: int, kind: Kind = "measured") -> bool:
        """Whether the nearest owner named before (or, failing that, after) a span is somebody else."""
        first, _ = self.sentence(start)
        others, ours = self.last(SOMEONE, first, start), self.last(OURS, first, start)
        they = self.last(PRONOUN, first, start) if kind == "measured" else -1
        if they >= 0 and not self._spoken_for(they):
            others = max(others, they)
        if others >= 0 or ours >= 0:
            return others > ours
        after = self.has(SOMEONE, end, max(end, self.clause(end - 1)[1] + 1))
        return after or SOURCE.match(self.text, end) is not None

    def told_of_them(self, start: int) -> bool:
        """Whether a span is about `them`, who are not whoever is spoken for."""
        first, _ = self.sentence(start)
        they = self.last(PRONOUN, first, start)
        return they > self.last(OURS, first, start) and not self._spoken_for(they)

    def _spoken_for(self, at: int) -> bool:
        """Whether the one a pronoun stands for is the client or the team of whoever writes."""
        ours = self.last(CLIENT, max(0, at - 300), at)
        return ours >= 0 and not self.has(SOMEONE, ours, at)

    def wished(self, start: int, end: int) -> bool:
        """Whether a span says where things should be, not where they are."""
        return self._spread(TARGET, start, end)

    def dreamt(self, start: int) -> bool:
        """The stricter form for plans and budgets, where `will` and `plan to` are plain facts."""
        return self.has(DREAM, *self.clause(start))

    def _spread(self, cue: re.Pattern[str], start: int, end: int) -> bool:
        """The cue stands in the clause, or in one before it with only verbless clauses between."""
        first, _ = self.sentence(start)
        index = max(0, bisect_right(self._clause_starts, start) - 1)
        if self.has(cue, self.clauses[index][0], max(self.clause(end - 1)[1], end)):
            return True
        if not self.has(cue, first, start):
            return False
        while index > 0 and self.clauses[index][0] > first and not self.has(FINITE, *self.clauses[index]):
            index -= 1
            if self.has(cue, *self.clauses[index]):
                return True
        return False

    def _walled(self, cue: re.Pattern[str], at: int, first: int, last: int) -> bool:
        """Whether `but`, `however` or a dash stands between the span and every such cue."""
        places = self.places(cue)
        inside = places[bisect_left(places, (first, 0)) : bisect_left(places, (last, 0))]
        return all(self.has(WALL, *sorted((start, at))) for start, _ in inside)

    @cached_property
    def _headings(self) -> list[tuple[int, int, str]]:
        """Headings with the span they govern: down to a blank line or the next heading."""
        found: list[tuple[int, int, str]] = []
        for match in re.finditer(r"^[^\n|]{2,120}:[ \t*_]*$", self.text, re.M):
            blank = re.compile(r"\n[ \t]*\n|^[^\n|\s-][^\n|]{1,120}:[ \t*_]*$", re.M).search(self.text, match.end() + 1)
            found.append((match.end(), blank.start() if blank else len(self.text), match[0]))
        return found

    def _headed(self, at: int, kind: Kind) -> Reason | None:
        for start, end, words in self._headings:
            if start <= at < end:
                if HYPOTHETICAL.search(words):
                    return "hypothetical"
                if HEDGE_SENTENCE.search(words) or HEDGE_CLAUSE.search(words):
                    return "hedge"
                if kind in ("measured", "state") and TARGET.search(words):
                    return "target"
                if kind != "identity" and SOMEONE.search(words) and not OURS.search(words):
                    return "someone_else"
        return None


def _cut(text: str, border: re.Pattern[str], start: int, end: int) -> list[tuple[int, int]]:
    spans, at = [], start
    for match in border.finditer(text, start, end):
        spans.append((at, match.end()))
        at = match.end()
    spans.append((at, end))
    spans = [(low, min(low + LONGEST_SPAN, high)) for start, high in spans for low in range(start, high, LONGEST_SPAN)]
    return [span for span in spans if span[1] > span[0]] or [(start, end)]
