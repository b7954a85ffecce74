"""A run folder: what was planned, and rows that only grow.

`plan.json` is written once; opening the folder under another plan is refused, so that samples of two settings never
meet in one file. `Rows` are JSON Lines read from disk and never held in memory: a run may have millions of them.
Whoever reads passes over a torn last line, which may be one that is being written; whoever appends cuts it off, keeps
it beside the file and counts it in `repaired`. One process appends at a time.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.errors import InvalidInput, StoreCorrupt
from tools.records import Record
from tools.store import canonical, write_atomic

PLAN, MANIFEST = "plan.json", "manifest.json"
# the problems a run began with, in our own format
PROBLEMS = "problems.jsonl"
# where a training lies in its run: what came of it, and the adapter or weights
TRAINING, TRAINED, OUTPUT = "training", "trained.json", "output"


class Rows:
    """An append-only JSON Lines file of any length."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repaired: int | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield _parsed(line, f"{self.path.name}:{number}")

    def append(self, rows: Iterable[Record | dict[str, Any]]) -> None:
        """Write rows with one fsync; on a full disk nothing of them is kept."""
        block = "".join(canonical(_plain(row)) + "\n" for row in rows).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.repaired is None:
            self.repaired = _cut_torn_line(self.path)
        with self.path.open("ab") as handle:
            start = handle.tell()
            try:
                handle.write(block)
                handle.flush()
                os.fsync(handle.fileno())
            except OSError:
                os.truncate(self.path, start)
                raise


class Run:
    """One run folder, bound to a plan where it is opened with one.

    Raises InvalidInput, naming the settings that differ, where the folder belongs to another plan.
    """

    def __init__(self, folder: Path, plan: dict[str, Any] | None = None) -> None:
        self.folder = folder
        if plan is not None:
            _bind(folder / PLAN, _roundtrip(plan))

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What the run is bound to. Raises InvalidInput where nothing was sampled here yet."""
        path = self.folder / PLAN
        if not path.exists():
            seen, wanted = "there is no run here", f"a folder with {PLAN}"
            raise InvalidInput(seen, wanted, "sample first", where=str(self.folder))
        return _parsed(path.read_text(encoding="utf-8"), path.name)

    def rows(self, name: str) -> Rows:
        """The rows of `samples`, `grades` and the like."""
        return Rows(self.folder / f"{name}.jsonl")

    def write(self, name: str, data: bytes | str) -> Path:
        """A whole file of the run, replaced in one step."""
        write_atomic(self.folder / name, data)
        return self.folder / name

    def write_manifest(self, versions: dict[str, str]) -> Path:
        """Write `manifest.json`: size and sha256 of every file, and the versions that made them."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != MANIFEST)
        listed = {str(path.relative_to(self.folder)): _measure(path) for path in files}
        return self.write(
            MANIFEST, json.dumps({"files": listed, "versions": versions}, indent=2, sort_keys=True) + "\n"
        )


def _bind(path: Path, plan: dict[str, Any]) -> None:
    if not path.exists():
        write_atomic(path, json.dumps(plan, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    elif (kept := _parsed(path.read_text(encoding="utf-8"), path.name)) != plan:
        raise _another_plan(path, kept, plan)


def _another_plan(path: Path, kept: dict[str, Any], plan: dict[str, Any]) -> InvalidInput:
    differ = sorted(key for key in kept.keys() | plan.keys() if kept.get(key) != plan.get(key))
    seen = "; ".join(f"{key} is {kept.get(key)!r} there and {plan.get(key)!r} now" for key in differ)
    return InvalidInput(
        seen, "the settings of this run", "choose another folder, or go on as it began", where=str(path)
    )


def _plain(row: Record | dict[str, Any]) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude_none=True) if isinstance(row, Record) else row


def _roundtrip(plan: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(canonical(plan))
    return found


def _parsed(line: str | bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise StoreCorrupt(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise StoreCorrupt(f"{where} is not an object")
    return row


def _cut_torn_line(path: Path) -> int:
    """Bytes cut off the end of the file, for want of their newline."""
    if not path.exists() or not path.stat().st_size:
        return 0
    with path.open("rb+") as handle:
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as view:
            keep = view.rfind(b"\n") + 1
            torn = view[keep:]
        if torn:
            write_atomic(path.with_suffix(".torn"), torn)
            handle.truncate(keep)
    return len(torn)


def _measure(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
