"""The bundle: written from the ledger and the counts, and re-verified by writing it again.

Everything else in a bundle follows from four things: the ledger, what was measured (counts, readings, costs), the
transcript and this version of the product. `export` and `verify` share one function, `compose`, so a file is right when
composing it again gives the same bytes. Holds no clock, no absolute path, no session id and no user name.

What `verify` proves: the ledger is one unbroken chain; the table follows from the counts; verdict and plan follow from
the ledger under the policy it names; every other file, down to its line ends, follows from those; the transcript is
the one that the ledger's last entry names. What it cannot prove: that the counts and the person's words are true, or
that nobody wrote a whole other bundle consistently. For that, compare `root`, the sha256 of SHA256SUMS, with one that
came to you on another way.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from tools import claims, guard
from tools.claims import Claim
from tools.deliver import costs, deliverables, dossier, plots, promotion
from tools.deliver.dossier import VERDICT, Dossier
from tools.errors import InvalidInput, StoreCorrupt, StrategistError
from tools.evidence import Ledger
from tools.judge.policy import Policy
from tools.records import Count, Draft, Evidence, Record, Source
from tools.store import canonical, digest, key_of

VERSION = "1"
CLOSING = "bundle"
REPORT, PAGE, INDEX, CLAIMS, LEDGER = "REPORT.md", "report.html", "bundle.json", "claims.json", "ledger.jsonl"
TRANSCRIPT, SEAL, SUMS = "transcript.md", "seals/seal.json", "SHA256SUMS"
# files that were measured and not written here: what all else is recomputed from
GIVEN = ("counts/", "battery/", "cost/", "gate/")
SEALED = ("battery.yaml", "gate.yaml", "pipeline.yaml")
FORMAT = "ssd-strategist bundle"
# tools whose figures rest on the files of trials and of what they cost
COMPUTED = ("compare.compare", "probes.read", *costs.TOOLS)
# a bundle is read whole; these bounds keep a hostile folder from filling the memory
LARGEST_FILE, MOST_FILES = 64 << 20, 1000

Files = dict[str, bytes]


class Verification(Record):
    """What re-verifying found: sentences that name the file, how many figures were recomputed, and the root."""

    ok: bool
    problems: tuple[str, ...]
    recomputed: Count
    root: str


# writing


def export(case: Dossier, transcript: str, folder: Path) -> tuple[str, ...]:
    """Write the bundle of a recorded verdict and return the letters of its deliverables.

    It is recomputed first, and appears whole or not at all; a bundle that stands there is replaced in one step. Raises
    InvalidInput where no verdict is recorded for the facts as they stand, where the folder is anything but a bundle,
    and where the new one would not verify.
    """
    verdict = case.recorded_verdict
    if verdict is None:
        raise InvalidInput("no verdict is recorded for these facts", "a verdict", "ask for the verdict first")
    _check_target(folder)
    words = transcript.encode("utf-8", "replace")
    with _closed(case.ledger, verdict, words) as ledger:
        files, letters = compose(ledger, case.artifacts, words)
    if problems := _problems(files)[0]:
        raise InvalidInput(f"would not verify ({'; '.join(problems)})", "a bundle that does", where=str(folder))
    _write(files, folder)
    return letters


@contextmanager
def _closed(ledger: Ledger, verdict: Evidence, words: bytes) -> Iterator[Ledger]:
    """A copy of the session's ledger whose last entry binds verdict and transcript into the chain."""
    with _copy("".join(f"{line}\n" for line in ledger.lines).encode()) as copy:
        copy.append(_closing(verdict, words))
        yield copy


