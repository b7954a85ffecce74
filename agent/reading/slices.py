"""Slices of a line: what each governs, how large it is, and which figure of a list is whose."""

from __future__ import annotations

import re
from itertools import pairwise

from agent.reading.facts import Found
from agent.reading.marks import Mark
from agent.reading.numbers import Number, count
from agent.reading.scan import Spans

LISTED = re.compile(r"\s*(?:,|/|&|\||and|,\s*and)\s*(?:the )?")
BEFORE_NAMES = re.compile(r"\s*(?:\(?pass@\d+\)?|\(?p@\d+\)?|pass at \w+)?\s*(?:on|for|in|at|across)?\s*(?:the )?")
AFTER_NAMES = re.compile(r"\s*(?:slices?|problems|tasks)?\s*(?:pass@\d+|p@\d+)?\s*(?:is|are|at|get|give|=|:|-|\()*\s*")
EACH = re.compile(
    r"\s*(?:slices?|problems|tasks)?,?\s*\(?\s*(?:with )?(?P<n>\d{1,5}|[a-z]+)[a-z -]{0,20}?"
    r"(?: problems| tasks)? each\b"
)
STOP = re.compile(r"[.!?](?=\s)(?!\s*(?:pass|p)@)")
SIZED = re.compile(
    r"\s+(?:(?:are|is|of them|of which|were) |(?:problems|tasks|questions|items) (?:in|on|for) (?:the |our )?)?"
)


def zipped(text: str, line: list[Mark], numbers: list[Number]) -> list[Found]:
    """`71 / 44 / 13% on easy, medium and hard (90 each)`: as many figures as slices, one for each; their sizes."""
    found = []
    for names in _runs(text, line, "slice"):
        near = [r for r in _runs(text, line, "rate") if len(r) == len(names) and _beside(text, r, names)]
        for name, mark in zip(names, near[0] if near else [], strict=False):
            name.scope = mark.scope = name.name
        _share_k(line, near[0] if near else [])
        each = EACH.match(text, names[-1].end)
        number = next((n for n in numbers if each and n.start == each.start("n")), None)
        if each and number is not None and (size := count(number)):
            at = (number.start, number.end)
            found += [Found(f"slices.{n.name}.n", size, "count", n.start, each.end(), at) for n in names if n.name]
    return found


def _runs(text: str, line: list[Mark], kind: str) -> list[list[Mark]]:
    """Neighbouring marks of a kind with nothing but list glue between, two or more."""
    runs: list[list[Mark]] = []
    for before, mark in pairwise([None, *line]):
        if mark is None or mark.kind != kind:
            continue
        if before is not None and before.kind == kind and LISTED.fullmatch(text, before.end, mark.start):
            runs[-1].append(mark)
        else:
            runs.append([mark])
    return [run for run in runs if len(run) > 1]


def _beside(text: str, rates: list[Mark], names: list[Mark]) -> bool:
    if rates[-1].end <= names[0].start:
        return BEFORE_NAMES.fullmatch(text, rates[-1].end, names[0].start) is not None
    return names[-1].end <= rates[0].start and AFTER_NAMES.fullmatch(text, names[-1].end, rates[0].start) is not None


def _share_k(line: list[Mark], rates: list[Mark]) -> None:
    """One k for all figures of a list: the one bound to any of them, else the only one of the line."""
    cues = [m for m in line if m.kind == "k"]
    bound = next((m.cue for m in rates if m.cue is not None), cues[0] if len(cues) == 1 else None)
    for mark in rates if bound is not None and len(bound.ks) == 1 else []:
        mark.k, mark.cue = bound.ks[0] if bound else None, bound


