"""pass@k figures in prose: which number belongs to which k, which slice, which round.

One line is read at a time as a row of marks (a k, a list of k, a slice, a round, a rate). A rate goes to the k it
stands beside; a list of k takes as many rates; a rate alone takes the k last spoken of, or k = 1 where a slice is
described. Slices and rounds come before their figures (`hard: 12%`) or after them (`12% on hard`), as the first one on
the line does.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from agent.reading.facts import Doubt, Found
from agent.reading.marks import Mark, lines, marks_of
from agent.reading.numbers import Number, rate
from agent.reading.scan import Spans
from agent.reading.slices import regions_of, sizes, slice_of, zipped

FORWARD = re.compile(
    r"[\s:=|>\"'*_`()\[\]{}~-]*(?:(?:rates?|scores?|is|are|was|were|of|at|equals?|not|comes?|came|out|to|sits?"
    r"|stands?|lands?|gives?|gave|gets?|got|we|it|me|now|currently|only|just"
    r"|exactly|around|about|roughly|approximately|maybe|probably|perhaps|be|been|has|have|measured|score|value"
    r"|reaches|reached|hits?|hit|goes|went|up|down|from|respectively|both|yields?|the"
    r"|for|that|this|model|number|us|actually|should|might|around|on|our|held-?out|heldout|eval|test|set|base"
    r"|still|a|solid|as|results?|overall|in|with|and|therefore|thus|then)\b[\s:=|>\"'*_`()~-]*)*",
)
RELATIVE = re.compile(
    r"\s*(?:[a-z]+\s){0,3}(?:[a-z]+)?,?\s?(?:and (?:that|it|this)|which)(?:'s| is| was| stands| sits| came out"
    r"| comes out) (?:at )?"
)
BACKWARD = re.compile(
    r"(?:-?ish|\+| or so|-something)?(?: (?:of (?:\w+ )?)?(?:the |our |all |its )*(?:held-?out |eval |test )?"
    r"(?:problems|tasks|set|cases|exercises))?(?: (?:solved|correct|right|passing|pass|passed|passes|succeeds?"
    r"|succeeded))?\s*(?:\(|\[)?\s*"
    r"(?:(?:at|on|for|in|as|is|was|the|our|of|its|a|to|-|=|:|their)\s*){0,3}",
)
SAME = re.compile(
    r"\b(?:the )?(?:same|identical|ditto|likewise|unchanged|no change)"
    r"(?: (?:number|value|figure|rate|result|score|thing))?(?: (?:for|at|with|goes for|holds for|on))?[\s:(]*$"
)
SAME_AFTER = re.compile(
    r"\)?\s*(?:is|was|stays|gives|comes out)?(?: at)?\s*(?:exactly )?"
    r"(?:the same\b(?! as)|unchanged\b|identical\b(?! to))"
)


GLUE = re.compile(r"[\s,/&|;>*_`-]*(?:(?:and|then|to|vs|or|respectively|resp\.?)\b[\s,/&|;*_`-]*)?")


def read(text: str, numbers: list[Number], taken: Spans) -> list[Found]:
    """All pass@k figures and slice sizes of a normalised text. taken: spans without rates (names, units, tables)."""
    marks = sorted(marks_of(text, numbers, taken), key=lambda m: (m.start, -m.end))
    if not any(m.kind in ("k", "slice") for m in marks):
        return []
    asked = "pass@k" in text or any(m.kind == "k" and (not m.name or len(m.ks) > 1) for m in marks)
    found: list[Found] = []
    starts = [number.start for number in numbers]
    for line in lines(text, marks):
        near = slice(bisect_left(starts, line[0].start - 40), bisect_left(starts, line[-1].end + 160))
        found += _line(text, line, numbers[near], taken, asked)
    return found


SHARE = re.compile(r"\d+\s*(?:/|(?:out )?of)\s*(?P<total>\d{2,5})$")


def total_of(text: str, found: list[Found]) -> Iterator[Found]:
    """heldout_n where every rate is a share of the same total: `91/260 at k=1, 148/260 at k=8`."""
    shares = [(f, SHARE.search(text, *f.at)) for f in found if f.field.startswith("pass_at")]
    totals = {match["total"] for _, match in shares if match}
    if len(totals) == 1 and len(shares) == len(found) and sum(match is not None for _, match in shares) > 1:
        first, match = next((f, m) for f, m in shares if m)
        yield Found("heldout_n", int(match["total"]), "count", first.start, first.end, match.span("total"))


def _line(text: str, line: list[Mark], numbers: list[Number], taken: Spans, asked: bool) -> list[Found]:
    line = _grouped(text, line)
    _bind(text, line, asked)
    _arrows(text, line)
    line = _repeats(text, line)
    shared = zipped(text, line, numbers)
    slices = [m for m in line if m.kind == "slice" and m.scope is None]
    _by_slice_lists(text, line, slices)
    _by_context(text, line, slices)
    _by_round(line)
    bound = [m for m in line if m.kind == "rate" and m.k is not None and m.name != "old"]
    found = [f for m in bound if (f := _bound(text, m, line, slices)) is not None]
    return found + shared + sizes(text, slices, line, numbers, taken, found)


def _grouped(text: str, line: list[Mark]) -> list[Mark]:
    """Neighbouring k with nothing but glue between them become one list."""
    out: list[Mark] = []
    for mark in line:
        last = out[-1] if out else None
        if (
            last
            and last.kind == mark.kind == "k"
            and _is_list_glue(text[last.end : mark.start])
            and not _owned(text, out)
        ):
            out[-1] = Mark("k", last.start, mark.end, ks=last.ks + mark.ks, name=last.name and mark.name)
        else:
            out.append(mark)
    return out


def _owned(text: str, out: list[Mark]) -> bool:
    """Whether the last k already has its one figure right before it: `44% at one, pass@16 63%`."""
    rates = [m for m in out[-3:-1] if m.kind == "rate"]
    if not rates or out[-2] is not rates[-1] or not BACKWARD.fullmatch(text[rates[-1].end : out[-1].start]):
        return False
    return len(rates) == 1 or not GLUE.fullmatch(text[rates[0].end : rates[1].start])


def _is_list_glue(between: str) -> bool:
    return re.fullmatch(r"\s*(?:,|/|&|\||and|,\s*and|vs\.?|or|to)?\s*", between) is not None and "\n" not in between


def _bind(text: str, line: list[Mark], asked: bool) -> None:
    for i, cue in enumerate(line):
        if cue.kind != "k" or (cue.name == "weak" and not asked and not _percent_near(line, i)):
            continue
        ahead = _ahead(text, line, i)
        behind = _behind(text, line, i, len(cue.ks))
        chosen = (
            ahead
            if len(ahead) == len(cue.ks) and not (behind and _prefers_behind(text, cue, ahead[0], behind[-1]))
            else behind
        )
        if len(chosen) != len(cue.ks) and ahead and len(cue.ks) > 1 and not behind:
            for mark in ahead:
                mark.k, mark.cue, mark.name = cue.ks[0], cue, "ambiguous"
            continue
        for k, mark in zip(cue.ks, chosen, strict=False):
            mark.k, mark.cue = k, cue
        cue.rates = chosen


ARROW = re.compile(r"\s*%?\s*(?:[-=]{0,2}>|=|\bto)\s*")


def _arrows(text: str, line: list[Mark]) -> None:
    """`43 -> 47`: the second figure replaces the first, or is the round's where the line speaks of one."""
    for old, new in pairwise([m for m in line if m.kind == "rate"]):
        if old.k is None or new.k is not None or not ARROW.fullmatch(text[old.end : new.start]):
            continue
        new.k, new.cue = old.k, old.cue
        rounds = [m.name for m in line if m.kind == "round" and m.name]
        old.name = "from" if rounds else "old"


