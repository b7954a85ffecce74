"""Facts on their way into the ledger: drafts, proposals, contradictions, the checklist."""

from pathlib import Path

import pytest

from agent import contradictions, extract, intake
from agent.driver import Proposal
from tools import claims
from tools.evidence import Ledger
from tools.records import Evidence, Missing, Workload
from tools.workload import fold


def said(ledger: Ledger, *messages: str) -> list[Evidence]:
    """The entries that these messages put into a ledger, one turn each."""
    return [
        ledger.append(draft)
        for turn, message in enumerate(messages, len(ledger.entries))
        for draft in intake.drafts(extract.read(message), turn)
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def questions(ledger: Ledger, before: str, now: str) -> list[str]:
    """What is asked after the second message."""
    said(ledger, before)
    workload = fold(ledger.entries)
    clashes = contradictions.among(workload, said(ledger, now))
    return [claims.fill(clash.question, ledger).text for clash in clashes]


def test_facts_fold_into_the_workload_with_the_newest_winning(ledger: Ledger) -> None:
    said(ledger, "Qwen2.5-Coder-7B, pass@1 is 43%, hard slice: 90 problems, 12%", "sorry, pass@1 is 41%")
    workload = fold(ledger.entries)
    assert (workload.model, workload.pass_at_1) == ("Qwen2.5-Coder-7B", 0.41)
    assert (workload.slices["hard"].n, workload.slices["hard"].pass_at_1) == (90, 0.12)


def test_every_draft_keeps_the_words_and_the_same_turn_gives_the_same_key() -> None:
    reading = extract.read("pass@8 is 61%, and we are a team of 4")
    first, again, later = (intake.drafts(reading, turn) for turn in (1, 1, 2))
    assert {draft.words for draft in first} == {"pass@8 is 61%", "team of 4"}
    assert [d.key for d in first] == [d.key for d in again] != [d.key for d in later]


def test_pass_at_8_below_pass_at_4_is_asked_about(ledger: Ledger) -> None:
    asked = questions(ledger, "pass@4 is 55%", "pass@8 is 50%")
    assert any("below" in question and "50%" in question for question in asked)


def test_pass_at_16_from_8_samples_is_asked_about(ledger: Ledger) -> None:
    assert any("samples" in q for q in questions(ledger, "8 samples per problem", "pass@16 is 50%"))


def test_a_size_that_changes_is_asked_about_unless_it_is_corrected(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path / "a.jsonl"), Ledger(tmp_path / "b.jsonl")
    assert questions(one, "240 held-out problems", "300 held-out problems")
    assert not questions(other, "240 held-out problems", "sorry, 300 held-out problems")


def test_fractions_beside_percentages_are_asked_about(ledger: Ledger) -> None:
    assert any("fractions" in question for question in questions(ledger, "hi", "pass@1 is .43, pass@8 is 61"))


def test_slices_larger_than_the_set_are_asked_about(ledger: Ledger) -> None:
    assert questions(ledger, "200 held-out problems", "easy: 150 problems, hard: 120 problems")


def test_figures_that_agree_raise_no_question(ledger: Ledger) -> None:
    assert questions(ledger, "pass@1 is 43%, 16 samples per problem", "pass@8 is 61%") == []


@pytest.mark.parametrize(
    ("field", "value", "words", "holds"),
    [
        ("pass_at_1", 0.43, "a single attempt solves 43%", True),
        ("pass_at_1", 0.44, "a single attempt solves 43%", False),
        ("pass_at_1", 0.43, "a single attempt solves about 43%", False),
        ("pass_at_1", 0.43, "43%", False),
        ("pass_at_k.16", 0.415, "41.5%", False),
        ("pass_at_k.8", 0.61, "top-8 accuracy of 61%", True),
        ("pass_at_k.16", 0.61, "top-8 accuracy of 61%", False),
        ("slices.hard.pass_at_1", 0.12, "a single attempt solves 12%", False),
        ("pass_at_k.8", 0.61, "pass@8 of 61%", True),
        ("pass_at_k.4", 0.61, "pass@8 of 61%", False),
        ("context_length", 32768, "32k", True),
        ("team_size", 4, "four", True),
        ("has_rollback", True, "we have no rollback", False),
        ("comparator", "dpo", "otherwise we'd do DPO", True),
        ("model", "Fennel", "we call it Fennel", True),
        ("model", "Fennel", "we call it Basil", False),
    ],
)
def test_a_proposed_value_holds_only_if_the_words_read_back_to_it(
    field: str, value: object, words: str, holds: bool
) -> None:
    assert intake.reparses(field, value, words) is holds  # type: ignore[arg-type]


def test_a_proposal_that_cut_off_the_hedge_is_dropped() -> None:
    message = "our first-try success is about 43%"
    cut = Proposal(field="pass_at_1", value=0.43, words="43%")
    assert intake.proposed([cut], message, 1) == []


def test_a_proposal_of_words_that_nobody_said_is_dropped() -> None:
    assert intake.proposed([Proposal(field="pass_at_1", value=0.43, words="43%")], "hello", 1) == []


def test_the_checklist_has_every_group_and_names_what_is_missing() -> None:
    gap = Missing(field="heldout_n", group="IN-3", why="w", how="h")
    rows = intake.checklist([gap])
    assert [row.group for row in rows] == [f"IN-{i}" for i in range(1, 8)]
    assert [row.missing for row in rows if not row.done] == [("heldout_n",)]


def test_an_empty_message_leaves_the_workload_empty(ledger: Ledger) -> None:
    said(ledger, "", "hello there")
    assert fold(ledger.entries) == Workload()
