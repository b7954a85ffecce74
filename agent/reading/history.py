"""What only the workload holds: preference pairs, earlier rounds, acceptance, decoding, kind of slices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.numbers import count, find
from agent.reading.scan import Scan, amount, found

NAMES = ("preference_pairs", "prior_ssd_rounds", "verifier_acceptance", "decoding", "slice_kind")
PAIRS = re.compile(
    r"\b(?P<n>\d[\d,.]{0,12}[km]?)\s+(?:\w+ ){0,2}?preference pairs?\b"
    r"|\bpreference_?pairs[\"']?\s*[:=]\s*(?P<m>\d[\d,.]{0,12}[km]?)|\b(?P<none>no|zero) preference (?:pairs"
    r"|data)\b",
)
PRIOR = re.compile(
    r"\b(?:already (?:did|ran|done|had|made)|did|ran|completed|finished|prior|previous(?:ly)?"
    r"|so far)\s+(?:did |ran |done )?(?P<n>one|two|three|four|\d|a|an?)\s+(?:ssd |self-distillation "
    r"|prior )*(?:rounds?|iterations?)(?: of (?:ssd|self-?distillation))?\b"
    r"|\bprior_ssd_rounds[\"']?\s*[:=]\s*(?P<key>\d)|\b(?P<never>never|not yet|no (?:earlier|prior"
    r"|previous) (?:ssd )?rounds?)\s*(?:done|run|tried|did)?\s*(?:ssd|self-?distillation)?",
)
ACCEPTANCE = re.compile(r"\b(?:verifier[ _])?accept(?:ance(?:[ _]rate)?|s|ed)[\"']?\s*(?:is|of|rate|:|=|at|about)*\s*$")
DECODING = re.compile(
    r"\b(?:greedy(?: decoding)?|(?:t|temp(?:erature)?)\s*(?:=|:|of|is"
    r"|at)?\s*\d(?:[.,]\d+)?(?:\s*[,/]?\s*(?:and )?top[-_ ]?[pk]\s*(?:=|:|of|is)?\s*\d*[.,]?\d+)*)",
)
SLICE_KIND = re.compile(
    r"\b(?:by|per|over)[ -](?P<kind>difficulty|source)\b|\b(?P<key>difficulty|source)[ -](?:slices?|splits?"
    r"|buckets?|tiers?)\b|\bslice_kind[\"']?\s*[:=]\s*[\"']?(?P<own>difficulty|source)",
)


def history(scan: Scan) -> Iterator[Found]:
    """Facts only the workload holds: preference pairs, earlier rounds, acceptance, decoding, kind of slices."""
    for match in PAIRS.finditer(scan.text):
        words = match["n"] or match["m"]
        size = count(find(words)[0]) if words else 0
        if size is not None:
            yield found("preference_pairs", size, match, "count")
    for match in PRIOR.finditer(scan.text):
        if match["n"] or match["key"]:
            if re.search(r"ssd|self-?distill|prior", scan.sentence(match.start())):
                yield found("prior_ssd_rounds", int(amount((match["n"] or match["key"]).lower())), match, "count")
        elif re.search(r"ssd|self-?distill|rounds?", match[0]):
            yield found("prior_ssd_rounds", 0, match, "count")
    for number in scan.numbers:
        cue = ACCEPTANCE.search(scan.before(number.start, 40))
        if (
            cue
            and number.form == "percent"
            and not number.ranged
            and re.search(r"verif|tests?|samples", scan.sentence(number.start))
        ):
            yield Found(
                "verifier_acceptance",
                round(number.value / 100, 10),
                "fraction",
                number.start - len(cue[0]),
                number.end,
                (number.start, number.end),
            )
    for match in DECODING.finditer(scan.text):
        yield found("decoding", scan.original[match.start() : match.end()], match)
    for match in SLICE_KIND.finditer(scan.text):
        yield found("slice_kind", (match["kind"] or match["key"] or match["own"]).lower(), match)
