import json
import time
from collections.abc import Mapping

import pytest

from tools.errors import InvalidInput
from tools.records import Interval, Quantity
from tools.stats import cost
from tools.stats.cost import CENTURY_SECONDS, Cost, Hours, Meter, Stage


def test_gpu_hours_are_wall_time_times_accelerators() -> None:
    assert Cost(stage="sampling", wall_seconds=1800, cpu_seconds=5, accelerators=8).gpu_hours == 4


def test_a_meter_measures_wall_time_processor_time_and_tokens() -> None:
    spent: list[Cost] = []
    meter = Meter("sampling", spent.append)
    meter.beat(tokens=7)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    meter.beat(tokens=5)
    meter.close()
    (only,) = spent
    assert only.tokens == 12
    assert 0.08 <= only.cpu_seconds <= only.wall_seconds + 0.05


def test_stretches_add_up_per_stage() -> None:
    stretches = [
        Cost(stage=stage, wall_seconds=3600, cpu_seconds=7200, tokens=1800)
        for stage in ("sampling", "grading", "sampling")
    ]
    sampling, grading = cost.totals(stretches)
    assert (sampling.stage, sampling.wall_hours, sampling.cpu_hours) == ("sampling", 2, 4)
    assert sampling.tokens_per_second == 0.5
    assert grading.wall_hours == 1


def test_an_estimate_without_a_throughput_names_no_hours() -> None:
    found = cost.estimate(240, 16, 96)
    assert (found.answers, found.tokens) == (3840, 368_640)
    assert found.wall_hours is found.gpu_hours is found.usd is None


def test_an_estimate_prices_the_accelerators_that_are_held() -> None:
    found = cost.estimate(1000, 16, 1000, tokens_per_second=40_000, accelerators=8, usd_per_gpu_hour=2.5)
    assert found.wall_hours == pytest.approx(1 / 9)
    assert found.usd == pytest.approx(8 / 9 * 2.5)


def test_no_price_without_a_declared_rate() -> None:
    assert cost.estimate(10, 4, 100, tokens_per_second=50, accelerators=1).usd is None


@pytest.mark.parametrize("bad", [{"prompts": 0}, {"samples": -1}, {"max_tokens": 0}, {"tokens_per_second": 0.0}])
def test_figures_that_are_not_positive_are_refused_by_name(bad: dict[str, float]) -> None:
    given = {"prompts": 10, "samples": 4, "max_tokens": 100} | bad
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        cost.estimate(**given)  # type: ignore[arg-type]


# a file that was handed over

ROW = {"stage": "training", "wall_seconds": 3600.0, "cpu_seconds": 7200.0, "accelerators": 8, "tokens": 5}


def lines(*rows: Mapping[str, object]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def test_a_file_of_a_run_is_read_as_it_was_written() -> None:
    assert cost.read(lines(ROW), "cost.jsonl") == (Cost.model_validate(ROW),)


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        (b"nothing", ""),
        (b"[1]", ""),
        (lines(ROW | {"wall_seconds": -1}), " key wall_seconds"),
        (lines(ROW | {"wall_seconds": True}), " key wall_seconds"),
        (lines(ROW | {"wall_seconds": "3600"}), " key wall_seconds"),
        (lines(ROW | {"cpu_seconds": float("nan")}), " key cpu_seconds"),
        (lines(ROW | {"wall_seconds": 2 * CENTURY_SECONDS}), " key wall_seconds"),
        (lines(ROW | {"accelerators": 10**9}), " key accelerators"),
        (lines(ROW | {"accelerators": 0.5}), " key accelerators"),
        (lines(ROW | {"stage": "thinking"}), " key stage"),
        (lines(ROW | {"price": 3}), " key price"),
        (lines({"stage": "training", "wall_seconds": 1}), " key cpu_seconds"),
        (lines(ROW)[:-20], ""),
        (b"\xff\xfe", ""),
    ],
)
def test_a_row_that_is_no_stretch_of_work_is_refused_by_its_line(bad: bytes, key: str) -> None:
    with pytest.raises(InvalidInput, match=f"cost.jsonl:3{key}: "):
        cost.read(lines(ROW) + b"\n" + bad, "cost.jsonl")


