"""Grading over Ray: the grades of one machine, and a worker that is killed loses nothing."""

import os
import signal

import pytest

from tools.measure.verify import Grader
from tools.records import Problem, Sample

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.slow

from tools.measure.cluster import LOCAL, RayGrader  # noqa: E402 - after the skip

PROBLEMS = tuple(
    Problem(
        id=f"p{i}",
        prompt=f"add {i}",
        entry_point="add",
        checks=f"assert add(1) == {1 + i}\nassert add(-1) == {i - 1}",
        reference=f"def add(x):\n    return x + {i}",
    )
    for i in range(6)
)
SAMPLES = [
    Sample(
        id=f"p{i % 6}", index=i // 6, text=f"def add(x):\n    return x + {i % 6 if i % 3 else 99}", finish_reason="stop"
    )
    for i in range(1200)
]


def told(grades) -> list[tuple[str, int, str]]:
    return [(grade.id, grade.index, grade.reason) for grade in grades]


def here() -> list[tuple[str, int, str]]:
    with Grader(PROBLEMS, extraction="whole", workers=2) as grader:
        return told(grader.grade(SAMPLES))


def test_two_workers_give_the_grades_of_one_machine_though_one_is_killed_half_way() -> None:
    expected = here()
    with RayGrader(PROBLEMS, address=LOCAL, extraction="whole", workers=2) as grader:
        pids = ray.get([cell.__ray_call__.remote(lambda self: os.getpid()) for cell in grader._cells])
        grades = []
        for number, grade in enumerate(grader.grade(SAMPLES)):
            if number == len(SAMPLES) // 2:
                os.kill(pids[0], signal.SIGKILL)
            grades.append(grade)
        assert told(grades) == expected
        assert grader.report({}, {}).reference_misses == 0