def regions_of(text: str, slices: list[Mark], line: list[Mark]) -> list[tuple[int, int]]:
    """What each slice governs within its sentence: the text after its name, or before it where figures come first."""
    if not slices:
        return []
    low, high = line[0].start - 200, line[-1].end + 200
    if _figures_first(text, slices, line):
        ends = [m.end for m in slices]
        starts = [low, *ends[:-1]]
    else:
        starts = [m.start for m in slices]
        ends = [*starts[1:], high]
    return [_within_sentence(text, m, *span) for m, span in zip(slices, zip(starts, ends, strict=True), strict=True)]


def _within_sentence(text: str, mark: Mark, low: int, high: int) -> tuple[int, int]:
    stops = [m.end() for m in STOP.finditer(text, max(0, low), mark.start)]
    stop = STOP.search(text, mark.end, max(mark.end, high))
    return max([low, *stops]), stop.start() if stop else high


def _figures_first(text: str, slices: list[Mark], line: list[Mark]) -> bool:
    before = [m for m in line if m.kind == "rate" and m.end <= slices[0].start]
    if not before:
        return False
    between = text[before[-1].end : slices[0].start]
    return (
        re.fullmatch(
            r"\s*(?:(?:pass )?at \w+ |pass@\d+ |@\d+ |\()?\s*(?:(?:on|in|for|of|at|are|the|our|is)\s*){0,3}",
            between,
        )
        is not None
    )


def slice_of(at: int, slices: list[Mark], regions: list[tuple[int, int]]) -> str | None:
    """Name of the slice that governs a place; "" for the whole set, None outside of any slice."""
    within = [m.name for m, (low, high) in zip(slices, regions, strict=True) if low <= at < high]
    return within[0] if within else None


def sizes(
    text: str,
    slices: list[Mark],
    line: list[Mark],
    numbers: list[Number],
    taken: Spans,
    rates: list[Found],
) -> list[Found]:
    """Problem counts of slices: `easy: 120 problems`, `120 easy`, `hard (n=90)`, `easy (120)`."""
    found = []
    used = {f.at for f in rates} | {m.start for m in line if m.kind == "k"}
    for i, mark in enumerate(slices):
        if not mark.name:
            continue
        stop = slices[i + 1].start if i + 1 < len(slices) else mark.end + 120
        number = _size_before(text, mark, numbers) or _size_after(text, mark, numbers, stop, bool(rates))
        if number is None or (number.start, number.end) in used or taken.overlaps(number.start, number.end):
            continue
        size = count(number)
        if size:
            start, end = min(mark.start, number.start), max(mark.end, number.end)
            found.append(Found(f"slices.{mark.name}.n", size, "count", start, end, (number.start, number.end)))
    return found


def _size_before(text: str, mark: Mark, numbers: list[Number]) -> Number | None:
    near = [n for n in numbers if n.end <= mark.start and mark.start - n.end <= 24 and n.form == "plain"]
    if not near or not SIZED.fullmatch(text, near[-1].end, mark.start):
        return None
    before = text[max(0, near[-1].start - 12) : near[-1].start]
    return None if re.search(r"(?<!\bn)(?<!\bn )[@=]\s*$|pass at $", before) else near[-1]


def _size_after(text: str, mark: Mark, numbers: list[Number], stop: int, rated: bool) -> Number | None:
    for number in numbers:
        if not mark.end <= number.start < stop or number.form != "plain":
            continue
        before, after = text[mark.end : number.start], text[number.end : number.end + 30]
        if "\n" in before:
            return None
        if re.search(r"\bn ?(?:=|:|of|is)? ?$", before) or re.match(
            r"\s(?:[\w-]+ ){0,2}(?:problems|probs|tasks|questions|items|exercises)\b", after
        ):
            return number
        if re.fullmatch(r"\s*\(\s*", before) and re.match(r"\s*[),]", after):
            return number
        if (
            rated
            and number.value > 1
            and re.fullmatch(r"\s*[:=]?\s*", before)
            and re.match(r"\s*[,|/(:-]|\s+(?:at|with)\b", after)
        ):
            return number
    return None