def _repeats(text: str, line: list[Mark]) -> list[Mark]:
    """`52% at k=4, same for k=8`: a k without a figure of its own takes the one before it."""
    out: list[Mark] = []
    for mark in line:
        out.append(mark)
        bound = [m for m in out if m.kind == "rate" and m.k is not None and m.name != "old"]
        if mark.kind != "k" or not bound or any(m.cue is mark for m in line):
            continue
        if SAME.search(text[bound[-1].end : mark.start]) or SAME_AFTER.match(text, mark.end):
            out += [replace(bound[-1], k=k, cue=mark) for k in mark.ks]
    return out


def _percent_near(line: list[Mark], i: int) -> bool:
    near = (m.number.form for m in line[max(0, i - 1) : i + 2] if m.number is not None)
    return any(form in ("percent", "ratio") for form in near)


def _prefers_behind(text: str, cue: Mark, ahead: Mark, behind: Mark) -> bool:
    """`43% pass@1, 61% pass@8`: the figure that touches the cue wins over the one behind a comma."""
    forward, backward = text[cue.end : ahead.start], text[behind.end : cue.start]
    if re.match(r"\s*[:=|>]|\s+(?:is|was|of|are|at)\b", forward):
        return False
    return "," in forward or ";" in forward or len(backward.strip()) < len(forward.strip()) or " and " in forward


