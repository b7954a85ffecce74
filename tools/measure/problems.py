"""Problem files of every common benchmark, read into one shape: `Problem`.

One function per format, registered with the keys it recognises a row by; detection looks at keys, never at file names.
Each format's tests become either `checks` (source that raises on a wrong answer) or `cases` (calls or runs with what
should come back), so that grading knows no format. Refuses, with file, line and key: a row without tests, an entry
point that the reference or the tests do not know, ids that repeat, an empty file. Nothing of a file is executed here:
code is parsed, pickles are walked by opcode and may hold one text, packed data has a ceiling.

Formats: HumanEval, EvalPlus (HumanEval+, MBPP+), MBPP (full, sanitized), LiveCodeBench, BigCodeBench, APPS, and the
product's own.
"""

from __future__ import annotations

import ast
import base64
import binascii
import builtins
import json
import math
import pickletools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.measure.evalplus import checks
from tools.measure.imports import parse
from tools.records import Case, Problem

# the largest private test set of LiveCodeBench unpacks to some 100 MB
MAX_UNPACKED = 1 << 29
# what evalplus allows where a problem states no tolerance of its own
FLOAT_TOLERANCE = 1e-6
# sites that pose function problems have these names in scope; their starter code uses List and deque without an import
# `builtins` comes last: math and operator bring a pow of two arguments
JUDGE_MODULES = ("collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools", "functools")
JUDGE_PREAMBLE = (
    "".join(f"from {module} import *\n" for module in (*JUDGE_MODULES, "operator", "string", "typing", "builtins"))
    + "import bisect, collections, copy, functools, heapq, itertools, json, math, operator, random, re, string, sys\n"
)
TEXT_OPCODES = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
FRAMING_OPCODES = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}


@dataclass(frozen=True)
class Row:
    """One object of a problem file with its place. Its readers refuse a wrong value by file, line and key."""

    where: str
    values: dict[str, Any]

    def text(self, key: str, default: str | None = None) -> str:
        """Text under key, default where the key is absent or null."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.refusal(key, "text")
        return value

    def name(self, *keys: str) -> str:
        """An id: text or a whole number under the first of keys that is there."""
        key = next((key for key in keys if self.values.get(key) is not None), keys[0])
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise self.refusal(key, "a name or a whole number")
        return str(value)

    def items(self, key: str) -> list[Any]:
        """A list under key, empty where the key is absent or null."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, list):
            raise self.refusal(key, "a list")
        return value or []

    def lines(self, key: str) -> list[str]:
        """A list of texts under key, empty where the key is absent."""
        found = self.items(key)
        if not all(isinstance(line, str) for line in found):
            raise self.refusal(key, "a list of texts")
        return found

    def packed(self, key: str) -> Any:
        """JSON that was stored as a text, or plainly; None where it is absent or empty."""
        value = self.values.get(key)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError) as error:
            raise self.refusal(key, "JSON in a text") from error

    def refusal(self, key: str, expected: str, do: str = "") -> InvalidInput:
        """The error that says what stands under key."""
        seen = f"key {key} is {self.values[key]!r}"[:120] if key in self.values else f"has no {key}"
        return InvalidInput(seen, expected, do, where=self.where)

    def no_tests(self, *keys: str) -> InvalidInput:
        """The error for a row without a single test."""
        return InvalidInput(
            f"{self._id()} has no tests",
            f"tests under {' or '.join(keys)}",
            "add some, or leave the row out",
            where=self.where,
        )

    def _id(self) -> str:
        named = (self.values.get(key) for key in ("id", "task_id", "question_id", "problem_id"))
        return f"problem {next((name for name in named if name is not None), '')}".strip()


