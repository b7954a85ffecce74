"""The licence of the model, as an SPDX id where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.reading.bygone import NOT_THIS
from agent.reading.facts import Found
from agent.reading.scan import Kinds, Scan, found

LICENCES: tuple[tuple[str, str], ...] = (
    (r"apache(?:(?:[- ]licen[cs]e,?)?[- ]?(?:version |v)?2(?:\.0)?(?!\.?\d))?(?: ?licen[cs]e[d]?)?", "Apache-2.0"),
    (
        r"(?<![\w'])(?:mit|m i t)(?![\w']| (?:researchers?|students?"
        r"|colleagues?|people|folks|professors?|lab|group|csail|paper))(?:[- ]licen[cs]ed?)?",
        "MIT",
    ),
    (r"(?:new |modified )?bsd(?:[- ]3(?:[- ]clause)?)|three[- ]clause bsd|bsd 3-clause", "BSD-3-Clause"),
    (r"bsd[- ]2(?:[- ]clause)?|two[- ]clause bsd", "BSD-2-Clause"),
    (r"agpl(?:[- ]?v?3(?:\.0)?)?", "AGPL-3.0"),
    (r"lgpl(?:[- ]?v?(?:3|2\.1)(?:\.0)?)?", "LGPL-3.0"),
    (r"(?<![al])gpl[- ]?v?2(?:\.0)?", "GPL-2.0"),
    (r"(?<![al])gpl(?:[- ]?v?3(?:\.0)?)?", "GPL-3.0"),
    (r"mpl(?:[- ]?v?2(?:\.0)?)?|mozilla public licen[cs]e", "MPL-2.0"),
    (r"cc[- ]by[- ]nc[- ]sa(?:[- ]4(?:\.0)?)?", "CC-BY-NC-SA-4.0"),
    (r"cc[- ]by[- ]nc(?:[- ]4(?:\.0)?)?", "CC-BY-NC-4.0"),
    (r"cc[- ]by[- ]sa(?:[- ]4(?:\.0)?)?", "CC-BY-SA-4.0"),
    (r"cc[- ]by(?:[- ]4(?:\.0)?)?", "CC-BY-4.0"),
    (r"cc[- ]?0(?:[- ]1\.0)?", "CC0-1.0"),
    (r"bigcode[- ]open ?rail[- ]?m?(?: v?\d)?|open ?rail(?:\+\+|[- ]?m)?", "OpenRAIL-M"),
    (r"unlicense\b", "Unlicense"),
)
LICENCE = Kinds(((name, pattern) for pattern, name in LICENCES), before=r"(?<![\w-])", after=r"(?![\w-])")
OTHER_LICENCE = re.compile(
    r"(?P<name>(?:the )?(?:llama|meta|gemma|qwen|tongyi qianwen|deepseek|mistral|nvidia|falcon|yi"
    r"|stability(?: ai)?|health ai|research)(?:[- ]?\d[\d.]*)?(?:[- ](?:ai|open|model|research|community"
    r"|non-?production|non-?commercial"
    r"|use|of|terms))*[- ]+(?:licen[cs]e|terms))"
    r"|\blicen[cs]e(?:d)?[\"']?(?: is\b| under|:| =|=)\s*[\"'`]?(?P<stated>[a-z][\w.+-]*(?: [a-z0-9.+-]+){0,4})"
    r"|\b(?P<closed>proprietary|in-house licen[cs]e|internal licen[cs]e|closed[- ](?:source|weights)"
    r"|commercial licen[cs]e)\b",
)
NO_LICENCE = re.compile(r"(?:a|the|not|no|unclear|unknown|tbd|fine|ok|what|that|it|still|being)\b")


def licence(scan: Scan) -> Iterator[Found]:
    """license, as an SPDX id where there is one."""
    known = [found("license", name, m) for name, m in LICENCE.finditer(scan.text)]
    known = [f for f in known if not scan.taken.overlaps(f.start, f.end)]
    held = [f for f in known if not NOT_THIS.search(scan.before(f.start, 26))]
    for one in known:
        scan.taken.add(one.start, one.end)
    yield from sorted(known, key=lambda f: f.start)
    if not held:
        yield from _other_licences(scan)


def _other_licences(scan: Scan) -> Iterator[Found]:
    for match in OTHER_LICENCE.finditer(scan.text):
        group = match.lastgroup or 0
        words = re.split(r"[,;\n]| (?:and|but|so|which|with)\b", scan.original[slice(*match.span(group))])[0]
        words = re.sub(r"^[Tt]he ", "", words.strip(" .\"'"))
        if words and not NO_LICENCE.match(words.lower()):
            yield found("license", words, match, group=group)
