"""The words between the figures: a closed vocabulary, and what its everyday words may not be combined to say.

Every word has to be known (`words.kind`). Beyond that, four rules. A number or a measure in words is refused, but for
counts of the conversation's own things ("two questions"). A word that tells a result (improved, better, passes), or a
degree or a verb said of one, has to stand in a clause that asserts nothing: a question left open, a condition, a
possibility, an aim, a denial of evidence. A statement that names a result may use only words of procedure. And a
result, a gate or a probe may be described only by what is done with it ("is sealed"), not by how it fares ("is open").

Read from `refuse_unsupported` down: reading a sentence, judging its words, then the clauses that assert nothing.

What it cannot see: irony, and whether a statement of procedure is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from tools.guard.figures import Entries, Figure
from tools.guard.page import METRIC, NAME, QUOTE, REF, Page
from tools.guard.page import Sentence as Span
from tools.guard.words import LEXICON, RESULTS, Kind, kind

# vocabulary/grammar.txt says what each of these is for
MODAL, CONDITION, WHEN, WANT, FACTIVE = (LEXICON[x] for x in ("modal", "condition", "when", "want", "factive"))
REPORTING, HEDGE, SEARCHING, AGAINST = (LEXICON[x] for x in ("reporting", "hedge", "searching", "against"))
NEGATION, SHOWING, ASKING, ANSWERS = (LEXICON[x] for x in ("negation", "showing", "asking", "answers"))
DEFINITE, INDEFINITE, ASSERTING, PAST = (LEXICON[x] for x in ("definite", "indefinite", "asserting", "past"))
PRONOUN, ACTOR, CONDITIONAL, COPULA = (LEXICON[x] for x in ("pronoun", "actor", "conditional", "copula"))
AUXILIARY, EXEMPT, IS = (LEXICON[x] for x in ("auxiliary", "exempt", "is"))
STRUCTURAL, PARAMETER, MANY, AMOUNTS = (LEXICON[x] for x in ("structural", "parameter", "many", "amounts"))
COUNTS, ORDINALS, GREETING, STRONG = (LEXICON[x] for x in ("counts", "ordinals", "greeting", "strong"))
COUNTED, PASSING, NOTIONS, PLACING = (LEXICON[x] for x in ("counted", "passing", "notions", "placing"))
BEARER, PREDICATE, FARED, TELLING = (LEXICON[x] for x in ("bearer", "predicate", "fared", "telling"))
POLITE, DEED, HARM, LINKING = (LEXICON[x] for x in ("polite", "deed", "harm", "linking"))
SKIPPED = LEXICON["skipped"]

TOKEN = re.compile(rf"{REF}+|{METRIC}+|[{QUOTE}{NAME}]+|[^\W\d_]+(?:['’_/-][^\W\d_]+)*|[^\s\w]")
CLAUSE_END = frozenset(",;:—–()|") | {"but", "so", "because", "since", "yet", "although", "though"}
FILTERS = re.compile(
    r"\b(?:keep|drop|filter|select|discard|count|exclud|accept|remov|us|reject)(?:e|s|es|ed|ing|p|ps|ping)?\b"
)
PRESUPPOSING = re.compile(
    r"^(?:and |but |so |then )?(?:why|how come|did (?:you|anyone) (?:know|notice|see|hear|realise|realize)"
    r"|who (?:could|would|can)|(?:would|can|could) (?:you|anyone) (?:believe|doubt|deny|see)|do you see"
    r"|what (?:made|makes|explains)|how (?:did|does|was|is|could)"
    r"|(?:is|are|was|were|does|did|do|has|have) (?:\w+ ){0,4}not)\b"
    r"|\w+n['’]t\b|^(?:guess|see|remember|know) "
)
SPELLED = re.compile(r"zero|three|four|five|seven|eight|nine|twelve|twenty|thirty|forty|fifty|sixty|half|percent")


@dataclass(frozen=True)
class Word:
    """One token of a sentence: where it stands, how it reads, what kind of word it is, in which clause."""

    start: int
    end: int
    text: str
    kind: Kind
    clause: int

    @property
    def wordlike(self) -> bool:
        """Whether it is made of letters."""
        return self.text[0].isalpha() and self.text[0] not in (REF, QUOTE, NAME, METRIC)


@dataclass(frozen=True)
class Sentence:
    """The words of one sentence, and whether the next one answers it."""

    words: tuple[Word, ...]
    answered: bool

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """All tokens as lower-case text."""
        return tuple(word.text for word in self.words)

    @cached_property
    def said(self) -> tuple[str, ...]:
        """The words alone."""
        return tuple(word.text for word in self.words if word.wordlike)

    @cached_property
    def asks(self) -> bool:
        """A question that asks: inverted or with a question word, presupposing nothing, left open."""
        if self.texts[-1:] != ("?",) or self.answered or PRESUPPOSING.search(" ".join(self.said)):
            return False
        heads = {content[0] for clause in self.clauses if (content := _content(clause))}
        return bool(heads & ASKING) or any(text in ("which", "what", "whether") for text in self.texts[:4])

    @cached_property
    def names_result(self) -> bool:
        """Whether it is about something that a result is said of: the gap, a figure, what the model is."""
        for at, word in enumerate(self.words):
            if word.kind == "result" or word.text[0] in (REF, METRIC):
                return True
            definite = DEFINITE & set(self.texts[max(0, at - 3) : at])
            if word.text in ACTOR and definite and self.after(at) in COPULA:
                return True
        return False

    @cached_property
    def is_general(self) -> bool:
        """Whether it speaks of things of a kind, in the present: a rule or a definition."""
        texts = set(self.texts)
        cites = any(word.text[0] == REF for word in self.words)
        return bool(texts & INDEFINITE) and not cites and not texts & ((DEFINITE - {"that"}) | ASSERTING)

    @cached_property
    def clauses(self) -> list[list[str]]:
        """The words by clause."""
        found: dict[int, list[str]] = {}
        for word in self.words:
            found.setdefault(word.clause, []).append(word.text)
        return list(found.values())

    def before(self, at: int) -> str:
        """The token before; empty at the start."""
        return self.texts[at - 1] if at else ""

    def after(self, at: int) -> str:
        """The token after; empty at the end."""
        return self.texts[at + 1] if at + 1 < len(self.texts) else ""

    def left(self, at: int) -> tuple[str, ...]:
        """The words before `at` in its clause."""
        clause = self.words[at].clause
        return tuple(word.text for word in self.words[:at] if word.clause == clause)

    def right(self, at: int) -> tuple[str, ...]:
        """The words after `at` in its clause."""
        clause = self.words[at].clause
        return tuple(word.text for word in self.words[at + 1 :] if word.clause == clause)


def _content(clause: Sequence[str]) -> list[str]:
    skip = {"and", "or", "then", "also", "please", "so", "but", "well", "first", "next", *",;:-*•"}
    return [word for word in clause if word not in skip]


def known_words(page: Page, ledger: Entries) -> frozenset[str]:
    """Words that no list needs to hold: those of the ledger's names and those the user just wrote."""
    return ledger.words | frozenset(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", page.user_msg.lower()))


def refuse_unsupported(span: Span, figures: Sequence[Figure], following: str, known: frozenset[str]) -> None:
    """Every word of a sentence that may not stand where it stands. following: the next sentence, which may answer."""
    opening = re.search(r"[a-z]+", following.lower())
    sentence = _read(span.text, known, opening is not None and opening[0] in ANSWERS)
    if not sentence.words:
        return
    directions = tuple(figure.entry.points for figure in figures)
    for at, word in enumerate(sentence.words):
        if why := _objection(sentence, at, directions):
            span.refuse(word.start, word.end, why)
    for word in _laundered(sentence, span):
        span.refuse(word.start, word.end, "a name that stands for a figure")
    for at, word in enumerate(sentence.words):
        if _tells_how_it_fares(sentence, at) and not sentence.is_general and not _licensed(sentence, at):
            span.refuse(word.start, word.end, "says how a result fares; refer to an entry")
    if why := _as_a_whole(sentence):
        span.refuse(0, len(span.text), why)


def refuse_acrostics(page: Page) -> None:
    """Numbers spelled by the first letters of lines, sentences or words."""
    text = page.masked.lower()
    lines = re.findall(r"^[^\w\n]{0,9}([a-z])", text, re.M)
    sentences = re.findall(r"(?:^|[.!?][ \n])[^\w\n]{0,9}([a-z])", text)
    for letters, shortest in ((lines, 4), (sentences, 4), (re.findall(r"\b[a-z]", text), 5)):
        spelled = "".join(letters)
        if spelled in COUNTS or any(len(found) >= shortest for found in SPELLED.findall(spelled)):
            page.refuse(0, len(page.template), "letters that spell a number")


# reading


def _read(text: str, known: frozenset[str], answered: bool) -> Sentence:
    found: list[Word] = []
    clause = 0
    for match in TOKEN.finditer(text):
        said = match[0].lower().replace("’", "'")
        clause += said in CLAUSE_END
        before = found[-1].text if found else ""
        found.append(Word(match.start(), match.end(), said, _kind(match[0], said, known, before), clause))
    return Sentence(tuple(_with_phrases(found)), answered)


def _kind(token: str, text: str, known: frozenset[str], before: str) -> Kind:
    if token[0] == METRIC:
        return "result"
    if not token[0].isalpha() or token[0] in (REF, QUOTE, NAME):
        return "function"
    if len(token) == 1:
        is_name = token.isupper() and (not before or before in STRUCTURAL | {"and", "or", "to", "/"})
        return "function" if is_name or token in ("I", "a", "k", "n") else "unknown"
    found = kind(token)
    return "plain" if found == "unknown" and text in known else found


PHRASES: dict[str, list[tuple[tuple[str, ...], Kind]]] = {}
for _made, _phrases in (("function", LEXICON["phrase"]), ("hard", LEXICON["banned"])):
    for _phrase in _phrases:
        _made_kind: Kind = "hard" if _made == "hard" else "function"
        PHRASES.setdefault(_phrase.split()[0], []).append((tuple(_phrase.split()), _made_kind))


def _with_phrases(found: list[Word]) -> list[Word]:
    """Words that a fixed phrase makes harmless, or telling; the telling reading holds."""
    texts = tuple(word.text for word in found)
    for at, text in enumerate(texts):
        for phrase, made in PHRASES.get(text, ()):
            if texts[at : at + len(phrase)] == phrase:
                for i in range(at, at + len(phrase)):
                    old = found[i]
                    if made == "hard" or old.kind not in ("result", "topic") or old.text in COUNTS | ORDINALS:
                        found[i] = Word(old.start, old.end, old.text, made, old.clause)
    return found


# judging


def _objection(sentence: Sentence, at: int, directions: Sequence[int]) -> str:
    """Why the word may not stand here; empty when it may."""
    word = sentence.words[at]
    if word.kind in ("function", "result", "topic", "procedure"):
        return ""
    if word.kind == "unknown":
        return "" if _is_addressed(sentence, at) else "not in the vocabulary of commentary; say it plainly"
    if word.kind == "hard":
        return "" if _counts(sentence, at) else "a quantity in words; refer to an entry"
    if _points_so(word.kind, directions) or _licensed(sentence, at):
        return ""
    if word.text in ("up", "down") and _completes_verb(sentence, at):
        return ""
    if word.kind in RESULTS:
        return "" if _attributive(sentence, at) else "a result that no reference supports; refer to an entry or ask"
    return _aside(sentence, at)


def _completes_verb(sentence: Sentence, at: int) -> bool:
    """Mixed up, written down."""
    return at > 0 and sentence.words[at - 1].kind in ("plain", "procedure") and not sentence.names_result


def _points_so(told: Kind, directions: Sequence[int]) -> bool:
    """Whether all figures of the sentence go the way the word says."""
    way = {"up": 1, "down": -1}.get(told)
    return bool(directions) and all(direction == way for direction in directions)


def _aside(sentence: Sentence, at: int) -> str:
    """Why a degree, an ordinary verb, a measure or a plain word may not be said of what it is said of."""
    word = sentence.words[at]
    if word.text in ("above", "below"):
        return "" if _points_at_text(sentence, at) else "a comparison; refer to an entry"
    if word.kind == "degree":
        told = not _attributive(sentence, at) and not sentence.is_general and _said_of_topic(sentence, at)
        return "a degree said of a result; refer to an entry" if told else ""
    if word.kind == "soft":
        return "said of a result; refer to an entry" if _follows_topic(sentence, at) else ""
    if word.kind == "measure":
        return "a measure in a statement; refer to an entry"
    unusual = sentence.names_result and not sentence.is_general
    return "an unusual word in a statement about a result" if unusual else ""


def _is_addressed(sentence: Sentence, at: int) -> bool:
    """A name after a greeting, at the head of a sentence: Thanks, Marguerite."""
    before = {text for text in sentence.texts[:at] if text.isalpha()}
    ends = sentence.after(at) in ("", ",", ".", "!", "?", ":", ";")
    return bool(before) and before <= GREETING and ends and len(sentence.texts[at]) > 1


def _points_at_text(sentence: Sentence, at: int) -> bool:
    """The table below, as listed above: a place on the page. Or a rule: a gap above the threshold."""
    before, after = sentence.before(at), sentence.after(at)
    of_a_kind = INDEFINITE & set(sentence.texts[max(0, at - 2) : at]) and not ASSERTING & set(sentence.texts)
    placed = kind(before) in ("plain", "procedure", "topic") if before else False
    mates = [word for word in sentence.words if word.clause == sentence.words[at].clause]
    if not any(word.kind in ("topic", "result") or word.text in ("it", "they") for word in mates):
        return True
    return _singular(before) in STRUCTURAL or (placed and not after[:1].isalpha()) or bool(of_a_kind)


def _counts(sentence: Sentence, at: int) -> bool:
    """Two questions, the third step: counts of the conversation's own things. Zero where it is supposed."""
    word, after = sentence.texts[at], sentence.after(at)
    if word in COUNTS:
        further = after in ("more", "open", "short", "small", "quick", "other", "kinds", "of")
        return _singular(sentence.after(at + 1) if further else after) in STRUCTURAL
    if word in ORDINALS:
        return _singular(after) in STRUCTURAL and not sentence.names_result
    supposed = {"would", "if", "whether", "should"} & set(sentence.texts)
    return word == "zero" and bool(supposed) and not FACTIVE & set(sentence.texts)


def _singular(word: str) -> str:
    if word in STRUCTURAL:
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else re.sub(r"(?:(?<=[sx])es|s)$", "", word)


def _attributive(sentence: Sentence, at: int) -> bool:
    """A good question, a larger k: the degree belongs to something that is no result."""
    word, after = sentence.words[at], sentence.after(at)
    if word.kind != "degree" and not word.text.endswith(("er", "est", "best", "worst", "less")):
        return False
    if after in PARAMETER or after.removesuffix("s") in PARAMETER:
        return True
    if word.text in MANY:
        return _singular(after) in STRUCTURAL
    if not sentence.is_general and _credits(sentence, at):
        return False
    noun = at + 1 < len(sentence.words) and sentence.words[at + 1].kind in ("plain", "procedure")
    return noun and after[0].isalpha() and after not in HEDGE


def _credits(sentence: Sentence, at: int) -> bool:
    """Whether the noun is credited to a result or a model: SSD is the right choice, it writes better code."""
    clause = sentence.words[at].clause
    for number, word in enumerate(sentence.words[:at]):
        if word.clause == clause and (word.kind == "result" or word.text in ACTOR):
            return True
        if word.clause == clause and word.kind == "topic" and IS & set(sentence.texts[number + 1 : at]):
            return True
        if word.clause == clause and word.text in ("it", "they") and sentence.after(number) not in IS:
            return True
    return False


def _said_of_topic(sentence: Sentence, at: int) -> bool:
    """Whether the clause of a degree has something that results are said of; a fragment is said of what came before."""
    if len(sentence.said) <= 4:
        return not {"thank", "thanks", "please", "you", "your", "me", "i", "we", "let"} & set(sentence.said)
    clause = sentence.words[at].clause
    for number, word in enumerate(sentence.words):
        joins = word.text == "that" and sentence.after(number) in DEFINITE | INDEFINITE | PRONOUN
        told = word.kind in ("topic", "result") or word.text in PRONOUN or word.text[0] == REF
        if word.clause == clause and told and not joins:
            return True
    return False


def _follows_topic(sentence: Sentence, at: int) -> bool:
    """Whether an ordinary verb is what a result or a model does: the score stands, it came back."""
    before = at - 1
    while before >= 0 and (sentence.texts[before] in COPULA | AUXILIARY or sentence.texts[before].endswith("ly")):
        before -= 1
    if before < 0:
        return len(sentence.said) <= 3 and "it" not in sentence.said
    if sentence.after(at) in EXEMPT:
        return False
    subject, verb = sentence.words[before], sentence.texts[at]
    if verb in DEED:
        return subject.kind in ("result", "topic")
    told = subject.kind == "result" or subject.text in ACTOR | CONDITIONAL | {"it", "they", "them", "everything", "all"}
    past = verb.endswith("ed") or verb in PAST or AUXILIARY & set(sentence.texts[before + 1 : at])
    return told or bool(subject.kind == "topic" and past)


def _as_a_whole(sentence: Sentence) -> str:
    """What is wrong with a sentence as a whole: an answer of one word, a count by repetition, a riddle."""
    said = set(sentence.said)
    if 0 < len(sentence.said) <= 3 and AMOUNTS & said and said <= AMOUNTS | {"of", "them", "it", "not", "one", "every"}:
        return "an answer that states a result; refer to an entry"
    if sentence.said[:1] == ("no",) and 1 < len(sentence.said) <= 4 and sentence.said[1] not in POLITE:
        return "an absence that no reference supports"
    for first, second, third in zip(sentence.texts, sentence.texts[1:], sentence.texts[2:], strict=False):
        if first == second == third and first not in "….":
            return "repeated words or marks count"
        if (
            first == "there"
            and second in IS
            and kind(third) == "result"
            and not sentence.asks
            and not sentence.is_general
        ):
            return "a finding that no reference supports"
        exists = first in ("no", "a", "an", "some", "little") and not sentence.asks and "there" in said
        if exists and (kind(second) == "result" or second in HARM) and not third[0].isalpha():
            return "a finding that no reference supports"
        if (first, second) == ("number", "of") and kind(third) in ("plain", "measure", "soft") and not sentence.asks:
            return "a riddle about a number"
    return ""


def _tells_how_it_fares(sentence: Sentence, at: int) -> bool:
    """The gate is open, the model has no effect, the numbers favour it: a predicate that is none of procedure."""
    text, subject = sentence.texts[at], sentence.words[at - 1] if at else None
    if subject is None or subject.clause != sentence.words[at].clause:
        return False
    if text in TELLING and subject.kind in ("result", "topic"):
        return sentence.after(at) not in (ASKING - IS) | {"nothing", "more"}
    if subject.text not in BEARER or text not in IS | {"has", "have", "had"}:
        return False
    head = at + 1
    while head < len(sentence.words) and (sentence.texts[head] in SKIPPED or sentence.texts[head].endswith("ly")):
        head += 1
    if head == len(sentence.words):
        return False
    told, fared = sentence.words[head], sentence.texts[head]
    if text in IS or fared == "been":
        return told.kind in ("procedure", "plain", "soft") and not _is_procedural(fared)
    return told.kind in ("result", *RESULTS)


def _is_procedural(word: str) -> bool:
    return word in PREDICATE or (word.endswith(("ed", "ing")) and word not in FARED)


def _laundered(sentence: Sentence, span: Span) -> Iterator[Word]:
    """Names with digits where a figure would stand: the rate is section 6, in percent round 2."""
    in_percent = {"percent", "percentage", "pp"} & set(sentence.texts)
    for at, word in enumerate(sentence.words):
        name = span.page.template[span.start + word.start : span.start + word.end]
        is_name = word.text[0] == NAME or (word.text[0] == METRIC and name.startswith("k"))
        if not is_name or not re.search(r"\d(?!%)", name):
            continue
        before = at - 1
        while before >= 0 and sentence.texts[before] in IS | LINKING:
            before -= 1
        linked = before < at - 1 and before >= 0 and sentence.words[before].kind == "result"
        if linked or (in_percent and sentence.after(at) not in ("ci", "cis", "confidence", "intervals", "interval")):
            yield word


# clauses that assert nothing


def _licensed(sentence: Sentence, at: int) -> bool:
    """Whether the word stands in a clause that asks, supposes, aims or denies instead of stating."""
    left, word = sentence.left(at), sentence.texts[at]
    past = word.endswith("ed") or word in PAST or sentence.words[at].kind == "measure"
    if sentence.texts[-1] == "?" and not sentence.asks:
        return bool(CONDITION & set(left))  # a question that tells
    return (
        sentence.asks
        or _supposed(left, past)
        or (not past and _follows_condition(sentence, at))
        or _aimed_at(left)
        or _denied(left)
        or _sought(left)
        or _a_notion(sentence, at)
        or _hypothetical(sentence, at)
        or (bool(set(_infinitives(left)) & REPORTING) and "that" not in left)
    )


def _supposed(left: Sequence[str], past: bool) -> bool:
    """After a modal or a condition, unless a verb of telling turned it into a statement."""
    supposed = False
    for number, text in enumerate(left):
        if text in CONDITION | MODAL or (text in WHEN and not past and not COPULA & set(left[number - 1 : number])):
            supposed = True
        elif text == "should":
            supposed = supposed or left[number + 1 : number + 2] == ("not",) or number == 0
        elif text in ("can", "cannot", "would"):
            supposed = supposed or not (DEFINITE | {"it", "they"}) & set(left[:number])
        elif text in FACTIVE and not set(left[number + 1 : number + 3]) & (CONDITION | (ASKING - COPULA)):
            supposed = False
    return supposed


def _follows_condition(sentence: Sentence, at: int) -> bool:
    """The main clause of a condition that is about a topic, not about the reader."""
    first = [word for word in sentence.words if word.clause == sentence.words[0].clause]
    opens = first[0].text in CONDITION or (first[0].text in ("when", "where", "without") and len(first) > 2)
    if not opens or sentence.words[at].clause == first[0].clause or len(first) < 2:
        return False
    about = any(word.kind in ("topic", "result", *RESULTS) for word in first)
    return about and first[1].text not in ("you", "i", "we", "one")


def _aimed_at(left: Sequence[str]) -> bool:
    """To improve, where somebody wants to."""
    if "to" not in left[-2:]:
        return False
    before = left[: len(left) - 1 - left[::-1].index("to")]
    return bool(set(before[-3:]) & WANT) or not before


def _denied(left: Sequence[str]) -> bool:
    """Does not show that ...; with one negation only."""
    negated = [i for i, word in enumerate(left) if word in NEGATION or word.endswith("n't")]
    return len(negated) == 1 and any(word in SHOWING for word in left[negated[0] :])


def _sought(left: Sequence[str]) -> bool:
    """What is looked for or guarded against is not thereby found."""
    return bool(AGAINST & set(left[-3:])) or ("for" in left[-6:] and bool(SEARCHING & set(left)))


def _a_notion(sentence: Sentence, at: int) -> bool:
    """Any gain, a gain without its interval, a gain that a rule speaks of, the samples that passed."""
    left, right, word = sentence.left(at), sentence.right(at), sentence.texts[at]
    if left[-2:] == ("how", "many") or {"any", "without"} & set(left[-2:]) or right[:1] == ("without",):
        return True
    if set(left[-2:]) & INDEFINITE and MODAL & set(right[:4]):
        return True
    subject = left[:1] and left[0] in INDEFINITE and len(left) <= 3 and right[:1] and right[0] not in PLACING
    if sentence.is_general and word in NOTIONS and subject:
        return True
    if left[-1:] and left[-1] in ("that", "which", "who"):
        defined = word in PASSING and left[-2:-1] and left[-2] in COUNTED
        return bool(defined) or FILTERS.search(" ".join(left)) is not None
    return False


def _hypothetical(sentence: Sentence, at: int) -> bool:
    """The hypothesis that ..., the risk of ..."""
    left = sentence.left(at)
    left = sentence.texts[:at] if left[:2] == (",", "and") else left
    if not HEDGE & set(left) or not {"that", "of", "how"} & set(left) or STRONG & set(left):
        return False
    return not {"prove", "proves", "confirmed", "true", "holds"} & set(sentence.right(at))


def _infinitives(left: Sequence[str]) -> Iterator[str]:
    """Verbs that order or intend, rather than tell what was done: at the head of a clause or after to."""
    if head := _content(left):
        yield head[0].removesuffix("ing")
        yield re.sub("ing$", "e", head[0])
    for before, word in pairwise(left):
        if before in ("to", "will", "must", "and", "should", "not", "cannot", "can"):
            yield word
