"""Deliverables: the verdict leads, every figure is a reference, nothing is designed before a GO."""

import re
from pathlib import Path

import pytest
from dossiers import measured, stated
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from stories import FLAT, SHARP_ON_HARD, write_counts

from tools import claims, guard
from tools.deliver import deliverables
from tools.deliver.deliverables import REGISTRY
from tools.deliver.dossier import Dossier
from tools.measure import imports
from tools.stats import compare, passk


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return measured(tmp_path_factory.mktemp("sharp"), SHARP_ON_HARD)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return measured(tmp_path_factory.mktemp("flat"), FLAT)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return measured(tmp_path_factory.mktemp("refused"), SHARP_ON_HARD, contamination_checked=False)


def shown(template: str | None, case: Dossier) -> str:
    assert template is not None
    return claims.fill(template, case.ledger, deliverables.markdown).text


def test_the_registry_holds_a_to_e_each_with_its_own_file() -> None:
    assert list(REGISTRY) == list("ABCDE")
    assert [d.letter for d in REGISTRY.values()] == list("ABCDE")
    assert [d.file[:2] for d in REGISTRY.values()] == ["A-", "B-", "C-", "D-", "E-"]


def test_a_go_has_every_deliverable_and_a_other_or_refusal_only_the_first(
    sharp: Dossier, flat: Dossier, refused: Dossier
) -> None:
    for case, letters in ((sharp, "ABCDE"), (flat, "A"), (refused, "A")):
        assert [x for x, d in REGISTRY.items() if d.template(case) is not None] == list(letters)


def test_without_a_verifier_there_is_no_verifier_arm_and_the_report_says_so(tmp_path: Path) -> None:
    case = measured(tmp_path, SHARP_ON_HARD, verifier="none")
    assert REGISTRY["C"].template(case) is None
    assert deliverables.absent(case, "ABDE") == {"C": "no verifier was named"}


def test_every_absence_has_its_reason(flat: Dossier, refused: Dossier) -> None:
    assert set(deliverables.absent(flat, "A").values()) == {"the verdict names another move than self-distillation"}
    assert set(deliverables.absent(refused, "A")) == set("BCDE")


def test_the_verdict_leads_its_card(sharp: Dossier, flat: Dossier, refused: Dossier) -> None:
    for case in (sharp, flat, refused):
        assert deliverables.verdict_card(case).startswith(f"**{case.verdict.verdict}**")


def test_the_card_shows_the_deciding_gap_its_interval_n_and_the_rule(sharp: Dossier) -> None:
    card = shown(deliverables.verdict_card(sharp), sharp)
    assert re.search(
        r"gap@16 overall: 5\.5 pp \[\d\.\d to \d\.\d pp\], n = 360; the rule asks for 5\.0 pp or more", card
    )
    assert re.search(r"\| easy \| GO-OTHER, \w+ \(not met\) \| gap@16 2\.1 pp \[", card)
    assert re.search(r"\| hard \| GO-SSD \(met\) \| gap@16 8\.9 pp \[6\.", card)


def test_a_provisional_go_says_what_that_means(sharp: Dossier) -> None:
    assert sharp.verdict.provisional
    card = shown(deliverables.verdict_card(sharp), sharp)
    assert "Provisional means: the pipeline is a pilot of at most 10% of the budget" in card
    assert f"About {sharp.verdict.problems_to_resolve:,} problems would resolve it" in card


def test_a_refusal_lists_every_gap_with_reason_and_remedy(refused: Dossier) -> None:
    card = shown(deliverables.verdict_card(refused), refused)
    for found in refused.verdict.missing:
        assert f"**{found.field}** ({found.group})" in card
        assert found.why.split(".")[0] in card.replace("\\", "")
    assert "gap@16 overall" not in card


def test_a_stated_basis_cites_the_words_it_rests_on(tmp_path: Path) -> None:
    case = stated(tmp_path)
    card = shown(deliverables.verdict_card(case), case)
    assert "Basis: stated" in card
    assert "“pass_at_k.16 is 0.66”" in card
    assert "66%" in card


def test_the_table_has_a_row_for_every_slice_and_k(sharp: Dossier) -> None:
    table = shown(deliverables.pass_table(sharp), sharp)
    body = [line.split("|") for line in table.splitlines() if line.startswith("|")][2:]
    found = [(cells[1].strip(), cells[2].strip()) for cells in body]
    assert found == [(name, f"pass@{k}") for name in ("overall", "hard", "easy") for k in (1, 4, 8, 16)]


