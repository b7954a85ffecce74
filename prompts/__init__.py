"""Words only: one Markdown file per purpose, loaded by name, no logic.

A text names its blanks as `{field}`. References to evidence (`{{E1}}`, `{{policy.gap_threshold|value}}`) stay as they
are, for the ledger to fill; any other doubled brace stands for one brace. Refuses an unknown name, a blank without a
value and a value without a blank.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
REFERENCE = r"\{\{\s*[A-Za-z][\w.@-]*\s*(?:\|\s*[a-z]+\s*)?\}\}"
TOKEN = re.compile(rf"(?P<reference>{REFERENCE})|(?P<brace>\{{\{{|\}}\}})|\{{(?P<blank>[a-z_]+)\}}")


class PromptError(LookupError):
    """A text does not exist, or its blanks and the values given for them differ."""


def load(name: str, **values: str) -> str:
    """The text of `name` (`topics/battery`) with its blanks filled. Raises PromptError as the module says."""
    if name not in names():
        raise PromptError(f"there is no text {name!r}; expected one of {', '.join(names())}")
    text = (HERE / f"{name}.md").read_text(encoding="utf-8").strip()
    blanks = {match["blank"] for match in TOKEN.finditer(text) if match["blank"]}
    if blanks != values.keys():
        raise PromptError(f"{name} has the blanks {sorted(blanks)}; values were given for {sorted(values)}")
    return TOKEN.sub(lambda match: _written(match, values), text)


def _written(match: re.Match[str], values: dict[str, str]) -> str:
    if match["blank"]:
        return values[match["blank"]]
    return match["reference"] or match["brace"][0]


def probe_set(name: str) -> list[dict[str, str]]:
    """The prompts of a frozen probe set, without the licence line that leads the file."""
    lines = (HERE / "probes" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def names(folder: str = "") -> tuple[str, ...]:
    """The names of all texts, or of those in one folder, in alphabetical order."""
    files = (HERE / folder).rglob("*.md")
    return tuple(sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in files))
