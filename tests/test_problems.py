"""Problem files: each format's tests end up as what a plain run of that benchmark would do, or the file is refused."""

import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tools.errors import InvalidInput
from tools.measure import problems
from tools.records import Problem

HUMAN_EVAL = {
    "task_id": "HumanEval/900",
    "prompt": "from typing import List\n\n\ndef halve(numbers: List[int]) -> List[float]:\n    '''Half of each.'''\n",
    "entry_point": "halve",
    "canonical_solution": "    return [n / 2 for n in numbers]\n",
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate([2, 3]) == [1.0, 1.5]\n",
}
EVAL_PLUS = {
    "task_id": "HumanEval/900",
    "prompt": HUMAN_EVAL["prompt"],
    "entry_point": "halve",
    "canonical_solution": HUMAN_EVAL["canonical_solution"],
    "contract": "",
    "base_input": [[[2, 3]]],
    "plus_input": [[[]], [[7]]],
    "atol": 0,
}
MBPP = {
    "task_id": 901,
    "text": "Write a function to add two numbers.",
    "code": "def helper(a):\n    return a\n\ndef add(a, b):\n    return helper(a) + b",
    "test_list": ["assert add(1, 2) == 3", "assert set([add(0, 0)]) == {0}"],
    "test_setup_code": "",
    "challenge_test_list": ["assert add(-1, 1) == 0"],
}
MBPP_SANITIZED = {
    "task_id": 902,
    "prompt": "Write a function for the root of a number.",
    "code": "import math\ndef root(n):\n    return math.sqrt(n)",
    "test_list": ["assert math.isclose(root(4), 2.0)"],
    "test_imports": ["import math"],
    "source_file": "x.ipynb",
}
BIG_CODE = {
    "task_id": "BigCodeBench/900",
    "complete_prompt": "import re\n\ndef task_func(text):\n    '''Words.'''\n",
    "instruct_prompt": "Words of a text. Start with: def task_func(text):",
    "canonical_solution": "    return re.findall(r'\\w+', text)\n",
    "test": "import unittest\nclass TestCases(unittest.TestCase):\n"
    "    def test_two(self):\n        self.assertEqual(task_func('a b'), ['a', 'b'])\n",
    "entry_point": "task_func",
}
LIVE_CODE = {
    "question_title": "Sum",
    "question_content": "Add two numbers.",
    "platform": "atcoder",
    "question_id": "abc900_a",
    "contest_date": "2024-05-04T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
    "private_test_cases": json.dumps([{"input": "5 5\n", "output": "10\n", "testtype": "stdin"}]),
    "metadata": "{}",
}
APPS = {
    "problem_id": 900,
    "question": "Add two numbers.",
    "solutions": json.dumps(["print sum(map(int, raw_input().split()))", "print(sum(map(int, input().split())))"]),
    "input_output": json.dumps({"inputs": ["1 2\n", ["3 4", ""]], "outputs": ["3\n", ["7"]]}),
    "difficulty": "interview",
    "url": "https://codeforces.com/problemset/problem/1/A",
    "starter_code": "",
}
OWN = {
    "id": "own/1",
    "prompt": "Write add(a, b).",
    "entry_point": "add",
    "tests": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    "reference": "def add(a, b):\n    return a + b\n",
    "difficulty": "easy",
    "source": "arithmetic",
    "cluster": "sums",
}
ROWS = {
    "humaneval": HUMAN_EVAL,
    "evalplus": EVAL_PLUS,
    "mbpp": MBPP,
    "bigcodebench": BIG_CODE,
    "livecodebench": LIVE_CODE,
    "apps": APPS,
    "own": OWN,
}


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def one(row: dict[str, Any], **changes: Any) -> Problem:
    (problem,) = problems.read(lines(row | changes), "set.jsonl")
    return problem


def refusal(row: dict[str, Any], **changes: Any) -> str:
    changed = {key: value for key, value in (row | changes).items() if value is not ...}
    with pytest.raises(InvalidInput) as caught:
        problems.read(lines(changed), "set.jsonl")
    return str(caught.value)


def outcome(problem: Problem, program: str) -> bool:
    """What a plain run of the program and the checks says; the sandbox has tests of its own."""
    scope: dict[str, Any] = {"__name__": "__test__"}
    exec(problem.preamble + "\n" + program, scope)
    try:
        exec(problem.checks, scope)
    except AssertionError:
        return False
    return True


def packed(value: Any, dump: Callable[[Any], bytes] = pickle.dumps) -> str:
    return base64.b64encode(zlib.compress(dump(value))).decode()


