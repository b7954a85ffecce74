"""From answers to grades to counts: extraction, time limits, the grader's own integrity, and a run that resumes.

`Grader` first looks at the problems with their own references: a reference must pass, a program that returns nothing
must fail, and the reference's time sets the limit. A problem that does not stand this is named, its samples are
`ungradable`, and counts leave it out: a broken test is never a wrong answer. A sample that ran out of time is run
again with no other program beside it before that counts. `verify` does all of it on a run folder: what has a grade is
not graded again, so a killed run ends in the same counts. Refuses a folder that was graded under other settings.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from tools.errors import InvalidInput
from tools.measure.cluster import RayGrader
from tools.measure.samples import Answer
from tools.measure.sandbox import Job, Limits, Outcome, Sandbox
from tools.records import Extraction, Grade, GradeReason, Grading, Problem, Sample, Tier
from tools.runs import Run
from tools.store import canonical, digest

SAMPLES, GRADES, COUNTS = "samples", "grades", "counts.jsonl"
SETTINGS, FAULTS, GRADING = "grading.json", "ungradable.json", "grading_report.json"
SETTINGS_SHOWN: tuple[Extraction, ...] = ("first_fence", "last_fence", "whole")
LEAST_SECONDS = 2.0  # with a reference; a program may be slower than it by any factor up to this
REFERENCE_FACTOR = 10.0  # and by this factor beyond
REFERENCE_SECONDS = 30.0  # what a reference itself may take
FIRST_SHARE = 0.5  # of the limit in the crowd; the whole of it alone
REPEATS = 2  # further runs of every reference, to see whether grading repeats itself
NOMINAL_PACE = 0.1  # CPU seconds of `pace` on a machine of 2024: below it, limits are not shortened
BATCH = 256
SAVED_AT_ONCE = 64
SHOWN_FOR_SENSITIVITY = 500
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.M | re.S)
FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.M)
NOTHING = "def {name}(*args, **named):\n    return None\n"
NO_FENCE = "no code block in the answer"


# programs


def program(problem: Problem, text: str, extraction: Extraction) -> str:
    """The program that an answer amounts to; empty where the answer has no code.

    extraction: `continuation` appends the text to the preamble as it is; `whole` takes the text as a program,
    `first_fence` and `last_fence` a fenced block of it (an open block goes on to the end), each behind the preamble.
    """
    if extraction == "continuation":
        return problem.preamble + text
    code = text if extraction == "whole" else _fenced(text, first=extraction == "first_fence")
    if not code.strip():
        return ""
    return _behind(problem.preamble, code)


def _fenced(text: str, *, first: bool) -> str:
    blocks = [match[2] for match in FENCE.finditer(text)]
    if not blocks:
        return ""
    return str(blocks[0] if first else blocks[-1])


def _behind(preamble: str, code: str) -> str:
    """Code behind a preamble that is whole by itself; imports from __future__ stay in front."""
    if not preamble.strip() or not _compiles(preamble):
        return code
    future = "".join(line.rstrip("\n") + "\n" for line in FUTURE.findall(code))
    return f"{future}{preamble}\n{FUTURE.sub('', code) if future else code}"


def _compiles(source: str) -> bool:
    try:
        compile(source, "preamble", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def pace() -> float:
    """CPU seconds of a fixed piece of work here and now, over its nominal time; at least 1. Limits grow with it."""
    started = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number % 7
    return max(1.0, (time.process_time() - started) / NOMINAL_PACE)


# problems


@dataclass(frozen=True)
class Examined:
    """What a problem's own reference said of it. fault: why its samples cannot be graded, or empty."""

    problem: Problem
    tests: dict[str, Any]
    key: str
    seconds: float
    fault: str = ""
    runs: int = 0
    misses: int = 0
    caught: int = 0
    let_through: int = 0

    def job(self, source: str, seconds: float, limits: Limits, *, collect: bool = False) -> Job:
        """One program against this problem."""
        return Job(self.key, self.tests, source, limits.model_copy(update={"seconds": seconds}), collect)


