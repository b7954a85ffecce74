"""The held-out set: its benchmark, its size, draws per problem, and whether contamination was checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from agent.reading.defeats import defeat, underway
from agent.reading.facts import Found
from agent.reading.hours import GPU_HOURS
from agent.reading.moods import NT
from agent.reading.numbers import Number, count, ratio
from agent.reading.scan import Scan, found

BENCHMARK = re.compile(
    r"\b(?:humaneval\s?(?:\+|plus|-?x|pack\w*)?|mbpp\s?(?:\+|plus)?|live ?code ?bench(?: v\d)?|lcb(?: ?v\d)?"
    r"|big ?code ?bench(?:[- ]hard)?|apps\b|swe-?bench(?:[- ](?:verified|lite))?|multipl-e|ds-1000"
    r"|cruxeval|evalplus|codecontests|taco|aider(?: polyglot)?|repobench|classeval|canitedit|debugbench)",
)


def benchmark(scan: Scan) -> Iterator[Found]:
    """benchmark: a public one by name, or what follows `benchmark is`."""
    for match in BENCHMARK.finditer(scan.text):
        scan.taken.add(*match.span())
        yield found("benchmark", scan.original[match.start() : match.end()].strip(), match)
    for match in re.finditer(r"\bbenchmark(?: is|:| =)\s*(?P<name>(?:an? |our )?[^,.;\n]{3,60})", scan.text):
        if not BENCHMARK.search(match["name"]):
            yield found("benchmark", scan.original[slice(*match.span("name"))].strip(), match, group="name")


PROBLEM_NOUN = re.compile(
    r"[\s-]+(?:(?!and\b|or\b|on\b|in\b|at\b|with\b|from\b|the\b|is\b|are\b|pass|p@|%|samples?\b|for\b|gpu"
    r"|easy\b|medium\b|hard\b|of\b(?! (?:them|our"
    r"|the)\b))[\w/'-]{1,30}[\s]+){0,3}?(?:probs?|problems?|tasks?|questions?|items|exercises|puzzles|challenges|katas"
    r"|instances|examples|issues|bugs|prs|functions|commits|tickets)\b",
)
HELDOUT_CUE = re.compile(
    r"\b(?:held[- _]?out|heldout|eval(?:uation)?|test|dev|validation|benchmark|problems?(?= (?:is"
    r"|are) ))(?:[ _-]?(?:set|suite|split"
    r"|problems|tasks|n|size|data))*[\"'`*]*\s*(?:\(n\)|\bn\b)?\s*(?:(?:is|are|was|has|have|contains?|of|with|=|:"
    r"|holds|size|counts?|we have|consists? of|only|just|now|,|\(|\||at|comprises|n|-|>)\s*)*(?:n ?= ?)?[\"'`*]*$",
)
POOL = re.compile(
    r"\b(?:pool|prompts?|train(?:ing)?[ _-]?(?:set|data|prompts?|split)?|sft|seeds?|corpus|unlabell?ed"
    r"|sampling set|to sample from|for sampling|to train)\b",
)
HELD = re.compile(r"\b(?:held[- ]?out|eval\w*|test set|benchmark|dev set|validation|pass@|p@|n ?=)")
SAMPLE_NOUN = re.compile(
    r"[\s-]*(?:(?:independent|random|raw|i\.?i\.?d\.?) )?(?:samples?|completions?|generations?|draws?"
    r"|rollouts?|attempts|answers|gens)\b(?!\s+(?:in total|total|overall))",
)
N_CUE = re.compile(r"(?<![\w-])n\s*(?:=|:|is|of|(?<=pass)|\b)\s*$")


NOT_PROBLEMS = re.compile(
    SAMPLE_NOUN.pattern
    + r"|\s*(?:/|per)\s*(?:problem|task)|\s*(?:gpu|hours?|days?|%|tokens?|languages|context|ctx|window|params?)"
)
IS_K = re.compile(r"(?:[@^]\s*|\bat\s*|\bk ?= ?|top[- ])$")
INSIDE = re.compile(
    r"\s+(?:(?:are |is |of them )?(?:(?:in|on) (?:the|our) )?)(?:held[- ]?out|eval(?:uation)? set|test set)"
    r"|\s+(?:(?:are|is|were|of them|have been) )*(?:(?:kept|set|put|left|held|reserved|saved) (?:aside |apart "
    r"|back |away )?"
    r"|(?:aside|apart|back) )for (?:the |our )?(?:held[- ]?out|eval(?:uation|uating)?|testing|test set)\b"
    r"|\s+for the held-?out size\b"
)
OF_SAMPLES = re.compile(r"\s*(?:,\s*)?(?:samples|per)")
PART_AFTER = re.compile(
    r"\s*(?:each|apiece|per)\b"
    r"|\s*(?:(?:that|which) )?(?:(?:have|had|were|was|are|got) )?(?:failed|removed|dropped|flagged|leaked|excluded"
    r"|discarded|overlap\w*|thrown out)\b"
)
PART_BEFORE = re.compile(
    r"\b(?:each|every|per|of the|first|another|other|extra|only solves?|solves?|solved|fails?|failed|wrong|dropped"
    r"|removed"
    r"|flagged)\s*$"
)


def heldout_n(scan: Scan) -> Iterator[Found]:
    """heldout_n: problems of the evaluation set, told apart from the prompt pool and from slices."""
    for before_it, number in pairwise([None, *scan.numbers]):
        if number is None or (before_it and _one_in(scan, before_it, number)):
            continue
        value = count(number) if number.scale in ("", "k", "thousand") and scan.free(number) else None
        if value is None or _counts_else(scan, number):
            continue
        before = scan.before(number.start, 60)
        noun, cue = PROBLEM_NOUN.match(scan.text, number.end), HELDOUT_CUE.search(before)
        if noun and (PART_BEFORE.search(before) or PART_AFTER.match(scan.text, noun.end())):
            continue
        letter = value >= 20 and N_CUE.search(before) and not OF_SAMPLES.match(scan.text, number.end)
        named = noun or cue or letter or INSIDE.match(scan.text, number.end)
        if not named or value < (1 if noun else 10) or _elsewhere(scan, number, bool(noun)):
            continue
        start, end = number.start - (len(cue[0]) if cue and not noun else 0), noun.end() if noun else number.end
        yield Found("heldout_n", value, "count", start, end, (number.start, number.end))


def _one_in(scan: Scan, solved: Number, total: Number) -> bool:
    """Whether two numbers are a share such as `1 in 3 problems`, which says nothing of how many there are."""
    return " in " in scan.text[solved.end : total.start] and ratio(scan.text, solved, total) is not None


def _counts_else(scan: Scan, number: Number) -> bool:
    """Whether a number is a k, or counts draws, hours or tokens."""
    return bool(NOT_PROBLEMS.match(scan.text, number.end) or IS_K.search(scan.before(number.start, 8)))


def _elsewhere(scan: Scan, number: Number, noun: bool) -> bool:
    """Whether a number sizes a slice, a budget or the prompt pool."""
    low, high = scan.moods.clause(number.start)
    if not noun and scan.moods.has(GPU_HOURS, *scan.moods.sentence(number.start)):
        return True
    pooled = scan.moods.has(POOL, low, high) and not scan.moods.has(HELD, low, high)
    return pooled or _of_slice(scan, number)


SLICE_WORD = re.compile(
    r"\b(?:easy|easier|medium|hard|harder|difficult|slice|bucket|tier|codeforces|atcoder|leetcode|introductory"
    r"|interview)\b",
)
TOTAL_WORD = re.compile(r"\b(?:total|overall|in all|altogether|held-?out|whole|combined|all together)\b")


def _of_slice(scan: Scan, number: Number) -> bool:
    """Whether a number sizes a slice: the slice's name comes first in its sentence, or right after it."""
    if scan.moods.has(TOTAL_WORD, *scan.moods.clause(number.start)):
        return False
    low = max(scan.moods.sentence(number.start)[0], scan.text.rfind("\n", 0, number.start) + 1)
    return scan.moods.has(SLICE_WORD, low, number.start) or SLICE_AFTER.match(scan.text, number.end) is not None


