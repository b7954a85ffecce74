"""A bundle re-verifies, and nothing in it can be changed without a sentence that names the file."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dossiers import FACTS, attach, judged, measured, open_ledger, stated, tell
from markdown_it import MarkdownIt
from stories import FLAT, SHARP_ON_HARD, write_counts

from agent import toolbox
from agent.toolbox import Casefile
from tools import claims
from tools.deliver import bundle, dossier, promotion
from tools.deliver.dossier import Dossier
from tools.errors import InvalidInput
from tools.evidence import Ledger
from tools.judge.policy import Policy
from tools.records import Draft

WORDS = "# Transcript\n\n> we have 400 problems\n\n**NOTED**\n"
HOSTILE = "<script>alert(1)</script>|`x`\n# _y_ {{E1}} [a](b) !!python/object:os.system"
ALWAYS = {
    "REPORT.md",
    "report.html",
    "bundle.json",
    "claims.json",
    "ledger.jsonl",
    "transcript.md",
    "A-verdict.md",
    "SHA256SUMS",
}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return measured(tmp_path_factory.mktemp("session"), SHARP_ON_HARD)


@pytest.fixture(scope="module")
def original(case: Dossier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "bundle"
    bundle.export(case, WORDS, folder)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def test_a_bundle_that_would_not_verify_leaves_the_one_that_stands(
    case: Dossier, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copy)
    monkeypatch.setattr(bundle, "_recompute", lambda files: (["ledger.jsonl: E1 is not what is recomputed"], 0))
    with pytest.raises(InvalidInput, match=r"would not verify .*E1 is not"):
        bundle.export(case, "other words", copy)
    assert contents(copy) == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def resum(folder: Path) -> None:
    """What someone who alters a file would do next: write matching checksums."""
    files = contents(folder)
    files.pop("SHA256SUMS", None)
    lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    (folder / "SHA256SUMS").write_text("".join(lines))


# what is written


def test_a_go_bundle_holds_every_file_of_the_format(original: Path) -> None:
    expected = ALWAYS | {
        "B-pipeline.md",
        "C-verifier-arm.md",
        "D-round2-gate.md",
        "E-promotion.md",
        "pipeline.yaml",
        "battery.yaml",
        "gate.yaml",
        "counts/heldout.jsonl",
        "seals/seal.json",
        "promotion/serve.sh",
        "promotion/router.yaml",
        "promotion/telemetry.yaml",
        "promotion/rollback.sh",
        "plots/pass_at_k.svg",
        "plots/gap_at_k.svg",
    }
    assert set(contents(original)) == expected


def test_a_fresh_bundle_verifies_and_counts_what_it_recomputed(original: Path) -> None:
    found = bundle.verify(original)
    assert (found.ok, found.problems) == (True, ())
    assert found.recomputed > 20
    assert found.root == hashlib.sha256((original / "SHA256SUMS").read_bytes()).hexdigest()


def test_the_checksums_are_in_the_format_of_sha256sum(original: Path) -> None:
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=original, check=True)


def test_a_negative_verdict_leaves_out_everything_after_a_and_says_why(tmp_path: Path) -> None:
    letters = bundle.export(measured(tmp_path, FLAT), WORDS, tmp_path / "b")
    assert letters == ("A",)
    left = set(contents(tmp_path / "b"))
    assert left == ALWAYS | {"counts/heldout.jsonl", "plots/pass_at_k.svg", "plots/gap_at_k.svg"}
    assert "names another move" in (tmp_path / "b" / "REPORT.md").read_text()
    assert bundle.verify(tmp_path / "b").ok


def test_a_refusal_is_a_bundle_that_says_what_is_missing(tmp_path: Path) -> None:
    case = measured(tmp_path, SHARP_ON_HARD, contamination_checked=False)
    assert bundle.export(case, WORDS, tmp_path / "b") == ("A",)
    report = (tmp_path / "b" / "REPORT.md").read_text()
    assert report.index("**REFUSE**") < report.index("contamination")
    assert bundle.verify(tmp_path / "b").ok


def test_stated_figures_make_a_bundle_without_counts(tmp_path: Path) -> None:
    bundle.export(stated(tmp_path), WORDS, tmp_path / "b")
    assert not (tmp_path / "b" / "counts").exists()
    report = (tmp_path / "b" / "REPORT.md").read_text()
    assert "Basis: stated" in report
    assert "66%" in report
    assert bundle.verify(tmp_path / "b").ok


def test_the_verdict_leads_the_report(original: Path) -> None:
    lines = [line for line in (original / "REPORT.md").read_text().splitlines() if line]
    assert lines[2].startswith("**GO-SSD**")


def test_the_same_case_gives_the_same_bytes_in_another_place(original: Path, tmp_path: Path) -> None:
    again = tmp_path / "a session of someone else" / "deeper"
    again.mkdir(parents=True)
    bundle.export(measured(again, SHARP_ON_HARD), WORDS, tmp_path / "elsewhere")
    assert contents(tmp_path / "elsewhere") == contents(original)


def test_no_path_of_this_machine_is_in_a_bundle(original: Path, case: Dossier) -> None:
    for name, data in contents(original).items():
        assert str(original.parent.parent).encode() not in data, name


def test_every_claim_is_the_text_at_its_span(original: Path, case: Dossier) -> None:
    listed = json.loads((original / "claims.json").read_text())
    with bundle._copy((original / "ledger.jsonl").read_bytes()) as ledger:
        for name, spans in listed.items():
            text = (original / name).read_text()
            for span in spans:
                assert text[span["start"] : span["end"]] == span["text"]
                entry = ledger.get(span["evidence"])
                assert entry is not None
                assert name.endswith((".sh", ".yaml", ".html")) or claims.write(entry, span["format"])
    human = {n for n in contents(original) if n.endswith((".md", ".html", ".yaml", ".svg", ".sh"))} - {"transcript.md"}
    assert set(listed) == human
    assert len(listed["A-verdict.md"]) > 20


def test_the_page_says_what_the_report_says(original: Path) -> None:
    page, report = (original / "report.html").read_text(), (original / "REPORT.md").read_text()
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(report)
    for svg in ("pass_at_k", "gap_at_k"):  # a figure is no paragraph
        drawn = (original / "plots" / f"{svg}.svg").read_text().rstrip()
        rendered = re.sub(rf'<p><img src="plots/{svg}.svg"[^>]*></p>', lambda _, drawn=drawn: drawn, rendered)
    assert rendered in page


def test_the_page_loads_nothing_and_runs_nothing(original: Path) -> None:
    page = (original / "report.html").read_text()
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="', page)
    assert "default-src 'none'" in page


def test_hostile_words_are_shown_and_obeyed_nowhere(tmp_path: Path) -> None:
    bundle.export(measured(tmp_path, SHARP_ON_HARD, model=HOSTILE, failure_cost=HOSTILE), WORDS, tmp_path / "b")
    files = {name: data.decode() for name, data in contents(tmp_path / "b").items()}
    assert "<script" not in files["report.html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;|`x` # _y_ {{E1}} [a](b)" in files["report.html"]
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(files["REPORT.md"])
    assert "<script" not in rendered
    assert "<a " not in rendered
    for name in (n for n in files if n.endswith(".yaml")):
        assert isinstance(yaml.safe_load(files[name]), dict), name
    subprocess.run(["bash", "-n", "promotion/serve.sh"], cwd=tmp_path / "b", check=True)
    assert bundle.verify(tmp_path / "b").ok


def test_a_hostile_slice_name_stays_a_name(tmp_path: Path) -> None:
    story = {"a|b<svg onload=x>{{E1}}\u202e": SHARP_ON_HARD["hard"], "easy": SHARP_ON_HARD["easy"]}
    bundle.export(measured(tmp_path, story), WORDS, tmp_path / "b")
    for name in ("report.html", "plots/gap_at_k.svg"):
        text = (tmp_path / "b" / name).read_text()
        assert "<svg onload" not in text
        assert "a|b&lt;svg onload=x&gt;" in text
        assert "\u202e" not in text
    assert bundle.verify(tmp_path / "b").ok


def test_a_figure_that_no_entry_supports_stops_the_export(
    case: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(promotion.PROMOTION, "telemetry.yaml", lambda _: "expected_gain_pp: 12.5\n")
    with pytest.raises(InvalidInput, match=r"telemetry\.yaml: says '12\.5'"):
        bundle.export(case, WORDS, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_judged_again_by_the_policy_it_was_judged_by(tmp_path: Path) -> None:
    strict = Policy(strict=True, gap_threshold=4)
    ledger = open_ledger(tmp_path, strict)
    tell(ledger, FACTS)
    counts = attach(ledger, write_counts(tmp_path / "results.jsonl", SHARP_ON_HARD))
    bundle.export(judged(ledger, counts, strict), WORDS, tmp_path / "b")
    assert json.loads((tmp_path / "b" / "bundle.json").read_text())["policy"]["gap_threshold"] == 4
    assert "asks for 4.0 pp" in (tmp_path / "b" / "REPORT.md").read_text()
    assert bundle.verify(tmp_path / "b").ok


@pytest.mark.parametrize("name", ["level 3", "2024", "50%", "twice as hard", "v1.5", "C++", "n = 180", "gap@16"])
def test_a_slice_may_be_called_anything(tmp_path: Path, name: str) -> None:
    story = {name: SHARP_ON_HARD["hard"], "easy": SHARP_ON_HARD["easy"]}
    bundle.export(measured(tmp_path, story), WORDS, tmp_path / "b")
    assert bundle.verify(tmp_path / "b").ok
    (tmp_path / "s").mkdir()
    said = {f"slices.{name}.n": 200, f"slices.{name}.pass_at_1": 0.2, f"slices.{name}.pass_at_k.16": 0.4}
    bundle.export(stated(tmp_path / "s", **said), WORDS, tmp_path / "c")
    assert bundle.verify(tmp_path / "c").ok


# where it is written


def test_nothing_is_exported_before_a_verdict_is_recorded(tmp_path: Path) -> None:
    case = stated(tmp_path)
    tell(case.ledger, {"team_size": 5})
    moved = dossier.rebuild(case.ledger, lambda _: b"")
    with pytest.raises(InvalidInput, match="no verdict is recorded"):
        bundle.export(moved, WORDS, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_no_bundle_is_never_touched(case: Dossier, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.md").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    for name in ("thesis", "file", "link"):
        with pytest.raises(InvalidInput):
            bundle.export(case, WORDS, tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.md").read_text() == (tmp_path / "file").read_text() == "mine"


def test_a_bundle_with_a_note_of_its_reader_is_not_replaced(case: Dossier, copy: Path) -> None:
    (copy / "my notes.md").write_text("mine")
    with pytest.raises(InvalidInput, match=r"my notes\.md"):
        bundle.export(case, WORDS, copy)
    assert (copy / "my notes.md").read_text() == "mine"


def test_a_bundle_and_an_empty_folder_are_replaced_and_nothing_is_left_beside(case: Dossier, copy: Path) -> None:
    bundle.export(case, WORDS + "more\n", copy)
    (copy.parent / "empty").mkdir()
    bundle.export(case, WORDS, copy.parent / "empty")
    assert bundle.verify(copy).ok
    assert (copy / "transcript.md").read_text().endswith("more\n")
    assert sorted(p.name for p in copy.parent.iterdir()) == ["copy", "empty"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_is_a_sentence(case: Dossier, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidInput, match="cannot be written"):
        bundle.export(case, WORDS, tmp_path / "b")


def test_a_parent_that_is_a_file_is_a_sentence(case: Dossier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="cannot be written"):
        bundle.export(case, WORDS, tmp_path / "file" / "b")


def write_until(step: int, folder: Path) -> bool:
    """Write a new bundle in a child that is killed before its step-th call to the file system; whether it finished."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    calls = 0

    def count(event: str, _: object) -> None:
        nonlocal calls
        if event.startswith(("open", "os.", "ctypes.dlsym", "shutil.rmtree")):
            calls += 1
            if calls == step:
                os._exit(9)

    sys.addaudithook(count)
    bundle._write({"SHA256SUMS": b"", "bundle.json": b"new", "deep/er": b"new"}, folder)
    os._exit(0)


