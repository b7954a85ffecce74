"""Why the model matters and what a worse one would cost, in the words of the user."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.scan import Scan

PURPOSE = re.compile(
    r"\b(?:(?:purpose|product surface|surface|use[- ]?case|why it matters|product)[\"'`*]*\s*(?:is|:|=|\||-)+"
    r"|it matters because|matters because|because (?=(?:our|the) (?:users|customers|students|developers)))"
    r"[\s\"'`]*(?P<key>[^\n;.]{4,160})"
    r"|\b(?P<verb>(?:power(?:s|ing)|drives|driving|feeds|backs"
    r"|serves|sits behind|runs (?:in|inside|behind)|goes into|is (?:used|embedded|deployed|shipped) (?:in|for"
    r"|by|inside|as)|used (?:in|for|by|inside|as)|ships (?:in|inside|with|as)|lives in|we use it (?:for|in|to)"
    r"|it's for|it is for|is for|(?:matters|important) (?:because|for|since))\s+[^\n;.]{4,140})",
)
NOT_PURPOSE = re.compile(
    r"\b(?:pass@|gpu|held-?out|eval(?:uation)?|sampling|training|verif\w+|tests?|temperature|rollback"
    r"|checkpoints?|fine-?tun\w*|context length|benchmark|decontam\w*)\b",
)

OTHER_SUBJECT = re.compile(
    r"\b(?:rollback|checkpoints?|(?:de)?contamination|decontam|verifier|tests?|suite|scan|script)\b(?: \w+)?\s*$"
)
"""`The rollback lives in a wiki`: not the model, and no purpose."""


def purpose(scan: Scan) -> Iterator[Found]:
    """purpose: why it matters, in the user's words."""
    for match in PURPOSE.finditer(scan.text):
        group = "key" if match["key"] else "verb"
        words = _phrase(scan.original[slice(*match.span(group))])
        if (
            len(words) < 4
            or (group == "verb" and NOT_PURPOSE.search(words.lower()))
            or re.match(r"(?:tbd|unknown|none|n/?a|\?)", words.lower())
        ):
            continue
        if group == "verb" and OTHER_SUBJECT.search(scan.before(match.start(), 24)):
            continue
        if group == "verb" and not re.search(
            r"\b(?:it|which|that|this|model|we|product|used|they|completions?)\b|^",
            scan.text[max(0, match.start() - 30) : match.end()],
        ):
            continue
        yield Found("purpose", words, "", match.start(), match.start(group) + len(words), match.span(group))


WORSE = (
    r"(?:worse|worsens?|regress\b|regress(?:es|ed|ion|ions)?|degrad(?:es?|ed|ation)|deteriorat\w+|declin\w+"
    r"|underperform\w*|slips?|suffers?|breaks?|broken|fails?|bad(?:ly)?"
    r"|goes wrong|went wrong|goes south|drops?|tanks?|screws? up|misbehaves?|collaps(?:es|ed)|dumber|goes sideways"
    r"|blows up|hallucinat\w+|ships? (?:a )?(?:bad|broken|worse)\b[^,;.\n]{0,20})"
)
FAILURE = re.compile(
    rf"\b(?:if|when|should|in case|whenever) (?:the |our |this |a |it"
    rf"|new )*(?:\w+ ){{0,4}}?(?P<worse>{WORSE})\b(?: [\w-]+){{0,4}}?\s*(?:,|->|:|=>|>|-|\b(?:then|we|it|our|the|users"
    rf"|customers|that|i)\b)\s*(?P<then>[^\n;.]{{3,160}})"
    rf"|\b(?:if|when) (?:(?:it|this|the (?:model|output|answer|query|sql|code|completion"
    rf"|suggestion)s?)(?:'s| is| are| turns out| comes out| goes)? )?wrong"
    rf"\s*(?:,|->|:|=>|=|-)\s*(?P<wrong>[^\n;.]{{3,160}})"
    rf"|\b(?:failure[ _-]?cost|cost of (?:a )?(?:failure|regression|being wrong|getting it wrong|a bad model)"
    rf"|cost if (?:it|the model) (?:gets worse|fails|regresses)|what happens if (?:it|the model) (?:gets worse"
    rf"|fails|regresses)|worst[- ](?:case|thing|outcome|that (?:can|could) happen)"
    rf"|blast radius|downside)[\"'`*]*\s*(?:is|:|=|\||would be|of|are|-"
    rf"|that)*\s*(?P<key>[^\n;.]{{3,160}})"
    rf"|\b(?P<mean>(?:a |any )?(?:bad|wrong|worse|broken|regressed|degraded) (?:model|checkpoint|release"
    rf"|completion|suggestion|version|answer|output)s? (?:\w+ ){{0,2}}?(?:=|means?|costs?|would|will|leads? to|breaks?"
    rf"|hurts?|loses?|burns?|ends? up|could|causes?)\s[^\n;.]{{3,140}})"
    rf"|\b(?P<regress>(?:a |any )?(?:regressions?|mistakes?|failures?) (?:\w+ )?(?:means?|costs?|would cost"
    rf"|leads? to|hurts?|loses?|burns?|breaks?)\s[^\n;.]{{3,140}})"
    rf"|\b(?P<weight>(?:regressions?|mistakes?|failures?|errors?) (?:are|is) (?:cheap|costly|expensive|harmless"
    rf"|survivable|tolerable)\b[^\n;.]{{0,140}})",
)

