"""The claim guard: what no entry supports does not get through, and what explains or asks does."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import guard
from tools.errors import InvalidInput

EASY = {"id": "E1", "name": "pass@1", "value": 0.612, "unit": "fraction", "slice": "easy"}
FELL = {"id": "E2", "name": "delta_pass@1", "value": -3.1, "ci": [-5.0, -1.2], "unit": "pp", "slice": "easy"}
GAP = {"id": "E3", "name": "gap@8", "value": 8.9, "unit": "pp"}
DATA = Path(__file__).parent / "data"


def allowed(text: str, user_msg: str = "") -> bool:
    return bool(guard.contract({"ledger": [EASY, FELL, GAP], "text": text, "user_msg": user_msg})["allowed"])


@pytest.mark.parametrize("text", ["The model scores {{E1}}.", "pass@1 on the easy slice is 61.2%.", "gap@8 is 8.9 pp."])
def test_what_one_entry_supports_passes(text: str) -> None:
    assert allowed(text)


@pytest.mark.parametrize(
    "text",
    [
        "pass@1 on the easy slice is 62%.",
        "pass@1 on the hard slice is 61.2%.",
        "pass@8 on the easy slice is 61.2%.",
        "pass@1 on the easy slice is 61.2 pp.",
        "gap@8 is 8.9%.",
    ],
)
def test_a_numeral_that_disagrees_in_one_respect_is_blocked(text: str) -> None:
    assert not allowed(text)


@pytest.mark.parametrize(
    "text", ["hard-slice pass@8 is {{E1}}", "The score rose to {{E2}}.", "It is {{E9}}.", "{{E1}} pp", "Nearly {{E1}}."]
)
def test_a_reference_that_is_misattributed_is_blocked(text: str) -> None:
    assert not allowed(text)


def test_marked_words_of_the_user_pass_and_launder_nothing() -> None:
    said = "it is maybe 50ish on our set"
    assert allowed("You said “maybe 50ish”; which file shows it?", said)
    assert not allowed("You said “maybe 50ish” and the model now has 62.", said)
    assert not allowed("You said “maybe 60ish”; which file shows it?", said)
    assert not allowed("The score is “maybe 50ish”.", said)


@pytest.mark.parametrize("name", ["first_attacks", "taxonomy"])
def test_attacks_that_were_read_while_tuning_stay_blocked(name: str) -> None:
    case = json.loads((DATA / "guard_case.json").read_text("utf-8"))
    rows = [json.loads(line) for line in (DATA / f"guard_{name}.jsonl").read_text("utf-8").splitlines()]
    through = [row["text"] for row in rows if guard.contract({**case, **row})["allowed"]]
    assert set(through) <= {"It costs $1200."}, through  # which is what E8 of the case says


@pytest.mark.parametrize(
    "text",
    ["The rate is vierunddreissig.", "The rate is zxqwv.", "Rate: ytxis.", "The rate is LXI.", "The rate is si-xty."],
)
def test_a_word_that_no_list_knows_does_not_pass(text: str) -> None:
    assert not allowed(text)
    assert allowed("The rate is in the file.")


def test_the_users_own_words_and_names_need_no_list() -> None:
    assert allowed("The pool comes from Zefanja.", "our pool is from Zefanja")
    assert allowed("Thanks, Marguerite.")
    assert not allowed("The rate is sechzig.", "ist die Rate sechzig?")


HELDOUT = {"id": "E1", "name": "heldout_n", "value": 300, "unit": "count"}
POLICY = {"id": "E2", "name": "policy.heldout_min", "value": 200, "unit": "count"}


def test_a_bare_numeral_passes_with_the_entry_that_holds_it() -> None:
    said = {
        "The held-out set has 300 problems.": True,
        "The held-out set has 301 problems.": False,
        "The held-out set has 300 samples.": False,
        "The policy asks for n >= 200.": True,
        "The policy asks for n >= 300.": False,
        "The held-out set has 200 problems.": False,
    }
    found = {text: guard.contract({"ledger": [HELDOUT, POLICY], "text": text})["allowed"] for text in said}
    assert found == said


@pytest.mark.parametrize(
    ("statement", "open_form"),
    [
        ("The tuned model improved.", "Whether the tuned model improved is not known yet."),
        ("The gap is large.", "If the gap is large, training is worth a pilot."),
        ("You should know that the model is better.", "Could you tell me whether the model is better?"),
        ("The hard slice is no longer a worry.", "The hard slice is a group of problems."),
    ],
)
def test_a_result_may_be_asked_or_supposed_but_not_stated(statement: str, open_form: str) -> None:
    assert not allowed(statement)
    assert allowed(open_form)


def test_letters_at_the_heads_of_lines_spell_no_number() -> None:
    assert not allowed("Note the order.\nI ask first.\nNext, the log.\nEnd with a check.")
    assert allowed("First, the order.\nThen I ask.\nNext, the log.\nEnd with a check.")


@pytest.mark.parametrize("row", [{"text": 7}, {"text": "x", "ledger": {}}, {"text": "x", "ledger": [{"id": "E1"}]}, {}])
def test_a_malformed_row_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        guard.contract(row)


@given(st.text(max_size=300))
def test_any_text_is_judged_and_spans_are_where_they_say(text: str) -> None:
    for found in guard.check(text, ()):
        assert text[found.start : found.end] == found.span or len(found.span) == found.end - found.start


@pytest.mark.parametrize(
    "piece", ["a-", "word ", "6", "|", "{{E1", "{{E1}}. ", "“", "one", "k = 8, ", "M", "no model ", "1. \n", "a.\n"]
)
def test_long_input_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    guard.check(piece * (100_000 // len(piece)), (guard.GuardEntry.model_validate(GAP),))
    assert time.process_time() - start < 4


def test_a_bundle_file_holds_no_figure_of_its_own() -> None:
    assert guard.check_file("REPORT.md", "The lift was 12.5 points.\n", ())
    assert not guard.check_file("REPORT.md", "## 1. Gap\n\npass@8, 95% CI, E12\n", ())


@pytest.mark.parametrize(
    ("name", "structure", "figure"),
    [
        ("a.svg", '<svg width="720"><text x="1">25%</text></svg>', "<svg><text>lift 12.5 pp</text></svg>"),
        ("a.sh", "port=${PORT:-8000} # $1 of 127.0.0.1\n", "# lift 12.5 pp\n"),
        ("a.json", '{"name": "sha256"}', '{"lift": 12.5}'),
        ("a.txt", "see pass@8", "12.5 more"),
    ],
)
def test_every_kind_of_text_file_is_read(name: str, structure: str, figure: str) -> None:
    assert guard.check_file(name, structure, ()) == ()
    assert guard.check_file(name, figure, ())
