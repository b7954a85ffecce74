import time

import pytest

from tools.errors import InvalidInput
from tools.stats import cost
from tools.stats.cost import Cost, Meter


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
