"""GPUs and GPU-hours: stated per stage, or GPUs times time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.facts import Found
from agent.reading.numbers import Number
from agent.reading.scan import Scan, amount, plain

GPU_NAME = (
    r"(?:[ah]100|h[28]00|h20|a800|a10g?|a[34]0|a[456]000|b[123]00|g[bh][23]00|l40s?|l4|l20|v100|p100|k80|t4"
    r"|mi\d{3}[xa]?|tpu ?v\d[ep]?|tpus?|gaudi ?\d?"
    r"|(?:rtx ?)?(?:30[789]0|40[789]0|50[789]0)(?: ?ti)?|rtx ?(?:a?[2-8]000|6000 ?ada|pro 6000)|trainium ?\d?"
    r"|gtx ?\d{4}(?: ?ti)?|m[1-4] (?:max|ultra|pro))"
)
GPU = re.compile(
    rf"(?<![a-z0-9])(?:(?:nvidia|amd|nvidia) )?(?:\d+ ?x ?)?(?P<name>{GPU_NAME}(?:[- ]?\(?\d{{2,3}} ?(?:gb?"
    rf"|gb)\)?)?(?:[- ](?:sxm\d?|pcie|nvl))?)(?:s|'s)?(?![a-z0-9])",
)


def gpu_type(scan: Scan) -> Iterator[Found]:
    """gpu_type, as named, without its count."""
    for match in GPU.finditer(scan.text):
        scan.taken.append(match.span("name"))
        words = scan.original[slice(*match.span("name"))]
        yield Found("gpu_type", re.sub(r"\(|\)", "", words), "", *match.span("name"), match.span("name"))


GPU_HOURS = re.compile(rf"(?:(?:gpu|card|accelerator|device|{GPU_NAME})s?[ ._-]?(?:hours?|hrs?|h)\b|gpuh)")
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
WALL = re.compile(r"\b(?:wall[- ]?clock|wall time|wall hours)\b")
TIME_UNIT = r"(?P<unit>hours?|hrs?|h|days?|d|weeks?|wks?)\b"
HOURS = {"h": 1, "d": 24, "w": 168}


def gpu_hours(scan: Scan) -> Iterator[Found]:
    """gpu_hours.<stage> over all GPUs: stated as GPU-hours, or GPUs times time."""
    for low, high in _budget_spans(scan):
        yield from _stated_hours(scan, low, high)
    yield from _multiplied_hours(scan)


def _budget_spans(scan: Scan) -> Iterator[tuple[int, int]]:
    seen = -1
    for match in GPU_HOURS.finditer(scan.text):
        low, high = scan.moods.sentence(match.start())
        if match.start() >= seen and scan.text[low:high].strip().endswith(":") is False:
            yield low, high
            seen = high


def _stated_hours(scan: Scan, low: int, high: int) -> Iterator[Found]:
    units = [m.span() for m in GPU_HOURS.finditer(scan.text, low, high)]
    numbers = [n for n in scan.numbers if low <= n.start < high and scan.free(n) and _is_hours(scan, n, units)]
    stages = sorted(
        ((m.start(), m.end(), name) for name, p in STAGES.items() for m in p.finditer(scan.text, low, high)),
        key=lambda s: s[0],
    )
    for number, stage in zip(numbers, _stages_of(scan, numbers, stages, units), strict=True):
        if stage is not None:
            start, end, name = stage
            yield Found(
                name,
                plain(number.value),
                "gpu_hours",
                min(number.start, start),
                max(number.end, end),
                (number.start, number.end),
                "range" if number.ranged else "",
            )


def _is_hours(scan: Scan, number: Number, units: list[tuple[int, int]]) -> bool:
    if number.form != "plain" or number.scale not in ("", "k", "thousand"):
        return False
    after = scan.text[number.end : number.end + 24]
    if re.match(
        r"\s?-?(?:x\b|x ?[a-z0-9]|days?|weeks?|d\b|wks?|people|engineers|problems|tasks|samples|nodes?"
        r"|gpus?\b(?![ -]?h)|tokens|%|\$|usd|eur|percent|epochs?|rounds?|of us|params|hours? (?:on|per|wall))",
        after,
    ):
        return False
    if scan.before(number.start, 1) in ("$", "€", "@"):
        return False
    return not re.match(rf"\s?{GPU_NAME}(?![ -]?h)", after)


def _stages_of(
    scan: Scan, numbers: list[Number], stages: list[tuple[int, int, str]], units: list[tuple[int, int]]
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
        touching = any(0 <= u[0] - number.end <= 3 for u in units) or any(0 <= number.start - u[1] <= 8 for u in units)
        pick = (chosen[-1] if chosen[0][1] <= number.start else chosen[0]) if chosen else None
        if pick is not None:
            free.remove(pick)
        yield pick or ((number.start, number.end, "gpu_hours.total") if touching else None)


def _parts(stages: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    return [stage for stage in stages if stage[2] != "gpu_hours.total"]


FLEET_BEFORE = re.compile(r"(?:\bnodes?|boxes|machines|servers|hosts)\s*(?:of|with|,|x|each with|-|\()*\s*$")
FOR_TIME = re.compile(
    rf"(?:s|'s)?(?:[\s-]*(?:\d+ ?gb|gpus?|cards?|nodes?|boxes|machines|servers|each|\)|total|in total|reserved"
    rf"|available|box|node|instance|instances))*\s*(?:,|x|for|over|during|reserved for|booked for|available for"
    rf"|@|\()?\s*(?:a total of |exactly |the full |a full |full )?(?P<n>\d+(?:\.\d+)?|an?|one|two|three|four"
    rf"|five|six|seven|ten|twelve|twenty-four)[\s-]?{TIME_UNIT}",
)
TIME_ON = re.compile(
    rf"\b(?P<n>\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|ten"
    rf"|twelve)[\s-]?{TIME_UNIT}\s*(?:of wall[- ]?clock )?(?:on|with|across|using|of|x|\*)\s*(?:our |the |all "
    rf"|an? )*$",
)


def _multiplied_hours(scan: Scan) -> Iterator[Found]:
    for match in re.finditer(rf"{GPU_NAME}(?:s\b)?|\b(?:gpus?|cards)\b", scan.text):
        fleet = _fleet(scan, match.start())
        if fleet is None or GPU_HOURS.match(scan.text, match.start()):
            continue
        gpus, start = fleet
        after = FOR_TIME.match(scan.text, match.end())
        before = TIME_ON.search(scan.before(start, 50))
        time = after or before
        if time is None or (after and "\n" in after[0]):
            continue
        total = gpus * amount(time["n"]) * HOURS[time["unit"][0].lower()]
        left = start - len(before[0]) if before and not after else start
        right = after.end() if after else match.end()
        clause = scan.text[max(0, scan.moods.clause(left)[0]) : scan.moods.clause(right - 1)[1]]
        stage = next(
            (name for name, p in STAGES.items() if name != "gpu_hours.total" and p.search(clause)), "gpu_hours.total"
        )
        yield Found(stage, plain(total), "gpu_hours", left, right, (left, right))


def _fleet(scan: Scan, at: int) -> tuple[float, int] | None:
    """How many GPUs are named right before a place, nodes multiplied in; None where no number is given."""
    product, start, seen = 1.0, at, False
    for number in reversed([n for n in scan.numbers if n.end <= at and at - n.end < 60]):
        between = scan.text[number.end : start]
        if (
            not re.fullmatch(
                r"\s*-?\s*(?:x|\*|of|nvidia|amd|nodes?|boxes|machines|servers|with|each|\(|,"
                r"|of them)?(?:\s*(?:x|of|with|nvidia|amd|\())*\s*",
                between,
            )
            or number.form != "plain"
            or number.ranged
        ):
            break
        product, start, seen = product * number.value, number.start, True
    return (product, start) if seen and product == int(product) else None
