"""Tables: markdown, tabs, aligned columns and CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from agent.reading.fields import ROUND_KEY, field_of, measured, plain_key
from agent.reading.moods import SOMEONE, TARGET
from agent.reading.scan import Scan
from agent.reading.values import Path, Span, Structure

MODEL_HEAD = re.compile(r"round|arm|checkpoint|models?|run|stage|iteration|who|system")
VALUE_HEAD = re.compile(
    r"pass|p|acc(?:uracy)?|solved|values?|rates?|scores?|ours|measured|result|pass_?rate|base|baseline|now"
    r"|current|%|pass@k|pass_at_k|estimate|here"
)
WHOLE_ROW = re.compile(
    r"overall|all|total|whole_set|combined|aggregate|everything|base|baseline|base_model|ours|current|we|us|our_model"
    r"|today|now|round_?0"
)
K_CORNER = ("k", "pass@k", "pass_at_k")
Split = Callable[[str, int, int], list[Span]]


def read(scan: Scan, lines: list[Span], structure: Structure) -> set[int]:
    """All tables; the indices of the lines they took."""
    used: set[int] = set()
    for split in (_pipe_cells, _tab_cells, _column_cells, _comma_cells):
        for first, rows in _grids(scan.text, lines, used, split):
            if structure.take(scan, _grid_pairs(scan.text, rows)):
                last = first[-1]
                used |= set(range(first[0], last + 1))
                structure.spans.append((lines[first[0]][0], lines[last][1]))
    return used


def _grids(text: str, lines: list[Span], used: set[int], split: Split) -> Iterator[tuple[list[int], list[list[Span]]]]:
    """Runs of at least two neighbouring lines with the same number of cells, rules left out."""
    indices: list[int] = []
    rows: list[list[Span]] = []
    for i, (low, high) in enumerate([*lines, (len(text), len(text))]):
        cells = split(text, low, high) if i not in used and high > low else []
        if len(cells) >= 2 and (not rows or len(cells) == len(rows[0])):
            indices.append(i)
            if not all(re.fullmatch(r"[\s:|+=-]*", text[a:b]) for a, b in cells):
                rows.append(cells)
            continue
        if (
            re.fullmatch(r"[\s:|+=-]+", text[low:high])
            and indices
            and "\n" not in text[low:high].strip("\n")
            and text[low:high].strip()
        ):
            indices.append(i)
            continue
        if len(rows) >= 2:
            yield indices, rows
        indices, rows = ([i], [cells]) if len(cells) >= 2 else ([], [])


def _pipe_cells(text: str, low: int, high: int) -> list[Span]:
    line = text[low:high]
    if "|" not in line:
        return []
    cells = _split(text, low, high, re.compile(r"\|"))
    return [c for i, c in enumerate(cells) if (0 < i < len(cells) - 1) or text[c[0] : c[1]].strip()]


def _tab_cells(text: str, low: int, high: int) -> list[Span]:
    return _split(text, low, high, re.compile(r"\t+")) if "\t" in text[low:high].strip() else []


def _column_cells(text: str, low: int, high: int) -> list[Span]:
    line = text[low:high].strip()
    if not re.search(r"\S {2,}\S", line) or len(line) > 200 or re.search(r"[.!?] {2,}[a-z]", line):
        return []
    start = low + len(text[low:high]) - len(text[low:high].lstrip())
    return _split(text, start, start + len(line), re.compile(r" {2,}"))


def _comma_cells(text: str, low: int, high: int) -> list[Span]:
    line = text[low:high].strip()
    if line.count(",") < 1 or len(line) > 200 or re.search(r"[.!?;:=]\s|\s(?:is|are|and|the|we)\s", line):
        return []
    return _split(text, low, high, re.compile(r","))


def _split(text: str, low: int, high: int, border: re.Pattern[str]) -> list[Span]:
    spans, at = [], low
    end = low + len(text[low:high].rstrip("\n\r"))
    for match in border.finditer(text, low, end):
        spans.append((at, match.start()))
        at = match.end()
    return [*spans, (at, end)]


def _grid_pairs(text: str, rows: list[list[Span]]) -> Iterator[tuple[Path, Span]]:
    """Pairs of a table: what the head and the first column say together about each cell."""
    cells = [[text[a:b] for a, b in row] for row in rows]
    head, corner = cells[0], plain_key(cells[0][0]) if cells[0][0].strip() else ""
    fields = sum(measured(c) is not None for c in head[1:])
    labels = [row[0] for row in cells[1:]]
    if (
        len(head) == 2
        and not fields
        and sum(field_of(c) is not None for c in [head[0], *labels]) >= 1
        and corner not in ("k",)
    ):
        body = rows if field_of(head[0]) else rows[1:]
        yield from (((text[slice(*row[0])],), row[1]) for row in body)
        return
    if all(field_of(c) is not None for c in head) and fields and len(rows) == 2:
        yield from (((name,), span) for name, span in zip(head, rows[1], strict=True))
        return
    for row in rows[1:]:
        for name, span in zip(head[1:], row[1:], strict=True):
            if (path := _cell_path(corner, name, text[slice(*row[0])])) is not None:
                yield path, span


def _cell_path(corner: str, head: str, label: str) -> Path | None:
    """The path of a cell under `head` in the row `label`, by what stands in the corner."""
    if corner in K_CORNER and re.fullmatch(r"\D{0,7}\d{1,4}\s*", label):
        return (*_arm(head), "pass@" + re.sub(r"\D", "", label))
    if corner in K_CORNER and re.fullmatch(r"\s*\d{1,4}\s*", head):
        return (*_arm(label), f"pass@{head.strip()}")
    if measured(head) is not None and measured(label) is None:
        models = MODEL_HEAD.fullmatch(corner) or ROUND_KEY.fullmatch(plain_key(label))
        return (*_row(label, ours=bool(models)), head)
    if measured(label) is not None and measured(head) is None:
        unit = " %" if "%" in head and "%" not in label else ""
        return (*_arm(head), f"{label}{unit}")
    return None


def _arm(words: str) -> Path:
    """What a heading adds to a path: nothing where it only says that values stand there."""
    return () if VALUE_HEAD.fullmatch(plain_key(words)) else _row(words)


def _row(words: str, *, ours: bool = False) -> Path:
    """What a row adds to a path: a round, nothing for our own whole set, an owner, or a slice."""
    key = plain_key(words)
    if WHOLE_ROW.fullmatch(key):
        return ()
    if ROUND_KEY.fullmatch(key) or SOMEONE.search(words) or TARGET.search(words):
        return (words,)
    return ("paper", words) if ours else ("slices", words)
