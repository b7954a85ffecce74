"""Choices from a closed list: the kind of problem, the other move, the verifier."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.defeats import unreal
from agent.reading.facts import Found
from agent.reading.moods import NT
from agent.reading.scan import Kinds, Scan, found

DISTRIBUTIONS: tuple[tuple[str, str], ...] = (
    (
        "fill_in_the_middle",
        r"fill[- _]?in[- _]?the[- _]?middle|\bfim\b|in-?filling|middle completion|(?:inline|in-line) completion"
        r"|complet\w+ (?:code )?in the middle(?: of)?|code in the middle of|infill",
    ),
    (
        "repo_edit",
        r"repo(?:sitory)?(?:[- _]level)?[- _](?:edit\w*|changes?|tasks?|patch\w*|refactor\w*)|repo[- _]level"
        r"|repository[- _]level|multi-?file (?:edit|change|patch)\w*|edits? across (?:a |the )?(?:repo|files"
        r"|codebase)\w*|repo_edit|codebase edits?|cross-file edits?",
    ),
    (
        "bug_fix",
        r"bug[- _]?fix(?:es|ing)?|fix(?:ing|es)? bugs?|program repair|automated repair|bug repair|code repair"
        r"|patching bugs|debugging tasks|repairing (?:code|programs|bugs)",
    ),
    (
        "competitive",
        r"competitive(?:[- _]programming|[- _]coding| problems| style| tasks)?|competition(?:[- ](?:style"
        r"|level))? (?:programming|problems|coding)|codeforces|at ?coder|icpc"
        r"|contest(?:[- ]style)? (?:problems|programming|tasks)|leet ?code(?:[- ](?:style|type"
        r"|like))?(?: problems)?|programming contests?|olympiad",
    ),
    (
        "algorithmic",
        r"algorithmic(?: (?:problems|puzzles|tasks|coding))?|algorithms?(?: and data structures?| problems"
        r"| puzzles| questions| exercises)|data[- ]structures?(?: problems)?",
    ),
    (
        "other",
        r"text[- ]?(?:2|to)[- ]?sql|sql generation|(?:unit[- ])?test(?:[- ]case)? (?:generation|writing)"
        r"|docstring (?:generation|writing)|code (?:review|translation|migration|summari[sz]ation|search"
        r"|explanation)|transpil\w+|data[- ]science notebooks?"
        r"|notebook cells?|infrastructure[- ]as[- ]code|terraform (?:modules?|generation)|rtl (?:generation"
        r"|design)|front-?end components?|shell one-?liners|commit messages?|api (?:usage|glue)(?: code)?"
        r"|log parsing|etl (?:jobs|pipelines)|regex generation|kernel (?:writing|generation)",
    ),
)
DISTRIBUTION = Kinds(DISTRIBUTIONS, before=r"(?<![\w-])", after=r"(?![\w-])")
DISTRIBUTION_KEY = re.compile(
    r"\b(?:problem[ _-]?distribution|distribution|task[ _-]?(?:family|type)|problem[ _-]?type)[\"'`*]*\s*(?:is"
    r"|:|=|\|)\s*[\"'`]?(?P<value>other|[^,;\n|.]{3,60})",
)
NOT_DISTRIBUTION = re.compile(
    r"\b(?:trained on|pretrained on|benchmark|pool|sampled from|scraped|from|verifier|verify\w*|not|no|never"
    r"|unlike|than|without|other than|isn't|aren't|slice)\s*(?:the |a |any |just |only |really )?(?:\w+ )?$",
)


def problem_distribution(scan: Scan) -> Iterator[Found]:
    """problem_distribution: the first kind of problem that is named."""
    sources = re.compile(r"\s*(?:slice|split|subset|:|\(|=)")
    for kind, match in DISTRIBUTION.finditer(scan.text):
        before = scan.before(match.start(), 40)
        source = re.match(r"codeforces|at ?coder|leet ?code|competition\b", match[0])
        if NOT_DISTRIBUTION.search(before) or (source and sources.match(scan.text, match.end())):
            continue
        yield found("problem_distribution", kind, match)
        return
    for match in DISTRIBUTION_KEY.finditer(scan.text):
        if not re.match(r"\W*(?:tbd|unknown|\?|n/?a|not|mixed?)", match["value"]):
            yield found("problem_distribution", "other", match, group="value")
            return


MOVES: tuple[tuple[str, str], ...] = (
    (
        "rejection_sampling_sft",
        r"rejection[- _]?sampl\w*(?:[- _](?:sft|fine-?tun\w*|ft))?|\brft\b|\braft\b|\brest(?:-em)?\b|\bstar\b"
        r"|best[- ]of[- ](?:n|\d+)(?: (?:sft|distill?ation))?|filtered sft|(?:sft"
        r"|fine-?tun\w*) on (?:the )?(?:passing|verified|correct|accepted)(?: \w+)?",
    ),
    ("dpo", r"\bdpo\b|direct preference|\bi?kto\b(?! )|preference (?:optimi[sz]ation|tuning)"),
    ("grpo", r"\bgrpo\b|group relative|\brlvr\b"),
    ("ppo", r"\bppo\b|proximal policy"),
    (
        "sft_external",
        r"sft[ _](?:on )?(?:an? |the |some )?(?:external|bought|third-party|licensed|human|curated|vendor"
        r"|purchased|new|teacher|synthetic|open|outside|commercial|public|gpt|contractor)\w*(?:[ _]\w+)?"
        r"|sft_external|external sft|(?:fine-?tun\w*|train\w*|sft) (?:it )?(?:on|with"
        r"|using) (?:\w+ ){0,3}?(?:external|bought|licensed|human|human-written|curated|vendor|purchased"
        r"|labell?ed|annotated|teacher|third-party|customer|public|open-source|contractor|outside"
        r"|synthetic|externally (?:\w+)|procured)\b(?: \w+)?"
        r"|distill?(?:ing|ation)? (?:it )?from (?:a |an |the )?(?:bigger|larger|stronger|teacher|frontier|gpt"
        r"|claude|deepseek|qwen|llama|70b|72b|big|\d+b)[\w.-]*|teacher distill?ation"
        r"|(?:buy|buying|purchas\w+|procur\w+|licens\w+) (?:\w+ ){0,3}?(?:data(?:sets?)?|corpus|corpora|labels)\b"
        r"|external data|\bsft\b|supervised fine-?tun\w*",
    ),
)
MOVE = Kinds(MOVES, before=r"(?<!\w)")
_SSD = r"(?:ssd|(?:simple )?self-?distill?(?:ation|ing)|this(?: (?:thing|idea|plan))?|that|it)"
INSTEAD = re.compile(
    rf"\b(?:otherwise|(?:in the absence of|absent|in place of|rather than|without) {_SSD}|alternativ\w*|plan b"
    rf"|fall ?back|comparators?|instead|if (?:we )?(?:not|{NT}|do not)(?: (?:do|run|use|go for|go with|for))? {_SSD}"
    rf"|if {_SSD} (?:is|turns|fails|falls|{NT}|does not|is not|comes to nothing)|non-ssd|other option"
    rf"|default (?:move|option|would be|is)|else we(?:'?d| would)?|failing (?:that|this)"
    r"|competing (?:option|plan|proposal)|would (?:otherwise|normally|usually)|'d (?:otherwise|normally"
    r"|usually)|compared? (?:against|with|to)|(?:measured|judged|weighed|up) against|the other (?:road|way"
    r"|route|candidate|move)|or else"
    r"|option b|next best|backup(?: plan)?|baseline move|what we(?:'?d| would) do"
    r"|versus|vs\.?|status quo plan|usual (?:move|approach)|our go-?to|the boring option|team (?:wants|prefers"
    r"|leans)|would(?: have)? (?:just )?(?:do|done|run|go|gone|use|try|pick|reach for|perform)|'d (?:just )?(?:do|run"
    r"|go|use|try|pick|reach for|have))\b",
)
DONE_BEFORE = re.compile(
    r"\b(?:tried|did|ran|already|last (?:year|quarter|month)|was (?:trained|tuned)|trained with|came from"
    r"|explain|what is|difference|heard|paper|no intention|won't|wouldn't|would not|never|not going to"
    r"|ruled out|can't afford|cannot afford|don't want|not|never|(?:was|were|got|been) rejected)\b",
)


CHOSEN = re.compile(r"if|comparator|otherwise")
DENIED = re.compile(rf"\b(?:not|no|than|over|{NT})\s+(?:a |the )?$")
OTHER_MOVES = (
    re.compile(
        r"\b(?:comparator|alternative|plan b|fallback)[\"'`*]*\s*(?:is|:|=|would be|\|)\s*[\"'`]?"
        r"(?P<value>(?:just |to )?(?:do(?:ing)? nothing|nothing|prompt[- ]?(?:engineering|ing|tuning)?|other"
        r"|continued pre-?training|(?:swap|buy|switch|upgrade)\w*[^,.;\n]{0,40}|a bigger model|better prompts|rag"
        r"|retrieval\b[^,.;\n]{0,30}))",
    ),
    re.compile(
        r"\botherwise,? we(?:'?d| would) (?:just |probably |simply )?(?P<value>do nothing|prompt[- ]?engineer\w*"
        r"|improve (?:the )?prompts?|buy a bigger model|switch (?:to [^,.;\n]{2,30}|models?)|wait for [^,.;\n]{2,30}"
        r"|use a bigger model|leave it(?: as it is)?)",
    ),
)


def comparator(scan: Scan) -> Iterator[Found]:
    """comparator: the move the team would otherwise make."""
    moves = [(scan.moods.sentence(match.start()), name, match) for name, match in _moves(scan)]
    for cue in INSTEAD.finditer(scan.text) if moves else ():
        near = [(name, m) for sentence, name, m in moves if sentence == scan.moods.sentence(cue.start())]
        after = [(name, m) for name, m in near if m.start() >= cue.end()]
        for name, move in (after or near[-1:])[:1]:
            start, end = min(cue.start(), move.start()), max(cue.end(), move.end())
            yield Found("comparator", name, "", start, end, move.span())
    for pattern in OTHER_MOVES:
        for match in pattern.finditer(scan.text):
            yield found("comparator", "other", match, group="value")


def _moves(scan: Scan) -> Iterator[tuple[str, re.Match[str]]]:
    """Moves that are neither denied nor done before."""
    for name, match in MOVE.finditer(scan.text):
        low, high = scan.moods.clause(match.start())
        past = scan.moods.has(DONE_BEFORE, low, high) and not scan.moods.has(CHOSEN, low, high)
        if not past and not DENIED.search(scan.before(match.start(), 14)):
            yield name, match


VERIFIERS: tuple[tuple[str, str], ...] = (
    (
        "differential",
        r"diff[ -]test\w*|differential(?:[ _-]?(?:test\w*|fuzz\w*|check\w*|verifier|oracle|verification))?"
        r"|(?:diff(?:ing|ed)?"
        r"|compar\w+)(?: the)? outputs? (?:against|with|to) (?:a |the |our )?(?:reference|oracle|brute|legacy"
        r"|old|known)\w*|fuzz\w* against (?:a |the |our )?(?:reference|oracle|brute|legacy|known|golden)\w*",
    ),
    (
        "unit_tests",
        r"(?:hidden |unit[- _]?|private |pytest |regression |existing |reference |integration |junit |jest "
        r"|held-?out )+(?:tests?|suites?)(?! (?:generation|writing|set|problems))|pytest(?: suites?)?"
        r"|unittests?|\bunit_tests\b|test[- ]?suites?|test cases|\bjest\b|\bjunit\b|\bgtest\b|cargo test"
        r"|go test|tests? (?:for (?:every|each|all)|per (?:problem|task))|(?:run|running|runs"
        r"|executing?) (?:the |their |its |all )?tests",
    ),
    ("type_checker", r"type[- _]?check\w*|\bmypy\b|\bpyright\b|\btsc\b|static typ\w+|cargo check|\bpyre\b"),
)
VERIFIER = Kinds(VERIFIERS, before=r"(?<![\w])")
NO_VERIFIER = re.compile(
    rf"\b(?:no|(?:is|have|do) not(?: have)?(?: an?| any)?|{NT}(?: have| got)?(?: an?| any)?|without(?: any| a)?"
    r"|lack(?:s|ing)? (?:a|any)|zero) (?:kind of |automatic |automated |real |usable |working |proper |such |good )*"
    r"(?:verifiers?|verification|way (?:to|of) (?:verify|check)\w*|automatic check\w*|oracle|checker"
    r"|tests? or (?:anything|something)(?: else)? (?:to|that) (?:check|verif)\w*)\b"
    r"|\bverifiers?[\"'`*]*\s*(?:[:=|]|is|-|we have)+\s*[\"'`]?(?:none|no(?:pe)?\b|n/?a|nothing|null|false|-"
    r"|absent)|\bnothing (?:to|that can) (?:verify|check)(?: with)?|\b(?:cannot|can'?t"
    r"|can not) (?:automatically )?(?:verify|check (?:the )?answers)\b|\bunverifiable\b|\bverifier: ?$",
)
NO_BEFORE = re.compile(
    rf"\b(?:no|not|without|{NT}|neither|nor|never|lacks?)\s+(?:(?:have|any|a|yet|real|really|even|run|use"
    rf"|got) )*(?:\w+ )?$"
)
NO_AFTER = re.compile(r"[\"'`]?\s*(?::|=)?\s*(?:no|none|not|false|missing)\b")
MADE = re.compile(r"\s*(?:generation|writing|generator)")
NOT_VERIFIER = re.compile(
    r"\b(?:test (?:generation|writing)|generat\w+ (?:unit )?tests|write (?:unit )?tests|rollback|rolls? back"
    r"|tests? the)\b",
)


def verifier(scan: Scan) -> Iterator[Found]:
    """verifier: how an answer is judged, the first that is named; `none` only where that is said."""
    none = [found("verifier", "none", match) for match in NO_VERIFIER.finditer(scan.text)]
    named = [
        found("verifier", name, match)
        for name, match in VERIFIER.finditer(scan.text)
        if not _unused(scan, match) and not any(f.start <= match.start() < f.end for f in none)
    ]
    last = max((f.start for f in named), default=-1)
    finds = named + [f for f in none if f.start > last]
    yield from finds[:1] if len({f.value for f in finds}) > 1 and named else finds


def _unused(scan: Scan, match: re.Match[str]) -> bool:
    """Whether tests are written and not run, are denied, or are broken."""
    made = NOT_VERIFIER.search(scan.clause(match.start())) or MADE.match(scan.text, match.end())
    denied = NO_BEFORE.search(scan.before(match.start(), 40)) or NO_AFTER.match(scan.text, match.end())
    return bool(made or denied) or unreal(scan.text, match.end())