PLAINLY_WORSE = re.compile(
    r"worsens?|regress(?:es|ed)?|degrad(?:es?|ed)|deteriorat\w+|underperform\w*|goes wrong|went wrong|goes south|tanks?"
    r"|misbehaves?|collaps(?:es|ed)|goes sideways|blows up"
)
"""Verbs without an object: what comes next is either a circumstance or the consequence."""
QUALIFIED = re.compile(
    r"\s*(?:[,:>=-]|(?:at|on|in|for|with|by|to|than|after|during|over|under|below|between|from|because|too|again|badly"
    r"|here|there|even|only|slightly|noticeably|silently|overnight|somehow|a (?:lot|bit|little)|much|or|and|then|once"
    r"|when|while|significantly|again|[a-z]+ly)\b)"
)
ASKED = re.compile(r"\b(?:me|us|shout|yell|complain|so|say)[ ,]*$")  # "correct me if wrong: ..."


def failure_cost(scan: Scan) -> Iterator[Found]:
    """failure_cost: what happens if the model gets worse, in the user's words."""
    for match in FAILURE.finditer(scan.text):
        group = match.lastgroup or 0
        low, high = match.span(group)
        if group == "then":
            low = _after_condition(scan.text, match)
        words = _phrase(scan.original[low:high])
        if group == "wrong" and ASKED.search(scan.text[: match.start()]):
            continue
        if len(words) >= 3 and not re.match(
            r"(?i:tbd|unknown|\?|n/?a\b|what\b|we (?:(?:just|can|have|do|simply|always"
            r"|will) )*(?:an? )?(?:auto\w*[ -])?(?:roll|revert)|roll)",
            words,
        ):
            yield Found("failure_cost", words, "", match.start(), low + len(words), (low, low + len(words)))


def _after_condition(text: str, match: re.Match[str]) -> int:
    """Where the consequence starts: with its subject, after the comma of the condition or right after its verb."""
    start, worse = match.start("then"), match.end("worse")
    between = text[worse:start]
    if PLAINLY_WORSE.fullmatch(match["worse"]) and not between[:1].strip() and not QUALIFIED.match(between):
        return worse
    lead = re.search(r"(?:we|it|our|the|users|customers|that|i)\s*$", text[match.start() : start])
    return match.start() + lead.start() if lead else start


def _phrase(words: str) -> str:
    words = re.split(r"\.\s|[;\n|]|,? (?:and|but) (?i:we|our|the team|i) (?:have|do|need|are|can|keep|use)\b", words)[0]
    words = words.split(")")[0] if words.count(")") > words.count("(") else words
    return words.strip(" \t,:;.-\"'`*|>}]")
