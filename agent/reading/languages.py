"""Programming languages, told apart from words that are spelt like them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import JsonValue

from agent.reading.corrections import CORRECTION
from agent.reading.facts import Found
from agent.reading.moods import NT
from agent.reading.scan import Kinds, Scan

LANGUAGES = {
    "python": r"python ?3?|\bpy\b",
    "typescript": r"type ?script|\bts\b",
    "javascript": r"java ?script|\bjs\b|node\.?js",
    "java": r"java",
    "c++": r"c\+\+(?:[012][0-9axyz])?|cpp",
    "c#": r"c#|c sharp|csharp",
    "rust": r"rust",
    "kotlin": r"kotlin",
    "swift": r"swift",
    "ruby": r"ruby",
    "php": r"php",
    "scala": r"scala",
    "haskell": r"haskell",
    "lua": r"lua",
    "perl": r"perl",
    "julia": r"julia",
    "sql": r"(?:pl/?|t-?)?sql(?!ite)",
    "bash": r"bash|shell scripts?|shell",
    "ocaml": r"ocaml",
    "elixir": r"elixir",
    "erlang": r"erlang",
    "zig": r"zig",
    "dart": r"dart",
    "cuda": r"cuda",
    "verilog": r"verilog",
    "systemverilog": r"system ?verilog",
    "vhdl": r"vhdl",
    "cobol": r"cobol",
    "fortran": r"fortran",
    "matlab": r"matlab",
    "go": r"golang|go",
    "c": r"c",
    "r": r"r",
    "objective-c": r"objective-?c",
    "clojure": r"clojure",
    "f#": r"f#",
    "solidity": r"solidity",
    "terraform": r"terraform|hcl",
    "powershell": r"powershell",
    "groovy": r"groovy",
    "html": r"html",
    "css": r"css",
    "ada": r"ada(?= code)",
    "abap": r"abap",
    "apex": r"apex",
}
SHY = frozenset(
    [
        "go",
        "c",
        "r",
        "swift",
        "shell",
        "bash",
        "ruby",
        "dart",
        "rust",
        "ada",
        "apex",
        "html",
        "css",
        "sql",
        "ts",
        "js",
        "py",
    ]
)
"""Names that are also words or file endings: counted beside another language or after a cue only."""
LANGUAGE = Kinds(LANGUAGES.items(), before=r"(?<![\w.@#-])", after=r"(?![\w#@]|\+\+|\.\w|-\d|/\w*\.)")
LANGUAGE_CUE = re.compile(
    r"\b(?:languages?|langs?|written in|writes?|coding in|programs? in|code in|in|mostly|only|mainly|for"
    r"|speaks?|all|pure|us(?:e|es|ing)|it'?s|is|are|on)\b[\s:=\[\"'`*(-]*$",
)
LANGUAGE_GLUE = re.compile(
    r"[\s,/&+|\"'`\[\]()-]*(?:(?:and|n|plus|some|a bit of|mostly|or|then|with|also|a little"
    r"|little)\b[\s,]*)*(?:\d+ ?% ?)?[\"'`]?\s*"
)
NOT_LANGUAGE = re.compile(
    r"\s*(?:script\b|config|wrapper|harness|runner|tooling|sdk\b|service\b|library\b|client\b|loader|env\b"
    r"|version|package)"
    r"|\s+(?:-{1,2}[a-z]|[\w./-]+\.(?:py|sh|bash)\b)",
)
PROMPT = re.compile(r"(?m)^[ \t>`]*(?:\$|%|>>>) [^\n]*$")
"""A line typed at a shell: its words are commands."""


MAINLY = re.compile(r"\s+\(?(?:only|mostly|mainly)\b")
CODING = re.compile(r"\s+(?:code ?gen(?:eration)?|coding|programming|autocomplete)\b")


def languages(scan: Scan) -> Iterator[Found]:
    """languages, as one list in order of mention."""
    marks = []
    for name, match in LANGUAGE.finditer(scan.text):
        typed = any(low <= match.start() < high for low, high in scan.moods.places(PROMPT))
        if not (typed or NOT_LANGUAGE.match(scan.text, match.end()) or scan.taken.overlaps(*match.span())):
            marks.append((match, name))
    kept = [m for i, m in enumerate(marks) if _is_language(scan, marks, i)]
    sure = [(m, n) for m, n in kept if scan.moods.of(*m.span(), "plan") is None and not _denied(scan, m)]
    edits = [end for _, end in scan.moods.places(CORRECTION)]
    kept_from = max((e for e in edits if sure and sure[0][0].end() <= e <= sure[-1][0].start()), default=0)
    sure = [(m, n) for m, n in sure if m.start() >= kept_from]
    if sure:
        names: list[JsonValue] = list(dict.fromkeys(name for _, name in sure))
        start, end = sure[0][0].start(), sure[-1][0].end()
        where = (start, end) if end - start <= 200 else sure[0][0].span()
        yield Found("languages", names, "", *where, sure[0][0].span())


def _denied(scan: Scan, match: re.Match[str]) -> bool:
    return (
        re.search(
            rf"\b(?:no|not|never|without|except|{NT}|unlike|other than)\s+(?:\w+\s+)?$",
            scan.before(match.start(), 20),
        )
        is not None
    )


def _is_language(scan: Scan, marks: list[tuple[re.Match[str], str]], i: int) -> bool:
    match, name = marks[i]
    words, capital = match[0], scan.original[match.start()].isupper()
    if name not in SHY and words not in SHY:
        return True
    if name in ("rust", "swift", "ruby", "dart", "sql", "html", "css", "bash") and capital:
        return scan.moods.sentence(match.start())[0] < match.start() - 1
    if scan.clause(match.start()).strip(" ,.;:()\n") == words and name not in ("go", "c", "r"):
        return True
    if MAINLY.match(scan.text, match.end()) and name not in ("c", "r"):
        return True
    if CODING.match(scan.text, match.end()) and name not in ("go", "c", "r"):
        return True
    if name in ("go", "c", "r") and words != "golang" and not capital and not _keyed(scan, match):
        neighbours = [marks[j][0] for j in (i - 1, i + 1) if 0 <= j < len(marks)]
        return any(_joined(scan.text, match, other) for other in neighbours)
    if LANGUAGE_CUE.search(scan.before(match.start(), 24)) and (capital or _keyed(scan, match)):
        return True
    beside = [marks[j] for j in (i - 1, i + 1) if 0 <= j < len(marks)]
    return any(_glued(scan.text, match, other) for other, _ in beside)


def _keyed(scan: Scan, match: re.Match[str]) -> bool:
    line = scan.text[scan.text.rfind("\n", 0, match.start()) + 1 : match.start()]
    return re.search(r"\blang(?:uage)?s?\b", line) is not None


def _joined(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    first, second = sorted((one, other), key=lambda m: m.start())
    return re.fullmatch(r"\s*[,/+&]\s*", text[first.end() : second.start()]) is not None


def _glued(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    first, second = sorted((one, other), key=lambda m: m.start())
    return LANGUAGE_GLUE.fullmatch(text[first.end() : second.start()]) is not None
