"""The base model: its name, its size, the context it is run with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.moods import ACCOUNT, OURS
from agent.reading.numbers import TENS, UNITS, Number, find, tokens
from agent.reading.scan import Scan, found, plain

_NUMBER = rf"(?:{'|'.join(TENS)})(?:[ -](?:{'|'.join(UNITS)})\b)?|{'|'.join(sorted(UNITS, key=len, reverse=True))}"
_FAMILIES = (
    r"(?:code)?qwen|(?:code ?|tiny|open)?llama|deep ?seek|star ?coder|starchat|mi[sx]tral|mini?stral|codestral"
    r"|devstral|mathstral|(?:code)?gemma|phi|granite|yi(?=[- ]?(?:\d|coder))"
    r"|olmo|gpt-oss|gpt-neox?|gpt-j|seed-coder|opencoder|smollm|wizardcoder|stablecode|stable-code|falcon"
    r"|internlm|nemotron|codegen(?=[-_ ]?(?:\d|mono|multi|nl\b))|santacoder|incoder|kimi|glm|minimax"
    r"|magicoder|baichuan|replit-code|code ?t5\+?|polycoder|zephyr|aya|command-r|hunyuan|ling|ernie|solar"
    r"|mellum|nextcoder|pythia|cerebras-gpt|bloomz?|opt(?=-\d)"
)
_PART = (
    r"(?:v?\d[\w.]*|coder|code|instruct|chat|base|it|hf|mini|small|medium|large|nano|pro|lite|thinking|think|next"
    r"|plus|nemo|python|flash|math|math|moe|a\d+b|preview|sft|dpo|rl)"
)
_SPOKEN = rf"(?:{_NUMBER})(?:\s(?:point|dot)\s(?:{_NUMBER}))?"
MODEL = re.compile(
    rf"(?<![\w@-])(?:[\w.-]{{1,60}}/)?(?:{_FAMILIES})(?:coder|code|math|moe|chat|lm|v)?(?:\d\w*(?:\.\w+)*)?(?![a-z])"
    rf"(?:[-_:]\w+(?:\.\w+)*|\s{_SPOKEN}\sb\b|\s{_SPOKEN}(?=\s(?:coder|code|instruct|chat|base|{_SPOKEN}\sb)\b)"
    rf"|\s{_PART}(?![\w%]))*"
    r"(?! (?:\w+ )?licen[cs]e)"
    r"|(?<![\w@/.-])(?:[a-z][\w.-]{0,60}/)?[a-z][a-z0-9_.]{0,40}(?:-[a-z0-9_.]{1,40}){0,6}[-_:]\d+(?:\.\d+)?[bm](?:-[a-z0-9_.]+)*(?![\w-])",
)
NAMED = re.compile(
    r"\b(?:(?:base |the |our |start(?:ing)? )?(?:model|checkpoint)(?:_name|_id| name| id)?"
    r"|base)[\"'`*]*\s*(?:is called|is named|called|named|is our|is the|is|:|=)\s*[\"'`*]*"
    r"(?P<name>[a-z][\w./:-]*\w)",
)
NAME_LIKE = re.compile(r"(?=.*[A-Z0-9])(?=.{3,})[\w./:-]+$")
NOT_OURS = re.compile(
    r"\b(?:teacher|judge|distill?(?:ed|ing)? (?:from|with)|from|like|vs\.?|versus|than|against|compared (?:to"
    r"|with)|paper|competitor\w*|apple(?:'s)?|beats?|outputs of"
    r"|reward model|draft model|generated (?:by|with)|alternative|instead of|not|considered|looked at"
    r"|tried)\b[^,.;]{0,25}$",
)


TERMS = re.compile(r"[\w.]*(?:\s\w+)?\s(?:licen[cs]e|terms)\b")
ACCOUNT_AFTER = re.compile(
    r"(?:'s)?\s(?:tech(?:nical)? report|report|paper|blog|authors|team|folks|people|guys|crew|lab|docs"
    r"|release notes|model card)\b"
)
DICTATED = re.compile(rf"\b{_SPOKEN}\b", re.I)


def model_name(scan: Scan) -> Iterator[Found]:
    """model_name: a known family or the usual shape `name-7b`, or whatever is called the model."""
    for match in MODEL.finditer(scan.text):
        start, end = match.start(), match.start() + len(match[0].rstrip("-_:. "))
        if TERMS.match(scan.text, end) or (not re.search(r"[\d-]", scan.text[start:end]) and end - start < 4):
            continue
        scan.taken.add(start, end)
        scan.models.append((start, end))
        if not _of_others(scan, start):
            yield Found("model_name", _written(scan.original[start:end]), "", start, end, (start, end))
    for match in NAMED.finditer(scan.text):
        name = scan.original[slice(*match.span("name"))]
        if NAME_LIKE.fullmatch(name) and not scan.taken.overlaps(*match.span("name")):
            scan.taken.add(*match.span("name"))
            yield found("model_name", name, match, group="name")


def _of_others(scan: Scan, at: int) -> bool:
    """Whether a model is somebody else's, or an account's of somebody else's."""
    low, _ = scan.moods.sentence(at)
    account = ACCOUNT.search(scan.text, low, at)
    named = next((end for start, end in scan.models if start == at), at)
    if ACCOUNT_AFTER.match(scan.text, named) or scan.moods.told_of_them(at):
        return True
    return NOT_OURS.search(scan.before(at, 50)) is not None or (
        account is not None and not OURS.search(scan.text, account.end(), at)
    )


