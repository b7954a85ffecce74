"""Answers that another harness drew, read one by one for grading.

Each comes with how it must be read: a `completion` continues the prompt, a `solution` is a whole program, and only
what our own engines wrote still has to have its code extracted. Files of one object a line are streamed. Refuses an
answer to a problem that is not in the set, a list that does not pair with its ids, and a row it would have to guess at.

Formats: task_id with `completion` or `solution` (human-eval, EvalPlus; repeated ids are samples), an EvalPlus folder,
LiveCodeBench's code_list, bigcode's generations.json (needs the ids of its problems), and a run folder's samples.jsonl.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.records import Extraction, Record, Sample
from tools.store import at_home

IDS = ("task_id", "id", "question_id", "problem_id")
UNKNOWN = "unknown"


class Answer(Record):
    """A sample to grade. extraction: how its code is found; None leaves that to the run's own setting."""

    sample: Sample
    extraction: Extraction | None


@dataclass(frozen=True)
class Text:
    """One answer as a file has it; index None means the next one of its problem."""

    where: str
    id: str
    text: str
    extraction: Extraction | None
    index: int | None = None
    row: dict[str, Any] | None = None


@dataclass(frozen=True)
class Format:
    """What recognises a row, and the answers that it holds."""

    recognises: Callable[[Any], bool]
    read: Callable[[str, Any], Iterable[Text]]


FORMATS: dict[str, Format] = {}


def sample_format(
    name: str, recognises: Callable[[Any], bool]
) -> Callable[[Callable[[str, Any], Iterable[Text]]], Callable[[str, Any], Iterable[Text]]]:
    """Register a reader of rows: it gets the row's place and the row."""

    def register(read: Callable[[str, Any], Iterable[Text]]) -> Callable[[str, Any], Iterable[Text]]:
        FORMATS[name] = Format(recognises, read)
        return read

    return register


def read(path: Path | str, ids: Sequence[str] = ()) -> Iterator[Answer]:
    """The answers of a file or an EvalPlus folder, in its order.

    ids: those of the problems, in the order of the problem file; an answer to any other is refused, and a
    generations.json cannot be read without them. Raises InvalidInput by file, line and key as it goes.
    """
    path = at_home(path)
    found = _folder(path, ids) if path.is_dir() else _file(path, ids)
    return _numbered(found, path.name, frozenset(ids))


def _numbered(found: Iterable[Text], name: str, known: frozenset[str]) -> Iterator[Answer]:
    """Number the answers of each problem from 0, in the order they come."""
    drawn: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for text in found:
        if known and text.id not in known:
            raise InvalidInput(f"answers {text.id!r}", "a problem of this set", "check the file", where=text.where)
        index = drawn[text.id] if text.index is None else text.index
        if (text.id, index) in seen:
            raise InvalidInput(f"sample {index} of {text.id!r} repeats", "each sample once", where=text.where)
        seen.add((text.id, index))
        drawn[text.id] += 1
        yield Answer(sample=_sample(text, index), extraction=text.extraction)
    if not seen:
        raise InvalidInput("holds no answer", "at least one", where=name)


def _sample(text: Text, index: int) -> Sample:
    told = {key: value for key, value in (text.row or {}).items() if key in Sample.model_fields and value is not None}
    try:
        return Sample(**{"finish_reason": UNKNOWN, **told, "id": text.id, "index": index, "text": text.text})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"key {first['loc'][0]}: {first['msg']}", "a sample", where=text.where) from error


# reading files


def _file(path: Path, ids: Sequence[str]) -> Iterator[Text]:
    reader: Format | None = None
    for where, row in _rows(path):
        if isinstance(row, list):
            yield from _generations(where, row, ids)
            continue
        reader = reader or _reader(row, where)
        yield from reader.read(where, row)


