"""Files handed over: the newest counts, a pool that meets the evaluation set stops everything, whatever is said."""

import json
from pathlib import Path

import pytest
from stories import FLAT, SHARP_ON_HARD, write_counts

from agent import toolbox
from agent.toolbox import Casefile
from tools.deliver import costs, deliverables, trials
from tools.errors import StoreCorrupt
from tools.judge.battery import BatteryRun
from tools.measure.probes import Reading
from tools.records import Interval, Quantity


@pytest.fixture
def case(tmp_path: Path) -> Casefile:
    return Casefile(tmp_path / "session")


def write_pool(path: Path, *ids: str) -> str:
    path.write_text("".join(f'{{"id": "{name}"}}\n' for name in ids))
    return str(path)


def test_handed_over_again_a_file_counts_again(case: Casefile, tmp_path: Path) -> None:
    first = str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD))
    second = str(write_counts(tmp_path / "b.jsonl", FLAT))
    gaps = []
    for turn, path in enumerate((first, second, first), 1):
        toolbox.attach(case, path, "results", turn)
        table = case.dossier.table
        assert table is not None
        gaps.append(table.find("gap_at_k", 16))
    assert gaps[0] == gaps[2] != gaps[1]


def test_a_turn_that_runs_again_adds_nothing(case: Casefile, tmp_path: Path) -> None:
    path = str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD))
    acts = toolbox.attach(case, path, "results", 1)
    entries = len(case.ledger.entries)
    assert toolbox.attach(case, path, "results", 1) == acts
    assert len(case.ledger.entries) == entries


