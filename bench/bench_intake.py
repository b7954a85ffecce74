"""How well facts are read from messages: precision and recall per field, and whole messages read exactly.

Run with `python bench/bench_intake.py [FOLDER]`; `--misses` prints every difference. The corpus (bench/corpus/intake)
is written by hand, one file per voice, in generations: each was written before the reader had seen it, scored once
(that figure is in intake_results.md), and only then repaired on. A field counts as read when it equals the label:
numbers exactly, names and lists without case, free words (purpose, failure cost) when either holds the other or half of
their words are shared.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent import extract

CORPUS = Path(__file__).parent / "corpus" / "intake"
GENERATIONS = {
    "second": ("manager", "scientist", "slack"),
    "third": ("consultant", "director", "formal", "infra", "labnotes", "thumbs", "transcript", "traps"),
    "fourth": ("esl", "jsonish", "mail", "meeting", "sceptic"),
}
"""Voices by the generation they were written in; every other voice is of the first."""
FREE = ("purpose", "failure_cost")


def main(arguments: list[str]) -> int:
    """Print the table for a corpus folder."""
    folder = next((Path(a) for a in arguments if not a.startswith("--")), CORPUS)
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    started = time.perf_counter()
    readings = {row["id"]: extract.contract(row["text"]) for row in rows}
    seconds = time.perf_counter() - started
    if "--misses" in arguments:
        for row in rows:
            _differences(row, readings[row["id"]])
    for name in ("first", *GENERATIONS):
        if chosen := [row for row in rows if _generation(row["voice"]) == name]:
            _report(f"{name} generation", chosen, readings)
    characters = sum(len(row["text"]) for row in rows)
    print(f"{1e6 * seconds / characters:.1f} microseconds per character, {len(rows)} messages")
    return 0


def _generation(voice: str) -> str:
    return next((name for name, voices in GENERATIONS.items() if voice in voices), "first")


def _report(title: str, rows: list[dict[str, Any]], readings: dict[str, dict[str, Any]]) -> None:
    right, read, labelled = Counter[str](), Counter[str](), Counter[str]()
    exact = 0
    for row in rows:
        want, got = dict(leaves(row["fields"])), dict(leaves(readings[row["id"]]))
        hits = [name for name in want if name in got and same(name, want[name], got[name])]
        right.update(_root(n) for n in hits)
        read.update(_root(n) for n in got)
        labelled.update(_root(n) for n in want)
        exact += len(hits) == len(want) == len(got)
    print(f"\n## {title}: {len(rows)} messages, {exact} exact ({exact / len(rows):.1%})\n")
    print("| field | labels | precision | recall |\n|---|---:|---:|---:|")
    for name in sorted(labelled | read):
        print(
            f"| {name} | {labelled[name]} | {_share(right[name], read[name])} | {_share(right[name], labelled[name])} |"
        )
    total = [sum(c.values()) for c in (right, read, labelled)]
    print(f"| **all** | {total[2]} | {_share(total[0], total[1])} | {_share(total[0], total[2])} |\n")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def leaves(fields: dict[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    """Each single value with its path, so that half a map counts as half."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{head}{name}.")
        else:
            yield f"{head}{name}", value


def _root(path: str) -> str:
    return path.split(".")[0]


def same(path: str, want: Any, got: Any) -> bool:
    """Whether a reading says what the label says."""
    if isinstance(want, str) and isinstance(got, str):
        one, other = (" ".join(re.findall(r"[\w.+-]+", v.lower())) for v in (want, got))
        if _root(path) not in FREE:
            return one == other
        shared = set(one.split()) & set(other.split())
        return one in other or other in one or len(shared) * 2 >= len(set(one.split()) | set(other.split()))
    if isinstance(want, list) and isinstance(got, list):
        return {str(v).lower() for v in want} == {str(v).lower() for v in got}
    return (type(want) is type(got) and want == got) or (_number(want) and _number(got) and abs(want - got) < 1e-9)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differences(row: dict[str, Any], reading: dict[str, Any]) -> None:
    want, got = dict(leaves(row["fields"])), dict(leaves(reading))
    wrong = [f"{n}: want {want[n]!r}, got {got.get(n)!r}" for n in want if not (n in got and same(n, want[n], got[n]))]
    wrong += [f"{n}: not stated, got {got[n]!r}" for n in got if n not in want]
    if wrong:
        print(f"{row['id']}: {row['text']!r}")
        for line in wrong:
            print(f"    {line}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
