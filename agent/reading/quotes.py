"""Quoted lines of a mail (`> ...`): whose words they are, and what the answer beneath makes of them."""

from __future__ import annotations

import re

BLOCK = re.compile(r"(?m)(?:^[ \t]*>(?!>>)[^\n]*(?:\n|\Z))+")
LINE = re.compile(r"[^\n]+")
AGREES = re.compile(
    r"\s*(?:yes|yep|yeah|yup|correct|right|confirmed|exactly|agreed|true|indeed|\+1|ok(?:ay)?|i confirm|we confirm"
    r"|(?:that|this|all|both|it)(?:'s| is| are)? (?:all )?(?:right|correct|true|confirmed|still (?:right|true|correct)"
    r"|stands?|holds?))\b"
)


def of_others(text: str) -> list[tuple[int, int]]:
    """Spans of quoted lines that are somebody else's words: not those the answer agrees with, nor a question.

    text: as it was typed, before an answered question is made a key (`rollback: yes`) on one line with its answer.
    """
    if ">" not in text:
        return []
    blocks = [block for block in BLOCK.finditer(text) if not AGREES.match(text, block.end())]
    lines = [line for block in blocks for line in LINE.finditer(text, *block.span())]
    return [line.span() for line in lines if not line[0].rstrip().endswith("?")]