def _ahead(text: str, line: list[Mark], i: int) -> list[Mark]:
    """Free rates after a cue: the first where the words between lead on, the others as a list."""
    cue, end = line[i], line[i].end
    found: list[Mark] = []
    for mark in line[i + 1 :]:
        if mark.kind in ("k",) or len(found) == len(cue.ks):
            break
        if mark.kind == "round" or (mark.kind == "slice" and not found):
            continue
        if mark.kind == "slice":
            break
        between = text[end : mark.start]
        if mark.k is not None or not (GLUE.fullmatch(between) if found else _leads(between)):
            break
        found.append(mark)
        end = mark.end
    return found


def _leads(between: str) -> bool:
    if re.search(r"(?:^|\s)and\s+$", between):
        return False
    if FORWARD.fullmatch(between) or RELATIVE.fullmatch(between):
        return True
    return (
        len(between) <= 60
        and not re.search(r"[;,\n]|[.!?]\s|\bnot\b|\bgap\b|\bthan\b", between)
        and not re.search(r"\d", between)
    )


def _behind(text: str, line: list[Mark], i: int, wanted: int) -> list[Mark]:
    found: list[Mark] = []
    end = line[i].start
    for mark in reversed(line[:i]):
        if mark.kind != "rate" or mark.k is not None or len(found) == wanted:
            break
        between = text[mark.end : end]
        if not (GLUE.fullmatch(between) if found else BACKWARD.fullmatch(between)):
            break
        found.insert(0, mark)
        end = mark.start
    return found if len(found) == wanted else []


def _by_slice_lists(text: str, line: list[Mark], slices: list[Mark]) -> None:
    """`pass@1/pass@8: easy 81/93, hard 12/31`: every slice holds the whole list."""
    lists = [m for m in line if m.kind == "k" and len(m.ks) > 1]
    regions = regions_of(text, slices, line)
    for cue in lists[:1]:
        for low, high in regions:
            within = [m for m in line if m.kind == "rate" and low <= m.start < high]
            if len(within) == len(cue.ks) and all(m.k is None or m.cue is cue for m in within):
                for k, mark in zip(cue.ks, within, strict=True):
                    mark.k, mark.cue = k, cue


