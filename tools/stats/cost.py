"""What a run costs: measured while it runs, estimated before it starts (CST-1), and what was had for it (REP).

GPU-hours are wall time times the accelerators held; CPU-hours are the processor time of a process and of the children
it has waited for. A price exists only where a person declared a rate. A run that is killed keeps what was written: a
meter puts down a row every half minute, so that at most that much is lost. Hours of accelerators and of processors
have no common measure: what is counted in different ones is never compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from math import isclose
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from tools.errors import InvalidInput
from tools.records import Count, Quantity, Record, Unit

Stage = Literal["sampling", "grading", "training", "evaluation", "probing"]
Standing = Literal["dominates", "is dominated", "trades", "equals"]
HOUR = 3600.0
BEAT_SECONDS = 30.0
# no stretch of work is longer and no run holds more; what a slip of the keyboard writes would overflow the sums
CENTURY_SECONDS, MOST_ACCELERATORS = 3.2e9, 10**6
# hours below which nothing was spent: a few microseconds
NOTHING = 1e-9
# figures of an estimate beyond these are slips of the hand, and their products no floats; our choice
LEAST, MOST = 1e-6, 1e15
# what an arm cannot be had without. Evaluation, grading and probing stand apart: they buy knowledge of a model and not
# the model, and a team that looks twice as closely would seem to have gained half as much per hour
MAKING: tuple[Stage, ...] = ("sampling", "training")


class Cost(Record):
    """One stretch of work. stage: what it served, sampling being that of answers to train on.

    accelerators: GPUs held, 0 on a CPU.
    """

    stage: Stage
    wall_seconds: Annotated[float, Field(ge=0, le=CENTURY_SECONDS)]
    cpu_seconds: Annotated[float, Field(ge=0, le=CENTURY_SECONDS * MOST_ACCELERATORS)]
    accelerators: Annotated[int, Field(ge=0, le=MOST_ACCELERATORS)] = 0
    tokens: Count = 0

    @property
    def gpu_hours(self) -> float:
        """Wall time times accelerators held."""
        return self.wall_seconds * self.accelerators / HOUR


class Hours(Record):
    """What stretches of work took together."""

    wall_hours: float
    cpu_hours: float
    gpu_hours: float

    @property
    def unit(self) -> Unit | None:
        """The hours that count: of accelerators where any was held, else of processors; None where nothing ran."""
        if self.gpu_hours > NOTHING:
            return "gpu_hours"
        return "cpu_hours" if self.cpu_hours > NOTHING else None

    @property
    def counted(self) -> float:
        """How many of the hours that count."""
        return self.gpu_hours if self.unit == "gpu_hours" else self.cpu_hours


class Total(Hours):
    """The sum of one stage's stretches."""

    stage: Stage
    tokens: Count

    @property
    def tokens_per_second(self) -> float | None:
        """Mean throughput; None where no token was counted."""
        return self.tokens / (self.wall_hours * HOUR) if self.tokens and self.wall_hours else None


class Meter:
    """Measures from its making on; `write` gets the stretches."""

    def __init__(self, stage: Stage, write: Callable[[Cost], None], accelerators: int = 0) -> None:
        self._stage, self._write, self._accelerators = stage, write, accelerators
        self._wall, self._cpu, self._tokens = time.monotonic(), _cpu_seconds(), 0

    def beat(self, tokens: int = 0) -> None:
        """Count tokens; put down a stretch when half a minute has passed."""
        self._tokens += tokens
        if time.monotonic() - self._wall >= BEAT_SECONDS:
            self.close()

    def close(self) -> None:
        """Put down the stretch since the last one."""
        wall, cpu = time.monotonic(), _cpu_seconds()
        spent = Cost(
            stage=self._stage,
            wall_seconds=wall - self._wall,
            cpu_seconds=max(0.0, cpu - self._cpu),
            accelerators=self._accelerators,
            tokens=self._tokens,
        )
        self._wall, self._cpu, self._tokens = wall, cpu, 0
        self._write(spent)


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def totals(costs: Iterable[Cost]) -> tuple[Total, ...]:
    """Sums per stage, in order of first appearance."""
    stages: dict[Stage, list[Cost]] = {}
    for cost in costs:
        stages.setdefault(cost.stage, []).append(cost)
    return tuple(_total(stage, found) for stage, found in stages.items())


def _total(stage: Stage, costs: list[Cost]) -> Total:
    return Total(stage=stage, tokens=sum(cost.tokens for cost in costs), **hours(costs).model_dump())


def hours(costs: Sequence[Cost]) -> Hours:
    """All stretches together, whatever they served."""
    return Hours(
        wall_hours=sum(cost.wall_seconds for cost in costs) / HOUR,
        cpu_hours=sum(cost.cpu_seconds for cost in costs) / HOUR,
        gpu_hours=sum(cost.gpu_hours for cost in costs),
    )