def _as_tests(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "entry_point": problem.entry_point,
        "preamble": problem.preamble,
        "checks": problem.checks,
        "cases": [case.model_dump(mode="json") for case in problem.cases],
        "tolerance": problem.tolerance,
    }


def _fresh(problem: Problem) -> Examined:
    tests = _as_tests(problem)
    return Examined(problem, tests, digest(canonical(tests)), seconds=0.0, fault=_unusable(problem))


def _unusable(problem: Problem) -> str:
    if problem.checks and not _compiles(problem.checks):
        return "its checks are no Python"
    if not problem.checks and problem.reference is None and any(case.expected is None for case in problem.cases):
        return "nothing says what should come back: no expected value and no reference"
    return ""


class Grader:
    """Grades answers to a set of problems; close it, or use it as a context.

    limits: for problems without a reference; with one, its own time sets the seconds. wrong: programs known to be
    wrong, by problem id, beside the one that returns nothing. Raises SandboxFailed where the tier does not hold.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        extraction: Extraction,
        workers: int = 1,
        tier: Tier | None = None,
        limits: Limits | None = None,
        wrong: Mapping[str, Sequence[str]] | None = None,
        unsafe: bool = False,
    ) -> None:
        self.extraction, self.limits = extraction, limits or Limits(seconds=6.0)
        self._sandbox = Sandbox(workers, tier, unsafe=unsafe)
        self.tier = self._sandbox.tier
        self._rerun = self._recovered = 0
        try:
            self.problems = self._examine([_fresh(problem) for problem in problems], wrong or {})
        except BaseException:
            self._sandbox.close()
            raise

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the cells."""
        self._sandbox.close()

    def grade(self, samples: Iterable[Sample | Answer]) -> Iterator[Grade]:
        """A grade for every sample, in their order. Raises InvalidInput for a sample of a problem that is not here."""
        waiting = iter(samples)
        while batch := list(islice(waiting, BATCH)):
            yield from self._grade_batch([self._asked(item) for item in batch])

    def sensitivity(self, samples: Sequence[Sample | Answer]) -> dict[Extraction, int]:
        """How many of the same samples pass under each way of finding the code in an answer.

        Only programs that differ from setting to setting are run more than once.
        """
        known: dict[tuple[str, str], Outcome] = {}
        found: dict[Extraction, int] = {}
        timeouts = self._rerun, self._recovered
        for setting in dict.fromkeys((self.extraction, *SETTINGS_SHOWN)):
            asked = [replace(self._asked(item), extraction=setting) for item in samples]
            keys = [(one.sample.id, one.source) for one in asked]
            new = {key: one for key, one in zip(keys, asked, strict=True) if key not in known}
            known.update(zip(new, self._outcomes(list(new.values())), strict=True))
            found[setting] = sum(known[key].reason == "passed" for key in keys)
        self._rerun, self._recovered = timeouts
        return found

    @property
    def faults(self) -> dict[str, str]:
        """Problems that cannot be graded, with why."""
        return {name: one.fault for name, one in self.problems.items() if one.fault}

    def adopt(self, faults: Mapping[str, str]) -> None:
        """Hold these to be the problems that cannot be graded, as an earlier sitting found."""
        self.problems = {name: replace(one, fault=faults.get(name, "")) for name, one in self.problems.items()}

    def report(self, reasons: Mapping[GradeReason, int], sensitivity: Mapping[Extraction, int]) -> Grading:
        """The grader's own record: what it found of the problems, of itself, and of the samples it was given."""
        looked = self.problems.values()
        runs, misses = sum(one.runs for one in looked), sum(one.misses for one in looked)
        return Grading(
            tier=self.tier,
            extraction=self.extraction,
            problems=len(self.problems),
            without_reference=sum(one.problem.reference is None for one in looked),
            ungradable=self.faults,
            reference_runs=runs,
            reference_misses=misses,
            noise=misses / runs if runs else None,
            wrong_runs=sum(one.caught + one.let_through for one in looked),
            wrong_passed=sum(one.let_through for one in looked),
            reasons=dict(reasons),
            timeouts_rerun=self._rerun,
            timeouts_recovered=self._recovered,
            sensitivity=dict(sensitivity),
        )

    # grading

    def _asked(self, item: Sample | Answer) -> _Asked:
        sample, extraction = (item.sample, item.extraction) if isinstance(item, Answer) else (item, None)
        examined = self.problems.get(sample.id)
        if examined is None:
            raise InvalidInput(
                f"a sample of {sample.id!r}", "samples of the problems given", "grade it with its own problem file"
            )
        return _Asked(sample, examined, extraction or self.extraction)

    def _grade_batch(self, batch: list[_Asked]) -> Iterator[Grade]:
        order = sorted(range(len(batch)), key=lambda place: batch[place].examined.key)
        outcomes = dict(zip(order, self._outcomes([batch[place] for place in order]), strict=True))
        for place, asked in enumerate(batch):
            yield self._as_grade(asked.sample, outcomes[place])

    def _as_grade(self, sample: Sample, outcome: Outcome) -> Grade:
        return Grade(
            id=sample.id,
            index=sample.index,
            passed=outcome.reason == "passed",
            reason=outcome.reason,  # type: ignore[arg-type]  # the tester's word; the record refuses another
            seconds=round(outcome.seconds, 4),
            tier=self.tier,
            detail=outcome.detail,
        )

    def _outcomes(self, batch: list[_Asked]) -> list[Outcome]:
        """Outcomes in the order of the batch: those that need no run, the crowd, and alone what ran out of time."""
        found = {place: outcome for place, asked in enumerate(batch) if (outcome := asked.settled())}
        crowd = [place for place in range(len(batch)) if place not in found]
        jobs = (batch[place].job(self.limits, FIRST_SHARE) for place in crowd)
        found.update(zip(crowd, self._sandbox.run(jobs), strict=True))
        late = [place for place in crowd if found[place].reason == "timeout"]
        again = self._sandbox.run((batch[place].job(self.limits, 1.0) for place in late), alone=True)
        found.update(zip(late, again, strict=True))
        self._rerun += len(late)
        self._recovered += sum(found[place].reason != "timeout" for place in late)
        return [found[place] for place in range(len(batch))]

    # examination

    def _examine(self, fresh: list[Examined], wrong: Mapping[str, Sequence[str]]) -> dict[str, Examined]:
        repeated = [name for name, times in Counter(one.problem.id for one in fresh).items() if times > 1]
        if repeated:
            raise InvalidInput(f"problem {repeated[0]!r} twice", "one problem for each id", "rename one of them")
        slowness = pace()
        timed = self._with_expected(fresh)
        timed = self._with_references([replace(one, seconds=self._limit(one, slowness)) for one in timed])
        return {one.problem.id: one for one in self._with_wrong(timed, wrong)}

    def _limit(self, one: Examined, slowness: float) -> float:
        if one.problem.reference is None or one.fault:
            return self.limits.seconds * slowness
        return max(LEAST_SECONDS * slowness, REFERENCE_FACTOR * one.seconds)

    def _with_expected(self, fresh: list[Examined]) -> list[Examined]:
        """Run every reference once: its time, and its answers to the cases that name none."""
        ready = [one for one in fresh if one.problem.reference is not None and not one.fault]
        most = max(REFERENCE_SECONDS, self.limits.seconds)
        jobs = (
            one.job(one.problem.reference or "", most, self.limits, collect=not one.problem.checks) for one in ready
        )
        outcomes = {one.problem.id: outcome for one, outcome in zip(ready, self._sandbox.run(jobs), strict=True)}
        return [_after_reference(one, outcomes.get(one.problem.id)) for one in fresh]

    def _with_references(self, timed: list[Examined]) -> list[Examined]:
        """Every reference again, as a sample would be graded: all of these runs should pass."""
        ready = [one for one in timed if one.problem.reference is not None and not one.fault]
        jobs = (one.job(one.problem.reference or "", one.seconds, self.limits) for one in ready for _ in range(REPEATS))
        outcomes = list(self._sandbox.run(jobs))
        found = {}
        for number, one in enumerate(ready):
            own = outcomes[number * REPEATS : (number + 1) * REPEATS]
            found[one.problem.id] = _after_repeats(one, own)
        return [found.get(one.problem.id, one) for one in timed]

    def _with_wrong(self, timed: list[Examined], wrong: Mapping[str, Sequence[str]]) -> list[Examined]:
        """Programs known to be wrong: each must fail, or the tests of its problem test nothing."""
        ready = [
            (one, source)
            for one in timed
            if not one.fault
            for source in (_nothing(one.problem), *wrong.get(one.problem.id, ()))
        ]
        outcomes = self._sandbox.run(one.job(source, one.seconds, self.limits) for one, source in ready)
        passed: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for (one, _), outcome in zip(ready, outcomes, strict=True):
            (passed if outcome.reason == "passed" else failed)[one.problem.id] += 1
        return [_after_wrong(one, passed[one.problem.id], failed[one.problem.id]) for one in timed]