Reader = Callable[[Row], dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """A registered format: rows that hold all of `keys` and one of `either` are its own."""

    name: str
    keys: frozenset[str]
    either: frozenset[str]
    read: Reader

    def recognises(self, row: Row) -> bool:
        """Whether the row's keys are those of this format."""
        held = row.values.keys()
        return self.keys <= held and (not self.either or bool(self.either & held))


FORMATS: dict[str, Format] = {}


def problem_format(name: str, keys: str, either: str = "") -> Callable[[Reader], Reader]:
    """Register a reader of rows: it returns the fields of a `Problem`. keys, either: names parted by blanks."""

    def register(read: Reader) -> Reader:
        FORMATS[name] = Format(name, frozenset(keys.split()), frozenset(either.split()), read)
        return read

    return register


def read(data: bytes, name: str, form: str | None = None) -> tuple[Problem, ...]:
    """The problems of a file, in its order. form: one of FORMATS; detected from the keys where None.

    Raises InvalidInput naming file, place and key, what was seen, what was expected and what to do.
    """
    rows = _rows(data, name)
    reader = _format(rows[0], form)
    places: dict[str, str] = {}
    problems = []
    for row in rows:
        problem = _problem(row, reader)
        if problem.id in places:
            raise InvalidInput(
                f"id {problem.id!r} repeats (first at {places[problem.id]})", "one row per problem", where=row.where
            )
        places[problem.id] = row.where
        problems.append(problem)
    return tuple(problems)


def _rows(data: bytes, name: str) -> list[Row]:
    if data[:4] == b"PAR1":
        raise InvalidInput("is a parquet file", "JSON Lines", "write it out with `to_json(lines=True)`", where=name)
    if not data.strip():
        raise InvalidInput("is empty", "one problem per line", where=name)
    content = parse(data, name)
    if content.document is None:
        rows = [Row(where, values) for where, values in content.rows]
    elif isinstance(content.document, list):
        rows = [_row(f"{name}[{number}]", values) for number, values in enumerate(content.document)]
    else:
        rows = [_row(f"{name}:1", content.document)]
    if not rows:
        raise InvalidInput("holds no problem", "at least one", where=name)
    return rows


def _row(where: str, values: Any) -> Row:
    if not isinstance(values, dict):
        raise InvalidInput(f"is {values!r}"[:80], "an object with a problem", where=where)
    return Row(where, values)


def _format(row: Row, form: str | None) -> Format:
    if form is not None and form not in FORMATS:
        raise InvalidInput(f"no format named {form!r}", f"one of {', '.join(FORMATS)}", where="--format")
    found = FORMATS[form] if form else next((f for f in FORMATS.values() if f.recognises(row)), None)
    if found is None:
        raise InvalidInput(
            f"is none of the problem formats; it has the keys {', '.join(sorted(map(str, row.values))[:12])}",
            f"one of {', '.join(FORMATS)}",
            "name it with --format, or rename the keys to id, prompt, entry_point, tests",
            where=row.where,
        )
    return found


def _problem(row: Row, reader: Format) -> Problem:
    try:
        problem = Problem(**_told(row) | reader.read(row))
    except ValidationError as error:
        first = error.errors()[0]
        seen = f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()
        raise InvalidInput(seen, f"a {reader.name} problem", where=row.where) from error
    _refuse_foreign_entry_point(problem, row)
    return problem


def _told(row: Row) -> dict[str, Any]:
    """What a row of any format may say beside its own keys."""
    told = ("difficulty", "source", "date", "cluster")
    return {key: row.name(key) for key in told if row.values.get(key) not in (None, "")}


# code is parsed, never run


def _tree(source: str, what: str, row: Row) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{what} is not Python ({error})", "source that parses", where=row.where) from error


def _bound(tree: ast.Module) -> set[str]:
    """Names that running the module would bind at its top, branches included."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _mentioned(tree: ast.Module) -> list[str]:
    """Names that the module reads, in order of appearance."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return [node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))]


def _refuse_foreign_entry_point(problem: Problem, row: Row) -> None:
    """A function problem whose reference or tests know no such function would fail every answer."""
    if problem.kind != "function" or problem.entry_point is None:
        return
    entry = problem.entry_point
    if not entry.isidentifier():
        raise InvalidInput(f"entry point {entry!r} is no name", "the function's name", where=row.where)
    if problem.reference is not None and entry not in _bound(_tree(problem.reference, "the reference", row)):
        raise InvalidInput(f"the reference does not define {entry}", "the entry point defined there", where=row.where)
    if problem.checks and entry not in _mentioned(_tree(problem.checks, "the tests", row)):
        raise InvalidInput(f"the tests do not call {entry}", "tests of the entry point", where=row.where)


def _header(prompt: str, solution: str, entry: str, row: Row) -> str | None:
    """The reference that continues a prompt; without a solution the prompt must at least begin the entry point."""
    if not solution and entry not in _bound(_tree(prompt + "\n    pass\n", "the prompt", row)):
        raise InvalidInput(f"the prompt does not begin {entry}", "the header of the entry point", where=row.where)
    return prompt + solution if solution else None


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


# the formats, the most telling keys first


@problem_format("evalplus", "task_id prompt", "base_input plus_input")
def evalplus(row: Row) -> dict[str, Any]:
    """HumanEval+ and MBPP+: inputs only; what should come back is what the reference gives."""
    inputs = [_arguments(args, row) for key in ("base_input", "plus_input") for args in row.items(key)]
    if not inputs:
        raise row.no_tests("base_input", "plus_input")
    fields: dict[str, Any] = {
        "id": row.name("task_id"),
        "prompt": row.text("prompt"),
        "entry_point": row.text("entry_point"),
        "preamble": row.text("prompt"),
        "tolerance": _tolerance(row) or FLOAT_TOLERANCE,
        "reference": row.text("prompt") + row.text("canonical_solution"),
    }
    found = checks(fields["id"], fields["entry_point"], inputs, fields["reference"], fields["tolerance"])
    return fields | ({"checks": found} if found else {"cases": [Case(args=tuple(args)) for args in inputs]})


def _arguments(args: Any, row: Row) -> list[Any]:
    if not isinstance(args, list):
        raise InvalidInput(f"an input is {args!r}"[:120], "a list of arguments", where=row.where)
    return args


def _tolerance(row: Row) -> float:
    value = row.values.get("atol", row.values.get("tolerance")) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InvalidInput(f"tolerance is {value!r}", "zero or a positive number", where=row.where)
    return float(value)


RUN_TEST_CASES = """
def _run_test_cases():
    import unittest
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(TestCases).run(result)
    problems = result.failures + result.errors
    assert result.testsRun and not problems, problems[0][1] if problems else "no test ran"

_run_test_cases()
"""


@problem_format("bigcodebench", "task_id", "complete_prompt instruct_prompt")
def bigcodebench(row: Row) -> dict[str, Any]:
    """BigCodeBench: the answer continues `complete_prompt`; tests are a unittest class named TestCases."""
    if not row.text("test", "").strip():
        raise row.no_tests("test")
    header = row.text("complete_prompt", "")
    solution = row.text("canonical_solution", "")
    if "TestCases" not in _bound(_tree(row.text("test"), "test", row)):
        raise InvalidInput("key test defines no TestCases", "a unittest class of that name", where=row.where)
    # the class reads the function as a global, so the run stands behind it
    return {
        "id": row.name("task_id"),
        "prompt": header or row.text("instruct_prompt"),
        "entry_point": row.text("entry_point"),
        "preamble": header,
        "checks": row.text("test").rstrip() + "\n" + RUN_TEST_CASES,
        "reference": _header(header, solution, row.text("entry_point"), row) if header else None,
    }


@problem_format("humaneval", "task_id prompt", "test entry_point canonical_solution")
def humaneval(row: Row) -> dict[str, Any]:
    """HumanEval: the answer continues the prompt; `test` defines check(candidate)."""
    test, entry = row.text("test", ""), row.text("entry_point")
    if not test.strip():
        raise row.no_tests("test")
    if "check" not in _bound(_tree(test, "test", row)):
        raise InvalidInput("key test defines no check", "check(candidate)", where=row.where)
    return {
        "id": row.name("task_id"),
        "prompt": row.text("prompt"),
        "entry_point": entry,
        "preamble": row.text("prompt"),
        "checks": f"{test.rstrip()}\n\ncheck({entry})\n",
        "reference": _header(row.text("prompt"), row.text("canonical_solution", ""), entry, row),
    }


@problem_format("mbpp", "task_id", "test_list")
def mbpp(row: Row) -> dict[str, Any]:
    """MBPP, full (`text`, `test_setup_code`) and sanitized (`prompt`, `test_imports`).

    Graded on test_list, as everybody reports it; the tests are shown, for they alone name the function. The challenge
    tests of the full set are left out for that reason.
    """
    tests = row.lines("test_list")
    if not tests:
        raise row.no_tests("test_list")
    code = row.text("code", "")
    setup = "\n".join([*row.lines("test_imports"), row.text("test_setup_code", "")]).strip()
    checks = "\n".join([setup, *tests] if setup else tests) + "\n"
    return {
        "id": row.name("task_id"),
        "prompt": f"{row.text('prompt', row.text('text', '')).strip()}\n\nThese must hold:\n" + "\n".join(tests),
        "entry_point": _tested_name(checks, code, row),
        "checks": checks,
        "reference": code or None,
    }


def _tested_name(checks: str, code: str, row: Row) -> str:
    """MBPP names no entry point: it is the first name that the tests read and the code defines."""
    tests = _tree(checks, "test_list", row)
    read = [name for name in _mentioned(tests) if name not in _bound(tests)]
    defined = _bound(_tree(code, "code", row)) if code else set(read) - set(dir(builtins))
    found = next((name for name in read if name in defined), None)
    if found is None:
        raise InvalidInput(
            f"the tests call {', '.join(dict.fromkeys(read)) or 'nothing'}",
            f"a function that code defines ({', '.join(sorted(defined)) or 'none'})",
            where=row.where,
        )
    return found


@problem_format("livecodebench", "question_id", "public_test_cases private_test_cases question_content")
def livecodebench(row: Row) -> dict[str, Any]:
    """LiveCodeBench: standard input and output, or a function named in the metadata; private tests may be packed."""
    tests = [*_test_objects("public_test_cases", row), *_test_objects("private_test_cases", row)]
    if not tests:
        raise row.no_tests("public_test_cases", "private_test_cases")
    fields = {
        "id": row.name("question_id"),
        "prompt": _with_starter(f"{row.text('question_title', '')}\n\n{row.text('question_content')}".strip(), row),
        "preamble": JUDGE_PREAMBLE,
        "source": row.text("platform", row.text("source", "")),
        "date": row.text("contest_date", "")[:10],
    }
    metadata = row.packed("metadata") or {}
    function = metadata.get("func_name") if isinstance(metadata, dict) else None
    if any(test.get("testtype") == "functional" for test in tests):
        if not isinstance(function, str):
            raise row.refusal("metadata", "func_name of the function under test")
        return fields | _function(function, [_functional(test, row) for test in tests], row)
    return fields | {"kind": "stdin", "cases": [_run(t.get("input"), t.get("output"), row) for t in tests]}


def _test_objects(key: str, row: Row) -> list[dict[str, Any]]:
    value = row.values.get(key)
    if isinstance(value, str) and value.strip()[:1] not in ("", "[", "{"):
        value = Row(row.where, {key: _unpacked(value, key, row)}).packed(key)
    else:
        value = row.packed(key)
    if value is not None and not (isinstance(value, list) and all(isinstance(test, dict) for test in value)):
        raise row.refusal(key, "a list of tests with input and output")
    return value or []


def _unpacked(value: str, key: str, row: Row) -> str:
    """The text in base64, zlib and pickle."""
    try:
        engine = zlib.decompressobj()
        raw = engine.decompress(base64.b64decode(value, validate=True), MAX_UNPACKED)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise row.refusal(key, "JSON, or base64 of zlib of a pickled text") from error
    if engine.unconsumed_tail:
        raise InvalidInput(f"key {key} unpacks to more than {MAX_UNPACKED >> 20} MiB", "less", where=row.where)
    return _pickled_text(raw, key, row)


def _pickled_text(raw: bytes, key: str, row: Row) -> str:
    """The one text a pickle may hold. It is walked, not loaded: a pickle can run code, and its memo can fill memory."""
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in TEXT_OPCODES:
                texts.append(str(argument))
            elif opcode.name not in FRAMING_OPCODES:
                raise InvalidInput(
                    f"key {key} is a pickle with {opcode.name}",
                    "a pickled text, nothing else",
                    "do not load it: such a pickle can run code",
                    where=row.where,
                )
    except (ValueError, IndexError) as error:
        raise row.refusal(key, "base64 of zlib of a pickled text") from error
    if len(texts) != 1:
        raise InvalidInput(f"key {key} is a pickle of {len(texts)} texts", "one", where=row.where)
    return texts[0]


def _functional(test: dict[str, Any], row: Row) -> Case:
    """Arguments stand one JSON value a line."""
    given, expected = test.get("input"), test.get("output")
    if not isinstance(given, str) or not isinstance(expected, str):
        raise InvalidInput(f"a test is {test!r}"[:120], "input and output as texts of JSON", where=row.where)
    try:
        args = tuple(json.loads(line) for line in given.split("\n") if line.strip())
        return Case(args=args, expected=json.loads(expected))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"a test is {given!r}"[:120], "one JSON value a line", where=row.where) from error