def making(costs: Iterable[Cost]) -> Hours:
    """What it took to have the model: the stages of MAKING alone."""
    return hours([cost for cost in costs if cost.stage in MAKING])


# a file that was handed over


def read(data: bytes, name: str) -> tuple[Cost, ...]:
    """The stretches of a run's `cost.jsonl`, each under the stage it served.

    Raises InvalidInput naming the first line that is none, a torn last line included: it would be missing in the sum.
    """
    rows = [_row(line, f"{name}:{number}") for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if not rows:
        raise InvalidInput("holds no stretch of work", "rows of a run's cost.jsonl", where=name)
    return tuple(as_served(rows))


def _row(line: bytes, where: str) -> Cost:
    try:
        return Cost.model_validate_json(line, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        key = f" key {fault['loc'][0]}" if fault["loc"] else ""
        expected = f"a stretch of work: {', '.join(Cost.model_fields)}"
        raise InvalidInput(fault["msg"], expected, "hand over cost.jsonl as the run wrote it", where=where + key) from (
            error
        )


def as_served(rows: list[Cost]) -> list[Cost]:
    """The stretches of one run, in their order, under the stage that each served.

    A run that trains draws the answers it trains on first; from then on its own model answers, to be evaluated.
    """
    first = next((number for number, row in enumerate(rows) if row.stage == "training"), None)
    if first is None:
        return rows
    before, after = rows[:first], rows[first:]
    return [
        *(_moved(row, "evaluation", "sampling") for row in before),
        *(_moved(row, "sampling", "evaluation") for row in after),
    ]


def _moved(row: Cost, seen: Stage, served: Stage) -> Cost:
    return row.model_copy(update={"stage": served}) if row.stage == seen else row


# what was had for it


def per_hour(delta: Quantity, made: Hours) -> Quantity | None:
    """A delta in pp, with its interval, per hour of making; None where nothing was spent.

    The hours are measured and not drawn, so that the interval is the delta's, divided by them.
    """
    if delta.ci is None or made.unit is None:
        return None
    ends = (delta.ci.low / made.counted, delta.ci.high / made.counted)
    method = f"{delta.ci.method}, over measured hours"
    return Quantity(
        metric="value",
        value=delta.value / made.counted,
        unit="pp_per_gpu_hour" if made.unit == "gpu_hours" else "pp_per_cpu_hour",
        n=delta.n,
        ci=delta.ci.model_copy(update={"low": ends[0], "high": ends[1], "method": method}),
        degenerate=delta.degenerate,
    )


def standing(delta: float, ours: Hours, theirs: Hours) -> Standing | None:
    """Where we stand on the plane of accuracy and cost (Pareto); None where the two count different hours, or none.

    delta: our pass@1 less theirs. To dominate is to be no worse in both and better in one.
    """
    if ours.unit is None or ours.unit != theirs.unit:
        return None
    signs = (_sign(delta), saving(ours, theirs))
    if signs == (0, 0):
        return "equals"
    return "dominates" if min(signs) >= 0 else "is dominated" if max(signs) <= 0 else "trades"


def saving(ours: Hours, theirs: Hours) -> int:
    """1 where we cost less, -1 where we cost more, 0 where the two cost the same to the last digits of a float."""
    return 0 if isclose(ours.counted, theirs.counted, rel_tol=1e-9) else _sign(theirs.counted - ours.counted)


def _sign(value: float) -> int:
    return int(value > NOTHING) - int(value < -NOTHING)


class Estimate(Record):
    """What sampling would take, before it is spent. Hours are None where no throughput is known, never guessed.

    tokens is an upper bound: every answer as long as it may be.
    """

    answers: Count
    tokens: Count
    wall_hours: float | None = None
    gpu_hours: float | None = None
    usd: float | None = None


def estimate(
    prompts: int,
    samples: int,
    max_tokens: int,
    *,
    tokens_per_second: float | None = None,
    accelerators: int = 0,
    usd_per_gpu_hour: float | None = None,
) -> Estimate:
    """Price `samples` answers to each of `prompts`. tokens_per_second: over all accelerators together.

    Raises InvalidInput where a figure is not positive, or beyond all reason.
    """
    given: dict[str, float] = {"prompts": prompts, "samples": samples, "max_tokens": max_tokens}
    given |= {} if tokens_per_second is None else {"tokens_per_second": tokens_per_second}
    if bad := [f"{name} = {value}" for name, value in given.items() if not LEAST <= value <= MOST]:
        raise InvalidInput(", ".join(bad), "positive figures, none of them beyond all reason")
    answers = prompts * samples
    wall = answers * max_tokens / tokens_per_second / HOUR if tokens_per_second else None
    held = None if wall is None else wall * accelerators
    usd = None if held is None or usd_per_gpu_hour is None else held * usd_per_gpu_hour
    return Estimate(answers=answers, tokens=answers * max_tokens, wall_hours=wall, gpu_hours=held, usd=usd)