def test_a_kill_at_any_moment_leaves_the_old_bundle_or_the_new_one(tmp_path: Path) -> None:
    seen = set()
    for step in range(1, 200):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        bundle._write({"SHA256SUMS": b"", "bundle.json": b"old", "deep/er": b"old"}, tmp_path / "b")
        finished = write_until(step, tmp_path / "b")
        (state,) = {data for data in contents(tmp_path / "b").values() if data}
        seen.add(state)
        if finished:
            break
    assert step > 10
    assert finished
    assert seen == {b"old", b"new"}
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


# what is found


def altered(folder: Path, name: str, data: bytes) -> tuple[str, ...]:
    """The problems after one file was changed and the checksums rewritten to match; everything restored."""
    before, sums = (folder / name).read_bytes(), (folder / "SHA256SUMS").read_bytes()
    (folder / name).write_bytes(data)
    plain = bundle.verify(folder).problems
    if name != "SHA256SUMS":
        resum(folder)
    problems = bundle.verify(folder).problems
    (folder / name).write_bytes(before)
    (folder / "SHA256SUMS").write_bytes(sums)
    assert plain, f"{name}: unnoticed"
    return problems


@pytest.mark.slow
def test_flipped_bytes_anywhere_are_found_even_with_matching_checksums(copy: Path) -> None:
    rng = random.Random(7)
    for name, data in contents(copy).items():
        for place in rng.sample(range(len(data)), min(4, len(data))):
            flipped = data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
            problems = altered(copy, name, flipped)
            assert any(name in problem for problem in problems), (name, place)