@pytest.mark.parametrize("empty", [b"", b"\n\n"])
def test_a_file_without_rows_is_refused(empty: bytes) -> None:
    with pytest.raises(InvalidInput, match="no stretch of work"):
        cost.read(empty, "cost.jsonl")


@pytest.mark.parametrize(
    ("written", "served"),
    [
        (("sampling",), ("sampling",)),
        (("evaluation", "grading"), ("evaluation", "grading")),
        (("training", "sampling", "grading", "probing"), ("training", "evaluation", "grading", "probing")),
        (("evaluation", "grading", "training"), ("sampling", "grading", "training")),
        (("sampling", "training", "training", "sampling"), ("sampling", "training", "training", "evaluation")),
    ],
)
def test_a_run_that_trained_drew_its_answers_before_and_is_evaluated_after(
    written: tuple[Stage, ...], served: tuple[Stage, ...]
) -> None:
    found = cost.read(lines(*(ROW | {"stage": stage} for stage in written)), "cost.jsonl")
    assert tuple(row.stage for row in found) == served


def test_making_a_model_is_sampling_and_training_and_evaluation_is_apart() -> None:
    stages: tuple[Stage, ...] = ("sampling", "training", "evaluation", "grading", "probing")
    rows = [Cost(stage=stage, wall_seconds=3600, cpu_seconds=3600, accelerators=2) for stage in stages]
    assert cost.making(rows) == Hours(wall_hours=2, cpu_hours=2, gpu_hours=4)


# what was had for it


def spent(*, gpu: float = 0.0, cpu: float = 0.0) -> Hours:
    return Hours(wall_hours=1, cpu_hours=cpu, gpu_hours=gpu)


DELTA = Quantity(
    metric="delta_pass_at_k",
    k=1,
    value=4,
    unit="pp",
    n=300,
    ci=Interval(low=-1, high=9, method="m"),
    battery="not run",
)


@pytest.mark.parametrize(
    ("made", "unit"), [(spent(gpu=200, cpu=7), "pp_per_gpu_hour"), (spent(cpu=200), "pp_per_cpu_hour")]
)
def test_accuracy_per_hour_is_the_delta_and_its_interval_over_the_hours_that_count(made: Hours, unit: str) -> None:
    found = cost.per_hour(DELTA, made)
    assert found is not None
    assert found.ci is not None
    assert (found.value, found.ci.low, found.ci.high, found.n) == (0.02, -0.005, 0.045, 300)
    assert (found.unit, found.ci.level) == (unit, 0.95)


@pytest.mark.parametrize("made", [spent(), spent(gpu=1e-300)])
def test_accuracy_per_no_hour_is_undefined(made: Hours) -> None:
    assert cost.per_hour(DELTA, made) is None


@pytest.mark.parametrize(
    ("delta", "ours", "theirs", "expected"),
    [
        (1, spent(gpu=2), spent(gpu=3), "dominates"),
        (0, spent(gpu=2), spent(gpu=3), "dominates"),
        (1, spent(gpu=3), spent(gpu=3 * (1 + 1e-12)), "dominates"),
        (1, spent(cpu=2), spent(cpu=3), "dominates"),
        (-1, spent(gpu=3), spent(gpu=2), "is dominated"),
        (0, spent(gpu=3), spent(gpu=2), "is dominated"),
        (-1, spent(gpu=3), spent(gpu=3), "is dominated"),
        (1, spent(gpu=3), spent(gpu=2), "trades"),
        (-1, spent(gpu=2), spent(gpu=3), "trades"),
        (1e-14, spent(gpu=3), spent(gpu=3), "equals"),
        (1, spent(gpu=2), spent(cpu=3), None),
        (1, spent(gpu=2), spent(), None),
        (1, spent(), spent(), None),
    ],
)
def test_the_place_on_the_plane_of_accuracy_and_cost(
    delta: float, ours: Hours, theirs: Hours, expected: str | None
) -> None:
    assert cost.standing(delta, ours, theirs) == expected


def test_the_cheaper_side_may_still_have_held_more_processors() -> None:
    assert cost.saving(spent(gpu=2, cpu=900), spent(gpu=3, cpu=1)) == 1
