"""What a message states as fact, and what it does not."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import extract
from agent.reading import numbers


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("p@1 .43 / p@8 .61 (16 samples)", {"pass_at_1": 0.43, "pass_at_k": {"8": 0.61}}),
        ("pass@{1,4} = 31.2/44 %", {"pass_at_1": 0.312, "pass_at_k": {"4": 0.44}}),
        ("pass@1 and pass@8 are 43% and 61% respectively", {"pass_at_1": 0.43, "pass_at_k": {"8": 0.61}}),
        ("43% pass@1, 61% pass@8", {"pass_at_1": 0.43, "pass_at_k": {"8": 0.61}}),
        ("pass at eight is sixty one percent", {"pass_at_k": {"8": 0.61}}),
        ("pass@1 = 0,43", {"pass_at_1": 0.43}),
        ("the context length is 32.768 tokens", {"context_length": 32768}),
        ("two 8xH100 nodes for a day", {"gpu_type": "H100", "gpu_hours_total": 384}),
        ("8 H100s for 3 days", {"gpu_type": "H100", "gpu_hours_total": 576}),
        ("8 H100s over the weekend", {"gpu_type": "H100"}),
        ("just me", {"team_size": 1}),
        ("otherwise we'd do DPO", {"comparator": "dpo"}),
        ("no verifier", {"verifier": "none"}),
        ("not contamination-checked yet", {"contamination_checked": False}),
        ("we have no rollback", {"has_rollback": False}),
        ("need a signal by two weeks", {"first_signal_days": 14}),
        ("the paper got 55.3, we get 43% pass@1", {"pass_at_1": 0.43}),
        ("1.5k problems held out", {"heldout_n": 1500}),
        ("pass@4 is 52%, same for k=8", {"pass_at_k": {"4": 0.52, "8": 0.52}}),
        ("96 out of 240 problems pass at the first attempt", {"heldout_n": 240, "pass_at_1": 0.4}),
        ("pass@1 is 0.43%", {"pass_at_1": 0.0043}),
        ("unit tests are what we verify with", {"verifier": "unit_tests"}),
        ("GRPO is overkill, but that's what we'd do otherwise", {"comparator": "grpo"}),
        ("qwen two point five coder seven b", {"model_name": "qwen2.5-coder-7b", "parameter_count": 7_000_000_000}),
        ("7e9 params", {"parameter_count": 7_000_000_000}),
        ("two fifty problems in the held-out set", {"heldout_n": 250}),
        ("A100-80G x 8 for 12h", {"gpu_type": "A100-80G", "gpu_hours_total": 96}),
        ("3 nodes, 8x H200 each, reserved for 5 days", {"gpu_type": "H200", "gpu_hours_total": 2880}),
        ("8 H100s, 3 days to first signal", {"gpu_type": "H100", "first_signal_days": 3}),
        ("12 GPU-days for sampling", {"gpu_hours_sampling": 288}),
        ("half of the 300 GPU-hours goes to sampling", {"gpu_hours_total": 300}),
        ("our goal is 50% pass@1; the current value is 44.6%", {"pass_at_1": 0.446}),
        ("I said 240 problems, I meant 420", {"heldout_n": 420}),
        ("pass@1 is not 43% but 41%", {"pass_at_1": 0.41}),
        ("one round of SSD took pass@1 from 41% to 45%", {"pass_at_1": 0.41, "round1": {"pass_at_1": 0.45}}),
        ("rollback? yeah, one click. ckpts? nope", {"has_rollback": True, "has_checkpoint_discipline": False}),
        ("we dont have a verifier", {"verifier": "none"}),
        ("if wrong: bad queries hit dashboards", {"failure_cost": "bad queries hit dashboards"}),
        ("wrong output = angry customers", {"failure_cost": "wrong output = angry customers"}),
        ("mistakes are cheap, a dev retries", {"failure_cost": "mistakes are cheap, a dev retries"}),
        ("correct me if wrong: 300 problems", {"heldout_n": 300}),
    ],
)
def test_a_stated_fact_is_read(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("pool is separate from eval", True),
        ("the test problems were never in the pool", True),
        ("we removed every test problem from the prompt pool", True),
        ("pool and eval share nothing", True),
        ("the pool is not separate from the eval set", False),
        ("eval problems are in the pool", False),
        ("we haven't kept the eval problems out of the pool", False),
        ("is the pool separate from the eval?", None),
        ("the pool might overlap with eval, not sure", None),
        ("we took 200 test problems out of the pool", None),
    ],
)
def test_whether_pool_and_evaluation_are_apart_is_read_where_it_is_said(text: str, apart: bool | None) -> None:
    facts = {fact.field: fact.value for fact in extract.read(text).facts}
    assert facts.get("heldout_disjoint_from_pool") is apart


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pass@1 is about 43%", "hedge"),
        ("I think pass@1 is 43%", "hedge"),
        ("say 40% pass@1", "hypothetical"),
        ("let's assume pass@8 is 60", "hypothetical"),
        ("if pass@1 were 43%, then fine", "hypothetical"),
        ("is 43% pass@1 any good?", "question"),
        ("pass@8 is 40-45%", "range"),
        ("the paper reports 55.3% pass@1", "someone_else"),
        ("our target is 60% pass@1", "target"),
        ("maybe 50ish pass@1", "hedge"),
        ("Let's say 40% pass@1 for the sake of the exercise", "hypothetical"),
        ("Say they had 40% pass@1", "hypothetical"),
        ("my colleague says pass@1 is 43%", "someone_else"),
        ("somebody claimed 70% pass@1", "hedge"),
    ],
)
def test_what_is_no_fact_is_not_recorded_and_said_with_its_reason(text: str, reason: str) -> None:
    reading = extract.read(text)
    assert not [fact for fact in reading.facts if fact.field.startswith("pass")]
    assert reason in [item.reason for item in reading.unrecorded]


@pytest.mark.parametrize(
    "text",
    [
        "a few hundred problems",
        "team: 2.5 FTE",
        "four or five people",
        "four engineers and a PM",
        "pass@1 was 38% last year",
        "Should we use 300 GPU-hours for sampling? No.",
        "According to the paper, Qwen3-30B gains most.",
        "8 GPUs, 10 hours a day for 5 days",
    ],
)
def test_a_figure_that_cannot_be_pinned_down_is_left_out(text: str) -> None:
    assert extract.contract(text) == {}


def test_slices_in_a_sentence_keep_their_sizes_and_rates() -> None:
    assert extract.contract("easy: 120 problems, 81%; hard: 90, 12% / 31% at 8") == {
        "slices": {
            "easy": {"n": 120, "pass_at_1": 0.81},
            "hard": {"n": 90, "pass_at_1": 0.12, "pass_at_k": {"8": 0.31}},
        }
    }


def test_a_table_and_a_config_say_the_same_as_prose() -> None:
    table = "| slice | n | pass@1 |\n|---|---|---|\n| hard | 90 | 12% |"
    config = "slices:\n  hard: {n: 90, pass@1: 0.12}"
    prose = "The hard slice has 90 problems and a pass@1 of 12%."
    assert extract.contract(table) == extract.contract(config) == extract.contract(prose) != {}


def test_a_correction_keeps_the_last_value_and_remembers_the_first() -> None:
    reading = extract.read("pass@1 is 43. no wait, 41.")
    assert [(fact.field, fact.value) for fact in reading.facts] == [("pass_at_1", 0.41)]
    assert [(c.old, c.new) for c in reading.corrections] == [(0.43, 0.41)]


def test_two_values_without_a_correction_both_stand_to_be_asked_about() -> None:
    values = [fact.value for fact in extract.read("pass@1 is 43%. Then again pass@1 is 47%.").facts]
    assert values == [0.43, 0.47]


def test_the_words_of_a_fact_are_the_users_own_characters() -> None:
    text = "Note: pass@１ is 43\u202f%, the rest later"
    fact = extract.read(text).facts[0]
    assert text[fact.start : fact.end] == fact.words
    assert fact.value == 0.43


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("forty-three point five", 43.5),
        ("one hundred and twenty", 120),
        ("half a million", 500_000),
        ("1.5k", 1500),
        ("7.6B", 7.6e9),
        ("32,768", 32768),
        ("0,435", 0.435),
        ("٤٣", 43),
        ("point four three", 0.43),
        ("three and a half", 3.5),
        ("6.7e9", 6.7e9),
        ("two fifty", 250),
        ("İ 43", 43),
    ],
)
def test_a_number_is_read_however_it_is_written(written: str, value: float) -> None:
    assert [n.value for n in numbers.find(numbers.normalise(written))] == [value]


@given(st.floats(0, 100).map(lambda x: round(x, 1)), st.sampled_from(["{}%", "{} percent", "{} %"]))
def test_any_percentage_is_read_as_its_fraction(value: float, style: str) -> None:
    fields = extract.contract(f"pass@8 is {style.format(value)}.")
    assert fields["pass_at_k"]["8"] == pytest.approx(value / 100)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=300))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    reading = extract.read(text)
    assert all(text[fact.start : fact.end] == fact.words for fact in reading.facts)


@pytest.mark.parametrize(
    "unit",
    [
        *("{", "(", "[", "1,", "-1", "1.1.", "1 ", "forty ", "two fifty ", "123456789", "٣٫٤ ", " ", "\n", "\x00\xff"),
        *(
            "a.",
            "a-",
            "qwen-",
            "llama 3 ",
            "|a",
            "a=1\n",
            "a | 1\n",
            "x? yes\n",
            "pass@1 ",
            "pass@1 is 43%. ",
            "easy 4 ",
        ),
        *(
            "8 nodes of ",
            "8 h100 ",
            "we have 3 ",
            "otherwise dpo ",
            "contamination ",
            "checkpoint ",
            "python, ",
            "maybe ",
        ),
    ],
)
def test_a_hundred_kilobytes_of_anything_are_read_in_bounded_time(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    started = time.process_time()
    extract.read(text)
    assert time.process_time() - started < 5  # a catastrophic pattern takes minutes; the slowest of these half a second


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("rust codegen, pass@1 31%", {"languages": ["rust"], "pass_at_1": 0.31}),
        ("we do js autocomplete", {"languages": ["javascript"]}),
        ("things go coding wise", {}),
        ("base: codegen-350M-mono", {"model_name": "codegen-350M-mono"}),
    ],
)
def test_what_follows_a_language_can_make_it_one_and_is_no_model(text: str, fields: dict[str, object]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    "text",
    [
        "Our base is a 7B, plus or minus.",
        "pass@8 is 58%, unconfirmed so far",
        "pass@1: 41% (a guess)",
        "180 GPU-hours or so",
        "we are seven, perhaps",
        "heldout_n: 350  # to be confirmed",
        "heldout_n: 350  // still being collected",
        "pass@1: 60% (target)",
        "pass@1 is 47%. Not verified yet.",
        "40 GPU-hours for eval (not approved yet)",
        "52% pass@1, 66% pass@8, from memory",
        "52% pass@1, 66% pass@8 (both still need to be confirmed)",
        "pass@1: 41% (theirs)",
        "pass@8 is 58%, but only on the easy half",
        "gpu_type: H200  # on order",
        "license: mit  # check again",
        "pass@1 36%, pass@8 52% -- preliminary",
        "has_rollback: yes (in theory)",
        "the 52% pass@1 I sent you was wrong",
    ],
)
def test_an_afterthought_takes_the_certainty_from_the_figure_before_it(text: str) -> None:
    assert extract.contract(text) == {}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("pass@8 is 58%, confirmed on a second machine", {"pass_at_k": {"8": 0.58}}),
        ("heldout_n: 350  # deduplicated", {"heldout_n": 350}),
        ("pass@1 is 43%, maybe worth a look", {"pass_at_1": 0.43}),
        ("pass@1 is 43%, and the license is probably MIT", {"pass_at_1": 0.43}),
        ("pass@1 43%, target 60%", {"pass_at_1": 0.43}),
        ("180 GPU-hours (planned)", {"gpu_hours_total": 180}),
    ],
)
def test_what_follows_a_figure_and_says_something_else_leaves_it_a_fact(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("the overlap scan segfaulted, nobody restarted it", {"contamination_checked": False}),
        ("contamination audit: aborted", {}),
        ("the contamination job is still queued", {}),
        ("a contamination check costs us a day", {}),
        ("Open items: contamination, Ruth, Thursday.", {}),
        ("For the contamination check I need the test tasks, not for sampling.", {}),
        ("we attempted a contamination check, it ran out of memory", {}),
        ("our rollback procedure is mostly prayer", {"has_rollback": False}),
        ("the rollback button has been broken since spring", {"has_rollback": False}),
        ("rollback exists, on paper", {}),
        ("rollback works now and then", {}),
        ("The rollback lives in somebody's head.", {}),
        ("the verifier is a test suite that has been red since June", {}),
        ("checkpoints are kept when someone remembers", {}),
        ("we are supposed to have a rollback", {}),
        ("Rolling back means rebuilding an image by hand.", {}),
        ("rollback... somebody would have to know the tag", {}),
        ("checkpoint retention was switched off", {"has_checkpoint_discipline": False}),
        ("the verifier is a pytest suite, currently broken", {}),
        ("9 problems failed the contamination check and were removed", {"contamination_checked": True}),
    ],
)
def test_a_thing_that_is_named_and_then_undone_is_no_yes(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("the overlap scan finished without hits", {"contamination_checked": True}),
        ("the contamination audit came back clean", {"contamination_checked": True}),
        ("13-gram check attached, 0 hits", {"contamination_checked": True}),
        ("rollback works, rehearsed every month", {"has_rollback": True}),
        ("we can roll back a broken release within minutes", {"has_rollback": True}),
        ("all checkpoints are kept, failed runs included", {"has_checkpoint_discipline": True}),
        ("crashed deploys are rolled back, rollback started by one command", {"has_rollback": True}),
        ("pytest decides; samples whose tests fail are thrown out", {"verifier": "unit_tests"}),
    ],
)
def test_a_plain_yes_stays_a_yes_whatever_else_is_broken(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("They quoted us 900 GPU-hours, management granted 350.", {"gpu_hours_total": 350}),
        ("We burned 600 GPU-hours on another project last year. For this one there are 150.", {"gpu_hours_total": 150}),
        (
            "The previous checkpoint, codellama-13b, was at 27% pass@1. Our current model, starcoder2-15b, is at 35%.",
            {"model_name": "starcoder2-15b", "pass_at_1": 0.35},
        ),
        ("As soon as the order is delivered we have 8 H200s; for now it's an L40S.", {"gpu_type": "L40S"}),
        ("We cannot get H100s. A6000s, two of them.", {"gpu_type": "A6000"}),
        ("no A100s in this building", {}),
        ("The cloud offered us 64 H100s, we took 8 A100s.", {"gpu_type": "A100"}),
        ("Before the move we had V100s. Since then: 4x A40.", {"gpu_type": "A40"}),
        ("The application asks for 900 GPU-hours, the board awarded 350.", {"gpu_hours_total": 350}),
        ("Until recently we used codellama-7b. The model now is granite-8b.", {"model_name": "granite-8b"}),
        ("we used to run on T4s, today on an A10G", {"gpu_type": "A10G"}),
    ],
)
def test_what_is_quoted_old_denied_or_still_to_come_does_not_win(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("We will use 8 H100s for 2 days", {"gpu_type": "H100", "gpu_hours_total": 384}),
        ("We have H100s, no A100s", {"gpu_type": "H100"}),
        ("When it comes to hardware we have 8 H100s", {"gpu_type": "H100"}),
        ("We'll have 350 GPU-hours once you agree.", {"gpu_hours_total": 350}),
        ("You asked for the model: codegemma-7b", {"model_name": "codegemma-7b"}),
        ("After the old cluster died we got 4 A100s.", {"gpu_type": "A100"}),
        ("We were promised 16 H200s. What we got: 8 L40S.", {"gpu_type": "L40S"}),
        ("Last year pass@1 was 24%. Since the retrain it is 39%.", {"pass_at_1": 0.39}),
        ("Same model as the old team used, now at 41% pass@1", {"pass_at_1": 0.41}),
    ],
)
def test_a_plan_or_a_denial_of_something_else_leaves_the_fact(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            "Priya's squad gets 58% pass@1 with this checkpoint; ours on our 190 problems is 46%.",
            {"heldout_n": 190, "pass_at_1": 0.46},
        ),
        ("Per the Granite technical report pass@8 is 77%, we only managed 69%.", {"pass_at_k": {"8": 0.69}}),
        ("pass@1 was put at 49% by our former contractor, I get 43%.", {"pass_at_1": 0.43}),
        ("The readme promises 61% pass@8; on our machine it comes out at 55%.", {"pass_at_k": {"8": 0.55}}),
        ("They run codellama-7b over there.", {}),
        ("A friend at a bank gets 58% pass@1, mine is 52%.", {"pass_at_1": 0.52}),
        ("another lab sees 55% pass@1", {}),
        ("the documentation says pass@1 is 62%", {}),
        ("the release notes put pass@8 at 71%", {}),
        ("a group down the hall has pass@1 at 51%", {}),
        ("The authors of codegemma-7b got 56% pass@1.", {}),
    ],
)
def test_the_figures_of_others_are_not_ours(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("According to our logs pass@1 is 41%", {"pass_at_1": 0.41}),
        ("Our team's pass@1 is 44%", {"pass_at_1": 0.44}),
        ("we publish one value, on 400 held-out problems", {"heldout_n": 400}),
        ("for the release note 410 held-out problems are kept apart", {"heldout_n": 410}),
        ("Today's team is five people", {"team_size": 5}),
        ("pass@1 is 41%, per our own harness", {"pass_at_1": 0.41}),
    ],
)
def test_our_own_account_is_ours(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("> pass@8 is 64%\nNot quite right, sorry.", {}),
        (
            "> we have 400 held-out problems and 52% pass@1\nIncorrect. It is 370 and 48.5%.",
            {"heldout_n": 370, "pass_at_1": 0.485},
        ),
        ("> pass@1 is 43%\nThat's correct.", {"pass_at_1": 0.43}),
        ("> Is pass@1 43%?\nYes.", {"pass_at_1": 0.43}),
        ("> Is pass@1 43%?\nNo. 39%.", {"pass_at_1": 0.39}),
        ("> Rollback?\nYes, tested.", {"has_rollback": True}),
        ("> pass@1 was at 40% when we last spoke\nWe have an A6000.", {"gpu_type": "A6000"}),
        ("pass@1 is 43%. That's wrong. It is 45%.", {"pass_at_1": 0.45}),
    ],
)
def test_a_quoted_line_is_somebody_elses_unless_the_answer_agrees(text: str, fields: dict[str, Any]) -> None:
    assert extract.contract(text) == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("2 in 5 on the first try, 3 in 4 given ten goes", {"pass_at_1": 0.4, "pass_at_k": {"10": 0.75}}),
        ("1 in 4 problems passes", {}),
        ("3 out of 8 pass first try", {"pass_at_1": 0.375}),
        ("one in five tasks passes on the first attempt", {"pass_at_1": 0.2}),
        ("team of 9? no, smaller", {}),
        ("pass@8 is 61%, 2 in 5 weeks were lost", {"pass_at_k": {"8": 0.61}}),
        ("84/240 at k=1, 132/240 at k=8", {"heldout_n": 240, "pass_at_1": 0.35, "pass_at_k": {"8": 0.55}}),
        ("pass@8 = 0.58 -- single run, n = 240 held out", {"heldout_n": 240, "pass_at_k": {"8": 0.58}}),
        ("190 set aside for evaluation", {"heldout_n": 190}),
        ("Required: >=250 held-out problems. We have 180.", {"heldout_n": 180}),
        ("checkpoints every epoch, keep all of them in GCS", {"has_checkpoint_discipline": True}),
        ("checkpoint every epoch but keep only the last", {}),
        ("Mostly C++20.", {"languages": ["c++"]}),
        ("pass@8: ~~61%~~ 58.5%", {"pass_at_k": {"8": 0.585}}),
        ("GPU: ~~A100~~ L40S", {"gpu_type": "L40S"}),
        ("$ python run_eval.py --k 8", {}),
        ("python run_eval.py, on Kotlin problems", {"languages": ["kotlin"]}),
        ("Python only, started with python run_eval.py", {"languages": ["python"]}),
        ("If it degrades users leave, last time 3% did", {"failure_cost": "users leave, last time 3% did"}),
        ("if it regresses on long files, reviews slow down", {"failure_cost": "reviews slow down"}),
    ],
)
def test_shares_sizes_struck_figures_and_typed_commands_are_read_for_what_they_are(
    text: str, fields: dict[str, Any]
) -> None:
    assert extract.contract(text) == fields