def _function(name: str, cases: list[Case], row: Row) -> dict[str, Any]:
    """Fields of a function problem; where the starter is a class, a method of a new object is called for each case."""
    method = "class Solution" in row.text("starter_code", "")
    # a case that expects None asks the reference, and these formats promise none
    if not method and all(case.expected is not None for case in cases):
        return {"entry_point": name, "cases": cases}
    callee = f"Solution().{name}" if method else name
    calls = (f"assert _plain({callee}(*{list(case.args)!r})) == {case.expected!r}" for case in cases)
    return {"entry_point": "Solution" if method else name, "checks": "\n".join([TUPLES_ARE_LISTS, *calls]) + "\n"}


# tests that came as JSON know no tuples
TUPLES_ARE_LISTS = "def _plain(value):\n    return list(value) if isinstance(value, tuple) else value\n\n"


def _with_starter(prompt: str, row: Row) -> str:
    starter = row.text("starter_code", "")
    return f"{prompt}\n\nStart from this code:\n{starter.rstrip()}" if starter.strip() else prompt


def _run(given: Any, expected: Any, row: Row) -> Case:
    """A run of a program; some files keep lines in a list."""
    read, printed = ("\n".join(map(str, side)) if isinstance(side, list) else side for side in (given, expected))
    if not isinstance(read, str) or not isinstance(printed, str):
        raise InvalidInput(f"a test is {[given, expected]!r}"[:120], "texts to read and to print", where=row.where)
    return Case(stdin=read, expected=printed)


