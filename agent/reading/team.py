"""People, and the days until a signal that matters to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.reading.facts import Found
from agent.reading.scan import Scan, amount, found, plain

_PEOPLE = (
    r"(?:people|persons?|engineers?|devs?|developers?|researchers?|scientists?|folks|members?|humans|heads|ppl"
    r"|fte'?s?|ml engineers?|guys|colleagues|of us|pax)"
)
_N = (
    r"(?<![\d.,$-])(?<!\bor )(?<!\bto )(?P<n>\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|thirteen|fourteen|fifteen|sixteen|twenty|a dozen)"
)
TEAM = (
    re.compile(
        rf"\b(?:team|group|squad|crew)[\"'`*]*(?:[ _-]?size)?[\"'`*]*\s*(?:(?:is|of|=|:|has|are|consists of|(?:could"
        rf"|would|will|might) be"
        rf"|consisting of|\|"
        rf"|we are|counts)\s*)*(?:just |only |exactly )?[\"'`]?{_N}\b(?!\s*(?:%|days|weeks|gpu|[.,]\d))",
    ),
    re.compile(
        rf"\b{_N}[\s-]+(?:(?!or\b|to\b|of\b)\w+[\s-]+){{0,2}}?{_PEOPLE}(?![\w-])(?! (?:complain|churn|use|ask|report))"
    ),
    re.compile(
        rf"\b{_N}[\s-](?:person|people|man|member|engineer|strong)[\s-](?:\w+ )?(?:team|group|squad|crew|shop)\b"
    ),
    re.compile(
        rf"\bwe(?:'re| are)\s+(?:just |only |a team of )?{_N}\b(?!\s*(?:%|days|weeks|gpu|months|points|hours|[.,]\d))",
    ),
    re.compile(rf"\bheadcount[\"'`]*\s*(?:is|:|=)\s*{_N}\b"),
    re.compile(rf"\bthe {_N} of us\b"),
)
ALONE = re.compile(
    r"\b(?:(?:it'?s |is |team is )?just me(?: here)?|only me|solo(?: dev\w*| project| engineer| effort)?"
    r"|i am alone|i'm alone|i work alone|one[- ]man (?:show|team)|myself only|by myself|team of one"
    r"|me, myself and i|i'm the only)\b",
)
ME_AND = re.compile(
    r"\b(?:me|myself|i) (?:and|plus|\+) (?P<n>one|two|three|four|five|\d|an?|my) (?:other "
    r"|more )?(?:colleagues?|others?|engineers?|interns?|people|friends?|co-?founder|students?|devs?)\b",
)


STRANGERS = re.compile(r"\b(?:users|annotat\w*|customers|labell?ers|contractors?)\b")
PLUS_MORE = re.compile(
    r"\s*(?:and|plus|\+|&) (?:an?|one|two|three|four|five|half|\d)\b(?! (?:month|week|day|few))"
    r"|\s*,?\s*(?:minus|less|not counting|except(?: for)?|excluding|without)\b"
)


def team_size(scan: Scan) -> Iterator[Found]:
    """team_size: people who work on it."""
    for match in ALONE.finditer(scan.text):
        yield found("team_size", 1, match, "count")
    joined = list(ME_AND.finditer(scan.text))
    for match in joined:
        yield found("team_size", int(amount(match["n"].lower().replace("my", "a"))) + 1, match, "count")
    for pattern in TEAM:
        for match in pattern.finditer(scan.text):
            strangers = scan.moods.has(STRANGERS, *scan.moods.clause(match.start()))
            if not strangers and not joined and not PLUS_MORE.match(scan.text, match.end()):
                yield found("team_size", int(amount(match["n"].lower())), match, "count", "n")


_T = (
    r"(?P<n>\d{1,3}(?:\.5)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|fifteen|twenty"
    r"|thirty|sixty|ninety)"
)
_PERIOD = rf"(?:{_T}[\s-]*(?P<unit>hours?|h|days?|d|weeks?|wks?|w|months?|mo|fortnight)\b|(?P<fortnight>fortnight))"
SIGNAL = (
    r"(?:signals?|go/?no-?go|first (?:result|read|answer|number|reading|sign)s?(?: (?:that matters?))?"
    r"|first_signal(?:_days)?|results?|decision|answer|verdict|read-?out|deadline|show something|something to show"
    r"|(?:smth|sth|sthg) to show|show (?:smth|sth)|know|proof|indication|evidence|decide)"
)
SIGNAL_DAYS = (
    re.compile(
        rf"\b{SIGNAL}[^.;\n]{{0,60}}?\b(?:in|within|by|after|at|is|:|=|needed in|due in|before|of|over|takes?"
        rf"|inside|until|we have|there (?:are|is))[\"'`*]*\s*(?:the |about |at most |next |under |less than "
        rf"|max(?:imum)? )*{_PERIOD}",
    ),
    re.compile(
        rf"\bfirst[ _-]signal(?:[ _-]that[ _-]matters)?(?:[ _-](?:in[ _-])?days)?[\"'`*]*\s*(?:[:=|]|is|at|-"
        rf"|>)*\s*[\"'`]?{_PERIOD}",
    ),
    re.compile(
        rf"\b(?:in|within|have|got|only|inside)\s+(?:the next |just |only )*{_PERIOD}[^.;\n]{{0,40}}?\b(?:to "
        rf"|for |we need |until |till |a |the |an )*(?:first )?{SIGNAL}\b",
    ),
    re.compile(
        rf"\b{_PERIOD} (?:to|until|till|for|before) (?:the |a |our |we (?:need|want) (?:a "
        rf"|the )?)?(?:first )?(?:meaningful |real )?{SIGNAL}\b",
    ),
    re.compile(
        r"\b(?:first[ _-]signal[ _-](?:in[ _-])?days"
        r"|days[ _-]to[ _-](?:the[ _-])?(?:first[ _-])?signal)[\"'`*]*\s*(?:[:=|]"
        r"|is)\s*[\"'`]?(?P<n>\d{1,3}(?:\.5)?)(?P<unit>)(?P<fortnight>)(?![\w-])",
    ),
)
DAYS = {"h": 1 / 24, "d": 1, "w": 7, "m": 30, "f": 14, "": 1}


def first_signal_days(scan: Scan) -> Iterator[Found]:
    """first_signal_days: how long until the first signal that matters. A month is 30 days."""
    for pattern in SIGNAL_DAYS:
        for match in pattern.finditer(scan.text):
            unit = (match["unit"] or ("f" if match["fortnight"] else ""))[:1].lower()
            days = timedelta(days=(amount(match["n"]) if match["n"] else 1) * DAYS[unit]) / timedelta(days=1)
            working = re.search(r"\b(?:working|business)\b", match[0])
            if not re.match(r"\s*(?:gpu|on \d|of (?:gpu|compute))", scan.text[match.end() : match.end() + 12]):
                at = match.start("n") if match["n"] else match.start("fortnight")
                yield Found(
                    "first_signal_days",
                    plain(round(days, 6)),
                    "days",
                    *match.span(),
                    (at, match.end()),
                    "ambiguous" if working else "",
                )