# every format


@pytest.mark.parametrize("form", problems.FORMATS)
def test_every_registered_format_is_recognised_from_its_keys(form: str) -> None:
    (problem,) = problems.read(lines(ROWS[form]), "set.jsonl")
    assert (problem,) == problems.read(lines(ROWS[form]), "set.jsonl", form)


@pytest.mark.parametrize("form", ["humaneval", "mbpp", "bigcodebench", "own"])
def test_the_reference_passes_its_checks_and_nothing_at_all_fails(form: str) -> None:
    problem = one(ROWS[form])
    assert problem.reference is not None
    assert outcome(problem, problem.reference)
    assert not outcome(problem, f"def {problem.entry_point}(*args): return None")


def test_a_list_in_one_document_and_a_packed_file_read_as_lines_do() -> None:
    wanted = problems.read(lines(HUMAN_EVAL), "a.jsonl")
    assert problems.read(json.dumps([HUMAN_EVAL]).encode(), "a.json") == wanted
    assert problems.read(gzip.compress(lines(HUMAN_EVAL)), "a.jsonl.gz") == wanted


def test_slices_sources_clusters_and_dates_survive() -> None:
    own, live, apps = one(OWN, date="2024-01-01"), one(LIVE_CODE), one(APPS)
    assert (own.difficulty, own.source, own.cluster, own.date) == ("easy", "arithmetic", "sums", "2024-01-01")
    assert (live.difficulty, live.source, live.date) == ("easy", "atcoder", "2024-05-04")
    assert (apps.difficulty, apps.source) == ("interview", "codeforces.com")
    told = one(HUMAN_EVAL, difficulty=3, cluster="lists", canonical_solution="")
    assert (told.difficulty, told.cluster, told.reference) == ("3", "lists", None)


def test_humaneval_answers_continue_the_prompt_or_stand_alone() -> None:
    problem = one(HUMAN_EVAL)
    assert problem.preamble == problem.prompt
    assert outcome(problem, HUMAN_EVAL["canonical_solution"])
    assert outcome(problem, "def halve(numbers: List[int]):\n    return [n / 2 for n in numbers]")


def test_evalplus_cases_leave_the_answer_to_the_reference() -> None:
    problem = one(EVAL_PLUS)
    assert [case.args for case in problem.cases] == [([2, 3],), ([],), ([7],)]
    assert {case.expected for case in problem.cases} == {None}
    assert problem.tolerance == 1e-6
    assert one(EVAL_PLUS, atol=0.01).tolerance == 0.01


def test_evalplus_inputs_that_were_tuples_are_tuples_again() -> None:
    row = {
        "task_id": "Mbpp/2",
        "prompt": '"""\nWrite a function to find the shared elements of two tuples.\n"""\n',
        "entry_point": "similar_elements",
        "canonical_solution": "def similar_elements(a, b):\n    return tuple({a: 1} and set(a) & set(b))\n",
        "base_input": [[[3, 4], [4, 5]]],
        "plus_input": [],
        "atol": 0,
    }
    problem = one(row)
    assert outcome(problem, "def similar_elements(a, b): return tuple(x for x in a + () if x in b)")
    assert outcome(problem, "def similar_elements(a, b): return [4, 4]"), "evalplus compares as sets here"
    assert not outcome(problem, "def similar_elements(a, b): return (3,)")


def test_evalplus_inputs_that_are_no_json_are_still_compared() -> None:
    data = lines(EVAL_PLUS).replace(b"[[7]]", b"[[NaN, Infinity]]")
    (problem,) = problems.read(data, "plus.jsonl")
    assert problem.reference is not None
    assert outcome(problem, problem.reference)
    assert not outcome(problem, "def halve(numbers): return [n / 3 for n in numbers]")
    assert not outcome(problem, "def halve(numbers): return tuple(n / 2 for n in numbers)")


def test_evalplus_takes_any_root_of_the_polynomial() -> None:
    row = EVAL_PLUS | {
        "task_id": "HumanEval/32",
        "prompt": "def find_zero(xs):\n    ''''A root.'''\n",
        "entry_point": "find_zero",
        "canonical_solution": "    return -1.0\n",
        "base_input": [[[-1, 0, 1]]],
        "atol": 1e-4,
        "plus_input": [],
    }
    assert outcome(one(row), "def find_zero(xs): return 1.0")
    assert not outcome(one(row), "def find_zero(xs): return 0.5")