@dataclass(frozen=True)
class _Asked:
    """A sample with its problem and how its code is found."""

    sample: Sample
    examined: Examined
    extraction: Extraction

    @property
    def source(self) -> str:
        return program(self.examined.problem, self.sample.text, self.extraction)

    def settled(self) -> Outcome | None:
        """The outcome where there is nothing to run."""
        if self.examined.fault:
            return Outcome("ungradable", self.examined.fault, 0.0, [])
        return None if self.source else Outcome("no_code", NO_FENCE, 0.0, [])

    def job(self, limits: Limits, share: float) -> Job:
        return self.examined.job(self.source, self.examined.seconds * share, limits)


def _after_reference(one: Examined, outcome: Outcome | None) -> Examined:
    if outcome is None:
        return one
    if outcome.reason != "passed":
        return replace(
            one, fault=f"its own reference fails: {outcome.reason}, {outcome.detail}"[:200], runs=1, misses=0
        )
    if one.problem.checks:
        return replace(one, seconds=outcome.seconds)
    tests = {**one.tests, "expected": outcome.found}
    return replace(one, tests=tests, key=digest(canonical(tests)), seconds=outcome.seconds)


def _after_repeats(one: Examined, outcomes: list[Outcome]) -> Examined:
    misses = [outcome for outcome in outcomes if outcome.reason != "passed"]
    fault = one.fault
    if len(misses) == len(outcomes):
        fault = f"its own reference does not agree with itself: {misses[0].reason}, {misses[0].detail}"[:200]
    return replace(one, runs=len(outcomes), misses=0 if fault else len(misses), fault=fault)