def _by_context(text: str, line: list[Mark], slices: list[Mark]) -> None:
    """A rate of a slice without a k of its own takes the k last spoken of on the line, or k = 1."""
    if not slices:
        return
    regions, spoken_of = regions_of(text, slices, line), _trailing(line)
    for mark in line:
        if mark.kind == "k" and len(mark.ks) == 1 and not mark.name:
            spoken_of = mark
        if mark.kind != "rate" or mark.k is not None or slice_of(mark.start, slices, regions) is None:
            continue
        ours = [m for m in line if m.k is not None and m.kind == "rate" and _same(m, mark, slices, regions)]
        marked = mark.number is not None and (
            mark.number.form == "percent" or (mark.number.form == "plain" and mark.number.value < 1)
        )
        if spoken_of is not None and not any(m.k == spoken_of.ks[0] for m in ours) and not _is_size(text, mark):
            mark.k, mark.cue = spoken_of.ks[0], spoken_of
        elif spoken_of is None and marked and not any(m.k == 1 for m in ours):
            mark.k = 1


def _by_round(line: list[Mark]) -> None:
    """`pass@1 rose to 49% in round one; in round two it was 51%`: a round's figure takes the only k of the line."""
    cues = [m for m in line if m.kind == "k"]
    if len(cues) != 1 or len(cues[0].ks) != 1:
        return
    for before, mark in pairwise(line):
        if before.kind == "round" and mark.kind == "rate" and mark.k is None and mark.start > cues[0].end:
            mark.k, mark.cue = cues[0].ks[0], cues[0]


def _trailing(line: list[Mark]) -> Mark | None:
    """The k that closes a line, if it is the only one: `easy 83 / hard 12 (pass@1)`."""
    cues = [m for m in line if m.kind == "k"]
    return cues[0] if len(cues) == 1 and line[-1] is cues[0] and len(cues[0].ks) == 1 and not cues[0].name else None


def _is_size(text: str, mark: Mark) -> bool:
    return text[mark.end : mark.end + 1] == ")" and text[mark.start - 1 : mark.start] == "("


def _same(one: Mark, other: Mark, slices: list[Mark], regions: list[tuple[int, int]]) -> bool:
    return one is not other and slice_of(one.start, slices, regions) == slice_of(other.start, slices, regions)


def _bound(text: str, mark: Mark, line: list[Mark], slices: list[Mark]) -> Found | None:
    assert mark.number is not None
    shared = any(
        m.number is not None and m.number.form == "percent" for m in line if m.cue is mark.cue and m.cue is not None
    )
    value = rate(mark.number, percent=shared and mark.number.value > 1)
    start = min(mark.start, mark.cue.start) if mark.cue else mark.start
    end = max(mark.end, mark.cue.end) if mark.cue else mark.end
    name = mark.scope if mark.scope is not None else slice_of(mark.start, slices, regions_of(text, slices, line))
    path = "pass_at_1" if mark.k == 1 else f"pass_at_k.{mark.k}"
    path = f"slices.{name}.{path}" if name else path
    prefix = "" if mark.name == "from" else _round_of(text, mark, line)
    doubt: Doubt = (
        "range"
        if mark.number.ranged
        else "ambiguous"
        if value is None or mark.name == "ambiguous" or prefix == "tuned"
        else ""
    )
    if prefix in ("round1", "round2"):
        path = f"{prefix}.{path}"
    return Found(path, value, "fraction", start, end, (mark.start, mark.end), doubt)


def _round_of(text: str, mark: Mark, line: list[Mark]) -> str:
    """The round a rate belongs to: one named right after it (`47% after round 1`), else the last one before it."""
    rounds = [m for m in line if m.kind == "round"]
    for match in rounds:
        between = text[mark.end : match.start]
        if match.start >= mark.end and re.fullmatch(
            r"\s*(?:pass@\d+ )?\(?(?:(?:after|in|from|for|at|with|by|the|our)\s*){0,3}", between
        ):
            return match.name
    before = [m for m in rounds if m.end <= mark.start]
    return before[-1].name if before else ""
