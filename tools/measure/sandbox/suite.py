"""The tests of one problem, compiled once: what they need of a program, and whether they leave traces.

Checks that could leave a trace in the process that runs them are `loud`; the tester runs those in a forked copy.
"""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Iterator
from typing import Any

from tools.measure.sandbox import wire
from tools.measure.sandbox.guest import Frames, Guest

AHEAD_BYTES = 64 << 10  # what a socket takes without its reader
QUIET_MODULES = frozenset(
    wire.words(
        "__future__ bisect builtins cmath collections contextlib copy dataclasses datetime enum fractions functools "
        "heapq io itertools json math operator random re statistics string typing"
    )
)
LOUD_NAMES = frozenset(
    wire.words("__builtins__ __import__ breakpoint compile delattr eval exec globals input locals open setattr vars")
)


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def is_quiet(*trees: ast.AST) -> bool:
    """Whether code leaves no trace in the process that runs it.

    Loud are: a name bound by an import from other than QUIET_MODULES, once it is used; an assignment to an attribute;
    names that reach behind the language.
    """
    nodes = [node for tree in trees for node in ast.walk(tree)]
    loud = LOUD_NAMES | {name for node in nodes for name in _loud_imports(node)}
    return not any(_is_loud(node, loud) for node in nodes)


def _loud_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        source = node.module if isinstance(node, ast.ImportFrom) else None
        for alias in node.names:
            if (source or alias.name).split(".")[0] not in QUIET_MODULES:
                yield alias.asname or alias.name.split(".")[0]


def _is_loud(node: ast.AST, loud: frozenset[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return not isinstance(node.ctx, ast.Load) or (node.attr.startswith("__") and node.attr != "__name__")
    return isinstance(node, ast.Name) and node.id in loud


class Tests:
    """The tests of one problem, compiled once."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem = problem
        self.entry_point = str(problem["entry_point"] or "")
        self.root = self.entry_point.split(".")[0]
        self.cases = problem["cases"]
        self.expected = problem.get("expected")
        self.tolerance = float(problem["tolerance"])
        checks = problem["checks"]
        self.checks = compile(checks, "checks", "exec", dont_inherit=True) if checks else None
        self.preamble, preamble_tree = _compiled(problem["preamble"])
        self.quiet = is_quiet(ast.parse(checks), preamble_tree)
        self._classes = {node.name for node in ast.walk(preamble_tree) if isinstance(node, ast.ClassDef)}
        self.wanted = self._wanted()
        self.script: Frames = ()
        self._scripted = True

    def learn(self, guest: Guest) -> None:
        """Send ahead to the next program what the checks asked this one, which passed.

        A program then answers without a change of process for every call. Each question is still put by the checks, and
        compared to what was sent; where they differ, the program starts afresh.
        """
        if self._scripted and not guest.asked_back and sum(map(len, guest.said)) < AHEAD_BYTES:
            self.script, self._scripted = guest.said, False

    def unlearn(self) -> None:
        """Send nothing ahead any more."""
        self.script, self._scripted = (), False

    def namespace(self) -> dict[str, Any]:
        """What the checks find before the program's own names are laid over it."""
        names: dict[str, Any] = {"__name__": "__tests__", "__builtins__": builtins}
        if self.preamble is not None:
            try:
                exec(self.preamble, names)
            except Exception:
                return {"__name__": "__tests__", "__builtins__": builtins}
        return names

    def _wanted(self) -> tuple[str, ...]:
        """What the checks need of a program: its entry point, names that nobody else has, and the preamble's classes,
        since a program can only work with objects of its own.

        A tuple, as all that outlives a program and crosses must be: what is mutable, a program may change.
        """
        if self.checks is None:
            return (self.root,)
        own = set(self.namespace()) | set(vars(builtins))
        return tuple(sorted((_names(self.checks) - own) | self._classes | {self.root}))


def _compiled(source: str) -> tuple[types.CodeType | None, ast.AST]:
    try:
        return compile(source, "preamble", "exec", dont_inherit=True), ast.parse(source)
    except (SyntaxError, ValueError):
        return None, ast.Module([], [])
