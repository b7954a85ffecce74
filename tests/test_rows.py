"""Training rows: nothing leaves the minimal arm, every other arm says what it did, and the mix keeps its ratio."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_plan import changed

from tools.errors import AntiPattern, InvalidInput, StoreCorrupt
from tools.records import Decoding, Grade, Sample
from tools.runs import Run
from tools.tune import rows
from tools.tune.plan import Arm, Plan, brief_minimal, deviations, paper
from tools.tune.rows import ARMS, Drawn, Origin

SHAPED = Decoding(temperature=0.8, top_p=0.95, max_tokens=96)
PLAIN = Decoding(temperature=1, max_tokens=96)
TEXTS = ["", "x = 1", "def f():\n    return 1", "def f():\n    return 1", "def ("]
PASSED = {2, 3}


def drawn(prompts: int = 3, *, graded: bool = True, starved: str = "p0") -> list[Drawn]:
    """Per prompt: an empty answer, a stub, the same right answer twice, and one that does not parse."""
    return [_drawn(f"p{p}", index, text, graded, starved) for p in range(prompts) for index, text in enumerate(TEXTS)]


def _drawn(id: str, index: int, text: str, graded: bool, starved: str) -> Drawn:
    passed = index in PASSED and id != starved
    reason = "passed" if passed else "syntax" if index == 4 else "wrong"
    grade = Grade(id=id, index=index, passed=passed, reason=reason, tier="none") if graded else None
    reached = "length" if index == 4 else "stop"
    sample = Sample(id=id, index=index, text=text, finish_reason=reached, tokens=len(text), seed=index)
    return Drawn(prompt=f"Write {id}.", sample=sample, grade=grade)


def origin(decoding: Decoding = SHAPED) -> Origin:
    return Origin(base_sha256="b" * 64, decoding=decoding, chat_template_sha256="c" * 64)


def of_arm(arm: Arm, **parts: Any) -> Plan:
    return changed(arm=arm.model_dump(), **parts)


Built = tuple[Run, rows.Selection]


def build(folder: Path, arm: Arm = rows.MINIMAL, decoding: Decoding = SHAPED, **more: Any) -> Built:
    run = Run(folder, {"rows": "of a test"})
    plan = of_arm(arm, **more.pop("plan", {}))
    return run, rows.build(run, plan, more.pop("drawn", drawn()), origin(decoding), **more)


def test_the_minimal_arm_keeps_empty_wrong_and_cut_off_answers(tmp_path: Path) -> None:
    run, found = build(tmp_path)
    assert (found.arm.name, found.kept, found.dropped) == ("minimal", 15, {})
    assert [pair.completion for pair in rows.pairs(run)] == TEXTS * 3
    assert [pair.ended for pair in rows.pairs(run)][:5] == [True, True, True, True, False]


def test_every_row_has_its_sidecar_line(tmp_path: Path) -> None:
    run, _ = build(tmp_path)
    beside = [json.loads(line) for line in (run.folder / rows.SIDECAR).read_text().splitlines()]
    assert beside[7] == {
        "sample_id": "p1/2",
        "prompt_id": "p1",
        "base_sha256": "b" * 64,
        "decoding": SHAPED.model_dump(mode="json"),
        "seed": 2,
        "finish_reason": "stop",
        "tokens": len(TEXTS[2]),
    }
    first = json.loads((run.folder / rows.SFT).read_text().splitlines()[7])
    assert first == {"prompt": "Write p1.", "completion": TEXTS[2]}


@pytest.mark.parametrize(
    ("filters", "name", "kept"),
    [
        (("verifier_accepted",), "verifier-aware", 4),
        (("verifier_accepted", "distinct"), "rejection-sampling", 2),
        (("drop_empty",), "filtered: drop_empty", 12),
        (("drop_empty", "drop_stubs"), "filtered: drop_empty, drop_stubs", 6),
        (("parses",), "filtered: parses", 12),
        (("drop_shortest",), "filtered: drop_shortest", 14),
    ],
)
def test_an_arm_is_named_for_what_was_done_to_its_rows(
    tmp_path: Path, filters: tuple[str, ...], name: str, kept: int
) -> None:
    _, found = build(tmp_path, Arm.model_validate({"filter": filters}))
    assert (found.arm.name, found.kept) == (name, kept)
    assert found.seen == 15 == kept + sum(found.dropped.values())
    assert tuple(found.dropped) == filters


def test_every_filter_that_can_be_planned_can_be_applied() -> None:
    from typing import get_args

    from tools.tune.plan import Filter

    assert set(rows.FILTERS) == set(get_args(Filter))


def test_no_two_arms_share_a_name_and_none_takes_another() -> None:
    names = [arm.name for arm in ARMS]
    assert len(set(names)) == len(names) == 5
    for arm in ARMS:
        with pytest.raises(AntiPattern, match="blurred_filtering"):
            Arm.model_validate(arm.model_dump() | {"name": "minimal" if arm.name != "minimal" else "placebo"})


def test_unfiltered_rows_at_temperature_one_without_truncation_are_the_placebo_whatever_was_planned(
    tmp_path: Path,
) -> None:
    _, found = build(tmp_path, decoding=PLAIN)
    assert found.arm.name == "placebo"
    assert build(tmp_path / "top", decoding=PLAIN.model_copy(update={"top_k": 20}))[1].arm.name == "minimal"


def test_a_placebo_of_shaped_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="T = 1"):
        build(tmp_path, rows.PLACEBO)


def test_the_decode_control_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="trains nothing"):
        build(tmp_path, rows.DECODE_CONTROL)
    assert not (tmp_path / rows.SFT).exists()


def test_acceptance_is_told_overall_per_slice_and_per_prompt_and_starved_prompts_are_named(tmp_path: Path) -> None:
    slices = {"p0": "hard", "p1": "easy", "p2": "easy"}
    _, found = build(tmp_path, rows.VERIFIER_AWARE, slices=slices)
    told = found.acceptance
    assert told is not None
    assert (told.overall, told.starved, told.ungraded) == (4 / 15, ("p0",), 0)
    assert told.slices == {"hard": 0, "easy": 0.4}
    assert told.prompts == {"p0": 0, "p1": 0.4, "p2": 0.4}


def test_samples_without_a_grade_are_counted_and_not_accepted(tmp_path: Path) -> None:
    half = [d if d.sample.id == "p1" else d.model_copy(update={"grade": None}) for d in drawn()]
    _, found = build(tmp_path, rows.VERIFIER_AWARE, drawn=half)
    assert found.acceptance is not None
    assert (found.kept, found.acceptance.ungraded, found.acceptance.starved) == (2, 10, ("p0", "p2"))


@pytest.mark.parametrize("arm", [rows.VERIFIER_AWARE, Arm.model_validate({"filter": ("parses",)})])
def test_an_arm_that_needs_grades_is_refused_without_any(tmp_path: Path, arm: Arm) -> None:
    with pytest.raises(InvalidInput, match="no sample has a grade"):
        build(tmp_path, arm, drawn=drawn(graded=False))


def test_a_verifier_that_accepts_nothing_leaves_no_arm(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="left none of 5 rows"):
        build(tmp_path, rows.VERIFIER_AWARE, drawn=drawn(1))


def test_the_order_in_which_samples_arrived_changes_no_byte(tmp_path: Path) -> None:
    _, straight = build(tmp_path / "a")
    _, backwards = build(tmp_path / "b", drawn=drawn()[::-1])
    assert backwards == straight


POOL = [{"prompt": f"Talk {i}.", "completion": f"Said {i}.", "of": "no matter"} for i in range(9)]


@pytest.mark.parametrize(("ratio", "mixed"), [(0, 0), (0.05, 1), (0.1, 2), (0.2, 4)])
def test_the_mix_keeps_its_declared_ratio(tmp_path: Path, ratio: float, mixed: int) -> None:
    run, found = build(tmp_path, plan={"mix": {"ratio": ratio, "source": "talk"}}, base_like=POOL)
    assert (found.base_like, len(rows.pairs(run))) == (mixed, 15 + mixed)
    assert len({pair.prompt for pair in rows.pairs(run)[15:]}) == mixed
    again = build(tmp_path / "again", plan={"mix": {"ratio": ratio, "source": "talk"}}, base_like=POOL)[1]
    assert again.sft_sha256 == found.sft_sha256


def test_a_mix_above_a_fifth_is_no_plan_and_one_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AntiPattern, match="heavy_mix"):
        build(tmp_path, plan={"mix": {"ratio": 0.21, "source": "talk"}}, base_like=POOL)
    with pytest.raises(InvalidInput, match="3 base-like rows"):
        build(tmp_path, plan={"mix": {"ratio": 0.2, "source": "talk"}}, base_like=POOL[:3])


@pytest.mark.parametrize("gone", [0, 4, 7])
def test_samples_that_someone_took_out_make_no_minimal_arm(tmp_path: Path, gone: int) -> None:
    left = drawn()[:gone] + drawn()[gone + 1 :]
    with pytest.raises(InvalidInput, match="4 samples of p"):
        build(tmp_path, drawn=left)
    with pytest.raises(InvalidInput, match="6 samples of p0"):
        build(tmp_path, drawn=[*drawn(), drawn()[2]])


def test_what_was_done_is_read_back_with_its_acceptance(tmp_path: Path) -> None:
    run, found = build(tmp_path, rows.VERIFIER_AWARE)
    assert rows.selected(run) == found


def test_a_row_that_leaves_by_hand_does_not_leave_unnoticed(tmp_path: Path) -> None:
    run, found = build(tmp_path)
    assert rows.selected(run) == found
    lines = (run.folder / rows.SFT).read_bytes().splitlines(keepends=True)
    (run.folder / rows.SFT).write_bytes(b"".join(lines[1:]))
    with pytest.raises(StoreCorrupt, match="'minimal'"):
        rows.selected(run)


def test_the_deviation_ledger_holds_what_ran_against_the_preset(tmp_path: Path) -> None:
    hot = Decoding(temperature=1.6, top_p=0.95, top_k=20, max_tokens=96)
    run, found = build(tmp_path, Arm.model_validate({"filter": ("drop_empty",)}), hot)
    plan = of_arm(Arm.model_validate({"filter": ("drop_empty",)}))
    rows.record_deviations(run, rows.departures(plan, found))
    told = {row["field"]: (row["preset"], row["run"]) for row in run.rows("deviations")}
    assert told.keys() == {"arm.filter", "sampling.temperature", "sampling.top_k"}
    assert told["sampling.temperature"] == ("0.8", "1.6")
    assert "Deviations from the preset: 3" in rows.ledger(run)


def test_a_run_inside_its_preset_says_that_it_is(tmp_path: Path) -> None:
    run, found = build(tmp_path)
    rows.record_deviations(run, rows.departures(of_arm(rows.MINIMAL), found))
    assert rows.ledger(run) == "No deviation from the preset."


def test_what_a_preset_leaves_open_is_no_deviation_and_what_it_prescribes_is() -> None:
    settings = {"method": "lora", "learning_rate": 2e-4, "lora_r": 64, "lora_alpha": 64}
    plan = of_arm(rows.MINIMAL, training={**settings, "weight_decay": 0.3, "per_device_train_batch_size": 2, "seed": 7})
    assert deviations(plan, brief_minimal()) == ()
    told = {d.field: (d.preset, d.plan) for d in deviations(plan, paper())}
    assert told["training.weight_decay"] == ("0.1", "0.3")
    assert not told.keys() & {"training.per_device_train_batch_size", "training.seed"}
