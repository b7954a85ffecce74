"""Yes-or-no facts: rollback, checkpoint discipline, held-out blocker, disjointness, same decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from agent.reading.facts import Found
from agent.reading.moods import Reason
from agent.reading.scan import Scan

NO_BEFORE = re.compile(
    r"(?:\b(?:no|not|without|never|lacks?|lacking|missing|cannot|can ?not|nobody|none|neither|nor|zero|absent"
    r"|skip(?:ped)?|forgot|forget|yet to|dropped|don't|doesn't|isn't|aren't|haven't|hasn't|didn't|won't|wasn't"
    r"|can't|couldn't|nothing)|n't)\b[^,.;:\n]{0,40}$",
)
NO_AFTER = re.compile(
    r"[\"'`*]*\s*(?:(?:plan|path|procedure|story|mechanism|option|check\w*|discipline|blocker|is|was|has|been"
    r"|are|have|:|=|\||-|>|done|status|state|currently|still|yet|at all|possible)\s*)*[\"'`*]*(?:no\b|none"
    r"|not\b|false|nope|missing|n/?a\b|pending|todo|to do|outstanding|unknown|never|isn't|wasn't|hasn't|aren't"
    r"|doesn't|don't|in progress|absent|impossible|open\b|0\b|unchecked|nonexist\w*|non-exist\w*|skipped"
    r"|x\b(?! \w)|❌)",
)
FLAGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "has_rollback",
        re.compile(
            r"\b(?:has_)?roll(?:ing|ed)?[- ]?backs?\b|\brevert(?:ed|ing|s)?\b(?! commit)|\bflip(?:ping|ped"
            r"|s)? (?:it )?back\b|\bswitch(?:ing|ed)? back\b|\bback ?out plan\b"
            r"|\bgo(?:ing)? back to the (?:old|previous|last) (?:model|checkpoint|weights|version)\b|\b(?:way"
            r"|path) back\b|\bundo\b(?= (?:a |the )?(?:deploy|release|rollout))",
        ),
    ),
    (
        "has_checkpoint_discipline",
        re.compile(
            r"\b(?:checkpoints?|ckpts?)(?:, we (?:keep|save|store|version|archive)| (?:are )?(?:all )?in (?:s3"
            r"|gcs|the registry|git|dvc))\b|\b(?:has_)?checkpoint(?:s"
            r"|ing)?[ _-]?(?:discipline|retention|versioning|hygiene|archiv\w+)\b|\b(?:keep|kept|save[ds]?|saving|store[ds]?"
            r"|archiv\w+|version(?:ed|ing)?|retain\w*|preserv\w+|track\w*|tag(?:ged|ging)?|snapshot\w*|backup|goes (?:in)?to|go (?:in)?to|pushed to|uploaded to"
            r"|back up)\b[^.;,\n]{0,40}\b(?:checkpoints?|ckpts?|weights)\b|\b(?:checkpoints?|ckpts?"
            r"|weights)\b[^.;,\n]{0,30}\b(?:goes (?:in)?to|go (?:in)?to|(?:pushed|uploaded|copied|synced) to|kept|saved|stored|archived|versioned|retained|tagged|immutable"
            r"|tracked|hashed|never deleted|backed up|under version|registry)\b|\b(?:overwrit\w+|delet\w+"
            r"|throw\w* away|discard\w*)\b[^.;,\n]{0,30}\b(?:checkpoints?|ckpts?|weights)\b|\b(?:checkpoints?"
            r"|ckpts?|weights)\b[^.;,\n]{0,45}\b(?:overwritten|deleted|thrown away|discarded|lost"
            r"|get overwritten)\b|\b(?:ckpts?|checkpoint(?:s|ing)?)(?=[\"'`]?\s*(?::|=)\s*(?:yes|yeah|yep|nope|nah|no|true|false|every|all"
            r"|none|ok|daily|versioned|kept))",
        ),
    ),
    (
        "has_heldout_blocker",
        re.compile(
            r"\bheld[- _]?out[ _-](?:blocker|gate)\b|\bhas_heldout_blocker\b|\b(?:release|deploy\w*|merge"
            r"|promotion|ship\w*|ci)[ -](?:blocker|gate)\b|\bheld[- _]?out\b[^.;\n]{0,40}\bblocks?\b"
            r"|\bblocks? (?:the |a |any |every |bad )?(?:bad )?(?:release|deploy\w*|rollout|merge"
            r"|promotion)s?\b",
        ),
    ),
    (
        "heldout_disjoint_from_pool",
        re.compile(
            r"\bdisjoint\b|\bno overlap (?:with|between)\b|\b(?:doesn't|does not|do not|don't) overlap\b"
            r"|\bseparate from (?:the |any |our )?(?:prompt |training |sampling )*(?:pool|prompts|set|data)\b"
            r"|\bheldout_disjoint_from_pool\b|\boverlaps? with (?:the |our )?(?:prompt |training )*pool\b",
        ),
    ),
    (
        "same_decoding_for_all_k",
        re.compile(
            r"\b(?:the )?same (?:decoding|sampling settings|settings|temperature|decode settings"
            r"|generation config)\b(?:[^.;\n]{0,40}\b(?:every|all|each|both|across|throughout)\b)?"
            r"|\bsame_decoding_for_all_k\b|\bdifferent (?:decoding|temperatures?|settings) (?:for|per"
            r"|at) (?:each|every|the|different)\b",
        ),
    ),
)
NAMES = [name for name, _ in FLAGS]
REVERSED = re.compile(r"\b(?:overwrit\w+|delet\w+|throw\w* away|discard\w*|thrown away|lost|overlaps with|different)\b")
PRO_NEGATION = re.compile(
    r"\b(?:never (?:overwrit|delet|throw|discard)\w*|never (?:been )?(?:lost|deleted|overwritten)|no overlap"
    r"|doesn't overlap|does not overlap|don't overlap|do not overlap|not? (?:problem|issue|trouble))\b",
)


def flags(scan: Scan) -> Iterator[Found]:
    """Yes-or-no facts: rollback, checkpoint discipline, held-out blocker, disjointness, same decoding."""
    for name, pattern in FLAGS:
        for match in pattern.finditer(scan.text):
            clause_start, clause_end = scan.moods.clause(match.start())
            before = scan.text[clause_start : match.start()]
            negative = bool(
                NO_BEFORE.search(before)
                or NO_AFTER.match(scan.text, match.end())
                or re.search(r"\bn't\b|\bnot\b|\bnever\b|\bno\b", match[0])
            )
            value = negative is bool(REVERSED.search(match[0]))
            if re.search(
                r"\b(?:don't|doesn't|do not|haven't) (?:have|got) (?:one|any|it|that)\b",
                scan.sentence(match.start()),
            ):
                value, negative = False, True
            if PRO_NEGATION.search(scan.text, clause_start, max(clause_end, match.end())):
                value = True
            needed = re.search(
                r"\b(?:need|needs|require|should|must|want|lets?|please(?! (?:be aware|note|know))|build|set up|add|write"
                r"|design)\b[^,.;\n]{0,24}$",
                before,
            )
            doubt: Reason | Literal[""] = "target" if needed and not negative else ""
            yield Found(name, value, "", *_stretch(scan, match, negative), match.span(), doubt)


def _stretch(scan: Scan, match: re.Match[str], negative: bool) -> tuple[int, int]:
    """The words of a flag: with its negation, so that the words alone read back to the same value."""
    low, high = scan.moods.clause(match.start())
    if not negative:
        tail = re.match(
            r"[\"'`]?\s*[:=|]\s*[\"'`]?(?:yes|yeah|yep|true|done|ok|y)\b", scan.text[match.end() : match.end() + 14]
        )
        return match.start(), match.end() + (tail.end() if tail else 0)
    text = scan.text[low:high]
    return low + len(text) - len(text.lstrip()), max(match.end(), low + len(text.rstrip(" ,;.\n")))
