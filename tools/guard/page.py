"""The page under the guard: a template, its masked copy, and the violations found so far.

What is accounted for is masked: references, marked words of the user, names that hold digits, supported figures. A mask
keeps the length, so every offset is one of the template. Characters are an allow-list: whatever may hide a figure
(digits of other scripts, invisible characters, pictures of bars) is refused unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator

from tools.guard.words import LEXICON, RESULTS, kind
from tools.records import Record

REF, QUOTE, NAME, METRIC = "\ue000", "\ue001", "\ue002", "\ue003"
MASKS = REF + QUOTE + NAME + METRIC
MOST = 100  # violations; a writer who has that many to mend needs no more
LONGEST = 1_000  # characters of a sentence; a lead-in is two short ones

Holds = Callable[[re.Match[str]], bool]


class Violation(Record):
    """Characters start..end of the template (`span`) say something that no entry supports; `why` says what."""

    span: str
    start: int
    end: int
    why: str


class Page:
    """A template, its masked copy, and what was found."""

    def __init__(self, template: str, user_msg: str = "") -> None:
        self.template = template
        self.masked = template.translate(dict.fromkeys(map(ord, MASKS), "\ufffd"))
        self.user_msg = user_msg
        self._found: dict[tuple[int, int], str] = {}

    @property
    def is_hopeless(self) -> bool:
        """Whether enough was found to stop reading."""
        return len(self._found) >= MOST

    def refuse(self, start: int, end: int, why: str) -> None:
        """Note a violation; the first reason given for a span stays."""
        self._found.setdefault((start, end), why)

    def violations(self) -> tuple[Violation, ...]:
        """All violations, in the order of the text."""
        return tuple(
            Violation(span=self.template[start:end], start=start, end=end, why=why)
            for (start, end), why in sorted(self._found.items())
        )

    def mask_all(self, pattern: re.Pattern[str], char: str, holds: Holds = lambda match: True) -> None:
        """Account for every match that `holds`."""
        self.masked = pattern.sub(lambda match: char * len(match[0]) if holds(match) else match[0], self.masked)

    def refuse_all(self, pattern: re.Pattern[str], why: str) -> None:
        """Refuse every match, and leave it out of the further reading."""
        for match in pattern.finditer(self.masked):
            self.refuse(match.start(), match.end(), why)
        self.mask_all(pattern, NAME)

    def sentences(self) -> Iterator[Sentence]:
        """Sentences that can be read; one too long to be a sentence is refused."""
        for match in SENTENCE.finditer(self.masked):
            if len(match[0]) > LONGEST:
                self.refuse(match.start(), match.end(), "a sentence too long to check")
            elif match[0].strip():
                yield Sentence(self, match.start(), match[0])


class Sentence:
    """One sentence of a page. `text` is its masked copy, which figures may mask further; offsets are its own."""

    def __init__(self, page: Page, start: int, text: str) -> None:
        self.page, self.start, self.text = page, start, text

    def refuse(self, start: int, end: int, why: str) -> None:
        """Note a violation in this sentence."""
        self.page.refuse(self.start + start, self.start + end, why)

    def mask(self, start: int, end: int, char: str) -> None:
        """Account for a span."""
        self.text = f"{self.text[:start]}{char * (end - start)}{self.text[end:]}"

    def readable(self, start: int, end: int) -> str:
        """The words between two offsets, names included, references and quotes blanked."""
        template = self.page.template[self.start + start : self.start + end]
        masked = self.text[start:end]
        return "".join(t if m in (NAME, METRIC) else m for m, t in zip(masked, template, strict=True))


# the steps, in their order


def mask_quotes(page: Page) -> None:
    """Words of the user, marked as such and whole, may hold anything; a figure nobody claims is repeated."""
    parts: list[str] = []
    at = 0
    for match in QUOTED.finditer(page.masked):
        before = page.masked[max(0, match.start() - 80) : match.start()]
        chained = parts and CHAINED.fullmatch(page.masked, at, match.start())
        words = next(group for group in match.groups() if group is not None)
        if (chained or ATTRIBUTION.search(before)) and _whole(words, page.user_msg):
            parts += [page.masked[at : match.start()], QUOTE * len(match[0])]
            at = match.end()
    page.masked = "".join([*parts, page.masked[at:]])


def _whole(words: str, message: str) -> bool:
    """Whether words stand in a message as they are, cut at the edges of tokens."""
    if not re.search(r"\w", words):
        return False
    edge = r"(?!\w|[.,%]\d|(?<=\d)[%$])"
    return re.search(rf"(?<![\w$-])(?<!\d[.,]){re.escape(words)}{edge}", message) is not None


def refuse_characters(page: Page, licensed: frozenset[str]) -> None:
    """Every character outside plain text, unless it belongs to a word of the ledger."""
    for match in SUSPECT.finditer(page.masked):
        if match[0].lower() not in licensed:
            page.refuse(match.start(), match.end(), "a character that may hide a figure; use plain letters")
        if page.is_hopeless:
            return
    page.mask_all(SUSPECT, NAME)


def mask_names(page: Page, entries: Container[str] = ()) -> None:
    """Digits that belong to a name: k, a version, a section, a rule, a model, a file, an entry, a numbered list."""
    _mask_list_markers(page)
    page.mask_all(MEASURE, METRIC)
    for pattern in NAMES:
        page.mask_all(pattern, NAME, _innocent)
    page.mask_all(ENTRY, NAME, lambda match: match[0] in entries)
    known = frozenset(re.findall(r"[\w./-]+\w", page.user_msg))
    page.mask_all(USER_NAME, NAME, lambda match: match[0] in known and _innocent(match))


def _mask_list_markers(page: Page) -> None:
    """1. 2. 3. at the start of lines or (1) (2) (3) within one, as long as they count up from one."""
    due = 1

    def is_due(match: re.Match[str]) -> bool:
        nonlocal due
        number = int(match[1] or match[2])
        due = 1 if number == 1 else due
        due += number == due
        return number == due - 1

    page.mask_all(LIST_MARKER, NAME, is_due)


def _innocent(match: re.Match[str]) -> bool:
    """No part of a name is itself a quantity or a result in words."""
    return not any(kind(part) in ("hard", *RESULTS) for part in re.findall(r"[a-z]{2,}", match[0].lower()))


def refuse_markup(page: Page) -> None:
    """Entities, comments, tables, code, formulas, strokes and comparison signs."""
    for pattern in MARKUP:
        page.refuse_all(pattern, "markup or signs that may hide a figure; use plain words")


# patterns; what may run long is bounded, so that no text takes more than linear time

SENTENCE = re.compile(r"(?:[^.!?…\n]|[.!?…](?![\s\"”*_)]|$))+[.!?…]*")
SUSPECT = re.compile(rf"[^\s -~–—‑…“”‘’«»•·→Δ§©🙂👋🙏À-ÖØ-öø-ſ{MASKS}]+|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]+")
QUOTED = re.compile(r"“([^“”]{1,2000})”|\"([^\"\n]{1,2000})\"|«([^«»]{1,2000})»")
ATTRIBUTION = re.compile(
    r"(?:\byou(?: just| also)? (?:said|say|wrote|write|told me|mentioned|stated|asked|put it|called (?:it|that))"
    r"|\byour (?:own |exact )?(?:words?|message|phrase|sentence|question|note)"
    r"(?: (?:was|were|is|are|says?|said|reads?|names?))?"
    r"|\bI (?:read|took|noted|see|saw|understood)"
    r"|\bthe (?:word|words|phrase|term|sentence|expression)|\bin your words|\bquoting you)(?: that)?[\s,:]{0,3}$",
    re.I,
)
CHAINED = re.compile(r"[\s,]{0,3}(?:and|or|then|,)?[\s,]{0,3}(?:also )?")
MARKUP = tuple(
    re.compile(pattern, re.M)
    for pattern in (
        # unread references, entities, comments, LaTeX, tags
        r"\{\{|\}\}|&#?\w{1,8};|<!--|-->|\]\s?:\s?#|\\|\$(?!\d)|<[a-zA-Z/][^<>\n]{0,200}>",
        r"```|~~~|^[ \t]{0,8}\|[^\n]{0,400}\|",  # code blocks, tables
        r"^(?=[^\n-]{0,200}-)[ \t:|-]{3,200}$",
        r"(?<=[a-zA-Z])[!$@+^~#%&=|*](?=[a-zA-Z])",  # a sign inside a word
        r"[|/\\+=#~^>.*-]{4,400}|(?<![\w+])\+{2,}|={2,}>?",  # strokes
        r"\s[<>≈~^]=?\s|(?<!\bn)\s[+=*/](?=\s)|(?<=\w)(?<!\bn)[=<>]|#(?=\w)",  # sums and comparisons
    )
)
K = r"(?:1|2|3|4|5|8|10|16|20|25|32|50|64|100|128|200|256|512|1000|1024)"
END = (
    r"(?![\w%]|[.,]\d|\s{0,2}(?:%|(?:percent|per cent|pp|points?|problems?|samples?|answers?|tasks?|times|x)\b"
    r"|in \d|of (?:all|them|those|these|it)\b|out of\b"
    r"|of (?:the|your|its|our) (?:\w{1,20} )?(?:problems?|samples?|answers?|tasks?|slices?|"
    r"completions?|tests?|solutions?)\b))"
)
RULE = r"(?:IN|PRE|MIN|VAR|CTL|BAT|REP|PRO|DEL|AP|OUT|NUM|DEV|GRD|CST|R)"
ENDING = (
    r"(?:jsonl|json|csv|yaml|yml|md|py|txt|gz|html|svg|toml|log|parquet|sh|"
    r"safetensors|sqlite|eval|npz|ipynb|pdf|tar|zip)"
)
SOFTWARE, FAMILY, TECHNICAL, SUFFIX = (
    "|".join(sorted(map(re.escape, LEXICON[section]), key=len, reverse=True))
    for section in ("software", "family", "technical", "suffix")
)
PART = (
    rf"(?:(?i:{SUFFIX})|v?\d(?:\.\d{{1,2}})?|\d{{1,3}}(?:\.\d{{1,2}})?[BMbm]"
    rf"|[AE]\d{{1,2}}B|\d{{4}}|\dx\d{{1,2}}B)"
)
STRUCTURE = (
    "steps? items? questions? rounds? phases? stages? parts? options? rules? cases? tables? probes? tiers? "
    "sections? chapters? appendix figures? equations? eq. notes? points? arms? levels? deliverables? issues?"
).replace(" ", "|")
MEASURE = re.compile(
    rf"(?<![\w.])(?:Δ?(?i:pass|gap)@\{{?|(?:delta_)?(?:pass|gap)_at_)(?:k\b|{K}{END})(?:, {K}(?![\w%]|\.\d)){{0,5}}"
    rf"(?: (?:and|or) @?{K}{END})?|(?<![\w.])k ?(?:=|of|in) ?\{{?{K}(?:, {K}(?![\w%]|\.\d)){{0,8}}"
    rf"(?:,? (?:and|or|to) {K})?{END}"
)
NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w./-])(?![\w/-]*\d[\w/-]*\d)(?=[\w/-]*[A-Za-z]{{2}})[\w./-]{{1,120}}\.{ENDING}\b(?!\.\w)",
        r"(?<![\w.])9[05] ?(?:%|percent|per cent)(?=[ -](?:CIs?|confidence|credible|intervals?|bands?|bootstrap)\b)",
        rf"(?<![\w-])(?:[A-Za-z][\w-]{{1,30}}/)?(?i:{FAMILY})(?:[ -]?v?\d(?:\.\d{{1,2}})?)?"
        rf"(?:-{PART}| \d{{1,3}}(?:\.\d)?[BMb]\b){{0,8}}(?![\w-]){END}",
        rf"(?<![\w-])(?i:{SOFTWARE})\+?[ -]?v?(?:[0-2]?\d(?:\.\d{{1,3}}){{1,3}}|2[0-4]|1?\d)\+?{END}",
        rf"(?<![\w-])(?i:{TECHNICAL})(?![\w-]){END}",
        rf"(?<![\w-]){RULE}-?\d{{1,2}}{END}",
        rf"(?<![\w-])(?i:{STRUCTURE})[ -]#?(?:\d\.)?(?:1?\d|20)(?:\.\d{{1,2}}){{0,2}}"
        rf"(?:(?:, | and | or | to )(?:1?\d|20))?{END}",
        rf"§ ?\d{{1,2}}(?:\.\d{{1,2}}){{0,2}}{END}",
        r"(?<![\w-])(?:[A-Z][\w+-]{1,30}|version|release) v\d{1,2}(?:\.\d{1,3}){0,2}(?![\w%])",
        r"(?<![\w-])(?i:arxiv)[: ]{1,2}(?:0[7-9]|[12]\d)(?:0[1-9]|1[0-2])\.\d{4,5}(?:v\d)?(?![\w%])",
        r"(?<=et al)\.?,? \(?(?:19|20)\d\d\)?(?![\w%])",
        r"(?<=sha256)[:= `]{1,3}[0-9a-f]{64}\b",
        r"\b(?:e\.g|i\.e|et al|etc|vs|cf|approx)\.(?=[\s,)])",
    )
)
ENTRY = re.compile(rf"(?<![\w-])E\d{{1,5}}{END}")
USER_NAME = re.compile(r"(?<![\w./-])[A-Za-z]{2}(?=[\w.-]{0,80}[\d_.-])[\w.-]{0,80}\w(?![\w%])")
LIST_MARKER = re.compile(r"^[ \t]{0,8}(?:[-*] )?\(?(\d{1,2})[.)](?=\s)|\((\d)\)(?=\s)", re.M)