def test_a_pool_that_meets_the_evaluation_set_is_refused_and_no_word_undoes_it(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    acts = toolbox.attach(case, write_pool(tmp_path / "pool.jsonl", "x", "hard/000"), "pool", 2)
    assert "pool_from_eval" in str(acts)
    toolbox.record(case, "The held-out set is disjoint from the prompt pool.", 3, ())
    assert case.dossier.workload.heldout_disjoint_from_pool is False


def test_another_pool_lifts_the_finding_and_leaves_the_rest_to_what_is_stated(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    toolbox.attach(case, write_pool(tmp_path / "pool.jsonl", "hard/000"), "pool", 2)
    toolbox.attach(case, write_pool(tmp_path / "other.jsonl", "x", "y"), "pool", 3)
    assert case.dossier.workload.heldout_disjoint_from_pool is None
    toolbox.record(case, "The held-out set is disjoint from the prompt pool.", 4, ())
    assert case.dossier.workload.heldout_disjoint_from_pool is True


def test_a_measured_size_is_not_talked_away(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    toolbox.record(case, "We have 5000 held-out problems.", 2, ())
    assert case.dossier.workload.heldout_n == 360


def test_altered_counts_are_found(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    for artifact in (tmp_path / "session" / "artifacts").iterdir():
        artifact.write_bytes(artifact.read_bytes().replace(b'"c":8', b'"c":9', 1))
    with pytest.raises(StoreCorrupt):
        _ = Casefile(tmp_path / "session").dossier


BETTER = {name: [min(16, c + 4) if c else 0 for c in counts] for name, counts in SHARP_ON_HARD.items()}


def test_results_of_a_tuned_model_are_held_against_the_base(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    toolbox.attach(case, str(write_counts(tmp_path / "b.jsonl", BETTER)), "tuned", 2)
    entry = case.ledger.get("trial.tuned.overall.Δpass@1")
    assert entry is not None
    assert entry.quantity is not None
    # 32 hard and 15 easy problems gain 4 of 16 samples each
    assert entry.quantity.value == pytest.approx(100 * 47 * 0.25 / 360)
    assert entry.quantity.battery == "not run"


def test_a_tuned_model_without_a_base_is_refused(case: Casefile, tmp_path: Path) -> None:
    (act,) = toolbox.attach(case, str(write_counts(tmp_path / "b.jsonl", BETTER)), "tuned", 1)
    assert "no results of the base" in str(act)


def test_a_tuned_model_on_other_problems_is_refused_and_leaves_nothing(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    entries = len(case.ledger.entries)
    (act,) = toolbox.attach(case, str(write_counts(tmp_path / "b.jsonl", {"new": [1] * 40})), "tuned", 2)
    assert "the same problems on both sides" in str(act)
    assert len(case.ledger.entries) == entries


def test_another_base_leaves_a_trial_that_no_longer_fits_named_and_unmade(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    toolbox.attach(case, str(write_counts(tmp_path / "b.jsonl", BETTER)), "tuned", 2)
    toolbox.attach(case, str(write_counts(tmp_path / "c.jsonl", {"new": [1] * 40})), "results", 3)
    assert case.dossier.trials.made == ()
    assert "the same problems on both sides" in (case.dossier.trials.unmade or {})["tuned"]


def test_the_weights_are_told_apart_from_the_decoding(case: Casefile, tmp_path: Path) -> None:
    decoded = {name: [min(16, c + 1) if c else 0 for c in counts] for name, counts in SHARP_ON_HARD.items()}
    for turn, (story, role) in enumerate(((SHARP_ON_HARD, "results"), (BETTER, "tuned"), (decoded, "decode_control"))):
        toolbox.attach(case, str(write_counts(tmp_path / f"{role}.jsonl", story)), role, turn)
    total, decoding, weights = (
        entry.quantity.value
        for name in ("tuned", "decoding", "weights")
        if (entry := case.ledger.get(f"trial.{name}.overall.Δpass@1")) is not None and entry.quantity is not None
    )
    assert total == pytest.approx(decoding + weights)


def write_readings(path: Path, answer: str = "alert") -> str:
    drift = Quantity(
        metric="value", value=0.4, unit="fraction", n=200, ci=Interval(low=0.3, high=0.5, method="Bayesian bootstrap")
    )
    reading = Reading(
        probe="self_bleu",
        answer=answer,
        drift=drift,
        alert_interval=drift.ci,
        tolerance=0.1,
        direction="up",
        prompts=200,
        left_out=0,
    )
    path.write_text(BatteryRun(readings=(reading,), seal="a" * 64).model_dump_json())
    return str(path)


def test_readings_travel_with_every_delta_from_then_on(case: Casefile, tmp_path: Path) -> None:
    toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", SHARP_ON_HARD)), "results", 1)
    toolbox.attach(case, str(write_counts(tmp_path / "b.jsonl", BETTER)), "tuned", 2)
    toolbox.attach(case, write_readings(tmp_path / "readings.json"), "battery", 3)
    entry = case.ledger.get("trial.tuned.overall.Δpass@1")
    assert entry is not None
    assert entry.quantity is not None
    assert (entry.quantity.battery or "").startswith("battery ")
    section = toolbox.cite(case, trials.section(case.dossier.tuned)).text
    assert "Battery: alert." in section
    assert "| self_bleu | alert | 40% [30 to 50%] | 10% | 200 |" in section


@pytest.mark.parametrize("probes", [["a|b {{E1}}"], ["pass@1 rose 43%"], ["self_bleu", "self_bleu"]])
def test_readings_name_each_probe_once_and_by_its_name(probes: list[str], case: Casefile, tmp_path: Path) -> None:
    path = Path(write_readings(tmp_path / "readings.json"))
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "readings": [{**told["readings"][0], "probe": name} for name in probes]}))
    (problem,) = toolbox.attach(case, str(path), "battery", 1)
    assert "each probe once, by its name" in str(problem)


def test_a_file_without_readings_is_refused(case: Casefile, tmp_path: Path) -> None:
    (act,) = toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", FLAT)), "battery", 1)
    assert "holds no readings" in str(act)


# what arms cost

TRAINED = ("training", 72_000, 90_000, 8)
SAMPLED = ("sampling", 36_000, 40_000, 8)


def write_costs(path: Path, *rows: tuple[str, float, float, int]) -> str:
    """stage, wall seconds, CPU seconds, accelerators."""
    names = ("stage", "wall_seconds", "cpu_seconds", "accelerators")
    path.write_text("".join(f"{json.dumps(dict(zip(names, row, strict=True)))}\n" for row in rows))
    return str(path)


def tried(case: Casefile, folder: Path, **arms: dict[str, list[int]]) -> None:
    """Results of the base, and of every arm named."""
    for turn, (role, story) in enumerate({"results": SHARP_ON_HARD, **arms}.items(), 1):
        toolbox.attach(case, str(write_counts(folder / f"{role}.jsonl", story)), role, turn)


def told(case: Casefile) -> str:
    """What the report says of tuning and its cost."""
    return toolbox.cite(case, deliverables.tuning(case.dossier)).text


def value(case: Casefile, name: str) -> float:
    entry = case.dossier.tuned.entries[name]
    assert entry.quantity is not None
    return entry.quantity.value


def test_files_of_one_arm_add_up_by_stage_and_without_a_rate_no_dollar_is_named(case: Casefile, tmp_path: Path) -> None:
    tried(case, tmp_path, tuned=BETTER)
    toolbox.spend(case, write_costs(tmp_path / "s.jsonl", SAMPLED), 3)
    toolbox.spend(case, write_costs(tmp_path / "m.jsonl", TRAINED, ("sampling", 3_600, 3_600, 8)) + " tuned", 4)
    assert value(case, "spent.tuned.made.gpu") == 8 * (72_000 + 36_000) / 3600
    assert value(case, "spent.tuned.all.gpu") == 8 * (72_000 + 36_000 + 3_600) / 3600
    # 3.26 pp over 240 GPU-hours
    assert value(case, "spent.tuned.per_hour") == pytest.approx(100 * 47 * 0.25 / 360 / 240)
    section = told(case)
    assert "| tuned | evaluation | 1 h | 1 CPU-hours | 8 GPU-hours |" in section
    assert "0.0136 pp per GPU-hour [" in section
    assert "dollars are not computed, because no rate was declared" in section
    assert "$" not in section


def test_the_same_file_twice_counts_once_and_one_that_has_grown_replaces_what_it_was(
    case: Casefile, tmp_path: Path
) -> None:
    path = write_costs(tmp_path / "cost.jsonl", SAMPLED)
    toolbox.spend(case, path, 1)
    toolbox.spend(case, path, 2)
    assert value(case, "spent.tuned.made.gpu") == 80
    before = (tmp_path / "cost.jsonl").read_bytes()
    write_costs(tmp_path / "cost.jsonl", SAMPLED, TRAINED)
    toolbox.spend(case, path, 3)
    assert value(case, "spent.tuned.made.gpu") == 240
    (tmp_path / "cost.jsonl").write_bytes(before)
    toolbox.spend(case, path, 4)
    assert value(case, "spent.tuned.made.gpu") == 240
    assert [file.place for file in case.dossier.costs.files["tuned"]] == ["cost/tuned-2.jsonl"]


def test_a_file_that_was_handed_over_before_its_last_line_ended_is_known_again(case: Casefile, tmp_path: Path) -> None:
    path = write_costs(tmp_path / "cost.jsonl", SAMPLED)
    whole = (tmp_path / "cost.jsonl").read_bytes()
    (tmp_path / "cost.jsonl").write_bytes(whole.rstrip(b"\n"))
    toolbox.spend(case, path, 1)
    write_costs(tmp_path / "cost.jsonl", SAMPLED, TRAINED)
    toolbox.spend(case, path, 2)
    assert value(case, "spent.tuned.made.gpu") == 240


def test_a_turn_of_costs_that_runs_again_adds_nothing(case: Casefile, tmp_path: Path) -> None:
    path = write_costs(tmp_path / "cost.jsonl", SAMPLED)
    for command in (lambda: toolbox.spend(case, path, 1), lambda: toolbox.price(case, "2", 2)):
        acts, entries = command(), len(case.ledger.entries)
        assert command() == acts
        assert len(case.ledger.entries) == entries


def test_costs_are_taken_back_with_none(case: Casefile, tmp_path: Path) -> None:
    toolbox.spend(case, write_costs(tmp_path / "wrong.jsonl", TRAINED) + " comparator", 1)
    toolbox.spend(case, "none comparator", 2)
    assert not case.dossier.costs.files.get("comparator")
    toolbox.spend(case, write_costs(tmp_path / "right.jsonl", SAMPLED) + " comparator", 3)
    assert value(case, "spent.comparator.made.gpu") == 80


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ('{"stage": "training"}\n', "cost.jsonl:2 key wall_seconds"),
        ('{"stage": "train', "cost.jsonl:2: "),
    ],
)
def test_a_malformed_row_is_refused_by_its_line_and_leaves_nothing(
    bad: str, said: str, case: Casefile, tmp_path: Path
) -> None:
    path = Path(write_costs(tmp_path / "cost.jsonl", SAMPLED))
    path.write_text(path.read_text() + bad)
    entries = len(case.ledger.entries)
    (act,) = toolbox.spend(case, f"{path} tuned", 1)
    assert said in str(act)
    assert len(case.ledger.entries) == entries


@pytest.mark.parametrize("argument", ["", "nowhere.jsonl", "nowhere.jsonl placebo", "tuned"])
def test_a_file_that_is_not_there_is_a_sentence(argument: str, case: Casefile) -> None:
    (act,) = toolbox.spend(case, argument, 1)
    assert "cannot be read" in str(act)


@pytest.mark.parametrize(
    "said", ["2.10", "$2.10", "2.1 USD", "2.10 USD per GPU-hour", "2.10 usd/GPU hour", "$2.10 a gpuh"]
)
def test_a_declared_rate_prices_the_accelerators(said: str, case: Casefile, tmp_path: Path) -> None:
    toolbox.spend(case, write_costs(tmp_path / "cost.jsonl", SAMPLED, ("grading", 600, 600, 0)), 1)
    toolbox.price(case, said, 2)
    assert value(case, "spent.tuned.made.usd") == pytest.approx(168)
    assert "at the declared rate of $2.10 per GPU-hour" in told(case)
    toolbox.price(case, "3", 3)
    assert value(case, "spent.tuned.made.usd") == pytest.approx(240)
    toolbox.price(case, "none", 4)
    assert "dollars are not computed" in told(case)


@pytest.mark.parametrize(
    "said", ["", "2,10", "about 2", "2 EUR", "0", "-2", "2-3", "2 per hour", "1e3", "nan", "maybe 2 USD"]
)
def test_what_is_no_rate_is_not_taken_for_one(said: str, case: Casefile) -> None:
    entries = len(case.ledger.entries)
    (act,) = toolbox.price(case, said, 1)
    assert "is no rate" in str(act)
    assert len(case.ledger.entries) == entries


def test_without_accelerators_it_is_per_cpu_hour_and_a_rate_prices_nothing(case: Casefile, tmp_path: Path) -> None:
    tried(case, tmp_path, tuned=BETTER)
    toolbox.spend(case, write_costs(tmp_path / "cost.jsonl", ("training", 3_600, 7_200, 0)), 3)
    toolbox.price(case, "2.10", 4)
    section = told(case)
    # 3.26 pp over 2 CPU-hours
    assert "1.63 pp per CPU-hour [" in section
    assert "prices nothing here, since no accelerator was held" in section
    assert "GPU-hour [" not in section


@pytest.mark.parametrize("rows", [[("training", 0, 0, 8)], [("evaluation", 3_600, 3_600, 8)]])
def test_accuracy_for_no_hour_of_making_is_undefined(
    rows: list[tuple[str, float, float, int]], case: Casefile, tmp_path: Path
) -> None:
    tried(case, tmp_path, tuned=BETTER, comparator=BETTER, decode_control=BETTER)
    for arm in ("tuned", "comparator", "decode_control"):
        toolbox.spend(case, write_costs(tmp_path / "cost.jsonl", *rows) + f" {arm}", 3)
    section = told(case)
    assert "| tuned | undefined: no hour of its making was handed over |" in section
    assert "| decode_control | undefined: its weights are the base's |" in section
    assert "**Not comparable**: no hour of making" in section
    assert "chance" not in section.partition("### Pareto")[2]


WORSE = {name: [max(0, c - 2) for c in counts] for name, counts in BETTER.items()}


def pareto(
    case: Casefile, folder: Path, ours: dict[str, list[int]], theirs: dict[str, list[int]], *seconds: float
) -> str:
    """What is said of two arms with these results that took these seconds of eight accelerators."""
    tried(case, folder, tuned=ours, comparator=theirs)
    for arm, spent in zip(("tuned", "comparator"), seconds, strict=True):
        toolbox.spend(case, write_costs(folder / f"{arm}.cost", ("training", spent, spent, 8)) + f" {arm}", 4)
    return told(case).partition("### Pareto")[2]


def test_cheaper_and_more_accurate_dominates_with_the_chance_of_its_accuracy(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, BETTER, WORSE, 3_600, 7_200)
    assert "The tuned model **dominates**" in said
    assert "made in 8 GPU-hours; the comparator in 16 GPU-hours" in said
    assert "at least as accurate, and so, as it cost no more, that it dominates: 99.9%" in said
    assert "of accuracy and cost alone; battery of the tuned model: not run" in said
    assert "is dominated" not in said


def test_dearer_and_less_accurate_is_dominated(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, WORSE, BETTER, 7_200, 3_600)
    assert "The tuned model **is dominated**" in said
    assert "though it cost more and cannot dominate: 0.1%" in said
    assert "as it cost no less, that it is dominated: 99.9%" in said


def test_dearer_and_more_accurate_trades(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, BETTER, WORSE, 7_200, 3_600)
    assert "The tuned model **trades**" in said
    assert "cannot dominate: 99.9%" in said


def test_identical_results_at_less_cost_dominate_without_a_chance(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, BETTER, BETTER, 3_600, 7_200)
    assert "The tuned model **dominates**" in said
    assert "resampling knows no chance" in said
    assert "0.0 pp [" in said


def test_identical_results_at_the_same_cost_are_equal(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, BETTER, BETTER, 3_600, 3_600)
    assert "The tuned model **equals**" in said


def test_at_the_same_cost_either_may_dominate(case: Casefile, tmp_path: Path) -> None:
    said = pareto(case, tmp_path, BETTER, WORSE, 3_600, 3_600)
    assert "The tuned model **dominates**" in said
    assert "that it dominates: 99.9%" in said
    assert "that it is dominated: 0.1%" in said


def test_hours_of_different_kinds_are_not_compared(case: Casefile, tmp_path: Path) -> None:
    tried(case, tmp_path, tuned=BETTER, comparator=WORSE)
    toolbox.spend(case, write_costs(tmp_path / "a.jsonl", TRAINED), 4)
    toolbox.spend(case, write_costs(tmp_path / "b.jsonl", ("training", 60, 60, 0)) + " comparator", 5)
    said = told(case).partition("### Pareto")[2]
    assert "**Not comparable**: one was made on accelerators and the other without" in said
    assert "chance" not in said
    assert "made in 160 GPU-hours; the comparator in 0.01667 CPU-hours" in said


def test_what_the_comparison_still_needs_is_named(case: Casefile, tmp_path: Path) -> None:
    tried(case, tmp_path, tuned=BETTER)
    toolbox.spend(case, write_costs(tmp_path / "a.jsonl", TRAINED), 3)
    why = costs.missing(case.dossier.costs, case.dossier.trials)
    assert why == "it needs results of the comparator (`/tuned FILE comparator`), " + (
        "what the comparator cost (`/cost FILE comparator`)"
    )
    assert why in deliverables.report(case.dossier, "A", ())
    assert "Pareto" not in told(case)


def test_results_that_come_after_the_costs_are_priced_too(case: Casefile, tmp_path: Path) -> None:
    toolbox.spend(case, write_costs(tmp_path / "a.jsonl", TRAINED), 1)
    tried(case, tmp_path, tuned=BETTER)
    assert value(case, "spent.tuned.per_hour") == pytest.approx(100 * 47 * 0.25 / 360 / 160)