@pytest.mark.slow
def test_changed_digits_anywhere_are_found_even_with_matching_checksums(copy: Path) -> None:
    rng = random.Random(8)
    for name, data in contents(copy).items():
        digits = [i for i, byte in enumerate(data) if 48 <= byte < 58]
        for place in rng.sample(digits, min(4, len(digits))):
            changed = data[:place] + str((data[place] - 47) % 10).encode() + data[place + 1 :]
            problems = altered(copy, name, changed)
            assert any(name in problem for problem in problems), (name, place)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"",
    ],
    ids=["newline removed", "newline added", "CRLF", "BOM", "emptied"],
)
def test_line_ends_and_marks_are_bytes_too(copy: Path, change: object) -> None:
    for name, data in contents(copy).items():
        problems = altered(copy, name, change(data))  # type: ignore[operator]
        assert any(name in problem for problem in problems), name


def test_an_added_a_removed_and_a_renamed_file_are_named(copy: Path) -> None:
    (copy / "extra.md").write_text("x")
    assert any("extra.md" in problem for problem in bundle.verify(copy).problems)
    resum(copy)
    assert any("extra.md" in problem for problem in bundle.verify(copy).problems)
    (copy / "extra.md").unlink()
    (copy / "gate.yaml").rename(copy / "gates.yaml")
    resum(copy)
    problems = " ".join(bundle.verify(copy).problems)
    assert "gate.yaml" in problems
    assert "gates.yaml" in problems


