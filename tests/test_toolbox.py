"""Files handed over: the newest counts, a pool that meets the evaluation set stops everything, whatever is said."""

from pathlib import Path

import pytest
from stories import FLAT, SHARP_ON_HARD, write_counts

from agent import toolbox
from agent.toolbox import Casefile
from tools.deliver import trials
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


def test_a_file_without_readings_is_refused(case: Casefile, tmp_path: Path) -> None:
    (act,) = toolbox.attach(case, str(write_counts(tmp_path / "a.jsonl", FLAT)), "battery", 1)
    assert "holds no readings" in str(act)
