"""Grading past one machine: Ray actors that each hold a grader with its sandbox.

Batches go to whoever is free and come back in order, so grades are those of one machine. An actor that dies is started
again by Ray and its batch with it; nothing else of a cluster is made here. Every actor looks at the problems itself, on
its own machine, because time limits follow that machine's pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Self

from tools.errors import SandboxFailed
from tools.measure.samples import Answer
from tools.records import Extraction, Grade, GradeReason, Grading, Problem, Sample, Tier

# samples that travel together: large enough that travelling costs little, small enough that a death loses little
BATCH = 100
# batches that are handed out before the first is waited for, per actor
AHEAD = 4
LOCAL = "local"


class RayGrader:
    """The interface of `verify.Grader` over a Ray cluster. address: `local`, `auto`, or `ray://host:port`."""

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        address: str,
        workers: int = 1,
        **settings: Any,
    ) -> None:
        import ray
        from ray.exceptions import RayActorError

        self._ray = ray
        started = {"num_cpus": workers} if address == LOCAL else {"address": address}
        ray.init(**started, ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(_Cell)
        self._cells: list[Any] = [actor.remote(tuple(problems), settings) for _ in range(workers)]
        try:
            self.tier: Tier = ray.get(self._cells[0].tier.remote())
            self.faults: dict[str, str] = ray.get(self._cells[0].faults.remote())
        except RayActorError as error:
            raise SandboxFailed(f"no grader could be started on {address}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the actors and of the cluster."""
        self._ray.shutdown()

    def adopt(self, faults: Mapping[str, str]) -> None:
        """Hold these to be the problems that cannot be graded; told with every batch, since actors start again."""
        self.faults = dict(faults)

    def grade(self, samples: Iterable[Sample | Answer]) -> Iterator[Grade]:
        """A grade for every sample, in their order."""
        from ray.util import ActorPool

        pool, waiting = ActorPool(self._cells), _batches(samples)
        while ahead := list(islice(waiting, AHEAD * len(self._cells))):
            for grades in pool.map(lambda cell, batch: cell.grade.remote(batch, self.faults), ahead):
                yield from grades

    def sensitivity(self, samples: Sequence[Sample | Answer]) -> dict[Extraction, int]:
        """How many of the same samples pass under each way of finding the code in an answer."""
        found: dict[Extraction, int] = self._ray.get(self._cells[0].sensitivity.remote(tuple(samples)))
        return found

    def report(self, reasons: Mapping[GradeReason, int], sensitivity: Mapping[Extraction, int]) -> Grading:
        """The first actor's record of the problems, with the re-runs of all."""
        reports: list[Grading] = self._ray.get([c.report.remote(dict(reasons), dict(sensitivity)) for c in self._cells])
        summed: dict[str, Any] = {
            name: sum(getattr(report, name) for report in reports) for name in ("timeouts_rerun", "timeouts_recovered")
        }
        return reports[0].model_copy(update=summed | {"ungradable": self.faults})


class _Cell:
    """One grader on one machine."""

    def __init__(self, problems: tuple[Problem, ...], settings: dict[str, Any]) -> None:
        from tools.measure.verify import Grader

        self._grader = Grader(problems, workers=1, **settings)

    def tier(self) -> Tier:
        return self._grader.tier

    def faults(self) -> dict[str, str]:
        return self._grader.faults

    def grade(self, samples: tuple[Sample | Answer, ...], faults: dict[str, str]) -> tuple[Grade, ...]:
        self._grader.adopt(faults)
        return tuple(self._grader.grade(samples))

    def sensitivity(self, samples: tuple[Sample | Answer, ...]) -> dict[Extraction, int]:
        return self._grader.sensitivity(samples)

    def report(self, reasons: dict[GradeReason, int], sensitivity: dict[Extraction, int]) -> Grading:
        return self._grader.report(reasons, sensitivity)


def _batches(samples: Iterable[Sample | Answer]) -> Iterator[tuple[Sample | Answer, ...]]:
    waiting = iter(samples)
    while batch := tuple(islice(waiting, BATCH)):
        yield batch
