"""The claim guard: no text leaves with a quantity or a result that no ledger entry supports (SPEC section 13).

    check(template, entries, user_msg)    words of a language model: figures, references and prose
    check_file(name, template, entries)   a file of a bundle, whose prose is fixed text of ours: figures and references
    contract(row)                         the batch contract of FORMATS section 4

Allow-list first. Each step accounts for what it can, and what is left over is a violation:
    page.py      characters, markup, quotes of the user, names that hold digits
    figures.py   references and bare numerals against the ledger, and what is said around them
    prose.py     every other word: known, and licensed by its clause where it could tell a result
    words.py     the closed vocabulary, plain text in vocabulary/
Refuses rather than guesses: a word the vocabulary does not know does not pass.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, pairwise
from typing import Any

from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.guard import figures, page, prose
from tools.guard.figures import Figure, GuardEntry
from tools.guard.page import Page, Sentence, Violation
from tools.records import Evidence

__all__ = ["GuardEntry", "Violation", "check", "check_file", "contract"]


def check(template: str, entries: Iterable[GuardEntry | Evidence], user_msg: str = "") -> tuple[Violation, ...]:
    """What a commentary says without support, in order of appearance; empty if it may be shown.

    template: may hold references as `tools.claims` defines them. user_msg: the message that quotes may be taken from.
    """
    ledger, text = figures.index(entries), Page(template, user_msg)
    page.mask_quotes(text)
    cited = figures.mask_references(text, ledger)
    figures.mask_policy(text, ledger)
    page.refuse_characters(text, ledger.words)
    page.mask_names(text, ledger.by_ref)
    page.refuse_markup(text)
    prose.refuse_acrostics(text)
    known = prose.known_words(text, ledger)
    waiting = deque(cited)
    for sentence, following in _followed(text.sentences()):
        told = figures.read(sentence, _within(waiting, sentence), ledger)
        prose.refuse_unsupported(sentence, told, following, known)
        if text.is_hopeless:
            break
    return text.violations()


def _followed(sentences: Iterable[Sentence]) -> Iterator[tuple[Sentence, str]]:
    """Every sentence with the text of the next."""
    for sentence, after in pairwise(chain(sentences, (None,))):
        if sentence is not None:
            yield sentence, after.text if after is not None else ""


def _within(waiting: deque[Figure], sentence: Sentence) -> list[Figure]:
    """The references of a sentence, taken from those not read yet, with the sentence's own offsets."""
    start, end = sentence.start, sentence.start + len(sentence.text)
    own = []
    while waiting and waiting[0].start < end:
        figure = waiting.popleft()
        if figure.start >= start:
            own.append(Figure(figure.start - start, figure.end - start, figure.entry, figure.form))
    return own


# our own files

FILE_STRUCTURE = tuple(
    re.compile(pattern, re.M)
    for pattern in (
        r"\b[0-9a-f]{8,64}\b",  # digests
        r"\b(?!\w*\d\.\d)[A-Za-z_][\w/@-]{0,80}\d[\w/@-]{0,80}(?:\.\w*[A-Za-z]\w*)?",  # identifiers
        r"\b\d{1,2}%(?= CI)|^[ \t]*(?:#+ |- )?\d{1,2}\.(?=\s)",
    )
)
MARKED = (
    re.compile(r"<style>[^<]{0,20000}</style>"),
    re.compile(r"<text[^<>]{0,500}>\d{1,4}(?:\.\d)?(?:%| pp)?</text>"),  # the scale of an axis: a numeral and no word
    re.compile(r"<[^<>]{1,5000}>"),
)
SHELL = (re.compile(r"\$\{?\d|\b127\.0\.0\.1\b|(?<=PORT:-)\d{4,5}\b|(?<=\s)-[a-z]*\d\b|\[\d\]"),)
OF_FORMAT = {"svg": MARKED, "html": MARKED, "sh": SHELL}


def check_file(name: str, template: str, entries: Iterable[GuardEntry | Evidence]) -> tuple[Violation, ...]:
    """Figures in a bundle template that are neither references nor structure. Words are ours and fixed.

    name: the file's name; its ending says what is structure: tags and the ticks of an axis in a drawing, parameters,
    options and ports in a script.
    """
    text = Page(template)
    figures.mask_references(text, figures.index(entries))
    for pattern in OF_FORMAT.get(name.rpartition(".")[2], ()):
        text.mask_all(pattern, page.NAME)
    page.mask_names(text)
    for pattern in FILE_STRUCTURE:
        text.mask_all(pattern, page.NAME)
    text.refuse_all(figures.NUMERAL, "a figure without a reference")
    return text.violations()


# the batch contract


def contract(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the `guard` contract (FORMATS section 4). Raises InvalidInput naming the key that is wrong."""
    text, said, ledger = row.get("text"), row.get("user_msg") or "", row.get("ledger", [])
    if not isinstance(text, str) or not isinstance(said, str):
        raise InvalidInput(f"key text is {text!r}, user_msg {said!r}", "texts")
    if not isinstance(ledger, list):
        raise InvalidInput(f"key ledger is {ledger!r}", "a list of entries")
    violations = check(text, [_entry(item) for item in ledger], said)
    told = [{"span": violation.span, "why": violation.why} for violation in violations]
    return {"allowed": not violations, "violations": told}


def _entry(item: Any) -> GuardEntry:
    if not isinstance(item, dict):
        raise InvalidInput(f"a ledger entry is {item!r}", "an object with id, name, value, unit")
    try:
        return GuardEntry.model_validate(
            {key: item[key] for key in GuardEntry.model_fields if item.get(key) is not None}
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidInput(f"ledger entry key {fault['loc'][0] if fault['loc'] else '?'}: {fault['msg']}") from error
