"""What a run costs: measured while it runs, estimated before it starts (CST-1).

GPU-hours are wall time times the accelerators held; CPU-hours are the processor time of a process and of the children
it has waited for. A price exists only where a person declared a rate. A run that is killed keeps what was written: a
meter puts down a row every half minute, so that at most that much is lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import Field

from tools.errors import InvalidInput
from tools.records import Count, Record

Stage = Literal["sampling", "grading", "training", "evaluation", "probing"]
HOUR = 3600.0
BEAT_SECONDS = 30.0


class Cost(Record):
    """One stretch of work. accelerators: GPUs held, 0 on a CPU."""

    stage: Stage
    wall_seconds: Annotated[float, Field(ge=0)]
    cpu_seconds: Annotated[float, Field(ge=0)]
    accelerators: Count = 0
    tokens: Count = 0

    @property
    def gpu_hours(self) -> float:
        """Wall time times accelerators held."""
        return self.wall_seconds * self.accelerators / HOUR


class Total(Record):
    """The sum of one stage's stretches."""

    stage: Stage
    wall_hours: float
    cpu_hours: float
    gpu_hours: float
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
    return Total(
        stage=stage,
        wall_hours=sum(cost.wall_seconds for cost in costs) / HOUR,
        cpu_hours=sum(cost.cpu_seconds for cost in costs) / HOUR,
        gpu_hours=sum(cost.gpu_hours for cost in costs),
        tokens=sum(cost.tokens for cost in costs),
    )


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

    Raises InvalidInput where a figure is not positive.
    """
    given: dict[str, float] = {"prompts": prompts, "samples": samples, "max_tokens": max_tokens}
    given |= {} if tokens_per_second is None else {"tokens_per_second": tokens_per_second}
    if bad := [f"{name} = {value}" for name, value in given.items() if not value > 0]:
        raise InvalidInput(", ".join(bad), "positive figures")
    answers = prompts * samples
    wall = answers * max_tokens / tokens_per_second / HOUR if tokens_per_second else None
    held = None if wall is None else wall * accelerators
    usd = None if held is None or usd_per_gpu_hour is None else held * usd_per_gpu_hour
    return Estimate(answers=answers, tokens=answers * max_tokens, wall_hours=wall, gpu_hours=held, usd=usd)