def _written(name: str) -> str:
    """A dictated name as it is written: `qwen two point five coder seven b` is `qwen2.5-coder-7b`."""
    if not DICTATED.search(name):
        return name
    digits = DICTATED.sub(lambda m: f"{find(m[0])[0].value:g}", re.sub(r"\sdot\s", " point ", name.lower()))
    joined = re.sub(
        r"^(deep|star|code|open)\s(?=seek|coder|llama|gemma|qwen)", r"\1", re.sub(r"(?<=\d)\sb\b", "b", digits)
    )
    return re.sub(r"\s", "-", re.sub(r"^([a-z]+)\s(?=\d+(?:\.\d+)?(?![\w.]))", r"\1", joined))


PARAM_NOUN = re.compile(
    r"[\s-]*(?:of )?(?:(?:dense|total|non-embedding|trainable|active|model) )?(?:params?|parameters|weights|param)\b",
)
PARAM_CUE = re.compile(
    r"\b(?:params?|parameters?|parameter[ _]count|num[ _]params|model[ _]size|size|n_params"
    r"|param count)[\"'`*]*\s*(?:\(\w+\) ?)?(?:(?:is|are|=|:|of|about|\|)\s*)*[\"'`*]*$",
)
NOT_PARAMS = re.compile(
    r"[\s-]*(?:tokens?|tok\b|problems|samples|users|dollars|usd|requests|lines|rows|pairs|active|active-?"
    r"|activated|draft|teacher|judge|reward|%|files|events|completions)",
)


ANOTHER = re.compile(r"[\s-]*(?:teacher|judge|draft|reward)")
SIZE = re.compile(rf"\s(?P<billions>\d+(?:\.\d+)?|{_SPOKEN})\s?b\b(?=\s|$)")


def parameter_count(scan: Scan) -> Iterator[Found]:
    """parameter_count: a number of parameters, or a size in billions that counts nothing else; else the name's own."""
    sizes = [size for number in scan.numbers if (size := _parameters(scan, number))]
    yield from sizes or _named_sizes(scan)


def _parameters(scan: Scan, number: Number) -> Found | None:
    if not scan.free(number) or number.form != "plain" or number.ranged or number.value < 1e5:
        return None
    cue = PARAM_CUE.search(scan.before(number.start, 40))
    noun = PARAM_NOUN.match(scan.text, number.end)
    billions = number.scale.startswith("b") or number.written.endswith("billion")
    bare = (
        billions and not NOT_PARAMS.match(scan.text, number.end) and scan.before(number.start, 1) not in ("$", "€", "-")
    )
    others = NOT_OURS.search(scan.before(number.start, 30)) or ANOTHER.match(scan.text, number.end)
    if not (noun or cue or bare) or others or (noun and "active" in noun[0]) or (not noun and number.value < 1e6):
        return None
    start, end = number.start - (len(cue[0]) if cue else 0), noun.end() if noun else number.end
    return Found("parameter_count", plain(number.value), "count", start, end, (number.start, number.end))


def _named_sizes(scan: Scan) -> Iterator[Found]:
    """The size that a name of several words ends in: `codellama 13b`."""
    for start, end in scan.models:
        if (size := SIZE.search(scan.text, start, end)) and not _of_others(scan, start):
            billions = find(size["billions"])[0].value
            yield Found("parameter_count", round(billions * 1e9), "count", start, end, size.span())


CONTEXT_BEFORE = re.compile(
    r"\b(?:(?:max(?:imum)?|model|native|eval(?:uation)?)[ _-])?(?:context|ctx|n_ctx|num_ctx|max_model_len"
    r"|model_max_length|max_position_embeddings|max_seq_len\w*|max-model-len|seq(?:uence)?[ _-]?len(?:gth)?)"
    r"(?:[ _-]?(?:length|len|window|size|limit|budget))?[\"'`*]*\s*"
    r"(?:(?!gpu|param|pass|problem|but\b|train)[a-z'@]+ ){0,6}?"
    r"(?:\(tokens\) ?)?(?:(?:is|are|was"
    r"|of|=|:|at|to|set to|\||,|capped at"
    r"|goes to|stays at|we evaluate at)\s*)*[\"'`*~]*$",
)
CONTEXT_AFTER = re.compile(
    r"[\s-]*(?:tok(?:en)?s?[\s-]*)?(?:of )?(?:(?:max |model |native )?(?:context|ctx)\b|(?:context )?window\b"
    r"|seq(?:uence)? ?len\w*)",
)


def context_length(scan: Scan) -> Iterator[Found]:
    """context_length in tokens."""
    for number in scan.numbers:
        if not scan.free(number) or number.ranged:
            continue
        cue = CONTEXT_BEFORE.search(scan.before(number.start, 70))
        noun = CONTEXT_AFTER.match(scan.text, number.end)
        value = tokens(number)
        if (cue or noun) and value and value >= 256:
            start = number.start - (len(cue[0]) if cue else 0)
            yield Found(
                "context_length", value, "tokens", start, noun.end() if noun else number.end, (number.start, number.end)
            )