@contextmanager
def _copy(data: bytes) -> Iterator[Ledger]:
    """A ledger of its own, so that opening it (which mends a torn line) never touches the original."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / LEDGER
        path.write_bytes(data)
        try:
            ledger = Ledger(path)
        except StoreCorrupt as error:
            raise StoreCorrupt(f"{LEDGER}: {error}") from error
        yield ledger


def _closing(verdict: Evidence, words: bytes) -> Draft:
    source = Source(name=TRANSCRIPT, sha256=digest(words))
    return Draft(
        kind="derived",
        name=CLOSING,
        inputs=(verdict.id,),
        tool="bundle.export",
        version=VERSION,
        key=key_of("bundle.export", VERSION, verdict.id, source),
        source=source,
    )


def compose(ledger: Ledger, given: Mapping[str, bytes], transcript: bytes) -> tuple[Files, tuple[str, ...]]:
    """Every file of the bundle by name, and the letters of its deliverables. Pure: same input, same bytes.

    ledger: closed, its last entry names verdict and transcript. Raises StrategistError where it contradicts itself.
    """
    case = reopen(ledger, given)
    letters = {letter: text for letter, d in deliverables.REGISTRY.items() if (text := d.template(case)) is not None}
    written = _written(case, letters)
    files = {name: text.encode() for name, (text, _) in written.items()}
    files[LEDGER] = "".join(f"{line}\n" for line in ledger.lines).encode()
    files[TRANSCRIPT] = transcript
    files |= case.artifacts
    files |= {SEAL: _seal(files)} if SEALED[0] in files else {}
    files[CLAIMS] = _json({name: _spans(text, found) for name, (text, found) in written.items()})
    files[INDEX] = _json(_index(case, tuple(letters)))
    files[SUMS] = "".join(f"{digest(files[name])}  {name}\n" for name in sorted(files)).encode()
    return files, tuple(letters)


def reopen(ledger: Ledger, given: Mapping[str, bytes]) -> Dossier:
    """The dossier of a closed ledger, judged by the policy that its verdict names."""
    closing = ledger.entries[-1] if ledger.entries else None
    verdict = ledger.get(closing.inputs[0]) if closing and closing.name == CLOSING and closing.inputs else None
    if verdict is None or verdict.name != VERDICT:
        raise StoreCorrupt(f"{LEDGER} does not end with the entry that names its verdict and transcript")
    policy = Policy.of(entry for ref in verdict.inputs if (entry := ledger.get(ref)) is not None)
    by_hash = {digest(data): data for name, data in given.items() if name.startswith(GIVEN)}
    case = dossier.rebuild(ledger, lambda source: _bytes_of(by_hash, source), policy)
    if case.recorded_verdict != verdict:
        raise StoreCorrupt(f"{LEDGER}: the facts and figures do not lead to the verdict {verdict.id}")
    return case


def _bytes_of(by_hash: Mapping[str, bytes], source: Source) -> bytes:
    if source.sha256 not in by_hash:
        raise StoreCorrupt(f"{source.name} is missing or is not the file whose sha256 the ledger names")
    return by_hash[source.sha256]


def _written(case: Dossier, letters: dict[str, str]) -> dict[str, tuple[str, tuple[Claim, ...]]]:
    """The files that people read: their text with every figure filled in, and the claims that prove the figures."""
    figures = {name: text for name, plot in plots.REGISTRY.items() if (text := plot(case)) is not None}
    report = deliverables.report(case, letters, tuple(figures))
    templates = {REPORT: report, **{deliverables.REGISTRY[x].file: text for x, text in letters.items()}}
    templates |= promotion.files(case) | figures
    for name, template in templates.items():
        _guard(name, template, case.ledger)
    templates[PAGE] = page(report, figures)
    filled = {name: claims.fill(text, case.ledger, ESCAPES[Path(name).suffix]) for name, text in templates.items()}
    return {name: (found.text, found.claims) for name, found in filled.items()}


def _guard(name: str, template: str, ledger: Ledger) -> None:
    """NUM-4: no file leaves with a quantity that no entry supports."""
    violations = guard.check_file(name, template, ledger.entries)
    if violations:
        raise InvalidInput(f"says {violations[0].span!r}: {violations[0].why}", "figures by reference", where=name)


ESCAPES: dict[str, Callable[[str], str]] = {
    ".md": deliverables.markdown,
    ".html": lambda text: plots.xml_text(deliverables.printable(text)),
    ".svg": lambda text: plots.xml_text(deliverables.printable(text)),
    ".yaml": promotion.yaml_text,
    ".sh": promotion.shell_text,
}


def page(report: str, figures: dict[str, str]) -> str:
    """The report's template as one self-contained HTML page, plots inline, figures still references."""
    held: list[str] = []

    def hold(match: Any) -> str:
        held.append(match[0])
        return f"\ue000{len(held) - 1}\ue001"

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(claims.REFERENCE.sub(hold, report))
    for number, reference in enumerate(held):
        body = body.replace(f"\ue000{number}\ue001", reference)
    for name, figure in figures.items():
        before, _, after = body.partition(f'<p><img src="{name}"')
        body = f"{before}{figure.rstrip()}{after.partition('</p>')[2]}"
    return PAGE_FRAME.replace("BODY", body)


