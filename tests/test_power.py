"""Problems needed: by hand, against the published planning figures, and where no number would do."""

from __future__ import annotations

import pytest

from tools.errors import InvalidInput
from tools.records import Interval, Quantity
from tools.stats import power


def gap(value: float, half_width: float, n: int = 200) -> Quantity:
    ci = Interval(low=value - half_width, high=value + half_width, method="by hand")
    return Quantity(metric="gap_at_k", value=value, unit="pp", k=8, n=n, ci=ci)


def test_four_times_the_problems_halve_the_interval():
    assert power.problems_to_resolve(gap(7, 4), 5).value == 800
    assert power.problems_to_resolve(gap(3, 4), 5).value == 800


def test_a_resolved_gap_needs_no_more_than_it_has():
    assert power.problems_to_resolve(gap(12, 3), 5).value <= 200


def test_on_the_threshold_no_number_of_problems_would_do():
    assert power.problems_to_resolve(gap(5, 3), 5) is None


def test_the_arm_that_faces_the_threshold_counts():
    ci = Interval(low=5, high=20, method="by hand")
    row = Quantity(metric="gap_at_k", value=7, unit="pp", k=8, n=100, ci=ci)
    assert power.problems_to_resolve(row, 5).value == 100


def test_the_detectable_effect_is_the_published_one():
    """DOMAIN 4.3: sd .16 of the paired pass@1 makes 3.2 pp detectable at 200 problems."""
    row = gap(0, 1.96 * 16 / 200**0.5)
    assert power.detectable(row).value == pytest.approx(3.2, abs=0.05)
    assert power.detectable(row).unit == "pp"


def test_more_power_asks_for_a_larger_effect():
    assert power.detectable(gap(8, 3), power=0.95).value > power.detectable(gap(8, 3)).value


def test_a_fraction_is_answered_in_points():
    ci = Interval(low=0.4, high=0.5, method="by hand")
    row = Quantity(metric="pass_at_k", value=0.45, unit="fraction", k=1, n=100, ci=ci)
    assert power.detectable(row).value == pytest.approx(power.detectable(gap(45, 5, n=100)).value)


def test_four_times_the_problems_show_half_the_effect():
    few, many = gap(8, 3, n=200), gap(8, 1.5, n=800)
    assert power.detectable(many).value == pytest.approx(power.detectable(few).value / 2)


def test_a_row_without_interval_is_refused():
    with pytest.raises(InvalidInput, match="no interval"):
        power.detectable(Quantity(metric="gap_at_k", value=8, unit="pp", k=8, n=200))
