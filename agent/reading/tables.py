"""Pasted structure: markdown, tab and column tables, CSV, YAML, JSON, TOML and `key = value` lines.

Every reader here does one thing: it turns structure into pairs of a path (`slices`, `hard`, `pass@8`) and the span of
a value. `resolve` finds the field of a path and `value_of` reads the span in that field's meaning. A key that is not
known is left to the prose readers; a place that was read here is not read again.
"""

from __future__ import annotations

import re

from agent.reading import grids, keyed
from agent.reading.scan import Scan
from agent.reading.values import Structure

RESULTS_ROW = re.compile(r"[\"'](?:c|passed)[\"']\s*:")


def read(scan: Scan) -> Structure:
    """All facts of the tables and key-value blocks of a message."""
    structure = Structure()
    lines = [m.span() for m in re.finditer(r"[^\n]*\n|[^\n]+", scan.text)]
    used = grids.read(scan, lines, structure)
    for low, high in keyed.objects(scan.text):
        if RESULTS_ROW.search(scan.text, low, high):
            structure.spans.append((low, high))  # a row of a results file: to be attached, not read
        elif structure.take(scan, keyed.flow(scan.text, low, high, ())):
            structure.spans.append((low, high))
            used |= {i for i, (start, end) in enumerate(lines) if low <= start < high or start <= low < end}
    keyed.read(scan, [line for i, line in enumerate(lines) if i not in used], structure)
    return structure