PAGE_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>SSD strategist: report</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto}
td,th{border:1px solid #8888;padding:.3rem .6rem;text-align:left;vertical-align:top}
svg{max-width:100%;height:auto}
</style>
</head>
<body>
BODY</body>
</html>
"""


def _spans(text: str, found: Iterable[Claim]) -> list[dict[str, Any]]:
    return [claim.model_dump() | {"text": text[claim.start : claim.end]} for claim in found]


def _seal(files: Files) -> bytes:
    """BAT-8: what is fixed before the first training step, by hash."""
    hashes = {name: digest(files[name]) for name in SEALED}
    return _json({"files": hashes, "seal": digest(canonical(hashes))})


def _index(case: Dossier, letters: tuple[str, ...]) -> dict[str, Any]:
    closing = case.ledger.entries[-1]
    return {
        "format": FORMAT,
        "version": VERSION,
        "deliverables": list(letters),
        "absent": deliverables.absent(case, letters),
        "verdict": case.verdict.model_dump(mode="json"),
        "workload": case.workload.model_dump(mode="json"),
        "table": case.table.model_dump(mode="json") if case.table else None,
        "plan": case.plan.model_dump(mode="json") if case.plan else None,
        "policy": case.policy.model_dump(mode="json"),
        "ledger_head": case.ledger.head,
        "transcript": closing.source.model_dump() if closing.source else None,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


# putting it in place


def _check_target(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise InvalidInput("is not a folder", "a new folder or a bundle", "choose another", where=str(folder))
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    foreign = sorted(present - _listed(folder))
    if foreign:
        raise InvalidInput(
            f"holds {foreign[0]}, which is no part of a bundle", "a new folder or a bundle", where=str(folder)
        )


def _listed(folder: Path) -> set[str]:
    """Names that the folder's own SHA256SUMS lists, itself included; none where it is not a bundle."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    known = isinstance(index, dict) and index.get("format") == FORMAT
    return {SUMS, *(line.partition("  ")[2] for line in lines)} if known else set()


def _write(files: Files, folder: Path) -> None:
    """Write beside the target, flush to the disk, then take its place in one step."""
    folder = folder.absolute()
    beside = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        for name, data in files.items():
            _flushed(beside / name, data)
        _flush_folders(beside)
        _take_place(beside, folder)
        _flush_folders(folder.parent, deep=False)
    except OSError as error:
        raise InvalidInput(
            f"cannot be written ({error.strerror})", "a folder to write to", where=str(folder)
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _flushed(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _flush_folders(folder: Path, *, deep: bool = True) -> None:
    for place in [folder, *(p for p in folder.rglob("*") if deep and p.is_dir())]:
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
    elif not _exchange(new, folder):
        aside = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        new.rename(folder)
        shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step (renameat2 on Linux, renamex_np on macOS); False where that cannot be done.

    rename(2) alone cannot replace a folder that holds files, and two renames leave a moment without a bundle.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    first, second, here, swap = os.fsencode(one), os.fsencode(other), -100, 2
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(here, first, here, second, swap) == 0)
    return hasattr(libc, "renamex_np") and bool(libc.renamex_np(first, second, swap) == 0)


# re-verifying


def verify(folder: Path) -> Verification:
    """Recompute a bundle from its counts and ledger and compare every byte.

    Raises InvalidInput where the path is no bundle at all; anything wrong within one is a problem that names the file.
    """
    files, unread = _read(folder)
    found, recomputed = _problems(files)
    problems = tuple(dict.fromkeys([*unread, *found]))
    root = digest(files.get(SUMS, b""))
    return Verification(ok=not problems, problems=problems, recomputed=recomputed, root=root)


def _problems(files: Files) -> tuple[list[str], int]:
    """What is wrong with the files of a bundle, and how many figures were recomputed."""
    try:
        found, recomputed = _recompute(files)
    except StrategistError as error:
        found, recomputed = [str(error)], 0
    except Exception as error:  # a forged ledger can break rendering anywhere; that is a finding, not a crash
        found, recomputed = [f"{LEDGER} cannot be composed again ({type(error).__name__}: {error})"], 0
    return [*_sums(files), *found], recomputed


def _read(folder: Path) -> tuple[Files, list[str]]:
    if folder.is_symlink() or not folder.is_dir() or not (folder / SUMS).is_file():
        raise InvalidInput(f"is no bundle: it has no {SUMS}", "a folder that `export` wrote", where=str(folder))
    files: Files = {}
    problems: list[str] = []
    for path in _walk(folder, problems):
        name = path.relative_to(folder).as_posix()
        try:
            if path.is_symlink() or not path.is_file():
                problems.append(f"{name} is not a regular file")
            elif path.stat().st_size > LARGEST_FILE:
                problems.append(f"{name} is larger than any file of a bundle")
            else:
                files[name] = path.read_bytes()
        except OSError as error:
            problems.append(f"{name} cannot be read ({error.strerror})")
    return files, problems


def _walk(folder: Path, problems: list[str]) -> list[Path]:
    """All files below, links to folders included and not followed; empty folders are named as problems."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lambda e: problems.append(f"{e.filename} cannot be read")):
        found += [Path(place) / name for name in (*names, *(f for f in folders if (Path(place) / f).is_symlink()))]
        if not folders and not names:
            problems.append(f"{Path(place).relative_to(folder).as_posix()} is an empty folder")
        if len(found) > MOST_FILES:
            problems.append("there are more files than any bundle has")
            break
    return sorted(found[:MOST_FILES])


def _sums(files: Files) -> list[str]:
    """What SHA256SUMS says against what is there."""
    text = files.get(SUMS, b"").decode("utf-8", "replace")
    listed = {name: sha for line in text.split("\n") if line for sha, _, name in [line.partition("  ")]}
    present = files.keys() - {SUMS}
    problems = [f"{name} is not listed in {SUMS}" for name in sorted(present - listed.keys())]
    problems += [f"{name} is listed in {SUMS} and missing" for name in sorted(listed.keys() - present)]
    changed = (name for name in sorted(present & listed.keys()) if digest(files[name]) != listed[name])
    return problems + [f"{name} is not the file that {SUMS} lists; its bytes were changed" for name in changed]


def _recompute(files: Files) -> tuple[list[str], int]:
    missing = [name for name in (LEDGER, TRANSCRIPT) if name not in files]
    if missing:
        return [f"{name} is missing; nothing can be recomputed" for name in missing], 0
    with _copy(files[LEDGER]) as ledger:
        problems = [f"{LEDGER} ends in a torn line"] if ledger.repaired else []
        problems += _bound(ledger, files[TRANSCRIPT])
        case = reopen(ledger, files)
        found, recomputed = _refigure(case)
        composed, _ = compose(ledger, files, files[TRANSCRIPT])
    return [*problems, *found, *_differences(files, composed)], recomputed


def _bound(ledger: Ledger, transcript: bytes) -> list[str]:
    source = ledger.entries[-1].source if ledger.entries else None
    known = source is not None and source.sha256 == digest(transcript)
    return [] if known else [f"{TRANSCRIPT} is not the conversation that {LEDGER} names"]


def _refigure(case: Dossier) -> tuple[list[str], int]:
    """Compare the ledger with the table computed anew, with what the verdict and plan say, and with the counts."""
    drafts = [*dossier.conclusion_drafts(case), *_table_drafts(case), *case.outcomes]
    problems = [problem for draft in drafts if (problem := _differs(case.ledger.with_key(draft.key), draft))]
    earlier = [*_bare(case), *_half_paid(case)]
    known = {draft.key for draft in (*drafts, *earlier)}
    invented = [e for e in case.ledger.entries if _claims_table(e, case) and e.key not in known]
    problems += [f"{LEDGER}: {e.id} ({e.name}) is no figure of the bundle's counts" for e in invented]
    problems += [problem for draft in earlier if (problem := _differs(case.ledger.with_key(draft.key), draft))]
    return problems + _miscounted(case), len(drafts)


def _bare(case: Dossier) -> list[Draft]:
    """Deltas that the ledger also holds as they were before a battery was read."""
    return [draft for draft in case.trials.before_the_battery() if case.ledger.with_key(draft.key) is not None]


def _half_paid(case: Dossier) -> Iterator[Draft]:
    """Figures of cost as they were before another file or another rate came, from what each of them names."""
    current = {draft.key for draft in case.outcomes}
    for entry in case.ledger.entries:
        if entry.tool in costs.TOOLS and entry.key not in current:
            named = [found for ref in entry.inputs if (found := case.ledger.get(ref)) is not None]
            yield from (draft for draft in case.costs.among(named).drafts(case.trials) if draft.key == entry.key)


def _table_drafts(case: Dossier) -> list[Draft]:
    return dossier.table_drafts(dossier.table_of(case.counts), ()) if case.counts is not None else []


def _claims_table(entry: Evidence, case: Dossier) -> bool:
    """Whether an entry says that it was computed from the bundle's files, or hides from which.

    One that names a file which another has replaced since was true of that file, and cannot be recomputed.
    """
    if entry.tool == "passk.table":
        return case.counts is not None and entry.source == case.counts.source
    if entry.tool not in COMPUTED:
        return False
    files = [file for ref in entry.inputs if (file := case.ledger.get(ref)) is not None]
    in_force = {file.name: file.source for file in case.trials.files.values()}
    paid = [file for file in files if file.name.startswith(f"{costs.COST}.")]
    return all(file.source == in_force.get(file.name, file.source) for file in files) and all(
        file in case.costs.entries for file in paid
    )


def _differs(entry: Evidence | None, draft: Draft) -> str | None:
    if entry is None:
        return f"{LEDGER}: no entry {draft.name} as it is recomputed"
    # inputs are ids of the day it was first recorded; facts told again since have others
    recorded = entry.model_dump(mode="json", exclude={"id", "prev", "inputs"})
    same = _close(recorded, draft.model_dump(mode="json", exclude={"inputs"}))
    return None if same else f"{LEDGER}: {entry.id} ({entry.name}) is not what is recomputed"


def _close(a: Any, b: Any) -> bool:
    """Equal, but for the last digits of a float: another machine may add in another order."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)


def _miscounted(case: Dossier) -> list[str]:
    """Facts of the intake that were counted from the file."""
    if case.table is None:
        return []
    counted = {"intake.heldout_n": case.table.problems, "intake.samples_per_problem": case.table.samples_min}
    facts = [e for e in case.ledger.entries if e.name in counted and e.source == case.table.source]
    wrong = [e for e in facts if e.quantity is None or e.quantity.value != counted[e.name]]
    return [f"{LEDGER}: {e.id} ({e.name}) is not what the counts give" for e in wrong]


def _differences(files: Files, composed: Files) -> list[str]:
    problems = [f"{name} is no file of this bundle" for name in sorted(files.keys() - composed.keys())]
    problems += [f"{name} is missing" for name in sorted(composed.keys() - files.keys())]
    both = sorted(files.keys() & composed.keys())
    return problems + [_difference(name, files[name], composed[name]) for name in both if files[name] != composed[name]]


def _difference(name: str, seen: bytes, expected: bytes) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(seen, expected, strict=False)) if a != b), min(len(seen), len(expected))
    )
    return f"{name} is not what ledger and counts give, first at line {expected[:at].count(10) + 1}"