SLICE_AFTER = re.compile(
    r"\s+(?:(?:problems|tasks|questions|ones|items) )?(?:are |is |of (?:them|which) (?:are )?)?(?:(?:in|on"
    r"|for) (?:the |our )?)?"
    r"(?:easy|medium|hard|difficult)\b"
)
TIMES = re.compile(r"(?:problems|tasks|\d)\s*(?:x|\*|times)\s*$")
SAMPLES_KEY = re.compile(
    r"\b(?:n_?samples|num_?samples|samples(?:_per_(?:problem|task|prompt))?|samples per (?:problem|task))[\"'`*]*\s*"
    r"(?:[:=|]|is|was)\s*[\"'`]*$"
)
DEVICES = re.compile(r"\s*(?:x|h100|a100|gpu)")


def samples_per_problem(scan: Scan) -> Iterator[Found]:
    """samples_per_problem: draws per problem behind the pass@k."""
    for number in scan.numbers:
        value = count(number) if scan.free(number) else None
        if not value or value > 10_000 or DEVICES.match(scan.text, number.end):
            continue
        noun, before = SAMPLE_NOUN.match(scan.text, number.end), scan.before(number.start, 40)
        span = scan.moods.clause(number.start)
        pooled = scan.moods.has(POOL, *span) and not scan.moods.has(HELD, *span)
        if not pooled and (noun or TIMES.search(before) or SAMPLES_KEY.search(before)):
            end = noun.end() if noun else number.end
            yield Found("samples_per_problem", value, "count", number.start, end, (number.start, number.end))


