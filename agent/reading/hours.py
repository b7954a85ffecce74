"""GPUs and GPU-hours: stated per stage, or GPUs times time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.numbers import Number
from agent.reading.scan import Scan, plain

GPU_NAME = (
    r"(?:[ah]100|h[28]00|h20|a800|a10g?|a[34]0|a[456]000|b[123]00|g[bh][23]00|l40s?|l4|l20|v100|p100|k80|t4"
    r"|mi\d{3}[xa]?|tpu ?v\d[ep]?|tpus?|gaudi ?\d?"
    r"|(?:rtx ?)?(?:30[789]0|40[789]0|50[789]0)(?: ?ti)?|rtx ?(?:a?[2-8]000|6000 ?ada|pro 6000)|trainium ?\d?"
    r"|gtx ?\d{4}(?: ?ti)?|m[1-4] (?:max|ultra|pro))"
)
GPU = re.compile(
    rf"(?<![a-z0-9])(?:(?:nvidia|amd) )?(?:\d+ ?x ?)?(?P<name>{GPU_NAME}(?:[- ]?\(?\d{{2,3}} ?(?:gb?"
    rf"|gb)\)?)?(?:[- ](?:sxm\d?|pcie|nvl))?)(?:s|'s)?(?![a-z0-9])",
)


def gpu_type(scan: Scan) -> Iterator[Found]:
    """gpu_type, as named, without its count."""
    for match in GPU.finditer(scan.text):
        scan.taken.add(*match.span("name"))
        words = scan.original[slice(*match.span("name"))]
        yield Found("gpu_type", re.sub(r"\(|\)", "", words), "", *match.span("name"), match.span("name"))


GPU_HOURS = re.compile(
    rf"(?:(?:gpu|card|accelerator|device|{GPU_NAME})s?[ ._-]?(?P<unit>hours?|hrs?|h|days?|weeks?)\b|gpuh)"
)
STAGES: dict[str, re.Pattern[str]] = {
    "gpu_hours.sampling": re.compile(
        r"\b(?:sampl(?:ing|e|es)|generat(?:ion|ing|e)|inference|rollouts?|drawing)\b|_sampling\b"
    ),
    "gpu_hours.finetune": re.compile(
        r"\b(?:(?<!pre-)fine-? ?tun(?:e|ing|es)|train(?:ing|s)?|tuning|sft|lora|ft)\b|_finetune\b|_train(?:ing)?\b",
    ),
    "gpu_hours.eval": re.compile(
        r"\b(?:eval(?:uation|uate|uating|s)?|benchmarking|testing|measuring|scoring)\b|_eval\b"
    ),
    "gpu_hours.total": re.compile(
        r"\b(?:total|overall|altogether|in all|all in|budget|all together|combined|sum)\b|_total\b"
    ),
}
SHARE_OF = re.compile(
    r"\b(?:half|third|quarter|%|percent|most|part|rest|remainder) of (?P<whole>the |our |those |these )?$"
)
SHARED_OUT = re.compile(
    r"\d (?:of (?:those|these|them|which)"
    r"|(?:are |is |go(?:es)? )?(?:for|to|into) (?:the )?(?:sampl|train|fine|eval))"
)
SHARE_FOR = re.compile(
    r"\b(?:half|thirds?|quarters?|fifths?|tenths?|%|percent|most|part|some|rest) of (?:which|it|them|that|those|this)\b"
    r"(?: (?:is|are|goes|go|will|be|reserved|set aside|meant|for|to|into|the))* "
)
NOT_HOURS = re.compile(
    r"\s?-?(?:x\b|x ?[a-z0-9]|days?|weeks?|d\b|wks?|people|engineers|problems|tasks|samples|nodes?"
    r"|gpus?\b(?![ -]?[hdw])"
    r"|tokens|%|\$|usd|eur|percent|epochs?|(?:(?:are|is|were|have been|already) )*(?:used|spent|gone|burned"
    r"|burnt)\b|rounds?|of us|params|hours? (?:on|per|wall))"
    rf"|\s?{GPU_NAME}(?![ -]?[hdw])"
)
HOURS = {"h": 1, "d": 24, "w": 168}


def gpu_hours(scan: Scan) -> Iterator[Found]:
    """gpu_hours.<stage> over all GPUs: stated as GPU-hours, or GPUs times time."""
    units = list(GPU_HOURS.finditer(scan.text))
    for low, high in dict.fromkeys(scan.moods.sentence(unit.start()) for unit in units):
        if not scan.text[low:high].strip().endswith(":"):
            inside = [unit for unit in units if low <= unit.start() < high]
            yield from _stated_hours(scan, low, high, inside)
            if SHARED_OUT.search(scan.text, high, _end_of_next(scan, high)):
                yield from _stated_hours(scan, high, _end_of_next(scan, high), inside)
    yield from _multiplied_hours(scan)


def _end_of_next(scan: Scan, at: int) -> int:
    """Where the sentence after a place ends; the place itself where it holds a unit of its own."""
    end = scan.moods.sentence(at)[1] if at < len(scan.text) else at
    return at if GPU_HOURS.search(scan.text, at, end) else end


def _stated_hours(scan: Scan, low: int, high: int, units: list[re.Match[str]]) -> Iterator[Found]:
    numbers = [n for n in scan.numbers if low <= n.start < high and scan.free(n) and _is_hours(scan, n)]
    shares = {m.end() for m in SHARE_FOR.finditer(scan.text, low, high)}
    stages = sorted(
        (m.start(), m.end(), name)
        for name, cue in STAGES.items()
        for m in cue.finditer(scan.text, low, high)
        if m.start() not in shares
    )
    for number, stage in zip(numbers, _stages_of(scan, numbers, stages, units), strict=True):
        if stage is not None:
            start, end, name = stage
            value, at = plain(number.value * _factor(number, units)), (number.start, number.end)
            span = (min(number.start, start), max(number.end, end))
            yield Found(name, value, "gpu_hours", *span, at, "range" if number.ranged else "")


def _factor(number: Number, units: list[re.Match[str]]) -> int:
    """Hours in the unit of a number: that of the first unit after it, else of the first one."""
    unit = next((u for u in units if u.start() >= number.end), units[0])
    return HOURS[(unit["unit"] or "h")[0]]


def _is_hours(scan: Scan, number: Number) -> bool:
    if number.form != "plain" or number.scale not in ("", "k", "thousand"):
        return False
    return scan.before(number.start, 1) not in ("$", "€", "@") and not NOT_HOURS.match(scan.text, number.end)


def _stages_of(
    scan: Scan, numbers: list[Number], stages: list[tuple[int, int, str]], units: list[re.Match[str]]
) -> Iterator[tuple[int, int, str] | None]:
    """The stage of each number: lists zip, else the stage beside it, else the total if the unit touches it."""
    parts = [s for s in stages if s[2] != "gpu_hours.total"]
    if (
        len(numbers) > 1
        and len(parts) == len(numbers)
        and (parts[-1][1] <= numbers[0].start or numbers[-1].end <= parts[0][0])
    ):
        yield from parts
        return
    first = bool(numbers and parts and numbers[0].start < parts[0][0])
    free = list(stages)
    for i, number in enumerate(numbers):
        left = numbers[i - 1].end if i else -1
        right = numbers[i + 1].start if i + 1 < len(numbers) else len(scan.text)
        after = [s for s in free if number.end <= s[0] < right]
        before = [s for s in free if left <= s[0] and s[1] <= number.start]
        chosen = (_parts(after) or _parts(before) or after or before) if first else (before or after)
        if chosen and re.search(
            r"[;]|\.\s", scan.text[min(chosen[0][0], number.end) : max(chosen[0][0], number.start)]
        ):
            chosen = []
        touching = any(0 <= u.start() - number.end <= 3 or 0 <= number.start - u.end() <= 8 for u in units)
        if share := SHARE_OF.search(scan.before(number.start, 24)):
            chosen, touching = [], bool(share["whole"])
        pick = (chosen[-1] if chosen[0][1] <= number.start else chosen[0]) if chosen else None
        if pick is not None:
            free.remove(pick)
        yield pick or ((number.start, number.end, "gpu_hours.total") if touching else None)


def _parts(stages: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    return [stage for stage in stages if stage[2] != "gpu_hours.total"]


NODES = r"(?:nodes?|box(?:es)?|machines?|servers?|hosts?|instances?)"
DEVICE = re.compile(rf"{GPU_NAME}(?:s\b)?|\b(?:gpus?|cards|accelerators)\b")
APART = re.compile(rf"(?:\s|[-,(*]|x(?![a-z])|of\b|nvidia|amd|pieces|units|with\b|each\b|having\b|{NODES}\b)*")
"""What may stand between the numbers of a fleet, and between the last one and the name of the device."""
MULTIPLIED = re.compile(rf"[*]|\bx|\d ?x|{NODES}\b|\bof\b")
COUNT_AFTER = re.compile(r"(?:[- ]?\d{2,3} ?gb?)?\s*(?:\(\s*)?[x*]\s*(?P<n>\d{1,4})\b(?!\s?gb?\b)")
WAIT = re.compile(
    rf"(?:s|'s)?(?:\s|[-,()@*]|\d{{2,3}} ?gb?\b|x(?![a-z])|(?:sxm\d?|pcie|nvl|gpus?|cards?|{NODES}|each"
    r"|total|in total|of them"
    r"|reserved|booked|available|dedicated|for|over|during|the|next|a total of|exactly|full|whole|24/7|running|run"
    r"|can use|we|have|got|them)\b)*"
)
"""What may stand between a fleet and how long it runs."""
UNIT = r"[\s-]?(?:full |straight |whole )?(?P<unit>hours?|hrs?|h|days?|d|weeks?|wks?)\b"
LASTS = re.compile(
    UNIT + r"(?!\s*(?:to\b|until|till|before|deadline|from now|ago|old|left|notice"
    r"|(?:a|per|each|every|/)\s*(?:day|night|week)))"
)
ON = re.compile(
    UNIT + r"\s*(?:of (?:wall[- ]?clock|wall time|compute) )?"
    r"(?:on|with|across|using|of|x|\*)\s*(?:(?:our|the|all|an?|those)\s+)*"
)


def _multiplied_hours(scan: Scan) -> Iterator[Found]:
    for match in DEVICE.finditer(scan.text):
        fleet = None if GPU_HOURS.match(scan.text, match.start()) else _fleet(scan, match)
        lasting = fleet and (_lasting(scan, fleet[2]) or _lasted(scan, fleet[1]))
        if not fleet or not lasting:
            continue
        hours, low, high = lasting
        span = (min(fleet[1], low), max(fleet[2], high))
        yield Found(_stage_near(scan, *span), plain(round(fleet[0] * hours, 6)), "gpu_hours", *span, span)


def _stage_near(scan: Scan, start: int, end: int) -> str:
    """The stage that the clauses of a span name, or the total."""
    words = scan.text[scan.moods.clause(start)[0] : scan.moods.clause(end - 1)[1]]
    stages = (name for name, cue in STAGES.items() if name != "gpu_hours.total" and cue.search(words))
    return next(stages, "gpu_hours.total")


def _fleet(scan: Scan, device: re.Match[str]) -> tuple[float, int, int] | None:
    """How many GPUs are named around a device, nodes multiplied in, with their span; None where no number is given."""
    after = COUNT_AFTER.match(scan.text, device.end())
    product, start, seen = float(after["n"]) if after else 1.0, device.start(), after is not None
    for number in reversed([n for n in scan.numbers if n.end <= start and start - n.end < 60]):
        between = scan.text[number.end : start]
        nodes = not seen or MULTIPLIED.search(scan.text[max(0, number.end - 1) : start]) or _nodes_follow(scan, device)
        if not APART.fullmatch(between) or number.form != "plain" or number.ranged or not nodes:
            break
        product, start, seen = product * number.value, number.start, True
    return (product, start, (after or device).end()) if seen and product == int(product) else None


def _nodes_follow(scan: Scan, device: re.Match[str]) -> bool:
    return re.match(rf"[\s-]*{NODES}\b", scan.text[device.end() : device.end() + 16]) is not None


def _lasting(scan: Scan, at: int) -> tuple[float, int, int] | None:
    """How long a fleet runs that is named before a place: `for 3 days`, with the span of it."""
    gap = WAIT.match(scan.text, at)
    end = gap.end() if gap else at
    if "\n" in scan.text[at:end]:
        return None
    number = next((n for n in scan.numbers if n.start == end), None)
    if number is None and (one := re.compile(r"an? ").match(scan.text, end)):
        return _hours(LASTS.match(scan.text, one.end() - 1), 1.0, at)
    plain_number = number is not None and number.form == "plain" and not number.ranged
    return _hours(LASTS.match(scan.text, number.end), number.value, at) if number and plain_number else None


def _lasted(scan: Scan, at: int) -> tuple[float, int, int] | None:
    """How long a fleet ran that is named after its time: `9 hours on 8 GPUs`."""
    for number in scan.numbers:
        if number.end < at < number.end + 50 and (match := ON.fullmatch(scan.text, number.end, at)):
            return _hours(match, number.value, number.start)
    return None


def _hours(unit: re.Match[str] | None, value: float, start: int) -> tuple[float, int, int] | None:
    return (value * HOURS[unit["unit"][0]], start, unit.end()) if unit else None
