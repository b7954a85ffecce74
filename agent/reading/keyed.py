"""Key lines and objects: YAML, JSON, TOML and `key = value`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.fields import field_of, resolve
from agent.reading.scan import Scan
from agent.reading.values import OPEN, Path, Span, Structure, value_of

TOKEN = re.compile(
    r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[{}\[\],]|:(?=\s|[\"'{\[]|\d)|[^\s{}\[\],:\"']+(?::[^\s{}\[\],:\"']+)*|\s+|.",
    re.S,
)
KEY_LINE = re.compile(
    r"(?P<indent>[ \t]*)(?:[-*+•·>]\s+"
    r"|\d+[.)]\s+)?(?P<key>[\"'`*_]*[a-z@#][^:={}\[\]\n|,;?!]{0,44}?[\"'`*_]*)\s*(?P<mark>:|=|->"
    r"|=>)(?!=)(?P<value>[^\n]*)"
)
ITEMS = re.compile(r"(?:\n[ \t]*-[ \t]+[^\n:]+)+")
SECTION = re.compile(r"\s*\[(?P<name>[\w.@ -]+)\]\s*$")
LONGEST_OBJECT, LONGEST_KEY = 20_000, 60


def objects(text: str) -> Iterator[Span]:
    """Spans of the outermost braces that hold at least one key."""
    opened: list[int] = []
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            opened.append(match.start())
        elif opened:
            start = opened.pop()
            line = text[text.rfind("\n", 0, start) + 1 : start]
            if not opened and ":" in text[start : match.end()] and not KEY_LINE.fullmatch(line):
                yield start, match.end()


def _closing(text: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start, start + LONGEST_OBJECT):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.end()
    return 0


def flow(text: str, low: int, high: int, head: Path) -> Iterator[tuple[Path, Span]]:
    """Pairs of a JSON object or a flow map. Lists are one value; what is torn ends the reading."""
    path: list[str] = []
    key, value, lists = "", None, 0
    for match in TOKEN.finditer(text, low, high):
        token = match[0]
        if token == "[":
            lists += 1
            value = (match.start(), match.end()) if lists == 1 and value is None else value
        elif token == "]":
            lists = max(0, lists - 1)
            value = (value[0], match.end()) if value else None
        elif lists:
            value = (value[0], match.end()) if value else None
        elif token == "{":
            path.append(key)
            key, value = "", None
        elif token in (",", "}"):
            if key and value and len(path) <= 8:
                yield (*head, *(p for p in path if p), key), value
            key, value = (path.pop() if token == "}" and path else ""), None
            key = "" if token == "," else key
        elif token == ":" and value is not None:
            key, value = text[value[0] : value[1]].strip("\"'"), None
        elif not token.isspace():
            value = (value[0] if value else match.start(), match.end())


def read(scan: Scan, lines: list[Span], structure: Structure) -> None:
    """Key lines, nested by indentation or under a section; a line whose key is unknown stays prose."""
    stack: list[tuple[int, str]] = []
    for low, high in lines:
        line = scan.text[low:high]
        if section := SECTION.match(line):
            stack = [(-2 + i, name) for i, name in enumerate(section["name"].split("."))]
            continue
        match = KEY_LINE.match(line)
        if match is None and len(line) <= LONGEST_KEY and (field_of(line) or "").startswith("pass_at"):
            stack = [(len(line) - len(line.lstrip()), line.strip())]
            continue
        if match is None:
            stack = [s for s in stack if s[0] < 0] if line.strip() else stack
            continue
        indent = len(match["indent"].expandtabs(2)) + (2 if line.lstrip()[:2] in ("- ", "* ") else 0)
        stack = [s for s in stack if s[0] < indent]
        start, end = low + match.start("value"), low + match.end("value")
        end = start + len(re.split(r"\s#\s|\s//\s", scan.text[start:end])[0])
        if not scan.text[start:end].strip():
            stack.append((indent, match["key"]))
            if (items := ITEMS.match(scan.text, end)) and resolve((match["key"],)) == "languages":
                _read_pair(scan, (match["key"],), items.span(), structure)
            continue
        if scan.text[start:end].lstrip().startswith("{") and (
            close := _closing(scan.text, scan.text.index("{", start))
        ):
            head = (*(name for _, name in stack), match["key"])
            if structure.take(scan, flow(scan.text, scan.text.index("{", start), close, head)):
                structure.spans.append((low, close))
            continue
        _read_pair(scan, (*(name for _, name in stack), match["key"]), (start, end), structure)


def _read_pair(scan: Scan, path: Path, span: Span, structure: Structure) -> None:
    """One key line, if its key is known and its value is a value and not a run of further facts."""
    name = resolve(path)
    text = scan.text[span[0] : span[1]]
    if name is None or (_is_run(text) and len(path) == 1):
        return
    leaf = name.split(".")[-1]
    if leaf in ("purpose", "failure_cost") or len(path) > 1 or len(text) <= 60:
        found = list(value_of(scan, name, path, span))
        structure.found += found
        if found or OPEN.fullmatch(text):
            structure.spans.append(span)


def _is_run(text: str) -> bool:
    """Whether a value goes on with other facts: `model: x, params: 7B, license: MIT`, or `pass@1: 43 (61 at 8)`."""
    return (
        re.search(
            r"\d[^,\n]*, .*\d|[,;(/|].*(?:[:=@]|\bat \d|\d\s*(?:problems|samples|gpu|days|%))|[.;]\s+\S"
            r"|\d\s*/\s*\d|\bpass@|\bbut\b|\bnot\b \d|\b(?:for|x|over)\s+\w+\s?(?:h|hours|days?|weeks?)\b",
            text,
        )
        is not None
    )