@problem_format("apps", "question", "input_output solutions")
def apps(row: Row) -> dict[str, Any]:
    """APPS: `input_output` and `solutions` are JSON in texts; a fn_name makes it a function problem."""
    tests = row.packed("input_output") or {}
    if not isinstance(tests, dict):
        raise row.refusal("input_output", "inputs and outputs")
    inputs, outputs = tests.get("inputs") or [], tests.get("outputs") or []
    if not inputs:
        raise row.no_tests("input_output")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise row.refusal("input_output", "as many inputs as outputs")
    fields = {
        "id": row.name("problem_id", "id"),
        "prompt": _with_starter(row.text("question").strip(), row),
        "preamble": JUDGE_PREAMBLE,
        "source": row.text("source", "") or urlsplit(row.text("url", "")).netloc,
    }
    function = tests.get("fn_name")
    if function is None:
        cases = [_run(given, expected, row) for given, expected in zip(inputs, outputs, strict=True)]
        return fields | {"kind": "stdin", "cases": cases, "reference": _solution(row, "")}
    if not isinstance(function, str):
        raise row.refusal("input_output", "fn_name as a text")
    calls = _function(function, _apps_calls(inputs, outputs, row), row)
    return fields | calls | {"reference": _solution(row, calls["entry_point"])}


