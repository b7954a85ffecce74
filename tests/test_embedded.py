"""The embedded set: large enough, apart by construction and by check, honest about what it tests and how hard it is."""

import ast
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bench import make_embedded_set as making
from tools.measure import contamination, pools, problems
from tools.records import Problem

EVALUATION, POOL = (problems.read(pools.located(name).read_bytes(), name) for name in ("embedded", "embedded-pool"))
BOTH = EVALUATION + POOL


def passes(problem: Problem, function: Callable[..., Any]) -> bool:
    assert problem.entry_point is not None
    try:
        exec(problem.checks, {problem.entry_point: function})
    except Exception:
        return False
    return True


def reference(problem: Problem) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(problem.reference or "", scope)
    function: Callable[..., Any] = scope[problem.entry_point or ""]
    return function


def constants(problem: Problem) -> list[Any]:
    """Every value that a test of the problem names, and the empty ones."""
    named = [ast.literal_eval(node) for node in ast.walk(ast.parse(problem.checks)) if is_literal(node)]
    return [*named, None, True, False, 0, 1, "", [], {}, ()]


def is_literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)  # type: ignore[arg-type]  # nodes that are no expressions raise, which is the question
    except (ValueError, TypeError):
        return False
    return True


def test_both_sets_are_large_enough_for_a_verdict_and_a_training_run() -> None:
    assert len(EVALUATION) >= 240
    assert len(POOL) >= 320
    assert len({problem.cluster for problem in EVALUATION}) >= 60
    assert len({problem.cluster for problem in POOL}) >= 80
    assert max(Counter(problem.cluster for problem in BOTH).values()) <= 4


def test_every_difficulty_has_the_thirty_problems_that_a_slice_needs() -> None:
    slices = Counter(problem.difficulty for problem in EVALUATION)
    assert min(slices[name] for name in ("easy", "medium", "hard")) >= 30


def test_no_id_family_or_function_is_in_both_sets() -> None:
    for shared in (lambda p: p.id, lambda p: p.cluster, lambda p: p.entry_point):
        assert not set(map(shared, EVALUATION)) & set(map(shared, POOL))
    assert len({problem.entry_point for problem in BOTH}) == len(BOTH)


def test_the_contamination_check_finds_no_evaluation_problem_in_the_pool() -> None:
    overlap = contamination.check(EVALUATION, POOL)
    assert not overlap.blocked, [pair for pair in overlap.pairs if pair.kind in contamination.BLOCKING]


def test_every_prompt_names_its_function_and_shows_an_example_that_is_tested() -> None:
    for problem in BOTH:
        assert f"{problem.entry_point}(" in problem.prompt
        example = ast.parse(problem.prompt.rpartition("Example: ")[2], mode="eval").body
        assert isinstance(example, ast.Compare), problem.id
        assert ast.unparse(example.left) in ast.unparse(ast.parse(problem.checks)), problem.id


def test_every_problem_has_five_tests_which_its_reference_passes() -> None:
    for problem in BOTH:
        assert len(ast.parse(problem.checks).body) >= 5, problem.id
        assert passes(problem, reference(problem)), problem.id


def test_nothing_an_argument_and_any_constant_fail_every_problem() -> None:
    for problem in BOTH:
        arity = len(ast.parse(problem.reference or "").body[0].args.args)  # type: ignore[attr-defined]  # a def
        echoes = [lambda *args, place=place: args[place] for place in range(arity)]
        fixed = [lambda *args, value=value: value for value in constants(problem)]
        assert not any(passes(problem, wrong) for wrong in [*echoes, *fixed]), problem.id


def test_difficulty_is_what_the_recorded_counts_say() -> None:
    counts = making.counts()
    assert {problem.id: problem.difficulty for problem in BOTH} == {
        p.id: making.label(*counts.get(p.id, (0, 0))) for p in BOTH
    }


@pytest.mark.slow
def test_the_files_are_what_the_script_builds_and_the_script_has_no_complaint() -> None:
    for name, content in making.build().items():
        assert (making.DATA / name).read_text() == content


def test_the_script_refuses_what_flatters_or_leaks() -> None:
    (one, *_) = making.tasks("evaluation")
    twin = making.Task("pool", "twins", "string", "other", "text", "Say it otherwise.", one.example, one.expected)
    twin.inputs, twin.body = one.inputs, one.body
    flat = making.Task(
        "pool", "flat", "string", "flat", "text", "Return 0.", ("x",), 1, [("x",), ("y",)], ["    return 0"]
    )
    said = "\n".join(making.complaints([one, twin, flat]))
    for complaint in (
        "evaluation/count_vowels solves pool/other",
        "the example says 1",
        "2 tests",
        "the constant 0 passes",
    ):
        assert complaint in said


def test_a_program_that_exits_early_or_prints_is_not_taken_for_right() -> None:
    (task, *_) = making.tasks("evaluation")
    assert making._passes(task, f"```python\n{task.reference}```")
    assert not making._passes(task, "```python\nprint('all passed')\nraise SystemExit\n```")
    assert not making._passes(task, "```python\nwhile True: pass\n```")
    assert not making._passes(task, json.dumps(task.reference))
