"""The base model: its name, its size, the context it is run with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.numbers import tokens
from agent.reading.scan import Scan, found

_FAMILIES = (
    r"(?:code)?qwen|(?:code ?|tiny|open)?llama|deepseek|starcoder|starchat|mi[sx]tral|mini?stral|codestral"
    r"|devstral|mathstral|(?:code)?gemma|phi|granite|yi(?=[- ]?(?:\d|coder))"
    r"|olmo|gpt-oss|gpt-neox?|gpt-j|seed-coder|opencoder|smollm|wizardcoder|stablecode|stable-code|falcon"
    r"|internlm|nemotron|codegen|santacoder|incoder|kimi|glm|minimax"
    r"|magicoder|baichuan|replit-code|code ?t5\+?|polycoder|zephyr|aya|command-r|hunyuan|ling|ernie|solar"
    r"|mellum|nextcoder|pythia|cerebras-gpt|bloomz?|opt(?=-\d)"
)
_PART = (
    r"(?:v?\d[\w.]*|coder|code|instruct|chat|base|it|hf|mini|small|medium|large|nano|pro|lite|thinking|think|next"
    r"|plus|nemo|python|flash|math|math|moe|a\d+b|preview|sft|dpo|rl)"
)
MODEL = re.compile(
    rf"(?<![\w@-])(?:[\w.-]+/)?(?:{_FAMILIES})(?:\w*(?:\.\w+)*)(?:[-_:]\w+(?:\.\w+)*|\s{_PART}(?![\w%]))*"
    r"(?! (?:\w+ )?licen[cs]e)"
    r"|(?<![\w@/-])(?:[a-z][\w.-]*/)?[a-z][a-z0-9_.]*(?:-[a-z0-9_.]+)*[-_:]\d+(?:\.\d+)?[bm](?:-[a-z0-9_.]+)*(?![\w-])",
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


def model_name(scan: Scan) -> Iterator[Found]:
    """model_name: a known family or the usual shape `name-7b`, or whatever is called the model."""
    for match in MODEL.finditer(scan.text):
        words = match[0].rstrip("-_:. ")
        if re.match(r"[\w.]*(?:\s\w+)?\s(?:licen[cs]e|terms)\b", scan.text[match.start() + len(words) :]):
            continue
        span = (match.start(), match.start() + len(words))
        if not re.search(r"[\d-]", words) and len(words) < 4:
            continue
        scan.taken.append(span)
        if not NOT_OURS.search(scan.before(span[0], 50)):
            yield Found("model_name", scan.original[span[0] : span[1]], "", *span, span)
            if size := re.search(r"\s(?P<billions>\d+(?:\.\d+)?)b$", words):
                at = (span[0] + size.start("billions"), span[1])
                yield Found("parameter_count", round(float(size["billions"]) * 1e9), "count", *span, at)
    for match in NAMED.finditer(scan.text):
        name = scan.original[slice(*match.span("name"))]
        if NAME_LIKE.fullmatch(name) and not scan.overlaps(*match.span("name")):
            scan.taken.append(match.span("name"))
            yield found("model_name", name, match, group="name")


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


def parameter_count(scan: Scan) -> Iterator[Found]:
    """parameter_count: a number of parameters, or a size in billions that counts nothing else."""
    for number in scan.numbers:
        if not scan.free(number) or number.form != "plain" or number.ranged:
            continue
        cue = PARAM_CUE.search(scan.before(number.start, 40))
        noun = PARAM_NOUN.match(scan.text, number.end)
        billions = number.scale in ("b", "bn", "billion", "billions") or (number.written.lower().endswith(("billion",)))
        bare = (
            billions
            and not NOT_PARAMS.match(scan.text, number.end)
            and scan.text[number.start - 1 : number.start] not in ("$", "€", "-")
        )
        if (
            not (noun or cue or bare)
            or (noun and "active" in noun[0].lower())
            or NOT_OURS.search(scan.before(number.start, 30))
        ):
            continue
        if (
            number.value < 1e5
            or (cue and not noun and number.value < 1e6)
            or re.match(r"[\s-]*(?:teacher|judge|draft|reward)", scan.text[number.end : number.end + 10])
        ):
            continue
        start = number.start - (len(cue[0]) if cue else 0)
        value = int(number.value) if number.value == int(number.value) else number.value
        yield Found(
            "parameter_count", value, "count", start, noun.end() if noun else number.end, (number.start, number.end)
        )


CONTEXT_BEFORE = re.compile(
    r"\b(?:(?:max(?:imum)?|model|native|eval(?:uation)?)[ _-])?(?:context|ctx|n_ctx|num_ctx|max_model_len"
    r"|model_max_length|max_position_embeddings|max_seq_len\w*|max-model-len|seq(?:uence)?[ _-]?len(?:gth)?)"
    r"(?:[ _-]?(?:length|len|window|size|limit|budget))?[\"'`*]*\s*(?:(?!gpu|param|pass|problem)[a-z'@]+ ){0,6}?"
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
