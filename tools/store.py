"""Bytes on disk: written whole or not at all, appended line by line, named by their sha256.

Holds canonical JSON, atomic files and the append-only `Log`. Refuses to open a log whose middle was damaged;
a torn last line (a process died while writing) is cut off, kept beside the file and counted in `repaired`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.errors import InvalidInput, StoreCorrupt
from tools.records import Source


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(data: bytes | str) -> str:
    """sha256 as 64 hex digits."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def key_of(tool: str, version: str, params: Any, *sources: Source) -> str:
    """Idempotency key of a tool call: the same tool, version, input and bytes give the same key."""
    return digest(canonical([tool, version, params, [s.sha256 for s in sources]]))


def at_home(path: Path | str) -> Path:
    """A path that a person wrote, with ~ as a home folder. Raises InvalidInput where nobody has that home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidInput("names the home of an unknown user", "a path", "check the path", where=str(path)) from error


def read_source(path: Path | str) -> tuple[bytes, Source]:
    """The bytes of a file a person named, with their source record. Raises InvalidInput if unreadable."""
    path = at_home(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        seen = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot be read ({seen})", "a readable file", "check the path", where=str(path)) from error
    return data, Source(name=path.name, sha256=digest(data))


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data.encode() if isinstance(data, str) else data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Log:
    """An append-only JSON Lines file: one object per line, on disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repaired = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines = self._read()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._parse(number, line) for number, line in enumerate(self._lines, 1))

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as written, without their newline."""
        return tuple(self._lines)

    def append(self, row: dict[str, Any]) -> str:
        """Write one row and return its line. On a full disk nothing of it is kept."""
        line = canonical(row)
        start = self.path.stat().st_size if self.path.exists() else 0
        with self.path.open("ab") as handle:
            try:
                handle.write(line.encode() + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
            except OSError:
                os.truncate(self.path, start)
                raise
        self._lines.append(line)
        return line

    def _read(self) -> list[str]:
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        whole, newline, torn = data.rpartition(b"\n")
        if torn:
            self._cut(torn, len(whole) + len(newline))
        try:
            return whole.decode().split("\n") if whole else []
        except UnicodeDecodeError as error:
            raise StoreCorrupt(f"{self.path.name} is not UTF-8 text: {error}") from error

    def _cut(self, torn: bytes, keep: int) -> None:
        self.repaired = len(torn)
        write_atomic(self.path.with_suffix(".torn"), torn)
        os.truncate(self.path, keep)

    def _parse(self, number: int, line: str) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StoreCorrupt(f"{self.path.name}:{number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise StoreCorrupt(f"{self.path.name}:{number} is not an object")
        return row