def _reader(row: Any, where: str) -> Format:
    found = next((reader for reader in FORMATS.values() if reader.recognises(row)), None)
    if found is None:
        keys = ", ".join(sorted(row)[:12]) if isinstance(row, dict) else type(row).__name__
        raise InvalidInput(
            f"is none of the sample formats; it has {keys}",
            "task_id with completion or solution, question_id with code_list, or id with text",
            where=where,
        )
    return found


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Rows with their places: of a JSON list, or one a line. A generations.json is a single row of lists."""
    try:
        with _opened(path) as lines:
            first = next((line for line in lines if line.strip()), "")
            lines.seek(0)
            if first.lstrip().startswith("["):
                yield from _listed(path.name, json.load(lines))
                return
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path.name}:{number}", _json(line, f"{path.name}:{number}")
    except (OSError, EOFError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise InvalidInput(f"cannot be read ({error})", "JSON or JSON Lines in UTF-8", where=path.name) from error


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")


def _json(line: str, where: str) -> Any:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON ({error})", "one object per line", where=where) from error
    if not isinstance(row, dict):
        raise InvalidInput(f"is a {type(row).__name__}", "an object", where=where)
    return row


def _listed(name: str, document: list[Any]) -> Iterator[tuple[str, Any]]:
    if document and all(isinstance(row, list) for row in document):
        yield name, document
        return
    for number, row in enumerate(document):
        if not isinstance(row, dict):
            raise InvalidInput(f"is {row!r}"[:80], "an object", where=f"{name}[{number}]")
        yield f"{name}[{number}]", row


# the formats


def _generations(where: str, lists: list[list[Any]], ids: Sequence[str]) -> Iterator[Text]:
    """bigcode's generations.json: one list of whole programs per problem, in the order of the problem file."""
    if len(ids) != len(lists):
        raise InvalidInput(
            f"holds the answers to {len(lists)} problems without their ids, and {len(ids)} ids are known",
            "as many ids",
            "name the file of their problems, in the same order",
            where=where,
        )
    for problem, (name, programs) in enumerate(zip(ids, lists, strict=True)):
        for number, program in enumerate(programs):
            place = f"{where}[{problem}][{number}]"
            yield Text(place, name, _text(program, "the answer", place), "whole")


@sample_format("livecodebench", lambda row: "code_list" in row)
def livecodebench(where: str, row: dict[str, Any]) -> Iterator[Text]:
    """LiveCodeBench: the extracted programs of a problem under code_list."""
    programs = row.get("code_list")
    if not isinstance(programs, list) or not programs:
        raise InvalidInput(f"key code_list is {programs!r}"[:80], "a list of programs", where=where)
    for number, program in enumerate(programs):
        yield Text(where, _id(row, where), _text(program, f"code_list[{number}]", where), "whole")


@sample_format("run", lambda row: {"id", "index", "text"} <= row.keys())
def run(where: str, row: dict[str, Any]) -> Iterator[Text]:
    """A run folder's own samples: the answer as the model gave it."""
    index = row.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise InvalidInput(f"key index is {index!r}", "a whole number from 0", where=where)
    yield Text(where, _id(row, where), _text(row.get("text"), "text", where), None, index, row)


@sample_format("answers", lambda row: any(key in row for key in IDS) and bool({"completion", "solution"} & row.keys()))
def answers(where: str, row: dict[str, Any]) -> Iterator[Text]:
    """human-eval and EvalPlus: a completion is appended to the prompt, a solution is a whole program and goes first."""
    key = "solution" if row.get("solution") is not None else "completion"
    extraction: Extraction = "whole" if key == "solution" else "continuation"
    told = {name: row.get(name) for name in ("finish_reason", "tokens", "prompt_tokens", "seed")}
    yield Text(where, _id(row, where), _text(row.get(key), key, where), extraction, row=told)


def _folder(path: Path, ids: Sequence[str]) -> Iterator[Text]:
    """An EvalPlus folder: one folder per problem, one program per file, named by number."""
    names = {name.replace("/", "_"): name for name in ids}
    for folder in sorted(child for child in path.iterdir() if child.is_dir()):
        # without the ids, HumanEval_0 can only have been HumanEval/0
        name = names.get(folder.name, folder.name if names else "/".join(folder.name.rsplit("_", 1)))
        for file in sorted(folder.glob("*.py"), key=lambda file: (len(file.stem), file.stem)):
            where = f"{path.name}/{folder.name}/{file.name}"
            index = int(file.stem) if file.stem.isdecimal() else None
            yield Text(where, name, _program(file, where), "whole", index)


def _program(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read ({error})", "a program in UTF-8", where=where) from error


def _id(row: dict[str, Any], where: str) -> str:
    key = next((key for key in IDS if row.get(key) is not None), IDS[0])
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidInput(f"key {key} is {value!r}", "a name or a whole number", where=where)
    return str(value)


def _text(value: Any, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"key {key} is {value!r}"[:80], "text", where=where)
    return value
