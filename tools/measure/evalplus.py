"""What EvalPlus knows beyond its files: which lists were tuples, and which answers are right beside the reference's.

HumanEvalPlus.jsonl and MbppPlus.jsonl hold inputs only; what should come back is what the reference gives. JSON has no
tuples, sets or complex numbers, so evalplus rebuilds the inputs of some ninety MBPP tasks by their number when it
loads them, and a few tasks accept more than one answer. Both tables restate evalplus 0.3.1 (data/mbpp.py, eval/). A
task that needs either, or whose inputs hold a NaN, becomes `checks` that compare with the reference; all others stay
plain cases.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Args = list[Any]


def _tuples(items: Any) -> Any:
    return [tuple(item) for item in items]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _first(shape: Callable[[Any], Any]) -> Callable[[Args], Args]:
    return lambda args: [shape(args[0]), *args[1:]]


def _each(shape: Callable[[Any], Any]) -> Callable[[Args], Args]:
    return lambda args: [shape(arg) for arg in args]


def _sets(items: Any) -> Any:
    return [set(item) if isinstance(item, list) and item else {} for item in items]


def _tuple_values(table: Any) -> Any:
    return {key: tuple(value) for key, value in table.items()}


SHAPES: tuple[tuple[Callable[[Args], Args], str], ...] = (
    (_tuples, "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809"),
    (_each(_tuples), "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780"),
    (_first(_tuples), "75 413 444 753"),
    (_first(tuple), "250 307 405 446 617 720 763 808"),
    (_each(_deep), "259 278 401 445 580 615 791"),
    (_first(_sets), "115"),
    (_first(_tuple_values), "722"),
    (_first(complex), "252"),
    (lambda args: [args[0], tuple(args[1]), *args[2:]], "106 750"),
    (lambda args: [float(args[0]), complex(args[1])], "124"),
)
SHAPE_OF = {f"Mbpp/{number}": shape for shape, numbers in SHAPES for number in numbers.split()}

SAME_SET = "set(found) == set(wanted)"
SAME_SUCCESS = "found == wanted if isinstance(found, bool) else (found is not None) == (wanted is not None)"
SET_TASKS = (
    "similar_elements find_char_long common_in_nested_lists extract_singly larg_nnum intersection_array"
    " find_dissimilar Diff"
)
ORACLE_OF = {
    "HumanEval/find_zero": "abs(sum(c * found**i for i, c in enumerate(args[0]))) <= TOLERANCE",
    "Mbpp/are_equivalent": "True",
    "Mbpp/sum_div": "found == wanted or found == 0",
    "Mbpp/digit_distance_nums": "found == wanted or found == sum("
    "abs(int(a) - int(b)) for a, b in zip(*(str(n).zfill(max(len(str(m)) for m in args)) for n in args)))",
    "Mbpp/surface_Area": "found == wanted or abs("
    "found - round(args[0] ** 2 + 2 * args[0] * ((args[0] / 2) ** 2 + args[1] ** 2) ** 0.5)) <= TOLERANCE",
    **{f"Mbpp/{entry}": SAME_SET for entry in SET_TASKS.split()},
    **{f"Mbpp/{entry}": SAME_SUCCESS for entry in ("check_str", "text_match_three", "text_starta_endb")},
}
CLOSE = "_close(found, wanted)"

# relative tolerance as in numpy's assert_allclose, which evalplus names as its model
CHECKS = """\
from copy import deepcopy
inf, nan, TOLERANCE = float("inf"), float("nan"), {tolerance!r}

def _close(found, wanted):
    if isinstance(wanted, (list, tuple)):
        return type(found) is type(wanted) and len(found) == len(wanted) and all(map(_close, found, wanted))
    if isinstance(wanted, float) and found != wanted:
        return abs(found - wanted) <= TOLERANCE + 1e-7 * abs(wanted) or found != found and wanted != wanted
    return found == wanted

_scope = {{}}
exec({reference!r}, _scope)
for args in {inputs!r}:
    wanted = _scope[{entry!r}](*deepcopy(args))
    found = {entry}(*deepcopy(args))
    assert {oracle}, (args, found, wanted)
"""


def checks(task: str, entry: str, inputs: list[Args], reference: str, tolerance: float) -> str | None:
    """Source that holds an answer against the reference, or None where plain cases say the same.

    task: evalplus's id, such as `Mbpp/2`; inputs: one list of arguments per call, as the file has them.
    """
    shape, oracle = SHAPE_OF.get(task), ORACLE_OF.get(f"{task.partition('/')[0]}/{entry}")
    if shape is None and oracle is None and _is_plain(inputs):
        return None
    rebuilt = [shape(args) if shape else args for args in inputs]
    return CHECKS.format(tolerance=tolerance, reference=reference, inputs=rebuilt, entry=entry, oracle=oracle or CLOSE)


def _is_plain(inputs: list[Args]) -> bool:
    try:
        json.dumps(inputs, allow_nan=False)
    except ValueError:
        return False
    return True