@pytest.mark.parametrize("name", ["ledger.jsonl", "transcript.md", "counts/heldout.jsonl", "A-verdict.md"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    resum(copy)
    assert any(name in problem for problem in bundle.verify(copy).problems)


def test_a_ledger_written_anew_with_a_whole_chain_does_not_pass(copy: Path, tmp_path: Path) -> None:
    """Someone raises a figure and computes the chain again: the table no longer follows from the counts."""
    forged = Ledger(tmp_path / "forged.jsonl")
    with bundle._copy((copy / "ledger.jsonl").read_bytes()) as ledger:
        for entry in ledger.entries:
            quantity = entry.quantity
            if quantity and (quantity.metric, quantity.k, quantity.slice) == ("gap_at_k", 16, "easy"):
                quantity = quantity.model_copy(update={"value": quantity.value + 0.5})
            kept = entry.model_copy(update={"quantity": quantity}).model_dump(exclude={"id", "prev"})
            forged.append(entry.__class__.__base__.model_validate(kept))  # type: ignore[union-attr]
    (copy / "ledger.jsonl").write_bytes((tmp_path / "forged.jsonl").read_bytes())
    resum(copy)
    assert any("ledger.jsonl" in problem for problem in bundle.verify(copy).problems)


def test_links_and_things_that_are_no_files_are_named_and_not_followed(copy: Path) -> None:
    (copy / "A-verdict.md").rename(copy.parent / "A-verdict.md")
    (copy / "A-verdict.md").symlink_to(copy.parent / "A-verdict.md")
    os.mkfifo(copy / "pipe")
    (copy / "loop").symlink_to(copy)
    problems = " ".join(bundle.verify(copy).problems)
    for name in ("A-verdict.md", "pipe", "loop"):
        assert f"{name} is not a regular file" in problems


def test_a_huge_file_is_named_and_not_read(copy: Path) -> None:
    with (copy / "REPORT.md").open("ab") as handle:
        handle.truncate(10 << 30)
    assert any(problem.startswith("REPORT.md is larger") for problem in bundle.verify(copy).problems)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named(copy: Path) -> None:
    (copy / "REPORT.md").chmod(0)
    assert any("REPORT.md cannot be read" in problem for problem in bundle.verify(copy).problems)


@pytest.mark.parametrize("path", ["nowhere", "file", "empty", "link"])
def test_a_path_that_is_no_bundle_is_bad_input(original: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(original)
    with pytest.raises(InvalidInput, match="is no bundle"):
        bundle.verify(tmp_path / path)


def test_verifying_changes_nothing(copy: Path) -> None:
    (copy / "ledger.jsonl").write_bytes((copy / "ledger.jsonl").read_bytes()[:-3])
    before = contents(copy)
    assert not bundle.verify(copy).ok
    assert contents(copy) == before


# what arms cost


def paid(folder: Path) -> Casefile:
    """A judged case with a tuned model, a comparator, what both cost, a rate, and figures from before each of them."""
    case = Casefile(folder / "session")
    tell(case.ledger, FACTS)
    better = {name: [min(16, c + 4) if c else 0 for c in counts] for name, counts in SHARP_ON_HARD.items()}
    stories = {"results": SHARP_ON_HARD, "tuned": better, "comparator": {**SHARP_ON_HARD, "hard": better["hard"]}}
    for turn, (role, story) in enumerate(stories.items(), 1):
        toolbox.attach(case, str(write_counts(folder / f"{role}.jsonl", story)), role, turn)
    row = '{"accelerators":8,"cpu_seconds":9000.0,"stage":"%s","tokens":0,"wall_seconds":%s}\n'
    handed = [("base", "evaluation", 60), ("tuned", "sampling", 3600), ("tuned", "training", 7200)]
    for turn, (arm, stage, seconds) in enumerate([*handed, ("comparator", "training", 9000)], 4):
        (folder / "cost.jsonl").write_text(row % (stage, seconds))
        toolbox.spend(case, f"{folder / 'cost.jsonl'} {arm}", turn)
        toolbox.price(case, f"{turn}.10", turn)
    toolbox.decide(case)
    return case


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Casefile:
    return paid(tmp_path_factory.mktemp("paid"))


def test_what_arms_cost_travels_and_the_same_case_gives_the_same_bytes(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        bundle.export(paid(tmp_path / place).dossier, WORDS, tmp_path / place / "b")
    files = contents(tmp_path / "one" / "b")
    assert contents(tmp_path / "two" / "b") == files
    assert {n for n in files if n.startswith("cost/")} == {
        "cost/base-1.jsonl",
        "cost/tuned-1.jsonl",
        "cost/tuned-2.jsonl",
        "cost/comparator-1.jsonl",
    }
    assert bundle.verify(tmp_path / "one" / "b").problems == ()
    report = files["REPORT.md"].decode()
    order = ["### The battery", "### What it cost", "### Accuracy for an hour", "### Pareto", "## Deliverables"]
    places = [report.index(head) for head in order if head in report]
    assert places == sorted(places)
    assert len(places) == 4  # no battery was read
    assert "at the declared rate of $7.10 per GPU-hour" in report


def test_an_altered_byte_of_what_was_paid_is_found(session: Casefile, tmp_path: Path) -> None:
    bundle.export(session.dossier, WORDS, tmp_path / "b")
    for name in [name for name in contents(tmp_path / "b") if name.startswith("cost/")]:
        data = (tmp_path / "b" / name).read_bytes()
        for changed in (data.replace(b":8,", b":9,"), data[:-1], data + b"\n", data + data, b""):
            assert any(name in problem for problem in altered(tmp_path / "b", name, changed)), name
        (tmp_path / "b" / name).unlink()
        resum(tmp_path / "b")
        assert any(name in problem for problem in bundle.verify(tmp_path / "b").problems)
        (tmp_path / "b" / name).write_bytes(data)
        resum(tmp_path / "b")


def forge(case: Dossier, folder: Path) -> None:
    """Write the bundle that `export` refuses to write."""
    with pytest.raises(InvalidInput, match="would not verify"):
        bundle.export(case, WORDS, folder)
    verdict = case.recorded_verdict
    assert verdict is not None
    with bundle._closed(case.ledger, verdict, WORDS.encode()) as ledger:
        files, _ = bundle.compose(ledger, case.artifacts, WORDS.encode())
    bundle._write(files, folder)


@pytest.mark.parametrize(
    "name", ["spent.tuned.made.gpu", "spent.tuned.made.usd", "spent.tuned.per_hour", "pareto.no_worse"]
)
@pytest.mark.parametrize("which", [0, -1], ids=["as it was first", "as it stands"])
def test_a_figure_of_cost_that_the_files_do_not_give_is_found(
    session: Casefile, tmp_path: Path, name: str, which: int
) -> None:
    """Also one of an earlier hour, which the report no longer shows."""
    forged = Ledger(tmp_path / "forged" / "ledger.jsonl")
    wanted = [entry.id for entry in session.ledger.entries if entry.name == name][which]
    for entry in session.ledger.entries:
        quantity = entry.quantity
        if entry.id == wanted and quantity is not None:
            quantity = quantity.model_copy(update={"value": quantity.value * 0.9})
        forged.append(Draft(**entry.model_dump(exclude={"id", "prev"}) | {"quantity": quantity}))
    forge(dossier.rebuild(forged, session.fetch), tmp_path / "b")
    assert any(f"{wanted} ({name}) is not what is recomputed" in p for p in bundle.verify(tmp_path / "b").problems)


def test_an_invented_figure_of_cost_is_found(tmp_path: Path) -> None:
    case = paid(tmp_path)
    true = next(entry for entry in case.ledger.entries if entry.name == "spent.tuned.made.gpu")
    invented = true.model_copy(update={"name": "spent.tuned.made.saved", "key": "another"})
    case.ledger.append(Draft(**invented.model_dump(exclude={"id", "prev"})))
    forge(case.dossier, tmp_path / "b")
    assert any("spent.tuned.made.saved) is no figure" in problem for problem in bundle.verify(tmp_path / "b").problems)


def test_a_rate_that_was_taken_back_leaves_a_bundle_without_dollars_that_verifies(tmp_path: Path) -> None:
    case = paid(tmp_path)
    toolbox.price(case, "none", 20)
    bundle.export(case.dossier, WORDS, tmp_path / "b")
    assert "dollars are not computed" in (tmp_path / "b" / "REPORT.md").read_text()
    assert bundle.verify(tmp_path / "b").problems == ()
