"""When an answer is the expected one: values of cases, and printed text. Runs in the tester's cell."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

RELATIVE = 1e-7  # numpy's default, beside a problem's absolute tolerance, as EvalPlus compares


def as_json(value: Any) -> Any:
    """Tuples as lists, at every depth: a JSON file has no tuples."""
    if type(value) in (tuple, list):
        return [as_json(item) for item in value]
    if type(value) is dict:
        return {key: as_json(item) for key, item in value.items()}
    return value


def agrees(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether an answer is the expected one; floats within the tolerance, everything else exactly."""
    if tolerance and type(expected) is float and _is_number(found):
        return bool(found == expected or abs(found - expected) <= tolerance + RELATIVE * abs(expected))
    if type(found) is type(expected) and type(found) in (list, tuple):
        return len(found) == len(expected) and all(
            agrees(*pair, tolerance) for pair in zip(found, expected, strict=True)
        )
    if type(found) is type(expected) is dict and tolerance:
        return found.keys() == expected.keys() and all(agrees(found[key], expected[key], tolerance) for key in found)
    if type(found).__module__ == "numpy" or type(expected).__module__ == "numpy":
        return _arrays_agree(found, expected, tolerance)
    return bool(found == expected)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0)


def _arrays_agree(found: Any, expected: Any, tolerance: float) -> bool:
    import numpy

    if numpy.shape(found) != numpy.shape(expected):
        return False
    if not tolerance:
        return bool(numpy.all(found == expected))
    return bool(numpy.allclose(found, expected, rtol=RELATIVE, atol=tolerance))


def same_output(found: str, expected: str, tolerance: float) -> bool:
    """Whether two outputs are the same up to white space at line ends and how a decimal number is written."""
    left, right = (text.rstrip().splitlines() for text in (found, expected))
    return len(left) == len(right) and all(_same_line(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _same_line(found: str, expected: str, tolerance: float) -> bool:
    if found.rstrip() == expected.rstrip():
        return True
    left, right = found.split(), expected.split()
    return len(left) == len(right) and all(_same_token(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _same_token(found: str, expected: str, tolerance: float) -> bool:
    if found == expected:
        return True
    if not tolerance and "." not in expected:
        return False
    try:
        return bool(abs(Decimal(found) - Decimal(expected)) <= Decimal(tolerance))
    except (InvalidOperation, ValueError):
        return False