CONTAMINATION = re.compile(
    r"contamin\w*|(?<!memory )(?<!resource )\bleak(?:age|s|ed|ing)?\b|decontamin\w*|\bde-?contam\w*|\bcontam\b"
    r"|\b(?:leak(?:age)?|overlap|n-?gram|13-?gram"
    r"|near-?dup\w*|minhash)[ -](?:check\w*|scan\w*|audit\w*|filter\w*|dedup\w*|test\w*|report)"
    r"|\bleak-?checked\b",
)
UNCHECKED = re.compile(
    rf"\b(?:not|never|no|without|nobody|none|un(?:checked|known|clear|verified)|yet to|pending|todo|to-do|to do"
    rf"|outstanding"
    rf"|skipped|missing|still (?:has to|have to|needs?|open)|in progress|false|untested|forgot|n/?a|lacks?|{NT})\b|❌"
)
CLEAN = re.compile(
    r"\b(?:no contamination(?! (?:check|scan|audit|analysis|report|test|stud))|not contaminated"
    r"|isn't contaminated|uncontaminated|free (?:of|from) contamination|contamination[- ]free"
    r"|without (?:(?:any|a single|a) )?(?:contamination|hits?|match(?:es)?|overlaps?|findings?)\b"
    r"|zero (?:contamination|hits|overlap)"
    r"|contamination[\"'`]?\s*[:=]\s*(?:none|no (?:hits|matches|overlap)|0\b)|no (?:hits|matches"
    r"|overlap)(?! check| scan| audit)|nothing (?:found|flagged))\b",
)
CHECK_WORD = re.compile(
    r"checked|controll?ed|contaminated|cleaned|\bclean\b|scanned|verified|audited|pass(?:ed|es)\b|\bran\b|\bdone\b"
    r"|filtered|dropped|attached|\b0 (?:hits|matches|overlaps)|[:=]\s*(?:\d+-?gram|n-?gram|minhash)|dedup(?:ed"
    r"|licated|ed)\b|tested|screened|remove[sd]?\b|\byes\b|\btrue\b|-free|\bok\b|free (?:of|from)"
    r"|no contamination|none|examined|✓|✅|analy[sz]ed|vetted|isn't|not contaminated|complete[sd]?\b|finished|performed"
    r"|conducted|carried out|in place|\bused|\b(?:we|i) (?:do|did|run|have run|apply|use)\b"
    r"|all good|went through|came (?:back|out)|cleared|against",
)
"""That it was done, or a value after the key; the noun alone says only that there is such a thing as a check."""


def contamination_checked(scan: Scan) -> Iterator[Found]:
    """contamination_checked: whether the held-out set was checked; a plan to check is none."""
    for match in CONTAMINATION.finditer(scan.text):
        if (told := _told(scan, match)) is not None:
            words, checked = told
            needed = checked and NEEDED.search(words) and not HAPPENED.search(words)
            start = scan.text.find(words.strip(), scan.moods.sentence(match.start())[0])
            end = start + len(words.strip())
            yield Found("contamination_checked", checked, "", start, end, match.span(), "target" if needed else "")


NEEDED = re.compile(r"\b(?:need|needs|must|should|have to|please|let's|require)\b")
HAPPENED = re.compile(r"\b(?:has been|was|were|is|done)\b")


MENTION = re.compile(r"check\w*|decontam\w*|de-contam\w*|clean\w*|scan\w*|audit\w*|filter\w*|dedup\w*")
"""A check is spoken of; whether it was done is said in the same clause or the one after."""


def _told(scan: Scan, match: re.Match[str]) -> tuple[str, bool] | None:
    """The words that say whether a check was done, with what they say; None where they leave it open."""
    clause, sentence = scan.clause(match.start()), scan.sentence(match.start())
    whole = not (MENTION.search(clause) or CHECK_WORD.search(clause) or UNCHECKED.search(clause))
    words = sentence if whole else clause
    if CLEAN.search(words) is None and UNCHECKED.search(words):
        return words, False
    if defeat(scan.text, *match.span()) or underway(scan.text, match.end()):
        return (sentence, False) if UNCHECKED.search(sentence) else None
    if CLEAN.search(words) or CHECK_WORD.search(words):
        return words, True
    start, end = scan.moods.clause(match.start())
    onward = scan.text[start : scan.moods.clause(end)[1]] if end < scan.moods.sentence(start)[1] else words
    return (onward, True) if CLEAN.search(onward) or CHECK_WORD.search(onward) else None
