"""A pool of prompts, read one line at a time: a file of a million never sits in memory.

JSON Lines with an id and a prompt under the usual names; a file without ids is numbered by its lines. Files that are
one JSON document go through `problems.read`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tools.errors import InvalidInput
from tools.store import at_home

IDS = ("id", "task_id", "prompt_id", "question_id", "problem_id")
PROMPTS = ("prompt", "text", "question", "instruction", "question_content", "complete_prompt", "instruct_prompt")


def located(name: Path | str) -> Path:
    """The file of that name; `embedded` and `embedded-pool` are the sets that come with the product."""
    ours = {"embedded": "evaluation.jsonl", "embedded-pool": "pool.jsonl"}
    file = ours.get(str(name))
    return at_home(name) if file is None else Path(__file__).parent / "embedded" / file


def prompts(path: Path) -> Iterator[tuple[str, str]]:
    """Ids and texts in the order of the file. Raises InvalidInput with the line that cannot be used."""
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _prompt(line, f"{path.name}:{number}", number)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read ({error})", "JSON Lines in UTF-8", where=str(path)) from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _prompt(line: str, where: str, number: int) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON ({error})", "one object per line", where=where) from error
    if not isinstance(row, dict):
        raise InvalidInput(f"is a {type(row).__name__}", "an object with a prompt", where=where)
    text = _text(row, where)
    return str(next((row[key] for key in IDS if row.get(key) is not None), number)), text


def _text(row: dict[str, Any], where: str) -> str:
    found = next((row[key] for key in PROMPTS if key in row), row.get("messages"))
    if isinstance(found, list):
        turns = [turn for turn in found if isinstance(turn, dict) and turn.get("role") == "user"]
        found = "\n".join(str(turn.get("content") or "") for turn in turns)
    if not isinstance(found, str) or not found.strip():
        raise InvalidInput(f"has no prompt under {', '.join(PROMPTS)} or messages", "a text", where=where)
    return found