def test_mbpp_finds_the_function_that_its_tests_call() -> None:
    problem = one(MBPP)
    assert problem.entry_point == "add"
    assert problem.id == "901"
    assert "assert add(1, 2) == 3" in problem.prompt
    assert "add(-1, 1)" not in problem.checks, "the challenge tests are no part of the usual score"
    sanitized = one(MBPP_SANITIZED)
    assert sanitized.entry_point == "root"
    assert outcome(sanitized, "def root(n): return n ** 0.5")


def test_bigcodebench_needs_every_test_of_its_class() -> None:
    problem = one(BIG_CODE)
    assert outcome(problem, BIG_CODE["canonical_solution"])
    assert not outcome(problem, "def task_func(text): return text")


def test_livecodebench_reads_packed_private_tests() -> None:
    tests = json.dumps([{"input": "5 5\n", "output": "10\n", "testtype": "stdin"}])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        text = packed(tests, lambda value, p=protocol: pickle.dumps(value, p))
        assert one(LIVE_CODE, private_test_cases=text) == one(LIVE_CODE)
    assert [case.stdin for case in one(LIVE_CODE).cases] == ["1 2\n", "5 5\n"]


def test_livecodebench_functions_are_called_with_a_value_a_line() -> None:
    functional = json.dumps([{"input": "[1, 2]\n3", "output": "[4, 5]", "testtype": "functional"}])
    row = LIVE_CODE | {"public_test_cases": functional, "private_test_cases": "", "metadata": '{"func_name": "shift"}'}
    plain = one(row)
    assert (plain.entry_point, plain.cases[0].args, plain.cases[0].expected) == ("shift", ([1, 2], 3), [4, 5])
    nothing = json.dumps([{"input": "[1]", "output": "null", "testtype": "functional"}])
    assert outcome(one(row, public_test_cases=nothing), "def shift(numbers): return None")
    assert not outcome(one(row, public_test_cases=nothing), "def shift(numbers): return 0")
    problem = one(row, starter_code="class Solution:\n    def shift(self, numbers: List[int], by: int):\n        ")
    method = "class Solution:\n    def shift(self, numbers: List[int], by: int) -> List[int]:\n        return {}"
    assert outcome(problem, method.format("[n + by for n in numbers]"))
    assert outcome(problem, method.format("tuple(n + by for n in numbers)")), "JSON has no tuples"
    assert not outcome(problem, method.format("numbers"))
    assert "class Solution" in problem.prompt


def test_apps_runs_programs_and_calls_functions() -> None:
    problem = one(APPS)
    assert problem.kind == "stdin"
    assert [(case.stdin, case.expected) for case in problem.cases] == [("1 2\n", "3\n"), ("3 4\n", "7")]
    assert problem.reference is not None
    assert problem.reference.startswith("print(sum"), "the first solution is Python 2"
    tests = json.dumps({"fn_name": "twice", "inputs": [[1], [[2]]], "outputs": [[2], [[2, 2]]]})
    function = one(APPS, input_output=tests, solutions=json.dumps(["def twice(x):\n    return x * 2"]))
    assert [(case.args, case.expected) for case in function.cases] == [((1,), 2), (([2],), [2, 2])]
    assert function.entry_point == "twice"


def test_names_of_the_judge_do_not_hide_builtins() -> None:
    scope: dict[str, Any] = {}
    exec(problems.JUDGE_PREAMBLE, scope)
    assert eval("pow(2, 5, 7), sum([1]), deque([1])[0], gcd(4, 6)", scope) == (4, 1, 1, 2)


def test_own_tests_may_be_source_asserts_calls_or_runs() -> None:
    assert outcome(one(OWN, tests="def check(f):\n    assert f(1, 1) == 2\n"), OWN["reference"])
    calls = one(OWN, tests=[{"args": [1, 2], "expected": 3}, {"input": [0, 0], "output": 0}])
    assert [case.expected for case in calls.cases] == [3, 0]
    runs = one({"id": 7, "prompt": "Echo.", "kind": "stdin", "tests": [{"stdin": "a", "expected": "a"}]})
    assert (runs.id, runs.kind, runs.cases[0].stdin) == ("7", "stdin", "a")


# what is refused


def test_a_file_without_problems_is_refused() -> None:
    for data in (b"", b"\n\n", b"[]"):
        with pytest.raises(InvalidInput, match=r"none\.jsonl"):
            problems.read(data, "none.jsonl")