def _after_wrong(one: Examined, passed: int, failed: int) -> Examined:
    fault = one.fault or ("a program known to be wrong passes its tests" if passed else "")
    return replace(one, caught=failed, let_through=passed, fault=fault)


def _nothing(problem: Problem) -> str:
    """A program that does nothing and returns nothing."""
    name = (problem.entry_point or "").split(".")[0]
    return NOTHING.format(name=name) if problem.kind == "function" else "pass\n"


def grade(
    problems: Sequence[Problem],
    samples: Iterable[Sample | Answer],
    *,
    extraction: Extraction,
    workers: int = 1,
    tier: Tier | None = None,
    limits: Limits | None = None,
) -> Iterator[Grade]:
    """A grade for every sample, in their order; see Grader."""
    with Grader(problems, extraction=extraction, workers=workers, tier=tier, limits=limits) as grader:
        yield from grader.grade(samples)


# a run folder


@dataclass
class _Tally:
    """Counts by problem and by reason, as grades come in."""

    correct: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    reasons: Counter[GradeReason] = field(default_factory=Counter)

    def add(self, grade: Grade) -> None:
        self.reasons[grade.reason] += 1
        if grade.reason != "ungradable":
            self.total[grade.id] += 1
            self.correct[grade.id] += grade.passed