def test_a_sample_that_does_not_vary_is_marked(tmp_path: Path) -> None:
    case = measured(tmp_path, {"hard": SHARP_ON_HARD["hard"], "easy": [16] * 180})
    table = shown(deliverables.pass_table(case), case)
    marked = [line for line in table.splitlines() if "†" in line and line.startswith("|")]
    assert len(marked) == 4
    assert all("easy" in line for line in marked)
    assert "holds about that often or more" in table


@pytest.mark.parametrize("letter", list("ABCDE"))
def test_no_figure_stands_in_a_template_except_by_reference(letter: str, sharp: Dossier) -> None:
    template = REGISTRY[letter].template(sharp)
    assert template is not None
    assert guard.check_file(REGISTRY[letter].file, template, sharp.ledger.entries) == ()


@pytest.mark.parametrize("letter", list("BCDE"))
def test_each_design_says_what_is_declared_measured_and_missing(letter: str, sharp: Dossier) -> None:
    text = shown(REGISTRY[letter].template(sharp), sharp)
    for lead in ("- Declared: ", "- Measured: ", "- Still missing: "):
        assert lead in text


def test_the_report_follows_the_order_of_the_specification(sharp: Dossier) -> None:
    report = deliverables.report(sharp, "ABCDE", ("plots/gap_at_k.svg",))
    heads = re.findall(r"^## (.+)$", report, re.M)
    assert heads[0] == "Verdict"
    assert heads[1].startswith("pass@k and gap@k")
    later = list(deliverables.UNMEASURED)
    assert [report.index(f"| {name} |") for name in later] == sorted(report.index(f"| {name} |") for name in later)


# text of people


@given(st.text())
def test_any_text_is_shown_and_never_obeyed(text: str) -> None:
    escaped = deliverables.markdown(text)
    assert "\n" not in escaped
    assert not claims.REFERENCE.search(escaped)
    inline = MarkdownIt("commonmark", {"html": True}).enable("table").parseInline(f"a {escaped} b")[0]
    assert {token.type for token in inline.children or []} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or []) == f"a {deliverables.printable(text)} b"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\nb\tc", "a b c"), ("a\u202eb", "a\ufffdb"), ("\ue000\x07", "\ufffd\ufffd"), ("gr\u00fcn", "grün")],
)
def test_what_cannot_be_printed_is_replaced(text: str, line: str) -> None:
    assert deliverables.printable(text) == line


# the command line


def test_the_terminal_shows_the_figures_of_the_bundle(sharp: Dossier) -> None:
    assert sharp.table is not None
    screen = deliverables.table_text(sharp.table)
    for quantity, entry in sharp.rows:
        for form in ("value", "ci", "n"):
            assert claims.write(entry, form) in screen, quantity
    assert all(note in screen for note in sharp.table.notes)


def test_the_columns_of_the_terminal_line_up(sharp: Dossier) -> None:
    assert sharp.table is not None
    lines = [line for line in deliverables.table_text(sharp.table).splitlines() if not line.startswith("note")]
    assert len({line.index("pass@") for line in lines[1:]}) == 1
    assert len({len(line) for line in lines}) == 1


def test_a_comparison_names_slice_delta_interval_and_p(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    better = {name: [min(16, c + 4) for c in counts] for name, counts in SHARP_ON_HARD.items()}
    paths = write_counts(tmp_path / "base.jsonl", SHARP_ON_HARD), write_counts(tmp_path / "t" / "tuned.jsonl", better)
    base, tuned = (imports.read(path.read_bytes(), path.name).counts for path in paths)
    found = compare.compare(base, tuned)
    screen = deliverables.comparison_text(found)
    for delta in found.deltas:
        assert claims.figure(delta, "value") in screen
        assert str(claims.figure(delta, "ci")) in screen
    assert "Δpass@1" in screen
    assert "battery: not run" in screen
    assert f"a true change of {claims.figure(found.detectable, 'value')} in pass@1" in screen
    assert all(note in screen for note in found.notes)


def test_a_slice_without_enough_samples_is_absent_and_said(tmp_path: Path) -> None:
    path = write_counts(tmp_path / "c.jsonl", SHARP_ON_HARD)
    table = passk.table(imports.read(path.read_bytes(), path.name).counts, (1, 32))
    screen = deliverables.table_text(table)
    assert "pass@32 " not in screen.split("note:")[0]
    assert "note:" in screen
