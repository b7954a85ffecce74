"""How many problems a question needs, from the spread that the user's own counts show.

Everything scales a row's printed interval by the root of the number of problems. A degenerate row has no spread to
scale; its interval shrinks faster than that, so the answers are then too large rather than too small.
Source: Miller 2024, arXiv 2411.00640.
"""

from __future__ import annotations

from math import ceil
from statistics import NormalDist

from tools.errors import InvalidInput
from tools.records import Interval, Quantity

POWER = 0.8  # the chance that clinical trials plan for, and Miller with them


def problems_to_resolve(row: Quantity, threshold: float) -> Quantity | None:
    """Problems at which the interval's end would just reach the threshold, if the estimate stays where it is.

    row: a gap with its interval. threshold: in the unit of the row. None where the estimate sits on the threshold: no
    number of problems would do. Raises InvalidInput for a row without interval or n.
    """
    interval, n = _measured(row)
    distance = row.value - threshold
    if abs(distance) < 1e-9:
        return None
    half_width = row.value - interval.low if distance > 0 else interval.high - row.value
    return _value(ceil(n * (half_width / distance) ** 2), "count", row)


def detectable(row: Quantity, power: float = POWER) -> Quantity:
    """The smallest true effect that would be told from zero with chance `power`, two-sided at the row's level, in pp.

    Raises InvalidInput for a row without interval or n.
    """
    interval, _ = _measured(row)
    normal = NormalDist()
    z = normal.inv_cdf(0.5 + interval.level / 2)
    error = (interval.high - interval.low) / (2 * z) * (100 if row.unit == "fraction" else 1)
    return _value((z + normal.inv_cdf(power)) * error, "pp", row)


def _measured(row: Quantity) -> tuple[Interval, int]:
    if row.ci is None or row.n is None:
        raise InvalidInput(f"{row.label} of {row.slice} has no interval", "a row with interval and number of problems")
    return row.ci, row.n


def _value(value: float, unit: str, row: Quantity) -> Quantity:
    return Quantity.model_validate({"metric": "value", "value": value, "unit": unit, "k": row.k, "slice": row.slice})