def verify(
    run: Run,
    problems: Sequence[Problem],
    *,
    extraction: Extraction,
    workers: int = 1,
    tier: Tier | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    ray: str | None = None,
    on_grade: Callable[[int], None] = lambda done: None,
) -> Grading:
    """Grade what `samples.jsonl` of a run holds and has no grade yet; write grades, `counts.jsonl` and the report.

    Safe to kill and call again: a grade that is written stays, and nothing is graded twice. ray: the address of a
    cluster that grades, with as many actors as workers. on_grade: called with the number of grades there are. Raises
    InvalidInput where the folder was graded under other settings.
    """
    _bind(run, problems, extraction, limits or Limits(seconds=6.0))
    tally, known = _already(run)
    make: Callable[..., Grader | RayGrader] = Grader if ray is None else partial(RayGrader, address=ray)
    with make(problems, extraction=extraction, workers=workers, tier=tier, limits=limits, unsafe=unsafe) as grader:
        grader.adopt(_first_faults(run, grader))
        for block in _blocks(grader.grade(_ungraded(run, known))):
            run.rows(GRADES).append(block)
            for one in block:
                tally.add(one)
            on_grade(sum(tally.reasons.values()))
        shown = list(islice(_samples(run), SHOWN_FOR_SENSITIVITY))
        report = grader.report(tally.reasons, grader.sensitivity(shown))
    axis = "difficulty" if any(problem.difficulty for problem in problems) else "source"
    counts = (_count(problem, getattr(problem, axis), tally) for problem in problems if tally.total[problem.id])
    run.write(COUNTS, "".join(canonical(row) + "\n" for row in counts))
    run.write(GRADING, report.model_dump_json(indent=2) + "\n")
    return report


def _count(problem: Problem, part: str, tally: _Tally) -> dict[str, Any]:
    """One row of the counts; the slices of a set are along one axis, difficulty where any problem has one."""
    return {
        "id": problem.id,
        "c": tally.correct[problem.id],
        "n": tally.total[problem.id],
        "slice": part,
        "cluster": problem.cluster,
    }


def _bind(run: Run, problems: Sequence[Problem], extraction: Extraction, limits: Limits) -> None:
    """Tie the grades of a run to one set of problems and one setting."""
    settings = {
        "extraction": extraction,
        "limits": limits.model_dump(mode="json"),
        "problems": digest(canonical([problem.model_dump(mode="json") for problem in problems])),
    }
    path = run.folder / SETTINGS
    if not path.exists():
        run.write(SETTINGS, json.dumps(settings, indent=2, sort_keys=True) + "\n")
        return
    kept = json.loads(path.read_text("utf-8"))
    differ = sorted(key for key in settings if kept.get(key) != settings[key])
    if differ:
        raise InvalidInput(
            f"this run was graded with another {' and '.join(differ)}",
            "the settings of its first grading",
            f"remove {GRADES}.jsonl and {SETTINGS} to grade it anew",
            where=str(path),
        )


def _first_faults(run: Run, grader: Grader | RayGrader) -> dict[str, str]:
    """What the first sitting found ungradable holds for the whole run, or counts would depend on where it was cut."""
    path = run.folder / FAULTS
    if not path.exists():
        run.write(FAULTS, json.dumps(grader.faults, indent=2, sort_keys=True) + "\n")
    found: dict[str, str] = json.loads(path.read_text("utf-8"))
    return found


def _already(run: Run) -> tuple[_Tally, set[tuple[str, int]]]:
    tally, known = _Tally(), set()
    for row in run.rows(GRADES):
        one = Grade.model_validate(row)
        tally.add(one)
        known.add((one.id, one.index))
    return tally, known


def _samples(run: Run) -> Iterator[Sample]:
    return (Sample.model_validate(row) for row in run.rows(SAMPLES))


def _ungraded(run: Run, known: set[tuple[str, int]]) -> Iterator[Sample]:
    for sample in _samples(run):
        if (sample.id, sample.index) not in known:
            known.add((sample.id, sample.index))
            yield sample


def _blocks(grades: Iterator[Grade]) -> Iterator[list[Grade]]:
    while block := list(islice(grades, SAVED_AT_ONCE)):
        yield block
