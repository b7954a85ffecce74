"""Words of tasks: what a text says once case, punctuation, markup, names and phrasing are taken off.

`words` is the normal form in which two texts are equal; `telling` keeps of a word what it says about the task. The word
lists are ours, written for coding tasks in English; texts in other languages are compared by their plain words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# function words and the phrasing of coding tasks: they say that something is asked, not what
COMMON = """a about according again all also am an and any approach are as assert assume at be because been being
both but by can case cases code coding come complete comply consider constraint could def describe described
description do doc does doctest done e each either else etc ever every example examples exercise explain explanation
false few fill following follow for format found from function g given gives giving had has have having he hello
help helper here hi how i if implement implementation import in input inputs instead into is it its itself just
kindly know language len let like line lines made main make makes many may me method might module modulo more most
must my name named need no none note now of off on once one only or other our output outputs pass per please
possible print printed prints problem program provide python question range read reads reply require required
respond response result return returned returning returns said satisfy say see self should show simple single
snippet so solution solve solved some standard statement stdin stdout still such take takes task test tests than
that the their them then there these they this those through to true typing up use used user using variable very
want was way we well were what when where whether which while who will with within would write wrote yet you your
answer body called calculate check compute create define denote desired determine evaluate find get give guaranteed
identify ignore obtain perform otherwise produce raise tell valid verify work yield space separated"""

# of those, the ones that still say a little: two short prompts that differ in them may be two tasks
LITTLE = """all any both but each either every few how many more most no none not off once only other out per some such
than up when where"""

# calls of these say what happens; any other called name is a name
BUILTINS = "len range sum max min sorted reversed abs int str float list dict set tuple print map"

# words that mean the same in a coding task, the first stands for all
SAME = """all each every|sum total add addition summation summing|product multiply multiplication|average mean
difference subtract|maximum max largest biggest greatest highest|minimum min smallest least lowest|longest
shortest|count tally occurrence|list array sequence vector series|number integer int value|string str text
character char letter|dictionary dict hashmap mapping map|element item entry member|index position location
length size|remove delete drop eliminate discard strip erase|duplicate repeated repeat
distinct unique different|reverse invert reversed backward|contain include hold|pair couple
sort order arrange|ascending increasing|descending decreasing|first initial leading|last final trailing
start begin beginning front|end ending finish|greater larger bigger exceed exceeding above over
less smaller fewer below under|equal same identical|matrix grid|node vertex
consecutive contiguous adjacent neighbouring neighboring successive|empty blank|swap exchange
combine merge join concatenate|split partition|upper uppercase capital|lower lowercase
convert transform turn change|replace substitute|keep retain preserve|word token|divisor factor
multiple divisible|even|odd|consist comprise|choose select pick|whole entire|appear occur|precisely exactly"""

# words that tell apart two tasks of one template, by the names above
OPPOSED = """sum product average median mode difference maximum minimum count|even odd prime|pair triple
two three four five|ascending descending|first last|greater less|longest shortest|upper lower
vowel consonant|prefix suffix|row column diagonal|left right|positive negative|square cube
union intersection|area perimeter volume circumference|circle rectangle triangle|sphere cylinder cone
encode decode|encrypt decrypt|binary decimal hexadecimal octal|inorder preorder postorder|insert remove
push pop|celsius fahrenheit kelvin|palindrome anagram|distinct duplicate|< >|<= >=|+ * %|before after"""


_MARKUP = re.compile(
    r"(?m)^[ \t]*(?:[-*+>#]+[ \t]+)+"  # bullets, quotes, headings, doctest prompts
    r"|`{3,}\w*"  # fences with their language
    r"|</?(?:p|b|i|em|strong|code|pre|sub|sup|br|ul|ol|li|div|span|tt)(?:\s+[a-z-]+=\"[^\"]*\")*\s*/?>"
    r"|(?<=\S)[ \t]+#[ \t][^\n]*"  # a comment behind code
    r"|[-=]>"  # arrows of annotations
)
_OPERATOR = r"<=|>=|!=|[+*%<>]"
_TOKEN = re.compile(
    rf"[^\W_](?:\w*[^\W_])?|(?<=[^\W_])(?:{_OPERATOR})(?=[^\W_])|(?<=[^\W_)\]] )(?:{_OPERATOR})(?= [^\W_(\[])"
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")
_COMPARISONS = str.maketrans({"≤": "<=", "≥": ">=", "≠": "!="})


def words(text: str) -> list[str]:
    """The words and operators of a text, without case, punctuation, markdown and comment marks; identifiers stay.

    Scripts without spaces come as overlapping pairs of characters.
    """
    if not text.isascii():
        text = _folded(text)
    found = _TOKEN.findall(" ".join(_MARKUP.sub(" ", text.casefold()).split()))
    return found if text.isascii() else [piece for word in found for piece in _spaced(word)]


def normalise(text: str) -> str:
    """A text as `exact` compares it: its words, one space between. Doing it twice changes nothing."""
    return " ".join(words(text))


def _folded(text: str) -> str:
    """NFKC and case folded until neither changes anything: each can undo the other."""
    text = text.translate(_COMPARISONS)
    while (again := unicodedata.normalize("NFKC", text.casefold())) != text:
        text = again
    return text


def _spaced(word: str) -> Iterator[str]:
    """A word; a run of characters that are written without spaces as its overlapping pairs."""
    end = 0
    for run in _UNSPACED.finditer(word):
        yield from _bared(word[end : run.start()])
        yield from (run[0][i : i + 2] for i in range(max(1, len(run[0]) - 1)))
        end = run.end()
    yield from _bared(word[end:])


def _bared(piece: str) -> Iterator[str]:
    """What is left of a word between two runs, if anything: no word begins or ends with an underscore."""
    if bare := piece.strip("_"):
        yield bare


_BOUND = re.compile(
    r"\b(?:def|lambda)[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)"  # names that code introduces
    r"|^[ \t]*(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]*(?:=(?!=)|:[ \t]*\w+[ \t]*=)"
    r"|\bfor[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]+in\b[^\n]*[:\]]"
    r"|(?<![\w.])([a-z]\w*)\((?!e?s\))"  # a function named by its call, unless a plural(s)
    r"|(?<!`)`(\w+)`(?!`)",  # and what prose puts in code marks
    re.MULTILINE,
)
_PARAMETERS = re.compile(r"\bdef[ \t]+\w+[ \t]*\(([^)]*)\)")
SIGNATURE = re.compile(r"\bdef\b[^\n]*")
_BUILTINS = frozenset(BUILTINS.split())


def bound_names(text: str) -> set[str]:
    """Names that the text itself introduces (functions, parameters, variables): another name would be the same task."""
    if not any(mark in text for mark in "(=`"):
        return set()
    lowered = text.casefold()
    names = {name.strip() for groups in _BOUND.findall(lowered) for group in groups for name in group.split(",")}
    for listed in _PARAMETERS.findall(lowered):
        names.update(re.split(r"[:=]", name)[0].strip(" *\n\t") for name in listed.split(","))
    return {name.strip("_") for name in names} - _BUILTINS - {""}


def stem(word: str) -> str:
    """A word without its ending, crudely: removes, removed, removing and remove become remov."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            return word[:-1] if ending in ("ing", "ed") and word[-1] == word[-2] and word[-1] not in "ls" else word
    return word


_CLASSES = [line.split() for line in SAME.replace("\n", "|").split("|")]
_NAMED = {stem(word): stem(names[0]) for names in _CLASSES for word in names}
GROUPS = [frozenset(_NAMED.get(stem(w), stem(w)) for w in g.split()) for g in OPPOSED.replace("\n", "|").split("|")]
_DECISIVE = frozenset().union(*GROUPS)
_COMMON = frozenset(map(stem, f"{COMMON} {LITTLE}".split()))
_LITTLE = frozenset(map(stem, LITTLE.split()))


def telling(word: str) -> tuple[str, ...]:
    """What a word says of the task: stems of its parts, synonyms as one; common words, letters, numbers say nothing."""
    parts = word.split("_") if "_" in word else (word,)
    roots = (_NAMED.get(stem(part), stem(part)) for part in parts if stem(part) not in _COMMON)
    return tuple(
        root for root in roots if root in _DECISIVE or not (root.isdigit() or (root.isascii() and len(root) < 2))
    )


def saying(word: str) -> tuple[str, ...]:
    """What a word tells, or the little that some common words say."""
    root = stem(word)
    return telling(word) or ((_NAMED.get(root, root),) if root in _LITTLE else ())
