"""Numbers as engineers type and dictate them, with the span of every one.

Holds `normalise` (other digits, full-width forms, odd spaces and dashes become ASCII, capitals small, one character for
one, so that spans stay true) and `find`, a small grammar: digits with separators of either continent, number words,
scale suffixes, percent and point signs, ranges. A number only says what is written; what it means (a rate, a count,
tokens) is decided by the readers `rate`, `count` and `tokens`, which answer None where the writing does not carry that
meaning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Form = Literal["plain", "percent", "points", "ratio"]

SPACES = "\u00a0\u2007\u2009\u200a\u202f\u205f\u3000"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
SINGLE_QUOTES, DOUBLE_QUOTES = "\u2018\u2019\u201a\u02bc\u00b4", "\u201c\u201d\u201e\u00ab\u00bb"
PLAIN = (
    dict.fromkeys(SPACES, " ")
    | dict.fromkeys(DASHES, "-")
    | dict.fromkeys(SINGLE_QUOTES, "'")
    | dict.fromkeys(DOUBLE_QUOTES, '"')
    | {
        "\u066b": ".",
        "\u066c": ",",
        "\u066a": "%",
        "\u3001": ",",
        "\u3002": ".",
        "\u00d7": "x",
        "\u2192": "=",
        "\u200b": " ",
    }
)
GROUPED = re.compile(rf"(?<=\d)[{SPACES}](?=\d{{3}}(?!\d))")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")

UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
) | {"fourty": 40}
SCALES = {
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "millions": 1e6,
    "billions": 1e9,
    "k": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "mio": 1e6,
}

_UNIT, _TEN = "|".join(sorted(UNITS, key=len, reverse=True)), "|".join(TENS)
_SMALL = rf"(?:(?:{_TEN})(?:[ -](?:{_UNIT}))?|{_UNIT})"
_LARGE = rf"(?:(?:a |{_SMALL}[ -])?hundred(?:[ -](?:and )?{_SMALL})?|{_SMALL})"
_DECIMALS = rf"point(?:[ -](?:{_UNIT}|oh)\b)+"
_HUNDREDS = (
    rf"(?<!\bat )(?<!\band )(?:{'|'.join(list(UNITS)[1:10])}) (?:{_TEN})(?:[ -](?:{_UNIT})\b)?(?! ?(?:%|per|point))"
)
_EXACT = "".join(f"(?<!{word} )" for word in ("few", "several", "couple", "couple of", "some", "many"))
SPOKEN = (
    rf"{_HUNDREDS}|"
    rf"(?:half a|a quarter) (?:million|billion|thousand)"
    rf"|(?:{_LARGE}|an?) (?:thousand)(?: (?:and )?{_LARGE})?"
    rf"|(?:(?:{_LARGE}|oh) )?{_DECIMALS}(?: (?:million|billion|thousand))?"
    rf"|(?:{_LARGE}|an?) (?:million|billion)"
    rf"|(?:an?|{_SMALL}) dozen|{_SMALL} and a half|{_LARGE}"
)
DIGITS = (
    r"\d{1,3}(?:[,_']\d{3})+(?:\.\d+)?(?![\d])|\d{1,3}(?:\.\d{3}){2,}(?![\d])|\d{1,3}(?: \d{3})+(?= (?:tok"
    r"|prob|task|gpu|ctx))"
    r"|\d+(?:\.\d+)?e[+-]?\d{1,2}(?!\w)|0,\d+(?!,?\d)|(?<!\d,)\d+,\d{1,2}(?![,\d])|\d+\.\d+|\d+|\.\d+"
)
SIGN = (
    r"(?P<points> ?(?:percentage[ -]points?|%[ -]?points?|pp\b|ppt\b|pts\b|points?\b))"
    r"|(?P<percent> ?(?:%|percents?\b|per[ -]cent\b|pct\b|prozent\b))"
)
NUMBER = re.compile(
    rf"(?:(?<![\w@.])|(?<=\dx))(?<![a-z]-)(?<!\d[.:])(?:(?P<digits>(?:{DIGITS}))(?!(?:st|nd|rd|th)\b)(?!\.\d)"
    rf"(?P<scale> ?(?:thousand|millions?|billions?|mn|bn|mio)\b|[kmb](?![a-z0-9]))?"
    rf"|\b{_EXACT}(?P<spoken>{SPOKEN})\b(?![ -](?:third|quarter|half|halve|fifth|tenth)s?\b)(?P<spoken_scale> [kb]\b)?)"
    rf"(?:{SIGN})?",
)
OUT_OF = re.compile(r"/|(?:out )?of(?: (?:the|our|all|those))?")
ONE_IN = re.compile(r"in(?: every)?")
NOT_PARTS = re.compile(
    r"\s*-?(?:hours?|h\b|days?|weeks?|months?|minutes?|years?|languages?|tries|attempts|rounds?|gpus?)"
)
BETWEEN = re.compile(r"\s?(?:-|--|to|\.\.+|till|until|and|or)\s?")


@dataclass(frozen=True, slots=True)
class Number:
    """One number: its span (signs and scale included), its value as written, and how it was written."""

    start: int
    end: int
    value: float
    form: Form
    written: str
    scale: str = ""
    ranged: bool = False


def normalise(text: str) -> str:
    """The text in plain lower-case characters, of the same length, so that spans carry over."""
    text = GROUPED.sub("_", text)
    return (text if text.isascii() else NOT_ASCII.sub(lambda match: _plain(match[0]), text)).lower()


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    if char in PLAIN:
        return PLAIN[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 and folded.isascii() else char if len(char.lower()) == 1 else "i"


def find(text: str) -> list[Number]:
    """Every number of a normalised text, in order; those that form a range say so."""
    return _mark_ranges(text, list(_each(text)))


def _each(text: str) -> Iterator[Number]:
    for match in NUMBER.finditer(text):
        scale = (match["scale"] or match["spoken_scale"] or "").strip().lower()
        form: Form = "points" if match["points"] else "percent" if match["percent"] else "plain"
        written = match["digits"] or match["spoken"]
        value = (digits(match["digits"]) if match["digits"] else spoken(written.lower())) * SCALES.get(scale, 1)
        if value < 1e15:  # beyond that it is no figure but an id or noise
            yield Number(match.start(), match.end(), float(f"{value:.12g}"), form, written, scale)


def digits(written: str) -> float:
    """A figure in digits. A comma is a decimal comma unless it groups three digits; `0,435` is a decimal."""
    if re.fullmatch(r"\d{1,3}(?:[,_' ]\d{3})+(?:\.\d+)?", written) and not written.startswith("0"):
        return float(re.sub(r"[,_' ]", "", written))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", written):
        return float(written.replace(".", ""))
    return float(written.replace(",", ".").replace("_", ""))


def spoken(words: str) -> float:
    """A figure in words: `forty-three point five`, `one hundred and twenty`, `half a million`."""
    if words.endswith(" and a half"):
        return spoken(words.removesuffix(" and a half")) + 0.5
    whole, _, decimals = words.replace("-", " ").partition("point")
    scale = next((SCALES[w] for w in decimals.split() if w in SCALES), 1)
    if decimals:
        tail = "".join("0" if w == "oh" else str(UNITS[w]) for w in decimals.split() if w not in SCALES)
        return (_whole(whole.split()) + float(f"0.{tail}")) * scale
    return _whole(whole.split())


def _whole(words: list[str]) -> float:
    total = part = 0.0
    for word in words:
        if word in ("a", "an"):
            part = part or 1
        elif word in ("half", "quarter"):
            part = 0.5 if word == "half" else 0.25
        elif word in ("hundred", "dozen"):
            part = (part or 1) * (100 if word == "hundred" else 12)
        elif word in TENS and 0 < part < 10:
            part = part * 100 + TENS[word]  # `two fifty`, as people say 250
        elif word in SCALES:
            total, part = total + (part or 1) * SCALES[word], 0
        else:
            part += UNITS.get(word, TENS.get(word, 0))
    return total + part


def _mark_ranges(text: str, numbers: list[Number]) -> list[Number]:
    for i in range(len(numbers) - 1):
        left, right = numbers[i], numbers[i + 1]
        if right.start - left.end <= 8 and _is_range(text, left, right):
            form = right.form if left.form == "plain" else left.form
            numbers[i] = replace(left, ranged=True, form=form, scale=left.scale or right.scale)
            numbers[i + 1] = replace(right, ranged=True, form=form)
    return numbers


def _is_range(text: str, left: Number, right: Number) -> bool:
    link = text[left.end : right.start].strip()
    if not BETWEEN.fullmatch(text[left.end : right.start]) or right.value <= left.value:
        return False
    if link == "and":
        return bool(re.search(r"\bbetween\s+\W*$", text[max(0, left.start - 12) : left.start]))
    if link == "to":
        return not re.search(r"\b(?:from|went|rose|moved)\s+\W*$", text[max(0, left.start - 12) : left.start])
    return True


def ratio(text: str, solved: Number, total: Number) -> Number | None:
    """`96 out of 240` or `3 in 8` as one number, or None.

    `81/93` may be two rates, so a slash needs a total above 100; `in` joins small numbers only, and no spans of time.
    """
    link = text[solved.end : total.start].strip()
    whole = solved.form == total.form == "plain" and count(solved) is not None and count(total) is not None
    one_in = ONE_IN.fullmatch(link) and 1 < total.value <= 20 and not NOT_PARTS.match(text, total.end)
    if (
        not whole
        or not (OUT_OF.fullmatch(link) or one_in)
        or solved.value > total.value
        or (link == "/" and total.value <= 100)
    ):
        return None
    written = text[solved.start : total.end]
    return replace(solved, end=total.end, value=solved.value / total.value, form="ratio", written=written)


def rate(number: Number, *, percent: bool = False) -> float | None:
    """A fraction in 0..1, or None. A bare figure above one is a percentage; a bare whole 0 or 1 could be either."""
    if number.scale or number.form == "points" or number.ranged:
        return None
    if number.form == "ratio":
        return round(number.value, 10)
    if number.form == "percent" or percent or number.value > 1:
        value = number.value / 100
    elif "." in number.written or "," in number.written or "point" in number.written or number.value == 0:
        value = number.value
    else:
        return None
    return round(value, 10) if 0 <= value <= 1 else None


def count(number: Number) -> int | None:
    """A whole number, or None. `1.500` counts fifteen hundred: nothing that is counted has thousandths."""
    if number.form != "plain" or number.ranged:
        return None
    value = number.value
    if re.fullmatch(r"\d+\.\d{1,2}", number.written) and not number.scale:
        return None
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", number.written) and not number.scale:
        value = float(number.written.replace(".", ""))
    return int(value) if value == int(value) else None


def tokens(number: Number) -> int | None:
    """Tokens. `32k` is 32,768, as context windows are built; `100k`, which is no power of two, is 100,000."""
    value = count(number)
    if value is None or number.scale not in ("k", "thousand"):
        return value
    thousands = value // 1000
    binary = thousands * 1000 == value and thousands & (thousands - 1) == 0
    return thousands * 1024 if binary and number.scale == "k" else value
