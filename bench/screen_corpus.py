"""The screen corpus on disk, and how it is split: by voice, so that no writer is on both sides.

One voice is one file of bench/corpus/screen. Test voices were never read while the recogniser was designed; dev voices
chose its settings; `extra_*` voices were written against its mistakes on the train voices and only ever train, and so
do the plain sentences that `framed` puts together from frames.json (the same act proposed, refused, asked, reported).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).with_name("corpus") / "screen"

TEST = frozenset(
    {"british_understatement", "cli_paster", "polite_japanese", "config_reviewer", "voice_dictation", "german_phd"}
)
DEV = frozenset({"slack_scroller", "manager_mail", "genz_hacker", "academic_reviewer"})
AUTHORS: dict[int, tuple[str, ...]] = {
    1: (
        "terse_lead",
        "ironic_staff",
        "german_phd",
        "yaml_paster",
        "polite_japanese",
        "startup_founder",
        "academic_reviewer",
        "slack_scroller",
    ),
    2: (
        "grumpy_infra",
        "indian_english_ml",
        "brazilian_dev",
        "manager_mail",
        "cli_paster",
        "junior_eager",
        "skeptical_scientist",
        "voice_dictation",
    ),
    3: (
        "french_engineer",
        "chinese_researcher",
        "russian_kaggler",
        "british_understatement",
        "genz_hacker",
        "config_reviewer",
        "incident_writer",
        "consultant",
    ),
    4: ("extra_plain_words", "extra_plain_mail", "extra_plain_check"),
}


@dataclass(frozen=True)
class Message:
    """One labelled message."""

    id: str
    voice: str
    text: str
    flags: frozenset[str]


def messages() -> list[Message]:
    """Every message of the corpus, in the order of file name and line."""
    return [
        _message(line)
        for path in sorted(CORPUS.glob("*.jsonl"))
        for line in path.open(encoding="utf-8")
        if line.strip()
    ]


def _message(line: str) -> Message:
    row = json.loads(line)
    return Message(row["id"], row["voice"], row["text"], frozenset(row["flags"]))


def in_voices(rows: list[Message], voices: Collection[str]) -> list[Message]:
    """The messages of these voices."""
    return [row for row in rows if row.voice in voices]


def held_out_split(rows: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    """(train, dev, test) by voice; a voice in neither list trains."""
    train = [row for row in rows if row.voice not in TEST | DEV]
    return train, in_voices(rows, DEV), in_voices(rows, TEST)


def author_split(rows: list[Message], authors: Collection[int]) -> tuple[list[Message], list[Message]]:
    """(the other authors' messages, those of these authors). The other extra voices are by a fifth hand and train."""
    own = frozenset(voice for author in authors for voice in AUTHORS[author])
    return [row for row in rows if row.voice not in own], in_voices(rows, own)


def framed(rng: random.Random, count: int) -> Iterator[Message]:
    """Plain sentences from frames.json: each act in a frame that makes it the flag or in one that does not."""
    for i in range(count):
        parts = [_sentence(rng) for _ in range(1 + (rng.random() < 0.2))]
        parts += [(rng.choice(_frames()["neutral"]), frozenset()) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        rng.shuffle(parts)
        text = _worn(_joined([said for said, _ in parts], rng), rng)
        yield Message(f"framed-{i}", "framed", text, frozenset().union(*(flags for _, flags in parts)))


@cache
def _frames() -> Any:
    return json.loads((CORPUS / "frames.json").read_text(encoding="utf-8"))


def _sentence(rng: random.Random) -> tuple[str, frozenset[str]]:
    if rng.random() < 0.1:
        return rng.choice(_frames()["neutral"]), frozenset()
    flag = rng.choice(sorted(_frames()["flags"]))
    acts = _frames()["flags"][flag]
    kinds = [*acts, *(["pair"] if {"wrong", "needed"} <= acts.keys() else [])]
    kind = rng.choice(kinds)
    meant = kind != "sound" and rng.random() < 0.45
    frame = rng.choice(_frames()["flagged" if meant else "clean"][kind])
    act = rng.choice(acts["wrong" if kind == "pair" else kind])
    right = rng.choice(acts.get("needed", [""]))
    return _filled(frame, act, right, rng), frozenset([flag]) if meant else frozenset()


def _filled(frame: str, act: str, right: str, rng: random.Random) -> str:
    (do, doing, did), (mend, mending, _) = _forms(act), _forms(right)
    named = {"do": do, "doing": doing, "did": did, "claim": act, "right": mend, "righting": mending}
    words = {name: rng.choice(many) for name, many in _frames()["words"].items()}
    said = frame.format(**named).format(**words)
    return said[:1].upper() + said[1:] + ("" if said[-1] in ".?!" else rng.choice((".", ".", "", "!")))


def _forms(act: str) -> tuple[str, str, str]:
    """The act in base form, as a gerund and in the past; its verb is its first word."""
    verb, _, rest = act.partition(" ")
    stem = verb[:-1] if verb.endswith("e") else verb
    doing, did = _frames()["verbs"].get(verb, f"{stem}ing {stem}ed").split()
    return act, f"{doing} {rest}", f"{did} {rest}"


def _joined(parts: list[str], rng: random.Random) -> str:
    text = rng.choice((" ", " ", "\n")).join(parts)
    if rng.random() < 0.2:
        text = f"{rng.choice(_frames()['openers'])} {text}"
    return f"{text.rstrip('.')}, {rng.choice(_frames()['closers'])}" if rng.random() < 0.1 else text


def _worn(text: str, rng: random.Random) -> str:
    """The text as people type it: now and then without capitals, articles or a full stop."""
    if rng.random() < 0.4:
        text = text.lower()
    if rng.random() < 0.1:
        text = re.sub(r"\b(?:[Tt]he|[Aa]n?) ", "", text)
    return text.rstrip(".") if rng.random() < 0.3 else text