@pytest.mark.parametrize(
    ("row", "key", "empty"),
    [
        (HUMAN_EVAL, "test", ""),
        (EVAL_PLUS, "base_input", []),
        (MBPP, "test_list", []),
        (BIG_CODE, "test", ""),
        (LIVE_CODE, "public_test_cases", "[]"),
        (APPS, "input_output", ""),
        (OWN, "tests", []),
    ],
)
def test_a_problem_without_tests_is_refused_by_line_and_key(row: dict[str, Any], key: str, empty: Any) -> None:
    bare = row | dict.fromkeys(("plus_input", "private_test_cases"), None)
    for value in (empty, None):
        message = refusal(bare, **{key: value})
        assert "set.jsonl:1" in message
        assert "has no tests" in message
        assert key in message


@pytest.mark.parametrize(
    ("row", "changes", "said"),
    [
        (HUMAN_EVAL, {"entry_point": "double"}, "the reference does not define double"),
        (HUMAN_EVAL, {"test": "assert True"}, "key test defines no check"),
        (HUMAN_EVAL, {"entry_point": "double", "canonical_solution": ""}, "the prompt does not begin double"),
        (HUMAN_EVAL, {"prompt": "Halve the numbers.", "canonical_solution": ""}, "the prompt is not Python"),
        (HUMAN_EVAL, {"difficulty": ["easy"]}, "key difficulty is"),
        (HUMAN_EVAL, {"entry_point": ...}, "has no entry_point"),
        (EVAL_PLUS, {"entry_point": "double"}, "the reference does not define double"),
        (MBPP, {"code": "def other():\n    pass"}, "the tests call add"),
        (MBPP, {"test_list": ["assert add(1, 2 == 3"]}, "test_list is not Python"),
        (BIG_CODE, {"test": "assert task_func"}, "defines no TestCases"),
        (LIVE_CODE, {"private_test_cases": "not packed"}, "private_test_cases"),
        (APPS, {"input_output": '{"inputs": ["1"], "outputs": []}'}, "as many inputs as outputs"),
        (OWN, {"tests": ["assert plus(1, 2) == 3"]}, "the tests do not call add"),
        (OWN, {"reference": "def plus(a, b): return a + b"}, "the reference does not define add"),
        (OWN, {"reference": "def add(a, b) return"}, "the reference is not Python"),
        (OWN, {"entry_point": ""}, "entry point"),
        (OWN, {"entry_point": "add()"}, "entry point 'add()' is no name"),
        (OWN, {"tests": [{"args": [1, 2]}], "reference": ""}, "no reference says what"),
        (OWN, {"tests": [{"args": 5, "expected": 3}]}, "a list of arguments"),
        (OWN, {"kind": "puzzle"}, "kind"),
        (OWN, {"id": ...}, "has no id"),
        (OWN, {"kind": "stdin"}, "objects with stdin and expected"),
    ],
)
def test_what_could_not_be_graded_is_refused_and_named(row: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    message = refusal(row, **changes)
    assert "set.jsonl:1" in message
    assert said in message


def test_an_id_that_repeats_is_refused_with_both_places() -> None:
    with pytest.raises(InvalidInput, match=r"set\.jsonl:3: id '900' repeats \(first at set\.jsonl:1\)"):
        problems.read(lines(APPS, APPS | {"problem_id": 1}, APPS), "set.jsonl")


def test_a_file_of_results_is_refused_by_its_keys() -> None:
    assert "passed" in refusal({"task_id": "x", "passed": True})
    with pytest.raises(InvalidInput, match="parquet"):
        problems.read(b"PAR1\x00\x01", "set.parquet")
    with pytest.raises(InvalidInput, match="no format named 'mbbp'"):
        problems.read(lines(MBPP), "set.jsonl", "mbbp")


class Bomb:
    """Unpickling this would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("never_written", "w"))


@pytest.mark.parametrize("value", [Bomb(), ["text"], b"bytes", ("a", "b"), 7], ids=lambda value: type(value).__name__)
def test_a_pickle_of_anything_but_one_text_is_refused(value: Any) -> None:
    assert "private_test_cases" in refusal(LIVE_CODE, private_test_cases=packed(value))


def test_a_pickle_that_would_fill_memory_through_its_memo_is_walked_and_not_loaded() -> None:
    huge = b"\x80\x04X\x02\x00\x00\x00[]r\xff\xff\xff\xff."
    row = LIVE_CODE | {"private_test_cases": base64.b64encode(zlib.compress(huge)).decode()}
    assert len(one(row).cases) == 1


def test_packed_tests_stop_at_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "MAX_UNPACKED", 1 << 20)
    assert "unpacks to more than 1 MiB" in refusal(LIVE_CODE, private_test_cases=packed("[" + " " * (2 << 20) + "]"))