def _apps_calls(inputs: list[Any], outputs: list[Any], row: Row) -> list[Case]:
    """Where every output is a list of one, the list is packing."""
    packed = all(isinstance(output, list) and len(output) == 1 for output in outputs)
    return [
        Case(args=tuple(_arguments(args, row)), expected=output[0] if packed else output)
        for args, output in zip(inputs, outputs, strict=True)
    ]


def _solution(row: Row, entry: str) -> str | None:
    """The first solution in Python 3 that defines the entry point; many of APPS are Python 2, or plain functions."""
    listed = row.packed("solutions") or []
    texts = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    return next((text for text in texts if _parses(text) and (not entry or entry in _bound(ast.parse(text)))), None)


@problem_format("own", "prompt", "id tests")
def own(row: Row) -> dict[str, Any]:
    """The product's own: tests are source, a list of asserts, or objects with args (or stdin) and expected."""
    tests = row.values.get("tests")
    if not tests or not isinstance(tests, str | list) or (isinstance(tests, str) and not tests.strip()):
        raise row.no_tests("tests")
    objects = [test for test in tests if isinstance(test, dict)]
    kind = row.text("kind", "stdin" if objects and not row.values.get("entry_point") else "function")
    fields = {
        "id": row.name("id"),
        "prompt": row.text("prompt"),
        "kind": kind,
        "entry_point": row.text("entry_point", "") or None,
        "preamble": row.text("preamble", ""),
        "tolerance": _tolerance(row),
        "reference": row.text("reference", "") or None,
    }
    if len(objects) == len(tests):
        return fields | {"cases": [_own_case(test, kind, row) for test in objects]}
    if kind == "stdin":
        raise row.refusal("tests", "objects with stdin and expected")
    return fields | {"checks": _own_checks("\n".join(row.lines("tests")) if isinstance(tests, list) else tests, row)}


def _own_checks(tests: str, row: Row) -> str:
    """Source as it stands; a check(candidate) that nobody calls is called."""
    tree = _tree(tests, "key tests", row)
    called = "check" in _mentioned(tree)
    return tests.rstrip() + (
        "\n" if called or "check" not in _bound(tree) else f"\n\ncheck({row.text('entry_point')})\n"
    )


def _own_case(test: dict[str, Any], kind: str, row: Row) -> Case:
    expected = test.get("expected", test.get("output"))
    if kind == "stdin":
        return _run(test.get("stdin", test.get("input")), expected, row)
    if expected is None and not row.values.get("reference"):
        raise InvalidInput("a case expects nothing, and no reference says what", "expected", where=row.where)
    return Case(args=tuple(_arguments(test.get("args", test.get("input")), row)), expected=expected)
